// SIG-06, SIG-07, SIG-17: what becomes of a signal by the last engine's answer.
#include <stdlib.h>
#include <sys/resource.h>

#include <cstring>

#include "conformance/clauses/signal_scenes.h"

namespace utrace::kit {
namespace {

// Lets the puppet dump core into a folder of its own.
class CoreFolder {
 public:
  CoreFolder() {
    if (mkdtemp(path_) == nullptr) Broken("mkdtemp");
  }
  ~CoreFolder() {
    const std::string remove = std::string("rm -rf ") + path_;
    if (system(remove.c_str()) != 0) ADD_FAILURE() << "cannot remove " << path_;
  }
  CoreFolder(const CoreFolder&) = delete;
  CoreFolder& operator=(const CoreFolder&) = delete;

  void Allow(Puppet& puppet) {
    memcpy(puppet.Scratch(), path_, sizeof(path_));
    if (puppet.Call(SYS_chdir, static_cast<long>(puppet.ScratchAddress())) != 0) Broken("chdir");
    const rlimit unlimited = {64L << 20, 64L << 20};
    if (prlimit(puppet.pid(), RLIMIT_CORE, &unlimited, nullptr) != 0) Broken("prlimit");
  }

 private:
  char path_[32] = "/tmp/utrace-core-XXXXXX";
};

// The wait status of a puppet that dies of this signal untraced, with cores allowed.
int UntracedStatus(Puppet& puppet, int signo) {
  CoreFolder folder;
  folder.Allow(puppet);
  puppet.BeginRaise(signo);
  puppet.AwaitDeath();
  return puppet.nanny().Wait(puppet.pid()).status;
}

}  // namespace

// ---- SIG-06 ------------------------------------------------------------------------------------

CLAUSE_TEST(SIG_06, IgnDropsASignalThatIsHandled) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine engine("A");
  AnswerSignal(engine, SIGUSR1, UTRACE_SIGNAL_IGN);
  AttachWith(engine, puppet, kSignalEvents);
  EXPECT_EQ(0, puppet.Raise(SIGUSR1));
  ExpectWorks(puppet);
  EXPECT_EQ(1, engine.CountSignal(SIGUSR1));
  EXPECT_EQ(0U, puppet.HandlerRuns());
}

CLAUSE_TEST(SIG_06, IgnDropsSignalsThatWouldKillOrStop) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.On(What::kSignal,
            [](Report&) -> uint32_t { return Answer(UTRACE_SIGNAL_IGN, UTRACE_RESUME); });
  AttachWith(engine, puppet, kSignalEvents);
  for (int signo : {SIGTERM, SIGQUIT, SIGSTOP, SIGTSTP, SIGRTMIN}) {
    EXPECT_EQ(0, puppet.Raise(signo));
  }
  ExpectWorks(puppet);
  const WaitIdResult none = nanny().WaitId(puppet.pid(), WSTOPPED | WEXITED | WNOHANG);
  EXPECT_EQ(0, none.info.si_pid) << "the parent was told " << none.info.si_code;
}

// A fault that is dropped happens again, as the instruction does.
CLAUSE_TEST(SIG_06, IgnDropsAFaultButNotItsCause) {
  Puppet& puppet = Spawn();
  int seen = 0;
  TestEngine engine("A");
  OnSignal(engine, SIGSEGV, [&](Report&) -> uint32_t {
    return Answer(++seen < 3 ? UTRACE_SIGNAL_IGN : UTRACE_SIGNAL_TERM, UTRACE_RESUME);
  });
  AttachWith(engine, puppet, kSignalEvents);
  puppet.BeginFault(Fault::kSegv, puppet.addresses().unmapped);
  ExpectEndsBy(puppet, SIGSEGV);
  EXPECT_EQ(3, engine.CountSignal(SIGSEGV));
}

CLAUSE_TEST(SIG_06, TermEndsTheProcess) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  ExpectEnds(puppet, SIGUSR1, UTRACE_SIGNAL_TERM);
}

