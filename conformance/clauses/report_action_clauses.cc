// REP-04, REP-05, REP-06, REP-17: what engines return, and what it comes to.
#include <functional>

#include "conformance/clauses/control_scenes.h"

namespace utrace::kit {
namespace {

constexpr unsigned long kQuiesce = UTRACE_EVENT(QUIESCE);
constexpr unsigned long kExit = UTRACE_EVENT(SYSCALL_EXIT);

// The resume actions that this engine's callbacks of `what` for the marker were given.
std::vector<uint32_t> Given(const TestEngine& engine, What what) {
  std::vector<uint32_t> given;
  for (const Report& report : engine.Log(what)) {
    const bool call = what == What::kSyscallEntry || what == What::kSyscallExit;
    if (!call || IsMarker(report)) given.push_back(report.resume());
  }
  return given;
}

// A report of the marker call in which engines A, B, ... return these; what each was given, and Z
// behind them. The order of entry reports is taken care of.
std::vector<uint32_t> Pass(Puppet& puppet, What what, const std::vector<uint32_t>& results) {
  std::vector<std::unique_ptr<TestEngine>> engines;
  for (size_t i = 0; i <= results.size(); ++i) {
    engines.push_back(std::make_unique<TestEngine>(std::string(1, static_cast<char>('A' + i))));
  }
  std::vector<TestEngine*> by_turn;
  for (const auto& engine : engines) {
    if (engine->AttachTid(puppet.tid()) != 0) Failed("attach");
    by_turn.push_back(engine.get());
  }
  if (what == What::kSyscallEntry) std::reverse(by_turn.begin(), by_turn.end());
  for (size_t i = 0; i < results.size(); ++i) {
    const uint32_t result = results[i];
    by_turn[i]->On(what, [result](Report& report) -> uint32_t {
      const bool repeated =
          report.what == What::kSyscallEntry && (report.action & UTRACE_SYSCALL_RESUMED) != 0;
      return IsMarker(report) && !repeated ? WithResume(report, result) : PassThrough(report);
    });
  }
  for (TestEngine* engine : by_turn) {
    const unsigned long event = what == What::kSyscallEntry ? UTRACE_EVENT(SYSCALL_ENTRY) : kExit;
    if (engine->SetEvents(event) != 0) Failed("set_events");
  }
  puppet.Begin(kMarker);
  by_turn.back()->AwaitLog("the marker", [](const std::vector<Report>& log) {
    return std::any_of(log.begin(), log.end(),
                       [](const Report& report) { return IsMarker(report) && report.end != 0; });
  });
  std::vector<uint32_t> given;
  for (TestEngine* engine : by_turn) given.push_back(Given(*engine, what).front());
  for (TestEngine* engine : by_turn) {
    const int result = engine->Control(UTRACE_DETACH);
    ExpectOneOf(result, {0, -EINPROGRESS, -ESRCH});
  }
  EXPECT_EQ(puppet.nanny().pid(), puppet.Finish());
  return given;
}

using Actions = std::vector<uint32_t>;

}  // namespace

// ---- REP-04 ------------------------------------------------------------------------------------

CLAUSE_TEST(REP_04, StartsAsResumeAndTightens) {
  for (const What what : {What::kSyscallEntry, What::kSyscallExit}) {
    SCOPED_TRACE(WhatName(what));
    Puppet& puppet = Spawn();
    EXPECT_EQ((Actions{UTRACE_RESUME, UTRACE_RESUME, UTRACE_BLOCKSTEP, UTRACE_SINGLESTEP,
                       UTRACE_REPORT, UTRACE_INTERRUPT, UTRACE_STOP}),
              Pass(puppet, what,
                   {UTRACE_RESUME, UTRACE_BLOCKSTEP, UTRACE_SINGLESTEP, UTRACE_REPORT,
                    UTRACE_INTERRUPT, UTRACE_STOP}));
  }
}

CLAUSE_TEST(REP_04, IsNeverLoosened) {
  for (const What what : {What::kSyscallEntry, What::kSyscallExit}) {
    SCOPED_TRACE(WhatName(what));
    Puppet& puppet = Spawn();
    EXPECT_EQ(
        (Actions{UTRACE_RESUME, UTRACE_STOP, UTRACE_STOP, UTRACE_STOP, UTRACE_STOP}),
        Pass(puppet, what, {UTRACE_STOP, UTRACE_INTERRUPT, UTRACE_SINGLESTEP, UTRACE_RESUME}));
  }
}

CLAUSE_TEST(REP_04, ADetachDoesNotCount) {
  for (const What what : {What::kSyscallEntry, What::kSyscallExit}) {
    SCOPED_TRACE(WhatName(what));
    Puppet& puppet = Spawn();
    EXPECT_EQ((Actions{UTRACE_RESUME, UTRACE_RESUME, UTRACE_REPORT, UTRACE_REPORT}),
              Pass(puppet, what, {UTRACE_DETACH, UTRACE_REPORT, UTRACE_DETACH}));
  }
}

CLAUSE_TEST(REP_04, TheNextReportStartsAfresh) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  a.On(What::kSyscallEntry, AtMarker(UTRACE_RESUME));
  b.On(What::kSyscallEntry, AtMarker(UTRACE_REPORT));
  a.On(What::kSyscallExit, AtMarker(UTRACE_REPORT));
  for (TestEngine* engine : {&a, &b}) ASSERT_EQ(0, engine->AttachTid(puppet.tid()));
  ASSERT_EQ(0, a.SetEvents(UTRACE_EVENT_SYSCALL));
  ASSERT_EQ(0, b.SetEvents(kExit));
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  EXPECT_EQ((Actions{UTRACE_RESUME, UTRACE_RESUME}), Given(a, What::kSyscallEntry));
  EXPECT_EQ((Actions{UTRACE_RESUME, UTRACE_RESUME}), Given(a, What::kSyscallExit));
  EXPECT_EQ((Actions{UTRACE_REPORT, UTRACE_REPORT}), Given(b, What::kSyscallExit));
}

