// What the library keeps for the program as a whole.
#ifndef ENGINES_PTRACE_COMPAT_CLIENT_PROCESS_H_
#define ENGINES_PTRACE_COMPAT_CLIENT_PROCESS_H_

#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

namespace utrace::ptrace_compat::client {

// The signal by which the server wakes a thread that waits for children of both kinds.
int RingSignal();

// Who calls: memory that belongs to the calling process, or that of a parent that waits in vfork (or
// shares its memory otherwise), in which nothing may be changed.
enum class Memory : uint8_t { kOurs, kBorrowed };
// Notices a fork, after which all connections are forgotten. Async-signal-safe.
Memory WhoseMemory();
// Whether this is the child of a fork that WhoseMemory has not noticed yet. Makes no system call, and so takes the
// child of a vfork for its parent; such a child must neither trace nor wait.
bool IsUnknownFork();
// The process whose memory this is, as WhoseMemory last found it; zero: not known.
pid_t OwnerOfMemory();

// Another number whenever this process may have got a child that is not traced.
uint32_t ChildrenGeneration();
// It may have got one. Allowed with borrowed memory.
void NoteChild();

// The directory of the server's socket; null if this program is not wrapped.
const char* ServerDirectory();
// Milliseconds in which a server that owes an answer has to give it.
int Patience();
// Has the server allowed to trace the calling process, where Yama asks for that.
void AllowServer(pid_t server);

// The calling process is traced from now on, by PTRACE_TRACEME. Allowed with borrowed memory.
void NoteTraced();
// This program has attached to `pid`, or let go of it.
void NoteAttached(pid_t pid);
void NoteDetached(pid_t pid);
// What this process executes must not be wrapped, although the environment says so.
bool ExecutesUnwrapped();
// Whether the entry of an environment belongs to this library alone. One that it shares with others
// (LD_PRELOAD) is not; ShortenPreload takes this library out of it: `text` is one entry, changed where it
// stands.
bool IsWrapEntry(const char* entry);
bool IsPreloadEntry(const char* entry);
// False if nothing is left.
bool ShortenPreload(char* text);

// "utrace wrap: TEXT" on standard error.
void Complain(const char* text);

}  // namespace utrace::ptrace_compat::client

#endif  // ENGINES_PTRACE_COMPAT_CLIENT_PROCESS_H_
