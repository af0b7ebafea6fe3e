// CTL-20, CTL-21: what STOP returns, and who is asked.
#include <functional>

#include "conformance/clauses/control_scenes.h"

namespace utrace::kit {
namespace {

constexpr unsigned long kQuiesce = UTRACE_EVENT(QUIESCE);

// Stops the puppet by job control and waits until that is complete.
void StopByJobControl(Puppet& puppet) {
  puppet.Kill(SIGSTOP);
  const WaitIdResult stopped = puppet.nanny().WaitId(puppet.pid(), WSTOPPED);
  if (stopped.result != 0) StepFailed("waiting for the job control stop");
}

}  // namespace

// ---- CTL-20 ------------------------------------------------------------------------------------

CLAUSE_TEST(CTL_20, ZeroOnATaskThatAnotherHolds) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  ASSERT_EQ(0, a.AttachTid(puppet.tid()));
  ASSERT_EQ(0, b.AttachTid(puppet.tid()));
  StartSpinning(puppet);
  a.StopAndWait();
  EXPECT_EQ(0, b.Control(UTRACE_STOP));
  // From now on it stays, whatever A does.
  ExpectStaysHeld(b, puppet, [&] { EXPECT_EQ(0, a.Control(UTRACE_RESUME)); });
  ExpectStaysHeld(b, puppet, [&] { EXPECT_EQ(0, a.Control(UTRACE_DETACH)); });
  EXPECT_EQ(0, b.Control(UTRACE_RESUME));
  ExpectRuns(puppet);
}

CLAUSE_TEST(CTL_20, ZeroOnATaskThatItHoldsItself) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  StartSpinning(puppet);
  engine.StopAndWait();
  ExpectStaysHeld(engine, puppet, [&] {
    EXPECT_EQ(0, engine.Control(UTRACE_STOP));
    EXPECT_EQ(0, engine.Control(UTRACE_STOP));
  });
  // Wishes do not add up: one RESUME ends them.
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  ExpectRuns(puppet);
}

CLAUSE_TEST(CTL_20, ZeroAtAStoppedSystemCallEntry) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  a.On(What::kSyscallEntry, AtMarker(UTRACE_STOP));
  ASSERT_EQ(0, a.AttachTid(puppet.tid()));
  ASSERT_EQ(0, b.AttachTid(puppet.tid()));
  ASSERT_EQ(0, a.SetEvents(UTRACE_EVENT(SYSCALL_ENTRY)));
  puppet.Begin(kMarker);
  AwaitHeld(a);
  EXPECT_EQ(0, b.Control(UTRACE_STOP));
  ExpectStaysHeld(b, puppet, [&] { EXPECT_EQ(0, a.Control(UTRACE_RESUME)); });
  EXPECT_EQ(0, b.Control(UTRACE_RESUME));
  EXPECT_EQ(nanny().pid(), puppet.Finish());
}

CLAUSE_TEST(CTL_20, NotZeroOnASpinningTask) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  StartSpinning(puppet);
  EXPECT_EQ(-EINPROGRESS, engine.Control(UTRACE_STOP));
}

CLAUSE_TEST(CTL_20, NotZeroOnATaskBlockedInACall) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  ASSERT_EQ(0, a.AttachTid(puppet.tid()));
  ASSERT_EQ(0, b.AttachTid(puppet.tid()));
  puppet.BeginRead();
  puppet.AwaitBlocked();
  EXPECT_EQ(-EINPROGRESS, a.Control(UTRACE_STOP));
  // A wish alone stops nothing: the second engine is told the same.
  EXPECT_EQ(-EINPROGRESS, b.Control(UTRACE_STOP));
  EXPECT_EQ(-EINPROGRESS, a.Control(UTRACE_STOP));
}

