// CLN-*: the report of a new thread or process, and what can be done to the newborn in it.
#include <atomic>
#include <chrono>

#include "conformance/clauses/birth_scenes.h"

namespace utrace::kit {
namespace {

constexpr unsigned long kQuiesce = UTRACE_EVENT(QUIESCE);

// Long enough that a child which runs too early shows itself; correct ones never depend on it.
constexpr std::chrono::milliseconds kGrace(20);

}  // namespace

// ---- CLN-01 ------------------------------------------------------------------------------------

CLAUSE_TEST(CLN_01, OnceInTheParentWithFlagsAndChild) {
  for (const Birth birth : kBirths) {
    SCOPED_TRACE(BirthName(birth));
    Puppet& puppet = Spawn();
    TestEngine engine("A");
    ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(CLONE)));
    PuppetThread& child = BeginBirth(puppet, birth);
    child.AwaitReady();
    const long result = EndBirth(puppet, child, birth);
    const std::vector<Report> log = engine.Log(What::kClone);
    ASSERT_EQ(1U, log.size());
    EXPECT_EQ(engine.task(), log[0].task);
    EXPECT_EQ(engine.task(), log[0].current);
    EXPECT_EQ(result, log[0].child_tid);
    EXPECT_NE(nullptr, log[0].child);
    EXPECT_NE(engine.task(), log[0].child);
    const unsigned long told = BirthFlags(birth);
    EXPECT_EQ(told, log[0].clone_flags & told);
    const unsigned long foreign = CLONE_VFORK | CLONE_THREAD | CLONE_FS;
    if (birth != Birth::kThread) {
      EXPECT_EQ(told & foreign, log[0].clone_flags & foreign);
    }
  }
}

// Broken by: flags that are taken from where clone has them.
CLAUSE_TEST(CLN_01, FlagsOfClone3) {
  Puppet& puppet = Spawn();
  // Where the kernel has no such call there is nothing to see.
  if (puppet.Call(SYS_clone3, 0, 0) == -ENOSYS) return;
  // struct clone_args, first version: flags, pidfd, child_tid, parent_tid, exit_signal, and three for
  // the stack and the thread's storage.
  const uint64_t arguments[8] = {CLONE_FS, 0, 0, 0, SIGCHLD, 0, 0, 0};
  memcpy(puppet.Scratch(), arguments, sizeof(arguments));
  TestEngine engine("A");
  engine.On(What::kSyscallEntry, [&](Report& report) -> uint32_t {
    if (report.syscall == SYS_clone) {
      const uint64_t changed[2] = {puppet.ScratchAddress(), sizeof(arguments)};
      EXPECT_EQ(0, api().utrace_syscall_set_arguments(report.task, 0, 2, changed));
      EXPECT_EQ(0, api().utrace_syscall_set_number(report.task, SYS_clone3));
    }
    return PassThrough(report);
  });
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(CLONE) | UTRACE_EVENT(SYSCALL_ENTRY)));
  PuppetThread& child = puppet.BeginClone(SIGCHLD);
  child.AwaitReady();
  EXPECT_EQ(child.tid(), puppet.Finish());
  const std::vector<Report> log = engine.Log(What::kClone);
  ASSERT_EQ(1U, log.size());
  constexpr unsigned long kKnown = CLONE_VFORK | CLONE_VM | CLONE_THREAD | CLONE_FS;
  EXPECT_EQ(static_cast<unsigned long>(CLONE_FS), log[0].clone_flags & kKnown);
  EXPECT_EQ(child.tid(), log[0].child_tid);
}

CLAUSE_TEST(CLN_01, BeforeTheParentsCallReturns) {
  for (const Birth birth : kBirths) {
    SCOPED_TRACE(BirthName(birth));
    Puppet& puppet = Spawn();
    TestEngine engine("A");
    ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(CLONE) | UTRACE_EVENT(SYSCALL_EXIT)));
    PuppetThread& child = BeginBirth(puppet, birth);
    child.AwaitReady();
    EndBirth(puppet, child, birth);
    const Report clone = engine.Log(What::kClone).at(0);
    for (const Report& report : engine.Log(What::kSyscallExit)) {
      if (IsChannelCall(report.syscall)) continue;
      EXPECT_LT(clone.end, report.begin);
    }
  }
}

