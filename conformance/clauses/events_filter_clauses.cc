// Which callbacks a mask lets through: none for events that were disabled (EVT-11), none for kinds
// that were never asked for (EVT-16).
#include <deque>

#include "conformance/clauses/callback_scenes.h"

namespace utrace::kit {
namespace {

// The event kind that a callback was made for; zero for those that go by QUIESCE or by no bit.
unsigned long KindOf(const Report& report) {
  switch (report.what) {
    case What::kClone:
      return UTRACE_EVENT(CLONE);
    case What::kJctl:
      return UTRACE_EVENT(JCTL);
    case What::kExec:
      return UTRACE_EVENT(EXEC);
    case What::kSyscallEntry:
      return UTRACE_EVENT(SYSCALL_ENTRY);
    case What::kSyscallExit:
      return UTRACE_EVENT(SYSCALL_EXIT);
    case What::kExit:
      return UTRACE_EVENT(EXIT);
    case What::kDeath:
      return UTRACE_EVENT(DEATH);
    case What::kReap:
      return UTRACE_EVENT(REAP);
    case What::kSignal:
      switch (report.signo()) {
        case SIGUSR1:
          return UTRACE_EVENT(SIGNAL);
        case SIGWINCH:
        case SIGCONT:
          return UTRACE_EVENT(SIGNAL_IGN);
        case SIGTSTP:
          return UTRACE_EVENT(SIGNAL_STOP);
        case SIGTERM:
          return UTRACE_EVENT(SIGNAL_TERM);
        case SIGQUIT:
          return UTRACE_EVENT(SIGNAL_CORE);
      }
      return 0;
    default:
      return 0;
  }
}

// Keeps a signal that would end the puppet from doing it.
uint32_t Spare(Report& report) {
  const bool ends = report.has_orig_ka && (report.signo() == SIGTERM || report.signo() == SIGQUIT);
  if (ends) return static_cast<uint32_t>(UTRACE_SIGNAL_IGN) | UTRACE_RESUME;
  return PassThrough(report);
}

// Engines with every single kind, with all kinds but one, and with none; the last one has all and
// spares the puppet.
class Crowd {
 public:
  explicit Crowd(Puppet& puppet) {
    const TaskRef task = FindTask(puppet.tid());
    Add(task, 0);
    for (int bit = 0; bit < UTRACE_EVENT_BITS; ++bit) {
      Add(task, 1UL << bit);
      // QUIESCE brings report_signal with it; that is another clause's matter.
      Add(task, UTRACE_EVENT_ALL & ~UTRACE_EVENT(QUIESCE) & ~(1UL << bit));
    }
    Add(task, UTRACE_EVENT_ALL);
    all().On(What::kSignal, Spare);
  }

  TestEngine& all() { return members_.back().engine; }

  // Nobody got what it did not ask for; each got what it asked for of the kinds in `expected`.
  void Check(unsigned long expected) {
    for (const Member& member : members_) {
      const std::string who = "engine for " + EventNames(member.mask);
      unsigned long seen = 0;
      for (const Report& report : member.engine.Log()) {
        if (report.what == What::kRelease) continue;
        const unsigned long kind = KindOf(report);
        seen |= kind;
        const bool quiesce = (member.mask & UTRACE_EVENT(QUIESCE)) != 0;
        const bool by_quiesce =
            quiesce && (report.what == What::kQuiesce || report.what == What::kSignal);
        EXPECT_TRUE(by_quiesce || (kind & member.mask) != 0) << who << ": " << Describe(report);
      }
      EXPECT_EQ(expected & member.mask, seen & expected & member.mask) << who;
    }
  }

 private:
  struct Member {
    unsigned long mask = 0;
    TestEngine engine;
  };

  void Add(utrace_task* task, unsigned long mask) {
    Member& member = members_.emplace_back();
    member.mask = mask;
    AssertOneOf(member.engine.Attach(task), {0});
    AssertOneOf(member.engine.SetEvents(mask), {0});
  }

