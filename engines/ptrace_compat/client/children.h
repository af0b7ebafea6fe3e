// Which children of this process are traced.
#ifndef ENGINES_PTRACE_COMPAT_CLIENT_CHILDREN_H_
#define ENGINES_PTRACE_COMPAT_CLIENT_CHILDREN_H_

#include <stdint.h>
#include <sys/types.h>

#include "engines/ptrace_compat/client/thread.h"
#include "engines/ptrace_compat/client/waiting.h"

namespace utrace::ptrace_compat::client {

// Sends a wait: zero, or a negative errno.
int SendWait(Thread& thread, const WaitCall& call, uint32_t flags, uint64_t serial);
// The same, and its reply, which comes at once: `call` has WNOHANG, or `flags` kRing. Zero, or a negative
// errno: -ENOTCONN, the server is gone.
int AskToWait(Thread& thread, const WaitCall& call, uint32_t flags, wire::WaitReply* reply);

// Whether all children of the process are tracees, so that only the server can tell of any. What is
// found out is kept until ChildrenGeneration() changes.
bool AllChildrenAreTraced(Thread& thread);
// A child that was not traced is gone.
void ForgetMixed(Thread& thread);

// The process that a pidfd stands for; zero if it is none, or of none.
pid_t PidOfDescriptor(int fd);

}  // namespace utrace::ptrace_compat::client

#endif  // ENGINES_PTRACE_COMPAT_CLIENT_CHILDREN_H_
