// STP-01 to STP-08: one instruction, one branch, and whose word counts.
#include "conformance/clauses/signal_scenes.h"

namespace utrace::kit {
namespace {

constexpr unsigned long kEvents = kQuiesceEvent | kSignalEvents;
constexpr unsigned long kStart = UTRACE_EVENT(SYSCALL_EXIT);
constexpr long kStepResult = puppet::kStepResult;
constexpr long kBranchResult = puppet::kBranchResult;

uint64_t PcOf(utrace_task* task) {
  uint64_t pc = 0;
  EXPECT_EQ(0, api().utrace_get_pc(task, &pc));
  return pc;
}

// An engine that starts at the exit of the marker call by which BeginSteps and BeginBranches begin,
// with `first`; answers the SIGTRAP of each step with `next` and keeps the places, up to `most`, and
// then with RESUME. Its own system call events are off from the first step on, so that nothing but
// the steps has a say.
class Stepper {
 public:
  Stepper(const PuppetThread& puppet, enum utrace_resume_action first,
          enum utrace_resume_action next, size_t most) {
    engine_.On(What::kSyscallExit, [this, first](Report& report) -> uint32_t {
      if (!IsMarker(report)) return UTRACE_RESUME;
      EXPECT_EQ(0, engine_.SetEvents(kEvents));
      return first;
    });
    engine_.On(What::kSignal, [this, next, most](Report& report) -> uint32_t {
      if (!IsSignal(report, SIGTRAP)) return PassThrough(report);
      places_.push_back(PcOf(report.task));
      return Answer(UTRACE_SIGNAL_IGN, places_.size() < most ? next : UTRACE_RESUME);
    });
    AttachWith(engine_, puppet, kEvents | kStart);
  }

  TestEngine& engine() { return engine_; }
  // After the puppet's Finish.
  const std::vector<uint64_t>& places() const { return places_; }
  std::string Show() const {
    std::string text = Describe(engine_.Log());
    for (uint64_t place : places_) text += std::to_string(place) + " ";
    return text;
  }