  std::deque<Member> members_;
};

// An engine with the event of `what` and, behind it, another one that keeps it, so that the report is
// made anyway. What the puppet does once reaches both; what it does after the first one cleared the
// event reaches the other alone.
void NothingAfterClearing(What what, Puppet& puppet) {
  Occasion occasion(what, puppet);
  TestEngine engine("engine");
  TestEngine keeps("keeps");
  for (TestEngine* each : {&engine, &keeps}) {
    AssertOneOf(each->AttachTid(puppet.tid()), {0});
    AssertOneOf(each->SetEvents(occasion.events()), {0});
  }
  occasion.Begin();
  keeps.AwaitEnded(what);
  occasion.Finish();
  puppet.Call(SYS_gettid);
  puppet.AwaitIdle();
  const int before = engine.Count(what);
  ASSERT_LE(1, before);
  // The task may be stopping for its last callback still; then this says so.
  int result = engine.SetEvents(0);
  while (result == -EINPROGRESS) {
    engine.Barrier();
    result = engine.SetEvents(0);
  }
  ASSERT_EQ(0, result);
  const int kept = keeps.Count(what);
  occasion.Begin();
  keeps.Await(what, kept + 1);
  occasion.Finish();
  puppet.Call(SYS_gettid);
  EXPECT_EQ(before, engine.Count(what)) << Describe(engine.Log());
}

// The same for events that come once in a life: cleared before.
void NothingAtTheEnd(What what, Puppet& puppet) {
  Occasion occasion(what, puppet);
  TestEngine engine("engine");
  TestEngine keeps("keeps");
  for (TestEngine* each : {&engine, &keeps}) {
    AssertOneOf(each->AttachTid(puppet.tid()), {0});
    AssertOneOf(each->SetEvents(occasion.events() | UTRACE_EVENT(REAP)), {0});
  }
  const unsigned long rest = what == What::kReap ? 0 : UTRACE_EVENT(REAP);
  ASSERT_EQ(0, engine.SetEvents(rest));
  occasion.Begin();
  occasion.Finish();
  if (what != What::kReap) puppet.nanny().Wait(puppet.pid());
  keeps.AwaitEnded(What::kReap);
  EXPECT_LE(1, keeps.Count(what));
  EXPECT_EQ(0, engine.Count(what)) << Describe(engine.Log());
}

}  // namespace

// ---- EVT-11 ------------------------------------------------------------------------------------

CLAUSE_TEST(EVT_11, NoSyscallEntryAfterClearing) {
  NothingAfterClearing(What::kSyscallEntry, Spawn());
}
CLAUSE_TEST(EVT_11, NoSyscallExitAfterClearing) {
  NothingAfterClearing(What::kSyscallExit, Spawn());
}
CLAUSE_TEST(EVT_11, NoSignalAfterClearing) { NothingAfterClearing(What::kSignal, Spawn()); }
CLAUSE_TEST(EVT_11, NoCloneAfterClearing) { NothingAfterClearing(What::kClone, Spawn()); }
CLAUSE_TEST(EVT_11, NoExecAfterClearing) { NothingAfterClearing(What::kExec, Spawn()); }
CLAUSE_TEST(EVT_11, NoQuiesceAfterClearing) { NothingAfterClearing(What::kQuiesce, Spawn()); }
CLAUSE_TEST(EVT_11, NoExitAfterClearing) { NothingAtTheEnd(What::kExit, Spawn()); }
CLAUSE_TEST(EVT_11, NoDeathAfterClearing) { NothingAtTheEnd(What::kDeath, Spawn()); }
CLAUSE_TEST(EVT_11, NoReapAfterClearing) { NothingAtTheEnd(What::kReap, Spawn()); }

CLAUSE_TEST(EVT_11, NoJctlAfterClearing) {
  Puppet& puppet = Spawn();
  TestEngine engine("engine");
  TestEngine keeps("keeps");
  for (TestEngine* each : {&engine, &keeps}) {
    ASSERT_EQ(0, each->AttachTid(puppet.tid()));
    ASSERT_EQ(0, each->SetEvents(UTRACE_EVENT(JCTL)));
  }
  ASSERT_EQ(0, engine.SetEvents(0));
  puppet.Kill(SIGTSTP);
  keeps.AwaitEnded(What::kJctl);
  EXPECT_EQ(0, engine.Count(What::kJctl));
  puppet.Kill(SIGCONT);
  puppet.Call(SYS_getppid);
  EXPECT_EQ(0, engine.Count(What::kJctl));
}

CLAUSE_TEST(EVT_11, TheLastEngineClearsForATaskInUserMode) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT_SYSCALL));
  puppet.BeginSpin();
  puppet.AwaitSpinning();
  const int result = engine.SetEvents(0);
  ASSERT_EQ(0, result == -EINPROGRESS ? engine.Barrier() : result);
  const size_t before = engine.Log().size();
  puppet.StopSpin();
  puppet.Finish();
  puppet.Call(SYS_getppid);
  EXPECT_EQ(before, engine.Log().size()) << Describe(engine.Log());
}

