// Controllers that attach to a newborn while its parent's clone report is in progress [ATT-16,
// ATT-17].

#include <atomic>
#include <functional>
#include <memory>

#include "conformance/clauses/lifetime_scenes.h"

namespace utrace::kit {
namespace {

enum class Kind { kFork, kVfork, kThread };

// Two engines on a parent: the first attaches an engine to the child (or not), the second holds the
// report at a gate.
class HeldBirth {
 public:
  explicit HeldBirth(Puppet* parent, bool attach = true) : parent_(parent) {
    first_.On(What::kClone, [this, attach](Report& report) -> uint32_t {
      if (attach) {
        EXPECT_EQ(0, childs.Attach(report.child));
      }
      return PassThrough(report);
    });
    second_.On(What::kClone, [this](Report& report) -> uint32_t {
      gate.Wait();
      return PassThrough(report);
    });
    const TaskRef task = FindTask(parent->tid());
    for (TestEngine* engine : {&first_, &second_}) {
      int error = engine->Attach(task);
      if (error == 0) error = engine->SetEvents(UTRACE_EVENT(CLONE));
      if (error != 0) Failed("attaching to the parent gives " + ErrnoName(error));
    }
  }

  // Begins the birth and waits until the report is held.
  PuppetThread& Begin(Kind kind = Kind::kFork) {
    child_ = kind == Kind::kFork    ? &parent_->BeginFork()
             : kind == Kind::kVfork ? &parent_->BeginVfork()
                                    : &parent_->BeginSpawnThread();
    gate.AwaitArrival();
    tid_ = second_.Log(What::kClone).front().child_tid;
    return *child_;
  }
  pid_t tid() const { return tid_; }
  uint64_t report_end() const { return second_.Log(What::kClone).front().end; }

  // The child runs as it would untraced.
  void ExpectChildRuns() {
    child_->AwaitReady();
    EXPECT_EQ(tid_, child_->Call(SYS_gettid));
  }

  Gate gate{"clone report"};
  TestEngine childs{"child's"};

