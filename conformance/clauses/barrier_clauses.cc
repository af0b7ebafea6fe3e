// utrace_barrier on attached engines: when it returns at once, and what it waits for.
#include <deque>

#include "conformance/clauses/callback_scenes.h"

namespace utrace::kit {
namespace {

// A barrier made by a thread of its own.
std::unique_ptr<Controller> BeginBarrier(TestEngine& engine) {
  return std::make_unique<Controller>("barrier for engine '" + engine.name() + "'", [&engine] {
    return api().utrace_barrier(engine.task(), engine.get());
  });
}

// A barrier that must not wait for anything. That it does is told by its sleeping, not by time.
void ExpectBarrierAtOnce(TestEngine& engine, std::initializer_list<long> allowed) {
  const auto barrier = BeginBarrier(engine);
  barrier->AwaitBlockedOrFinished();
  if (!barrier->Finished()) {
    Failed("the barrier for engine '" + engine.name() + "' waits where it must not");
  }
  ExpectOneOf(barrier->Result(), allowed);
}

void BarrierInCallback(What what, Puppet& puppet) {
  int result = -1;
  InCallback(what, puppet, 0, [&](TestEngine& engine, Report&) { result = engine.Barrier(); });
  EXPECT_EQ(0, result) << WhatName(what);
}

// The barrier waits for a callback of this kind, and says what the text allows after it.
void BarrierWaitsFor(What what, Puppet& puppet, std::initializer_list<long> allowed) {
  HeldCallback held(what, puppet);
  held.Begin();
  const auto barrier = BeginBarrier(held.engine());
  barrier->AwaitBlocked();
  held.Open();
  ExpectOneOf(barrier->Result(), allowed);
  for (const Report& report : held.engine().Log(what)) {
    if (report.begin > barrier->started_at()) continue;
    EXPECT_NE(0U, report.end) << "the callback still runs";
    EXPECT_LT(report.end, barrier->finished_at()) << Describe(report);
  }
}

}  // namespace

// ---- BAR-01 ------------------------------------------------------------------------------------

CLAUSE_TEST(BAR_01, InReportQuiesce) { BarrierInCallback(What::kQuiesce, Spawn()); }
CLAUSE_TEST(BAR_01, InReportSignal) { BarrierInCallback(What::kSignal, Spawn()); }
CLAUSE_TEST(BAR_01, InReportClone) { BarrierInCallback(What::kClone, Spawn()); }
CLAUSE_TEST(BAR_01, InReportJctl) { BarrierInCallback(What::kJctl, Spawn()); }
CLAUSE_TEST(BAR_01, InReportExec) { BarrierInCallback(What::kExec, Spawn()); }
CLAUSE_TEST(BAR_01, InSyscallEntry) { BarrierInCallback(What::kSyscallEntry, Spawn()); }
CLAUSE_TEST(BAR_01, InSyscallExit) { BarrierInCallback(What::kSyscallExit, Spawn()); }
CLAUSE_TEST(BAR_01, InReportExit) { BarrierInCallback(What::kExit, Spawn()); }
CLAUSE_TEST(BAR_01, InReportDeath) { BarrierInCallback(What::kDeath, Spawn()); }

CLAUSE_TEST(BAR_01, ForAnotherEngineOfTheTask) {
  Puppet& puppet = Spawn();
  TestEngine other("other");
  ASSERT_EQ(0, other.AttachTid(puppet.tid()));
  ASSERT_EQ(0, other.SetEvents(UTRACE_EVENT(CLONE)));
  int result = -1;
  InCallback(What::kClone, puppet, 0, [&](TestEngine&, Report&) { result = other.Barrier(); });
  EXPECT_EQ(0, result);
}

CLAUSE_TEST(BAR_01, AfterItsOwnCalls) {
  Puppet& puppet = Spawn();
  int results[3] = {-1, -1, -1};
  InCallback(What::kSyscallEntry, puppet, UTRACE_EVENT(JCTL), [&](TestEngine& engine, Report&) {
    engine.SetEvents(UTRACE_EVENT(SYSCALL_ENTRY));
    results[0] = engine.Barrier();
    engine.Control(UTRACE_INTERRUPT);
    results[1] = engine.Barrier();
    engine.Control(UTRACE_DETACH);
    results[2] = engine.Barrier();
  });
  for (const int result : results) EXPECT_EQ(0, result);
}

CLAUSE_TEST(BAR_01, ByPidToo) {
  Puppet& puppet = Spawn();
  const PidRef pid = Pid(puppet);
  int result = -1;
  InCallback(What::kSyscallEntry, puppet, 0, [&](TestEngine& engine, Report&) {
    result = api().utrace_barrier_pid(pid, engine.get());
  });
  EXPECT_EQ(0, result);
}

// ---- BAR-02 ------------------------------------------------------------------------------------

CLAUSE_TEST(BAR_02, OnATaskBlockedInACall) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ExpectBarrierAtOnce(engine, {0});
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT_SYSCALL | UTRACE_EVENT(QUIESCE)));
  puppet.BeginRead();
  puppet.AwaitBlocked();
  engine.AwaitLog("the entry of read", [](const auto& log) {
    return !log.empty() && log.back().syscall == SYS_read && log.back().end != 0;
  });
  ExpectBarrierAtOnce(engine, {0});
  EXPECT_FALSE(puppet.Finished());
  puppet.Feed();
  EXPECT_EQ(1, puppet.Finish());
}