CLAUSE_TEST(CLN_01, TheChildRunsNothingWhileTheCallbackRuns) {
  for (const Birth birth : kBirths) {
    SCOPED_TRACE(BirthName(birth));
    Puppet& puppet = Spawn();
    Gate gate;
    TestEngine engine("A");
    engine.On(What::kClone, WaitAt(gate, UTRACE_RESUME));
    ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(CLONE)));
    PuppetThread& child = BeginBirth(puppet, birth);
    gate.AwaitArrival();
    EXPECT_FALSE(child.TryAwaitReady(kGrace));
    gate.Open();
    child.AwaitReady();
    EXPECT_EQ(child.tid(), EndBirth(puppet, child, birth));
  }
}

CLAUSE_TEST(CLN_01, EachOfACrowdOnce) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.KeepLog(false);
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(CLONE)));
  puppet.ForkBurst(100);
  EXPECT_EQ(100, engine.Count(What::kClone));
  puppet.ThreadBurst(100);
  EXPECT_EQ(200, engine.Count(What::kClone));
}

// ---- CLN-02 ------------------------------------------------------------------------------------

CLAUSE_TEST(CLN_02, StopKeepsTheChildFromUserMode) {
  for (const unsigned long events : {0UL, kQuiesce}) {
    for (const Birth birth : kBirths) {
      SCOPED_TRACE(BirthName(birth));
      Puppet& puppet = Spawn();
      std::atomic<uint64_t> birthplace{0};
      std::atomic<bool> let_go{false};
      TestEngine held("C");
      TestEngine engine("A");
      OnUserReturn(held, [&](Report& report) -> uint32_t {
        return WithResume(report, let_go ? UTRACE_RESUME : UTRACE_STOP);
      });
      engine.On(What::kClone, [&](Report& report) -> uint32_t {
        birthplace = ProgramCounter(report.task);
        EXPECT_EQ(0, held.Attach(report.child));
        EXPECT_EQ(0, held.SetEvents(events));
        ExpectOneOf(held.Control(UTRACE_STOP), {0, -EINPROGRESS});
        return UTRACE_RESUME;
      });
      ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
      ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(CLONE)));
      PuppetThread& child = BeginBirth(puppet, birth);
      engine.AwaitEnded(What::kClone);
      AwaitHeld(held);
      // All kinds but the thread go on where the parent's call returns.
      if (birth != Birth::kThread) {
        EXPECT_EQ(birthplace, ProgramCounter(held.task()));
      }
      if (birth != Birth::kVfork) {
        EXPECT_LT(0, puppet.Finish());
      }
      EXPECT_FALSE(child.TryAwaitReady(kGrace));
      utrace_examiner examiner = {};
      EXPECT_EQ(0, held.Prepare(&examiner));
      EXPECT_EQ(0, held.Finish(&examiner));
      let_go = true;
      EXPECT_EQ(0, held.Control(UTRACE_RESUME));
      child.AwaitReady();
      if (birth == Birth::kVfork) EndBirth(puppet, child, birth);
    }
  }
}

CLAUSE_TEST(CLN_02, TheParentsOtherEnginesDoNotLetItGo) {
  Puppet& puppet = Spawn();
  TestEngine held("C");
  TestEngine a("A");
  TestEngine b("B");
  a.On(What::kClone, [&](Report& report) -> uint32_t {
    EXPECT_EQ(0, held.Attach(report.child));
    ExpectOneOf(held.Control(UTRACE_STOP), {0, -EINPROGRESS});
    return UTRACE_RESUME;
  });
  for (TestEngine* engine : {&a, &b}) {
    ASSERT_EQ(0, engine->AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine->SetEvents(UTRACE_EVENT(CLONE)));
  }
  PuppetThread& child = puppet.BeginFork();
  EXPECT_LT(0, puppet.Finish());
  AwaitHeld(held);
  a.DetachAndWait();
  b.DetachAndWait();
  EXPECT_FALSE(child.TryAwaitReady(kGrace));
  EXPECT_EQ(0, held.Control(UTRACE_DETACH));
  child.AwaitReady();
}

