// REP-07, REP-08, REP-11, REP-12: when a STOP takes effect, and what comes last before user mode.
#include <functional>

#include "conformance/clauses/control_scenes.h"

namespace utrace::kit {
namespace {

constexpr unsigned long kQuiesce = UTRACE_EVENT(QUIESCE);
constexpr unsigned long kExit = UTRACE_EVENT(SYSCALL_EXIT);

bool IsMarkerExit(const Report& report) {
  return report.what == What::kSyscallExit && report.syscall == kMarker;
}

// The callbacks after the marker's exit and before the next system call's.
std::vector<Report> AfterMarker(const std::vector<Report>& log) {
  std::vector<Report> after;
  bool seen = false;
  for (const Report& report : log) {
    if (seen && report.what == What::kSyscallEntry) break;
    if (seen && report.what == What::kQuiesce && report.event == UTRACE_EVENT(SYSCALL_ENTRY)) {
      break;
    }
    if (seen) after.push_back(report);
    if (IsMarkerExit(report)) seen = true;
  }
  return after;
}

}  // namespace

// ---- REP-07 ------------------------------------------------------------------------------------

CLAUSE_TEST(REP_07, AStopFromReportCloneWaitsForTheExitOfTheCall) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  a.On(What::kClone, Answer(UTRACE_STOP));
  ASSERT_EQ(0, a.AttachTid(puppet.tid()));
  ASSERT_EQ(0, b.AttachTid(puppet.tid()));
  ASSERT_EQ(0, a.SetEvents(UTRACE_EVENT(CLONE)));
  ASSERT_EQ(0, b.SetEvents(kExit));
  Puppet& child = puppet.BeginFork();
  AwaitHeld(a);
  // All events of this entry into the kernel came first.
  bool exited = false;
  for (const Report& report : b.Log()) exited |= report.begin > a.Log().front().begin;
  EXPECT_TRUE(exited) << Describe(GlobalLog());
  EXPECT_FALSE(puppet.Finished());
  EXPECT_EQ(0, a.Control(UTRACE_RESUME));
  child.AwaitReady();
  EXPECT_EQ(child.pid(), puppet.Finish());
}

CLAUSE_TEST(REP_07, AStopFromReportExecWaitsForTheExitOfTheCall) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  a.On(What::kExec, Answer(UTRACE_STOP));
  ASSERT_EQ(0, a.AttachTid(puppet.tid()));
  ASSERT_EQ(0, b.AttachTid(puppet.tid()));
  ASSERT_EQ(0, a.SetEvents(UTRACE_EVENT(EXEC)));
  ASSERT_EQ(0, b.SetEvents(kExit));
  puppet.BeginExec();
  AwaitHeld(a);
  bool exited = false;
  for (const Report& report : b.Log()) exited |= report.begin > a.Log().front().begin;
  EXPECT_TRUE(exited) << Describe(GlobalLog());
  EXPECT_EQ(0, a.Control(UTRACE_RESUME));
  puppet.FinishExec();
}

CLAUSE_TEST(REP_07, TheLastCallbacksDecide) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  // A takes its STOP back, B gives it only at the end.
  a.On(What::kClone, Answer(UTRACE_STOP));
  a.On(What::kSyscallExit, Answer(UTRACE_RESUME));
  ASSERT_EQ(0, a.AttachTid(puppet.tid()));
  ASSERT_EQ(0, a.SetEvents(UTRACE_EVENT(CLONE) | kExit));
  puppet.Fork();
  a.DetachAndWait();
  bool cloned = false;
  b.On(What::kClone, [&](Report&) -> uint32_t {
    cloned = true;
    return UTRACE_RESUME;
  });
  b.On(What::kSyscallExit,
       [&](Report&) -> uint32_t { return cloned ? UTRACE_STOP : UTRACE_RESUME; });
  ASSERT_EQ(0, b.AttachTid(puppet.tid()));
  ASSERT_EQ(0, b.SetEvents(UTRACE_EVENT(CLONE) | kExit));
  puppet.BeginFork();
  AwaitHeld(b);
  EXPECT_FALSE(puppet.Finished());
}

