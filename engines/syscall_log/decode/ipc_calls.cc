// System V shared memory, semaphores and messages, and POSIX message queues.
#include <linux/mqueue.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

#include "engines/syscall_log/decode/groups.h"
#include "engines/syscall_log/decode/structs.h"
#include "engines/syscall_log/decode/tables.h"

namespace utrace::syscall_log {
namespace {

using Args = std::array<uint64_t, 6>;

void ShowKey(Call& call, uint64_t value) {
  const auto key = static_cast<uint32_t>(value);
  if (key == 0) return call.out.Name(kIpcPrivate.Find(0));
  call.out.Hex(key);
}
constexpr Type Key{ShowKey};

// Flags of a "get" call: some names, and permissions.
template <const Names& kNames>
void ShowGetFlags(Call& call, uint64_t value) {
  const auto flags = static_cast<uint32_t>(value);
  call.out.BeginFlags();
  const uint64_t rest = PutFlagNames(call.out, kNames, flags & ~0777U);
  if (rest != 0) call.out.Hex(rest);
  call.out.Octal(flags & 0777);
  call.out.EndFlags();
}

void PutPermissions(Call& call, const ipc_perm& permissions) {
  Renderer& out = call.out;
  out.BeginStruct();
  PutUnsignedField(out, "uid", permissions.uid);
  PutUnsignedField(out, "gid", permissions.gid);
  out.Field("mode");
  out.Octal(permissions.mode);
  PutUnsignedField(out, "key", static_cast<uint32_t>(permissions.__key));
  PutUnsignedField(out, "cuid", permissions.cuid);
  PutUnsignedField(out, "cgid", permissions.cgid);
  out.EndStruct();
}

void PutShm(Call& call, const shmid_ds& segment) {
  Renderer& out = call.out;
  out.BeginStruct();
  out.Field("shm_perm");
  PutPermissions(call, segment.shm_perm);
  PutUnsignedField(out, "shm_segsz", segment.shm_segsz);
  PutSignedField(out, "shm_cpid", segment.shm_cpid);
  PutSignedField(out, "shm_lpid", segment.shm_lpid);
  PutUnsignedField(out, "shm_nattch", segment.shm_nattch);
  PutSignedField(out, "shm_atime", segment.shm_atime);
  PutSignedField(out, "shm_dtime", segment.shm_dtime);
  PutSignedField(out, "shm_ctime", segment.shm_ctime);
  out.EndStruct();
}

void PutQueue(Call& call, const msqid_ds& queue) {
  Renderer& out = call.out;
  out.BeginStruct();
  out.Field("msg_perm");
  PutPermissions(call, queue.msg_perm);
  PutSignedField(out, "msg_stime", queue.msg_stime);
  PutSignedField(out, "msg_rtime", queue.msg_rtime);
  PutSignedField(out, "msg_ctime", queue.msg_ctime);
  PutUnsignedField(out, "msg_qnum", queue.msg_qnum);
  PutUnsignedField(out, "msg_qbytes", queue.msg_qbytes);
  PutSignedField(out, "msg_lspid", queue.msg_lspid);
  PutSignedField(out, "msg_lrpid", queue.msg_lrpid);
  out.EndStruct();
}

void PutSemaphores(Call& call, const semid_ds& set) {
  call.out.BeginStruct();
  call.out.Field("sem_perm");
  PutPermissions(call, set.sem_perm);
  PutSignedField(call.out, "sem_otime", set.sem_otime);
  PutSignedField(call.out, "sem_ctime", set.sem_ctime);
  PutUnsignedField(call.out, "sem_nsems", set.sem_nsems);
  call.out.EndStruct();
}

// A structure that IPC_STAT fills in and IPC_SET passes; other commands have none.
template <unsigned kCommand, class T, void (*kShow)(Call&, const T&)>
void ShowControl(Call& call, uint64_t address) {
  const int command = static_cast<int>(call.args[kCommand]);
  const bool there = command == IPC_SET || (command == IPC_STAT && call.exit && call.succeeded());
  if (!there) return call.out.Address(address);
  AtAddress<T, kShow>(call, address);
}
template <unsigned kCommand, class T, void (*kShow)(Call&, const T&)>
constexpr Type Control{ShowControl<kCommand, T, kShow>, When::kBoth};

void ShowSemctlArgument(Call& call, uint64_t value) {
  switch (static_cast<int>(call.args[2])) {
    case SETVAL:
      return ShowInt(call, value);
    case IPC_SET:
    case IPC_STAT:
      return ShowControl<2, semid_ds, PutSemaphores>(call, value);
    default:
      return call.out.Address(value);
  }
}
bool SemctlHasArgument(const Args& args) {
  switch (static_cast<int>(args[2])) {
    case IPC_RMID:
    case GETVAL:
    case GETPID:
    case GETNCNT:
    case GETZCNT:
      return false;
    default:
      return true;
  }
}

void ShowSemops(Call& call, uint64_t address) {
  PutArray<sembuf>(call, address, call.args[2], [](Call& c, const sembuf& operation) {
    c.out.BeginStruct();
    PutUnsignedField(c.out, "sem_num", operation.sem_num);
    PutSignedField(c.out, "sem_op", operation.sem_op);
    PutFlagsField(c.out, "sem_flg", kSemFlags, static_cast<uint16_t>(operation.sem_flg));
    c.out.EndStruct();
  });
}

// A message: its type and then its text of `size` bytes.
void PutMessageBuffer(Call& call, uint64_t address, uint64_t size) {
  int64_t type;
  if (address == 0 || !call.Read(address, &type)) return call.out.Address(address);
  call.out.BeginStruct();
  PutSignedField(call.out, "mtype", type);
  call.out.Field("mtext");
  PutBytes(call, address + sizeof(type), size);
  call.out.EndStruct();
}
void ShowMessageSent(Call& call, uint64_t address) {
  PutMessageBuffer(call, address, call.args[2]);
}
void ShowMessageReceived(Call& call, uint64_t address) {
  PutMessageBuffer(call, address, call.count());
}

void PutQueueAttributes(Call& call, const mq_attr& attributes) {
  call.out.BeginStruct();
  PutFlagsField(call.out, "mq_flags", kPipeFlags, static_cast<uint64_t>(attributes.mq_flags));
  PutSignedField(call.out, "mq_maxmsg", attributes.mq_maxmsg);
  PutSignedField(call.out, "mq_msgsize", attributes.mq_msgsize);
  PutSignedField(call.out, "mq_curmsgs", attributes.mq_curmsgs);
  call.out.EndStruct();
}
constexpr Type QueueAttributesIn = In<mq_attr, PutQueueAttributes>;
constexpr Type QueueAttributesOut = Out<mq_attr, PutQueueAttributes>;

void ShowQueueFlags(Call& call, uint64_t value) {
  constexpr uint64_t kAccess = 3;
  PutNameAndFlags(call.out, kOpenAccess, kAccess, kOpenFlags, static_cast<uint32_t>(value));
}
constexpr uint64_t kCreate = 0100;
bool QueueIsMade(const Args& args) { return (args[1] & kCreate) != 0; }

constexpr CallInfo kCalls[] = {
    {"shmget",
     Returns::kDecimal,
     {{{"key", Key}, {"size", Size}, {"shmflg", {ShowGetFlags<kShmGetFlags>}}}}},
    {"shmat",
     Returns::kAddress,
     {{{"shmid", Int}, {"shmaddr", Pointer}, {"shmflg", Flags<kShmAtFlags>}}},
     nullptr,
     kClassMemory},
    {"shmdt", Returns::kDecimal, {{{"shmaddr", Pointer}}}, nullptr, kClassMemory},
    {"shmctl",
     Returns::kDecimal,
     {{{"shmid", Int}, {"cmd", Named<kShmCommand>}, {"buf", Control<1, shmid_ds, PutShm>}}}},
    {"semget",
     Returns::kDecimal,
     {{{"key", Key}, {"nsems", Int}, {"semflg", {ShowGetFlags<kIpcFlags>}}}}},
    {"semop", Returns::kDecimal, {{{"semid", Int}, {"sops", {ShowSemops}}, {"nsops", Size}}}},
    {"semtimedop",
     Returns::kDecimal,
     {{{"semid", Int}, {"sops", {ShowSemops}}, {"nsops", Size}, {"timeout", TimespecIn}}}},
    {"semctl",
     Returns::kDecimal,
     {{{"semid", Int},
       {"semnum", Int},
       {"cmd", Named<kSemCommand>},
       {"arg", {.show = ShowSemctlArgument, .when = When::kBoth, .present = SemctlHasArgument}}}}},
    {"msgget", Returns::kDecimal, {{{"key", Key}, {"msgflg", {ShowGetFlags<kIpcFlags>}}}}},
    {"msgsnd",
     Returns::kDecimal,
     {{{"msqid", Int},
       {"msgp", {ShowMessageSent}},
       {"msgsz", Size},
       {"msgflg", Flags<kMsgFlags>}}}},
    {"msgrcv",
     Returns::kDecimal,
     {{{"msqid", Int},
       {"msgp", {ShowMessageReceived, When::kExit}},
       {"msgsz", Size},
       {"msgtyp", Long},
       {"msgflg", Flags<kMsgFlags>}}}},
    {"msgctl",
     Returns::kDecimal,
     {{{"msqid", Int}, {"cmd", Named<kMsgCommand>}, {"buf", Control<1, msqid_ds, PutQueue>}}}},
    {"mq_open",
     Returns::kDescriptor,
     {{{"name", String},
       {"oflag", {ShowQueueFlags}},
       {"mode", {.show = ShowOctal, .present = QueueIsMade}},
       {"attr", {.show = QueueAttributesIn.show, .present = QueueIsMade}}}}},
    {"mq_unlink", Returns::kDecimal, {{{"name", String}}}},
    {"mq_timedsend",
     Returns::kDecimal,
     {{{"mqdes", Fd},
       {"msg", BytesIn<2>},
       {"len", Size},
       {"prio", UInt},
       {"timeout", TimespecIn}}}},
    {"mq_timedreceive",
     Returns::kDecimal,
     {{{"mqdes", Fd},
       {"msg", ResultBytes},
       {"len", Size},
       {"prio", UIntOut},
       {"timeout", TimespecIn}}}},
    {"mq_notify", Returns::kDecimal, {{{"mqdes", Fd}, {"sevp", In<sigevent, PutSigevent>}}}},
    {"mq_getsetattr",
     Returns::kDecimal,
     {{{"mqdes", Fd}, {"newattr", QueueAttributesIn}, {"oldattr", QueueAttributesOut}}}},
};

}  // namespace

std::span<const CallInfo> IpcCalls() { return kCalls; }

}  // namespace utrace::syscall_log
