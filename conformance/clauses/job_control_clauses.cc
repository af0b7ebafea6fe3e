// JCT-*: stops by job control beside tracing.
#include <chrono>

#include "conformance/clauses/control_scenes.h"

namespace utrace::kit {
namespace {

constexpr unsigned long kQuiesce = UTRACE_EVENT(QUIESCE);
constexpr unsigned long kJctl = UTRACE_EVENT(JCTL);

// The parent sees the stop, or the end of one.
void ExpectParentTold(Puppet& puppet, int options, int code, int status) {
  const WaitIdResult told = puppet.nanny().WaitId(puppet.pid(), options);
  EXPECT_EQ(0, told.result);
  EXPECT_EQ(puppet.pid(), told.info.si_pid);
  EXPECT_EQ(code, told.info.si_code);
  EXPECT_EQ(status, told.info.si_status);
}

void ExpectParentNotTold(Puppet& puppet) {
  const WaitIdResult told =
      puppet.nanny().WaitId(puppet.pid(), WSTOPPED | WCONTINUED | WEXITED | WNOHANG | WNOWAIT);
  EXPECT_EQ(0, told.result);
  EXPECT_EQ(0, told.info.si_pid) << "told " << told.info.si_code;
}

// The spinning puppet is stopped by job control and does not run on. `other` is a thread of its process
// that nobody traces: attaching to it is a request to the implementation, which has then done with the
// stop what it does.
void ExpectStaysStopped(const PuppetThread& puppet, const PuppetThread& other) {
  TestEngine visitor("visitor");
  EXPECT_EQ(0, visitor.AttachTid(other.tid()));
  const uint64_t spins = puppet.SpinCount();
  for (int i = 0; i < 20; ++i) {
    EXPECT_NE('R', puppet.State());
    sched_yield();
  }
  EXPECT_EQ(spins, puppet.SpinCount());
}

}  // namespace

// ---- JCT-01 ------------------------------------------------------------------------------------

CLAUSE_TEST(JCT_01, StoppedAndContinuedForEachStopSignal) {
  for (const int signo : {SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU}) {
    SCOPED_TRACE(signo);
    Puppet& puppet = Spawn();
    TestEngine engine("A");
    ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine.SetEvents(kJctl));
    puppet.Kill(signo);
    engine.AwaitEnded(What::kJctl, 1);
    EXPECT_EQ(CLD_STOPPED, engine.Log(What::kJctl).at(0).jctl_type);
    puppet.Kill(SIGCONT);
    engine.AwaitEnded(What::kJctl, 2);
    EXPECT_EQ(CLD_CONTINUED, engine.Log(What::kJctl).at(1).jctl_type);
    EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
    ExpectLog(engine.Log(), {What::kJctl, What::kJctl});
  }
}

CLAUSE_TEST(JCT_01, OfATaskInUserMode) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kJctl));
  StartSpinning(puppet);
  puppet.Kill(SIGSTOP);
  engine.AwaitEnded(What::kJctl, 1);
  puppet.Kill(SIGCONT);
  engine.AwaitEnded(What::kJctl, 2);
  ExpectRuns(puppet);
  const std::vector<Report> log = engine.Log(What::kJctl);
  ASSERT_EQ(2U, log.size());
  EXPECT_EQ(CLD_STOPPED, log[0].jctl_type);
  EXPECT_EQ(CLD_CONTINUED, log[1].jctl_type);
}

CLAUSE_TEST(JCT_01, TheReportIsMadeWhenItResumesNotBefore) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kJctl));
  puppet.Kill(SIGSTOP);
  engine.AwaitEnded(What::kJctl, 1);
  ExpectParentTold(puppet, WSTOPPED, CLD_STOPPED, SIGSTOP);
  // A signal that does not continue leaves it stopped.
  puppet.Kill(SIGWINCH);
  EXPECT_EQ(1, engine.Count(What::kJctl));
  puppet.Kill(SIGCONT);
  engine.AwaitEnded(What::kJctl, 2);
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  EXPECT_EQ(2, engine.Count(What::kJctl));
}

