// SIG-05 to SIG-09, SIG-20 where signals meet blocked calls, other threads, masks and each other.
#include "conformance/clauses/signal_scenes.h"

namespace utrace::kit {
namespace {

constexpr unsigned long kEvents = kQuiesceEvent | kSignalEvents;

uint64_t PcOf(utrace_task* task) {
  uint64_t pc = 0;
  EXPECT_EQ(0, api().utrace_get_pc(task, &pc));
  return pc;
}

// A puppet blocked in read takes SIGUSR1, whose disposition `change` has changed; the bytes that end
// the read are fed once the handler ran.
long ReadUnderSignal(Puppet& puppet, const std::function<void(Report&)>& change) {
  TestEngine engine("A");
  OnSignal(engine, SIGUSR1, [change](Report& report) -> uint32_t {
    change(report);
    return Answer(UTRACE_SIGNAL_DELIVER, UTRACE_RESUME);
  });
  AttachWith(engine, puppet, kSignalEvents);
  puppet.BeginRead();
  puppet.AwaitBlocked();
  puppet.Tgkill(SIGUSR1);
  puppet.AwaitHandlerRuns(1);
  puppet.Feed();
  return puppet.Finish();
}

}  // namespace

// ---- SIG-05 ------------------------------------------------------------------------------------

CLAUSE_TEST(SIG_05, AChangedDispositionsRestartFlagCounts) {
  for (const bool restart : {true, false}) {
    Puppet& puppet = Spawn();
    puppet.Sigaction(SIGUSR1, Disposition::kHandler, restart ? 0 : SA_RESTART);
    EXPECT_EQ(restart ? 1 : -EINTR, ReadUnderSignal(puppet, [&](Report& report) {
                UsePuppetHandler(puppet, report.return_ka);
                if (restart) report.return_ka->flags |= SA_RESTART;
              }));
  }
}

CLAUSE_TEST(SIG_05, TheProgramsRestartFlagCountsIfUnchanged) {
  for (const bool restart : {true, false}) {
    Puppet& puppet = Spawn();
    puppet.Sigaction(SIGUSR1, Disposition::kHandler, restart ? SA_RESTART : 0);
    EXPECT_EQ(restart ? 1 : -EINTR, ReadUnderSignal(puppet, [](Report&) {}));
  }
}

CLAUSE_TEST(SIG_05, AChangedDispositionsStackFlagCounts) {
  SkipIfDeclared("NO-CHOSEN-ALTSTACK");
  Puppet& puppet = Spawn();
  ASSERT_EQ(0, puppet.Sigaltstack());
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine engine("A");
  OnSignal(engine, SIGUSR1, [&](Report& report) -> uint32_t {
    UsePuppetHandler(puppet, report.return_ka);
    report.return_ka->flags |= SA_ONSTACK;
    return Answer(UTRACE_SIGNAL_DELIVER, UTRACE_RESUME);
  });
  AttachWith(engine, puppet, kSignalEvents);
  EXPECT_EQ(0, puppet.Raise(SIGUSR1));
  ASSERT_EQ(1U, puppet.Signals().size());
  EXPECT_EQ(1U, puppet.Signals()[0].on_alternate_stack);
}

// One-shot is what the engine made of it, not what the program asked for.
CLAUSE_TEST(SIG_05, AOneShotOfTheEnginesLeavesTheProgramsHandler) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine engine("A");
  OnSignal(engine, SIGUSR1, [&](Report& report) -> uint32_t {
    UsePuppetHandler(puppet, report.return_ka);
    report.return_ka->flags |= SA_RESETHAND;
    return Answer(UTRACE_SIGNAL_DELIVER, UTRACE_RESUME);
  });
  AttachWith(engine, puppet, kSignalEvents);
  EXPECT_EQ(0, puppet.Raise(SIGUSR1));
  EXPECT_EQ(1U, puppet.HandlerRuns(SIGUSR1));
  EXPECT_EQ(puppet.addresses().handler, ProgramsHandler(puppet, SIGUSR1));
}

CLAUSE_TEST(SIG_05, TheProgramsMaskIsAsBeforeTheHandler) {
  Puppet& puppet = Spawn();
  const uint64_t mask = uint64_t{1} << (SIGUSR2 - 1);
  ASSERT_EQ(0, puppet.Sigprocmask(SIG_BLOCK, mask));
  TestEngine engine("A");
  OnSignal(engine, SIGUSR1, [&](Report& report) -> uint32_t {
    UsePuppetHandler(puppet, report.return_ka);
    return Answer(UTRACE_SIGNAL_DELIVER, UTRACE_RESUME);
  });
  AttachWith(engine, puppet, kSignalEvents);
  EXPECT_EQ(0, puppet.Raise(SIGUSR1));
  ASSERT_EQ(1U, puppet.Signals().size());
  EXPECT_EQ(mask, puppet.Signals()[0].mask);
  EXPECT_EQ(0, puppet.Call(SYS_rt_sigprocmask, SIG_BLOCK, 0,
                           static_cast<long>(puppet.ScratchAddress()), 8));
  EXPECT_EQ(mask, *static_cast<const uint64_t*>(puppet.Scratch()));
}