CLAUSE_TEST(REP_07, TheEventZeroCallbackDecidesLast) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  a.On(What::kSyscallExit, AtMarker(UTRACE_REPORT));
  OnUserReturn(a, Answer(UTRACE_STOP));
  ASSERT_EQ(0, a.AttachTid(puppet.tid()));
  ASSERT_EQ(0, a.SetEvents(kExit | kQuiesce));
  puppet.Begin(kMarker);
  AwaitHeld(a);
  EXPECT_FALSE(puppet.Finished());
  OnUserReturn(a, Answer(UTRACE_RESUME));
  EXPECT_EQ(0, a.Control(UTRACE_RESUME));
  EXPECT_EQ(nanny().pid(), puppet.Finish());
}

CLAUSE_TEST(REP_07, AtSyscallEntryItTakesEffectAtOnce) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  a.On(What::kSyscallEntry, AtMarker(UTRACE_STOP));
  ASSERT_EQ(0, a.AttachTid(puppet.tid()));
  ASSERT_EQ(0, b.AttachTid(puppet.tid()));
  ASSERT_EQ(0, a.SetEvents(UTRACE_EVENT(SYSCALL_ENTRY)));
  ASSERT_EQ(0, b.SetEvents(kExit));
  puppet.Begin(kMarker);
  AwaitHeld(a);
  EXPECT_EQ(0, b.CountSyscall(What::kSyscallExit, kMarker));
  ExpectStaysHeld(a, puppet, [] {});
  EXPECT_EQ(0, b.CountSyscall(What::kSyscallExit, kMarker)) << "the call went on";
  EXPECT_EQ(0, a.Control(UTRACE_RESUME));
  EXPECT_EQ(nanny().pid(), puppet.Finish());
}

CLAUSE_TEST(REP_07, AtExitItTakesEffectAtOnce) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  a.On(What::kExit, Answer(UTRACE_STOP));
  ASSERT_EQ(0, a.AttachTid(puppet.tid()));
  ASSERT_EQ(0, a.SetEvents(UTRACE_EVENT(EXIT) | UTRACE_EVENT(DEATH)));
  puppet.BeginExitGroup(7);
  AwaitHeld(a);
  ExpectStaysHeld(a, puppet, [] {});
  EXPECT_EQ(0, a.Count(What::kDeath));
  EXPECT_FALSE(puppet.Dead());
  EXPECT_EQ(0, a.Control(UTRACE_RESUME));
  a.AwaitEnded(What::kDeath);
  puppet.AwaitDeath();
}

CLAUSE_TEST(REP_07, AtVforkItTakesEffectBeforeTheParentWaits) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  a.On(What::kClone, Answer(UTRACE_STOP));
  ASSERT_EQ(0, a.AttachTid(puppet.tid()));
  ASSERT_EQ(0, b.AttachTid(puppet.tid()));
  ASSERT_EQ(0, a.SetEvents(UTRACE_EVENT(CLONE)));
  ASSERT_EQ(0, b.SetEvents(kExit));
  Puppet& child = puppet.BeginVfork();
  AwaitHeld(a);
  child.AwaitReady();
  const size_t exits = b.Log().size();
  child.BeginExitGroup(0);
  child.AwaitDeath();
  // The child released its parent long ago, were it not held.
  ExpectStaysHeld(a, puppet, [] {});
  EXPECT_EQ(exits, b.Log().size()) << Describe(GlobalLog());
  EXPECT_EQ(0, a.Control(UTRACE_RESUME));
  EXPECT_EQ(child.pid(), puppet.Finish());
}

// ---- REP-08 ------------------------------------------------------------------------------------

