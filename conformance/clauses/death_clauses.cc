// DTH-*: the report of a dead task.
#include "conformance/clauses/birth_scenes.h"
#include "conformance/clauses/callback_scenes.h"

namespace utrace::kit {
namespace {

constexpr unsigned long kDeath = UTRACE_EVENT(DEATH);
constexpr unsigned long kReap = UTRACE_EVENT(REAP);

}  // namespace

// ---- DTH-01 ------------------------------------------------------------------------------------

CLAUSE_TEST(DTH_01, OnceForEachWayToDie) {
  for (int way = 0; way < 5; ++way) {
    SCOPED_TRACE(way);
    Puppet& puppet = Spawn();
    char state = '?';
    TestEngine engine("A");
    engine.On(What::kDeath, [&](Report&) -> uint32_t {
      state = puppet.State();
      return UTRACE_RESUME;
    });
    ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine.SetEvents(kDeath | kReap));
    if (way == 0) puppet.BeginExit(1);
    if (way == 1) puppet.BeginExitGroup(1);
    if (way == 2) puppet.Kill(SIGTERM);
    if (way == 3) puppet.Kill(SIGKILL);
    if (way == 4) puppet.BeginFault(Fault::kSegv);
    engine.AwaitEnded(What::kDeath);
    EXPECT_EQ(puppet.pid(), nanny().Wait(puppet.pid()).result);
    engine.AwaitEnded(What::kReap);
    ExpectLog(engine.Log(), {What::kDeath, What::kReap});
    // The parent may have taken it meanwhile: it did not ask before the report had ended.
    EXPECT_TRUE(state == 'Z' || state == 'X') << state;
  }
}

CLAUSE_TEST(DTH_01, OfAThreadThatNobodyWaitsFor) {
  Puppet& puppet = Spawn();
  PuppetThread& thread = puppet.SpawnThread();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(thread.tid()));
  ASSERT_EQ(0, engine.SetEvents(kDeath | kReap));
  thread.BeginExit(0);
  engine.AwaitEnded(What::kReap);
  ExpectLog(engine.Log(), {What::kDeath, What::kReap});
}

CLAUSE_TEST(DTH_01, ForEveryEngineThatAsked) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  TestEngine c("C");
  for (TestEngine* engine : {&a, &b, &c}) ASSERT_EQ(0, engine->AttachTid(puppet.tid()));
  ASSERT_EQ(0, a.SetEvents(kDeath | kReap));
  ASSERT_EQ(0, b.SetEvents(kReap));
  ASSERT_EQ(0, c.SetEvents(kDeath | kReap));
  puppet.BeginExitGroup(0);
  nanny().Wait(puppet.pid());
  for (TestEngine* engine : {&a, &b, &c}) engine->AwaitEnded(What::kReap);
  EXPECT_EQ("AC", Order(What::kDeath));
}

CLAUSE_TEST(DTH_01, NotForOneThatAttachedToTheDead) {
  Puppet& puppet = Spawn();
  TestEngine early("E");
  TestEngine late("L");
  ASSERT_EQ(0, early.AttachTid(puppet.tid()));
  ASSERT_EQ(0, early.SetEvents(kDeath));
  puppet.BeginExitGroup(0);
  early.AwaitEnded(What::kDeath);
  ASSERT_EQ(0, late.Attach(early.task()));
  EXPECT_EQ(-EALREADY, late.SetEvents(kDeath | kReap));
  ASSERT_EQ(0, late.SetEvents(kReap));
  nanny().Wait(puppet.pid());
  late.AwaitEnded(What::kReap);
  ExpectLog(late.Log(), {What::kReap});
}

CLAUSE_TEST(DTH_01, OnlyDetachMeansAnything) {
  for (const uint32_t result : {UTRACE_STOP, UTRACE_INTERRUPT, UTRACE_REPORT, UTRACE_SINGLESTEP,
                                UTRACE_BLOCKSTEP, UTRACE_RESUME}) {
    SCOPED_TRACE(result);
    Puppet& puppet = Spawn();
    TestEngine a("A");
    TestEngine b("B");
    a.On(What::kDeath, Answer(result));
    for (TestEngine* engine : {&a, &b}) {
      ASSERT_EQ(0, engine->AttachTid(puppet.tid()));
      ASSERT_EQ(0, engine->SetEvents(kDeath | kReap));
    }
    puppet.BeginExitGroup(3);
    EXPECT_EQ(3 << 8, nanny().Wait(puppet.pid()).status);
    for (TestEngine* engine : {&a, &b}) {
      engine->AwaitEnded(What::kReap);
      ExpectLog(engine->Log(), {What::kDeath, What::kReap});
    }
  }
}

