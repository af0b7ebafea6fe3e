// The events of seccomp filters, and requests about them.
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engines/ptrace_compat/testing/probe.h"

using namespace probe;

namespace {

// A filter that answers getppid with `answer`, and lets all else be.
void FilterGetppid(uint32_t answer) {
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, answer),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{4, code};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) Scene("no filter");
}

void SayParent() {
  errno = 0;
  const long result = syscall(SYS_getppid);
  Say("getppid: %s", result > 0 ? "an id" : ErrorName(errno).c_str());
}

}  // namespace

CASE(event_seccomp) {
  const pid_t pid = Seized(PTRACE_O_TRACESECCOMP, [] {
    FilterGetppid(SECCOMP_RET_TRACE | 42);
    SayParent();
  });
  Wait(pid);
  SayInfo(pid);
  SayMessage(pid);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(event_seccomp_with_syscall_stops) {
  const pid_t pid = Seized(PTRACE_O_TRACESECCOMP | PTRACE_O_TRACESYSGOOD, [] {
    FilterGetppid(SECCOMP_RET_TRACE | 7);
    SayParent();
    SayParent();
  });
  Wait(pid);
  DO(PTRACE_SYSCALL, pid, 0, 0);
  Wait(pid);  // its exit
  for (int n = 0; n < 5; ++n) {
    DO(PTRACE_SYSCALL, pid, 0, 0);
    Wait(pid);
  }
  DO(PTRACE_DETACH, pid, 0, 0);
  Wait(pid);
}

CASE(event_seccomp_not_asked_for) {
  const pid_t pid = Seized(0, [] {
    FilterGetppid(SECCOMP_RET_TRACE | 7);
    SayParent();
  });
  Wait(pid);
}

CASE(event_seccomp_errno) {
  const pid_t pid = Seized(PTRACE_O_TRACESECCOMP, [] {
    FilterGetppid(SECCOMP_RET_ERRNO | EXDEV);
    SayParent();
  });
  Wait(pid);
}

CASE(event_seccomp_trap) {
  const pid_t pid = Seized(PTRACE_O_TRACESECCOMP, [] {
    FilterGetppid(SECCOMP_RET_TRAP | 5);
    SayParent();
  });
  Wait(pid);
  SayInfo(pid);
  DO(PTRACE_CONT, pid, 0, SIGSYS);
  Wait(pid);
}

CASE(event_suspend_seccomp) {
  const pid_t pid = Seized(0, [] {
    FilterGetppid(SECCOMP_RET_ERRNO | EXDEV);
    SayParent();
    raise(SIGUSR1);
    SayParent();
    raise(SIGUSR1);
    SayParent();
  });
  Wait(pid);
  const long result = DO(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_SUSPEND_SECCOMP);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
  if (result == 0) DO(PTRACE_SETOPTIONS, pid, 0, 0);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(event_seccomp_get_filter) {
  const pid_t pid = Seized(0, [] {
    raise(SIGUSR1);
    FilterGetppid(SECCOMP_RET_ERRNO | EXDEV);
    raise(SIGUSR1);
  });
  Wait(pid);
  sock_filter code[16] = {};
  DO(PTRACE_SECCOMP_GET_FILTER, pid, 0, nullptr);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
  DO(PTRACE_SECCOMP_GET_FILTER, pid, 0, nullptr);
  DO(PTRACE_SECCOMP_GET_FILTER, pid, 0, code);
  Say("the answer is %#x, the first instruction %#x", code[2].k, code[0].code);
  DO(PTRACE_SECCOMP_GET_FILTER, pid, 1, code);
  uint64_t metadata[4] = {0, 7, 7, 7};
  DO(PTRACE_SECCOMP_GET_METADATA, pid, sizeof metadata[0] / 2, metadata);
  DO(PTRACE_SECCOMP_GET_METADATA, pid, sizeof metadata[0], metadata);
  DO(PTRACE_SECCOMP_GET_METADATA, pid, sizeof metadata, metadata);
  Say("flags %lu, behind them %lu", static_cast<unsigned long>(metadata[1]),
      static_cast<unsigned long>(metadata[2]));
  metadata[0] = 1;
  DO(PTRACE_SECCOMP_GET_METADATA, pid, sizeof metadata, metadata);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}
