// The one place that names the core's locks, atomics and per-thread values, so that the same source
// can be built against something else: the model's scheduler (core/model/sync.h), which decides
// every step, or a checker of interleavings.
//
// Who substitutes them defines UTRACE_SYNC_HEADER, the header that defines these names instead:
//
//   Mutex, MutexLock     as std::mutex, std::unique_lock<std::mutex>
//   Atomic<T>            as std::atomic<T>
//   ThreadLocal<Tag, T>  Get() is the calling thread of control's own T, made on first use
#ifndef CORE_SYNC_H_
#define CORE_SYNC_H_

#ifdef UTRACE_SYNC_HEADER
#include UTRACE_SYNC_HEADER
#else

#include <atomic>
#include <mutex>

namespace utrace {

using Mutex = std::mutex;
using MutexLock = std::unique_lock<std::mutex>;
template <typename T>
using Atomic = std::atomic<T>;

template <typename Tag, typename T>
struct ThreadLocal {
  static T& Get() {
    thread_local T value{};
    return value;
  }
};

}  // namespace utrace

#endif  // UTRACE_SYNC_HEADER
#endif  // CORE_SYNC_H_
