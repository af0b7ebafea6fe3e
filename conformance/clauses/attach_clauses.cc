// Attaching and looking up on a live task: references, matching, order, flags [ATT-01..07, 13, 18,
// 19, 21].
#include <algorithm>
#include <memory>
#include <vector>

#include "conformance/clauses/lifetime_scenes.h"

namespace utrace::kit {
namespace {

constexpr int kOps = UTRACE_ATTACH_MATCH_OPS;
constexpr int kData = UTRACE_ATTACH_MATCH_DATA;
constexpr int kExclusive = UTRACE_ATTACH_EXCLUSIVE;
constexpr int kCreate = UTRACE_ATTACH_CREATE;

// Three engines over two ops tables and two data pointers: (x, p), (y, p), (x, q).
struct Trio {
  OpsTable x;
  OpsTable y;
  int p = 0;
  int q = 0;
  TestEngine xp{"xp", x};
  TestEngine yp{"yp", y};
  TestEngine xq{"xq", x};

  explicit Trio(utrace_task* task) {
    xp.UseData(&p);
    yp.UseData(&p);
    xq.UseData(&q);
    for (TestEngine* engine : {&xp, &yp, &xq}) {
      if (const int error = engine->Attach(task); error != 0) {
        Failed("attaching '" + engine->name() + "' gives " + ErrnoName(error));
      }
    }
  }
};

}  // namespace

// ---- ATT-01 ------------------------------------------------------------------------------------

CLAUSE_TEST(ATT_01, AttachmentHoldsItsOwnReference) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  TestEngine engine;
  ASSERT_EQ(0, engine.Attach(task));
  utrace_engine* const pointer = engine.get();
  engine.Put();
  EXPECT_EQ(0, engine.releases()) << "released while attached";
  EngineRef found = LookUpAny(task);
  ASSERT_TRUE(found.ok()) << "the caller's put took the engine off: " << ErrnoName(found.error());
  EXPECT_EQ(pointer, found.get());
  DetachRaw(task, found);
  found.Reset();
  EXPECT_TRUE(engine.TryAwait(What::kRelease));
  EXPECT_EQ(1, engine.releases());
}

CLAUSE_TEST(ATT_01, CallerHasOneReference) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  TestEngine engine;
  TestEngine marker("marker");
  ASSERT_EQ(0, engine.Attach(task));
  ASSERT_EQ(0, marker.Attach(task));
  engine.DetachAndWait();
  marker.DetachAndWait();
  marker.Put();
  marker.Await(What::kRelease);
  EXPECT_EQ(0, engine.releases()) << "the caller's reference did not count";
  engine.Put();
  EXPECT_TRUE(engine.TryAwait(What::kRelease)) << "the caller got more than one reference";
  EXPECT_EQ(1, engine.releases());
}

CLAUSE_TEST(ATT_01, EveryCreateIsAnotherEngine) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  OpsTable ops;
  int data = 0;
  TestEngine first("first", ops);
  TestEngine second("second", ops);
  first.UseData(&data);
  second.UseData(&data);
  ASSERT_EQ(0, first.Attach(task));
  ASSERT_EQ(0, second.Attach(task, kOps | kData));
  EXPECT_NE(first.get(), second.get());
  ASSERT_EQ(0, first.SetEvents(UTRACE_EVENT(SYSCALL_EXIT)));
  ASSERT_EQ(0, second.SetEvents(UTRACE_EVENT(SYSCALL_EXIT)));
  puppet.Call(kMarker);
  EXPECT_EQ(1, first.CountSyscall(What::kSyscallExit, kMarker));
  EXPECT_EQ(1, second.CountSyscall(What::kSyscallExit, kMarker));
}

// ---- ATT-02 ------------------------------------------------------------------------------------

CLAUSE_TEST(ATT_02, NewEngineHasEmptyMask) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  TestEngine engine;
  ASSERT_EQ(0, engine.Attach(task));
  EXPECT_EQ(0UL, engine.get()->flags & UTRACE_EVENT_ALL);
  EXPECT_EQ(UTRACE_EVENT(REAP), api().utrace_task_interest(task));
}

