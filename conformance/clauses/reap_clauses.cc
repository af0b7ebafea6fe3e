// REA-*: the report of a task that was reaped, and what tracing may not change about that.
#include <atomic>
#include <mutex>

#include "conformance/clauses/birth_scenes.h"

namespace utrace::kit {
namespace {

constexpr unsigned long kDeath = UTRACE_EVENT(DEATH);
constexpr unsigned long kReap = UTRACE_EVENT(REAP);

}  // namespace

// ---- REA-01 ------------------------------------------------------------------------------------

CLAUSE_TEST(REA_01, WhenTheParentWaitsNotBefore) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  for (TestEngine* engine : {&a, &b}) ASSERT_EQ(0, engine->AttachTid(puppet.tid()));
  ASSERT_EQ(0, a.SetEvents(kDeath | kReap));
  ASSERT_EQ(0, b.SetEvents(kReap));
  puppet.BeginExitGroup(0);
  a.AwaitEnded(What::kDeath);
  ASSERT_TRUE(PollUntil([&] { return nanny().HasZombie(puppet.pid()); }));
  EXPECT_EQ(0, a.Count(What::kReap) + b.Count(What::kReap));
  const uint64_t before = NextSequence();
  EXPECT_EQ(puppet.pid(), nanny().Wait(puppet.pid()).result);
  for (TestEngine* engine : {&a, &b}) {
    engine->AwaitEnded(What::kReap);
    EXPECT_EQ(1, engine->Count(What::kReap));
    const Report last = engine->Log().back();
    EXPECT_EQ(What::kReap, last.what);
    EXPECT_LT(before, last.begin);
    EXPECT_EQ(engine->task(), last.task);
    EXPECT_EQ(engine->get(), last.engine);
  }
}

CLAUSE_TEST(REA_01, ItIsTheLastCallback) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT_ALL));
  puppet.Kill(SIGTERM);
  nanny().Wait(puppet.pid());
  engine.AwaitEnded(What::kReap);
  EXPECT_EQ(-ESRCH, engine.Control(UTRACE_REPORT));
  EXPECT_EQ(What::kReap, engine.Log().back().what);
  engine.Put();
  ASSERT_TRUE(PollUntil([&] { return engine.releases() == 1; }));
  EXPECT_EQ(0, engine.after_release());
}

CLAUSE_TEST(REA_01, NotForWhoDidNotAsk) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  for (TestEngine* engine : {&a, &b}) ASSERT_EQ(0, engine->AttachTid(puppet.tid()));
  ASSERT_EQ(0, a.SetEvents(kDeath));
  ASSERT_EQ(0, b.SetEvents(kReap));
  puppet.BeginExitGroup(0);
  nanny().Wait(puppet.pid());
  b.AwaitEnded(What::kReap);
  ExpectLog(a.Log(), {What::kDeath});
}

// ---- REA-02 ------------------------------------------------------------------------------------

CLAUSE_TEST(REA_02, NotBeforeDeathHasReturned) {
  for (const bool kill : {false, true}) {
    Puppet& puppet = Spawn();
    Gate gate;
    TestEngine engine("A");
    engine.On(What::kDeath, WaitAt(gate, UTRACE_RESUME));
    ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine.SetEvents(kDeath | kReap));
    nanny().BeginWait(puppet.pid());
    kill ? puppet.Kill(SIGKILL) : puppet.BeginExitGroup(0);
    gate.AwaitArrival();
    // An implementation that lets the parent go on here gives it the time to reap.
    WaitResult wait;
    const bool waited = nanny().TryFinishWait(&wait, std::chrono::milliseconds(20));
    EXPECT_EQ(0, engine.Count(What::kReap));
    gate.Open();
    if (!waited) wait = nanny().FinishWait();
    EXPECT_EQ(puppet.pid(), wait.result);
    engine.AwaitEnded(What::kReap);
    const std::vector<Report> log = engine.Log();
    ASSERT_EQ(2U, log.size());
    EXPECT_LT(log[0].end, log[1].begin);
    EXPECT_EQ(0, engine.overlaps());
  }
}

