// set_events: what the mask is afterwards, on which engines it works, and what the task as a whole
// is interested in.
#include "conformance/clauses/callback_scenes.h"

namespace utrace::kit {
namespace {

constexpr unsigned long kNoKinds = ~UTRACE_EVENT_ALL;

// Attached, then detached, with nothing in progress.
void AttachAndDetach(TestEngine* engine, utrace_task* task, unsigned long events) {
  AssertOneOf(engine->Attach(task), {0});
  AssertOneOf(engine->SetEvents(events), {0});
  AssertOneOf(engine->Control(UTRACE_DETACH), {0});
}

// An implementation may drop its interest only when the task comes by; so give it occasions.
unsigned long InterestOnceItIs(unsigned long expected, utrace_task* task, Puppet& puppet) {
  unsigned long interest = 0;
  for (int i = 0; i < 200; ++i) {
    interest = api().utrace_task_interest(task);
    if (interest == expected) break;
    puppet.Call(SYS_getppid);
  }
  return interest;
}

// A host may make the call anew in which the puppet waits, and report that: then a callback may be
// running, and the mask is in force all the same [EVT-07].
void SetExactly(TestEngine& engine, unsigned long events) {
  ExpectOneOf(engine.SetEvents(events), {0, -EINPROGRESS});
}

}  // namespace

// ---- EVT-01 ------------------------------------------------------------------------------------

CLAUSE_TEST(EVT_01, EveryMaskIsTakenExactly) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  for (int bit = 0; bit < UTRACE_EVENT_BITS; ++bit) {
    SetExactly(engine, 1UL << bit);
    EXPECT_EQ(1UL << bit, MaskOf(engine)) << EventNames(1UL << bit);
    const unsigned long others = UTRACE_EVENT_ALL & ~(1UL << bit);
    SetExactly(engine, others);
    EXPECT_EQ(others, MaskOf(engine)) << EventNames(others);
  }
  SetExactly(engine, UTRACE_EVENT_ALL);
  EXPECT_EQ(UTRACE_EVENT_ALL, MaskOf(engine));
  SetExactly(engine, 0);
  EXPECT_EQ(0UL, MaskOf(engine));
}

CLAUSE_TEST(EVT_01, BitsThatAreNoKindAreIgnored) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  EXPECT_EQ(0, engine.SetEvents(kNoKinds));
  EXPECT_EQ(0UL, MaskOf(engine));
  EXPECT_EQ(0, engine.SetEvents(kNoKinds | UTRACE_EVENT(SYSCALL_EXIT)));
  EXPECT_EQ(UTRACE_EVENT(SYSCALL_EXIT), MaskOf(engine));
  // They do nothing either: the engine goes on working, and can leave.
  puppet.Call(SYS_getppid);
  EXPECT_EQ(1, engine.CountSyscall(What::kSyscallExit, SYS_getppid));
  puppet.AwaitIdle();
  EXPECT_EQ(0, engine.SetEvents(0));
  EXPECT_EQ(0, engine.Control(UTRACE_DETACH));
}

// Were they kept, leaving them out again would clear something.
CLAUSE_TEST(EVT_01, BitsThatAreNoKindAreNotKept) {
  Puppet& puppet = Spawn();
  HeldCallback held(What::kSyscallEntry, puppet);
  ASSERT_EQ(0, held.engine().SetEvents(held.events() | kNoKinds));
  held.Begin();
  EXPECT_EQ(0, held.engine().SetEvents(held.events()));
  held.End();
}

CLAUSE_TEST(EVT_01, AnEngineBuildsOnItsOwnFlags) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(SYSCALL_ENTRY)));
  EXPECT_EQ(0, engine.SetEvents(engine.get()->flags | UTRACE_EVENT(SYSCALL_EXIT)));
  EXPECT_EQ(UTRACE_EVENT_SYSCALL, MaskOf(engine));
  SetExactly(engine, engine.get()->flags & ~UTRACE_EVENT(SYSCALL_ENTRY));
  EXPECT_EQ(UTRACE_EVENT(SYSCALL_EXIT), MaskOf(engine));
  puppet.Call(SYS_getppid);
  EXPECT_EQ(0, engine.CountSyscall(What::kSyscallEntry, SYS_getppid));
  EXPECT_EQ(1, engine.CountSyscall(What::kSyscallExit, SYS_getppid));
}