CLAUSE_TEST(BAR_02, OnATaskInUserMode) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT_SYSCALL));
  puppet.BeginSpin();
  puppet.AwaitSpinning();
  ExpectBarrierAtOnce(engine, {0});
  ASSERT_EQ(0, engine.SetEvents(0));
  ExpectBarrierAtOnce(engine, {0});
  puppet.StopSpin();
  puppet.Finish();
}

CLAUSE_TEST(BAR_02, OnAStoppedTask) {
  Puppet& puppet = Spawn();
  TestEngine holder("holder");
  TestEngine engine("engine");
  ASSERT_EQ(0, holder.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT_SYSCALL | UTRACE_EVENT(QUIESCE)));
  puppet.BeginSpin();
  puppet.AwaitSpinning();
  holder.StopAndWait();
  ExpectBarrierAtOnce(holder, {0});
  ExpectBarrierAtOnce(engine, {0});
}

CLAUSE_TEST(BAR_02, OnADeadTask) {
  Puppet& puppet = Spawn();
  TestEngine engine("engine");
  TestEngine probe("probe");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(REAP)));
  ASSERT_EQ(0, probe.AttachTid(puppet.tid()));
  ASSERT_EQ(0, probe.SetEvents(UTRACE_EVENT(DEATH)));
  puppet.BeginExitGroup();
  AwaitDeathReportOver(probe);
  ExpectBarrierAtOnce(engine, {0});
}

CLAUSE_TEST(BAR_02, ARequestThatIsDueIsNoCallback) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(QUIESCE)));
  puppet.BeginRead();
  puppet.AwaitBlocked();
  // Its callback waits for the call to finish; the barrier does not.
  ASSERT_EQ(0, engine.Control(UTRACE_REPORT));
  ExpectBarrierAtOnce(engine, {0});
  puppet.Feed();
  EXPECT_EQ(1, puppet.Finish());
}

// ---- BAR-03 ------------------------------------------------------------------------------------

CLAUSE_TEST(BAR_03, WaitsForReportQuiesce) { BarrierWaitsFor(What::kQuiesce, Spawn(), {0}); }
CLAUSE_TEST(BAR_03, WaitsForReportSignal) { BarrierWaitsFor(What::kSignal, Spawn(), {0}); }
CLAUSE_TEST(BAR_03, WaitsForReportClone) { BarrierWaitsFor(What::kClone, Spawn(), {0}); }
CLAUSE_TEST(BAR_03, WaitsForReportJctl) { BarrierWaitsFor(What::kJctl, Spawn(), {0}); }
CLAUSE_TEST(BAR_03, WaitsForReportExec) { BarrierWaitsFor(What::kExec, Spawn(), {0}); }
CLAUSE_TEST(BAR_03, WaitsForSyscallEntry) { BarrierWaitsFor(What::kSyscallEntry, Spawn(), {0}); }
CLAUSE_TEST(BAR_03, WaitsForSyscallExit) { BarrierWaitsFor(What::kSyscallExit, Spawn(), {0}); }
CLAUSE_TEST(BAR_03, WaitsForReportExit) { BarrierWaitsFor(What::kExit, Spawn(), {0}); }

