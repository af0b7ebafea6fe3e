// Signals, as they are dequeued and acted on; job control stops.
#include <cerrno>
#include <utility>

#include "core/model/kernel/thread.h"
#include "core/model/kernel/world.h"
#include "core/signal_rules.h"

namespace utrace::model {
namespace {

constexpr int kRestartSys = 512;
constexpr int kRestartNoIntr = 513;
constexpr uint64_t kFrameSize = 1024;
constexpr long kCoreFlag = 0x80;

}  // namespace

bool Thread::HasSignal() const {
  return trap_ || own.HasOther(blocked) || process->shared.HasOther(blocked);
}

// Reports that are due come before it; then it is dequeued and acted on.
void Thread::TakeSignal() {
  if (traced_) {
    const UserVerdict before = core_->OnBeforeSignal();
    if (before.next == UserVerdict::Next::kHold) {
      step_ = Step::kNone;
      Hold();
      return;
    }
    if (before.next == UserVerdict::Next::kSignal) {
      step_ = Step::kNone;
      CarryOut(before.signal, nullptr);
      return;
    }
    if (killed_ || job_stop_due_) return;
  }
  const bool is_trap = trap_.has_value();
  std::optional<siginfo_t> info = std::exchange(trap_, std::nullopt);
  if (!info) info = own.Take(blocked);
  if (!info) info = process->shared.Take(blocked);
  if (!info) return;
  if (!traced_) {
    if (!is_trap) ActNaturally(*info);
    return;
  }
  const utrace_sigaction disposition = process->actions[static_cast<size_t>(info->si_signo)];
  // A step that nobody waits for any more must not kill the program.
  const unsigned long kind = SignalEventKind(info->si_signo, disposition.handler);
  if (is_trap && (interest_ & (kind | UTRACE_EVENT(QUIESCE))) == 0) return;
  // Who asked for a step hears of the signal, and answers anew [STP-05].
  if ((interest_ & UTRACE_EVENT_SIGNAL_ALL) != 0) step_ = Step::kNone;
  CarryOut(core_->OnSignal(*info, disposition), &*info);
}

// `dequeued` is null for a signal that an engine introduced.
void Thread::CarryOut(const SignalEffect& effect, const siginfo_t* dequeued) {
  using Kind = SignalEffect::Kind;
  if (effect.put_back) own.Add(effect.info);
  if (effect.kind == Kind::kDrop) return;
  const int number = effect.info.si_signo;
  if (number == SIGKILL) {
    process->Kill(SIGKILL, nullptr);
    return;
  }
  switch (effect.kind) {
    case Kind::kNatural:
      ActNaturally(effect.info);
      return;
    case Kind::kOriginalHandler:
      SetUpHandler(effect.info, process->actions[static_cast<size_t>(dequeued->si_signo)], true);
      return;
    case Kind::kHandler:
      SetUpHandler(effect.info, effect.action, false);
      return;
    case Kind::kTerminate:
      EndBySignal(number, false);
      return;
    case Kind::kCore:
      EndBySignal(number, true);
      return;
    case Kind::kStop:
      process->BeginStop(SIGSTOP);
      return;
    default: {
      const bool stops = number != SIGSTOP && (kStopSignals & SignalBit(number)) != 0;
      if (!process->IsOrphaned()) process->BeginStop(stops ? number : SIGTSTP);
    }
  }
}

void Thread::ActNaturally(const siginfo_t& info) {
  const utrace_sigaction action = process->actions[static_cast<size_t>(info.si_signo)];
  if (action.handler == UTRACE_SIG_IGN) return;
  if (action.handler != UTRACE_SIG_DFL) {
    SetUpHandler(info, action, true);
    return;
  }
  switch (DefaultActionOf(info.si_signo)) {
    case DefaultAction::kTerminate:
      EndBySignal(info.si_signo, false);
      return;
    case DefaultAction::kCore:
      EndBySignal(info.si_signo, true);
      return;
    case DefaultAction::kStop:
      if (info.si_signo != SIGSTOP && process->IsOrphaned()) return;
      process->BeginStop(info.si_signo);
      return;
    default:
      return;
  }
}

void Thread::SetUpHandler(const siginfo_t& info, const utrace_sigaction& action, bool own_action) {
  // The first handler decides whether an interrupted call is made again.
  if (arch::IsRestartPending(machine.general)) {
    const int64_t result = arch::SyscallResult(machine.general);
    const bool again =
        result == -kRestartNoIntr || (result == -kRestartSys && (action.flags & SA_RESTART) != 0);
    if (again) {
      arch::RollBackSyscall(machine.general, arch::SyscallNumber(machine.general));
    } else {
      arch::SetSyscallResult(machine.general, -EINTR);
      restart = nullptr;
    }
  }
  machine.LeaveCall();
  in_call_ = false;
  frames_.push_back(
      {.machine = machine, .blocked = blocked, .info = info, .serial = ++frames_made_});
  blocked |= action.mask & ~(SignalBit(SIGKILL) | SignalBit(SIGSTOP));
  if ((action.flags & SA_NODEFER) == 0) blocked |= SignalBit(info.si_signo);
  if (own_action && (action.flags & SA_RESETHAND) != 0) {
    process->actions[static_cast<size_t>(info.si_signo)].handler = UTRACE_SIG_DFL;
  }
  uint64_t stack = arch::Sp(machine.general);
  if (alternate_stack && (action.flags & SA_ONSTACK) != 0) {
    const auto bottom = reinterpret_cast<uint64_t>(alternate_stack->ss_sp);
    const bool is_on_it = stack > bottom && stack <= bottom + alternate_stack->ss_size;
    if (!is_on_it) stack = bottom + alternate_stack->ss_size;
  }
  machine.SetSp(stack - kFrameSize);
  arch::SetPc(machine.general, action.handler);
  // The first two arguments of a handler travel where those of a system call do.
  arch::SetSyscallArgument(machine.general, 0, static_cast<uint64_t>(info.si_signo));
  arch::SetSyscallArgument(machine.general, 1, stack - kFrameSize);
  const bool stepped = std::exchange(step_, Step::kNone) != Step::kNone;
  if (!traced_) return;
  if (core_->WantsHandlerReport() || stepped) CarryOut(core_->OnHandler(), nullptr);
}

void Thread::ReturnFromHandler() {
  if (frames_.empty()) {  // it made the call by itself
    CheckProgramCounter(kRestorerSite);
    return;
  }
  machine = frames_.back().machine;
  blocked = frames_.back().blocked;
  frames_.pop_back();
  machine.LeaveCall();
}

void Thread::EndBySignal(int signal, bool core) {
  if (traced_) core_->OnEndingSignal();
  Exit(core ? signal | kCoreFlag : signal, true);
}

// ---- Job control -----------------------------------------------------------------------------------

void Thread::StopForJobControl() {
  job_stop_due_ = false;
  job_stopped_ = true;
  take_over_ = false;
  const bool last = process->CompleteStop();
  place_ = Place::kJobStopped;
  bool hold = false;
  if (traced_) hold = core_->OnJobControl(CLD_STOPPED, last ? CLD_STOPPED : 0).hold;
  for (;;) {
    if (hold) {
      if (!AwaitWake()) return;
      take_over_ = false;
      hold = core_->OnWake().hold;
      continue;
    }
    Await("SIGCONT", [this] { return killed_ || take_over_ || (!job_stopped_ && adopting_ == 0); });
    if (killed_) return;
    if (!std::exchange(take_over_, false)) break;
    if (traced_) hold = core_->OnWake().hold;
  }
  place_ = Place::kKernel;
  const int notify = std::exchange(process->first_to_continue, false) ? CLD_CONTINUED : 0;
  while (traced_ && core_->OnJobControl(CLD_CONTINUED, notify).hold) {
    if (!AwaitWake()) return;
  }
}

}  // namespace utrace::model
