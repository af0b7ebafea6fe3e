// SIG-01 to SIG-04, SIG-14, SIG-15: which event a signal is, what is passed first, and to whom.
#include "conformance/clauses/signal_scenes.h"

namespace utrace::kit {
namespace {

// A signal, how the program disposes of it, and how it has to be reported.
struct Kind {
  int signo;
  Disposition disposition;
  unsigned long event;
  uint32_t action;
};

// A first engine answers every one of `kinds` with IGN. It has one event more than QUIESCE in its
// mask, the one that the clause demands, so that the signal is reported for no other. A second one
// has all others and must get nothing.
void ExpectReported(Puppet& puppet, const std::vector<Kind>& kinds) {
  for (const Kind& kind : kinds) {
    SCOPED_TRACE(kind.signo);
    if (kind.signo != SIGSTOP && puppet.Sigaction(kind.signo, kind.disposition) != 0) {
      Broken("sigaction");
    }
    TestEngine wants("wants");
    TestEngine others("others");
    AnswerSignal(wants, kind.signo, UTRACE_SIGNAL_IGN);
    AttachWith(wants, puppet, kind.event);
    AttachWith(others, puppet, kSignalEvents & ~kind.event);
    EXPECT_EQ(0, puppet.Raise(kind.signo));
    ASSERT_EQ(1, wants.CountSignal(kind.signo)) << Describe(GlobalLog());
    const Report report = SignalReportOf(wants, kind.signo);
    EXPECT_EQ(kind.action, report.signal_action()) << Describe(report);
    EXPECT_EQ(uint32_t{UTRACE_RESUME}, report.resume());
    EXPECT_TRUE(report.has_orig_ka);
    EXPECT_EQ(0, others.Count(What::kSignal)) << Describe(others.Log());
    wants.DetachAndWait();
    others.DetachAndWait();
  }
}

}  // namespace

// ---- SIG-01, SIG-02 ----------------------------------------------------------------------------

CLAUSE_TEST(SIG_01, AHandlerIsSignal) {
  ExpectReported(
      Spawn(),
      {{SIGUSR1, Disposition::kHandler, UTRACE_EVENT(SIGNAL), UTRACE_SIGNAL_DELIVER},
       {SIGSEGV, Disposition::kHandler, UTRACE_EVENT(SIGNAL), UTRACE_SIGNAL_DELIVER},
       {SIGTSTP, Disposition::kHandler, UTRACE_EVENT(SIGNAL), UTRACE_SIGNAL_DELIVER},
       {SIGCHLD, Disposition::kHandler, UTRACE_EVENT(SIGNAL), UTRACE_SIGNAL_DELIVER},
       {SIGRTMIN + 3, Disposition::kHandler, UTRACE_EVENT(SIGNAL), UTRACE_SIGNAL_DELIVER}});
}

CLAUSE_TEST(SIG_01, IgnoredByTheProgramIsSignalIgn) {
  ExpectReported(
      Spawn(), {{SIGUSR1, Disposition::kIgnore, UTRACE_EVENT(SIGNAL_IGN), UTRACE_SIGNAL_IGN},
                {SIGQUIT, Disposition::kIgnore, UTRACE_EVENT(SIGNAL_IGN), UTRACE_SIGNAL_IGN},
                {SIGTSTP, Disposition::kIgnore, UTRACE_EVENT(SIGNAL_IGN), UTRACE_SIGNAL_IGN},
                {SIGCHLD, Disposition::kIgnore, UTRACE_EVENT(SIGNAL_IGN), UTRACE_SIGNAL_IGN},
                {SIGRTMIN + 3, Disposition::kIgnore, UTRACE_EVENT(SIGNAL_IGN), UTRACE_SIGNAL_IGN}});
}

CLAUSE_TEST(SIG_01, IgnoredByDefaultIsSignalIgn) {
  ExpectReported(Spawn(),
                 {{SIGCHLD, Disposition::kDefault, UTRACE_EVENT(SIGNAL_IGN), UTRACE_SIGNAL_IGN},
                  {SIGURG, Disposition::kDefault, UTRACE_EVENT(SIGNAL_IGN), UTRACE_SIGNAL_IGN},
                  {SIGWINCH, Disposition::kDefault, UTRACE_EVENT(SIGNAL_IGN), UTRACE_SIGNAL_IGN},
                  {SIGCONT, Disposition::kDefault, UTRACE_EVENT(SIGNAL_IGN), UTRACE_SIGNAL_IGN}});
}

CLAUSE_TEST(SIG_01, DefaultStopIsSignalStop) {
  ExpectReported(Spawn(),
                 {{SIGTSTP, Disposition::kDefault, UTRACE_EVENT(SIGNAL_STOP), UTRACE_SIGNAL_TSTP},
                  {SIGTTIN, Disposition::kDefault, UTRACE_EVENT(SIGNAL_STOP), UTRACE_SIGNAL_TSTP},
                  {SIGTTOU, Disposition::kDefault, UTRACE_EVENT(SIGNAL_STOP), UTRACE_SIGNAL_TSTP}});
}

CLAUSE_TEST(SIG_01, SigstopIsSignalStop) {
  ExpectReported(Spawn(),
                 {{SIGSTOP, Disposition::kDefault, UTRACE_EVENT(SIGNAL_STOP), UTRACE_SIGNAL_STOP}});
}

CLAUSE_TEST(SIG_01, DefaultCoreIsSignalCore) {
  std::vector<Kind> kinds;
  for (int signo :
       {SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGXCPU, SIGXFSZ, SIGSYS}) {
    kinds.push_back({signo, Disposition::kDefault, UTRACE_EVENT(SIGNAL_CORE), UTRACE_SIGNAL_CORE});
  }
  ExpectReported(Spawn(), kinds);
}

CLAUSE_TEST(SIG_01, AnyOtherDefaultIsSignalTerm) {
  std::vector<Kind> kinds;
  for (int signo : {SIGHUP, SIGINT, SIGUSR1, SIGUSR2, SIGPIPE, SIGALRM, SIGTERM, SIGSTKFLT,
                    SIGVTALRM, SIGPROF, SIGIO, SIGPWR, SIGRTMIN, SIGRTMAX}) {
    kinds.push_back({signo, Disposition::kDefault, UTRACE_EVENT(SIGNAL_TERM), UTRACE_SIGNAL_TERM});
  }
  ExpectReported(Spawn(), kinds);
}

// Broken by: a host that looks at the disposition when the signal is sent, or once at attach.
CLAUSE_TEST(SIG_01, TheDispositionAtDequeueTimeCounts) {
  Puppet& puppet = Spawn();
  const uint64_t mask = uint64_t{1} << (SIGUSR1 - 1);
  ASSERT_EQ(0, puppet.Sigaction(SIGUSR1, Disposition::kHandler));
  TestEngine engine("A");
  AnswerSignal(engine, SIGUSR1, UTRACE_SIGNAL_IGN);
  AttachWith(engine, puppet, UTRACE_EVENT(SIGNAL_TERM));
  ASSERT_EQ(0, puppet.Sigprocmask(SIG_BLOCK, mask));
  EXPECT_EQ(0, puppet.Raise(SIGUSR1));
  ASSERT_EQ(0, puppet.Sigaction(SIGUSR1, Disposition::kDefault));
  EXPECT_EQ(0, puppet.Sigprocmask(SIG_UNBLOCK, mask));
  ASSERT_EQ(1, engine.CountSignal(SIGUSR1)) << Describe(engine.Log());
  EXPECT_EQ(uint32_t{UTRACE_SIGNAL_TERM}, SignalReportOf(engine, SIGUSR1).signal_action());
}

// Broken by: a disposition that is remembered from an earlier signal.
CLAUSE_TEST(SIG_01, EveryChangeOfTheDispositionIsSeen) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  AnswerSignal(engine, SIGUSR1, UTRACE_SIGNAL_IGN);
  AttachWith(engine, puppet, kSignalEvents);
  std::vector<uint32_t> expected;
  for (int round = 0; round < 3; ++round) {
    puppet.Sigaction(SIGUSR1, Disposition::kHandler);
    puppet.Raise(SIGUSR1);
    expected.push_back(UTRACE_SIGNAL_DELIVER);
    puppet.Sigaction(SIGUSR1, Disposition::kIgnore);
    puppet.Raise(SIGUSR1);
    expected.push_back(UTRACE_SIGNAL_IGN);
    puppet.Sigaction(SIGUSR1, Disposition::kDefault);
    puppet.Raise(SIGUSR1);
    expected.push_back(UTRACE_SIGNAL_TERM);
  }
  std::vector<uint32_t> seen;
  for (const Report& report : engine.Log(What::kSignal)) {
    if (IsSignal(report, SIGUSR1)) seen.push_back(report.signal_action());
  }
  EXPECT_EQ(expected, seen) << Describe(engine.Log());
}

