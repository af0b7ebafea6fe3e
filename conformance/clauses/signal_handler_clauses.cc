// SIG-09, SIG-10, SIG-16, SIG-20: a handler that was set up, and the report at its first instruction.
#include "conformance/clauses/signal_scenes.h"

namespace utrace::kit {
namespace {

constexpr unsigned long kEvents = kQuiesceEvent | kSignalEvents;
constexpr uint64_t kResetHand = SA_RESETHAND;

uint64_t PcOf(utrace_task* task) {
  uint64_t pc = 0;
  EXPECT_EQ(0, api().utrace_get_pc(task, &pc));
  return pc;
}

Report HandlerReportOf(const TestEngine& engine) {
  for (const Report& report : engine.Log(What::kSignal)) {
    if (IsHandlerReport(report)) return report;
  }
  Failed("no HANDLER report was made:\n" + Describe(engine.Log()));
}

// Delivers SIGUSR1 with `resume` to the handler; at the HANDLER report notes where the task is and
// whether the handler ran, and answers with `then`.
class Deliverer {
 public:
  Deliverer(Puppet& puppet, enum utrace_resume_action resume, enum utrace_resume_action then)
      : puppet_(puppet) {
    engine_.On(What::kSignal, [this, resume, then](Report& report) -> uint32_t {
      if (IsSignal(report, SIGUSR1)) return Answer(UTRACE_SIGNAL_DELIVER, resume);
      if (!IsHandlerReport(report)) return PassThrough(report);
      pc_ = PcOf(report.task);
      runs_ = puppet_.HandlerRuns();
      return Answer(UTRACE_SIGNAL_IGN, then);
    });
    AttachWith(engine_, puppet, kEvents);
  }

  // The HANDLER report came once, at the right place.
  void ExpectReported() {
    EXPECT_EQ(1, CountHandlerReports(engine_.Log())) << Describe(engine_.Log());
    EXPECT_EQ(puppet_.addresses().handler, pc_);
    EXPECT_EQ(0U, runs_);
    EXPECT_FALSE(HandlerReportOf(engine_).has_orig_ka);
  }
  TestEngine& engine() { return engine_; }

 private:
  Puppet& puppet_;
  uint64_t pc_ = 0;
  uint64_t runs_ = 99;
  TestEngine engine_{"deliverer"};
};

}  // namespace

// ---- SIG-09, SIG-10 ----------------------------------------------------------------------------

CLAUSE_TEST(SIG_10, DeliverWithSinglestepIsReportedAtTheHandler) {
  Puppet& puppet = Spawn();
  SkipIfDeclared("NO-SINGLESTEP");
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  Deliverer deliverer(puppet, UTRACE_SINGLESTEP, UTRACE_RESUME);
  EXPECT_EQ(0, puppet.Raise(SIGUSR1));
  deliverer.ExpectReported();
  EXPECT_EQ(1U, puppet.HandlerRuns(SIGUSR1));
  // The HANDLER report stands for the step: its answer was no step.
  EXPECT_EQ(0, deliverer.engine().CountSignal(SIGTRAP));
}

CLAUSE_TEST(SIG_10, OnAnAlternateStackToo) {
  Puppet& puppet = Spawn();
  SkipIfDeclared("NO-SINGLESTEP");
  ASSERT_EQ(0, puppet.Sigaltstack());
  puppet.Sigaction(SIGUSR1, Disposition::kHandler, SA_ONSTACK);
  Deliverer deliverer(puppet, UTRACE_SINGLESTEP, UTRACE_RESUME);
  EXPECT_EQ(0, puppet.Raise(SIGUSR1));
  deliverer.ExpectReported();
  ASSERT_EQ(1U, puppet.HandlerRuns(SIGUSR1));
  EXPECT_EQ(1U, puppet.Signals()[0].on_alternate_stack);
}

CLAUSE_TEST(SIG_10, ForAHandlerThatAnEngineMadeApply) {
  Puppet& puppet = Spawn();
  SkipIfDeclared("NO-SINGLESTEP");
  uint64_t pc = 0;
  TestEngine engine("A");
  engine.On(What::kSignal, [&](Report& report) -> uint32_t {
    if (IsHandlerReport(report)) pc = PcOf(report.task);
    if (!IsSignal(report, SIGUSR1)) return PassThrough(report);
    UsePuppetHandler(puppet, report.return_ka);
    return Answer(UTRACE_SIGNAL_DELIVER, UTRACE_SINGLESTEP);
  });
  AttachWith(engine, puppet, kEvents);
  EXPECT_EQ(0, puppet.Raise(SIGUSR1));
  EXPECT_EQ(1, CountHandlerReports(engine.Log())) << Describe(engine.Log());
  EXPECT_EQ(puppet.addresses().handler, pc);
  EXPECT_EQ(1U, puppet.HandlerRuns(SIGUSR1));
}

CLAUSE_TEST(SIG_10, TheHandlersInstructionsCanBeStepped) {
  Needs("step");
  Puppet& puppet = Spawn();
  SkipIfDeclared("NO-SINGLESTEP");
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  std::vector<uint64_t> places;
  TestEngine engine("A");
  engine.On(What::kSignal, [&](Report& report) -> uint32_t {
    if (IsSignal(report, SIGUSR1)) return Answer(UTRACE_SIGNAL_DELIVER, UTRACE_SINGLESTEP);
    if (!IsHandlerReport(report) && !IsSignal(report, SIGTRAP)) return PassThrough(report);
    places.push_back(PcOf(report.task));
    return Answer(UTRACE_SIGNAL_IGN, places.size() < 4 ? UTRACE_SINGLESTEP : UTRACE_RESUME);
  });
  AttachWith(engine, puppet, kEvents);
  EXPECT_EQ(0, puppet.Raise(SIGUSR1));
  ASSERT_EQ(4U, places.size()) << Describe(engine.Log());
  EXPECT_EQ(puppet.addresses().handler, places[0]);
  for (int i = 1; i < 4; ++i) EXPECT_NE(places[i - 1], places[i]);
  EXPECT_EQ(1U, puppet.HandlerRuns(SIGUSR1));
}

CLAUSE_TEST(SIG_09, StopAskedByOneEngineIsReportedToAll) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine a("A");
  TestEngine b("B");
  OnSignal(a, SIGUSR1, [](Report& report) { return WithResume(report, UTRACE_STOP); });
  AttachWith(a, puppet, kEvents);
  AttachWith(b, puppet, kEvents);
  EXPECT_EQ(0, puppet.Raise(SIGUSR1));
  EXPECT_EQ(1, CountHandlerReports(a.Log())) << Describe(GlobalLog());
  EXPECT_EQ(1, CountHandlerReports(b.Log())) << Describe(GlobalLog());
  EXPECT_EQ(1U, puppet.HandlerRuns(SIGUSR1));
}

