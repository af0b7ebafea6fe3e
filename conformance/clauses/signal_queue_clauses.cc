// SIG-*, CTL-52: while the user's queue of signals is full, so that no real-time signal can be queued.
#include <sys/resource.h>

#include "conformance/clauses/signal_scenes.h"

namespace utrace::kit {
namespace {

const int kRealTime = SIGRTMIN + 2;

// From here on whoever queues a signal for the puppet is refused; kill still works, without siginfo.
void LeaveNoRoom(PuppetThread& puppet) {
  Needs("live");
  *static_cast<rlimit*>(puppet.Scratch()) = {0, 0};
  AssertOneOf(
      puppet.Call(SYS_prlimit64, 0, RLIMIT_SIGPENDING, static_cast<long>(puppet.ScratchAddress())),
      {0});
  AssertOneOf(puppet.Queue(kRealTime, 1), {-EAGAIN});
}

// Answers the next report that was asked for by introducing the signal.
void Introduce(TestEngine& engine, int signo, uint32_t action) {
  engine.On(What::kSignal, [=, done = false](Report& report) mutable -> uint32_t {
    if (!IsSignalReport(report) || done) return PassThrough(report);
    done = true;
    report.info->si_signo = signo;
    report.info->si_code = SI_TKILL;
    return Answer(action, UTRACE_RESUME);
  });
}

}  // namespace

// Broken by: a host that puts the signal back by queueing it, and does not look whether it could.
CLAUSE_TEST(SIG_07, ThoughTheQueueIsFull) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(kRealTime, Disposition::kHandler);
  LeaveNoRoom(puppet);
  TestEngine engine("A");
  OnSignal(engine, kRealTime, [&](Report&) -> uint32_t {
    const bool first = engine.CountSignal(kRealTime) == 1;
    constexpr uint32_t kHold = UTRACE_SIGNAL_IGN | UTRACE_SIGNAL_HOLD;
    return Answer(first ? kHold : static_cast<uint32_t>(UTRACE_SIGNAL_DELIVER), UTRACE_RESUME);
  });
  AttachWith(engine, puppet, kSignalEvents);
  EXPECT_EQ(0, puppet.KillSelf(kRealTime));
  puppet.AwaitHandlerRuns(1);
  ExpectWorks(puppet);
  EXPECT_EQ(2, engine.CountSignal(kRealTime));
  EXPECT_EQ(1U, puppet.HandlerRuns(kRealTime));
}

// Broken by: a host that introduces the signal by queueing it, and does not look whether it could.
CLAUSE_TEST(CTL_52, ThoughTheQueueIsFull) {
  for (const bool asleep : {false, true}) {
    SCOPED_TRACE(asleep ? "asleep" : "in user mode");
    Puppet& puppet = Spawn();
    puppet.Sigaction(kRealTime, Disposition::kHandler);
    LeaveNoRoom(puppet);
    TestEngine engine("A");
    Introduce(engine, kRealTime, UTRACE_SIGNAL_DELIVER);
    AttachWith(engine, puppet, kQuiesceEvent);
    if (asleep) {
      puppet.BeginRead();
      puppet.AwaitBlocked();
    } else {
      StartSpinning(puppet);
    }
    EXPECT_EQ(0, engine.Control(UTRACE_INTERRUPT));
    puppet.AwaitHandlerRuns(1);
    if (asleep) {
      puppet.Feed();
    } else {
      puppet.StopSpin();
    }
    puppet.Finish();
    ExpectWorks(puppet);
    EXPECT_EQ(1U, puppet.HandlerRuns(kRealTime));
  }
}

// Broken by: a host that forgets an introduced signal that the task blocks, if it cannot be queued.
CLAUSE_TEST(SIG_08, IntroducedWhileBlockedThoughTheQueueIsFull) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(kRealTime, Disposition::kHandler);
  const uint64_t mask = uint64_t{1} << (kRealTime - 1);
  EXPECT_EQ(0, puppet.Sigprocmask(SIG_BLOCK, mask));
  LeaveNoRoom(puppet);
  TestEngine engine("A");
  Introduce(engine, kRealTime, UTRACE_SIGNAL_DELIVER);
  AttachWith(engine, puppet, kQuiesceEvent);
  StartSpinning(puppet);
  EXPECT_EQ(0, engine.Control(UTRACE_INTERRUPT));
  engine.AwaitEnded(What::kSignal);
  puppet.StopSpin();
  puppet.Finish();
  ExpectWorks(puppet);
  EXPECT_EQ(0U, puppet.HandlerRuns());
  EXPECT_EQ(0, puppet.Sigprocmask(SIG_UNBLOCK, mask));
  puppet.AwaitHandlerRuns(1);
  ExpectWorks(puppet);
  EXPECT_EQ(1U, puppet.HandlerRuns(kRealTime));
}

// Broken by: a host that ends the process by queueing the signal, and does not look whether it could.
CLAUSE_TEST(SIG_06, TermThoughTheQueueIsFull) {
  for (const bool handled : {false, true}) {
    for (const bool introduced : {false, true}) {
      SCOPED_TRACE(handled ? "handled" : "not handled");
      SCOPED_TRACE(introduced ? "introduced" : "dequeued");
      Puppet& puppet = Spawn();
      if (handled) puppet.Sigaction(kRealTime, Disposition::kHandler);
      LeaveNoRoom(puppet);
      TestEngine engine("A");
      if (introduced) {
        Introduce(engine, kRealTime, UTRACE_SIGNAL_TERM);
        AttachWith(engine, puppet, kQuiesceEvent);
        StartSpinning(puppet);
        EXPECT_EQ(0, engine.Control(UTRACE_INTERRUPT));
      } else {
        AnswerSignal(engine, kRealTime, UTRACE_SIGNAL_TERM);
        AttachWith(engine, puppet, kSignalEvents);
        puppet.Kill(kRealTime);
      }
      ExpectEndsBy(puppet, kRealTime);
      EXPECT_EQ(0U, puppet.HandlerRuns());
    }
  }
}

}  // namespace utrace::kit
