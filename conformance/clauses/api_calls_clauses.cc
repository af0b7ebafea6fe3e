// The calls themselves: errors, the forms by pid handle, readable fields [API-07..09].
#include <fstream>

#include "conformance/clauses/lifetime_scenes.h"

namespace utrace::kit {
namespace {

constexpr int kCreate = UTRACE_ATTACH_CREATE;
constexpr unsigned long kEntry = UTRACE_EVENT(SYSCALL_ENTRY);
constexpr unsigned long kExit = UTRACE_EVENT(SYSCALL_EXIT);

// All forms by pid handle, and what they say of a task that has been reaped.
void ExpectReaped(utrace_pid* pid, utrace_engine* engine) {
  OpsTable ops;
  EXPECT_EQ(-ESRCH, AttachPid(pid, kCreate, ops.get(), nullptr).error());
  EXPECT_EQ(-ESRCH, AttachPid(pid, kCreate | UTRACE_ATTACH_EXCLUSIVE, ops.get(), nullptr).error());
  EXPECT_EQ(-ESRCH, AttachPid(pid, 0, nullptr, nullptr).error());
  EXPECT_EQ(-ESRCH, TaskRef(api().utrace_pid_task(pid)).error());
  if (engine == nullptr) return;
  EXPECT_EQ(-ESRCH, api().utrace_set_events_pid(pid, engine, 0));
  EXPECT_EQ(-ESRCH, api().utrace_set_events_pid(pid, engine, kEntry));
  for (int action = UTRACE_STOP; action <= UTRACE_DETACH; ++action) {
    EXPECT_EQ(-ESRCH, api().utrace_control_pid(pid, engine,
                                               static_cast<enum utrace_resume_action>(action)));
  }
  EXPECT_EQ(-ESRCH, api().utrace_barrier_pid(pid, engine));
}

// Has the next process of this machine get a certain id, where the kit may do that.
bool MakeNextPid(pid_t pid) {
  std::ofstream file("/proc/sys/kernel/ns_last_pid");
  file << pid - 1 << std::flush;
  return file.good();
}

}  // namespace

// ---- API-07 ------------------------------------------------------------------------------------

CLAUSE_TEST(API_07, EveryCallWorks) {
  Puppet& puppet = Spawn();
  const Api& call = api();
  PidRef pid(call.utrace_pid_find(puppet.tid()));
  ASSERT_TRUE(pid.ok());
  TaskRef task(call.utrace_pid_task(pid));
  ASSERT_TRUE(task.ok());
  TestEngine by_task("by task");
  TestEngine by_pid("by pid");
  ASSERT_EQ(0, by_task.Attach(task));
  ASSERT_EQ(0, by_pid.AttachPid(pid));
  EXPECT_EQ(0, call.utrace_set_events(task, by_task.get(), UTRACE_EVENT(QUIESCE)));
  EXPECT_EQ(0, call.utrace_set_events_pid(pid, by_pid.get(), UTRACE_EVENT(QUIESCE)));
  by_task.HoldNow();
  EXPECT_EQ(0, call.utrace_control(task, by_task.get(), UTRACE_STOP));
  EXPECT_EQ(0, call.utrace_control_pid(pid, by_pid.get(), UTRACE_STOP));
  EXPECT_EQ(0, call.utrace_barrier(task, by_task.get()));
  EXPECT_EQ(0, call.utrace_barrier_pid(pid, by_pid.get()));
  utrace_examiner examiner = {};
  EXPECT_EQ(0, call.utrace_prepare_examine(task, by_pid.get(), &examiner));
  EXPECT_EQ(0, call.utrace_finish_examine(task, by_pid.get(), &examiner));
  EngineRef reference(call.utrace_engine_get(by_pid.get()));
  EXPECT_EQ(by_pid.get(), reference.get());
  EXPECT_EQ(0, call.utrace_control(task, by_task.get(), UTRACE_DETACH));
  EXPECT_EQ(0, call.utrace_control_pid(pid, by_pid.get(), UTRACE_DETACH));
  EXPECT_EQ(puppet.pid(), puppet.Call(SYS_getpid));
}

// Pointers and integers alike.
CLAUSE_TEST(API_07, ErrorsAreNegativeErrnoValues) {
  TaskRef task = Task(Spawn());
  OpsTable ops;
  utrace_engine* found = api().utrace_attach_task(task, 0, nullptr, nullptr);
  ASSERT_NE(nullptr, found) << "null is no error";
  EXPECT_TRUE(UTRACE_IS_ERR(found));
  EXPECT_EQ(-ENOENT, UTRACE_PTR_ERR(found));
  EXPECT_EQ(static_cast<void*>(found), UTRACE_ERR_PTR(-ENOENT));
  utrace_engine* made = api().utrace_attach_task(task, kCreate, nullptr, nullptr);
  EXPECT_EQ(-EINVAL, UTRACE_PTR_ERR(made));
  TestEngine engine;
  ASSERT_EQ(0, engine.Attach(task));
  EXPECT_FALSE(UTRACE_IS_ERR(engine.get()));
  EXPECT_EQ(-EINVAL, engine.Control(UTRACE_REPORT));
  engine.DetachAndWait();
  EXPECT_EQ(-ESRCH, engine.SetEvents(0));
}

// ---- API-08 ------------------------------------------------------------------------------------

CLAUSE_TEST(API_08, PidFormsActOnTheNamedTask) {
  Puppet& puppet = Spawn();
  PuppetThread& thread = puppet.SpawnThread();
  PidRef pid = Pid(thread);
  TaskRef task = Task(thread);
  EXPECT_EQ(task.get(), TaskRef(api().utrace_pid_task(pid)).get());
  TestEngine engine;
  ASSERT_EQ(0, engine.AttachPid(pid));
  EXPECT_EQ(engine.get(), LookUpAny(task).get());
  EXPECT_EQ(engine.get(), AttachPid(pid, 0, nullptr, nullptr).get());
  EXPECT_EQ(-ENOENT, LookUpAny(Task(puppet)).error()) << "the leader is another task";

  ASSERT_EQ(0, api().utrace_set_events_pid(pid, engine.get(), kEntry));
  puppet.Call(kMarker);
  thread.Call(kMarker);
  EXPECT_EQ(1, engine.CountSyscall(What::kSyscallEntry, kMarker));
  // It may be in a callback for one of its channel's calls.
  AssertOneOf(api().utrace_set_events_pid(pid, engine.get(), kExit), {0, -EINPROGRESS});
  thread.Call(kMarker);
  EXPECT_EQ(1, engine.CountSyscall(What::kSyscallEntry, kMarker));
  EXPECT_EQ(1, engine.CountSyscall(What::kSyscallExit, kMarker));

  EXPECT_EQ(-EINVAL, api().utrace_control_pid(pid, engine.get(), UTRACE_REPORT));  // no QUIESCE
  engine.HoldNow();
  EXPECT_EQ(0, api().utrace_control_pid(pid, engine.get(), UTRACE_STOP));
  EXPECT_EQ(0, api().utrace_control_pid(pid, engine.get(), UTRACE_RESUME));
  EXPECT_EQ(thread.tid(), thread.Call(SYS_gettid));
  thread.AwaitIdle();
  ExpectOneOf(api().utrace_control_pid(pid, engine.get(), UTRACE_DETACH), {0, -EINPROGRESS});
  ExpectOneOf(api().utrace_barrier_pid(pid, engine.get()), {0, -ESRCH});
  EXPECT_EQ(-ENOENT, AttachPid(pid, 0, nullptr, nullptr).error());
}

CLAUSE_TEST(API_08, BarrierByPidWaitsForTheCallback) {
  Puppet& puppet = Spawn();
  PidRef pid = Pid(puppet);
  Gate gate;
  TestEngine engine;
  engine.On(What::kSyscallEntry, [&](Report& report) -> uint32_t {
    if (report.syscall == kMarker) gate.Wait();
    return PassThrough(report);
  });
  ASSERT_EQ(0, engine.AttachPid(pid));
  ASSERT_EQ(0, engine.SetEvents(kEntry));
  puppet.Begin(kMarker);
  gate.AwaitArrival();
  Controller barrier("barrier", [&] { return api().utrace_barrier_pid(pid, engine.get()); });
  barrier.AwaitBlocked();
  EXPECT_EQ(-EINPROGRESS, api().utrace_set_events_pid(pid, engine.get(), 0));
  EXPECT_EQ(-EINPROGRESS, api().utrace_control_pid(pid, engine.get(), UTRACE_DETACH));
  gate.Open();
  ExpectOneOf(barrier.Result(), {0, -ESRCH});
  puppet.Finish();
}

CLAUSE_TEST(API_08, PidFormsOnAReapedTaskAreEsrch) {
  Puppet& puppet = Spawn();
  PidRef pid = Pid(puppet);
  TestEngine engine;
  TestEngine canary("canary");  // the last in order: released when all are detached
  ASSERT_EQ(0, engine.AttachPid(pid));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(REAP)));
  ASSERT_EQ(0, canary.AttachPid(pid));
  canary.Put();
  ExitAndReap(puppet);
  canary.Await(What::kRelease);
  ExpectReaped(pid, engine.get());
}

