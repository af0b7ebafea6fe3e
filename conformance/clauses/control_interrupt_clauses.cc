// CTL-50, CTL-51, CTL-52: INTERRUPT.
#include <functional>

#include "conformance/clauses/control_scenes.h"

namespace utrace::kit {
namespace {

constexpr unsigned long kQuiesce = UTRACE_EVENT(QUIESCE);

bool IsSignalReport(const Report& report) {
  return report.what == What::kSignal && report.signal_action() == UTRACE_SIGNAL_REPORT;
}

// Interrupts the call over and over; each time the engine is called although nothing else happens.
void InterruptTimedCall(Puppet& puppet, TestEngine& engine, Timed call) {
  SCOPED_TRACE("call " + std::to_string(TimedNumber(call)));
  const int before = engine.Count(What::kSignal);
  const auto timeout = BeginTimedAndSleep(puppet, call);
  const bool ended = PollUntil([&] {
    const int seen = engine.Count(What::kSignal);
    EXPECT_EQ(0, engine.Control(UTRACE_INTERRUPT));
    return !engine.TryAwait(What::kSignal, seen + 1) || puppet.Finished();
  });
  EXPECT_TRUE(ended) << "the call never ends";
  const TimedResult result = puppet.FinishTimed();
  EXPECT_LT(before, engine.Count(What::kSignal));
  EXPECT_EQ(TimedOutResult(call), result.result);
  EXPECT_GE(result.elapsed_ns, std::chrono::nanoseconds(timeout).count());
}

}  // namespace

// ---- CTL-50 ------------------------------------------------------------------------------------

CLAUSE_TEST(CTL_50, ASpinningTaskReports) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kQuiesce));
  StartSpinning(puppet);
  EXPECT_EQ(0, engine.Control(UTRACE_INTERRUPT));
  engine.AwaitEnded(What::kSignal);
  const Report report = engine.Log(What::kSignal).front();
  EXPECT_EQ(static_cast<uint32_t>(UTRACE_SIGNAL_REPORT), report.signal_action());
  EXPECT_FALSE(report.has_orig_ka);
  ExpectRuns(puppet);
}

CLAUSE_TEST(CTL_50, AStoppedTaskReportsBeforeItRuns) {
  Puppet& puppet = Spawn();
  uint64_t spins = 0;
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kQuiesce));
  StartSpinning(puppet);
  engine.StopAndWait();
  const int before = engine.Count(What::kSignal);
  const uint64_t held_at = puppet.SpinCount();
  engine.On(What::kSignal, [&](Report& report) -> uint32_t {
    spins = puppet.SpinCount();
    return PassThrough(report);
  });
  EXPECT_EQ(0, engine.Control(UTRACE_INTERRUPT));
  engine.AwaitEnded(What::kSignal, before + 1);
  EXPECT_EQ(held_at, spins);
  ExpectRuns(puppet);
}

CLAUSE_TEST(CTL_50, ItComesBeforeAPendingSignal) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  uint64_t runs = 1;
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kQuiesce | UTRACE_EVENT_SIGNAL_ALL));
  StartSpinning(puppet);
  engine.StopAndWait();
  puppet.Tgkill(SIGUSR1);
  const size_t before = engine.Log(What::kSignal).size();
  engine.On(What::kSignal, [&](Report& report) -> uint32_t {
    if (IsSignalReport(report)) runs = puppet.HandlerRuns();
    return PassThrough(report);
  });
  EXPECT_EQ(0, engine.Control(UTRACE_INTERRUPT));
  puppet.AwaitHandlerRuns(1);
  const auto log = engine.Log(What::kSignal);
  ASSERT_LE(before + 2, log.size()) << Describe(engine.Log());
  EXPECT_TRUE(IsSignalReport(log[before])) << Describe(log);
  EXPECT_EQ(0U, runs);
  ExpectRuns(puppet);
}

CLAUSE_TEST(CTL_50, ItEndsOnlyTheEnginesOwnStop) {
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
  const int before = a.Count(What::kSignal);
  EXPECT_EQ(0, a.Control(UTRACE_INTERRUPT));
  AwaitHeld(b);
  EXPECT_EQ(spins, puppet.SpinCount());
  EXPECT_EQ(0, b.Control(UTRACE_RESUME));
  a.Await(What::kSignal, before + 1);
  ExpectRuns(puppet);
}

