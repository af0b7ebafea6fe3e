// Carriers: signals that this host sends to a task for what engines introduced, or put back, where the
// kernel does not act on signals. The same signal is sent with a cookie, and what it stands for is
// looked up when the task stops for it. If this process dies meanwhile, the task gets just that signal.
//
// A signal of the real-time range is refused while its user's queue of signals is full, and any signal
// to a task that took another user's rights. Such a carrier waits here and is tried again at every
// resumption. Nor does it have to wait for room: what a resumption from the stop of a system call
// passes on is sent by the kernel itself, which needs none; and where the task stops for a signal, that
// one is replaced. A task in user mode is brought to the one or the other by a step.
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "core/linux/linux_task.h"

namespace utrace::linux_host {
namespace {

constexpr uint64_t kCookieMark = 0x7574726163650000;  // "utrace"
constexpr uint64_t kCookieMask = 0xffff;

}  // namespace

void LinuxTask::SendCarrier(const SignalEffect& effect, int number, bool decided) {
  Carrier carrier;
  carrier.cookie = kCookieMark | (next_cookie_++ & kCookieMask);
  carrier.number = number;
  carrier.decided = decided;
  carrier.effect = effect;
  unsent_.push_back(carrier);
  SendUnsent();
}

// Sends what waits, in order, for as long as there is room.
void LinuxTask::SendUnsent() {
  while (!unsent_.empty()) {
    const Carrier& carrier = unsent_.front();
    siginfo_t info{};
    info.si_signo = carrier.number;
    info.si_code = SI_QUEUE;
    info.si_pid = getpid();
    info.si_uid = getuid();
    info.si_value.sival_ptr = reinterpret_cast<void*>(carrier.cookie);
    const long status = syscall(SYS_rt_tgsigqueueinfo, tgid_, tid(), carrier.number, &info);
    if (status != 0 && errno != ESRCH) return;
    if (status == 0) carriers_.push_back(carrier);  // or else the task died
    unsent_.pop_front();
  }
}

// The signal by which the kernel sends the first that waits, when the task is resumed from the stop of
// a system call that it is in; zero if it is in none, or nothing waits.
int LinuxTask::HandOneToKernel() {
  if (unsent_.empty() || !at_syscall_stop_) return 0;
  Carrier carrier = unsent_.front();
  unsent_.pop_front();
  carrier.by_kernel = true;
  carriers_.push_back(carrier);
  return carrier.number;
}

std::optional<LinuxTask::Carrier> LinuxTask::TakeCarrier(const siginfo_t& info) {
  for (auto it = carriers_.begin(); it != carriers_.end(); ++it) {
    if (it->number != info.si_signo) continue;
    const bool marked = info.si_code == SI_QUEUE &&
                        reinterpret_cast<uint64_t>(info.si_value.sival_ptr) == it->cookie;
    // The kernel drops the siginfo when the user's signal queue is full.
    const bool lost = info.si_code == SI_USER && info.si_pid == 0;
    const bool by_kernel = it->by_kernel && info.si_code == SI_KERNEL && info.si_pid == 0;
    if (!marked && !lost && !by_kernel) continue;
    Carrier carrier = *it;
    carriers_.erase(it);
    return carrier;
  }
  return std::nullopt;
}

// From the edge of user mode, with a carrier on its way or waiting.
void LinuxTask::ResumeToCarrier() {
  if (!unsent_.empty() && !at_syscall_stop_) {
    ResumeToUser(Step::kNone);
    return;
  }
  ApplyOptions();
  Resume((interest_ & UTRACE_EVENT_SYSCALL) != 0 ? PTRACE_SYSCALL : PTRACE_CONT, 0);
}

// Whether the task, about to run user code without a step, has to make one to get what waits.
bool LinuxTask::StepsToUnsent() {
  SendUnsent();
  if (unsent_.empty() || at_syscall_stop_ || FetchRegisters() != 0) return false;
  // What it blocks waits for the end of the call that unblocks it; a call that is made again stops.
  return !arch::IsRestartPending(registers_) && !IsBlocked(unsent_.front().number);
}

bool LinuxTask::IsBlocked(int signal) {
  const auto mask = SignalMask();
  return mask && ((*mask >> (signal - 1)) & 1) != 0;
}

// At a signal-delivery-stop whose own signal is of no account: if one waits that the task does not
// block, lets it take that place, and whether there was one.
bool LinuxTask::LookAtUnsent() {
  SendUnsent();
  if (unsent_.empty() || IsBlocked(unsent_.front().number)) return false;
  const Carrier carrier = unsent_.front();
  unsent_.pop_front();
  siginfo_t info = carrier.effect.info;
  ptrace(PTRACE_SETSIGINFO, tid(), nullptr, &info);
  if (carrier.decided) {
    CarryOut(carrier.effect, carrier.number);
    return true;
  }
  dequeued_ = info;
  synthetic_ = false;
  LookAtSignal();
  return true;
}

}  // namespace utrace::linux_host