CLAUSE_TEST(CLN_02, EventsOfTheChildFromItsFirstStepOn) {
  for (const Birth birth : kBirths) {
    SCOPED_TRACE(BirthName(birth));
    Puppet& puppet = Spawn();
    TestEngine newborn("C");
    TestEngine engine("A");
    engine.On(What::kClone, [&](Report& report) -> uint32_t {
      EXPECT_EQ(0, newborn.Attach(report.child));
      EXPECT_EQ(0, newborn.SetEvents(UTRACE_EVENT_SYSCALL));
      return UTRACE_RESUME;
    });
    ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(CLONE)));
    PuppetThread& child = BeginBirth(puppet, birth);
    child.AwaitReady();
    // Telling the kit that it is ready is the child's first call.
    newborn.Await(What::kSyscallEntry);
    EXPECT_EQ(SYS_sendto, newborn.Log(What::kSyscallEntry).at(0).syscall)
        << Describe(newborn.Log());
    EndBirth(puppet, child, birth);
  }
}

// ---- CLN-03 ------------------------------------------------------------------------------------

CLAUSE_TEST(CLN_03, AReportBeforeUserMode) {
  for (const auto action : {UTRACE_REPORT, UTRACE_INTERRUPT}) {
    for (const Birth birth : kBirths) {
      SCOPED_TRACE(BirthName(birth));
      Puppet& puppet = Spawn();
      std::atomic<uint64_t> birthplace{0};
      std::atomic<uint64_t> reported_at{0};
      Gate gate;
      TestEngine newborn("C");
      TestEngine engine("A");
      OnUserReturn(newborn, [&](Report& report) -> uint32_t {
        if (reported_at == 0) reported_at = ProgramCounter(report.task);
        gate.Wait();
        return WithResume(report, UTRACE_RESUME);
      });
      engine.On(What::kClone, [&](Report& report) -> uint32_t {
        birthplace = ProgramCounter(report.task);
        EXPECT_EQ(0, newborn.Attach(report.child));
        EXPECT_EQ(0, newborn.SetEvents(kQuiesce));
        EXPECT_EQ(0, newborn.Control(action));
        return UTRACE_RESUME;
      });
      ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
      ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(CLONE)));
      PuppetThread& child = BeginBirth(puppet, birth);
      gate.AwaitArrival();
      EXPECT_FALSE(child.TryAwaitReady(kGrace));
      if (birth != Birth::kThread) {
        EXPECT_EQ(birthplace, reported_at);
      }
      EXPECT_EQ(0, CountOf(newborn.Log(), What::kSyscallEntry));
      if (action == UTRACE_INTERRUPT) {
        EXPECT_EQ(What::kSignal, newborn.Log().at(0).what);
      }
      gate.Open();
      child.AwaitReady();
      EndBirth(puppet, child, birth);
    }
  }
}

// ---- CLN-04 ------------------------------------------------------------------------------------

CLAUSE_TEST(CLN_04, RefusedByTheKernel) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(CLONE) | kQuiesce));
  EXPECT_EQ(-EINVAL, puppet.Call(SYS_clone, CLONE_THREAD | SIGCHLD));
  EXPECT_GT(0, puppet.Call(SYS_clone3, 0, 0));
  for (const Report& report : engine.Log()) {
    EXPECT_NE(What::kClone, report.what);
    if (report.what == What::kQuiesce) {
      EXPECT_NE(UTRACE_EVENT(CLONE), report.event);
    }
  }
}

// Broken by: an implementation that takes the call for the clone.
CLAUSE_TEST(CLN_04, RefusedWhereTheCallIsReported) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(CLONE) | UTRACE_EVENT_SYSCALL));
  EXPECT_EQ(-EINVAL, puppet.Call(SYS_clone, CLONE_THREAD | SIGCHLD));
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  EXPECT_EQ(0, engine.Count(What::kClone)) << Describe(engine.Log());
  EXPECT_EQ(1, engine.CountSyscall(What::kSyscallExit, SYS_clone)) << Describe(engine.Log());
}

CLAUSE_TEST(CLN_04, AbortedByAnEngine) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.On(What::kSyscallEntry, [](Report& report) -> uint32_t {
    if (report.syscall != SYS_clone) return PassThrough(report);
    return Answer(UTRACE_SYSCALL_ABORT, UTRACE_RESUME);
  });
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(CLONE) | UTRACE_EVENT_SYSCALL));
  EXPECT_EQ(-ENOSYS, puppet.Call(SYS_clone, SIGCHLD));
  EXPECT_EQ(0, engine.Count(What::kClone));
}

// ---- CLN-05 ------------------------------------------------------------------------------------

