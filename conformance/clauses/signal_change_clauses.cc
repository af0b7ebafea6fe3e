// SIG-05: what an engine changes in the siginfo and the disposition is what is acted by, once.
#include "conformance/clauses/signal_scenes.h"

namespace utrace::kit {
namespace {

// An engine that changes SIGUSR1 by `change` and delivers it.
class Changer {
 public:
  Changer(Puppet& puppet, const std::function<void(Report&)>& change) {
    OnSignal(engine_, SIGUSR1, [change](Report& report) -> uint32_t {
      change(report);
      return Answer(UTRACE_SIGNAL_DELIVER, UTRACE_RESUME);
    });
    AttachWith(engine_, puppet, kSignalEvents);
  }
  TestEngine& engine() { return engine_; }

 private:
  TestEngine engine_{"changer"};
};

}  // namespace

CLAUSE_TEST(SIG_05, TheHandlerSeesAChangedValue) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  Changer changer(puppet, [](Report& report) {
    report.info->si_code = SI_QUEUE;
    report.info->si_pid = 4711;
    report.info->si_value.sival_int = 815;
  });
  EXPECT_EQ(0, puppet.Queue(SIGUSR1, 7));
  const std::vector<SignalRecord> signals = puppet.Signals();
  ASSERT_EQ(1U, signals.size());
  EXPECT_EQ(SIGUSR1, signals[0].signo);
  EXPECT_EQ(SI_QUEUE, signals[0].code);
  EXPECT_EQ(4711, signals[0].sender);
  EXPECT_EQ(815, signals[0].value);
}

CLAUSE_TEST(SIG_05, TheSiginfoComesAsItWasSent) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine engine("A");
  AttachWith(engine, puppet, kSignalEvents);
  EXPECT_EQ(0, puppet.Queue(SIGUSR1, 7));
  const Report report = SignalReportOf(engine, SIGUSR1);
  EXPECT_EQ(SI_QUEUE, report.info_copy.si_code);
  EXPECT_EQ(7, report.info_copy.si_value.sival_int);
  const std::vector<SignalRecord> signals = puppet.Signals();
  ASSERT_EQ(1U, signals.size());
  EXPECT_EQ(SI_QUEUE, signals[0].code);
  EXPECT_EQ(7, signals[0].value);
  EXPECT_EQ(report.info_copy.si_pid, signals[0].sender);
}

// The disposition to apply is still that of the signal that was dequeued.
CLAUSE_TEST(SIG_05, AChangedNumberGoesToTheHandlerToApply) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  Changer changer(puppet, [](Report& report) { report.info->si_signo = SIGUSR2; });
  EXPECT_EQ(0, puppet.Raise(SIGUSR1));
  EXPECT_EQ(0U, puppet.HandlerRuns(SIGUSR1));
  EXPECT_EQ(1U, puppet.HandlerRuns(SIGUSR2));
  // SIGUSR2's own disposition is as it was.
  EXPECT_EQ(UTRACE_SIG_DFL, ProgramsHandler(puppet, SIGUSR2));
  EXPECT_EQ(puppet.addresses().handler, ProgramsHandler(puppet, SIGUSR1));
}

CLAUSE_TEST(SIG_05, AChangedNumberIsWhatTheProcessDiesOf) {
  Puppet& puppet = Spawn();
  Changer changer(puppet, [](Report& report) { report.info->si_signo = SIGALRM; });
  puppet.BeginRaise(SIGUSR1);
  ExpectEndsBy(puppet, SIGALRM);
}

CLAUSE_TEST(SIG_05, AHandlerForASignalThatWouldKill) {
  Puppet& puppet = Spawn();
  Changer changer(puppet, [&](Report& report) { UsePuppetHandler(puppet, report.return_ka); });
  EXPECT_EQ(0, puppet.Raise(SIGUSR1));
  EXPECT_EQ(1U, puppet.HandlerRuns(SIGUSR1));
  EXPECT_EQ(UTRACE_SIG_DFL, ProgramsHandler(puppet, SIGUSR1));
  ExpectWorks(puppet);
  // Without the engine the next one does what the program said.
  changer.engine().DetachAndWait();
  puppet.BeginRaise(SIGUSR1);
  ExpectEndsBy(puppet, SIGUSR1);
}

