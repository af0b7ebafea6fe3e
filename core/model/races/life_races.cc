// Clone, exec, job control, exit, death, reaping and SIGKILL, against controllers.
#include <sys/wait.h>

#include <cerrno>

#include "core/model/races/scene.h"

namespace utrace::model {
namespace {

constexpr unsigned long kQuiesce = UTRACE_EVENT(QUIESCE);
constexpr unsigned long kDeath = UTRACE_EVENT(DEATH);
constexpr unsigned long kReap = UTRACE_EVENT(REAP);
constexpr unsigned long kEntry = UTRACE_EVENT(SYSCALL_ENTRY);

RACE(CLN_02, AStopInReportCloneHoldsTheChild) {
  Stage stage;
  Hand& hand = stage.Process();
  Probe& parent = stage.Engine("parent's");
  Probe& child = stage.Engine("child's");
  Check(parent.Attach(stage.Task(hand), UTRACE_EVENT(CLONE)) == 0, "attach");
  child.respond = [](const Callback&) -> uint32_t { return UTRACE_STOP; };
  parent.respond = [&](const Callback& callback) -> uint32_t {
    Check(child.Attach(callback.child, kQuiesce) == 0, "ATT-15");
    const int stopped = child.Control(UTRACE_STOP);
    Check(stopped == 0 || stopped == -EINPROGRESS, "CLN-02: STOP on the child");
    return UTRACE_RESUME;
  };
  Hand newborn(20);
  {
    const Explored explored;
    hand.Begin(UTRACE_TARGET_SPAWN, SYS_clone, SIGCHLD, 0, 0, 0, 0, newborn.index());
    hand.Finish();
    Settle();
  }
  utrace_target_reply reply{};
  Check(utrace_target_receive(newborn.index(), &reply) == 0, "CLN-02: the child ran user code");
  child.respond = nullptr;
  Check(child.Control(UTRACE_RESUME) == 0, "CTL-30");
  newborn.AwaitReady();
}

RACE(CLN_03, AReportOfTheChildComesBeforeItsUserCode) {
  Stage stage;
  Hand& hand = stage.Process();
  Probe& parent = stage.Engine("parent's");
  Probe& child = stage.Engine("child's");
  Check(parent.Attach(stage.Task(hand), UTRACE_EVENT(CLONE)) == 0, "attach");
  Hand newborn(20);
  child.respond = [&](const Callback&) -> uint32_t {
    utrace_target_reply reply{};
    Check(utrace_target_receive(newborn.index(), &reply) == 0 || child.calls() > 1,
          "CLN-03: the child ran user code first");
    return UTRACE_RESUME;
  };
  parent.respond = [&](const Callback& callback) -> uint32_t {
    Check(child.Attach(callback.child, kQuiesce) == 0, "ATT-15");
    Check(child.Control(UTRACE_REPORT) == 0, "CLN-03: REPORT on the child");
    return UTRACE_RESUME;
  };
  {
    const Explored explored;
    hand.Begin(UTRACE_TARGET_SPAWN, SYS_clone, SIGCHLD, 0, 0, 0, 0, newborn.index());
    hand.Finish();
    newborn.AwaitReady();
  }
  Check(child.calls() >= 1, "CLN-03: no callback from the child");
}

RACE(CTL_20, AJobControlStopTakenOverOutlastsSigcont) {
  Stage stage;
  Hand& hand = stage.Process();
  Probe& probe = stage.Engine("probe");
  Check(probe.Attach(stage.Task(hand), kQuiesce) == 0, "attach");
  Kill(hand.tid(), SIGSTOP);
  Until([&] { return hand.State() == 'T'; });
  int stopped = 1;
  const uint32_t done = hand.slot().done;
  {
    const Explored explored;
    hand.BeginCall(SYS_getppid);
    stage.Start("controller", [&] { stopped = probe.Control(UTRACE_STOP); });
    stage.Start("continuer", [&] { Kill(hand.tid(), SIGCONT); });
    stage.Join();
    Settle();
  }
  Check(stopped == 0 || stopped == -EINPROGRESS, "CTL-20, CTL-21: result of STOP");
  if (stopped == 0) {
    Check(hand.slot().done == done, "CTL-20: SIGCONT ended a stop that was taken over");
    Check(probe.calls() == 0, "CTL-20: a report although it never resumed");
  }
  Check(probe.Control(UTRACE_RESUME) == 0, "CTL-30");
  hand.Finish();
}

RACE(JCT_04, SigcontAgainstTheLeavingOfTheLastEngine) {
  Stage stage;
  Hand& hand = stage.Process();
  Probe& probe = stage.Engine("probe");
  Check(probe.Attach(stage.Task(hand), UTRACE_EVENT(JCTL)) == 0, "attach");
  {
    const Explored explored;
    Kill(hand.tid(), SIGSTOP);
    stage.Start("controller", [&] {
      const int left = probe.Control(UTRACE_DETACH);
      Check(left == 0 || left == -EINPROGRESS, "CTL-11, CTL-12");
    });
    stage.Start("continuer", [&] {
      Until([&] { return hand.State() != 'S' && hand.State() != 'R'; });
      Kill(hand.tid(), SIGCONT);
    });
    stage.Join();
    hand.Call(SYS_getppid);
  }
}

RACE(DTH_02, OneThreadOfTheGroupDiesLast) {
  Stage stage;
  Hand& leader = stage.Process();
  Hand& thread = stage.Thread(leader);
  Probe& a = stage.Engine("leader's");
  Probe& b = stage.Engine("thread's");
  int last = 0;
  const auto count = [&](const Callback& callback) -> uint32_t {
    if (callback.event == kDeath && callback.group_dead) ++last;
    return UTRACE_RESUME;
  };
  a.respond = count;
  b.respond = count;
  Check(a.Attach(stage.Task(leader), kDeath | kReap) == 0, "attach");
  Check(b.Attach(stage.Task(thread), kDeath | kReap) == 0, "attach");
  const pid_t pid = leader.tid();
  {
    const Explored explored;
    leader.BeginCall(SYS_exit, 0);
    thread.BeginCall(SYS_exit, 0);
    Hand& parent = stage.parent();
    Check(parent.Call(SYS_wait4, pid, parent.Scratch(), 0) == pid, "REA-06: the parent's wait");
    Until([&] { return a.Count(kReap) == 1 && b.Count(kReap) == 1; });
  }
  Check(a.Count(kDeath) == 1 && b.Count(kDeath) == 1, "DTH-01: a death report each");
  Check(last == 1, "DTH-02: group_dead was true " + std::to_string(last) + " times");
}

RACE(REA_02, TheReapReportWaitsForTheDeathReport) {
  Stage stage;
  Hand& hand = stage.Process();
  const pid_t pid = hand.tid();
  Probe& probe = stage.Engine("probe");
  bool death_over = false;
  probe.respond = [&](const Callback& callback) -> uint32_t {
    if (callback.event == kDeath) {
      Point();
      Point();
      death_over = true;
    }
    if (callback.event == kReap) Check(death_over, "REA-02: reap before the death report was over");
    return UTRACE_RESUME;
  };
  Check(probe.Attach(stage.Task(hand), kDeath | kReap) == 0, "attach");
  {
    const Explored explored;
    hand.BeginCall(SYS_exit_group, 3);
    Hand& parent = stage.parent();
    Check(parent.Call(SYS_wait4, pid, parent.Scratch(), 0) == pid, "REA-06: the parent's wait");
    Check(parent.Peek<int>() == 3 << 8, "REA-06: the status");
    Until([&] { return probe.Count(kReap) == 1; });
  }
  Check(probe.Count(kDeath) == 1, "DTH-01");
}

RACE(REA_07, DetachAgainstDeathAndReaping) {
  Stage stage;
  Hand& hand = stage.Process();
  const pid_t pid = hand.tid();
  utrace_task* const task = stage.Task(hand);
  Probe& before = stage.Engine("before");
  Probe& probe = stage.Engine("probe");
  before.respond = [](const Callback&) -> uint32_t {
    Point();
    return UTRACE_RESUME;
  };
  probe.respond = before.respond;
  Check(before.Attach(task, kDeath) == 0 && probe.Attach(task, kDeath | kReap) == 0, "attach");
  int result = 1;
  bool reporting = false;
  {
    const Explored explored;
    hand.BeginCall(SYS_exit_group, 0);
    stage.parent().BeginCall(SYS_wait4, pid, stage.parent().Scratch(), 0);
    stage.Start("controller", [&] {
      // It has one callback, in which the report is in progress.
      const bool began = before.running();
      result = probe.Control(UTRACE_DETACH);
      reporting = began && before.running();
    });
    stage.Join();
    stage.parent().Finish();
    Settle();
  }
  if (reporting) {
    Check(result == -EALREADY,
          "CTL-13: DETACH while the death report is in progress gave " + std::to_string(result));
  }
  switch (result) {
    case 0:  // The probe itself sees to it that nothing follows.
      break;
    case -EALREADY:
      Check(probe.Count(kDeath) == 1, "CTL-13, REA-07: -EALREADY, and no death report");
      Check(probe.Count(kReap) == 1, "CTL-13: the engine did not stay attached");
      break;
    case -ESRCH:
      Check(probe.Count(kReap) == 1, "CTL-14, REA-07: -ESRCH, and no reap report");
      break;
    default:
      Check(false, "REA-07: result " + std::to_string(result));
  }
}

RACE(EVT_17, SettingDeathAgainstDying) {
  Stage stage;
  Hand& hand = stage.Process();
  utrace_task* const task = stage.Task(hand);
  Probe& other = stage.Engine("other");
  Probe& probe = stage.Engine("probe");
  Check(other.Attach(task, kDeath) == 0 && probe.Attach(task) == 0, "attach");
  int set = 1;
  {
    const Explored explored;
    hand.BeginCall(SYS_exit_group, 0);
    stage.Start("controller", [&] { set = probe.SetEvents(kDeath); });
    stage.Join();
    Until([&] { return hand.State() == 'Z'; });
    Settle();
  }
  Check(set == 0 || set == -EALREADY, "EVT-03: result");
  Check(probe.Count(kDeath) == (set == 0 ? 1U : 0U),
        "EVT-17: zero means a death report, -EALREADY none");
  Check(other.Count(kDeath) == 1, "DTH-01");
}

RACE(EVT_05, ClearingReapAgainstReaping) {
  Stage stage;
  Hand& hand = stage.Process();
  const pid_t pid = hand.tid();
  utrace_task* const task = stage.Task(hand);
  Probe& probe = stage.Engine("probe");
  Check(probe.Attach(task, kReap) == 0, "attach");
  hand.BeginCall(SYS_exit_group, 0);
  Until([&] { return hand.State() == 'Z'; });
  int cleared = 1;
  {
    const Explored explored;
    stage.parent().BeginCall(SYS_wait4, pid, stage.parent().Scratch(), 0);
    stage.Start("controller", [&] { cleared = probe.SetEvents(0); });
    stage.Join();
    stage.parent().Finish();
    Settle();
  }
  Check(cleared == 0 || cleared == -EALREADY || cleared == -ESRCH, "EVT-05: result");
  if (cleared != 0) Check(probe.Count(kReap) == 1, "EVT-05: refused, and no reap report");
}

RACE(KIL_01, SigkillAgainstTwoStops) {
  Stage stage;
  Hand& hand = stage.Process();
  utrace_task* const task = stage.Task(hand);
  Probe& a = stage.Engine("a");
  Probe& b = stage.Engine("b");
  const auto stop = [](const Callback& callback) -> uint32_t {
    return callback.event == kQuiesce && callback.about == 0 ? UTRACE_STOP : UTRACE_RESUME;
  };
  a.respond = stop;
  b.respond = stop;
  Check(a.Attach(task, kQuiesce) == 0 && b.Attach(task, kQuiesce | kDeath) == 0, "attach");
  hand.BeginCall(SYS_read, hand.slot().pipe, hand.Scratch(), 8);
  hand.AwaitBlocked();
  {
    const Explored explored;
    stage.Start("stopper", [&] {
      const int result = a.Control(UTRACE_INTERRUPT);
      Check(result == 0 || result == -ESRCH, "CTL-04");
    });
    stage.Start("killer", [&] { Kill(hand.tid(), SIGKILL); });
    stage.Join();
    // Else it is a deadlock.
    Until([&] { return hand.State() == 'Z'; });
    Settle();
  }
  Check(b.Count(kDeath) == 1, "KIL-03: no death report");
}

RACE(KIL_06, AStopFromReportExitDoesNotHoldTheKilled) {
  Stage stage;
  Hand& hand = stage.Process();
  Probe& probe = stage.Engine("probe");
  probe.respond = [](const Callback& callback) -> uint32_t {
    return callback.event == UTRACE_EVENT(EXIT) ? UTRACE_STOP : UTRACE_RESUME;
  };
  Check(probe.Attach(stage.Task(hand), UTRACE_EVENT(EXIT) | kDeath) == 0, "attach");
  {
    const Explored explored;
    hand.BeginCall(SYS_exit_group, 0);
    stage.Start("killer", [&] { Kill(hand.tid(), SIGKILL); });
    stage.Join();
    Until([&] { return hand.State() == 'Z'; });
    Settle();
  }
  Check(probe.Count(kDeath) == 1, "KIL-03: no death report");
}

RACE(EXE_04, AnExecutingThreadAgainstItsDyingLeader) {
  Stage stage;
  Hand& leader = stage.Process();
  Hand& thread = stage.Thread(leader);
  const pid_t pid = leader.tid();
  Probe& a = stage.Engine("leader's");
  Probe& b = stage.Engine("thread's");
  Check(a.Attach(stage.Task(leader), kDeath | kReap) == 0, "attach");
  utrace_task* const task = stage.Task(thread);
  Check(b.Attach(task, UTRACE_EVENT(EXEC) | kDeath) == 0, "attach");
  {
    const Explored explored;
    thread.Begin(UTRACE_TARGET_EXEC);
    leader.BeginCall(SYS_exit, 0);
    thread.AwaitReady();
    Until([&] { return a.Count(kReap) == 1; });
  }
  Check(a.Count(kDeath) == 1, "EXE-04: the leader's engine got no death report");
  Check(b.Count(UTRACE_EVENT(EXEC)) == 1 && b.Count(kDeath) == 0, "EXE-04: the thread's engine");
  Check(utrace_task_tid(task) == pid, "EXE-04: the task goes by the leader's id");
}

RACE(SYS_08, KilledAtTheEntryItDoesNotRunTheCall) {
  Stage stage;
  Hand& hand = stage.Process();
  utrace_task* const task = stage.Task(hand);
  Probe& probe = stage.Engine("probe");
  long number = -1;
  probe.respond = [&](const Callback&) -> uint32_t {
    utrace_syscall_number(task, &number);
    return number == SYS_getppid ? UTRACE_STOP : UTRACE_RESUME;
  };
  Check(probe.Attach(task, kEntry) == 0, "attach");
  hand.BeginCall(SYS_getppid);
  Until([&] { return hand.State() == 't'; });
  const uint32_t done = hand.slot().done;
  {
    const Explored explored;
    stage.Start("controller", [&] {
      const int result = probe.Control(UTRACE_RESUME);
      Check(result == 0 || result == -ESRCH, "CTL-04, CTL-30");
    });
    stage.Start("killer", [&] { Kill(hand.tid(), SIGKILL); });
    stage.Join();
    Until([&] { return hand.State() == 'Z'; });
  }
  Check(hand.slot().done <= done + 1, "SYS-08: it ran on");
}

RACE(SYS_06, AReportAskedForAtTheEntryRepeatsIt) {
  Stage stage;
  Hand& hand = stage.Process();
  utrace_task* const task = stage.Task(hand);
  Probe& probe = stage.Engine("probe");
  size_t entries = 0;
  size_t repeats = 0;
  probe.respond = [&](const Callback& callback) -> uint32_t {
    long number = -1;
    utrace_syscall_number(task, &number);
    if (callback.event != kEntry || number != SYS_getppid) return UTRACE_RESUME;
    if ((callback.action & UTRACE_SYSCALL_RESUMED) != 0) {
      ++repeats;
      return UTRACE_RESUME;
    }
    ++entries;
    return UTRACE_STOP;
  };
  Check(probe.Attach(task, kEntry | kQuiesce) == 0, "attach");
  Probe& other = stage.Engine("other");
  Check(other.Attach(task, kQuiesce) == 0, "attach");
  hand.BeginCall(SYS_getppid);
  Until([&] { return hand.State() == 't'; });
  {
    const Explored explored;
    stage.Start("controller a", [&] { Check(probe.Control(UTRACE_REPORT) == 0, "CTL-40"); });
    stage.Start("controller b", [&] { Check(other.Control(UTRACE_RESUME) == 0, "CTL-31"); });
    stage.Join();
    hand.Finish();
  }
  Check(entries == 1 && repeats == 1,
        "SYS-06: " + std::to_string(entries) + " entries, " + std::to_string(repeats) + " repeats");
}

RACE(REP_12, AStopOfOneEngineAgainstTheResumingOfAnother) {
  Stage stage;
  Hand& hand = stage.Process();
  utrace_task* const task = stage.Task(hand);
  Probe& a = stage.Engine("a");
  Probe& b = stage.Engine("b");
  Check(a.Attach(task, kQuiesce) == 0 && b.Attach(task, kQuiesce) == 0, "attach");
  a.respond = [](const Callback&) -> uint32_t { return UTRACE_STOP; };
  {
    const Explored explored;
    hand.BeginCall(SYS_getppid);
    stage.Start("controller a", [&] { a.Control(UTRACE_STOP); });
    stage.Start("controller b", [&] { b.Control(UTRACE_RESUME); });
    stage.Join();
    Settle();
  }
  // It is asleep where no safe point is, or held.
  Check(hand.State() == 't' || hand.State() == 'S', "REP-12: the stop was lost");
  if (hand.State() == 't') Check(a.Count(kQuiesce) >= 1, "CTL-21: stopped without a callback");
  a.respond = nullptr;
  a.Control(UTRACE_RESUME);
  hand.Finish();
}

}  // namespace
}  // namespace utrace::model
