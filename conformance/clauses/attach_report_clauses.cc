// Attaching while reports are in progress, and from within callbacks [ATT-14, ATT-15].
#include <atomic>
#include <functional>
#include <memory>

#include "conformance/clauses/lifetime_scenes.h"

namespace utrace::kit {
namespace {

constexpr unsigned long kEntry = UTRACE_EVENT(SYSCALL_ENTRY);
constexpr unsigned long kExit = UTRACE_EVENT(SYSCALL_EXIT);

// Attaches `late` to the task of the first report of kind `what` that `when` chooses, and enables
// `events` for it, from inside the callback of `host`.
class AttachesLate {
 public:
  AttachesLate(TestEngine* host, What what, TestEngine* late, unsigned long events,
               std::function<bool(const Report&)> when) {
    host->On(what, [this, late, events, when = std::move(when)](Report& report) -> uint32_t {
      if (when(report) && !done_.exchange(true)) {
        EXPECT_EQ(0, late->Attach(report.task));
        EXPECT_EQ(0, late->SetEvents(events));
      }
      return PassThrough(report);
    });
  }
  bool done() const { return done_; }

 private:
  std::atomic<bool> done_{false};
};

bool Always(const Report&) { return true; }
bool IsMarker(const Report& report) { return report.syscall == kMarker; }

}  // namespace

// ---- ATT-14 ------------------------------------------------------------------------------------

CLAUSE_TEST(ATT_14, AttachedInACallbackWaitsForTheNextReport) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  TestEngine late("late");
  TestEngine host("host");
  AttachesLate attach(&host, What::kSyscallExit, &late, kExit, IsMarker);
  ASSERT_EQ(0, host.Attach(task));
  ASSERT_EQ(0, host.SetEvents(kExit));
  puppet.Call(kMarker);
  ASSERT_TRUE(attach.done());
  EXPECT_EQ(0, late.CountSyscall(What::kSyscallExit, kMarker)) << Describe(late.Log());
  puppet.Call(kMarker);
  EXPECT_EQ(1, late.CountSyscall(What::kSyscallExit, kMarker)) << Describe(late.Log());
}

// Entry reports go the other way round: a new engine is the first to be called, and must not be
// called at all once the report has begun.
CLAUSE_TEST(ATT_14, AttachedInAnEntryCallbackWaitsForTheNextReport) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  TestEngine late("late");
  TestEngine first("first");
  TestEngine second("second");
  AttachesLate attach(&second, What::kSyscallEntry, &late, kEntry | kExit, IsMarker);
  for (TestEngine* engine : {&first, &second}) {
    ASSERT_EQ(0, engine->Attach(task));
    ASSERT_EQ(0, engine->SetEvents(kEntry));
  }
  puppet.Call(kMarker);
  ASSERT_TRUE(attach.done());
  EXPECT_EQ(1, first.CountSyscall(What::kSyscallEntry, kMarker));
  EXPECT_EQ(1, second.CountSyscall(What::kSyscallEntry, kMarker));
  EXPECT_EQ(0, late.CountSyscall(What::kSyscallEntry, kMarker));
  // The exit of the same call is the next report.
  EXPECT_EQ(1, late.CountSyscall(What::kSyscallExit, kMarker));
  puppet.Call(kMarker);
  EXPECT_EQ(1, late.CountSyscall(What::kSyscallEntry, kMarker));
}

// Neither the specific callback nor the report_quiesce that goes before it.
CLAUSE_TEST(ATT_14, AttachedEngineGetsNoQuiesceOfThatReport) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  TestEngine late("late");
  TestEngine host("host");
  TestEngine last("last");
  AttachesLate attach(&host, What::kClone, &late, UTRACE_EVENT(QUIESCE) | UTRACE_EVENT(CLONE),
                      Always);
  for (TestEngine* engine : {&host, &last}) {
    ASSERT_EQ(0, engine->Attach(task));
    ASSERT_EQ(0, engine->SetEvents(UTRACE_EVENT(CLONE)));
  }
  puppet.Fork();
  ASSERT_TRUE(attach.done());
  EXPECT_EQ(1, last.Count(What::kClone));
  EXPECT_EQ(0, late.Count(What::kClone));
  for (const Report& report : late.Log(What::kQuiesce)) {
    EXPECT_NE(UTRACE_EVENT(CLONE), report.event) << Describe(late.Log());
  }
  puppet.Fork();
  EXPECT_EQ(1, late.Count(What::kClone)) << Describe(late.Log());
}

