// STP-07, STP-08: a step is for one resumption, and each engine's wish is its own.
#include <atomic>

#include "conformance/clauses/signal_scenes.h"

namespace utrace::kit {
namespace {

constexpr unsigned long kEvents = kQuiesceEvent | kSignalEvents;
constexpr unsigned long kStart = UTRACE_EVENT(SYSCALL_EXIT);
constexpr long kStepResult = puppet::kStepResult;

// Answers the marker's exit with `first`, drops SIGTRAP with `next` and counts it.
void Step(TestEngine& engine, enum utrace_resume_action first, enum utrace_resume_action next) {
  engine.On(What::kSyscallExit, [&engine, first](Report& report) -> uint32_t {
    if (!IsMarker(report)) return UTRACE_RESUME;
    EXPECT_EQ(0, engine.SetEvents(kEvents));
    return first;
  });
  AnswerSignal(engine, SIGTRAP, UTRACE_SIGNAL_IGN, next);
}

// Holds the puppet at the exit of the marker that begins its steps; both engines stop it there.
void HoldAtSteps(Puppet& puppet, TestEngine& a, TestEngine& b) {
  for (TestEngine* engine : {&a, &b}) {
    engine->On(What::kSyscallExit, AtMarker(UTRACE_STOP));
    AttachWith(*engine, puppet, kEvents | kStart);
  }
  puppet.BeginSteps();
  b.AwaitLog("the marker's exit", [](const auto& log) {
    return !log.empty() && IsMarker(log.back()) && log.back().end != 0;
  });
  AwaitHeld(a);
  AwaitHeld(b);
}

// Answers the report on resumption with `resume`; drops SIGTRAP.
void OnResumption(TestEngine& engine, enum utrace_resume_action resume) {
  engine.On(What::kQuiesce,
            [=](Report& report) -> uint32_t { return report.event == 0 ? resume : UTRACE_RESUME; });
  engine.On(What::kSignal, [=](Report& report) -> uint32_t {
    return Answer(UTRACE_SIGNAL_IGN, IsUserReturn(report) ? resume : UTRACE_RESUME);
  });
}

}  // namespace

// ---- STP-07 ------------------------------------------------------------------------------------

CLAUSE_TEST(STP_07, OneStepForOneResumption) {
  SkipIfDeclared("NO-SINGLESTEP");
  for (enum utrace_resume_action action : {UTRACE_SINGLESTEP, UTRACE_BLOCKSTEP}) {
    Puppet& puppet = Spawn();
    TestEngine engine("A");
    Step(engine, action, UTRACE_RESUME);
    AttachWith(engine, puppet, kEvents | kStart);
    puppet.BeginSteps();
    EXPECT_EQ(kStepResult, puppet.Finish());
    ExpectWorks(puppet);
    EXPECT_EQ(1, engine.CountSignal(SIGTRAP)) << Describe(engine.Log());
  }
}

// Broken by: a wish to step that lasts until the engine is called again. A is not called for the trap.
CLAUSE_TEST(STP_07, OneStepAlsoWhereAnotherEngineTakesTheTrap) {
  SkipIfDeclared("NO-SINGLESTEP");
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  a.On(What::kSyscallExit, AtMarker(UTRACE_SINGLESTEP));
  AnswerSignal(b, SIGTRAP, UTRACE_SIGNAL_IGN);
  AttachWith(a, puppet, kStart);
  AttachWith(b, puppet, kSignalEvents);
  puppet.BeginSteps();
  EXPECT_EQ(kStepResult, puppet.Finish());
  EXPECT_EQ(1, b.CountSignal(SIGTRAP)) << Describe(b.Log());
}

CLAUSE_TEST(STP_07, OffAfterControlResume) {
  SkipIfDeclared("NO-SINGLESTEP");
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  Step(engine, UTRACE_SINGLESTEP, UTRACE_STOP);
  AttachWith(engine, puppet, kEvents | kStart);
  puppet.BeginSteps();
  AwaitSignal(engine, SIGTRAP);
  AwaitHeld(engine);
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  EXPECT_EQ(kStepResult, puppet.Finish());
  EXPECT_EQ(1, engine.CountSignal(SIGTRAP)) << Describe(engine.Log());
}

CLAUSE_TEST(STP_07, OffAfterDetach) {
  SkipIfDeclared("NO-SINGLESTEP");
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  Step(engine, UTRACE_SINGLESTEP, UTRACE_DETACH);
  AttachWith(engine, puppet, kEvents | kStart);
  puppet.BeginSteps();
  EXPECT_EQ(kStepResult, puppet.Finish());
  ExpectWorks(puppet);
}

// Broken by: a step that is still on when its engine leaves, whose SIGTRAP then kills.
CLAUSE_TEST(STP_07, AStepOfAnEngineThatLeavesAtOnceKillsNobody) {
  SkipIfDeclared("NO-SINGLESTEP");
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  HoldAtSteps(puppet, a, b);
  a.On(What::kSyscallExit, nullptr);
  EXPECT_EQ(0, a.Control(UTRACE_SINGLESTEP));
  ExpectOneOf(a.Control(UTRACE_DETACH), {0});
  EXPECT_EQ(0, b.Control(UTRACE_RESUME));
  EXPECT_EQ(kStepResult, puppet.Finish());
  EXPECT_EQ(0, b.CountSignal(SIGTRAP)) << Describe(b.Log());
}

// ---- STP-08 ------------------------------------------------------------------------------------

CLAUSE_TEST(STP_08, AResumeResultTakesNoStepAway) {
  SkipIfDeclared("NO-SINGLESTEP");
  for (const bool first : {true, false}) {
    Puppet& puppet = Spawn();
    TestEngine a("A");
    TestEngine b("B");
    Step(first ? a : b, UTRACE_SINGLESTEP, UTRACE_SINGLESTEP);
    Step(first ? b : a, UTRACE_RESUME, UTRACE_RESUME);
    AttachWith(a, puppet, kEvents | kStart);
    AttachWith(b, puppet, kEvents | kStart);
    TestEngine& stepper = first ? a : b;
    stepper.On(What::kSignal, [&, count = 0](Report& report) mutable -> uint32_t {
      if (!IsSignal(report, SIGTRAP)) return PassThrough(report);
      return Answer(UTRACE_SIGNAL_IGN,
                    ++count < puppet::kSteps ? UTRACE_SINGLESTEP : UTRACE_RESUME);
    });
    puppet.BeginSteps();
    EXPECT_EQ(kStepResult, puppet.Finish());
    EXPECT_EQ(puppet::kSteps, stepper.CountSignal(SIGTRAP)) << Describe(stepper.Log());
  }
}

// The exemplar: one engine's RESUME turned off the other's step.
CLAUSE_TEST(STP_08, AControlResumeTakesNoStepAway) {
  SkipIfDeclared("NO-SINGLESTEP");
  for (const bool resume_first : {true, false}) {
    Puppet& puppet = Spawn();
    TestEngine a("A");
    TestEngine b("B");
    HoldAtSteps(puppet, a, b);
    OnResumption(a, UTRACE_RESUME);
    OnResumption(b, UTRACE_SINGLESTEP);
    if (resume_first) {
      EXPECT_EQ(0, a.Control(UTRACE_RESUME));
    }
    EXPECT_EQ(0, b.Control(UTRACE_SINGLESTEP));
    if (!resume_first) {
      EXPECT_EQ(0, a.Control(UTRACE_RESUME));
    }
    EXPECT_EQ(kStepResult, puppet.Finish());
    EXPECT_EQ(1, b.CountSignal(SIGTRAP)) << Describe(GlobalLog());
  }
}

// An engine without QUIESCE has no report on resumption that could answer for it.
// Broken by: a RESUME between the last callback of the stepping engine and user mode.
CLAUSE_TEST(STP_08, NorDoesOneThatComesBeforeTheStep) {
  SkipIfDeclared("NO-SINGLESTEP");
  Puppet& puppet = Spawn();
  Gate gate("the last report before the step may end");
  TestEngine a("A");
  TestEngine b("B");
  TestEngine last("last");
  HoldAtSteps(puppet, a, b);
  ASSERT_EQ(0, a.SetEvents(0));
  OnResumption(b, UTRACE_SINGLESTEP);
  OnUserReturn(last, WaitAt(gate, UTRACE_RESUME));
  AttachWith(last, puppet, kQuiesceEvent);
  EXPECT_EQ(0, b.Control(UTRACE_SINGLESTEP));
  EXPECT_EQ(0, a.Control(UTRACE_RESUME));
  gate.AwaitArrival();
  EXPECT_EQ(0, a.Control(UTRACE_RESUME));
  gate.Open();
  EXPECT_EQ(kStepResult, puppet.Finish());
  EXPECT_EQ(1, b.CountSignal(SIGTRAP)) << Describe(GlobalLog());
}

CLAUSE_TEST(STP_08, NorDoesTheResumeOfAnEngineWithoutEvents) {
  SkipIfDeclared("NO-SINGLESTEP");
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  HoldAtSteps(puppet, a, b);
  ASSERT_EQ(0, a.SetEvents(0));
  OnResumption(b, UTRACE_SINGLESTEP);
  EXPECT_EQ(0, b.Control(UTRACE_SINGLESTEP));
  EXPECT_EQ(0, a.Control(UTRACE_RESUME));
  EXPECT_EQ(kStepResult, puppet.Finish());
  EXPECT_EQ(1, b.CountSignal(SIGTRAP)) << Describe(GlobalLog());
}

CLAUSE_TEST(STP_08, AStepWakesNoTaskThatAnotherHolds) {
  SkipIfDeclared("NO-SINGLESTEP");
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  HoldAtSteps(puppet, a, b);
  OnResumption(a, UTRACE_RESUME);
  OnResumption(b, UTRACE_SINGLESTEP);
  ExpectStaysHeld(a, puppet, [&] { EXPECT_EQ(0, b.Control(UTRACE_SINGLESTEP)); });
  EXPECT_EQ(0, a.Control(UTRACE_RESUME));
  EXPECT_EQ(kStepResult, puppet.Finish());
  EXPECT_EQ(1, b.CountSignal(SIGTRAP)) << Describe(GlobalLog());
}

CLAUSE_TEST(STP_08, AResumeWakesNoTaskThatAnotherHolds) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  HoldAtSteps(puppet, a, b);
  ExpectStaysHeld(b, puppet, [&] { EXPECT_EQ(0, a.Control(UTRACE_RESUME)); });
  EXPECT_EQ(0, b.Control(UTRACE_RESUME));
  EXPECT_EQ(kStepResult, puppet.Finish());
}

