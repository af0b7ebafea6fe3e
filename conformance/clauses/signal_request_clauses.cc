// SIG-08, SIG-11, SIG-12, SIG-13: report_signal without a dequeued signal, and signals introduced.
#include "conformance/clauses/signal_scenes.h"

namespace utrace::kit {
namespace {

constexpr unsigned long kEvents = kQuiesceEvent | kSignalEvents;

// A spinning puppet with an engine that answers the report of one INTERRUPT.
void Inject(Puppet& puppet, TestEngine& engine, const TestEngine::Handler& handler) {
  OnSignalReport(engine, handler);
  AttachWith(engine, puppet, kQuiesceEvent);
  StartSpinning(puppet);
  EXPECT_EQ(0, engine.Control(UTRACE_INTERRUPT));
}

// Introduces `signo` by the siginfo alone, with that action.
void InjectSignal(Puppet& puppet, TestEngine& engine, int signo, uint32_t action) {
  Inject(puppet, engine, [=](Report& report) -> uint32_t {
    FillSiginfo(report.info, signo, 815);
    return Answer(action, UTRACE_RESUME);
  });
}

// A request and a signal that both wait while the task is held: the request's report is first.
void ExpectReportFirst(Puppet& puppet, enum utrace_resume_action request) {
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine holder("holder");
  TestEngine engine("A");
  AttachWith(holder, puppet, 0);
  AttachWith(engine, puppet, kEvents);
  StartSpinning(puppet);
  holder.StopAndWait();
  const size_t before = engine.Log().size();
  puppet.Tgkill(SIGUSR1);
  EXPECT_EQ(0, engine.Control(request));
  EXPECT_EQ(0, holder.Control(UTRACE_RESUME));
  AwaitSignal(engine, SIGUSR1);
  const std::vector<Report> log = engine.Log();
  ASSERT_LT(before, log.size());
  EXPECT_TRUE(IsUserReturn(log[before])) << Describe(log);
  if (request == UTRACE_INTERRUPT) {
    EXPECT_TRUE(std::any_of(log.begin(), log.end(), IsSignalReport)) << Describe(log);
    const auto signal = std::find_if(
        log.begin(), log.end(), [](const Report& report) { return IsSignal(report, SIGUSR1); });
    EXPECT_TRUE(std::any_of(log.begin(), signal, IsSignalReport)) << Describe(log);
  }
  ExpectRuns(puppet);
  EXPECT_EQ(1U, puppet.HandlerRuns());
}

}  // namespace

// ---- SIG-08 ------------------------------------------------------------------------------------

CLAUSE_TEST(SIG_08, NoSignalWasDequeued) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine engine("A");
  AttachWith(engine, puppet, kEvents);
  StartSpinning(puppet);
  EXPECT_EQ(0, engine.Control(UTRACE_INTERRUPT));
  engine.AwaitEnded(What::kSignal);
  const Report report = engine.Log(What::kSignal)[0];
  EXPECT_TRUE(IsSignalReport(report)) << Describe(report);
  EXPECT_FALSE(report.has_orig_ka);
  ExpectRuns(puppet);
  EXPECT_EQ(0U, puppet.HandlerRuns());
}

CLAUSE_TEST(SIG_08, InjectedIntoTheProgramsHandler) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine engine("A");
  InjectSignal(puppet, engine, SIGUSR1, UTRACE_SIGNAL_DELIVER);
  puppet.AwaitHandlerRuns(1);
  const SignalRecord record = puppet.Signals()[0];
  EXPECT_EQ(SIGUSR1, record.signo);
  EXPECT_EQ(SI_QUEUE, record.code);
  EXPECT_EQ(815, record.value);
  EXPECT_EQ(4711, record.sender);
  ExpectRuns(puppet);
  EXPECT_EQ(1U, puppet.HandlerRuns());
}

CLAUSE_TEST(SIG_08, InjectedIntoAHandlerOfTheEngines) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  Inject(puppet, engine, [&](Report& report) -> uint32_t {
    FillSiginfo(report.info, SIGUSR2, 815);
    UsePuppetHandler(puppet, report.return_ka);
    return Answer(UTRACE_SIGNAL_DELIVER, UTRACE_RESUME);
  });
  puppet.AwaitHandlerRuns(1);
  EXPECT_EQ(SIGUSR2, puppet.Signals()[0].signo);
  EXPECT_EQ(815, puppet.Signals()[0].value);
  ExpectRuns(puppet);
  EXPECT_EQ(UTRACE_SIG_DFL, ProgramsHandler(puppet, SIGUSR2));
}

