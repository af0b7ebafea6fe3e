// What a history tells of: the callbacks of an engine, and the calls of the API. The only table of
// their names and events; the conformance kit uses it too.
#ifndef CONFORMANCE_HISTORY_WHAT_H_
#define CONFORMANCE_HISTORY_WHAT_H_

#include <cstdint>
#include <string_view>

namespace utrace::history {

enum class What {
  // Callbacks, in the order of the ops table.
  kQuiesce,
  kSignal,
  kClone,
  kJctl,
  kExec,
  kSyscallEntry,
  kSyscallExit,
  kExit,
  kDeath,
  kReap,
  kRelease,
  // Calls.
  kAttach,  // with UTRACE_ATTACH_CREATE
  kLookup,  // without
  kGet,
  kPut,
  kSetEvents,
  kControl,
  kBarrier,
  kPrepare,
  kFinish,
};
inline constexpr int kWhats = 20;
// Callbacks come first.
inline constexpr int kCallbacks = 11;

constexpr bool IsCallback(What what) { return static_cast<int>(what) < kCallbacks; }

// "report_quiesce", "release", "set_events".
const char* WhatName(What what);
// The reverse; false if nothing has that name.
bool WhatOfName(std::string_view name, What* what);

// The events of which a callback tells: one bit, the five of a signal, zero for release and calls.
uint64_t EventsOf(What what);

}  // namespace utrace::history

#endif  // CONFORMANCE_HISTORY_WHAT_H_
