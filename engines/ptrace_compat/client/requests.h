// ptrace requests, made by the server.
#ifndef ENGINES_PTRACE_COMPAT_CLIENT_REQUESTS_H_
#define ENGINES_PTRACE_COMPAT_CLIENT_REQUESTS_H_

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

namespace utrace::ptrace_compat::client {

// The system call ptrace(2): its result, or a negative errno. A word that is peeked goes to *data.
long Trace(long request, pid_t pid, uint64_t address, uint64_t data);

// The memory of a tracee of this thread. Bytes, possibly fewer than asked for, or a negative errno: -ESRCH
// it is none, or is not stopped; -ENOTCONN nobody is there to ask.
long ReadMemory(pid_t pid, uint64_t address, void* to, size_t size);
long WriteMemory(pid_t pid, uint64_t address, const void* from, size_t size);

// SIGSTOP is about to be sent to a thread. True: the server stops it for this program, if it is traced by others
// as well, and nothing must be sent.
bool StopThread(pid_t tid);

// Somebody is sent SIGKILL: what is known of tracees may not hold any more.
void NoteKill();

}  // namespace utrace::ptrace_compat::client

#endif  // ENGINES_PTRACE_COMPAT_CLIENT_REQUESTS_H_