CLAUSE_TEST(JCT_01, EveryThreadOfTheGroup) {
  Puppet& puppet = Spawn();
  PuppetThread& thread = puppet.SpawnThread();
  TestEngine a("A");
  TestEngine b("B");
  ASSERT_EQ(0, a.AttachTid(puppet.tid()));
  ASSERT_EQ(0, b.AttachTid(thread.tid()));
  ASSERT_EQ(0, a.SetEvents(kJctl));
  ASSERT_EQ(0, b.SetEvents(kJctl));
  puppet.Kill(SIGSTOP);
  a.AwaitEnded(What::kJctl, 1);
  b.AwaitEnded(What::kJctl, 1);
  puppet.Kill(SIGCONT);
  a.AwaitEnded(What::kJctl, 2);
  b.AwaitEnded(What::kJctl, 2);
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  EXPECT_EQ(nanny().pid(), thread.Call(kMarker));
  for (TestEngine* engine : {&a, &b}) {
    const std::vector<Report> log = engine->Log(What::kJctl);
    ASSERT_EQ(2U, log.size());
    EXPECT_EQ(CLD_STOPPED, log[0].jctl_type);
    EXPECT_EQ(CLD_CONTINUED, log[1].jctl_type);
  }
}

CLAUSE_TEST(JCT_01, AStopSignalThatAnEngineDropsIsNone) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.On(What::kSignal, [](Report& report) -> uint32_t {
    if (report.signo() != SIGSTOP) return PassThrough(report);
    return Answer(UTRACE_SIGNAL_IGN, UTRACE_RESUME);
  });
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kJctl | UTRACE_EVENT(SIGNAL_STOP)));
  puppet.Kill(SIGSTOP);
  engine.AwaitEnded(What::kSignal);
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  EXPECT_EQ(0, engine.Count(What::kJctl));
  ExpectParentNotTold(puppet);
}

// ---- JCT-02 ------------------------------------------------------------------------------------

CLAUSE_TEST(JCT_02, TheOnlyThreadNotifies) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kJctl));
  puppet.Kill(SIGSTOP);
  engine.AwaitEnded(What::kJctl);
  EXPECT_EQ(CLD_STOPPED, engine.Log(What::kJctl).at(0).jctl_notify);
  puppet.Kill(SIGCONT);
  engine.AwaitEnded(What::kJctl, 2);
  ExpectOneOf(engine.Log(What::kJctl).at(1).jctl_notify, {0, CLD_CONTINUED});
}

CLAUSE_TEST(JCT_02, OfSeveralThreadsOneNotifies) {
  for (int round = 0; round < 5; ++round) {
    Puppet& puppet = Spawn();
    std::vector<PuppetThread*> threads = {&puppet, &puppet.SpawnThread(), &puppet.SpawnThread()};
    std::vector<std::unique_ptr<TestEngine>> engines;
    for (PuppetThread* thread : threads) {
      engines.push_back(std::make_unique<TestEngine>("T"));
      ASSERT_EQ(0, engines.back()->AttachTid(thread->tid()));
      ASSERT_EQ(0, engines.back()->SetEvents(kJctl));
    }
    puppet.Kill(SIGSTOP);
    for (const auto& engine : engines) engine->AwaitEnded(What::kJctl);
    int notifying = 0;
    for (const auto& engine : engines) {
      const Report report = engine->Log(What::kJctl).at(0);
      if (report.jctl_notify == 0) continue;
      EXPECT_EQ(CLD_STOPPED, report.jctl_notify);
      ++notifying;
    }
    EXPECT_EQ(1, notifying) << Describe(GlobalLog());
    puppet.Kill(SIGCONT);
    for (const auto& engine : engines) engine->AwaitEnded(What::kJctl, 2);
    notifying = 0;
    for (const auto& engine : engines) {
      const Report report = engine->Log(What::kJctl).at(1);
      ExpectOneOf(report.jctl_notify, {0, CLD_CONTINUED});
      if (report.jctl_notify != 0) ++notifying;
    }
    EXPECT_GE(1, notifying);
    puppet.Destroy();
  }
}

