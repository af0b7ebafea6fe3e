// CTL-11: DETACH while a callback to the engine is in progress.
#include <atomic>
#include <functional>

#include "conformance/clauses/control_scenes.h"

namespace utrace::kit {
namespace {

constexpr unsigned long kQuiesce = UTRACE_EVENT(QUIESCE);
constexpr uint32_t kResults[] = {UTRACE_STOP,       UTRACE_INTERRUPT, UTRACE_REPORT,
                                 UTRACE_SINGLESTEP, UTRACE_BLOCKSTEP, UTRACE_RESUME,
                                 UTRACE_DETACH};

// Detaches while the callback waits at the gate, and lets it end.
void DetachDuringCallback(TestEngine& engine, Gate& gate) {
  gate.AwaitArrival();
  EXPECT_EQ(-EINPROGRESS, engine.Control(UTRACE_DETACH));
  EXPECT_EQ(0, engine.releases());
  gate.Open();
}

// To be called when the puppet has gone on: the detach took place, and nothing of the callback's
// result is left.
void ExpectGone(TestEngine& engine, What what) {
  EXPECT_EQ(1, engine.Count(what)) << Describe(engine.Log());
  EXPECT_FALSE(IsAttached(engine));
  EXPECT_EQ(-ESRCH, engine.Control(UTRACE_RESUME));
  engine.Put();
  EXPECT_TRUE(engine.TryAwait(What::kRelease)) << "the engine was never released";
}

}  // namespace

CLAUSE_TEST(CTL_11, InReportSyscallEntryWhateverItReturns) {
  for (const uint32_t result : kResults) {
    SCOPED_TRACE(ResumeActionName(result));
    Puppet& puppet = Spawn();
    Gate gate;
    TestEngine engine("A");
    engine.On(What::kSyscallEntry, WaitAt(gate, result));
    ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT_SYSCALL));
    puppet.Begin(kMarker);
    DetachDuringCallback(engine, gate);
    EXPECT_EQ(nanny().pid(), puppet.Finish());
    EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
    EXPECT_EQ(1, engine.CountSyscall(What::kSyscallEntry, kMarker));
    EXPECT_EQ(0, engine.CountSyscall(What::kSyscallExit, kMarker));
    EXPECT_FALSE(IsAttached(engine));
  }
}

CLAUSE_TEST(CTL_11, InReportSyscallExitWhateverItReturns) {
  for (const uint32_t result : kResults) {
    SCOPED_TRACE(ResumeActionName(result));
    Puppet& puppet = Spawn();
    Gate gate;
    TestEngine engine("A");
    engine.On(What::kSyscallExit, WaitAt(gate, result));
    ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT_SYSCALL | kQuiesce));
    puppet.Begin(kMarker);
    DetachDuringCallback(engine, gate);
    const auto log = engine.Log();
    EXPECT_EQ(nanny().pid(), puppet.Finish());
    EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
    EXPECT_EQ(log.size(), engine.Log().size()) << Describe(engine.Log());
    EXPECT_FALSE(IsAttached(engine));
  }
}

CLAUSE_TEST(CTL_11, InReportQuiesceForAnEvent) {
  Puppet& puppet = Spawn();
  Gate gate;
  TestEngine engine("A");
  engine.On(What::kQuiesce, WaitAt(gate, UTRACE_STOP));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT_SYSCALL | kQuiesce));
  puppet.Begin(kMarker);
  DetachDuringCallback(engine, gate);
  EXPECT_EQ(nanny().pid(), puppet.Finish());
  // The event's own callback would have been the next.
  ExpectLog(engine.Log(), {What::kQuiesce});
  ExpectGone(engine, What::kQuiesce);
}

CLAUSE_TEST(CTL_11, InReportQuiesceForNoEventWhateverItReturns) {
  for (const uint32_t result : kResults) {
    SCOPED_TRACE(ResumeActionName(result));
    Puppet& puppet = Spawn();
    Gate gate;
    TestEngine engine("A", OpsTable().Without(What::kSignal));
    engine.On(What::kQuiesce, WaitAt(gate, result));
    ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine.SetEvents(kQuiesce));
    StartSpinning(puppet);
    EXPECT_EQ(0, engine.Control(UTRACE_REPORT));
    DetachDuringCallback(engine, gate);
    ExpectRuns(puppet);
    ExpectGone(engine, What::kQuiesce);
  }
}

CLAUSE_TEST(CTL_11, InReportSignal) {
  for (const uint32_t result : {UTRACE_STOP, UTRACE_SINGLESTEP}) {
    Puppet& puppet = Spawn();
    puppet.Sigaction(SIGUSR1, Disposition::kHandler);
    Gate gate;
    TestEngine engine("A");
    engine.On(What::kSignal, WaitAt(gate, result));
    ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT_SIGNAL_ALL));
    puppet.BeginRaise(SIGUSR1);
    DetachDuringCallback(engine, gate);
    EXPECT_EQ(0, puppet.Finish());
    EXPECT_EQ(1U, puppet.HandlerRuns(SIGUSR1));
    ExpectGone(engine, What::kSignal);
  }
}