CLAUSE_TEST(CTL_50, AskedByAnEngineWithoutQuiesceOthersAreCalled) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  ASSERT_EQ(0, a.AttachTid(puppet.tid()));
  ASSERT_EQ(0, b.AttachTid(puppet.tid()));
  ASSERT_EQ(0, b.SetEvents(kQuiesce));
  StartSpinning(puppet);
  EXPECT_EQ(0, a.Control(UTRACE_INTERRUPT));
  b.AwaitEnded(What::kSignal);
  ExpectRuns(puppet);
  ExpectLog(a.Log(), {});
}

CLAUSE_TEST(CTL_50, TheCallbackCanHoldTheTask) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.On(What::kSignal, Answer(UTRACE_STOP));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kQuiesce));
  puppet.BeginRead();
  puppet.AwaitBlocked();
  EXPECT_EQ(0, engine.Control(UTRACE_INTERRUPT));
  AwaitHeld(engine);
  engine.On(What::kSignal, {});
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  puppet.Feed("ab");
  EXPECT_EQ(2, puppet.Finish());
}

CLAUSE_TEST(CTL_50, AskedDuringACallbackItIsNotLost) {
  Puppet& puppet = Spawn();
  Gate gate;
  TestEngine engine("A");
  bool first = true;
  engine.On(What::kSignal, [&](Report& report) -> uint32_t {
    if (first) gate.Wait();
    first = false;
    return PassThrough(report);
  });
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kQuiesce));
  puppet.BeginRead();
  puppet.AwaitBlocked();
  EXPECT_EQ(0, engine.Control(UTRACE_INTERRUPT));
  gate.AwaitArrival();
  EXPECT_EQ(0, engine.Control(UTRACE_INTERRUPT));
  gate.Open();
  engine.AwaitEnded(What::kSignal, 2);
  puppet.Feed("ab");
  EXPECT_EQ(2, puppet.Finish());
}

// ---- CTL-51 ------------------------------------------------------------------------------------

CLAUSE_TEST(CTL_51, ReadIsInterruptedAndRestarted) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kQuiesce));
  puppet.BeginRead();
  puppet.AwaitBlocked();
  for (int round = 1; round <= 20; ++round) {
    EXPECT_EQ(0, engine.Control(UTRACE_INTERRUPT));
    // Nobody feeds the pipe: only an interruption leads here.
    engine.AwaitEnded(What::kSignal, round);
  }
  puppet.Feed("abc");
  EXPECT_EQ(3, puppet.Finish());
}

CLAUSE_TEST(CTL_51, ReadIsRestartedAfterAStop) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  puppet.BeginRead();
  puppet.AwaitBlocked();
  engine.HoldNow();
  puppet.Feed("abc");
  ExpectStaysHeld(engine, puppet, [] {});
  EXPECT_FALSE(puppet.Finished());
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  EXPECT_EQ(3, puppet.Finish());
}

CLAUSE_TEST(CTL_51, SleepsAreRestarted) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kQuiesce));
  for (const Timed call :
       {Timed::kNanosleep, Timed::kClockNanosleep, Timed::kClockNanosleepAbsolute}) {
    InterruptTimedCall(puppet, engine, call);
  }
}

CLAUSE_TEST(CTL_51, PollsAreRestarted) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kQuiesce));
  for (const Timed call : {Timed::kPoll, Timed::kPpoll, Timed::kSelect, Timed::kPselect}) {
    InterruptTimedCall(puppet, engine, call);
  }
}

CLAUSE_TEST(CTL_51, FutexWaitsAreRestarted) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kQuiesce));
  for (const Timed call : {Timed::kFutexWait, Timed::kFutexWaitBitset}) {
    InterruptTimedCall(puppet, engine, call);
  }
}

CLAUSE_TEST(CTL_51, EpollWaitFailsAsAfterAStopSignal) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kQuiesce));
  BeginTimedAndSleep(puppet, Timed::kEpollWait);
  EXPECT_EQ(0, engine.Control(UTRACE_INTERRUPT));
  engine.AwaitEnded(What::kSignal);
  // Linux does not restart it; a host that can is not forbidden to.
  ExpectOneOf(puppet.FinishTimed().result, {-EINTR, 0});
}