CLAUSE_TEST(REP_08, AfterAStopAtSyscallExit) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.On(What::kSyscallExit, AtMarker(UTRACE_STOP));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT_SYSCALL | kQuiesce));
  puppet.Begin(kMarker);
  AwaitHeld(engine);
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  EXPECT_EQ(nanny().pid(), puppet.Finish());
  const auto after = AfterMarker(engine.Log());
  ASSERT_FALSE(after.empty()) << Describe(engine.Log());
  EXPECT_TRUE(IsUserReturn(after.back())) << Describe(engine.Log());
}

CLAUSE_TEST(REP_08, AfterAStopAtSyscallEntryTheExitIsNotTheLast) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.On(What::kSyscallEntry, AtMarker(UTRACE_STOP));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT_SYSCALL | kQuiesce));
  puppet.Begin(kMarker);
  AwaitHeld(engine);
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  EXPECT_EQ(nanny().pid(), puppet.Finish());
  const auto after = AfterMarker(engine.Log());
  ASSERT_FALSE(after.empty()) << Describe(engine.Log());
  EXPECT_TRUE(IsUserReturn(after.back())) << Describe(engine.Log());
}

CLAUSE_TEST(REP_08, AfterAnotherEnginesStop) {
  Puppet& puppet = Spawn();
  TestEngine holder("A");
  TestEngine asked("B");
  uint64_t spins = 0;
  OnUserReturn(asked, [&](Report& report) -> uint32_t {
    spins = puppet.SpinCount();
    return WithResume(report, UTRACE_RESUME);
  });
  ASSERT_EQ(0, holder.AttachTid(puppet.tid()));
  ASSERT_EQ(0, asked.AttachTid(puppet.tid()));
  ASSERT_EQ(0, asked.SetEvents(kQuiesce));
  StartSpinning(puppet);
  holder.StopAndWait();
  const int before = CountUserReturns(asked.Log());
  const uint64_t held_at = puppet.SpinCount();
  EXPECT_EQ(0, holder.Control(UTRACE_RESUME));
  AwaitUserReturns(asked, before + 1);
  EXPECT_EQ(held_at, spins) << "user instructions ran first";
  ExpectRuns(puppet);
}

CLAUSE_TEST(REP_08, AfterAReportAskedForDuringACall) {
  for (const uint32_t action : {UTRACE_REPORT, UTRACE_INTERRUPT}) {
    Puppet& puppet = Spawn();
    TestEngine engine("A");
    bool asked = false;
    engine.On(What::kClone, [&](Report&) -> uint32_t {
      asked = true;
      return action;
    });
    bool asked_before_exit = false;
    engine.On(What::kSyscallExit, [&](Report&) -> uint32_t {
      asked_before_exit = asked;
      return UTRACE_RESUME;
    });
    bool in_time = false;
    OnUserReturn(engine, [&](Report& report) -> uint32_t {
      // The exit of clone is an event of the same entry into the kernel: it must be over.
      in_time = asked_before_exit;
      return WithResume(report, UTRACE_RESUME);
    });
    ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(CLONE) | kExit | kQuiesce));
    puppet.Fork();
    EXPECT_EQ(1, CountUserReturns(engine.Log())) << Describe(engine.Log());
    EXPECT_TRUE(in_time) << Describe(engine.Log());
  }
}

CLAUSE_TEST(REP_08, AfterAStopInReportSignal) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine engine("A");
  engine.On(What::kSignal, [](Report& report) -> uint32_t {
    // Dropped, and held: what comes last is no signal of its own.
    if (report.has_orig_ka) return uint32_t{UTRACE_SIGNAL_IGN} | UTRACE_STOP;
    return PassThrough(report);
  });
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(SIGNAL) | kQuiesce));
  puppet.BeginRaise(SIGUSR1);
  AwaitHeld(engine);
  EXPECT_EQ(0, CountUserReturns(engine.Log())) << Describe(engine.Log());
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  EXPECT_EQ(0, puppet.Finish());
  EXPECT_EQ(1, CountUserReturns(engine.Log())) << Describe(engine.Log());
  EXPECT_EQ(0U, puppet.HandlerRuns());
}

// ---- REP-11 ------------------------------------------------------------------------------------

