// System calls about signals.
#include <sys/syscall.h>

#include <array>
#include <cerrno>

#include "core/model/kernel/calls.h"
#include "core/model/kernel/thread.h"
#include "core/model/kernel/world.h"
#include "core/signal_rules.h"

namespace utrace::model {
namespace {

constexpr SignalSet kUnblockable = SignalBit(SIGKILL) | SignalBit(SIGSTOP);

bool IsSignal(uint64_t number) { return number >= 1 && number <= kLargestSignal; }

int64_t Kill(Thread& thread, int64_t pid, uint64_t signal, const siginfo_t* info) {
  if (signal != 0 && !IsSignal(signal)) return -EINVAL;
  const siginfo_t sent =
      info != nullptr ? *info : UserSignal(static_cast<int>(signal), thread.process->pid);
  if (pid > 0) {
    Process* const process = thread.world().FindProcess(static_cast<pid_t>(pid));
    if (process == nullptr) return -ESRCH;
    if (signal != 0) process->Send(sent, nullptr);
    return 0;
  }
  // A process group.
  const pid_t group = pid == 0 ? thread.process->group : static_cast<pid_t>(-pid);
  bool any = false;
  const auto processes = thread.world().processes();
  for (const auto& [id, process] : processes) {
    if (process->group != group) continue;
    any = true;
    if (signal != 0) process->Send(sent, nullptr);
  }
  return any ? 0 : -ESRCH;
}

int64_t KillThread(Thread& thread, int64_t tgid, int64_t tid, uint64_t signal,
                   const siginfo_t* info) {
  if (signal != 0 && !IsSignal(signal)) return -EINVAL;
  Thread* const target = thread.world().FindThread(static_cast<pid_t>(tid));
  if (target == nullptr || (tgid > 0 && target->process->pid != tgid)) return -ESRCH;
  if (signal == 0) return 0;
  siginfo_t sent =
      info != nullptr ? *info : UserSignal(static_cast<int>(signal), thread.process->pid);
  if (info == nullptr) sent.si_code = SI_TKILL;
  target->process->Send(sent, target);
  return 0;
}

int64_t ChangeMask(Thread& thread) {
  const auto how = static_cast<int>(thread.Argument(0));
  const uint64_t set_at = thread.Argument(1);
  const uint64_t old_at = thread.Argument(2);
  if (old_at != 0 && !thread.process->memory->Store(old_at, thread.blocked)) return -EFAULT;
  if (set_at == 0) return 0;
  SignalSet set = 0;
  if (!thread.process->memory->Load(set_at, &set)) return -EFAULT;
  set &= ~kUnblockable;
  switch (how) {
    case SIG_BLOCK:
      thread.blocked |= set;
      break;
    case SIG_UNBLOCK:
      thread.blocked &= ~set;
      break;
    case SIG_SETMASK:
      thread.blocked = set;
      break;
    default:
      return -EINVAL;
  }
  return 0;
}

int64_t ChangeAction(Thread& thread) {
  const uint64_t signal = thread.Argument(0);
  if (!IsSignal(signal)) return -EINVAL;
  Process& process = *thread.process;
  utrace_sigaction& action = process.actions[signal];
  // As the kernel lays it out: handler, flags, restorer, mask.
  std::array<uint64_t, 4> image = {action.handler, action.flags, action.restorer, action.mask};
  if (thread.Argument(2) != 0 && !process.memory->Store(thread.Argument(2), image)) return -EFAULT;
  if (thread.Argument(1) == 0) return 0;
  const int number = static_cast<int>(signal);
  if ((kUnblockable & SignalBit(number)) != 0) return -EINVAL;
  if (!process.memory->Load(thread.Argument(1), &image)) return -EFAULT;
  action = {.handler = image[0], .flags = image[1], .restorer = image[2], .mask = image[3]};
  if (process.Ignores(number)) {
    process.shared.Remove(SignalBit(number));
    for (Thread* sibling : process.threads) sibling->own.Remove(SignalBit(number));
  }
  return 0;
}

int64_t ChangeAlternateStack(Thread& thread) {
  if (thread.Argument(0) == 0) return 0;
  stack_t stack{};
  if (!thread.process->memory->Load(thread.Argument(0), &stack)) return -EFAULT;
  if ((stack.ss_flags & SS_DISABLE) != 0) {
    thread.alternate_stack.reset();
  } else {
    thread.alternate_stack = stack;
  }
  return 0;
}

int64_t Queue(Thread& thread, uint64_t signal, uint64_t info_at, int64_t tid) {
  siginfo_t info{};
  if (!thread.process->memory->Load(info_at, &info)) return -EFAULT;
  info.si_signo = static_cast<int>(signal);
  if (tid == 0) return Kill(thread, static_cast<pid_t>(thread.Argument(0)), signal, &info);
  return KillThread(thread, static_cast<pid_t>(thread.Argument(0)), tid, signal, &info);
}

}  // namespace

bool IsSignalCall(long number) {
  switch (number) {
    case SYS_kill:
    case SYS_tkill:
    case SYS_tgkill:
    case SYS_rt_sigqueueinfo:
    case SYS_rt_tgsigqueueinfo:
    case SYS_rt_sigprocmask:
    case SYS_rt_sigaction:
    case SYS_sigaltstack:
      return true;
    default:
      return false;
  }
}

int64_t SignalCall(Thread& thread, long number) {
  const auto first = static_cast<pid_t>(thread.Argument(0));
  const auto second = static_cast<pid_t>(thread.Argument(1));
  switch (number) {
    case SYS_kill:
      return Kill(thread, first, thread.Argument(1), nullptr);
    case SYS_tkill:
      return KillThread(thread, 0, first, thread.Argument(1), nullptr);
    case SYS_tgkill:
      return KillThread(thread, first, second, thread.Argument(2), nullptr);
    case SYS_rt_sigqueueinfo:
      return Queue(thread, thread.Argument(1), thread.Argument(2), 0);
    case SYS_rt_tgsigqueueinfo:
      return Queue(thread, thread.Argument(2), thread.Argument(3), second);
    case SYS_rt_sigprocmask:
      return ChangeMask(thread);
    case SYS_rt_sigaction:
      return ChangeAction(thread);
    default:
      return ChangeAlternateStack(thread);
  }
}

}  // namespace utrace::model
