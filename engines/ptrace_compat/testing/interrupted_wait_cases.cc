// Signal handlers that run while a tracer waits.
#include <errno.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "engines/ptrace_compat/testing/probe.h"

using namespace probe;

namespace {

pid_t TracedThatRuns() {
  const pid_t pid = Traced(Forever);
  DO(PTRACE_CONT, pid, 0, 0);
  return pid;
}

// Sends thread `tid` of this process SIGUSR1 once it sleeps.
std::thread SignalWhenAsleep(pid_t tid) {
  return std::thread([tid] {
    UntilState(tid, 'S');
    syscall(SYS_tgkill, getpid(), tid, SIGUSR1);
  });
}

// Sends thread `tid` of this process SIGUSR1 again and again, at any moment, until `over`.
std::thread SignalUntil(pid_t tid, const std::atomic<bool>& over) {
  return std::thread([tid, &over] {
    while (!over) {
      syscall(SYS_tgkill, getpid(), tid, SIGUSR1);
      sched_yield();
    }
  });
}

void HandleSilently(int number, int flags) {
  struct sigaction action {};
  action.sa_flags = flags;
  action.sa_handler = [](int) {};
  if (sigaction(number, &action, nullptr) != 0) Scene("no handler");
}

void WaitOften(pid_t pid) {
  HandleSilently(SIGUSR1, 0);
  std::atomic<bool> over{false};
  std::thread helper = SignalUntil(gettid(), over);
  int interrupted = 0;
  for (int n = 0; n < 300; ++n) {
    int status = 0;
    if (wait4(pid, &status, __WALL, nullptr) < 0 && errno == EINTR) ++interrupted;
  }
  over = true;
  helper.join();
  Say("%d waits were interrupted", interrupted);
}

}  // namespace

CASE(wait_interrupted) {
  HandleLoudly(SIGUSR1);
  const pid_t pid = TracedThatRuns();
  std::thread helper = SignalWhenAsleep(gettid());
  Wait(pid);
  helper.join();
  KillAndReap(pid);
}

CASE(wait_interrupted_of_all) {
  HandleLoudly(SIGUSR1);
  const pid_t pid = TracedThatRuns();
  std::thread helper = SignalWhenAsleep(gettid());
  Wait(-1);
  helper.join();
  KillAndReap(pid);
}

CASE(wait_interrupted_of_both_kinds) {
  HandleLoudly(SIGUSR1);
  const pid_t pid = TracedThatRuns();
  const pid_t other = Forked(Forever, "untraced");
  std::thread helper = SignalWhenAsleep(gettid());
  Wait(-1);
  helper.join();
  KillAndReap(pid);
  KillAndReap(other);
}

CASE(wait_interrupted_of_untraced) {
  HandleLoudly(SIGUSR1);
  const pid_t pid = TracedThatRuns();
  const pid_t other = Forked(Forever, "untraced");
  std::thread helper = SignalWhenAsleep(gettid());
  Wait(other);
  helper.join();
  KillAndReap(pid);
  KillAndReap(other);
}

CASE(wait_interrupted_without_tracees) {
  HandleLoudly(SIGUSR1);
  const pid_t pid = Forked(Forever, "untraced");
  std::thread helper = SignalWhenAsleep(gettid());
  Wait(pid);
  helper.join();
  KillAndReap(pid);
}

CASE(wait_interrupted_at_any_moment) {
  const pid_t pid = TracedThatRuns();
  WaitOften(pid);
  WaitOften(-1);
  KillAndReap(pid);
}

CASE(wait_interrupted_at_any_moment_of_both_kinds) {
  const pid_t pid = TracedThatRuns();
  const pid_t other = Forked(Forever, "untraced");
  WaitOften(-1);
  WaitOften(other);
  KillAndReap(pid);
  KillAndReap(other);
}

CASE(wait_interrupted_at_any_moment_without_tracees) {
  const pid_t pid = Forked(Forever, "untraced");
  WaitOften(pid);
  KillAndReap(pid);
}

