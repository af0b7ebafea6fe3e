// set_events on tasks that die or are dead: DEATH, QUIESCE and REAP come too late or cannot be taken
// back, for each engine by itself.
#include "conformance/clauses/callback_scenes.h"

namespace utrace::kit {
namespace {

constexpr unsigned long kDeath = UTRACE_EVENT(DEATH);
constexpr unsigned long kQuiesce = UTRACE_EVENT(QUIESCE);
constexpr unsigned long kReap = UTRACE_EVENT(REAP);
constexpr unsigned long kExit = UTRACE_EVENT(EXIT);

// The engine is refused these events, and its mask stays.
void ExpectTooLate(TestEngine& engine, unsigned long events) {
  const unsigned long before = MaskOf(engine);
  EXPECT_EQ(-EALREADY, engine.SetEvents(events)) << EventNames(events);
  EXPECT_EQ(before, MaskOf(engine)) << EventNames(events);
}

// Clearing REAP too late. An implementation may declare that it says -ESRCH (ruling 8).
void ExpectReapTooLate(TestEngine& engine, unsigned long events, bool declared) {
  const unsigned long before = MaskOf(engine);
  if (declared) {
    ExpectOneOf(engine.SetEvents(events), {-EALREADY, -ESRCH});
  } else {
    EXPECT_EQ(-EALREADY, engine.SetEvents(events));
  }
  EXPECT_EQ(before, MaskOf(engine));
}

// `engine` with `events`, and behind it `probe` by which the death is seen.
struct DeadTask {
  DeadTask(Puppet& puppet, unsigned long events) : engine("engine"), probe("probe") {
    AssertOneOf(engine.AttachTid(puppet.tid()), {0});
    AssertOneOf(engine.SetEvents(events), {0});
    AssertOneOf(probe.AttachTid(puppet.tid()), {0});
    AssertOneOf(probe.SetEvents(kDeath | kReap), {0});
    puppet.BeginExitGroup();
    probe.AwaitEnded(What::kDeath);
  }
  TestEngine engine;
  TestEngine probe;
};

}  // namespace

// ---- EVT-03 ------------------------------------------------------------------------------------

CLAUSE_TEST(EVT_03, NewDeathOnADeadTask) {
  DeadTask dead(Spawn(), kReap);
  ExpectTooLate(dead.engine, kReap | kDeath);
  ExpectTooLate(dead.engine, kDeath);
  EXPECT_EQ(0, dead.engine.Count(What::kDeath));
}

CLAUSE_TEST(EVT_03, NewQuiesceOnADeadTask) {
  DeadTask dead(Spawn(), kReap);
  ExpectTooLate(dead.engine, kReap | kQuiesce);
  ExpectTooLate(dead.engine, kQuiesce);
  EXPECT_EQ(0, dead.engine.Count(What::kQuiesce));
}

CLAUSE_TEST(EVT_03, OneOfThemIsNewEnough) {
  Puppet& puppet = Spawn();
  DeadTask dead(puppet, kDeath);
  ASSERT_EQ(1, dead.engine.Count(What::kDeath));
  ExpectTooLate(dead.engine, kDeath | kQuiesce);
  Puppet& other = Spawn();
  DeadTask quiet(other, kQuiesce);
  ExpectTooLate(quiet.engine, kDeath | kQuiesce);
  EXPECT_EQ(0, quiet.engine.Count(What::kDeath));
}

CLAUSE_TEST(EVT_03, NothingElseOfTheMaskChangesEither) {
  Puppet& puppet = Spawn();
  // The engine would get REAP if the refused call had set it.
  DeadTask dead(puppet, kExit);
  ExpectTooLate(dead.engine, kDeath | kReap);
  ExpectTooLate(dead.engine, kQuiesce | kReap | kExit);
  nanny().Wait(puppet.pid());
  dead.probe.AwaitEnded(What::kReap);
  EXPECT_EQ(0, dead.engine.Count(What::kReap));
}

CLAUSE_TEST(EVT_03, ReapCanStillBeSet) {
  Puppet& puppet = Spawn();
  DeadTask dead(puppet, 0);
  EXPECT_EQ(0, dead.engine.SetEvents(kReap));
  EXPECT_EQ(kReap, MaskOf(dead.engine));
  nanny().Wait(puppet.pid());
  dead.probe.AwaitEnded(What::kReap);
  EXPECT_EQ(1, dead.engine.Count(What::kReap));
}

CLAUSE_TEST(EVT_03, OnAnEngineThatCameToADeadTask) {
  Puppet& puppet = Spawn();
  const TaskRef task = Task(puppet);
  puppet.Kill(SIGKILL);
  puppet.AwaitDeath();
  TestEngine engine;
  ASSERT_EQ(0, engine.Attach(task));
  ExpectTooLate(engine, kDeath);
  ExpectTooLate(engine, kQuiesce);
  ASSERT_EQ(0, engine.SetEvents(kReap));
  ExpectTooLate(engine, kReap | kDeath);
  nanny().Wait(puppet.pid());
  engine.AwaitEnded(What::kReap);
  ExpectLog(engine.Log(), {What::kReap});
}

CLAUSE_TEST(EVT_03, WhenNoEngineWaitedForTheDeath) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kReap));
  puppet.BeginExitGroup();
  puppet.AwaitDeath();
  // Control tells that the implementation knows (CTL-04).
  ASSERT_TRUE(PollUntil([&] { return engine.Control(UTRACE_RESUME) == -ESRCH; }));
  ExpectTooLate(engine, kReap | kDeath);
  ExpectTooLate(engine, kReap | kQuiesce);
  nanny().Wait(puppet.pid());
  engine.AwaitEnded(What::kReap);
  ExpectLog(engine.Log(), {What::kReap});
}

