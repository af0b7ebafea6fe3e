// What /proc tells of the resources that a process used, for a wait that reports a stop.
#ifndef ENGINES_PTRACE_COMPAT_CLIENT_USAGE_H_
#define ENGINES_PTRACE_COMPAT_CLIENT_USAGE_H_

#include <sys/resource.h>
#include <sys/types.h>

namespace utrace::ptrace_compat::client {

// Its processor time (to the kernel's clock tick) and page faults, and those of its children that ended. Left
// alone if the process is gone. Async-signal-safe.
void UsageOf(pid_t pid, rusage* usage);

}  // namespace utrace::ptrace_compat::client

#endif  // ENGINES_PTRACE_COMPAT_CLIENT_USAGE_H_
