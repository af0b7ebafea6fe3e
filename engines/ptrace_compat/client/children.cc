#include "engines/ptrace_compat/client/children.h"

#include <errno.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "engines/ptrace_compat/client/native.h"
#include "engines/ptrace_compat/client/proc_text.h"
#include "engines/ptrace_compat/client/process.h"

namespace utrace::ptrace_compat::client {
namespace {

// Children that are asked for, one by one; of more it is assumed that some are not traced.
constexpr int kMostChildren = 32;

bool IsTraced(Thread& thread, pid_t pid) {
  const WaitCall call{.id_type = P_PID,
                      .id = static_cast<id_t>(pid),
                      .options = WEXITED | WSTOPPED | WCONTINUED | __WALL | WNOHANG | WNOWAIT};
  wire::WaitReply reply;
  return AskToWait(thread, call, 0, &reply) == 0 && reply.outcome != wire::WaitOutcome::kNoTracee;
}

// Of one thread of this process.
bool AllTracedOf(Thread& thread, const char* task, int* seen) {
  Text path;
  path.Add("/proc/self/task/").Add(task).Add("/children");
  char text[1024];
  const long length = Slurp(path.get(), text, sizeof(text));
  if (length < 0 || length == sizeof(text) - 1) return false;
  const char* at = text;
  for (long pid = ParseNumber(&at); pid > 0; pid = ParseNumber(&at)) {
    if (++*seen > kMostChildren || !IsTraced(thread, static_cast<pid_t>(pid))) return false;
  }
  return true;
}

bool LookAtChildren(Thread& thread) {
  Listing tasks("/proc/self/task");
  bool all = tasks.ok();
  int seen = 0;
  for (const char* task = tasks.Next(); all && task != nullptr; task = tasks.Next()) {
    all = AllTracedOf(thread, task, &seen);
  }
  return all;
}

}  // namespace

int SendWait(Thread& thread, const WaitCall& call, uint32_t flags, uint64_t serial) {
  wire::WaitRequest request;
  request.header = {.op = wire::Op::kWait, .flags = flags, .serial = serial};
  request.id_type = call.id_type;
  request.id = static_cast<int32_t>(call.id);
  if (call.id_type == P_PGID && call.id == 0) {
    request.id = static_cast<int32_t>(Raw(SYS_getpgid, 0));
  }
  request.options = static_cast<uint32_t>(call.options);
  if ((flags & wire::kRing) != 0) request.ring = RingSignal();
  return thread.connection.Send(&request, sizeof(request), nullptr, 0);
}

int AskToWait(Thread& thread, const WaitCall& call, uint32_t flags, wire::WaitReply* reply) {
  const uint64_t serial = thread.connection.NextSerial();
  int status = SendWait(thread, call, flags, serial);
  if (status != 0) return status;
  wire::Reply head;
  status = Receive(thread, serial, &head, reply, sizeof(*reply));
  if (status == 0) status = CheckWait(thread, head, *reply);
  return status != 0 ? status : -head.error;
}

bool AllChildrenAreTraced(Thread& thread) {
  const uint32_t generation = ChildrenGeneration() + 1;
  if (thread.only_tracees == generation) return true;
  if (thread.mixed == generation) return false;
  const bool all = LookAtChildren(thread);
  (all ? thread.only_tracees : thread.mixed) = generation;
  return all;
}

void ForgetMixed(Thread& thread) { thread.mixed = 0; }

pid_t PidOfDescriptor(int fd) {
  Text path;
  path.Add("/proc/self/fdinfo/").AddNumber(fd);
  char text[1024];
  if (Slurp(path.get(), text, sizeof(text)) < 0) return 0;
  const long pid = FieldOf(text, "Pid:");
  return pid > 0 ? static_cast<pid_t>(pid) : 0;
}

}  // namespace utrace::ptrace_compat::client