CLAUSE_TEST(ATT_14, AttachedInASignalReportWaitsForTheNextSignal) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  ASSERT_EQ(0, puppet.Sigaction(SIGUSR1, Disposition::kHandler));
  TestEngine late("late");
  TestEngine host("host");
  AttachesLate attach(&host, What::kSignal, &late, UTRACE_EVENT(SIGNAL), Always);
  ASSERT_EQ(0, host.Attach(task));
  ASSERT_EQ(0, host.SetEvents(UTRACE_EVENT(SIGNAL)));
  puppet.Raise(SIGUSR1);
  ASSERT_TRUE(attach.done());
  EXPECT_EQ(0, late.CountSignal(SIGUSR1));
  puppet.Raise(SIGUSR1);
  EXPECT_EQ(1, late.CountSignal(SIGUSR1));
  EXPECT_EQ(2U, puppet.HandlerRuns(SIGUSR1));
}

// An engine that comes in one report must not be late for the very next one, which a signal report
// is that follows a system call's exit without a step in user mode between.
CLAUSE_TEST(ATT_14, AttachedInAnExitReportGetsTheSignalBehindIt) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  ASSERT_EQ(0, puppet.Sigaction(SIGUSR1, Disposition::kHandler));
  TestEngine late("late");
  TestEngine host("host");
  AttachesLate attach(&host, What::kSyscallExit, &late, UTRACE_EVENT(SIGNAL),
                      [](const Report& report) { return report.syscall == SYS_tgkill; });
  ASSERT_EQ(0, host.Attach(task));
  ASSERT_EQ(0, host.SetEvents(kExit | UTRACE_EVENT(SIGNAL)));
  puppet.Raise(SIGUSR1);
  puppet.AwaitHandlerRuns(1);
  ASSERT_TRUE(attach.done());
  EXPECT_EQ(1, late.CountSignal(SIGUSR1)) << Describe(GlobalLog());
}

// The same by the way of an exit report that an event-zero report follows.
CLAUSE_TEST(ATT_14, AttachedInAReportGetsTheQuiesceBehindIt) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  TestEngine late("late", OpsTable().Without(What::kSignal));
  TestEngine host("host");
  std::atomic<bool> done{false};
  host.On(What::kSyscallExit, [&](Report& report) -> uint32_t {
    if (report.syscall != kMarker || done.exchange(true)) return PassThrough(report);
    EXPECT_EQ(0, late.Attach(report.task));
    EXPECT_EQ(0, late.SetEvents(UTRACE_EVENT(QUIESCE)));
    return UTRACE_REPORT;
  });
  ASSERT_EQ(0, host.Attach(task));
  ASSERT_EQ(0, host.SetEvents(kExit));
  puppet.Call(kMarker);
  ASSERT_TRUE(done);
  // The reply of the call is sent after the return to user mode, hence after that report.
  const std::vector<Report> log = late.Log(What::kQuiesce);
  ASSERT_FALSE(log.empty());
  EXPECT_EQ(0UL, log.front().event) << Describe(log);
}

// A controller comes while a callback is running. It may have to wait for the report's end; then it
// is not in that report either.
CLAUSE_TEST(ATT_14, AttachedByAControllerWaitsForTheNextReport) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  Gate gate;
  TestEngine late("late");
  TestEngine host("host");
  TestEngine last("last");
  host.On(What::kSyscallExit, [&](Report& report) -> uint32_t {
    if (IsMarker(report)) gate.Wait();
    return PassThrough(report);
  });
  for (TestEngine* engine : {&host, &last}) {
    ASSERT_EQ(0, engine->Attach(task));
    ASSERT_EQ(0, engine->SetEvents(kExit));
  }
  puppet.Begin(kMarker);
  gate.AwaitArrival();
  Controller attach("attach", [&]() -> long {
    const int error = late.Attach(task);
    return error != 0 ? error : late.SetEvents(kExit);
  });
  attach.AwaitBlockedOrFinished();
  gate.Open();
  EXPECT_EQ(0, attach.Result());
  puppet.Finish();
  EXPECT_EQ(1, last.CountSyscall(What::kSyscallExit, kMarker));
  EXPECT_EQ(0, late.CountSyscall(What::kSyscallExit, kMarker));
  puppet.Call(kMarker);
  EXPECT_EQ(1, late.CountSyscall(What::kSyscallExit, kMarker));
}