CLAUSE_TEST(CTL_51, PauseIsRestarted) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kQuiesce));
  puppet.BeginTimed(Timed::kPause, std::chrono::milliseconds(0));
  puppet.AwaitBlocked();
  for (int round = 1; round <= 20; ++round) {
    EXPECT_EQ(0, engine.Control(UTRACE_INTERRUPT));
    engine.AwaitEnded(What::kSignal, round);
  }
  puppet.AwaitBlocked();
  EXPECT_FALSE(puppet.Finished());
  puppet.Tgkill(SIGUSR1);
  EXPECT_EQ(-EINTR, puppet.FinishTimed().result);
  EXPECT_EQ(1U, puppet.HandlerRuns(SIGUSR1));
}

CLAUSE_TEST(CTL_51, ACallBeingEnteredIsNotLost) {
  // Interrupts that come at any moment of short calls: each call still happens exactly once.
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kQuiesce));
  for (int round = 0; round < 200; ++round) {
    puppet.BeginRead();
    puppet.Feed("abc");
    EXPECT_EQ(0, engine.Control(UTRACE_INTERRUPT));
    ASSERT_EQ(3, puppet.Finish());
  }
}

// ---- CTL-52 ------------------------------------------------------------------------------------

CLAUSE_TEST(CTL_52, ASignalForAHandler) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  bool done = false;
  TestEngine engine("A");
  engine.On(What::kSignal, [&](Report& report) -> uint32_t {
    if (!IsSignalReport(report) || done) return PassThrough(report);
    done = true;
    report.info->si_signo = SIGUSR1;
    report.info->si_code = SI_USER;
    report.return_ka->handler = puppet.addresses().handler;
    report.return_ka->flags = SA_SIGINFO;
    report.return_ka->restorer = puppet.addresses().restorer;
    report.return_ka->mask = 0;
    return uint32_t{UTRACE_SIGNAL_DELIVER} | UTRACE_RESUME;
  });
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kQuiesce));
  StartSpinning(puppet);
  EXPECT_EQ(0, engine.Control(UTRACE_INTERRUPT));
  puppet.AwaitHandlerRuns(1);
  EXPECT_EQ(1U, puppet.HandlerRuns(SIGUSR1));
  ExpectRuns(puppet);
  EXPECT_EQ(1U, puppet.HandlerRuns());
}

CLAUSE_TEST(CTL_52, ASignalThatInterruptsACall) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  bool done = false;
  TestEngine engine("A");
  engine.On(What::kSignal, [&](Report& report) -> uint32_t {
    if (!IsSignalReport(report) || done) return PassThrough(report);
    done = true;
    report.info->si_signo = SIGUSR1;
    report.info->si_code = SI_USER;
    report.return_ka->handler = puppet.addresses().handler;
    report.return_ka->flags = SA_SIGINFO;
    report.return_ka->restorer = puppet.addresses().restorer;
    report.return_ka->mask = 0;
    return uint32_t{UTRACE_SIGNAL_DELIVER} | UTRACE_RESUME;
  });
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kQuiesce));
  puppet.BeginRead();
  puppet.AwaitBlocked();
  EXPECT_EQ(0, engine.Control(UTRACE_INTERRUPT));
  // A handler without SA_RESTART ran: read fails as for any signal.
  EXPECT_EQ(-EINTR, puppet.Finish());
  EXPECT_EQ(1U, puppet.HandlerRuns(SIGUSR1));
}

CLAUSE_TEST(CTL_52, ASignalThatEndsTheProcess) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.On(What::kSignal, [](Report& report) -> uint32_t {
    if (!IsSignalReport(report)) return PassThrough(report);
    report.info->si_signo = SIGTERM;
    report.info->si_code = SI_USER;
    return uint32_t{UTRACE_SIGNAL_TERM} | UTRACE_RESUME;
  });
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kQuiesce));
  StartSpinning(puppet);
  EXPECT_EQ(0, engine.Control(UTRACE_INTERRUPT));
  puppet.AwaitDeath();
  const WaitResult end = nanny().Wait(puppet.pid());
  EXPECT_TRUE(WIFSIGNALED(end.status) && WTERMSIG(end.status) == SIGTERM) << end.status;
}

}  // namespace utrace::kit
