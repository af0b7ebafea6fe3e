// What callbacks return: what the task shall do next, and what shall become of a signal or a call.
#ifndef CORE_ACTIONS_H_
#define CORE_ACTIONS_H_

#include <cstdint>

#include "core/utrace.h"

namespace utrace {

// What the task shall do next. The smallest value among all engines' wishes wins [API-02, REP-05];
// only kStop lasts beyond one resumption [REP-06].
enum class Action : uint32_t {
  kStop = UTRACE_STOP,
  kInterrupt = UTRACE_INTERRUPT,
  kReport = UTRACE_REPORT,
  kSingleStep = UTRACE_SINGLESTEP,
  kBlockStep = UTRACE_BLOCKSTEP,
  kResume = UTRACE_RESUME,
  kDetach = UTRACE_DETACH,
};

// The resume action held in a value of the C interface. 7 counts as kResume [BAD-03].
constexpr Action ToAction(uint32_t value) {
  const uint32_t action = value & UTRACE_RESUME_MASK;
  return action > UTRACE_DETACH ? Action::kResume : static_cast<Action>(action);
}

// What shall become of a system call [API-04].
enum class SyscallAction : uint32_t {
  kRun = UTRACE_SYSCALL_RUN,
  kAbort = UTRACE_SYSCALL_ABORT,
};

// The result of OnSyscallEntry. Write
//   return Action::kResume;                            // the call's fate stays as engines left it
//   return SyscallAction::kAbort;                      // it does not run, the task resumes
//   return SyscallResult::Abort().With(Action::kStop);
class SyscallResult {
 public:
  // Passes on what the engines called before decided about the call [SYS-04].
  // NOLINTNEXTLINE(google-explicit-constructor)
  constexpr SyscallResult(Action action) : bits_(kPassOn | static_cast<uint32_t>(action)) {}
  // Decides about the call; the task resumes. NOLINTNEXTLINE(google-explicit-constructor)
  constexpr SyscallResult(SyscallAction call)
      : bits_(static_cast<uint32_t>(call) | UTRACE_RESUME) {}

  static constexpr SyscallResult Run() { return SyscallAction::kRun; }
  static constexpr SyscallResult Abort() { return SyscallAction::kAbort; }
  // The same about the call, with another resume action.
  constexpr SyscallResult With(Action action) const {
    SyscallResult changed = *this;
    changed.bits_ = (bits_ & ~UTRACE_RESUME_MASK) | static_cast<uint32_t>(action);
    return changed;
  }

  // The value for the C interface; `so_far` is the action that the callback was given.
  constexpr uint32_t Encode(uint32_t so_far) const {
    const uint32_t call = (bits_ & kPassOn) != 0 ? so_far : bits_;
    return (call & UTRACE_SYSCALL_MASK) | (bits_ & UTRACE_RESUME_MASK);
  }

 private:
  static constexpr uint32_t kPassOn = 1U << 31;  // no bit of the C interface
  uint32_t bits_;
};

// What shall become of a signal [API-03].
enum class SignalAction : uint32_t {
  kDeliver = UTRACE_SIGNAL_DELIVER,
  kIgnore = UTRACE_SIGNAL_IGN,
  kTerminate = UTRACE_SIGNAL_TERM,
  kCore = UTRACE_SIGNAL_CORE,
  kStop = UTRACE_SIGNAL_STOP,
  kTstp = UTRACE_SIGNAL_TSTP,
  kReport = UTRACE_SIGNAL_REPORT,    // only as the action so far: no signal was dequeued
  kHandler = UTRACE_SIGNAL_HANDLER,  // only as the action so far: a handler was just set up
};

// The result of OnSignal. Write
//   return Action::kResume;                               // the signal's fate as engines left it
//   return SignalAction::kIgnore;                         // drop it, the task resumes
//   return SignalResult(SignalAction::kIgnore).Hold().With(Action::kStop);
class SignalResult {
 public:
  // Passes on what the engines called before decided about the signal, HOLD included [SIG-03].
  // NOLINTNEXTLINE(google-explicit-constructor)
  constexpr SignalResult(Action action) : bits_(kPassOn | static_cast<uint32_t>(action)) {}
  // Decides about the signal; the task resumes. NOLINTNEXTLINE(google-explicit-constructor)
  constexpr SignalResult(SignalAction signal)
      : bits_(static_cast<uint32_t>(signal) | UTRACE_RESUME) {}

  // The same with another resume action.
  constexpr SignalResult With(Action action) const {
    SignalResult changed = *this;
    changed.bits_ = (bits_ & ~UTRACE_RESUME_MASK) | static_cast<uint32_t>(action);
    return changed;
  }
  // The same, and the signal is put back to be seen again [SIG-07].
  constexpr SignalResult Hold() const {
    SignalResult changed = *this;
    changed.bits_ |= UTRACE_SIGNAL_HOLD;
    return changed;
  }

  // The value for the C interface; `so_far` is the action that the callback was given.
  constexpr uint32_t Encode(uint32_t so_far) const {
    const uint32_t own = bits_ & (UTRACE_SIGNAL_HOLD | UTRACE_RESUME_MASK);
    if ((bits_ & kPassOn) == 0) return own | (bits_ & UTRACE_SIGNAL_MASK);
    return own | (so_far & (UTRACE_SIGNAL_MASK | UTRACE_SIGNAL_HOLD));
  }

 private:
  static constexpr uint32_t kPassOn = 1U << 31;  // no bit of the C interface
  uint32_t bits_;
};

}  // namespace utrace

#endif  // CORE_ACTIONS_H_
