// Into the kernel and back to user mode.
#include "core/model/kernel/thread.h"

#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "core/model/kernel/host.h"
#include "core/model/kernel/program.h"
#include "core/model/kernel/world.h"

namespace utrace::model {
namespace {

constexpr int kRestartBlock = 516;

siginfo_t StepTrap(uint64_t pc) {
  siginfo_t info{};
  info.si_signo = SIGTRAP;
  info.si_code = TRAP_TRACE;
  info.si_addr = reinterpret_cast<void*>(pc);
  return info;
}

}  // namespace

Thread::Thread(std::shared_ptr<Process> its_process, pid_t its_tid, int its_slot,
               Program its_program)
    : process(std::move(its_process)), tid(its_tid), slot(its_slot), program(its_program) {
  machine.Reset(kEntryPoint, kStackTop);
}

Thread::~Thread() = default;

void Thread::Start() {
  std::string name = "thread ";
  name += std::to_string(tid);
  Spawn(std::move(name), [self = shared_from_this()] { self->Main(); });
}

void Thread::Main() {
  Await("its parent's report", [this] { return !newborn_ || killed_; });
  newborn_ = false;
  try {
    ReturnToUser();
    RunHandlers(0);
    for (;;) {
      try {
        RunProgram();
      } catch (const NewProgram&) {
        continue;
      }
    }
  } catch (const ThreadEnded&) {
    // Dead: what is left is its reaping.
  }
  Await("its reaping", [this] { return gone_; });
  if (core_ != nullptr) {
    core_->OnReap();
    std::exchange(core_, nullptr)->Unref();
  }
  ended_ = true;
}

void Thread::RunProgram() {
  switch (program) {
    case Program::kSlot:
      RunSlot(*this);
    case Program::kExits:
      for (;;) Call(SYS_exit, 0);
    case Program::kKernel:
      SleepUnlessKilled("the end of the world", [] { return false; });
      Exit(SIGKILL, true);
  }
}

// ---- User code -------------------------------------------------------------------------------------

int64_t Thread::Call(long number, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
                     uint64_t a5) {
  const int64_t result = CallAt(kCallSite, number, {a0, a1, a2, a3, a4, a5});
  // Behind the call a single instruction returns from its wrapper, which is a taken branch.
  arch::SetPc(machine.general, kUserCode);
  AfterInstruction(true);
  return result;
}

int64_t Thread::CallAt(uint64_t site, long number, const uint64_t (&arguments)[6]) {
  machine.LoadCall(site, number, arguments);
  // Once more if the registers were rolled back.
  do {
    BeforeInstruction();
    const size_t depth = frames_.size();
    SystemCall();
    RunHandlers(depth);
  } while (arch::Pc(machine.general) == site);
  CheckProgramCounter(site + arch::kMaxSyscallInstruction);
  return arch::SyscallResult(machine.general);
}

void Thread::Instruction() {
  arch::SetPc(machine.general, kUserCode);
  InstructionAt(kUserCode, kUserCode, true);
}

void Thread::InstructionAt(uint64_t pc, uint64_t next, bool branch) {
  Yield();
  BeforeInstruction();
  CheckProgramCounter(pc);
  arch::SetPc(machine.general, next);
  AfterInstruction(branch);
}

void Thread::BeforeInstruction() {
  if (!killed_ && !notified_ && !asked_) return;
  const size_t depth = frames_.size();
  ReturnToUser();
  RunHandlers(depth);
}

void Thread::AfterInstruction(bool branch) {
  if (step_ == Step::kNone || (step_ == Step::kBlock && !branch)) return;
  step_ = Step::kNone;
  // Even in a loop that goes on for ever, a trap is something that happens.
  NoteProgress();
  const size_t depth = frames_.size();
  trap_ = StepTrap(arch::Pc(machine.general));
  ReturnToUser();
  RunHandlers(depth);
}

void Thread::Fault(int signal, int code, uint64_t address) {
  arch::SetPc(machine.general, kUserCode);
  while (arch::Pc(machine.general) == kUserCode) {
    // A fault cannot be blocked or ignored.
    utrace_sigaction& action = process->actions[static_cast<size_t>(signal)];
    if ((blocked & SignalBit(signal)) != 0 || action.handler == UTRACE_SIG_IGN) {
      action = utrace_sigaction{};
      blocked &= ~SignalBit(signal);
    }
    siginfo_t info{};
    info.si_signo = signal;
    info.si_code = code;
    info.si_addr = reinterpret_cast<void*>(address);
    own.Add(info);
    step_ = Step::kNone;
    const size_t depth = frames_.size();
    ReturnToUser();
    RunHandlers(depth);
    // A breakpoint lies behind the program counter already; other instructions are executed again.
    if (signal == SIGTRAP) return;
    Point();
  }
}

void Thread::CheckProgramCounter(uint64_t expected) {
  if (arch::Pc(machine.general) == expected) return;
  const uint64_t wild = arch::Pc(machine.general);
  siginfo_t info{};
  info.si_signo = SIGSEGV;
  info.si_code = SEGV_MAPERR;
  info.si_addr = reinterpret_cast<void*>(wild);
  process->actions[SIGSEGV] = utrace_sigaction{};
  blocked &= ~SignalBit(SIGSEGV);
  // Nothing is there to execute, however often it is tried.
  for (;;) {
    own.Add(info);
    ReturnToUser();
    Point();
    if (arch::Pc(machine.general) == expected) return;
  }
}

void Thread::RunHandlers(size_t depth) {
  while (frames_.size() > depth) RunHandler();
  if (!std::exchange(new_program_, false)) return;
  CheckProgramCounter(kEntryPoint);
  throw NewProgram();
}

void Thread::RunHandler() {
  CheckProgramCounter(kHandlerCode);
  const size_t depth = frames_.size();
  const HandlerFrame frame = frames_.back();
  Point();
  BeforeInstruction();
  RecordSignal(*this, frame.info, frame.machine, machine, frame.blocked);
  arch::SetPc(machine.general, kHandlerCode + kInstructionSize);
  AfterInstruction(false);
  machine.LoadCall(kRestorerSite, SYS_rt_sigreturn, {});
  // Once more if the call was rolled back.
  const auto is_there = [&] {
    return frames_.size() == depth && frames_.back().serial == frame.serial;
  };
  do {
    BeforeInstruction();
    SystemCall();
  } while (is_there() && arch::Pc(machine.general) == kRestorerSite);
  // An engine took the call away, and nothing comes behind it.
  if (is_there()) CheckProgramCounter(kRestorerSite);
}

// ---- System calls ----------------------------------------------------------------------------------

void Thread::SystemCall() {
  machine.EnterCall();
  place_ = Place::kKernel;
  in_call_ = true;
  const bool run = ReportEntry();
  arch::EndSyscallEntry(machine.general);
  if (run && !killed_) {
    const auto result = Dispatch(arch::SyscallNumber(machine.general));
    if (result) arch::SetSyscallResult(machine.general, *result);
  }
  if (!killed_ && traced_ && (interest_ & UTRACE_EVENT(SYSCALL_EXIT)) != 0) {
    core_->OnSyscallExit();
  }
  if (step_ == Step::kSingle) {
    step_ = Step::kNone;
    trap_ = StepTrap(arch::Pc(machine.general));
  }
  ReturnToUser();
}

// Whether the call shall be attempted.
bool Thread::ReportEntry() {
  if (!traced_ || (interest_ & UTRACE_EVENT(SYSCALL_ENTRY)) == 0) return true;
  EntryVerdict verdict = core_->OnSyscallEntry(Entry::kNew);
  while (verdict.hold) {
    if (!AwaitWake()) return false;
    verdict = core_->OnSyscallEntry(Entry::kHeld);
  }
  return !verdict.abort;
}

void Thread::RestartCall() {
  if (!arch::IsRestartPending(machine.general)) return;
  const long number = arch::SyscallResult(machine.general) == -kRestartBlock
                          ? SYS_restart_syscall
                          : arch::SyscallNumber(machine.general);
  arch::RollBackSyscall(machine.general, number);
}

void Thread::ReturnToUser() {
  place_ = Place::kKernel;
  for (;;) {
    if (killed_) Exit(process->status, true);
    ReleaseIfIdle();
    if (job_stop_due_) {
      step_ = Step::kNone;
      StopForJobControl();
      continue;
    }
    if (HasSignal()) {
      TakeSignal();
      continue;
    }
    notified_ = false;
    // A report that is due makes the stepping engine answer anew [STP-05]; who asked may have been
    // served already, though.
    if (std::exchange(asked_, false) && traced_ && core_->IsDue()) step_ = Step::kNone;
    if (!traced_) break;
    const UserVerdict verdict = core_->OnUserReturn();
    if (verdict.next == UserVerdict::Next::kHold) {
      step_ = Step::kNone;
      Hold();
      continue;
    }
    if (verdict.next == UserVerdict::Next::kSignal) {
      step_ = Step::kNone;
      CarryOut(verdict.signal, nullptr);
      continue;
    }
    step_ = std::max(step_, verdict.step);
    // Nothing came between the core's word and here.
    if (!killed_ && !job_stop_due_ && !HasSignal() && !asked_ && !release_) break;
  }
  RestartCall();
  machine.LeaveCall();
  in_call_ = false;
  place_ = Place::kUser;
}

void Thread::ReleaseIfIdle() {
  if (!std::exchange(release_, false) || !traced_) return;
  if (!core_->TryRelease()) return;
  traced_ = false;
  interest_ = 0;
}

// ---- Holds and sleep -------------------------------------------------------------------------------

bool Thread::AwaitWake() {
  const Place before = std::exchange(place_, Place::kHeld);
  Await("its engines", [this] { return wake_ || killed_; });
  place_ = before;
  wake_ = false;
  if (!killed_) return true;
  core_->OnKilledInStop();
  return false;
}

bool Thread::Hold() {
  do {
    if (!AwaitWake()) return false;
  } while (core_->OnWake().hold);
  return true;
}

Thread::Slept Thread::Sleep(const char* what, const std::function<bool()>& ready, int64_t timeout) {
  place_ = Place::kAsleep;
  Await(
      what, [&] { return killed_ || notified_ || ready(); }, timeout);
  place_ = Place::kKernel;
  if (ready()) return Slept::kReady;
  return killed_ || notified_ ? Slept::kInterrupted : Slept::kTimeout;
}

bool Thread::SleepUnlessKilled(const char* what, const std::function<bool()>& ready) {
  place_ = Place::kAsleep;
  Await(what, [&] { return killed_ || ready(); });
  place_ = Place::kKernel;
  return !killed_;
}

// ---- The core's requests ---------------------------------------------------------------------------

Task& Thread::core() {
  if (core_ == nullptr) core_ = new Task(MakeHostTask(shared_from_this()));
  return *core_;
}

int Thread::Adopt() {
  if (gone_) return -ESRCH;
  Task& task = core();
  if (dead_) {
    task.MarkDead();
    return 0;
  }
  // A job control stop does not end before the core knows of it.
  ++adopting_;
  traced_ = true;
  if (job_stopped_) task.MarkJobStopped();
  task.MarkAdopted();
  --adopting_;
  return 0;
}

void Thread::RequestSafePoint(Urgency urgency) {
  asked_ = true;
  if (urgency == Urgency::kInterrupt) notified_ = true;
  if (urgency == Urgency::kTakeOver) take_over_ = true;
}

void Thread::InterestChanged() {
  if (core_ == nullptr) return;
  const unsigned long interest = core_->HostInterest();
  interest_ = interest & UTRACE_EVENT_ALL;
  release_ = interest == 0;
}

int Thread::CurrentSyscall(utrace_current_syscall* call) const {
  if (gone_ || dead_) return -ESRCH;
  if (place_ == Place::kUser || place_ == Place::kKernel) return -EAGAIN;
  *call = utrace_current_syscall{};
  call->number = in_call_ ? arch::SyscallNumber(machine.general) : -1;
  for (unsigned i = 0; i < 6 && in_call_; ++i) call->arguments[i] = Argument(i);
  call->sp = arch::Sp(machine.general);
  call->pc = arch::Pc(machine.general);
  return 0;
}

int Thread::CheckStopped() {
  if (gone_ || dead_) return -ESRCH;
  if (!killed_ || Task::Current() == core_) return 0;
  core_->OnKilledInStop();
  return -ESRCH;
}

bool Thread::WantsIgnored() const { return traced_ && (interest_ & UTRACE_EVENT(SIGNAL_IGN)) != 0; }

char Thread::State() const {
  if (dead_) return 'Z';
  if (newborn_) return 't';
  switch (place_) {
    case Place::kAsleep:
      return 'S';
    case Place::kHeld:
      return 't';
    case Place::kJobStopped:
      return 'T';
    default:
      return 'R';
  }
}

}  // namespace utrace::model