CLAUSE_TEST(SIG_06, TermEndsEveryThread) {
  Puppet& puppet = Spawn();
  PuppetThread& other = puppet.SpawnThread();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  StartSpinning(other);
  ExpectEnds(puppet, SIGUSR1, UTRACE_SIGNAL_TERM);
  other.AwaitDeath();
}

CLAUSE_TEST(SIG_06, TermTakesTheNumberFromTheSiginfo) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  puppet.Sigaction(SIGALRM, Disposition::kIgnore);
  TestEngine engine("A");
  OnSignal(engine, SIGUSR1, [](Report& report) -> uint32_t {
    report.info->si_signo = SIGALRM;
    return Answer(UTRACE_SIGNAL_TERM, UTRACE_RESUME);
  });
  AttachWith(engine, puppet, kSignalEvents);
  puppet.BeginRaise(SIGUSR1);
  ExpectEndsBy(puppet, SIGALRM);
}

CLAUSE_TEST(SIG_06, TermOfASignalWithoutFatalDefault) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  AnswerSignal(engine, SIGWINCH, UTRACE_SIGNAL_TERM);
  AttachWith(engine, puppet, kSignalEvents);
  puppet.BeginRaise(SIGWINCH);
  puppet.AwaitDeath();
  const WaitResult end = nanny().Wait(puppet.pid());
  ASSERT_TRUE(WIFSIGNALED(end.status)) << end.status;
  if (Declares("LIM-03")) {
    ExpectOneOf(WTERMSIG(end.status), {SIGWINCH, SIGTERM});
  } else {
    EXPECT_EQ(SIGWINCH, WTERMSIG(end.status));
  }
}

CLAUSE_TEST(SIG_06, CoreOfASignalWithoutFatalDefault) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  AnswerSignal(engine, SIGWINCH, UTRACE_SIGNAL_CORE);
  AttachWith(engine, puppet, kSignalEvents);
  puppet.BeginRaise(SIGWINCH);
  puppet.AwaitDeath();
  const WaitResult end = nanny().Wait(puppet.pid());
  ASSERT_TRUE(WIFSIGNALED(end.status)) << end.status;
  if (Declares("LIM-03")) {
    ExpectOneOf(WTERMSIG(end.status), {SIGWINCH, SIGQUIT});
  } else {
    EXPECT_EQ(SIGWINCH, WTERMSIG(end.status));
  }
}

CLAUSE_TEST(SIG_06, CoreEndsTheProcessWithADump) {
  Needs("live");
  const int untraced = UntracedStatus(Spawn("twin"), SIGQUIT);
  if (WTERMSIG(untraced) != SIGQUIT) Broken("the untraced twin did not die of SIGQUIT");
  CoreFolder folder;
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGQUIT, Disposition::kHandler);
  folder.Allow(puppet);
  TestEngine engine("A");
  AnswerSignal(engine, SIGQUIT, UTRACE_SIGNAL_CORE);
  AttachWith(engine, puppet, kSignalEvents);
  puppet.BeginRaise(SIGQUIT);
  puppet.AwaitDeath();
  EXPECT_EQ(untraced, nanny().Wait(puppet.pid()).status);
}

CLAUSE_TEST(SIG_06, CoreTakesTheNumberFromTheSiginfo) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine engine("A");
  OnSignal(engine, SIGUSR1, [](Report& report) -> uint32_t {
    report.info->si_signo = SIGABRT;
    return Answer(UTRACE_SIGNAL_CORE, UTRACE_RESUME);
  });
  AttachWith(engine, puppet, kSignalEvents);
  puppet.BeginRaise(SIGUSR1);
  ExpectEndsBy(puppet, SIGABRT);
}

