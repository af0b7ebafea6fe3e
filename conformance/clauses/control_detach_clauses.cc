// CTL-10, CTL-12, CTL-16, CTL-17, CTL-18: DETACH of engines of a live task.
#include <functional>

#include "conformance/clauses/control_scenes.h"

namespace utrace::kit {
namespace {

constexpr unsigned long kQuiesce = UTRACE_EVENT(QUIESCE);

}  // namespace

// ---- CTL-10 ------------------------------------------------------------------------------------

CLAUSE_TEST(CTL_10, OnATaskThatItHoldsItself) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  ASSERT_EQ(0, a.AttachTid(puppet.tid()));
  ASSERT_EQ(0, b.AttachTid(puppet.tid()));
  ASSERT_EQ(0, a.SetEvents(UTRACE_EVENT_ALL));
  ASSERT_EQ(0, b.SetEvents(UTRACE_EVENT_SYSCALL));
  StartSpinning(puppet);
  a.StopAndWait();
  EXPECT_EQ(0, a.Barrier());
  EXPECT_EQ(0, a.Control(UTRACE_DETACH));
  const size_t before = a.Log().size();
  ExpectRuns(puppet);
  EXPECT_EQ(1, b.CountSyscall(What::kSyscallExit, kMarker));
  EXPECT_EQ(before, a.Log().size()) << Describe(a.Log());
}

CLAUSE_TEST(CTL_10, OnATaskThatAnotherHolds) {
  Puppet& puppet = Spawn();
  TestEngine holder("A");
  TestEngine leaver("B");
  ASSERT_EQ(0, holder.AttachTid(puppet.tid()));
  ASSERT_EQ(0, leaver.AttachTid(puppet.tid()));
  ASSERT_EQ(0, leaver.SetEvents(UTRACE_EVENT_ALL));
  StartSpinning(puppet);
  holder.StopAndWait();
  // It is owed a report on resumption, and leaves before that.
  EXPECT_EQ(0, leaver.Control(UTRACE_INTERRUPT));
  EXPECT_EQ(0, leaver.Control(UTRACE_STOP));
  EXPECT_EQ(0, leaver.Barrier());
  EXPECT_EQ(0, leaver.Control(UTRACE_DETACH));
  const size_t before = leaver.Log().size();
  EXPECT_EQ(0, holder.Control(UTRACE_RESUME));
  ExpectRuns(puppet);
  EXPECT_EQ(before, leaver.Log().size()) << Describe(leaver.Log());
}

CLAUSE_TEST(CTL_10, AtAStoppedSystemCallEntry) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  ASSERT_EQ(0, a.AttachTid(puppet.tid()));
  ASSERT_EQ(0, b.AttachTid(puppet.tid()));
  b.On(What::kSyscallEntry, AtMarker(UTRACE_STOP));
  ASSERT_EQ(0, a.SetEvents(UTRACE_EVENT_SYSCALL | kQuiesce));
  ASSERT_EQ(0, b.SetEvents(UTRACE_EVENT(SYSCALL_ENTRY)));
  puppet.Begin(kMarker);
  AwaitHeld(b);
  EXPECT_EQ(0, a.Control(UTRACE_DETACH));
  const size_t before = a.Log().size();
  EXPECT_EQ(0, b.Control(UTRACE_RESUME));
  EXPECT_EQ(nanny().pid(), puppet.Finish());
  EXPECT_EQ(before, a.Log().size()) << Describe(a.Log());
}

CLAUSE_TEST(CTL_10, InAJobControlStop) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT_ALL));
  puppet.Kill(SIGSTOP);
  engine.AwaitEnded(What::kJctl);
  EXPECT_EQ(0, engine.Barrier());
  EXPECT_EQ(0, engine.Control(UTRACE_DETACH));
  const size_t before = engine.Log().size();
  puppet.Kill(SIGCONT);
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  EXPECT_EQ(before, engine.Log().size()) << Describe(engine.Log());
}

// ---- CTL-12 ------------------------------------------------------------------------------------

CLAUSE_TEST(CTL_12, OfASpinningTask) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT_ALL));
  StartSpinning(puppet);
  EXPECT_EQ(0, engine.Barrier());
  EXPECT_EQ(0, engine.Control(UTRACE_DETACH));
  const size_t before = engine.Log().size();
  ExpectRuns(puppet);
  EXPECT_EQ(before, engine.Log().size()) << Describe(engine.Log());
}

