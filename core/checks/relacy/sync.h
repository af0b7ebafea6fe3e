// core/sync.h over relacy, which explores interleavings and what weak memory orders allow.
#ifndef CORE_CHECKS_RELACY_SYNC_H_
#define CORE_CHECKS_RELACY_SYNC_H_

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <relacy/relacy.hpp>
#include <string>
#include <vector>

// Relacy replaces these words; the core means the standard ones.
#undef memory_order_relaxed
#undef memory_order_consume
#undef memory_order_acquire
#undef memory_order_release
#undef memory_order_acq_rel
#undef memory_order_seq_cst
#undef new
#undef delete
#undef malloc
#undef calloc
#undef realloc
#undef free
#undef assert
#undef errno
#undef Sleep

namespace utrace {
namespace checks {

inline rl::memory_order OrderOf(std::memory_order order) {
  switch (order) {
    case std::memory_order_relaxed:
      return rl::mo_relaxed;
    case std::memory_order_consume:
      return rl::mo_consume;
    case std::memory_order_acquire:
      return rl::mo_acquire;
    case std::memory_order_release:
      return rl::mo_release;
    case std::memory_order_acq_rel:
      return rl::mo_acq_rel;
    default:
      return rl::mo_seq_cst;
  }
}

class RelacyMutex {
 public:
  void lock() { mutex_.lock(RL_INFO); }
  void unlock() { mutex_.unlock(RL_INFO); }

  rl::mutex& underlying() { return mutex_; }

 private:
  rl::mutex mutex_;
};

// As std::condition_variable; the core has none, checks do.
class RelacyCondition {
 public:
  void wait(std::unique_lock<RelacyMutex>& lock) {
    condition_.wait(lock.mutex()->underlying(), RL_INFO);
  }
  void notify_all() { condition_.notify_all(RL_INFO); }

 private:
  rl::condition_variable condition_;
};

template <typename T>
class RelacyAtomic {
 public:
  RelacyAtomic(T value) { value_.store(value, rl::mo_relaxed, RL_INFO); }  // NOLINT: as std::atomic
  T load(std::memory_order order) const { return value_.load(OrderOf(order), RL_INFO); }
  void store(T value, std::memory_order order) { value_.store(value, OrderOf(order), RL_INFO); }
  T fetch_add(T value, std::memory_order order) {
    return value_.fetch_add(value, OrderOf(order), RL_INFO);
  }
  T fetch_sub(T value, std::memory_order order) {
    return value_.fetch_sub(value, OrderOf(order), RL_INFO);
  }
  bool compare_exchange_weak(T& expected, T desired, std::memory_order order) {
    return value_.compare_exchange_weak(expected, desired, OrderOf(order), RL_INFO);
  }

 private:
  rl::atomic<T> value_;
};

}  // namespace checks

using Mutex = checks::RelacyMutex;
using MutexLock = std::unique_lock<Mutex>;
template <typename T>
using Atomic = checks::RelacyAtomic<T>;

template <typename Tag, typename T>
struct ThreadLocal {
  static T& Get() {
    static T values[8]{};
    return values[rl::thread_index()];
  }
};

}  // namespace utrace

#endif  // CORE_CHECKS_RELACY_SYNC_H_
