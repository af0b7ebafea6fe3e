// finish_examine: whether the task stayed stopped between the two calls.
#include "conformance/clauses/callback_scenes.h"

namespace utrace::kit {
namespace {

// A spinning puppet that `engine` holds.
void HoldSpinning(TestEngine& engine, Puppet& puppet) {
  AssertOneOf(engine.AttachTid(puppet.tid()), {0});
  puppet.BeginSpin();
  puppet.AwaitSpinning();
  engine.StopAndWait();
}

}  // namespace

// ---- EXM-06 ------------------------------------------------------------------------------------

CLAUSE_TEST(EXM_06, NothingHappened) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  HoldSpinning(engine, puppet);
  utrace_examiner examiner = {};
  ASSERT_EQ(0, engine.Prepare(&examiner));
  EXPECT_EQ(0, engine.Finish(&examiner));
  // As often as wanted, for one prepare.
  EXPECT_EQ(0, engine.Finish(&examiner));
}

CLAUSE_TEST(EXM_06, ManyPairsInOneStop) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  HoldSpinning(engine, puppet);
  utrace_examiner outer = {};
  ASSERT_EQ(0, engine.Prepare(&outer));
  for (int i = 0; i < 50; ++i) {
    utrace_examiner inner = {};
    ASSERT_EQ(0, engine.Prepare(&inner));
    ASSERT_EQ(0, engine.Finish(&inner));
  }
  EXPECT_EQ(0, engine.Finish(&outer));
}

CLAUSE_TEST(EXM_06, AfterReadingAndWriting) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  HoldSpinning(engine, puppet);
  utrace_examiner examiner = {};
  ASSERT_EQ(0, engine.Prepare(&examiner));
  uint64_t pc = 0;
  char byte = 0;
  const uint64_t address = puppet.addresses().memory;
  ASSERT_EQ(0, api().utrace_get_pc(engine.task(), &pc));
  ASSERT_EQ(0, api().utrace_set_pc(engine.task(), pc));
  ASSERT_EQ(1, api().utrace_read_memory(engine.task(), address, &byte, 1));
  ASSERT_EQ(1, api().utrace_write_memory(engine.task(), address, &byte, 1));
  EXPECT_EQ(0, engine.Finish(&examiner));
}

CLAUSE_TEST(EXM_06, WhileOtherEnginesComeAndGo) {
  Puppet& puppet = Spawn();
  TestEngine engine("engine");
  HoldSpinning(engine, puppet);
  utrace_examiner examiner = {};
  ASSERT_EQ(0, engine.Prepare(&examiner));
  TestEngine other("other");
  ASSERT_EQ(0, other.AttachTid(puppet.tid()));
  ASSERT_EQ(0, other.SetEvents(UTRACE_EVENT_ALL));
  ASSERT_EQ(0, other.Control(UTRACE_STOP));
  EXPECT_EQ(0, engine.Finish(&examiner));
  ASSERT_EQ(0, other.Control(UTRACE_RESUME));
  ASSERT_EQ(0, other.Control(UTRACE_REPORT));
  ASSERT_EQ(0, other.Control(UTRACE_INTERRUPT));
  EXPECT_EQ(0, engine.Finish(&examiner));
  ASSERT_EQ(0, other.Control(UTRACE_DETACH));
  EXPECT_EQ(0, engine.Finish(&examiner));
}

CLAUSE_TEST(EXM_06, WhileItsOwnCallsKeepTheStop) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  HoldSpinning(engine, puppet);
  utrace_examiner examiner = {};
  ASSERT_EQ(0, engine.Prepare(&examiner));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT_ALL));
  ASSERT_EQ(0, engine.Control(UTRACE_STOP));
  ASSERT_EQ(0, engine.SetEvents(0));
  EXPECT_EQ(0, engine.Finish(&examiner));
}

