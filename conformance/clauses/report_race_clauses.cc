// REP-15: detaches and changes of mask that race with the start of a callback.
#include <atomic>
#include <functional>

#include "conformance/clauses/control_scenes.h"

namespace utrace::kit {
namespace {

constexpr unsigned long kQuiesce = UTRACE_EVENT(QUIESCE);
constexpr unsigned long kEntry = UTRACE_EVENT(SYSCALL_ENTRY);
constexpr unsigned long kExit = UTRACE_EVENT(SYSCALL_EXIT);

}  // namespace

CLAUSE_TEST(REP_15, TheMaskClearedWhileTheReportIsWithAnother) {
  Puppet& puppet = Spawn();
  Gate gate;
  TestEngine a("A");
  TestEngine b("B");
  a.On(What::kSyscallExit, WaitAt(gate, UTRACE_RESUME));
  for (TestEngine* engine : {&a, &b}) {
    ASSERT_EQ(0, engine->AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine->SetEvents(kExit));
  }
  puppet.Begin(kMarker);
  gate.AwaitArrival();
  EXPECT_EQ(0, b.SetEvents(0));
  gate.Open();
  EXPECT_EQ(nanny().pid(), puppet.Finish());
  EXPECT_EQ(0, b.CountSyscall(What::kSyscallExit, kMarker)) << Describe(GlobalLog());
}

CLAUSE_TEST(REP_15, TheMaskClearedBetweenQuiesceAndTheEvent) {
  Puppet& puppet = Spawn();
  Gate gate;
  TestEngine engine("A");
  engine.On(What::kQuiesce, [&](Report& report) -> uint32_t {
    if (report.event == kEntry) gate.Wait();
    return UTRACE_RESUME;
  });
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kQuiesce | kEntry));
  puppet.Begin(kMarker);
  gate.AwaitArrival();
  EXPECT_EQ(-EINPROGRESS, engine.SetEvents(kQuiesce));
  gate.Open();
  EXPECT_EQ(nanny().pid(), puppet.Finish());
  EXPECT_EQ(0, engine.Count(What::kSyscallEntry)) << Describe(engine.Log());
}

CLAUSE_TEST(REP_15, DetachedBetweenQuiesceAndTheEvent) {
  Puppet& puppet = Spawn();
  Gate gate;
  TestEngine engine("A");
  engine.On(What::kQuiesce, [&](Report& report) -> uint32_t {
    if (report.event == kEntry) gate.Wait();
    return UTRACE_RESUME;
  });
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kQuiesce | kEntry | kExit));
  puppet.Begin(kMarker);
  gate.AwaitArrival();
  EXPECT_EQ(-EINPROGRESS, engine.Control(UTRACE_DETACH));
  gate.Open();
  EXPECT_EQ(nanny().pid(), puppet.Finish());
  // Before it, only the end of the call in which it was attached.
  const std::vector<Report> log = engine.Log();
  ASSERT_FALSE(log.empty());
  EXPECT_EQ(What::kQuiesce, log.back().what);
  EXPECT_EQ(kEntry, log.back().event);
  EXPECT_EQ(0, engine.Count(What::kSyscallEntry));
}

CLAUSE_TEST(REP_15, NoReportSignalIsCalledThatIsNotThere) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine a("A", OpsTable().Without(What::kSignal));
  TestEngine b("B");
  for (TestEngine* engine : {&a, &b}) ASSERT_EQ(0, engine->AttachTid(puppet.tid()));
  ASSERT_EQ(0, a.SetEvents(kQuiesce));
  ASSERT_EQ(0, b.SetEvents(kQuiesce | UTRACE_EVENT_SIGNAL_ALL));
  StartSpinning(puppet);
  EXPECT_EQ(0, a.Control(UTRACE_INTERRUPT));
  b.AwaitEnded(What::kSignal);
  puppet.Tgkill(SIGUSR1);
  puppet.AwaitHandlerRuns(1);
  ExpectRuns(puppet);
  EXPECT_EQ(0, a.Count(What::kSignal));
}

CLAUSE_TEST(REP_15, NoEventCallbackIsCalledThatIsNotThere) {
  // Everything happens to an engine that has QUIESCE and no other callback: others have the events.
  Puppet& puppet = Spawn();
  OpsTable bare;
  for (const What what :
       {What::kSignal, What::kClone, What::kJctl, What::kExec, What::kSyscallEntry,
        What::kSyscallExit, What::kExit, What::kDeath, What::kReap, What::kRelease}) {
    bare.Without(what);
  }
  TestEngine a("A", bare);
  TestEngine b("B");
  for (TestEngine* engine : {&a, &b}) ASSERT_EQ(0, engine->AttachTid(puppet.tid()));
  ASSERT_EQ(0, a.SetEvents(kQuiesce));
  ASSERT_EQ(0, b.SetEvents(UTRACE_EVENT_ALL));
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  puppet.Fork();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  EXPECT_EQ(0, puppet.Raise(SIGUSR1));
  puppet.Kill(SIGSTOP);
  b.AwaitEnded(What::kJctl);
  puppet.Kill(SIGCONT);
  puppet.Exec();
  puppet.BeginExitGroup(0);
  puppet.AwaitDeath();
  EXPECT_EQ(puppet.pid(), nanny().Wait(puppet.pid()).result);
  b.AwaitEnded(What::kReap);
  for (const Report& report : a.Log()) {
    EXPECT_TRUE(report.what == What::kQuiesce) << Describe(a.Log());
  }
}

