// The kit's engines at work on our own implementation: the examples of README.md, and every helper
// that needs a real task.
#include <sys/wait.h>

#include <set>

#include "conformance/kit/test.h"

namespace utrace::kit {

// The examples, word for word.
CLAUSE_TEST(SYS_11, EveryEntryIsReportedOnce) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  TestEngine engine("A");
  AssertOneOf(engine.Attach(task), {0});
  AssertOneOf(engine.SetEvents(UTRACE_EVENT_SYSCALL), {0});
  puppet.Repeat(SYS_getppid, 100);
  // The puppet acknowledged its step, so everything was reported that will be.
  EXPECT_EQ(100, engine.CountSyscall(What::kSyscallEntry, SYS_getppid));
  EXPECT_EQ(100, engine.CountSyscall(What::kSyscallExit, SYS_getppid));
}

CLAUSE_TEST(BAR_03, WaitsForTheRunningCallback) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  Gate gate("callback may end");
  TestEngine engine("A");
  engine.On(What::kSyscallEntry, [&](Report& r) -> uint32_t {
    if (r.syscall == SYS_getppid) gate.Wait();
    return PassThrough(r);
  });
  AssertOneOf(engine.Attach(task), {0});
  AssertOneOf(engine.SetEvents(UTRACE_EVENT(SYSCALL_ENTRY)), {0});
  puppet.Begin(SYS_getppid);
  gate.AwaitArrival();

  Controller barrier("barrier", [&] { return api().utrace_barrier(task, engine.get()); });
  barrier.AwaitBlocked();  // fails the test if it returns instead
  gate.Open();
  ExpectOneOf(barrier.Result(), {0});
  engine.AwaitLog("end of getppid's entry", [](const std::vector<Report>& log) {
    return !log.empty() && log.back().end != 0;
  });
  for (const Report& report : engine.Log(What::kSyscallEntry)) {
    if (report.syscall == SYS_getppid) {
      EXPECT_LT(report.end, barrier.finished_at());
    }
  }
  puppet.Finish();
}

CLAUSE_TEST(KIT_01, OnlyChannelCallsBetweenSteps) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  TestEngine engine("A");
  AssertOneOf(engine.Attach(task), {0});
  AssertOneOf(engine.SetEvents(UTRACE_EVENT(SYSCALL_ENTRY)), {0});
  for (int i = 0; i < 5; ++i) puppet.Call(SYS_getuid);
  std::multiset<long> others;
  for (const Report& report : engine.Log(What::kSyscallEntry)) {
    if (!IsChannelCall(report.syscall)) others.insert(report.syscall);
  }
  EXPECT_EQ((std::multiset<long>{SYS_getuid, SYS_getuid, SYS_getuid, SYS_getuid, SYS_getuid}),
            others);
  EXPECT_EQ(0, engine.overlaps());
}

CLAUSE_TEST(KIT_02, StopAndWaitHoldsARunningTask) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  TestEngine engine("A");
  AssertOneOf(engine.Attach(task), {0});
  AssertOneOf(engine.SetEvents(UTRACE_EVENT(QUIESCE)), {0});
  puppet.BeginSpin();
  puppet.AwaitSpinning();
  engine.StopAndWait();
  const uint64_t count = puppet.SpinCount();
  utrace_examiner examiner = {};
  AssertOneOf(engine.Prepare(&examiner), {0});
  EXPECT_EQ(count, puppet.SpinCount());
  AssertOneOf(engine.Finish(&examiner), {0});
  ExpectOneOf(engine.Control(UTRACE_RESUME), {0});
  puppet.AwaitSpinning();
  puppet.StopSpin();
  puppet.Finish();
}

CLAUSE_TEST(KIT_03, HoldNowHoldsABlockedTask) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  TestEngine engine("A");
  AssertOneOf(engine.Attach(task), {0});
  puppet.BeginRead();
  puppet.AwaitBlocked();
  engine.HoldNow();
  puppet.Feed();
  EXPECT_FALSE(puppet.Finished());
  ExpectOneOf(engine.Control(UTRACE_RESUME), {0});
  EXPECT_EQ(1, puppet.Finish());
}