CLAUSE_TEST(EXM_06, SignalsDoNotWakeIt) {
  Puppet& puppet = Spawn();
  ASSERT_EQ(0, puppet.Sigaction(SIGUSR1, Disposition::kHandler));
  TestEngine engine;
  HoldSpinning(engine, puppet);
  utrace_examiner examiner = {};
  ASSERT_EQ(0, engine.Prepare(&examiner));
  puppet.Tgkill(SIGUSR1);
  puppet.Kill(SIGCONT);
  EXPECT_EQ(0, engine.Finish(&examiner));
  EXPECT_EQ(0U, puppet.HandlerRuns());
  ASSERT_EQ(0, engine.Control(UTRACE_RESUME));
  puppet.AwaitHandlerRuns(1);
  puppet.StopSpin();
  puppet.Finish();
}

CLAUSE_TEST(EXM_06, InAStopThatANewCallbackDoesNotEnd) {
  Puppet& puppet = Spawn();
  // Two engines stop at entry; one lets go.
  HeldCallback held(What::kSyscallEntry, puppet, 0, UTRACE_STOP);
  TestEngine other("other");
  other.On(What::kSyscallEntry, [](Report& report) -> uint32_t {
    if (report.syscall == SYS_getppid) return UTRACE_STOP;
    return PassThrough(report);
  });
  ASSERT_EQ(0, other.AttachTid(puppet.tid()));
  ASSERT_EQ(0, other.SetEvents(UTRACE_EVENT(SYSCALL_ENTRY)));
  held.Begin();
  held.Open();
  ASSERT_EQ(0, held.engine().Barrier());
  utrace_examiner examiner = {};
  ASSERT_EQ(0, held.engine().Prepare(&examiner));
  ASSERT_EQ(0, other.Control(UTRACE_RESUME));
  EXPECT_EQ(0, held.engine().Finish(&examiner));
  ASSERT_EQ(0, held.engine().Control(UTRACE_RESUME));
  puppet.Finish();
}

// ---- EXM-07 ------------------------------------------------------------------------------------

CLAUSE_TEST(EXM_07, SigkillWokeIt) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  HoldSpinning(engine, puppet);
  utrace_examiner examiner = {};
  ASSERT_EQ(0, engine.Prepare(&examiner));
  puppet.Kill(SIGKILL);
  EXPECT_EQ(-EAGAIN, engine.Finish(&examiner));
  puppet.AwaitDeath();
  // It still woke in between; that it is gone may be said as well.
  ExpectOneOf(engine.Finish(&examiner), {-EAGAIN, -ESRCH});
}

CLAUSE_TEST(EXM_07, ItRanAndIsStoppedAgain) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  HoldSpinning(engine, puppet);
  utrace_examiner examiner = {};
  ASSERT_EQ(0, engine.Prepare(&examiner));
  ASSERT_EQ(0, engine.Control(UTRACE_RESUME));
  puppet.AwaitSpinning();
  engine.StopAndWait();
  EXPECT_EQ(-EAGAIN, engine.Finish(&examiner));
  // A new pair is a new start.
  ASSERT_EQ(0, engine.Prepare(&examiner));
  EXPECT_EQ(0, engine.Finish(&examiner));
}

// It looks the same before and after: the same call, at the same place.
CLAUSE_TEST(EXM_07, ItIsStoppedAgainInTheSameCall) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  puppet.BeginRead();
  puppet.AwaitBlocked();
  engine.HoldNow();
  utrace_examiner examiner = {};
  ASSERT_EQ(0, engine.Prepare(&examiner));
  ASSERT_EQ(0, engine.Control(UTRACE_RESUME));
  puppet.AwaitBlocked();
  engine.HoldNow();
  EXPECT_EQ(-EAGAIN, engine.Finish(&examiner));
  ASSERT_EQ(0, engine.Control(UTRACE_RESUME));
  puppet.Feed();
  EXPECT_EQ(1, puppet.Finish());
}