CLAUSE_TEST(EVT_03, WhileTheDeathReportRuns) {
  Puppet& puppet = Spawn();
  HeldCallback held(What::kDeath, puppet);
  TestEngine late("late");
  ASSERT_EQ(0, late.AttachTid(puppet.tid()));
  ASSERT_EQ(0, late.SetEvents(kReap));
  held.Begin();
  ExpectTooLate(late, kReap | kDeath);
  ExpectTooLate(late, kReap | kQuiesce);
  ExpectTooLate(held.engine(), kDeath | kQuiesce);
  held.End();
  nanny().Wait(puppet.pid());
  late.AwaitEnded(What::kReap);
  ExpectLog(late.Log(), {What::kReap});
  ExpectLog(held.engine().Log(), {What::kDeath});
}

CLAUSE_TEST(EVT_03, FromItsOwnReportDeath) {
  Puppet& puppet = Spawn();
  int result = 0;
  InCallback(What::kDeath, puppet, 0, [&](TestEngine& engine, Report&) {
    result = engine.SetEvents(kDeath | kQuiesce);
    EXPECT_EQ(kDeath, MaskOf(engine));
  });
  EXPECT_EQ(-EALREADY, result);
}

// ---- EVT-04 ------------------------------------------------------------------------------------

CLAUSE_TEST(EVT_04, ClearingDeathDuringItsCallback) {
  Puppet& puppet = Spawn();
  HeldCallback held(What::kDeath, puppet);
  held.Begin();
  ExpectTooLate(held.engine(), 0);
  ExpectTooLate(held.engine(), kReap);
  held.End();
}

CLAUSE_TEST(EVT_04, ClearingQuiesceDuringTheReport) {
  Puppet& puppet = Spawn();
  HeldCallback held(What::kDeath, puppet, kQuiesce);
  held.Begin();
  ExpectTooLate(held.engine(), kDeath);
  ExpectTooLate(held.engine(), kQuiesce);
  ExpectTooLate(held.engine(), 0);
  held.End();
}

CLAUSE_TEST(EVT_04, OfAnEngineWhoseTurnIsStillToCome) {
  Puppet& puppet = Spawn();
  HeldCallback held(What::kDeath, puppet);
  TestEngine death("death");
  TestEngine quiesce("quiesce");
  ASSERT_EQ(0, death.AttachTid(puppet.tid()));
  ASSERT_EQ(0, death.SetEvents(kDeath));
  ASSERT_EQ(0, quiesce.AttachTid(puppet.tid()));
  ASSERT_EQ(0, quiesce.SetEvents(kQuiesce));
  held.Begin();
  ExpectTooLate(death, 0);
  ExpectTooLate(death, kReap);
  ExpectTooLate(quiesce, 0);
  ExpectTooLate(quiesce, kReap);
  held.Open();
  // Nothing changed: both get their part, and no report_reap.
  death.AwaitEnded(What::kDeath);
  quiesce.AwaitEnded(What::kQuiesce);
  EXPECT_EQ(kDeath, quiesce.Log(What::kQuiesce)[0].event);
}

CLAUSE_TEST(EVT_04, OfAnEngineWhoseTurnIsOver) {
  Puppet& puppet = Spawn();
  TestEngine first("first");
  ASSERT_EQ(0, first.AttachTid(puppet.tid()));
  ASSERT_EQ(0, first.SetEvents(kDeath | kQuiesce));
  HeldCallback held(What::kDeath, puppet);
  held.Begin();
  ASSERT_EQ(1, first.Count(What::kDeath));
  ExpectTooLate(first, 0);
  ExpectTooLate(first, kDeath);
  ExpectTooLate(first, kQuiesce);
  held.End();
}

