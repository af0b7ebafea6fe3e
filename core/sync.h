// The one place that names the core's locks and atomics, so that the same source can be built against
// a checker of interleavings instead.
#ifndef CORE_SYNC_H_
#define CORE_SYNC_H_

#include <atomic>
#include <mutex>

namespace utrace {

using Mutex = std::mutex;
using MutexLock = std::unique_lock<std::mutex>;
template <typename T>
using Atomic = std::atomic<T>;

}  // namespace utrace

#endif  // CORE_SYNC_H_
