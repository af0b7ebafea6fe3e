// utrace_barrier on detached engines.
#include "conformance/clauses/callback_scenes.h"

namespace utrace::kit {
namespace {

// A barrier that must not wait for anything.
void ExpectBarrierAtOnce(utrace_task* task, utrace_engine* engine,
                         std::initializer_list<long> allowed) {
  Controller barrier("barrier", [=] { return api().utrace_barrier(task, engine); });
  barrier.AwaitBlockedOrFinished();
  if (!barrier.Finished()) Failed("the barrier waits where it must not");
  ExpectOneOf(barrier.Result(), allowed);
}

// A dead task's engine, its task reaped and all reports done.
void AwaitReaped(TestEngine& engine, Puppet& puppet) {
  puppet.BeginExitGroup();
  puppet.nanny().Wait(puppet.pid());
  if (!PollUntil([&] { return engine.Barrier() == -ESRCH; })) {
    Failed("after the reap the barrier gives " + ErrnoName(engine.Barrier()));
  }
}

}  // namespace

// ---- BAR-05 ------------------------------------------------------------------------------------

CLAUSE_TEST(BAR_05, ItWaitsForTheCallbackOfADetachedEngine) {
  Puppet& puppet = Spawn();
  HeldCallback held(What::kSyscallEntry, puppet);
  held.Begin();
  ASSERT_EQ(-EINPROGRESS, held.engine().Control(UTRACE_DETACH));
  TestEngine& engine = held.engine();
  Controller barrier("barrier", [&] { return api().utrace_barrier(engine.task(), engine.get()); });
  barrier.AwaitBlocked();
  held.Open();
  ExpectOneOf(barrier.Result(), {0, -ESRCH});
  EXPECT_FALSE(engine.Running());
  const EngineRef found =
      AttachTask(engine.task(), UTRACE_ATTACH_MATCH_DATA, nullptr, engine.data());
  EXPECT_EQ(-ENOENT, found.error());
  ExpectOneOf(engine.Barrier(), {0, -ESRCH});
  puppet.Finish();
}

CLAUSE_TEST(BAR_05, ItWaitsForReportSignalOfADetachedEngine) {
  Puppet& puppet = Spawn();
  HeldCallback held(What::kSignal, puppet);
  held.Begin();
  ASSERT_EQ(-EINPROGRESS, held.engine().Control(UTRACE_DETACH));
  TestEngine& engine = held.engine();
  Controller barrier("barrier", [&] { return api().utrace_barrier(engine.task(), engine.get()); });
  barrier.AwaitBlocked();
  held.Open();
  ExpectOneOf(barrier.Result(), {0, -ESRCH});
  EXPECT_FALSE(engine.Running());
  puppet.Finish();
}

CLAUSE_TEST(BAR_05, DetachedWithNothingInProgress) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  // An event that cannot be under way: the call that the task waits in may be made anew.
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(CLONE)));
  ASSERT_EQ(0, engine.Control(UTRACE_DETACH));
  ExpectBarrierAtOnce(engine.task(), engine.get(), {0, -ESRCH});
}

CLAUSE_TEST(BAR_05, DetachedByResult) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  engine.On(What::kSyscallEntry, [](Report&) -> uint32_t { return UTRACE_DETACH; });
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(SYSCALL_ENTRY)));
  puppet.Call(SYS_getppid);
  ExpectBarrierAtOnce(engine.task(), engine.get(), {0, -ESRCH});
}

CLAUSE_TEST(BAR_05, DetachedWhileStopped) {
  Puppet& puppet = Spawn();
  TestEngine holder("holder");
  TestEngine engine("engine");
  ASSERT_EQ(0, holder.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT_SYSCALL));
  puppet.BeginSpin();
  puppet.AwaitSpinning();
  holder.StopAndWait();
  ASSERT_EQ(0, engine.Control(UTRACE_DETACH));
  ExpectBarrierAtOnce(engine.task(), engine.get(), {0, -ESRCH});
}

// The detached engine has no callback of its own in progress; another one's is not waited for.
CLAUSE_TEST(BAR_05, DetachedDuringAnotherEnginesCallback) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(CLONE)));
  HeldCallback held(What::kSyscallEntry, puppet);
  held.Begin();
  ASSERT_EQ(0, engine.Control(UTRACE_DETACH));
  ExpectBarrierAtOnce(engine.task(), engine.get(), {0, -ESRCH});
  held.End();
}

