// Being a HostTask: adoption, and requests from other threads.
#include "core/linux/linux_task.h"

#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <new>

#include "core/linux/linux_host.h"
#include "core/linux/proc.h"
#include "core/linux/restartable_calls.h"

namespace utrace::linux_host {
namespace {

constexpr unsigned long kOptionEvents =
    UTRACE_EVENT(CLONE) | UTRACE_EVENT(EXEC) | UTRACE_EVENT(EXIT);

// The interest that a running task's kernel settings must serve.
unsigned long Needed(unsigned long interest) {
  return interest & (kOptionEvents | UTRACE_EVENT_SYSCALL | Task::kFilteredCalls);
}

// The kernel names the tracing thread; zero if it is gone.
pid_t ProcessOf(pid_t tid) {
  const auto status = ReadStatus(tid);
  return status ? status->tgid : 0;
}

// Whether one of our own threads is traced, directly or through other tracers, by process `tgid`.
bool TracesUs(pid_t tgid) {
  constexpr int kLongestChain = 16;
  for (const pid_t thread : ThreadsOf(getpid())) {
    pid_t traced = thread;
    for (int i = 0; i < kLongestChain && traced != 0; ++i) {
      const auto status = ReadStatus(traced);
      traced = status ? status->tracer : 0;
      if (traced != 0 && ProcessOf(traced) == tgid) return true;
    }
  }
  return false;
}

}  // namespace

LinuxTask::LinuxTask(pid_t tid, pid_t tgid, uint64_t identity, bool kernel_thread)
    : tid_(tid), tgid_(tgid), identity_(identity), kernel_thread_(kernel_thread) {
  asked_.task = this;
}

LinuxTask::~LinuxTask() { LinuxHost::Get().Forget(this, tid()); }

// ---- Adoption --------------------------------------------------------------------------------------

int LinuxTask::Adopt(std::string* error) {
  // Found out here, where waiting is allowed, and not by the first utrace_control that asks for a step.
  LinuxHost::Get().HasSingleStep();
  for (;;) {
    Lane* const lane = LinuxHost::Get().LaneFor(tgid_);
    int status = 0;
    lane->Call([&] {
      try {
        status = Seize(error);
      } catch (const std::bad_alloc&) {
        status = -ENOMEM;
      }
    });
    if (status != -EAGAIN) return status;
    // The kernel tied it to one of our lanes already: a newborn, whose parent's lane is about to
    // announce it.
    std::unique_lock lock(mutex_);
    published_.wait(lock, [this] { return traced_ || retry_; });
    retry_ = false;
    if (traced_) return 0;
  }
}

int LinuxTask::Seize(std::string* error) {
  if (traced_here_) return 0;
  const auto stat = ReadStat(tid());
  if (!stat || !Exists() || stat->state == 'X') {
    *error = "thread " + std::to_string(tid()) + " is gone";
    return -ESRCH;
  }
  Lane* const lane = Lane::Current();
  LinuxHost& host = LinuxHost::Get();
  if (stat->state == 'Z') {
    // Nothing of it is left to trace, but its reaping can still be seen [ATT-11].
    Fd pidfd = OpenPidfd(tid(), host.features().thread_pidfds);
    if (!pidfd.valid()) return ExplainRefusal(ESRCH, error);
    place_ = Place::kGone;
    lane_ = lane;
    core_->MarkDead();
    host.watcher().Add(this, lane, std::move(pidfd), false);
    return 0;
  }
  if (TracesUs(tgid_)) {
    *error = DescribeProcess(tgid_) +
             " traces this process; two tracers of each other would wait "
             "for each other";
    return -EPERM;
  }
  const unsigned long options = KernelOptions(0);
  if (ptrace(PTRACE_SEIZE, tid(), nullptr, options) != 0) return ExplainRefusal(errno, error);

  options_ = options;
  traced_here_ = true;
  lane_ = lane;
  place_ = Place::kRunning;
  in_syscall_ = false;
  interrupt_sent_ = false;
  job_reported_ = false;
  exit_reported_ = false;
  lane->Add(this);
  host.NoteAdded(lane, tgid_);
  // The list is long where it matters, so that it is read once for a process and not for each thread.
  siblings_ = tid() != tgid_ || ThreadsOf(tgid_).size() > 1;
  if (tid() == tgid_) {
    host.watcher().Add(this, lane, OpenPidfd(tid(), host.features().thread_pidfds), true);
  }
  if (stat->state == 'T') {
    // Seizing a stopped task traps it at once; nobody asked to hear of that stop.
    siginfo_t stop{};
    if (waitid(P_PID, static_cast<id_t>(tid()), &stop, WSTOPPED | __WALL | __WNOTHREAD) == 0) {
      if (DecodeStop(stop.si_status).kind == StopKind::kGroup) {
        job_reported_ = true;
        core_->MarkJobStopped();
        AfterGroupStop();
      } else {
        OnStop(stop.si_status);
      }
    }
  }
  core_->MarkAdopted();
  Publish(true);
  if (place_ == Place::kRunning || place_ == Place::kListening) setup_.Announce([] {});
  return 0;
}

int LinuxTask::ExplainRefusal(int error_number, std::string* error) {
  const std::string who = "thread " + std::to_string(tid()) + " of " + DescribeProcess(tgid_);
  if (error_number == ESRCH) {
    *error = who + " is gone";
    return -ESRCH;
  }
  const auto status = ReadStatus(tid());
  if (tgid_ == getpid()) {
    *error = who + " belongs to this very process, which cannot trace itself";
    return -EPERM;
  }
  const pid_t tracer = status && status->tracer != 0 ? ProcessOf(status->tracer) : 0;
  if (tracer == getpid()) return -EAGAIN;
  if (tracer != 0) {
    *error = who + " is already traced by " + DescribeProcess(tracer) +
             "; a thread has one ptracer: end that one first, or attach through it";
    return -EPERM;
  }
  *error = who + ": " + std::strerror(error_number) +
           "; it belongs to another user or is protected (see ptrace(2), "
           "/proc/sys/kernel/yama/ptrace_scope)";
  return -error_number;
}

void LinuxTask::Publish(bool traced) {
  const std::lock_guard lock(mutex_);
  traced_ = traced;
  published_.notify_all();
}

void LinuxTask::Retry() {
  const std::lock_guard lock(mutex_);
  retry_ = true;
  published_.notify_all();
}

bool LinuxTask::AwaitUntraced() {
  std::unique_lock lock(mutex_);
  const bool was_traced = traced_;
  published_.wait(lock, [this] { return !traced_; });
  return was_traced;
}

bool LinuxTask::Exists() { return IdentityOf(tid(), LinuxHost::Get().features()) == identity_; }

bool LinuxTask::IsStillStopped() {
  Lane* const lane = lane_.load();
  if (lane == nullptr) return false;
  bool stopped = false;
  lane->Call([&] {
    if (!traced_here_ || place_ == Place::kRunning || place_ == Place::kGone) return;
    siginfo_t info{};
    // A task that was killed may be in a stop again already: that of its exit.
    const bool answers = ptrace(PTRACE_GETSIGINFO, tid(), nullptr, &info) == 0 || errno == EINVAL;
    const bool exits = info.si_code >> 8 == PTRACE_EVENT_EXIT;
    stopped = answers && (!exits || place_ == Place::kExit);
    if (!stopped) core_->OnKilledInStop();
  });
  return stopped;
}

// ---- Requests from other threads -------------------------------------------------------------------

void LinuxTask::RequestSafePoint(Urgency urgency) {
  Lane* const lane = lane_.load();
  if (lane == nullptr) return;
  const Requests request = urgency == Urgency::kReport      ? kAskReport
                           : urgency == Urgency::kInterrupt ? kAskInterrupt
                                                            : kAskTakeOver;
  // Of a running task: it shall not get past its next safe point once this call has returned.
  if (setup_.Running()) {
    lane->AskPromptly(asked_, request);
  } else {
    lane->Ask(asked_, request);
  }
}

void LinuxTask::RequestWake() {
  if (Lane* const lane = lane_.load()) lane->Ask(asked_, kAskWake);
}

void LinuxTask::InterestChanged(unsigned long interest) {
  Lane* const lane = lane_.load();
  if (lane == nullptr) return;
  if (interest == 0) {
    lane->Ask(asked_, kAskRelease);
    return;
  }
  if (!setup_.MustBeTold(Needed(ToStopFor(interest)))) return;
  if (lane == Lane::Current()) {
    Reconfigure(interest);
  } else {
    lane->AskPromptly(asked_, kAskInterest);
  }
}

void LinuxTask::Serve(Requests requests) {
  if ((requests & kAskDead) != 0) OnPidfd(false);
  if ((requests & kAskReaped) != 0) OnPidfd(true);
  if ((requests & kAskLook) != 0) LookAtLeader();
  if (!traced_here_) return;
  if ((requests & kAskWake) != 0) Wake();
  if ((requests & kAskInterest) != 0) Reconfigure(core_->HostInterest());
  if (!traced_here_) return;
  switch (place_) {
    case Place::kRunning:
      if ((requests & kAskInterrupt) != 0) {
        interrupt_wanted_ = true;
        Interrupt();
      } else if ((requests & kAskStayStopped) != 0 && runs_in_job_stop_) {
        Interrupt();
      } else if ((requests & kAskReport) != 0 && !(in_syscall_ && syscalls_stop_)) {
        // Inside a call whose exit stops, the report waits for that [CTL-22].
        Interrupt();
      }
      break;
    case Place::kListening:
      if ((requests & kAskTakeOver) != 0) Interrupt();
      break;
    case Place::kKernel:
      // In the lane's hands: it looks for what is due before it lets the task go.
      if ((requests & kAskInterrupt) != 0) interrupt_wanted_ = true;
      break;
    default:
      break;
  }
  if ((requests & kAskRelease) != 0 && core_->HostInterest() == 0 &&
      (place_ == Place::kRunning || place_ == Place::kListening)) {
    Interrupt();
  }
}

void LinuxTask::Reconfigure(unsigned long interest) {
  if (!traced_here_ || place_ != Place::kRunning) return;
  if (setup_.Lacks(Needed(ToStopFor(interest)))) Interrupt();
}

void LinuxTask::Interrupt() {
  if (interrupt_sent_ || newborn_) return;  // a trap is on its way
  // The interrupted call's age cannot be known afterwards.
  utrace_current_syscall call{};
  if constexpr (arch::kRewindsEarly) {
    interrupted_call_.reset();
    if (CurrentSyscall(&call) == 0 && call.number >= 0) interrupted_call_ = call;
  }
  if (argument_to_restore_) {
    // Made again by us, with the time that was left then: call_started_ stands.
  } else if (call_started_.reset(); CurrentSyscall(&call) == 0 && TimeoutArgument(call.number)) {
    if (const auto asleep = NanosecondsAsleep(tid())) call_started_ = MonotonicNow() - *asleep;
  }
  // A failure means that it is dying: its zombie will be seen.
  if (ptrace(PTRACE_INTERRUPT, tid(), nullptr, nullptr) == 0) interrupt_sent_ = true;
}

unsigned long LinuxTask::KernelOptions(unsigned long interest) const {
  unsigned long options = PTRACE_O_TRACESYSGOOD;
  if ((interest & UTRACE_EVENT(CLONE)) != 0) {
    options |= PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK;
  }
  // A thread that is not the leader changes its id by exec, which must not pass unseen [EXE-04].
  // Nor must one that clears debug registers.
  if ((interest & UTRACE_EVENT(EXEC)) != 0 || tid() != tgid_ || !debug_registers_.empty()) {
    options |= PTRACE_O_TRACEEXEC;
  }
  if ((interest & UTRACE_EVENT(EXIT)) != 0) options |= PTRACE_O_TRACEEXIT;
  // No wait shows a leader that dies before its threads, or that another thread's exec replaces. Not
  // only while an engine wants to know: it may come to want it too late to stop the task for this.
  if (tid() == tgid_) options |= PTRACE_O_TRACEEXIT;
  // Without it the kernel fails the calls that the filter names.
  if (filtered() || (interest & Task::kFilteredCalls) != 0) options |= PTRACE_O_TRACESECCOMP;
  return options;
}

// Whether it is filters that stop the task for the calls that engines named, and nobody wants others.
bool LinuxTask::FilterIsEnough(unsigned long interest) const {
  if ((interest & Task::kEveryCall) != 0) return false;
  if (filtered()) return true;
  return (interest & Task::kNamedCalls) == 0 && (interest & UTRACE_EVENT_SYSCALL) != 0;
}

// What it must be stopped for by our doing.
unsigned long LinuxTask::ToStopFor(unsigned long interest) const {
  return FilterIsEnough(interest) ? interest & ~UTRACE_EVENT_SYSCALL : interest;
}

void LinuxTask::ApplyOptions() {
  const unsigned long interest =
      ToStopFor(setup_.Announce([this] { return core_->HostInterest(); }));
  const unsigned long options = KernelOptions(interest);
  if (options != options_ && ptrace(PTRACE_SETOPTIONS, tid(), nullptr, options) == 0) {
    options_ = options;
  }
  interest_ = interest;
  InstallDebugRegisters(debug_registers_);  // those of an owner that left while the task ran
}

}  // namespace utrace::linux_host
