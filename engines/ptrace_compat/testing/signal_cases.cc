// Signals that a tracer sees, suppresses, replaces and injects.
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <thread>

#include "engines/ptrace_compat/testing/probe.h"

using namespace probe;

namespace {

void NoCore() {
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
}

}  // namespace

CASE(signal_suppressed) {
  const pid_t pid = Seized(0, [] {
    HandleLoudly(SIGUSR1);
    raise(SIGUSR1);
    Say("goes on");
  });
  Wait(pid);
  SayInfo(pid);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(signal_passed) {
  const pid_t pid = Seized(0, [] {
    HandleLoudly(SIGUSR1);
    raise(SIGUSR1);
    Say("goes on");
  });
  Wait(pid);
  DO(PTRACE_CONT, pid, 0, SIGUSR1);
  Wait(pid);
}

CASE(signal_replaced) {
  const pid_t pid = Seized(0, [] {
    HandleLoudly(SIGUSR1);
    HandleLoudly(SIGUSR2);
    raise(SIGUSR1);
    Say("goes on");
  });
  Wait(pid);
  DO(PTRACE_CONT, pid, 0, SIGUSR2);
  Wait(pid);
}

CASE(signal_replaced_by_blocked) {
  const pid_t pid = Seized(0, [] {
    HandleLoudly(SIGUSR2);
    Block(SIG_BLOCK, SIGUSR2);
    raise(SIGUSR1);
    Say("before");
    Block(SIG_UNBLOCK, SIGUSR2);
    Say("after");
  });
  Wait(pid);
  DO(PTRACE_CONT, pid, 0, SIGUSR2);
  Wait(pid);  // it is reported again
  SayInfo(pid);
  DO(PTRACE_CONT, pid, 0, SIGUSR2);
  Wait(pid);
}

CASE(signal_blocked_by_tracer) {
  const pid_t pid = Seized(0, [] {
    HandleLoudly(SIGUSR1);
    raise(SIGUSR1);
    Say("before");
    Block(SIG_UNBLOCK, SIGUSR1);
    Say("after");
  });
  Wait(pid);
  uint64_t mask = 1ULL << (SIGUSR1 - 1);
  DO(PTRACE_SETSIGMASK, pid, sizeof(mask), &mask);
  DO(PTRACE_CONT, pid, 0, SIGUSR1);
  Wait(pid);  // it is reported again
  SayInfo(pid);
  DO(PTRACE_CONT, pid, 0, SIGUSR1);
  Wait(pid);
}

// The call ends for it, although the mask that comes after the call blocks it.
CASE(signal_replaced_in_sigsuspend) {
  const pid_t pid = Seized(0, [] {
    HandleLoudly(SIGUSR2);
    Block(SIG_BLOCK, SIGUSR2);
    sigset_t none;
    sigemptyset(&none);
    sigsuspend(&none);
    Say("after");
  });
  UntilState(pid, 'S');
  kill(pid, SIGUSR1);
  Wait(pid);
  DO(PTRACE_CONT, pid, 0, SIGUSR2);
  Wait(pid);
}

CASE(signal_replaced_by_ignored) {
  const pid_t pid = Seized(0, [] {
    signal(SIGUSR2, SIG_IGN);
    raise(SIGUSR1);
    Say("goes on");
  });
  Wait(pid);
  DO(PTRACE_CONT, pid, 0, SIGUSR2);
  Wait(pid);
}

CASE(signal_replaced_by_kill) {
  const pid_t pid = Seized(0, [] { raise(SIGUSR1); });
  Wait(pid);
  DO(PTRACE_CONT, pid, 0, SIGKILL);
  Wait(pid);
}

CASE(signal_injected_at_call) {
  const pid_t pid = Seized(PTRACE_O_TRACESYSGOOD, [] {
    HandleLoudly(SIGUSR1);
    raise(SIGUSR2);
    syscall(SYS_getppid);
    Say("goes on");
  });
  Wait(pid);
  DO(PTRACE_SYSCALL, pid, 0, 0);
  Wait(pid);
  int status = 0;
  while (status == 0) {  // raise() ends in calls of its own
    if (Ptrace(PTRACE_PEEKUSER, pid, 8 * 15, 0) == SYS_getppid) break;
    Ptrace(PTRACE_SYSCALL, pid, 0, 0);
    Expect(pid, StopStatus(SIGTRAP | 0x80));
  }
  DO(PTRACE_SYSCALL, pid, 0, SIGUSR1);
  Wait(pid);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
  SayInfo(pid);
  DO(PTRACE_CONT, pid, 0, SIGUSR1);
  Wait(pid);
}

CASE(signal_injected_at_event_is_ignored) {
  const pid_t pid = Seized(PTRACE_O_TRACEEXIT, [] { _exit(2); });
  Wait(pid);
  DO(PTRACE_CONT, pid, 0, SIGUSR1);
  Wait(pid);
}

CASE(signal_injected_at_interrupt) {
  const pid_t pid = Seized(0, [] {
    HandleLoudly(SIGUSR1);
    while (SharedWords()[0] == 0) {
    }
  });
  DO(PTRACE_INTERRUPT, pid, 0, 0);
  Wait(pid);
  DO(PTRACE_CONT, pid, 0, SIGUSR1);
  SharedWords()[0] = 1;
  Wait(pid);
}

CASE(signal_bad_numbers) {
  const pid_t pid = Seized(0, [] { raise(SIGUSR1); });
  Wait(pid);
  DO(PTRACE_CONT, pid, 0, 65);
  DO(PTRACE_CONT, pid, 0, -1L);
  DO(PTRACE_SYSCALL, pid, 0, 1000);
  DO(PTRACE_SINGLESTEP, pid, 0, 65);
  DO(PTRACE_CONT, pid, 0, 64);
  Wait(pid);
}

CASE(signal_siginfo_changed) {
  const pid_t pid = Seized(0, [] {
    HandleLoudly(SIGUSR1);
    raise(SIGUSR1);
  });
  Wait(pid);
  siginfo_t info{};
  DO(PTRACE_GETSIGINFO, pid, 0, &info);
  info.si_code = SI_QUEUE;
  info.si_value.sival_int = 4711;
  DO(PTRACE_SETSIGINFO, pid, 0, &info);
  SayInfo(pid);
  DO(PTRACE_CONT, pid, 0, SIGUSR1);
  Wait(pid);
}

CASE(signal_siginfo_and_number_changed) {
  const pid_t pid = Seized(0, [] {
    HandleLoudly(SIGUSR2);
    raise(SIGUSR1);
  });
  Wait(pid);
  siginfo_t info{};
  info.si_signo = SIGUSR2;
  info.si_code = SI_QUEUE;
  info.si_value.sival_int = 4712;
  DO(PTRACE_SETSIGINFO, pid, 0, &info);
  DO(PTRACE_CONT, pid, 0, SIGUSR2);
  Wait(pid);
}

CASE(signal_siginfo_of_bad_address) {
  const pid_t pid = Seized(0, [] { raise(SIGUSR1); });
  Wait(pid);
  DO(PTRACE_GETSIGINFO, pid, 0, 8);
  DO(PTRACE_SETSIGINFO, pid, 0, 8);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(signal_kill_while_stopped) {
  const pid_t pid = Seized(0, [] { raise(SIGUSR1); });
  Wait(pid);
  kill(pid, SIGKILL);
  Wait(pid);
  DO(PTRACE_CONT, pid, 0, 0);
}

CASE(signal_kill_while_stopped_at_call) {
  const pid_t pid = Traced([] { getppid(); });
  DO(PTRACE_SYSCALL, pid, 0, 0);
  Wait(pid);
  kill(pid, SIGKILL);
  Wait(pid);
}

CASE(signal_two_at_once) {
  const pid_t pid = Seized(0, [] {
    HandleLoudly(SIGUSR1);
    HandleLoudly(SIGUSR2);
    sigset_t set;
    sigfillset(&set);
    sigprocmask(SIG_SETMASK, &set, nullptr);
    raise(SIGUSR2);
    raise(SIGUSR1);
    sigemptyset(&set);
    sigprocmask(SIG_SETMASK, &set, nullptr);
    Say("goes on");
  });
  Wait(pid);
  DO(PTRACE_CONT, pid, 0, SIGUSR1);
  Wait(pid);
  DO(PTRACE_CONT, pid, 0, SIGUSR2);
  Wait(pid);
}

CASE(signal_ignored_are_seen) {
  const pid_t pid = Seized(0, [] {
    signal(SIGUSR1, SIG_IGN);
    raise(SIGUSR1);
    raise(SIGWINCH);
    raise(SIGCONT);
    raise(SIGCHLD);
  });
  // The zero is for the trap that SIGCONT makes in a seized process.
  for (const int signal : {SIGUSR1, SIGWINCH, 0, SIGCONT, SIGCHLD}) {
    Wait(pid);
    DO(PTRACE_CONT, pid, 0, signal);
  }
  Wait(pid);
}

CASE(signal_queued_with_value) {
  const pid_t pid = Seized(0, [] {
    HandleLoudly(SIGRTMIN + 1);
    sigval value{};
    value.sival_int = 99;
    sigqueue(getpid(), SIGRTMIN + 1, value);
  });
  Wait(pid);
  SayInfo(pid);
  DO(PTRACE_CONT, pid, 0, SIGRTMIN + 1);
  Wait(pid);
}

CASE(signal_realtime_in_order) {
  const pid_t pid = Seized(0, [] {
    HandleLoudly(SIGRTMIN + 1);
    Block(SIG_BLOCK, SIGRTMIN + 1);
    for (int n = 1; n <= 3; ++n) {
      sigval value{};
      value.sival_int = n;
      sigqueue(getpid(), SIGRTMIN + 1, value);
    }
    Block(SIG_UNBLOCK, SIGRTMIN + 1);
  });
  for (int n = 0; n < 3; ++n) {
    Wait(pid);
    SayInfo(pid);
    DO(PTRACE_CONT, pid, 0, n == 1 ? 0 : SIGRTMIN + 1);
  }
  Wait(pid);
}

CASE(signal_sigtimedwait_takes_it) {
  const pid_t pid = Seized(0, [] {
    Block(SIG_BLOCK, SIGUSR1);
    raise(SIGUSR1);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    siginfo_t info{};
    Say("got %s", SignalName(sigwaitinfo(&set, &info)).c_str());
  });
  Wait(pid);
}

CASE(signal_fatal) {
  for (const int signal : {SIGTERM, SIGHUP, SIGRTMIN + 3}) {
    const pid_t pid = Seized(0, [signal] { raise(signal); });
    Wait(pid);
    DO(PTRACE_CONT, pid, 0, signal);
    Wait(pid);
  }
}

CASE(signal_abort) {
  const pid_t pid = Seized(0, [] {
    NoCore();
    abort();
  });
  Wait(pid);
  SayInfo(pid);
  DO(PTRACE_CONT, pid, 0, SIGABRT);
  Wait(pid);
}

CASE(signal_segv) {
  const pid_t pid = Seized(0, [] {
    NoCore();
    *reinterpret_cast<volatile int*>(0x10) = 1;
  });
  Wait(pid);
  siginfo_t info{};
  DO(PTRACE_GETSIGINFO, pid, 0, &info);
  Say("%s at %p", InfoText(info).c_str(), info.si_addr);
  DO(PTRACE_CONT, pid, 0, SIGSEGV);
  Wait(pid);
}

CASE(signal_segv_suppressed_comes_again) {
  const pid_t pid = Seized(0, [] { *reinterpret_cast<volatile int*>(0x10) = 1; });
  for (int n = 0; n < 3; ++n) {
    Wait(pid);
    DO(PTRACE_CONT, pid, 0, 0);
  }
  Wait(pid);
  DO(PTRACE_KILL, pid, 0, 0);
  Wait(pid);
}

CASE(signal_alarm) {
  const pid_t pid = Seized(0, [] {
    HandleLoudly(SIGALRM);
    const itimerval soon{{0, 0}, {0, 1000}};
    setitimer(ITIMER_REAL, &soon, nullptr);
    pause();
  });
  Wait(pid);
  SayInfo(pid);
  DO(PTRACE_CONT, pid, 0, SIGALRM);
  Wait(pid);
}

CASE(signal_to_one_thread) {
  Gate up;
  const pid_t pid = Seized(PTRACE_O_TRACECLONE, [&up] {
    HandleLoudly(SIGUSR1);
    std::thread([&up] {
      up.Open();
      pause();
      Say("the thread goes on");
    }).join();
  });
  Wait(pid);
  const pid_t thread = EventPid(pid, "thread");
  Wait(thread);
  DO(PTRACE_CONT, pid, 0, 0);
  DO(PTRACE_CONT, thread, 0, 0);
  up.Pass();
  UntilState(thread, 'S');
  syscall(SYS_tgkill, pid, thread, SIGUSR1);
  Wait(thread);
  SayInfo(thread);
  DO(PTRACE_CONT, thread, 0, SIGUSR1);
  Wait(thread);
  Wait(pid);
}

CASE(signal_interrupts_read) {
  for (const int flags : {0, SA_RESTART}) {
    Gate gate;
    const pid_t pid = Seized(0, [&gate, flags] {
      HandleLoudly(SIGUSR1, flags);
      char byte = 0;
      const ssize_t result = read(gate.fd(), &byte, 1);
      Say("read: %zd", result);
    });
    UntilState(pid, 'S');
    kill(pid, SIGUSR1);
    Wait(pid);
    DO(PTRACE_CONT, pid, 0, SIGUSR1);
    if (flags != 0) gate.Open();
    Wait(pid);
  }
}

CASE(signal_suppressed_restarts_calls) {
  const pid_t pid = Seized(PTRACE_O_TRACESYSGOOD, [] {
    HandleLoudly(SIGUSR1);
    const timespec long_time{0, 200000000};
    timespec left{};
    const int result = nanosleep(&long_time, &left);
    Say("nanosleep: %d", result);
  });
  UntilState(pid, 'S');
  kill(pid, SIGUSR1);
  Wait(pid);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(signal_mask) {
  const pid_t pid = Seized(0, [] {
    Block(SIG_BLOCK, SIGUSR2);
    raise(SIGUSR2);
    raise(SIGUSR1);
    Say("goes on");
  });
  Wait(pid);
  uint64_t mask = 0;
  DO(PTRACE_GETSIGMASK, pid, sizeof mask, &mask);
  Say("mask %#lx", mask);
  DO(PTRACE_GETSIGMASK, pid, 4, &mask);
  DO(PTRACE_SETSIGMASK, pid, 16, &mask);
  DO(PTRACE_GETSIGMASK, pid, sizeof mask, 8);
  DO(PTRACE_SETSIGMASK, pid, sizeof mask, 8);
  mask = (1UL << (SIGKILL - 1)) | (1UL << (SIGTERM - 1));
  DO(PTRACE_SETSIGMASK, pid, sizeof mask, &mask);
  DO(PTRACE_GETSIGMASK, pid, sizeof mask, &mask);
  Say("mask %#lx", mask);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);  // SIGUSR2 is not blocked any more
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(signal_peeksiginfo) {
  const pid_t pid = Seized(0, [] {
    Block(SIG_BLOCK, SIGUSR2);
    Block(SIG_BLOCK, SIGRTMIN + 1);
    sigval value{};
    value.sival_int = 5;
    sigqueue(getpid(), SIGRTMIN + 1, value);
    kill(getpid(), SIGUSR2);
    syscall(SYS_tgkill, getpid(), gettid(), SIGUSR2);
    raise(SIGUSR1);
  });
  Wait(pid);
  __ptrace_peeksiginfo_args arguments{0, 0, 8};
  siginfo_t infos[8] = {};
  const auto show = [&](long count) {
    for (long n = 0; n < count; ++n) Say("  %s", InfoText(infos[n]).c_str());
  };
  show(DO(PTRACE_PEEKSIGINFO, pid, &arguments, infos));
  arguments.flags = PTRACE_PEEKSIGINFO_SHARED;
  show(DO(PTRACE_PEEKSIGINFO, pid, &arguments, infos));
  arguments.off = 1;
  show(DO(PTRACE_PEEKSIGINFO, pid, &arguments, infos));
  arguments = {0, PTRACE_PEEKSIGINFO_SHARED, 1};
  show(DO(PTRACE_PEEKSIGINFO, pid, &arguments, infos));
  arguments = {100, 0, 1};
  DO(PTRACE_PEEKSIGINFO, pid, &arguments, infos);
  arguments = {0, 2, 1};
  DO(PTRACE_PEEKSIGINFO, pid, &arguments, infos);
  arguments = {0, 0, -1};
  DO(PTRACE_PEEKSIGINFO, pid, &arguments, infos);
  arguments = {0, 0, 1};
  DO(PTRACE_PEEKSIGINFO, pid, 8, infos);
  DO(PTRACE_KILL, pid, 0, 0);
  Wait(pid);
}
