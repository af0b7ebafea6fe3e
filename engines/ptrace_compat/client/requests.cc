#include "engines/ptrace_compat/client/requests.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/ptrace.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>

#include <atomic>

#include "engines/ptrace_compat/arguments.h"
#include "engines/ptrace_compat/client/native.h"
#include "engines/ptrace_compat/client/process.h"
#include "engines/ptrace_compat/client/thread.h"
#include "engines/ptrace_compat/wire.h"

namespace utrace::ptrace_compat::client {
namespace {

// What the kernel takes of a sized structure at most; all that there are are far smaller.
constexpr uint64_t kMostSized = 4096;

const void* Readable(uint64_t address) { return reinterpret_cast<const void*>(address); }
void* Writable(uint64_t address) { return reinterpret_cast<void*>(address); }

// A tracee runs on after it, with a signal if `data` names one.
bool Resumes(long request) {
  switch (request) {
    case PTRACE_CONT:
    case PTRACE_SYSCALL:
    case PTRACE_SINGLESTEP:
#ifdef PTRACE_SINGLEBLOCK
    case PTRACE_SINGLEBLOCK:
#endif
#ifdef PTRACE_SYSEMU
    case PTRACE_SYSEMU:
    case PTRACE_SYSEMU_SINGLESTEP:
#endif
      return true;
    default:
      return false;
  }
}

// Changes what PTRACE_GET_SYSCALL_INFO or GETSIGINFO tell, or ends the stop.
bool ChangesStop(long request) {
  switch (ArgumentOf(request).passing) {
    case Passing::kIn:
    case Passing::kInVector:
    case Passing::kInSized:
      return true;
    default:
      return request == PTRACE_POKEUSR || request == PTRACE_DETACH || request == PTRACE_KILL ||
             request == PTRACE_LISTEN || Resumes(request);
  }
}

// PTRACE_TRACEME: the tracee belongs to this process's parent, and this connection to nobody.
long TraceMe() {
  const SignalsBlocked blocked;
  Connection connection;
  int status = connection.Open(Connection::Enrol::kNo);
  if (status != 0) {
    ComplainOfNone(status);
    return -EPERM;
  }
  AllowServer(connection.server());
  wire::PlainRequest request;
  request.header = {.op = wire::Op::kTraceMe, .serial = connection.NextSerial()};
  request.pid = static_cast<pid_t>(Raw(SYS_getpid));
  status = connection.Send(&request, sizeof(request), nullptr, 0);
  wire::Reply reply;
  if (status == 0) {
    status = connection.Receive(connection.last_serial(), &reply, nullptr, 0);
  }
  connection.Close();
  if (status != 0) return -EPERM;
  if (reply.error != 0) return -reply.error;
  NoteTraced();
  return reply.result;
}

// One request on its way: what it reads, and what it fills.
struct Transfer {
  wire::PtraceRequest request;
  const void* in = nullptr;
  void* out = nullptr;
  wire::Reply reply;
};

// Zero once there is a reply.
int Exchange(Thread& thread, Transfer* transfer) {
  Connection& connection = thread.connection;
  transfer->request.header.op = wire::Op::kPtrace;
  transfer->request.header.serial = connection.NextSerial();
  const uint32_t losses = connection.losses();
  int sent = connection.Send(&transfer->request, sizeof(transfer->request), transfer->in,
                             transfer->request.in_size);
  if (sent == -ENOTCONN && connection.losses() == losses && Connected(thread) == 0) {
    // The program had closed the connection; this is another one.
    transfer->request.header.serial = connection.NextSerial();
    sent = connection.Send(&transfer->request, sizeof(transfer->request), transfer->in,
                           transfer->request.in_size);
  }
  if (sent != 0) return sent;
  const int status = Receive(thread, transfer->request.header.serial, &transfer->reply,
                             transfer->out, transfer->request.out_size);
  if (status != 0) return status;
  // But for words, of which all values may be, results are what the kernel gives.
  const bool word = ArgumentOf(transfer->request.request).passing == Passing::kOutWord;
  return transfer->reply.result < 0 && !word ? connection.Refuse() : 0;
}

long ResultOf(int status, const wire::Reply& reply) {
  // Without a server there are no tracees.
  if (status == -ENOTCONN) return -ESRCH;
  if (status != 0) return status;
  return reply.error != 0 ? -reply.error : reply.result;
}

// A length of a register set as a message has room for it. Whether it is a multiple of the size of a register
// stays as it was: the kernel refuses what is not.
uint32_t CutVector(size_t length) {
  constexpr size_t kAnyRegister = 1024;
  if (length <= wire::kMaxPayload) return static_cast<uint32_t>(length);
  return static_cast<uint32_t>(wire::kMaxPayload - kAnyRegister + length % kAnyRegister);
}

long Vector(Thread& thread, bool in, Transfer transfer, uint64_t data) {
  iovec vector{};
  if (const int status = CopyIn(&vector, Readable(data), sizeof(vector)); status != 0)
    return status;
  uint64_t taken = 0;
  if (in) {
    transfer.in = vector.iov_base;
    transfer.request.in_size = CutVector(vector.iov_len);
    transfer.out = &taken;
    transfer.request.out_size = sizeof(taken);
  } else {
    transfer.out = vector.iov_base;
    transfer.request.out_size = CutVector(vector.iov_len);
  }
  const int status = Exchange(thread, &transfer);
  const long result = ResultOf(status, transfer.reply);
  if (status != 0 || result < 0) return result;
  vector.iov_len = in ? taken : transfer.reply.size;
  return CopyOut(Writable(data), &vector, sizeof(vector));
}

long PeekSiginfo(Thread& thread, Transfer transfer, uint64_t address, uint64_t data) {
  struct ptrace_peeksiginfo_args arguments {};
  if (const int status = CopyIn(&arguments, Readable(address), sizeof(arguments)); status != 0) {
    return status;
  }
  transfer.in = &arguments;
  transfer.request.in_size = sizeof(arguments);
  const uint64_t wanted =
      arguments.nr > 0 ? static_cast<uint64_t>(arguments.nr) * sizeof(siginfo_t) : 0;
  transfer.out = Writable(data);
  transfer.request.out_size = static_cast<uint32_t>(
      wanted < wire::kMaxPayload ? wanted
                                 : wire::kMaxPayload / sizeof(siginfo_t) * sizeof(siginfo_t));
  const int status = Exchange(thread, &transfer);
  return ResultOf(status, transfer.reply);
}

long Ask(Thread& thread, long request, pid_t pid, uint64_t address, uint64_t data) {
  const Argument argument = ArgumentOf(request);
  Transfer transfer;
  transfer.request.request = static_cast<int32_t>(request);
  transfer.request.pid = pid;
  transfer.request.address = address;
  transfer.request.data = data;
  uint32_t& in_size = transfer.request.in_size;
  uint32_t& out_size = transfer.request.out_size;
  switch (argument.passing) {
    case Passing::kValues:
    case Passing::kUnknown:  // the server says what is wrong first: the tracee or the request
      break;
    case Passing::kOutWord: {
      const int peeked = Exchange(thread, &transfer);
      if (peeked != 0 || transfer.reply.error != 0) return ResultOf(peeked, transfer.reply);
      // Any value is a word.
      return CopyOut(Writable(data), &transfer.reply.result, argument.size);
    }
    case Passing::kOut:
      transfer.out = Writable(data);
      out_size = static_cast<uint32_t>(argument.size);
      break;
    case Passing::kIn:
      transfer.in = Readable(data);
      in_size = static_cast<uint32_t>(argument.size);
      break;
    case Passing::kOutVector:
    case Passing::kInVector:
      return Vector(thread, argument.passing == Passing::kInVector, transfer, data);
    case Passing::kOutSized:
      transfer.out = Writable(data);
      out_size = static_cast<uint32_t>(address < kMostSized ? address : kMostSized);
      break;
    case Passing::kInSized:
      // A size that is wrong is for the server to refuse.
      if (address <= kMostSized) {
        transfer.in = Readable(data);
        in_size = static_cast<uint32_t>(address);
      }
      break;
    case Passing::kInOutSized:
      transfer.in = Readable(data);
      transfer.out = Writable(data);
      in_size = out_size = static_cast<uint32_t>(address < kMostSized ? address : kMostSized);
      // The kernel takes what it knows of the structure.
      transfer.request.address = in_size;
      break;
    case Passing::kPeekSiginfo:
      return PeekSiginfo(thread, transfer, address, data);
    case Passing::kArchPrctl:
      if (!FillsAddress(data)) break;
      transfer.out = Writable(address);
      out_size = static_cast<uint32_t>(argument.size);
      break;
    case Passing::kOutFilter:
      transfer.out = Writable(data);
      if (data != 0) out_size = wire::kMaxPayload;
      break;
  }
  const int status = Exchange(thread, &transfer);
  return ResultOf(status, transfer.reply);
}

// Whether requests to the tracee are made at all; the kernel looks at that before it looks at memory.
bool IsStopped(Thread& thread, pid_t pid) {
  unsigned long message = 0;
  Transfer transfer;
  transfer.request.request = PTRACE_GETEVENTMSG;
  transfer.request.pid = pid;
  transfer.out = &message;
  transfer.request.out_size = sizeof(message);
  return ResultOf(Exchange(thread, &transfer), transfer.reply) == 0;
}

// What a stop's own description answers. False: it does not.
bool AnswerFromStop(const wire::StopDetail& detail, long request, uint64_t address, uint64_t data,
                    long* result) {
  switch (request) {
    case PTRACE_GETSIGINFO:
      *result = detail.has_siginfo != 0
                    ? CopyOut(Writable(data), &detail.siginfo, sizeof(detail.siginfo))
                    : -EINVAL;
      return true;
    case PTRACE_GETEVENTMSG: {
      const unsigned long message = detail.event_message;
      *result = CopyOut(Writable(data), &message, sizeof(message));
      return true;
    }
    case PTRACE_GET_SYSCALL_INFO: {
      if (detail.has_syscall_info == 0) return false;
      const size_t size = detail.syscall_info_size;
      *result = CopyOut(Writable(data), detail.syscall_info, address < size ? address : size);
      if (*result == 0) *result = static_cast<long>(size);
      return true;
    }
    default:
      return false;
  }
}

// The same of a tracee that may not be known to be stopped; without a system call but that of CopyOut.
bool AnswerAtOnce(Thread& thread, pid_t pid, long request, uint64_t address, uint64_t data,
                  long* result) {
  const uint64_t serial = thread.connection.last_serial();
  const wire::StopDetail* const known = KnownStop(thread, pid);
  if (known == nullptr) return false;
  const wire::StopDetail detail = *known;
  // A signal handler that changed it meanwhile has made a request.
  std::atomic_signal_fence(std::memory_order_seq_cst);
  if (thread.connection.last_serial() != serial) return false;
  return AnswerFromStop(detail, request, address, data, result);
}

// A tracee that is known to be stopped is let go without an answer: should it be dead by now, it died just
// after. One packet, which may come between the requests of a signal handler, if that runs here.
bool ResumeAtOnce(Thread& thread, pid_t pid, long request, uint64_t address, uint64_t data,
                  long* result) {
  if (!Resumes(request) || data >= _NSIG || thread.pending != 0) return false;
  if (!thread.connection.open() || thread.connection.IsInDoubt()) return false;
  if (KnownStop(thread, pid) == nullptr) return false;
  ForgetStop(thread, pid);
  wire::PtraceRequest resume;
  resume.header = {.op = wire::Op::kPtrace, .flags = wire::kNoReply};
  resume.header.serial = thread.connection.NextSerial();
  resume.request = static_cast<int32_t>(request);
  resume.pid = pid;
  resume.address = address;
  resume.data = data;
  const uint32_t losses = thread.connection.losses();
  *result = thread.connection.Send(&resume, sizeof(resume), nullptr, 0) == 0 ? 0 : -ESRCH;
  // Unless the program closed the connection: then there will be another one.
  return *result == 0 || thread.connection.losses() != losses;
}

}  // namespace

long Trace(long request, pid_t pid, uint64_t address, uint64_t data) {
  if (request == PTRACE_TRACEME) {
    if (WhoseMemory() == Memory::kBorrowed) NoteChild();
    return TraceMe();
  }
  Thread& thread = t_thread;
  if (!IsUnknownFork()) {
    long result = 0;
    if (AnswerAtOnce(thread, pid, request, address, data, &result)) return result;
    if (ResumeAtOnce(thread, pid, request, address, data, &result)) return result;
  }
  // A vfork child that traces somebody: its tracees would be gone with its memory.
  if (WhoseMemory() == Memory::kBorrowed) return -ESRCH;
  const SignalsBlocked blocked;
  if (const int status = Connected(thread); status != 0) {
    ComplainOfNone(status);
    return -ESRCH;
  }
  if (ChangesStop(request)) ForgetStop(thread, pid);
  if (Resumes(request) || request == PTRACE_DETACH) DropStops(thread, pid);
  long result = Ask(thread, request, pid, address, data);
  if (result == -EFAULT && !IsStopped(thread, pid)) result = -ESRCH;
  if (result == 0) {
    if (request == PTRACE_ATTACH || request == PTRACE_SEIZE) NoteAttached(pid);
    if (request == PTRACE_DETACH) NoteDetached(pid);
  }
  // It may be a child that is now no tracee any more, or one that is.
  if (request == PTRACE_DETACH || request == PTRACE_ATTACH || request == PTRACE_SEIZE) NoteChild();
  return result;
}

long ReadMemory(pid_t pid, uint64_t address, void* to, size_t size) {
  if (WhoseMemory() == Memory::kBorrowed) return -ESRCH;
  const SignalsBlocked blocked;
  Thread& thread = t_thread;
  if (!thread.connection.open() || Connected(thread) != 0) return -ENOTCONN;
  size_t done = 0;
  while (done < size) {
    wire::MemoryRequest request;
    request.header = {.op = wire::Op::kReadMem, .serial = thread.connection.NextSerial()};
    request.pid = pid;
    request.size =
        static_cast<uint32_t>(size - done < wire::kMaxPayload ? size - done : wire::kMaxPayload);
    request.address = address + done;
    int status = thread.connection.Send(&request, sizeof(request), nullptr, 0);
    wire::Reply reply;
    if (status == 0) {
      status = Receive(thread, request.header.serial, &reply, static_cast<char*>(to) + done,
                       request.size);
    }
    if (status == 0) status = -reply.error;
    if (status != 0) return done != 0 ? static_cast<long>(done) : status;
    done += reply.size;
    if (reply.size < request.size) break;
  }
  return static_cast<long>(done);
}

long WriteMemory(pid_t pid, uint64_t address, const void* from, size_t size) {
  if (WhoseMemory() == Memory::kBorrowed) return -ESRCH;
  const SignalsBlocked blocked;
  Thread& thread = t_thread;
  if (!thread.connection.open() || Connected(thread) != 0) return -ENOTCONN;
  size_t done = 0;
  while (done < size) {
    wire::MemoryRequest request;
    request.header = {.op = wire::Op::kWriteMem, .serial = thread.connection.NextSerial()};
    request.pid = pid;
    request.size =
        static_cast<uint32_t>(size - done < wire::kMaxPayload ? size - done : wire::kMaxPayload);
    request.address = address + done;
    int status = thread.connection.Send(&request, sizeof(request),
                                        static_cast<const char*>(from) + done, request.size);
    wire::Reply reply;
    if (status == 0) {
      status = Receive(thread, request.header.serial, &reply, nullptr, 0);
    }
    if (status == 0) status = -reply.error;
    if (status != 0) return done != 0 ? static_cast<long>(done) : status;
    if (reply.result > request.size) {
      thread.connection.Refuse();
      return done != 0 ? static_cast<long>(done) : -ENOTCONN;
    }
    if (reply.result <= 0) break;
    done += static_cast<size_t>(reply.result);
  }
  return static_cast<long>(done);
}

bool StopThread(pid_t tid) {
  if (WhoseMemory() == Memory::kBorrowed) return false;
  const SignalsBlocked blocked;
  Thread& thread = t_thread;
  // Who has asked for nothing yet traces nothing.
  if (!thread.connection.open() || Connected(thread) != 0) return false;
  wire::PlainRequest request;
  request.header = {.op = wire::Op::kStopThread, .serial = thread.connection.NextSerial()};
  request.pid = tid;
  wire::Reply reply;
  if (thread.connection.Send(&request, sizeof(request), nullptr, 0) != 0) return false;
  const int status = Receive(thread, request.header.serial, &reply, nullptr, 0);
  return status == 0 && reply.error == 0;
}

void NoteKill() {
  if (WhoseMemory() == Memory::kBorrowed) return;
  ForgetAllStops(t_thread);
  t_thread.quiet_since = 0;
}

}  // namespace utrace::ptrace_compat::client