CLAUSE_TEST(CTL_12, OfATaskBlockedInACall) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT_ALL));
  puppet.BeginRead();
  puppet.AwaitBlocked();
  EXPECT_EQ(0, engine.Barrier());
  EXPECT_EQ(0, engine.Control(UTRACE_DETACH));
  const size_t before = engine.Log().size();
  puppet.Feed("abc");
  EXPECT_EQ(3, puppet.Finish());
  EXPECT_EQ(before, engine.Log().size()) << Describe(engine.Log());
}

CLAUSE_TEST(CTL_12, OfAnEngineThatNeverSetAnEvent) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  EXPECT_EQ(0, engine.Control(UTRACE_DETACH));
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  ExpectLog(engine.Log(), {});
}

CLAUSE_TEST(CTL_12, AnotherEnginesCallbackDoesNotCount) {
  Puppet& puppet = Spawn();
  Gate gate;
  TestEngine a("A");
  TestEngine b("B");
  a.On(What::kSyscallExit, WaitAt(gate, UTRACE_RESUME));
  ASSERT_EQ(0, a.AttachTid(puppet.tid()));
  ASSERT_EQ(0, b.AttachTid(puppet.tid()));
  ASSERT_EQ(0, a.SetEvents(UTRACE_EVENT(SYSCALL_EXIT)));
  ASSERT_EQ(0, b.SetEvents(UTRACE_EVENT(SYSCALL_EXIT) | kQuiesce));
  puppet.Begin(kMarker);
  gate.AwaitArrival();
  // B's turn in this report is still to come; now it never comes.
  EXPECT_EQ(0, b.Control(UTRACE_DETACH));
  const size_t before = b.Log().size();
  gate.Open();
  EXPECT_EQ(nanny().pid(), puppet.Finish());
  EXPECT_EQ(before, b.Log().size()) << Describe(b.Log());
  EXPECT_TRUE(IsAttached(a));
}

CLAUSE_TEST(CTL_12, FromAnotherEnginesCallback) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  int result = 1;
  a.On(What::kSyscallExit, [&](Report& report) -> uint32_t {
    if (IsMarker(report)) result = b.Control(UTRACE_DETACH);
    return UTRACE_RESUME;
  });
  ASSERT_EQ(0, a.AttachTid(puppet.tid()));
  ASSERT_EQ(0, b.AttachTid(puppet.tid()));
  ASSERT_EQ(0, a.SetEvents(UTRACE_EVENT(SYSCALL_EXIT)));
  ASSERT_EQ(0, b.SetEvents(UTRACE_EVENT(SYSCALL_EXIT)));
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  EXPECT_EQ(0, result);
  EXPECT_EQ(0, b.CountSyscall(What::kSyscallExit, kMarker)) << Describe(b.Log());
}

// ---- CTL-16 ------------------------------------------------------------------------------------

CLAUSE_TEST(CTL_16, TheTaskRunsOn) {
  for (const unsigned long events : {0UL, kQuiesce, UTRACE_EVENT_ALL}) {
    SCOPED_TRACE(EventNames(events));
    Puppet& puppet = Spawn();
    TestEngine engine("A");
    ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine.SetEvents(events));
    StartSpinning(puppet);
    engine.StopAndWait();
    engine.DetachAndWait();
    ExpectRuns(puppet);
  }
}

CLAUSE_TEST(CTL_16, AStopByResultEndsToo) {
  const struct {
    What what;
    unsigned long event;
  } kPlaces[] = {{What::kSyscallEntry, UTRACE_EVENT(SYSCALL_ENTRY)},
                 {What::kSyscallExit, UTRACE_EVENT(SYSCALL_EXIT)}};
  for (const auto& place : kPlaces) {
    Puppet& puppet = Spawn();
    TestEngine engine("A");
    engine.On(place.what, AtMarker(UTRACE_STOP));
    ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine.SetEvents(place.event));
    puppet.Begin(kMarker);
    AwaitHeld(engine);
    EXPECT_EQ(0, engine.Control(UTRACE_DETACH));
    EXPECT_EQ(nanny().pid(), puppet.Finish());
  }
}

