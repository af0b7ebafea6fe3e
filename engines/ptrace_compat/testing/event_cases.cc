// Options and the events that they ask for.
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <thread>

#include "engines/ptrace_compat/testing/probe.h"

using namespace probe;

namespace {

void ForkOne() {
  const pid_t pid = fork();
  if (pid == 0) _exit(4);
  int status = 0;
  while (waitpid(pid, &status, 0) != pid) {
  }
  Say("its child %s", StatusText(status).c_str());
}

void VforkOne() {
  const pid_t pid = vfork();
  if (pid == 0) _exit(4);
  int status = 0;
  while (waitpid(pid, &status, 0) != pid) {
  }
  Say("its child %s", StatusText(status).c_str());
}

// As fork, with these flags of clone.
pid_t Clone(unsigned long flags) {
  return static_cast<pid_t>(syscall(SYS_clone, flags, 0, 0, 0, 0));
}

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

CASE(event_fork_of_traced) {
  const pid_t pid = Traced(ForkOne);
  DO(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACEFORK);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
  SayInfo(pid);
  const pid_t grandchild = EventPid(pid, "grandchild");
  Wait(grandchild);
  SayInfo(grandchild);
  DO(PTRACE_CONT, grandchild, 0, 0);
  Wait(grandchild);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);  // SIGCHLD
  DO(PTRACE_CONT, pid, 0, SIGCHLD);
  Wait(pid);
}

CASE(event_fork_of_seized) {
  const pid_t pid = Seized(PTRACE_O_TRACEFORK, ForkOne);
  Wait(pid);
  const pid_t grandchild = EventPid(pid, "grandchild");
  Wait(grandchild);
  SayInfo(grandchild);
  DO(PTRACE_CONT, grandchild, 0, 0);
  Wait(grandchild);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);  // SIGCHLD
  DO(PTRACE_CONT, pid, 0, SIGCHLD);
  Wait(pid);
}

CASE(event_fork_not_asked_for) {
  const pid_t pid = Traced(ForkOne);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);  // SIGCHLD
  DO(PTRACE_CONT, pid, 0, SIGCHLD);
  Wait(pid);
}

CASE(event_fork_detach_new_child) {
  const pid_t pid = Traced(ForkOne);
  DO(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACEFORK);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
  const pid_t grandchild = EventPid(pid, "grandchild");
  Wait(grandchild);
  DO(PTRACE_DETACH, grandchild, 0, 0);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);  // SIGCHLD
  DO(PTRACE_CONT, pid, 0, SIGCHLD);
  Wait(pid);
}

CASE(event_fork_detach_parent) {
  const pid_t pid = Traced(ForkOne);
  DO(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACEFORK);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
  const pid_t grandchild = EventPid(pid, "grandchild");
  Wait(grandchild);
  DO(PTRACE_DETACH, pid, 0, 0);
  DO(PTRACE_CONT, grandchild, 0, 0);
  Wait(grandchild);
  Wait(pid);
}

CASE(event_fork_options_inherited) {
  const pid_t pid = Traced([] {
    if (fork() == 0) {
      if (fork() == 0) _exit(2);
      _exit(1);
    }
    pause();
  });
  DO(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACEFORK);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
  const pid_t second = EventPid(pid, "second");
  Wait(second);
  DO(PTRACE_CONT, second, 0, 0);
  Wait(second);
  const pid_t third = EventPid(second, "third");
  Wait(third);
  DO(PTRACE_CONT, third, 0, 0);
  Wait(third);
  DO(PTRACE_DETACH, second, 0, 0);
  DO(PTRACE_KILL, pid, 0, 0);
  Wait(pid);
}

