// SYS-03, SYS-05, SYS-06, SYS-10, SYS-11 where calls block, fork, or carry a signal away.
#include <sys/wait.h>

#include "conformance/clauses/control_scenes.h"

namespace utrace::kit {
namespace {

constexpr unsigned long kQuiesce = UTRACE_EVENT(QUIESCE);
constexpr unsigned long kEntry = UTRACE_EVENT(SYSCALL_ENTRY);

void AttachWith(TestEngine& engine, const PuppetThread& puppet, unsigned long events) {
  AssertOneOf(engine.AttachTid(puppet.tid()), {0});
  AssertOneOf(engine.SetEvents(events), {0});
}

TestEngine::Handler StopAt(long nr) {
  return [nr](Report& report) -> uint32_t {
    return report.syscall == nr ? WithResume(report, UTRACE_STOP) : PassThrough(report);
  };
}

}  // namespace

CLAUSE_TEST(SYS_01, ANumberOfNoCallMakesItNone) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.On(What::kSyscallEntry, [](Report& report) -> uint32_t {
    if (IsMarker(report)) {
      EXPECT_EQ(0, api().utrace_syscall_set_number(report.task, -1));
    }
    return UTRACE_RESUME;
  });
  AttachWith(engine, puppet, kEntry);
  EXPECT_EQ(-ENOSYS, puppet.Call(kMarker));
  EXPECT_EQ(puppet.pid(), puppet.Call(SYS_getpid));
}

// The other way round: a call that does not exist becomes one that does.
CLAUSE_TEST(SYS_01, AnUnknownCallCanBeMadeAnother) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.On(What::kSyscallEntry, [](Report& report) -> uint32_t {
    if (report.syscall == 9999) {
      EXPECT_EQ(0, api().utrace_syscall_set_number(report.task, SYS_getpid));
    }
    return UTRACE_RESUME;
  });
  AttachWith(engine, puppet, kEntry);
  EXPECT_EQ(puppet.pid(), puppet.Call(9999));
}

// Broken by: a rollback that looks at the result that another engine put in its place.
CLAUSE_TEST(SYS_02, RolledBackAfterAnAbort) {
  Puppet& puppet = Spawn();
  int round = 0;
  TestEngine engine("A");
  engine.On(What::kSyscallEntry, [&](Report& report) -> uint32_t {
    if (!IsMarker(report)) return PassThrough(report);
    return Answer(++round == 1 ? UTRACE_SYSCALL_ABORT : UTRACE_SYSCALL_RUN, UTRACE_RESUME);
  });
  engine.On(What::kSyscallExit, [&](Report& report) -> uint32_t {
    if (IsMarker(report) && round == 1) {
      EXPECT_EQ(0, api().utrace_syscall_rollback(report.task));
    }
    return UTRACE_RESUME;
  });
  AttachWith(engine, puppet, UTRACE_EVENT_SYSCALL);
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  EXPECT_EQ(2, round);
}

CLAUSE_TEST(SYS_03, AbortHoldsForTheOneCall) {
  Puppet& puppet = Spawn();
  int calls = 0;
  TestEngine engine("A");
  engine.On(What::kSyscallEntry, [&](Report& report) -> uint32_t {
    if (!IsMarker(report)) return PassThrough(report);
    return Answer(++calls % 2 == 1 ? UTRACE_SYSCALL_ABORT : UTRACE_SYSCALL_RUN, UTRACE_RESUME);
  });
  AttachWith(engine, puppet, kEntry);
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(i % 2 == 0 ? -ENOSYS : long{nanny().pid()}, puppet.Call(kMarker));
  }
}

CLAUSE_TEST(SYS_03, ABlockingCallAbortedDoesNotBlock) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.On(What::kSyscallEntry, [](Report& report) -> uint32_t {
    return report.syscall == PauseNumber() ? Answer(UTRACE_SYSCALL_ABORT, UTRACE_RESUME)
                                           : PassThrough(report);
  });
  AttachWith(engine, puppet, kEntry);
  EXPECT_EQ(-ENOSYS, puppet.Call(PauseNumber()));
}

// Signals wait until the call that the task is held at has been attempted.
CLAUSE_TEST(SYS_05, ASignalDoesNotEndTheStop) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine engine("A");
  engine.On(What::kSyscallEntry, StopAt(kMarker));
  AttachWith(engine, puppet, kEntry);
  puppet.Begin(kMarker);
  AwaitHeld(engine);
  ExpectStaysHeld(engine, puppet, [&] { puppet.Tgkill(SIGUSR1); });
  EXPECT_EQ(0U, puppet.HandlerRuns());
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  EXPECT_EQ(nanny().pid(), puppet.Finish());
  EXPECT_EQ(1U, puppet.HandlerRuns(SIGUSR1));
}

CLAUSE_TEST(SYS_05, HeldByControlFromTheCallback) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.On(What::kSyscallEntry, [](Report& report) -> uint32_t {
    if (!IsMarker(report)) return PassThrough(report);
    EXPECT_EQ(-EINPROGRESS, api().utrace_control(report.task, report.engine, UTRACE_STOP));
    return UTRACE_RESUME;
  });
  AttachWith(engine, puppet, UTRACE_EVENT_SYSCALL);
  puppet.Begin(kMarker);
  AwaitHeld(engine);
  EXPECT_EQ(0, engine.CountSyscall(What::kSyscallExit, kMarker));
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  EXPECT_EQ(nanny().pid(), puppet.Finish());
}