CLAUSE_TEST(SIG_09, StepAskedByOneEngineIsReportedToAll) {
  Puppet& puppet = Spawn();
  SkipIfDeclared("NO-SINGLESTEP");
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine a("A");
  TestEngine b("B");
  OnSignal(a, SIGUSR1, [](Report& report) { return WithResume(report, UTRACE_BLOCKSTEP); });
  AttachWith(a, puppet, kEvents);
  AttachWith(b, puppet, kEvents);
  EXPECT_EQ(0, puppet.Raise(SIGUSR1));
  EXPECT_EQ(1, CountHandlerReports(a.Log())) << Describe(GlobalLog());
  EXPECT_EQ(1, CountHandlerReports(b.Log())) << Describe(GlobalLog());
}

// Broken by: a HANDLER report and, behind it, a REPORT one.
CLAUSE_TEST(SIG_09, InPlaceOfAReport) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  Gate gate("SIGUSR1's report may end");
  TestEngine engine("A");
  engine.On(What::kSignal, [&](Report& report) -> uint32_t {
    if (!IsSignal(report, SIGUSR1)) return PassThrough(report);
    gate.Wait();
    return Answer(UTRACE_SIGNAL_DELIVER, UTRACE_STOP);
  });
  AttachWith(engine, puppet, kEvents);
  puppet.BeginRaise(SIGUSR1);
  gate.AwaitArrival();
  EXPECT_EQ(0, engine.Control(UTRACE_REPORT));
  gate.Open();
  EXPECT_EQ(0, puppet.Finish());
  ExpectWorks(puppet);
  const std::vector<Report> log = engine.Log();
  // No other one besides.
  EXPECT_EQ(1, CountUserReturns(log)) << Describe(log);
  const auto first = std::find_if(log.begin(), log.end(), IsHandlerReport);
  ASSERT_NE(log.end(), first) << Describe(log);
  // It is the next one after that of the signal.
  ASSERT_NE(log.begin(), first);
  EXPECT_TRUE(IsSignal(*std::prev(first), SIGUSR1)) << Describe(log);
}

CLAUSE_TEST(SIG_09, NoHandlerReportIfNobodyAskedForOne) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine engine("A");
  AttachWith(engine, puppet, kEvents);
  EXPECT_EQ(0, puppet.Raise(SIGUSR1));
  ExpectWorks(puppet);
  EXPECT_EQ(0, CountHandlerReports(engine.Log())) << Describe(engine.Log());
  EXPECT_EQ(1, engine.Count(What::kSignal)) << Describe(engine.Log());
}