CLAUSE_TEST(SIG_06, StopStopsTheProcess) {
  Puppet& puppet = Spawn();
  PuppetThread& other = puppet.SpawnThread();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine engine("A");
  AnswerSignal(engine, SIGUSR1, UTRACE_SIGNAL_STOP);
  AttachWith(engine, puppet, kSignalEvents);
  puppet.BeginRaise(SIGUSR1);
  ExpectJobControlStop(puppet);
  EXPECT_TRUE(other.State() == 'T' || other.State() == 't') << other.State();
  puppet.Kill(SIGCONT);
  EXPECT_EQ(0, puppet.Finish());
  EXPECT_EQ(0U, puppet.HandlerRuns());
  ExpectWorks(other);
}

CLAUSE_TEST(SIG_06, TstpStopsTheProcess) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine engine("A");
  AnswerSignal(engine, SIGUSR1, UTRACE_SIGNAL_TSTP);
  AttachWith(engine, puppet, kSignalEvents);
  puppet.BeginRaise(SIGUSR1);
  ExpectJobControlStop(puppet);
  puppet.Kill(SIGCONT);
  EXPECT_EQ(0, puppet.Finish());
  EXPECT_EQ(0U, puppet.HandlerRuns());
}

// Broken by: TSTP done by sending the program a SIGTSTP, which it may have a handler for.
CLAUSE_TEST(SIG_06, TstpStopsAProgramThatHandlesSigtstp) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGTSTP, Disposition::kHandler);
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine engine("A");
  AnswerSignal(engine, SIGUSR1, UTRACE_SIGNAL_TSTP);
  AttachWith(engine, puppet, kSignalEvents);
  puppet.BeginRaise(SIGUSR1);
  ExpectJobControlStop(puppet);
  puppet.Kill(SIGCONT);
  EXPECT_EQ(0, puppet.Finish());
  EXPECT_EQ(0U, puppet.HandlerRuns());
  EXPECT_EQ(puppet.addresses().handler, ProgramsHandler(puppet, SIGTSTP));
}

// Job control does not stop the members of an orphaned process group; SIGSTOP does.
CLAUSE_TEST(SIG_06, TstpDoesNotStopAnOrphanedGroupAndStopDoes) {
  Puppet& puppet = Spawn();
  Puppet& child = puppet.Fork();
  if (child.Call(SYS_setsid) != child.pid()) Broken("setsid");
  child.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine engine("A");
  AnswerSignal(engine, SIGUSR1, UTRACE_SIGNAL_TSTP);
  AttachWith(engine, child, kSignalEvents);
  EXPECT_EQ(0, child.Raise(SIGUSR1));
  ExpectWorks(puppet);
  EXPECT_EQ(child.pid(), child.Call(SYS_getpid));
  AnswerSignal(engine, SIGUSR1, UTRACE_SIGNAL_STOP);
  child.BeginRaise(SIGUSR1);
  EXPECT_EQ(0, puppet.Call(SYS_waitid, P_PID, child.pid(), 0, WSTOPPED, 0));
  child.Kill(SIGCONT);
  EXPECT_EQ(0, child.Finish());
}

CLAUSE_TEST(SIG_06, DeliverOfStopSignalsStops) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  AttachWith(engine, puppet, kSignalEvents);
  for (int signo : {SIGSTOP, SIGTSTP, SIGTTIN}) {
    puppet.BeginRaise(signo);
    ExpectJobControlStop(puppet);
    puppet.Kill(SIGCONT);
    EXPECT_EQ(0, puppet.Finish());
    EXPECT_EQ(1, engine.CountSignal(signo));
  }
}

// ---- SIG-07, SIG-17 ----------------------------------------------------------------------------

