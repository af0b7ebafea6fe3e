// When release is called, and that nothing of the engine runs beside or behind it [REF-04, REF-05].
#include <atomic>

#include "conformance/clauses/lifetime_scenes.h"

namespace utrace::kit {
namespace {

constexpr int kCreate = UTRACE_ATTACH_CREATE;
constexpr unsigned long kEntry = UTRACE_EVENT(SYSCALL_ENTRY);

uint32_t DetachOnMarker(Report& report) {
  return report.syscall == kMarker ? uint32_t{UTRACE_DETACH} : PassThrough(report);
}

}  // namespace

// ---- REF-04 ------------------------------------------------------------------------------------

namespace {

std::atomic<int> releases_at_attach{0};
std::atomic<int> releases_later{0};

void ReleaseAtAttach(void*) { ++releases_at_attach; }
void ReleaseLater(void*) { ++releases_later; }

}  // namespace

// The table may change while the engine is attached; what was in it at attach time counts.
CLAUSE_TEST(REF_04, ReleaseIsTakenAtAttachTime) {
  TaskRef task = Task(Spawn());
  releases_at_attach = 0;
  releases_later = 0;
  static utrace_engine_ops ops;  // an implementation may look at it as late as it likes
  ops = {};
  ops.release = ReleaseAtAttach;
  EngineRef engine = AttachTask(task, kCreate, &ops, nullptr);
  ASSERT_TRUE(engine.ok());
  ops.release = ReleaseLater;
  DetachRaw(task, engine);
  engine.Reset();
  PollUntil([] { return releases_at_attach + releases_later > 0; });
  EXPECT_EQ(1, releases_at_attach);
  EXPECT_EQ(0, releases_later);
}

CLAUSE_TEST(REF_04, ReleaseClearedLaterIsCalledAllTheSame) {
  TaskRef task = Task(Spawn());
  releases_at_attach = 0;
  static utrace_engine_ops ops;
  ops = {};
  ops.release = ReleaseAtAttach;
  EngineRef engine = AttachTask(task, kCreate, &ops, nullptr);
  ASSERT_TRUE(engine.ok());
  ops.release = nullptr;
  DetachRaw(task, engine);
  engine.Reset();
  PassBy(task);
  EXPECT_EQ(1, releases_at_attach);
}

CLAUSE_TEST(REF_04, DetachByResultReleases) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  TestEngine engine;
  engine.On(What::kSyscallEntry, DetachOnMarker);
  ASSERT_EQ(0, engine.Attach(task));
  ASSERT_EQ(0, engine.SetEvents(kEntry));
  engine.Put();
  puppet.Call(kMarker);
  EXPECT_TRUE(engine.TryAwait(What::kRelease));
  PassBy(task);
  EXPECT_EQ(1, engine.releases());
  EXPECT_FALSE(engine.release_in_callback());
}

CLAUSE_TEST(REF_04, DetachByControlReleases) {
  TaskRef task = Task(Spawn());
  TestEngine engine;
  ASSERT_EQ(0, engine.Attach(task));
  EngineRef found = LookUpAny(task);
  engine.Put();
  DetachRaw(task, found);
  found.Reset();
  EXPECT_TRUE(engine.TryAwait(What::kRelease));
  EXPECT_EQ(1, engine.releases());
}

CLAUSE_TEST(REF_04, ReapingReleases) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  TestEngine silent("silent");
  TestEngine reaping("reaping");
  for (TestEngine* engine : {&silent, &reaping}) ASSERT_EQ(0, engine->Attach(task));
  ASSERT_EQ(0, reaping.SetEvents(UTRACE_EVENT(REAP)));
  for (TestEngine* engine : {&silent, &reaping}) engine->Put();
  ExitAndReap(puppet);
  EXPECT_TRUE(silent.TryAwait(What::kRelease));
  EXPECT_TRUE(reaping.TryAwait(What::kRelease));
  ExpectLog(reaping.Log(), {What::kReap, What::kRelease});
  EXPECT_FALSE(reaping.release_in_callback());
}

CLAUSE_TEST(REF_04, DeathThatDetachesReleases) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  engine.On(What::kDeath, [](Report&) -> uint32_t { return UTRACE_DETACH; });
  ASSERT_EQ(0, engine.Attach(Task(puppet)));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(DEATH) | UTRACE_EVENT(REAP)));
  engine.Put();
  ExitAndReap(puppet);
  EXPECT_TRUE(engine.TryAwait(What::kRelease));
  ExpectLog(engine.Log(), {What::kDeath, What::kRelease});
}

// ---- REF-05 ------------------------------------------------------------------------------------

