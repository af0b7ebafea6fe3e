// What ptrace's options make tracees stop for.
#include "engines/ptrace_compat/emulation_testing.h"

namespace utrace::ptrace_compat {
namespace {

alignas(16) char g_stack[64 << 10];
alignas(16) char g_stack_of_exec[64 << 10];

int Thread(void* /*unused*/) {
  syscall(SYS_getppid);
  g_shared->counter = g_shared->counter + 1;
  syscall(SYS_exit, 5);
  return 0;
}

int ExecThread(void* /*unused*/) {
  char path[] = "/bin/true";
  char* arguments[] = {path, nullptr};
  syscall(SYS_execve, path, arguments, nullptr);
  syscall(SYS_exit, 9);
  return 0;
}

constexpr int kThreadFlags =
    CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;

void Children(char command) {
  switch (command) {
    case 'f': {
      const long child = syscall(SYS_fork);
      if (child == 0) syscall(SYS_exit_group, 3);
      int status = 0;
      while (waitpid(static_cast<pid_t>(child), &status, 0) < 0 && errno == EINTR) {
      }
      g_shared->counter = status;
      break;
    }
    case 'v': {
      const pid_t child = vfork();
      if (child == 0) _exit(4);
      int status = 0;
      while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
      }
      g_shared->counter = status;
      break;
    }
    case 't':
      clone(Thread, g_stack + sizeof(g_stack), kThreadFlags, nullptr);
      break;
    case 'e':
      ExecThread(nullptr);
      break;
    case 'E':
      clone(ExecThread, g_stack_of_exec + sizeof(g_stack_of_exec), kThreadFlags, nullptr);
      break;
    case 'q':
      // The leader ends before its thread, which waits to be killed.
      clone(
          [](void*) {
            for (;;) syscall(SYS_pause);
            return 0;
          },
          g_stack + sizeof(g_stack), kThreadFlags, nullptr);
      syscall(SYS_exit, 6);
      break;
    case 'x':
      _exit(7);
    default:
      break;
  }
}

class EventsTest : public EmulationTest {
 protected:
  // A legacy tracer's tracee, stopped, with these options.
  static void Attach(TestTracer& tracer, pid_t pid, uint64_t options) {
    ASSERT_EQ(tracer.Ptrace(PTRACE_ATTACH, pid), 0);
    ASSERT_EQ(tracer.WaitStatus(pid), StopStatus(SIGSTOP));
    ASSERT_EQ(tracer.Ptrace(PTRACE_SETOPTIONS, pid, 0, options), 0);
  }
};

TEST_F(EventsTest, ForkOfALegacyTracersTracee) {
  const Puppet puppet(Children);
  TestTracer tracer(emulation_);
  Attach(tracer, puppet.pid(), PTRACE_O_TRACEFORK);
  ASSERT_EQ(tracer.Ptrace(PTRACE_CONT, puppet.pid()), 0);
  puppet.Tell('f');
  const wire::WaitReply stop = tracer.Wait(puppet.pid());
  ASSERT_EQ(stop.status, EventStatus(PTRACE_EVENT_FORK));
  const auto child = static_cast<pid_t>(stop.detail.event_message);
  EXPECT_EQ(tracer.Get<unsigned long>(PTRACE_GETEVENTMSG, puppet.pid()),
            static_cast<unsigned long>(child));
  const wire::WaitReply first = tracer.Wait(child);
  EXPECT_EQ(first.status, StopStatus(SIGSTOP));
  EXPECT_EQ(first.detail.siginfo.si_code, SI_USER);
  // Both are held.
  EXPECT_EQ(tracer.Registers(puppet.pid()).rip, tracer.Registers(child).rip);
  ASSERT_EQ(tracer.Ptrace(PTRACE_CONT, puppet.pid()), 0);
  ASSERT_EQ(tracer.Ptrace(PTRACE_CONT, child), 0);
  EXPECT_EQ(tracer.WaitStatus(child), 3 << 8);
  EXPECT_EQ(tracer.WaitStatus(puppet.pid()), StopStatus(SIGCHLD));
  ASSERT_EQ(tracer.Ptrace(PTRACE_CONT, puppet.pid(), 0, SIGCHLD), 0);
  puppet.AwaitDone();
  EXPECT_EQ(g_shared->counter, 3 << 8);
}

TEST_F(EventsTest, ForkEventsComeInOrderToTwoTracers) {
  const Puppet puppet(Children);
  TestTracer first(emulation_);
  TestTracer second(emulation_);
  ASSERT_EQ(first.Ptrace(PTRACE_SEIZE, puppet.pid(), 0, PTRACE_O_TRACEFORK | PTRACE_O_TRACESYSGOOD),
            0);
  ASSERT_EQ(second.Ptrace(PTRACE_SEIZE, puppet.pid(), 0, PTRACE_O_TRACEFORK), 0);
  puppet.Tell('f');
  const wire::WaitReply stop = first.Wait(puppet.pid());
  ASSERT_EQ(stop.status, EventStatus(PTRACE_EVENT_FORK));
  const auto child = static_cast<pid_t>(stop.detail.event_message);
  EXPECT_EQ(second.Look(puppet.pid()).outcome, wire::WaitOutcome::kNothing);
  // The call's end follows, for who asks for it.
  ASSERT_EQ(first.Ptrace(PTRACE_SYSCALL, puppet.pid()), 0);
  ASSERT_EQ(second.WaitStatus(puppet.pid()), EventStatus(PTRACE_EVENT_FORK));
  EXPECT_EQ(first.Look(puppet.pid()).outcome, wire::WaitOutcome::kNothing);
  ASSERT_EQ(second.Ptrace(PTRACE_CONT, puppet.pid()), 0);
  const wire::WaitReply exit = first.Wait(puppet.pid());
  EXPECT_EQ(exit.status, StopStatus(SIGTRAP | 0x80));
  ptrace_syscall_info info{};
  std::memcpy(&info, exit.detail.syscall_info, sizeof(info));
  EXPECT_EQ(info.op, PTRACE_SYSCALL_INFO_EXIT);
  EXPECT_EQ(info.exit.rval, child);
  ASSERT_EQ(first.Ptrace(PTRACE_DETACH, puppet.pid()), 0);
  for (TestTracer* tracer : {&first, &second}) {
    EXPECT_EQ(tracer->WaitStatus(child), kEventStopStatus(SIGTRAP));
    ASSERT_EQ(tracer->Ptrace(PTRACE_CONT, child), 0);
  }
  EXPECT_EQ(first.WaitStatus(child), 3 << 8);
  EXPECT_EQ(second.WaitStatus(child), 3 << 8);
  EXPECT_EQ(second.WaitStatus(puppet.pid()), StopStatus(SIGCHLD));
  ASSERT_EQ(second.Ptrace(PTRACE_DETACH, puppet.pid()), 0);
  puppet.AwaitDone();
}

TEST_F(EventsTest, Vfork) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "the thread sanitizer makes a fork of it";
#endif
  const Puppet puppet(Children);
  TestTracer tracer(emulation_);
  ASSERT_EQ(
      tracer.Ptrace(PTRACE_SEIZE, puppet.pid(), 0, PTRACE_O_TRACEVFORK | PTRACE_O_TRACEVFORKDONE),
      0);
  puppet.Tell('v');
  const wire::WaitReply stop = tracer.Wait(puppet.pid());
  ASSERT_EQ(stop.status, EventStatus(PTRACE_EVENT_VFORK));
  const auto child = static_cast<pid_t>(stop.detail.event_message);
  ASSERT_EQ(tracer.WaitStatus(child), kEventStopStatus(SIGTRAP));
  ASSERT_EQ(tracer.Ptrace(PTRACE_CONT, puppet.pid()), 0);
  ASSERT_EQ(tracer.Ptrace(PTRACE_DETACH, child), 0);
  const wire::WaitReply done = tracer.Wait(puppet.pid());
  EXPECT_EQ(done.status, EventStatus(PTRACE_EVENT_VFORK_DONE));
  EXPECT_EQ(static_cast<pid_t>(done.detail.event_message), child);
  ASSERT_EQ(tracer.Ptrace(PTRACE_DETACH, puppet.pid()), 0);
  puppet.AwaitDone();
  EXPECT_EQ(g_shared->counter, 4 << 8);
}

