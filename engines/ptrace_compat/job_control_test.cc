// Group-stops, PTRACE_LISTEN, and SIGCHLD.
#include "core/engine.h"
#include "engines/ptrace_compat/emulation_testing.h"

namespace utrace::ptrace_compat {
namespace {

void Idle(char /*command*/) {}

class JobControlTest : public EmulationTest {};

// As /proc shows it.
char StateOf(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(file, text);
  const size_t end = text.rfind(')');
  return end == std::string::npos ? 'X' : text.at(end + 2);
}

void AwaitState(pid_t pid, char state) {
  while (StateOf(pid) != state) sched_yield();
}

TEST_F(JobControlTest, AStopSignalLeadsToAGroupStop) {
  const Puppet puppet(Idle);
  TestTracer seized(emulation_);
  TestTracer legacy(emulation_);
  ASSERT_EQ(seized.Ptrace(PTRACE_SEIZE, puppet.pid()), 0);
  ASSERT_EQ(legacy.Ptrace(PTRACE_ATTACH, puppet.pid()), 0);
  ASSERT_EQ(legacy.WaitStatus(puppet.pid()), StopStatus(SIGSTOP));
  ASSERT_EQ(legacy.Ptrace(PTRACE_CONT, puppet.pid()), 0);
  kill(puppet.pid(), SIGTSTP);
  for (TestTracer* tracer : {&seized, &legacy}) {
    ASSERT_EQ(tracer->WaitStatus(puppet.pid()), StopStatus(SIGTSTP));
    ASSERT_EQ(tracer->Ptrace(PTRACE_CONT, puppet.pid(), 0, SIGTSTP), 0);
  }
  EXPECT_EQ(seized.WaitStatus(puppet.pid()), kEventStopStatus(SIGTSTP));
  EXPECT_EQ(legacy.WaitStatus(puppet.pid()), StopStatus(SIGTSTP));
  EXPECT_EQ(legacy.Ptrace(PTRACE_GETSIGINFO, puppet.pid()), -EINVAL);
  EXPECT_EQ(legacy.Ptrace(PTRACE_LISTEN, puppet.pid()), -EIO);
  ASSERT_EQ(seized.Ptrace(PTRACE_LISTEN, puppet.pid()), 0);
  EXPECT_EQ(seized.Ptrace(PTRACE_CONT, puppet.pid()), -ESRCH);
  ASSERT_EQ(legacy.Ptrace(PTRACE_CONT, puppet.pid()), 0);
  EXPECT_EQ(seized.Look(puppet.pid()).outcome, wire::WaitOutcome::kNothing);
  kill(puppet.pid(), SIGCONT);
  EXPECT_EQ(seized.WaitStatus(puppet.pid()), kEventStopStatus(SIGTRAP));
  ASSERT_EQ(seized.Ptrace(PTRACE_CONT, puppet.pid()), 0);
  for (TestTracer* tracer : {&seized, &legacy}) {
    ASSERT_EQ(tracer->WaitStatus(puppet.pid()), StopStatus(SIGCONT));
    ASSERT_EQ(tracer->Ptrace(PTRACE_CONT, puppet.pid(), 0, SIGCONT), 0);
  }
  puppet.Do('.');
}

TEST_F(JobControlTest, SigcontStopsASeizedTaskThatRuns) {
  const Puppet puppet(Idle);
  TestTracer tracer(emulation_);
  ASSERT_EQ(tracer.Ptrace(PTRACE_SEIZE, puppet.pid()), 0);
  puppet.Do('.');
  kill(puppet.pid(), SIGCONT);
  ASSERT_EQ(tracer.WaitStatus(puppet.pid()), kEventStopStatus(SIGTRAP));
  ASSERT_EQ(tracer.Ptrace(PTRACE_CONT, puppet.pid()), 0);
  ASSERT_EQ(tracer.WaitStatus(puppet.pid()), StopStatus(SIGCONT));
  ASSERT_EQ(tracer.Ptrace(PTRACE_CONT, puppet.pid(), 0, SIGCONT), 0);
  puppet.Do('.');
  EXPECT_EQ(tracer.Look(puppet.pid()).outcome, wire::WaitOutcome::kNothing);
}

// Seizes it, and listens while its group is stopped.
void ListenInGroupStop(TestTracer& tracer, const Puppet& puppet) {
  ASSERT_EQ(tracer.Ptrace(PTRACE_SEIZE, puppet.pid()), 0);
  kill(puppet.pid(), SIGSTOP);
  ASSERT_EQ(tracer.WaitStatus(puppet.pid()), StopStatus(SIGSTOP));
  ASSERT_EQ(tracer.Ptrace(PTRACE_CONT, puppet.pid(), 0, SIGSTOP), 0);
  ASSERT_EQ(tracer.WaitStatus(puppet.pid()), kEventStopStatus(SIGSTOP));
  ASSERT_EQ(tracer.Ptrace(PTRACE_LISTEN, puppet.pid()), 0);
}

TEST_F(JobControlTest, InterruptEndsListening) {
  const Puppet puppet(Idle);
  TestTracer tracer(emulation_);
  ASSERT_NO_FATAL_FAILURE(ListenInGroupStop(tracer, puppet));
  ASSERT_EQ(tracer.Ptrace(PTRACE_INTERRUPT, puppet.pid()), 0);
  EXPECT_EQ(tracer.WaitStatus(puppet.pid()), kEventStopStatus(SIGSTOP));
  EXPECT_EQ(tracer.Registers(puppet.pid()).orig_rax, static_cast<unsigned long long>(SYS_read));
  ASSERT_EQ(tracer.Ptrace(PTRACE_DETACH, puppet.pid()), 0);
  kill(puppet.pid(), SIGCONT);
  puppet.Do('.');
}

// Seizes it with both, and stops its group: each is told.
void IntoGroupStop(TestTracer& first, TestTracer& second, const Puppet& puppet) {
  for (TestTracer* tracer : {&first, &second}) {
    ASSERT_EQ(tracer->Ptrace(PTRACE_SEIZE, puppet.pid()), 0);
  }
  kill(puppet.pid(), SIGSTOP);
  for (TestTracer* tracer : {&first, &second}) {
    ASSERT_EQ(tracer->WaitStatus(puppet.pid()), StopStatus(SIGSTOP));
    ASSERT_EQ(tracer->Ptrace(PTRACE_CONT, puppet.pid(), 0, SIGSTOP), 0);
  }
  for (TestTracer* tracer : {&first, &second}) {
    ASSERT_EQ(tracer->WaitStatus(puppet.pid()), kEventStopStatus(SIGSTOP));
  }
}

TEST_F(JobControlTest, AStoppedGroupsTaskRunsWhenAllItsTracersContinueIt) {
  const Puppet puppet(Idle);
  TestTracer first(emulation_);
  TestTracer second(emulation_);
  ASSERT_NO_FATAL_FAILURE(IntoGroupStop(first, second, puppet));
  ASSERT_EQ(first.Ptrace(PTRACE_CONT, puppet.pid()), 0);
  puppet.Tell('.');
  EXPECT_EQ(StateOf(puppet.pid()), 't');
  ASSERT_EQ(second.Ptrace(PTRACE_CONT, puppet.pid()), 0);
  puppet.AwaitDone();
  // One that leaves while it runs changes nothing for the other.
  ASSERT_EQ(first.Ptrace(PTRACE_INTERRUPT, puppet.pid()), 0);
  ASSERT_EQ(first.WaitStatus(puppet.pid()), kEventStopStatus(SIGSTOP));
  ASSERT_EQ(first.Ptrace(PTRACE_DETACH, puppet.pid()), 0);
  puppet.Do('.');
  EXPECT_EQ(second.Look(puppet.pid()).outcome, wire::WaitOutcome::kNothing);
  kill(puppet.pid(), SIGCONT);
  EXPECT_EQ(second.WaitStatus(puppet.pid()), kEventStopStatus(SIGTRAP));
}

TEST_F(JobControlTest, ATaskDoesNotRunInAGroupStopThatATracerListensIn) {
  const Puppet puppet(Idle);
  TestTracer listens(emulation_);
  TestTracer continues(emulation_);
  ASSERT_NO_FATAL_FAILURE(IntoGroupStop(listens, continues, puppet));
  ASSERT_EQ(continues.Ptrace(PTRACE_CONT, puppet.pid()), 0);
  ASSERT_EQ(listens.Ptrace(PTRACE_LISTEN, puppet.pid()), 0);
  puppet.Tell('.');
  // A request that its tracer's stop answers comes after whatever the task would have done.
  ASSERT_EQ(continues.Ptrace(PTRACE_INTERRUPT, puppet.pid()), 0);
  ASSERT_EQ(continues.WaitStatus(puppet.pid()), kEventStopStatus(SIGSTOP));
  EXPECT_EQ(continues.Registers(puppet.pid()).orig_rax, static_cast<unsigned long long>(SYS_read));
  ASSERT_EQ(continues.Ptrace(PTRACE_CONT, puppet.pid()), 0);
  // Whoever stops listening, and continues it too, lets it run.
  ASSERT_EQ(listens.Ptrace(PTRACE_INTERRUPT, puppet.pid()), 0);
  ASSERT_EQ(listens.WaitStatus(puppet.pid()), kEventStopStatus(SIGSTOP));
  ASSERT_EQ(listens.Ptrace(PTRACE_CONT, puppet.pid()), 0);
  puppet.AwaitDone();
}

class Bystander final : public Engine {
 public:
  std::string Name() const override { return "bystander"; }
};

// The kernel puts a task that ran back into the stop of its group when its tracer goes.
TEST_F(JobControlTest, ATaskThatRunsInAGroupStopIsStoppedWhenItsTracerEnds) {
  for (const bool watched : {false, true}) {
    SCOPED_TRACE(watched ? "another engine stays" : "no engine stays");
    const Puppet puppet(Idle);
    std::optional<Attachment> other;
    if (watched) {
      const auto pid = PidRef::Find(puppet.pid());
      ASSERT_TRUE(pid);
      auto attached =
          Attachment::Attach(*pid, std::make_shared<Bystander>(), Events(UTRACE_EVENT(CLONE)));
      ASSERT_TRUE(attached);
      other = std::move(*attached);
    }
    TestTracer tracer(emulation_);
    ASSERT_EQ(tracer.Ptrace(PTRACE_SEIZE, puppet.pid()), 0);
    kill(puppet.pid(), SIGSTOP);
    ASSERT_EQ(tracer.WaitStatus(puppet.pid()), StopStatus(SIGSTOP));
    ASSERT_EQ(tracer.Ptrace(PTRACE_CONT, puppet.pid(), 0, SIGSTOP), 0);
    ASSERT_EQ(tracer.WaitStatus(puppet.pid()), kEventStopStatus(SIGSTOP));
    ASSERT_EQ(tracer.Ptrace(PTRACE_CONT, puppet.pid()), 0);
    puppet.Do('.');
    tracer.Kill();
    AwaitState(puppet.pid(), watched ? 't' : 'T');
    puppet.Tell('.');
    kill(puppet.pid(), SIGCONT);
    puppet.AwaitDone();
  }
}

// As whoever looks after both have happened is told natively.
TEST_F(JobControlTest, AStopIsToldBeforeTheContinuationThatLedToIt) {
  const Puppet puppet(Idle);
  TestTracer tracer(emulation_);
  ASSERT_NO_FATAL_FAILURE(ListenInGroupStop(tracer, puppet));
  constexpr uint32_t kOptions = WEXITED | WSTOPPED | WCONTINUED | __WALL;
  const uint64_t serial = tracer.BeginWait(P_PID, puppet.pid(), kOptions);
  // The server has taken it, since it answers in order.
  EXPECT_EQ(tracer.Look(puppet.pid()).outcome, wire::WaitOutcome::kNothing);
  kill(puppet.pid(), SIGCONT);
  EXPECT_EQ(TestTracer::AsWait(tracer.Await(serial)).status, kEventStopStatus(SIGTRAP));
  const wire::WaitReply continued = tracer.Wait(puppet.pid(), kOptions | WNOHANG);
  EXPECT_EQ(continued.outcome, wire::WaitOutcome::kEvent);
  EXPECT_EQ(continued.status, 0xffff);
  EXPECT_EQ(tracer.Wait(puppet.pid(), kOptions | WNOHANG).outcome, wire::WaitOutcome::kNothing);
}

TEST_F(JobControlTest, AttachingToAStoppedProcess) {
  const Puppet puppet(Idle);
  puppet.Do('.');
  kill(puppet.pid(), SIGSTOP);
  AwaitState(puppet.pid(), 'T');
  TestTracer legacy(emulation_);
  TestTracer seized(emulation_);
  ASSERT_EQ(legacy.Ptrace(PTRACE_ATTACH, puppet.pid()), 0);
  EXPECT_EQ(legacy.WaitStatus(puppet.pid()), StopStatus(SIGSTOP));
  EXPECT_EQ(legacy.Ptrace(PTRACE_GETSIGINFO, puppet.pid()), -EINVAL);
  ASSERT_EQ(seized.Ptrace(PTRACE_SEIZE, puppet.pid()), 0);
  EXPECT_EQ(seized.WaitStatus(puppet.pid()), kEventStopStatus(SIGSTOP));
  // Behind the group's stop, that of PTRACE_ATTACH.
  ASSERT_EQ(legacy.Ptrace(PTRACE_CONT, puppet.pid()), 0);
  const wire::WaitReply stop = legacy.Wait(puppet.pid());
  EXPECT_EQ(stop.status, StopStatus(SIGSTOP));
  EXPECT_EQ(stop.detail.has_siginfo, 1);
  ASSERT_EQ(legacy.Ptrace(PTRACE_DETACH, puppet.pid()), 0);
  ASSERT_EQ(seized.Ptrace(PTRACE_DETACH, puppet.pid()), 0);
  kill(puppet.pid(), SIGCONT);
  puppet.Do('.');
}

// A tracing program that tells which signals it got.
class Listener {
 public:
  Listener() {
    int fds[2];
    EXPECT_EQ(pipe2(fds, O_CLOEXEC), 0);
    sigset_t signals;
    sigset_t before;
    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    sigaddset(&signals, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &signals, &before);
    pid_ = fork();
    if (pid_ == 0) {
      for (;;) {
        siginfo_t info{};
        if (sigwaitinfo(&signals, &info) > 0) (void)!write(fds[1], &info, sizeof(info));
      }
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    close(fds[1]);
    signals_ = fds[0];
  }
  ~Listener() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    close(signals_);
  }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  pid_t pid() const { return pid_; }
  siginfo_t Next() const {
    siginfo_t info{};
    AwaitReadable(signals_);
    EXPECT_EQ(read(signals_, &info, sizeof(info)), static_cast<ssize_t>(sizeof(info)));
    return info;
  }

