// Signals on their way through the links of a task.
#include <linux/ptrace.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "core/machine.h"
#include "engines/ptrace_compat/tracee.h"

namespace utrace::ptrace_compat {
namespace {

// The kernel lets nobody send a signal as if it came from itself, or from another. The si_code of one that must is
// moved among those that anybody may send, and back when it arrives.
constexpr int kDisguise = -0x50550000;
constexpr int kMostDisguised = 0xffff;

constexpr int Disguised(int code) { return kDisguise + code; }
constexpr bool IsDisguised(int code) {
  return code >= kDisguise - kMostDisguised && code <= kDisguise + kMostDisguised;
}
constexpr int Undisguised(int code) { return code - kDisguise; }

// What the machine says of a breakpoint instruction, and of a debug register.
constexpr int kFromInstruction = SI_KERNEL;

bool IsStep(const siginfo_t& info) {
  return info.si_signo == SIGTRAP &&
         (info.si_code == TRAP_TRACE || info.si_code == TRAP_BRANCH || info.si_code == TRAP_BRKPT);
}

// Whether the program lets the signal pass unnoticed, whatever engines say.
bool IsIgnored(int signal, const utrace_sigaction& disposition) {
  if (disposition.handler == UTRACE_SIG_IGN) return true;
  if (disposition.handler != UTRACE_SIG_DFL) return false;
  return signal == SIGCHLD || signal == SIGURG || signal == SIGWINCH || signal == SIGCONT;
}

}  // namespace

// As the kernel does where a tracer puts another signal in the place of one.
void Tracee::Replace(siginfo_t& info, int signal, const Tracer& tracer) {
  info = siginfo_t{};
  info.si_signo = signal;
  info.si_code = SI_USER;
  info.si_pid = tracer.process->pid;
  info.si_uid = OwnUid();
}

// To the task itself, as a tracer does that goes on from the stop of a system call: it then comes to a
// stop for it.
void Tracee::SendSignal(int signal) const {
  siginfo_t info{};
  info.si_signo = signal;
  info.si_code = SI_KERNEL;
  SendDisguised(info);
}

void Tracee::SendDisguised(siginfo_t info) const {
  const int signal = info.si_signo;
  info.si_code = Disguised(info.si_code);
  // Fails if the task is gone, or the user's queue of signals is full: then one without a siginfo.
  if (syscall(SYS_rt_tgsigqueueinfo, task_.tgid(), task_.tid(), signal, &info) != 0) {
    syscall(SYS_tgkill, task_.tgid(), task_.tid(), signal);
  }
}

// What comes to the program in the place of another signal, or after a tracer changed the mask, may be blocked:
// then it waits, as in the kernel, and is reported again. Not where nobody is left to report it to.
void Tracee::SendBlockedAnew() {
  while (!leaving_ && !introduced_.empty() && introduced_.front().may_be_blocked) {
    const siginfo_t info = introduced_.front().info;
    const uint64_t blocked = world_.host.BlockedSignals(task_).value_or(0);
    if ((blocked >> (info.si_signo - 1) & 1) == 0) return;
    introduced_.pop_front();
    SendDisguised(info);
  }
}

// The links that a SIGTRAP is for; nullopt for all. An empty set: for nobody, not even the program.
// `watchers` are those whose debug registers were met.
std::optional<std::set<uint64_t>> Tracee::BelongsTo(const siginfo_t& info,
                                                    std::optional<uint64_t> pc,
                                                    const std::vector<uint64_t>& watchers) const {
  if (info.si_signo != SIGTRAP) return std::nullopt;
  std::set<uint64_t> links(watchers.begin(), watchers.end());
  if (IsStep(info)) {
    for (const auto& link : links_) {
      if (link->state != Link::State::kRunning || !Steps(link->run)) continue;
      if (!std::exchange(link->steps_over_no_call, false)) links.insert(link->id);
    }
    // A step that nobody waits for any more must not kill the program.
    if (links.empty() && !has_stepped_) return std::nullopt;
    return links;
  }
  if (info.si_code == kFromInstruction && pc) {
    const uint64_t address = *pc - 1;
    const std::set<pid_t> owners = space_->OwnersAt(address);
    if (owners.empty()) return std::nullopt;
    for (const auto& link : links_) {
      if (owners.count(link->tracer->process->pid) != 0) links.insert(link->id);
    }
    // Nobody who traces this thread: then it is the program's affair, as natively.
    if (links.empty() && space_->HasBreakpoint(address)) return std::nullopt;
    return links;
  }
  if (links.empty()) return std::nullopt;
  return links;
}

SignalResult Tracee::OnSignal(SignalReport& report) {
  if (!report.is_signal()) return AtReport(report);
  std::optional<uint64_t> pc;
  siginfo_t info = report.info();
  if (info.si_signo == SIGTRAP && info.si_code == kFromInstruction) {
    if (const auto found = report.machine().Pc()) pc = *found;
  }
  const bool may_watch = info.si_signo == SIGTRAP && info.si_code > 0 && !pc;
  const std::vector<uint64_t> watchers =
      may_watch ? world_.host.OwnersOfTrap(report.task()) : std::vector<uint64_t>();
  Lock lock = Enter();
  if (IsDisguised(info.si_code)) {
    info.si_code = Undisguised(info.si_code);
    report.info() = info;
  }
  const bool dropped = report.signal_so_far() == SignalAction::kIgnore &&
                       !IsIgnored(info.si_signo, *report.original());
  if (dropped) return Wish();
  const auto only = BelongsTo(info, pc, watchers);
  if (only && IsStep(info) && step_runs_) {
    step_runs_ = false;
    if (MayLeave()) {
      world_.RemoveTracee(task_);
      return SignalResult(SignalAction::kIgnore).With(Action::kDetach);
    }
  }
  if (only && only->empty()) {
    if (pc) {
      // Who set the breakpoint is gone, and took it along: the instruction that was there is to be run. Fails
      // only for a task that was killed.
      lock.unlock();
      (void)report.machine().SetPc(*pc - 1);
      lock.lock();
      trap_may_come_ = false;
      if (MayLeave()) {
        world_.RemoveTracee(task_);
        return SignalResult(SignalAction::kIgnore).With(Action::kDetach);
      }
    }
    return SignalResult(SignalAction::kIgnore).With(Wish());
  }
  Occurrence occurrence;
  if (only) occurrence.only = *only;
  occurrence.breakpoint = only && pc;
  if (pc) occurrence.address = *pc - 1;
  occurrence.stop.kind = Stop::Kind::kSignal;
  occurrence.stop.code = info.si_signo;
  occurrence.stop.has_info = true;
  occurrence.stop.info = info;
  if (!AnyWants(occurrence)) return Wish();
  occurrences_.push_back(occurrence);
  if (info.si_signo == SIGCONT && !std::exchange(continued_told_, false)) TrapForContinue();
  Advance();
  return SignalResult(SignalAction::kIgnore).With(Wish());
}

// The kernel stops every seized thread of a process that SIGCONT comes to, whether it was stopped or not; and before
// the signal.
void Tracee::TrapForContinue() {
  QueueTraps();
  EnterOwn();
  for (const auto& other : world_.TraceesOf(task_.tgid())) {
    if (other.get() != this) world_.TrapSoon(other);
  }
}

// Whether there is one to come to.
bool Tracee::QueueTraps() {
  bool any = false;
  for (const auto& link : links_) {
    if (!link->seized || link->state != Link::State::kRunning) continue;
    link->own.push_back(GroupStop(*link, SIGTRAP));
    any = true;
  }
  return any;
}

void Tracee::Trap(Lock& lock) {
  if (!dead_ && QueueTraps()) Approach(lock);
}

// In a report, without the lock: whether the trap of a breakpoint is still to be reported, for which nobody is left
// but us. Either the task is stopped by it, and the report comes before that; or the kernel has stopped the task for
// the report before it took the signal. It follows in both cases.
void Tracee::LookForTrap(TaskView task) {
  std::shared_ptr<AddressSpace> space;
  {
    const Lock lock(world_.mutex);
    if (!leaving_ || !trap_may_come_) return;
    space = space_;
  }
  const auto is_trap = [](const siginfo_t& info) {
    return info.si_signo == SIGTRAP && info.si_code == kFromInstruction;
  };
  siginfo_t at{};
  if (world_.host.Ptrace(task, PTRACE_GETSIGINFO, 0, &at) == 0 && is_trap(at)) {
    // One that was reported already has been gone back from.
    const auto pc = Machine(task).Pc();
    if (pc && !space->OwnersAt(*pc - 1).empty()) return;
  }
  constexpr int32_t kAtOnce = 16;
  std::array<siginfo_t, kAtOnce> pending{};
  ptrace_peeksiginfo_args which{.off = 0, .flags = 0, .nr = kAtOnce};
  for (;;) {
    const long count = world_.host.Ptrace(task, PTRACE_PEEKSIGINFO,
                                          reinterpret_cast<uint64_t>(&which), pending.data());
    if (count <= 0) break;
    if (std::any_of(pending.begin(), pending.begin() + count, is_trap)) return;
    which.off += static_cast<uint64_t>(count);
  }
  const Lock lock(world_.mutex);
  trap_may_come_ = false;
}

// No signal was dequeued: somebody asked for a report, or a handler was set up.
SignalResult Tracee::AtReport(SignalReport& report) {
  LookForTrap(report.task());
  const Lock lock = Enter();
  if (report.signal_so_far() == SignalAction::kHandler) {
    Occurrence occurrence;
    occurrence.kind = Occurrence::Kind::kHandler;
    occurrence.stop.code = SIGTRAP;
    occurrence.stop.has_info = true;
    occurrence.stop.info = TrapInfo(SIGTRAP);
    if (AnyWants(occurrence)) occurrences_.push_back(occurrence);
  }
  EnterOwn();
  Advance();
  if (Busy() || introduced_.empty()) {
    if (MayLeave()) {
      world_.RemoveTracee(task_);
      return Action::kDetach;
    }
    return Wish();
  }
  if (report.signal_so_far() != SignalAction::kReport) {
    // Another engine introduces one, or a handler has just been entered: ours comes next.
    Control(UTRACE_INTERRUPT);
    return Wish();
  }
  SendBlockedAnew();
  if (introduced_.empty()) return Wish();
  report.info() = introduced_.front().info;
  introduced_.pop_front();
  if (!introduced_.empty()) {
    Control(UTRACE_INTERRUPT);
  } else if (MayLeave()) {
    world_.RemoveTracee(task_);
    return SignalResult(SignalAction::kDeliver).With(Action::kDetach);
  }
  return SignalResult(SignalAction::kDeliver).With(Wish());
}

}  // namespace utrace::ptrace_compat
