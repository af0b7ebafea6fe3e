#ifndef ENGINES_EXAMPLES_COUNT_CALLS_H_
#define ENGINES_EXAMPLES_COUNT_CALLS_H_

#include <atomic>
#include <map>
#include <mutex>

#include "core/engine.h"

// Counts the system calls of its tasks, and of all that they create, by number.
class CountCalls : public utrace::Engine {
 public:
  static constexpr utrace::Events kEvents = utrace::Events::kSyscallEntry | utrace::Events::kClone;

  utrace::SyscallResult OnSyscallEntry(utrace::SyscallEntry& call) override {
    const std::lock_guard lock(mutex_);
    if (!call.repeated()) ++counts_[call.number()];
    return utrace::Action::kResume;
  }

  utrace::Action OnClone(utrace::CloneReport& clone) override {
    if (!clone.Follow().ok()) ++not_followed_;
    return utrace::Action::kResume;
  }

  // For when the engine is attached nowhere any more.
  const std::map<long, long>& counts() const { return counts_; }
  int not_followed() const { return not_followed_; }

 private:
  std::mutex mutex_;  // several tasks may make calls at once
  std::map<long, long> counts_;
  std::atomic<int> not_followed_ = 0;
};

#endif  // ENGINES_EXAMPLES_COUNT_CALLS_H_
