// CTL-23, CTL-24, CTL-25: STOP without QUIESCE, by a passing engine, or taken back in time.
#include <functional>

#include "conformance/clauses/control_scenes.h"

namespace utrace::kit {
namespace {

constexpr unsigned long kQuiesce = UTRACE_EVENT(QUIESCE);

}  // namespace

// ---- CTL-23 ------------------------------------------------------------------------------------

CLAUSE_TEST(CTL_23, ASpinningTaskStopsWithoutACallback) {
  for (const unsigned long events : {0UL, UTRACE_EVENT(EXEC), UTRACE_EVENT_SIGNAL_ALL}) {
    SCOPED_TRACE(EventNames(events));
    Puppet& puppet = Spawn();
    TestEngine engine("A");
    ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine.SetEvents(events));
    StartSpinning(puppet);
    EXPECT_EQ(-EINPROGRESS, engine.Control(UTRACE_STOP));
    AwaitHeld(engine);
    ExpectStaysHeld(engine, puppet, [] {});
    EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
    ExpectRuns(puppet);
    ExpectLog(engine.Log(), {});
  }
}

CLAUSE_TEST(CTL_23, ABlockedTaskStopsWhenItsCallIsOver) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  puppet.BeginRead();
  puppet.AwaitBlocked();
  EXPECT_EQ(-EINPROGRESS, engine.Control(UTRACE_STOP));
  puppet.Feed();
  AwaitHeld(engine);
  EXPECT_FALSE(puppet.Finished());
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  EXPECT_EQ(1, puppet.Finish());
  ExpectLog(engine.Log(), {});
}

CLAUSE_TEST(CTL_23, AnotherEnginesCallbackDoesNotDecideForIt) {
  Puppet& puppet = Spawn();
  TestEngine bare("A");
  TestEngine asked("B");
  ASSERT_EQ(0, bare.AttachTid(puppet.tid()));
  ASSERT_EQ(0, asked.AttachTid(puppet.tid()));
  ASSERT_EQ(0, asked.SetEvents(kQuiesce));
  StartSpinning(puppet);
  EXPECT_EQ(-EINPROGRESS, bare.Control(UTRACE_STOP));
  AwaitUserReturns(asked, 1);
  AwaitHeld(bare);
  ExpectLog(bare.Log(), {});
  EXPECT_EQ(0, bare.Control(UTRACE_RESUME));
  ExpectRuns(puppet);
}

// ---- CTL-24 ------------------------------------------------------------------------------------

CLAUSE_TEST(CTL_24, StoppedAndDetached) {
  Puppet& puppet = Spawn();
  StartSpinning(puppet);
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  EXPECT_EQ(-EINPROGRESS, engine.Control(UTRACE_STOP));
  AwaitHeld(engine);
  EXPECT_EQ(0, engine.Control(UTRACE_DETACH));
  ExpectRuns(puppet);
}

CLAUSE_TEST(CTL_24, StoppedAndResumed) {
  Puppet& puppet = Spawn();
  StartSpinning(puppet);
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  EXPECT_EQ(-EINPROGRESS, engine.Control(UTRACE_STOP));
  AwaitHeld(engine);
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  ExpectRuns(puppet);
}

CLAUSE_TEST(CTL_24, AskedAndGoneAtOnce) {
  Puppet& puppet = Spawn();
  TestEngine bystander("B");
  ASSERT_EQ(0, bystander.AttachTid(puppet.tid()));
  StartSpinning(puppet);
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  EXPECT_EQ(-EINPROGRESS, engine.Control(UTRACE_STOP));
  EXPECT_EQ(0, engine.Control(UTRACE_DETACH));
  engine.Put();
  ExpectRuns(puppet);
}

CLAUSE_TEST(CTL_24, ABlockedTaskIsNotStoppedByTheGone) {
  for (const auto action : {UTRACE_DETACH, UTRACE_RESUME}) {
    Puppet& puppet = Spawn();
    TestEngine engine("A");
    ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
    puppet.BeginRead();
    puppet.AwaitBlocked();
    EXPECT_EQ(-EINPROGRESS, engine.Control(UTRACE_STOP));
    EXPECT_EQ(0, engine.Control(action));
    puppet.Feed("ab");
    EXPECT_EQ(2, puppet.Finish());
    EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  }
}

// Race 10.
CLAUSE_TEST(CTL_24, PassingEnginesLeaveNoStop) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  StartSpinning(puppet);
  for (int round = 0; round < 200; ++round) {
    TestEngine engine("A");
    ASSERT_EQ(0, engine.Attach(task));
    AssertOneOf(engine.Control(UTRACE_STOP), {0, -EINPROGRESS});
    // Mostly before the task stopped, sometimes after, sometimes just then.
    for (int i = 0; i < round % 5; ++i) Yield();
    if (round % 10 == 9) AwaitHeld(engine);
    if (round % 2 == 0) {
      ASSERT_EQ(0, engine.Control(UTRACE_RESUME));
    }
    ASSERT_EQ(0, engine.Control(UTRACE_DETACH));
    if (round % 20 == 0) puppet.AwaitSpinning();
  }
  ExpectRuns(puppet);
}