CLAUSE_TEST(SIG_01, TheOriginalDispositionIsPassed) {
  Puppet& puppet = Spawn();
  ASSERT_EQ(0, puppet.Sigaction(SIGUSR1, Disposition::kHandler));
  ASSERT_EQ(0, puppet.Sigaction(SIGUSR2, Disposition::kIgnore));
  TestEngine engine("A");
  engine.On(What::kSignal,
            [](Report&) -> uint32_t { return Answer(UTRACE_SIGNAL_IGN, UTRACE_RESUME); });
  AttachWith(engine, puppet, kSignalEvents);
  for (int signo : {SIGUSR1, SIGUSR2, SIGTERM}) EXPECT_EQ(0, puppet.Raise(signo));
  const uint64_t handler = SignalReportOf(engine, SIGUSR1).orig_ka_copy.handler;
  EXPECT_TRUE(handler == puppet.addresses().handler || handler == UTRACE_SIG_UNKNOWN_HANDLER)
      << handler;
  EXPECT_EQ(UTRACE_SIG_IGN, SignalReportOf(engine, SIGUSR2).orig_ka_copy.handler);
  EXPECT_EQ(UTRACE_SIG_DFL, SignalReportOf(engine, SIGTERM).orig_ka_copy.handler);
}

CLAUSE_TEST(SIG_02, FirstActionOfEachKind) {
  Puppet& puppet = Spawn();
  ExpectReported(puppet,
                 {{SIGUSR1, Disposition::kIgnore, UTRACE_EVENT(SIGNAL_IGN), UTRACE_SIGNAL_IGN},
                  {SIGUSR1, Disposition::kHandler, UTRACE_EVENT(SIGNAL), UTRACE_SIGNAL_DELIVER},
                  {SIGQUIT, Disposition::kDefault, UTRACE_EVENT(SIGNAL_CORE), UTRACE_SIGNAL_CORE},
                  {SIGSTOP, Disposition::kDefault, UTRACE_EVENT(SIGNAL_STOP), UTRACE_SIGNAL_STOP},
                  {SIGTTIN, Disposition::kDefault, UTRACE_EVENT(SIGNAL_STOP), UTRACE_SIGNAL_TSTP},
                  {SIGUSR1, Disposition::kDefault, UTRACE_EVENT(SIGNAL_TERM), UTRACE_SIGNAL_TERM}});
}