CLAUSE_TEST(DTH_01, DetachIsObeyed) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  a.On(What::kDeath, Answer(UTRACE_DETACH));
  for (TestEngine* engine : {&a, &b}) {
    ASSERT_EQ(0, engine->AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine->SetEvents(kDeath | kReap));
  }
  puppet.BeginExitGroup(3);
  nanny().Wait(puppet.pid());
  b.AwaitEnded(What::kReap);
  ExpectLog(a.Log(), {What::kDeath});
  ExpectLog(b.Log(), {What::kDeath, What::kReap});
}

// ---- DTH-02 ------------------------------------------------------------------------------------

CLAUSE_TEST(DTH_02, AThreadBeforeTheLeader) {
  Puppet& puppet = Spawn();
  PuppetThread& thread = puppet.SpawnThread();
  TestEngine leader("L");
  TestEngine other("T");
  ASSERT_EQ(0, leader.AttachTid(puppet.tid()));
  ASSERT_EQ(0, other.AttachTid(thread.tid()));
  ASSERT_EQ(0, leader.SetEvents(kDeath));
  ASSERT_EQ(0, other.SetEvents(kDeath));
  thread.BeginExit(0);
  other.AwaitEnded(What::kDeath);
  EXPECT_FALSE(other.Log(What::kDeath).at(0).group_dead);
  puppet.BeginExit(0);
  leader.AwaitEnded(What::kDeath);
  EXPECT_TRUE(leader.Log(What::kDeath).at(0).group_dead);
}

CLAUSE_TEST(DTH_02, TheLeaderBeforeAThread) {
  Puppet& puppet = Spawn();
  PuppetThread& thread = puppet.SpawnThread();
  TestEngine leader("L");
  TestEngine other("T");
  ASSERT_EQ(0, leader.AttachTid(puppet.tid()));
  ASSERT_EQ(0, other.AttachTid(thread.tid()));
  ASSERT_EQ(0, leader.SetEvents(kDeath | kReap));
  ASSERT_EQ(0, other.SetEvents(kDeath));
  puppet.BeginExit(0);
  leader.AwaitEnded(What::kDeath);
  EXPECT_FALSE(leader.Log(What::kDeath).at(0).group_dead);
  EXPECT_EQ(nanny().pid(), thread.Call(kMarker));
  EXPECT_EQ(0, leader.Count(What::kReap));
  thread.BeginExit(0);
  other.AwaitEnded(What::kDeath);
  EXPECT_TRUE(other.Log(What::kDeath).at(0).group_dead);
  EXPECT_EQ(puppet.pid(), nanny().Wait(puppet.pid()).result);
  leader.AwaitEnded(What::kReap);
}

CLAUSE_TEST(DTH_02, ExactlyOneOfAGroupThatEndsAtOnce) {
  for (const int signo : {0, SIGKILL, SIGTERM}) {
    for (int round = 0; round < 3; ++round) {
      Puppet& puppet = Spawn();
      std::vector<PuppetThread*> threads = {&puppet, &puppet.SpawnThread(), &puppet.SpawnThread()};
      std::vector<std::unique_ptr<TestEngine>> engines;
      for (PuppetThread* thread : threads) {
        engines.push_back(std::make_unique<TestEngine>("T"));
        ASSERT_EQ(0, engines.back()->AttachTid(thread->tid()));
        ASSERT_EQ(0, engines.back()->SetEvents(kDeath));
      }
      signo == 0 ? threads[1]->BeginExitGroup(0) : puppet.Kill(signo);
      int last = 0;
      for (const auto& engine : engines) {
        engine->AwaitEnded(What::kDeath);
        last += engine->Log(What::kDeath).at(0).group_dead ? 1 : 0;
      }
      EXPECT_EQ(1, last) << Describe(GlobalLog());
      nanny().Wait(puppet.pid());
    }
  }
}

// Both are dead before the report of either, if the implementation makes them one at a time.
CLAUSE_TEST(DTH_02, OneOfTwoThatAreDeadAlready) {
  Puppet& puppet = Spawn();
  PuppetThread& first = puppet.SpawnThread();
  PuppetThread& second = puppet.SpawnThread();
  PuppetThread& third = puppet.SpawnThread();
  Gate gate;
  TestEngine leader("L");
  TestEngine busy("A");
  TestEngine b("B");
  TestEngine c("C");
  busy.On(What::kDeath, WaitAt(gate, UTRACE_RESUME));
  ASSERT_EQ(0, leader.AttachTid(puppet.tid()));
  ASSERT_EQ(0, busy.AttachTid(first.tid()));
  ASSERT_EQ(0, b.AttachTid(second.tid()));
  ASSERT_EQ(0, c.AttachTid(third.tid()));
  for (TestEngine* engine : {&leader, &busy, &b, &c}) ASSERT_EQ(0, engine->SetEvents(kDeath));
  puppet.BeginExit(0);
  leader.AwaitEnded(What::kDeath);
  first.BeginExit(0);
  gate.AwaitArrival();
  second.BeginExit(0);
  third.BeginExit(0);
  second.AwaitDeath();
  third.AwaitDeath();
  gate.Open();
  for (TestEngine* engine : {&busy, &b, &c}) engine->AwaitEnded(What::kDeath);
  EXPECT_FALSE(leader.Log(What::kDeath).at(0).group_dead);
  EXPECT_FALSE(busy.Log(What::kDeath).at(0).group_dead);
  EXPECT_NE(b.Log(What::kDeath).at(0).group_dead, c.Log(What::kDeath).at(0).group_dead);
}