// One engine steps all the while, another one says RESUME from outside again and again.
CLAUSE_TEST(STP_08, StressResumesBesideSteps) {
  SkipIfDeclared("NO-SINGLESTEP");
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  Step(b, UTRACE_SINGLESTEP, UTRACE_SINGLESTEP);
  std::atomic<int> count = 0;
  b.On(What::kSignal, [&](Report& report) -> uint32_t {
    if (!IsSignal(report, SIGTRAP)) return WithResume(report, UTRACE_SINGLESTEP);
    const bool more = ++count % puppet::kSteps != 0;
    return Answer(UTRACE_SIGNAL_IGN, more ? UTRACE_SINGLESTEP : UTRACE_RESUME);
  });
  AttachWith(a, puppet, 0);
  AttachWith(b, puppet, kEvents | kStart);
  constexpr int kRounds = 20;
  for (int round = 1; round <= kRounds; ++round) {
    ASSERT_EQ(0, b.SetEvents(kEvents | kStart));
    puppet.BeginSteps();
    while (!puppet.Finished()) EXPECT_EQ(0, a.Control(UTRACE_RESUME));
    EXPECT_EQ(kStepResult, puppet.Finish());
    ASSERT_EQ(round * puppet::kSteps, count.load());
  }
}

}  // namespace utrace::kit