// ---- SIG-03 ------------------------------------------------------------------------------------

CLAUSE_TEST(SIG_03, EachSeesWhatTheOneBeforeLeft) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine a("A");
  TestEngine b("B");
  TestEngine c("C");
  TestEngine d("D");
  AnswerSignal(a, SIGUSR1, UTRACE_SIGNAL_TERM);
  AnswerSignal(b, SIGUSR1, UTRACE_SIGNAL_STOP);
  AnswerSignal(d, SIGUSR1, UTRACE_SIGNAL_IGN);
  for (TestEngine* engine : {&a, &b, &c, &d}) AttachWith(*engine, puppet, kSignalEvents);
  EXPECT_EQ(0, puppet.Raise(SIGUSR1));
  EXPECT_EQ(uint32_t{UTRACE_SIGNAL_DELIVER}, SignalReportOf(a, SIGUSR1).signal_action());
  EXPECT_EQ(uint32_t{UTRACE_SIGNAL_TERM}, SignalReportOf(b, SIGUSR1).signal_action());
  EXPECT_EQ(uint32_t{UTRACE_SIGNAL_STOP}, SignalReportOf(c, SIGUSR1).signal_action());
  EXPECT_EQ(uint32_t{UTRACE_SIGNAL_STOP}, SignalReportOf(d, SIGUSR1).signal_action());
  EXPECT_EQ(0U, puppet.HandlerRuns());
}

