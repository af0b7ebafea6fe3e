// The program's signal handlers, which run by way of this library: so SIGCHLD looks to them as if the kernel
// had sent it, and a wait knows that one ran.
#ifndef ENGINES_PTRACE_COMPAT_CLIENT_SIGNALS_H_
#define ENGINES_PTRACE_COMPAT_CLIENT_SIGNALS_H_

#include <signal.h>
#include <stdint.h>

#include "engines/ptrace_compat/client/native.h"
#include "engines/ptrace_compat/client/thread.h"

namespace utrace::ptrace_compat::client {

// sigaction(2). Zero, or -1 and errno.
int SetAction(int number, const struct sigaction* action, struct sigaction* old);
// A siginfo of SIGCHLD that the server made becomes what the kernel would have made.
void Repair(siginfo_t* info);
// A thread has set its mask so (SIG_BLOCK, SIG_SETMASK), or will while a handler runs.
void NoteMask(int how, Mask mask);
void NoteMask(int how, const sigset_t* set);
// The mask that the program began with.
void NoteInheritedMask();
// wire::SigchldFlags by the program's disposition and masks.
uint64_t SigchldFlags();
// The ring's handler is in place from now on, in this process.
void ExpectRing();

// ---- Regions: a call that blocks, and that the thread can be taken out of. ----

// How a region ended.
enum class Left : uint8_t {
  kReturned,  // the call returned
  kRung,      // the ring came
  kDisturbed  // a handler ran that made requests of its own, or had no SA_RESTART (Thread::interrupted)
};

// Calls `call(argument)` with the signal mask `during`; all signals are blocked before and after. A ring, if
// the mask lets it in, takes the thread out of the call; so does a signal handler that made requests or was
// set without SA_RESTART, once it has returned, also if it ran before the call was made. A result that the call came to at that very moment is lost then, so it must be one that
// can be had again. Cancellation of the thread takes effect in it.
Left InRegion(Thread& thread, Mask during, long (*call)(void* argument), void* argument,
              long* result);

}  // namespace utrace::ptrace_compat::client

#endif  // ENGINES_PTRACE_COMPAT_CLIENT_SIGNALS_H_
