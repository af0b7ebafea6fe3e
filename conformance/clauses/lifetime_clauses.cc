// How long an engine lives: references, release, and what is left after reaping [REF-01..03, REF-06,
// REF-07].
#include <vector>

#include "conformance/clauses/lifetime_scenes.h"

namespace utrace::kit {
namespace {

constexpr int kCreate = UTRACE_ATTACH_CREATE;
constexpr int kExclusive = UTRACE_ATTACH_EXCLUSIVE;
constexpr unsigned long kEntry = UTRACE_EVENT(SYSCALL_ENTRY);

// Every call that takes an engine, on one that is no longer attached.
void ExpectEveryCallEsrch(utrace_task* task, utrace_engine* engine) {
  const Api& call = api();
  EXPECT_EQ(-ESRCH, call.utrace_set_events(task, engine, 0));
  EXPECT_EQ(-ESRCH, call.utrace_set_events(task, engine, UTRACE_EVENT(SYSCALL_ENTRY)));
  for (int action = UTRACE_STOP; action <= UTRACE_DETACH; ++action) {
    EXPECT_EQ(-ESRCH,
              call.utrace_control(task, engine, static_cast<enum utrace_resume_action>(action)))
        << ResumeActionName(static_cast<uint32_t>(action));
  }
  EXPECT_EQ(-ESRCH, call.utrace_barrier(task, engine));
  utrace_examiner examiner = {};
  EXPECT_EQ(-ESRCH, call.utrace_prepare_examine(task, engine, &examiner));
  // finish speaks of the stop that has gone, too [EXM-07].
  ExpectOneOf(call.utrace_finish_examine(task, engine, &examiner), {-ESRCH, -EAGAIN, -EINVAL});
}

}  // namespace

// ---- REF-01 ------------------------------------------------------------------------------------

CLAUSE_TEST(REF_01, PointerIsValidAfterDetach) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  TestEngine engine;
  ASSERT_EQ(0, engine.Attach(task));
  EngineRef second(api().utrace_engine_get(engine.get()));
  EXPECT_EQ(engine.get(), second.get());
  engine.DetachAndWait();
  ExpectEveryCallEsrch(task, engine.get());
  engine.Put();
  // What a freed engine's memory would be used for by now.
  for (int i = 0; i < 20; ++i) PassBy(task);
  ExpectEveryCallEsrch(task, second);
  EngineRef third(api().utrace_engine_get(second));
  second.Reset();
  EXPECT_EQ(0, engine.releases());
  third.Reset();
  EXPECT_TRUE(engine.TryAwait(What::kRelease));
  EXPECT_EQ(1, engine.releases());
}

CLAUSE_TEST(REF_01, PointerIsValidAfterReaping) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  TestEngine engine;
  ASSERT_EQ(0, engine.Attach(task));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(REAP)));
  TestEngine canary("canary");  // behind it: once this one is released, both are detached
  ASSERT_EQ(0, canary.Attach(task));
  canary.Put();
  ExitAndReap(puppet);
  canary.Await(What::kRelease);
  EngineRef second(api().utrace_engine_get(engine.get()));
  EXPECT_EQ(engine.get(), second.get());
  ExpectEveryCallEsrch(task, engine.get());
  engine.Put();
  EXPECT_EQ(0, engine.releases());
  ExpectEveryCallEsrch(task, second);
  second.Reset();
  EXPECT_TRUE(engine.TryAwait(What::kRelease));
  EXPECT_EQ(1, engine.releases());
}

// The engine's reference is enough: nobody holds the task or a handle of it.
CLAUSE_TEST(REF_01, EngineOutlivesEveryReferenceToItsTask) {
  Puppet& puppet = Spawn();
  OpsTable ops;
  int data = 0;
  EngineRef engine = AttachTask(Task(puppet), kCreate, ops.get(), &data);
  ASSERT_TRUE(engine.ok());
  TestEngine canary("canary");
  ASSERT_EQ(0, canary.AttachTid(puppet.tid()));
  ASSERT_EQ(0, canary.SetEvents(UTRACE_EVENT(REAP)));
  ExitAndReap(puppet);
  canary.AwaitEnded(What::kReap);
  EngineRef second(api().utrace_engine_get(engine));
  engine.Reset();
  EXPECT_EQ(0, ReleaseCount(&data));
  second.Reset();
  EXPECT_TRUE(PollUntil([&] { return ReleaseCount(&data) == 1; }));
}