CLAUSE_TEST(REP_04, QuiesceResultsCount) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  a.On(What::kQuiesce, [](Report& report) -> uint32_t {
    return report.event == UTRACE_EVENT(CLONE) ? UTRACE_REPORT : UTRACE_RESUME;
  });
  for (TestEngine* engine : {&a, &b}) {
    ASSERT_EQ(0, engine->AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine->SetEvents(UTRACE_EVENT(CLONE) | kQuiesce));
  }
  puppet.Fork();
  EXPECT_EQ((Actions{UTRACE_REPORT}), Given(a, What::kClone));
  EXPECT_EQ((Actions{UTRACE_REPORT}), Given(b, What::kClone));
  for (const Report& report : GlobalLog()) {
    if (report.what != What::kQuiesce || report.event != UTRACE_EVENT(CLONE)) continue;
    ExpectResumeOneOf(report.action, {report.engine_name == "A" ? UTRACE_RESUME : UTRACE_REPORT});
  }
}

CLAUSE_TEST(REP_04, InReportSignal) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine a("A");
  TestEngine b("B");
  TestEngine c("C");
  a.On(What::kSignal, Answer(UTRACE_REPORT));
  for (TestEngine* engine : {&a, &b, &c}) {
    ASSERT_EQ(0, engine->AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine->SetEvents(UTRACE_EVENT(SIGNAL)));
  }
  EXPECT_EQ(0, puppet.Raise(SIGUSR1));
  EXPECT_EQ((Actions{UTRACE_RESUME}), Given(a, What::kSignal));
  EXPECT_EQ((Actions{UTRACE_REPORT}), Given(b, What::kSignal));
  EXPECT_EQ((Actions{UTRACE_REPORT}), Given(c, What::kSignal));
}

CLAUSE_TEST(REP_04, InReportExitAndJctl) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  a.On(What::kJctl, Answer(UTRACE_REPORT));
  a.On(What::kExit, Answer(UTRACE_REPORT));
  for (TestEngine* engine : {&a, &b}) {
    ASSERT_EQ(0, engine->AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine->SetEvents(UTRACE_EVENT(JCTL) | UTRACE_EVENT(EXIT)));
  }
  puppet.Kill(SIGSTOP);
  b.AwaitEnded(What::kJctl);
  puppet.Kill(SIGCONT);
  b.AwaitEnded(What::kJctl, 2);
  puppet.BeginExitGroup(0);
  puppet.AwaitDeath();
  EXPECT_EQ((Actions{UTRACE_RESUME, UTRACE_RESUME}), Given(a, What::kJctl));
  EXPECT_EQ((Actions{UTRACE_REPORT, UTRACE_REPORT}), Given(b, What::kJctl));
  EXPECT_EQ((Actions{UTRACE_RESUME}), Given(a, What::kExit));
  EXPECT_EQ((Actions{UTRACE_REPORT}), Given(b, What::kExit));
}

