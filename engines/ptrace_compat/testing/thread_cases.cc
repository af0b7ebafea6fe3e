// Threads that exec, leaders that end first, and tracers that die.
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <thread>

#include "engines/ptrace_compat/testing/probe.h"

using namespace probe;

namespace {

// A tracer in a process of its own.
pid_t Tracer(const std::function<void()>& work) { return Forked(work, "a tracer"); }

}  // namespace

CASE(thread_exec_by_leader) {
  Gate up;
  const pid_t pid = Seized(PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC, [&up] {
    std::thread thread([&up] {
      up.Open();
      Forever();
    });
    up.Pass();
    execl("/bin/true", "true", nullptr);
  });
  Wait(pid);
  const pid_t thread = EventPid(pid, "thread");
  Wait(thread);
  DO(PTRACE_CONT, thread, 0, 0);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(thread);
  Wait(pid);
  EventPid(pid, "the same child");
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(thread_exec_by_thread) {
  const pid_t pid = Seized(PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC, [] {
    std::thread thread([] { execl("/bin/true", "true", nullptr); });
    Forever();
  });
  Wait(pid);
  const pid_t thread = EventPid(pid, "thread");
  Wait(thread);
  DO(PTRACE_CONT, pid, 0, 0);
  UntilState(pid, 'S');
  DO(PTRACE_CONT, thread, 0, 0);
  Wait(pid);
  unsigned long message = 0;
  DO(PTRACE_GETEVENTMSG, pid, 0, &message);
  Say("the message is %s", NameOf(static_cast<pid_t>(message)).c_str());
  DO(PTRACE_CONT, thread, 0, 0);
  Wait(thread, __WALL | WNOHANG);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(thread_exec_by_thread_of_traceme) {
  const pid_t pid = Traced([] {
    std::thread thread([] { execl("/bin/true", "true", nullptr); });
    Forever();
  });
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(thread_exec_with_exit_events) {
  Gate up;
  const pid_t pid = Seized(PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_TRACEEXIT, [&up] {
    std::thread thread([&up] {
      up.Open();
      Forever();
    });
    up.Pass();
    execl("/bin/true", "true", nullptr);
  });
  Wait(pid);
  const pid_t thread = EventPid(pid, "thread");
  Wait(thread);
  DO(PTRACE_CONT, thread, 0, 0);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(thread);  // its exit
  DO(PTRACE_CONT, thread, 0, 0);
  Wait(thread);
  Wait(pid);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
  SayMessage(pid);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(thread_continued_while_running) {
  Gate go;
  const pid_t pid = Seized(PTRACE_O_TRACECLONE, [&go] {
    std::thread thread([&go] {
      Block(SIG_BLOCK, SIGCONT);  // the other one takes it
      go.Pass();
    });
    thread.join();
  });
  Wait(pid);
  const pid_t thread = EventPid(pid, "thread");
  Wait(thread);
  DO(PTRACE_CONT, thread, 0, 0);
  DO(PTRACE_CONT, pid, 0, 0);
  UntilState(thread, 'S');
  UntilState(pid, 'S');
  kill(pid, SIGCONT);
  Wait(thread);
  Wait(pid);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);  // the signal
  DO(PTRACE_CONT, pid, 0, SIGCONT);
  DO(PTRACE_CONT, thread, 0, 0);
  UntilState(thread, 'S');
  go.Open();
  Wait(thread);
  Wait(pid);
}

CASE(thread_leader_ends_first) {
  Gate go;
  const pid_t pid = Seized(PTRACE_O_TRACECLONE, [&go] {
    std::thread thread([&go] {
      go.Pass();
      _exit(4);
    });
    syscall(SYS_exit, 7);
  });
  Wait(pid);
  const pid_t thread = EventPid(pid, "thread");
  Wait(thread);
  DO(PTRACE_CONT, pid, 0, 0);
  UntilState(pid, 'Z');
  Wait(pid, __WALL | WNOHANG);
  DO(PTRACE_CONT, thread, 0, 0);
  go.Open();
  Wait(thread);
  Wait(pid);
}

CASE(thread_eight) {
  const pid_t pid = Seized(PTRACE_O_TRACECLONE, [] {
    std::thread threads[8];
    for (std::thread& thread : threads) thread = std::thread([] { getppid(); });
    for (std::thread& thread : threads) thread.join();
  });
  for (int n = 0; n < 8; ++n) {
    Wait(pid);
    const pid_t thread = EventPid(pid, "thread");
    Wait(thread);
    DO(PTRACE_CONT, thread, 0, 0);
    Wait(thread);
    DO(PTRACE_CONT, pid, 0, 0);
  }
  Wait(pid);
}

CASE(thread_attach_to_each) {
  Gate up;
  const pid_t pid = Forked([&up] {
    std::thread thread([&up] {
      SharedWords()[0] = gettid();
      up.Open();
      Forever();
    });
    Forever();
  });
  up.Pass();
  const auto thread = static_cast<pid_t>(SharedWords()[0]);
  Name(thread, "thread");
  DO(PTRACE_ATTACH, thread, 0, 0);
  Wait(thread);
  DO(PTRACE_ATTACH, pid, 0, 0);
  Wait(pid);
  DO(PTRACE_DETACH, thread, 0, 0);
  DO(PTRACE_DETACH, pid, 0, 0);
  UntilState(thread, 'S');
  kill(pid, SIGTERM);
  Wait(pid);
}

CASE(thread_killed_all) {
  const pid_t pid = Seized(PTRACE_O_TRACECLONE, [] {
    std::thread thread(Forever);
    Forever();
  });
  Wait(pid);
  const pid_t thread = EventPid(pid, "thread");
  Wait(thread);
  DO(PTRACE_CONT, thread, 0, 0);
  kill(pid, SIGKILL);
  Wait(thread);
  Wait(pid);
}

CASE(thread_one_stopped_one_runs) {
  const pid_t pid = Seized(PTRACE_O_TRACECLONE, [] {
    std::thread thread([] {
      for (;;) SharedWords()[0] = SharedWords()[0] + 1;
    });
    raise(SIGUSR1);
    Forever();
  });
  Wait(pid);
  const pid_t thread = EventPid(pid, "thread");
  Wait(thread);
  DO(PTRACE_CONT, thread, 0, 0);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
  const long before = SharedWords()[0];
  while (SharedWords()[0] == before) sched_yield();
  Say("the thread runs while the other is stopped");
  kill(pid, SIGKILL);
  Wait(thread);
  Wait(pid);
}

CASE(death_of_tracer_by_kill) {
  Gate traced;
  Gate go;
  const pid_t pid = Forked([&go] {
    go.Pass();
    Say("it runs on");
  });
  const pid_t tracer = Tracer([&] {
    DO(PTRACE_SEIZE, pid, 0, 0);
    traced.Open();
    Forever();
  });
  traced.Pass();
  kill(tracer, SIGKILL);
  Wait(tracer);
  go.Open();
  Wait(pid);
}

CASE(death_of_tracer_of_stopped) {
  Gate traced;
  const pid_t pid = Forked([] {
    SharedWords()[0] = 1;
    while (SharedWords()[1] == 0) sched_yield();
    Say("it runs on");
  });
  while (SharedWords()[0] == 0) sched_yield();
  const pid_t tracer = Tracer([&] {
    DO(PTRACE_ATTACH, pid, 0, 0);
    Wait(pid);
    traced.Open();
    Forever();
  });
  traced.Pass();
  kill(tracer, SIGKILL);
  Wait(tracer);
  SharedWords()[1] = 1;
  Wait(pid);
}

CASE(death_of_tracer_at_call) {
  Gate traced;
  const pid_t pid = Forked([] {
    while (SharedWords()[1] == 0) syscall(SYS_getppid);
    Say("it runs on");
  });
  const pid_t tracer = Tracer([&] {
    DO(PTRACE_ATTACH, pid, 0, 0);
    Wait(pid);
    DO(PTRACE_SYSCALL, pid, 0, 0);
    Wait(pid);
    traced.Open();
    Forever();
  });
  traced.Pass();
  kill(tracer, SIGKILL);
  Wait(tracer);
  SharedWords()[1] = 1;
  Wait(pid);
}

CASE(death_of_tracer_at_signal) {
  // The kernel forgets a signal that a tracer has been told of.
  Gate traced;
  Gate ready;
  Gate go;
  const pid_t pid = Forked([&] {
    ready.Open();
    go.Pass();
    Say("it runs on");
  });
  ready.Pass();
  const pid_t tracer = Tracer([&] {
    DO(PTRACE_SEIZE, pid, 0, 0);
    kill(pid, SIGTERM);
    Wait(pid);
    traced.Open();
    Forever();
  });
  traced.Pass();
  kill(tracer, SIGKILL);
  Wait(tracer);
  go.Open();
  Wait(pid);
}

CASE(death_of_tracer_by_exit) {
  const pid_t pid = Forked([] {
    while (SharedWords()[1] == 0) sched_yield();
    Say("it runs on");
  });
  const pid_t tracer = Tracer([&] {
    DO(PTRACE_ATTACH, pid, 0, 0);
    Wait(pid);
  });
  Wait(tracer);
  SharedWords()[1] = 1;
  Wait(pid);
}

CASE(death_of_tracer_with_exitkill) {
  Gate traced;
  const pid_t pid = Forked(Forever);
  const pid_t tracer = Tracer([&] {
    DO(PTRACE_SEIZE, pid, 0, PTRACE_O_EXITKILL);
    traced.Open();
    Forever();
  });
  traced.Pass();
  kill(tracer, SIGKILL);
  Wait(tracer);
  Wait(pid);
}

CASE(death_of_tracer_by_exit_with_exitkill) {
  const pid_t pid = Forked(Forever);
  const pid_t tracer = Tracer([&] {
    DO(PTRACE_ATTACH, pid, 0, 0);
    Wait(pid);
    DO(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_EXITKILL);
    DO(PTRACE_CONT, pid, 0, 0);
  });
  Wait(tracer);
  Wait(pid);
}

CASE(death_of_tracer_after_exitkill_was_removed) {
  const pid_t pid = Forked([] {
    while (SharedWords()[1] == 0) sched_yield();
    Say("it runs on");
  });
  const pid_t tracer = Tracer([&] {
    DO(PTRACE_ATTACH, pid, 0, 0);
    Wait(pid);
    DO(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_EXITKILL);
    DO(PTRACE_SETOPTIONS, pid, 0, 0);
  });
  Wait(tracer);
  SharedWords()[1] = 1;
  Wait(pid);
}

CASE(death_of_tracer_of_group_stopped) {
  Gate traced;
  const pid_t pid = Forked([] {
    while (SharedWords()[1] == 0) sched_yield();
  });
  const pid_t tracer = Tracer([&] {
    DO(PTRACE_SEIZE, pid, 0, 0);
    kill(pid, SIGSTOP);
    Wait(pid);
    DO(PTRACE_CONT, pid, 0, SIGSTOP);
    Wait(pid);
    traced.Open();
    Forever();
  });
  traced.Pass();
  kill(tracer, SIGKILL);
  Wait(tracer);
  UntilState(pid, 'T');
  Say("it is stopped");
  SharedWords()[1] = 1;
  kill(pid, SIGCONT);
  Wait(pid);
}

CASE(death_of_tracing_thread) {
  const pid_t pid = Forked([] {
    while (SharedWords()[1] == 0) sched_yield();
    Say("it runs on");
  });
  std::thread([pid] {
    DO(PTRACE_ATTACH, pid, 0, 0);
    Wait(pid);
  }).join();
  SharedWords()[1] = 1;
  Wait(pid);
}

CASE(death_of_tracing_thread_with_exitkill) {
  const pid_t pid = Forked(Forever);
  std::thread([pid] { DO(PTRACE_SEIZE, pid, 0, PTRACE_O_EXITKILL); }).join();
  Wait(pid);
}

CASE(death_of_tracer_of_forked) {
  // Neither parent nor new child notice, whatever state they are in.
  Gate traced;
  const pid_t pid = Forked([] {
    while (SharedWords()[0] == 0) sched_yield();
    const pid_t child = fork();
    if (child == 0) _exit(6);
    int status = 0;
    while (waitpid(child, &status, 0) != child) {
    }
    Say("its child %s", StatusText(status).c_str());
  });
  const pid_t tracer = Tracer([&] {
    DO(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACEFORK);
    SharedWords()[0] = 1;
    Wait(pid);
    traced.Open();
    Forever();
  });
  traced.Pass();
  kill(tracer, SIGKILL);
  Wait(tracer);
  Wait(pid);
}

CASE(death_of_tracee_while_tracer_waits) {
  Gate go;
  Seized(0, [&go] {
    go.Pass();
    raise(SIGKILL);
  });
  go.Open();
  Wait(-1);
  Wait(-1);
}