CLAUSE_TEST(JCT_02, AThreadThatStopsLateLeavesOneThatNotifies) {
  // One thread is kept from stopping inside a callback, so that it is the last.
  Puppet& puppet = Spawn();
  PuppetThread& thread = puppet.SpawnThread();
  Gate gate;
  TestEngine early("E");
  TestEngine late("L");
  late.On(What::kSyscallEntry, WaitAt(gate, UTRACE_RESUME));
  ASSERT_EQ(0, early.AttachTid(puppet.tid()));
  ASSERT_EQ(0, late.AttachTid(thread.tid()));
  ASSERT_EQ(0, early.SetEvents(kJctl));
  ASSERT_EQ(0, late.SetEvents(kJctl | UTRACE_EVENT(SYSCALL_ENTRY)));
  thread.Begin(kMarker);
  gate.AwaitArrival();
  puppet.Kill(SIGSTOP);
  // The leader is on its way to the stop, or there already.
  if (!PollUntil([&] { return puppet.State() == 't' || puppet.State() == 'T'; })) {
    StepFailed("the leader's stop");
  }
  EXPECT_EQ(0, late.Count(What::kJctl));
  gate.Open();
  early.AwaitEnded(What::kJctl);
  late.AwaitEnded(What::kJctl);
  const int early_notify = early.Log(What::kJctl).at(0).jctl_notify;
  const int late_notify = late.Log(What::kJctl).at(0).jctl_notify;
  EXPECT_EQ(CLD_STOPPED, early_notify + late_notify) << Describe(GlobalLog());
  ExpectParentTold(puppet, WSTOPPED, CLD_STOPPED, SIGSTOP);
  puppet.Kill(SIGCONT);
  EXPECT_EQ(nanny().pid(), thread.Finish());
}

// ---- JCT-03 ------------------------------------------------------------------------------------

CLAUSE_TEST(JCT_03, TracingStopsAreNoneToTheParent) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kJctl | kQuiesce));
  StartSpinning(puppet);
  engine.StopAndWait();
  ExpectParentNotTold(puppet);
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  puppet.AwaitSpinning();
  ExpectParentNotTold(puppet);
  EXPECT_EQ(0, engine.Control(UTRACE_INTERRUPT));
  puppet.AwaitSpinning();
  ExpectRuns(puppet);
  ExpectParentNotTold(puppet);
  EXPECT_EQ(0, engine.Count(What::kJctl));
}

CLAUSE_TEST(JCT_03, AStopAtASystemCallIsNoneEither) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.On(What::kSyscallEntry, AtMarker(UTRACE_STOP));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(SYSCALL_ENTRY)));
  puppet.Begin(kMarker);
  AwaitHeld(engine);
  ExpectParentNotTold(puppet);
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  puppet.Finish();
  ExpectParentNotTold(puppet);
}

CLAUSE_TEST(JCT_03, TheParentsBlockingWaitIsNotWoken) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  StartSpinning(puppet);
  nanny().BeginWait(puppet.pid(), WUNTRACED | WCONTINUED);
  engine.StopAndWait();
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  ExpectRuns(puppet);
  EXPECT_FALSE(nanny().WaitFinished());
  puppet.Kill(SIGSTOP);
  const WaitResult wait = nanny().FinishWait();
  EXPECT_EQ(puppet.pid(), wait.result);
  EXPECT_TRUE(WIFSTOPPED(wait.status) && WSTOPSIG(wait.status) == SIGSTOP) << wait.status;
}