CLAUSE_TEST(CTL_16, AnotherHolderKeepsIt) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  ASSERT_EQ(0, a.AttachTid(puppet.tid()));
  ASSERT_EQ(0, b.AttachTid(puppet.tid()));
  StartSpinning(puppet);
  a.StopAndWait();
  EXPECT_EQ(0, b.Control(UTRACE_STOP));
  ExpectStaysHeld(b, puppet, [&] { EXPECT_EQ(0, a.Control(UTRACE_DETACH)); });
  EXPECT_EQ(0, b.Control(UTRACE_DETACH));
  ExpectRuns(puppet);
}

CLAUSE_TEST(CTL_16, AnotherHolderKeepsItWhoeverAttachedFirst) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  ASSERT_EQ(0, a.AttachTid(puppet.tid()));
  ASSERT_EQ(0, b.AttachTid(puppet.tid()));
  StartSpinning(puppet);
  a.StopAndWait();
  EXPECT_EQ(0, b.Control(UTRACE_STOP));
  ExpectStaysHeld(a, puppet, [&] { EXPECT_EQ(0, b.Control(UTRACE_DETACH)); });
  EXPECT_EQ(0, a.Control(UTRACE_RESUME));
  ExpectRuns(puppet);
}

// ---- CTL-17 ------------------------------------------------------------------------------------

CLAUSE_TEST(CTL_17, AfterADetachThatReturnedZero) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  ASSERT_EQ(0, a.AttachTid(puppet.tid()));
  ASSERT_EQ(0, b.AttachTid(puppet.tid()));
  ASSERT_EQ(0, a.Control(UTRACE_DETACH));
  EXPECT_EQ(-ESRCH, a.Control(UTRACE_DETACH));
  // Also on a stopped task, where nothing moves by itself.
  StartSpinning(puppet);
  TestEngine c("C");
  ASSERT_EQ(0, c.AttachTid(puppet.tid()));
  b.StopAndWait();
  ASSERT_EQ(0, c.Control(UTRACE_DETACH));
  EXPECT_EQ(-ESRCH, c.Control(UTRACE_DETACH));
  EXPECT_EQ(-ESRCH, a.Control(UTRACE_DETACH));
  EXPECT_EQ(0, b.Control(UTRACE_RESUME));
  ExpectRuns(puppet);
}

CLAUSE_TEST(CTL_17, AfterADetachInProgress) {
  Puppet& puppet = Spawn();
  Gate gate;
  TestEngine engine("A");
  engine.On(What::kSyscallExit, WaitAt(gate, UTRACE_RESUME));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(SYSCALL_EXIT)));
  puppet.Begin(kMarker);
  gate.AwaitArrival();
  ASSERT_EQ(-EINPROGRESS, engine.Control(UTRACE_DETACH));
  EXPECT_EQ(-ESRCH, engine.Control(UTRACE_DETACH));
  gate.Open();
  EXPECT_EQ(nanny().pid(), puppet.Finish());
  EXPECT_EQ(-ESRCH, engine.Control(UTRACE_DETACH));
}

CLAUSE_TEST(CTL_17, AfterADetachByResult) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.On(What::kSyscallExit, Answer(UTRACE_DETACH));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(SYSCALL_EXIT)));
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  EXPECT_EQ(-ESRCH, engine.Control(UTRACE_DETACH));
}

// ---- CTL-18 ------------------------------------------------------------------------------------

namespace {

// What a callback saw that detached its own engine.
struct OwnDetach {
  int result = 1;
  int second = 1;
  int releases_inside = 0;
};

// Detaches the engine in its callback, which then asks to hold the task.
TestEngine::Handler DetachInside(TestEngine& engine, OwnDetach* seen) {
  return [&engine, seen](Report& report) -> uint32_t {
    seen->result = api().utrace_control(report.task, report.engine, UTRACE_DETACH);
    seen->second = api().utrace_control(report.task, report.engine, UTRACE_DETACH);
    seen->releases_inside = engine.releases();
    return WithResume(report, UTRACE_STOP);
  };
}

void ExpectOwnDetach(TestEngine& engine, const OwnDetach& seen, What what) {
  SCOPED_TRACE(WhatName(what));
  EXPECT_EQ(-EINPROGRESS, seen.result);
  EXPECT_EQ(-ESRCH, seen.second);
  EXPECT_EQ(0, seen.releases_inside) << "released before the callback ended";
  EXPECT_EQ(1, engine.Count(what)) << Describe(engine.Log());
  EXPECT_FALSE(IsAttached(engine));
  EXPECT_EQ(-ESRCH, engine.Control(UTRACE_RESUME));
}

}  // namespace

