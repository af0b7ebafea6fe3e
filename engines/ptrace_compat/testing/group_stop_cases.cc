// PTRACE_CONT, SYSCALL, SINGLESTEP and DETACH out of a group-stop: of tracees that are seized or not, that listen or
// do not; and what comes to a tracee that runs while its group stays stopped.
#include <unistd.h>

#include "engines/ptrace_compat/testing/probe.h"

using namespace probe;

namespace {

void StopThenCall() {
  raise(SIGSTOP);
  getppid();
}

// To the group-stop that its SIGSTOP begins.
void IntoGroupStop(pid_t pid) {
  Wait(pid);
  DO(PTRACE_CONT, pid, 0, SIGSTOP);
  Wait(pid);
  SayInfo(pid);
}

pid_t SeizedInGroupStop(long options = PTRACE_O_TRACESYSGOOD) {
  const pid_t pid = Seized(options, StopThenCall);
  IntoGroupStop(pid);
  return pid;
}

pid_t TracedInGroupStop() {
  const pid_t pid = Traced(StopThenCall);
  DO(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD);
  DO(PTRACE_CONT, pid, 0, 0);
  IntoGroupStop(pid);
  return pid;
}

void ListenUntilContinued(pid_t pid) {
  DO(PTRACE_LISTEN, pid, 0, 0);
  kill(pid, SIGCONT);
  Wait(pid);
  SayInfo(pid);
}

void DetachThenContinue(pid_t pid, int signal) {
  DO(PTRACE_DETACH, pid, 0, signal);
  UntilState(pid, 'T');
  Say("it is stopped");
  kill(pid, SIGCONT);
  Wait(pid);
}

}  // namespace

CASE(stop_seized_group_stop_then_syscall) {
  const pid_t pid = SeizedInGroupStop();
  DO(PTRACE_SYSCALL, pid, 0, 0);
  Wait(pid);
  KillAndReap(pid);
}

CASE(stop_traced_group_stop_then_syscall) {
  const pid_t pid = TracedInGroupStop();
  DO(PTRACE_SYSCALL, pid, 0, 0);
  Wait(pid);
  KillAndReap(pid);
}

CASE(stop_seized_group_stop_then_singlestep) {
  const pid_t pid = SeizedInGroupStop();
  DO(PTRACE_SINGLESTEP, pid, 0, 0);
  Wait(pid);
  KillAndReap(pid);
}

CASE(stop_traced_group_stop_then_singlestep) {
  const pid_t pid = TracedInGroupStop();
  DO(PTRACE_SINGLESTEP, pid, 0, 0);
  Wait(pid);
  KillAndReap(pid);
}

// No signal was about to be delivered, so none is in its place.
CASE(stop_seized_group_stop_then_signal) {
  const pid_t pid = SeizedInGroupStop();
  DO(PTRACE_CONT, pid, 0, SIGUSR1);
  Wait(pid);
}

CASE(stop_seized_group_stop_then_detach) { DetachThenContinue(SeizedInGroupStop(), 0); }

CASE(stop_traced_group_stop_then_detach) { DetachThenContinue(TracedInGroupStop(), 0); }

CASE(stop_seized_group_stop_then_detach_with_signal) {
  DetachThenContinue(SeizedInGroupStop(), SIGUSR1);
}

CASE(stop_attached_group_stop_then_detach) {
  const pid_t pid = Forked(Forever);
  DO(PTRACE_ATTACH, pid, 0, 0);
  Wait(pid);
  DO(PTRACE_CONT, pid, 0, SIGSTOP);
  Wait(pid);
  SayInfo(pid);
  DO(PTRACE_DETACH, pid, 0, 0);
  UntilState(pid, 'T');
  kill(pid, SIGCONT);
  UntilState(pid, 'S');
  KillAndReap(pid);
}

CASE(stop_listen_then_detach) {
  const pid_t pid = SeizedInGroupStop();
  DO(PTRACE_LISTEN, pid, 0, 0);
  for (const long request : {PTRACE_CONT, PTRACE_SYSCALL, PTRACE_SINGLESTEP, PTRACE_DETACH}) {
    DO(request, pid, 0, 0);  // it counts as running
  }
  DO(PTRACE_INTERRUPT, pid, 0, 0);
  Wait(pid);
  SayInfo(pid);
  DetachThenContinue(pid, 0);
}

CASE(stop_listen_and_sigcont_then_syscall) {
  const pid_t pid = SeizedInGroupStop();
  ListenUntilContinued(pid);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);  // SIGCONT itself
  for (int n = 0; n < 3; ++n) {
    DO(PTRACE_SYSCALL, pid, 0, 0);
    Wait(pid);
  }
  KillAndReap(pid);
}

CASE(stop_listen_and_sigcont_then_singlestep) {
  const pid_t pid = SeizedInGroupStop();
  ListenUntilContinued(pid);
  DO(PTRACE_SINGLESTEP, pid, 0, 0);
  Wait(pid);  // SIGCONT itself
  DO(PTRACE_SINGLESTEP, pid, 0, 0);
  Wait(pid);
  KillAndReap(pid);
}

CASE(stop_listen_and_sigcont_then_detach) {
  const pid_t pid = SeizedInGroupStop();
  ListenUntilContinued(pid);
  DO(PTRACE_DETACH, pid, 0, 0);
  Wait(pid);
}

CASE(stop_traced_group_stop_and_sigcont_then_syscall) {
  const pid_t pid = TracedInGroupStop();
  kill(pid, SIGCONT);
  DO(PTRACE_SYSCALL, pid, 0, 0);
  Wait(pid);
  DO(PTRACE_SYSCALL, pid, 0, 0);
  Wait(pid);
  KillAndReap(pid);
}