CLAUSE_TEST(SYS_05, StoppedAtForkThereIsNoChildYet) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.On(What::kSyscallEntry, [](Report& report) -> uint32_t {
    const bool fork = report.syscall == ForkNumber();
    return fork ? WithResume(report, UTRACE_STOP) : PassThrough(report);
  });
  AttachWith(engine, puppet, kEntry | UTRACE_EVENT(CLONE));
  Puppet& child = puppet.BeginFork();
  AwaitHeld(engine);
  EXPECT_EQ(0, engine.Count(What::kClone));
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  child.AwaitReady();
  EXPECT_EQ(child.tid(), puppet.Finish());
  EXPECT_EQ(1, engine.Count(What::kClone));
}

// The task is told to report on its way, stopped, told again: one round for each.
CLAUSE_TEST(SYS_06, StopsAndReportsInTurn) {
  Puppet& puppet = Spawn();
  int round = 0;
  TestEngine engine("A");
  engine.On(What::kSyscallEntry, [&](Report& report) -> uint32_t {
    if (!IsMarker(report)) return PassThrough(report);
    EXPECT_EQ(round > 0, (report.action & UTRACE_SYSCALL_RESUMED) != 0);
    switch (round++) {
      case 0:
      case 2:
        return UTRACE_STOP;
      case 1:
        return UTRACE_REPORT;
      default:
        return UTRACE_RESUME;
    }
  });
  AttachWith(engine, puppet, kQuiesce | UTRACE_EVENT_SYSCALL);
  puppet.Begin(kMarker);
  AwaitHeld(engine);
  EXPECT_EQ(1, round);
  EXPECT_EQ(0, engine.Control(UTRACE_REPORT));
  engine.AwaitLog("the third round", [](const auto& log) {
    int rounds = 0;
    for (const Report& each : log) {
      rounds += each.what == What::kSyscallEntry && IsMarker(each) && each.end != 0 ? 1 : 0;
    }
    return rounds >= 3;
  });
  AwaitHeld(engine);
  EXPECT_EQ(0, engine.Control(UTRACE_INTERRUPT));
  EXPECT_EQ(nanny().pid(), puppet.Finish());
  EXPECT_EQ(4, round);
  EXPECT_EQ(1, engine.CountSyscall(What::kSyscallExit, kMarker));
}

// An INTERRUPT at entry has a report_signal made before user mode besides [CTL-50]; the call itself
// is attempted all the same.
CLAUSE_TEST(SYS_06, AfterTheRepeatsTheCallIsMade) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.On(What::kSyscallEntry, StopAt(SYS_read));
  AttachWith(engine, puppet, kQuiesce | UTRACE_EVENT_SYSCALL);
  puppet.BeginRead();
  AwaitHeld(engine);
  engine.On(What::kSyscallEntry, nullptr);
  EXPECT_EQ(0, engine.Control(UTRACE_INTERRUPT));
  puppet.Feed("ab");
  EXPECT_EQ(2, puppet.Finish());
}

CLAUSE_TEST(SYS_10, AKilledTaskMayLackTheExit) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  AttachWith(engine, puppet, UTRACE_EVENT_SYSCALL | UTRACE_EVENT(REAP));
  puppet.BeginRead();
  puppet.AwaitBlocked();
  puppet.Kill(SIGKILL);
  puppet.AwaitDeath();
  nanny().Wait(puppet.pid());
  engine.AwaitEnded(What::kReap);
  EXPECT_EQ(1, engine.CountSyscall(What::kSyscallEntry, SYS_read));
  EXPECT_LE(engine.CountSyscall(What::kSyscallExit, SYS_read), 1);
}

CLAUSE_TEST(SYS_10, AcrossVforkInBoth) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  AttachWith(engine, puppet, UTRACE_EVENT_SYSCALL);
  Puppet& child = puppet.Vfork();
  child.BeginExit(0);
  EXPECT_EQ(child.tid(), puppet.Finish());
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  const std::vector<Report> log = engine.Log();
  auto report = log.begin();
  // The call that the puppet was in when the events were enabled has an exit alone.
  if (report != log.end() && report->what == What::kSyscallExit) ++report;
  bool open = false;
  for (; report != log.end(); ++report) {
    ASSERT_EQ(open ? What::kSyscallExit : What::kSyscallEntry, report->what) << Describe(log);
    open = report->what == What::kSyscallEntry;
  }
}

// Broken by: an entry that is taken for the exit of the call before, after a signal's detour.
CLAUSE_TEST(SYS_11, WithHandlersInBetween) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine engine("A");
  AttachWith(engine, puppet, UTRACE_EVENT_SYSCALL);
  constexpr int kCount = 50;
  for (int i = 0; i < kCount; ++i) {
    EXPECT_EQ(0, puppet.Raise(SIGUSR1));
    EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  }
  for (const long nr : {long{SYS_tgkill}, kMarker}) {
    EXPECT_EQ(kCount, engine.CountSyscall(What::kSyscallEntry, nr));
    EXPECT_EQ(kCount, engine.CountSyscall(What::kSyscallExit, nr));
  }
  EXPECT_EQ(kCount, engine.CountSyscall(What::kSyscallEntry, SYS_rt_sigreturn));
  EXPECT_EQ(uint64_t{kCount}, puppet.HandlerRuns());
}

}  // namespace utrace::kit
