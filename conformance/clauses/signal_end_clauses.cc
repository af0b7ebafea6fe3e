// SIG-18, SIG-21: answers that count as IGN, and processes that a signal ends although one said STOP.
#include "conformance/clauses/signal_scenes.h"

namespace utrace::kit {

// ---- SIG-18, SIG-21 ----------------------------------------------------------------------------

CLAUSE_TEST(SIG_18, ReportAndHandlerCountAsIgn) {
  for (uint32_t action : {UTRACE_SIGNAL_REPORT, UTRACE_SIGNAL_HANDLER}) {
    Puppet& puppet = Spawn();
    puppet.Sigaction(SIGUSR1, Disposition::kHandler);
    TestEngine engine("A");
    engine.On(What::kSignal, [=](Report&) -> uint32_t { return Answer(action, UTRACE_RESUME); });
    AttachWith(engine, puppet, kSignalEvents);
    EXPECT_EQ(0, puppet.Raise(SIGUSR1));
    EXPECT_EQ(0, puppet.Raise(SIGTERM));
    EXPECT_EQ(0, puppet.Raise(SIGSTOP));
    ExpectWorks(puppet);
    EXPECT_EQ(3, engine.Count(What::kSignal)) << Describe(engine.Log());
    EXPECT_EQ(0U, puppet.HandlerRuns());
  }
}

// The siginfo that came with a REPORT names no signal to deliver, or one that nobody returned.
CLAUSE_TEST(SIG_18, ReportLeftAsItCameInjectsNothing) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  OnSignalReport(engine, [](Report& report) -> uint32_t {
    FillSiginfo(report.info, SIGTERM, 0);
    return Answer(UTRACE_SIGNAL_REPORT, UTRACE_RESUME);
  });
  AttachWith(engine, puppet, kQuiesceEvent);
  StartSpinning(puppet);
  EXPECT_EQ(0, engine.Control(UTRACE_INTERRUPT));
  engine.AwaitEnded(What::kSignal);
  ExpectRuns(puppet);
}

CLAUSE_TEST(SIG_21, StopWithTermDoesNotHoldIt) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  ExpectEnds(puppet, SIGUSR1, UTRACE_SIGNAL_TERM, UTRACE_STOP);
}

CLAUSE_TEST(SIG_21, StopWithCoreDoesNotHoldIt) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGQUIT, Disposition::kHandler);
  ExpectEnds(puppet, SIGQUIT, UTRACE_SIGNAL_CORE, UTRACE_STOP);
}

CLAUSE_TEST(SIG_21, StopWithDeliverOfAFatalDefaultDoesNotHoldIt) {
  ExpectEnds(Spawn(), SIGTERM, UTRACE_SIGNAL_DELIVER, UTRACE_STOP);
}

CLAUSE_TEST(SIG_21, StopWithIgnAndHoldHoldsIt) {
  Puppet& puppet = Spawn();
  int seen = 0;
  TestEngine engine("A");
  OnSignal(engine, SIGTERM, [&](Report& report) -> uint32_t {
    return ++seen == 1 ? Answer(UTRACE_SIGNAL_IGN | UTRACE_SIGNAL_HOLD, UTRACE_STOP)
                       : PassThrough(report);
  });
  AttachWith(engine, puppet, kSignalEvents);
  puppet.BeginRaise(SIGTERM);
  AwaitHeld(engine);
  ExpectStaysHeld(engine, puppet, [] {});
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  ExpectEndsBy(puppet, SIGTERM);
}

CLAUSE_TEST(SIG_21, StopInReportExitHoldsIt) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  AnswerSignal(engine, SIGTERM, UTRACE_SIGNAL_TERM, UTRACE_STOP);
  engine.On(What::kExit, [](Report&) -> uint32_t { return UTRACE_STOP; });
  AttachWith(engine, puppet, kSignalEvents | UTRACE_EVENT(EXIT));
  puppet.BeginRaise(SIGTERM);
  engine.AwaitEnded(What::kExit);
  AwaitHeld(engine);
  ExpectStaysHeld(engine, puppet, [] {});
  EXPECT_FALSE(puppet.Dead());
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  ExpectEndsBy(puppet, SIGTERM);
}

}  // namespace utrace::kit
