// set_events while a callback to the engine is in progress: when it says so, and when it never does.
#include <functional>

#include "conformance/clauses/callback_scenes.h"

namespace utrace::kit {
namespace {

// A bit that no scene here makes a callback for, to be cleared beside running callbacks.
constexpr unsigned long kSpare = UTRACE_EVENT(JCTL);

void ClearBesideCallback(What what, Puppet& puppet) {
  HeldCallback held(what, puppet, kSpare);
  held.Begin();
  const unsigned long rest = held.events() & ~kSpare;
  EXPECT_EQ(-EINPROGRESS, held.engine().SetEvents(rest));
  EXPECT_EQ(rest, MaskOf(held.engine()));
  held.End();
}

void AddBesideCallback(What what, Puppet& puppet) {
  HeldCallback held(what, puppet);
  held.Begin();
  EXPECT_EQ(0, held.engine().SetEvents(held.events() | kSpare));
  EXPECT_EQ(held.events() | kSpare, MaskOf(held.engine()));
  EXPECT_EQ(0, held.engine().SetEvents(held.events() | kSpare | UTRACE_EVENT(SIGNAL_STOP)));
  held.End();
}

void ClearOnCurrent(What what, Puppet& puppet) {
  int result = -1;
  const unsigned long rest = OccasionEvents(what);
  InCallback(what, puppet, kSpare, [&](TestEngine& engine, Report&) {
    result = engine.SetEvents(rest);
    EXPECT_EQ(rest, MaskOf(engine));
  });
  EXPECT_EQ(0, result) << WhatName(what);
}

}  // namespace

// ---- EVT-07 ------------------------------------------------------------------------------------

CLAUSE_TEST(EVT_07, ClearingBesideReportQuiesce) { ClearBesideCallback(What::kQuiesce, Spawn()); }
CLAUSE_TEST(EVT_07, ClearingBesideReportSignal) { ClearBesideCallback(What::kSignal, Spawn()); }
CLAUSE_TEST(EVT_07, ClearingBesideReportClone) { ClearBesideCallback(What::kClone, Spawn()); }
CLAUSE_TEST(EVT_07, ClearingBesideReportExec) { ClearBesideCallback(What::kExec, Spawn()); }
CLAUSE_TEST(EVT_07, ClearingBesideSyscallEntry) {
  ClearBesideCallback(What::kSyscallEntry, Spawn());
}
CLAUSE_TEST(EVT_07, ClearingBesideSyscallExit) { ClearBesideCallback(What::kSyscallExit, Spawn()); }
CLAUSE_TEST(EVT_07, ClearingBesideReportExit) { ClearBesideCallback(What::kExit, Spawn()); }
CLAUSE_TEST(EVT_07, ClearingBesideReportDeath) { ClearBesideCallback(What::kDeath, Spawn()); }

CLAUSE_TEST(EVT_07, ClearingTheVeryEventThatIsReported) {
  Puppet& puppet = Spawn();
  HeldCallback held(What::kSyscallEntry, puppet);
  held.Begin();
  EXPECT_EQ(-EINPROGRESS, held.engine().SetEvents(0));
  EXPECT_EQ(0UL, MaskOf(held.engine()));
  held.End();
  puppet.Call(SYS_getppid);
  EXPECT_EQ(1, held.engine().CountSyscall(What::kSyscallEntry, SYS_getppid));
}

CLAUSE_TEST(EVT_07, TheNewMaskIsInForceAllTheSame) {
  Puppet& puppet = Spawn();
  HeldCallback held(What::kSyscallEntry, puppet, UTRACE_EVENT(SYSCALL_EXIT));
  held.Begin();
  EXPECT_EQ(-EINPROGRESS, held.engine().SetEvents(UTRACE_EVENT(SYSCALL_ENTRY)));
  held.End();
  EXPECT_EQ(0, held.engine().CountSyscall(What::kSyscallExit, SYS_getppid));
  puppet.Call(SYS_getppid);
  EXPECT_EQ(2, held.engine().CountSyscall(What::kSyscallEntry, SYS_getppid));
  EXPECT_EQ(0, held.engine().CountSyscall(What::kSyscallExit, SYS_getppid));
}

CLAUSE_TEST(EVT_07, ClearingAndAddingAtOnce) {
  Puppet& puppet = Spawn();
  HeldCallback held(What::kSyscallEntry, puppet);
  held.Begin();
  EXPECT_EQ(-EINPROGRESS, held.engine().SetEvents(UTRACE_EVENT(SYSCALL_EXIT)));
  EXPECT_EQ(UTRACE_EVENT(SYSCALL_EXIT), MaskOf(held.engine()));
  held.End();
  EXPECT_EQ(1, held.engine().CountSyscall(What::kSyscallExit, SYS_getppid));
  puppet.Call(SYS_getppid);
  EXPECT_EQ(1, held.engine().CountSyscall(What::kSyscallEntry, SYS_getppid));
  EXPECT_EQ(2, held.engine().CountSyscall(What::kSyscallExit, SYS_getppid));
}

CLAUSE_TEST(EVT_07, ByPidToo) {
  Puppet& puppet = Spawn();
  const PidRef pid = Pid(puppet);
  HeldCallback held(What::kSyscallEntry, puppet);
  held.Begin();
  EXPECT_EQ(-EINPROGRESS, api().utrace_set_events_pid(pid, held.engine().get(), 0));
  EXPECT_EQ(0UL, MaskOf(held.engine()));
  held.End();
}

// The caller is in task context, but of another task.
CLAUSE_TEST(EVT_07, FromACallbackOfAnotherTask) {
  Puppet& puppet = Spawn();
  Puppet& other = Spawn("other");
  HeldCallback held(What::kSyscallEntry, puppet, kSpare);
  Latch asked(1, "the other task's callback");
  int result = 1;
  TestEngine caller("caller");
  caller.On(What::kSyscallEntry, [&](Report& report) -> uint32_t {
    if (report.syscall == SYS_getppid && !held.gate().IsOpen()) {
      result = held.engine().SetEvents(UTRACE_EVENT(SYSCALL_ENTRY));
      asked.CountDown();
    }
    return PassThrough(report);
  });
  ASSERT_EQ(0, caller.AttachTid(other.tid()));
  ASSERT_EQ(0, caller.SetEvents(UTRACE_EVENT(SYSCALL_ENTRY)));
  held.Begin();
  other.Begin(SYS_getppid);
  // An implementation may let one task's callback wait for another's; then there is nothing to see.
  const bool came = caller.TryAwaitLog(
      [](const auto& log) {
        return !log.empty() && log.back().end != 0 && log.back().syscall == SYS_getppid;
      },
      std::chrono::milliseconds(500));
  held.Open();
  other.Finish();
  puppet.Finish();
  if (came) {
    EXPECT_EQ(-EINPROGRESS, result);
  }
}

CLAUSE_TEST(EVT_07, AnotherEnginesCallbackDoesNotCount) {
  Puppet& puppet = Spawn();
  TestEngine before("before");
  TestEngine after("after");
  ASSERT_EQ(0, before.AttachTid(puppet.tid()));
  ASSERT_EQ(0, before.SetEvents(UTRACE_EVENT_SYSCALL));
  HeldCallback held(What::kSyscallEntry, puppet);
  ASSERT_EQ(0, after.AttachTid(puppet.tid()));
  ASSERT_EQ(0, after.SetEvents(UTRACE_EVENT_SYSCALL));
  held.Begin();
  EXPECT_EQ(0, before.SetEvents(UTRACE_EVENT(SYSCALL_ENTRY)));
  EXPECT_EQ(0, after.SetEvents(UTRACE_EVENT(SYSCALL_ENTRY)));
  held.End();
  EXPECT_EQ(0, before.CountSyscall(What::kSyscallExit, SYS_getppid));
  EXPECT_EQ(0, after.CountSyscall(What::kSyscallExit, SYS_getppid));
}

CLAUSE_TEST(EVT_07, ACallbackThatIsOverDoesNotCount) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(SYSCALL_EXIT) | kSpare));
  for (int i = 0; i < 20; ++i) {
    puppet.Call(SYS_getppid);
    puppet.AwaitIdle();
    EXPECT_EQ(0, engine.SetEvents(UTRACE_EVENT(SYSCALL_EXIT)));
    EXPECT_EQ(0, engine.SetEvents(UTRACE_EVENT(SYSCALL_EXIT) | kSpare));
  }
}

