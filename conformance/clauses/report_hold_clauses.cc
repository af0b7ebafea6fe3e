// REP-16: STOP from any callback holds the task, QUIESCE or not.
#include <functional>

#include "conformance/clauses/control_scenes.h"

namespace utrace::kit {
namespace {

// Lets the held task go with nothing said again.
void LetGo(TestEngine& engine, What what) {
  engine.On(what, {});
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
}

}  // namespace

CLAUSE_TEST(REP_16, FromReportSyscallEntryAndExit) {
  for (const What what : {What::kSyscallEntry, What::kSyscallExit}) {
    Puppet& puppet = Spawn();
    TestEngine engine("A");
    engine.On(what, AtMarker(UTRACE_STOP));
    ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine.SetEvents(what == What::kSyscallEntry ? UTRACE_EVENT(SYSCALL_ENTRY)
                                                              : UTRACE_EVENT(SYSCALL_EXIT)));
    puppet.Begin(kMarker);
    AwaitHeld(engine);
    ExpectStaysHeld(engine, puppet, [] {});
    LetGo(engine, what);
    EXPECT_EQ(nanny().pid(), puppet.Finish());
  }
}

CLAUSE_TEST(REP_16, FromReportSignal) {
  const struct {
    int signo;
    Disposition disposition;
    unsigned long event;
  } kSignals[] = {{SIGUSR1, Disposition::kHandler, UTRACE_EVENT(SIGNAL)},
                  {SIGUSR2, Disposition::kIgnore, UTRACE_EVENT(SIGNAL_IGN)}};
  for (const auto& each : kSignals) {
    Puppet& puppet = Spawn();
    puppet.Sigaction(each.signo, each.disposition);
    TestEngine engine("A");
    engine.On(What::kSignal, Answer(UTRACE_STOP));
    ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine.SetEvents(each.event));
    puppet.BeginRaise(each.signo);
    AwaitHeld(engine);
    ExpectStaysHeld(engine, puppet, [] {});
    LetGo(engine, What::kSignal);
    EXPECT_EQ(0, puppet.Finish());
  }
}

CLAUSE_TEST(REP_16, FromReportClone) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.On(What::kClone, Answer(UTRACE_STOP));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(CLONE)));
  Puppet& child = puppet.BeginFork();
  AwaitHeld(engine);
  // The child is another task.
  child.AwaitReady();
  ExpectStaysHeld(engine, puppet, [] {});
  EXPECT_FALSE(puppet.Finished());
  LetGo(engine, What::kClone);
  EXPECT_EQ(child.pid(), puppet.Finish());
}

CLAUSE_TEST(REP_16, FromReportExec) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.On(What::kExec, Answer(UTRACE_STOP));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(EXEC)));
  puppet.BeginExec();
  AwaitHeld(engine);
  ExpectStaysHeld(engine, puppet, [] {});
  // Before the first instruction of the new program.
  uint64_t pc = 0;
  EXPECT_EQ(0, api().utrace_get_pc(engine.task(), &pc));
  EXPECT_EQ(puppet.addresses().entry, pc);
  LetGo(engine, What::kExec);
  puppet.FinishExec();
}

CLAUSE_TEST(REP_16, FromReportExit) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.On(What::kExit, Answer(UTRACE_STOP));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(EXIT)));
  puppet.BeginExitGroup(5);
  AwaitHeld(engine);
  ExpectStaysHeld(engine, puppet, [] {});
  EXPECT_FALSE(puppet.Dead());
  LetGo(engine, What::kExit);
  puppet.AwaitDeath();
  const WaitResult end = nanny().Wait(puppet.pid());
  EXPECT_TRUE(WIFEXITED(end.status) && WEXITSTATUS(end.status) == 5) << end.status;
}

CLAUSE_TEST(REP_16, FromReportJctlWhenItStops) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.On(What::kJctl, [](Report& report) -> uint32_t {
    return report.jctl_type == CLD_STOPPED ? UTRACE_STOP : UTRACE_RESUME;
  });
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(JCTL)));
  StartSpinning(puppet);
  puppet.Kill(SIGSTOP);
  engine.AwaitEnded(What::kJctl);
  AwaitHeld(engine);
  ExpectStaysHeld(engine, puppet, [&] { puppet.Kill(SIGCONT); });
  LetGo(engine, What::kJctl);
  ExpectRuns(puppet);
}

CLAUSE_TEST(REP_16, FromReportJctlWhenItContinues) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.On(What::kJctl, [](Report& report) -> uint32_t {
    return report.jctl_type == CLD_CONTINUED ? UTRACE_STOP : UTRACE_RESUME;
  });
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(JCTL)));
  StartSpinning(puppet);
  puppet.Kill(SIGSTOP);
  engine.AwaitEnded(What::kJctl);
  puppet.Kill(SIGCONT);
  engine.AwaitEnded(What::kJctl, 2);
  AwaitHeld(engine);
  ExpectStaysHeld(engine, puppet, [] {});
  LetGo(engine, What::kJctl);
  ExpectRuns(puppet);
}

CLAUSE_TEST(REP_16, FromReportQuiesce) {
  Puppet& puppet = Spawn();
  TestEngine engine("A", OpsTable().Without(What::kSignal));
  engine.On(What::kQuiesce, Answer(UTRACE_STOP));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(QUIESCE)));
  StartSpinning(puppet);
  EXPECT_EQ(0, engine.Control(UTRACE_REPORT));
  AwaitHeld(engine);
  ExpectStaysHeld(engine, puppet, [] {});
  LetGo(engine, What::kQuiesce);
  ExpectRuns(puppet);
}

CLAUSE_TEST(REP_16, TheMaskGivenUpAfterwardsDoesNotMatter) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.On(What::kSyscallExit, [&](Report& report) -> uint32_t {
    if (!IsMarker(report)) return UTRACE_RESUME;
    EXPECT_EQ(0, api().utrace_set_events(report.task, report.engine, 0));
    return UTRACE_STOP;
  });
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(SYSCALL_EXIT)));
  puppet.Begin(kMarker);
  AwaitHeld(engine);
  ExpectStaysHeld(engine, puppet, [] {});
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  EXPECT_EQ(nanny().pid(), puppet.Finish());
}

}  // namespace utrace::kit
