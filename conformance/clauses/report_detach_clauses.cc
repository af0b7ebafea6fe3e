// REP-09, REP-13, REP-14: engines that leave or change their minds during reports, and tasks that
// nobody wants anything of.
#include <functional>

#include "conformance/clauses/control_scenes.h"

namespace utrace::kit {
namespace {

constexpr unsigned long kQuiesce = UTRACE_EVENT(QUIESCE);
constexpr unsigned long kEntry = UTRACE_EVENT(SYSCALL_ENTRY);
constexpr unsigned long kExit = UTRACE_EVENT(SYSCALL_EXIT);

void ExpectLeft(TestEngine& engine, std::initializer_list<What> log) {
  ExpectLog(engine.Log(), log);
  EXPECT_FALSE(IsAttached(engine));
  EXPECT_EQ(-ESRCH, engine.SetEvents(0));
  engine.Put();
  EXPECT_TRUE(engine.TryAwait(What::kRelease)) << "never released";
  EXPECT_EQ(0, engine.after_release());
  EXPECT_FALSE(engine.release_in_callback());
}

// How often a stop or another wait took the task off its processor while it made `calls` system
// calls that do not wait.
long StopsWhile(Puppet& puppet, const std::function<void()>& deed) {
  const long before = puppet.Switches().voluntary;
  deed();
  puppet.AwaitIdle();
  return puppet.Switches().voluntary - before;
}

long StopsDuring(Puppet& puppet, long calls) {
  return StopsWhile(puppet, [&] { puppet.Repeat(kMarker, calls); });
}

constexpr long kCalls = 2000;
// The channel's own calls, and slack for what the kernel does on its own account.
constexpr long kFew = 20;

}  // namespace

// ---- REP-09 ------------------------------------------------------------------------------------

CLAUSE_TEST(REP_09, FromReportQuiesceOfAnEvent) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.On(What::kQuiesce, Answer(UTRACE_DETACH));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT_ALL));
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  ExpectLeft(engine, {What::kQuiesce});
}

CLAUSE_TEST(REP_09, FromReportQuiesceOfNoEvent) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  OnUserReturn(engine, Answer(UTRACE_DETACH));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kQuiesce));
  StartSpinning(puppet);
  EXPECT_EQ(0, engine.Control(UTRACE_REPORT));
  ExpectRuns(puppet);
  EXPECT_TRUE(PollUntil([&] { return !IsAttached(engine); }));
  EXPECT_EQ(1U, engine.Log().size()) << Describe(engine.Log());
}

CLAUSE_TEST(REP_09, FromReportSyscallEntry) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  a.On(What::kSyscallEntry, Answer(UTRACE_DETACH));
  // B's REPORT repeats the report; A is not in the repetition.
  b.On(What::kSyscallEntry, [](Report& report) -> uint32_t {
    const bool again = (report.action & UTRACE_SYSCALL_RESUMED) == 0;
    return WithResume(report, again ? UTRACE_REPORT : UTRACE_RESUME);
  });
  for (TestEngine* engine : {&a, &b}) ASSERT_EQ(0, engine->AttachTid(puppet.tid()));
  ASSERT_EQ(0, b.SetEvents(kEntry));
  ASSERT_EQ(0, a.SetEvents(kEntry));
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  EXPECT_EQ(2, b.CountSyscall(What::kSyscallEntry, kMarker)) << Describe(b.Log());
  ExpectLeft(a, {What::kSyscallEntry});
}

CLAUSE_TEST(REP_09, FromReportSyscallExit) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  a.On(What::kSyscallExit, Answer(UTRACE_DETACH));
  // Found from the very next callback of the report, it would not be gone.
  bool found = true;
  b.On(What::kSyscallExit, [&](Report&) -> uint32_t {
    found = IsAttached(a);
    return UTRACE_REPORT;
  });
  for (TestEngine* engine : {&a, &b}) ASSERT_EQ(0, engine->AttachTid(puppet.tid()));
  ASSERT_EQ(0, b.SetEvents(kExit));
  ASSERT_EQ(0, a.SetEvents(kExit));
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  EXPECT_FALSE(found);
  ExpectLeft(a, {What::kSyscallExit});
}

CLAUSE_TEST(REP_09, FromReportSignal) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine engine("A");
  engine.On(What::kSignal, Answer(UTRACE_DETACH));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT_SIGNAL_ALL));
  EXPECT_EQ(0, puppet.Raise(SIGUSR1));
  EXPECT_EQ(0, puppet.Raise(SIGUSR1));
  EXPECT_EQ(2U, puppet.HandlerRuns());
  ExpectLeft(engine, {What::kSignal});
}