CLAUSE_TEST(API_08, PidFormsOnAReapedTaskThatNobodyTraced) {
  Puppet& puppet = Spawn();
  PidRef pid = Pid(puppet);
  PidRef second(api().utrace_pid_get(pid));
  EXPECT_EQ(pid.get(), second.get());
  pid.Reset();
  ExitAndReap(puppet);
  ExpectReaped(second, nullptr);
}

CLAUSE_TEST(API_08, HandlesDoNotDelayReaping) {
  Puppet& untraced = Spawn("untraced");
  Puppet& traced = Spawn("traced");
  PuppetThread& thread = untraced.SpawnThread();
  PidRef handles[] = {Pid(untraced), Pid(untraced), Pid(traced), Pid(thread)};
  TaskRef tasks[] = {Task(untraced), Task(traced), Task(thread)};
  TestEngine engine;
  ASSERT_EQ(0, engine.AttachPid(handles[2]));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT_ALL));
  TestEngine past("past");  // one that has left
  ASSERT_EQ(0, past.Attach(tasks[0]));
  past.DetachAndWait();
  thread.BeginExit();
  EXPECT_TRUE(thread.TryAwaitGone());
  for (Puppet* puppet : {&untraced, &traced}) {
    ExitAndReap(*puppet);
    EXPECT_TRUE(puppet->TryAwaitGone()) << puppet->name();
  }
  for (const PidRef& pid : handles) EXPECT_TRUE(pid.ok());
}

