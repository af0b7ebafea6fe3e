// Each rule about the engines of a task together: a history that breaks it, and some that nearly do.
#include <errno.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "conformance/history/script.h"

namespace utrace::history {
namespace {

constexpr uint32_t kResumed = UTRACE_SYSCALL_RESUMED;
constexpr uint32_t kRun = UTRACE_SYSCALL_RUN;
constexpr uint32_t kAbort = UTRACE_SYSCALL_ABORT;

constexpr uint32_t Resuming(uint32_t action) { return action | UTRACE_RESUME; }

// A pass over a system call's exit, engines in the order given.
void Pass(Script* script, const std::vector<int>& engines) {
  for (const int engine : engines) script->On(engine).Exit();
}

TEST(Passes, AMaskSetWhileADetachIsUnderWayPromisesNothing) {
  const auto verdict = [](bool detach) {
    Script script = Attached(kExec | kExit, 2);
    script.On(2);
    const int leaving = detach ? script.Begin("control", "\"action\":6") : 0;
    script.Set(kExec | kExit).On(1).Call("report_exec").Exit().Call("report_exec");
    if (detach) script.Return(leaving, 0);
    return script.Verdict();
  };
  EXPECT_EQ(kNone, verdict(true));
  EXPECT_NE(kNone, verdict(false));
}

TEST(Passes, InOrderOfAttachment) {
  Script good = Attached(kExec | kExit, 3);
  good.Call("report_exec");
  Pass(&good, {1, 2, 3});
  Pass(&good, {1, 2, 3});
  EXPECT_EQ(kNone, good.Verdict());
  Script bad = Attached(kExec | kExit, 2);
  bad.On(1).Call("report_exec").On(2).Call("report_exec");
  Pass(&bad, {2, 1});
  EXPECT_EQ(Clauses{"REP-01"}, bad.Verdict());
  // Both attaches, the first one's mask, the two callbacks.
  EXPECT_EQ((Lines{2, 3, 4, 6, 7, 14, 16}), bad.Witness());
}

TEST(Passes, WhatMayBeTwoPassesIsNotOutOfOrder) {
  // The first engine got the event only after the second one's callback had begun.
  Script late = Attached(kExec, 1);
  late.On(2).Attach().Set(kExec | kExit).On(1).Call("report_exec").On(2).Call("report_exec");
  const int running = late.On(2).Begin("report_syscall_exit");
  late.On(1).Set(kExec | kExit).Return(running, UTRACE_RESUME);
  Pass(&late, {1, 2, 1, 2});
  EXPECT_EQ(kNone, late.Verdict());
}

TEST(Passes, EntriesInReverseOrder) {
  Script good = Attached(kEntry | kExit, 3);
  Pass(&good, {1, 2, 3});
  good.On(3).Entry().On(2).Entry().On(1).Entry();
  EXPECT_EQ(kNone, good.Verdict());
  Script bad = Attached(kEntry | kExit, 2);
  Pass(&bad, {1, 2});
  bad.On(1).Entry().On(2).Entry();
  EXPECT_EQ(Clauses{"REP-02"}, bad.Verdict());
  // report_quiesce included.
  Script quiesce = Attached(kQuiesce | kEntry | kExit, 2);
  quiesce.On(1).Quiesce(0).On(2).Quiesce(0);
  quiesce.On(1).Quiesce(kEntry).Entry().On(2).Quiesce(kEntry).Entry();
  EXPECT_EQ((Clauses{"REP-02", "REP-02"}), quiesce.Verdict());
}

TEST(Passes, AllQuiesceCallbacksMayComeFirst) {
  Script good = Attached(kQuiesce | kExit | kExec, 2);
  good.On(1).Quiesce(0).On(2).Quiesce(0);
  good.On(1).Quiesce(kExit).On(2).Quiesce(kExit).On(1).Exit().On(2).Exit();
  good.On(1).Quiesce(0).On(2).Quiesce(0);
  EXPECT_EQ(kNone, good.Verdict());
}

TEST(Passes, WhoAttachesDuringAPassIsNotInIt) {
  const auto attach_in = [](bool again) {
    Script script = Attached(kExec | kExit, 1);
    script.Call("report_exec");
    const int running = script.Begin("report_syscall_exit", "\"action\":5");
    script.On(2).Attach().Set(kExit).Return(running, UTRACE_RESUME);
    if (again) script.On(1).Exit();
    return script.On(2).Exit();
  };
  EXPECT_EQ(kNone, attach_in(true).Verdict());
  EXPECT_EQ(Clauses{"ATT-14, REP-10"}, attach_in(false).Verdict());
  EXPECT_EQ((Lines{8, 9, 10, 14}), attach_in(false).Witness());
}

TEST(Passes, WhoAttachesDuringAnEntryIsNotInIt) {
  const auto attach_in = [](bool exit) {
    Script script = Attached(kEntry | kExit, 1);
    script.Exit();
    const int running = script.Begin("report_syscall_entry", "\"action\":5,\"call\":39");
    script.On(2).Attach().Set(kEntry).Return(running, UTRACE_RESUME);
    if (exit) script.On(1).Exit();
    return script.On(2).Entry().Verdict();
  };
  EXPECT_EQ(kNone, attach_in(true));
  EXPECT_EQ(Clauses{"ATT-14, REP-10"}, attach_in(false));
}

TEST(Passes, TheResumeActionSoFar) {
  const auto passes = [](uint32_t second, uint32_t third, bool controlled = false) {
    Script script = Attached(kExec | kExit, 3);
    script.On(1).Call("report_exec").On(2).Call("report_exec").On(3).Call("report_exec");
    script.On(1).Exit(UTRACE_RESUME, UTRACE_REPORT);
    if (controlled) script.Control(UTRACE_RESUME, 0);
    script.On(2).Exit(second, UTRACE_SINGLESTEP);
    return script.On(3).Exit(third, UTRACE_RESUME);
  };
  EXPECT_EQ(kNone, passes(UTRACE_REPORT, UTRACE_REPORT).Verdict());
  EXPECT_EQ(Clauses{"REP-04"}, passes(UTRACE_RESUME, UTRACE_REPORT).Verdict());
  EXPECT_EQ(Clauses{"REP-04"}, passes(UTRACE_REPORT, UTRACE_SINGLESTEP).Verdict());
  // The result that was forgotten.
  EXPECT_EQ((Lines{20, 21, 24}), passes(UTRACE_REPORT, UTRACE_SINGLESTEP).Witness());
  EXPECT_EQ(kNone, passes(UTRACE_RESUME, UTRACE_SINGLESTEP, true).Verdict());
}

TEST(Passes, TheResumeActionBeginsAsResume) {
  Script bad = Attached(kExit | kExec, 1);
  bad.Call("report_exec", UTRACE_STOP).Control(UTRACE_RESUME, 0).Exit(UTRACE_STOP);
  EXPECT_EQ(Clauses{"REP-04"}, bad.Verdict());
}

TEST(Passes, AResultMayReplaceThatOfItsOwnQuiesce) {
  for (const uint32_t passed : {UTRACE_STOP, UTRACE_RESUME}) {
    Script script = Attached(kQuiesce | kExit, 2);
    script.On(1).Quiesce(0).On(2).Quiesce(0);
    script.On(1).Quiesce(kExit, UTRACE_STOP).Exit(UTRACE_STOP, UTRACE_RESUME);
    script.On(2).Call(
        "report_quiesce", UTRACE_RESUME,
        "\"events\":" + std::to_string(kExit) + ",\"action\":" + std::to_string(passed));
    EXPECT_EQ(kNone, script.Verdict()) << passed;
  }
}

TEST(Passes, TheSystemCallActionThatWasLeft) {
  const auto entries = [](uint32_t passed) {
    Script script = Attached(kEntry | kExit, 2);
    Pass(&script, {1, 2});
    script.On(2).Entry(kRun | UTRACE_RESUME, kAbort | UTRACE_RESUME);
    return script.On(1).Entry(passed | UTRACE_RESUME);
  };
  EXPECT_EQ(kNone, entries(kAbort).Verdict());
  EXPECT_EQ(Clauses{"SYS-04"}, entries(kRun).Verdict());
  EXPECT_EQ((Lines{14, 15, 16}), entries(kRun).Witness());
}

TEST(Passes, ARepeatStartsAfresh) {
  const auto repeats = [](uint32_t passed) {
    Script script = Attached(kEntry | kExit, 1);
    script.Exit().Entry(kRun | UTRACE_RESUME, kAbort | UTRACE_REPORT);
    return script.Entry(passed | kResumed | UTRACE_RESUME).Verdict();
  };
  EXPECT_EQ(kNone, repeats(kRun));
  EXPECT_EQ(Clauses{"SYS-04, SYS-12"}, repeats(kAbort));
}

TEST(Passes, TheSignalActionThatWasLeft) {
  const auto signals = [](uint32_t passed) {
    Script script = Attached(kQuiesce, 2);
    script.On(1).Quiesce(0).On(2).Quiesce(0);
    script.On(1).Signal(Resuming(UTRACE_SIGNAL_TERM), Resuming(UTRACE_SIGNAL_IGN));
    return script.On(2).Signal(passed | UTRACE_RESUME, Resuming(UTRACE_SIGNAL_IGN)).Verdict();
  };
  EXPECT_EQ(kNone, signals(UTRACE_SIGNAL_IGN));
  EXPECT_EQ(Clauses{"SIG-03"}, signals(UTRACE_SIGNAL_TERM));
  // Engines that ask for some kinds of signals only may not have been in the first one's pass.
  Script other = Attached(UTRACE_EVENT(SIGNAL), 2);
  other.On(1).Signal(UTRACE_RESUME, Resuming(UTRACE_SIGNAL_IGN));
  other.On(2).Signal(Resuming(UTRACE_SIGNAL_TERM), UTRACE_RESUME);
  EXPECT_EQ(kNone, other.Verdict());
}

TEST(Passes, NobodyIsLeftOut) {
  const auto exits = [](const std::vector<int>& engines) {
    Script script = Attached(kExec | kExit, 3);
    for (const int engine : {1, 2, 3}) script.On(engine).Call("report_exec");
    Pass(&script, engines);
    return script.On(1).Call("report_exec");
  };
  EXPECT_EQ(kNone, exits({1, 2, 3}).Verdict());
  EXPECT_EQ(kNone, exits({1, 2, 3, 1, 2, 3}).Verdict());
  EXPECT_EQ(Clauses{"SYS-11"}, exits({1, 3}).Verdict());
  // Whose mask, the event before, who got it, and the next one.
  EXPECT_EQ((Lines{7, 8, 19, 20, 24}), exits({1, 3}).Witness());
  EXPECT_EQ(Clauses{"SYS-11"}, exits({1, 2, 3, 1, 2}).Verdict());
  // The last pass need not be complete.
  Script last = Attached(kExec | kExit, 2);
  last.On(1).Call("report_exec").On(2).Call("report_exec").On(1).Exit();
  EXPECT_EQ(kNone, last.Verdict());
  // A dying task may leave one.
  last.On(1).Call("report_death");
  EXPECT_EQ(Clauses{"EVT-11, EVT-16"}, last.Verdict());
}

TEST(Passes, QuiesceForTheEventsOfOthers) {
  const auto exits = [](bool quiesce) {
    Script script;
    script.On(1).Attach().Set(kExit).On(2).Attach().Set(kQuiesce);
    script.On(2).Quiesce(0).On(1).Exit();
    if (quiesce) script.On(2).Quiesce(kExit);
    return script.On(2).Quiesce(0).Verdict();
  };
  EXPECT_EQ(kNone, exits(true));
  EXPECT_EQ(Clauses{"QUI-01"}, exits(false));
}

TEST(Passes, WhoLeavesIsNotDue) {
  Script result = Attached(kExec | kExit, 2);
  result.On(1).Call("report_exec").On(2).Call("report_exec", UTRACE_DETACH);
  result.On(1).Exit().Call("report_exec");
  EXPECT_EQ(kNone, result.Verdict());
  Script asked = Attached(kExec | kExit, 2);
  asked.On(1).Call("report_exec").On(2).Call("report_exec");
  asked.Control(UTRACE_DETACH, -EINPROGRESS).On(1).Exit().Call("report_exec");
  EXPECT_EQ(kNone, asked.Verdict());
}

TEST(Passes, AStopHolds) {
  const auto stopped = [](long result, int action) {
    Script script = Attached(kEntry | kExit | kExec, 2);
    script.On(1).Exit(UTRACE_RESUME, result).On(2).Exit(utrace_resume_action(result));
    if (action >= 0) script.On(1).Control(action, 0);
    return script.On(2).Entry();
  };
  EXPECT_EQ(kNone, stopped(UTRACE_RESUME, -1).Verdict());
  EXPECT_EQ(kNone, stopped(UTRACE_STOP, UTRACE_RESUME).Verdict());
  EXPECT_EQ(kNone, stopped(UTRACE_STOP, UTRACE_SINGLESTEP).Verdict());
  EXPECT_EQ(kNone, stopped(UTRACE_STOP, UTRACE_DETACH).Verdict());
  EXPECT_EQ(Clauses{"REP-06, CTL-05"}, stopped(UTRACE_STOP, -1).Verdict());
  EXPECT_EQ((Lines{10, 11, 14}), stopped(UTRACE_STOP, -1).Witness());
}

// A call that began before the result may have been carried out after it.
TEST(Passes, ACallThatIsOpenMayTakeAStopBack) {
  const auto stopped = [](int caller, int action) {
    Script script = Attached(kEntry | kExit | kExec, 2);
    const int call = script.On(caller).Begin("control", "\"action\":" + std::to_string(action));
    script.On(1).Exit(UTRACE_RESUME, UTRACE_STOP).On(2).Exit(UTRACE_STOP).Return(call, 0);
    return script.On(2).Entry().Verdict();
  };
  EXPECT_EQ(kNone, stopped(1, UTRACE_DETACH));
  EXPECT_EQ(kNone, stopped(1, UTRACE_RESUME));
  EXPECT_EQ(Clauses{"REP-06, CTL-05"}, stopped(2, UTRACE_RESUME));
}

TEST(Passes, ALaterCallbackTakesAStopBack) {
  Script script = Attached(kQuiesce | kEntry | kExit, 1);
  script.Quiesce(kExit).Exit(UTRACE_RESUME, UTRACE_STOP).Quiesce(0, UTRACE_RESUME);
  script.Quiesce(kEntry).Entry();
  EXPECT_EQ(kNone, script.Verdict());
}

TEST(Passes, AStopTakenBackInTheSamePassIsNone) {
  Script script = Attached(kQuiesce | kEntry);
  script.Quiesce(0);
  for (int i = 0; i < 2; ++i) script.Quiesce(kEntry, UTRACE_STOP).Entry(UTRACE_STOP);
  EXPECT_EQ(kNone, script.Verdict());
}

TEST(Passes, AStopByControlHolds) {
  const auto stopped = [](long result) {
    Script script = Attached(kEntry, 2);
    script.On(1).Control(UTRACE_STOP, result);
    return script.On(2).Entry().Verdict();
  };
  EXPECT_EQ(Clauses{"CTL-20, CTL-05"}, stopped(0));
  EXPECT_EQ(kNone, stopped(-EINPROGRESS));
}

TEST(Passes, AStopAtEntryHoldsThatCall) {
  Script bad = Attached(kEntry, 2);
  bad.On(2).Entry(UTRACE_RESUME, UTRACE_STOP).On(1).Entry(UTRACE_STOP);
  EXPECT_EQ(kNone, bad.Verdict());  // the same call
  bad.On(1).Entry().On(1).Entry();
  EXPECT_EQ(Clauses{"REP-06, CTL-05, SYS-05"}, bad.Verdict());
  Script own = Attached(kEntry);
  own.Entry(UTRACE_RESUME, UTRACE_STOP).Entry();
  EXPECT_EQ(Clauses{"REP-06, CTL-05, SYS-05"}, own.Verdict());
  Script repeated = Attached(kEntry);
  repeated.Entry(UTRACE_RESUME, UTRACE_STOP).Entry(kResumed | UTRACE_RESUME);
  EXPECT_EQ(kNone, repeated.Verdict());
}

TEST(Passes, ANewbornThatIsHeldDoesNotRun) {
  const auto born = [](bool within) {
    Script script = Attached(kClone);
    const int clone = script.Begin("report_clone", script.CloneOf(2));
    script.On(2).OfTask(2).Attach().Set(kEntry);
    if (!within) script.Return(clone, UTRACE_RESUME);
    script.Control(UTRACE_STOP, -EINPROGRESS);
    if (within) script.Return(clone, UTRACE_RESUME);
    return script.Entry().Verdict();
  };
  EXPECT_EQ(Clauses{"CLN-02"}, born(true));
  EXPECT_EQ(kNone, born(false));
}

TEST(Passes, ANewbornHasNotRun) {
  const auto born = [](bool early) {
    Script script = Attached(kClone);
    script.On(2).OfTask(2).Attach().Set(kEntry);
    if (early) script.Entry();
    script.On(1).OfTask(1).Call("report_clone", UTRACE_RESUME, script.CloneOf(2));
    return script.On(2).OfTask(2).Entry().Verdict();
  };
  EXPECT_EQ(kNone, born(false));
  EXPECT_EQ(Clauses{"CLN-01"}, born(true));
}

}  // namespace
}  // namespace utrace::history