CLAUSE_TEST(ATT_02, NewEngineGetsNoCallback) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  TestEngine silent("silent");
  TestEngine busy("busy");
  ASSERT_EQ(0, silent.Attach(task));
  ASSERT_EQ(0, busy.Attach(task));
  ASSERT_EQ(0, busy.SetEvents(UTRACE_EVENT_ALL));
  ASSERT_EQ(0, puppet.Sigaction(SIGUSR1, Disposition::kHandler));
  puppet.Raise(SIGUSR1);
  puppet.Raise(SIGWINCH);
  puppet.Call(kMarker);
  busy.HoldNow();
  ASSERT_EQ(0, busy.Control(UTRACE_RESUME));
  puppet.Fork();
  puppet.Exec();
  ExitAndReap(puppet);
  busy.AwaitEnded(What::kReap);
  silent.Put();
  busy.Put();
  silent.Await(What::kRelease);
  ExpectLog(silent.Log(), {What::kRelease});
  for (const What what : {What::kQuiesce, What::kSignal, What::kClone, What::kExec, What::kExit,
                          What::kSyscallEntry, What::kSyscallExit, What::kDeath}) {
    EXPECT_LT(0, busy.Count(what)) << WhatName(what);
  }
}

// ---- ATT-03 ------------------------------------------------------------------------------------

CLAUSE_TEST(ATT_03, LookupFindsTheFirstInOrder) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  OpsTable ops;
  int data = 0;
  std::vector<std::unique_ptr<TestEngine>> engines;
  for (int i = 0; i < 4; ++i) {
    engines.push_back(std::make_unique<TestEngine>("engine", ops));
    engines.back()->UseData(&data);
    ASSERT_EQ(0, engines.back()->Attach(task));
  }
  for (const auto& engine : engines) {
    for (const int match : {0, kOps, kData, kOps | kData}) {
      const EngineRef found = AttachTask(task, match, ops.get(), &data);
      EXPECT_EQ(engine->get(), found.get()) << "match flags " << match;
    }
    engine->DetachAndWait();
  }
}

CLAUSE_TEST(ATT_03, LookupGivesANewReference) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  TestEngine engine;
  TestEngine marker("marker");
  ASSERT_EQ(0, engine.Attach(task));
  ASSERT_EQ(0, marker.Attach(task));
  EngineRef first = AttachTask(task, kData, nullptr, engine.data());
  EngineRef second = AttachTask(task, kData, nullptr, engine.data());
  ASSERT_EQ(engine.get(), first.get());
  ASSERT_EQ(engine.get(), second.get());
  engine.DetachAndWait();
  engine.Put();
  first.Reset();
  marker.DetachAndWait();
  marker.Put();
  marker.Await(What::kRelease);
  EXPECT_EQ(0, engine.releases()) << "the second lookup gave no reference of its own";
  second.Reset();
  EXPECT_TRUE(engine.TryAwait(What::kRelease)) << "a lookup left a reference behind";
  EXPECT_EQ(1, engine.releases());
}

CLAUSE_TEST(ATT_03, LookupAttachesNothing) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  TestEngine engine;
  ASSERT_EQ(0, engine.Attach(task));
  {
    const EngineRef found = AttachTask(task, kOps | kData, engine.ops(), engine.data());
    EXPECT_EQ(engine.get(), found.get());
  }
  engine.DetachAndWait();
  EXPECT_EQ(-ENOENT, LookUpAny(task).error());
}

CLAUSE_TEST(ATT_03, LookupFromACallback) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  TestEngine engine;
  engine.On(What::kSyscallEntry, [&](Report& report) -> uint32_t {
    const EngineRef found = AttachTask(report.task, kData, nullptr, engine.data());
    EXPECT_EQ(report.engine, found.get());
    return PassThrough(report);
  });
  ASSERT_EQ(0, engine.Attach(task));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(SYSCALL_ENTRY)));
  puppet.Call(kMarker);
  EXPECT_EQ(1, engine.CountSyscall(What::kSyscallEntry, kMarker));
}

// ---- ATT-04 ------------------------------------------------------------------------------------

CLAUSE_TEST(ATT_04, MatchOpsComparesTheTable) {
  TaskRef task = Task(Spawn());
  Trio trio(task);
  EXPECT_EQ(trio.xp.get(), AttachTask(task, kOps, trio.x.get(), nullptr).get());
  EXPECT_EQ(trio.yp.get(), AttachTask(task, kOps, trio.y.get(), nullptr).get());
  // A table with the same callbacks is another table.
  EXPECT_EQ(-ENOENT, AttachTask(task, kOps, OpsTable().get(), &trio.p).error());
}