CLAUSE_TEST(REP_15, ADetachedEngineWithoutReleaseIsJustGone) {
  Puppet& puppet = Spawn();
  TestEngine engine("A", OpsTable().Without(What::kRelease));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  EXPECT_EQ(0, engine.Control(UTRACE_DETACH));
  engine.Put();
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  EXPECT_EQ(0, engine.releases());
}

CLAUSE_TEST(REP_15, MasksChangedAgainstAStreamOfReports) {
  Puppet& puppet = Spawn();
  TestEngine keeper("K");
  TestEngine engine("A");
  keeper.KeepLog(false);
  engine.KeepLog(false);
  // Moments by the kit's sequence: no callback of a kind may begin while it is switched off.
  std::atomic<uint64_t> no_entry_since{0};
  std::atomic<uint64_t> no_exit_since{0};
  std::atomic<int> breaches{0};
  const auto check = [&](std::atomic<uint64_t>& since) {
    return [&](Report& report) -> uint32_t {
      const uint64_t off = since.load();
      if (off != 0 && report.begin > off) ++breaches;
      return PassThrough(report);
    };
  };
  engine.On(What::kSyscallEntry, check(no_entry_since));
  engine.On(What::kSyscallExit, check(no_exit_since));
  for (TestEngine* each : {&keeper, &engine}) ASSERT_EQ(0, each->AttachTid(puppet.tid()));
  ASSERT_EQ(0, keeper.SetEvents(kEntry | kExit));
  puppet.BeginRepeat(kMarker, 10000);
  keeper.Await(What::kSyscallExit);
  for (int round = 0; round < 400 && !puppet.Finished(); ++round) {
    const bool entry = round % 2 == 0;
    (entry ? no_entry_since : no_exit_since).store(0);
    const int result = engine.SetEvents(entry ? kEntry : kExit);
    AssertOneOf(result, {0, -EINPROGRESS});
    if (result == -EINPROGRESS) {
      ASSERT_EQ(0, engine.Barrier());
    }
    (entry ? no_exit_since : no_entry_since).store(NextSequence());
    for (int i = 0; i < round % 7; ++i) Yield();
  }
  keeper.DetachAndWait();
  engine.DetachAndWait();
  EXPECT_EQ(nanny().pid(), puppet.Finish());
  EXPECT_EQ(0, breaches.load());
}

CLAUSE_TEST(REP_15, TwoControllersAgainstAStreamOfReports) {
  // One attaches and detaches, one changes the mask of what the other attached. Each table has a
  // hole where the other's event is.
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  TestEngine keeper("K");
  keeper.KeepLog(false);
  ASSERT_EQ(0, keeper.Attach(task));
  ASSERT_EQ(0, keeper.SetEvents(kEntry | kExit));
  puppet.BeginRepeat(kMarker, 4000);
  keeper.Await(What::kSyscallExit);
  TestEngine a("A", OpsTable().Without(What::kSyscallExit));
  a.KeepLog(false);
  std::atomic<bool> over{false};
  std::atomic<int> wrong{0};
  Thread masks([&] {
    for (int i = 0; !over.load(); ++i) {
      const EngineRef found = AttachTask(task, UTRACE_ATTACH_MATCH_OPS, a.ops(), nullptr);
      if (!found.ok()) {
        if (found.error() != -ENOENT && found.error() != -ESRCH) ++wrong;
        continue;
      }
      const int result =
          api().utrace_set_events(task, found, i % 3 == 0 ? 0 : kEntry | (i % 2 ? kQuiesce : 0));
      if (result != 0 && result != -EINPROGRESS && result != -ESRCH) ++wrong;
    }
  });
  for (int round = 0; round < 150 && !puppet.Finished(); ++round) {
    EngineRef engine = AttachTask(task, UTRACE_ATTACH_CREATE, a.ops(), a.data());
    if (!engine.ok()) {
      ++wrong;
      break;
    }
    for (int i = 0; i < round % 7; ++i) Yield();
    const int result = api().utrace_control(task, engine, UTRACE_DETACH);
    if (result != 0 && result != -EINPROGRESS) ++wrong;
    if (result == -EINPROGRESS) {
      const int barrier = api().utrace_barrier(task, engine);
      if (barrier != 0 && barrier != -ESRCH) ++wrong;
    }
  }
  over.store(true);
  masks.Join();
  keeper.DetachAndWait();
  EXPECT_EQ(nanny().pid(), puppet.Finish());
  EXPECT_EQ(0, wrong.load());
  EXPECT_EQ(0, a.Count(What::kSyscallExit));
}

}  // namespace utrace::kit
