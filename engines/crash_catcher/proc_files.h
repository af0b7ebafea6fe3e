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

// From smaps, or from maps where that cannot be read.
std::vector<Mapping> ReadMappings(pid_t pid, std::vector<std::string>* problems);

// Fills in what describes the process as a whole, its environment only if `environment`. What cannot be
// read becomes a line in snapshot.problems.
void DescribeProcess(pid_t pid, bool environment, Snapshot* snapshot);

}  // namespace utrace::crash

#endif  // ENGINES_CRASH_CATCHER_PROC_FILES_H_
