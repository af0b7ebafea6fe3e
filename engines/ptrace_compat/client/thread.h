// What the library keeps for each thread of the program.
#ifndef ENGINES_PTRACE_COMPAT_CLIENT_THREAD_H_
#define ENGINES_PTRACE_COMPAT_CLIENT_THREAD_H_

#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/types.h>

#include "engines/ptrace_compat/client/connection.h"
#include "engines/ptrace_compat/wire.h"

namespace utrace::ptrace_compat::client {

// Tracees that this thread knows to be stopped, and in what.
class Stops;

// The reply to a wait, as it comes.
struct WaitAnswer {
  wire::Reply reply;
  wire::WaitReply wait;
};

// Events that came and were not waited for yet, oldest first. Memory of the kernel's, as many as there are.
class Events {
 public:
  // False if there is no memory.
  bool Add(const wire::WaitReply& event);
  size_t size() const { return size_; }
  const wire::WaitReply& operator[](size_t n) const { return events_[n]; }
  void Remove(size_t n);
  void Clear() { size_ = 0; }
  void Free();

 private:
  wire::WaitReply* events_ = nullptr;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

// Plain static memory, reached without a call, so that signal handlers may use it. Only the thread itself
// does, and everything but `armed` and what handlers read is used with its signals blocked.
struct Thread {
  Connection connection;
  bool registered = false;  // its end will be noticed
  Stops* stops = nullptr;

  // A wait that was sent and not yet answered; zero: none. `answer` is where the reply goes.
  uint64_t pending = 0;
  WaitAnswer answer;
  // A wait that the server answers again and again (wire::kStanding), and its options; zero: none. Its
  // answers come between replies, or to `answer`.
  uint64_t standing = 0;
  int standing_options = 0;
  // Waits on the connection alone, one after the other.
  int in_a_row = 0;
  // Answers to a standing wait, and to waits that were left by a signal handler.
  Events events;

  // It is in a region that `leave` is the way out of (regions.h).
  volatile sig_atomic_t armed = 0;
  sigjmp_buf* leave = nullptr;
  // A handler without SA_RESTART ran.
  volatile sig_atomic_t interrupted = 0;

  // The last request at the end of which no tracee could have anything to tell; zero: none.
  uint64_t quiet_since = 0;
  // ChildrenGeneration() for which it is known that all children of the process are tracees; zero: none.
  uint32_t only_tracees = 0;
  // The same for which it is known that some are not.
  uint32_t mixed = 0;
  // No server was found when it was last looked for.
  bool in_vain = false;
};

extern constinit thread_local Thread t_thread __attribute__((visibility("hidden")));

// The calling thread's connection, opened if need be. Zero, or a negative errno. Signals are blocked, the
// memory is ours. Settles what a signal handler interrupted.
int Connected(Thread& thread);
// A wait that is pending is cancelled, and its answer kept if it tells of anything.
int Settle(Thread& thread);
// The reply to a request of this thread, with what a standing wait was answered before it: as
// Connection::Receive.
int Receive(Thread& thread, uint64_t serial, wire::Reply* reply, void* body, size_t body_size);
// Whether an answer to a wait makes sense: zero, or -ENOTCONN as Connection::Refuse.
int CheckWait(Thread& thread, const wire::Reply& reply, const wire::WaitReply& wait);
// Takes the answer to the standing wait that was received while the thread waited, if there is one.
int TakeReceived(Thread& thread);
// The same, and what else is there already.
int TakePushed(Thread& thread);
// Ends the standing wait. Zero, or a negative errno.
int EndStanding(Thread& thread);
// The tracee was resumed without its stop having been waited for: that is forgotten.
void DropStops(Thread& thread, pid_t pid);
// What SIGCHLD is worth to the program has changed: the server knows it when this returns, if the calling thread
// has a connection; else soon.
void ChangeSigchldFlags();
// After a fork.
void ForgetThread();

// ---- Tracees known to be stopped. The thread's own. ----

void KnowStop(Thread& thread, pid_t pid, const wire::StopDetail& detail);
// Null: not known to be stopped.
wire::StopDetail* KnownStop(Thread& thread, pid_t pid);
void ForgetStop(Thread& thread, pid_t pid);
void ForgetAllStops(Thread& thread);

}  // namespace utrace::ptrace_compat::client

#endif  // ENGINES_PTRACE_COMPAT_CLIENT_THREAD_H_