// All references are dropped while a callback runs: release waits for its end.
CLAUSE_TEST(REF_05, ReleaseWaitsForTheRunningCallback) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  Gate gate;
  TestEngine engine;
  engine.On(What::kSyscallEntry, [&](Report& report) -> uint32_t {
    if (report.syscall == kMarker) gate.Wait();
    return PassThrough(report);
  });
  ASSERT_EQ(0, engine.Attach(task));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT_SYSCALL));
  puppet.Begin(kMarker);
  gate.AwaitArrival();
  ASSERT_EQ(-EINPROGRESS, engine.Control(UTRACE_DETACH));
  engine.Put();
  EXPECT_EQ(0, engine.releases());
  gate.Open();
  puppet.Finish();
  EXPECT_TRUE(engine.TryAwait(What::kRelease));
  puppet.Call(kMarker);
  EXPECT_EQ(1, engine.releases());
  EXPECT_FALSE(engine.release_in_callback());
  EXPECT_EQ(0, engine.after_release());
  EXPECT_EQ(What::kRelease, engine.Log().back().what) << Describe(engine.Log());
}

CLAUSE_TEST(REF_05, ReleaseWaitsForTheEngineThatDropsItself) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  TestEngine engine;
  engine.On(What::kSyscallEntry, [&](Report& report) -> uint32_t {
    if (report.syscall != kMarker) return PassThrough(report);
    EXPECT_EQ(-EINPROGRESS, engine.Control(UTRACE_DETACH));
    engine.Put();
    EXPECT_EQ(0, engine.releases());
    return PassThrough(report);
  });
  ASSERT_EQ(0, engine.Attach(task));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT_SYSCALL));
  puppet.Call(kMarker);
  EXPECT_TRUE(engine.TryAwait(What::kRelease));
  puppet.Call(kMarker);
  EXPECT_EQ(1, engine.releases());
  EXPECT_FALSE(engine.release_in_callback());
  EXPECT_EQ(What::kRelease, engine.Log().back().what) << Describe(engine.Log());
}

// A callback of another engine that drops it: the one that is dropped was to be called next.
CLAUSE_TEST(REF_05, NoCallbackAfterAnotherEngineDroppedIt) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  TestEngine first("first");
  TestEngine dropped("dropped");
  std::atomic<bool> done{false};
  first.On(What::kSyscallExit, [&](Report& report) -> uint32_t {
    if (report.syscall != kMarker || done.exchange(true)) return PassThrough(report);
    EXPECT_EQ(0, dropped.Control(UTRACE_DETACH));
    dropped.Put();
    return PassThrough(report);
  });
  for (TestEngine* engine : {&first, &dropped}) {
    ASSERT_EQ(0, engine->Attach(task));
    ASSERT_EQ(0, engine->SetEvents(UTRACE_EVENT(SYSCALL_EXIT) | UTRACE_EVENT(QUIESCE)));
  }
  puppet.Call(kMarker);
  EXPECT_TRUE(done);
  EXPECT_TRUE(dropped.TryAwait(What::kRelease));
  puppet.Call(kMarker);
  EXPECT_EQ(0, dropped.after_release());
  EXPECT_EQ(0, dropped.CountSyscall(What::kSyscallExit, kMarker));
  EXPECT_EQ(1, dropped.releases());
}

CLAUSE_TEST(REF_05, ReleaseWaitsForReportReap) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  Gate gate;
  TestEngine engine;
  engine.On(What::kReap, [&](Report&) -> uint32_t {
    gate.Wait();
    return 0;
  });
  ASSERT_EQ(0, engine.Attach(task));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(REAP)));
  engine.Put();
  ExitAndReap(puppet);
  gate.AwaitArrival();
  EXPECT_EQ(0, engine.releases());
  gate.Open();
  EXPECT_TRUE(engine.TryAwait(What::kRelease));
  EXPECT_FALSE(engine.release_in_callback());
  ExpectLog(engine.Log(), {What::kReap, What::kRelease});
}

CLAUSE_TEST(REF_05, ReleaseWaitsForReportDeath) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  Gate gate;
  TestEngine engine;
  engine.On(What::kDeath, [&](Report&) -> uint32_t {
    gate.Wait();
    return UTRACE_DETACH;
  });
  ASSERT_EQ(0, engine.Attach(task));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(DEATH)));
  engine.Put();
  puppet.BeginExitGroup();
  gate.AwaitArrival();
  EXPECT_EQ(0, engine.releases());
  gate.Open();
  EXPECT_TRUE(engine.TryAwait(What::kRelease));
  EXPECT_FALSE(engine.release_in_callback());
  ExpectLog(engine.Log(), {What::kDeath, What::kRelease});
}

}  // namespace utrace::kit