TEST_F(EventsTest, ThreadsAreFollowedAndTheirEndsAreTold) {
  const Puppet puppet(Children);
  TestTracer tracer(emulation_);
  ASSERT_EQ(tracer.Ptrace(PTRACE_SEIZE, puppet.pid(), 0, PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXIT),
            0);
  puppet.Tell('t');
  const wire::WaitReply stop = tracer.Wait(puppet.pid());
  ASSERT_EQ(stop.status, EventStatus(PTRACE_EVENT_CLONE));
  const auto thread = static_cast<pid_t>(stop.detail.event_message);
  ASSERT_EQ(tracer.WaitStatus(thread), kEventStopStatus(SIGTRAP));
  EXPECT_EQ(g_shared->counter, 0);
  ASSERT_EQ(tracer.Ptrace(PTRACE_CONT, puppet.pid()), 0);
  puppet.AwaitDone();
  ASSERT_EQ(tracer.Ptrace(PTRACE_CONT, thread), 0);
  const wire::WaitReply exit = tracer.Wait(thread);
  EXPECT_EQ(exit.status, EventStatus(PTRACE_EVENT_EXIT));
  EXPECT_EQ(exit.detail.event_message, 5U << 8);
  EXPECT_EQ(g_shared->counter, 1);
  ASSERT_EQ(tracer.Ptrace(PTRACE_CONT, thread), 0);
  EXPECT_EQ(tracer.WaitStatus(thread), 5 << 8);
  puppet.Tell('x');
  EXPECT_EQ(tracer.WaitStatus(puppet.pid()), EventStatus(PTRACE_EVENT_EXIT));
  ASSERT_EQ(tracer.Ptrace(PTRACE_CONT, puppet.pid()), 0);
  EXPECT_EQ(tracer.WaitStatus(puppet.pid()), 7 << 8);
}