CASE(event_fork_with_syscall_stops) {
  const pid_t pid = Traced([] {
    const pid_t child = Clone(SIGCHLD);
    if (child == 0) _exit(0);
    getppid();
  });
  DO(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACEFORK | PTRACE_O_TRACESYSGOOD);
  DO(PTRACE_SYSCALL, pid, 0, 0);
  // Whatever glibc does before it forks is no concern of ours.
  int status = Wait(pid);
  for (int n = 0; n < 20 && status >> 16 != PTRACE_EVENT_FORK; ++n) {
    Ptrace(PTRACE_SYSCALL, pid, 0, 0);
    status = 0;
    if (waitpid(pid, &status, __WALL) != pid) break;
  }
  Say("%s", StatusText(status).c_str());
  const pid_t grandchild = EventPid(pid, "grandchild");
  Wait(grandchild);
  DO(PTRACE_SYSCALL, pid, 0, 0);
  Wait(pid);  // the end of the call
  DO(PTRACE_SYSCALL, grandchild, 0, 0);
  Wait(grandchild);  // the end of the call here, or the next one's beginning
  DO(PTRACE_CONT, grandchild, 0, 0);
  Wait(grandchild);
  DO(PTRACE_DETACH, pid, 0, 0);
  Wait(pid);
}

CASE(event_vfork) {
  const pid_t pid = Traced(VforkOne);
  DO(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACEVFORK);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
  SayInfo(pid);
  const pid_t grandchild = EventPid(pid, "grandchild");
  Wait(grandchild);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid, __WALL | WNOHANG);
  DO(PTRACE_CONT, grandchild, 0, 0);
  Wait(grandchild);
  Wait(pid);  // SIGCHLD
  DO(PTRACE_CONT, pid, 0, SIGCHLD);
  Wait(pid);
}

CASE(event_vfork_done) {
  const pid_t pid = Traced(VforkOne);
  DO(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACEVFORKDONE);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
  SayInfo(pid);
  EventPid(pid, "grandchild");
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);  // SIGCHLD
  DO(PTRACE_CONT, pid, 0, SIGCHLD);
  Wait(pid);
}

CASE(event_vfork_and_done_and_exec) {
  const pid_t pid = Traced([] {
    const pid_t child = vfork();
    if (child == 0) {
      execl("/bin/true", "true", nullptr);
      _exit(1);
    }
    pause();
  });
  DO(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACEVFORK | PTRACE_O_TRACEVFORKDONE | PTRACE_O_TRACEEXEC);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
  const pid_t grandchild = EventPid(pid, "grandchild");
  Wait(grandchild);
  DO(PTRACE_CONT, pid, 0, 0);
  DO(PTRACE_CONT, grandchild, 0, 0);
  Wait(grandchild);
  Wait(pid);
  EventPid(pid, "grandchild");
  DO(PTRACE_CONT, grandchild, 0, 0);
  Wait(grandchild);
  DO(PTRACE_KILL, pid, 0, 0);
  Wait(pid);
}

CASE(event_clone_of_thread) {
  const pid_t pid = Traced([] { std::thread([] { getppid(); }).join(); });
  DO(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACECLONE);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
  SayInfo(pid);
  const pid_t thread = EventPid(pid, "thread");
  Wait(thread);
  SayInfo(thread);
  DO(PTRACE_CONT, pid, 0, 0);
  DO(PTRACE_CONT, thread, 0, 0);
  Wait(thread);
  Wait(pid);
}