CLAUSE_TEST(SIG_08, InjectedWithAFatalDefault) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  InjectSignal(puppet, engine, SIGTERM, UTRACE_SIGNAL_DELIVER);
  ExpectEndsBy(puppet, SIGTERM);
}

CLAUSE_TEST(SIG_08, InjectedByTerm) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine engine("A");
  InjectSignal(puppet, engine, SIGUSR1, UTRACE_SIGNAL_TERM);
  ExpectEndsBy(puppet, SIGUSR1);
}

CLAUSE_TEST(SIG_08, InjectedByCore) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGABRT, Disposition::kIgnore);
  TestEngine engine("A");
  InjectSignal(puppet, engine, SIGABRT, UTRACE_SIGNAL_CORE);
  ExpectEndsBy(puppet, SIGABRT);
}

CLAUSE_TEST(SIG_08, InjectedByStop) {
  for (uint32_t action : {UTRACE_SIGNAL_STOP, UTRACE_SIGNAL_TSTP}) {
    Puppet& puppet = Spawn();
    TestEngine engine("A");
    InjectSignal(puppet, engine, SIGTSTP, action);
    ExpectJobControlStop(puppet);
    puppet.Kill(SIGCONT);
    ExpectRuns(puppet);
  }
}

CLAUSE_TEST(SIG_08, InjectedAndIgnoredIsNothing) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine engine("A");
  InjectSignal(puppet, engine, SIGUSR1, UTRACE_SIGNAL_IGN);
  engine.AwaitEnded(What::kSignal);
  ExpectRuns(puppet);
  EXPECT_EQ(0U, puppet.HandlerRuns());
}

// Broken by: an injected signal that is only sent, and so is blocked or reported again.
CLAUSE_TEST(SIG_08, InjectedSignalIsNotReportedAsDequeued) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine engine("A");
  OnSignalReport(engine, [](Report& report) -> uint32_t {
    FillSiginfo(report.info, SIGUSR1, 815);
    return Answer(UTRACE_SIGNAL_DELIVER, UTRACE_RESUME);
  });
  AttachWith(engine, puppet, kEvents);
  StartSpinning(puppet);
  EXPECT_EQ(0, engine.Control(UTRACE_INTERRUPT));
  puppet.AwaitHandlerRuns(1);
  ExpectRuns(puppet);
  EXPECT_EQ(1U, puppet.HandlerRuns());
  EXPECT_EQ(0, engine.CountSignal(SIGUSR1)) << Describe(engine.Log());
}

CLAUSE_TEST(SIG_08, InjectedIntoABlockedCall) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine engine("A");
  OnSignalReport(engine, [](Report& report) -> uint32_t {
    FillSiginfo(report.info, SIGUSR1, 815);
    return Answer(UTRACE_SIGNAL_DELIVER, UTRACE_RESUME);
  });
  AttachWith(engine, puppet, kQuiesceEvent);
  puppet.BeginRead();
  puppet.AwaitBlocked();
  EXPECT_EQ(0, engine.Control(UTRACE_INTERRUPT));
  puppet.AwaitHandlerRuns(1);
  // The handler was installed without SA_RESTART.
  EXPECT_EQ(-EINTR, puppet.Finish());
  puppet.Feed();
  ExpectWorks(puppet);
}

CLAUSE_TEST(SIG_08, TheLastEngineDecidesWhatIsInjected) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  puppet.Sigaction(SIGUSR2, Disposition::kHandler);
  int seen_by_b = 0;
  TestEngine a("A");
  TestEngine b("B");
  OnSignalReport(a, [](Report& report) -> uint32_t {
    FillSiginfo(report.info, SIGUSR1, 1);
    return Answer(UTRACE_SIGNAL_DELIVER, UTRACE_RESUME);
  });
  b.On(What::kSignal, [&](Report& report) -> uint32_t {
    if (seen_by_b != 0) return PassThrough(report);
    EXPECT_EQ(uint32_t{UTRACE_SIGNAL_DELIVER}, report.signal_action());
    seen_by_b = report.signo();
    FillSiginfo(report.info, SIGUSR2, 2);
    return PassThrough(report);
  });
  AttachWith(a, puppet, kQuiesceEvent);
  AttachWith(b, puppet, kQuiesceEvent);
  StartSpinning(puppet);
  EXPECT_EQ(0, a.Control(UTRACE_INTERRUPT));
  puppet.AwaitHandlerRuns(1);
  EXPECT_EQ(SIGUSR1, seen_by_b);
  ExpectRuns(puppet);
  EXPECT_EQ(0U, puppet.HandlerRuns(SIGUSR1));
  EXPECT_EQ(1U, puppet.HandlerRuns(SIGUSR2));
}