// ---- BAR-06 ------------------------------------------------------------------------------------

CLAUSE_TEST(BAR_06, AfterTheTaskWasReaped) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(DEATH)));
  AwaitReaped(engine, puppet);
  EXPECT_EQ(-ESRCH, engine.Barrier());
  ExpectBarrierAtOnce(engine.task(), engine.get(), {-ESRCH});
}

CLAUSE_TEST(BAR_06, OnceTheTaskHasComeBy) {
  Puppet& puppet = Spawn();
  TestEngine stays("stays");
  TestEngine engine("engine");
  for (TestEngine* each : {&stays, &engine}) ASSERT_EQ(0, each->AttachTid(puppet.tid()));
  ASSERT_EQ(0, stays.SetEvents(UTRACE_EVENT_SYSCALL));
  // An event that cannot be under way: the call that the task waits in may be made anew.
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(CLONE)));
  ASSERT_EQ(0, engine.Control(UTRACE_DETACH));
  // It may still be on the task's list until a report has gone over it.
  int result = 0;
  for (int i = 0; i < 100 && result == 0; ++i) {
    puppet.Call(SYS_getppid);
    result = engine.Barrier();
  }
  EXPECT_EQ(-ESRCH, result);
}

CLAUSE_TEST(BAR_06, WhateverTheTaskPointer) {
  Puppet& puppet = Spawn();
  Puppet& other = Spawn("other");
  const TaskRef other_task = Task(other);
  TestEngine engine;
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  AwaitReaped(engine, puppet);
  EXPECT_EQ(-ESRCH, api().utrace_barrier(other_task, engine.get()));
  // BAD-01 speaks of null pointers as well.
  ExpectOneOf(api().utrace_barrier(nullptr, engine.get()), {-ESRCH, -EINVAL});
}

CLAUSE_TEST(BAR_06, ByAPidThatIsGone) {
  Puppet& puppet = Spawn();
  const PidRef pid = Pid(puppet);
  TestEngine engine;
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  AwaitReaped(engine, puppet);
  EXPECT_EQ(-ESRCH, api().utrace_barrier_pid(pid, engine.get()));
}

CLAUSE_TEST(BAR_06, DetachedBeforeTheReapToo) {
  Puppet& puppet = Spawn();
  TestEngine engine("engine");
  TestEngine other("other");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, other.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.Control(UTRACE_DETACH));
  AwaitReaped(other, puppet);
  EXPECT_EQ(-ESRCH, engine.Barrier());
}

// ---- BAR-09 ------------------------------------------------------------------------------------

CLAUSE_TEST(BAR_09, ATaskBlockedInACallIsNotWaitedFor) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT_SYSCALL | UTRACE_EVENT(QUIESCE)));
  puppet.BeginRead();
  engine.AwaitLog("the entry of read", [](const auto& log) {
    return !log.empty() && log.back().syscall == SYS_read && log.back().end != 0;
  });
  puppet.AwaitBlocked(SYS_read);
  ASSERT_EQ(0, engine.Control(UTRACE_DETACH));
  ExpectBarrierAtOnce(engine.task(), engine.get(), {0, -ESRCH});
  EXPECT_FALSE(puppet.Finished());
  puppet.Feed();
  EXPECT_EQ(1, puppet.Finish());
}

CLAUSE_TEST(BAR_09, NotWithAnotherEngineOnItEither) {
  Puppet& puppet = Spawn();
  TestEngine stays("stays");
  TestEngine engine("engine");
  for (TestEngine* each : {&stays, &engine}) {
    ASSERT_EQ(0, each->AttachTid(puppet.tid()));
    ASSERT_EQ(0, each->SetEvents(UTRACE_EVENT(SYSCALL_EXIT)));
  }
  puppet.BeginRead();
  puppet.AwaitBlocked();
  ASSERT_EQ(0, engine.Control(UTRACE_DETACH));
  ExpectBarrierAtOnce(engine.task(), engine.get(), {0, -ESRCH});
  EXPECT_FALSE(puppet.Finished());
  puppet.Feed();
  EXPECT_EQ(1, puppet.Finish());
  EXPECT_EQ(0, engine.CountSyscall(What::kSyscallExit, SYS_read));
}

}  // namespace utrace::kit