CLAUSE_TEST(SIG_07, HeldAndDroppedItIsSeenAgain) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  int seen = 0;
  TestEngine engine("A");
  OnSignal(engine, SIGUSR1, [&](Report&) -> uint32_t {
    return ++seen < 4 ? Answer(UTRACE_SIGNAL_IGN | UTRACE_SIGNAL_HOLD, UTRACE_RESUME)
                      : Answer(UTRACE_SIGNAL_DELIVER, UTRACE_RESUME);
  });
  AttachWith(engine, puppet, kSignalEvents);
  EXPECT_EQ(0, puppet.Queue(SIGUSR1, 31));
  EXPECT_EQ(4, engine.CountSignal(SIGUSR1)) << Describe(engine.Log());
  const std::vector<SignalRecord> signals = puppet.Signals();
  ASSERT_EQ(1U, signals.size());
  EXPECT_EQ(31, signals[0].value);
  EXPECT_EQ(SI_QUEUE, signals[0].code);
}

CLAUSE_TEST(SIG_07, HeldAndDeliveredTheHandlerRunsAgain) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  int seen = 0;
  TestEngine engine("A");
  OnSignal(engine, SIGUSR1, [&](Report&) -> uint32_t {
    return Answer(UTRACE_SIGNAL_DELIVER | (++seen == 1 ? UTRACE_SIGNAL_HOLD : 0U), UTRACE_RESUME);
  });
  AttachWith(engine, puppet, kSignalEvents);
  EXPECT_EQ(0, puppet.Queue(SIGUSR1, 32));
  puppet.AwaitHandlerRuns(2);
  ExpectWorks(puppet);
  EXPECT_EQ(2, engine.CountSignal(SIGUSR1)) << Describe(engine.Log());
  const std::vector<SignalRecord> signals = puppet.Signals();
  ASSERT_EQ(2U, signals.size());
  EXPECT_EQ(32, signals[1].value);
}

CLAUSE_TEST(SIG_07, HeldInAJobControlStopItIsSeenAfterwards) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  int seen = 0;
  TestEngine engine("A");
  OnSignal(engine, SIGUSR1, [&](Report&) -> uint32_t {
    return ++seen == 1 ? Answer(UTRACE_SIGNAL_STOP | UTRACE_SIGNAL_HOLD, UTRACE_RESUME)
                       : Answer(UTRACE_SIGNAL_DELIVER, UTRACE_RESUME);
  });
  AttachWith(engine, puppet, kSignalEvents);
  puppet.BeginRaise(SIGUSR1);
  ExpectJobControlStop(puppet);
  puppet.Kill(SIGCONT);
  EXPECT_EQ(0, puppet.Finish());
  puppet.AwaitHandlerRuns(1);
  EXPECT_EQ(2, engine.CountSignal(SIGUSR1)) << Describe(engine.Log());
}

CLAUSE_TEST(SIG_07, WithoutHoldItIsNotSeenAgain) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine engine("A");
  AttachWith(engine, puppet, kSignalEvents);
  EXPECT_EQ(0, puppet.Raise(SIGUSR1));
  ExpectWorks(puppet);
  EXPECT_EQ(1, engine.CountSignal(SIGUSR1));
  EXPECT_EQ(1U, puppet.HandlerRuns());
}

// The flag is part of the last engine's answer.
CLAUSE_TEST(SIG_07, AnEarlierEnginesHoldCanBeTakenBack) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine a("A");
  TestEngine b("B");
  AnswerSignal(a, SIGUSR1, UTRACE_SIGNAL_IGN | UTRACE_SIGNAL_HOLD);
  AnswerSignal(b, SIGUSR1, UTRACE_SIGNAL_IGN);
  AttachWith(a, puppet, kSignalEvents);
  AttachWith(b, puppet, kSignalEvents);
  EXPECT_EQ(0, puppet.Raise(SIGUSR1));
  ExpectWorks(puppet);
  EXPECT_EQ(1, a.CountSignal(SIGUSR1)) << Describe(GlobalLog());
}