CLAUSE_TEST(REP_11, TwoStopsOfOneReport) {
  for (const bool first : {true, false}) {
    Puppet& puppet = Spawn();
    TestEngine a("A");
    TestEngine b("B");
    for (TestEngine* engine : {&a, &b}) {
      engine->On(What::kSyscallExit, AtMarker(UTRACE_STOP));
      ASSERT_EQ(0, engine->AttachTid(puppet.tid()));
      ASSERT_EQ(0, engine->SetEvents(kExit));
    }
    puppet.Begin(kMarker);
    AwaitHeld(a);
    AwaitHeld(b);
    TestEngine& early = first ? a : b;
    TestEngine& late = first ? b : a;
    ExpectStaysHeld(late, puppet, [&] { EXPECT_EQ(0, early.Control(UTRACE_RESUME)); });
    EXPECT_FALSE(puppet.Finished());
    EXPECT_EQ(0, late.Control(UTRACE_RESUME));
    EXPECT_EQ(nanny().pid(), puppet.Finish());
  }
}

CLAUSE_TEST(REP_11, AStopByControlWhileAnotherHolds) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  a.On(What::kSyscallEntry, AtMarker(UTRACE_STOP));
  ASSERT_EQ(0, a.AttachTid(puppet.tid()));
  ASSERT_EQ(0, b.AttachTid(puppet.tid()));
  ASSERT_EQ(0, a.SetEvents(UTRACE_EVENT(SYSCALL_ENTRY)));
  puppet.Begin(kMarker);
  AwaitHeld(a);
  EXPECT_EQ(0, b.Control(UTRACE_STOP));
  ExpectStaysHeld(b, puppet, [&] { EXPECT_EQ(0, a.Control(UTRACE_DETACH)); });
  EXPECT_EQ(0, b.Control(UTRACE_RESUME));
  EXPECT_EQ(nanny().pid(), puppet.Finish());
}

CLAUSE_TEST(REP_11, HandedOnAndOn) {
  // Race 11: several users of one stop. It is never lost on the way from one to the other.
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  ASSERT_EQ(0, a.AttachTid(puppet.tid()));
  ASSERT_EQ(0, b.AttachTid(puppet.tid()));
  StartSpinning(puppet);
  a.StopAndWait();
  const uint64_t spins = puppet.SpinCount();
  TestEngine* holder = &a;
  TestEngine* next = &b;
  for (int round = 0; round < 300; ++round) {
    ASSERT_EQ(0, next->Control(UTRACE_STOP)) << "round " << round;
    ASSERT_EQ(0, holder->Control(UTRACE_RESUME));
    std::swap(holder, next);
  }
  ExpectStaysHeld(*holder, puppet, [] {});
  EXPECT_EQ(spins, puppet.SpinCount());
  EXPECT_EQ(0, holder->Control(UTRACE_RESUME));
  ExpectRuns(puppet);
}

// ---- REP-12 ------------------------------------------------------------------------------------

CLAUSE_TEST(REP_12, AStopTakenBackInTheSameReport) {
  const struct {
    What what;
    unsigned long event;
  } kReports[] = {{What::kSyscallEntry, UTRACE_EVENT(SYSCALL_ENTRY)}, {What::kSyscallExit, kExit}};
  for (const auto& each : kReports) {
    Puppet& puppet = Spawn();
    TestEngine a("A");
    a.On(What::kQuiesce, [&](Report& report) -> uint32_t {
      return report.event == each.event ? UTRACE_STOP : UTRACE_RESUME;
    });
    a.On(each.what, Answer(UTRACE_RESUME));
    ASSERT_EQ(0, a.AttachTid(puppet.tid()));
    ASSERT_EQ(0, a.SetEvents(each.event | kQuiesce));
    EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
    EXPECT_EQ(0, CountUserReturns(a.Log())) << "it was stopped:\n" << Describe(a.Log());
  }
}

