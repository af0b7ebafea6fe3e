// STP-01, STP-06, STP-07 where steps meet the program's own SIGTRAP, handlers, and children.
#include "conformance/clauses/signal_scenes.h"

namespace utrace::kit {
namespace {

constexpr unsigned long kEvents = kQuiesceEvent | kSignalEvents;
constexpr long kStepResult = puppet::kStepResult;

uint64_t PcOf(utrace_task* task) {
  uint64_t pc = 0;
  EXPECT_EQ(0, api().utrace_get_pc(task, &pc));
  return pc;
}

// Steps the puppet through `steps` instructions of BeginSteps; the number of SIGTRAPs reported.
int CountSteps(Puppet& puppet, int steps) {
  int seen = 0;
  TestEngine engine("A");
  engine.On(What::kSyscallExit, [&](Report& report) -> uint32_t {
    if (!IsMarker(report)) return UTRACE_RESUME;
    EXPECT_EQ(0, engine.SetEvents(kEvents));
    return UTRACE_SINGLESTEP;
  });
  OnSignal(engine, SIGTRAP, [&](Report&) -> uint32_t {
    return Answer(UTRACE_SIGNAL_IGN, ++seen < steps ? UTRACE_SINGLESTEP : UTRACE_RESUME);
  });
  AttachWith(engine, puppet, kEvents | UTRACE_EVENT(SYSCALL_EXIT));
  puppet.BeginSteps();
  EXPECT_EQ(kStepResult, puppet.Finish());
  return seen;
}

}  // namespace

CLAUSE_TEST(STP_01, ReportedThoughTheProgramHandlesSigtrap) {
  SkipIfDeclared("NO-SINGLESTEP");
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGTRAP, Disposition::kHandler);
  EXPECT_EQ(3, CountSteps(puppet, 3));
  EXPECT_EQ(0U, puppet.HandlerRuns());
  EXPECT_EQ(puppet.addresses().handler, ProgramsHandler(puppet, SIGTRAP));
}

CLAUSE_TEST(STP_01, ReportedThoughTheProgramIgnoresSigtrap) {
  SkipIfDeclared("NO-SINGLESTEP");
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGTRAP, Disposition::kIgnore);
  EXPECT_EQ(3, CountSteps(puppet, 3));
}

CLAUSE_TEST(STP_01, ReportedThoughTheProgramBlocksSigtrap) {
  SkipIfDeclared("NO-SINGLESTEP");
  Puppet& puppet = Spawn();
  ASSERT_EQ(0, puppet.Sigprocmask(SIG_BLOCK, uint64_t{1} << (SIGTRAP - 1)));
  EXPECT_EQ(3, CountSteps(puppet, 3));
}

CLAUSE_TEST(STP_01, InAThreadThatIsNotTheLeader) {
  SkipIfDeclared("NO-SINGLESTEP");
  Puppet& puppet = Spawn();
  PuppetThread& thread = puppet.SpawnThread();
  int seen = 0;
  TestEngine engine("A");
  engine.On(What::kSyscallExit, [&](Report& report) -> uint32_t {
    return IsMarker(report) ? UTRACE_SINGLESTEP : UTRACE_RESUME;
  });
  OnSignal(engine, SIGTRAP, [&](Report& report) -> uint32_t {
    ++seen;
    EXPECT_EQ(puppet.addresses().step[1], PcOf(report.task));
    return Answer(UTRACE_SIGNAL_IGN, UTRACE_RESUME);
  });
  AttachWith(engine, thread, kEvents | UTRACE_EVENT(SYSCALL_EXIT));
  thread.BeginSteps();
  EXPECT_EQ(kStepResult, thread.Finish());
  EXPECT_EQ(1, seen);
}