CLAUSE_TEST(BAR_03, WaitsForTheEventZeroReport) {
  Puppet& puppet = Spawn();
  Gate gate("the report that was asked for");
  TestEngine engine;
  const auto wait = [&](Report& report) -> uint32_t {
    gate.Wait();
    return PassThrough(report);
  };
  engine.On(What::kQuiesce, wait);
  engine.On(What::kSignal, wait);
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(QUIESCE)));
  puppet.BeginSpin();
  puppet.AwaitSpinning();
  ASSERT_EQ(0, engine.Control(UTRACE_REPORT));
  gate.AwaitArrival();
  const auto barrier = BeginBarrier(engine);
  barrier->AwaitBlocked();
  gate.Open();
  EXPECT_EQ(0, barrier->Result());
  EXPECT_LT(engine.Log()[0].end, barrier->finished_at());
  puppet.StopSpin();
  puppet.Finish();
}

CLAUSE_TEST(BAR_03, AllCallersWait) {
  Puppet& puppet = Spawn();
  HeldCallback held(What::kSyscallEntry, puppet);
  held.Begin();
  std::vector<std::unique_ptr<Controller>> barriers;
  for (int i = 0; i < 4; ++i) barriers.push_back(BeginBarrier(held.engine()));
  for (const auto& barrier : barriers) barrier->AwaitBlocked();
  held.Open();
  for (const auto& barrier : barriers) EXPECT_EQ(0, barrier->Result());
  puppet.Finish();
}

CLAUSE_TEST(BAR_03, ByPidToo) {
  Puppet& puppet = Spawn();
  const PidRef pid = Pid(puppet);
  HeldCallback held(What::kSyscallEntry, puppet);
  held.Begin();
  Controller barrier("barrier by pid",
                     [&] { return api().utrace_barrier_pid(pid, held.engine().get()); });
  barrier.AwaitBlocked();
  held.Open();
  EXPECT_EQ(0, barrier.Result());
  puppet.Finish();
}

CLAUSE_TEST(BAR_03, ItsStopHasBeenApplied) {
  Puppet& puppet = Spawn();
  HeldCallback held(What::kSyscallEntry, puppet, 0, UTRACE_STOP);
  held.Begin();
  const auto barrier = BeginBarrier(held.engine());
  barrier->AwaitBlocked();
  held.Open();
  ASSERT_EQ(0, barrier->Result());
  // Otherwise -EINVAL: nobody holds the task.
  utrace_examiner examiner = {};
  EXPECT_EQ(0, held.engine().Prepare(&examiner));
  EXPECT_EQ(0, held.engine().Control(UTRACE_RESUME));
  puppet.Finish();
}

CLAUSE_TEST(BAR_03, ItsResumeHasBeenApplied) {
  Puppet& puppet = Spawn();
  // Stops at entry, and takes that back in the repeated report.
  Gate gate("the repeated entry report");
  TestEngine engine;
  engine.On(What::kSyscallEntry, [&](Report& report) -> uint32_t {
    if (report.syscall != SYS_getppid) return PassThrough(report);
    if ((report.action & UTRACE_SYSCALL_RESUMED) == 0) return UTRACE_STOP;
    gate.Wait();
    return UTRACE_RESUME;
  });
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(SYSCALL_ENTRY) | UTRACE_EVENT(QUIESCE)));
  puppet.Begin(SYS_getppid);
  engine.AwaitLog("the entry", [](const auto& log) {
    for (const Report& report : log) {
      if (report.syscall == SYS_getppid && report.end != 0) return true;
    }
    return false;
  });
  ASSERT_EQ(0, engine.Barrier());
  utrace_examiner examiner = {};
  ASSERT_EQ(0, engine.Prepare(&examiner));
  ASSERT_EQ(0, engine.Control(UTRACE_REPORT));
  gate.AwaitArrival();
  const auto barrier = BeginBarrier(engine);
  barrier->AwaitBlocked();
  gate.Open();
  ASSERT_EQ(0, barrier->Result());
  EXPECT_NE(0, engine.Prepare(&examiner)) << "its STOP is still there";
  puppet.Finish();
}

// A barrier that returned success before the callback's DETACH had been applied was a fault of an
// earlier implementation.
CLAUSE_TEST(BAR_03, ItsDetachHasBeenApplied) {
  Puppet& puppet = Spawn();
  HeldCallback held(What::kSyscallEntry, puppet, 0, UTRACE_DETACH);
  held.Begin();
  const auto barrier = BeginBarrier(held.engine());
  barrier->AwaitBlocked();
  held.Open();
  ExpectOneOf(barrier->Result(), {0, -ESRCH});
  const EngineRef found =
      AttachTask(held.engine().task(), UTRACE_ATTACH_MATCH_DATA, nullptr, held.engine().data());
  EXPECT_EQ(-ENOENT, found.error());
  EXPECT_EQ(-ESRCH, held.engine().SetEvents(UTRACE_EVENT(SYSCALL_ENTRY)));
  EXPECT_EQ(-ESRCH, held.engine().Control(UTRACE_DETACH));
  puppet.Finish();
}