 private:
  std::vector<uint64_t> places_;
  TestEngine engine_{"stepper"};
};

std::vector<uint64_t> StepPlaces(const PuppetThread& puppet, int first, int last) {
  std::vector<uint64_t> places;
  for (int i = first; i <= last; ++i) places.push_back(puppet.addresses().step[i]);
  return places;
}

// Whether `places` are steps from branch_start on, not branches.
void ExpectFirstBranches(const PuppetThread& puppet, const std::vector<uint64_t>& places) {
  if (api().utrace_has_block_step()) {
    EXPECT_EQ((std::vector<uint64_t>(puppet.addresses().branch,
                                     puppet.addresses().branch + puppet::kBranchTargets)),
              places);
    return;
  }
  // SINGLESTEP instead: the first places are the instructions behind the call.
  ASSERT_EQ(3U, places.size());
  EXPECT_LT(puppet.addresses().branch_start, places[0]);
  EXPECT_LT(places[0], places[1]);
  EXPECT_LT(places[1], puppet.addresses().branch[0]);
}

}  // namespace

// ---- STP-01, STP-02 ----------------------------------------------------------------------------

CLAUSE_TEST(STP_01, OneInstructionThenSigtrap) {
  SkipIfDeclared("NO-SINGLESTEP");
  Puppet& puppet = Spawn();
  Stepper stepper(puppet, UTRACE_SINGLESTEP, UTRACE_SINGLESTEP, 1);
  puppet.BeginSteps();
  EXPECT_EQ(kStepResult, puppet.Finish());
  EXPECT_EQ(StepPlaces(puppet, 1, 1), stepper.places()) << stepper.Show();
}

CLAUSE_TEST(STP_01, EveryInstructionInTurn) {
  SkipIfDeclared("NO-SINGLESTEP");
  Puppet& puppet = Spawn();
  Stepper stepper(puppet, UTRACE_SINGLESTEP, UTRACE_SINGLESTEP, puppet::kSteps);
  puppet.BeginSteps();
  EXPECT_EQ(kStepResult, puppet.Finish());
  EXPECT_EQ(StepPlaces(puppet, 1, puppet::kSteps), stepper.places()) << stepper.Show();
}

CLAUSE_TEST(STP_01, SigtrapIsReportedAsItsDispositionSays) {
  SkipIfDeclared("NO-SINGLESTEP");
  Puppet& puppet = Spawn();
  Stepper stepper(puppet, UTRACE_SINGLESTEP, UTRACE_SINGLESTEP, 1);
  puppet.BeginSteps();
  EXPECT_EQ(kStepResult, puppet.Finish());
  const Report report = SignalReportOf(stepper.engine(), SIGTRAP);
  EXPECT_EQ(uint32_t{UTRACE_SIGNAL_CORE}, report.signal_action());
  EXPECT_TRUE(report.has_orig_ka);
}

CLAUSE_TEST(STP_01, DeliveredItKillsAsAnySigtrap) {
  SkipIfDeclared("NO-SINGLESTEP");
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.On(What::kSyscallExit, AtMarker(UTRACE_SINGLESTEP));
  AttachWith(engine, puppet, kEvents | kStart);
  puppet.BeginSteps();
  ExpectEndsBy(puppet, SIGTRAP);
}

CLAUSE_TEST(STP_01, ByControlFromAStop) {
  SkipIfDeclared("NO-SINGLESTEP");
  Puppet& puppet = Spawn();
  std::vector<uint64_t> places;
  TestEngine engine("A");
  engine.On(What::kSyscallExit, AtMarker(UTRACE_STOP));
  engine.On(What::kQuiesce, [](Report& report) -> uint32_t {
    return report.event == 0 ? UTRACE_SINGLESTEP : UTRACE_RESUME;
  });
  engine.On(What::kSignal, [&](Report& report) -> uint32_t {
    if (IsUserReturn(report)) return Answer(UTRACE_SIGNAL_IGN, UTRACE_SINGLESTEP);
    if (IsSignal(report, SIGTRAP)) places.push_back(PcOf(report.task));
    return Answer(UTRACE_SIGNAL_IGN, UTRACE_RESUME);
  });
  AttachWith(engine, puppet, kEvents | kStart);
  puppet.BeginSteps();
  engine.AwaitLog("the marker's exit", [](const auto& log) {
    return !log.empty() && IsMarker(log.back()) && log.back().end != 0;
  });
  AwaitHeld(engine);
  EXPECT_EQ(0, engine.Control(UTRACE_SINGLESTEP));
  EXPECT_EQ(kStepResult, puppet.Finish());
  EXPECT_EQ(StepPlaces(puppet, 1, 1), places) << Describe(engine.Log());
}

// From one stop to the next: the SIGTRAP's report holds the task, control steps it on.
CLAUSE_TEST(STP_01, ByControlFromStopToStop) {
  SkipIfDeclared("NO-SINGLESTEP");
  Puppet& puppet = Spawn();
  std::vector<uint64_t> places;
  TestEngine engine("A");
  engine.On(What::kSyscallExit, AtMarker(UTRACE_STOP));
  engine.On(What::kQuiesce, [](Report& report) -> uint32_t {
    return report.event == 0 ? UTRACE_SINGLESTEP : UTRACE_RESUME;
  });
  engine.On(What::kSignal, [](Report& report) -> uint32_t {
    if (IsUserReturn(report)) return Answer(UTRACE_SIGNAL_IGN, UTRACE_SINGLESTEP);
    return Answer(UTRACE_SIGNAL_IGN, UTRACE_STOP);
  });
  AttachWith(engine, puppet, kEvents | kStart);
  puppet.BeginSteps();
  engine.AwaitLog("the marker's exit", [](const auto& log) {
    return !log.empty() && IsMarker(log.back()) && log.back().end != 0;
  });
  AwaitHeld(engine);
  for (int i = 1; i <= 4; ++i) {
    EXPECT_EQ(0, engine.Control(UTRACE_SINGLESTEP));
    AwaitSignal(engine, SIGTRAP, i);
    AwaitHeld(engine);
    places.push_back(PcOf(engine.task()));
  }
  EXPECT_EQ(StepPlaces(puppet, 1, 4), places) << Describe(engine.Log());
  engine.On(What::kQuiesce, nullptr);
  engine.On(What::kSignal, nullptr);
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  EXPECT_EQ(kStepResult, puppet.Finish());
}

CLAUSE_TEST(STP_02, ControlSaysWhetherTheMachineCan) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  AttachWith(engine, puppet, kQuiesceEvent);
  StartSpinning(puppet);
  engine.StopAndWait();
  if (api().utrace_has_single_step()) {
    // A RESUME result of the report that comes first takes the step away.
    EXPECT_EQ(0, engine.Control(UTRACE_SINGLESTEP));
    ExpectRuns(puppet);
    return;
  }
  ExpectStaysHeld(engine, puppet,
                  [&] { EXPECT_EQ(-EOPNOTSUPP, engine.Control(UTRACE_SINGLESTEP)); });
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  ExpectRuns(puppet);
}

