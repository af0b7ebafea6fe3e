// CTL-13, CTL-14, CTL-15: DETACH of engines of a dying, dead or reaped task.
#include <functional>

#include "conformance/clauses/control_scenes.h"

namespace utrace::kit {
namespace {

constexpr unsigned long kQuiesce = UTRACE_EVENT(QUIESCE);
constexpr unsigned long kDeath = UTRACE_EVENT(DEATH);
constexpr unsigned long kReap = UTRACE_EVENT(REAP);

}  // namespace

// ---- CTL-13 ------------------------------------------------------------------------------------

CLAUSE_TEST(CTL_13, InReportDeathOfTheSameEngine) {
  Puppet& puppet = Spawn();
  Gate gate;
  TestEngine engine("A");
  engine.On(What::kDeath, WaitAt(gate, UTRACE_RESUME));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kDeath | kReap));
  puppet.Kill(SIGKILL);
  gate.AwaitArrival();
  EXPECT_EQ(-EALREADY, engine.Control(UTRACE_DETACH));
  EXPECT_TRUE(IsAttached(engine));
  gate.Open();
  engine.AwaitEnded(What::kDeath);
  puppet.AwaitDeath();
  EXPECT_EQ(puppet.pid(), nanny().Wait(puppet.pid()).result);
  // It stayed attached: it lives to see the reaping.
  engine.AwaitEnded(What::kReap);
  ExpectLog(engine.Log(), {What::kDeath, What::kReap});
}

CLAUSE_TEST(CTL_13, InReportQuiesceBeforeIt) {
  Puppet& puppet = Spawn();
  Gate gate;
  TestEngine engine("A");
  engine.On(What::kQuiesce, [&](Report& report) -> uint32_t {
    if (report.event == kDeath) gate.Wait();
    return UTRACE_RESUME;
  });
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kDeath | kReap | kQuiesce));
  puppet.Kill(SIGKILL);
  gate.AwaitArrival();
  EXPECT_EQ(-EALREADY, engine.Control(UTRACE_DETACH));
  gate.Open();
  engine.AwaitEnded(What::kDeath);
  puppet.AwaitDeath();
  EXPECT_EQ(puppet.pid(), nanny().Wait(puppet.pid()).result);
  engine.AwaitEnded(What::kReap);
}

CLAUSE_TEST(CTL_13, EnginesWhoseTurnIsOverOrStillToCome) {
  Puppet& puppet = Spawn();
  Gate gate;
  TestEngine a("A");
  TestEngine b("B");
  TestEngine c("C");
  b.On(What::kDeath, WaitAt(gate, UTRACE_RESUME));
  for (TestEngine* engine : {&a, &b, &c}) {
    ASSERT_EQ(0, engine->AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine->SetEvents(kDeath | kReap));
  }
  puppet.Kill(SIGKILL);
  gate.AwaitArrival();
  EXPECT_EQ(-EALREADY, a.Control(UTRACE_DETACH));
  EXPECT_EQ(-EALREADY, c.Control(UTRACE_DETACH));
  gate.Open();
  c.AwaitEnded(What::kDeath);
  puppet.AwaitDeath();
  EXPECT_EQ(puppet.pid(), nanny().Wait(puppet.pid()).result);
  c.AwaitEnded(What::kReap);
  ExpectLog(a.Log(), {What::kDeath, What::kReap});
  ExpectLog(c.Log(), {What::kDeath, What::kReap});
}

CLAUSE_TEST(CTL_13, AnEngineThatDoesNotAskForDeath) {
  Puppet& puppet = Spawn();
  Gate gate;
  TestEngine a("A");
  TestEngine b("B");
  a.On(What::kDeath, WaitAt(gate, UTRACE_RESUME));
  ASSERT_EQ(0, a.AttachTid(puppet.tid()));
  ASSERT_EQ(0, b.AttachTid(puppet.tid()));
  ASSERT_EQ(0, a.SetEvents(kDeath));
  ASSERT_EQ(0, b.SetEvents(kReap));
  puppet.Kill(SIGKILL);
  gate.AwaitArrival();
  EXPECT_EQ(-EALREADY, b.Control(UTRACE_DETACH));
  gate.Open();
  a.AwaitEnded(What::kDeath);
  puppet.AwaitDeath();
  EXPECT_EQ(puppet.pid(), nanny().Wait(puppet.pid()).result);
  b.AwaitEnded(What::kReap);
}

CLAUSE_TEST(CTL_13, FromReportDeathItself) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  int result = 1;
  engine.On(What::kDeath, [&](Report& report) -> uint32_t {
    result = api().utrace_control(report.task, report.engine, UTRACE_DETACH);
    return UTRACE_RESUME;
  });
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kDeath | kReap));
  puppet.Kill(SIGKILL);
  engine.AwaitEnded(What::kDeath);
  puppet.AwaitDeath();
  EXPECT_EQ(puppet.pid(), nanny().Wait(puppet.pid()).result);
  // CTL-18 speaks of every callback: where it is followed, the detach takes place.
  ExpectOneOf(result, {-EALREADY, -EINPROGRESS});
  if (result == -EALREADY) engine.AwaitEnded(What::kReap);
}