// As above, where the new engine would be called first.
CLAUSE_TEST(ATT_14, AttachedByAControllerInAnEntryReport) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  Gate gate;
  TestEngine late("late");
  TestEngine host("host");
  TestEngine last("last");
  last.On(What::kSyscallEntry, [&](Report& report) -> uint32_t {
    if (IsMarker(report)) gate.Wait();
    return PassThrough(report);
  });
  for (TestEngine* engine : {&host, &last}) {
    ASSERT_EQ(0, engine->Attach(task));
    ASSERT_EQ(0, engine->SetEvents(kEntry));
  }
  puppet.Begin(kMarker);
  gate.AwaitArrival();
  Controller attach("attach", [&]() -> long {
    const int error = late.Attach(task);
    return error != 0 ? error : late.SetEvents(kEntry);
  });
  attach.AwaitBlockedOrFinished();
  gate.Open();
  EXPECT_EQ(0, attach.Result());
  puppet.Finish();
  EXPECT_EQ(1, host.CountSyscall(What::kSyscallEntry, kMarker)) << "an old engine lost its place";
  EXPECT_EQ(1, last.CountSyscall(What::kSyscallEntry, kMarker));
  EXPECT_EQ(0, late.CountSyscall(What::kSyscallEntry, kMarker));
  puppet.Call(kMarker);
  EXPECT_EQ(1, late.CountSyscall(What::kSyscallEntry, kMarker));
}

// A repeat is a report of its own: it starts afresh [SYS-12].
CLAUSE_TEST(ATT_14, EngineOfARepeatedReportIsEligibleInTheRepeat) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  TestEngine late("late");
  TestEngine host("host");
  std::atomic<bool> done{false};
  host.On(What::kSyscallEntry, [&](Report& report) -> uint32_t {
    if (!IsMarker(report) || done.exchange(true)) return PassThrough(report);
    EXPECT_EQ(0, late.Attach(report.task));
    EXPECT_EQ(0, late.SetEvents(kEntry));
    return UTRACE_REPORT;  // and RUN, which is zero
  });
  ASSERT_EQ(0, host.Attach(task));
  ASSERT_EQ(0, host.SetEvents(kEntry));
  puppet.Call(kMarker);
  EXPECT_EQ(2, host.CountSyscall(What::kSyscallEntry, kMarker));
  const std::vector<Report> log = late.Log(What::kSyscallEntry);
  ASSERT_FALSE(log.empty());
  EXPECT_EQ(kMarker, log.front().syscall);
  EXPECT_NE(0U, log.front().action & UTRACE_SYSCALL_RESUMED) << Describe(log);
}

// ---- ATT-15 ------------------------------------------------------------------------------------

namespace {

// The scene of one kind of report: what to enable and what makes it happen.
struct Scene {
  What what;
  unsigned long events;
  std::function<void(Puppet&, TestEngine&)> make;
  bool lives = true;  // the task goes on afterwards
};

}  // namespace