CLAUSE_TEST(SIG_05, InAThreadThatIsNotTheLeader) {
  Puppet& puppet = Spawn();
  PuppetThread& thread = puppet.SpawnThread();
  TestEngine engine("A");
  OnSignal(engine, SIGUSR1, [&](Report& report) -> uint32_t {
    report.info->si_signo = SIGUSR2;
    UsePuppetHandler(puppet, report.return_ka);
    return Answer(UTRACE_SIGNAL_DELIVER, UTRACE_RESUME);
  });
  AttachWith(engine, thread, kSignalEvents);
  EXPECT_EQ(0, thread.Raise(SIGUSR1));
  EXPECT_EQ(1U, thread.HandlerRuns(SIGUSR2));
  EXPECT_EQ(UTRACE_SIG_DFL, ProgramsHandler(puppet, SIGUSR1));
  EXPECT_EQ(UTRACE_SIG_DFL, ProgramsHandler(puppet, SIGUSR2));
}

// ---- SIG-06 ------------------------------------------------------------------------------------

CLAUSE_TEST(SIG_06, ADroppedSignalInterruptsNoCall) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine engine("A");
  AnswerSignal(engine, SIGUSR1, UTRACE_SIGNAL_IGN);
  AttachWith(engine, puppet, kSignalEvents);
  puppet.BeginRead();
  puppet.AwaitBlocked();
  puppet.Tgkill(SIGUSR1);
  AwaitSignal(engine, SIGUSR1);
  puppet.Feed();
  EXPECT_EQ(1, puppet.Finish());
}

// Broken by: TSTP done by whichever stop signal the program leaves to the default.
CLAUSE_TEST(SIG_06, TstpStopsAProgramThatHandlesAllStopSignals) {
  Puppet& puppet = Spawn();
  for (int signo : {SIGTSTP, SIGTTIN, SIGTTOU, SIGUSR1}) {
    puppet.Sigaction(signo, Disposition::kHandler);
  }
  TestEngine engine("A");
  AnswerSignal(engine, SIGUSR1, UTRACE_SIGNAL_TSTP);
  AttachWith(engine, puppet, kSignalEvents);
  puppet.BeginRaise(SIGUSR1);
  ExpectJobControlStop(puppet);
  puppet.Kill(SIGCONT);
  EXPECT_EQ(0, puppet.Finish());
  EXPECT_EQ(0U, puppet.HandlerRuns());
}

CLAUSE_TEST(SIG_06, ActionsInAThreadEndTheWholeProcess) {
  Puppet& puppet = Spawn();
  PuppetThread& thread = puppet.SpawnThread();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine engine("A");
  AnswerSignal(engine, SIGUSR1, UTRACE_SIGNAL_TERM);
  AttachWith(engine, thread, kSignalEvents);
  thread.BeginRaise(SIGUSR1);
  ExpectEndsBy(puppet, SIGUSR1);
}

CLAUSE_TEST(SIG_06, ActionsInAThreadStopTheWholeProcess) {
  Puppet& puppet = Spawn();
  PuppetThread& thread = puppet.SpawnThread();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine engine("A");
  AnswerSignal(engine, SIGUSR1, UTRACE_SIGNAL_STOP);
  AttachWith(engine, thread, kSignalEvents);
  StartSpinning(puppet);
  thread.BeginRaise(SIGUSR1);
  ExpectJobControlStop(puppet);
  const uint64_t spins = puppet.SpinCount();
  const WaitIdResult none = nanny().WaitId(puppet.pid(), WCONTINUED | WNOHANG);
  EXPECT_EQ(0, none.info.si_pid);
  EXPECT_EQ(spins, puppet.SpinCount());
  puppet.Kill(SIGCONT);
  EXPECT_EQ(0, thread.Finish());
  ExpectRuns(puppet);
}