CLAUSE_TEST(EXM_07, AnotherEngineHoldsItByNow) {
  Puppet& puppet = Spawn();
  TestEngine engine("engine");
  TestEngine other("other");
  HoldSpinning(engine, puppet);
  ASSERT_EQ(0, other.AttachTid(puppet.tid()));
  utrace_examiner examiner = {};
  ASSERT_EQ(0, engine.Prepare(&examiner));
  ASSERT_EQ(0, engine.Control(UTRACE_RESUME));
  puppet.AwaitSpinning();
  other.StopAndWait();
  // It woke, and this engine does not hold it either.
  ExpectOneOf(engine.Finish(&examiner), {-EAGAIN, -EINVAL});
  // Taking part in the new stop does not mend the old pair.
  ASSERT_EQ(0, engine.Control(UTRACE_STOP));
  EXPECT_EQ(-EAGAIN, engine.Finish(&examiner));
}

CLAUSE_TEST(EXM_07, TheEngineLetGoWhileAnotherHolds) {
  Puppet& puppet = Spawn();
  TestEngine engine("engine");
  TestEngine other("other");
  HoldSpinning(engine, puppet);
  ASSERT_EQ(0, other.AttachTid(puppet.tid()));
  ASSERT_EQ(0, other.Control(UTRACE_STOP));
  utrace_examiner examiner = {};
  ASSERT_EQ(0, engine.Prepare(&examiner));
  ASSERT_EQ(0, engine.Control(UTRACE_RESUME));
  EXPECT_EQ(-EINVAL, engine.Finish(&examiner));
}

CLAUSE_TEST(EXM_07, TheEngineLetItRun) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  HoldSpinning(engine, puppet);
  utrace_examiner examiner = {};
  ASSERT_EQ(0, engine.Prepare(&examiner));
  ASSERT_EQ(0, engine.Control(UTRACE_RESUME));
  ExpectOneOf(engine.Finish(&examiner), {-EINVAL, -EAGAIN});
  puppet.AwaitSpinning();
  ExpectOneOf(engine.Finish(&examiner), {-EINVAL, -EAGAIN});
  puppet.StopSpin();
  puppet.Finish();
}

CLAUSE_TEST(EXM_07, TheEngineDetached) {
  Puppet& puppet = Spawn();
  TestEngine engine("engine");
  TestEngine other("other");
  HoldSpinning(engine, puppet);
  ASSERT_EQ(0, other.AttachTid(puppet.tid()));
  ASSERT_EQ(0, other.Control(UTRACE_STOP));
  utrace_examiner examiner = {};
  ASSERT_EQ(0, engine.Prepare(&examiner));
  ASSERT_EQ(0, engine.Control(UTRACE_DETACH));
  // Detached engines mostly get -ESRCH.
  ExpectOneOf(engine.Finish(&examiner), {-EINVAL, -ESRCH});
}

CLAUSE_TEST(EXM_07, OneStepIsEnough) {
  SkipIfDeclared("NO-SINGLESTEP");
  Puppet& puppet = Spawn();
  TestEngine engine;
  const auto step_then_stop = [](Report& report) -> uint32_t {
    if (report.what == What::kSignal && report.has_orig_ka && report.signo() == SIGTRAP) {
      return static_cast<uint32_t>(UTRACE_SIGNAL_IGN) | UTRACE_STOP;
    }
    return (PassThrough(report) & ~UTRACE_RESUME_MASK) | UTRACE_SINGLESTEP;
  };
  HoldSpinning(engine, puppet);
  engine.On(What::kSignal, step_then_stop);
  engine.On(What::kQuiesce, step_then_stop);
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(QUIESCE) | UTRACE_EVENT_SIGNAL_ALL));
  utrace_examiner examiner = {};
  ASSERT_EQ(0, engine.Prepare(&examiner));
  ASSERT_EQ(0, engine.Control(UTRACE_SINGLESTEP));
  engine.AwaitLog("the trap after the step", [](const auto& log) {
    for (const Report& report : log) {
      const bool trap = report.what == What::kSignal && report.signo() == SIGTRAP;
      if (trap && report.has_orig_ka && report.end != 0) return true;
    }
    return false;
  });
  ASSERT_EQ(0, engine.Barrier());
  utrace_examiner now = {};
  ASSERT_EQ(0, engine.Prepare(&now));
  EXPECT_EQ(-EAGAIN, engine.Finish(&examiner));
  EXPECT_EQ(0, engine.Finish(&now));
}

}  // namespace utrace::kit
