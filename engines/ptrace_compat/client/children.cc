#include "engines/ptrace_compat/client/children.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "engines/ptrace_compat/client/native.h"
#include "engines/ptrace_compat/client/process.h"

namespace utrace::ptrace_compat::client {
namespace {

// Children that are asked for, one by one; of more it is assumed that some are not traced.
constexpr int kMostChildren = 32;

struct KernelEntry {
  uint64_t inode;
  int64_t offset;
  unsigned short size;
  unsigned char type;
  char name[1];
};

long Open(const char* path, int flags) {
  return Raw(SYS_openat, AT_FDCWD, reinterpret_cast<long>(path), flags | O_CLOEXEC, 0);
}

// The text of a small file; its length, or -1.
long Slurp(const char* path, char* text, size_t size) {
  const long fd = Open(path, O_RDONLY);
  if (fd < 0) return -1;
  size_t length = 0;
  while (length + 1 < size) {
    const long got = Raw(SYS_read, fd, reinterpret_cast<long>(text + length),
                         static_cast<long>(size - 1 - length));
    if (got <= 0) break;
    length += static_cast<size_t>(got);
  }
  Raw(SYS_close, fd);
  text[length] = '\0';
  return static_cast<long>(length);
}

long ParseNumber(const char** at) {
  while (**at == ' ' || **at == '\t' || **at == '\n') ++*at;
  if (**at < '0' || **at > '9') return -1;
  long number = 0;
  for (; **at >= '0' && **at <= '9'; ++*at) number = number * 10 + (**at - '0');
  return number;
}

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
  const long tasks = Open("/proc/self/task", O_RDONLY | O_DIRECTORY);
  if (tasks < 0) return false;
  bool all = true;
  int seen = 0;
  alignas(KernelEntry) char buffer[2048];
  long size = 0;
  while (all &&
         (size = Raw(SYS_getdents64, tasks, reinterpret_cast<long>(buffer), sizeof(buffer))) > 0) {
    for (long at = 0; all && at < size;) {
      const auto* const entry = reinterpret_cast<const KernelEntry*>(buffer + at);
      if (entry->name[0] != '.') all = AllTracedOf(thread, entry->name, &seen);
      at += entry->size;
    }
  }
  Raw(SYS_close, tasks);
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
  const char* at = strstr(text, "\nPid:");
  if (at == nullptr) return 0;
  at += strlen("\nPid:");
  const long pid = ParseNumber(&at);
  return pid > 0 ? static_cast<pid_t>(pid) : 0;
}

}  // namespace utrace::ptrace_compat::client
