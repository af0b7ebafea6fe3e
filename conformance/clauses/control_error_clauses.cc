// CTL-01 to CTL-05: what every action has in common.
#include <functional>

#include "conformance/clauses/control_scenes.h"

namespace utrace::kit {
namespace {

constexpr unsigned long kQuiesce = UTRACE_EVENT(QUIESCE);

// An action that the enumeration need not have.
int ControlRaw(TestEngine& engine, unsigned action) {
  return engine.Control(static_cast<enum utrace_resume_action>(action));
}

constexpr unsigned kUnknownActions[] = {UTRACE_DETACH + 1U, 8, 0x10, 0x100, 0x107, ~0U};
constexpr enum utrace_resume_action kNeedQuiesce[] = {UTRACE_REPORT, UTRACE_SINGLESTEP,
                                                      UTRACE_BLOCKSTEP};
constexpr enum utrace_resume_action kAllActions[] = {
    UTRACE_STOP,      UTRACE_INTERRUPT, UTRACE_REPORT, UTRACE_SINGLESTEP,
    UTRACE_BLOCKSTEP, UTRACE_RESUME,    UTRACE_DETACH};

}  // namespace

// ---- CTL-01 ------------------------------------------------------------------------------------

CLAUSE_TEST(CTL_01, UnknownActionIsEinval) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  for (const unsigned action : kUnknownActions) EXPECT_EQ(-EINVAL, ControlRaw(engine, action));
  ASSERT_EQ(0, engine.SetEvents(kQuiesce));
  for (const unsigned action : kUnknownActions) EXPECT_EQ(-EINVAL, ControlRaw(engine, action));
  EXPECT_TRUE(IsAttached(engine));
}

CLAUSE_TEST(CTL_01, UnknownActionChangesNothing) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  StartSpinning(puppet);
  engine.StopAndWait();
  ExpectStaysHeld(engine, puppet, [&] {
    for (const unsigned action : kUnknownActions) EXPECT_EQ(-EINVAL, ControlRaw(engine, action));
  });
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  ExpectRuns(puppet);
}

// ---- CTL-02 ------------------------------------------------------------------------------------

CLAUSE_TEST(CTL_02, ReportAndStepsWithoutQuiesceAreEinval) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  for (const auto action : kNeedQuiesce) EXPECT_EQ(-EINVAL, engine.Control(action));
  // Any other mask does not help.
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT_ALL & ~kQuiesce));
  for (const auto action : kNeedQuiesce) EXPECT_EQ(-EINVAL, engine.Control(action));
}

CLAUSE_TEST(CTL_02, RefusedActionChangesNothing) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  StartSpinning(puppet);
  engine.StopAndWait();
  ExpectStaysHeld(engine, puppet, [&] {
    for (const auto action : kNeedQuiesce) EXPECT_EQ(-EINVAL, engine.Control(action));
  });
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  ExpectRuns(puppet);
}

CLAUSE_TEST(CTL_02, AnotherEnginesQuiesceDoesNotCount) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  ASSERT_EQ(0, a.AttachTid(puppet.tid()));
  ASSERT_EQ(0, b.AttachTid(puppet.tid()));
  ASSERT_EQ(0, b.SetEvents(kQuiesce));
  for (const auto action : kNeedQuiesce) EXPECT_EQ(-EINVAL, a.Control(action));
}

CLAUSE_TEST(CTL_02, ADroppedQuiesceDoesNotCount) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kQuiesce));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(EXEC)));
  for (const auto action : kNeedQuiesce) EXPECT_EQ(-EINVAL, engine.Control(action));
}

CLAUSE_TEST(CTL_02, WithQuiesceTheyAreAccepted) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kQuiesce));
  EXPECT_EQ(0, engine.Control(UTRACE_REPORT));
  StartSpinning(puppet);
  engine.StopAndWait();
  const int step = api().utrace_has_single_step() ? 0 : -EOPNOTSUPP;
  // The results of the callback on the way to user mode take the steps back again.
  EXPECT_EQ(step, engine.Control(UTRACE_SINGLESTEP));
  AwaitUserReturns(engine, 1);
  engine.StopAndWait();
  EXPECT_EQ(step, engine.Control(UTRACE_BLOCKSTEP));
}

CLAUSE_TEST(CTL_02, InterruptDoesNotNeedQuiesce) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  EXPECT_EQ(0, engine.Control(UTRACE_INTERRUPT));
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  ExpectLog(engine.Log(), {});
}

