// Owner: on whose behalf engines are attached, for a process that serves several clients.
//
// Attachments belong to the owner under which they were made: that of the innermost OwnerScope of the
// calling thread, or, inside a callback, that of the engine being called; so what an engine attaches to
// the tasks that its tasks create belongs to the same owner, whichever way the engine was written.
#ifndef CORE_OWNER_H_
#define CORE_OWNER_H_

#include <cstdint>
#include <memory>

#include "core/sync.h"

namespace utrace {

class Owner : public std::enable_shared_from_this<Owner> {
 public:
  Owner() = default;
  virtual ~Owner() = default;
  Owner(const Owner&) = delete;
  Owner& operator=(const Owner&) = delete;

  // Where a task has a filter that names system calls (core/linux/call_filter.h), the engines of this
  // owner are content with the events of those. Before the first attachment.
  void WantNamedCallsOnly() { named_calls_only_ = true; }
  bool wants_named_calls_only() const { return named_calls_only_; }

  // Attachments that belong to it now.
  uint32_t attachments() const { return attachments_.load(std::memory_order_acquire); }

 protected:
  // The last attachment ended. Any thread, one that serves tasks among them: must not block, and must
  // not throw. By then another may have been made: attachments() tells.
  virtual void OnNoneLeft() = 0;

 private:
  friend struct EngineObject;
  void Add() { attachments_.fetch_add(1, std::memory_order_relaxed); }
  void Remove() {
    if (attachments_.fetch_sub(1, std::memory_order_acq_rel) == 1) OnNoneLeft();
  }

  Atomic<uint32_t> attachments_{0};
  bool named_calls_only_ = false;
};

// Attachments that the calling thread makes belong to `owner`, for as long as this lives. Borrows it.
class OwnerScope {
 public:
  explicit OwnerScope(Owner* owner);
  ~OwnerScope();
  OwnerScope(const OwnerScope&) = delete;
  OwnerScope& operator=(const OwnerScope&) = delete;

  // The owner that holds for the calling thread now; null if none. Usable in a signal handler of a
  // thread that had an owner before: it tells whose callback crashed.
  static Owner* Current();

 private:
  Owner* const previous_;
};

}  // namespace utrace

#endif  // CORE_OWNER_H_