CLAUSE_TEST(CTL_20, NotZeroWhileACallbackRuns) {
  Puppet& puppet = Spawn();
  Gate gate;
  TestEngine a("A");
  TestEngine b("B");
  int inside = 1;
  a.On(What::kSyscallExit, [&](Report& report) -> uint32_t {
    if (!IsMarker(report)) return UTRACE_RESUME;
    inside = api().utrace_control(report.task, report.engine, UTRACE_STOP);
    gate.Wait();
    return UTRACE_STOP;
  });
  ASSERT_EQ(0, a.AttachTid(puppet.tid()));
  ASSERT_EQ(0, b.AttachTid(puppet.tid()));
  ASSERT_EQ(0, a.SetEvents(UTRACE_EVENT(SYSCALL_EXIT)));
  puppet.Begin(kMarker);
  gate.AwaitArrival();
  EXPECT_EQ(-EINPROGRESS, inside);
  EXPECT_EQ(-EINPROGRESS, b.Control(UTRACE_STOP));
  gate.Open();
  AwaitHeld(b);
  EXPECT_EQ(0, a.Control(UTRACE_RESUME));
  AwaitHeld(b);
  EXPECT_EQ(0, b.Control(UTRACE_RESUME));
  EXPECT_EQ(nanny().pid(), puppet.Finish());
}

CLAUSE_TEST(CTL_20, NotZeroAfterItWasLetGo) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  ASSERT_EQ(0, a.AttachTid(puppet.tid()));
  ASSERT_EQ(0, b.AttachTid(puppet.tid()));
  StartSpinning(puppet);
  a.StopAndWait();
  EXPECT_EQ(0, a.Control(UTRACE_RESUME));
  puppet.AwaitSpinning();
  EXPECT_EQ(-EINPROGRESS, b.Control(UTRACE_STOP));
  AwaitHeld(b);
}

CLAUSE_TEST(CTL_20, ZeroInAJobControlStop) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(JCTL)));
  puppet.Kill(SIGSTOP);
  engine.AwaitEnded(What::kJctl);
  EXPECT_EQ(0, engine.Barrier());
  StopByJobControl(puppet);
  EXPECT_EQ(0, engine.Control(UTRACE_STOP));
  AwaitHeld(engine);
}

CLAUSE_TEST(CTL_20, ZeroInAJobControlStopFromBeforeTheAttach) {
  Puppet& puppet = Spawn();
  StopByJobControl(puppet);
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  EXPECT_EQ(0, engine.Control(UTRACE_STOP));
  AwaitHeld(engine);
  puppet.Kill(SIGCONT);
  ExpectStaysHeld(engine, puppet, [] {});
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
}

CLAUSE_TEST(CTL_20, SigcontDoesNotEndAJobControlStopTakenOver) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(JCTL)));
  StartSpinning(puppet);
  puppet.Kill(SIGSTOP);
  engine.AwaitEnded(What::kJctl);
  EXPECT_EQ(0, engine.Barrier());
  ASSERT_EQ(0, engine.Control(UTRACE_STOP));
  AwaitHeld(engine);
  ExpectStaysHeld(engine, puppet, [&] { puppet.Kill(SIGCONT); });
  ExpectStaysHeld(engine, puppet, [&] { puppet.Kill(SIGCONT); });
  EXPECT_EQ(1, engine.Count(What::kJctl)) << "the job control stop ended";
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  ExpectRuns(puppet);
  engine.AwaitEnded(What::kJctl, 2);
}

// The task may not have come to the engine's stop yet when SIGCONT comes.
CLAUSE_TEST(CTL_20, SigcontRightBehindTheStopDoesNotEndItEither) {
  for (int round = 0; round < 20; ++round) {
    Puppet& puppet = Spawn();
    TestEngine engine("A");
    ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(JCTL)));
    puppet.Kill(SIGSTOP);
    engine.AwaitEnded(What::kJctl);
    EXPECT_EQ(0, engine.Barrier());
    ASSERT_EQ(0, engine.Control(UTRACE_STOP));
    puppet.Kill(SIGCONT);
    AwaitHeld(engine);
    EXPECT_EQ(1, engine.Count(What::kJctl)) << "the job control stop ended";
    EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
    engine.AwaitEnded(What::kJctl, 2);
  }
}

CLAUSE_TEST(CTL_20, TheJobControlStopOutlastsAnEngineThatTookItOver) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(JCTL)));
  puppet.Kill(SIGSTOP);
  engine.AwaitEnded(What::kJctl);
  EXPECT_EQ(0, engine.Barrier());
  ASSERT_EQ(0, engine.Control(UTRACE_STOP));
  AwaitHeld(engine);
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  puppet.Kill(SIGCONT);
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
}