class AttachesToItself : public ClauseTest {
 protected:
  // In a callback of each kind, an attach and a lookup by task and by pid handle succeed, and the
  // new engine gets events afterwards.
  void Play(const Scene& scene) {
    Puppet& puppet = Spawn();
    TaskRef task = Task(puppet);
    TestEngine by_task("by task");
    TestEngine by_pid("by pid");
    TestEngine host("host");
    std::atomic<bool> done{false};
    host.On(scene.what, [&](Report& report) -> uint32_t {
      if (done.exchange(true)) return PassThrough(report);
      EXPECT_EQ(report.task, report.current);
      EXPECT_EQ(0, by_task.Attach(report.task, UTRACE_ATTACH_EXCLUSIVE | UTRACE_ATTACH_MATCH_DATA));
      const PidRef pid(api().utrace_pid_find(report.tid));
      EXPECT_TRUE(pid.ok());
      EXPECT_EQ(0, by_pid.AttachPid(pid));
      EXPECT_EQ(by_task.get(),
                AttachTask(report.task, UTRACE_ATTACH_MATCH_DATA, nullptr, by_task.data()).get());
      const unsigned long events = scene.lives ? UTRACE_EVENT(SYSCALL_EXIT) : UTRACE_EVENT(REAP);
      EXPECT_EQ(0, by_task.SetEvents(events));
      EXPECT_EQ(0, by_pid.SetEvents(events));
      return PassThrough(report);
    });
    ASSERT_EQ(0, host.Attach(task));
    ASSERT_EQ(0, host.SetEvents(scene.events));
    scene.make(puppet, host);
    host.AwaitEnded(scene.what);
    if (scene.lives) {
      puppet.Call(kMarker);
      EXPECT_LE(1, by_task.CountSyscall(What::kSyscallExit, kMarker));
      EXPECT_LE(1, by_pid.CountSyscall(What::kSyscallExit, kMarker));
    } else {
      AwaitReaped(puppet);
      by_task.Await(What::kReap);
      by_pid.Await(What::kReap);
    }
  }
};

CLAUSE_TEST_OF(AttachesToItself, ATT_15, ToItselfFromSyscallEntry) {
  Play({What::kSyscallEntry, kEntry, [](Puppet& puppet, TestEngine&) { puppet.Call(kMarker); }});
}
CLAUSE_TEST_OF(AttachesToItself, ATT_15, ToItselfFromSyscallExit) {
  Play({What::kSyscallExit, kExit, [](Puppet& puppet, TestEngine&) { puppet.Call(kMarker); }});
}
CLAUSE_TEST_OF(AttachesToItself, ATT_15, ToItselfFromQuiesce) {
  Play({What::kQuiesce, kExit | UTRACE_EVENT(QUIESCE),
        [](Puppet& puppet, TestEngine&) { puppet.Call(kMarker); }});
}
CLAUSE_TEST_OF(AttachesToItself, ATT_15, ToItselfFromSignal) {
  Play({What::kSignal, UTRACE_EVENT(SIGNAL), [](Puppet& puppet, TestEngine&) {
          puppet.Sigaction(SIGUSR1, Disposition::kHandler);
          puppet.Raise(SIGUSR1);
        }});
}
CLAUSE_TEST_OF(AttachesToItself, ATT_15, ToItselfFromInterrupt) {
  Play({What::kSignal, UTRACE_EVENT(QUIESCE),
        [](Puppet&, TestEngine& host) { EXPECT_EQ(0, host.Control(UTRACE_INTERRUPT)); }});
}
CLAUSE_TEST_OF(AttachesToItself, ATT_15, ToItselfFromClone) {
  Play({What::kClone, UTRACE_EVENT(CLONE), [](Puppet& puppet, TestEngine&) { puppet.Fork(); }});
}
CLAUSE_TEST_OF(AttachesToItself, ATT_15, ToItselfFromExec) {
  Play({What::kExec, UTRACE_EVENT(EXEC), [](Puppet& puppet, TestEngine&) { puppet.Exec(); }});
}
CLAUSE_TEST_OF(AttachesToItself, ATT_15, ToItselfFromJctl) {
  Play({What::kJctl, UTRACE_EVENT(JCTL), [](Puppet& puppet, TestEngine& host) {
          puppet.Kill(SIGSTOP);
          host.AwaitEnded(What::kJctl);
          puppet.Kill(SIGCONT);
        }});
}
CLAUSE_TEST_OF(AttachesToItself, ATT_15, ToItselfFromExit) {
  Play({What::kExit, UTRACE_EVENT(EXIT),
        [](Puppet& puppet, TestEngine&) { puppet.BeginExitGroup(); }, false});
}
CLAUSE_TEST_OF(AttachesToItself, ATT_15, ToItselfFromDeath) {
  Play({What::kDeath, UTRACE_EVENT(DEATH),
        [](Puppet& puppet, TestEngine&) { puppet.BeginExitGroup(); }, false});
}

