// Attaching and looking up where there is little left to attach to: kernel threads, the dead, the
// reaped, and engines that are on their way out [ATT-08, ATT-10..12].
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include "conformance/clauses/lifetime_scenes.h"

namespace utrace::kit {
namespace {

constexpr int kCreate = UTRACE_ATTACH_CREATE;
constexpr int kExclusive = UTRACE_ATTACH_EXCLUSIVE;
constexpr unsigned long kOfTheDead = UTRACE_EVENT(QUIESCE) | UTRACE_EVENT(DEATH);

// A thread that the kernel made for itself (PF_KTHREAD in its flags).
pid_t FindKernelThread() {
  constexpr unsigned long kKernelThread = 0x00200000;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    std::ifstream file(entry.path() / "stat");
    const std::string stat(std::istreambuf_iterator<char>(file), {});
    const size_t end = stat.rfind(')');
    if (end == std::string::npos) continue;
    std::istringstream fields(stat.substr(end + 1));
    std::string skipped;
    for (int i = 0; i < 6; ++i) fields >> skipped;
    unsigned long flags = 0;
    if (fields >> flags && (flags & kKernelThread) != 0) return std::stoi(name);
  }
  Broken("no kernel thread is to be seen; run the suite in the first pid namespace");
}

// One of a hosted implementation, whose world has begun.
pid_t MakeKernelThread(const Target& target) {
  Needs("kernel-task");
  const int tid = target.utrace_target_configure("kernel-task", 0);
  if (tid <= 0) Broken("utrace_target_configure makes no kernel thread: " + ErrnoName(tid));
  return tid;
}

}  // namespace

// ---- ATT-08 ------------------------------------------------------------------------------------

CLAUSE_TEST(ATT_08, KernelThreadIsEperm) {
  nanny();
  const pid_t tid = TheTarget() == nullptr ? FindKernelThread() : MakeKernelThread(*TheTarget());
  TaskRef task = FindTask(tid);
  PidRef pid = FindPid(tid);
  OpsTable ops;
  int data = 0;
  for (const int flags : {kCreate, kCreate | kExclusive, kCreate | UTRACE_ATTACH_MATCH_OPS}) {
    EXPECT_EQ(-EPERM, AttachTask(task, flags, ops.get(), &data).error()) << flags;
    EXPECT_EQ(-EPERM, AttachPid(pid, flags, ops.get(), &data).error()) << flags;
  }
  EXPECT_EQ(-ENOENT, LookUpAny(task).error());
}

// ---- ATT-10 ------------------------------------------------------------------------------------

CLAUSE_TEST(ATT_10, ReapedTaskIsEsrch) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  PidRef pid = Pid(puppet);
  ExitAndReap(puppet);
  OpsTable ops;
  int data = 0;
  for (const int flags : {kCreate, kCreate | kExclusive}) {
    EXPECT_EQ(-ESRCH, AttachTask(task, flags, ops.get(), &data).error());
    EXPECT_EQ(-ESRCH, AttachPid(pid, flags, ops.get(), &data).error());
  }
  EXPECT_EQ(-ESRCH, AttachPid(pid, 0, nullptr, nullptr).error());
}

CLAUSE_TEST(ATT_10, ReapedTaskThatWasTracedIsEsrch) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  PidRef pid = Pid(puppet);
  TestEngine engine;
  ASSERT_EQ(0, engine.Attach(task));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(REAP)));
  ExitAndReap(puppet);
  engine.AwaitEnded(What::kReap);
  OpsTable ops;
  int data = 0;
  EXPECT_EQ(-ESRCH, AttachTask(task, kCreate, ops.get(), &data).error());
  EXPECT_EQ(-ESRCH, AttachTask(task, kCreate | kExclusive, ops.get(), &data).error());
  EXPECT_EQ(-ESRCH, AttachPid(pid, kCreate, ops.get(), &data).error());
  EXPECT_EQ(-ESRCH, AttachPid(pid, 0, nullptr, nullptr).error());
}

// Whether or not an engine was there to be told: once the parent's wait has returned, the task has
// been reaped.
CLAUSE_TEST(ATT_10, TracedTaskIsEsrchFromTheParentsWaitOn) {
  SkipIfDeclared("LIM-06");
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  PidRef pid = Pid(puppet);
  TestEngine engine;
  ASSERT_EQ(0, engine.Attach(task));
  ExitAndReap(puppet);
  OpsTable ops;
  int data = 0;
  EXPECT_EQ(-ESRCH, AttachTask(task, kCreate, ops.get(), &data).error());
  EXPECT_EQ(-ESRCH, AttachPid(pid, kCreate, ops.get(), &data).error());
}

