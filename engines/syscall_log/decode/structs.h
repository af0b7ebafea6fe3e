// Structures that calls of several kinds have.
#ifndef ENGINES_SYSCALL_LOG_DECODE_STRUCTS_H_
#define ENGINES_SYSCALL_LOG_DECODE_STRUCTS_H_

#include <signal.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>

#include "engines/syscall_log/decode/values.h"

namespace utrace::syscall_log {

void PutTimespec(Call& call, const timespec& time);
void PutTimeval(Call& call, const timeval& time);
// Seconds since 1970, in text with the date behind them.
void PutDate(Call& call, int64_t seconds);
// The same as a structure with nanoseconds.
void PutDatedTime(Call& call, int64_t seconds, int64_t nanoseconds);
void PutItimerspec(Call& call, const itimerspec& timer);
void PutItimerval(Call& call, const itimerval& timer);
void PutSigevent(Call& call, const sigevent& event);
void PutUsage(Call& call, const rusage& usage);
void PutLimits(Call& call, const rlimit& limits);

// `count` buffers; of their contents `bytes` in all, or none if `contents` is false.
void PutVector(Call& call, uint64_t address, uint64_t count, uint64_t bytes, bool contents);

// A vector whose length is argument kCount: contents as the program passes them, as the call left
// them, and of another process, without contents.
template <unsigned kCount>
void ShowVectorIn(Call& call, uint64_t address) {
  PutVector(call, address, call.args[kCount], UINT64_MAX, true);
}
template <unsigned kCount>
void ShowVectorOut(Call& call, uint64_t address) {
  PutVector(call, address, call.args[kCount], call.count(), call.succeeded());
}
template <unsigned kCount>
void ShowVectorAway(Call& call, uint64_t address) {
  PutVector(call, address, call.args[kCount], 0, false);
}
template <unsigned kCount>
constexpr Type VectorIn{ShowVectorIn<kCount>};
template <unsigned kCount>
constexpr Type VectorOut{.show = ShowVectorOut<kCount>, .when = When::kExit, .on_failure = true};
template <unsigned kCount>
constexpr Type VectorAway{ShowVectorAway<kCount>};

// A set of signals of the size that argument kSize says.
void PutSignalSetAt(Call& call, uint64_t address, uint64_t size);
template <unsigned kSize>
void ShowSignalSet(Call& call, uint64_t address) {
  PutSignalSetAt(call, address, call.args[kSize]);
}
template <unsigned kSize>
constexpr Type SignalSetIn{ShowSignalSet<kSize>};
template <unsigned kSize>
constexpr Type SignalSetOut{ShowSignalSet<kSize>, When::kExit};

constexpr Type TimespecIn = In<timespec, PutTimespec>;
constexpr Type TimespecOut = Out<timespec, PutTimespec>;
constexpr Type UsageOut = Out<rusage, PutUsage>;

}  // namespace utrace::syscall_log

#endif  // ENGINES_SYSCALL_LOG_DECODE_STRUCTS_H_