CLAUSE_TEST(CTL_13, WhileTheParentWaits) {
  Puppet& puppet = Spawn();
  Gate gate;
  TestEngine engine("A");
  engine.On(What::kDeath, WaitAt(gate, UTRACE_RESUME));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kDeath | kReap));
  nanny().BeginWait(puppet.pid());
  puppet.Kill(SIGKILL);
  gate.AwaitArrival();
  ExpectOneOf(engine.Control(UTRACE_DETACH), {-EALREADY, -ESRCH});
  gate.Open();
  EXPECT_EQ(puppet.pid(), nanny().FinishWait().result);
  engine.AwaitEnded(What::kReap);
  ExpectLog(engine.Log(), {What::kDeath, What::kReap});
}

// ---- CTL-14 ------------------------------------------------------------------------------------

CLAUSE_TEST(CTL_14, WhileReportReapRuns) {
  Puppet& puppet = Spawn();
  Gate gate;
  TestEngine a("A");
  TestEngine b("B");
  TestEngine c("C");
  int inside = 1;
  b.On(What::kReap, [&](Report& report) -> uint32_t {
    inside = api().utrace_control(report.task, report.engine, UTRACE_DETACH);
    gate.Wait();
    return UTRACE_RESUME;
  });
  for (TestEngine* engine : {&a, &b, &c}) ASSERT_EQ(0, engine->AttachTid(puppet.tid()));
  ASSERT_EQ(0, b.SetEvents(kReap));
  ASSERT_EQ(0, c.SetEvents(kReap));
  puppet.Destroy();
  nanny().BeginWait(puppet.pid());
  gate.AwaitArrival();
  EXPECT_EQ(-ESRCH, inside);
  EXPECT_EQ(-ESRCH, a.Control(UTRACE_DETACH));
  EXPECT_EQ(-ESRCH, b.Control(UTRACE_DETACH));
  EXPECT_EQ(-ESRCH, c.Control(UTRACE_DETACH));
  gate.Open();
  EXPECT_EQ(puppet.pid(), nanny().FinishWait().result);
  // Refused, it took nothing away.
  c.AwaitEnded(What::kReap);
}

CLAUSE_TEST(CTL_14, AfterTheReaping) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  ASSERT_EQ(0, a.AttachTid(puppet.tid()));
  ASSERT_EQ(0, b.AttachTid(puppet.tid()));
  ASSERT_EQ(0, b.SetEvents(kReap));
  puppet.Destroy();
  EXPECT_EQ(puppet.pid(), nanny().Wait(puppet.pid()).result);
  b.AwaitEnded(What::kReap);
  EXPECT_EQ(-ESRCH, a.Control(UTRACE_DETACH));
  EXPECT_EQ(-ESRCH, b.Control(UTRACE_DETACH));
}

// ---- CTL-15 ------------------------------------------------------------------------------------

CLAUSE_TEST(CTL_15, AfterTheDeathReport) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  for (TestEngine* engine : {&a, &b}) {
    ASSERT_EQ(0, engine->AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine->SetEvents(kDeath | kReap));
  }
  puppet.Destroy();
  b.AwaitEnded(What::kDeath);
  // The report ends some time after its last callback.
  int result = 0;
  PollUntil([&] { return (result = a.Control(UTRACE_DETACH)) != -EALREADY; });
  EXPECT_EQ(0, result);
  EXPECT_FALSE(IsAttached(a));
  EXPECT_EQ(puppet.pid(), nanny().Wait(puppet.pid()).result);
  // B's report_reap comes after A's would have.
  b.AwaitEnded(What::kReap);
  ExpectLog(a.Log(), {What::kDeath});
}

CLAUSE_TEST(CTL_15, WithoutADeathReport) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  for (TestEngine* engine : {&a, &b}) ASSERT_EQ(0, engine->AttachTid(puppet.tid()));
  ASSERT_EQ(0, a.SetEvents(kReap));
  ASSERT_EQ(0, b.SetEvents(kReap));
  puppet.Destroy();
  // Nobody's report_death tells when the implementation has seen the death.
  int result = 0;
  PollUntil([&] { return (result = a.Control(UTRACE_DETACH)) != -EALREADY; });
  EXPECT_EQ(0, result);
  EXPECT_EQ(puppet.pid(), nanny().Wait(puppet.pid()).result);
  b.AwaitEnded(What::kReap);
  ExpectLog(a.Log(), {});
}

CLAUSE_TEST(CTL_15, OfAnEngineAttachedToTheDead) {
  Puppet& puppet = Spawn();
  puppet.Destroy();
  TestEngine a("A");
  TestEngine b("B");
  for (TestEngine* engine : {&a, &b}) {
    ASSERT_EQ(0, engine->AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine->SetEvents(kReap));
  }
  EXPECT_EQ(0, a.Control(UTRACE_DETACH));
  EXPECT_EQ(puppet.pid(), nanny().Wait(puppet.pid()).result);
  b.AwaitEnded(What::kReap);
  ExpectLog(a.Log(), {});
}

}  // namespace utrace::kit