TEST_F(EventsTest, ExecAsAnEventAndAsASignal) {
  const Puppet puppet(Children);
  TestTracer with_event(emulation_);
  TestTracer with_signal(emulation_);
  Attach(with_event, puppet.pid(), PTRACE_O_TRACEEXEC);
  Attach(with_signal, puppet.pid(), PTRACE_O_TRACESYSGOOD);
  ASSERT_EQ(with_event.Ptrace(PTRACE_CONT, puppet.pid()), 0);
  ASSERT_EQ(with_signal.Ptrace(PTRACE_SYSCALL, puppet.pid()), 0);
  puppet.Tell('e');
  for (uint64_t call = 0; call != SYS_execve;) {
    const wire::WaitReply stop = with_signal.Wait(puppet.pid());
    ASSERT_EQ(stop.status, StopStatus(SIGTRAP | 0x80));
    ptrace_syscall_info info{};
    std::memcpy(&info, stop.detail.syscall_info, sizeof(info));
    if (info.op == PTRACE_SYSCALL_INFO_ENTRY) call = info.entry.nr;
    ASSERT_EQ(with_signal.Ptrace(PTRACE_SYSCALL, puppet.pid()), 0);
  }
  const wire::WaitReply exec = with_event.Wait(puppet.pid());
  EXPECT_EQ(exec.status, EventStatus(PTRACE_EVENT_EXEC));
  EXPECT_EQ(static_cast<pid_t>(exec.detail.event_message), puppet.pid());
  ASSERT_EQ(with_event.Ptrace(PTRACE_CONT, puppet.pid()), 0);
  const wire::WaitReply exit = with_signal.Wait(puppet.pid());
  EXPECT_EQ(exit.detail.event_message, static_cast<uint64_t>(PTRACE_EVENTMSG_SYSCALL_EXIT));
  ASSERT_EQ(with_signal.Ptrace(PTRACE_CONT, puppet.pid()), 0);
  const wire::WaitReply trap = with_signal.Wait(puppet.pid());
  EXPECT_EQ(trap.status, StopStatus(SIGTRAP));
  EXPECT_EQ(trap.detail.siginfo.si_code, SI_USER);
  EXPECT_EQ(trap.detail.siginfo.si_pid, puppet.pid());
  EXPECT_EQ(with_event.Look(puppet.pid()).outcome, wire::WaitOutcome::kNothing);
  ASSERT_EQ(with_signal.Ptrace(PTRACE_CONT, puppet.pid()), 0);
  EXPECT_EQ(with_event.WaitStatus(puppet.pid()), 0);
  EXPECT_EQ(with_signal.WaitStatus(puppet.pid()), 0);
}