CLAUSE_TEST(EVT_01, ANewMaskReplacesTheOldOne) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(SYSCALL_ENTRY)));
  puppet.Call(SYS_getppid);
  EXPECT_EQ(1, engine.CountSyscall(What::kSyscallEntry, SYS_getppid));
  EXPECT_EQ(0, engine.CountSyscall(What::kSyscallExit, SYS_getppid));
  SetExactly(engine, UTRACE_EVENT(SYSCALL_EXIT));
  puppet.Call(SYS_getppid);
  EXPECT_EQ(1, engine.CountSyscall(What::kSyscallEntry, SYS_getppid));
  EXPECT_EQ(1, engine.CountSyscall(What::kSyscallExit, SYS_getppid));
}

CLAUSE_TEST(EVT_01, EnginesDoNotShareMasks) {
  Puppet& puppet = Spawn();
  TestEngine first("first");
  TestEngine second("second");
  ASSERT_EQ(0, first.AttachTid(puppet.tid()));
  ASSERT_EQ(0, second.AttachTid(puppet.tid()));
  ASSERT_EQ(0, first.SetEvents(UTRACE_EVENT(SYSCALL_ENTRY)));
  ASSERT_EQ(0, second.SetEvents(UTRACE_EVENT(SYSCALL_EXIT)));
  EXPECT_EQ(UTRACE_EVENT(SYSCALL_ENTRY), MaskOf(first));
  EXPECT_EQ(UTRACE_EVENT(SYSCALL_EXIT), MaskOf(second));
  SetExactly(second, 0);
  EXPECT_EQ(UTRACE_EVENT(SYSCALL_ENTRY), MaskOf(first));
  puppet.Call(SYS_getppid);
  EXPECT_EQ(1, first.CountSyscall(What::kSyscallEntry, SYS_getppid));
  EXPECT_EQ(0, second.CountSyscall(What::kSyscallExit, SYS_getppid));
}

CLAUSE_TEST(EVT_01, TheMaskIsInForceOnATaskInUserMode) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  puppet.BeginSpin();
  puppet.AwaitSpinning();
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(SYSCALL_ENTRY)));
  puppet.StopSpin();
  puppet.Finish();
  // The first call after the spinning is the acknowledgement.
  EXPECT_TRUE(engine.TryAwaitLog([](const auto& log) {
    return !log.empty() && log[0].what == What::kSyscallEntry && log[0].syscall == SYS_sendto;
  })) << Describe(engine.Log());
}

CLAUSE_TEST(EVT_01, TheMaskIsInForceOnAStoppedTask) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  puppet.BeginSpin();
  puppet.AwaitSpinning();
  engine.StopAndWait();
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(SYSCALL_ENTRY)));
  EXPECT_EQ(UTRACE_EVENT(SYSCALL_ENTRY), MaskOf(engine));
  ASSERT_EQ(0, engine.Control(UTRACE_RESUME));
  puppet.StopSpin();
  puppet.Finish();
  puppet.Call(SYS_getppid);
  EXPECT_EQ(1, engine.CountSyscall(What::kSyscallEntry, SYS_getppid));
  EXPECT_LE(1, engine.CountSyscall(What::kSyscallEntry, SYS_sendto));
}

CLAUSE_TEST(EVT_01, ByPidToo) {
  Puppet& puppet = Spawn();
  const PidRef pid = Pid(puppet);
  TestEngine engine;
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, api().utrace_set_events_pid(pid, engine.get(), UTRACE_EVENT(SYSCALL_EXIT)));
  EXPECT_EQ(UTRACE_EVENT(SYSCALL_EXIT), MaskOf(engine));
  puppet.Call(SYS_getppid);
  EXPECT_EQ(1, engine.CountSyscall(What::kSyscallExit, SYS_getppid));
  puppet.AwaitIdle();
  ASSERT_EQ(0, api().utrace_set_events_pid(pid, engine.get(), 0));
  puppet.Call(SYS_getppid);
  EXPECT_EQ(1, engine.CountSyscall(What::kSyscallExit, SYS_getppid));
}

// ---- EVT-02 ------------------------------------------------------------------------------------

CLAUSE_TEST(EVT_02, AfterDetachByControl) {
  Puppet& puppet = Spawn();
  const TaskRef task = Task(puppet);
  TestEngine engine;
  AttachAndDetach(&engine, task, UTRACE_EVENT(SYSCALL_ENTRY));
  EXPECT_EQ(-ESRCH, engine.SetEvents(UTRACE_EVENT(SYSCALL_ENTRY)));
  EXPECT_EQ(-ESRCH, engine.SetEvents(UTRACE_EVENT_ALL));
  EXPECT_EQ(-ESRCH, engine.SetEvents(0));
  puppet.Call(SYS_getppid);
  EXPECT_EQ(0, engine.CountSyscall(What::kSyscallEntry, SYS_getppid));
}