CASE(event_clone_by_exit_signal) {
  const pid_t pid = Traced([] {
    for (const unsigned long flags :
         {0UL, static_cast<unsigned long>(SIGUSR1), static_cast<unsigned long>(SIGCHLD)}) {
      if (Clone(flags) == 0) _exit(0);
      int status = 0;
      waitpid(-1, &status, __WALL);
    }
  });
  DO(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK);
  for (int n = 0; n < 3; ++n) {
    DO(PTRACE_CONT, pid, 0, 0);
    Wait(pid);
    const pid_t clone = EventPid(pid, "clone");
    Wait(clone);
    DO(PTRACE_DETACH, clone, 0, 0);
    if (n > 0) {
      DO(PTRACE_CONT, pid, 0, 0);
      Wait(pid);
    }
  }
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(event_clone_untraced) {
  const pid_t pid = Traced([] {
    const pid_t child = Clone(CLONE_UNTRACED | SIGCHLD);
    if (child == 0) _exit(3);
    int status = 0;
    while (waitpid(child, &status, 0) != child) {
    }
    Say("its child %s", StatusText(status).c_str());
  });
  DO(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(event_clone_ptrace_flag) {
  const pid_t pid = Traced([] {
    const pid_t child = Clone(CLONE_PTRACE | SIGCHLD);
    if (child == 0) _exit(3);
    SharedWords()[0] = child;
    raise(SIGUSR1);
    int status = 0;
    while (waitpid(child, &status, 0) != child) {
    }
  });
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
  const auto grandchild = static_cast<pid_t>(SharedWords()[0]);
  Name(grandchild, "grandchild");
  Wait(grandchild);
  DO(PTRACE_CONT, grandchild, 0, 0);
  Wait(grandchild);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(event_exec) {
  const pid_t pid = Traced([] { execl("/bin/true", "true", nullptr); });
  DO(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACEEXEC);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
  SayInfo(pid);
  EventPid(pid, "the same child");
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(event_exec_of_seized) {
  const pid_t pid = Seized(0, [] { execl("/bin/true", "true", nullptr); });
  Wait(pid);
}

CASE(event_exec_that_fails) {
  const pid_t pid = Traced([] {
    execl("/nowhere", "nowhere", nullptr);
    Say("exec: %s", ErrorName(errno).c_str());
  });
  DO(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACEEXEC);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(event_exec_with_syscall_stops) {
  const pid_t pid = Traced([] { execl("/bin/true", "true", nullptr); });
  DO(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACEEXEC | PTRACE_O_TRACESYSGOOD);
  for (int n = 0; n < 4; ++n) {
    DO(PTRACE_SYSCALL, pid, 0, 0);
    Wait(pid);
  }
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(event_exit) {
  const pid_t pid = Traced([] { _exit(3); });
  DO(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACEEXIT);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
  SayInfo(pid);
  SayMessage(pid);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(event_exit_by_signal) {
  const pid_t pid = Traced([] { raise(SIGTERM); });
  DO(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACEEXIT);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
  DO(PTRACE_CONT, pid, 0, SIGTERM);
  Wait(pid);
  SayMessage(pid);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(event_exit_registers) {
  const pid_t pid = Traced([] {
    SharedWords()[0] = 1234;
    _exit(3);
  });
  DO(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACEEXIT);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
  Say("peek: %ld", Ptrace(PTRACE_PEEKDATA, pid, ToArgument(SharedWords()), 0));
  DO(PTRACE_DETACH, pid, 0, 0);
  Wait(pid);
}

CASE(event_exit_of_threads) {
  // The end of the process would be that of a thread that has not ended altogether.
  Gate go;
  const pid_t pid = Traced([&go] {
    std::thread([] { syscall(SYS_exit, 7); }).join();
    go.Pass();
    _exit(3);
  });
  DO(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACEEXIT | PTRACE_O_TRACECLONE);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
  const pid_t thread = EventPid(pid, "thread");
  Wait(thread);
  DO(PTRACE_CONT, pid, 0, 0);
  DO(PTRACE_CONT, thread, 0, 0);
  Wait(thread);
  SayMessage(thread);
  DO(PTRACE_CONT, thread, 0, 0);
  Wait(thread);
  go.Open();
  Wait(pid);
  SayMessage(pid);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(event_options_removed) {
  const pid_t pid = Traced([] { _exit(3); });
  DO(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACEEXIT);
  DO(PTRACE_SETOPTIONS, pid, 0, 0);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(event_message_of_other_stops) {
  const pid_t pid = Traced([] {
    raise(SIGUSR1);
    getppid();
  });
  SayMessage(pid);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
  SayMessage(pid);
  DO(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD);
  for (int n = 0; n < 3; ++n) {
    DO(PTRACE_SYSCALL, pid, 0, 0);
    Wait(pid);
    SayMessage(pid);
  }
  DO(PTRACE_KILL, pid, 0, 0);
  Wait(pid);
}

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
  uint64_t metadata[2] = {0, 0};
  DO(PTRACE_SECCOMP_GET_METADATA, pid, sizeof metadata, metadata);
  Say("flags %lu", static_cast<unsigned long>(metadata[1]));
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}
