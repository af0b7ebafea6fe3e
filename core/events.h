// Events: a set of event kinds.
#ifndef CORE_EVENTS_H_
#define CORE_EVENTS_H_

#include <array>
#include <string>

#include "core/utrace.h"

namespace utrace {

// What an engine wants to be called for [API-01]. A plain value: `Events::kExec | Events::kExit`.
class Events {
 public:
  static const Events kNone;
  static const Events kQuiesce;
  static const Events kReap;
  static const Events kClone;
  static const Events kExec;
  static const Events kExit;
  static const Events kDeath;
  static const Events kSyscallEntry;
  static const Events kSyscallExit;
  static const Events kSignal;
  static const Events kSignalIgn;
  static const Events kSignalStop;
  static const Events kSignalTerm;
  static const Events kSignalCore;
  static const Events kJctl;
  static const Events kSyscall;    // entry and exit
  static const Events kSignalAll;  // the five signal kinds
  static const Events kAll;

  constexpr Events() = default;
  // From the C interface's mask; bits that are no event kind are dropped.
  constexpr explicit Events(unsigned long bits) : bits_(bits & UTRACE_EVENT_ALL) {}

  constexpr unsigned long bits() const { return bits_; }
  constexpr explicit operator unsigned long() const { return bits_; }
  constexpr bool empty() const { return bits_ == 0; }
  // Whether every kind of `other` is in this set.
  constexpr bool Contains(Events other) const { return (bits_ & other.bits_) == other.bits_; }

  friend constexpr Events operator|(Events a, Events b) { return Events(a.bits_ | b.bits_); }
  friend constexpr Events operator&(Events a, Events b) { return Events(a.bits_ & b.bits_); }
  // The kinds of `a` that are not in `b`.
  friend constexpr Events operator-(Events a, Events b) { return Events(a.bits_ & ~b.bits_); }
  constexpr Events& operator|=(Events other) { return *this = *this | other; }
  constexpr Events& operator&=(Events other) { return *this = *this & other; }
  constexpr Events& operator-=(Events other) { return *this = *this - other; }
  friend constexpr bool operator==(Events, Events) = default;

  // "EXEC|EXIT", in the order of the kinds; "none" if empty.
  std::string ToString() const {
    static constexpr std::array<const char*, UTRACE_EVENT_BITS> kNames = {
        "QUIESCE",     "REAP",          "CLONE",        "EXEC",   "EXIT",
        "DEATH",       "SYSCALL_ENTRY", "SYSCALL_EXIT", "SIGNAL", "SIGNAL_IGN",
        "SIGNAL_STOP", "SIGNAL_TERM",   "SIGNAL_CORE",  "JCTL"};
    std::string shown;
    for (unsigned kind = 0; kind < kNames.size(); ++kind) {
      if ((bits_ & (1UL << kind)) == 0) continue;
      if (!shown.empty()) shown += '|';
      shown += kNames[kind];
    }
    return shown.empty() ? "none" : shown;
  }

 private:
  unsigned long bits_ = 0;
};

inline constexpr Events Events::kNone;
inline constexpr Events Events::kQuiesce{UTRACE_EVENT(QUIESCE)};
inline constexpr Events Events::kReap{UTRACE_EVENT(REAP)};
inline constexpr Events Events::kClone{UTRACE_EVENT(CLONE)};
inline constexpr Events Events::kExec{UTRACE_EVENT(EXEC)};
inline constexpr Events Events::kExit{UTRACE_EVENT(EXIT)};
inline constexpr Events Events::kDeath{UTRACE_EVENT(DEATH)};
inline constexpr Events Events::kSyscallEntry{UTRACE_EVENT(SYSCALL_ENTRY)};
inline constexpr Events Events::kSyscallExit{UTRACE_EVENT(SYSCALL_EXIT)};
inline constexpr Events Events::kSignal{UTRACE_EVENT(SIGNAL)};
inline constexpr Events Events::kSignalIgn{UTRACE_EVENT(SIGNAL_IGN)};
inline constexpr Events Events::kSignalStop{UTRACE_EVENT(SIGNAL_STOP)};
inline constexpr Events Events::kSignalTerm{UTRACE_EVENT(SIGNAL_TERM)};
inline constexpr Events Events::kSignalCore{UTRACE_EVENT(SIGNAL_CORE)};
inline constexpr Events Events::kJctl{UTRACE_EVENT(JCTL)};
inline constexpr Events Events::kSyscall{UTRACE_EVENT_SYSCALL};
inline constexpr Events Events::kSignalAll{UTRACE_EVENT_SIGNAL_ALL};
inline constexpr Events Events::kAll{UTRACE_EVENT_ALL};

}  // namespace utrace

#endif  // CORE_EVENTS_H_