// ---- REP-05 ------------------------------------------------------------------------------------

CLAUSE_TEST(REP_05, StopBeforeAnythingElse) {
  for (const bool first : {true, false}) {
    for (const uint32_t other :
         {UTRACE_INTERRUPT, UTRACE_REPORT, UTRACE_SINGLESTEP, UTRACE_RESUME, UTRACE_DETACH}) {
      SCOPED_TRACE(ResumeActionName(other));
      Puppet& puppet = Spawn();
      TestEngine a("A");
      TestEngine b("B");
      TestEngine& stopper = first ? a : b;
      stopper.On(What::kSyscallExit, AtMarker(UTRACE_STOP));
      (first ? b : a).On(What::kSyscallExit, AtMarker(other));
      for (TestEngine* engine : {&a, &b}) {
        ASSERT_EQ(0, engine->AttachTid(puppet.tid()));
        ASSERT_EQ(0, engine->SetEvents(kExit));
      }
      puppet.Begin(kMarker);
      AwaitHeld(stopper);
      EXPECT_FALSE(puppet.Finished());
      EXPECT_EQ(0, stopper.Control(UTRACE_DETACH));
    }
  }
}

CLAUSE_TEST(REP_05, AStepBesideResume) {
  if (!api().utrace_has_single_step()) Unsupported("no single step");
  for (const bool first : {true, false}) {
    Puppet& puppet = Spawn();
    TestEngine a("A");
    TestEngine b("B");
    TestEngine& stepper = first ? a : b;
    stepper.On(What::kSyscallExit, AtMarker(UTRACE_SINGLESTEP));
    stepper.On(What::kSignal, [](Report& report) -> uint32_t {
      return report.signo() == SIGTRAP ? uint32_t{UTRACE_SIGNAL_IGN} | UTRACE_RESUME
                                       : PassThrough(report);
    });
    for (TestEngine* engine : {&a, &b}) {
      ASSERT_EQ(0, engine->AttachTid(puppet.tid()));
      ASSERT_EQ(0, engine->SetEvents(kExit));
    }
    ASSERT_EQ(0, stepper.SetEvents(kExit | UTRACE_EVENT_SIGNAL_ALL));
    puppet.BeginSteps();
    EXPECT_EQ(puppet::kStepResult, puppet.Finish());
    EXPECT_EQ(1, stepper.CountSignal(SIGTRAP)) << Describe(GlobalLog());
  }
}

CLAUSE_TEST(REP_05, AReportBesideResumeOrAStep) {
  for (const uint32_t other : {UTRACE_SINGLESTEP, UTRACE_RESUME, UTRACE_DETACH}) {
    for (const bool first : {true, false}) {
      if (other == UTRACE_SINGLESTEP && !api().utrace_has_single_step()) continue;
      Puppet& puppet = Spawn();
      TestEngine a("A");
      TestEngine b("B");
      TestEngine& asker = first ? a : b;
      asker.On(What::kSyscallExit, AtMarker(UTRACE_REPORT));
      (first ? b : a).On(What::kSyscallExit, AtMarker(other));
      for (TestEngine* engine : {&a, &b}) {
        engine->On(What::kSignal, [](Report& report) -> uint32_t {
          return report.signo() == SIGTRAP ? uint32_t{UTRACE_SIGNAL_IGN} | UTRACE_RESUME
                                           : PassThrough(report);
        });
        ASSERT_EQ(0, engine->AttachTid(puppet.tid()));
        ASSERT_EQ(0, engine->SetEvents(kExit | kQuiesce | UTRACE_EVENT_SIGNAL_ALL));
      }
      EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
      EXPECT_LE(1, CountUserReturns(asker.Log())) << Describe(GlobalLog());
    }
  }
}