// ---- EVT-08 ------------------------------------------------------------------------------------

CLAUSE_TEST(EVT_08, AddingBesideReportQuiesce) { AddBesideCallback(What::kQuiesce, Spawn()); }
CLAUSE_TEST(EVT_08, AddingBesideReportSignal) { AddBesideCallback(What::kSignal, Spawn()); }
CLAUSE_TEST(EVT_08, AddingBesideReportClone) { AddBesideCallback(What::kClone, Spawn()); }
CLAUSE_TEST(EVT_08, AddingBesideReportExec) { AddBesideCallback(What::kExec, Spawn()); }
CLAUSE_TEST(EVT_08, AddingBesideSyscallEntry) { AddBesideCallback(What::kSyscallEntry, Spawn()); }
CLAUSE_TEST(EVT_08, AddingBesideSyscallExit) { AddBesideCallback(What::kSyscallExit, Spawn()); }
CLAUSE_TEST(EVT_08, AddingBesideReportExit) { AddBesideCallback(What::kExit, Spawn()); }
CLAUSE_TEST(EVT_08, AddingBesideReportDeath) { AddBesideCallback(What::kDeath, Spawn()); }

CLAUSE_TEST(EVT_08, WhatIsAddedIsInForceAtOnce) {
  Puppet& puppet = Spawn();
  HeldCallback held(What::kSyscallEntry, puppet);
  held.Begin();
  EXPECT_EQ(0, held.engine().SetEvents(UTRACE_EVENT_SYSCALL));
  held.End();
  EXPECT_EQ(1, held.engine().CountSyscall(What::kSyscallExit, SYS_getppid));
}