CLAUSE_TEST(REP_09, FromReportClone) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.On(What::kClone, Answer(UTRACE_DETACH));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(CLONE)));
  puppet.Fork();
  puppet.Fork();
  ExpectLeft(engine, {What::kClone});
}

CLAUSE_TEST(REP_09, FromReportExec) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.On(What::kExec, Answer(UTRACE_DETACH));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(EXEC)));
  puppet.Exec();
  puppet.Exec();
  ExpectLeft(engine, {What::kExec});
}

CLAUSE_TEST(REP_09, FromReportJctl) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.On(What::kJctl, Answer(UTRACE_DETACH));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(JCTL)));
  puppet.Kill(SIGSTOP);
  engine.AwaitEnded(What::kJctl);
  puppet.Kill(SIGCONT);
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  ExpectLeft(engine, {What::kJctl});
}

CLAUSE_TEST(REP_09, FromReportExit) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.On(What::kExit, Answer(UTRACE_DETACH));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(EXIT) | UTRACE_EVENT(DEATH) | UTRACE_EVENT(REAP)));
  puppet.BeginExitGroup(0);
  puppet.AwaitDeath();
  EXPECT_EQ(puppet.pid(), nanny().Wait(puppet.pid()).result);
  ExpectLog(engine.Log(), {What::kExit});
}

CLAUSE_TEST(REP_09, FromReportDeath) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  a.On(What::kDeath, Answer(UTRACE_DETACH));
  for (TestEngine* engine : {&a, &b}) {
    ASSERT_EQ(0, engine->AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine->SetEvents(UTRACE_EVENT(DEATH) | UTRACE_EVENT(REAP)));
  }
  puppet.Destroy();
  b.AwaitEnded(What::kDeath);
  EXPECT_EQ(puppet.pid(), nanny().Wait(puppet.pid()).result);
  b.AwaitEnded(What::kReap);
  ExpectLog(a.Log(), {What::kDeath});
}

CLAUSE_TEST(REP_09, ItsStopGoesWithIt) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  // The clone's STOP is taken along by the DETACH from the exit of the same call.
  engine.On(What::kClone, Answer(UTRACE_STOP));
  engine.On(What::kSyscallExit, [&](Report&) -> uint32_t {
    return engine.Count(What::kClone) > 0 ? UTRACE_DETACH : UTRACE_RESUME;
  });
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(CLONE) | kExit));
  puppet.Fork();
  EXPECT_FALSE(IsAttached(engine));
}

// ---- REP-13 ------------------------------------------------------------------------------------

CLAUSE_TEST(REP_13, ItsOwnMaskInReportQuiesce) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.On(What::kQuiesce, [](Report& report) -> uint32_t {
    // The first call's entry is dropped before it is reported, its exit is added.
    if (report.event != kEntry) return UTRACE_RESUME;
    EXPECT_EQ(0, api().utrace_set_events(report.task, report.engine, kQuiesce | kExit));
    return UTRACE_RESUME;
  });
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kQuiesce | kEntry));
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  EXPECT_EQ(0, engine.Count(What::kSyscallEntry)) << Describe(engine.Log());
  EXPECT_EQ(1, engine.CountSyscall(What::kSyscallExit, kMarker)) << Describe(engine.Log());
}

CLAUSE_TEST(REP_13, ItsOwnMaskInAnEventsCallback) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.On(What::kSyscallEntry, [](Report& report) -> uint32_t {
    if (IsMarker(report)) {
      EXPECT_EQ(0, api().utrace_set_events(report.task, report.engine, 0));
    }
    return PassThrough(report);
  });
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kEntry | kExit));
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  const size_t after = engine.Log().size();
  EXPECT_EQ(0, engine.CountSyscall(What::kSyscallExit, kMarker)) << Describe(engine.Log());
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  EXPECT_EQ(after, engine.Log().size()) << Describe(engine.Log());
}

CLAUSE_TEST(REP_13, AddedInAnEventsCallback) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.On(What::kSyscallEntry, [](Report& report) -> uint32_t {
    if (IsMarker(report)) {
      EXPECT_EQ(0, api().utrace_set_events(report.task, report.engine, kEntry | kExit));
    }
    return PassThrough(report);
  });
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kEntry));
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  EXPECT_EQ(1, engine.CountSyscall(What::kSyscallExit, kMarker)) << Describe(engine.Log());
}