CLAUSE_TEST(ATT_10, ThreadThatReapedItselfIsEsrch) {
  Puppet& puppet = Spawn();
  PuppetThread& thread = puppet.SpawnThread();
  TaskRef task = Task(thread);
  PidRef pid = Pid(thread);
  thread.BeginExit();
  if (!thread.TryAwaitGone()) Broken("the thread does not go away");
  OpsTable ops;
  int data = 0;
  EXPECT_EQ(-ESRCH, AttachTask(task, kCreate, ops.get(), &data).error());
  EXPECT_EQ(-ESRCH, AttachPid(pid, kCreate, ops.get(), &data).error());
  EXPECT_TRUE(AttachTask(Task(puppet), kCreate, ops.get(), &data).ok()) << "its process lives";
}

// ---- ATT-11 ------------------------------------------------------------------------------------

class AttachesToTheDead : public ClauseTest {
 protected:
  // `engine` was attached to a zombie: it can get REAP and nothing else.
  void ExpectOnlyReap(TestEngine& engine, Puppet& puppet) {
    ExpectOneOf(engine.SetEvents(UTRACE_EVENT(REAP) | UTRACE_EVENT(DEATH)), {-EALREADY});
    ExpectOneOf(engine.SetEvents(UTRACE_EVENT(REAP) | UTRACE_EVENT(QUIESCE)), {-EALREADY});
    ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT_ALL & ~kOfTheDead));
    AwaitReaped(puppet);
    engine.AwaitEnded(What::kReap);
    engine.Put();
    engine.Await(What::kRelease);
    ExpectLog(engine.Log(), {What::kReap, What::kRelease});
  }
};

CLAUSE_TEST_OF(AttachesToTheDead, ATT_11, ZombieCanBeAttached) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  MakeZombie(puppet);
  TestEngine engine;
  ASSERT_EQ(0, engine.Attach(task));
  ExpectOnlyReap(engine, puppet);
}

CLAUSE_TEST_OF(AttachesToTheDead, ATT_11, ZombieFoundAsOneCanBeAttachedByPid) {
  Puppet& puppet = Spawn();
  MakeZombie(puppet);
  PidRef pid = Pid(puppet);
  TestEngine engine;
  ASSERT_EQ(0, engine.AttachPid(pid, kExclusive));
  ExpectOnlyReap(engine, puppet);
}

CLAUSE_TEST_OF(AttachesToTheDead, ATT_11, KilledZombieCanBeAttached) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  puppet.Destroy();
  TestEngine engine;
  ASSERT_EQ(0, engine.Attach(task));
  ExpectOnlyReap(engine, puppet);
}

CLAUSE_TEST_OF(AttachesToTheDead, ATT_11, ZombieThatIsTracedCanBeAttached) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  TestEngine first("first");
  ASSERT_EQ(0, first.Attach(task));
  ASSERT_EQ(0, first.SetEvents(UTRACE_EVENT(DEATH) | UTRACE_EVENT(REAP)));
  puppet.BeginExitGroup();
  first.AwaitEnded(What::kDeath);
  TestEngine engine;
  ASSERT_EQ(0, engine.Attach(task));
  ExpectOnlyReap(engine, puppet);
  EXPECT_EQ(1, first.Count(What::kDeath));
  EXPECT_EQ(1, first.Count(What::kReap));
}

CLAUSE_TEST_OF(AttachesToTheDead, ATT_11, ZombieThatWasTracedCanBeAttached) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  TestEngine first("first");
  ASSERT_EQ(0, first.Attach(task));
  ASSERT_EQ(0, first.SetEvents(UTRACE_EVENT(DEATH)));
  first.On(What::kDeath, [](Report&) -> uint32_t { return UTRACE_DETACH; });
  puppet.BeginExitGroup();
  first.AwaitEnded(What::kDeath);
  first.Put();
  first.Await(What::kRelease);
  TestEngine engine;
  ASSERT_EQ(0, engine.Attach(task, kExclusive));
  ExpectOnlyReap(engine, puppet);
}