CLAUSE_TEST(REA_02, OfATaskThatReapsItself) {
  Puppet& puppet = Spawn();
  PuppetThread& thread = puppet.SpawnThread();
  Gate gate;
  TestEngine engine("A");
  engine.On(What::kDeath, WaitAt(gate, UTRACE_RESUME));
  ASSERT_EQ(0, engine.AttachTid(thread.tid()));
  ASSERT_EQ(0, engine.SetEvents(kDeath | kReap));
  thread.BeginExit(0);
  gate.AwaitArrival();
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  EXPECT_EQ(0, engine.Count(What::kReap));
  gate.Open();
  engine.AwaitEnded(What::kReap);
  ExpectLog(engine.Log(), {What::kDeath, What::kReap});
}

// ---- REA-03 ------------------------------------------------------------------------------------

CLAUSE_TEST(REA_03, DetachFromDeath) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  a.On(What::kDeath, Answer(UTRACE_DETACH));
  for (TestEngine* engine : {&a, &b}) {
    ASSERT_EQ(0, engine->AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine->SetEvents(kDeath | kReap));
  }
  puppet.BeginExitGroup(0);
  a.AwaitEnded(What::kDeath);
  nanny().Wait(puppet.pid());
  b.AwaitEnded(What::kReap);
  EXPECT_EQ(0, a.Count(What::kReap));
  a.Put();
  ASSERT_TRUE(PollUntil([&] { return a.releases() == 1; }));
}

CLAUSE_TEST(REA_03, TheOnlyEngine) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.On(What::kDeath, Answer(UTRACE_DETACH));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kDeath | kReap));
  engine.Put();
  puppet.BeginExitGroup(0);
  EXPECT_EQ(puppet.pid(), nanny().Wait(puppet.pid()).result);
  ASSERT_TRUE(PollUntil([&] { return engine.releases() == 1; }));
  EXPECT_EQ(1, engine.Count(What::kDeath));
  EXPECT_EQ(0, engine.Count(What::kReap));
}

// ---- REA-04 ------------------------------------------------------------------------------------

CLAUSE_TEST(REA_04, AThread) {
  Puppet& puppet = Spawn();
  PuppetThread& thread = puppet.SpawnThread();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(thread.tid()));
  ASSERT_EQ(0, engine.SetEvents(kReap));
  thread.BeginExit(0);
  engine.AwaitEnded(What::kReap);
  EXPECT_TRUE(thread.TryAwaitGone());
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
}

CLAUSE_TEST(REA_04, AChildWhoseParentIgnoresIt) {
  Puppet& puppet = Spawn();
  nanny().IgnoreChildren(true);
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kDeath | kReap));
  puppet.BeginExitGroup(0);
  engine.AwaitEnded(What::kReap);
  EXPECT_TRUE(puppet.TryAwaitGone());
  ExpectLog(engine.Log(), {What::kDeath, What::kReap});
}

CLAUSE_TEST(REA_04, AThreadThatIsKilledWithItsGroup) {
  Puppet& puppet = Spawn();
  PuppetThread& thread = puppet.SpawnThread();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(thread.tid()));
  ASSERT_EQ(0, engine.SetEvents(kReap));
  puppet.Kill(SIGKILL);
  engine.AwaitEnded(What::kReap);
  EXPECT_EQ(SIGKILL, nanny().Wait(puppet.pid()).status);
}

// ---- REA-05 ------------------------------------------------------------------------------------

CLAUSE_TEST(REA_05, TheTaskIsGoneButItsEngineCanBeAsked) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  int control = 0;
  int set_events = 0;
  engine.On(What::kReap, [&](Report& report) -> uint32_t {
    // The context is free: either none, or that of this very task.
    EXPECT_TRUE(report.current == nullptr || report.current == report.task);
    control = api().utrace_control(report.task, report.engine, UTRACE_RESUME);
    set_events = api().utrace_set_events(report.task, report.engine, kReap | kDeath);
    return 0;
  });
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kReap));
  puppet.BeginExitGroup(0);
  nanny().Wait(puppet.pid());
  engine.AwaitEnded(What::kReap);
  EXPECT_EQ(-ESRCH, control);
  ExpectOneOf(set_events, {-ESRCH, -EALREADY});
}