CLAUSE_TEST(STP_02, WhatIsDeclaredAgreesWithTheMachine) {
  EXPECT_EQ(Declares("NO-SINGLESTEP"), !api().utrace_has_single_step());
  // Who can stop at branches can stop at instructions.
  EXPECT_TRUE(api().utrace_has_single_step() || !api().utrace_has_block_step());
}

// ---- STP-03, STP-04 ----------------------------------------------------------------------------

CLAUSE_TEST(STP_03, BlockstepStopsAtTakenBranches) {
  SkipIfDeclared("NO-SINGLESTEP");
  Puppet& puppet = Spawn();
  Stepper stepper(puppet, UTRACE_BLOCKSTEP, UTRACE_BLOCKSTEP, 3);
  puppet.BeginBranches();
  EXPECT_EQ(kBranchResult, puppet.Finish());
  ExpectFirstBranches(puppet, stepper.places());
}

CLAUSE_TEST(STP_03, SinglestepGoesThroughBranchesOneByOne) {
  SkipIfDeclared("NO-SINGLESTEP");
  Puppet& puppet = Spawn();
  Stepper stepper(puppet, UTRACE_SINGLESTEP, UTRACE_SINGLESTEP, 3);
  puppet.BeginBranches();
  EXPECT_EQ(kBranchResult, puppet.Finish());
  ASSERT_EQ(3U, stepper.places().size());
  EXPECT_LT(stepper.places()[1], puppet.addresses().branch[0]);
  EXPECT_EQ(puppet.addresses().branch[0], stepper.places()[2]);
}

// Broken by: a machine whose block step bit stays set.
CLAUSE_TEST(STP_03, SinglestepAfterBlockstepIsOneInstruction) {
  SkipIfDeclared("NO-SINGLESTEP");
  Puppet& puppet = Spawn();
  Stepper stepper(puppet, UTRACE_BLOCKSTEP, UTRACE_SINGLESTEP, 3);
  puppet.BeginBranches();
  EXPECT_EQ(kBranchResult, puppet.Finish());
  ASSERT_EQ(3U, stepper.places().size()) << stepper.Show();
  EXPECT_LT(stepper.places()[0], stepper.places()[1]);
  EXPECT_LT(stepper.places()[1], stepper.places()[2]);
  EXPECT_LT(stepper.places()[2], puppet.addresses().branch[1]);
}

CLAUSE_TEST(STP_04, SinglestepWinsOverBlockstep) {
  SkipIfDeclared("NO-SINGLESTEP");
  for (const bool single_first : {true, false}) {
    Puppet& puppet = Spawn();
    const auto first = single_first ? UTRACE_SINGLESTEP : UTRACE_BLOCKSTEP;
    const auto second = single_first ? UTRACE_BLOCKSTEP : UTRACE_SINGLESTEP;
    Stepper a(puppet, first, UTRACE_RESUME, 1);
    Stepper b(puppet, second, UTRACE_RESUME, 1);
    puppet.BeginBranches();
    EXPECT_EQ(kBranchResult, puppet.Finish());
    ASSERT_EQ(1U, a.places().size()) << a.Show();
    EXPECT_LT(puppet.addresses().branch_start, a.places()[0]);
    EXPECT_LT(a.places()[0], puppet.addresses().branch[0]);
    EXPECT_EQ(a.places(), b.places());
  }
}