CLAUSE_TEST(ATT_04, MatchDataComparesThePointer) {
  TaskRef task = Task(Spawn());
  Trio trio(task);
  int other = 0;
  EXPECT_EQ(trio.xp.get(), AttachTask(task, kData, nullptr, &trio.p).get());
  EXPECT_EQ(trio.xq.get(), AttachTask(task, kData, nullptr, &trio.q).get());
  EXPECT_EQ(-ENOENT, AttachTask(task, kData, trio.x.get(), &other).error());
  // Null is a data pointer like any other, not a wildcard.
  EXPECT_EQ(-ENOENT, AttachTask(task, kData, trio.x.get(), nullptr).error());
  TestEngine null("null");
  null.UseData(nullptr);
  ASSERT_EQ(0, null.Attach(task));
  EXPECT_EQ(null.get(), AttachTask(task, kData, nullptr, nullptr).get());
}

CLAUSE_TEST(ATT_04, MatchBothNeedsBothInOneEngine) {
  TaskRef task = Task(Spawn());
  Trio trio(task);
  EXPECT_EQ(trio.xp.get(), AttachTask(task, kOps | kData, trio.x.get(), &trio.p).get());
  EXPECT_EQ(trio.yp.get(), AttachTask(task, kOps | kData, trio.y.get(), &trio.p).get());
  EXPECT_EQ(trio.xq.get(), AttachTask(task, kOps | kData, trio.x.get(), &trio.q).get());
  // y and q are both there, in different engines.
  EXPECT_EQ(-ENOENT, AttachTask(task, kOps | kData, trio.y.get(), &trio.q).error());
}

CLAUSE_TEST(ATT_04, NoMatchFlagMatchesAnyEngine) {
  TaskRef task = Task(Spawn());
  Trio trio(task);
  int other = 0;
  EXPECT_EQ(trio.xp.get(), AttachTask(task, 0, OpsTable().get(), &other).get());
  EXPECT_EQ(trio.xp.get(), AttachTask(task, 0, nullptr, nullptr).get());
}

// ---- ATT-05 ------------------------------------------------------------------------------------

CLAUSE_TEST(ATT_05, LookupOfNothingIsEnoent) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  OpsTable ops;
  int data = 0;
  for (const int match : {0, kOps, kData, kOps | kData}) {
    EXPECT_EQ(-ENOENT, AttachTask(task, match, ops.get(), &data).error()) << match;
    EXPECT_EQ(-ENOENT, AttachPid(Pid(puppet), match, ops.get(), &data).error()) << match;
  }
  EXPECT_EQ(0UL, api().utrace_task_interest(task)) << "a lookup attached something";
}

CLAUSE_TEST(ATT_05, LookupWithoutAMatchIsEnoent) {
  TaskRef task = Task(Spawn());
  TestEngine engine;
  ASSERT_EQ(0, engine.Attach(task));
  OpsTable ops;
  int data = 0;
  for (const int match : {kOps, kData, kOps | kData}) {
    EXPECT_EQ(-ENOENT, AttachTask(task, match, ops.get(), &data).error()) << match;
  }
}

CLAUSE_TEST(ATT_05, LookupAfterTheLastEngineLeftIsEnoent) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  TestEngine engine;
  ASSERT_EQ(0, engine.Attach(task));
  engine.DetachAndWait();
  EXPECT_EQ(-ENOENT, LookUpAny(task).error());
  EXPECT_EQ(-ENOENT, AttachPid(Pid(puppet), 0, nullptr, nullptr).error());
}

// ---- ATT-06 ------------------------------------------------------------------------------------

CLAUSE_TEST(ATT_06, ExclusiveFailsOnAMatch) {
  TaskRef task = Task(Spawn());
  Trio trio(task);
  const int flags = kCreate | kExclusive;
  EXPECT_EQ(-EEXIST, AttachTask(task, flags | kOps, trio.y.get(), nullptr).error());
  EXPECT_EQ(-EEXIST, AttachTask(task, flags | kData, trio.y.get(), &trio.q).error());
  EXPECT_EQ(-EEXIST, AttachTask(task, flags | kOps | kData, trio.x.get(), &trio.q).error());
}

CLAUSE_TEST(ATT_06, ExclusiveWithoutMatchFlagFailsOnAnyEngine) {
  TaskRef task = Task(Spawn());
  TestEngine engine;
  ASSERT_EQ(0, engine.Attach(task));
  OpsTable ops;
  int data = 0;
  EXPECT_EQ(-EEXIST, AttachTask(task, kCreate | kExclusive, ops.get(), &data).error());
}