// ---- SIG-11 ------------------------------------------------------------------------------------

CLAUSE_TEST(SIG_11, TheSiginfoIsStillThereAfterInterrupt) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine engine("A");
  engine.On(What::kSignal, [](Report& report) -> uint32_t {
    if (IsSignal(report, SIGUSR1)) return Answer(UTRACE_SIGNAL_IGN, UTRACE_STOP);
    if (!IsSignalReport(report) || report.signo() != SIGUSR1) return PassThrough(report);
    return Answer(UTRACE_SIGNAL_DELIVER, UTRACE_RESUME);
  });
  AttachWith(engine, puppet, kEvents);
  StartSpinning(puppet);
  puppet.QueueFromKit(SIGUSR1, 34);
  AwaitSignal(engine, SIGUSR1);
  AwaitHeld(engine);
  EXPECT_EQ(0, engine.Control(UTRACE_INTERRUPT));
  engine.AwaitLog("a report of the INTERRUPT", [](const auto& log) {
    return std::any_of(log.begin(), log.end(), [](const Report& report) {
      return IsSignalReport(report) && report.end != 0;
    });
  });
  const std::vector<Report> log = engine.Log();
  const Report report = *std::find_if(log.begin(), log.end(), IsSignalReport);
  EXPECT_EQ(SIGUSR1, report.signo()) << Describe(log);
  EXPECT_EQ(34, report.info_copy.si_value.sival_int);
  EXPECT_EQ(SI_QUEUE, report.info_copy.si_code);
  EXPECT_FALSE(report.has_orig_ka);
  puppet.AwaitHandlerRuns(1);
  EXPECT_EQ(34, puppet.Signals()[0].value);
  ExpectRuns(puppet);
  EXPECT_EQ(1U, puppet.HandlerRuns());
}

// REPORT may be answered by report_quiesce, which has no siginfo.
CLAUSE_TEST(SIG_11, TheSiginfoIsStillThereAfterReport) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine engine("A");
  engine.On(What::kSignal, [](Report& report) -> uint32_t {
    if (IsSignal(report, SIGUSR1)) return Answer(UTRACE_SIGNAL_IGN, UTRACE_STOP);
    return PassThrough(report);
  });
  AttachWith(engine, puppet, kEvents);
  StartSpinning(puppet);
  puppet.Tgkill(SIGUSR1);
  AwaitSignal(engine, SIGUSR1);
  AwaitHeld(engine);
  const int before = CountUserReturns(engine.Log());
  EXPECT_EQ(0, engine.Control(UTRACE_REPORT));
  AwaitUserReturns(engine, before + 1);
  for (const Report& report : engine.Log(What::kSignal)) {
    if (!IsSignalReport(report)) continue;
    EXPECT_EQ(SIGUSR1, report.signo()) << Describe(engine.Log());
  }
  ExpectRuns(puppet);
}

// What the engine changed in the siginfo when it stopped the task counts.
CLAUSE_TEST(SIG_11, TheSiginfoIsAsTheEngineLeftIt) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.On(What::kSignal, [](Report& report) -> uint32_t {
    if (!IsSignal(report, SIGUSR1)) return PassThrough(report);
    FillSiginfo(report.info, SIGUSR2, 35);
    return Answer(UTRACE_SIGNAL_IGN, UTRACE_STOP);
  });
  AttachWith(engine, puppet, kEvents);
  StartSpinning(puppet);
  puppet.Tgkill(SIGUSR1);
  AwaitSignal(engine, SIGUSR1);
  AwaitHeld(engine);
  EXPECT_EQ(0, engine.Control(UTRACE_INTERRUPT));
  engine.AwaitEnded(What::kSignal, 2);
  const Report report = engine.Log(What::kSignal)[1];
  EXPECT_EQ(SIGUSR2, report.signo()) << Describe(report);
  EXPECT_EQ(35, report.info_copy.si_value.sival_int);
  ExpectRuns(puppet);
}

