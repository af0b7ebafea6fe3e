// Each rule about one engine: a history that breaks it, and one that nearly does.
#include <errno.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "conformance/history/script.h"

namespace utrace::history {
namespace {

TEST(Judge, CallbacksOfATaskDoNotOverlap) {
  Script good = Attached(kEntry);
  good.Call("report_syscall_entry").Call("report_syscall_entry");
  EXPECT_EQ(kNone, good.Verdict());
  Script bad = Attached(kEntry);
  const int first = bad.Begin("report_syscall_entry");
  const int second = bad.Begin("report_syscall_entry");
  bad.Return(first).Return(second);
  EXPECT_EQ(Clauses{"REP-03"}, bad.Verdict());
}

TEST(Judge, NothingAfterADetachThatReturnedZero) {
  Script good = Attached(kEntry);
  const int running = good.Begin("report_syscall_entry");
  good.Control(UTRACE_DETACH, -EINPROGRESS).Return(running, UTRACE_RESUME);
  EXPECT_EQ(kNone, good.Verdict());
  Script bad = Attached(kEntry);
  bad.Control(UTRACE_DETACH, 0).Call("report_syscall_entry");
  EXPECT_EQ(Clauses{"CTL-10, CTL-12, CTL-15, REA-07"}, bad.Verdict());
  // The callback began while the call was under way: it may have come first.
  Script race = Attached(kEntry);
  const int detach = race.Begin("control", "\"action\":6");
  race.Call("report_syscall_entry").Return(detach, 0);
  EXPECT_EQ(kNone, race.Verdict());
}

TEST(Judge, CallsOnADetachedEngine) {
  Script good = Attached(kEntry);
  good.Control(UTRACE_DETACH, 0).Control(UTRACE_DETACH, -ESRCH).Set(0, -ESRCH);
  EXPECT_EQ(kNone, good.Verdict());
  Script twice = Attached(kEntry);
  twice.Control(UTRACE_DETACH, 0).Control(UTRACE_DETACH, 0);
  EXPECT_EQ(Clauses{"CTL-03, CTL-17"}, twice.Verdict());
  Script set = Attached(kEntry);
  set.Control(UTRACE_DETACH, 0).Set(0, 0);
  EXPECT_EQ(Clauses{"EVT-02"}, set.Verdict());
  // A result of DETACH is recorded before it is applied.
  Script result = Attached(kEntry);
  result.Call("report_syscall_entry", UTRACE_DETACH).Control(UTRACE_RESUME, 0);
  EXPECT_EQ(kNone, result.Verdict());
}

TEST(Judge, NothingAfterAResultOfDetach) {
  Script bad = Attached(kEntry);
  bad.Call("report_syscall_entry", UTRACE_DETACH).Call("report_syscall_entry");
  EXPECT_EQ(Clauses{"REP-09"}, bad.Verdict());
  Script reap = Attached(kDeath | kReap);
  reap.Call("report_death", UTRACE_DETACH).Call("report_reap");
  EXPECT_EQ(Clauses{"REP-09, REA-03"}, reap.Verdict());
}

TEST(Judge, OnlyWhatTheMaskAllows) {
  Script none;
  none.Attach().Call("report_syscall_entry");
  EXPECT_EQ(Clauses{"ATT-02"}, none.Verdict());
  Script other = Attached(kExit);
  other.Call("report_syscall_entry");
  EXPECT_EQ(Clauses{"EVT-11, EVT-16"}, other.Verdict());
  Script quiesce = Attached(kExit);
  quiesce.Quiesce(kExit);
  EXPECT_EQ(Clauses{"QUI-06, EVT-11"}, quiesce.Verdict());
  Script early;
  early.Attach();
  const int set = early.BeginSet(kEntry);
  early.Call("report_syscall_entry").Return(set, 0);
  EXPECT_EQ(kNone, early.Verdict());
}

TEST(Judge, ADisabledEventIsNotReportedAfterZero) {
  Script bad = Attached(kEntry | kExit);
  bad.Set(kExit, 0).Call("report_syscall_entry");
  EXPECT_EQ(Clauses{"EVT-11, EVT-16"}, bad.Verdict());
  Script good = Attached(kEntry | kExit);
  good.Set(kExit, -EINPROGRESS).Call("report_syscall_entry");
  EXPECT_EQ(kNone, good.Verdict());
  // Only a zero with the same mask says that the old callback has ended.
  Script later = Attached(kEntry | kExit);
  later.Set(kExit, -EINPROGRESS).Set(kExit | kReap, 0).Call("report_syscall_entry");
  EXPECT_EQ(kNone, later.Verdict());
  Script same = Attached(kEntry | kExit);
  same.Set(kExit, -EINPROGRESS).Set(kExit, 0).Call("report_syscall_entry");
  EXPECT_EQ(Clauses{"EVT-11, EVT-16"}, same.Verdict());
}

TEST(Judge, OverlappingSetEventsDecideNothing) {
  Script script = Attached(kEntry);
  const int first = script.BeginSet(kEntry);
  const int second = script.BeginSet(kExit);
  script.Return(first, 0).Return(second, 0).Call("report_syscall_entry");
  EXPECT_EQ(kNone, script.Verdict());
}

TEST(Judge, WhenSetEventsMayBeInProgress) {
  Script adding = Attached(kEntry);
  adding.Set(kEntry | kExit, -EINPROGRESS);
  EXPECT_EQ(Clauses{"EVT-08"}, adding.Verdict());
  Script current = Attached(kEntry);
  current.Set(0, -EINPROGRESS, ",\"context\":1");
  EXPECT_EQ(Clauses{"EVT-09"}, current.Verdict());
  Script good = Attached(kEntry);
  good.Set(0, -EINPROGRESS);
  EXPECT_EQ(kNone, good.Verdict());
}

TEST(Judge, QuiesceComesFirst) {
  Script good = Attached(kQuiesce | kEntry);
  good.Quiesce(kEntry).Call("report_syscall_entry").Quiesce(0).Quiesce(kEntry);
  good.Call("report_syscall_entry");
  EXPECT_EQ(kNone, good.Verdict());
  Script bad = Attached(kQuiesce | kEntry);
  bad.Quiesce(kEntry).Call("report_syscall_entry").Quiesce(0).Call("report_syscall_entry");
  EXPECT_EQ(Clauses{"QUI-01"}, bad.Verdict());
  Script death = Attached(kQuiesce | kEntry | kDeath);
  death.Quiesce(kEntry).Call("report_syscall_entry").Call("report_death");
  EXPECT_EQ(Clauses{"QUI-01, QUI-04"}, death.Verdict());
  // QUIESCE may have come between the two turns of the engine in one report.
  Script late = Attached(kEntry);
  late.Set(kQuiesce | kEntry).Call("report_syscall_entry");
  EXPECT_EQ(kNone, late.Verdict());
}

TEST(Judge, EntryAndExitAlternate) {
  Script good = Attached(kEntry | kExit);
  good.Call("report_syscall_exit").Call("report_syscall_entry").Call("report_syscall_exit");
  EXPECT_EQ(kNone, good.Verdict());
  Script bad = Attached(kEntry | kExit);
  bad.Call("report_syscall_exit").Call("report_syscall_exit");
  EXPECT_EQ(Clauses{"SYS-10"}, bad.Verdict());
  EXPECT_EQ((Lines{4, 6, 8}), bad.Witness());
  Script changed = Attached(kEntry | kExit);
  changed.Call("report_syscall_exit").Set(kExit).Set(kEntry | kExit).Call("report_syscall_exit");
  EXPECT_EQ(kNone, changed.Verdict());
}

TEST(Judge, NoEntryIsFollowedByAnother) {
  Script bad = Attached(kEntry | kExit);
  bad.Entry().Entry();
  EXPECT_EQ(Clauses{"SYS-10, SYS-11"}, bad.Verdict());
  EXPECT_EQ((Lines{4, 6, 8}), bad.Witness());
  Script repeated = Attached(kEntry | kExit);
  repeated.Entry().Entry(UTRACE_SYSCALL_RESUMED | UTRACE_RESUME).Exit().Entry();
  EXPECT_EQ(kNone, repeated.Verdict());
  Script entries = Attached(kEntry);
  entries.Entry().Entry();
  EXPECT_EQ(kNone, entries.Verdict());
  // An exec may end without an exit, and so may a call that an engine made one.
  Script exec = Attached(kEntry | kExit);
  exec.Entry(UTRACE_RESUME, UTRACE_RESUME, 59).Entry();
  EXPECT_EQ(kNone, exec.Verdict());
  Script told = Attached(kEntry | kExit | kExec);
  told.Entry().Call("report_exec").Entry();
  EXPECT_EQ(kNone, told.Verdict());
}

TEST(Judge, OnlyWhatWasReportedIsRepeated) {
  Script bad = Attached(kEntry | kExit);
  bad.Entry().Exit().Entry(UTRACE_SYSCALL_RESUMED | UTRACE_RESUME);
  EXPECT_EQ(Clauses{"SYS-06, SYS-11"}, bad.Verdict());
  EXPECT_EQ((Lines{4, 8, 10}), bad.Witness());
  // It may have been reported to others before this engine had events.
  Script fresh = Attached(kEntry | kExit);
  fresh.Entry(UTRACE_SYSCALL_RESUMED | UTRACE_RESUME);
  EXPECT_EQ(kNone, fresh.Verdict());
}

TEST(Judge, DeathOnceThenReapThenNothing) {
  Script good = Attached(kDeath | kReap);
  good.Call("report_death").Call("report_reap").Call("put", 0).Call("release");
  EXPECT_EQ(kNone, good.Verdict());
  Script twice = Attached(kDeath);
  twice.Call("report_death").Call("report_death");
  EXPECT_EQ(Clauses{"DTH-01"}, twice.Verdict());
  Script order = Attached(kDeath | kReap);
  order.Call("report_reap").Call("report_death");
  EXPECT_EQ((Clauses{"DTH-01, KIL-03", "REA-01, REA-02"}), order.Verdict());
  Script after = Attached(kDeath | kReap);
  after.Call("report_death").Call("report_reap").Call("report_reap");
  EXPECT_EQ(Clauses{"REA-01"}, after.Verdict());
}

TEST(Judge, ReleaseOnceAndLast) {
  Script twice = Attached(kEntry);
  twice.Call("put", 0).Call("release").Call("release");
  EXPECT_EQ(Clauses{"REF-03"}, twice.Verdict());
  Script after = Attached(kEntry);
  after.Call("put", 0).Call("release").Call("report_syscall_entry");
  EXPECT_EQ(Clauses{"REF-05"}, after.Verdict());
  Script inside = Attached(kEntry);
  inside.Call("put", 0);
  const int running = inside.Begin("report_syscall_entry");
  inside.Call("release").Return(running);
  EXPECT_EQ(Clauses{"REF-05"}, inside.Verdict());
}

TEST(Judge, NoReleaseWhileReferencesAreHeld) {
  Script good = Attached(kEntry);
  good.Lookup().Call("get", 0);
  good.Call("put", 0).Call("put", 0).Call("put", 0).Call("release");
  EXPECT_EQ(kNone, good.Verdict());
  Script bad = Attached(kEntry);
  bad.Lookup().Call("put", 0).Call("release");
  EXPECT_EQ(Clauses{"REF-01, REF-03"}, bad.Verdict());
  EXPECT_EQ((Lines{7, 10}), bad.Witness());
  // A put that is under way may have dropped it.
  Script race = Attached(kEntry);
  const int put = race.Begin("put");
  race.Call("release").Return(put, 0);
  EXPECT_EQ(kNone, race.Verdict());
}

TEST(Judge, ALookupFindsNoDetachedEngine) {
  Script good = Attached(kEntry);
  const int lookup = good.Begin("lookup");
  good.Control(UTRACE_DETACH, 0).Attached(lookup);
  EXPECT_EQ(kNone, good.Verdict());
  Script bad = Attached(kEntry);
  bad.Control(UTRACE_DETACH, 0).Lookup();
  EXPECT_EQ(Clauses{"ATT-12"}, bad.Verdict());
  EXPECT_EQ((Lines{7, 8, 9}), bad.Witness());
}

TEST(Judge, WhatABarrierPutInForce) {
  // The mask was in force already, but an old callback might still come.
  Script mask = Attached(kEntry | kExit);
  mask.Set(kExit, -EINPROGRESS).Call("barrier", 0).Entry();
  EXPECT_EQ(Clauses{"BAR-08"}, mask.Verdict());
  EXPECT_EQ((Lines{6, 9, 10}), mask.Witness());
  Script detach = Attached(kEntry);
  detach.Control(UTRACE_DETACH, -EINPROGRESS).Call("barrier", 0).Entry();
  EXPECT_EQ(Clauses{"BAR-08, CTL-11"}, detach.Verdict());
  EXPECT_EQ((Lines{7, 9, 10}), detach.Witness());
  for (const long result : {-ESRCH, -512}) {
    Script other = Attached(kEntry | kExit);
    other.Set(kExit, -EINPROGRESS).Call("barrier", result).Entry();
    EXPECT_EQ(kNone, other.Verdict()) << result;
  }
  // What was set last is in force, not what was answered by -EINPROGRESS.
  Script twice = Attached(kEntry | kExit);
  twice.Set(kEntry, -EINPROGRESS).Set(kExit).Call("barrier", 0).Exit();
  EXPECT_EQ(kNone, twice.Verdict());
  twice.Entry();
  EXPECT_EQ(Clauses{"BAR-08"}, twice.Verdict());
  // In the task's own callback it does not wait.
  Script inside = Attached(kEntry | kExit);
  inside.Set(kExit, -EINPROGRESS).Call("barrier", 0, "\"context\":1").Entry();
  EXPECT_EQ(kNone, inside.Verdict());
  // Set only after the barrier had begun.
  Script later = Attached(kEntry | kExit);
  const int barrier = later.Begin("barrier");
  later.Set(kExit, -EINPROGRESS).Return(barrier, 0).Entry();
  EXPECT_EQ(kNone, later.Verdict());
}

TEST(Judge, OnlyOfTheTaskThatTheEngineIsAttachedTo) {
  Script bad = Attached(kEntry);
  bad.OfTask(2).Entry();
  EXPECT_EQ(Clauses{"CLN-06"}, bad.Verdict());
  EXPECT_EQ((Lines{2, 3, 6}), bad.Witness());
}

TEST(Judge, DeathIsNotLost) {
  Script bad = Attached(kDeath | kReap);
  bad.Call("report_reap");
  EXPECT_EQ(Clauses{"DTH-01, KIL-03"}, bad.Verdict());
  EXPECT_EQ((Lines{4, 6}), bad.Witness());
  Script refused = Attached(kReap);
  refused.Set(kDeath | kReap, -EALREADY).Call("report_reap");
  EXPECT_EQ(kNone, refused.Verdict());
}

TEST(Judge, BarrierWaitsForWhatRan) {
  const auto barrier = [](const std::string& more, bool before) {
    Script script = Attached(kEntry);
    int running = before ? script.Begin("report_syscall_entry") : 0;
    const int call = script.Begin("barrier", more);
    if (!before) running = script.Begin("report_syscall_entry");
    script.Return(call, 0).Return(running);
    return script.Verdict();
  };
  EXPECT_EQ(Clauses{"BAR-03, BAR-10"}, barrier("", true));
  EXPECT_EQ(kNone, barrier("\"context\":1", true));
  EXPECT_EQ(kNone, barrier("", false));
}

TEST(Judge, SigkillIsNotReported) {
  const auto signal = [](int number, int dequeued) {
    Script script = Attached(kQuiesce);
    script.Call(
        "report_signal", UTRACE_RESUME,
        "\"signal\":" + std::to_string(number) + ",\"dequeued\":" + std::to_string(dequeued));
    return script.Verdict();
  };
  EXPECT_EQ(Clauses{"SIG-14"}, signal(9, 1));
  EXPECT_EQ(kNone, signal(9, 0));  // put there by an engine
  EXPECT_EQ(kNone, signal(15, 1));
}

// Engines that have ended are forgotten in time, and their numbers are then nobody's.
TEST(Judge, ManyEnginesCanComeAndGo) {
  Judge judge;
  uint64_t line = 1;
  uint64_t id = 0;
  const auto operation = [&](Edge edge, int64_t result, uint32_t engine) {
    edge.id = ++id;
    edge.begins = true;
    edge.line = ++line;
    edge.task = 1 + engine % 7;
    if (edge.what != What::kAttach) edge.engine = engine;
    ASSERT_TRUE(judge.Take(edge)) << judge.error();
    Edge end;
    end.id = id;
    end.line = ++line;
    end.result = result;
    if (edge.what == What::kAttach) end.engine = engine;
    ASSERT_TRUE(judge.Take(end)) << judge.error();
  };
  constexpr uint32_t kEngines = 30000;
  for (uint32_t engine = 1; engine <= kEngines; ++engine) {
    Edge edge;
    edge.what = What::kAttach;
    operation(edge, 0, engine);
    edge.what = What::kControl;
    edge.action = UTRACE_DETACH;
    operation(edge, 0, engine);
  }
  EXPECT_EQ(0U, judge.breach_count());
  EXPECT_EQ(kEngines, judge.engine_count());
  EXPECT_LT(judge.remembered_count(), kEngines / 2);
}

TEST(Judge, EnginesOfUnknownOriginAreNotJudged) {
  Script script;
  script.Call("report_syscall_entry").Call("release").Call("report_syscall_entry");
  EXPECT_EQ(kNone, script.Verdict());
}

}  // namespace
}  // namespace utrace::history