CLAUSE_TEST(CTL_20, SigkillEndsIt) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  ASSERT_EQ(0, a.AttachTid(puppet.tid()));
  ASSERT_EQ(0, b.AttachTid(puppet.tid()));
  StartSpinning(puppet);
  a.StopAndWait();
  EXPECT_EQ(0, b.Control(UTRACE_STOP));
  puppet.Kill(SIGKILL);
  puppet.AwaitDeath();
  const WaitResult end = nanny().Wait(puppet.pid());
  EXPECT_TRUE(WIFSIGNALED(end.status) && WTERMSIG(end.status) == SIGKILL) << end.status;
}

CLAUSE_TEST(CTL_20, OtherSignalsDoNot) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  StartSpinning(puppet);
  engine.StopAndWait();
  ExpectStaysHeld(engine, puppet, [&] {
    puppet.Tgkill(SIGUSR1);
    puppet.Kill(SIGCONT);
  });
  EXPECT_EQ(0U, puppet.HandlerRuns());
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  ExpectRuns(puppet);
  EXPECT_EQ(1U, puppet.HandlerRuns(SIGUSR1));
}

// ---- CTL-21 ------------------------------------------------------------------------------------

CLAUSE_TEST(CTL_21, EveryEngineWithQuiesceIsAskedAndNoOther) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  TestEngine c("C");
  for (TestEngine* engine : {&a, &b, &c}) ASSERT_EQ(0, engine->AttachTid(puppet.tid()));
  ASSERT_EQ(0, a.SetEvents(kQuiesce));
  ASSERT_EQ(0, b.SetEvents(kQuiesce));
  ASSERT_EQ(0, c.SetEvents(UTRACE_EVENT(EXEC)));
  StartSpinning(puppet);
  EXPECT_EQ(-EINPROGRESS, a.Control(UTRACE_STOP));
  AwaitUserReturns(a, 1);
  AwaitUserReturns(b, 1);
  ExpectRuns(puppet);
  ExpectLog(c.Log(), {});
}

CLAUSE_TEST(CTL_21, TheResultDecidesForGoingOn) {
  for (const uint32_t result : {UTRACE_RESUME, UTRACE_REPORT}) {
    Puppet& puppet = Spawn();
    TestEngine engine("A", OpsTable().Without(What::kSignal));
    OnUserReturn(engine, Answer(result));
    ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine.SetEvents(kQuiesce));
    StartSpinning(puppet);
    EXPECT_EQ(-EINPROGRESS, engine.Control(UTRACE_STOP));
    AwaitUserReturns(engine, 1);
    ExpectRuns(puppet);
    utrace_examiner examiner = {};
    EXPECT_NE(0, engine.Prepare(&examiner));
  }
}

CLAUSE_TEST(CTL_21, TheResultDecidesForStopping) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  OnUserReturn(engine, Answer(UTRACE_STOP));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kQuiesce));
  StartSpinning(puppet);
  EXPECT_EQ(-EINPROGRESS, engine.Control(UTRACE_STOP));
  AwaitUserReturns(engine, 1);
  AwaitHeld(engine);
  ExpectStaysHeld(engine, puppet, [] {});
}

CLAUSE_TEST(CTL_21, AnotherEnginesResultDecidesForThatEngine) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  OnUserReturn(b, Answer(UTRACE_STOP));
  ASSERT_EQ(0, a.AttachTid(puppet.tid()));
  ASSERT_EQ(0, b.AttachTid(puppet.tid()));
  ASSERT_EQ(0, a.SetEvents(kQuiesce));
  ASSERT_EQ(0, b.SetEvents(kQuiesce));
  StartSpinning(puppet);
  EXPECT_EQ(-EINPROGRESS, a.Control(UTRACE_STOP));
  AwaitUserReturns(b, 1);
  // A's result was RESUME: only B holds it.
  AwaitHeld(b);
  utrace_examiner examiner = {};
  EXPECT_EQ(-EINVAL, a.Prepare(&examiner));
  OnUserReturn(b, Answer(UTRACE_RESUME));
  EXPECT_EQ(0, b.Control(UTRACE_RESUME));
  ExpectRuns(puppet);
}

CLAUSE_TEST(CTL_21, OfATaskThatMakesSystemCalls) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  OnUserReturn(engine, Answer(UTRACE_STOP));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kQuiesce));
  puppet.BeginRepeat(kMarker, 100000000);
  puppet.AwaitStarted();
  EXPECT_EQ(-EINPROGRESS, engine.Control(UTRACE_STOP));
  AwaitUserReturns(engine, 1);
  AwaitHeld(engine);
  ExpectStaysHeld(engine, puppet, [] {});
}

}  // namespace utrace::kit
