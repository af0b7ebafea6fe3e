// Whether a task runs and what its stops are set up to report, as those who change masks see it.
//
// The lane sets a task up by its engines' masks whenever it lets it go; who adds an event meanwhile
// must tell the lane if the task got away without it, and shall not disturb it otherwise.
#ifndef CORE_LINUX_RUNNING_SETUP_H_
#define CORE_LINUX_RUNNING_SETUP_H_

#include <atomic>
#include <utility>

#include "core/sync.h"

namespace utrace::linux_host {

class RunningSetup {
 public:
  // ---- The lane. ----
  // The task is in the lane's hands, or not traced: no change of masks needs telling.
  void Stopped() { running_.store(false, std::memory_order_seq_cst); }
  // The task is about to be let go. Returns what `read_masks()` does, which it calls after it has
  // announced that: so who changes a mask too late to be read here sees that it has to tell.
  template <typename ReadMasks>
  decltype(auto) Announce(ReadMasks&& read_masks) {
    events_.store(0, std::memory_order_seq_cst);
    running_.store(true, std::memory_order_seq_cst);
    return std::forward<ReadMasks>(read_masks)();
  }
  // What the task reports from now on; event bits.
  void SetUp(unsigned long events) { events_.store(events, std::memory_order_seq_cst); }

  // ---- Any thread. ----
  bool Running() const { return running_.load(std::memory_order_seq_cst); }
  // Whether the setup serves no event of some kind in `events`.
  bool Lacks(unsigned long events) const {
    return (events & ~events_.load(std::memory_order_seq_cst)) != 0;
  }
  // For who changed a mask, after the lock that guards it was left: whether the lane must be told.
  bool MustBeTold(unsigned long events) const { return Running() && Lacks(events); }

 private:
  Atomic<unsigned long> events_{0};
  Atomic<bool> running_{false};
};

}  // namespace utrace::linux_host

#endif  // CORE_LINUX_RUNNING_SETUP_H_
