// INTERRUPT, LISTEN and group-stops.
#include <errno.h>
#include <sched.h>
#include <unistd.h>

#include <thread>

#include "engines/ptrace_compat/testing/probe.h"

using namespace probe;

namespace {

void Spin() {
  volatile long* words = SharedWords();
  while (words[0] == 0) words[1] = words[1] + 1;
}

}  // namespace

CASE(stop_interrupt_of_spinning) {
  const pid_t pid = Seized(0, Spin);
  while (SharedWords()[1] == 0) sched_yield();
  DO(PTRACE_INTERRUPT, pid, 0, 0);
  Wait(pid);
  SayInfo(pid);
  SayMessage(pid);
  SharedWords()[0] = 1;
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(stop_interrupt_of_blocked) {
  const pid_t pid = Seized(0, [] {
    HandleLoudly(SIGUSR1);
    const int result = pause();
    Say("pause: %d %s", result, ErrorName(errno).c_str());
  });
  UntilState(pid, 'S');
  DO(PTRACE_INTERRUPT, pid, 0, 0);
  Wait(pid);
  SayInfo(pid);
  DO(PTRACE_CONT, pid, 0, 0);
  UntilState(pid, 'S');
  kill(pid, SIGUSR1);
  Wait(pid);
  DO(PTRACE_CONT, pid, 0, SIGUSR1);
  Wait(pid);
}

CASE(stop_interrupt_of_read) {
  Gate gate;
  const pid_t pid = Seized(0, [&] {
    char byte;
    const ssize_t result = read(gate.fd(), &byte, 1);
    Say("read: %zd", result);
  });
  UntilState(pid, 'S');
  DO(PTRACE_INTERRUPT, pid, 0, 0);
  Wait(pid);
  DO(PTRACE_CONT, pid, 0, 0);
  UntilState(pid, 'S');
  gate.Open();
  Wait(pid);
}

CASE(stop_interrupt_while_stopped) {
  const pid_t pid = Seized(0, [] { raise(SIGUSR1); });
  Wait(pid);
  DO(PTRACE_INTERRUPT, pid, 0, 0);
  Wait(pid, WNOHANG);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(stop_interrupt_while_interrupted) {
  const pid_t pid = Seized(0, Spin);
  DO(PTRACE_INTERRUPT, pid, 0, 0);
  Wait(pid);
  DO(PTRACE_INTERRUPT, pid, 0, 0);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
  SharedWords()[0] = 1;
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(stop_interrupt_then_syscall) {
  Gate go;
  const pid_t pid = Seized(PTRACE_O_TRACESYSGOOD, [&] {
    go.Pass();
    getppid();
  });
  UntilState(pid, 'S');
  DO(PTRACE_INTERRUPT, pid, 0, 0);
  Wait(pid);
  DO(PTRACE_SYSCALL, pid, 0, 0);
  go.Open();
  Wait(pid);
  DO(PTRACE_SYSCALL, pid, 0, 0);
  Wait(pid);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(stop_interrupt_with_signal_pending) {
  const pid_t pid = Seized(0, [] {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, nullptr);
    raise(SIGUSR1);
    Spin();
    sigprocmask(SIG_UNBLOCK, &set, nullptr);
  });
  while (SharedWords()[1] == 0) sched_yield();
  DO(PTRACE_INTERRUPT, pid, 0, 0);
  Wait(pid);
  DO(PTRACE_CONT, pid, 0, 0);
  SharedWords()[0] = 1;
  Wait(pid);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(stop_group_stop_of_seized) {
  const pid_t pid = Seized(0, [] { raise(SIGSTOP); });
  Wait(pid);
  SayInfo(pid);
  DO(PTRACE_CONT, pid, 0, SIGSTOP);
  Wait(pid);
  SayInfo(pid);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(stop_group_stop_of_attached) {
  const pid_t pid = Traced([] { raise(SIGSTOP); });
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
  SayInfo(pid);
  DO(PTRACE_CONT, pid, 0, SIGSTOP);
  Wait(pid);
  SayInfo(pid);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(stop_group_stop_suppressed) {
  const pid_t pid = Seized(0, [] { raise(SIGSTOP); });
  Wait(pid);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(stop_group_stop_by_other_signals) {
  for (const int signal : {SIGTSTP, SIGTTIN, SIGTTOU}) {
    // In a process group that has a parent outside, or such signals stop nobody.
    const pid_t pid = Seized(0, [signal] {
      setpgid(0, 0);
      raise(signal);
    });
    Wait(pid);
    DO(PTRACE_CONT, pid, 0, signal);
    Wait(pid);
    SayInfo(pid);
    DO(PTRACE_CONT, pid, 0, 0);
    Wait(pid);
  }
}

CASE(stop_listen) {
  const pid_t pid = Seized(0, [] { raise(SIGSTOP); });
  Wait(pid);
  DO(PTRACE_LISTEN, pid, 0, 0);  // this is no group-stop
  DO(PTRACE_CONT, pid, 0, SIGSTOP);
  Wait(pid);
  DO(PTRACE_LISTEN, pid, 0, 0);
  Wait(pid, WNOHANG);
  DO(PTRACE_CONT, pid, 0, 0);  // it counts as running
  kill(pid, SIGCONT);
  Wait(pid);
  SayInfo(pid);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
  DO(PTRACE_CONT, pid, 0, SIGCONT);
  Wait(pid);
}

CASE(stop_listen_then_interrupt) {
  const pid_t pid = Seized(0, [] { raise(SIGSTOP); });
  Wait(pid);
  DO(PTRACE_CONT, pid, 0, SIGSTOP);
  Wait(pid);
  DO(PTRACE_LISTEN, pid, 0, 0);
  DO(PTRACE_INTERRUPT, pid, 0, 0);
  Wait(pid);
  SayInfo(pid);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(stop_listen_then_kill) {
  const pid_t pid = Seized(0, [] { raise(SIGSTOP); });
  Wait(pid);
  DO(PTRACE_CONT, pid, 0, SIGSTOP);
  Wait(pid);
  DO(PTRACE_LISTEN, pid, 0, 0);
  KillAndReap(pid);
}

CASE(stop_listen_outside_of_group_stop) {
  const pid_t pid = Seized(0, Spin);
  DO(PTRACE_INTERRUPT, pid, 0, 0);
  Wait(pid);
  DO(PTRACE_LISTEN, pid, 0, 0);
  Wait(pid, WNOHANG);
  DO(PTRACE_INTERRUPT, pid, 0, 0);
  Wait(pid);
  SharedWords()[0] = 1;
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(stop_sigcont_during_group_stop) {
  const pid_t pid = Seized(0, [] { raise(SIGSTOP); });
  Wait(pid);
  DO(PTRACE_CONT, pid, 0, SIGSTOP);
  Wait(pid);
  kill(pid, SIGCONT);
  Wait(pid, WNOHANG);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
  DO(PTRACE_CONT, pid, 0, SIGCONT);
  Wait(pid);
}

CASE(stop_sigcont_during_signal_stop) {
  const pid_t pid = Traced([] {
    HandleLoudly(SIGCONT);
    raise(SIGUSR1);
  });
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
  kill(pid, SIGCONT);
  Wait(pid, WNOHANG);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
  DO(PTRACE_CONT, pid, 0, SIGCONT);
  Wait(pid);
}

CASE(stop_attach_to_stopped) {
  const pid_t pid = Forked([] { raise(SIGSTOP); });
  WaitId(P_PID, static_cast<id_t>(pid), WSTOPPED);
  DO(PTRACE_ATTACH, pid, 0, 0);
  Wait(pid);
  SayInfo(pid);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
  SayInfo(pid);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(stop_seize_of_stopped) {
  const pid_t pid = Forked([] { raise(SIGSTOP); });
  WaitId(P_PID, static_cast<id_t>(pid), WSTOPPED);
  DO(PTRACE_SEIZE, pid, 0, 0);
  Wait(pid);
  SayInfo(pid);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(stop_detach_leaves_group_stop) {
  const pid_t pid = Forked([] { raise(SIGSTOP); });
  WaitId(P_PID, static_cast<id_t>(pid), WSTOPPED);
  DO(PTRACE_SEIZE, pid, 0, 0);
  Wait(pid);
  DO(PTRACE_DETACH, pid, 0, 0);
  UntilState(pid, 'T');
  Say("it is stopped");
  kill(pid, SIGCONT);
  Wait(pid);
}

CASE(stop_detach_with_sigstop) {
  const pid_t pid = Traced(Forever);
  DO(PTRACE_DETACH, pid, 0, SIGSTOP);
  Wait(pid, __WALL | WUNTRACED);
  UntilState(pid, 'T');
  kill(pid, SIGCONT);
  UntilState(pid, 'S');
  KillAndReap(pid);
}

CASE(stop_group_stop_of_threads) {
  const pid_t pid = Seized(PTRACE_O_TRACECLONE, [] {
    Gate up;
    std::thread thread([&] {
      up.Open();
      Forever();
    });
    up.Pass();
    raise(SIGSTOP);
    _exit(5);
  });
  Wait(pid);
  const pid_t thread = EventPid(pid, "thread");
  Wait(thread);
  DO(PTRACE_CONT, thread, 0, 0);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
  UntilState(thread, 'S');
  DO(PTRACE_CONT, pid, 0, SIGSTOP);
  Wait(pid);
  Wait(thread);
  SayInfo(thread);
  DO(PTRACE_LISTEN, thread, 0, 0);
  DO(PTRACE_LISTEN, pid, 0, 0);
  kill(pid, SIGCONT);
  Wait(pid);
  Wait(thread);
  // The signal is still to be delivered, to the first thread that runs on.
  DO(PTRACE_CONT, thread, 0, 0);
  Wait(thread);
  kill(pid, SIGKILL);
  Wait(thread);
  Wait(pid);
}

CASE(stop_interrupt_of_one_thread) {
  Gate go;
  const pid_t pid = Seized(PTRACE_O_TRACECLONE, [&go] {
    std::thread thread([&go] {
      go.Pass();
      _exit(6);
    });
    Forever();
  });
  Wait(pid);
  const pid_t thread = EventPid(pid, "thread");
  Wait(thread);
  DO(PTRACE_CONT, thread, 0, 0);
  DO(PTRACE_CONT, pid, 0, 0);
  UntilState(pid, 'S');
  DO(PTRACE_INTERRUPT, pid, 0, 0);
  Wait(pid);
  Wait(thread, __WALL | WNOHANG);
  go.Open();
  Wait(thread);
  Wait(pid);
}
