// core/sync.h over the model's scheduler: every lock and every atomic operation is a point.
#ifndef CORE_MODEL_SYNC_H_
#define CORE_MODEL_SYNC_H_

#include <atomic>
#include <mutex>
#include <utility>

#include "core/model/scheduler.h"

namespace utrace {
namespace model {

// Not recursive. Outside fibers (static initialisation) it is a plain flag.
class ModelMutex {
 public:
  void lock() {
    if (InFiber()) {
      AwaitLock(held_, holder_);
      holder_ = CurrentFiber();
    }
    held_ = true;
  }
  bool try_lock() {
    if (InFiber()) Point();
    if (held_) return false;
    held_ = true;
    if (InFiber()) holder_ = CurrentFiber();
    return true;
  }
  void unlock() { held_ = false; }

 private:
  bool held_ = false;
  FiberId holder_ = kNobody;
};

// Sequentially consistent: what weaker orders allow beyond that is relacy's subject.
template <typename T>
class ModelAtomic {
 public:
  ModelAtomic() = default;
  constexpr ModelAtomic(T value) : value_(value) {}  // NOLINT: as std::atomic
  ModelAtomic(const ModelAtomic&) = delete;
  ModelAtomic& operator=(const ModelAtomic&) = delete;

  T load(std::memory_order = std::memory_order_seq_cst) const {
    Reach();
    return value_;
  }
  void store(T value, std::memory_order = std::memory_order_seq_cst) {
    Reach();
    value_ = value;
  }
  T exchange(T value, std::memory_order = std::memory_order_seq_cst) {
    return Change([&](T) { return value; });
  }
  T fetch_add(T value, std::memory_order = std::memory_order_seq_cst) {
    return Change([&](T before) { return before + value; });
  }
  T fetch_sub(T value, std::memory_order = std::memory_order_seq_cst) {
    return Change([&](T before) { return before - value; });
  }
  bool compare_exchange_strong(T& expected, T desired,
                               std::memory_order = std::memory_order_seq_cst,
                               std::memory_order = std::memory_order_seq_cst) {
    Reach();
    if (value_ == expected) {
      value_ = desired;
      return true;
    }
    expected = value_;
    return false;
  }
  bool compare_exchange_weak(T& expected, T desired,
                             std::memory_order success = std::memory_order_seq_cst,
                             std::memory_order failure = std::memory_order_seq_cst) {
    return compare_exchange_strong(expected, desired, success, failure);
  }
  operator T() const { return load(); }  // NOLINT: as std::atomic
  // Without a point: for conditions of Await.
  T Peek() const { return value_; }

 private:
  static void Reach() {
    if (InFiber()) Point();
  }
  template <typename Next>
  T Change(Next next) {
    Reach();
    const T before = value_;
    value_ = static_cast<T>(next(before));
    return before;
  }
  T value_{};
};

}  // namespace model

using Mutex = model::ModelMutex;
using MutexLock = std::unique_lock<Mutex>;
template <typename T>
using Atomic = model::ModelAtomic<T>;

template <typename Tag, typename T>
struct ThreadLocal {
  static T& Get() {
    static const char key = 0;
    return *static_cast<T*>(model::FiberLocal(
        &key, []() -> void* { return new T{}; },
        [](void* value) { delete static_cast<T*>(value); }));
  }
};

}  // namespace utrace

#endif  // CORE_MODEL_SYNC_H_