TEST_F(EventsTest, AThreadThatExecutesTakesTheLeadersPlace) {
  const Puppet puppet(Children);
  TestTracer tracer(emulation_);
  ASSERT_EQ(tracer.Ptrace(PTRACE_SEIZE, puppet.pid(), 0, PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC),
            0);
  puppet.Tell('E');
  const wire::WaitReply stop = tracer.Wait(puppet.pid());
  ASSERT_EQ(stop.status, EventStatus(PTRACE_EVENT_CLONE));
  const auto thread = static_cast<pid_t>(stop.detail.event_message);
  ASSERT_EQ(tracer.WaitStatus(thread), kEventStopStatus(SIGTRAP));
  ASSERT_EQ(tracer.Ptrace(PTRACE_CONT, puppet.pid()), 0);
  puppet.AwaitDone();
  ASSERT_EQ(tracer.Ptrace(PTRACE_CONT, thread), 0);
  const wire::WaitReply exec = tracer.Wait(0);
  EXPECT_EQ(exec.status, EventStatus(PTRACE_EVENT_EXEC));
  EXPECT_EQ(exec.pid, puppet.pid());
  EXPECT_EQ(static_cast<pid_t>(exec.detail.event_message), thread);
  EXPECT_EQ(tracer.Ptrace(PTRACE_CONT, thread), -ESRCH);
  ASSERT_EQ(tracer.Ptrace(PTRACE_CONT, puppet.pid()), 0);
  EXPECT_EQ(tracer.WaitStatus(puppet.pid()), 0);
  EXPECT_EQ(tracer.Look(0).outcome, wire::WaitOutcome::kNoTracee);
}

TEST_F(EventsTest, ALeaderThatEndsBeforeItsThreadIsToldOfAfterIt) {
  const Puppet puppet(Children);
  TestTracer tracer(emulation_);
  ASSERT_EQ(tracer.Ptrace(PTRACE_SEIZE, puppet.pid(), 0, PTRACE_O_TRACECLONE), 0);
  puppet.Tell('q');
  const wire::WaitReply stop = tracer.Wait(puppet.pid());
  ASSERT_EQ(stop.status, EventStatus(PTRACE_EVENT_CLONE));
  const auto thread = static_cast<pid_t>(stop.detail.event_message);
  ASSERT_EQ(tracer.WaitStatus(thread), kEventStopStatus(SIGTRAP));
  ASSERT_EQ(tracer.Ptrace(PTRACE_CONT, puppet.pid()), 0);
  // It takes a moment to die; whenever that is, nobody is told.
  const uint64_t wait = tracer.BeginWait(P_PID, puppet.pid(), WEXITED);
  ASSERT_EQ(tracer.Ptrace(PTRACE_INTERRUPT, thread), 0);
  ASSERT_EQ(tracer.Ptrace(PTRACE_CONT, thread), 0);
  EXPECT_EQ(tracer.WaitStatus(thread), kEventStopStatus(SIGTRAP));
  ASSERT_EQ(tracer.Ptrace(PTRACE_CONT, thread), 0);
  EXPECT_FALSE(tracer.HasAnswer());
  syscall(SYS_tgkill, puppet.pid(), thread, SIGTERM);
  EXPECT_EQ(tracer.WaitStatus(thread), StopStatus(SIGTERM));
  ASSERT_EQ(tracer.Ptrace(PTRACE_CONT, thread, 0, SIGTERM), 0);
  EXPECT_EQ(tracer.WaitStatus(thread), SIGTERM);
  EXPECT_EQ(TestTracer::AsWait(tracer.Await(wait)).status, SIGTERM);
}

TEST_F(EventsTest, TraceMeMakesTheParentTheTracer) {
  const Puppet puppet(Children);
  // The nanny is the tracer; it has no connection yet when its child asks.
  TestTracer child(emulation_, puppet.pid());
  EXPECT_EQ(child.Plain(wire::Op::kTraceMe, puppet.pid(), 0).result(), 0);
  EXPECT_EQ(child.Plain(wire::Op::kTraceMe, puppet.pid(), 0).result(), -EPERM);
  child.Close();
  TestTracer tracer(emulation_, puppet.parent());
  puppet.Tell('e');
  const wire::WaitReply trap = tracer.Wait(0);
  EXPECT_EQ(trap.pid, puppet.pid());
  EXPECT_EQ(trap.status, StopStatus(SIGTRAP));
  ASSERT_EQ(tracer.Ptrace(PTRACE_CONT, puppet.pid()), 0);
  const wire::WaitReply end = tracer.Wait(0);
  EXPECT_EQ(end.status, 0);
  EXPECT_EQ(end.reap_natively, 1);
  EXPECT_EQ(puppet.AwaitEnd(), 0);
}

}  // namespace
}  // namespace utrace::ptrace_compat
