// Attaching, looking up and leaving, against reports and against each other.
#include <cerrno>

#include "core/model/races/scene.h"

namespace utrace::model {
namespace {

constexpr unsigned long kEntry = UTRACE_EVENT(SYSCALL_ENTRY);
constexpr unsigned long kExit = UTRACE_EVENT(SYSCALL_EXIT);

RACE(ATT_20, TwoFirstAttachesBothSucceed) {
  Stage stage;
  Hand& hand = stage.Process();
  utrace_task* const task = stage.Task(hand);
  Probe& a = stage.Engine("a");
  Probe& b = stage.Engine("b");
  {
    const Explored explored;
    stage.Start("controller a", [&] { Check(a.Attach(task, kExit) == 0, "ATT-20: a"); });
    stage.Start("controller b", [&] { Check(b.Attach(task, kExit) == 0, "ATT-20: b"); });
    stage.Join();
  }
  hand.Call(SYS_getppid);
  Check(a.Count(kExit) >= 1 && b.Count(kExit) >= 1, "ATT-20: an engine was lost");
}

RACE(ATT_20, TheFirstAttachAgainstTheLastDetach) {
  Stage stage;
  Hand& hand = stage.Process();
  utrace_task* const task = stage.Task(hand);
  Probe& old = stage.Engine("old");
  Check(old.Attach(task, kExit) == 0, "attach");
  Probe& fresh = stage.Engine("fresh");
  {
    const Explored explored;
    stage.Start("leaver", [&] {
      const int left = old.Control(UTRACE_DETACH);
      Check(left == 0 || left == -EINPROGRESS, "CTL-11, CTL-12");
    });
    stage.Start("comer", [&] { Check(fresh.Attach(task, kExit) == 0, "ATT-20"); });
    hand.Call(SYS_getpid);
    stage.Join();
  }
  hand.Call(SYS_getppid);
  Check(fresh.Count(kExit) >= 1, "ATT-20: the new engine was lost");
}

RACE(ATT_06, OfTwoExclusiveAttachesOneSucceeds) {
  Stage stage;
  Hand& hand = stage.Process();
  utrace_task* const task = stage.Task(hand);
  Probe& a = stage.Engine("a");
  Probe& b = stage.Engine("b");
  int status_a = 1;
  int status_b = 1;
  constexpr int kFlags = UTRACE_ATTACH_CREATE | UTRACE_ATTACH_EXCLUSIVE | UTRACE_ATTACH_MATCH_OPS;
  {
    const Explored explored;
    stage.Start("controller a", [&] { status_a = a.Attach(task, 0, kFlags); });
    stage.Start("controller b", [&] { status_b = b.Attach(task, 0, kFlags); });
    stage.Join();
  }
  const bool one = (status_a == 0 && status_b == -EEXIST) || (status_b == 0 && status_a == -EEXIST);
  Check(one, "ATT-06: not exactly one of two exclusive attaches succeeded");
}

RACE(ATT_14, WhoAttachesDuringAReportIsNotInIt) {
  Stage stage;
  Hand& hand = stage.Process();
  utrace_task* const task = stage.Task(hand);
  Probe& first = stage.Engine("first");
  Probe& late = stage.Engine("late");
  size_t callbacks = 0;
  size_t in_callback = 0;  // its number; zero outside
  bool attached_within = false;
  first.respond = [&](const Callback&) -> uint32_t {
    in_callback = ++callbacks;
    Point();
    Point();
    in_callback = 0;
    return UTRACE_RESUME;
  };
  Check(first.Attach(task, kExit) == 0, "attach");
  size_t reports = 0;
  late.respond = [&](const Callback&) -> uint32_t {
    ++reports;
    return UTRACE_RESUME;
  };
  size_t before = 0;
  {
    const Explored explored;
    hand.BeginCall(SYS_getppid);
    stage.Start("comer", [&] {
      const size_t began = in_callback;
      Check(late.Attach(task, kExit) == 0, "attach");
      // Still in the same callback: everything happened within one report.
      attached_within = began != 0 && in_callback == began;
      before = first.Count(kExit);
    });
    stage.Join();
  }
  hand.Finish();
  Hand again = hand;
  again.Call(SYS_getpid);
  Settle();
  // Two calls with exits beside the channel's: whatever `first` got after the attach, `late` got too.
  const size_t since = first.Count(kExit) - before;
  Check(!attached_within || reports == since, "ATT-14: called in the report it attached during");
  Check(reports <= since + 1, "ATT-14: more reports than there were");
}

RACE(ATT_16, AControllerSeesWhatTheParentsEnginesAttached) {
  Stage stage;
  Hand& hand = stage.Process();
  utrace_task* const task = stage.Task(hand);
  Probe& parent = stage.Engine("parent's");
  Probe& child = stage.Engine("child's");
  Probe& foreign = stage.Engine("controller's");
  parent.respond = [&](const Callback& callback) -> uint32_t {
    if (callback.event != UTRACE_EVENT(CLONE)) return UTRACE_RESUME;
    Point();
    Check(child.Attach(callback.child) == 0, "ATT-15: attach to the child in report_clone");
    return UTRACE_RESUME;
  };
  Check(parent.Attach(task, UTRACE_EVENT(CLONE)) == 0, "attach");
  int status = 1;
  Hand newborn(20);
  {
    const Explored explored;
    hand.Begin(UTRACE_TARGET_SPAWN, SYS_clone, SIGCHLD, 0, 0, 0, 0, newborn.index());
    stage.Start("controller", [&] {
      Until([&] { return newborn.tid() != 0; });
      utrace_task* const born = stage.Task(newborn);
      status = foreign.Attach(
          born, 0, UTRACE_ATTACH_CREATE | UTRACE_ATTACH_EXCLUSIVE | UTRACE_ATTACH_MATCH_OPS);
    });
    stage.Join();
  }
  newborn.AwaitReady();
  hand.Finish();
  Check(status == -EEXIST, "ATT-16: the attach completed before report_clone had returned");
}

RACE(ATT_17, AnInterruptedAttachToANewbornAttachesNothing) {
  Stage stage;
  Hand& hand = stage.Process();
  utrace_task* const task = stage.Task(hand);
  Probe& parent = stage.Engine("parent's");
  Probe& foreign = stage.Engine("controller's");
  bool open = false;
  parent.respond = [&](const Callback&) -> uint32_t {
    Until([&] { return open; });
    return UTRACE_RESUME;
  };
  Check(parent.Attach(task, UTRACE_EVENT(CLONE)) == 0, "attach");
  int status = 1;
  Hand newborn(20);
  utrace_task* born = nullptr;
  hand.Begin(UTRACE_TARGET_SPAWN, SYS_clone, SIGCHLD, 0, 0, 0, 0, newborn.index());
  Until([&] { return newborn.tid() != 0; });
  born = stage.Task(newborn);
  {
    const Explored explored;
    const FiberId waiter = stage.Start("controller", [&] { status = foreign.Attach(born); });
    stage.Start("interrupter", [&, waiter] {
      Until([&] { return IsWaiting(waiter) || HasEnded(waiter); });
      Interrupt(waiter);
      open = true;
    });
    stage.Join();
  }
  newborn.AwaitReady();
  hand.Finish();
  Check(status == 0 || status == -UTRACE_ERESTARTNOINTR,
        "ATT-17: neither attached nor interrupted");
  utrace_engine* const found =
      utrace_attach_task(born, UTRACE_ATTACH_MATCH_DATA, nullptr, &foreign);
  if (status == 0) {
    Check(found == foreign.engine(), "ATT-17: not attached after success");
    utrace_engine_put(found);
  } else {
    Check(UTRACE_IS_ERR(found), "ATT-17: attached although interrupted");
  }
}

RACE(ATT_10, AttachAgainstReaping) {
  Stage stage;
  Hand& hand = stage.Process();
  utrace_task* const task = stage.Task(hand);
  const pid_t pid = hand.tid();
  Probe& probe = stage.Engine("probe");
  int status = 1;
  {
    const Explored explored;
    hand.BeginCall(SYS_exit_group, 0);
    stage.parent().BeginCall(SYS_wait4, pid, stage.parent().Scratch(), 0);
    stage.Start("controller", [&] {
      status = probe.Attach(task);
      if (status == 0) {
        const int set = probe.SetEvents(UTRACE_EVENT(REAP));
        Check(set == 0 || set == -ESRCH, "EVT-02: set_events on a task that goes");
      }
    });
    stage.Join();
    stage.parent().Finish();
  }
  Until([&] { return hand.State() == '-'; });
  Check(status == 0 || status == -ESRCH, "ATT-10, ATT-11: attach to a task that goes");
  Settle();
  if (status == 0) {
    Check(utrace_control(task, probe.engine(), UTRACE_DETACH) == -ESRCH,
          "REF-06: still attached after the reaping");
  }
}

RACE(REF_03, ReleaseOnceWhoeverLetsGoLast) {
  Stage stage;
  Hand& hand = stage.Process();
  utrace_task* const task = stage.Task(hand);
  Probe& probe = stage.Engine("probe");
  probe.respond = [](const Callback&) -> uint32_t { return UTRACE_DETACH; };
  Check(probe.Attach(task, kEntry) == 0, "attach");
  {
    const Explored explored;
    hand.BeginCall(SYS_getppid);
    stage.Start("owner", [&] { probe.Put(); });
    stage.Join();
    hand.Finish();
  }
  Settle();
  Check(probe.released(), "REF-04: release was not called");
}

RACE(REF_05, ReleaseNotBesideACallback) {
  Stage stage;
  Hand& hand = stage.Process();
  utrace_task* const task = stage.Task(hand);
  Probe& probe = stage.Engine("probe");
  probe.respond = [](const Callback&) -> uint32_t {
    Point();
    return UTRACE_RESUME;
  };
  Check(probe.Attach(task, kEntry) == 0, "attach");
  {
    const Explored explored;
    hand.BeginCall(SYS_getppid);
    stage.Start("owner", [&] {
      const int result = probe.Control(UTRACE_DETACH);
      Check(result == 0 || result == -EINPROGRESS, "CTL-11, CTL-12");
      probe.Put();
    });
    stage.Join();
    hand.Finish();
  }
  Settle();
  Check(probe.released(), "REF-03: release was not called");
}

}  // namespace
}  // namespace utrace::model
