// What to do at each stop, and how to go on from it.
#include <sys/ptrace.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "core/linux/filter_cookie.h"
#include "core/linux/linux_host.h"
#include "core/linux/linux_task.h"
#include "core/linux/proc.h"
#include "core/linux/restartable_calls.h"
#include "core/signal_rules.h"

namespace utrace::linux_host {
namespace {

// PTRACE_SINGLEBLOCK, which is not in the headers of machines without it.
constexpr int kSingleBlock = 33;

}  // namespace

using Region = Lane::CallbackRegion;

void LinuxTask::OnStop(int wait_code) {
  setup_.Stopped();
  const Stop stop = DecodeStop(wait_code);
  registers_valid_ = false;
  at_syscall_stop_ = stop.kind == StopKind::kSyscall;
  at_event_stop_ = stop.kind == StopKind::kTrap || stop.kind == StopKind::kGroup;
  // The kernel takes any stop for the one that an interrupt asked for.
  stop_took_interrupt_ = interrupt_sent_;
  interrupt_sent_ = false;
  if (place_ != Place::kRunning && place_ != Place::kListening) {
    // Only SIGKILL takes a task out of a stop that we keep it in.
    core_->OnKilledInStop();
  }
  place_ = Place::kRunning;
  at_filter_ = stop.kind == StopKind::kFilter;
  filter_data_.reset();
  syscall_info_size_ = 0;
  debug_trap_owners_.clear();
  switch (stop.kind) {
    case StopKind::kSyscall:
      AtSyscall();
      return;
    case StopKind::kFilter:
      AtFilter();
      return;
    case StopKind::kSignal:
      entry_reported_ = false;
      AtSignal(stop.signal);
      return;
    case StopKind::kTrap:
      entry_reported_ = false;
      AtTrap();
      return;
    case StopKind::kGroup:
      entry_reported_ = false;
      AtGroupStop();
      return;
    case StopKind::kClone:
      AtClone(stop.event);
      return;
    case StopKind::kExec:
      AtExec();
      return;
    case StopKind::kExit:
      AtExit();
      return;
    case StopKind::kOther:
      GoOnInKernel();
      return;
  }
}

void LinuxTask::Wake() {
  if (!traced_here_) return;
  switch (place_) {
    case Place::kEntry:
      AtEntry(Entry::kHeld);
      return;
    case Place::kUser:
    case Place::kBeforeSignal:
    case Place::kKernel:
    case Place::kExit:
    case Place::kGroup:
      break;
    case Place::kContinuing:
      AtTrap();
      return;
    default:
      return;
  }
  if (core_->OnWake().hold) return;
  switch (place_) {
    case Place::kUser:
      ReturnToUser();
      return;
    case Place::kBeforeSignal:
      LookAtSignal();
      return;
    case Place::kKernel:
      GoOnInKernel();
      return;
    case Place::kExit:
      AfterExitHold();
      return;
    default:
      AfterGroupStop();
      return;
  }
}

// ---- System calls ----------------------------------------------------------------------------------

void LinuxTask::AtSyscall() {
  __ptrace_syscall_info& info = syscall_info_;
  const long size =
      ptrace(static_cast<__ptrace_request>(PTRACE_GET_SYSCALL_INFO), tid(), sizeof(info), &info);
  // Kernels before 5.3 lack the request; then entry and exit are told apart by counting.
  const bool known =
      size > 0 && (info.op == PTRACE_SYSCALL_INFO_ENTRY || info.op == PTRACE_SYSCALL_INFO_EXIT);
  if (size <= 0 && errno == ESRCH) return;  // killed
  if (known) syscall_info_size_ = static_cast<size_t>(size);
  const bool entry = known ? info.op == PTRACE_SYSCALL_INFO_ENTRY : !in_syscall_;
  entering_ = entry;
  if (entry) {
    first_argument_.reset();
    entry_result_ = -ENOSYS;
    in_syscall_ = true;
    interrupted_entry_ = stop_took_interrupt_;
    if (LeavesCallsToFilter()) {
      // We stop it here for another reason; if engines named the call, the filter's stop comes next.
      place_ = Place::kEntry;
      GoOnInKernel();
      return;
    }
    AtEntry(Entry::kNew);
  } else {
    in_syscall_ = false;
    AtSyscallExit();
  }
}

// A filter wants this call to be seen: ours, or one of the program's own.
void LinuxTask::AtFilter() {
  entering_ = true;
  in_syscall_ = true;
  interrupted_entry_ |= stop_took_interrupt_;
  unsigned long cookie = 0;
  ptrace(PTRACE_GETEVENTMSG, tid(), nullptr, &cookie);
  const bool ours = filtered() && cookie == kFilterCookie;
  const bool claimed = !ours && (core_->HostInterest() & Task::kFilteredCalls) != 0;
  if (claimed) filter_data_ = static_cast<uint32_t>(cookie);
  if (!ours && !claimed && FetchRegisters() == 0) {
    // The program's own filter wants a tracer that there is not: the kernel fails such a call.
    arch::SetSyscallNumber(registers_, -1);
    StoreRegisters();
  }
  // Reported at the call's entry; of its own exit, with that.
  const bool over = exit_reported_ || aborted_number_ >= 0 || (ours && entry_reported_);
  if (over || (!ours && !claimed)) {
    place_ = Place::kKernel;
    GoOnInKernel();
    return;
  }
  if (step_ != Step::kNone) step_over_call_ = true;
  AtEntry(entry_reported_ ? Entry::kAgain : Entry::kNew);
}

void LinuxTask::AtEntry(Entry entry) {
  place_ = Place::kEntry;
  const unsigned long interest = core_->HostInterest();
  // A call that is only made again, silently, is no new place to stop at [CTL-22].
  const bool silent =
      entry == Entry::kNew && finish_call_ && (interest & UTRACE_EVENT(SYSCALL_ENTRY)) == 0;
  if (!silent) {
    entry_reported_ = true;
    EntryVerdict verdict;
    {
      const Region region;
      verdict = core_->OnSyscallEntry(entry);
    }
    if (verdict.hold) return;
    if (verdict.abort && FetchRegisters() == 0) {
      aborted_number_ = arch::SyscallNumber(registers_);
      arch::SetSyscallNumber(registers_, -1);
      StoreRegisters();
    }
    if (aborted_number_ < 0 && ReportOwnExit()) return;
  }
  GoOnInKernel();
}

void LinuxTask::AtSyscallExit() {
  place_ = Place::kUser;
  resume_signal_ = 0;
  if (interrupted_entry_) {
    // The entry's stop took our interrupt, but the call still found a signal pending, so to speak: it
    // did nothing, and is made again.
    interrupted_entry_ = false;
    if (FailedByInterrupt()) {
      arch::SetSyscallResult(registers_, -UTRACE_ERESTARTNOINTR);
      StoreRegisters();
    }
    if (finish_call_ && FetchRegisters() == 0 && arch::IsRestartPending(registers_) &&
        ((core_->HostInterest() & UTRACE_EVENT_SYSCALL) == 0 ||
         (LeavesCallsToFilter() && !entry_reported_))) {
      place_ = Place::kKernel;
      GoOnInKernel();
      return;
    }
  }
  finish_call_ = false;
  if (exec_result_) {
    if (FetchRegisters() == 0) {
      arch::SetSyscallResult(registers_, *exec_result_);
      StoreRegisters();
    }
    exec_result_.reset();
  }
  if (aborted_number_ >= 0 || argument_to_restore_) {
    if (FetchRegisters() == 0) {
      // Engines see the call that was aborted; the program, the arguments that it passed.
      if (aborted_number_ >= 0) arch::SetSyscallNumber(registers_, aborted_number_);
      if (argument_to_restore_) {
        arch::SetSyscallArgument(registers_, argument_to_restore_->first,
                                 argument_to_restore_->second);
      }
      StoreRegisters();
    }
    aborted_number_ = -1;
    argument_to_restore_.reset();
  }
  const bool reported = std::exchange(entry_reported_, false);
  if (reported || !LeavesCallsToFilter()) {
    const Region region;
    core_->OnSyscallExit();
  }
  if (step_over_call_) {
    // The step's instruction was this call: its trap is ours to make [STP-06].
    step_over_call_ = false;
    step_ = Step::kNone;
    dequeued_ = siginfo_t{};
    dequeued_.si_signo = SIGTRAP;
    dequeued_.si_code = TRAP_TRACE;
    synthetic_ = true;
    LookAtSignal();
    return;
  }
  ReturnToUser();
}

// ---- Traps and job control -------------------------------------------------------------------------

void LinuxTask::AtTrap() {
  resume_signal_ = 0;
  NoteLateTrap();
  if (newborn_) {
    newborn_ = false;
    ReturnToUser();
    return;
  }
  if (job_reported_) {
    place_ = Place::kContinuing;
    Verdict verdict;
    {
      const Region region;
      // The first thread of the group to run on tells the parent.
      verdict = core_->OnJobControl(CLD_CONTINUED, FirstToContinue() ? CLD_CONTINUED : 0);
    }
    if (verdict.hold) return;
    job_reported_ = false;
    const bool ran = std::exchange(runs_in_job_stop_, false);
    may_run_in_job_stop_ = false;
    if (!ran) {
      ReturnToUser();
      return;
    }
  }
  AfterTrap();
}

void LinuxTask::AfterTrap() {
  in_syscall_ = false;
  if (tid() == tgid_ && !siblings_) siblings_ = ThreadsOf(tgid_).size() > 1;
  const bool waits_for_call = !interrupt_wanted_ && RepairInterruptedCall();
  interrupt_wanted_ = false;
  if (!waits_for_call) {
    // Whoever interrupted it may have been served already, by the report that asked for a step: then the
    // step is still to be made [STP-08].
    ReturnToUser(late_trap_ || core_->IsDue() ? Step::kNone : step_);
    return;
  }
  // The call goes on, and a report that is due waits for its end [CTL-22, CTL-42].
  place_ = Place::kKernel;
  finish_call_ = core_->IsDue();
  // It is inside the call again as soon as it runs: reports asked for meanwhile wait as well.
  in_syscall_ = true;
  GoOnInKernel();
}

// These stops come before any signal, a step's trap included. Let go then, the program would die of it.
void LinuxTask::NoteLateTrap() {
  if (step_ == Step::kNone || late_trap_) return;
  siginfo_t pending[kLargestSignal];
  __ptrace_peeksiginfo_args arguments{.off = 0, .flags = 0, .nr = kLargestSignal};
  const long count = ptrace(PTRACE_PEEKSIGINFO, tid(), &arguments, pending);
  for (long i = 0; i < count; ++i) late_trap_ |= IsStepTrap(pending[i]);
}

// Whether the call failed with EINTR because of our interrupt alone.
bool LinuxTask::FailedByInterrupt() {
  if (FetchRegisters() != 0 || arch::SyscallResult(registers_) != -EINTR ||
      !MayBeMadeAgain(arch::SyscallNumber(registers_))) {
    return false;
  }
  // A signal that is about to be handled makes the call fail untraced as well.
  const auto status = ReadStatus(tid());
  if (!status) return false;
  const uint64_t coming = (status->pending | status->shared_pending) & ~status->blocked;
  return (coming & status->caught) == 0;
}

// Where the kernel takes a call back before it looks at signals: whether it did so. At a trap.
bool LinuxTask::TookCallBack() {
  // That it was about to make a call, and in none yet, comes to the same.
  return IsAtSyscallInstruction();
}

// There the kernel has forgotten the call as well; what it was, we saw when we interrupted it.
void LinuxTask::RememberInterruptedCall() {
  if constexpr (arch::kRewindsEarly) {
    if (!interrupted_call_ || interrupted_call_->pc != arch::Pc(registers_)) return;
    arch::SetSyscallNumber(registers_, interrupted_call_->number);
    registers_.first_argument = interrupted_call_->arguments[0];
  }
}

// Whether the trap hit a system call that goes on; puts right what the kernel would not restart.
bool LinuxTask::RepairInterruptedCall() {
  if (FetchRegisters() != 0) return false;
  if (arch::IsRestartPending(registers_)) return true;
  if constexpr (arch::kRewindsEarly) {
    if (TookCallBack()) return true;
    RememberInterruptedCall();
  }
  if (!FailedByInterrupt()) return false;
  const long number = arch::SyscallNumber(registers_);
  const auto timeout = TimeoutArgument(number);
  if (timeout) {
    const auto limit = static_cast<int32_t>(arch::SyscallArgument(registers_, *timeout));
    if (limit > 0 && call_started_) {
      const int64_t spent_ms = (MonotonicNow() - *call_started_) / 1'000'000;
      const int64_t left = std::clamp<int64_t>(limit - spent_ms, 0, limit);
      if (!argument_to_restore_) {
        argument_to_restore_ = {*timeout, arch::SyscallArgument(registers_, *timeout)};
      }
      call_started_ = MonotonicNow();
      arch::SetSyscallArgument(registers_, *timeout, static_cast<uint64_t>(left));
    }
  }
  arch::RollBackSyscall(registers_, number);
  return StoreRegisters() == 0;
}

// Of a task that ran in a job control stop: whether its group was stopped anew. Else the kernel reports our interrupt
// so.
bool LinuxTask::GroupStopIsNew() const { return took_stop_signal_ || !stop_took_interrupt_; }

void LinuxTask::AtGroupStop() {
  bool again = false;
  if (runs_in_job_stop_) {
    again = GroupStopIsNew();
    if (!again && may_run_in_job_stop_) {
      resume_signal_ = 0;
      NoteLateTrap();
      AfterTrap();
      return;
    }
    runs_in_job_stop_ = false;
    if (again) {
      job_reported_ = false;
      may_run_in_job_stop_ = false;
    } else {
      core_->MarkJobStopped();
    }
  }
  place_ = Place::kGroup;
  NoteLateTrap();
  in_syscall_ = false;
  if (job_reported_) {
    // Trapped anew in the same stop: an engine takes it over, or the last engine left.
    if (!core_->OnWake().hold) AfterGroupStop();
    return;
  }
  job_reported_ = true;
  Verdict verdict;
  {
    // Of a group that is stopped already the parent has heard.
    const int notify = !again && LastToStop() ? CLD_STOPPED : 0;
    const Region region;
    verdict = core_->OnJobControl(CLD_STOPPED, notify);
  }
  if (!verdict.hold) AfterGroupStop();
}

void LinuxTask::AfterGroupStop() {
  if (ReleaseIfIdle(0)) return;
  if (may_run_in_job_stop_) {
    runs_in_job_stop_ = true;
    core_->MarkRunsInJobStop();
    resume_signal_ = 0;
    ReturnToUser();
    return;
  }
  place_ = Place::kListening;
  ApplyOptions();
  // Traps again at once if SIGCONT came meanwhile.
  ptrace(PTRACE_LISTEN, tid(), nullptr, nullptr);
}

// ---- Going on --------------------------------------------------------------------------------------

// From the middle of a system call, or its entry.
void LinuxTask::GoOnInKernel() {
  if (ReleaseIfIdle(0)) return;
  const bool exit_wanted = core_->IsDue() || finish_call_ || argument_to_restore_.has_value() ||
                           aborted_number_ >= 0 || interrupted_entry_ || exec_result_.has_value();
  ApplyOptions();
  // The kernel counts entries and exits in turn, but for an entry that a filter stopped.
  const bool in_turn = place_ == Place::kEntry && !at_filter_;
  const bool reported_exit_wanted =
      entry_reported_ && (core_->HostInterest() & UTRACE_EVENT(SYSCALL_EXIT)) != 0;
  if (exit_wanted || (interest_ & UTRACE_EVENT_SYSCALL) != 0 || in_turn || reported_exit_wanted) {
    Resume(PTRACE_SYSCALL, 0);
  } else if (step_ != Step::kNone) {
    Resume(PTRACE_SINGLESTEP, 0);
  } else {
    Resume(PTRACE_CONT, 0);
  }
  // The stop just left swallowed the interrupt, and the call may sleep [CTL-51].
  if (interrupt_wanted_) Interrupt();
}

// `unfinished`: a step that was begun.
void LinuxTask::ReturnToUser(Step unfinished) {
  interrupt_wanted_ = false;
  for (;;) {
    place_ = Place::kUser;
    if (core_->HostInterest() == 0 && ReleaseIfIdle(resume_signal_)) return;
    UserVerdict verdict;
    {
      const Region region;
      verdict = core_->OnUserReturn();
    }
    switch (verdict.next) {
      case UserVerdict::Next::kHold:
        return;
      case UserVerdict::Next::kSignal:
        CarryOut(verdict.signal, 0);
        return;
      case UserVerdict::Next::kRun:
        break;
    }
    if (ReleaseIfIdle(resume_signal_)) return;
    ResumeToUser(std::max(verdict.step, unfinished));
    return;
  }
}

// With the registers fetched.
bool LinuxTask::IsAtSyscallInstruction() {
  uint8_t code[arch::kMaxSyscallInstruction] = {};
  ssize_t done = 0;
  TransferMemory(arch::Pc(registers_), code, sizeof(code), false, &done);
  return done > 0 && arch::IsSyscallInstruction({code, static_cast<size_t>(done)});
}

void LinuxTask::ResumeToUser(Step step) {
  if (!arch::kCanBlockStep && step == Step::kBlock) step = Step::kSingle;  // [STP-03]
  ApplyOptions();
  step_ = step;
  step_over_call_ = false;  // that of a resumption which another stop ended
  const bool syscalls = (interest_ & UTRACE_EVENT_SYSCALL) != 0;
  const bool to_unsent = step == Step::kNone && StepsToUnsent();
  if (to_unsent) {
    handler_expected_ = true;
    handler_report_ = false;
  } else if (step == Step::kNone) {
    Resume(syscalls || argument_to_restore_ ? PTRACE_SYSCALL : PTRACE_CONT, resume_signal_);
    return;
  }
  if ((syscalls || to_unsent || arch::kTrapsTwiceBehindCalls) && resume_signal_ == 0 &&
      FetchRegisters() == 0) {
    // A stepped system call instruction makes no system call stops, and on some machines two traps: let it stop at
    // those stops instead. A call that a signal broke is made again first.
    if (arch::IsRestartPending(registers_) || IsAtSyscallInstruction()) {
      step_over_call_ = !to_unsent;
      if (to_unsent) handler_expected_ = false;
      Resume(PTRACE_SYSCALL, 0);
      return;
    }
  }
  Resume(step == Step::kBlock ? kSingleBlock : static_cast<int>(PTRACE_SINGLESTEP), resume_signal_);
}

void LinuxTask::Resume(int request, int signal) {
  SendUnsent();
  if (signal == 0) signal = HandOneToKernel();
  if (!unsent_.empty() && request == PTRACE_CONT) request = PTRACE_SYSCALL;
  at_syscall_stop_ = false;
  place_ = Place::kRunning;
  registers_valid_ = false;
  entering_ = false;
  if (!in_syscall_ || request != PTRACE_SYSCALL) first_argument_.reset();
  resume_signal_ = 0;
  took_stop_signal_ = DefaultActionOf(signal) == DefaultAction::kStop;
  syscalls_stop_ = request == PTRACE_SYSCALL;
  if (!syscalls_stop_) entry_reported_ = false;
  unsigned long configured = interest_ & ~UTRACE_EVENT_SYSCALL;
  if (syscalls_stop_) configured |= UTRACE_EVENT_SYSCALL;
  setup_.SetUp(configured);
  if (runs_in_job_stop_) {
    // Asked for in a stop, the trap comes before anything else that the task does. One that was asked for when
    // this stop came has come with it, or is still to come: asked for again, it is no new stop of the group.
    const bool unclear = stop_took_interrupt_ && !at_event_stop_;
    if (unclear || !may_run_in_job_stop_) Interrupt();
  }
  // Fails only if SIGKILL took the task out of its stop: its death will be seen.
  ptrace(static_cast<__ptrace_request>(request), tid(), nullptr, static_cast<long>(signal));
  // Or else SIGKILL took it to the stop of its exit already, and this resumed that one unseen: of a
  // leader whose id another thread's exec takes over, nothing more would be heard.
  constexpr int64_t kExitsWithin = 200'000'000;
  if (siblings_ && tid() == tgid_) {
    LinuxHost::Get().watcher().LookAt(this, MonotonicNow() + kExitsWithin);
  }
}

// Lets a task go that no engine is attached to.
bool LinuxTask::ReleaseIfIdle(int signal) {
  if (core_->HostInterest() != 0) return false;
  // What is half done must be brought to its end first.
  if (!carriers_.empty() || !unsent_.empty() || argument_to_restore_ || aborted_number_ >= 0 ||
      handler_patch_ || mask_to_restore_ || interrupted_entry_ || exec_result_ || late_trap_) {
    return false;
  }
  // Calls that a filter names fail without a tracer.
  if (filtered() || !core_->TryRelease()) return false;
  setup_.Stopped();
  ReleaseDebugRegisters();
  ptrace(PTRACE_DETACH, tid(), nullptr, static_cast<long>(signal));
  traced_here_ = false;
  runs_in_job_stop_ = false;
  may_run_in_job_stop_ = false;
  place_ = Place::kRunning;
  resume_signal_ = 0;
  finish_call_ = false;
  step_ = Step::kNone;
  step_over_call_ = false;
  handler_expected_ = false;
  Lane* const lane = Lane::Current();
  LinuxHost& host = LinuxHost::Get();
  host.NoteRemoved(lane, tgid_);
  host.watcher().Remove(this);
  Publish(false);
  lane->Remove(this);
  return true;
}

}  // namespace utrace::linux_host