CLAUSE_TEST(CLN_05, TheParentIsStoppedAndTheChildRuns) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.On(What::kClone, Answer(UTRACE_STOP));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(CLONE)));
  Puppet& child = puppet.BeginVfork();
  AwaitHeld(engine);
  child.AwaitReady();
  EXPECT_EQ(puppet.pid(), child.Call(kMarker));
  child.BeginExitGroup(0);
  child.AwaitDeath();
  // Its waiting would be over, but the engine holds it.
  AwaitHeld(engine);
  EXPECT_FALSE(puppet.Finished());
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  EXPECT_EQ(child.pid(), puppet.Finish());
}

CLAUSE_TEST(CLN_05, LetGoItWaitsForTheChild) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.On(What::kClone, Answer(UTRACE_STOP));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(CLONE) | UTRACE_EVENT(SYSCALL_EXIT)));
  Puppet& child = puppet.BeginVfork();
  AwaitHeld(engine);
  child.AwaitReady();
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  EXPECT_EQ(puppet.pid(), child.Call(kMarker));
  EXPECT_FALSE(puppet.Finished());
  child.BeginExitGroup(0);
  EXPECT_EQ(child.pid(), puppet.Finish());
}

// ---- CLN-06 ------------------------------------------------------------------------------------

CLAUSE_TEST(CLN_06, NothingIsInherited) {
  for (const Birth birth : kBirths) {
    SCOPED_TRACE(BirthName(birth));
    Puppet& puppet = Spawn();
    TestEngine engine("A");
    ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT_ALL));
    PuppetThread& child = BeginBirth(puppet, birth);
    child.AwaitReady();
    TaskRef task = Task(child);
    EXPECT_EQ(-ENOENT, AttachTask(task, 0, nullptr, nullptr).error());
    EXPECT_EQ(0U, api().utrace_task_interest(task));
    child.Call(SYS_getpgid, 0);
    EndBirth(puppet, child, birth);
    for (const Report& report : GlobalLog()) {
      EXPECT_NE(child.tid(), report.tid) << Describe(report);
    }
    EXPECT_EQ(0, engine.CountSyscall(What::kSyscallEntry, SYS_getpgid));
  }
}

// ---- CLN-07 ------------------------------------------------------------------------------------

CLAUSE_TEST(CLN_07, ParentAndChildHeldAtOnce) {
  for (const Birth birth : kBirths) {
    SCOPED_TRACE(BirthName(birth));
    Puppet& puppet = Spawn();
    TestEngine held("C");
    TestEngine engine("A");
    engine.On(What::kClone, [&](Report& report) -> uint32_t {
      EXPECT_EQ(0, held.Attach(report.child));
      ExpectOneOf(held.Control(UTRACE_STOP), {0, -EINPROGRESS});
      return UTRACE_STOP;
    });
    ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(CLONE)));
    PuppetThread& child = BeginBirth(puppet, birth);
    AwaitHeld(engine);
    AwaitHeld(held);
    utrace_examiner parents = {};
    ASSERT_EQ(0, engine.Prepare(&parents));
    EXPECT_FALSE(child.TryAwaitReady(kGrace));
    EXPECT_EQ(0, held.Control(UTRACE_RESUME));
    child.AwaitReady();
    EXPECT_EQ(0, engine.Finish(&parents));
    EXPECT_FALSE(puppet.Finished());
    EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
    EXPECT_EQ(child.tid(), EndBirth(puppet, child, birth));
  }
}

CLAUSE_TEST(CLN_07, TheParentCanBeLetGoFirst) {
  for (const Birth birth : {Birth::kFork, Birth::kThread}) {
    SCOPED_TRACE(BirthName(birth));
    Puppet& puppet = Spawn();
    TestEngine held("C");
    TestEngine engine("A");
    engine.On(What::kClone, [&](Report& report) -> uint32_t {
      EXPECT_EQ(0, held.Attach(report.child));
      ExpectOneOf(held.Control(UTRACE_STOP), {0, -EINPROGRESS});
      return UTRACE_STOP;
    });
    ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(CLONE)));
    PuppetThread& child = BeginBirth(puppet, birth);
    AwaitHeld(engine);
    AwaitHeld(held);
    EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
    EXPECT_LT(0, puppet.Finish());
    AwaitHeld(held);
    EXPECT_FALSE(child.TryAwaitReady(kGrace));
    EXPECT_EQ(0, held.Control(UTRACE_RESUME));
    child.AwaitReady();
  }
}

}  // namespace utrace::kit