// ---- STP-05 ------------------------------------------------------------------------------------

// SINGLESTEP from a system call's exit, and behind it the report of a signal, which decides.
std::vector<uint64_t> StepThenSignal(Puppet& puppet, enum utrace_resume_action exit,
                                     enum utrace_resume_action signal) {
  std::vector<uint64_t> places;
  TestEngine engine("A");
  engine.On(What::kSyscallExit, [&](Report& report) -> uint32_t {
    if (!IsMarker(report)) return UTRACE_RESUME;
    puppet.Tgkill(SIGWINCH);
    EXPECT_EQ(0, engine.SetEvents(kEvents));
    return exit;
  });
  engine.On(What::kSignal, [&](Report& report) -> uint32_t {
    if (IsSignal(report, SIGWINCH)) return Answer(UTRACE_SIGNAL_IGN, signal);
    if (!IsSignal(report, SIGTRAP)) return PassThrough(report);
    places.push_back(PcOf(report.task));
    return Answer(UTRACE_SIGNAL_IGN, UTRACE_RESUME);
  });
  AttachWith(engine, puppet, kEvents | kStart);
  puppet.BeginSteps();
  EXPECT_EQ(kStepResult, puppet.Finish());
  EXPECT_EQ(1, engine.CountSignal(SIGWINCH));
  return places;
}

CLAUSE_TEST(STP_05, ALaterResumeTurnsItOff) {
  SkipIfDeclared("NO-SINGLESTEP");
  Puppet& puppet = Spawn();
  EXPECT_EQ((std::vector<uint64_t>{}), StepThenSignal(puppet, UTRACE_SINGLESTEP, UTRACE_RESUME));
}

CLAUSE_TEST(STP_05, ALaterSinglestepTurnsItOn) {
  SkipIfDeclared("NO-SINGLESTEP");
  Puppet& puppet = Spawn();
  EXPECT_EQ(StepPlaces(puppet, 1, 1), StepThenSignal(puppet, UTRACE_RESUME, UTRACE_SINGLESTEP));
}

CLAUSE_TEST(STP_05, BothSayStep) {
  SkipIfDeclared("NO-SINGLESTEP");
  Puppet& puppet = Spawn();
  EXPECT_EQ(StepPlaces(puppet, 1, 1), StepThenSignal(puppet, UTRACE_SINGLESTEP, UTRACE_SINGLESTEP));
}

// SINGLESTEP by control, and RESUME from the report that comes when the task is let go.
CLAUSE_TEST(STP_05, TheReportOnResumptionDecides) {
  SkipIfDeclared("NO-SINGLESTEP");
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.On(What::kSyscallExit, AtMarker(UTRACE_STOP));
  AttachWith(engine, puppet, kEvents | kStart);
  puppet.BeginSteps();
  engine.AwaitLog("the marker's exit", [](const auto& log) {
    return !log.empty() && IsMarker(log.back()) && log.back().end != 0;
  });
  AwaitHeld(engine);
  EXPECT_EQ(0, engine.Control(UTRACE_SINGLESTEP));
  EXPECT_EQ(kStepResult, puppet.Finish());
  EXPECT_EQ(0, engine.CountSignal(SIGTRAP)) << Describe(engine.Log());
}

// ---- STP-06 ------------------------------------------------------------------------------------