CLAUSE_TEST(EVT_08, AfterACallThatCleared) {
  Puppet& puppet = Spawn();
  HeldCallback held(What::kSyscallEntry, puppet, kSpare);
  held.Begin();
  ASSERT_EQ(-EINPROGRESS, held.engine().SetEvents(UTRACE_EVENT(SYSCALL_ENTRY)));
  EXPECT_EQ(0, held.engine().SetEvents(UTRACE_EVENT_SYSCALL));
  held.End();
}

// ---- EVT-09 ------------------------------------------------------------------------------------

CLAUSE_TEST(EVT_09, InReportQuiesce) { ClearOnCurrent(What::kQuiesce, Spawn()); }
CLAUSE_TEST(EVT_09, InReportSignal) { ClearOnCurrent(What::kSignal, Spawn()); }
CLAUSE_TEST(EVT_09, InReportClone) { ClearOnCurrent(What::kClone, Spawn()); }
CLAUSE_TEST(EVT_09, InReportExec) { ClearOnCurrent(What::kExec, Spawn()); }
CLAUSE_TEST(EVT_09, InSyscallEntry) { ClearOnCurrent(What::kSyscallEntry, Spawn()); }
CLAUSE_TEST(EVT_09, InSyscallExit) { ClearOnCurrent(What::kSyscallExit, Spawn()); }
CLAUSE_TEST(EVT_09, InReportExit) { ClearOnCurrent(What::kExit, Spawn()); }
CLAUSE_TEST(EVT_09, InReportDeath) { ClearOnCurrent(What::kDeath, Spawn()); }

CLAUSE_TEST(EVT_09, InReportJctl) {
  Puppet& puppet = Spawn();
  int result = -1;
  InCallback(What::kJctl, puppet, UTRACE_EVENT(EXEC), [&](TestEngine& engine, Report& report) {
    if (report.jctl_type == CLD_STOPPED) result = engine.SetEvents(UTRACE_EVENT(JCTL));
  });
  EXPECT_EQ(0, result);
}