// STOP with a stop signal whose disposition was changed to a handler's is no handler's.
CLAUSE_TEST(SIG_06, TheActionGoesBeforeTheDisposition) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  OnSignal(engine, SIGUSR1, [&](Report& report) -> uint32_t {
    UsePuppetHandler(puppet, report.return_ka);
    return Answer(UTRACE_SIGNAL_IGN, UTRACE_RESUME);
  });
  AttachWith(engine, puppet, kSignalEvents);
  EXPECT_EQ(0, puppet.Raise(SIGUSR1));
  ExpectWorks(puppet);
  EXPECT_EQ(0U, puppet.HandlerRuns());
}

// ---- SIG-07 ------------------------------------------------------------------------------------

CLAUSE_TEST(SIG_07, HeldWhenTheEngineLeavesTheProgramGetsIt) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine engine("A");
  AnswerSignal(engine, SIGUSR1, UTRACE_SIGNAL_IGN | UTRACE_SIGNAL_HOLD, UTRACE_STOP);
  AttachWith(engine, puppet, kSignalEvents);
  StartSpinning(puppet);
  puppet.QueueFromKit(SIGUSR1, 36);
  AwaitSignal(engine, SIGUSR1);
  AwaitHeld(engine);
  EXPECT_EQ(0, engine.Control(UTRACE_DETACH));
  puppet.AwaitHandlerRuns(1);
  EXPECT_EQ(36, puppet.Signals()[0].value);
  ExpectRuns(puppet);
  EXPECT_EQ(1U, puppet.HandlerRuns());
}

CLAUSE_TEST(SIG_07, HeldByAnEngineThatDetachesInItsAnswer) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine engine("A");
  AnswerSignal(engine, SIGUSR1, UTRACE_SIGNAL_IGN | UTRACE_SIGNAL_HOLD, UTRACE_DETACH);
  AttachWith(engine, puppet, kSignalEvents);
  EXPECT_EQ(0, puppet.Queue(SIGUSR1, 37));
  puppet.AwaitHandlerRuns(1);
  EXPECT_EQ(37, puppet.Signals()[0].value);
  EXPECT_EQ(1, engine.CountSignal(SIGUSR1));
}

CLAUSE_TEST(SIG_07, HeldAndThenFatal) {
  Puppet& puppet = Spawn();
  int seen = 0;
  TestEngine engine("A");
  OnSignal(engine, SIGTERM, [&](Report& report) -> uint32_t {
    return ++seen < 3 ? Answer(UTRACE_SIGNAL_IGN | UTRACE_SIGNAL_HOLD, UTRACE_RESUME)
                      : PassThrough(report);
  });
  AttachWith(engine, puppet, kSignalEvents);
  puppet.BeginRaise(SIGTERM);
  ExpectEndsBy(puppet, SIGTERM);
  EXPECT_EQ(3, seen);
}

CLAUSE_TEST(SIG_07, AHeldSignalThatIsIgnored) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kIgnore);
  int seen = 0;
  TestEngine engine("A");
  OnSignal(engine, SIGUSR1, [&](Report&) -> uint32_t {
    return Answer(UTRACE_SIGNAL_IGN | (++seen < 3 ? UTRACE_SIGNAL_HOLD : 0U), UTRACE_RESUME);
  });
  AttachWith(engine, puppet, kSignalEvents);
  EXPECT_EQ(0, puppet.Raise(SIGUSR1));
  ExpectWorks(puppet);
  EXPECT_EQ(3, seen);
}

// ---- SIG-08, SIG-09, SIG-20 --------------------------------------------------------------------

// Whether the engine's word goes past the program's mask is free; a signal is not lost by it.
CLAUSE_TEST(SIG_08, InjectedIntoAThreadThatBlocksTheSignal) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  ASSERT_EQ(0, puppet.Sigprocmask(SIG_BLOCK, uint64_t{1} << (SIGUSR1 - 1)));
  TestEngine engine("A");
  OnSignalReport(engine, [](Report& report) -> uint32_t {
    FillSiginfo(report.info, SIGUSR1, 39);
    return Answer(UTRACE_SIGNAL_DELIVER, UTRACE_RESUME);
  });
  AttachWith(engine, puppet, kQuiesceEvent);
  StartSpinning(puppet);
  EXPECT_EQ(0, engine.Control(UTRACE_INTERRUPT));
  engine.AwaitEnded(What::kSignal);
  ExpectRuns(puppet);
  ExpectOneOf(static_cast<long>(puppet.HandlerRuns(SIGUSR1)), {0, 1});
  EXPECT_EQ(0, puppet.Sigprocmask(SIG_UNBLOCK, uint64_t{1} << (SIGUSR1 - 1)));
  EXPECT_EQ(1U, puppet.HandlerRuns(SIGUSR1));
}