 private:
  pid_t pid_ = 0;
  int signals_ = -1;
};

TEST_F(JobControlTest, SigchldTellsOfStopsAndEnds) {
  const Listener listener;
  const Puppet puppet(Idle);
  TestTracer tracer(emulation_, listener.pid());
  ASSERT_EQ(tracer.Ptrace(PTRACE_SEIZE, puppet.pid()), 0);
  ASSERT_EQ(tracer.Ptrace(PTRACE_INTERRUPT, puppet.pid()), 0);
  siginfo_t info = listener.Next();
  EXPECT_EQ(info.si_signo, SIGCHLD);
  EXPECT_EQ(info.si_code, wire::kSigchldCode);
  EXPECT_EQ(info.si_errno, CLD_STOPPED);
  EXPECT_EQ(info.si_pid, puppet.pid());
  EXPECT_EQ(tracer.WaitStatus(puppet.pid()), kEventStopStatus(SIGTRAP));
  // None for stops; and who is to be rung is told so.
  EXPECT_EQ(tracer.Plain(wire::Op::kSigchld, 0, wire::kNoCldStop).result(), 0);
  ASSERT_EQ(tracer.Ptrace(PTRACE_CONT, puppet.pid()), 0);
  const uint64_t serial = tracer.BeginWait(P_ALL, 0, WEXITED, SIGUSR2);
  EXPECT_EQ(TestTracer::AsWait(tracer.Await(serial)).outcome, wire::WaitOutcome::kNothing);
  ASSERT_EQ(tracer.Ptrace(PTRACE_INTERRUPT, puppet.pid()), 0);
  EXPECT_EQ(listener.Next().si_signo, SIGUSR2);
  EXPECT_EQ(tracer.WaitStatus(puppet.pid()), kEventStopStatus(SIGTRAP));
  kill(puppet.pid(), SIGKILL);
  info = listener.Next();
  EXPECT_EQ(info.si_signo, SIGCHLD);
  EXPECT_EQ(info.si_errno, CLD_KILLED);
  EXPECT_EQ(info.si_status, SIGKILL);
  EXPECT_EQ(tracer.WaitStatus(puppet.pid()), SIGKILL);
}

}  // namespace
}  // namespace utrace::ptrace_compat