 private:
  Puppet* parent_;
  PuppetThread* child_ = nullptr;
  pid_t tid_ = 0;
  TestEngine first_{"first"};
  TestEngine second_{"second"};
};

}  // namespace

class MeetsNewborn : public ClauseTest {
 protected:
  void MeetsTheParentsEngine(Kind kind) {
    Puppet& parent = Spawn();
    HeldBirth birth(&parent);
    birth.Begin(kind);
    TaskRef child = FindTask(birth.tid());
    TestEngine late("late");
    Controller attach("attach", [&] { return late.Attach(child, UTRACE_ATTACH_EXCLUSIVE); });
    attach.AwaitBlocked();
    birth.gate.Open();
    EXPECT_EQ(-EEXIST, attach.Result());
    EXPECT_GT(attach.finished_at(), birth.report_end());
    birth.ExpectChildRuns();
  }
};

CLAUSE_TEST_OF(MeetsNewborn, ATT_16, ExclusiveMeetsTheParentsEngineAfterFork) {
  MeetsTheParentsEngine(Kind::kFork);
}
CLAUSE_TEST_OF(MeetsNewborn, ATT_16, ExclusiveMeetsTheParentsEngineAfterVfork) {
  MeetsTheParentsEngine(Kind::kVfork);
}
CLAUSE_TEST_OF(MeetsNewborn, ATT_16, ExclusiveMeetsTheParentsEngineInANewThread) {
  MeetsTheParentsEngine(Kind::kThread);
}

CLAUSE_TEST(ATT_16, AttachByPidWaitsToo) {
  Puppet& parent = Spawn();
  HeldBirth birth(&parent);
  birth.Begin();
  PidRef pid = FindPid(birth.tid());
  TestEngine late("late");
  Controller attach("attach", [&] { return late.AttachPid(pid, UTRACE_ATTACH_EXCLUSIVE); });
  attach.AwaitBlocked();
  birth.gate.Open();
  EXPECT_EQ(-EEXIST, attach.Result());
  EXPECT_GT(attach.finished_at(), birth.report_end());
}

// Without EXCLUSIVE the attach succeeds, behind the engines of the parent's.
CLAUSE_TEST(ATT_16, PlainAttachComesSecond) {
  Puppet& parent = Spawn();
  HeldBirth birth(&parent);
  PuppetThread& puppet = birth.Begin();
  TaskRef child = FindTask(birth.tid());
  TestEngine late("late");
  Controller attach("attach", [&] { return late.Attach(child); });
  attach.AwaitBlocked();
  birth.gate.Open();
  ASSERT_EQ(0, attach.Result());
  EXPECT_GT(attach.finished_at(), birth.report_end());
  EXPECT_EQ(birth.childs.get(), LookUpAny(child).get());
  birth.ExpectChildRuns();
  ASSERT_EQ(0, late.SetEvents(UTRACE_EVENT(SYSCALL_EXIT)));
  ASSERT_EQ(0, birth.childs.SetEvents(UTRACE_EVENT(SYSCALL_EXIT)));
  puppet.Call(kMarker);
  ASSERT_EQ(1, late.CountSyscall(What::kSyscallExit, kMarker));
  ASSERT_EQ(1, birth.childs.CountSyscall(What::kSyscallExit, kMarker));
  const auto begin = [](const TestEngine& engine) {
    for (const Report& report : engine.Log()) {
      if (report.syscall == kMarker) return report.begin;
    }
    return uint64_t{0};
  };
  EXPECT_LT(begin(birth.childs), begin(late));
}

// Where the parent's engines attach nothing, the controller learns that too.
CLAUSE_TEST(ATT_16, ExclusiveSucceedsIfTheParentsEnginesAttachNothing) {
  Puppet& parent = Spawn();
  HeldBirth birth(&parent, /*attach=*/false);
  birth.Begin();
  TaskRef child = FindTask(birth.tid());
  TestEngine late("late");
  Controller attach("attach", [&] { return late.Attach(child, UTRACE_ATTACH_EXCLUSIVE); });
  attach.AwaitBlocked();
  birth.gate.Open();
  EXPECT_EQ(0, attach.Result());
  EXPECT_GT(attach.finished_at(), birth.report_end());
  birth.ExpectChildRuns();
}

// Every controller waits, not only the first.
CLAUSE_TEST(ATT_16, SeveralControllersWait) {
  Puppet& parent = Spawn();
  HeldBirth birth(&parent);
  birth.Begin();
  TaskRef child = FindTask(birth.tid());
  TestEngine late[3];
  std::vector<std::unique_ptr<Controller>> attaches;
  for (TestEngine& engine : late) {
    attaches.push_back(
        std::make_unique<Controller>("attach", [&] { return engine.Attach(child); }));
    attaches.back()->AwaitBlocked();
  }
  birth.gate.Open();
  for (const auto& attach : attaches) {
    EXPECT_EQ(0, attach->Result());
    EXPECT_GT(attach->finished_at(), birth.report_end());
  }
  EXPECT_EQ(birth.childs.get(), LookUpAny(child).get());
  birth.ExpectChildRuns();
}

// The wait ends with the report, not with the child's first steps: it must not need them.
CLAUSE_TEST(ATT_16, ChildHeldFromItsFirstInstructionCanBeAttached) {
  Puppet& parent = Spawn();
  TestEngine childs("child's");
  TestEngine host("parent's");
  host.On(What::kClone, [&](Report& report) -> uint32_t {
    EXPECT_EQ(0, childs.Attach(report.child));
    ExpectOneOf(childs.Control(UTRACE_STOP), {0, -EINPROGRESS});
    return PassThrough(report);
  });
  ASSERT_EQ(0, host.Attach(Task(parent)));
  ASSERT_EQ(0, host.SetEvents(UTRACE_EVENT(CLONE)));
  Puppet& child = parent.BeginFork();
  const long tid = parent.Finish();
  ASSERT_LT(0, tid);
  TestEngine late("late");
  Controller attach("attach", [&] { return late.AttachTid(static_cast<pid_t>(tid)); });
  EXPECT_EQ(0, attach.Result());
  EXPECT_FALSE(child.TryAwaitReady(std::chrono::milliseconds(0)));
  EXPECT_EQ(0, childs.Control(UTRACE_RESUME));
  child.AwaitReady();
}

// No engine wants the birth: there is no report to wait for.
CLAUSE_TEST(ATT_16, ChildOfATaskWithoutCloneEventIsAttachedAtOnce) {
  Puppet& parent = Spawn();
  TestEngine host("parent's");
  ASSERT_EQ(0, host.Attach(Task(parent)));
  ASSERT_EQ(0, host.SetEvents(UTRACE_EVENT(EXIT)));
  Puppet& child = parent.Fork();
  TestEngine engine("child's");
  ASSERT_EQ(0, engine.Attach(Task(child), UTRACE_ATTACH_EXCLUSIVE));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(SYSCALL_ENTRY)));
  child.Call(kMarker);
  EXPECT_EQ(1, engine.CountSyscall(What::kSyscallEntry, kMarker));
}