// ---- REF-02 ------------------------------------------------------------------------------------

CLAUSE_TEST(REF_02, AttachedEngineNeedsNoReferenceOfACaller) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  TestEngine engine;
  ASSERT_EQ(0, engine.Attach(task));
  ASSERT_EQ(0, engine.SetEvents(kEntry));
  utrace_engine* const pointer = engine.get();
  engine.Put();
  for (int i = 1; i <= 20; ++i) {
    PassBy(task);
    puppet.Call(kMarker);
    ASSERT_EQ(i, engine.CountSyscall(What::kSyscallEntry, kMarker));
    const EngineRef found = AttachTask(task, UTRACE_ATTACH_MATCH_DATA, nullptr, engine.data());
    ASSERT_EQ(pointer, found.get());
    EXPECT_EQ(engine.ops(), found.get()->ops);
    EXPECT_EQ(engine.data(), found.get()->data);
    EXPECT_EQ(kEntry, found.get()->flags & UTRACE_EVENT_ALL);
  }
  EXPECT_EQ(0, engine.releases());
}

// ---- REF-03 ------------------------------------------------------------------------------------

CLAUSE_TEST(REF_03, ReleaseComesWithTheLastReference) {
  TaskRef task = Task(Spawn());
  TestEngine engine;
  ASSERT_EQ(0, engine.Attach(task));
  std::vector<EngineRef> references;
  for (int i = 0; i < 5; ++i) references.emplace_back(api().utrace_engine_get(engine.get()));
  engine.Put();
  PassBy(task);
  EXPECT_EQ(0, engine.releases()) << "released while attached";
  DetachRaw(task, references.front());
  while (references.size() > 1) {
    references.pop_back();
    PassBy(task);
    EXPECT_EQ(0, engine.releases()) << references.size() << " references are left";
  }
  references.clear();
  EXPECT_TRUE(engine.TryAwait(What::kRelease));
  PassBy(task);
  EXPECT_EQ(1, engine.releases());
}

CLAUSE_TEST(REF_03, ReleaseGetsTheDataPointer) {
  TaskRef task = Task(Spawn());
  OpsTable ops;
  int data[2] = {};
  EngineRef first = AttachTask(task, kCreate, ops.get(), &data[0]);
  EngineRef second = AttachTask(task, kCreate, ops.get(), &data[1]);
  EngineRef null = AttachTask(task, kCreate, ops.get(), nullptr);
  ASSERT_TRUE(first.ok() && second.ok() && null.ok());
  DetachRaw(task, second);
  second.Reset();
  EXPECT_TRUE(PollUntil([&] { return ReleaseCount(&data[1]) == 1; }));
  EXPECT_EQ(0, ReleaseCount(&data[0]));
  DetachRaw(task, null);
  null.Reset();
  EXPECT_TRUE(PollUntil([&] { return ReleaseCount(nullptr) == 1; }));
  DetachRaw(task, first);
  first.Reset();
  EXPECT_TRUE(PollUntil([&] { return ReleaseCount(&data[0]) == 1; }));
  PassBy(task);
  EXPECT_EQ(1, ReleaseCount(&data[0]));
  EXPECT_EQ(1, ReleaseCount(&data[1]));
  EXPECT_EQ(1, ReleaseCount(nullptr));
}

CLAUSE_TEST(REF_03, NullReleaseIsNotCalled) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  OpsTable ops;
  ops.Without(What::kRelease);
  int data = 0;
  EngineRef detached = AttachTask(task, kCreate, ops.get(), &data);
  ASSERT_TRUE(detached.ok());
  DetachRaw(task, detached);
  detached.Reset();
  EngineRef reaped = AttachTask(task, kCreate, ops.get(), &data);
  ASSERT_TRUE(reaped.ok());
  reaped.Reset();
  TestEngine canary("canary");
  ASSERT_EQ(0, canary.Attach(task));
  canary.Put();
  ExitAndReap(puppet);
  canary.Await(What::kRelease);
  EXPECT_EQ(0, ReleaseCount(&data));
}