CLAUSE_TEST(KIT_04, DeathReapAndReleaseAreRecorded) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  TestEngine engine("A");
  AssertOneOf(engine.Attach(task), {0});
  AssertOneOf(engine.SetEvents(UTRACE_EVENT(DEATH) | UTRACE_EVENT(REAP)), {0});
  puppet.BeginExitGroup(5);
  engine.Await(What::kDeath);
  EXPECT_EQ(5, WEXITSTATUS(nanny().Wait(puppet.pid()).status));
  engine.AwaitEnded(What::kReap);
  engine.Put();
  engine.Await(What::kRelease);
  EXPECT_EQ(1, engine.releases());
  EXPECT_FALSE(engine.release_in_callback());
  ExpectLog(engine.Log(), {What::kDeath, What::kReap, What::kRelease});
}

CLAUSE_TEST(KIT_05, NewbornsAreHeldAndSeen) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  TestEngine child_engine("child");
  TestEngine engine("parent");
  engine.On(What::kClone, [&](Report& r) -> uint32_t {
    ExpectOneOf(child_engine.Attach(r.child), {0});
    ExpectOneOf(api().utrace_control(r.child, child_engine.get(), UTRACE_STOP), {0, -EINPROGRESS});
    return PassThrough(r);
  });
  AssertOneOf(engine.Attach(task), {0});
  AssertOneOf(engine.SetEvents(UTRACE_EVENT(CLONE)), {0});
  Puppet& child = puppet.BeginFork();
  EXPECT_LT(0, puppet.Finish());
  EXPECT_FALSE(child.TryAwaitReady(std::chrono::milliseconds(0)));
  ExpectOneOf(child_engine.Control(UTRACE_RESUME), {0});
  child.AwaitReady();
  EXPECT_EQ(engine.Log(What::kClone).at(0).child_tid, child.tid());
}

CLAUSE_TEST(KIT_06, ARunningHandlerDoesNotOutliveItsEngine) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  Gate gate("never opened by the test");
  bool through = false;
  {
    TestEngine engine("A");
    engine.On(What::kSyscallEntry, [&](Report& r) -> uint32_t {
      gate.Wait();
      through = true;
      return PassThrough(r);
    });
    AssertOneOf(engine.Attach(task), {0});
    AssertOneOf(engine.SetEvents(UTRACE_EVENT(SYSCALL_ENTRY)), {0});
    puppet.Begin(SYS_getppid);
    gate.AwaitArrival();
  }
  EXPECT_TRUE(through);
  EXPECT_EQ(nanny().pid(), puppet.Finish());
}

CLAUSE_TEST(KIT_07, SteppingSeesTheKnownInstructions) {
  SkipIfDeclared("NO-SINGLESTEP");
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  std::vector<uint64_t> seen;
  TestEngine engine("A");
  const auto here = [&](const Report& r) {
    uint64_t pc = 0;
    ExpectOneOf(api().utrace_get_pc(r.task, &pc), {0});
    seen.push_back(pc);
    return seen.size() < puppet::kStepSyscall ? UTRACE_SINGLESTEP : UTRACE_RESUME;
  };
  engine.On(What::kSyscallExit, [&](Report& r) -> uint32_t {
    return r.syscall == SYS_getppid ? here(r) : UTRACE_RESUME;
  });
  engine.On(What::kSignal, [&](Report& r) -> uint32_t {
    if (!r.has_orig_ka || r.signo() != SIGTRAP) return PassThrough(r);
    return Answer(UTRACE_SIGNAL_IGN, here(r));
  });
  AssertOneOf(engine.Attach(task), {0});
  AssertOneOf(engine.SetEvents(UTRACE_EVENT(SYSCALL_EXIT) | UTRACE_EVENT(QUIESCE) |
                               UTRACE_EVENT_SIGNAL_ALL),
              {0});
  puppet.BeginSteps();
  EXPECT_EQ(puppet::kStepResult, puppet.Finish());
  const Addresses& at = puppet.addresses();
  EXPECT_EQ(std::vector<uint64_t>(at.step, at.step + puppet::kStepSyscall), seen);
}

}  // namespace utrace::kit