CLAUSE_TEST(ATT_06, ExclusiveSucceedsWithoutAMatch) {
  TaskRef task = Task(Spawn());
  Trio trio(task);
  OpsTable ops;
  int data = 0;
  EXPECT_TRUE(AttachTask(task, kCreate | kExclusive | kOps, ops.get(), &trio.p).ok());
  EXPECT_TRUE(AttachTask(task, kCreate | kExclusive | kData, trio.x.get(), &data).ok());
  EXPECT_TRUE(AttachTask(task, kCreate | kExclusive | kOps | kData, trio.y.get(), &trio.q).ok());
}

CLAUSE_TEST(ATT_06, ExclusiveSucceedsOnABareTask) {
  TaskRef task = Task(Spawn());
  TestEngine first("first");
  TestEngine second("second");
  ASSERT_EQ(0, first.Attach(task, kExclusive));
  first.DetachAndWait();
  EXPECT_EQ(0, second.Attach(task, kExclusive)) << "a detached engine counted";
}

CLAUSE_TEST(ATT_06, RefusalAttachesNothing) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  TestEngine engine;
  ASSERT_EQ(0, engine.Attach(task));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(SYSCALL_ENTRY)));
  OpsTable ops;
  int data = 0;
  ASSERT_EQ(-EEXIST, AttachTask(task, kCreate | kExclusive, ops.get(), &data).error());
  EXPECT_EQ(-ENOENT, AttachTask(task, kData, nullptr, &data).error());
  puppet.Call(kMarker);
  EXPECT_EQ(1, engine.CountSyscall(What::kSyscallEntry, kMarker)) << "the other engine suffered";
  engine.DetachAndWait();
  EXPECT_EQ(-ENOENT, LookUpAny(task).error());
}

CLAUSE_TEST(ATT_06, MatchFlagsAloneDoNotExclude) {
  TaskRef task = Task(Spawn());
  TestEngine engine;
  ASSERT_EQ(0, engine.Attach(task));
  const EngineRef same = AttachTask(task, kCreate | kOps | kData, engine.ops(), engine.data());
  ASSERT_TRUE(same.ok()) << ErrnoName(same.error());
  EXPECT_NE(engine.get(), same.get());
}

// ---- ATT-07 ------------------------------------------------------------------------------------

CLAUSE_TEST(ATT_07, NullOpsIsEinval) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  int data = 0;
  for (const int flags : {kCreate, kCreate | kExclusive, kCreate | kOps, kCreate | kData}) {
    EXPECT_EQ(-EINVAL, AttachTask(task, flags, nullptr, &data).error()) << flags;
    EXPECT_EQ(-EINVAL, AttachPid(Pid(puppet), flags, nullptr, &data).error()) << flags;
  }
  EXPECT_EQ(-ENOENT, LookUpAny(task).error());
}

// ---- ATT-13 ------------------------------------------------------------------------------------

namespace {

// Names of the engines in the order in which they saw the exit of the marker call.
std::vector<std::string> OrderOfMarker(PuppetThread& puppet) {
  const uint64_t before = NextSequence();
  puppet.Call(kMarker);
  std::vector<std::string> order;
  for (const Report& report : GlobalLog()) {
    if (report.begin > before && report.what == What::kSyscallExit && report.syscall == kMarker) {
      order.push_back(report.engine_name);
    }
  }
  return order;
}

}  // namespace

CLAUSE_TEST(ATT_13, EnginesKeepTheOrderOfAttachment) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  TestEngine a("a");
  TestEngine b("b");
  TestEngine c("c");
  TestEngine d("d");
  for (TestEngine* engine : {&a, &b, &c, &d}) ASSERT_EQ(0, engine->Attach(task));
  // The order in which events are chosen is of no account.
  for (TestEngine* engine : {&d, &b, &a, &c}) {
    ASSERT_EQ(0, engine->SetEvents(UTRACE_EVENT(SYSCALL_EXIT)));
  }
  EXPECT_EQ((std::vector<std::string>{"a", "b", "c", "d"}), OrderOfMarker(puppet));
}

