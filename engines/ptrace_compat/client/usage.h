// What /proc tells of the resources that a process used, for a wait that reports no end of a child.
#ifndef ENGINES_PTRACE_COMPAT_CLIENT_USAGE_H_
#define ENGINES_PTRACE_COMPAT_CLIENT_USAGE_H_

#include <sys/resource.h>
#include <sys/types.h>

namespace utrace::ptrace_compat::client {

// What wait4 tells of process `pid` as far as /proc knows it, in `usage`, which is zero before and stays so if
// the process is gone: processor time (to the kernel's clock tick), page faults and blocks read and written,
// with those of its children that ended; context switches of its threads that live; the most memory that its
// present program had. Async-signal-safe.
void UsageOf(pid_t pid, rusage* usage);

}  // namespace utrace::ptrace_compat::client

#endif  // ENGINES_PTRACE_COMPAT_CLIENT_USAGE_H_
