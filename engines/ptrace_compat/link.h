// What one tracer has on one tracee, and the stop that it is in.
#ifndef ENGINES_PTRACE_COMPAT_LINK_H_
#define ENGINES_PTRACE_COMPAT_LINK_H_

#include <signal.h>
#include <sys/types.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <deque>
#include <memory>

namespace utrace::ptrace_compat {

class Tracee;
struct Tracer;

// The options as the kernel's headers name them; those that glibc lacks.
inline constexpr uint32_t kOptionSuspendSeccomp = 1U << 21;
inline constexpr uint32_t kAllOptions = 0xff | 1U << 20 | kOptionSuspendSeccomp;
inline constexpr int kEventStop = 128;  // PTRACE_EVENT_STOP

// The code of the stop of a system call under PTRACE_O_TRACESYSGOOD.
inline constexpr int kGoodSyscallCode = SIGTRAP | 0x80;

// The code of a wait status: a signal, and behind it an event.
constexpr int EventCode(int event, int signal = SIGTRAP) { return signal | event << 8; }

// This process's user, who never changes: asked for once.
inline uid_t OwnUid() {
  static const uid_t uid = getuid();
  return uid;
}

struct Stop {
  enum class Kind : uint8_t {
    kSignal,   // signal-delivery-stop: what it is resumed with is delivered
    kSyscall,  // what it is resumed with is sent
    kOther,    // what it is resumed with is dropped
  };

  Kind kind = Kind::kOther;
  // This link's alone; else it is what the first occurrence has come to.
  bool own = false;
  bool by_interrupt = false;  // PTRACE_INTERRUPT's
  int code = 0;
  bool has_info = false;  // else PTRACE_GETSIGINFO fails
  siginfo_t info{};
  uint64_t message = 0;
  bool registers_changed = false;  // by this link's tracer
  bool mask_changed = false;       // the same
  // struct ptrace_syscall_info as it was when the stop began; zero bytes if it is not known.
  size_t syscall_info_size = 0;
  std::array<uint8_t, 96> syscall_info{};

  bool is_event_stop() const { return code >> 8 == kEventStop; }
};

// How a link was resumed.
enum class Run : uint8_t { kContinue, kSyscall, kSysemu, kSysemuStep, kStep, kBlockStep };

constexpr bool StopsAtEntry(Run run) {
  return run == Run::kSyscall || run == Run::kSysemu || run == Run::kSysemuStep;
}
constexpr bool Emulates(Run run) { return run == Run::kSysemu || run == Run::kSysemuStep; }
constexpr bool Steps(Run run) {
  return run == Run::kStep || run == Run::kSysemuStep || run == Run::kBlockStep;
}

// All of it is guarded by World::mutex. Owned by its tracer, and by its tracee as long as that lives.
struct Link {
  enum class State : uint8_t {
    kRunning,
    kStopped,
    kListening,  // PTRACE_LISTEN
    kDelayed,    // dead before the threads that it leads: not told yet
    kDead,       // not waited for yet
    kGone,       // detached, or waited for
  };

  uint64_t id = 0;  // in order of attachment
  Tracer* tracer = nullptr;
  std::shared_ptr<Tracee> tracee;  // null once it is dead
  pid_t tid = 0;
  pid_t tgid = 0;
  bool seized = false;
  uint32_t options = 0;

  State state = State::kRunning;
  Run run = Run::kContinue;
  Stop stop;              // if stopped or listening
  std::deque<Stop> own;   // that it shall come to, alone
  bool prepared = false;  // in this stop the machine state was found to be accessible
  bool sets_debug_registers = false;
  // A new thread's control register of debugging reads as its parent's until it is written; what that enables
  // is not inherited. Zero: as any other's.
  uint64_t inherited_debug_control = 0;
  // It came while the task was in a system call, whose entry others saw: it does not see the exit either.
  bool missed_entry = false;
  bool steps_over_call = false;  // a step was asked for at the entry of the present call
  // The same by PTRACE_SYSEMU_SINGLESTEP: there is no call, whose end would be a step.
  bool steps_over_no_call = false;

  // An event that was not waited for: its status, and its place among all events.
  bool unreported = false;
  int status = 0;
  uint64_t event_number = 0;
  bool reap_natively = false;
  // The last link that it is one of has ended its group's stop: WCONTINUED.
  bool continued = false;

  bool is_stopped() const { return state == State::kStopped; }
  bool is_alive() const {
    return state == State::kRunning || state == State::kStopped || state == State::kListening;
  }
};

}  // namespace utrace::ptrace_compat

#endif  // ENGINES_PTRACE_COMPAT_LINK_H_