// ---- Running while the group stays stopped ----

namespace {

// Counts how often it was let through the gate, after it has stopped its group.
void CallsOnDemand(Gate* gate, volatile long* calls) {
  raise(SIGSTOP);
  for (;;) {
    gate->Pass();
    *calls = *calls + 1;
  }
}

void UntilCalls(volatile long* calls, long count) {
  while (*calls < count) usleep(1000);
}

}  // namespace

CASE(stop_runs_in_group_stop_then_interrupt) {
  for (const bool syscalls : {false, true}) {
    Gate gate;
    volatile long* const calls = SharedWords();
    const pid_t pid = Seized(PTRACE_O_TRACESYSGOOD, [&] { CallsOnDemand(&gate, calls); });
    IntoGroupStop(pid);
    DO(PTRACE_CONT, pid, 0, 0);
    gate.Open();
    UntilCalls(calls, 1);
    UntilState(pid, 'S');
    DO(PTRACE_INTERRUPT, pid, 0, 0);
    Wait(pid);
    SayInfo(pid);
    if (syscalls) {
      DO(PTRACE_SYSCALL, pid, 0, 0);
      Wait(pid);  // its call is made anew
    }
    DO(PTRACE_CONT, pid, 0, 0);
    gate.Open();
    UntilCalls(calls, 2);
    KillAndReap(pid);
  }
}

CASE(stop_runs_in_group_stop_then_listen) {
  Gate gate;
  volatile long* const calls = SharedWords();
  const pid_t pid = Seized(0, [&] { CallsOnDemand(&gate, calls); });
  IntoGroupStop(pid);
  DO(PTRACE_CONT, pid, 0, 0);
  gate.Open();
  UntilCalls(calls, 1);
  DO(PTRACE_INTERRUPT, pid, 0, 0);
  Wait(pid);
  DO(PTRACE_LISTEN, pid, 0, 0);
  gate.Open();
  Wait(pid, __WALL | WNOHANG);
  kill(pid, SIGCONT);
  Wait(pid);
  SayInfo(pid);
  Say("calls: %ld", *calls);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);  // SIGCONT itself
  DO(PTRACE_CONT, pid, 0, SIGCONT);
  UntilCalls(calls, 2);
  KillAndReap(pid);
}

CASE(stop_runs_in_group_stop_then_sigcont) {
  for (const bool seized : {true, false}) {
    Gate gate;
    volatile long* const calls = SharedWords();
    const auto body = [&] { CallsOnDemand(&gate, calls); };
    const pid_t pid = seized ? Seized(0, body) : Traced(body);
    if (!seized) DO(PTRACE_CONT, pid, 0, 0);
    IntoGroupStop(pid);
    DO(PTRACE_CONT, pid, 0, 0);
    gate.Open();
    UntilCalls(calls, 1);
    UntilState(pid, 'S');
    kill(pid, SIGCONT);
    Wait(pid);
    SayInfo(pid);
    DO(PTRACE_CONT, pid, 0, 0);
    if (seized) {
      Wait(pid);
      SayInfo(pid);
      DO(PTRACE_CONT, pid, 0, SIGCONT);
    }
    gate.Open();
    UntilCalls(calls, 2);
    KillAndReap(pid);
  }
}

// A stop signal stops the group anew.
CASE(stop_runs_in_group_stop_then_stop_signal) {
  for (const bool seized : {true, false}) {
    Gate gate;
    volatile long* const calls = SharedWords();
    const auto body = [&] { CallsOnDemand(&gate, calls); };
    const pid_t pid = seized ? Seized(0, body) : Traced(body);
    if (!seized) DO(PTRACE_CONT, pid, 0, 0);
    IntoGroupStop(pid);
    DO(PTRACE_CONT, pid, 0, 0);
    gate.Open();
    UntilCalls(calls, 1);
    kill(pid, SIGSTOP);
    IntoGroupStop(pid);
    DO(PTRACE_CONT, pid, 0, 0);
    gate.Open();
    UntilCalls(calls, 2);
    KillAndReap(pid);
  }
}

CASE(stop_runs_in_group_stop_then_detach) {
  Gate gate;
  volatile long* const calls = SharedWords();
  const pid_t pid = Seized(0, [&] { CallsOnDemand(&gate, calls); });
  IntoGroupStop(pid);
  DO(PTRACE_CONT, pid, 0, 0);
  gate.Open();
  UntilCalls(calls, 1);
  DO(PTRACE_INTERRUPT, pid, 0, 0);
  Wait(pid);
  DO(PTRACE_DETACH, pid, 0, 0);
  UntilState(pid, 'T');
  gate.Open();
  Say("calls: %ld", *calls);
  kill(pid, SIGCONT);
  UntilCalls(calls, 2);
  kill(pid, SIGKILL);
  Wait(pid);
}

CASE(stop_runs_in_group_stop_then_other_signals) {
  Gate gate;
  volatile long* const calls = SharedWords();
  const pid_t pid = Seized(PTRACE_O_TRACEEXIT, [&] {
    HandleLoudly(SIGUSR1);
    raise(SIGSTOP);
    gate.Pass();
    *calls = *calls + 1;
    gate.Pass();
    _exit(7);
  });
  IntoGroupStop(pid);
  DO(PTRACE_CONT, pid, 0, 0);
  gate.Open();
  UntilCalls(calls, 1);
  kill(pid, SIGUSR1);
  Wait(pid);
  SayInfo(pid);
  DO(PTRACE_CONT, pid, 0, SIGUSR1);
  gate.Open();
  Wait(pid);
  SayMessage(pid);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}
