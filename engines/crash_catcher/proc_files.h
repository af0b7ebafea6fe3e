// What /proc tells about a process.
#ifndef ENGINES_CRASH_CATCHER_PROC_FILES_H_
#define ENGINES_CRASH_CATCHER_PROC_FILES_H_

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "engines/crash_catcher/snapshot.h"

namespace utrace::crash {

// The file's bytes; nullopt, and errno set, if it cannot be read.
std::optional<std::string> ReadProcFile(const std::string& path);
// What a symbolic link names; empty if it cannot be read.
std::string ReadProcLink(const std::string& path);

// The threads of a process. Empty if it is gone.
std::vector<pid_t> ThreadIds(pid_t pid);
// The name of a thread.
std::string ThreadName(pid_t pid, pid_t tid);
// "S (sleeping), in futex_wait": what a thread that does not stop is doing.
std::string ThreadActivity(pid_t pid, pid_t tid);

// Of the process of the live thread `tid`: a leader that ended before its threads has none. From smaps,
// or from maps where that cannot be read.
std::vector<Mapping> ReadMappings(pid_t tid, std::vector<std::string>* problems);

// Fills in what describes the process as a whole, whose snapshot->pid and live thread snapshot->tid are
// there; its environment only if `environment`. What cannot be read becomes a line in problems.
void DescribeProcess(bool environment, Snapshot* snapshot);

}  // namespace utrace::crash

#endif  // ENGINES_CRASH_CATCHER_PROC_FILES_H_
