// CTL-40 to CTL-44: REPORT.
#include <functional>

#include "conformance/clauses/control_scenes.h"

namespace utrace::kit {
namespace {

constexpr unsigned long kQuiesce = UTRACE_EVENT(QUIESCE);

// Asks for reports as long as the call lasts: one that began anew each time would never end.
void ReportDuringTimedCall(Puppet& puppet, TestEngine& engine, Timed call) {
  SCOPED_TRACE("call " + std::to_string(TimedNumber(call)));
  const int before = CountUserReturns(engine.Log());
  const auto timeout = BeginTimedAndSleep(puppet, call);
  const bool ended = PollUntil([&] {
    EXPECT_EQ(0, engine.Control(UTRACE_REPORT));
    return puppet.Finished();
  });
  EXPECT_TRUE(ended) << "the call never ends";
  const TimedResult result = puppet.FinishTimed();
  EXPECT_EQ(TimedOutResult(call), result.result);
  EXPECT_GE(result.elapsed_ns, std::chrono::nanoseconds(timeout).count());
  puppet.Call(kMarker);
  EXPECT_LT(before, CountUserReturns(engine.Log()));
}

}  // namespace

// ---- CTL-40 ------------------------------------------------------------------------------------

CLAUSE_TEST(CTL_40, ASpinningTaskReports) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kQuiesce));
  StartSpinning(puppet);
  EXPECT_EQ(0, engine.Control(UTRACE_REPORT));
  AwaitUserReturns(engine, 1);
  ExpectRuns(puppet);
}

CLAUSE_TEST(CTL_40, EveryEngineWithQuiesceIsCalled) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  TestEngine c("C");
  for (TestEngine* engine : {&a, &b, &c}) ASSERT_EQ(0, engine->AttachTid(puppet.tid()));
  ASSERT_EQ(0, a.SetEvents(kQuiesce));
  ASSERT_EQ(0, b.SetEvents(UTRACE_EVENT(EXEC)));
  ASSERT_EQ(0, c.SetEvents(kQuiesce));
  StartSpinning(puppet);
  EXPECT_EQ(0, a.Control(UTRACE_REPORT));
  AwaitUserReturns(a, 1);
  AwaitUserReturns(c, 1);
  ExpectRuns(puppet);
  ExpectLog(b.Log(), {});
}

CLAUSE_TEST(CTL_40, AStoppedTaskReportsBeforeItRuns) {
  Puppet& puppet = Spawn();
  uint64_t spins = 0;
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kQuiesce));
  StartSpinning(puppet);
  engine.StopAndWait();
  const int before = CountUserReturns(engine.Log());
  const uint64_t held_at = puppet.SpinCount();
  OnUserReturn(engine, [&](Report& report) -> uint32_t {
    spins = puppet.SpinCount();
    return WithResume(report, UTRACE_RESUME);
  });
  EXPECT_EQ(0, engine.Control(UTRACE_REPORT));
  AwaitUserReturns(engine, before + 1);
  EXPECT_EQ(held_at, spins);
  ExpectRuns(puppet);
}

CLAUSE_TEST(CTL_40, TheCallbackCanHoldItAgain) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kQuiesce));
  StartSpinning(puppet);
  engine.StopAndWait();
  const int before = CountUserReturns(engine.Log());
  const uint64_t spins = puppet.SpinCount();
  OnUserReturn(engine, Answer(UTRACE_STOP));
  EXPECT_EQ(0, engine.Control(UTRACE_REPORT));
  AwaitUserReturns(engine, before + 1);
  AwaitHeld(engine);
  EXPECT_EQ(spins, puppet.SpinCount());
}

CLAUSE_TEST(CTL_40, ItEndsOnlyTheEnginesOwnStop) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  ASSERT_EQ(0, a.AttachTid(puppet.tid()));
  ASSERT_EQ(0, b.AttachTid(puppet.tid()));
  ASSERT_EQ(0, a.SetEvents(kQuiesce));
  StartSpinning(puppet);
  a.StopAndWait();
  ASSERT_EQ(0, b.Control(UTRACE_STOP));
  const uint64_t spins = puppet.SpinCount();
  EXPECT_EQ(0, a.Control(UTRACE_REPORT));
  AwaitHeld(b);
  EXPECT_EQ(spins, puppet.SpinCount());
  // B's letting go is enough now.
  EXPECT_EQ(0, b.Control(UTRACE_RESUME));
  ExpectRuns(puppet);
}

CLAUSE_TEST(CTL_40, AskedDuringACallbackItIsNotLost) {
  Puppet& puppet = Spawn();
  Gate gate;
  TestEngine engine("A", OpsTable().Without(What::kSignal));
  bool first = true;
  engine.On(What::kQuiesce, [&](Report&) -> uint32_t {
    if (first) gate.Wait();
    first = false;
    return UTRACE_RESUME;
  });
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kQuiesce));
  StartSpinning(puppet);
  EXPECT_EQ(0, engine.Control(UTRACE_REPORT));
  gate.AwaitArrival();
  // The report of before is on its way; this is another request.
  EXPECT_EQ(0, engine.Control(UTRACE_REPORT));
  gate.Open();
  AwaitUserReturns(engine, 2);
  ExpectRuns(puppet);
}

