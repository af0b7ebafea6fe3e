// prepare_examine: what it waits for, and what it does not wait for.
#include "conformance/clauses/callback_scenes.h"

namespace utrace::kit {
namespace {

// The puppet is stopped, at the entry of getppid or wherever else, by the result of one callback.
void StopByResult(What what, Puppet& puppet) {
  HeldCallback held(what, puppet, 0, UTRACE_STOP);
  held.Begin();
  held.Open();
  // Now the callback has returned STOP, wherever the task is.
  ASSERT_EQ(0, held.engine().Barrier());
  utrace_examiner examiner = {};
  ASSERT_EQ(0, held.engine().Prepare(&examiner));
  uint64_t pc = 0;
  EXPECT_EQ(0, api().utrace_get_pc(held.engine().task(), &pc));
  EXPECT_NE(0U, pc);
  EXPECT_EQ(0, held.engine().Finish(&examiner));
  EXPECT_EQ(0, held.engine().Control(UTRACE_RESUME));
  held.End();
}

void Spin(Puppet& puppet) {
  puppet.BeginSpin();
  puppet.AwaitSpinning();
}

}  // namespace

// ---- EXM-08 ------------------------------------------------------------------------------------

CLAUSE_TEST(EXM_08, AfterStopFromSyscallEntry) { StopByResult(What::kSyscallEntry, Spawn()); }
CLAUSE_TEST(EXM_08, AfterStopFromSyscallExit) { StopByResult(What::kSyscallExit, Spawn()); }
CLAUSE_TEST(EXM_08, AfterStopFromReportSignal) { StopByResult(What::kSignal, Spawn()); }
CLAUSE_TEST(EXM_08, AfterStopFromReportClone) { StopByResult(What::kClone, Spawn()); }
CLAUSE_TEST(EXM_08, AfterStopFromReportExec) { StopByResult(What::kExec, Spawn()); }
CLAUSE_TEST(EXM_08, AfterStopFromReportExit) { StopByResult(What::kExit, Spawn()); }

CLAUSE_TEST(EXM_08, AfterStopByControlOfAStoppedTask) {
  Puppet& puppet = Spawn();
  TestEngine holder("holder");
  TestEngine engine("engine");
  ASSERT_EQ(0, holder.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  Spin(puppet);
  holder.StopAndWait();
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(0, engine.Control(UTRACE_STOP));
    utrace_examiner examiner = {};
    EXPECT_EQ(0, engine.Prepare(&examiner));
    EXPECT_EQ(0, engine.Finish(&examiner));
    ASSERT_EQ(0, engine.Control(UTRACE_RESUME));
  }
}

CLAUSE_TEST(EXM_08, AfterStopByControlOfAJobControlStop) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(JCTL)));
  puppet.Kill(SIGTSTP);
  ASSERT_EQ(0, nanny().WaitId(puppet.pid(), WSTOPPED).result);
  engine.AwaitEnded(What::kJctl);
  ASSERT_EQ(0, engine.Barrier());
  ASSERT_EQ(0, engine.Control(UTRACE_STOP));
  utrace_examiner examiner = {};
  ASSERT_EQ(0, engine.Prepare(&examiner));
  uint64_t pc = 0;
  EXPECT_EQ(0, api().utrace_get_pc(engine.task(), &pc));
  EXPECT_EQ(0, engine.Finish(&examiner));
  ASSERT_EQ(0, engine.Control(UTRACE_RESUME));
  puppet.Kill(SIGCONT);
  puppet.Call(SYS_getppid);
}

// The task goes on to other engines' callbacks before it stops; meanwhile it is not to be examined.
CLAUSE_TEST(EXM_08, ItWaitsUntilTheTaskIsReallyOff) {
  Puppet& puppet = Spawn();
  TestEngine engine("first");
  engine.On(What::kSyscallExit, [](Report& report) -> uint32_t {
    if (report.syscall == SYS_getppid) return UTRACE_STOP;
    return PassThrough(report);
  });
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(SYSCALL_EXIT)));
  HeldCallback held(What::kSyscallExit, puppet);
  held.Begin();
  ASSERT_EQ(0, engine.Barrier());
  utrace_examiner examiner = {};
  Controller prepare("prepare_examine", [&] {
    return api().utrace_prepare_examine(engine.task(), engine.get(), &examiner);
  });
  prepare.AwaitBlocked();
  held.Open();
  EXPECT_EQ(0, prepare.Result());
  EXPECT_EQ(0, engine.Finish(&examiner));
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  puppet.Finish();
}