// ---- CTL-03 ------------------------------------------------------------------------------------

CLAUSE_TEST(CTL_03, AfterDetachByControl) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kQuiesce));
  ASSERT_EQ(0, engine.Control(UTRACE_DETACH));
  for (const auto action : kAllActions) EXPECT_EQ(-ESRCH, engine.Control(action));
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
}

CLAUSE_TEST(CTL_03, EsrchComesBeforeTheMissingQuiesce) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.Control(UTRACE_DETACH));
  for (const auto action : kNeedQuiesce) EXPECT_EQ(-ESRCH, engine.Control(action));
}

CLAUSE_TEST(CTL_03, TheUnknownActionComesBeforeEsrch) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.Control(UTRACE_DETACH));
  for (const unsigned action : kUnknownActions) EXPECT_EQ(-EINVAL, ControlRaw(engine, action));
}

CLAUSE_TEST(CTL_03, AfterDetachByResult) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.On(What::kSyscallEntry, Answer(UTRACE_DETACH));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(SYSCALL_ENTRY) | kQuiesce));
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  for (const auto action : kAllActions) EXPECT_EQ(-ESRCH, engine.Control(action));
}

CLAUSE_TEST(CTL_03, WhileTheDetachIsInProgress) {
  Puppet& puppet = Spawn();
  Gate gate;
  TestEngine engine("A");
  engine.On(What::kSyscallEntry, WaitAt(gate, UTRACE_RESUME));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(SYSCALL_ENTRY) | kQuiesce));
  puppet.Begin(kMarker);
  gate.AwaitArrival();
  ASSERT_EQ(-EINPROGRESS, engine.Control(UTRACE_DETACH));
  for (const auto action : kAllActions) EXPECT_EQ(-ESRCH, engine.Control(action));
  gate.Open();
  EXPECT_EQ(nanny().pid(), puppet.Finish());
}

CLAUSE_TEST(CTL_03, AfterTheTaskWasReaped) {
  Puppet& puppet = Spawn();
  TestEngine quiet("A");
  TestEngine watcher("B");
  ASSERT_EQ(0, quiet.AttachTid(puppet.tid()));
  ASSERT_EQ(0, watcher.AttachTid(puppet.tid()));
  ASSERT_EQ(0, watcher.SetEvents(UTRACE_EVENT(REAP) | kQuiesce));
  puppet.Destroy();
  EXPECT_EQ(puppet.pid(), nanny().Wait(puppet.pid()).result);
  watcher.AwaitEnded(What::kReap);
  for (const auto action : kAllActions) {
    EXPECT_EQ(-ESRCH, watcher.Control(action));
    EXPECT_EQ(-ESRCH, quiet.Control(action));
  }
}

// ---- CTL-04 ------------------------------------------------------------------------------------

CLAUSE_TEST(CTL_04, OnADeadTaskAllButDetachAreEsrch) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(DEATH) | kQuiesce));
  puppet.Destroy();
  engine.AwaitEnded(What::kDeath);
  for (const auto action : kAllActions) {
    if (action == UTRACE_DETACH) continue;
    EXPECT_EQ(-ESRCH, engine.Control(action));
  }
  // The report ends some time after its last callback.
  int result = 0;
  PollUntil([&] { return (result = engine.Control(UTRACE_DETACH)) != -EALREADY; });
  EXPECT_EQ(0, result);
}

CLAUSE_TEST(CTL_04, WhileTheDeathReportRuns) {
  Puppet& puppet = Spawn();
  Gate gate;
  TestEngine engine("A");
  std::vector<int> inside;
  engine.On(What::kDeath, [&](Report& report) -> uint32_t {
    for (const auto action : kAllActions) {
      if (action == UTRACE_DETACH) continue;
      inside.push_back(api().utrace_control(report.task, report.engine, action));
    }
    gate.Wait();
    return UTRACE_RESUME;
  });
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(DEATH) | kQuiesce));
  puppet.Kill(SIGKILL);
  gate.AwaitArrival();
  for (const auto action : kAllActions) {
    if (action == UTRACE_DETACH) continue;
    EXPECT_EQ(-ESRCH, engine.Control(action));
  }
  EXPECT_EQ(inside, std::vector<int>(6, -ESRCH));
  gate.Open();
  engine.AwaitEnded(What::kDeath);
}