CLAUSE_TEST(SIG_03, TheLastOnesDecidesForDelivery) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine a("A");
  TestEngine b("B");
  AnswerSignal(a, SIGUSR1, UTRACE_SIGNAL_IGN);
  AnswerSignal(b, SIGUSR1, UTRACE_SIGNAL_DELIVER);
  AttachWith(a, puppet, kSignalEvents);
  AttachWith(b, puppet, kSignalEvents);
  EXPECT_EQ(0, puppet.Raise(SIGUSR1));
  EXPECT_EQ(1U, puppet.HandlerRuns(SIGUSR1));
}

CLAUSE_TEST(SIG_03, TheLastOnesDecidesAgainstDelivery) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  AnswerSignal(b, SIGTERM, UTRACE_SIGNAL_IGN);
  AttachWith(a, puppet, kSignalEvents);
  AttachWith(b, puppet, kSignalEvents);
  EXPECT_EQ(0, puppet.Raise(SIGTERM));
  ExpectWorks(puppet);
}

CLAUSE_TEST(SIG_03, ChangesOfTheSiginfoAndDispositionReachTheNext) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  uint64_t seen_by_b = 0;
  TestEngine a("A");
  TestEngine b("B");
  OnSignal(a, SIGUSR1, [](Report& report) -> uint32_t {
    report.info->si_signo = SIGUSR2;
    report.return_ka->handler = UTRACE_SIG_IGN;
    return Answer(UTRACE_SIGNAL_DELIVER, UTRACE_RESUME);
  });
  OnSignal(b, SIGUSR2, [&](Report& report) -> uint32_t {
    seen_by_b = report.return_ka->handler;
    return Answer(UTRACE_SIGNAL_IGN, UTRACE_RESUME);
  });
  AttachWith(a, puppet, kSignalEvents);
  AttachWith(b, puppet, kSignalEvents);
  EXPECT_EQ(0, puppet.Raise(SIGUSR1));
  ASSERT_EQ(1, b.CountSignal(SIGUSR2)) << Describe(GlobalLog());
  EXPECT_EQ(UTRACE_SIG_IGN, seen_by_b);
}

// ---- SIG-04 ------------------------------------------------------------------------------------

CLAUSE_TEST(SIG_04, QuiesceIsEnoughForASignalThatIsReported) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  puppet.Sigaction(SIGUSR2, Disposition::kIgnore);
  TestEngine before("before");
  TestEngine wants("wants");
  TestEngine after("after");
  OnSignal(wants, SIGQUIT,
           [](Report&) -> uint32_t { return Answer(UTRACE_SIGNAL_IGN, UTRACE_RESUME); });
  AttachWith(before, puppet, kQuiesceEvent);
  AttachWith(wants, puppet, kSignalEvents);
  AttachWith(after, puppet, kQuiesceEvent);
  for (int signo : {SIGUSR1, SIGUSR2, SIGQUIT}) {
    EXPECT_EQ(0, puppet.Raise(signo));
    EXPECT_EQ(1, wants.CountSignal(signo));
    EXPECT_EQ(1, before.CountSignal(signo)) << Describe(before.Log());
    EXPECT_EQ(1, after.CountSignal(signo)) << Describe(after.Log());
  }
}

CLAUSE_TEST(SIG_04, TheEventsBitIsEnough) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine engine("A");
  AttachWith(engine, puppet, UTRACE_EVENT(SIGNAL));
  EXPECT_EQ(0, puppet.Raise(SIGUSR1));
  EXPECT_EQ(1, engine.CountSignal(SIGUSR1));
  EXPECT_EQ(1U, puppet.HandlerRuns(SIGUSR1));
}

