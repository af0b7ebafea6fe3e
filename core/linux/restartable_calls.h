// System calls that fail with EINTR after a tracing stop although no signal handler ran, because the
// kernel does not restart them (signal(7), "Interruption of system calls by stop signals").
#ifndef CORE_LINUX_RESTARTABLE_CALLS_H_
#define CORE_LINUX_RESTARTABLE_CALLS_H_

#include <cstdint>
#include <optional>

namespace utrace::linux_host {

// Whether the host makes the call again after it interrupted it: it has had no effect then.
bool MayBeMadeAgain(long number);
// The argument with the call's time limit in milliseconds, if it has one there.
std::optional<unsigned> TimeoutArgument(long number);
// CLOCK_MONOTONIC in nanoseconds.
int64_t MonotonicNow();

}  // namespace utrace::linux_host

#endif  // CORE_LINUX_RESTARTABLE_CALLS_H_
