// What the wait calls tell a tracer, and SIGCHLD.
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <thread>

#include "engines/ptrace_compat/testing/probe.h"

using namespace probe;

namespace {

// Blocks SIGCHLD, so that TakeSigchld has it.
void BlockSigchld() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  sigprocmask(SIG_BLOCK, &set, nullptr);
}

void TakeSigchld() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  siginfo_t info{};
  const timespec guard{10, 0};
  if (sigtimedwait(&set, &info, &guard) < 0) {
    Say("no SIGCHLD: %s", ErrorName(errno).c_str());
  } else {
    Say("got %s", InfoText(info).c_str());
  }
}

void SayPending() {
  sigset_t set;
  sigpending(&set);
  Say("SIGCHLD is %spending", sigismember(&set, SIGCHLD) != 0 ? "" : "not ");
}

}  // namespace

CASE(wait_nohang) {
  const pid_t pid = Traced(Forever);
  Wait(pid, WNOHANG);
  Wait(-1, WNOHANG);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid, WNOHANG);
  Wait(-1, WNOHANG);
  KillAndReap(pid);
  Wait(pid, WNOHANG);
  Wait(-1, WNOHANG);
}

CASE(wait_nowait_tells_again) {
  const pid_t pid = Traced([] { raise(SIGUSR1); });
  DO(PTRACE_CONT, pid, 0, 0);
  for (int n = 0; n < 2; ++n) WaitId(P_PID, static_cast<id_t>(pid), WSTOPPED | WEXITED | WNOWAIT);
  WaitId(P_PID, static_cast<id_t>(pid), WSTOPPED);
  WaitId(P_PID, static_cast<id_t>(pid), WSTOPPED | WNOHANG);
  DO(PTRACE_CONT, pid, 0, 0);
  for (int n = 0; n < 2; ++n) WaitId(P_PID, static_cast<id_t>(pid), WSTOPPED | WEXITED | WNOWAIT);
  WaitId(P_PID, static_cast<id_t>(pid), WEXITED);
  WaitId(P_PID, static_cast<id_t>(pid), WEXITED);
}

CASE(wait_waitid_by_kind) {
  const pid_t pid = Traced([] {
    raise(SIGUSR1);
    _exit(9);
  });
  DO(PTRACE_CONT, pid, 0, 0);
  WaitId(P_ALL, 0, WSTOPPED);
  DO(PTRACE_CONT, pid, 0, 0);
  WaitId(P_ALL, 0, WEXITED | WSTOPPED | WCONTINUED);
}

CASE(wait_waitid_killed) {
  const pid_t pid = Traced(Forever);
  DO(PTRACE_CONT, pid, 0, SIGTERM);
  WaitId(P_ALL, 0, WEXITED);
}

CASE(wait_waitid_event) {
  const pid_t pid = Traced([] { _exit(9); });
  DO(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACEEXIT | PTRACE_O_TRACESYSGOOD);
  DO(PTRACE_SYSCALL, pid, 0, 0);
  WaitId(P_PID, static_cast<id_t>(pid), WSTOPPED);
  DO(PTRACE_CONT, pid, 0, 0);
  WaitId(P_PID, static_cast<id_t>(pid), WSTOPPED);
  DO(PTRACE_CONT, pid, 0, 0);
  WaitId(P_PID, static_cast<id_t>(pid), WEXITED);
}

CASE(wait_waitid_exited_sees_stops) {
  const pid_t pid = Traced([] { raise(SIGUSR1); });
  DO(PTRACE_CONT, pid, 0, 0);
  WaitId(P_PID, static_cast<id_t>(pid), WEXITED);
  DO(PTRACE_CONT, pid, 0, 0);
  WaitId(P_PID, static_cast<id_t>(pid), WEXITED);
}

CASE(wait_pidfd) {
  const pid_t pid = Traced([] { raise(SIGUSR1); });
  const auto fd = static_cast<id_t>(syscall(SYS_pidfd_open, pid, 0));
  DO(PTRACE_CONT, pid, 0, 0);
  WaitId(P_PIDFD, fd, WSTOPPED);
  WaitId(P_PIDFD, fd, WSTOPPED | WNOHANG);
  DO(PTRACE_CONT, pid, 0, 0);
  WaitId(P_PIDFD, fd, WEXITED);
  WaitId(P_PIDFD, fd, WEXITED);
  WaitId(P_PIDFD, 9999, WEXITED);
}

