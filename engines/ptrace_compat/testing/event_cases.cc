// Options and the events that they ask for.
#include <errno.h>
#include <sched.h>
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

// Makes a child that its tracer's flags say nothing of, tells its id, stops, and waits for it.
void CloneTraced(unsigned long flags) {
  const pid_t child = Clone(CLONE_PTRACE | flags | SIGCHLD);
  if (child == 0) _exit(3);
  SharedWords()[0] = child;
  raise(SIGUSR1);
  int status = 0;
  while (waitpid(child, &status, 0) != child) {
  }
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
  const pid_t pid = Traced([] { CloneTraced(0); });
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

// What CLONE_PTRACE makes is traced as its maker is, whatever that one's options say.
CASE(event_clone_ptrace_flag_of_seized) {
  const pid_t pid = Seized(0, [] { CloneTraced(0); });
  Wait(pid);
  const auto grandchild = static_cast<pid_t>(SharedWords()[0]);
  Name(grandchild, "grandchild");
  Wait(grandchild);
  SayInfo(grandchild);
  DO(PTRACE_SETOPTIONS, grandchild, 0, PTRACE_O_TRACEEXIT);
  DO(PTRACE_CONT, grandchild, 0, 0);
  Wait(grandchild);
  SayMessage(grandchild);
  DO(PTRACE_DETACH, grandchild, 0, 0);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
  DO(PTRACE_CONT, pid, 0, SIGCHLD);
  Wait(pid);
}

CASE(event_clone_ptrace_flag_with_event) {
  const pid_t pid = Seized(PTRACE_O_TRACEVFORK, [] {
    CloneTraced(0);
    CloneTraced(CLONE_VFORK);
  });
  Wait(pid);  // no event of a fork
  const auto forked = static_cast<pid_t>(SharedWords()[0]);
  Name(forked, "the forked one");
  Wait(forked);
  DO(PTRACE_CONT, forked, 0, 0);
  Wait(forked);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);  // SIGCHLD
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
  const pid_t vforked = EventPid(pid, "the vforked one");
  Wait(vforked);
  DO(PTRACE_CONT, pid, 0, 0);
  DO(PTRACE_CONT, vforked, 0, 0);
  Wait(vforked);
  DO(PTRACE_KILL, pid, 0, 0);
  int status = 0;
  while (waitpid(pid, &status, __WALL) == pid && !WIFSIGNALED(status)) {
  }
  Say("%s", StatusText(status).c_str());
}

// The kernel ties it to the tracer, and makes no event.
CASE(event_clone_ptrace_and_untraced) {
  const pid_t pid = Seized(PTRACE_O_TRACEFORK, [] {
    const pid_t child = Clone(CLONE_PTRACE | CLONE_UNTRACED | SIGCHLD);
    if (child == 0) _exit(3);
    SharedWords()[0] = child;
    int status = 0;
    while (waitpid(child, &status, 0) != child) {
    }
    Say("its child %s", StatusText(status).c_str());
  });
  while (SharedWords()[0] == 0) sched_yield();
  const auto grandchild = static_cast<pid_t>(SharedWords()[0]);
  Name(grandchild, "grandchild");
  if (Wait(grandchild) > 0) DO(PTRACE_DETACH, grandchild, 0, 0);
  Wait(pid);
  DO(PTRACE_CONT, pid, 0, SIGCHLD);
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