// ---- BAR-04 ------------------------------------------------------------------------------------

CLAUSE_TEST(BAR_04, AnotherEnginesCallbackIsNotWaitedFor) {
  Puppet& puppet = Spawn();
  TestEngine before("before");
  TestEngine after("after");
  ASSERT_EQ(0, before.AttachTid(puppet.tid()));
  ASSERT_EQ(0, before.SetEvents(UTRACE_EVENT(CLONE)));
  HeldCallback held(What::kClone, puppet);
  ASSERT_EQ(0, after.AttachTid(puppet.tid()));
  ASSERT_EQ(0, after.SetEvents(UTRACE_EVENT(CLONE)));
  held.Begin();
  ASSERT_EQ(1, before.Count(What::kClone));
  ASSERT_EQ(0, after.Count(What::kClone));
  ExpectBarrierAtOnce(before, {0});
  ExpectBarrierAtOnce(after, {0});
  held.End();
}

CLAUSE_TEST(BAR_04, NotForAnEngineWithoutEventsEither) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  HeldCallback held(What::kSyscallEntry, puppet);
  held.Begin();
  ExpectBarrierAtOnce(engine, {0});
  held.End();
}

CLAUSE_TEST(BAR_04, NotInTheDeathReportEither) {
  Puppet& puppet = Spawn();
  TestEngine before("before");
  TestEngine after("after");
  ASSERT_EQ(0, before.AttachTid(puppet.tid()));
  ASSERT_EQ(0, before.SetEvents(UTRACE_EVENT(DEATH)));
  HeldCallback held(What::kDeath, puppet);
  ASSERT_EQ(0, after.AttachTid(puppet.tid()));
  ASSERT_EQ(0, after.SetEvents(UTRACE_EVENT(DEATH)));
  held.Begin();
  ExpectBarrierAtOnce(before, {0});
  ExpectBarrierAtOnce(after, {0});
  held.End();
}

// ---- BAR-07 ------------------------------------------------------------------------------------

CLAUSE_TEST(BAR_07, ASignalToTheCallerEndsTheWait) {
  Puppet& puppet = Spawn();
  HeldCallback held(What::kSyscallEntry, puppet);
  held.Begin();
  const auto barrier = BeginBarrier(held.engine());
  barrier->AwaitBlocked();
  barrier->Interrupt();
  EXPECT_EQ(-UTRACE_ERESTARTSYS, barrier->Result());
  EXPECT_TRUE(held.engine().Running());
  // The caller may ask again.
  const auto again = BeginBarrier(held.engine());
  again->AwaitBlocked();
  held.Open();
  EXPECT_EQ(0, again->Result());
  puppet.Finish();
}

CLAUSE_TEST(BAR_07, OneCallersSignalIsNotAnothers) {
  Puppet& puppet = Spawn();
  HeldCallback held(What::kSyscallEntry, puppet);
  held.Begin();
  const auto first = BeginBarrier(held.engine());
  const auto second = BeginBarrier(held.engine());
  first->AwaitBlocked();
  second->AwaitBlocked();
  first->Interrupt();
  EXPECT_EQ(-UTRACE_ERESTARTSYS, first->Result());
  second->AwaitBlocked();
  held.Open();
  EXPECT_EQ(0, second->Result());
  puppet.Finish();
}

CLAUSE_TEST(BAR_07, OnADetachedEngineToo) {
  Puppet& puppet = Spawn();
  HeldCallback held(What::kSyscallEntry, puppet);
  held.Begin();
  ASSERT_EQ(-EINPROGRESS, held.engine().Control(UTRACE_DETACH));
  const auto barrier = BeginBarrier(held.engine());
  barrier->AwaitBlocked();
  barrier->Interrupt();
  EXPECT_EQ(-UTRACE_ERESTARTSYS, barrier->Result());
  held.End();
}

// ---- BAR-08 ------------------------------------------------------------------------------------

CLAUSE_TEST(BAR_08, AfterSetEventsDuringACallback) {
  Puppet& puppet = Spawn();
  HeldCallback held(What::kSyscallEntry, puppet, UTRACE_EVENT(SYSCALL_EXIT));
  held.Begin();
  ASSERT_EQ(-EINPROGRESS, held.engine().SetEvents(0));
  const auto barrier = BeginBarrier(held.engine());
  barrier->AwaitBlocked();
  held.Open();
  ASSERT_EQ(0, barrier->Result());
  puppet.Finish();
  puppet.Call(SYS_getppid);
  for (const Report& report : held.engine().Log()) {
    EXPECT_LT(report.begin, barrier->finished_at()) << Describe(report);
  }
}

