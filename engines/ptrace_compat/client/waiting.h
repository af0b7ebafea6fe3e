// Waiting for children and tracees.
#ifndef ENGINES_PTRACE_COMPAT_CLIENT_WAITING_H_
#define ENGINES_PTRACE_COMPAT_CLIENT_WAITING_H_

#include <sys/resource.h>
#include <sys/types.h>

namespace utrace::ptrace_compat::client {

struct WaitCall {
  int id_type = 0;  // as waitid's
  id_t id = 0;
  int options = 0;
};

struct WaitResult {
  pid_t pid = 0;  // zero: nothing happened yet (WNOHANG)
  uid_t uid = 0;
  int status = 0;     // as wait4 gives it
  bool trap = false;  // a stop that a tracer sees
  rusage usage{};
};

// waitid, for children and what this program traces. Zero, or a negative errno.
long Wait(const WaitCall& call, bool wants_usage, WaitResult* result);

}  // namespace utrace::ptrace_compat::client

#endif  // ENGINES_PTRACE_COMPAT_CLIENT_WAITING_H_