CLAUSE_TEST(SIG_09, NoHandlerReportWithoutAHandler) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.On(What::kSignal, [](Report& report) -> uint32_t {
    if (IsSignal(report, SIGWINCH)) return Answer(UTRACE_SIGNAL_DELIVER, UTRACE_STOP);
    return PassThrough(report);
  });
  AttachWith(engine, puppet, kEvents);
  puppet.BeginRaise(SIGWINCH);
  AwaitSignal(engine, SIGWINCH);
  EXPECT_EQ(0, engine.Barrier());
  // Whether it came to stop before this or is let go at once, it runs on.
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  EXPECT_EQ(0, puppet.Finish());
  ExpectWorks(puppet);
  EXPECT_EQ(0, CountHandlerReports(engine.Log())) << Describe(engine.Log());
}

// A control STOP is a wish for a stop as well.
CLAUSE_TEST(SIG_09, AskedForByControlDuringTheReport) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  Gate gate("SIGUSR1's report may end");
  TestEngine a("A");
  TestEngine b("B");
  OnSignal(a, SIGUSR1, [&](Report& report) -> uint32_t {
    gate.Wait();
    return PassThrough(report);
  });
  uint64_t pc = 0;
  b.On(What::kSignal, [&](Report& report) -> uint32_t {
    if (!IsHandlerReport(report)) return PassThrough(report);
    pc = PcOf(report.task);
    return Answer(UTRACE_SIGNAL_IGN, UTRACE_STOP);
  });
  AttachWith(a, puppet, kSignalEvents);
  AttachWith(b, puppet, kQuiesceEvent);
  puppet.BeginRaise(SIGUSR1);
  gate.AwaitArrival();
  EXPECT_EQ(-EINPROGRESS, b.Control(UTRACE_STOP));
  // Its report_signal for SIGUSR1 answers STOP too, so that the wish is not taken back there.
  b.On(What::kSignal, [&](Report& report) -> uint32_t {
    if (IsHandlerReport(report)) pc = PcOf(report.task);
    return WithResume(report, UTRACE_STOP);
  });
  gate.Open();
  AwaitHeld(b);
  EXPECT_EQ(1, CountHandlerReports(b.Log())) << Describe(b.Log());
  EXPECT_EQ(puppet.addresses().handler, pc);
  EXPECT_EQ(0U, puppet.HandlerRuns());
  b.On(What::kSignal, nullptr);
  EXPECT_EQ(0, b.Control(UTRACE_RESUME));
  EXPECT_EQ(0, puppet.Finish());
  EXPECT_EQ(1U, puppet.HandlerRuns());
}

// At a HANDLER report an engine can introduce the next signal, as at a REPORT one.
CLAUSE_TEST(SIG_09, TheDispositionIsNullAndTheSignalNotDeliveredTwice) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  Deliverer deliverer(puppet, UTRACE_STOP, UTRACE_RESUME);
  for (int round = 1; round <= 3; ++round) {
    EXPECT_EQ(0, puppet.Raise(SIGUSR1));
    EXPECT_EQ(round, CountHandlerReports(deliverer.engine().Log()));
    EXPECT_EQ(static_cast<uint64_t>(round), puppet.HandlerRuns(SIGUSR1));
  }
  EXPECT_FALSE(HandlerReportOf(deliverer.engine()).has_orig_ka);
}

// ---- SIG-16 ------------------------------------------------------------------------------------

CLAUSE_TEST(SIG_16, AOneShotHandlerIsReset) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler, kResetHand);
  TestEngine engine("A");
  AttachWith(engine, puppet, kSignalEvents);
  EXPECT_EQ(0, puppet.Raise(SIGUSR1));
  EXPECT_EQ(1U, puppet.HandlerRuns(SIGUSR1));
  EXPECT_EQ(UTRACE_SIG_DFL, ProgramsHandler(puppet, SIGUSR1));
  puppet.BeginRaise(SIGUSR1);
  ExpectEndsBy(puppet, SIGUSR1);
  const std::vector<Report> log = engine.Log(What::kSignal);
  ASSERT_EQ(2U, log.size());
  EXPECT_EQ(uint32_t{UTRACE_SIGNAL_DELIVER}, log[0].signal_action());
  EXPECT_EQ(uint32_t{UTRACE_SIGNAL_TERM}, log[1].signal_action());
}