CLAUSE_TEST(CTL_40, AskedFromAnEventsCallback) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  int result = 1;
  engine.On(What::kSyscallExit, [&](Report& report) -> uint32_t {
    if (IsMarker(report)) {
      result = api().utrace_control(report.task, report.engine, UTRACE_REPORT);
    }
    return UTRACE_RESUME;
  });
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kQuiesce | UTRACE_EVENT(SYSCALL_EXIT)));
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  EXPECT_EQ(0, result);
  EXPECT_LE(1, CountUserReturns(engine.Log())) << Describe(engine.Log());
}

CLAUSE_TEST(CTL_40, ABusyTaskReportsSoonEachTime) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.KeepLog(false);
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kQuiesce));
  puppet.BeginRepeat(kMarker, 100000000);
  puppet.AwaitStarted();
  for (int round = 0; round < 200; ++round) {
    const int before = engine.Count(What::kQuiesce) + engine.Count(What::kSignal);
    ASSERT_EQ(0, engine.Control(UTRACE_REPORT));
    ASSERT_TRUE(PollUntil([&] {
      return engine.Count(What::kQuiesce) + engine.Count(What::kSignal) > before;
    })) << "round "
        << round;
  }
}

// ---- CTL-41 ------------------------------------------------------------------------------------

CLAUSE_TEST(CTL_41, TheCallbackComesAtLastWhenAllLetGo) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  ASSERT_EQ(0, a.AttachTid(puppet.tid()));
  ASSERT_EQ(0, b.AttachTid(puppet.tid()));
  ASSERT_EQ(0, a.SetEvents(kQuiesce));
  StartSpinning(puppet);
  b.StopAndWait();
  const uint64_t held_at = puppet.SpinCount();
  uint64_t spins = 0;
  const int before = CountUserReturns(a.Log());
  OnUserReturn(a, [&](Report& report) -> uint32_t {
    spins = puppet.SpinCount();
    return WithResume(report, UTRACE_RESUME);
  });
  EXPECT_EQ(0, a.Control(UTRACE_REPORT));
  AwaitHeld(b);
  EXPECT_EQ(held_at, puppet.SpinCount());
  EXPECT_EQ(0, b.Control(UTRACE_RESUME));
  AwaitUserReturns(a, before + 1);
  // Made early or late, but not after user instructions.
  EXPECT_EQ(held_at, spins);
  ExpectRuns(puppet);
}

// ---- CTL-42 ------------------------------------------------------------------------------------

CLAUSE_TEST(CTL_42, TheCallbackWaitsForTheCallToFinish) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kQuiesce | UTRACE_EVENT_SYSCALL));
  puppet.BeginRead();
  puppet.AwaitBlocked();
  EXPECT_EQ(0, engine.Control(UTRACE_REPORT));
  puppet.Feed("abc");
  EXPECT_EQ(3, puppet.Finish());
  bool over = false;
  int after = 0;
  for (const Report& report : engine.Log()) {
    if (report.what == What::kSyscallExit && report.syscall == SYS_read) over = true;
    if (!IsUserReturn(report)) continue;
    EXPECT_TRUE(over) << Describe(engine.Log());
    ++after;
  }
  EXPECT_LE(1, after) << Describe(engine.Log());
}

CLAUSE_TEST(CTL_42, WithoutEventsTheCallGoesOnToo) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kQuiesce));
  puppet.BeginRead();
  puppet.AwaitBlocked();
  EXPECT_EQ(0, engine.Control(UTRACE_REPORT));
  puppet.Feed("abc");
  EXPECT_EQ(3, puppet.Finish());
  EXPECT_LE(1, CountUserReturns(engine.Log())) << Describe(engine.Log());
}

CLAUSE_TEST(CTL_42, SleepsKeepTheirResultAndTheirTime) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kQuiesce));
  for (const Timed call :
       {Timed::kNanosleep, Timed::kClockNanosleep, Timed::kClockNanosleepAbsolute}) {
    ReportDuringTimedCall(puppet, engine, call);
  }
}

CLAUSE_TEST(CTL_42, PollsKeepTheirResultAndTheirTime) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kQuiesce));
  for (const Timed call :
       {Timed::kPoll, Timed::kPpoll, Timed::kSelect, Timed::kPselect, Timed::kEpollWait}) {
    ReportDuringTimedCall(puppet, engine, call);
  }
}

CLAUSE_TEST(CTL_42, FutexWaitsKeepTheirResultAndTheirTime) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kQuiesce));
  for (const Timed call : {Timed::kFutexWait, Timed::kFutexWaitBitset}) {
    ReportDuringTimedCall(puppet, engine, call);
  }
}