CLAUSE_TEST(BAR_08, InTheMiddleOfAReport) {
  Puppet& puppet = Spawn();
  HeldCallback held(What::kClone, puppet);
  TestEngine behind("behind");
  TestEngine leaves("leaves");
  for (TestEngine* each : {&behind, &leaves}) {
    ASSERT_EQ(0, each->AttachTid(puppet.tid()));
    ASSERT_EQ(0, each->SetEvents(UTRACE_EVENT(CLONE) | UTRACE_EVENT(QUIESCE)));
  }
  held.Begin();
  ExpectOneOf(behind.SetEvents(0), {0});
  ExpectOneOf(leaves.Control(UTRACE_DETACH), {0});
  ExpectBarrierAtOnce(behind, {0});
  ExpectBarrierAtOnce(leaves, {0, -ESRCH});
  held.End();
  EXPECT_EQ(0, behind.Count(What::kClone) + behind.Count(What::kQuiesce));
  EXPECT_EQ(0, leaves.Count(What::kClone) + leaves.Count(What::kQuiesce));
}

CLAUSE_TEST(BAR_08, AfterDetachDuringACallback) {
  Puppet& puppet = Spawn();
  HeldCallback held(What::kSyscallEntry, puppet, UTRACE_EVENT(SYSCALL_EXIT));
  held.Begin();
  ASSERT_EQ(-EINPROGRESS, held.engine().Control(UTRACE_DETACH));
  const auto barrier = BeginBarrier(held.engine());
  barrier->AwaitBlocked();
  held.Open();
  ExpectOneOf(barrier->Result(), {0, -ESRCH});
  puppet.Finish();
  puppet.Call(SYS_getppid);
  for (const Report& report : held.engine().Log()) {
    if (report.what == What::kRelease) continue;
    EXPECT_LT(report.begin, barrier->finished_at()) << Describe(report);
  }
}

// ---- BAR-10 ------------------------------------------------------------------------------------

CLAUSE_TEST(BAR_10, WaitsForReportDeath) { BarrierWaitsFor(What::kDeath, Spawn(), {0}); }

// Engines are completely detached once their task was reaped (BAR-06).
CLAUSE_TEST(BAR_10, WaitsForReportReap) { BarrierWaitsFor(What::kReap, Spawn(), {0, -ESRCH}); }

CLAUSE_TEST(BAR_10, WaitsForTheQuiesceOfTheDeathReport) {
  Puppet& puppet = Spawn();
  Gate gate("report_quiesce before report_death");
  TestEngine engine;
  engine.On(What::kQuiesce, [&](Report& report) -> uint32_t {
    if (report.event == UTRACE_EVENT(DEATH)) gate.Wait();
    return UTRACE_RESUME;
  });
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(QUIESCE)));
  puppet.BeginExitGroup();
  gate.AwaitArrival();
  const auto barrier = BeginBarrier(engine);
  barrier->AwaitBlocked();
  gate.Open();
  EXPECT_EQ(0, barrier->Result());
}

CLAUSE_TEST(BAR_10, AfterADetachThatCameTooLateForDeath) {
  Puppet& puppet = Spawn();
  HeldCallback held(What::kDeath, puppet);
  held.Begin();
  ASSERT_EQ(-EALREADY, held.engine().Control(UTRACE_DETACH));
  const auto barrier = BeginBarrier(held.engine());
  barrier->AwaitBlocked();
  held.Open();
  EXPECT_EQ(0, barrier->Result());
  EXPECT_FALSE(held.engine().Running());
}

CLAUSE_TEST(BAR_10, AfterADetachThatCameTooLateForReap) {
  Puppet& puppet = Spawn();
  HeldCallback held(What::kReap, puppet);
  held.Begin();
  // The engine's owner cannot know whether report_reap is running; the barrier tells it.
  ASSERT_EQ(-ESRCH, held.engine().Control(UTRACE_DETACH));
  const auto barrier = BeginBarrier(held.engine());
  barrier->AwaitBlocked();
  held.Open();
  ExpectOneOf(barrier->Result(), {0, -ESRCH});
  EXPECT_FALSE(held.engine().Running());
}

}  // namespace utrace::kit