CLAUSE_TEST(SIG_08, InjectedFromASystemCallsReports) {
  for (const bool entry : {true, false}) {
    Puppet& puppet = Spawn();
    puppet.Sigaction(SIGUSR1, Disposition::kHandler);
    const What what = entry ? What::kSyscallEntry : What::kSyscallExit;
    TestEngine engine("A");
    engine.On(what, [=, done = false](Report& report) mutable -> uint32_t {
      if (done || !IsMarker(report)) return PassThrough(report);
      done = true;
      return UTRACE_INTERRUPT;
    });
    OnSignalReport(engine, [](Report& report) -> uint32_t {
      FillSiginfo(report.info, SIGUSR1, 40);
      return Answer(UTRACE_SIGNAL_DELIVER, UTRACE_RESUME);
    });
    AttachWith(engine, puppet,
               kQuiesceEvent | (entry ? UTRACE_EVENT(SYSCALL_ENTRY) : UTRACE_EVENT(SYSCALL_EXIT)));
    EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
    if (!entry) {
      ASSERT_EQ(1U, puppet.HandlerRuns(SIGUSR1)) << Describe(engine.Log());
      EXPECT_EQ(40, puppet.Signals()[0].value);
    }
  }
}

CLAUSE_TEST(SIG_08, InjectedAtAHandlerReport) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  puppet.Sigaction(SIGUSR2, Disposition::kHandler);
  TestEngine engine("A");
  engine.On(What::kSignal, [&, done = false](Report& report) mutable -> uint32_t {
    if (IsSignal(report, SIGUSR1)) return Answer(UTRACE_SIGNAL_DELIVER, UTRACE_STOP);
    if (done || !IsHandlerReport(report)) return PassThrough(report);
    done = true;
    FillSiginfo(report.info, SIGUSR2, 41);
    UsePuppetHandler(puppet, report.return_ka);
    return Answer(UTRACE_SIGNAL_DELIVER, UTRACE_RESUME);
  });
  AttachWith(engine, puppet, kEvents);
  EXPECT_EQ(0, puppet.Raise(SIGUSR1));
  puppet.AwaitHandlerRuns(2);
  // The second one interrupts the first at its first instruction.
  const std::vector<SignalRecord> signals = puppet.Signals();
  EXPECT_EQ(SIGUSR2, signals[0].signo) << Describe(engine.Log());
  EXPECT_EQ(puppet.addresses().handler, signals[0].pc);
  EXPECT_EQ(SIGUSR1, signals[1].signo);
}

CLAUSE_TEST(SIG_09, BeforeAnotherPendingSignal) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  puppet.Sigaction(SIGUSR2, Disposition::kHandler);
  TestEngine engine("A");
  OnSignal(engine, SIGUSR1, [&](Report&) -> uint32_t {
    puppet.Tgkill(SIGUSR2);
    return Answer(UTRACE_SIGNAL_DELIVER, UTRACE_STOP);
  });
  AttachWith(engine, puppet, kEvents);
  EXPECT_EQ(0, puppet.Raise(SIGUSR1));
  puppet.AwaitHandlerRuns(2);
  const std::vector<Report> log = engine.Log(What::kSignal);
  ASSERT_LE(3U, log.size());
  EXPECT_TRUE(IsSignal(log[0], SIGUSR1)) << Describe(log);
  EXPECT_TRUE(IsHandlerReport(log[1])) << Describe(log);
  EXPECT_EQ(1, engine.CountSignal(SIGUSR2));
}

// A stop that several signals and engines had a part in ends with the last who lets go.
CLAUSE_TEST(SIG_20, TwoEnginesStopItAtTheHandler) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine a("A");
  TestEngine b("B");
  AnswerSignal(a, SIGUSR1, UTRACE_SIGNAL_DELIVER, UTRACE_STOP);
  AnswerSignal(b, SIGUSR1, UTRACE_SIGNAL_DELIVER, UTRACE_STOP);
  AttachWith(a, puppet, UTRACE_EVENT(SIGNAL));
  AttachWith(b, puppet, UTRACE_EVENT(SIGNAL));
  puppet.BeginRaise(SIGUSR1);
  AwaitHeld(b);
  AwaitHeld(a);
  EXPECT_EQ(0, a.Control(UTRACE_RESUME));
  ExpectStaysHeld(b, puppet, [] {});
  EXPECT_EQ(puppet.addresses().handler, PcOf(b.task()));
  EXPECT_EQ(0, b.Control(UTRACE_RESUME));
  EXPECT_EQ(0, puppet.Finish());
  EXPECT_EQ(1U, puppet.HandlerRuns());
}

}  // namespace utrace::kit