CLAUSE_TEST(CTL_42, PauseIsEndedByTheSignalAlone) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kQuiesce));
  puppet.BeginTimed(Timed::kPause, std::chrono::milliseconds(0));
  puppet.AwaitBlocked();
  for (int i = 0; i < 20; ++i) EXPECT_EQ(0, engine.Control(UTRACE_REPORT));
  puppet.Tgkill(SIGUSR1);
  EXPECT_EQ(-EINTR, puppet.FinishTimed().result);
  EXPECT_EQ(1U, puppet.HandlerRuns(SIGUSR1));
  EXPECT_LE(1, CountUserReturns(engine.Log())) << Describe(engine.Log());
}

// ---- CTL-43 ------------------------------------------------------------------------------------

CLAUSE_TEST(CTL_43, SeveralRequestsMakeAtLeastOnePass) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  for (TestEngine* engine : {&a, &b}) {
    ASSERT_EQ(0, engine->AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine->SetEvents(kQuiesce));
  }
  puppet.BeginRead();
  puppet.AwaitBlocked();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(0, a.Control(UTRACE_REPORT));
    EXPECT_EQ(0, b.Control(UTRACE_REPORT));
  }
  puppet.Feed();
  EXPECT_EQ(1, puppet.Finish());
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  for (TestEngine* engine : {&a, &b}) {
    const int passes = CountUserReturns(engine->Log());
    EXPECT_LE(1, passes);
    EXPECT_GE(6, passes) << "more passes than requests";
  }
}

CLAUSE_TEST(CTL_43, ZeroInEveryState) {
  Puppet& puppet = Spawn();
  Gate gate;
  TestEngine engine("A");
  engine.On(What::kSyscallEntry, WaitAt(gate, UTRACE_RESUME));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kQuiesce | UTRACE_EVENT(SYSCALL_ENTRY)));
  EXPECT_EQ(0, engine.Control(UTRACE_REPORT));  // asleep
  StartSpinning(puppet);
  EXPECT_EQ(0, engine.Control(UTRACE_REPORT));  // on a processor
  puppet.StopSpin();
  puppet.Finish();
  puppet.Begin(kMarker);
  gate.AwaitArrival();
  EXPECT_EQ(0, engine.Control(UTRACE_REPORT));  // in a callback
  gate.Open();
  EXPECT_EQ(nanny().pid(), puppet.Finish());
  StartSpinning(puppet);
  engine.StopAndWait();
  EXPECT_EQ(0, engine.Control(UTRACE_REPORT));  // held
  ExpectRuns(puppet);
}

// ---- CTL-44 ------------------------------------------------------------------------------------

CLAUSE_TEST(CTL_44, ResumeDoesNotCancelAReportOfABlockedTask) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  for (TestEngine* engine : {&a, &b}) {
    ASSERT_EQ(0, engine->AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine->SetEvents(kQuiesce));
  }
  puppet.BeginRead();
  puppet.AwaitBlocked();
  EXPECT_EQ(0, a.Control(UTRACE_REPORT));
  EXPECT_EQ(0, a.Control(UTRACE_RESUME));
  EXPECT_EQ(0, b.Control(UTRACE_RESUME));
  puppet.Feed();
  EXPECT_EQ(1, puppet.Finish());
  EXPECT_LE(1, CountUserReturns(a.Log())) << Describe(a.Log());
}

CLAUSE_TEST(CTL_44, ResumeDoesNotCancelAReportOfASpinningTask) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kQuiesce));
  StartSpinning(puppet);
  EXPECT_EQ(0, engine.Control(UTRACE_REPORT));
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  AwaitUserReturns(engine, 1);
  ExpectRuns(puppet);
}

CLAUSE_TEST(CTL_44, ResumeDoesNotCancelAnInterruptOfAStoppedTask) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  ASSERT_EQ(0, a.AttachTid(puppet.tid()));
  ASSERT_EQ(0, b.AttachTid(puppet.tid()));
  ASSERT_EQ(0, a.SetEvents(kQuiesce));
  StartSpinning(puppet);
  b.StopAndWait();
  const int before = CountOf(a.Log(), What::kSignal);
  EXPECT_EQ(0, a.Control(UTRACE_INTERRUPT));
  EXPECT_EQ(0, a.Control(UTRACE_RESUME));
  EXPECT_EQ(0, b.Control(UTRACE_RESUME));
  a.AwaitEnded(What::kSignal, before + 1);
  ExpectRuns(puppet);
}

CLAUSE_TEST(CTL_44, ResumeDoesNotCancelAnInterruptOfASpinningTask) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kQuiesce));
  StartSpinning(puppet);
  EXPECT_EQ(0, engine.Control(UTRACE_INTERRUPT));
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  engine.AwaitEnded(What::kSignal);
  ExpectRuns(puppet);
}

}  // namespace utrace::kit