// A parent killed in the middle of the report must not leave the controller waiting for ever.
CLAUSE_TEST(ATT_16, ParentKilledDuringTheReport) {
  Puppet& parent = Spawn();
  HeldBirth birth(&parent);
  birth.Begin();
  TaskRef child = FindTask(birth.tid());
  TestEngine late("late");
  Controller attach("attach", [&] { return late.Attach(child, UTRACE_ATTACH_EXCLUSIVE); });
  attach.AwaitBlocked();
  parent.Kill(SIGKILL);
  birth.gate.Open();
  // The child lives on with the engine that it got, or has gone with its parent.
  ExpectOneOf(attach.Result(), {-EEXIST, -ESRCH});
  EXPECT_GT(attach.finished_at(), birth.report_end());
}

// The race at full speed: a controller that learns the child's id before the parent's engine has
// attached to it. Whatever happens, it never gets in between.
CLAUSE_TEST(ATT_16, ControllerNeverOvertakesTheReport) {
  Needs("fork");
  // Where a scheduler decides, many schedules do what many births do elsewhere.
  const long births = TheTarget() == nullptr ? 150 : 5;
  Puppet& parent = Spawn();
  OpsTable ops;
  std::atomic<pid_t> newest{0};
  std::atomic<bool> over{false};
  int childs = 0;
  int foreign = 0;
  TestEngine host("parent's");
  host.KeepLog(false);
  host.On(What::kClone, [&](Report& report) -> uint32_t {
    newest = report.child_tid;
    const EngineRef engine = AttachTask(
        report.child, UTRACE_ATTACH_CREATE | UTRACE_ATTACH_EXCLUSIVE, ops.get(), &childs);
    EXPECT_TRUE(engine.ok()) << ErrnoName(engine.error());
    return PassThrough(report);
  });
  ASSERT_EQ(0, host.Attach(Task(parent)));
  ASSERT_EQ(0, host.SetEvents(UTRACE_EVENT(CLONE)));
  int tries = 0;
  Controller rival("rival", [&]() -> long {
    long wrong = 0;
    for (pid_t last = 0; !over;) {
      const pid_t tid = newest;
      if (tid == last) {
        Yield();
        continue;
      }
      last = tid;
      const PidRef pid(api().utrace_pid_find(tid));
      if (!pid.ok()) continue;
      ++tries;
      const EngineRef engine =
          AttachPid(pid, UTRACE_ATTACH_CREATE | UTRACE_ATTACH_EXCLUSIVE, ops.get(), &foreign);
      // Gone is allowed: these children exit at once and are waited for.
      if (engine.error() != -EEXIST && engine.error() != -ESRCH) {
        ++wrong;
        ADD_FAILURE() << "EXCLUSIVE on child " << tid << " gives " << ErrnoName(engine.error());
      }
    }
    return wrong;
  });
  const long result = parent.ForkBurst(births);
  over = true;
  EXPECT_EQ(0, rival.Result());
  EXPECT_LE(0, result);
  EXPECT_LE(births, host.Count(What::kClone));
  EXPECT_LT(0, tries);
}