CLAUSE_TEST(CTL_18, InReportSyscallEntryAndExit) {
  for (const What what : {What::kSyscallEntry, What::kSyscallExit}) {
    Puppet& puppet = Spawn();
    OwnDetach seen;
    TestEngine engine("A");
    engine.On(what, DetachInside(engine, &seen));
    ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine.SetEvents(what == What::kSyscallEntry ? UTRACE_EVENT(SYSCALL_ENTRY)
                                                              : UTRACE_EVENT(SYSCALL_EXIT)));
    EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
    EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
    ExpectOwnDetach(engine, seen, what);
  }
}

CLAUSE_TEST(CTL_18, InReportQuiesceForAnEvent) {
  Puppet& puppet = Spawn();
  OwnDetach seen;
  TestEngine engine("A");
  engine.On(What::kQuiesce, DetachInside(engine, &seen));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT_SYSCALL | kQuiesce));
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  ExpectOwnDetach(engine, seen, What::kQuiesce);
  // The event's own callback came after the end of that one.
  ExpectLog(engine.Log(), {What::kQuiesce});
}

CLAUSE_TEST(CTL_18, InReportQuiesceForNoEvent) {
  Puppet& puppet = Spawn();
  OwnDetach seen;
  TestEngine engine("A", OpsTable().Without(What::kSignal));
  engine.On(What::kQuiesce, DetachInside(engine, &seen));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kQuiesce));
  StartSpinning(puppet);
  EXPECT_EQ(0, engine.Control(UTRACE_REPORT));
  engine.AwaitEnded(What::kQuiesce);
  ExpectRuns(puppet);
  ExpectOwnDetach(engine, seen, What::kQuiesce);
}

CLAUSE_TEST(CTL_18, InReportSignal) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  OwnDetach seen;
  TestEngine engine("A");
  engine.On(What::kSignal, DetachInside(engine, &seen));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(SIGNAL)));
  EXPECT_EQ(0, puppet.Raise(SIGUSR1));
  EXPECT_EQ(0, puppet.Raise(SIGUSR1));
  EXPECT_EQ(2U, puppet.HandlerRuns());
  ExpectOwnDetach(engine, seen, What::kSignal);
}

CLAUSE_TEST(CTL_18, InReportClone) {
  Puppet& puppet = Spawn();
  OwnDetach seen;
  TestEngine engine("A");
  engine.On(What::kClone, DetachInside(engine, &seen));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(CLONE)));
  puppet.Fork();
  puppet.Fork();
  ExpectOwnDetach(engine, seen, What::kClone);
}

CLAUSE_TEST(CTL_18, InReportExec) {
  Puppet& puppet = Spawn();
  OwnDetach seen;
  TestEngine engine("A");
  engine.On(What::kExec, DetachInside(engine, &seen));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(EXEC)));
  puppet.Exec();
  puppet.Exec();
  ExpectOwnDetach(engine, seen, What::kExec);
}

CLAUSE_TEST(CTL_18, InReportExit) {
  Puppet& puppet = Spawn();
  OwnDetach seen;
  TestEngine engine("A");
  engine.On(What::kExit, DetachInside(engine, &seen));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(EXIT) | UTRACE_EVENT(DEATH) | UTRACE_EVENT(REAP)));
  puppet.BeginExit(3);
  puppet.AwaitDeath();
  EXPECT_EQ(puppet.pid(), nanny().Wait(puppet.pid()).result);
  EXPECT_EQ(-EINPROGRESS, seen.result);
  EXPECT_EQ(-ESRCH, seen.second);
  ExpectLog(engine.Log(), {What::kExit});
}

CLAUSE_TEST(CTL_18, InReportJctl) {
  Puppet& puppet = Spawn();
  OwnDetach seen;
  TestEngine engine("A");
  engine.On(What::kJctl, DetachInside(engine, &seen));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(JCTL)));
  puppet.Kill(SIGSTOP);
  engine.AwaitEnded(What::kJctl);
  puppet.Kill(SIGCONT);
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  ExpectOwnDetach(engine, seen, What::kJctl);
}

}  // namespace utrace::kit