CLAUSE_TEST(SIG_05, AHandlerForASignalThatIsIgnored) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kIgnore);
  Changer changer(puppet, [&](Report& report) { UsePuppetHandler(puppet, report.return_ka); });
  EXPECT_EQ(0, puppet.Raise(SIGUSR1));
  EXPECT_EQ(1U, puppet.HandlerRuns(SIGUSR1));
  EXPECT_EQ(UTRACE_SIG_IGN, ProgramsHandler(puppet, SIGUSR1));
  changer.engine().DetachAndWait();
  EXPECT_EQ(0, puppet.Raise(SIGUSR1));
  EXPECT_EQ(1U, puppet.HandlerRuns(SIGUSR1));
}

CLAUSE_TEST(SIG_05, TheMaskOfAChangedDispositionIsInForceInTheHandler) {
  Puppet& puppet = Spawn();
  // SIGUSR2 is sent from the handler's first instruction on; only its return lets it in.
  puppet.Sigaction(SIGUSR2, Disposition::kHandler);
  TestEngine engine("A");
  engine.On(What::kSignal, [&](Report& report) -> uint32_t {
    if (IsSignal(report, SIGUSR1)) {
      UsePuppetHandler(puppet, report.return_ka);
      report.return_ka->mask = uint64_t{1} << (SIGUSR2 - 1);
      puppet.Tgkill(SIGUSR2);
      return Answer(UTRACE_SIGNAL_DELIVER, UTRACE_RESUME);
    }
    return PassThrough(report);
  });
  AttachWith(engine, puppet, kSignalEvents);
  EXPECT_EQ(0, puppet.Raise(SIGUSR1));
  puppet.AwaitHandlerRuns(2);
  const std::vector<SignalRecord> signals = puppet.Signals();
  ASSERT_EQ(2U, signals.size());
  EXPECT_EQ(SIGUSR1, signals[0].signo);
  EXPECT_EQ(SIGUSR2, signals[1].signo);
  // What is restored at the handler's end is the mask from before.
  EXPECT_EQ(0U, signals[0].mask);
  EXPECT_NE(puppet.addresses().handler, signals[1].pc);
}

CLAUSE_TEST(SIG_05, TheDefaultForASignalThatIsHandled) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  Changer changer(puppet, [](Report& report) {
    *report.return_ka = {};
    report.return_ka->handler = UTRACE_SIG_DFL;
  });
  puppet.BeginRaise(SIGUSR1);
  ExpectEndsBy(puppet, SIGUSR1);
  EXPECT_EQ(0U, puppet.HandlerRuns());
}

CLAUSE_TEST(SIG_05, TheDefaultForASignalThatIsIgnored) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kIgnore);
  Changer changer(puppet, [](Report& report) { report.return_ka->handler = UTRACE_SIG_DFL; });
  puppet.BeginRaise(SIGUSR1);
  ExpectEndsBy(puppet, SIGUSR1);
}

// Broken by: DELIVER that takes the default's meaning from the number before the change.
CLAUSE_TEST(SIG_05, TheDefaultOfTheChangedNumberDecides) {
  Puppet& puppet = Spawn();
  Changer changer(puppet, [](Report& report) {
    report.info->si_signo = SIGWINCH;
    report.return_ka->handler = UTRACE_SIG_DFL;
  });
  EXPECT_EQ(0, puppet.Raise(SIGUSR1));
  ExpectWorks(puppet);
}

