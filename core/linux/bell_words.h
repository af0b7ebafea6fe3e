// What a bell remembers, and the order in which the two sides look at it: no ring is lost, and nobody
// makes a system call for a thread that does not wait.
//
// How a thread waits and how it is woken is the caller's (bell.cc), so that the same words can be
// explored without a kernel (core/checks/relacy).
#ifndef CORE_LINUX_BELL_WORDS_H_
#define CORE_LINUX_BELL_WORDS_H_

#include <atomic>
#include <cerrno>
#include <cstdint>

#include "core/sync.h"

namespace utrace::linux_host {

// One thread waits; any thread rings. What a ringer did before it rang is not published by the ring
// itself: the two share it under a lock.
class BellWords {
 public:
  // Any thread. Calls `wake(rung)` if the waiting thread may be in its wait.
  template <typename Wake>
  void Ring(Wake&& wake) {
    rung_.store(1, std::memory_order_seq_cst);
    // Either this sees the waiter, or the waiter's look at rung_ sees the ring.
    if (waiting_.load(std::memory_order_seq_cst)) wake(rung_);
  }

  // The waiting thread. `wait(rung)` returns -EINTR, with nothing else done, if `rung` is nonzero or
  // `wake` was called; the ring is consumed then, and stays otherwise.
  template <typename Wait>
  long WaitUnlessRung(Wait&& wait) {
    waiting_.store(true, std::memory_order_seq_cst);
    const long result = wait(rung_);
    waiting_.store(false, std::memory_order_seq_cst);
    if (result == -EINTR) rung_.store(0, std::memory_order_seq_cst);
    return result;
  }

  // The waiting thread. Consumes a ring; until there is one, calls `sleep(rung)`, which waits while
  // `rung` is zero and may return early.
  template <typename Sleep>
  void WaitForRing(Sleep&& sleep) {
    WaitUnlessRung([&](const Atomic<uint32_t>& rung) -> long {
      while (rung.load(std::memory_order_seq_cst) == 0) sleep(rung);
      return -EINTR;
    });
  }

 private:
  Atomic<uint32_t> rung_{0};
  Atomic<bool> waiting_{false};
};

}  // namespace utrace::linux_host

#endif  // CORE_LINUX_BELL_WORDS_H_