CASE(wait_process_groups) {
  const pid_t pid = Traced([] {
    setpgid(0, 0);
    raise(SIGUSR1);
    raise(SIGUSR2);
  });
  Wait(0, WNOHANG);
  DO(PTRACE_CONT, pid, 0, 0);
  WaitId(P_PID, static_cast<id_t>(pid), WSTOPPED | WNOWAIT);
  Wait(0, WNOHANG);  // it is in a group of its own now
  Name(-pid, "its group");
  Wait(-pid);
  DO(PTRACE_CONT, pid, 0, 0);
  WaitId(P_PGID, static_cast<id_t>(pid), WSTOPPED);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(-pid);
  Wait(-pid);
}

CASE(wait_nobody) {
  Wait(-1);
  Wait(-1, WNOHANG);
  Wait(getpid());
  Wait(1);
  WaitId(P_ALL, 0, WEXITED);
  WaitId(P_ALL, 0, WSTOPPED | WNOHANG);
}

CASE(wait_bad_arguments) {
  const pid_t pid = Traced(Forever);
  Wait(pid, 0x400);
  WaitId(P_PID, static_cast<id_t>(pid), 0);
  WaitId(P_PID, static_cast<id_t>(pid), WNOHANG);
  WaitId(P_PID, static_cast<id_t>(pid), WEXITED | 0x400);
  WaitId(static_cast<idtype_t>(77), static_cast<id_t>(pid), WEXITED);
  WaitId(P_PID, 0, WEXITED);
  Wait(INT_MIN);
  KillAndReap(pid);
}

CASE(wait_bad_address) {
  const pid_t pid = Traced([] { raise(SIGUSR1); });
  DO(PTRACE_CONT, pid, 0, 0);
  UntilState(pid, 't');
  const long result = syscall(SYS_wait4, pid, nullptr, __WALL, nullptr);
  Say("without a status: %s", NameOf(static_cast<pid_t>(result)).c_str());
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(wait_traced_and_untraced) {
  const pid_t pid = Traced(Forever);
  const pid_t other = Forked([] { _exit(3); }, "untraced");
  Wait(-1);
  Wait(-1, WNOHANG);
  DO(PTRACE_CONT, pid, 0, SIGTERM);
  Wait(-1);
  Wait(other, WNOHANG);
}

CASE(wait_untraced_stops_and_continues) {
  const pid_t pid = Forked(Forever, "untraced");
  kill(pid, SIGSTOP);
  Wait(pid, WUNTRACED);
  Wait(pid, WUNTRACED | WNOHANG);
  kill(pid, SIGCONT);
  Wait(pid, WCONTINUED);
  WaitId(P_PID, static_cast<id_t>(pid), WCONTINUED | WNOHANG);
  KillAndReap(pid);
}

CASE(wait_continued_of_traced) {
  const pid_t pid = Seized(0, [] {
    raise(SIGSTOP);
    Forever();
  });
  Wait(pid);
  DO(PTRACE_CONT, pid, 0, SIGSTOP);
  Wait(pid);
  DO(PTRACE_LISTEN, pid, 0, 0);
  kill(pid, SIGCONT);
  UntilState(pid, 't');
  Wait(pid, __WALL | WCONTINUED);
  Wait(pid, __WALL | WCONTINUED | WNOHANG);
  KillAndReap(pid);
}

CASE(wait_thread_kinds) {
  const pid_t pid = Seized(PTRACE_O_TRACECLONE, [] { std::thread([] { raise(SIGUSR1); }).join(); });
  Wait(pid);
  const pid_t thread = EventPid(pid, "thread");
  Wait(thread, 0);
  DO(PTRACE_CONT, thread, 0, 0);
  Wait(thread, __WCLONE);
  DO(PTRACE_CONT, thread, 0, 0);
  Wait(thread, __WALL);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid, __WCLONE);
  Wait(pid, 0);
}

CASE(wait_nothread) {
  const pid_t pid = Traced([] { raise(SIGUSR1); });
  DO(PTRACE_CONT, pid, 0, 0);
  std::thread([pid] {
    Wait(pid, __WALL | __WNOTHREAD);
    WaitId(P_ALL, 0, WSTOPPED | __WNOTHREAD);
    Wait(-1, __WALL);
  }).join();
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid, __WALL | __WNOTHREAD);
}