// A handle names a thread, not a number.
CLAUSE_TEST(API_08, HandleNeverNamesTheNextOwnerOfItsNumber) {
  Needs("live");
  Puppet& first = Spawn("first");
  const pid_t number = first.pid();
  PidRef pid = Pid(first);
  TaskRef task = Task(first);
  ExitAndReap(first);
  ExpectReaped(pid, nullptr);
  Puppet* second = nullptr;
  // Others on this machine may be quicker; and without privilege there is no choosing.
  for (int i = 0; i < 20 && second == nullptr && MakeNextPid(number); ++i) {
    Puppet& next = Spawn("next");
    if (next.pid() == number) second = &next;
  }
  if (second == nullptr) return;
  ExpectReaped(pid, nullptr);
  OpsTable ops;
  EXPECT_EQ(-ESRCH, AttachTask(task, kCreate, ops.get(), nullptr).error());
  EXPECT_EQ(0, second->TracerPid());
  TestEngine engine;
  ASSERT_EQ(0, engine.AttachTid(number)) << "the number has a new owner";
  EXPECT_NE(task.get(), engine.task());
  ASSERT_EQ(0, engine.SetEvents(kEntry));
  second->Call(kMarker);
  EXPECT_EQ(1, engine.CountSyscall(What::kSyscallEntry, kMarker));
  ExpectReaped(pid, nullptr);
}

// ---- API-09 ------------------------------------------------------------------------------------

CLAUSE_TEST(API_09, FieldsAreReadable) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  TestEngine engine;
  engine.On(What::kSyscallEntry, [&](Report& report) -> uint32_t {
    EXPECT_EQ(engine.ops(), report.engine->ops);
    EXPECT_EQ(engine.data(), report.engine->data);
    if (report.syscall == kMarker) {
      EXPECT_EQ(kEntry | UTRACE_EVENT(QUIESCE), report.engine->flags & UTRACE_EVENT_ALL);
    }
    return PassThrough(report);
  });
  ASSERT_EQ(0, engine.Attach(task));
  const utrace_engine* const fields = engine.get();
  const auto expect = [&](unsigned long events) {
    EXPECT_EQ(engine.ops(), fields->ops);
    EXPECT_EQ(engine.data(), fields->data);
    EXPECT_EQ(EventNames(events), EventNames(fields->flags & UTRACE_EVENT_ALL));
  };
  expect(0);
  for (int bit = 0; bit < UTRACE_EVENT_BITS; ++bit) {
    AssertOneOf(engine.SetEvents(1UL << bit), {0, -EINPROGRESS});
    expect(1UL << bit);
  }
  AssertOneOf(engine.SetEvents(UTRACE_EVENT_ALL), {0, -EINPROGRESS});
  expect(UTRACE_EVENT_ALL);
  // In force at once, also for a callback that begins while an old one is still running.
  AssertOneOf(engine.SetEvents(kEntry | UTRACE_EVENT(QUIESCE)), {0, -EINPROGRESS});
  puppet.Call(kMarker);
  engine.HoldNow();
  expect(kEntry | UTRACE_EVENT(QUIESCE));
  ASSERT_EQ(0, engine.Control(UTRACE_RESUME));
  expect(kEntry | UTRACE_EVENT(QUIESCE));
  // A refused change shows no trace.
  EXPECT_EQ(-EINVAL, engine.Control(static_cast<enum utrace_resume_action>(7)));
  expect(kEntry | UTRACE_EVENT(QUIESCE));
}

// Each engine has fields of its own.
CLAUSE_TEST(API_09, FieldsBelongToTheEngine) {
  TaskRef task = Task(Spawn());
  TestEngine a("a");
  TestEngine b("b");
  ASSERT_EQ(0, a.Attach(task));
  ASSERT_EQ(0, b.Attach(task));
  ASSERT_EQ(0, a.SetEvents(UTRACE_EVENT(CLONE)));
  ASSERT_EQ(0, b.SetEvents(UTRACE_EVENT(EXEC)));
  EXPECT_EQ(UTRACE_EVENT(CLONE), a.get()->flags & UTRACE_EVENT_ALL);
  EXPECT_EQ(UTRACE_EVENT(EXEC), b.get()->flags & UTRACE_EVENT_ALL);
  EXPECT_EQ(a.data(), a.get()->data);
  EXPECT_EQ(b.data(), b.get()->data);
}

}  // namespace utrace::kit