CLAUSE_TEST(CTL_04, AnEngineAttachedToTheDead) {
  Puppet& puppet = Spawn();
  puppet.Destroy();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  for (const auto action : {UTRACE_STOP, UTRACE_INTERRUPT, UTRACE_RESUME}) {
    EXPECT_EQ(-ESRCH, engine.Control(action));
  }
  EXPECT_EQ(0, engine.Control(UTRACE_DETACH));
}

// ---- CTL-05 ------------------------------------------------------------------------------------

CLAUSE_TEST(CTL_05, HeldUntilTheLastLetsGo) {
  for (const bool first_lets_go_first : {true, false}) {
    Puppet& puppet = Spawn();
    TestEngine a("A");
    TestEngine b("B");
    TestEngine c("C");
    for (TestEngine* engine : {&a, &b, &c}) ASSERT_EQ(0, engine->AttachTid(puppet.tid()));
    StartSpinning(puppet);
    TestEngine& early = first_lets_go_first ? a : c;
    TestEngine& late = first_lets_go_first ? c : a;
    early.StopAndWait();
    EXPECT_EQ(0, b.Control(UTRACE_STOP));
    EXPECT_EQ(0, late.Control(UTRACE_STOP));
    ExpectStaysHeld(late, puppet, [&] {
      EXPECT_EQ(0, early.Control(UTRACE_RESUME));
      EXPECT_EQ(0, b.Control(UTRACE_RESUME));
    });
    EXPECT_EQ(0, late.Control(UTRACE_RESUME));
    ExpectRuns(puppet);
  }
}

CLAUSE_TEST(CTL_05, NothingThatAnotherEngineDoesLetsGo) {
  Puppet& puppet = Spawn();
  TestEngine holder("A");
  TestEngine other("B");
  ASSERT_EQ(0, holder.AttachTid(puppet.tid()));
  ASSERT_EQ(0, other.AttachTid(puppet.tid()));
  ASSERT_EQ(0, other.SetEvents(kQuiesce));
  StartSpinning(puppet);
  holder.StopAndWait();
  for (const auto action : kAllActions) {
    if (action == UTRACE_DETACH) continue;
    SCOPED_TRACE(ResumeActionName(action));
    ExpectStaysHeld(holder, puppet, [&] {
      const int result = other.Control(action);
      ExpectOneOf(result, {0, -EOPNOTSUPP});
    });
  }
  ExpectStaysHeld(holder, puppet, [&] { EXPECT_EQ(0, other.SetEvents(0)); });
  ExpectStaysHeld(holder, puppet, [&] { EXPECT_EQ(0, other.Control(UTRACE_DETACH)); });
  ExpectStaysHeld(holder, puppet, [&] {
    TestEngine passer("C");
    EXPECT_EQ(0, passer.Attach(holder.task()));
    EXPECT_EQ(0, passer.Control(UTRACE_DETACH));
  });
  EXPECT_EQ(0, holder.Control(UTRACE_RESUME));
  ExpectRuns(puppet);
}

CLAUSE_TEST(CTL_05, AStopByResultAndOneByControlAreTwo) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  a.On(What::kSyscallExit, AtMarker(UTRACE_STOP));
  ASSERT_EQ(0, a.AttachTid(puppet.tid()));
  ASSERT_EQ(0, b.AttachTid(puppet.tid()));
  ASSERT_EQ(0, a.SetEvents(UTRACE_EVENT(SYSCALL_EXIT)));
  puppet.Begin(kMarker);
  AwaitHeld(a);
  EXPECT_EQ(0, b.Control(UTRACE_STOP));
  ExpectStaysHeld(b, puppet, [&] { EXPECT_EQ(0, a.Control(UTRACE_RESUME)); });
  EXPECT_FALSE(puppet.Finished());
  EXPECT_EQ(0, b.Control(UTRACE_RESUME));
  EXPECT_EQ(nanny().pid(), puppet.Finish());
}

CLAUSE_TEST(CTL_05, OtherThreadsAreNotHeld) {
  Puppet& puppet = Spawn();
  PuppetThread& thread = puppet.SpawnThread();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  StartSpinning(puppet);
  engine.StopAndWait();
  EXPECT_EQ(nanny().pid(), thread.Call(kMarker));
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  ExpectRuns(puppet);
}

}  // namespace utrace::kit
