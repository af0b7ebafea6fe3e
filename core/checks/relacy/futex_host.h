// A host whose waits are those of a futex: the look at the word and the falling asleep are one step,
// with respect to a waker.
#ifndef CORE_CHECKS_RELACY_FUTEX_HOST_H_
#define CORE_CHECKS_RELACY_FUTEX_HOST_H_

#include "core/host.h"

namespace utrace::checks {

class FutexHost final : public Host {
 public:
  Task* FindTask(pid_t, int* status, std::string*) override {
    *status = -ESRCH;
    return nullptr;
  }
  bool HasSingleStep() override { return true; }
  bool HasBlockStep() override { return true; }
  const char* DeclaredLimits() override { return ""; }
  WaitResult WaitOn(Atomic<uint32_t>& word, uint32_t expected) override {
    MutexLock lock(queue_);
    if (word.load(std::memory_order_seq_cst) == expected) woken_.wait(lock);
    return WaitResult::kWoken;
  }
  void WakeAll(Atomic<uint32_t>&) override {
    const MutexLock lock(queue_);
    woken_.notify_all();
  }

 private:
  Mutex queue_;
  RelacyCondition woken_;
};

}  // namespace utrace::checks

#endif  // CORE_CHECKS_RELACY_FUTEX_HOST_H_