// A leader that exits before its threads stays until the last of them.
CLAUSE_TEST_OF(AttachesToTheDead, ATT_11, DeadLeaderCanBeAttached) {
  Puppet& puppet = Spawn();
  PuppetThread& thread = puppet.SpawnThread();
  TaskRef task = Task(puppet);
  puppet.BeginExit();
  puppet.AwaitDeath();
  TestEngine engine;
  ASSERT_EQ(0, engine.Attach(task));
  EXPECT_EQ(thread.tid(), thread.Call(SYS_gettid));
  thread.BeginExit();
  ExpectOnlyReap(engine, puppet);
}

// Dead it is from the beginning of its death report, which the newcomer has missed.
CLAUSE_TEST_OF(AttachesToTheDead, ATT_11, AttachedDuringTheDeathReport) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  Gate gate;
  TestEngine first("first");
  TestEngine last("last");
  first.On(What::kDeath, [&](Report&) -> uint32_t {
    gate.Wait();
    return UTRACE_RESUME;
  });
  for (TestEngine* each : {&first, &last}) {
    ASSERT_EQ(0, each->Attach(task));
    ASSERT_EQ(0, each->SetEvents(UTRACE_EVENT(DEATH)));
  }
  puppet.BeginExitGroup();
  gate.AwaitArrival();
  TestEngine engine;
  Controller attach("attach", [&] { return engine.Attach(task); });
  attach.AwaitBlockedOrFinished();
  if (attach.Finished()) {
    EXPECT_EQ(-EALREADY, engine.SetEvents(UTRACE_EVENT(DEATH)));
  }
  gate.Open();
  ASSERT_EQ(0, attach.Result());
  ExpectOnlyReap(engine, puppet);
  EXPECT_EQ(1, last.Count(What::kDeath));
}

CLAUSE_TEST_OF(AttachesToTheDead, ATT_11, SeveralEnginesOnAZombie) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  MakeZombie(puppet);
  TestEngine silent("silent");
  TestEngine engine;
  ASSERT_EQ(0, silent.Attach(task));
  ASSERT_EQ(0, engine.Attach(task));
  EXPECT_EQ(silent.get(), LookUpAny(task).get());
  ExpectOnlyReap(engine, puppet);
  EXPECT_EQ(0, silent.Count(What::kReap));
}

// ---- ATT-12 ------------------------------------------------------------------------------------

namespace {

// That neither a lookup nor EXCLUSIVE finds `engine`, the only one on the task; by a lookup of its
// data, and by an attach that must not be refused.
void ExpectNotFound(utrace_task* task, const TestEngine& engine) {
  const int data_only = UTRACE_ATTACH_MATCH_DATA;
  EXPECT_EQ(-ENOENT, AttachTask(task, data_only, nullptr, engine.data()).error());
  EXPECT_EQ(-ENOENT, AttachTask(task, UTRACE_ATTACH_MATCH_OPS, engine.ops(), nullptr).error());
  const EngineRef rival =
      AttachTask(task, kCreate | kExclusive | data_only, engine.ops(), engine.data());
  EXPECT_TRUE(rival.ok()) << "EXCLUSIVE gives " << ErrnoName(rival.error());
  if (rival.ok()) DetachRaw(task, rival);
}

}  // namespace

CLAUSE_TEST(ATT_12, DetachedByAController) {
  TaskRef task = Task(Spawn());
  TestEngine engine;
  ASSERT_EQ(0, engine.Attach(task));
  engine.DetachAndWait();
  ExpectNotFound(task, engine);
}

CLAUSE_TEST(ATT_12, DetachedOnAStoppedTask) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  TestEngine engine;
  TestEngine holder("holder");
  ASSERT_EQ(0, engine.Attach(task));
  ASSERT_EQ(0, holder.Attach(task));
  holder.HoldNow();
  EXPECT_EQ(0, engine.Control(UTRACE_DETACH));
  ExpectNotFound(task, engine);
  EXPECT_EQ(holder.get(), LookUpAny(task).get());
  EXPECT_EQ(0, holder.Control(UTRACE_RESUME));
  EXPECT_EQ(puppet.pid(), puppet.Call(SYS_getpid));
}

// The detach waits for the callback's end; the engine is out of sight at once.
CLAUSE_TEST(ATT_12, DetachedWhileItsCallbackRuns) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  Gate gate;
  TestEngine engine;
  engine.On(What::kSyscallEntry, [&](Report& report) -> uint32_t {
    if (report.syscall == kMarker) gate.Wait();
    return PassThrough(report);
  });
  ASSERT_EQ(0, engine.Attach(task));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(SYSCALL_ENTRY)));
  puppet.Begin(kMarker);
  gate.AwaitArrival();
  ASSERT_EQ(-EINPROGRESS, engine.Control(UTRACE_DETACH));
  EXPECT_EQ(-ENOENT, LookUpAny(task).error());
  TestEngine rival("rival");
  Controller attach("attach", [&] { return rival.Attach(task, kExclusive); });
  attach.AwaitBlockedOrFinished();
  gate.Open();
  EXPECT_EQ(0, attach.Result());
  puppet.Finish();
}

