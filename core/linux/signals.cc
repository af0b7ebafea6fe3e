// Signals: looking at those that the kernel dequeued, and carrying out what engines decided.
//
// The kernel acts on a signal only where it stopped the task for one (signal-delivery-stop). What
// engines introduce elsewhere, or put back, therefore travels by a carrier (carriers.cc).
#include <elf.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "arch/restart_codes.h"
#include "core/linux/linux_task.h"
#include "core/linux/proc.h"
#include "core/signal_rules.h"

namespace utrace::linux_host {
namespace {

using Region = Lane::CallbackRegion;

// What ptrace_notify puts into si_code when a handler was set up under single step.
constexpr int kHandlerSetUp = SIGTRAP;

constexpr uint64_t Bit(int signal) { return uint64_t{1} << (signal - 1); }

}  // namespace

// ---- At a signal-delivery-stop ---------------------------------------------------------------------

void LinuxTask::AtSignal(int signal) {
  resume_signal_ = 0;
  siginfo_t info{};
  if (ptrace(PTRACE_GETSIGINFO, tid(), nullptr, &info) != 0) return;  // killed
  if (signal == SIGTRAP && info.si_code == kHandlerSetUp) {
    AtHandler();
    return;
  }
  const bool by_kernel = signal == SIGTRAP && info.si_code > 0;
  if (by_kernel && !NoteDebugTrap() && info.si_code == TRAP_HWBKPT) {
    ReturnToUser(late_trap_ ? Step::kNone : step_);
    return;
  }
  const bool handler_step = handler_expected_;
  handler_expected_ = false;
  const bool engines_step = step_ != Step::kNone || late_trap_;
  if (IsStepTrap(info) && (engines_step || handler_step)) {
    late_trap_ = false;
    step_ = Step::kNone;
    if (!engines_step && LookAtUnsent()) return;
    const unsigned long kind = SignalEventKind(SIGTRAP, DispositionOf(SIGTRAP));
    // A step that nobody waits for any more must not kill the program.
    if (!engines_step || (core_->HostInterest() & (kind | UTRACE_EVENT(QUIESCE))) == 0) {
      ReturnToUser();
      return;
    }
  }
  if (auto carrier = TakeCarrier(info)) {
    if (mask_to_restore_) {
      SetSignalMask(*mask_to_restore_);
      mask_to_restore_.reset();
    }
    if (carrier->decided) {
      CarryOut(carrier->effect, signal);
      return;
    }
    info = carrier->effect.info;
    ptrace(PTRACE_SETSIGINFO, tid(), nullptr, &info);
  }
  dequeued_ = info;
  synthetic_ = false;
  LookAtSignal();
}

void LinuxTask::LookAtSignal() {
  place_ = Place::kBeforeSignal;
  UserVerdict before;
  {
    const Region region;
    before = core_->OnBeforeSignal();
  }
  if (before.next == UserVerdict::Next::kHold) return;
  const int stopped_for = synthetic_ ? 0 : dequeued_.si_signo;
  if (before.next == UserVerdict::Next::kSignal) {
    // It goes first; the one that was dequeued is seen after it.
    SignalEffect later;
    later.info = dequeued_;
    SendCarrier(later, dequeued_.si_signo, false);
    CarryOut(before.signal, stopped_for);
    return;
  }
  const unsigned long interest = core_->HostInterest();
  const bool wanted = (interest & UTRACE_EVENT_SIGNAL_ALL) != 0;
  if (!wanted && !core_->IsDue()) {
    if (synthetic_) {
      ReturnToUser();
      return;
    }
    if (ReleaseIfIdle(dequeued_.si_signo)) return;
    fatal_signal_ = dequeued_.si_signo;
    ApplyOptions();
    Resume((interest_ & UTRACE_EVENT_SYSCALL) != 0 ? PTRACE_SYSCALL : PTRACE_CONT,
           dequeued_.si_signo);
    return;
  }
  utrace_sigaction disposition{};
  disposition.handler = DispositionOf(dequeued_.si_signo);
  if (synthetic_ && (interest & SignalEventKind(SIGTRAP, disposition.handler)) == 0) {
    ReturnToUser();
    return;
  }
  SignalEffect effect;
  {
    const Region region;
    effect = core_->OnSignal(dequeued_, disposition);
  }
  CarryOut(effect, stopped_for);
}

// `stopped_for`: the signal of the signal-delivery-stop that the task is in, zero if in none.
void LinuxTask::CarryOut(const SignalEffect& effect, int stopped_for) {
  using Kind = SignalEffect::Kind;
  if (effect.put_back) {
    SignalEffect later;
    later.info = effect.info;
    SendCarrier(later, effect.info.si_signo, false);
  }
  if (effect.kind == Kind::kDrop) {
    ReturnToUser();
    return;
  }
  if (effect.info.si_signo == SIGKILL) {
    syscall(SYS_tgkill, tgid_, tid(), SIGKILL);
    return;
  }
  if (effect.kind == Kind::kTerminate || effect.kind == Kind::kCore) {
    EndProcessBy(effect, stopped_for);
    return;
  }
  if (effect.kind == Kind::kHandler) {
    RunChosenHandler(effect);
    return;
  }
  siginfo_t info = effect.info;
  int number = info.si_signo;
  if (effect.kind == Kind::kStop) number = SIGSTOP;
  if (effect.kind == Kind::kJobStop) number = JobStopSignal(number);
  if (number != info.si_signo && effect.kind != Kind::kOriginalHandler) {
    info = siginfo_t{};
    info.si_signo = number;
    info.si_code = SI_USER;
    info.si_pid = getpid();
    info.si_uid = getuid();
  }
  if (stopped_for == 0) {
    SignalEffect decided = effect;
    decided.info = info;
    decided.put_back = false;
    SendCarrier(decided, number, true);
    ResumeToCarrier();
    return;
  }
  if (effect.kind == Kind::kOriginalHandler) {
    // The handler belongs to the signal that was dequeued: let that one set it up, and show it the
    // other siginfo at its first instruction.
    handler_patch_ = effect;
    handler_expected_ = true;
    handler_report_ = core_->WantsHandlerReport();
    ApplyOptions();
    Resume(PTRACE_SINGLESTEP, stopped_for);
    return;
  }
  Deliver(info, number, effect.info_changed || number != stopped_for);
}

// At a signal-delivery-stop: lets the kernel act on the signal as the program disposes of it.
void LinuxTask::Deliver(const siginfo_t& info, int number, bool set_info) {
  if (set_info) {
    siginfo_t copy = info;
    ptrace(PTRACE_SETSIGINFO, tid(), nullptr, &copy);
  }
  const uint64_t disposition = DispositionOf(number);
  const DefaultAction by_default = DefaultActionOf(number);
  const bool is_default = disposition == UTRACE_SIG_DFL;
  const bool ignored =
      disposition == UTRACE_SIG_IGN || (is_default && (by_default == DefaultAction::kIgnore ||
                                                       by_default == DefaultAction::kContinue));
  if (ignored) {
    ReturnToUser();
    return;
  }
  if (is_default && by_default != DefaultAction::kStop) {
    fatal_signal_ = number;
    core_->OnEndingSignal();
  }
  const bool report = !is_default && core_->WantsHandlerReport();
  ApplyOptions();
  if (report) {
    handler_expected_ = true;
    handler_report_ = true;
    Resume(PTRACE_SINGLESTEP, number);
    return;
  }
  Resume((interest_ & UTRACE_EVENT_SYSCALL) != 0 ? PTRACE_SYSCALL : PTRACE_CONT, number);
}

// ---- Handlers --------------------------------------------------------------------------------------

// The kernel set up a handler; the task is at its first instruction.
void LinuxTask::AtHandler() {
  handler_expected_ = false;
  if (handler_patch_ && FetchRegisters() == 0) {
    // The first two arguments of a handler travel where those of a system call do.
    const siginfo_t& info = handler_patch_->info;
    const uint64_t address = arch::SyscallArgument(registers_, 1);
    siginfo_t copy = info;
    ssize_t done = 0;
    TransferMemory(address, &copy, sizeof(copy), true, &done);
    arch::SetSyscallArgument(registers_, 0, static_cast<uint64_t>(info.si_signo));
    StoreRegisters();
  }
  handler_patch_.reset();
  const bool report = handler_report_;
  handler_report_ = false;
  if (report) {
    ReportHandler();
  } else {
    ReturnToUser();
  }
}

void LinuxTask::ReportHandler() {
  place_ = Place::kUser;
  SignalEffect effect;
  {
    const Region region;
    effect = core_->OnHandler();
  }
  CarryOut(effect, 0);
}

// A handler that the program has not installed: sets it up as the kernel would, in one step, so that
// nothing is left half done if this process dies.
void LinuxTask::RunChosenHandler(const SignalEffect& effect) {
  const auto blocked = SignalMask();
  const utrace_regset& state = arch::ExtendedState();
  std::vector<uint8_t> xstate(static_cast<size_t>(state.slots) * state.slot_size);
  iovec vector{xstate.data(), xstate.size()};
  const bool have_state =
      ptrace(PTRACE_GETREGSET, tid(), static_cast<long>(state.note_type), &vector) == 0;
  arch::SignalFrameRequest request;
  request.action = effect.action;
  if (request.action.restorer == 0) {
    if (const auto found = FindCode(arch::FindSigreturn, "libc")) request.action.restorer = *found;
  }
  if (!blocked || !have_state || FetchRegisters() != 0) {  // killed
    ReturnToUser();
    return;
  }
  xstate.resize(vector.iov_len);
  if constexpr (arch::kRewindsEarly) {
    // Whether the call is restarted or fails is for the handler's flags to say.
    if (!at_syscall_stop_ && TookCallBack()) {
      arch::BeginSyscall(registers_);
      arch::EndSyscallEntry(registers_);
      arch::SetSyscallResult(registers_, -arch::kRestartSys);
    }
  }
  request.regs = registers_;
  request.xstate = xstate;
  request.info = effect.info;
  request.blocked = *blocked;
  const auto frame = arch::BuildSignalFrame(request);
  ssize_t done = 0;
  const bool written = frame &&
                       TransferMemory(frame->address, const_cast<uint8_t*>(frame->bytes.data()),
                                      frame->bytes.size(), true, &done) == 0 &&
                       done == static_cast<ssize_t>(frame->bytes.size());
  if (!written) {
    // As in the kernel: a stack that cannot take the frame, or no code to return by, is a fault.
    SignalEffect fault;
    fault.kind = SignalEffect::Kind::kTerminate;
    fault.info.si_signo = SIGSEGV;
    fault.info.si_code = SI_KERNEL;
    EndProcessBy(fault, 0);
    return;
  }
  // A handler starts with the initial floating point state.
  iovec fresh{const_cast<uint8_t*>(frame->xstate.data()), frame->xstate.size()};
  ptrace(PTRACE_SETREGSET, tid(), static_cast<long>(state.note_type), &fresh);
  registers_ = frame->regs;
  StoreRegisters();
  SetSignalMask(frame->blocked);
  resume_signal_ = 0;
  if (core_->WantsHandlerReport()) {
    ReportHandler();
  } else {
    ReturnToUser();
  }
}

// ---- Ending the process ----------------------------------------------------------------------------

void LinuxTask::EndProcessBy(const SignalEffect& effect, int stopped_for) {
  core_->OnEndingSignal();
  SignalEffect ending = effect;
  ending.put_back = false;
  int number = effect.info.si_signo;
  const DefaultAction by_default = DefaultActionOf(number);
  if (by_default != DefaultAction::kTerminate && by_default != DefaultAction::kCore) {
    number = effect.kind == SignalEffect::Kind::kCore ? SIGQUIT : SIGTERM;  // [LIM-03]
    ending.info = siginfo_t{};
    ending.info.si_signo = number;
    ending.info.si_code = SI_USER;
    ending.info.si_pid = getpid();
    ending.info.si_uid = getuid();
  }
  fatal_signal_ = number;
  const bool is_default = DispositionOf(number) == UTRACE_SIG_DFL;
  if (stopped_for != 0 && is_default) {
    ptrace(PTRACE_SETSIGINFO, tid(), nullptr, &ending.info);
    ApplyOptions();
    Resume(PTRACE_CONT, number);
    return;
  }
  // What else was on its way does not matter any more.
  unsent_.clear();
  if (!is_default && !ResetDisposition(number)) return;  // died on the way
  SendCarrier(ending, number, true);
  // Without room for it, the kernel sends it from a stop of a system call: make one.
  if (!unsent_.empty() && !at_syscall_stop_ && !ResetDisposition(number)) return;
  // It must not wait behind a blocked mask: the process ends now.
  if (const auto mask = SignalMask()) {
    mask_to_restore_ = *mask & ~Bit(number);
    SetSignalMask(~Bit(number));
  }
  ApplyOptions();
  Resume(PTRACE_CONT, 0);
}

// Makes the task, which is about to die, call rt_sigaction itself: there is no other way to take a
// handler away. Afterwards it has the registers that it had. False if it died.
bool LinuxTask::ResetDisposition(int number) {
  const auto instruction = FindCode(arch::FindSyscallInstruction, "[vdso]");
  const auto mask = SignalMask();
  if (!instruction || !mask || FetchRegisters() != 0) return false;
  const arch::GeneralRegisters saved = registers_;
  constexpr uint64_t kBelowRedZone = 512;
  const uint64_t scratch = (arch::Sp(saved) - kBelowRedZone) & ~uint64_t{15};
  uint8_t default_action[64] = {};
  ssize_t done = 0;
  if (TransferMemory(scratch, default_action, sizeof(default_action), true, &done) != 0)
    return false;
  SetSignalMask(~uint64_t{0});
  const uint64_t arguments[] = {static_cast<uint64_t>(number), scratch, 0, sizeof(uint64_t)};
  for (unsigned i = 0; i < 4; ++i) arch::SetSyscallArgument(registers_, i, arguments[i]);
  arch::SetRemoteCall(registers_, *instruction, SYS_rt_sigaction);
  StoreRegisters();
  // Entry, exit. What else it stops for on the way is of no account to a dying process.
  for (int syscall_stops = 0; syscall_stops < 2;) {
    if (ptrace(PTRACE_SYSCALL, tid(), nullptr, nullptr) != 0) return false;
    siginfo_t stop{};
    if (waitid(P_PID, static_cast<id_t>(tid()), &stop, WSTOPPED | WEXITED | WNOWAIT | __WALL) !=
        0) {
      return false;
    }
    if (stop.si_code != CLD_TRAPPED && stop.si_code != CLD_STOPPED)
      return false;  // the lane sees it
    waitid(P_PID, static_cast<id_t>(tid()), &stop, WSTOPPED | WNOHANG | __WALL);
    const Stop decoded = DecodeStop(stop.si_status);
    if (decoded.kind == StopKind::kExit) {
      OnStop(stop.si_status);
      return false;
    }
    if (decoded.kind == StopKind::kSyscall) ++syscall_stops;
    interrupt_sent_ = false;
  }
  at_syscall_stop_ = true;
  registers_ = saved;
  registers_valid_ = true;
  StoreRegisters();
  SetSignalMask(*mask);
  return true;
}

// A signal that stops by job control rules and is not handled: the wanted one, or another.
int LinuxTask::JobStopSignal(int wanted) {
  for (const int candidate : {wanted, SIGTSTP, SIGTTIN, SIGTTOU}) {
    const bool stops = candidate == SIGTSTP || candidate == SIGTTIN || candidate == SIGTTOU;
    if (stops && DispositionOf(candidate) == UTRACE_SIG_DFL) return candidate;
  }
  return SIGSTOP;
}

// ---- Dispositions and masks ------------------------------------------------------------------------

uint64_t LinuxTask::DispositionOf(int signal) {
  const auto status = ReadStatus(tid());
  if (!status || signal < 1 || signal > kLargestSignal) return UTRACE_SIG_DFL;
  if ((status->ignored & Bit(signal)) != 0) return UTRACE_SIG_IGN;
  return (status->caught & Bit(signal)) != 0 ? UTRACE_SIG_UNKNOWN_HANDLER : UTRACE_SIG_DFL;
}

std::optional<uint64_t> LinuxTask::SignalMask() {
  uint64_t mask = 0;
  if (ptrace(PTRACE_GETSIGMASK, tid(), sizeof(mask), &mask) != 0) return std::nullopt;
  return mask;
}

bool LinuxTask::SetSignalMask(uint64_t mask) {
  return ptrace(PTRACE_SETSIGMASK, tid(), sizeof(mask), &mask) == 0;
}

}  // namespace utrace::linux_host