CASE(wait_threads_trace_one_each) {
  Gate first;
  Gate second;
  std::thread one([&] {
    const pid_t pid = Traced(Forever, "first");
    second.Open();
    first.Pass();
    Wait(-1, __WALL | __WNOTHREAD | WNOHANG);
    kill(pid, SIGKILL);
    Wait(-1, __WALL | __WNOTHREAD);
    second.Open();
  });
  std::thread other([&] {
    second.Pass();
    const pid_t pid = Traced(Forever, "second");
    first.Open();
    second.Pass();
    kill(pid, SIGKILL);
    Wait(-1, __WALL | __WNOTHREAD);
  });
  one.join();
  other.join();
}

namespace {

// A process that is nobody's child here; what is asked of it comes through the gate.
pid_t ForkedAway(Gate* up, const char* name) {
  volatile long* const made = SharedWords();
  const pid_t middle = Forked(
      [&] {
        const pid_t pid = fork();
        if (pid != 0) {
          *made = pid;
        } else {
          up->Open();
          Forever();
        }
      },
      "middle");
  Expect(middle, 0);
  up->Pass();
  const pid_t pid = static_cast<pid_t>(*made);
  Name(pid, name);
  return pid;
}

}  // namespace

// A wait that stands while one thread seizes the process that it is going to tell of.
CASE(wait_stands_while_a_tracee_comes) {
  Gate up;
  const pid_t child = Forked(Forever);
  const pid_t other = ForkedAway(&up, "other");
  pid_t waiter = 0;
  std::thread thread([&] {
    __atomic_store_n(&waiter, gettid(), __ATOMIC_SEQ_CST);
    Wait(-1);
  });
  while (__atomic_load_n(&waiter, __ATOMIC_SEQ_CST) == 0) sched_yield();
  UntilState(waiter, 'S');
  Ptrace(PTRACE_SEIZE, other, 0, 0);
  Ptrace(PTRACE_INTERRUPT, other, 0, 0);
  thread.join();
  DO(PTRACE_DETACH, other, 0, 0);
  kill(other, SIGKILL);
  KillAndReap(child);
}

// One that stands while the only tracee that it could tell of is left, and another one comes.
CASE(wait_stands_while_tracees_change) {
  Gate up;
  const pid_t first = ForkedAway(&up, "first");
  const pid_t second = ForkedAway(&up, "second");
  DO(PTRACE_SEIZE, first, 0, 0);
  DO(PTRACE_INTERRUPT, first, 0, 0);
  Wait(first);
  pid_t waiter = 0;
  std::thread thread([&] {
    __atomic_store_n(&waiter, gettid(), __ATOMIC_SEQ_CST);
    Wait(-1);
  });
  while (__atomic_load_n(&waiter, __ATOMIC_SEQ_CST) == 0) sched_yield();
  UntilState(waiter, 'S');
  Ptrace(PTRACE_SEIZE, second, 0, 0);
  Ptrace(PTRACE_DETACH, first, 0, 0);
  Ptrace(PTRACE_INTERRUPT, second, 0, 0);
  thread.join();
  DO(PTRACE_DETACH, second, 0, 0);
  kill(first, SIGKILL);
  kill(second, SIGKILL);
}

CASE(wait_grandchild_reaped_by_both) {
  const pid_t child = Traced([] {
    const pid_t grandchild = fork();
    if (grandchild == 0) {
      raise(SIGUSR1);
      _exit(3);
    }
    int status = 0;
    while (waitpid(grandchild, &status, 0) != grandchild) {
    }
    Say("the real parent: %s", StatusText(status).c_str());
  });
  DO(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACEFORK);
  DO(PTRACE_CONT, child, 0, 0);
  Wait(child);
  const pid_t grandchild = EventPid(child, "grandchild");
  Wait(grandchild);
  DO(PTRACE_CONT, child, 0, 0);
  DO(PTRACE_CONT, grandchild, 0, 0);
  Wait(grandchild);
  DO(PTRACE_CONT, grandchild, 0, 0);
  Wait(grandchild);
  Wait(child);  // SIGCHLD
  DO(PTRACE_CONT, child, 0, 0);
  Wait(child);
}