CLAUSE_TEST(REP_13, AnotherEnginesMaskCleared) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  a.On(What::kSyscallExit, [&](Report& report) -> uint32_t {
    if (IsMarker(report)) {
      EXPECT_EQ(0, b.SetEvents(0));
    }
    return UTRACE_RESUME;
  });
  for (TestEngine* engine : {&a, &b}) {
    ASSERT_EQ(0, engine->AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine->SetEvents(kExit));
  }
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  EXPECT_EQ(0, b.CountSyscall(What::kSyscallExit, kMarker)) << Describe(GlobalLog());
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  EXPECT_EQ(0, b.CountSyscall(What::kSyscallExit, kMarker)) << Describe(GlobalLog());
}

CLAUSE_TEST(REP_13, AnotherEnginesMaskAddedTo) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  a.On(What::kSyscallEntry, [&](Report& report) -> uint32_t {
    if (IsMarker(report)) {
      EXPECT_EQ(0, b.SetEvents(kExit));
    }
    return PassThrough(report);
  });
  for (TestEngine* engine : {&a, &b}) ASSERT_EQ(0, engine->AttachTid(puppet.tid()));
  ASSERT_EQ(0, a.SetEvents(kEntry));
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  EXPECT_EQ(1, b.CountSyscall(What::kSyscallExit, kMarker)) << Describe(GlobalLog());
}

// ---- REP-14 ------------------------------------------------------------------------------------

CLAUSE_TEST(REP_14, AfterAllEnginesLeft) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT_ALL));
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  engine.DetachAndWait();
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  const size_t before = engine.Log().size();
  EXPECT_GT(kFew, StopsDuring(puppet, kCalls));
  EXPECT_EQ(before, engine.Log().size());
}

CLAUSE_TEST(REP_14, WithAnEmptyMask) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  for (TestEngine* engine : {&a, &b}) ASSERT_EQ(0, engine->AttachTid(puppet.tid()));
  EXPECT_GT(kFew, StopsDuring(puppet, kCalls));
  ExpectLog(GlobalLog(), {});
}

CLAUSE_TEST(REP_14, AfterTheEventsWereDropped) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  for (TestEngine* engine : {&a, &b}) {
    ASSERT_EQ(0, engine->AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine->SetEvents(UTRACE_EVENT_ALL));
  }
  // The counting counts: traced calls stop.
  EXPECT_LT(kFew, StopsDuring(puppet, 50));
  for (TestEngine* engine : {&a, &b}) ExpectOneOf(engine->SetEvents(0), {0, -EINPROGRESS});
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  const size_t before = GlobalLog().size();
  EXPECT_GT(kFew, StopsDuring(puppet, kCalls));
  EXPECT_EQ(before, GlobalLog().size());
}

CLAUSE_TEST(REP_14, AfterAStopAndAStep) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kQuiesce));
  StartSpinning(puppet);
  engine.StopAndWait();
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  ExpectRuns(puppet);
  ASSERT_EQ(0, engine.SetEvents(0));
  const size_t before = engine.Log().size();
  EXPECT_GT(kFew, StopsDuring(puppet, kCalls));
  EXPECT_EQ(before, engine.Log().size());
}

CLAUSE_TEST(REP_14, SignalsPassUnstopped) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  const int kSignals = 50;
  for (int i = 0; i < kSignals; ++i) EXPECT_EQ(0, puppet.Raise(SIGUSR1));
  EXPECT_EQ(static_cast<uint64_t>(kSignals), puppet.HandlerRuns());
  EXPECT_EQ(100, puppet.ForkBurst(100));
  ExpectLog(engine.Log(), {});
}

// Broken by: a task that stays traced when its last engine has left.
CLAUSE_TEST(REP_14, NoStopAtSignalsAfterAllEnginesLeft) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  constexpr long kSignals = 200;
  const auto stops = [&] {
    return StopsWhile(
        puppet, [&] { puppet.Repeat(SYS_tgkill, kSignals, puppet.pid(), puppet.tid(), SIGUSR1); });
  };
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(SIGNAL)));
  // The counting counts: reported signals stop.
  EXPECT_LT(kFew, stops());
  engine.DetachAndWait();
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  EXPECT_GT(kFew, stops());
  EXPECT_EQ(uint64_t{2 * kSignals}, puppet.HandlerRuns(SIGUSR1));
}

CLAUSE_TEST(REP_14, HundredsOfEnginesThatWantNothing) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  TestEngine engine("A");
  std::vector<EngineRef> engines;
  for (int i = 0; i < 200; ++i) {
    engines.push_back(AttachTask(task, UTRACE_ATTACH_CREATE, engine.ops(), engine.data()));
    ASSERT_TRUE(engines.back().ok());
  }
  EXPECT_GT(kFew, StopsDuring(puppet, kCalls));
  ExpectLog(GlobalLog(), {});
}

}  // namespace utrace::kit