CLAUSE_TEST(EVT_11, TheLastEngineClearsForATaskBlockedInTheCall) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT_SYSCALL));
  puppet.BeginRead();
  puppet.AwaitBlocked();
  engine.AwaitLog("the entry of read", [](const auto& log) {
    return !log.empty() && log.back().syscall == SYS_read && log.back().end != 0;
  });
  const int result = engine.SetEvents(0);
  ASSERT_EQ(0, result == -EINPROGRESS ? engine.Barrier() : result);
  puppet.Feed();
  EXPECT_EQ(1, puppet.Finish());
  EXPECT_EQ(0, engine.CountSyscall(What::kSyscallExit, SYS_read));
}

CLAUSE_TEST(EVT_11, ClearedWhileStopped) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  engine.On(What::kSyscallEntry, [](Report& report) -> uint32_t {
    if (report.syscall == SYS_getppid) return UTRACE_STOP;
    return PassThrough(report);
  });
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT_SYSCALL));
  puppet.Begin(SYS_getppid);
  engine.AwaitLog("the entry", [](const auto& log) {
    return !log.empty() && log.back().syscall == SYS_getppid && log.back().end != 0;
  });
  ASSERT_EQ(0, engine.Barrier());
  utrace_examiner examiner = {};
  ASSERT_EQ(0, engine.Prepare(&examiner));
  ASSERT_EQ(0, engine.SetEvents(0));
  ASSERT_EQ(0, engine.Control(UTRACE_RESUME));
  puppet.Finish();
  EXPECT_EQ(0, engine.CountSyscall(What::kSyscallExit, SYS_getppid));
}

CLAUSE_TEST(EVT_11, QuiesceClearedWhileStoppedMakesNoReportOnResumption) {
  Puppet& puppet = Spawn();
  TestEngine engine("engine");
  TestEngine other("other");
  for (TestEngine* each : {&engine, &other}) {
    ASSERT_EQ(0, each->AttachTid(puppet.tid()));
    ASSERT_EQ(0, each->SetEvents(UTRACE_EVENT(QUIESCE)));
  }
  puppet.BeginSpin();
  puppet.AwaitSpinning();
  engine.StopAndWait();
  ASSERT_EQ(0, engine.SetEvents(0));
  const size_t before = engine.Log().size();
  ASSERT_EQ(0, engine.Control(UTRACE_RESUME));
  puppet.StopSpin();
  puppet.Finish();
  EXPECT_EQ(before, engine.Log().size()) << Describe(engine.Log());
}

CLAUSE_TEST(EVT_11, ClearedFromAnEarlierCallbackOfTheSameCall) {
  Puppet& puppet = Spawn();
  int result = -1;
  TestEngine engine;
  engine.On(What::kSyscallEntry, [&](Report& report) -> uint32_t {
    if (report.syscall == SYS_getppid) result = engine.SetEvents(UTRACE_EVENT(SYSCALL_ENTRY));
    return PassThrough(report);
  });
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT_SYSCALL));
  puppet.Call(SYS_getppid);
  EXPECT_EQ(0, result);
  EXPECT_EQ(0, engine.CountSyscall(What::kSyscallExit, SYS_getppid));
}

CLAUSE_TEST(EVT_11, ClearedInReportQuiesceBeforeTheCallback) {
  Puppet& puppet = Spawn();
  int result = -1;
  TestEngine engine;
  engine.On(What::kQuiesce, [&](Report& report) -> uint32_t {
    if (report.event == UTRACE_EVENT(CLONE)) result = engine.SetEvents(UTRACE_EVENT(QUIESCE));
    return UTRACE_RESUME;
  });
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(QUIESCE) | UTRACE_EVENT(CLONE)));
  puppet.Fork();
  EXPECT_EQ(0, result);
  EXPECT_EQ(0, engine.Count(What::kClone));
}

CLAUSE_TEST(EVT_11, ClearedByAnotherEngineEarlierInTheSameReport) {
  Puppet& puppet = Spawn();
  int result = -1;
  TestEngine engine("engine");
  TestEngine clears("clears");
  clears.On(What::kClone, [&](Report&) -> uint32_t {
    result = engine.SetEvents(0);
    return UTRACE_RESUME;
  });
  ASSERT_EQ(0, clears.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, clears.SetEvents(UTRACE_EVENT(CLONE)));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(CLONE)));
  puppet.Fork();
  EXPECT_EQ(0, result);
  EXPECT_EQ(0, engine.Count(What::kClone));
}