CLAUSE_TEST(ATT_12, DetachedFromItsOwnCallback) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  TestEngine engine;
  engine.On(What::kSyscallEntry, [&](Report& report) -> uint32_t {
    if (report.syscall != kMarker) return PassThrough(report);
    EXPECT_EQ(-EINPROGRESS, engine.Control(UTRACE_DETACH));
    ExpectNotFound(report.task, engine);
    return PassThrough(report);
  });
  ASSERT_EQ(0, engine.Attach(task));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(SYSCALL_ENTRY)));
  puppet.Call(kMarker);
  EXPECT_EQ(1, engine.CountSyscall(What::kSyscallEntry, kMarker));
}

// It has left by its result, and the report goes on with another engine.
CLAUSE_TEST(ATT_12, DetachedByItsResultDuringTheReport) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  TestEngine engine;
  TestEngine other("other");
  std::atomic<bool> looked{false};
  engine.On(What::kSyscallExit, [&](Report& report) -> uint32_t {
    return report.syscall == kMarker ? uint32_t{UTRACE_DETACH} : PassThrough(report);
  });
  other.On(What::kSyscallExit, [&](Report& report) -> uint32_t {
    if (report.syscall != kMarker || looked.exchange(true)) return PassThrough(report);
    EXPECT_EQ(other.get(), LookUpAny(report.task).get());
    ExpectNotFound(report.task, engine);
    return PassThrough(report);
  });
  for (TestEngine* each : {&engine, &other}) {
    ASSERT_EQ(0, each->Attach(task));
    ASSERT_EQ(0, each->SetEvents(UTRACE_EVENT(SYSCALL_EXIT)));
  }
  puppet.Call(kMarker);
  EXPECT_TRUE(looked);
}

// Another engine's callback throws it out of the report that is in progress.
CLAUSE_TEST(ATT_12, DetachedByAnotherEngineDuringTheReport) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  TestEngine engine;
  TestEngine other("other");
  std::atomic<bool> looked{false};
  other.On(What::kSyscallEntry, [&](Report& report) -> uint32_t {
    if (report.syscall != kMarker || looked.exchange(true)) return PassThrough(report);
    EXPECT_EQ(0, engine.Control(UTRACE_DETACH));
    EXPECT_EQ(other.get(), LookUpAny(report.task).get());
    ExpectNotFound(report.task, engine);
    return PassThrough(report);
  });
  for (TestEngine* each : {&engine, &other}) {
    ASSERT_EQ(0, each->Attach(task));
    ASSERT_EQ(0, each->SetEvents(UTRACE_EVENT(SYSCALL_ENTRY)));
  }
  puppet.Call(kMarker);
  EXPECT_TRUE(looked);
  EXPECT_EQ(0, engine.CountSyscall(What::kSyscallEntry, kMarker));
}

// Whose task is being reaped: from report_reap on nobody finds it, nor the engines behind it.
CLAUSE_TEST(ATT_12, BeingReaped) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  Gate gate;
  TestEngine engine;
  TestEngine silent("silent");
  engine.On(What::kReap, [&](Report& report) -> uint32_t {
    ExpectOneOf(LookUpAny(report.task).error(), {-ENOENT, -ESRCH});
    gate.Wait();
    return 0;
  });
  for (TestEngine* each : {&engine, &silent}) ASSERT_EQ(0, each->Attach(task));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(REAP)));
  ExitAndReap(puppet);
  gate.AwaitArrival();
  const int data_only = UTRACE_ATTACH_MATCH_DATA;
  for (const TestEngine* each : {&engine, &silent}) {
    ExpectOneOf(AttachTask(task, data_only, nullptr, each->data()).error(), {-ENOENT, -ESRCH});
  }
  OpsTable ops;
  Controller attach("attach", [&]() -> long {
    return AttachTask(task, kCreate | kExclusive, ops.get(), nullptr).error();
  });
  attach.AwaitBlockedOrFinished();
  gate.Open();
  ExpectOneOf(attach.Result(), {0, -ESRCH});
}

}  // namespace utrace::kit