CLAUSE_TEST(DTH_02, UntracedThreadsCountToo) {
  Puppet& puppet = Spawn();
  PuppetThread& traced = puppet.SpawnThread();
  puppet.SpawnThread();
  TestEngine engine("T");
  ASSERT_EQ(0, engine.AttachTid(traced.tid()));
  ASSERT_EQ(0, engine.SetEvents(kDeath));
  traced.BeginExit(0);
  engine.AwaitEnded(What::kDeath);
  EXPECT_FALSE(engine.Log(What::kDeath).at(0).group_dead);
}

// ---- DTH-03 ------------------------------------------------------------------------------------

CLAUSE_TEST(DTH_03, ControlOfADeadTask) {
  Puppet& puppet = Spawn();
  Gate gate;
  TestEngine engine("A");
  TestEngine probe("P");
  engine.On(What::kDeath, WaitAt(gate, UTRACE_RESUME));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kDeath | kReap | UTRACE_EVENT(QUIESCE)));
  ASSERT_EQ(0, probe.AttachTid(puppet.tid()));
  ASSERT_EQ(0, probe.SetEvents(kDeath));
  puppet.BeginExitGroup(3);
  gate.AwaitArrival();
  const auto try_all = [&] {
    for (const auto action : {UTRACE_STOP, UTRACE_INTERRUPT, UTRACE_REPORT, UTRACE_SINGLESTEP,
                              UTRACE_BLOCKSTEP, UTRACE_RESUME}) {
      EXPECT_EQ(-ESRCH, engine.Control(action)) << action;
    }
  };
  try_all();
  gate.Open();
  AwaitDeathReportOver(probe);
  try_all();
  // Nor does any of it keep the parent waiting.
  EXPECT_EQ(3 << 8, nanny().Wait(puppet.pid()).status);
  engine.AwaitEnded(What::kReap);
  try_all();
}

CLAUSE_TEST(DTH_03, AStopFromBeforeDoesNotHoldTheDead) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kDeath | kReap));
  StartSpinning(puppet);
  engine.StopAndWait();
  puppet.Kill(SIGKILL);
  EXPECT_EQ(SIGKILL, nanny().Wait(puppet.pid()).status);
  engine.AwaitEnded(What::kReap);
  ExpectLog(engine.Log(), {What::kDeath, What::kReap});
}

// ---- DTH-04 ------------------------------------------------------------------------------------

CLAUSE_TEST(DTH_04, WhatTheParentIsSent) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kDeath));
  puppet.BeginExitGroup(0);
  engine.AwaitEnded(What::kDeath);
  EXPECT_EQ(SIGCHLD, engine.Log(What::kDeath).at(0).death_signal);
}

CLAUSE_TEST(DTH_04, AThreadReapsItself) {
  Puppet& puppet = Spawn();
  PuppetThread& thread = puppet.SpawnThread();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(thread.tid()));
  ASSERT_EQ(0, engine.SetEvents(kDeath));
  thread.BeginExit(0);
  engine.AwaitEnded(What::kDeath);
  EXPECT_EQ(-1, engine.Log(What::kDeath).at(0).death_signal);
}

CLAUSE_TEST(DTH_04, AChildThatNobodyWaitsForReapsItself) {
  Puppet& puppet = Spawn();
  nanny().IgnoreChildren(true);
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kDeath));
  puppet.BeginExitGroup(0);
  engine.AwaitEnded(What::kDeath);
  EXPECT_EQ(-1, engine.Log(What::kDeath).at(0).death_signal);
}

CLAUSE_TEST(DTH_04, ALeaderBeforeItsThreads) {
  Puppet& puppet = Spawn();
  puppet.SpawnThread();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kDeath));
  puppet.BeginExit(0);
  engine.AwaitEnded(What::kDeath);
  EXPECT_EQ(-2, engine.Log(What::kDeath).at(0).death_signal);
}

}  // namespace utrace::kit
