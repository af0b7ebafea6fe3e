// What /proc tells about threads.
#ifndef CORE_LINUX_PROC_H_
#define CORE_LINUX_PROC_H_

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace utrace::linux_host {

// From /proc/TID/stat.
struct ProcStat {
  char state = '?';  // R S D T t Z X ...
  pid_t parent = 0;
  uint64_t start_time =
      0;                // clock ticks after boot: tells a thread from a later one of the same id
  uint64_t flags = 0;   // PF_*
  int exit_signal = 0;  // what the parent is sent
  int processor = 0;    // that it last ran on
  bool IsDead() const { return state == 'Z' || state == 'X' || state == 'x'; }
  bool IsKernelThread() const { return (flags & 0x00200000) != 0; }  // PF_KTHREAD
};
std::optional<ProcStat> ReadStat(pid_t tid);

// From /proc/TID/status; bit N-1 stands for signal N.
struct ProcStatus {
  pid_t tgid = 0;
  pid_t tracer = 0;             // the tracing thread
  uid_t user = 0;               // effective
  uint64_t pending = 0;         // of the thread
  uint64_t shared_pending = 0;  // of the process
  uint64_t blocked = 0;
  uint64_t ignored = 0;
  uint64_t caught = 0;
};
std::optional<ProcStatus> ReadStatus(pid_t tid);

// What a thread calls itself; empty if it is gone.
std::string NameOf(pid_t tid);
// The name of a process for messages: "NAME (pid N)".
std::string DescribeProcess(pid_t pid);
// The ids of a process's threads; empty if it is gone.
std::vector<pid_t> ThreadsOf(pid_t tgid);
// How long ago the thread last left the processor; nullopt if the kernel does not tell. Moves the
// calling thread to that processor for a moment: each has a clock of its own.
std::optional<int64_t> NanosecondsAsleep(pid_t tid);
// A small file as a whole; nullopt if it cannot be read.
std::optional<std::string> ReadSmallFile(const std::string& path);

}  // namespace utrace::linux_host

#endif  // CORE_LINUX_PROC_H_