CLAUSE_TEST(EXM_08, TheWaitEndsWhenTheStopIsTakenBack) {
  Puppet& puppet = Spawn();
  TestEngine engine("first");
  engine.On(What::kSyscallExit, [](Report& report) -> uint32_t {
    if (report.syscall == SYS_getppid) return UTRACE_STOP;
    return PassThrough(report);
  });
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(SYSCALL_EXIT)));
  HeldCallback held(What::kSyscallExit, puppet);
  held.Begin();
  ASSERT_EQ(0, engine.Barrier());
  utrace_examiner examiner = {};
  Controller prepare("prepare_examine", [&] {
    return api().utrace_prepare_examine(engine.task(), engine.get(), &examiner);
  });
  prepare.AwaitBlockedOrFinished();
  ASSERT_EQ(0, engine.Control(UTRACE_RESUME));
  held.End();
  ExpectOneOf(prepare.Result(), {-EINVAL, -EAGAIN});
}

CLAUSE_TEST(EXM_08, TheWaitEndsWhenTheTaskIsKilled) {
  Puppet& puppet = Spawn();
  TestEngine engine("first");
  engine.On(What::kSyscallExit, [](Report& report) -> uint32_t {
    if (report.syscall == SYS_getppid) return UTRACE_STOP;
    return PassThrough(report);
  });
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(SYSCALL_EXIT)));
  HeldCallback held(What::kSyscallExit, puppet);
  held.Begin();
  ASSERT_EQ(0, engine.Barrier());
  utrace_examiner examiner = {};
  Controller prepare("prepare_examine", [&] {
    return api().utrace_prepare_examine(engine.task(), engine.get(), &examiner);
  });
  prepare.AwaitBlockedOrFinished();
  puppet.Kill(SIGKILL);
  held.Open();
  ExpectOneOf(prepare.Result(), {-EAGAIN, -ESRCH});
}

// ---- EXM-09 ------------------------------------------------------------------------------------

CLAUSE_TEST(EXM_09, ATaskThatSleepsIsNotStopped) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  puppet.BeginRead();
  puppet.AwaitBlocked();
  utrace_examiner examiner = {};
  // It does not hold the task either (EXM-02).
  ExpectOneOf(engine.Prepare(&examiner), {-EAGAIN, -EINVAL});
  puppet.Feed();
  EXPECT_EQ(1, puppet.Finish());
}

CLAUSE_TEST(EXM_09, NotEvenWhenStopWasAskedFor) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  puppet.BeginRead();
  puppet.AwaitBlocked();
  ASSERT_EQ(-EINPROGRESS, engine.Control(UTRACE_STOP));
  utrace_examiner examiner = {};
  Controller prepare("prepare_examine", [&] {
    return api().utrace_prepare_examine(engine.task(), engine.get(), &examiner);
  });
  prepare.AwaitBlockedOrFinished();
  ASSERT_TRUE(prepare.Finished()) << "it waits for the system call to end";
  const long result = prepare.Result();
  // With LIM-02 the call may have been interrupted, to be restarted; then the task is stopped.
  if (result == 0 && Declares("LIM-02")) {
    EXPECT_EQ('t', puppet.State());
  } else {
    EXPECT_EQ(-EAGAIN, result);
  }
  // Neither the call nor the stop is lost.
  puppet.Feed();
  ASSERT_TRUE(PollUntil([&] { return engine.Prepare(&examiner) == 0; }));
  EXPECT_EQ(0, engine.Finish(&examiner));
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  EXPECT_EQ(1, puppet.Finish());
}

CLAUSE_TEST(EXM_09, NotWhileTheCallbackStillHasToDecide) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(QUIESCE)));
  puppet.BeginTimed(Timed::kPause, std::chrono::milliseconds(0));
  puppet.AwaitBlocked();
  ASSERT_EQ(-EINPROGRESS, engine.Control(UTRACE_STOP));
  utrace_examiner examiner = {};
  const int result = engine.Prepare(&examiner);
  if (result == 0 && Declares("LIM-02")) {
    EXPECT_EQ('t', puppet.State());
  } else {
    // The callback may have let it go again by then.
    ExpectOneOf(result, {-EAGAIN, -EINVAL});
  }
}

}  // namespace utrace::kit