CLAUSE_TEST(REP_05, AnInterruptBesideAReport) {
  for (const bool first : {true, false}) {
    Puppet& puppet = Spawn();
    TestEngine a("A");
    TestEngine b("B");
    a.On(What::kSyscallExit, AtMarker(first ? UTRACE_INTERRUPT : UTRACE_REPORT));
    b.On(What::kSyscallExit, AtMarker(first ? UTRACE_REPORT : UTRACE_INTERRUPT));
    for (TestEngine* engine : {&a, &b}) {
      ASSERT_EQ(0, engine->AttachTid(puppet.tid()));
      ASSERT_EQ(0, engine->SetEvents(kExit | kQuiesce));
    }
    EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
    EXPECT_LE(1, a.Count(What::kSignal)) << Describe(GlobalLog());
    EXPECT_LE(1, b.Count(What::kSignal)) << Describe(GlobalLog());
  }
}

// ---- REP-06 ------------------------------------------------------------------------------------

CLAUSE_TEST(REP_06, AStopLastsWhateverOthersDo) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  a.On(What::kSyscallExit, AtMarker(UTRACE_STOP));
  for (TestEngine* engine : {&a, &b}) ASSERT_EQ(0, engine->AttachTid(puppet.tid()));
  ASSERT_EQ(0, a.SetEvents(kExit));
  ASSERT_EQ(0, b.SetEvents(kQuiesce));
  puppet.Begin(kMarker);
  AwaitHeld(a);
  // Reports and wishes of others come and go; A calls nothing and is not called.
  EXPECT_EQ(0, b.Control(UTRACE_REPORT));
  EXPECT_EQ(0, b.Control(UTRACE_INTERRUPT));
  EXPECT_EQ(0, b.Control(UTRACE_STOP));
  EXPECT_EQ(0, b.Control(UTRACE_RESUME));
  ExpectStaysHeld(a, puppet, [] {});
  EXPECT_FALSE(puppet.Finished());
  EXPECT_EQ(0, a.Control(UTRACE_RESUME));
  EXPECT_EQ(nanny().pid(), puppet.Finish());
}

// Broken by: a report that ends every STOP, and not only those of the engines called.
CLAUSE_TEST(REP_06, AStopOutlastsTheReportThatAnotherAskedFor) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  // Both in one report: B's leads to another one, in which A, without QUIESCE, has no part.
  a.On(What::kSyscallExit, AtMarker(UTRACE_STOP));
  b.On(What::kSyscallExit, AtMarker(UTRACE_REPORT));
  for (TestEngine* engine : {&a, &b}) ASSERT_EQ(0, engine->AttachTid(puppet.tid()));
  ASSERT_EQ(0, a.SetEvents(kExit));
  ASSERT_EQ(0, b.SetEvents(kExit | kQuiesce));
  puppet.Begin(kMarker);
  AwaitHeld(a);
  ExpectStaysHeld(a, puppet, [] {});
  EXPECT_FALSE(puppet.Finished());
  EXPECT_EQ(0, a.Control(UTRACE_RESUME));
  EXPECT_EQ(nanny().pid(), puppet.Finish());
  EXPECT_LE(1, CountUserReturns(b.Log())) << Describe(GlobalLog());
}

CLAUSE_TEST(REP_06, AnotherResultFromALaterCallbackEndsIt) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  // Both callbacks belong to one entry into the kernel.
  a.On(What::kClone, Answer(UTRACE_STOP));
  a.On(What::kSyscallExit, Answer(UTRACE_RESUME));
  ASSERT_EQ(0, a.AttachTid(puppet.tid()));
  ASSERT_EQ(0, a.SetEvents(UTRACE_EVENT(CLONE) | kExit));
  puppet.Fork();
  EXPECT_EQ(1, a.Count(What::kClone));
}

CLAUSE_TEST(REP_06, AStepHoldsForOneResumption) {
  if (!api().utrace_has_single_step()) Unsupported("no single step");
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.On(What::kSyscallExit, AtMarker(UTRACE_SINGLESTEP));
  engine.On(What::kSignal, [](Report& report) -> uint32_t {
    return report.signo() == SIGTRAP ? uint32_t{UTRACE_SIGNAL_IGN} | UTRACE_RESUME
                                     : PassThrough(report);
  });
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kExit | UTRACE_EVENT_SIGNAL_ALL));
  puppet.BeginSteps();
  EXPECT_EQ(puppet::kStepResult, puppet.Finish());
  EXPECT_EQ(1, engine.CountSignal(SIGTRAP)) << Describe(engine.Log());
}

