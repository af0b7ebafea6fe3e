// control, barrier, set_events and examine, against callbacks and against each other.
#include <cerrno>

#include "core/model/races/scene.h"

namespace utrace::model {
namespace {

constexpr unsigned long kQuiesce = UTRACE_EVENT(QUIESCE);
constexpr unsigned long kEntry = UTRACE_EVENT(SYSCALL_ENTRY);
constexpr unsigned long kExit = UTRACE_EVENT(SYSCALL_EXIT);

uint32_t Linger(const Callback&) {
  Point();
  return UTRACE_RESUME;
}

RACE(CTL_11, DetachAgainstACallback) {
  Stage stage;
  Hand& hand = stage.Process();
  Probe& probe = stage.Engine("probe");
  probe.respond = Linger;
  Check(probe.Attach(stage.Task(hand), kEntry | kExit) == 0, "attach");
  {
    const Explored explored;
    hand.BeginCall(SYS_getppid);
    stage.Start("controller", [&] {
      const bool runs = probe.running();
      const int result = probe.Control(UTRACE_DETACH);
      Check(result == 0 || result == -EINPROGRESS, "CTL-11, CTL-12: result of DETACH");
      Check(!(result == 0 && runs && probe.running()), "CTL-11: zero while a callback runs");
      Check(probe.Control(UTRACE_DETACH) == -ESRCH, "CTL-17");
      const int barrier = probe.Barrier();
      Check(barrier == -ESRCH || barrier == 0, "BAR-05");
      Check(!probe.running(), "BAR-05: a callback runs after the barrier");
    });
    hand.Finish();
    stage.Join();
  }
}

RACE(CTL_05, ATaskIsStoppedAsLongAsOneEngineWantsIt) {
  Stage stage;
  Hand& hand = stage.Process();
  utrace_task* const task = stage.Task(hand);
  Probe& a = stage.Engine("a");
  Probe& b = stage.Engine("b");
  Check(a.Attach(task, kQuiesce) == 0 && b.Attach(task, kQuiesce) == 0, "attach");
  a.respond = [](const Callback&) -> uint32_t { return UTRACE_STOP; };
  b.respond = a.respond;
  Check(a.Control(UTRACE_STOP) == -EINPROGRESS, "CTL-21");
  hand.BeginCall(SYS_getppid);
  Until([&] { return hand.State() == 't'; });
  a.respond = nullptr;
  b.respond = nullptr;
  bool b_lets_go = false;
  {
    const Explored explored;
    stage.Start("controller a", [&] { Check(a.Control(UTRACE_RESUME) == 0, "CTL-30: a"); });
    stage.Start("controller b", [&] {
      // However far a is: b's own stop holds.
      Check(hand.State() == 't', "CTL-05: it runs although b wants it stopped");
      Check(b.Control(UTRACE_STOP) == 0, "CTL-20: it is stopped");
      b_lets_go = true;
      Check(b.Control(UTRACE_RESUME) == 0, "CTL-30: b");
    });
    hand.Finish();
    stage.Join();
  }
  Check(b_lets_go, "CTL-05: it ran before b let go");
}

RACE(CTL_20, AStopThatReturnedZeroHolds) {
  Stage stage;
  Hand& hand = stage.Process();
  utrace_task* const task = stage.Task(hand);
  Probe& a = stage.Engine("a");
  Probe& b = stage.Engine("b");
  Check(a.Attach(task, kQuiesce) == 0 && b.Attach(task, kQuiesce) == 0, "attach");
  a.respond = [](const Callback&) -> uint32_t { return UTRACE_STOP; };
  a.Control(UTRACE_STOP);
  hand.BeginCall(SYS_getppid);
  Until([&] { return hand.State() == 't'; });
  a.respond = nullptr;
  int stopped = 1;
  {
    const Explored explored;
    stage.Start("controller a", [&] { a.Control(UTRACE_RESUME); });
    stage.Start("controller b", [&] {
      stopped = b.Control(UTRACE_STOP);
      Check(stopped == 0 || stopped == -EINPROGRESS, "CTL-20, CTL-21: result of STOP");
    });
    stage.Join();
    Settle();
  }
  if (stopped == 0) {
    Check(hand.State() == 't', "CTL-20: STOP returned zero and the task runs");
    Check(b.Count(kQuiesce) == 1, "CTL-20: b was called although the task never resumed");
  }
  b.Control(UTRACE_RESUME);
  hand.Finish();
}

RACE(CTL_24, NoStopOutlivesItsEngine) {
  Stage stage;
  Hand& hand = stage.Process();
  utrace_task* const task = stage.Task(hand);
  Probe& probe = stage.Engine("probe");
  Check(probe.Attach(task) == 0, "attach");
  {
    const Explored explored;
    hand.BeginCall(SYS_getppid);
    stage.Start("controller", [&] {
      const int result = probe.Control(UTRACE_STOP);
      Check(result == 0 || result == -EINPROGRESS, "CTL-23: STOP without QUIESCE");
      Check(probe.Control(UTRACE_DETACH) == 0, "CTL-12");
    });
    stage.Join();
    // Else it is stopped for ever, and the run a deadlock.
    hand.Finish();
  }
}

RACE(CTL_25, AStopTakenBackLeavesNoTrace) {
  Stage stage;
  Hand& hand = stage.Process();
  utrace_task* const task = stage.Task(hand);
  Probe& probe = stage.Engine("probe");
  Check(probe.Attach(task, kQuiesce) == 0, "attach");
  {
    const Explored explored;
    hand.BeginCall(SYS_getppid);
    stage.Start("controller", [&] {
      probe.Control(UTRACE_STOP);
      Check(probe.Control(UTRACE_RESUME) == 0, "CTL-30, CTL-31");
    });
    stage.Join();
    hand.Finish();
  }
}

RACE(CTL_44, ResumeDoesNotCancelAReport) {
  Stage stage;
  Hand& hand = stage.Process();
  utrace_task* const task = stage.Task(hand);
  Probe& a = stage.Engine("a");
  Probe& b = stage.Engine("b");
  Check(a.Attach(task, kQuiesce) == 0 && b.Attach(task, kQuiesce) == 0, "attach");
  {
    const Explored explored;
    hand.BeginCall(SYS_getppid);
    stage.Start("controller a", [&] {
      Check(a.Control(UTRACE_REPORT) == 0, "CTL-43");
      Check(a.Control(UTRACE_RESUME) == 0, "CTL-31");
    });
    stage.Start("controller b", [&] { Check(b.Control(UTRACE_RESUME) == 0, "CTL-31"); });
    stage.Join();
    hand.Finish();
  }
  hand.Call(SYS_getppid);
  Check(a.Count(kQuiesce) >= 1, "CTL-44: the report that was asked for was not made");
}

RACE(CTL_51, InterruptAgainstTheEndOfACall) {
  Stage stage;
  Hand& hand = stage.Process();
  utrace_task* const task = stage.Task(hand);
  Probe& probe = stage.Engine("probe");
  Check(probe.Attach(task, kQuiesce) == 0, "attach");
  hand.BeginCall(SYS_read, hand.slot().pipe, hand.Scratch(), 8);
  hand.AwaitBlocked();
  {
    const Explored explored;
    stage.Start("controller", [&] { Check(probe.Control(UTRACE_INTERRUPT) == 0, "CTL-50"); });
    stage.Start("writer", [&] { utrace_target_feed(hand.index(), "x", 1); });
    stage.Join();
    Check(hand.Finish() == 1, "CTL-51: the program noticed the interruption");
  }
  Check(probe.calls() >= 1, "CTL-50: no report after INTERRUPT");
}

RACE(BAR_03, TheBarrierWaitsForTheCallback) {
  Stage stage;
  Hand& hand = stage.Process();
  Probe& probe = stage.Engine("probe");
  size_t ended = 0;
  probe.respond = [&](const Callback&) -> uint32_t {
    Point();
    ++ended;
    return UTRACE_RESUME;
  };
  Check(probe.Attach(stage.Task(hand), kExit) == 0, "attach");
  {
    const Explored explored;
    hand.BeginCall(SYS_getppid);
    for (const char* name : {"controller a", "controller b"}) {
      stage.Start(name, [&] {
        const size_t began = probe.calls();
        Check(probe.Barrier() == 0, "BAR-03: result");
        Check(ended >= began, "BAR-03: it returned before the callback");
      });
    }
    hand.Finish();
    stage.Join();
  }
}

RACE(BAR_07, AnInterruptedBarrier) {
  Stage stage;
  Hand& hand = stage.Process();
  Probe& probe = stage.Engine("probe");
  bool open = false;
  probe.respond = [&](const Callback&) -> uint32_t {
    Until([&] { return open; });
    return UTRACE_RESUME;
  };
  Check(probe.Attach(stage.Task(hand), kExit) == 0, "attach");
  hand.BeginCall(SYS_getppid);
  Until([&] { return probe.running(); });
  {
    const Explored explored;
    const FiberId waiter = stage.Start("controller", [&] {
      const int result = probe.Barrier();
      Check(result == -UTRACE_ERESTARTSYS || result == 0, "BAR-07: result");
      Check(result != 0 || open, "BAR-07: zero while the callback runs");
    });
    stage.Start("interrupter", [&, waiter] {
      Interrupt(waiter);
      Point();
      open = true;
    });
    stage.Join();
    hand.Finish();
  }
}

RACE(BAR_08, WhatWasClearedBeforeABarrierIsOver) {
  Stage stage;
  Hand& hand = stage.Process();
  Probe& probe = stage.Engine("probe");
  probe.respond = Linger;
  Check(probe.Attach(stage.Task(hand), kEntry | kExit) == 0, "attach");
  {
    const Explored explored;
    hand.BeginCall(SYS_getppid);
    stage.Start("controller", [&] {
      const int result = probe.SetEvents(0);
      Check(result == 0 || result == -EINPROGRESS, "EVT-07");
      Check(probe.Barrier() == 0, "BAR-08: result");
      Check(!probe.running(), "BAR-08: a callback that was disabled runs");
    });
    hand.Finish();
    stage.Join();
  }
}

RACE(EVT_07, ClearingDuringACallbackSaysSo) {
  Stage stage;
  Hand& hand = stage.Process();
  Probe& probe = stage.Engine("probe");
  probe.respond = Linger;
  Check(probe.Attach(stage.Task(hand), kEntry | kExit) == 0, "attach");
  {
    const Explored explored;
    hand.BeginCall(SYS_getppid);
    stage.Start("controller", [&] {
      int result = probe.SetEvents(kExit);
      Check(result == 0 || result == -EINPROGRESS, "EVT-07: result");
      while (result == -EINPROGRESS) {
        Yield();
        result = probe.SetEvents(kExit);  // [EVT-12]
      }
      Check(result == 0, "EVT-12");
      Check(!probe.running() || probe.log().back() == kExit,
            "EVT-12: zero while the disabled callback runs");
    });
    hand.Finish();
    stage.Join();
  }
}

RACE(EXM_04, ExamineAgainstSigkill) {
  Stage stage;
  Hand& hand = stage.Process();
  utrace_task* const task = stage.Task(hand);
  Probe& probe = stage.Engine("probe");
  probe.respond = [](const Callback& callback) -> uint32_t {
    return callback.event == kQuiesce && callback.about == 0 ? UTRACE_STOP : UTRACE_RESUME;
  };
  Check(probe.Attach(task, kQuiesce) == 0, "attach");
  probe.Control(UTRACE_STOP);
  hand.BeginCall(SYS_getppid);
  Until([&] { return hand.State() == 't'; });
  const uint32_t done = hand.slot().done;
  {
    const Explored explored;
    stage.Start("examiner", [&] {
      utrace_examiner examiner{};
      const int prepared = utrace_prepare_examine(task, probe.engine(), &examiner);
      Check(prepared == 0 || prepared == -EAGAIN || prepared == -ESRCH, "EXM-03, EXM-04");
      if (prepared != 0) return;
      uint64_t pc = 0;
      const int read = utrace_get_pc(task, &pc);
      const int written = read == 0 ? utrace_set_pc(task, pc) : read;
      Check(read == 0 || read == -ESRCH || read == -EINVAL, "KIL-05: reading");
      Check(written == 0 || written == -ESRCH || written == -EINVAL, "KIL-05: writing");
      const int finished = utrace_finish_examine(task, probe.engine(), &examiner);
      Check(finished == 0 || finished == -EAGAIN, "EXM-06, EXM-07");
      Check(finished == -EAGAIN || (read == 0 && written == 0), "EXM-06: zero, and it had woken");
    });
    stage.Start("killer", [&] { Kill(hand.tid(), SIGKILL); });
    stage.Join();
    Until([&] { return hand.State() == 'Z'; });
  }
  Check(hand.slot().done == done, "KIL-05: it ran user code");
}

RACE(EXM_07, ExamineAgainstResumeAndStop) {
  Stage stage;
  Hand& hand = stage.Process();
  utrace_task* const task = stage.Task(hand);
  Probe& probe = stage.Engine("probe");
  probe.respond = [](const Callback&) -> uint32_t { return UTRACE_STOP; };
  Check(probe.Attach(task, kQuiesce) == 0, "attach");
  probe.Control(UTRACE_STOP);
  hand.BeginCall(SYS_getppid);
  Until([&] { return hand.State() == 't'; });
  bool resumed = false;
  {
    const Explored explored;
    stage.Start("examiner", [&] {
      utrace_examiner examiner{};
      const int prepared = utrace_prepare_examine(task, probe.engine(), &examiner);
      if (prepared != 0) return;
      const size_t calls = probe.calls();
      Point();
      const int finished = utrace_finish_examine(task, probe.engine(), &examiner);
      Check(finished == 0 || finished == -EAGAIN || finished == -EINVAL, "EXM-07: result");
      Check(resumed || finished == 0, "EXM-06: it stayed stopped");
      Check(finished != 0 || probe.calls() == calls, "EXM-07: zero, and it had woken");
    });
    stage.Start("controller", [&] {
      resumed = true;
      probe.Control(UTRACE_REPORT);
    });
    stage.Join();
    Settle();  // its callback stopped the task again
  }
  Check(hand.State() == 't', "REP-06: the stop was lost");
  probe.respond = nullptr;
  probe.Control(UTRACE_RESUME);
  hand.Finish();
}

}  // namespace
}  // namespace utrace::model