CLAUSE_TEST(EVT_09, ForTheReportedEventItself) {
  Puppet& puppet = Spawn();
  int result = -1;
  int again = -1;
  int count = 0;
  InCallback(What::kSyscallEntry, puppet, 0, [&](TestEngine& engine, Report&) {
    ++count;
    result = engine.SetEvents(0);
    again = engine.SetEvents(0);
  });
  puppet.Call(SYS_getppid);
  EXPECT_EQ(0, result);
  EXPECT_EQ(0, again);
  EXPECT_EQ(1, count);
}

CLAUSE_TEST(EVT_09, ForAnotherEngineOfTheTask) {
  Puppet& puppet = Spawn();
  TestEngine before("before");
  TestEngine after("after");
  int results[2] = {-1, -1};
  ASSERT_EQ(0, before.AttachTid(puppet.tid()));
  ASSERT_EQ(0, before.SetEvents(UTRACE_EVENT(SYSCALL_EXIT) | kSpare));
  TestEngine caller("caller");
  caller.On(What::kSyscallExit, [&](Report& report) -> uint32_t {
    if (report.syscall == SYS_getppid) {
      results[0] = before.SetEvents(UTRACE_EVENT(SYSCALL_EXIT));
      results[1] = after.SetEvents(UTRACE_EVENT(SYSCALL_EXIT));
    }
    return PassThrough(report);
  });
  ASSERT_EQ(0, caller.AttachTid(puppet.tid()));
  ASSERT_EQ(0, caller.SetEvents(UTRACE_EVENT(SYSCALL_EXIT)));
  ASSERT_EQ(0, after.AttachTid(puppet.tid()));
  ASSERT_EQ(0, after.SetEvents(UTRACE_EVENT(SYSCALL_EXIT) | kSpare));
  puppet.Call(SYS_getppid);
  EXPECT_EQ(0, results[0]);
  EXPECT_EQ(0, results[1]);
}

// ---- EVT-10 ------------------------------------------------------------------------------------

CLAUSE_TEST(EVT_10, OnATaskThatTheEngineHolds) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT_SYSCALL | UTRACE_EVENT(QUIESCE) | kSpare));
  puppet.BeginSpin();
  puppet.AwaitSpinning();
  engine.StopAndWait();
  EXPECT_EQ(0, engine.SetEvents(UTRACE_EVENT_SYSCALL | UTRACE_EVENT(QUIESCE)));
  EXPECT_EQ(0, engine.SetEvents(UTRACE_EVENT(SYSCALL_ENTRY)));
  EXPECT_EQ(0, engine.SetEvents(0));
}

CLAUSE_TEST(EVT_10, OnATaskThatAnotherEngineHolds) {
  Puppet& puppet = Spawn();
  TestEngine holder("holder");
  TestEngine engine("engine");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT_SYSCALL | UTRACE_EVENT(QUIESCE)));
  ASSERT_EQ(0, holder.AttachTid(puppet.tid()));
  puppet.BeginSpin();
  puppet.AwaitSpinning();
  holder.StopAndWait();
  EXPECT_EQ(0, engine.SetEvents(UTRACE_EVENT(SYSCALL_ENTRY)));
  EXPECT_EQ(0, engine.SetEvents(0));
}

CLAUSE_TEST(EVT_10, OnATaskStoppedFromWithinACallback) {
  Puppet& puppet = Spawn();
  HeldCallback held(What::kSyscallEntry, puppet, UTRACE_EVENT(SYSCALL_EXIT), UTRACE_STOP);
  held.Begin();
  // Said while the callback still runs, and again once the task is stopped by its result.
  ASSERT_EQ(-EINPROGRESS, held.engine().SetEvents(UTRACE_EVENT(SYSCALL_ENTRY)));
  held.Open();
  ASSERT_EQ(0, held.engine().Barrier());
  utrace_examiner examiner = {};
  ASSERT_EQ(0, held.engine().Prepare(&examiner));
  EXPECT_EQ(0, held.engine().SetEvents(UTRACE_EVENT(SYSCALL_ENTRY)));
  EXPECT_EQ(0, held.engine().SetEvents(0));
  ASSERT_EQ(0, held.engine().Control(UTRACE_RESUME));
  puppet.Finish();
  EXPECT_EQ(0, held.engine().CountSyscall(What::kSyscallExit, SYS_getppid));
}

