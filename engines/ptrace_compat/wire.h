// What the preloaded client and the emulation say to each other, one packet of a SOCK_SEQPACKET socket
// per message. Both sides are of one build and one user on one machine: messages are structures in
// memory order, and kWireVersion tells another build.
//
// A connection belongs to one thread of the tracing program. It begins with Hello, which is answered by a
// Reply. Then each request is answered by exactly one Reply with its serial, in any order, but for
// requests with kNoReply, which have none. A waiting request (Op::kWait) is answered when there is
// something to tell, or when Op::kCancel names it.
//
// Descriptors travel with no message. Plain C++ without the standard library's objects, since the client
// lives in other people's programs.
#ifndef ENGINES_PTRACE_COMPAT_WIRE_H_
#define ENGINES_PTRACE_COMPAT_WIRE_H_

#include <signal.h>
#include <stdint.h>
#include <sys/types.h>

namespace utrace::ptrace_compat::wire {

// "UTPT": the first four bytes of a connection that is not a command's.
inline constexpr uint32_t kMagic = 0x54505455;
inline constexpr uint32_t kWireVersion = 5;
// Bytes behind a header. Longer transfers of memory are cut to this by the client, and continued.
inline constexpr uint32_t kMaxPayload = 60 << 10;

// SIGCHLD comes from the server with this si_code, because the kernel lets nobody send one as if it came
// from itself; the client's handler puts the true one, which is in si_errno, in its place.
inline constexpr int kSigchldCode = -0x5054;

struct Hello {
  uint32_t magic = kMagic;
  uint32_t version = kWireVersion;
  pid_t pid = 0;  // the process as it sees itself; the server checks it against the socket's peer
  pid_t tid = 0;  // the thread that this connection belongs to
};

enum class Op : uint32_t {
  kPtrace,   // a ptrace(2) request; PtraceRequest, and what it reads behind it
  kTraceMe,  // PTRACE_TRACEME of process `pid`: its parent becomes its tracer
  kWait,     // WaitRequest
  kCancel,  // the wait with serial `target` shall be answered now, whatever there is; itself kNoReply
  kSigchld,   // PlainRequest.value: SigchldFlags that hold from now on
  kReadMem,   // MemoryRequest: as this tracer shall see it; the bytes come as the reply's payload
  kWriteMem,  // MemoryRequest, and the bytes behind it
  // The program sends SIGSTOP to thread `pid`, a tracee of its own; PlainRequest. ESRCH: it is to send it
  // itself, as to anybody.
  kStopThread,
  kBye,  // the thread ends: the connection closes, and what it traces is detached
};

enum Flags : uint32_t {
  kNoReply = 1,
  // kWait: do not keep the request. Answer at once, and if there was nothing, send the thread the
  // signal WaitRequest.ring once there may be something; also if no tracee matches yet, since a child may
  // become one. The last such request of a thread holds; kCancel ends it without a reply.
  kRing = 2,
  // kWait: answered again and again with the same serial, whenever there is something, so that a thread
  // that only waits need not ask. It ends with an answer that is no event: when kCancel names it, when
  // another thread of the program waits, or when no tracee matches any more.
  kStanding = 4,
};

// PlainRequest.value of kSigchld.
enum SigchldFlags : uint64_t {
  kSigchldIgnored = 1,  // none are sent: SIG_IGN, or SIG_DFL where nobody has it blocked
  kNoCldStop = 2,       // SA_NOCLDSTOP: none for stops
};

struct RequestHeader {
  Op op;
  uint32_t flags = 0;
  uint64_t serial = 0;
};

struct PlainRequest {
  RequestHeader header;
  pid_t pid = 0;
  uint64_t value = 0;
  uint64_t target = 0;
};

// Of the tracing program's arguments, `address` and `data` as they are. Where the request passes a
// structure in, its bytes follow; where it passes one out, `out_size` says how many bytes there is room
// for (arguments.h knows which is which). The reply's payload is what it fills; for one that passes a vector
// in (kInVector) it is one uint64_t: the length that was taken. The word of PEEK* is the reply's result.
struct PtraceRequest {
  RequestHeader header;
  int32_t request = 0;
  pid_t pid = 0;
  uint64_t address = 0;
  uint64_t data = 0;
  uint32_t in_size = 0;
  uint32_t out_size = 0;
};

struct WaitRequest {
  RequestHeader header;
  int32_t id_type = 0;  // P_ALL, P_PID, P_PGID; the client turns a pidfd into its pid
  int32_t id = 0;
  uint32_t options =
      0;  // waitid's: WEXITED WSTOPPED WCONTINUED WNOHANG WNOWAIT __WALL __WCLONE __WNOTHREAD
  int32_t ring = 0;  // a signal number, with kRing
};

struct MemoryRequest {
  RequestHeader header;
  pid_t pid = 0;
  uint32_t size = 0;
  uint64_t address = 0;
};

struct Reply {
  uint64_t serial = 0;
  int32_t error = 0;   // zero, or a positive errno
  uint32_t size = 0;   // bytes behind it
  int64_t result = 0;  // of a request that peeks, the word
};

// What a stopped tracee is in, so that the client answers PTRACE_GETSIGINFO, GETEVENTMSG and
// GET_SYSCALL_INFO without asking.
struct StopDetail {
  uint8_t has_siginfo = 0;  // else PTRACE_GETSIGINFO fails with EINVAL
  uint8_t has_syscall_info = 0;
  uint16_t syscall_info_size = 0;  // what the request returns: bytes that there are
  uint32_t unused = 0;
  uint64_t event_message = 0;
  siginfo_t siginfo{};
  uint8_t syscall_info[96]{};  // struct ptrace_syscall_info
};

enum class WaitOutcome : uint32_t {
  kEvent,     // something happened to `pid`
  kNothing,   // there are tracees that match, and nothing to tell of them yet
  kNoTracee,  // no tracee of this thread (or process) matches: ECHILD, if no child does either
};

// The payload of the reply to kWait.
struct WaitReply {
  WaitOutcome outcome = WaitOutcome::kNothing;
  pid_t pid = 0;
  pid_t tgid = 0;  // its process, whose resource usage a wait tells
  uid_t uid = 0;
  int32_t status = 0;  // as wait4 gives it
  // It ended, and is a child of the tracing process: the native wait, which has to be made, reaps it and
  // knows its resource usage.
  uint8_t reap_natively = 0;
  uint8_t stopped = 0;  // it is in a stop now, of which `detail` tells
  // No tracee of the process runs, nor is there a stop or an end to tell of: until one is resumed, or
  // killed, there will be none. Who asks for these again at once need not ask the server.
  uint8_t quiet = 0;
  uint8_t unused = 0;
  StopDetail detail;
};

}  // namespace utrace::ptrace_compat::wire

#endif  // ENGINES_PTRACE_COMPAT_WIRE_H_