// Reaping is the end: what counts is that the call comes back, and that nothing stays attached.
CLAUSE_TEST(ATT_15, FromReapItReturns) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  TestEngine late("late");
  TestEngine host("host");
  host.On(What::kReap, [&](Report& report) -> uint32_t {
    ExpectOneOf(late.Attach(report.task), {0, -ESRCH});
    return 0;
  });
  ASSERT_EQ(0, host.Attach(task));
  ASSERT_EQ(0, host.SetEvents(UTRACE_EVENT(REAP)));
  ExitAndReap(puppet);
  host.AwaitEnded(What::kReap);
  host.Put();
  host.Await(What::kRelease);
  ExpectOneOf(LookUpAny(task).error(), {-ENOENT, -ESRCH});
}

namespace {

// Attaches `engine` to the child of a clone report of `parent`, and enables events for it.
void AttachToChildren(TestEngine* parent, TestEngine* engine) {
  parent->On(What::kClone, [engine](Report& report) -> uint32_t {
    EXPECT_EQ(0, engine->Attach(report.child, UTRACE_ATTACH_EXCLUSIVE));
    EXPECT_EQ(0, engine->SetEvents(UTRACE_EVENT_SYSCALL));
    const EngineRef found = LookUpAny(report.child);
    EXPECT_EQ(engine->get(), found.get());
    return PassThrough(report);
  });
}

}  // namespace

CLAUSE_TEST(ATT_15, ToTheChildOfFork) {
  Puppet& parent = Spawn();
  TestEngine engine("child's");
  TestEngine host("parent's");
  AttachToChildren(&host, &engine);
  ASSERT_EQ(0, host.Attach(Task(parent)));
  ASSERT_EQ(0, host.SetEvents(UTRACE_EVENT(CLONE)));
  Puppet& child = parent.Fork();
  child.Call(kMarker);
  EXPECT_EQ(1, engine.CountSyscall(What::kSyscallEntry, kMarker)) << Describe(GlobalLog());
  EXPECT_EQ(child.tid(), engine.Log().back().tid);
}

CLAUSE_TEST(ATT_15, ToTheChildOfVfork) {
  Puppet& parent = Spawn();
  TestEngine engine("child's");
  TestEngine host("parent's");
  AttachToChildren(&host, &engine);
  ASSERT_EQ(0, host.Attach(Task(parent)));
  ASSERT_EQ(0, host.SetEvents(UTRACE_EVENT(CLONE)));
  Puppet& child = parent.Vfork();
  child.Call(kMarker);
  EXPECT_EQ(1, engine.CountSyscall(What::kSyscallEntry, kMarker)) << Describe(GlobalLog());
  child.BeginExitGroup();
  EXPECT_EQ(child.pid(), parent.Finish());
}

CLAUSE_TEST(ATT_15, ToANewThread) {
  Puppet& parent = Spawn();
  TestEngine engine("child's");
  TestEngine host("parent's");
  AttachToChildren(&host, &engine);
  ASSERT_EQ(0, host.Attach(Task(parent)));
  ASSERT_EQ(0, host.SetEvents(UTRACE_EVENT(CLONE)));
  PuppetThread& child = parent.SpawnThread();
  child.Call(kMarker);
  EXPECT_EQ(1, engine.CountSyscall(What::kSyscallEntry, kMarker)) << Describe(GlobalLog());
  EXPECT_EQ(0, host.CountSyscall(What::kSyscallEntry, kMarker));
}

CLAUSE_TEST(ATT_15, ToTheChildByPid) {
  Puppet& parent = Spawn();
  TestEngine engine("child's");
  TestEngine host("parent's");
  host.On(What::kClone, [&](Report& report) -> uint32_t {
    const PidRef pid(api().utrace_pid_find(report.child_tid));
    EXPECT_TRUE(pid.ok());
    EXPECT_EQ(0, engine.AttachPid(pid));
    EXPECT_EQ(report.child, engine.task()) << "the pid names another task object";
    EXPECT_EQ(0, engine.SetEvents(UTRACE_EVENT_SYSCALL));
    return PassThrough(report);
  });
  ASSERT_EQ(0, host.Attach(Task(parent)));
  ASSERT_EQ(0, host.SetEvents(UTRACE_EVENT(CLONE)));
  Puppet& child = parent.Fork();
  child.Call(kMarker);
  EXPECT_EQ(1, engine.CountSyscall(What::kSyscallEntry, kMarker)) << Describe(GlobalLog());
}

}  // namespace utrace::kit