CLAUSE_TEST(EVT_10, OnATaskInAJobControlStop) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT_SYSCALL | kSpare));
  puppet.Kill(SIGTSTP);
  const WaitIdResult stopped = nanny().WaitId(puppet.pid(), WSTOPPED);
  ASSERT_EQ(0, stopped.result);
  // The parent may be told before the task's own report of it has ended.
  engine.AwaitEnded(What::kJctl);
  ASSERT_EQ(0, engine.Barrier());
  EXPECT_EQ(0, engine.SetEvents(UTRACE_EVENT(SYSCALL_ENTRY)));
  EXPECT_EQ(0, engine.SetEvents(0));
  puppet.Kill(SIGCONT);
  puppet.Call(SYS_getppid);
}

// ---- EVT-12 ------------------------------------------------------------------------------------

CLAUSE_TEST(EVT_12, TheSameMaskIsNotZeroWhileTheOldCallbackRuns) {
  Puppet& puppet = Spawn();
  HeldCallback held(What::kSyscallEntry, puppet);
  held.Begin();
  ASSERT_EQ(-EINPROGRESS, held.engine().SetEvents(0));
  EXPECT_EQ(-EINPROGRESS, held.engine().SetEvents(0));
  EXPECT_EQ(-EINPROGRESS, held.engine().SetEvents(0));
  held.End();
}

CLAUSE_TEST(EVT_12, ClearedInTwoSteps) {
  Puppet& puppet = Spawn();
  HeldCallback held(What::kSyscallEntry, puppet, kSpare | UTRACE_EVENT(SYSCALL_EXIT));
  held.Begin();
  ASSERT_EQ(-EINPROGRESS, held.engine().SetEvents(UTRACE_EVENT_SYSCALL));
  EXPECT_EQ(-EINPROGRESS, held.engine().SetEvents(UTRACE_EVENT(SYSCALL_ENTRY)));
  EXPECT_EQ(-EINPROGRESS, held.engine().SetEvents(UTRACE_EVENT(SYSCALL_ENTRY)));
  held.End();
}

CLAUSE_TEST(EVT_12, ZeroComesOnceItFinished) {
  Puppet& puppet = Spawn();
  HeldCallback held(What::kSyscallEntry, puppet);
  held.Begin();
  ASSERT_EQ(-EINPROGRESS, held.engine().SetEvents(0));
  Controller asking("the same mask until zero", [&]() -> long {
    for (;;) {
      const int result = api().utrace_set_events(held.engine().task(), held.engine().get(), 0);
      if (result != -EINPROGRESS) return result;
      Yield();
    }
  });
  held.Open();
  EXPECT_EQ(0, asking.Result());
  EXPECT_FALSE(held.engine().Running());
  for (const Report& report : held.engine().Log(What::kSyscallEntry)) {
    EXPECT_NE(0U, report.end);
    EXPECT_LT(report.end, asking.finished_at());
  }
  puppet.Finish();
}

CLAUSE_TEST(EVT_12, AfterABarrierItIsZero) {
  Puppet& puppet = Spawn();
  HeldCallback held(What::kSyscallEntry, puppet);
  held.Begin();
  ASSERT_EQ(-EINPROGRESS, held.engine().SetEvents(0));
  held.Open();
  ASSERT_EQ(0, held.engine().Barrier());
  EXPECT_EQ(0, held.engine().SetEvents(0));
  puppet.Finish();
}

}  // namespace utrace::kit