CLAUSE_TEST(REP_12, AStopTakenBackInReportExit) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  a.On(What::kQuiesce, [](Report& report) -> uint32_t {
    return report.event == UTRACE_EVENT(EXIT) ? UTRACE_STOP : UTRACE_RESUME;
  });
  ASSERT_EQ(0, a.AttachTid(puppet.tid()));
  ASSERT_EQ(0, a.SetEvents(UTRACE_EVENT(EXIT) | kQuiesce));
  puppet.BeginExitGroup(0);
  puppet.AwaitDeath();
  EXPECT_EQ(1, a.Count(What::kExit));
}

CLAUSE_TEST(REP_12, AStopFromReportQuiesceAloneHolds) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  // A has no event of its own: nothing takes its STOP back.
  bool stopped = false;
  a.On(What::kQuiesce, [&](Report& report) -> uint32_t {
    if (report.event != UTRACE_EVENT(CLONE) || stopped) return UTRACE_RESUME;
    stopped = true;
    return UTRACE_STOP;
  });
  ASSERT_EQ(0, a.AttachTid(puppet.tid()));
  ASSERT_EQ(0, b.AttachTid(puppet.tid()));
  ASSERT_EQ(0, a.SetEvents(kQuiesce));
  ASSERT_EQ(0, b.SetEvents(UTRACE_EVENT(CLONE)));
  Puppet& child = puppet.BeginFork();
  AwaitHeld(a);
  EXPECT_EQ(0, a.Control(UTRACE_RESUME));
  child.AwaitReady();
  EXPECT_EQ(child.pid(), puppet.Finish());
}

CLAUSE_TEST(REP_12, OneTakesItsStopBackAnotherDoesNot) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  a.On(What::kQuiesce, [](Report& report) -> uint32_t {
    return report.event == kExit ? UTRACE_STOP : UTRACE_RESUME;
  });
  b.On(What::kSyscallExit, AtMarker(UTRACE_STOP));
  ASSERT_EQ(0, a.AttachTid(puppet.tid()));
  ASSERT_EQ(0, b.AttachTid(puppet.tid()));
  ASSERT_EQ(0, a.SetEvents(kExit | kQuiesce));
  ASSERT_EQ(0, b.SetEvents(kExit));
  puppet.Begin(kMarker);
  AwaitHeld(b);
  EXPECT_EQ(0, b.Control(UTRACE_RESUME));
  EXPECT_EQ(nanny().pid(), puppet.Finish());
}

CLAUSE_TEST(REP_12, TheStopperIsDetachedInTheSameReport) {
  for (const What what : {What::kSyscallEntry, What::kSyscallExit}) {
    Puppet& puppet = Spawn();
    TestEngine a("A");
    TestEngine b("B");
    // Entry reports are made in reverse.
    TestEngine& stopper = what == What::kSyscallEntry ? b : a;
    TestEngine& other = what == What::kSyscallEntry ? a : b;
    stopper.On(what, AtMarker(UTRACE_STOP));
    other.On(what, [&](Report& report) -> uint32_t {
      if (IsMarker(report) && IsAttached(stopper)) {
        ExpectOneOf(stopper.Control(UTRACE_DETACH), {0});
      }
      return PassThrough(report);
    });
    for (TestEngine* engine : {&a, &b}) {
      ASSERT_EQ(0, engine->AttachTid(puppet.tid()));
      ASSERT_EQ(
          0, engine->SetEvents(what == What::kSyscallEntry ? UTRACE_EVENT(SYSCALL_ENTRY) : kExit));
    }
    EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  }
}

CLAUSE_TEST(REP_12, TheStopperIsResumedInTheSameReport) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  a.On(What::kSyscallExit, AtMarker(UTRACE_STOP));
  b.On(What::kSyscallExit, [&](Report& report) -> uint32_t {
    if (IsMarker(report)) ExpectOneOf(a.Control(UTRACE_RESUME), {0});
    return UTRACE_RESUME;
  });
  for (TestEngine* engine : {&a, &b}) {
    ASSERT_EQ(0, engine->AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine->SetEvents(kExit));
  }
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
}

}  // namespace utrace::kit
