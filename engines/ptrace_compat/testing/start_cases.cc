// How tracing begins and ends, and whose requests are refused.
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <thread>

#include "engines/ptrace_compat/testing/probe.h"

using namespace probe;

CASE(start_traceme_stops_at_exec) {
  const pid_t pid = Forked([] {
    Say("TRACEME: %ld", Ptrace(PTRACE_TRACEME, 0, 0, 0));
    execl("/bin/true", "true", nullptr);
  });
  Wait(pid);
  SayInfo(pid);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(start_traceme_twice) {
  const pid_t pid = Traced([] { DO(PTRACE_TRACEME, 0, 0, 0); });
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(start_traceme_ignores_its_arguments) {
  const pid_t pid = Forked([] {
    DO(PTRACE_TRACEME, 12345, 1, 2);
    raise(SIGUSR1);
  });
  Wait(pid);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(start_traceme_then_end_untouched) {
  const pid_t pid = Forked([] {
    DO(PTRACE_TRACEME, 0, 0, 0);
    _exit(9);
  });
  Wait(pid);
}

CASE(start_attach) {
  const pid_t pid = Forked(Forever);
  UntilState(pid, 'S');
  DO(PTRACE_ATTACH, pid, 0, 0);
  Wait(pid);
  SayInfo(pid);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid, WNOHANG);
  KillAndReap(pid);
}

CASE(start_attach_ignores_its_arguments) {
  const pid_t pid = Forked(Forever);
  DO(PTRACE_ATTACH, pid, 1, 2);
  Wait(pid);
  KillAndReap(pid);
}

CASE(start_attach_twice) {
  const pid_t pid = Traced(Forever);
  DO(PTRACE_ATTACH, pid, 0, 0);
  DO(PTRACE_SEIZE, pid, 0, 0);
  KillAndReap(pid);
}

CASE(start_attach_self) {
  DO(PTRACE_ATTACH, getpid(), 0, 0);
  DO(PTRACE_SEIZE, getpid(), 0, 0);
}

CASE(start_attach_own_thread) {
  Gate up;
  Gate done;
  std::thread thread([&] {
    SharedWords()[0] = gettid();
    up.Open();
    done.Pass();
  });
  up.Pass();
  const auto tid = static_cast<pid_t>(SharedWords()[0]);
  Name(tid, "a thread of its own");
  DO(PTRACE_ATTACH, tid, 0, 0);
  DO(PTRACE_SEIZE, tid, 0, 0);
  done.Open();
  thread.join();
}

CASE(start_attach_nobody) {
  const pid_t pid = Forked([] {});
  Wait(pid);
  DO(PTRACE_ATTACH, pid, 0, 0);
  DO(PTRACE_SEIZE, pid, 0, 0);
  DO(PTRACE_CONT, pid, 0, 0);
  DO(PTRACE_ATTACH, 0, 0, 0);
  DO(PTRACE_ATTACH, -1, 0, 0);
}

CASE(start_attach_zombie) {
  const pid_t pid = Forked([] {});
  WaitId(P_PID, static_cast<id_t>(pid), WEXITED | WNOWAIT);
  DO(PTRACE_ATTACH, pid, 0, 0);
  DO(PTRACE_SEIZE, pid, 0, 0);
  Wait(pid);
}

CASE(start_attach_kernel_thread) {
  Name(2, "kthreadd");
  char name[32] = "";
  FILE* file = fopen("/proc/2/comm", "r");
  if (file == nullptr || fgets(name, sizeof name, file) == nullptr ||
      std::string(name) != "kthreadd\n") {
    Scene("process 2 is no kernel thread");
  }
  fclose(file);
  DO(PTRACE_ATTACH, 2, 0, 0);
  DO(PTRACE_SEIZE, 2, 0, 0);
}

CASE(start_attach_parent) {
  // The tracer of this case is the child of its tracee.
  Gate attached;
  Gate told;
  const pid_t pid = Forked([&] {
    const pid_t parent = getppid();
    DO(PTRACE_ATTACH, parent, 0, 0);
    Wait(parent);
    DO(PTRACE_CONT, parent, 0, 0);
    attached.Open();
    told.Pass();
    DO(PTRACE_INTERRUPT, parent, 0, 0);
    kill(parent, SIGWINCH);
    Wait(parent);
    DO(PTRACE_DETACH, parent, 0, 0);
  });
  attached.Pass();
  told.Open();
  Wait(pid);
}

CASE(start_attach_grandchild) {
  Gate known;
  Gate end;
  const pid_t child = Forked([&] {
    const pid_t grandchild = Forked([&] { Forever(); }, "grandchild");
    SharedWords()[0] = grandchild;
    known.Open();
    Wait(grandchild);  // only its end is for the real parent
    end.Open();
  });
  known.Pass();
  const auto grandchild = static_cast<pid_t>(SharedWords()[0]);
  Name(grandchild, "grandchild");
  DO(PTRACE_ATTACH, grandchild, 0, 0);
  Wait(grandchild);
  DO(PTRACE_CONT, grandchild, 0, SIGTERM);
  Wait(grandchild);
  end.Pass();
  Wait(child);
}

CASE(start_seize_does_not_stop) {
  const pid_t pid = Forked(Forever);
  DO(PTRACE_SEIZE, pid, 0, 0);
  UntilState(pid, 'S');
  Wait(pid, WNOHANG);
  DO(PTRACE_CONT, pid, 0, 0);
  KillAndReap(pid);
}

CASE(start_seize_bad_arguments) {
  const pid_t pid = Forked(Forever);
  DO(PTRACE_SEIZE, pid, 1, 0);
  DO(PTRACE_SEIZE, pid, 0, 0x40000000);
  DO(PTRACE_SEIZE, pid, 0, -1L);
  KillAndReap(pid);
}

CASE(start_setoptions_bad) {
  const pid_t pid = Traced(Forever);
  DO(PTRACE_SETOPTIONS, pid, 0, 0x40000000);
  DO(PTRACE_SETOPTIONS, pid, 0, 0x100);
  DO(PTRACE_SETOPTIONS, pid, 0, -1L);
  DO(PTRACE_SETOPTIONS, pid, 0, 0x1ff);
  DO(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD);
  DO(21 /* PTRACE_OLDSETOPTIONS */, pid, 0, PTRACE_O_TRACESYSGOOD);
  KillAndReap(pid);
}

CASE(start_requests_on_running) {
  const pid_t pid = Forked(Forever);
  UntilState(pid, 'S');
  DO(PTRACE_SEIZE, pid, 0, 0);
  DO(PTRACE_CONT, pid, 0, 0);
  DO(PTRACE_SYSCALL, pid, 0, 0);
  DO(PTRACE_DETACH, pid, 0, 0);
  DO(PTRACE_SETOPTIONS, pid, 0, 0);
  DO(PTRACE_PEEKDATA, pid, SharedWords(), 0);
  DO(PTRACE_POKEDATA, pid, SharedWords(), 0);
  DO(PTRACE_PEEKUSER, pid, 0, 0);
  DO(PTRACE_LISTEN, pid, 0, 0);
  unsigned long message = 0;
  DO(PTRACE_GETEVENTMSG, pid, 0, &message);
  SayInfo(pid);
  KillAndReap(pid);
}

CASE(start_requests_on_strangers) {
  const pid_t pid = Forked(Forever);
  UntilState(pid, 'S');
  DO(PTRACE_CONT, pid, 0, 0);
  DO(PTRACE_DETACH, pid, 0, 0);
  DO(PTRACE_INTERRUPT, pid, 0, 0);
  DO(PTRACE_LISTEN, pid, 0, 0);
  DO(PTRACE_PEEKDATA, pid, SharedWords(), 0);
  DO(PTRACE_SETOPTIONS, pid, 0, 0);
  DO(PTRACE_KILL, pid, 0, 0);
  Wait(pid, WNOHANG);
  DO(PTRACE_CONT, 1, 0, 0);
  KillAndReap(pid);
}

CASE(start_unknown_request) {
  const pid_t pid = Traced(Forever);
  DO(0x7777, pid, 0, 0);
  DO(-1, pid, 0, 0);
  DO(10, pid, 0, 0);
  const pid_t stranger = Forked(Forever, "stranger");
  DO(0x7777, stranger, 0, 0);
  KillAndReap(stranger);
  KillAndReap(pid);
}

CASE(start_other_thread_than_tracer) {
  const pid_t pid = Traced([] { raise(SIGUSR1); });
  std::thread([pid] {
    DO(PTRACE_CONT, pid, 0, 0);
    DO(PTRACE_PEEKDATA, pid, SharedWords(), 0);
    DO(PTRACE_ATTACH, pid, 0, 0);
  }).join();
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
  KillAndReap(pid);
}

CASE(start_foreign_tracer) {
  const pid_t pid = Traced(Forever);
  const pid_t other = Forked(
      [pid] {
        DO(PTRACE_CONT, pid, 0, 0);
        DO(PTRACE_DETACH, pid, 0, 0);
        DO(PTRACE_KILL, pid, 0, 0);
        DO(PTRACE_INTERRUPT, pid, 0, 0);
      },
      "other");
  Wait(other);
  KillAndReap(pid);
}

CASE(start_second_tracer) {
  const pid_t pid = Traced(Forever);
  const pid_t other = Forked(
      [pid] {
        DO(PTRACE_ATTACH, pid, 0, 0);
        DO(PTRACE_SEIZE, pid, 0, 0);
      },
      "other");
  Wait(other);
  KillAndReap(pid);
}

CASE(start_detach_lets_go) {
  const pid_t pid = Traced([] {
    HandleLoudly(SIGUSR1);
    raise(SIGUSR1);
    Say("goes on");
  });
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
  DO(PTRACE_DETACH, pid, 0, 0);
  Wait(pid);
}

CASE(start_detach_with_signal) {
  const pid_t pid = Traced([] {
    HandleLoudly(SIGUSR1);
    HandleLoudly(SIGUSR2);
    raise(SIGUSR1);
    Say("goes on");
  });
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
  DO(PTRACE_DETACH, pid, 0, SIGUSR2);
  Wait(pid);
}

CASE(start_detach_with_fatal_signal) {
  const pid_t pid = Traced(Forever);
  DO(PTRACE_DETACH, pid, 0, SIGTERM);
  Wait(pid);
}

CASE(start_detach_bad_signal) {
  const pid_t pid = Traced(Forever);
  DO(PTRACE_DETACH, pid, 0, 65);
  DO(PTRACE_DETACH, pid, 0, -1L);
  DO(PTRACE_DETACH, pid, 0, 0);
  DO(PTRACE_DETACH, pid, 0, 0);
  KillAndReap(pid);
}

CASE(start_detach_and_attach_again) {
  const pid_t pid = Forked(Forever);
  for (int n = 0; n < 20; ++n) {
    if (Ptrace(PTRACE_ATTACH, pid, 0, 0) != 0) Say("attach: %s", ErrorName(errno).c_str());
    Expect(pid, StopStatus(SIGSTOP));
    if (Ptrace(PTRACE_DETACH, pid, 0, 0) != 0) Say("detach: %s", ErrorName(errno).c_str());
  }
  for (int n = 0; n < 20; ++n) {
    if (Ptrace(PTRACE_SEIZE, pid, 0, 0) != 0) Say("seize: %s", ErrorName(errno).c_str());
    if (Ptrace(PTRACE_INTERRUPT, pid, 0, 0) != 0) Say("interrupt: %s", ErrorName(errno).c_str());
    Expect(pid, StopStatus(SIGTRAP, PTRACE_EVENT_STOP));
    if (Ptrace(PTRACE_DETACH, pid, 0, 0) != 0) Say("detach: %s", ErrorName(errno).c_str());
  }
  UntilState(pid, 'S');
  Say("it sleeps untraced");
  KillAndReap(pid);
}

CASE(start_kill_stopped) {
  const pid_t pid = Traced(Forever);
  DO(PTRACE_KILL, pid, 0, 0);
  Wait(pid);
}

CASE(start_kill_running) {
  const pid_t pid = Forked(Forever);
  DO(PTRACE_SEIZE, pid, 0, 0);
  DO(PTRACE_KILL, pid, 0, 0);
  Wait(pid);
}

CASE(start_kill_zombie) {
  const pid_t pid = Traced([] {});
  DO(PTRACE_CONT, pid, 0, 0);
  WaitId(P_PID, static_cast<id_t>(pid), WEXITED | WNOWAIT);
  DO(PTRACE_KILL, pid, 0, 0);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(start_interrupt_of_attached) {
  const pid_t pid = Traced(Forever);
  DO(PTRACE_INTERRUPT, pid, 0, 0);
  DO(PTRACE_LISTEN, pid, 0, 0);
  KillAndReap(pid);
}

CASE(start_attach_undumpable) {
  Gate ready;
  const pid_t pid = Forked([&] {
    prctl(PR_SET_DUMPABLE, 0);
    if (setresuid(65534, 65534, 65534) != 0) Scene("the user cannot be changed");
    ready.Open();
    Forever();
  });
  ready.Pass();
  DO(PTRACE_ATTACH, pid, 0, 0);
  Wait(pid);
  KillAndReap(pid);
}