CLAUSE_TEST(EVT_04, DuringTheReportQuiesceOfTheDeathReport) {
  Puppet& puppet = Spawn();
  Gate gate("report_quiesce before report_death");
  TestEngine engine;
  engine.On(What::kQuiesce, [&](Report& report) -> uint32_t {
    if (report.event == kDeath) gate.Wait();
    return UTRACE_RESUME;
  });
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kDeath | kQuiesce));
  puppet.BeginExitGroup();
  gate.AwaitArrival();
  ExpectTooLate(engine, kQuiesce);
  ExpectTooLate(engine, kDeath);
  ExpectTooLate(engine, 0);
  gate.Open();
  engine.AwaitEnded(What::kDeath);
}

CLAUSE_TEST(EVT_04, FromItsOwnReportDeath) {
  Puppet& puppet = Spawn();
  int results[2] = {};
  InCallback(What::kDeath, puppet, kQuiesce, [&](TestEngine& engine, Report&) {
    results[0] = engine.SetEvents(kQuiesce);
    results[1] = engine.SetEvents(kDeath);
    EXPECT_EQ(kDeath | kQuiesce, MaskOf(engine));
  });
  EXPECT_EQ(-EALREADY, results[0]);
  EXPECT_EQ(-EALREADY, results[1]);
}

CLAUSE_TEST(EVT_04, OtherEventsCanStillBeCleared) {
  Puppet& puppet = Spawn();
  HeldCallback held(What::kDeath, puppet);
  TestEngine other("other");
  ASSERT_EQ(0, other.AttachTid(puppet.tid()));
  ASSERT_EQ(0, other.SetEvents(kDeath | kReap));
  held.Begin();
  EXPECT_EQ(0, other.SetEvents(kDeath));
  EXPECT_EQ(kDeath, MaskOf(other));
  held.End();
  nanny().Wait(puppet.pid());
  ASSERT_TRUE(PollUntil([&] { return other.Barrier() == -ESRCH; }));
  ExpectLog(other.Log(), {What::kDeath});
}

// ---- EVT-05 ------------------------------------------------------------------------------------

CLAUSE_TEST(EVT_05, ClearingReapDuringItsCallback) {
  Puppet& puppet = Spawn();
  HeldCallback held(What::kReap, puppet, kDeath);
  held.Begin();
  ExpectReapTooLate(held.engine(), kDeath, Declares("EVT-05"));
  ExpectReapTooLate(held.engine(), 0, Declares("EVT-05"));
  held.End();
}

CLAUSE_TEST(EVT_05, OfAnEngineWhoseTurnIsStillToCome) {
  Puppet& puppet = Spawn();
  HeldCallback held(What::kReap, puppet);
  TestEngine next("next");
  ASSERT_EQ(0, next.AttachTid(puppet.tid()));
  ASSERT_EQ(0, next.SetEvents(kReap));
  held.Begin();
  ExpectReapTooLate(next, 0, Declares("EVT-05"));
  held.Open();
  next.AwaitEnded(What::kReap);
}

CLAUSE_TEST(EVT_05, OfAnEngineWhoseTurnIsOver) {
  Puppet& puppet = Spawn();
  TestEngine first("first");
  ASSERT_EQ(0, first.AttachTid(puppet.tid()));
  ASSERT_EQ(0, first.SetEvents(kReap));
  HeldCallback held(What::kReap, puppet);
  held.Begin();
  ASSERT_EQ(1, first.Count(What::kReap));
  ExpectReapTooLate(first, 0, Declares("EVT-05"));
  held.End();
}

CLAUSE_TEST(EVT_05, FromItsOwnReportReap) {
  Puppet& puppet = Spawn();
  const bool declared = Declares("EVT-05");
  InCallback(What::kReap, puppet, 0,
             [&](TestEngine& engine, Report&) { ExpectReapTooLate(engine, 0, declared); });
}

CLAUSE_TEST(EVT_05, OnADeadTaskThatNobodyReapsItIsNotTooLate) {
  Puppet& puppet = Spawn();
  DeadTask dead(puppet, kReap);
  AwaitDeathReportOver(dead.probe);
  TestEngine marker("marker");
  ASSERT_EQ(0, marker.Attach(dead.engine.task()));
  ASSERT_EQ(0, marker.SetEvents(kReap));
  EXPECT_EQ(0, dead.engine.SetEvents(0));
  nanny().Wait(puppet.pid());
  marker.AwaitEnded(What::kReap);
  EXPECT_EQ(0, dead.engine.Count(What::kReap));
}

// ---- EVT-06 ------------------------------------------------------------------------------------

