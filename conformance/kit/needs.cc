#include "conformance/kit/needs.h"

#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>

#include "arch/absent_calls.h"

namespace utrace::kit {
namespace {

const char* NeedOfClone(int64_t flags) {
  if ((flags & CLONE_THREAD) != 0) return "thread";
  return (flags & CLONE_VFORK) != 0 ? "vfork" : "clone";
}

// A task that sends a signal itself, were it SIGKILL.
const char* NeedOfSending(int64_t signo) {
  const char* need = NeedOfSignal(static_cast<int>(signo));
  return need == nullptr ? "signal" : need;
}

const char* NeedOfCall(int64_t nr, const int64_t* arguments) {
  switch (nr) {
    case SYS_kill:
    case SYS_rt_sigqueueinfo:
      return NeedOfSending(arguments[1]);
    case SYS_tgkill:
      return NeedOfSending(arguments[2]);
    case SYS_rt_sigaction:
    case SYS_rt_sigpending:
    case SYS_rt_sigprocmask:
    case SYS_rt_sigreturn:
      return "signal";
    case SYS_setpgid:
    case SYS_getpgid:
    case SYS_setsid:
      return "job-control";
    case SYS_wait4:
    case SYS_waitid:
      return "wait";
    case SYS_clone:
      return NeedOfClone(arguments[0]);
    case SYS_clone3:
      return "clone";
    case SYS_fork:
      return "fork";
    case SYS_vfork:
      return "vfork";
    case SYS_execve:
    case SYS_execveat:
      return "exec";
    case SYS_nanosleep:
    case SYS_clock_nanosleep:
    case SYS_poll:
    case SYS_ppoll:
    case SYS_select:
    case SYS_pselect6:
    case SYS_epoll_wait:
    case SYS_epoll_pwait:
    case SYS_futex:
      return "timed";
    case SYS_mmap:
    case SYS_mprotect:
    case SYS_munmap:
      return "memory";
    default:
      return nullptr;
  }
}

}  // namespace

const char* NeedOfSignal(int signo) {
  switch (signo) {
    case SIGKILL:
      return nullptr;
    case SIGSTOP:
    case SIGTSTP:
    case SIGTTIN:
    case SIGTTOU:
    case SIGCONT:
      return "job-control";
    default:
      return "signal";
  }
}

const char* NeedOf(const puppet::Command& command) {
  switch (command.op) {
    case UTRACE_TARGET_SYSCALL:
    case UTRACE_TARGET_REPEAT:
      return NeedOfCall(command.nr, command.arguments);
    case UTRACE_TARGET_SPIN:
      return "spin";
    case UTRACE_TARGET_TIMED:
      return "timed";
    case UTRACE_TARGET_SPAWN:
      return command.nr == 0 ? "thread" : NeedOfCall(command.nr, command.arguments);
    case UTRACE_TARGET_FORK_BURST:
      return "fork";
    case UTRACE_TARGET_THREAD_BURST:
      return "thread";
    case UTRACE_TARGET_EXEC:
      return "exec";
    case UTRACE_TARGET_SIGACTION:
      return "signal";
    case UTRACE_TARGET_ALT_STACK:
      return "altstack";
    case UTRACE_TARGET_FAULT:
      return "fault";
    case UTRACE_TARGET_COPY:
      return "memory";
    case UTRACE_TARGET_STEPS:
    case UTRACE_TARGET_BRANCHES:
      return "step";
    case UTRACE_TARGET_REGISTERS_SPIN:
    case UTRACE_TARGET_REGISTERS_SYSCALL:
      return "registers";
    default:
      return nullptr;
  }
}

}  // namespace utrace::kit