// ---- REF-06 ------------------------------------------------------------------------------------

CLAUSE_TEST(REF_06, ReapingDetachesEveryEngine) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  TestEngine silent("silent");
  TestEngine busy("busy");
  TestEngine reaping("reaping");
  TestEngine canary("canary");
  TestEngine* const all[] = {&silent, &busy, &reaping};
  for (TestEngine* engine : all) ASSERT_EQ(0, engine->Attach(task));
  ASSERT_EQ(0, canary.Attach(task));
  ASSERT_EQ(0, busy.SetEvents(UTRACE_EVENT_ALL & ~UTRACE_EVENT(REAP)));
  ASSERT_EQ(0, reaping.SetEvents(UTRACE_EVENT(REAP)));
  canary.Put();
  ExitAndReap(puppet);
  canary.Await(What::kRelease);  // the last in order
  for (TestEngine* engine : all) {
    SCOPED_TRACE(engine->name());
    ExpectEveryCallEsrch(task, engine->get());
    EXPECT_EQ(0, engine->releases());
  }
  ExpectOneOf(LookUpAny(task).error(), {-ENOENT, -ESRCH});
  EXPECT_EQ(0UL, api().utrace_task_interest(task));
}

CLAUSE_TEST(REF_06, TaskKilledWhileStopped) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  TestEngine engine;
  TestEngine canary("canary");
  ASSERT_EQ(0, engine.Attach(task));
  ASSERT_EQ(0, canary.Attach(task));
  canary.Put();
  engine.HoldNow();
  puppet.Kill(SIGKILL);
  AwaitReaped(puppet);
  canary.Await(What::kRelease);
  ExpectEveryCallEsrch(task, engine.get());
}

CLAUSE_TEST(REF_06, ThreadThatReapsItself) {
  Puppet& puppet = Spawn();
  PuppetThread& thread = puppet.SpawnThread();
  TaskRef task = Task(thread);
  TestEngine engine;
  TestEngine canary("canary");
  TestEngine leaders("leader's");
  ASSERT_EQ(0, engine.Attach(task));
  ASSERT_EQ(0, canary.Attach(task));
  ASSERT_EQ(0, leaders.Attach(Task(puppet)));
  canary.Put();
  thread.BeginExit();
  canary.Await(What::kRelease);
  ExpectEveryCallEsrch(task, engine.get());
  // The leader's engine has nothing to do with it.
  EXPECT_EQ(0, leaders.SetEvents(kEntry));
  puppet.Call(kMarker);
  EXPECT_EQ(1, leaders.CountSyscall(What::kSyscallEntry, kMarker));
}

// ---- REF-07 ------------------------------------------------------------------------------------

// Beside what memory_clauses.cc and newborn_clauses.cc (ATT-17) show.
CLAUSE_TEST(REF_07, FailedAttachCallsNoRelease) {
  Puppet& puppet = Spawn();
  Puppet& gone = Spawn("gone");
  TaskRef task = Task(puppet);
  TaskRef reaped = Task(gone);
  PidRef reaped_pid = Pid(gone);
  ExitAndReap(gone);
  OpsTable ops;
  int data = 0;
  ASSERT_EQ(-ENOENT, AttachTask(task, UTRACE_ATTACH_MATCH_OPS, ops.get(), &data).error());
  TestEngine engine;
  ASSERT_EQ(0, engine.Attach(task));
  ASSERT_EQ(-EEXIST, AttachTask(task, kCreate | kExclusive, ops.get(), &data).error());
  ASSERT_EQ(-ENOENT, AttachTask(task, UTRACE_ATTACH_MATCH_OPS, ops.get(), &data).error());
  ASSERT_EQ(-ESRCH, AttachTask(reaped, kCreate, ops.get(), &data).error());
  ASSERT_EQ(-ESRCH, AttachPid(reaped_pid, kCreate, ops.get(), &data).error());
  ASSERT_GT(0, AttachTask(nullptr, kCreate, ops.get(), &data).error());
  PassBy(task);
  EXPECT_EQ(0, ReleaseCount(&data));
  EXPECT_EQ(0, engine.releases());
}

}  // namespace utrace::kit