CASE(wait_interrupted_by_two) {
  // Both are there when the thread comes to take them: the handler of the second runs first, and the
  // flags of the first count.
  HandleLoudly(SIGUSR1);
  HandleLoudly(SIGUSR2, SA_RESTART);
  const pid_t tracer = getpid();
  const pid_t pid = TracedThatRuns();
  const pid_t other = Forked(
      [tracer] {
        UntilState(tracer, 'S');
        kill(tracer, SIGSTOP);
        UntilState(tracer, 'T');
        syscall(SYS_tgkill, tracer, tracer, SIGUSR1);
        syscall(SYS_tgkill, tracer, tracer, SIGUSR2);
        kill(tracer, SIGCONT);
      },
      "untraced");
  Wait(pid);
  Wait(other);
  KillAndReap(pid);
}

CASE(wait_tells_before_it_is_interrupted) {
  // Who waits and is sent the SIGCHLD of what it waits for is told, whatever the handler's flags.
  HandleLoudly(SIGCHLD);
  // It may stop before the request that let it go on has returned.
  const auto go_on = [](pid_t child) {
    sigset_t children;
    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    sigprocmask(SIG_BLOCK, &children, nullptr);
    DO(PTRACE_CONT, child, 0, 0);
    sigprocmask(SIG_UNBLOCK, &children, nullptr);
  };
  const pid_t pid = Seized(0, [] {
    raise(SIGUSR1);
    raise(SIGUSR2);
    _exit(5);
  });
  Wait(pid);
  go_on(pid);
  Wait(-1);
  Gate named;
  const pid_t other = Forked(
      [&named] {
        named.Pass();
        _exit(3);
      },
      "untraced");
  named.Open();
  Wait(-1);
  Wait(other, WNOHANG);
  go_on(pid);
  Wait(pid);
}

CASE(wait_mask_in_handler) {
  struct sigaction action {};
  action.sa_flags = SA_SIGINFO;
  sigaddset(&action.sa_mask, SIGUSR2);
  action.sa_sigaction = [](int, siginfo_t*, void*) {
    sigset_t set;
    pthread_sigmask(SIG_BLOCK, nullptr, &set);
    for (int number = 1; number < SIGRTMIN; ++number) {
      if (sigismember(&set, number) == 1) Say("blocked: %s", SignalName(number).c_str());
    }
  };
  sigaction(SIGUSR1, &action, nullptr);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGHUP);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  const pid_t pid = TracedThatRuns();
  raise(SIGUSR1);
  std::thread helper = SignalWhenAsleep(gettid());
  Wait(pid);
  helper.join();
  action.sa_flags |= SA_NODEFER;
  sigaction(SIGUSR1, &action, &action);
  Say("SIGUSR2 %d, SIGHUP %d, SIGRTMAX-5 %d", sigismember(&action.sa_mask, SIGUSR2),
      sigismember(&action.sa_mask, SIGHUP), sigismember(&action.sa_mask, SIGRTMAX - 5));
  raise(SIGUSR1);
  sigprocmask(SIG_BLOCK, nullptr, &set);
  Say("after: SIGUSR1 %d, SIGHUP %d", sigismember(&set, SIGUSR1), sigismember(&set, SIGHUP));
  KillAndReap(pid);
}

CASE(wait_restarted_at_any_moment) {
  HandleSilently(SIGUSR1, SA_RESTART);
  const pid_t pid = TracedThatRuns();
  std::atomic<bool> over{false};
  std::thread helper = SignalUntil(gettid(), over);
  std::thread killer([pid] {
    for (int n = 0; n < 1000; ++n) sched_yield();
    kill(pid, SIGTERM);
  });
  Wait(pid);
  DO(PTRACE_CONT, pid, 0, SIGTERM);
  Wait(-1);
  over = true;
  helper.join();
  killer.join();
}

CASE(wait_restarted) {
  HandleLoudly(SIGUSR1, SA_RESTART);
  const pid_t tracer = gettid();
  const pid_t pid = Traced(Forever);
  DO(PTRACE_CONT, pid, 0, 0);
  std::thread helper([tracer, pid] {
    UntilState(tracer, 'S');
    syscall(SYS_tgkill, getpid(), tracer, SIGUSR1);
    UntilState(tracer, 'S');
    kill(pid, SIGTERM);
  });
  Wait(pid);
  helper.join();
  KillAndReap(pid);
}