// Several signals held at once keep their order and contents.
CLAUSE_TEST(SIG_07, QueuedSignalsHeldAreAllSeenAgain) {
  Puppet& puppet = Spawn();
  const int signo = SIGRTMIN + 1;
  puppet.Sigaction(signo, Disposition::kHandler);
  std::vector<int> held;
  TestEngine engine("A");
  OnSignal(engine, signo, [&](Report& report) -> uint32_t {
    const int value = report.info_copy.si_value.sival_int;
    if (std::find(held.begin(), held.end(), value) != held.end()) return PassThrough(report);
    held.push_back(value);
    return Answer(UTRACE_SIGNAL_IGN | UTRACE_SIGNAL_HOLD, UTRACE_RESUME);
  });
  AttachWith(engine, puppet, kSignalEvents);
  const uint64_t mask = uint64_t{1} << (signo - 1);
  ASSERT_EQ(0, puppet.Sigprocmask(SIG_BLOCK, mask));
  for (int value = 1; value <= 4; ++value) EXPECT_EQ(0, puppet.Queue(signo, value));
  EXPECT_EQ(0, puppet.Sigprocmask(SIG_UNBLOCK, mask));
  puppet.AwaitHandlerRuns(4);
  ExpectWorks(puppet);
  EXPECT_EQ(8, engine.CountSignal(signo)) << Describe(engine.Log());
  std::vector<int> values;
  for (const SignalRecord& record : puppet.Signals()) values.push_back(record.value);
  std::sort(values.begin(), values.end());
  EXPECT_EQ((std::vector<int>{1, 2, 3, 4}), values);
}

CLAUSE_TEST(SIG_17, StoppedThereAndWithIgnGone) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine engine("A");
  AnswerSignal(engine, SIGUSR1, UTRACE_SIGNAL_IGN, UTRACE_STOP);
  AttachWith(engine, puppet, kSignalEvents);
  StartSpinning(puppet);
  puppet.Tgkill(SIGUSR1);
  AwaitSignal(engine, SIGUSR1);
  AwaitHeld(engine);
  ExpectStaysHeld(engine, puppet, [] {});
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  ExpectRuns(puppet);
  EXPECT_EQ(1, engine.CountSignal(SIGUSR1)) << Describe(engine.Log());
  EXPECT_EQ(0U, puppet.HandlerRuns());
}

CLAUSE_TEST(SIG_17, StoppedThereAndWithHoldSeenAgain) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  int seen = 0;
  TestEngine engine("A");
  OnSignal(engine, SIGUSR1, [&](Report&) -> uint32_t {
    return ++seen == 1 ? Answer(UTRACE_SIGNAL_IGN | UTRACE_SIGNAL_HOLD, UTRACE_STOP)
                       : Answer(UTRACE_SIGNAL_DELIVER, UTRACE_RESUME);
  });
  AttachWith(engine, puppet, kSignalEvents);
  StartSpinning(puppet);
  puppet.QueueFromKit(SIGUSR1, 33);
  AwaitSignal(engine, SIGUSR1);
  AwaitHeld(engine);
  ExpectStaysHeld(engine, puppet, [] {});
  EXPECT_EQ(0U, puppet.HandlerRuns());
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  puppet.AwaitHandlerRuns(1);
  EXPECT_EQ(33, puppet.Signals()[0].value);
  ExpectRuns(puppet);
  EXPECT_EQ(2, engine.CountSignal(SIGUSR1)) << Describe(engine.Log());
}

CLAUSE_TEST(SIG_17, StopByAnEngineWithoutASayInTheSignal) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine a("A");
  TestEngine b("B");
  OnSignal(a, SIGUSR1, [](Report& report) { return WithResume(report, UTRACE_STOP); });
  AnswerSignal(b, SIGUSR1, UTRACE_SIGNAL_IGN);
  AttachWith(a, puppet, kSignalEvents);
  AttachWith(b, puppet, kSignalEvents);
  StartSpinning(puppet);
  puppet.Tgkill(SIGUSR1);
  AwaitSignal(b, SIGUSR1);
  AwaitHeld(a);
  EXPECT_EQ(0, a.Control(UTRACE_RESUME));
  ExpectRuns(puppet);
  EXPECT_EQ(0U, puppet.HandlerRuns());
}

}  // namespace utrace::kit