// Broken by: a siginfo that is acted by again though nobody said so.
CLAUSE_TEST(SIG_11, ResumedPlainlyTheSignalIsGone) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine engine("A");
  AnswerSignal(engine, SIGUSR1, UTRACE_SIGNAL_IGN, UTRACE_STOP);
  AttachWith(engine, puppet, kEvents);
  StartSpinning(puppet);
  puppet.Tgkill(SIGUSR1);
  AwaitSignal(engine, SIGUSR1);
  AwaitHeld(engine);
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  ExpectRuns(puppet);
  EXPECT_EQ(0U, puppet.HandlerRuns());
}

// ---- SIG-12 ------------------------------------------------------------------------------------

CLAUSE_TEST(SIG_12, InterruptComesBeforeAPendingSignal) {
  ExpectReportFirst(Spawn(), UTRACE_INTERRUPT);
}
CLAUSE_TEST(SIG_12, ReportComesBeforeAPendingSignal) { ExpectReportFirst(Spawn(), UTRACE_REPORT); }

// Broken by: a report that is forgotten where the task stopped for a signal meanwhile.
CLAUSE_TEST(SIG_12, AlsoBeforeASignalThatIsStillToBeReported) {
  for (const auto request : {UTRACE_INTERRUPT, UTRACE_REPORT}) {
    SCOPED_TRACE(static_cast<int>(request));
    Puppet& puppet = Spawn();
    puppet.Sigaction(SIGUSR1, Disposition::kHandler);
    TestEngine engine("A");
    AttachWith(engine, puppet, kEvents);
    const bool waited =
        WhileASignalWaits(puppet, engine, SIGUSR1, [&] { EXPECT_EQ(0, engine.Control(request)); });
    AwaitSignal(engine, SIGUSR1);
    ExpectRuns(puppet);
    const std::vector<Report> log = engine.Log();
    if (waited) {
      EXPECT_TRUE(IsUserReturn(log.at(0))) << Describe(log);
    }
    EXPECT_LE(1, CountUserReturns(log)) << Describe(log);
    EXPECT_EQ(1U, puppet.HandlerRuns());
  }
}

CLAUSE_TEST(SIG_12, ReturnedFromASystemCallsExit) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine engine("A");
  engine.On(What::kSyscallExit, [&](Report& report) -> uint32_t {
    if (!IsMarker(report)) return PassThrough(report);
    puppet.Tgkill(SIGUSR1);
    return UTRACE_INTERRUPT;
  });
  AttachWith(engine, puppet, kEvents | UTRACE_EVENT(SYSCALL_EXIT));
  ExpectWorks(puppet);
  const std::vector<Report> log = engine.Log(What::kSignal);
  ASSERT_LE(2U, log.size()) << Describe(engine.Log());
  EXPECT_TRUE(IsSignalReport(log[0])) << Describe(log);
  EXPECT_TRUE(IsSignal(log[1], SIGUSR1)) << Describe(log);
  EXPECT_EQ(1U, puppet.HandlerRuns());
}

// ---- SIG-13 ------------------------------------------------------------------------------------

CLAUSE_TEST(SIG_13, AnswersToARequestMakeNoLoop) {
  for (enum utrace_resume_action answer : {UTRACE_INTERRUPT, UTRACE_REPORT}) {
    Puppet& puppet = Spawn();
    TestEngine engine("A");
    engine.On(What::kSignal,
              [=](Report&) -> uint32_t { return Answer(UTRACE_SIGNAL_IGN, answer); });
    AttachWith(engine, puppet, kQuiesceEvent);
    StartSpinning(puppet);
    EXPECT_EQ(0, engine.Control(UTRACE_INTERRUPT));
    engine.AwaitEnded(What::kSignal);
    ExpectRuns(puppet);
    EXPECT_EQ(1, engine.Count(What::kSignal)) << Describe(engine.Log());
  }
}

CLAUSE_TEST(SIG_13, AnswersToASignalAreResume) {
  for (enum utrace_resume_action answer : {UTRACE_INTERRUPT, UTRACE_REPORT}) {
    Puppet& puppet = Spawn();
    puppet.Sigaction(SIGUSR1, Disposition::kHandler);
    TestEngine engine("A");
    AnswerSignal(engine, SIGUSR1, UTRACE_SIGNAL_DELIVER, answer);
    AttachWith(engine, puppet, kEvents);
    EXPECT_EQ(0, puppet.Raise(SIGUSR1));
    ExpectWorks(puppet);
    EXPECT_EQ(1, engine.Count(What::kSignal)) << Describe(engine.Log());
    EXPECT_EQ(0, CountUserReturns(engine.Log())) << Describe(engine.Log());
    EXPECT_EQ(1U, puppet.HandlerRuns());
  }
}

}  // namespace utrace::kit