// ---- REA-06 ------------------------------------------------------------------------------------

CLAUSE_TEST(REA_06, WaitGivesWhatItWouldUntraced) {
  for (const unsigned long events : {0UL, kDeath | kReap, UTRACE_EVENT_ALL}) {
    for (int way = 0; way < 4; ++way) {
      SCOPED_TRACE(way);
      WaitResult traced;
      WaitResult untraced;
      for (const bool trace : {false, true}) {
        Puppet& puppet = Spawn();
        TestEngine engine("A");
        if (trace) {
          ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
          ASSERT_EQ(0, engine.SetEvents(events));
        }
        if (way == 0) puppet.BeginExitGroup(5);
        if (way == 1) puppet.Kill(SIGTERM);
        if (way == 2) puppet.BeginFault(Fault::kSegv);
        if (way == 3) puppet.Kill(SIGKILL);
        WaitResult& wait = trace ? traced : untraced;
        wait = nanny().Wait(puppet.pid());
        EXPECT_EQ(puppet.pid(), wait.result);
        EXPECT_TRUE(puppet.TryAwaitGone());
      }
      EXPECT_EQ(untraced.status, traced.status);
    }
  }
}

CLAUSE_TEST(REA_06, AParentAlreadyWaitingIsWoken) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kDeath | kReap));
  nanny().BeginWait(puppet.pid());
  nanny().AwaitWaitBlocked();
  puppet.BeginExitGroup(5);
  const WaitResult wait = nanny().FinishWait();
  EXPECT_EQ(puppet.pid(), wait.result);
  EXPECT_EQ(5 << 8, wait.status);
  EXPECT_TRUE(puppet.TryAwaitGone());
}

CLAUSE_TEST(REA_06, TheSiginfoIsTheSameToo) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kDeath | kReap));
  puppet.BeginExitGroup(5);
  const WaitIdResult wait = nanny().WaitId(puppet.pid(), WEXITED);
  EXPECT_EQ(0, wait.result);
  EXPECT_EQ(puppet.pid(), wait.info.si_pid);
  EXPECT_EQ(CLD_EXITED, wait.info.si_code);
  EXPECT_EQ(5, wait.info.si_status);
  engine.AwaitEnded(What::kReap);
}

CLAUSE_TEST(REA_06, ACrowdOfChildrenIsCollectedByItsParent) {
  Puppet& puppet = Spawn();
  std::mutex mutex;
  std::vector<std::unique_ptr<TestEngine>> engines;
  TestEngine parent("P");
  parent.KeepLog(false);
  parent.On(What::kClone, [&](Report& report) -> uint32_t {
    auto engine = std::make_unique<TestEngine>("C");
    EXPECT_EQ(0, engine->Attach(report.child));
    EXPECT_EQ(0, engine->SetEvents(kDeath | kReap));
    std::lock_guard lock(mutex);
    engines.push_back(std::move(engine));
    return UTRACE_RESUME;
  });
  ASSERT_EQ(0, parent.AttachTid(puppet.tid()));
  ASSERT_EQ(0, parent.SetEvents(UTRACE_EVENT(CLONE)));
  puppet.ForkBurst(60);
  ASSERT_EQ(60U, engines.size());
  for (const auto& engine : engines) {
    engine->AwaitEnded(What::kReap);
    ExpectLog(engine->Log(), {What::kDeath, What::kReap});
  }
}

// ---- REA-07 ------------------------------------------------------------------------------------

CLAUSE_TEST(REA_07, AfterZeroNeitherDeathNorReap) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  for (TestEngine* engine : {&a, &b}) {
    ASSERT_EQ(0, engine->AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine->SetEvents(kDeath | kReap));
  }
  EXPECT_EQ(0, a.Control(UTRACE_DETACH));
  puppet.BeginExitGroup(0);
  nanny().Wait(puppet.pid());
  b.AwaitEnded(What::kReap);
  ExpectLog(a.Log(), {});
}