CLAUSE_TEST(EVT_02, WhileAnotherEngineStays) {
  Puppet& puppet = Spawn();
  const TaskRef task = Task(puppet);
  TestEngine stays("stays");
  ASSERT_EQ(0, stays.Attach(task));
  ASSERT_EQ(0, stays.SetEvents(UTRACE_EVENT(SYSCALL_EXIT)));
  TestEngine engine;
  AttachAndDetach(&engine, task, UTRACE_EVENT(SYSCALL_EXIT));
  EXPECT_EQ(-ESRCH, engine.SetEvents(UTRACE_EVENT(SYSCALL_EXIT)));
  EXPECT_EQ(0, stays.SetEvents(UTRACE_EVENT(SYSCALL_EXIT)));
  puppet.Call(SYS_getppid);
  EXPECT_EQ(1, stays.CountSyscall(What::kSyscallExit, SYS_getppid));
  EXPECT_EQ(0, engine.CountSyscall(What::kSyscallExit, SYS_getppid));
}

CLAUSE_TEST(EVT_02, AfterDetachByResult) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  engine.On(What::kSyscallEntry, [](Report& report) -> uint32_t {
    if (report.syscall == SYS_getppid) return UTRACE_DETACH;
    return PassThrough(report);
  });
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(SYSCALL_ENTRY)));
  puppet.Call(SYS_getppid);
  ASSERT_EQ(1, engine.CountSyscall(What::kSyscallEntry, SYS_getppid));
  EXPECT_EQ(-ESRCH, engine.SetEvents(UTRACE_EVENT(SYSCALL_ENTRY)));
  puppet.Call(SYS_getppid);
  EXPECT_EQ(1, engine.CountSyscall(What::kSyscallEntry, SYS_getppid));
}

CLAUSE_TEST(EVT_02, WhenDetachIsAskedForAndTheCallbackStillRuns) {
  Puppet& puppet = Spawn();
  HeldCallback held(What::kSyscallEntry, puppet);
  held.Begin();
  ASSERT_EQ(-EINPROGRESS, held.engine().Control(UTRACE_DETACH));
  EXPECT_EQ(-ESRCH, held.engine().SetEvents(UTRACE_EVENT(SYSCALL_EXIT)));
  EXPECT_EQ(-ESRCH, held.engine().SetEvents(0));
  held.End();
  EXPECT_EQ(-ESRCH, held.engine().SetEvents(UTRACE_EVENT(SYSCALL_ENTRY)));
  EXPECT_EQ(0, held.engine().CountSyscall(What::kSyscallExit, SYS_getppid));
}

CLAUSE_TEST(EVT_02, OnADetachedEngineOfADeadTask) {
  Puppet& puppet = Spawn();
  const TaskRef task = Task(puppet);
  TestEngine engine("detached");
  TestEngine probe("probe");
  ASSERT_EQ(0, probe.Attach(task));
  ASSERT_EQ(0, probe.SetEvents(UTRACE_EVENT(DEATH)));
  AttachAndDetach(&engine, task, UTRACE_EVENT(REAP));
  puppet.BeginExitGroup();
  probe.AwaitEnded(What::kDeath);
  // -ESRCH says more than the -EALREADY of EVT-03.
  EXPECT_EQ(-ESRCH, engine.SetEvents(UTRACE_EVENT(DEATH)));
  EXPECT_EQ(-ESRCH, engine.SetEvents(0));
}

CLAUSE_TEST(EVT_02, OnceTheTaskWasReaped) {
  Puppet& puppet = Spawn();
  const PidRef pid = Pid(puppet);
  TestEngine engine;
  TestEngine idle("without events");
  ASSERT_EQ(0, idle.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(DEATH) | UTRACE_EVENT(REAP)));
  puppet.BeginExitGroup();
  nanny().Wait(puppet.pid());
  engine.AwaitEnded(What::kReap);
  // The report is over when the engine is off.
  ASSERT_TRUE(PollUntil([&] { return engine.Barrier() == -ESRCH; }));
  for (TestEngine* each : {&engine, &idle}) {
    EXPECT_EQ(-ESRCH, each->SetEvents(0)) << each->name();
    EXPECT_EQ(-ESRCH, each->SetEvents(UTRACE_EVENT(DEATH))) << each->name();
    EXPECT_EQ(-ESRCH, each->SetEvents(UTRACE_EVENT(REAP))) << each->name();
    EXPECT_EQ(-ESRCH, api().utrace_set_events_pid(pid, each->get(), 0)) << each->name();
  }
}