CLAUSE_TEST(SIG_16, ResetWithAHandlerReportToo) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler, kResetHand);
  Deliverer deliverer(puppet, UTRACE_STOP, UTRACE_RESUME);
  EXPECT_EQ(0, puppet.Raise(SIGUSR1));
  deliverer.ExpectReported();
  EXPECT_EQ(1U, puppet.HandlerRuns(SIGUSR1));
  EXPECT_EQ(UTRACE_SIG_DFL, ProgramsHandler(puppet, SIGUSR1));
}

CLAUSE_TEST(SIG_16, NotResetByASignalThatIsDropped) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler, kResetHand);
  TestEngine engine("A");
  AnswerSignal(engine, SIGUSR1, UTRACE_SIGNAL_IGN);
  AttachWith(engine, puppet, kSignalEvents);
  EXPECT_EQ(0, puppet.Raise(SIGUSR1));
  EXPECT_EQ(puppet.addresses().handler, ProgramsHandler(puppet, SIGUSR1));
  engine.On(What::kSignal, nullptr);
  EXPECT_EQ(0, puppet.Raise(SIGUSR1));
  EXPECT_EQ(1U, puppet.HandlerRuns(SIGUSR1));
}

CLAUSE_TEST(SIG_16, OtherHandlersStay) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  puppet.Sigaction(SIGUSR2, Disposition::kHandler, kResetHand);
  TestEngine engine("A");
  AttachWith(engine, puppet, kSignalEvents);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(0, puppet.Raise(SIGUSR1));
  EXPECT_EQ(3U, puppet.HandlerRuns(SIGUSR1));
  EXPECT_EQ(puppet.addresses().handler, ProgramsHandler(puppet, SIGUSR1));
  EXPECT_EQ(puppet.addresses().handler, ProgramsHandler(puppet, SIGUSR2));
}

// ---- SIG-20 ------------------------------------------------------------------------------------

CLAUSE_TEST(SIG_20, StopsAtTheHandlerIfThatReportSaysSo) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  Deliverer deliverer(puppet, UTRACE_STOP, UTRACE_STOP);
  puppet.BeginRaise(SIGUSR1);
  deliverer.engine().AwaitLog("HANDLER report", [](const auto& log) {
    return !log.empty() && IsHandlerReport(log.back()) && log.back().end != 0;
  });
  AwaitHeld(deliverer.engine());
  ExpectStaysHeld(deliverer.engine(), puppet, [] {});
  deliverer.ExpectReported();
  EXPECT_EQ(puppet.addresses().handler, PcOf(deliverer.engine().task()));
  EXPECT_EQ(0U, puppet.HandlerRuns());
  EXPECT_EQ(0, deliverer.engine().Control(UTRACE_RESUME));
  EXPECT_EQ(0, puppet.Finish());
  EXPECT_EQ(1U, puppet.HandlerRuns(SIGUSR1));
}

CLAUSE_TEST(SIG_20, RunsOnIfThatReportSaysSo) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  Deliverer deliverer(puppet, UTRACE_STOP, UTRACE_RESUME);
  EXPECT_EQ(0, puppet.Raise(SIGUSR1));
  deliverer.ExpectReported();
  EXPECT_EQ(1U, puppet.HandlerRuns(SIGUSR1));
}

// No callback asks an engine without QUIESCE at the handler: its STOP stands [REP-16].
CLAUSE_TEST(SIG_20, AnEngineWithoutQuiesceStopsItAtTheHandler) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine engine("A");
  AnswerSignal(engine, SIGUSR1, UTRACE_SIGNAL_DELIVER, UTRACE_STOP);
  AttachWith(engine, puppet, UTRACE_EVENT(SIGNAL));
  puppet.BeginRaise(SIGUSR1);
  AwaitHeld(engine);
  ExpectStaysHeld(engine, puppet, [] {});
  EXPECT_EQ(puppet.addresses().handler, PcOf(engine.task()));
  EXPECT_EQ(0U, puppet.HandlerRuns());
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  EXPECT_EQ(0, puppet.Finish());
  EXPECT_EQ(1U, puppet.HandlerRuns(SIGUSR1));
}

// The registers the handler returns to are those that the program had.
CLAUSE_TEST(SIG_20, TheInterruptedProgramGoesOnUnharmed) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine engine("A");
  AnswerSignal(engine, SIGUSR1, UTRACE_SIGNAL_DELIVER, UTRACE_STOP);
  AttachWith(engine, puppet, UTRACE_EVENT(SIGNAL));
  StartSpinning(puppet);
  for (int round = 1; round <= 3; ++round) {
    puppet.Tgkill(SIGUSR1);
    AwaitSignal(engine, SIGUSR1, round);
    AwaitHeld(engine);
    EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
    puppet.AwaitHandlerRuns(static_cast<uint64_t>(round));
  }
  ExpectRuns(puppet);
}

}  // namespace utrace::kit