CLAUSE_TEST(REA_07, ZeroOnAZombieMeansNoReap) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  for (TestEngine* engine : {&a, &b}) {
    ASSERT_EQ(0, engine->AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine->SetEvents(kDeath | kReap));
  }
  puppet.BeginExitGroup(0);
  b.AwaitEnded(What::kDeath);
  int result = -EALREADY;
  ASSERT_TRUE(PollUntil([&] {
    result = a.Control(UTRACE_DETACH);
    return result != -EALREADY;
  }));
  EXPECT_EQ(0, result);
  nanny().Wait(puppet.pid());
  b.AwaitEnded(What::kReap);
  ExpectLog(a.Log(), {What::kDeath});
}

CLAUSE_TEST(REA_07, AfterEalreadyBothAreMade) {
  Puppet& puppet = Spawn();
  Gate gate;
  TestEngine engine("A");
  engine.On(What::kDeath, WaitAt(gate, UTRACE_RESUME));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kDeath | kReap));
  puppet.BeginExitGroup(0);
  gate.AwaitArrival();
  EXPECT_EQ(-EALREADY, engine.Control(UTRACE_DETACH));
  gate.Open();
  nanny().Wait(puppet.pid());
  engine.AwaitEnded(What::kReap);
  ExpectLog(engine.Log(), {What::kDeath, What::kReap});
}

CLAUSE_TEST(REA_07, EsrchWhileTheReapReportRuns) {
  Puppet& puppet = Spawn();
  Gate gate;
  TestEngine engine("A");
  engine.On(What::kReap, WaitAt(gate, UTRACE_RESUME));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kDeath | kReap));
  puppet.BeginExitGroup(0);
  nanny().Wait(puppet.pid());
  gate.AwaitArrival();
  EXPECT_EQ(-ESRCH, engine.Control(UTRACE_DETACH));
  gate.Open();
  engine.AwaitEnded(What::kReap);
  ExpectLog(engine.Log(), {What::kDeath, What::kReap});
}

CLAUSE_TEST(REA_07, TheRaceHasDocumentedOutcomesOnly) {
  // Children that die at once, and detaches that come at any moment of that.
  constexpr size_t kChildren = 300;
  Puppet& puppet = Spawn();
  std::vector<std::unique_ptr<TestEngine>> engines(kChildren);
  std::atomic<size_t> attached{0};
  TestEngine parent("P");
  parent.KeepLog(false);
  parent.On(What::kClone, [&](Report& report) -> uint32_t {
    const size_t at = attached;
    if (at == kChildren) return UTRACE_RESUME;
    engines[at] = std::make_unique<TestEngine>("C");
    EXPECT_EQ(0, engines[at]->Attach(report.child));
    EXPECT_EQ(0, engines[at]->SetEvents(kDeath | kReap));
    attached = at + 1;
    return UTRACE_RESUME;
  });
  ASSERT_EQ(0, parent.AttachTid(puppet.tid()));
  ASSERT_EQ(0, parent.SetEvents(UTRACE_EVENT(CLONE)));
  puppet.BeginForkBurst(kChildren);
  std::vector<int> results(kChildren, 1);
  std::vector<int> deaths(kChildren, 0);
  for (size_t i = 0; i < kChildren; ++i) {
    if (!PollUntil([&] { return attached > i; })) Failed("the clone report of a child");
    TestEngine& engine = *engines[i];
    for (size_t wait = 0; wait < i % 10; ++wait) Yield();
    if (i % 3 == 1) engine.TryAwait(What::kDeath);
    results[i] = engine.Control(UTRACE_DETACH);
    deaths[i] = engine.Count(What::kDeath);
  }
  EXPECT_LE(0, puppet.Finish());
  for (size_t i = 0; i < kChildren; ++i) {
    TestEngine& engine = *engines[i];
    SCOPED_TRACE(ErrnoName(results[i]));
    ExpectOneOf(results[i], {0, -EALREADY, -ESRCH});
    if (results[i] == 0) {
      EXPECT_EQ(0, engine.Count(What::kReap)) << Describe(engine.Log());
      // A report of its death was over by then, or is never made.
      EXPECT_EQ(deaths[i], engine.Count(What::kDeath)) << Describe(engine.Log());
    } else {
      engine.AwaitEnded(What::kReap);
      ExpectLog(engine.Log(), {What::kDeath, What::kReap});
    }
  }
}

}  // namespace utrace::kit