CLAUSE_TEST(STP_06, IntoASystemCallItReportsBehindIt) {
  SkipIfDeclared("NO-SINGLESTEP");
  Puppet& puppet = Spawn();
  Stepper stepper(puppet, UTRACE_SINGLESTEP, UTRACE_SINGLESTEP, puppet::kStepSyscall + 2);
  puppet.BeginSteps();
  EXPECT_EQ(kStepResult, puppet.Finish());
  // step[6] leads over the call to step[7], once; the call was made.
  EXPECT_EQ(StepPlaces(puppet, 1, puppet::kStepSyscall + 2), stepper.places()) << stepper.Show();
}

// The call's own reports keep the step up if their results say so.
CLAUSE_TEST(STP_06, IntoAReportedSystemCall) {
  SkipIfDeclared("NO-SINGLESTEP");
  Puppet& puppet = Spawn();
  std::vector<uint64_t> places;
  bool stepping = false;
  TestEngine engine("A");
  const auto step = [&](Report& report) -> uint32_t {
    if (IsMarker(report) && report.what == What::kSyscallExit) stepping = true;
    return WithResume(report, stepping ? UTRACE_SINGLESTEP : UTRACE_RESUME);
  };
  engine.On(What::kSyscallEntry, step);
  engine.On(What::kSyscallExit, step);
  engine.On(What::kQuiesce, step);
  engine.On(What::kSignal, [&](Report& report) -> uint32_t {
    if (!IsSignal(report, SIGTRAP)) return WithResume(report, UTRACE_SINGLESTEP);
    places.push_back(PcOf(report.task));
    stepping = places.size() < puppet::kSteps;
    return Answer(UTRACE_SIGNAL_IGN, stepping ? UTRACE_SINGLESTEP : UTRACE_RESUME);
  });
  AttachWith(engine, puppet, kEvents | UTRACE_EVENT_SYSCALL);
  puppet.BeginSteps();
  EXPECT_EQ(kStepResult, puppet.Finish());
  EXPECT_EQ(StepPlaces(puppet, 1, puppet::kSteps), places) << Describe(engine.Log());
  EXPECT_EQ(1, engine.CountSyscall(What::kSyscallEntry, SYS_getuid));
  EXPECT_EQ(1, engine.CountSyscall(What::kSyscallExit, SYS_getuid));
}

CLAUSE_TEST(STP_06, IntoASignalsDeliveryItReportsTheHandler) {
  SkipIfDeclared("NO-SINGLESTEP");
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  std::vector<uint64_t> traps;
  uint64_t handler = 0;
  TestEngine engine("A");
  engine.On(What::kSyscallExit, [&](Report& report) -> uint32_t {
    if (!IsMarker(report)) return UTRACE_RESUME;
    EXPECT_EQ(0, engine.SetEvents(kEvents));
    return UTRACE_SINGLESTEP;
  });
  engine.On(What::kSignal, [&](Report& report) -> uint32_t {
    if (IsHandlerReport(report)) {
      handler = PcOf(report.task);
      EXPECT_EQ(0U, puppet.HandlerRuns());
      return Answer(UTRACE_SIGNAL_IGN, UTRACE_RESUME);
    }
    if (IsSignal(report, SIGUSR1)) return Answer(UTRACE_SIGNAL_DELIVER, UTRACE_SINGLESTEP);
    if (!IsSignal(report, SIGTRAP)) return PassThrough(report);
    traps.push_back(PcOf(report.task));
    // The next thing the task does is to take this signal.
    puppet.Tgkill(SIGUSR1);
    return Answer(UTRACE_SIGNAL_IGN, UTRACE_SINGLESTEP);
  });
  AttachWith(engine, puppet, kEvents | kStart);
  puppet.BeginSteps();
  EXPECT_EQ(kStepResult, puppet.Finish());
  EXPECT_EQ(puppet.addresses().handler, handler) << Describe(engine.Log());
  EXPECT_EQ(StepPlaces(puppet, 1, 1), traps) << Describe(engine.Log());
  ASSERT_EQ(1U, puppet.HandlerRuns(SIGUSR1));
  EXPECT_EQ(puppet.addresses().step[1], puppet.Signals()[0].pc);
}

}  // namespace utrace::kit