// ---- EVT-15 ------------------------------------------------------------------------------------

CLAUSE_TEST(EVT_15, NobodyTracesNothing) {
  Puppet& puppet = Spawn();
  const TaskRef task = Task(puppet);
  EXPECT_EQ(0UL, api().utrace_task_interest(task));
}

CLAUSE_TEST(EVT_15, AnyEngineAddsReap) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  EXPECT_EQ(UTRACE_EVENT(REAP), api().utrace_task_interest(engine.task()));
  EXPECT_EQ(0UL, MaskOf(engine)) << "the engine itself did not ask for it";
}

CLAUSE_TEST(EVT_15, TheUnionOfAllMasks) {
  Puppet& puppet = Spawn();
  const TaskRef task = Task(puppet);
  TestEngine engines[3];
  const unsigned long masks[] = {UTRACE_EVENT_SYSCALL, UTRACE_EVENT(EXIT) | UTRACE_EVENT(JCTL),
                                 UTRACE_EVENT(SIGNAL_CORE) | UTRACE_EVENT(SYSCALL_EXIT)};
  unsigned long all = UTRACE_EVENT(REAP);
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(0, engines[i].Attach(task));
    ASSERT_EQ(0, engines[i].SetEvents(masks[i]));
    all |= masks[i];
    EXPECT_EQ(all, api().utrace_task_interest(task));
  }
  // An event that another engine still wants stays.
  ASSERT_EQ(0, engines[2].SetEvents(UTRACE_EVENT(SIGNAL_CORE)));
  EXPECT_EQ(all, InterestOnceItIs(all, task, puppet));
  puppet.Call(SYS_getppid);
  EXPECT_EQ(1, engines[0].CountSyscall(What::kSyscallExit, SYS_getppid));
}

CLAUSE_TEST(EVT_15, ItShrinksWhenAnEngineDropsEvents) {
  Puppet& puppet = Spawn();
  const TaskRef task = Task(puppet);
  TestEngine keeps("keeps");
  TestEngine drops("drops");
  ASSERT_EQ(0, keeps.Attach(task));
  ASSERT_EQ(0, drops.Attach(task));
  ASSERT_EQ(0, keeps.SetEvents(UTRACE_EVENT(EXEC)));
  ASSERT_EQ(0, drops.SetEvents(UTRACE_EVENT_SYSCALL | UTRACE_EVENT(QUIESCE)));
  SetExactly(drops, 0);
  const unsigned long left = UTRACE_EVENT(EXEC) | UTRACE_EVENT(REAP);
  EXPECT_EQ(left, InterestOnceItIs(left, task, puppet));
}

CLAUSE_TEST(EVT_15, ItShrinksWhenAnEngineDetaches) {
  Puppet& puppet = Spawn();
  const TaskRef task = Task(puppet);
  TestEngine stays("stays");
  TestEngine leaves("leaves");
  ASSERT_EQ(0, stays.Attach(task));
  ASSERT_EQ(0, leaves.Attach(task));
  ASSERT_EQ(0, stays.SetEvents(UTRACE_EVENT(EXEC)));
  ASSERT_EQ(0, leaves.SetEvents(UTRACE_EVENT_SYSCALL));
  leaves.DetachAndWait();
  const unsigned long left = UTRACE_EVENT(EXEC) | UTRACE_EVENT(REAP);
  EXPECT_EQ(left, InterestOnceItIs(left, task, puppet));
  stays.DetachAndWait();
  EXPECT_EQ(0UL, InterestOnceItIs(0, task, puppet));
}

CLAUSE_TEST(EVT_15, ItShrinksWhenAnEngineDetachesByResult) {
  Puppet& puppet = Spawn();
  const TaskRef task = Task(puppet);
  TestEngine engine;
  engine.On(What::kSyscallEntry, [](Report&) -> uint32_t { return UTRACE_DETACH; });
  ASSERT_EQ(0, engine.Attach(task));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(SYSCALL_ENTRY)));
  puppet.Call(SYS_getppid);
  ASSERT_EQ(1, engine.Count(What::kSyscallEntry));
  EXPECT_EQ(0UL, InterestOnceItIs(0, task, puppet));
}

CLAUSE_TEST(EVT_15, ItIsGoneWithTheTask) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(SYSCALL_EXIT) | UTRACE_EVENT(REAP)));
  puppet.BeginExitGroup();
  nanny().Wait(puppet.pid());
  engine.AwaitEnded(What::kReap);
  EXPECT_TRUE(PollUntil([&] { return api().utrace_task_interest(engine.task()) == 0; }));
}

}  // namespace utrace::kit