CLAUSE_TEST(ATT_13, NewEngineIsLast) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  TestEngine a("a");
  TestEngine b("b");
  TestEngine c("c");
  for (TestEngine* engine : {&a, &b, &c}) {
    ASSERT_EQ(0, engine->Attach(task));
    ASSERT_EQ(0, engine->SetEvents(UTRACE_EVENT(SYSCALL_EXIT)));
  }
  b.DetachAndWait();
  EXPECT_EQ((std::vector<std::string>{"a", "c"}), OrderOfMarker(puppet));
  // Neither the gap nor the freed place is used.
  TestEngine d("d");
  TestEngine e("e");
  for (TestEngine* engine : {&d, &e}) {
    ASSERT_EQ(0, engine->Attach(task));
    ASSERT_EQ(0, engine->SetEvents(UTRACE_EVENT(SYSCALL_EXIT)));
  }
  a.DetachAndWait();
  EXPECT_EQ((std::vector<std::string>{"c", "d", "e"}), OrderOfMarker(puppet));
  EXPECT_EQ(c.get(), LookUpAny(task).get()) << "lookups go by another order";
}

// ---- ATT-18 ------------------------------------------------------------------------------------

CLAUSE_TEST(ATT_18, ExclusiveWithoutCreateIsALookup) {
  TaskRef task = Task(Spawn());
  OpsTable ops;
  int data = 0;
  EXPECT_EQ(-ENOENT, AttachTask(task, kExclusive, ops.get(), &data).error());
  EXPECT_EQ(-ENOENT, AttachTask(task, kExclusive | kOps, ops.get(), &data).error());
  TestEngine engine("engine", ops);
  ASSERT_EQ(0, engine.Attach(task));
  EXPECT_EQ(engine.get(), AttachTask(task, kExclusive, nullptr, nullptr).get());
  EXPECT_EQ(engine.get(), AttachTask(task, kExclusive | kOps, ops.get(), nullptr).get());
  EXPECT_EQ(engine.get(), AttachTask(task, kExclusive | kData, nullptr, engine.data()).get());
  EXPECT_EQ(-ENOENT, AttachTask(task, kExclusive | kData, ops.get(), &data).error());
}

// ---- ATT-19 ------------------------------------------------------------------------------------

CLAUSE_TEST(ATT_19, AThousandEngines) {
  constexpr int kEngines = 1000;
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  std::vector<std::unique_ptr<TestEngine>> engines;
  for (int i = 0; i < kEngines; ++i) {
    engines.push_back(std::make_unique<TestEngine>(std::to_string(i)));
    ASSERT_EQ(0, engines.back()->Attach(task)) << "engine " << i;
    // One pass over all: system calls would make many.
    ASSERT_EQ(0, engines.back()->SetEvents(UTRACE_EVENT(CLONE))) << "engine " << i;
  }
  puppet.Fork();
  std::vector<std::string> order;
  for (const Report& report : GlobalLog()) {
    if (report.what == What::kClone) order.push_back(report.engine_name);
  }
  ASSERT_EQ(static_cast<size_t>(kEngines), order.size());
  for (int i = 0; i < kEngines; ++i) ASSERT_EQ(std::to_string(i), order[i]);
  for (const auto& engine : engines) engine->DetachAndWait();
  EXPECT_EQ(-ENOENT, LookUpAny(task).error());
  EXPECT_EQ(puppet.pid(), puppet.Call(SYS_getpid));
}

// ---- ATT-21 ------------------------------------------------------------------------------------

CLAUSE_TEST(ATT_21, UnknownFlagsAreEinval) {
  TaskRef task = Task(Spawn());
  TestEngine engine;
  ASSERT_EQ(0, engine.Attach(task));
  OpsTable ops;
  int data = 0;
  const int unknown[] = {0x04, 0x08, 0x40, 0x80, 0x100, 0x10000, 0x40000000, INT32_MIN};
  for (const int bit : unknown) {
    EXPECT_EQ(-EINVAL, AttachTask(task, bit, ops.get(), &data).error()) << bit;
    EXPECT_EQ(-EINVAL, AttachTask(task, kCreate | bit, ops.get(), &data).error()) << bit;
    EXPECT_EQ(-EINVAL,
              AttachTask(task, kCreate | kExclusive | kData | bit, ops.get(), &data).error())
        << bit;
  }
  EXPECT_EQ(-ENOENT, AttachTask(task, kData, nullptr, &data).error()) << "attached all the same";
}

}  // namespace utrace::kit
