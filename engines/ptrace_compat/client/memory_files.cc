#include "engines/ptrace_compat/client/memory_files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>

#include "engines/ptrace_compat/client/connection.h"
#include "engines/ptrace_compat/client/native.h"
#include "engines/ptrace_compat/client/process.h"
#include "engines/ptrace_compat/client/requests.h"

namespace utrace::ptrace_compat::client {
namespace {

constexpr int kMostDescriptors = 1 << 16;

// By descriptor. Pages that nobody writes to take no memory.
std::atomic<pid_t> g_pids[kMostDescriptors];
// To know it again: programs close descriptors in ways that are not seen here.
std::atomic<uint64_t> g_inodes[kMostDescriptors];

bool InRange(int fd) { return fd >= 0 && fd < kMostDescriptors; }

uint64_t InodeOf(int fd) {
  struct stat stat {};
  if (Raw(SYS_fstat, fd, reinterpret_cast<long>(&stat)) != 0) return 0;
  return stat.st_ino ^ (static_cast<uint64_t>(stat.st_dev) << 40);
}

pid_t TakeNumber(const char** at) {
  long number = 0;
  const char* const begin = *at;
  while (**at >= '0' && **at <= '9' && number < 1L << 30) number = number * 10 + *(*at)++ - '0';
  return *at != begin ? static_cast<pid_t>(number) : 0;
}

// Of /proc/PID/mem and /proc/PID/task/TID/mem: the thread. Zero: another name.
pid_t Parse(const char* path) {
  if (path == nullptr || strncmp(path, "/proc/", 6) != 0) return 0;
  path += 6;
  pid_t pid = TakeNumber(&path);
  if (pid == 0) return 0;
  if (strncmp(path, "/task/", 6) == 0) {
    path += 6;
    pid = TakeNumber(&path);
  }
  return strcmp(path, "/mem") == 0 ? pid : 0;
}

bool IsStillIt(int fd) {
  if (InodeOf(fd) == g_inodes[fd]) return true;
  g_pids[fd] = 0;
  return false;
}

}  // namespace

int NoteOpened(int fd, const char* path) {
  if (!InRange(fd)) return fd;
  const pid_t pid = HasConnections() ? Parse(path) : 0;
  if (pid == 0 && g_pids[fd].load(std::memory_order_relaxed) == 0) return fd;
  if (WhoseMemory() == Memory::kBorrowed) return fd;
  g_inodes[fd] = InodeOf(fd);
  g_pids[fd] = pid;
  return fd;
}

void NoteClosed(int fd) {
  if (MemoryFileOf(fd) != 0 && WhoseMemory() == Memory::kOurs) g_pids[fd] = 0;
}

int NoteDuplicate(int fd, int of) {
  const pid_t pid = MemoryFileOf(of);
  if (!InRange(fd) || (pid == 0 && MemoryFileOf(fd) == 0) || WhoseMemory() == Memory::kBorrowed) {
    return fd;
  }
  g_inodes[fd] = InodeOf(fd);
  g_pids[fd] = pid;
  return fd;
}

pid_t MemoryFileOf(int fd) { return InRange(fd) ? g_pids[fd].load(std::memory_order_relaxed) : 0; }

bool ReadFile(int fd, pid_t pid, void* to, size_t size, off64_t offset, long* result) {
  if (!IsStillIt(fd) || (Raw(SYS_fcntl, fd, F_GETFL) & O_ACCMODE) == O_WRONLY) return false;
  *result = ReadMemory(pid, static_cast<uint64_t>(offset), to, size);
  return *result != -ESRCH && *result != -ENOTCONN;
}

bool WriteFile(int fd, pid_t pid, const void* from, size_t size, off64_t offset, long* result) {
  if (!IsStillIt(fd) || (Raw(SYS_fcntl, fd, F_GETFL) & O_ACCMODE) == O_RDONLY) return false;
  *result = WriteMemory(pid, static_cast<uint64_t>(offset), from, size);
  return *result != -ESRCH && *result != -ENOTCONN;
}

}  // namespace utrace::ptrace_compat::client