CLAUSE_TEST(SIG_05, IgnoringASignalThatIsHandled) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  Changer changer(puppet, [](Report& report) { report.return_ka->handler = UTRACE_SIG_IGN; });
  EXPECT_EQ(0, puppet.Raise(SIGUSR1));
  EXPECT_EQ(0U, puppet.HandlerRuns());
  EXPECT_EQ(puppet.addresses().handler, ProgramsHandler(puppet, SIGUSR1));
  changer.engine().DetachAndWait();
  EXPECT_EQ(0, puppet.Raise(SIGUSR1));
  EXPECT_EQ(1U, puppet.HandlerRuns(SIGUSR1));
}

CLAUSE_TEST(SIG_05, ASignalThatStopsGetsAHandler) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  OnSignal(engine, SIGTSTP, [&](Report& report) -> uint32_t {
    UsePuppetHandler(puppet, report.return_ka);
    return Answer(UTRACE_SIGNAL_DELIVER, UTRACE_RESUME);
  });
  AttachWith(engine, puppet, kSignalEvents);
  EXPECT_EQ(0, puppet.Raise(SIGTSTP));
  EXPECT_EQ(1U, puppet.HandlerRuns(SIGTSTP));
  ExpectWorks(puppet);
}

CLAUSE_TEST(SIG_05, ADeliveredStopSignalWithTheDefaultStops) {
  Puppet& puppet = Spawn();
  Changer changer(puppet, [](Report& report) {
    report.info->si_signo = SIGTSTP;
    report.return_ka->handler = UTRACE_SIG_DFL;
  });
  puppet.BeginRaise(SIGUSR1);
  ExpectJobControlStop(puppet);
  puppet.Kill(SIGCONT);
  EXPECT_EQ(0, puppet.Finish());
}

CLAUSE_TEST(SIG_05, AChangedDispositionHoldsForOneSignal) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  bool first = true;
  TestEngine engine("A");
  OnSignal(engine, SIGUSR1, [&](Report& report) -> uint32_t {
    if (first) report.return_ka->handler = UTRACE_SIG_IGN;
    first = false;
    return Answer(UTRACE_SIGNAL_DELIVER, UTRACE_RESUME);
  });
  AttachWith(engine, puppet, kSignalEvents);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(0, puppet.Raise(SIGUSR1));
  EXPECT_EQ(3, engine.CountSignal(SIGUSR1)) << Describe(engine.Log());
  EXPECT_EQ(2U, puppet.HandlerRuns(SIGUSR1));
}

CLAUSE_TEST(SIG_05, ADispositionForASynchronousFault) {
  Puppet& puppet = Spawn();
  bool changed = false;
  TestEngine engine("A");
  OnSignal(engine, SIGTRAP, [&](Report& report) -> uint32_t {
    changed = true;
    UsePuppetHandler(puppet, report.return_ka);
    return Answer(UTRACE_SIGNAL_DELIVER, UTRACE_RESUME);
  });
  AttachWith(engine, puppet, kSignalEvents);
  puppet.BeginFault(Fault::kTrap);
  puppet.AwaitHandlerRuns(1);
  EXPECT_TRUE(changed);
  puppet.Finish();
  EXPECT_EQ(1U, puppet.HandlerRuns(SIGTRAP));
}

// Broken by: a host that changes the program's disposition for a while and lets other threads
// see it.
CLAUSE_TEST(SIG_05, AnotherThreadKeepsTheProgramsDisposition) {
  Puppet& puppet = Spawn();
  PuppetThread& other = puppet.SpawnThread();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  Changer changer(puppet, [](Report& report) { report.return_ka->handler = UTRACE_SIG_IGN; });
  StartSpinning(puppet);
  for (int i = 0; i < 20; ++i) {
    puppet.Tgkill(SIGUSR1);
    EXPECT_EQ(0, other.Raise(SIGUSR1));
    EXPECT_EQ(puppet.addresses().handler, ProgramsHandler(other, SIGUSR1));
  }
  AwaitSignal(changer.engine(), SIGUSR1);
  ExpectRuns(puppet);
  EXPECT_EQ(20U, other.HandlerRuns(SIGUSR1));
  EXPECT_EQ(0U, puppet.HandlerRuns(SIGUSR1));
}

}  // namespace utrace::kit