CLAUSE_TEST(SIG_04, TheResultOfAnEngineThatHasOnlyQuiesceCounts) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  AnswerSignal(b, SIGTERM, UTRACE_SIGNAL_IGN);
  AttachWith(a, puppet, UTRACE_EVENT(SIGNAL_TERM));
  AttachWith(b, puppet, kQuiesceEvent);
  EXPECT_EQ(0, puppet.Raise(SIGTERM));
  ExpectWorks(puppet);
}

// ---- SIG-14, SIG-15 ----------------------------------------------------------------------------

CLAUSE_TEST(SIG_14, SigkillIsNotReported) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.On(What::kSignal, [](Report&) -> uint32_t {
    return Answer(UTRACE_SIGNAL_IGN | UTRACE_SIGNAL_HOLD, UTRACE_STOP);
  });
  AttachWith(engine, puppet, UTRACE_EVENT_ALL);
  puppet.AwaitIdle();
  puppet.Kill(SIGKILL);
  ExpectEndsBy(puppet, SIGKILL);
  engine.AwaitEnded(What::kReap);
  EXPECT_EQ(0, engine.Count(What::kSignal)) << Describe(engine.Log());
}

CLAUSE_TEST(SIG_14, NorWhenTheThreadSendsItToItself) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.On(What::kSignal,
            [](Report&) -> uint32_t { return Answer(UTRACE_SIGNAL_IGN, UTRACE_RESUME); });
  AttachWith(engine, puppet, UTRACE_EVENT_ALL);
  puppet.BeginRaise(SIGKILL);
  ExpectEndsBy(puppet, SIGKILL);
  engine.AwaitEnded(What::kReap);
  EXPECT_EQ(0, engine.CountSignal(SIGKILL)) << Describe(engine.Log());
}

CLAUSE_TEST(SIG_14, NorWhileAnotherSignalIsHeld) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  AnswerSignal(engine, SIGTERM, UTRACE_SIGNAL_IGN | UTRACE_SIGNAL_HOLD, UTRACE_STOP);
  AttachWith(engine, puppet, kSignalEvents | kQuiesceEvent | UTRACE_EVENT(REAP));
  puppet.BeginRaise(SIGTERM);
  AwaitHeld(engine);
  puppet.Kill(SIGKILL);
  ExpectEndsBy(puppet, SIGKILL);
  engine.AwaitEnded(What::kReap);
  EXPECT_EQ(0, engine.CountSignal(SIGKILL)) << Describe(engine.Log());
}

CLAUSE_TEST(SIG_15, IgnoredSignalsAreReportedWhileAskedFor) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kIgnore);
  TestEngine engine("A");
  AttachWith(engine, puppet, UTRACE_EVENT(SIGNAL_IGN));
  for (int round = 1; round <= 5; ++round) {
    EXPECT_EQ(0, puppet.Raise(SIGUSR1));
    EXPECT_EQ(0, puppet.Raise(SIGWINCH));
    EXPECT_EQ(0, puppet.KillSelf(SIGURG));
    EXPECT_EQ(round, engine.CountSignal(SIGUSR1));
    EXPECT_EQ(round, engine.CountSignal(SIGWINCH));
    EXPECT_EQ(round, engine.CountSignal(SIGURG));
  }
  EXPECT_EQ(0U, puppet.HandlerRuns());
}

CLAUSE_TEST(SIG_15, AnEngineCanMakeAnIgnoredSignalCount) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kIgnore);
  TestEngine engine("A");
  AnswerSignal(engine, SIGUSR1, UTRACE_SIGNAL_TERM);
  AttachWith(engine, puppet, UTRACE_EVENT(SIGNAL_IGN));
  puppet.BeginRaise(SIGUSR1);
  ExpectEndsBy(puppet, SIGUSR1);
}

// Broken by: an implementation that reports it to make sure, and lets it interrupt a call.
CLAUSE_TEST(SIG_15, IgnoredSignalsInterruptNoCall) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kIgnore);
  TestEngine engine("A");
  AttachWith(engine, puppet, UTRACE_EVENT(SIGNAL_IGN));
  puppet.BeginRead();
  puppet.AwaitBlocked();
  puppet.Tgkill(SIGUSR1);
  AwaitSignal(engine, SIGUSR1);
  puppet.Feed();
  EXPECT_EQ(1, puppet.Finish());
}

}  // namespace utrace::kit