CLAUSE_TEST(JCT_03, RealStopsAreSeen) {
  for (const unsigned long events : {0UL, kJctl, UTRACE_EVENT_ALL}) {
    SCOPED_TRACE(events);
    Puppet& puppet = Spawn();
    TestEngine engine("A");
    ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine.SetEvents(events));
    for (const int signo : {SIGSTOP, SIGTSTP}) {
      puppet.Kill(signo);
      ExpectParentTold(puppet, WSTOPPED, CLD_STOPPED, signo);
      puppet.Kill(SIGCONT);
      ExpectParentTold(puppet, WCONTINUED, CLD_CONTINUED, SIGCONT);
    }
    EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
    ExpectParentNotTold(puppet);
  }
}

// ---- JCT-04 ------------------------------------------------------------------------------------

CLAUSE_TEST(JCT_04, ResumesOnSigcont) {
  for (const unsigned long events : {0UL, kQuiesce, kJctl, UTRACE_EVENT_ALL}) {
    SCOPED_TRACE(events);
    Puppet& puppet = Spawn();
    puppet.Sigaction(SIGCONT, Disposition::kHandler);
    PuppetThread& other = puppet.SpawnThread();
    other.Sigprocmask(SIG_BLOCK, uint64_t{1} << (SIGCONT - 1));
    TestEngine engine("A");
    ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine.SetEvents(events));
    StartSpinning(puppet);
    puppet.Kill(SIGSTOP);
    ExpectParentTold(puppet, WSTOPPED, CLD_STOPPED, SIGSTOP);
    if ((events & kJctl) != 0) engine.AwaitEnded(What::kJctl);
    ExpectStaysStopped(puppet, other);
    puppet.Kill(SIGCONT);
    puppet.AwaitHandlerRuns(1);
    ExpectRuns(puppet);
    EXPECT_EQ(1U, puppet.HandlerRuns(SIGCONT));
  }
}

CLAUSE_TEST(JCT_04, OfATaskBlockedInACall) {
  for (const unsigned long events : {0UL, UTRACE_EVENT_ALL}) {
    Puppet& puppet = Spawn();
    TestEngine engine("A");
    ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine.SetEvents(events));
    puppet.BeginRead();
    puppet.AwaitBlocked();
    puppet.Kill(SIGSTOP);
    ExpectParentTold(puppet, WSTOPPED, CLD_STOPPED, SIGSTOP);
    puppet.Feed("ab");
    puppet.Kill(SIGCONT);
    EXPECT_EQ(2, puppet.Finish());
  }
}

CLAUSE_TEST(JCT_04, AttachedWhileStopped) {
  Puppet& puppet = Spawn();
  puppet.Kill(SIGSTOP);
  ExpectParentTold(puppet, WSTOPPED, CLD_STOPPED, SIGSTOP);
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kQuiesce));
  puppet.Begin(kMarker);
  puppet.Kill(SIGCONT);
  EXPECT_EQ(nanny().pid(), puppet.Finish());
}

CLAUSE_TEST(JCT_04, DetachLeavesItStopped) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kJctl));
  StartSpinning(puppet);
  puppet.Kill(SIGSTOP);
  ExpectParentTold(puppet, WSTOPPED, CLD_STOPPED, SIGSTOP);
  engine.AwaitEnded(What::kJctl);
  engine.DetachAndWait();
  puppet.AwaitState('T');
  puppet.Kill(SIGCONT);
  ExpectRuns(puppet);
}

CLAUSE_TEST(JCT_04, AgainAndAgain) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kJctl));
  for (int round = 0; round < 100; ++round) {
    // Nobody waits for the stop: SIGCONT may overtake it.
    puppet.Kill(SIGSTOP);
    puppet.Kill(SIGCONT);
    ASSERT_EQ(nanny().pid(), puppet.Call(kMarker)) << round;
  }
  int depth = 0;
  for (const Report& report : engine.Log(What::kJctl)) {
    depth += report.jctl_type == CLD_STOPPED ? 1 : -1;
    EXPECT_TRUE(depth == 0 || depth == 1) << Describe(engine.Log());
    if (depth < 0 || depth > 1) break;
  }
}

}  // namespace utrace::kit