// A signal broke a call, and is ignored: the next instruction is the call, made again. It has its own entry and exit.
CLAUSE_TEST(STP_06, FromASignalIntoTheCallThatItBroke) {
  SkipIfDeclared("NO-SINGLESTEP");
  Puppet& puppet = Spawn();
  int traps = 0;
  TestEngine engine("A");
  engine.On(What::kSignal, [&](Report& report) -> uint32_t {
    if (IsSignal(report, SIGUSR1)) return Answer(UTRACE_SIGNAL_IGN, UTRACE_SINGLESTEP);
    if (!IsSignal(report, SIGTRAP)) return PassThrough(report);
    ++traps;
    return Answer(UTRACE_SIGNAL_IGN, UTRACE_RESUME);
  });
  AttachWith(engine, puppet, kEvents | UTRACE_EVENT_SYSCALL);
  puppet.BeginRead();
  puppet.AwaitBlocked();
  puppet.Tgkill(SIGUSR1);
  engine.AwaitLog("the entry of the call that is made again", [](const std::vector<Report>& log) {
    int entries = 0;
    for (const Report& report : log) {
      entries += report.what == What::kSyscallEntry && report.syscall == SYS_read ? 1 : 0;
    }
    return entries == 2;
  });
  puppet.Feed();
  EXPECT_EQ(1, puppet.Finish());
  EXPECT_EQ(2, engine.CountSyscall(What::kSyscallEntry, SYS_read)) << Describe(engine.Log());
  EXPECT_EQ(2, engine.CountSyscall(What::kSyscallExit, SYS_read)) << Describe(engine.Log());
  EXPECT_EQ(1, traps);
}

// Through a whole handler and back.
CLAUSE_TEST(STP_06, ThroughAHandlerAndOutOfIt) {
  SkipIfDeclared("NO-SINGLESTEP");
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  int traps = 0;
  bool back = false;
  TestEngine engine("A");
  engine.On(What::kSyscallExit, [&](Report& report) -> uint32_t {
    if (!IsMarker(report)) return UTRACE_RESUME;
    EXPECT_EQ(0, engine.SetEvents(kEvents));
    puppet.Tgkill(SIGUSR1);
    return UTRACE_RESUME;
  });
  engine.On(What::kSignal, [&](Report& report) -> uint32_t {
    if (IsSignal(report, SIGUSR1)) return Answer(UTRACE_SIGNAL_DELIVER, UTRACE_SINGLESTEP);
    if (!IsSignal(report, SIGTRAP) && !IsHandlerReport(report)) return PassThrough(report);
    const uint64_t pc = PcOf(report.task);
    back = back || pc == puppet.addresses().step[0];
    const bool done = back || ++traps > 2000;
    return Answer(UTRACE_SIGNAL_IGN, done ? UTRACE_RESUME : UTRACE_SINGLESTEP);
  });
  AttachWith(engine, puppet, kEvents | UTRACE_EVENT(SYSCALL_EXIT));
  puppet.BeginSteps();
  EXPECT_EQ(kStepResult, puppet.Finish());
  EXPECT_TRUE(back);
  // Inside the handler, and behind it.
  EXPECT_LT(1, traps);
  EXPECT_EQ(1U, puppet.HandlerRuns());
}

// Broken by: a step that a newborn inherits, and dies of.
CLAUSE_TEST(STP_07, AStepIntoForkIsTheParentsAlone) {
  SkipIfDeclared("NO-SINGLESTEP");
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.On(What::kClone, [](Report&) -> uint32_t { return UTRACE_SINGLESTEP; });
  AnswerSignal(engine, SIGTRAP, UTRACE_SIGNAL_IGN);
  AttachWith(engine, puppet, kEvents | UTRACE_EVENT(CLONE));
  Puppet& child = puppet.Fork();
  EXPECT_EQ(child.pid(), child.Call(SYS_getpid));
  // The step may be the very call by which the parent acknowledged.
  EXPECT_EQ(puppet.pid(), puppet.Call(SYS_getpid));
  EXPECT_EQ(1, engine.CountSignal(SIGTRAP)) << Describe(engine.Log());
}

// A killed task is not held by its steps.
CLAUSE_TEST(STP_07, AKilledTaskStepsNoMore) {
  Needs("step");
  SkipIfDeclared("NO-SINGLESTEP");
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.On(What::kSignal, [](Report& report) -> uint32_t {
    if (IsUserReturn(report)) return Answer(UTRACE_SIGNAL_IGN, UTRACE_SINGLESTEP);
    return Answer(UTRACE_SIGNAL_IGN, UTRACE_SINGLESTEP);
  });
  engine.On(What::kQuiesce, [](Report& report) -> uint32_t {
    return report.event == 0 ? UTRACE_SINGLESTEP : UTRACE_RESUME;
  });
  AttachWith(engine, puppet, kEvents);
  StartSpinning(puppet);
  EXPECT_EQ(0, engine.Control(UTRACE_INTERRUPT));
  AwaitSignal(engine, SIGTRAP, 20);
  puppet.Kill(SIGKILL);
  ExpectEndsBy(puppet, SIGKILL);
}

}  // namespace utrace::kit
