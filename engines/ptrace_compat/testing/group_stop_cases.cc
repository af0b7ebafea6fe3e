// PTRACE_CONT, SYSCALL, SINGLESTEP and DETACH out of a group-stop: of tracees that are seized or not, that listen or
// do not.
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
