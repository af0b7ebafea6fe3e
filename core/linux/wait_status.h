// What a wait says about a tracee.
#ifndef CORE_LINUX_WAIT_STATUS_H_
#define CORE_LINUX_WAIT_STATUS_H_

#include <sys/ptrace.h>
#include <sys/wait.h>

#include <csignal>

namespace utrace::linux_host {

// The classes of stops of a seized tracee (ptrace(2), "Stopped states").
enum class StopKind {
  kSyscall,  // entry or exit
  kSignal,   // signal-delivery-stop
  kTrap,     // PTRACE_EVENT_STOP: our interrupt, a newborn, or the end of a job control stop
  kGroup,    // PTRACE_EVENT_STOP of a job control stop
  kClone,    // fork, vfork, clone
  kExec,
  kExit,
  kFilter,  // a seccomp filter wants the system call to be seen that is about to run
  kOther,   // an event that was not asked for
};

struct Stop {
  StopKind kind = StopKind::kOther;
  int signal = 0;  // kSignal, kGroup
  int event = 0;   // PTRACE_EVENT_*, or zero
};

// Of siginfo.si_status as waitid fills it in for CLD_TRAPPED and CLD_STOPPED.
inline Stop DecodeStop(int wait_code) {
  Stop stop;
  stop.signal = wait_code & 0x7f;
  stop.event = wait_code >> 8;
  const bool good_syscall = (wait_code & 0xff) == (SIGTRAP | 0x80);
  switch (stop.event) {
    case 0:
      stop.kind = good_syscall ? StopKind::kSyscall : StopKind::kSignal;
      break;
    case PTRACE_EVENT_STOP:
      switch (stop.signal) {
        case SIGSTOP:
        case SIGTSTP:
        case SIGTTIN:
        case SIGTTOU:
          stop.kind = StopKind::kGroup;
          break;
        default:
          stop.kind = StopKind::kTrap;
          break;
      }
      break;
    case PTRACE_EVENT_CLONE:
    case PTRACE_EVENT_FORK:
    case PTRACE_EVENT_VFORK:
      stop.kind = StopKind::kClone;
      break;
    case PTRACE_EVENT_EXEC:
      stop.kind = StopKind::kExec;
      break;
    case PTRACE_EVENT_EXIT:
      stop.kind = StopKind::kExit;
      break;
    case PTRACE_EVENT_SECCOMP:
      stop.kind = StopKind::kFilter;
      break;
    default:
      break;
  }
  return stop;
}

// The raw status that wait4 would give for a death that waitid reported.
inline int RawExitStatus(const siginfo_t& info) {
  if (info.si_code == CLD_EXITED) return (info.si_status & 0xff) << 8;
  return (info.si_status & 0x7f) | (info.si_code == CLD_DUMPED ? 0x80 : 0);
}

// Whether the kernel sent this signal because of a step.
inline bool IsStepTrap(const siginfo_t& info) {
  return info.si_signo == SIGTRAP &&
         (info.si_code == TRAP_TRACE || info.si_code == TRAP_BRANCH || info.si_code == TRAP_BRKPT);
}

}  // namespace utrace::linux_host

#endif  // CORE_LINUX_WAIT_STATUS_H_