CLAUSE_TEST(EVT_06, DeathCanBeClearedAfterItsReport) {
  Puppet& puppet = Spawn();
  DeadTask dead(puppet, kDeath | kReap);
  AwaitDeathReportOver(dead.probe);
  EXPECT_EQ(0, dead.engine.SetEvents(kReap));
  EXPECT_EQ(kReap, MaskOf(dead.engine));
  ExpectTooLate(dead.engine, kReap | kDeath);
  nanny().Wait(puppet.pid());
  dead.engine.AwaitEnded(What::kReap);
  ExpectLog(dead.engine.Log(), {What::kDeath, What::kReap});
}

CLAUSE_TEST(EVT_06, QuiesceCanBeClearedAfterTheDeathReport) {
  DeadTask dead(Spawn(), kQuiesce | kReap);
  AwaitDeathReportOver(dead.probe);
  EXPECT_EQ(0, dead.engine.SetEvents(kReap));
  EXPECT_EQ(kReap, MaskOf(dead.engine));
}

CLAUSE_TEST(EVT_06, BothAtOnce) {
  DeadTask dead(Spawn(), kDeath | kQuiesce);
  AwaitDeathReportOver(dead.probe);
  EXPECT_EQ(0, dead.engine.SetEvents(0));
  EXPECT_EQ(0UL, MaskOf(dead.engine));
}

CLAUSE_TEST(EVT_06, OfATaskThatWasKilled) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  TestEngine probe("probe");
  for (TestEngine* each : {&engine, &probe}) {
    ASSERT_EQ(0, each->AttachTid(puppet.tid()));
    ASSERT_EQ(0, each->SetEvents(kDeath | kQuiesce));
  }
  puppet.Kill(SIGKILL);
  AwaitDeathReportOver(probe);
  EXPECT_EQ(0, engine.SetEvents(0));
}

// ---- EVT-17 ------------------------------------------------------------------------------------

CLAUSE_TEST(EVT_17, AnotherEnginesEventsDoNotHelpToSetThem) {
  Puppet& puppet = Spawn();
  TestEngine has("has both");
  ASSERT_EQ(0, has.AttachTid(puppet.tid()));
  ASSERT_EQ(0, has.SetEvents(kDeath | kQuiesce));
  DeadTask dead(puppet, 0);
  ExpectTooLate(dead.engine, kDeath);
  ExpectTooLate(dead.engine, kQuiesce);
  AwaitDeathReportOver(dead.probe);
  ExpectTooLate(dead.engine, kDeath);
  ExpectTooLate(dead.engine, kQuiesce);
  ExpectLog(dead.engine.Log(), {});
}

CLAUSE_TEST(EVT_17, AnotherEnginesEventsDoNotHelpToClearThem) {
  Puppet& puppet = Spawn();
  HeldCallback held(What::kDeath, puppet, kQuiesce);
  TestEngine next("next");
  ASSERT_EQ(0, next.AttachTid(puppet.tid()));
  ASSERT_EQ(0, next.SetEvents(kDeath | kQuiesce));
  held.Begin();
  ExpectTooLate(next, kDeath);
  ExpectTooLate(next, kQuiesce);
  held.Open();
  next.AwaitEnded(What::kDeath);
  ExpectLog(next.Log(), {What::kQuiesce, What::kDeath});
}

CLAUSE_TEST(EVT_17, KeepingThemIsNotSettingThem) {
  Puppet& puppet = Spawn();
  DeadTask dead(puppet, kDeath | kQuiesce);
  AwaitDeathReportOver(dead.probe);
  EXPECT_EQ(0, dead.engine.SetEvents(kDeath | kQuiesce));
  EXPECT_EQ(0, dead.engine.SetEvents(kDeath | kQuiesce | kReap));
  EXPECT_EQ(kDeath | kQuiesce | kReap, MaskOf(dead.engine));
  nanny().Wait(puppet.pid());
  dead.engine.AwaitEnded(What::kReap);
}

CLAUSE_TEST(EVT_17, KeepingThemDuringTheDeathReportIsNotSettingThem) {
  Puppet& puppet = Spawn();
  HeldCallback held(What::kDeath, puppet);
  TestEngine keeps("keeps");
  ASSERT_EQ(0, keeps.AttachTid(puppet.tid()));
  ASSERT_EQ(0, keeps.SetEvents(kDeath));
  held.Begin();
  EXPECT_EQ(0, keeps.SetEvents(kDeath | kReap));
  EXPECT_EQ(0, held.engine().SetEvents(kDeath | kReap));
  held.End();
  nanny().Wait(puppet.pid());
  keeps.AwaitEnded(What::kReap);
  ExpectLog(keeps.Log(), {What::kDeath, What::kReap});
  held.engine().AwaitEnded(What::kReap);
}

}  // namespace utrace::kit