// The report has begun, but not yet the callback to this engine: an old copy of the mask would be
// used too late.
CLAUSE_TEST(EVT_11, ClearedInTheMiddleOfTheReport) {
  Puppet& puppet = Spawn();
  HeldCallback held(What::kClone, puppet);
  TestEngine engine("behind");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(CLONE)));
  held.Begin();
  EXPECT_EQ(0, engine.SetEvents(0));
  held.End();
  EXPECT_EQ(0, engine.Count(What::kClone));
}

CLAUSE_TEST(EVT_11, QuiesceClearedInTheMiddleOfTheReport) {
  Puppet& puppet = Spawn();
  HeldCallback held(What::kClone, puppet);
  TestEngine engine("behind");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(QUIESCE)));
  held.Begin();
  EXPECT_EQ(0, engine.SetEvents(0));
  held.End();
  EXPECT_EQ(0, engine.Count(What::kQuiesce));
}

CLAUSE_TEST(EVT_11, SignalClearedInTheMiddleOfTheReport) {
  Puppet& puppet = Spawn();
  HeldCallback held(What::kSignal, puppet);
  TestEngine engine("behind");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT_SIGNAL_ALL));
  held.Begin();
  EXPECT_EQ(0, engine.SetEvents(0));
  held.End();
  EXPECT_EQ(0, engine.Count(What::kSignal));
}

// ---- EVT-16 ------------------------------------------------------------------------------------

CLAUSE_TEST(EVT_16, SystemCallsReachOnlyTheirEngines) {
  Puppet& puppet = Spawn();
  Crowd crowd(puppet);
  puppet.Call(SYS_getppid);
  puppet.AwaitIdle();
  crowd.Check(UTRACE_EVENT_SYSCALL);
}

CLAUSE_TEST(EVT_16, ClonesReachOnlyTheirEngines) {
  Puppet& puppet = Spawn();
  Crowd crowd(puppet);
  puppet.Fork();
  puppet.SpawnThread();
  puppet.AwaitIdle();
  crowd.Check(UTRACE_EVENT(CLONE));
}

CLAUSE_TEST(EVT_16, ExecReachesOnlyItsEngines) {
  Puppet& puppet = Spawn();
  Crowd crowd(puppet);
  puppet.Exec();
  puppet.Call(SYS_getppid);
  puppet.AwaitIdle();
  crowd.Check(UTRACE_EVENT(EXEC));
}

CLAUSE_TEST(EVT_16, SignalsReachOnlyTheirEngines) {
  Puppet& puppet = Spawn();
  ASSERT_EQ(0, puppet.Sigaction(SIGUSR1, Disposition::kHandler));
  Crowd crowd(puppet);
  for (const int signo : {SIGUSR1, SIGWINCH, SIGTERM, SIGQUIT}) puppet.Raise(signo);
  EXPECT_EQ(1U, puppet.HandlerRuns(SIGUSR1));
  puppet.AwaitIdle();
  crowd.Check(UTRACE_EVENT(SIGNAL) | UTRACE_EVENT(SIGNAL_IGN) | UTRACE_EVENT(SIGNAL_TERM) |
              UTRACE_EVENT(SIGNAL_CORE));
}

CLAUSE_TEST(EVT_16, JobControlReachesOnlyItsEngines) {
  Puppet& puppet = Spawn();
  Crowd crowd(puppet);
  puppet.Kill(SIGTSTP);
  crowd.all().AwaitEnded(What::kJctl);
  puppet.Kill(SIGCONT);
  puppet.Call(SYS_getppid);
  crowd.Check(UTRACE_EVENT(SIGNAL_STOP) | UTRACE_EVENT(JCTL));
}

CLAUSE_TEST(EVT_16, TheEndReachesOnlyItsEngines) {
  Puppet& puppet = Spawn();
  Crowd crowd(puppet);
  puppet.BeginExitGroup();
  nanny().Wait(puppet.pid());
  crowd.all().AwaitEnded(What::kReap);
  crowd.Check(UTRACE_EVENT(EXIT) | UTRACE_EVENT(DEATH) | UTRACE_EVENT(REAP));
}

}  // namespace utrace::kit