// The callback of another task is a caller like any other.
CLAUSE_TEST(ATT_16, AnotherTasksCallbackNeverOvertakesTheReport) {
  constexpr long kBirths = 50;
  Puppet& parent = Spawn("parent");
  Puppet& rival = Spawn("rival");
  OpsTable ops;
  std::atomic<pid_t> newest{0};
  int childs = 0;
  int foreign = 0;
  const int flags = UTRACE_ATTACH_CREATE | UTRACE_ATTACH_EXCLUSIVE;
  TestEngine host("parent's");
  host.KeepLog(false);
  host.On(What::kClone, [&](Report& report) -> uint32_t {
    newest = report.child_tid;
    const EngineRef engine = AttachTask(report.child, flags, ops.get(), &childs);
    EXPECT_TRUE(engine.ok()) << ErrnoName(engine.error());
    return PassThrough(report);
  });
  TestEngine meddler("meddler");
  meddler.KeepLog(false);
  meddler.On(What::kSyscallEntry, [&](Report& report) -> uint32_t {
    const pid_t tid = newest.exchange(0);
    if (report.syscall != kMarker || tid == 0) return PassThrough(report);
    const PidRef pid(api().utrace_pid_find(tid));
    if (!pid.ok()) return PassThrough(report);
    ExpectOneOf(AttachPid(pid, flags, ops.get(), &foreign).error(), {-EEXIST, -ESRCH});
    return PassThrough(report);
  });
  ASSERT_EQ(0, host.Attach(Task(parent)));
  ASSERT_EQ(0, host.SetEvents(UTRACE_EVENT(CLONE)));
  ASSERT_EQ(0, meddler.Attach(Task(rival)));
  ASSERT_EQ(0, meddler.SetEvents(UTRACE_EVENT(SYSCALL_ENTRY)));
  parent.BeginForkBurst(kBirths);
  while (!parent.Finished()) rival.Repeat(kMarker, 20);
  EXPECT_LE(0, parent.Finish());
  EXPECT_LE(kBirths, host.Count(What::kClone));
}

// ---- ATT-17 ------------------------------------------------------------------------------------

CLAUSE_TEST(ATT_17, InterruptedWaitAttachesNothing) {
  Puppet& parent = Spawn();
  HeldBirth birth(&parent, /*attach=*/false);
  birth.Begin();
  TaskRef child = FindTask(birth.tid());
  TestEngine late("late");
  Controller attach("attach", [&] { return late.Attach(child); });
  attach.AwaitBlocked();
  attach.Interrupt();
  EXPECT_EQ(-UTRACE_ERESTARTNOINTR, attach.Result());
  birth.gate.Open();
  birth.ExpectChildRuns();
  EXPECT_EQ(-ENOENT, LookUpAny(child).error());
  EXPECT_EQ(0, late.releases()) << "an engine that was never attached was released";
  EXPECT_EQ(0, late.Attach(child, UTRACE_ATTACH_EXCLUSIVE));
}

CLAUSE_TEST(ATT_17, InterruptedWaitByPid) {
  Puppet& parent = Spawn();
  HeldBirth birth(&parent);
  birth.Begin();
  PidRef pid = FindPid(birth.tid());
  TestEngine late("late");
  Controller attach("attach", [&] { return late.AttachPid(pid, UTRACE_ATTACH_EXCLUSIVE); });
  attach.AwaitBlocked();
  attach.Interrupt();
  EXPECT_EQ(-UTRACE_ERESTARTNOINTR, attach.Result());
  birth.gate.Open();
  birth.ExpectChildRuns();
  EXPECT_EQ(-ENOENT, AttachPid(pid, UTRACE_ATTACH_MATCH_DATA, nullptr, late.data()).error());
}

// Of two that wait, the signal concerns the one that gets it.
CLAUSE_TEST(ATT_17, OthersGoOnWaiting) {
  Puppet& parent = Spawn();
  HeldBirth birth(&parent);
  birth.Begin();
  TaskRef child = FindTask(birth.tid());
  TestEngine stays("stays");
  TestEngine leaves("leaves");
  Controller staying("staying", [&] { return stays.Attach(child); });
  Controller leaving("leaving", [&] { return leaves.Attach(child); });
  staying.AwaitBlocked();
  leaving.AwaitBlocked();
  leaving.Interrupt();
  EXPECT_EQ(-UTRACE_ERESTARTNOINTR, leaving.Result());
  staying.AwaitBlocked();
  birth.gate.Open();
  EXPECT_EQ(0, staying.Result());
  EXPECT_GT(staying.finished_at(), birth.report_end());
  birth.ExpectChildRuns();
}

}  // namespace utrace::kit