CASE(sigchld_of_stop) {
  BlockSigchld();
  const pid_t pid = Seized(0, [] { raise(SIGUSR1); });
  TakeSigchld();
  SayPending();
  Wait(pid);
  DO(PTRACE_CONT, pid, 0, 0);
  TakeSigchld();
  Wait(pid);
}

CASE(sigchld_blocked_in_the_middle) {
  // None is kept before, and all are after that.
  const pid_t pid = Traced([] {
    for (;;) raise(SIGUSR1);
  });
  for (int n = 0; n < 20; ++n) {
    DO(PTRACE_CONT, pid, 0, 0);
    Wait(-1);
  }
  BlockSigchld();
  SayPending();
  DO(PTRACE_CONT, pid, 0, 0);
  TakeSigchld();
  Wait(-1);
  SayPending();
  KillAndReap(pid);
}

CASE(sigchld_of_death_by_signal) {
  BlockSigchld();
  const pid_t pid = Seized(0, Forever);
  kill(pid, SIGKILL);
  TakeSigchld();
  Wait(pid);
}

CASE(sigchld_of_event) {
  BlockSigchld();
  const pid_t pid = Seized(PTRACE_O_TRACEEXIT, [] { _exit(3); });
  TakeSigchld();
  Wait(pid);
  DO(PTRACE_CONT, pid, 0, 0);
  TakeSigchld();
  Wait(pid);
}

CASE(sigchld_handler) {
  HandleLoudly(SIGCHLD, SA_RESTART);
  const pid_t pid = Seized(0, [] { _exit(5); });
  Wait(pid);
}

CASE(sigchld_nocldstop) {
  BlockSigchld();
  struct sigaction action {};
  action.sa_handler = [](int) {};
  action.sa_flags = SA_NOCLDSTOP;
  sigaction(SIGCHLD, &action, nullptr);
  const pid_t pid = Seized(0, [] { raise(SIGUSR1); });
  Wait(pid);
  SayPending();
  DO(PTRACE_CONT, pid, 0, 0);
  TakeSigchld();
  Wait(pid);
}

CASE(sigchld_ignored) {
  signal(SIGCHLD, SIG_IGN);
  const pid_t pid = Seized(0, [] {
    raise(SIGUSR1);
    _exit(3);
  });
  Wait(pid);
  SayInfo(pid);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);  // nothing is left of it
}

CASE(sigchld_nocldwait) {
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  action.sa_flags = SA_NOCLDWAIT;
  sigaction(SIGCHLD, &action, nullptr);
  const pid_t pid = Seized(0, [] {
    raise(SIGUSR1);
    _exit(3);
  });
  Wait(pid);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(sigchld_handler_kept) {
  // What sigaction tells is what the program set, not what somebody else did with it.
  struct sigaction action {};
  HandleLoudly(SIGCHLD, SA_RESTART | SA_NOCLDSTOP);
  sigaction(SIGCHLD, nullptr, &action);
  Say("flags %#x", static_cast<unsigned>(action.sa_flags) & ~0x04000000U);
  signal(SIGCHLD, SIG_IGN);
  sigaction(SIGCHLD, nullptr, &action);
  Say("ignored: %d", action.sa_handler == SIG_IGN);
  const auto before = signal(SIGCHLD, SIG_DFL);
  Say("ignored before: %d", before == SIG_IGN);
  sigaction(SIGCHLD, nullptr, &action);
  Say("default: %d", action.sa_handler == SIG_DFL);
}

CASE(sigchld_of_group_stop_to_real_parent) {
  BlockSigchld();
  const pid_t pid = Forked([] {
    raise(SIGSTOP);
    Forever();
  });
  TakeSigchld();
  Wait(pid, WUNTRACED);
  kill(pid, SIGCONT);
  TakeSigchld();
  Wait(pid, WCONTINUED | WUNTRACED);
  KillAndReap(pid);
}

CASE(sigchld_pselect) {
  // How an event loop waits for its tracees.
  BlockSigchld();
  HandleLoudly(SIGCHLD);
  const pid_t pid = Seized(0, [] { raise(SIGUSR1); });
  sigset_t none;
  sigemptyset(&none);
  const int result = sigsuspend(&none);
  Say("sigsuspend: %d %s", result, ErrorName(errno).c_str());
  Wait(pid, __WALL | WNOHANG);
  DO(PTRACE_DETACH, pid, 0, 0);
  Wait(pid);
}