CLAUSE_TEST(CTL_24, PassingEnginesLeaveNoStopOnABusyTask) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  puppet.BeginRepeat(kMarker, 200000);
  for (int round = 0; round < 200; ++round) {
    TestEngine engine("A");
    ASSERT_EQ(0, engine.Attach(task));
    AssertOneOf(engine.Control(UTRACE_STOP), {0, -EINPROGRESS});
    for (int i = 0; i < round % 5; ++i) Yield();
    ASSERT_EQ(0, engine.Control(round % 2 == 0 ? UTRACE_RESUME : UTRACE_DETACH));
    if (round % 2 == 0) {
      ASSERT_EQ(0, engine.Control(UTRACE_DETACH));
    }
  }
  EXPECT_EQ(nanny().pid(), puppet.Finish());
}

// ---- CTL-25 ------------------------------------------------------------------------------------

CLAUSE_TEST(CTL_25, TakenBackWhileTheTaskIsBlocked) {
  for (const auto action : {UTRACE_RESUME, UTRACE_REPORT, UTRACE_DETACH}) {
    SCOPED_TRACE(ResumeActionName(action));
    Puppet& puppet = Spawn();
    TestEngine engine("A");
    ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine.SetEvents(kQuiesce));
    puppet.BeginRead();
    puppet.AwaitBlocked();
    EXPECT_EQ(-EINPROGRESS, engine.Control(UTRACE_STOP));
    EXPECT_EQ(0, engine.Control(action));
    puppet.Feed("ab");
    EXPECT_EQ(2, puppet.Finish());
    EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  }
}

CLAUSE_TEST(CTL_25, TakenBackDuringACallback) {
  for (const auto action : {UTRACE_RESUME, UTRACE_REPORT, UTRACE_DETACH}) {
    SCOPED_TRACE(ResumeActionName(action));
    Puppet& puppet = Spawn();
    Gate gate;
    TestEngine a("A");
    TestEngine b("B");
    a.On(What::kSyscallEntry, WaitAt(gate, UTRACE_RESUME));
    ASSERT_EQ(0, a.AttachTid(puppet.tid()));
    ASSERT_EQ(0, b.AttachTid(puppet.tid()));
    ASSERT_EQ(0, a.SetEvents(UTRACE_EVENT(SYSCALL_ENTRY)));
    ASSERT_EQ(0, b.SetEvents(kQuiesce));
    puppet.Begin(kMarker);
    gate.AwaitArrival();
    // The task is at a safe point where STOP would take effect at once.
    EXPECT_EQ(-EINPROGRESS, b.Control(UTRACE_STOP));
    EXPECT_EQ(0, b.Control(action));
    gate.Open();
    EXPECT_EQ(nanny().pid(), puppet.Finish());
  }
}

CLAUSE_TEST(CTL_25, AnotherEnginesStopStays) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  ASSERT_EQ(0, a.AttachTid(puppet.tid()));
  ASSERT_EQ(0, b.AttachTid(puppet.tid()));
  puppet.BeginRead();
  puppet.AwaitBlocked();
  EXPECT_EQ(-EINPROGRESS, a.Control(UTRACE_STOP));
  EXPECT_EQ(-EINPROGRESS, b.Control(UTRACE_STOP));
  EXPECT_EQ(0, a.Control(UTRACE_RESUME));
  puppet.Feed();
  AwaitHeld(b);
  EXPECT_FALSE(puppet.Finished());
  EXPECT_EQ(0, b.Control(UTRACE_RESUME));
  EXPECT_EQ(1, puppet.Finish());
}

CLAUSE_TEST(CTL_25, TakenBackByTheReportThatItAskedFor) {
  // REPORT after STOP asks the engine again: its answer counts, not the old wish.
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kQuiesce));
  puppet.BeginRead();
  puppet.AwaitBlocked();
  EXPECT_EQ(-EINPROGRESS, engine.Control(UTRACE_STOP));
  EXPECT_EQ(0, engine.Control(UTRACE_REPORT));
  puppet.Feed();
  EXPECT_EQ(1, puppet.Finish());
  EXPECT_LE(1, CountUserReturns(engine.Log())) << Describe(engine.Log());
}

CLAUSE_TEST(CTL_25, TakenBackAtAnyMoment) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  StartSpinning(puppet);
  for (int round = 0; round < 300; ++round) {
    AssertOneOf(engine.Control(UTRACE_STOP), {0, -EINPROGRESS});
    for (int i = 0; i < round % 4; ++i) Yield();
    ASSERT_EQ(0, engine.Control(UTRACE_RESUME));
    if (round % 30 == 0) puppet.AwaitSpinning();
  }
  ExpectRuns(puppet);
}

}  // namespace utrace::kit
