// A wait for tracees that another thread can interrupt without ever losing the ring.
//
// waitid has no variant that atomically unblocks a signal, so a ring that came between looking at a
// flag and entering the call would be lost. Here the look and the call are a few instructions of
// assembly, and the ring's signal handler moves a thread that it finds inside them out: either the
// call completed, or it reports the ring. Works with no polling and no further file descriptor.
#ifndef CORE_LINUX_BELL_H_
#define CORE_LINUX_BELL_H_

#include <sys/types.h>

#include <csignal>

#include "core/linux/bell_words.h"

namespace utrace::linux_host {

// Used by one waiting thread; rung by any.
class Bell {
 public:
  // The signal that rings; its process-wide handler belongs to this class. Directed at waiting
  // threads only, so that no other thread of the program ever sees it.
  static int Signal() { return SIGRTMAX - 7; }

  // Called once by the thread that waits. All its signals but the ring's should be blocked.
  void Bind();
  // Makes the current or next Wait return. Any thread.
  void Ring();
  // waitid; zero, or a negative errno; -EINTR if rung, and then the ring is consumed.
  int WaitId(int id_type, id_t id, siginfo_t* info, int options);
  // Waits for a ring alone, and consumes it.
  void WaitForRing();
  // The thread that Bind was called by.
  pid_t thread() const { return thread_; }

 private:
  BellWords words_;
  Atomic<bool> rings_alone_{false};  // the wait is WaitForRing
  pid_t process_ = 0;
  pid_t thread_ = 0;
};

}  // namespace utrace::linux_host

#endif  // CORE_LINUX_BELL_H_