CLAUSE_TEST(REP_06, AReportOrInterruptHoldsForOneResumption) {
  for (const uint32_t action : {UTRACE_REPORT, UTRACE_INTERRUPT}) {
    Puppet& puppet = Spawn();
    TestEngine engine("A");
    engine.On(What::kSyscallExit, AtMarker(action));
    ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine.SetEvents(kExit | kQuiesce));
    EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
    EXPECT_EQ(puppet.pid(), puppet.Call(SYS_getpid));
    EXPECT_EQ(puppet.pid(), puppet.Call(SYS_getpid));
    EXPECT_EQ(1, CountUserReturns(engine.Log())) << Describe(engine.Log());
  }
}

// ---- REP-17 ------------------------------------------------------------------------------------

CLAUSE_TEST(REP_17, InterruptLeadsToReportSignal) {
  Puppet& puppet = Spawn();
  uint64_t asked_at = 0;
  uint64_t signal_at = 0;
  bool asked = false;
  bool answered = false;
  // A can only be asked by report_quiesce; B hears of the signal path.
  TestEngine b("B");
  b.On(What::kSignal, [&](Report& report) -> uint32_t {
    if (asked && !answered) {
      answered = true;
      signal_at = puppet.SpinCount();
    }
    return PassThrough(report);
  });
  TestEngine a("A", OpsTable().Without(What::kSignal));
  a.On(What::kQuiesce, [&](Report&) -> uint32_t {
    if (asked) return UTRACE_RESUME;
    asked = true;
    asked_at = puppet.SpinCount();
    return UTRACE_INTERRUPT;
  });
  for (TestEngine* engine : {&b, &a}) {
    ASSERT_EQ(0, engine->AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine->SetEvents(kQuiesce));
  }
  StartSpinning(puppet);
  EXPECT_EQ(0, a.Control(UTRACE_REPORT));
  a.AwaitEnded(What::kQuiesce);
  ExpectRuns(puppet);
  EXPECT_TRUE(answered) << Describe(GlobalLog());
  EXPECT_EQ(asked_at, signal_at) << "user instructions ran before report_signal";
}

CLAUSE_TEST(REP_17, ReportCountsAsResume) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  OnUserReturn(engine, Answer(UTRACE_REPORT));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kQuiesce));
  StartSpinning(puppet);
  EXPECT_EQ(0, engine.Control(UTRACE_REPORT));
  AwaitUserReturns(engine, 1);
  ExpectRuns(puppet);
  EXPECT_EQ(1, CountUserReturns(engine.Log())) << Describe(engine.Log());
}

CLAUSE_TEST(REP_17, ReportHidesNoOtherEnginesStep) {
  if (!api().utrace_has_single_step()) Unsupported("no single step");
  for (const bool first : {true, false}) {
    Puppet& puppet = Spawn();
    TestEngine a("A", OpsTable().Without(What::kSignal));
    TestEngine b("B", OpsTable().Without(What::kSignal));
    TestEngine trap("T");
    TestEngine& reporter = first ? a : b;
    TestEngine& stepper = first ? b : a;
    bool stepped = false;
    reporter.On(What::kQuiesce, [](Report& report) -> uint32_t {
      return report.event == 0 ? UTRACE_REPORT : UTRACE_RESUME;
    });
    stepper.On(What::kQuiesce, [&](Report& report) -> uint32_t {
      if (report.event != 0 || stepped) return UTRACE_RESUME;
      stepped = true;
      return UTRACE_SINGLESTEP;
    });
    trap.On(What::kSignal, [](Report& report) -> uint32_t {
      return report.signo() == SIGTRAP ? uint32_t{UTRACE_SIGNAL_IGN} | UTRACE_RESUME
                                       : PassThrough(report);
    });
    for (TestEngine* engine : {&a, &b, &trap}) ASSERT_EQ(0, engine->AttachTid(puppet.tid()));
    ASSERT_EQ(0, a.SetEvents(kQuiesce));
    ASSERT_EQ(0, b.SetEvents(kQuiesce));
    ASSERT_EQ(0, trap.SetEvents(UTRACE_EVENT_SIGNAL_ALL));
    StartSpinning(puppet);
    EXPECT_EQ(0, reporter.Control(UTRACE_REPORT));
    trap.AwaitEnded(What::kSignal);
    EXPECT_EQ(1, trap.CountSignal(SIGTRAP));
    ExpectRuns(puppet);
  }
}

}  // namespace utrace::kit