CLAUSE_TEST(CTL_11, InReportClone) {
  Puppet& puppet = Spawn();
  Gate gate;
  TestEngine engine("A");
  engine.On(What::kClone, WaitAt(gate, UTRACE_STOP));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(CLONE)));
  Puppet& child = puppet.BeginFork();
  DetachDuringCallback(engine, gate);
  child.AwaitReady();
  EXPECT_EQ(child.pid(), puppet.Finish());
  ExpectGone(engine, What::kClone);
}

CLAUSE_TEST(CTL_11, InReportExec) {
  Puppet& puppet = Spawn();
  Gate gate;
  TestEngine engine("A");
  engine.On(What::kExec, WaitAt(gate, UTRACE_STOP));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(EXEC)));
  puppet.BeginExec();
  DetachDuringCallback(engine, gate);
  puppet.FinishExec();
  ExpectGone(engine, What::kExec);
}

CLAUSE_TEST(CTL_11, InReportJctl) {
  Puppet& puppet = Spawn();
  Gate gate;
  TestEngine engine("A");
  engine.On(What::kJctl, WaitAt(gate, UTRACE_STOP));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(JCTL)));
  puppet.Kill(SIGSTOP);
  DetachDuringCallback(engine, gate);
  engine.AwaitEnded(What::kJctl);
  puppet.Kill(SIGCONT);
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  ExpectGone(engine, What::kJctl);
}

CLAUSE_TEST(CTL_11, InReportExit) {
  Puppet& puppet = Spawn();
  Gate gate;
  TestEngine engine("A");
  engine.On(What::kExit, WaitAt(gate, UTRACE_STOP));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(EXIT) | UTRACE_EVENT(DEATH) | UTRACE_EVENT(REAP)));
  puppet.BeginExit(3);
  DetachDuringCallback(engine, gate);
  puppet.AwaitDeath();
  EXPECT_EQ(puppet.pid(), nanny().Wait(puppet.pid()).result);
  ExpectLog(engine.Log(), {What::kExit});
}

CLAUSE_TEST(CTL_11, OtherEnginesOfTheReportAreStillCalled) {
  Puppet& puppet = Spawn();
  Gate gate;
  TestEngine a("A");
  TestEngine b("B");
  TestEngine c("C");
  b.On(What::kSyscallExit, WaitAt(gate, UTRACE_STOP));
  for (TestEngine* engine : {&a, &b, &c}) {
    ASSERT_EQ(0, engine->AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine->SetEvents(UTRACE_EVENT(SYSCALL_EXIT)));
  }
  puppet.Begin(kMarker);
  DetachDuringCallback(b, gate);
  EXPECT_EQ(nanny().pid(), puppet.Finish());
  EXPECT_EQ("ABC", Order(What::kSyscallExit, kMarker));
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  EXPECT_EQ("ABCAC", Order(What::kSyscallExit, kMarker));
}

// Race 1: a report starts callbacks while a controller detaches.
CLAUSE_TEST(CTL_11, DetachesAgainstAStreamOfCallbacks) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  TestEngine keeper("K");
  keeper.KeepLog(false);
  ASSERT_EQ(0, keeper.Attach(task));
  ASSERT_EQ(0, keeper.SetEvents(UTRACE_EVENT(SYSCALL_EXIT)));
  constexpr int kCalls = 20000;
  puppet.BeginRepeat(kMarker, kCalls);
  keeper.Await(What::kSyscallExit);
  // Two kinds of ops table, each with holes that the other one's mask would hit.
  const OpsTable tables[] = {OpsTable().Without(What::kSyscallExit),
                             OpsTable().Without(What::kSyscallEntry)};
  const unsigned long events[] = {UTRACE_EVENT(SYSCALL_ENTRY) | kQuiesce,
                                  UTRACE_EVENT(SYSCALL_EXIT) | kQuiesce};
  int in_progress = 0;
  for (int round = 0; round < 300 && !puppet.Finished(); ++round) {
    TestEngine engine("A", tables[round % 2]);
    ASSERT_EQ(0, engine.Attach(task));
    const int set = engine.SetEvents(events[round % 2]);
    ASSERT_EQ(0, set);
    if (round % 3 != 0) {
      engine.Await(What::kQuiesce);
    }
    const int result = engine.Control(UTRACE_DETACH);
    const uint64_t returned = NextSequence();
    AssertOneOf(result, {0, -EINPROGRESS});
    if (result != 0) {
      ++in_progress;
      ExpectOneOf(engine.Barrier(), {0, -ESRCH});
    }
    const uint64_t quiet = result == 0 ? returned : NextSequence();
    EXPECT_EQ(-ESRCH, engine.Control(UTRACE_DETACH));
    for (const Report& report : engine.Log()) {
      EXPECT_LT(report.begin, quiet) << Describe(engine.Log());
      EXPECT_NE(0U, report.end) << Describe(engine.Log());
    }
    // One callback at most was running; it was the last one.
    if (HasFailure()) break;
  }
  keeper.DetachAndWait();
  EXPECT_EQ(nanny().pid(), puppet.Finish());
  RecordProperty("in_progress", in_progress);
}

}  // namespace utrace::kit
