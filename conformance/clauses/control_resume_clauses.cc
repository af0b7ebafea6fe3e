// CTL-30, CTL-31: RESUME.
#include <functional>

#include "conformance/clauses/control_scenes.h"

namespace utrace::kit {
namespace {

constexpr unsigned long kQuiesce = UTRACE_EVENT(QUIESCE);

}  // namespace

// ---- CTL-30 ------------------------------------------------------------------------------------

CLAUSE_TEST(CTL_30, EndsAStopByControl) {
  for (const unsigned long events : {0UL, kQuiesce}) {
    Puppet& puppet = Spawn();
    TestEngine engine("A");
    ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine.SetEvents(events));
    StartSpinning(puppet);
    engine.StopAndWait();
    EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
    ExpectRuns(puppet);
    utrace_examiner examiner = {};
    EXPECT_NE(0, engine.Prepare(&examiner));
  }
}

CLAUSE_TEST(CTL_30, EndsAStopByResult) {
  for (const What what : {What::kSyscallEntry, What::kSyscallExit}) {
    Puppet& puppet = Spawn();
    TestEngine engine("A");
    engine.On(what, AtMarker(UTRACE_STOP));
    ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT_SYSCALL));
    puppet.Begin(kMarker);
    AwaitHeld(engine);
    EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
    EXPECT_EQ(nanny().pid(), puppet.Finish());
  }
}

CLAUSE_TEST(CTL_30, EndsAStopInReportSignal) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine engine("A");
  engine.On(What::kSignal, Answer(UTRACE_STOP));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(SIGNAL)));
  puppet.BeginRaise(SIGUSR1);
  AwaitHeld(engine);
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  EXPECT_EQ(0, puppet.Finish());
  EXPECT_EQ(1U, puppet.HandlerRuns(SIGUSR1));
}

CLAUSE_TEST(CTL_30, AnotherHolderKeepsIt) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  ASSERT_EQ(0, a.AttachTid(puppet.tid()));
  ASSERT_EQ(0, b.AttachTid(puppet.tid()));
  StartSpinning(puppet);
  a.StopAndWait();
  ASSERT_EQ(0, b.Control(UTRACE_STOP));
  ExpectStaysHeld(b, puppet, [&] {
    EXPECT_EQ(0, a.Control(UTRACE_RESUME));
    EXPECT_EQ(0, a.Control(UTRACE_RESUME));
  });
  EXPECT_EQ(0, b.Control(UTRACE_RESUME));
  ExpectRuns(puppet);
}

CLAUSE_TEST(CTL_30, TheTaskRunsWithSteppingOff) {
  Puppet& puppet = Spawn();
  TestEngine holder("A");
  TestEngine stepper("B");
  holder.On(What::kSyscallExit, AtMarker(UTRACE_STOP));
  ASSERT_EQ(0, holder.AttachTid(puppet.tid()));
  ASSERT_EQ(0, stepper.AttachTid(puppet.tid()));
  ASSERT_EQ(0, holder.SetEvents(UTRACE_EVENT(SYSCALL_EXIT) | UTRACE_EVENT_SIGNAL_ALL));
  ASSERT_EQ(0, stepper.SetEvents(kQuiesce | UTRACE_EVENT_SIGNAL_ALL));
  puppet.BeginSteps();
  AwaitHeld(holder);
  ExpectOneOf(stepper.Control(UTRACE_SINGLESTEP), {0, -EOPNOTSUPP});
  EXPECT_EQ(0, stepper.Control(UTRACE_RESUME));
  EXPECT_EQ(0, holder.Control(UTRACE_RESUME));
  EXPECT_EQ(puppet::kStepResult, puppet.Finish());
  EXPECT_EQ(0, holder.CountSignal(SIGTRAP));
  EXPECT_EQ(0, stepper.CountSignal(SIGTRAP));
}

CLAUSE_TEST(CTL_30, AStepByResultIsNotRepeated) {
  if (!api().utrace_has_single_step()) Unsupported("no single step");
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.On(What::kSyscallExit, AtMarker(UTRACE_SINGLESTEP));
  // The step's trap holds the task; RESUME then runs it freely.
  engine.On(What::kSignal, [](Report& report) -> uint32_t {
    if (report.signo() == SIGTRAP) return uint32_t{UTRACE_SIGNAL_IGN} | UTRACE_STOP;
    return PassThrough(report);
  });
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(SYSCALL_EXIT) | UTRACE_EVENT_SIGNAL_ALL));
  puppet.BeginSteps();
  engine.AwaitEnded(What::kSignal);
  AwaitHeld(engine);
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  EXPECT_EQ(puppet::kStepResult, puppet.Finish());
  EXPECT_EQ(1, engine.CountSignal(SIGTRAP)) << Describe(engine.Log());
}

// ---- CTL-31 ------------------------------------------------------------------------------------

CLAUSE_TEST(CTL_31, OnASpinningTask) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kQuiesce));
  StartSpinning(puppet);
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  ExpectRuns(puppet);
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  ExpectLog(engine.Log(), {});
}

CLAUSE_TEST(CTL_31, OnATaskBlockedInACall) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kQuiesce));
  BeginTimedAndSleep(puppet, Timed::kEpollWait);
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  // epoll_wait is not restarted: an interruption would show.
  EXPECT_EQ(0, puppet.FinishTimed().result);
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  ExpectLog(engine.Log(), {});
}

CLAUSE_TEST(CTL_31, WhileACallbackRuns) {
  Puppet& puppet = Spawn();
  Gate gate;
  TestEngine a("A");
  TestEngine b("B");
  a.On(What::kSyscallEntry, WaitAt(gate, UTRACE_RESUME));
  ASSERT_EQ(0, a.AttachTid(puppet.tid()));
  ASSERT_EQ(0, b.AttachTid(puppet.tid()));
  ASSERT_EQ(0, a.SetEvents(UTRACE_EVENT(SYSCALL_ENTRY)));
  puppet.Begin(kMarker);
  gate.AwaitArrival();
  EXPECT_EQ(0, a.Control(UTRACE_RESUME));
  EXPECT_EQ(0, b.Control(UTRACE_RESUME));
  gate.Open();
  EXPECT_EQ(nanny().pid(), puppet.Finish());
  EXPECT_EQ(1, a.CountSyscall(What::kSyscallEntry, kMarker)) << Describe(a.Log());
}

CLAUSE_TEST(CTL_31, FromAnOwnCallback) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  int result = 1;
  engine.On(What::kSyscallExit, [&](Report& report) -> uint32_t {
    result = api().utrace_control(report.task, report.engine, UTRACE_RESUME);
    return UTRACE_RESUME;
  });
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(SYSCALL_EXIT)));
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  EXPECT_EQ(0, result);
}

}  // namespace utrace::kit
