// Scenes for clauses about callbacks in progress: one callback of a wanted kind, made to happen by a
// puppet, and an engine that is held inside it.
#ifndef CONFORMANCE_CLAUSES_CALLBACK_SCENES_H_
#define CONFORMANCE_CLAUSES_CALLBACK_SCENES_H_

#include "conformance/kit/test.h"

namespace utrace::kit {

// The event mask that leads to the callback of an Occasion.
inline unsigned long OccasionEvents(What what) {
  // Before the callback of a clone event.
  if (what == What::kQuiesce) return UTRACE_EVENT(QUIESCE) | UTRACE_EVENT(CLONE);
  if (what == What::kSignal) return UTRACE_EVENT(SIGNAL);
  return history::EventsOf(what);
}

// Something a puppet does once, whose callback can be told from all others.
class Occasion {
 public:
  // Before any engine is attached: it makes the puppet ready.
  Occasion(What what, Puppet& puppet) : what_(what), puppet_(puppet) {
    if (what == What::kSignal && puppet.Sigaction(SIGUSR1, Disposition::kHandler) != 0) {
      Broken("the puppet cannot install a handler");
    }
  }

  // Whether this is the callback that the occasion is for. Callable in callbacks.
  bool Is(const Report& report) const {
    if (report.what != what_) return false;
    switch (what_) {
      case What::kQuiesce:
        return report.event == UTRACE_EVENT(CLONE);
      case What::kSignal:
        return report.has_orig_ka && report.signo() == SIGUSR1;
      case What::kSyscallEntry:
      case What::kSyscallExit:
        return report.syscall == SYS_getppid;
      default:
        return true;
    }
  }

  // Starts it and does not wait for anything.
  void Begin() {
    switch (what_) {
      case What::kQuiesce:
      case What::kClone:
        puppet_.BeginFork();
        break;
      case What::kSignal:
        puppet_.BeginRaise(SIGUSR1);
        break;
      case What::kJctl:
        puppet_.Kill(SIGTSTP);
        break;
      case What::kExec:
        puppet_.BeginExec();
        break;
      case What::kSyscallEntry:
      case What::kSyscallExit:
        puppet_.Begin(SYS_getppid);
        break;
      case What::kExit:
      case What::kDeath:
        puppet_.BeginExitGroup(0);
        break;
      case What::kReap:
        puppet_.BeginExitGroup(0);
        puppet_.AwaitDeath();
        puppet_.nanny().BeginWait(puppet_.pid());
        break;
      default:
        Broken(std::string("no occasion leads to ") + WhatName(what_));
    }
  }

  // Waits until the puppet is through with it. The callback must not be held any more.
  void Finish() {
    switch (what_) {
      case What::kExec:
        puppet_.FinishExec();
        break;
      case What::kJctl:
        puppet_.Kill(SIGCONT);
        break;
      case What::kExit:
      case What::kDeath:
        puppet_.AwaitDeath();
        break;
      case What::kReap:
        puppet_.nanny().FinishWait();
        break;
      default:
        puppet_.Finish();
        break;
    }
  }

  What what() const { return what_; }
  unsigned long events() const { return OccasionEvents(what_); }

 private:
  const What what_;
  Puppet& puppet_;
};

// An engine on `puppet` that waits inside the callback of one occasion.
//
//   HeldCallback held(What::kSyscallEntry, puppet);
//   held.Begin();    // from here on the callback is in progress
//   ...
//   held.End();      // it returns, and the puppet finishes what it was doing
class HeldCallback {
 public:
  // `more` are events beside those of the occasion; the callback will return `resume`.
  HeldCallback(What what, Puppet& puppet, unsigned long more = 0, uint32_t resume = UTRACE_RESUME)
      : occasion_(what, puppet), gate_(std::string("a held ") + WhatName(what)), engine_("held") {
    engine_.On(what, [this, resume](Report& report) -> uint32_t {
      if (!occasion_.Is(report)) return PassThrough(report);
      gate_.Wait();
      return (PassThrough(report) & ~UTRACE_RESUME_MASK) | resume;
    });
    events_ = occasion_.events() | more;
    AssertOneOf(engine_.AttachTid(puppet.tid()), {0});
    AssertOneOf(engine_.SetEvents(events_), {0});
  }

  void Begin() {
    occasion_.Begin();
    gate_.AwaitArrival();
  }
  void Open() { gate_.Open(); }
  void End() {
    gate_.Open();
    occasion_.Finish();
  }

  TestEngine& engine() { return engine_; }
  Gate& gate() { return gate_; }
  unsigned long events() const { return events_; }

 private:
  Occasion occasion_;
  Gate gate_;
  TestEngine engine_;
  unsigned long events_ = 0;
};

// Runs `check` inside the callback of one occasion, which has to come exactly once.
inline void InCallback(What what, Puppet& puppet, unsigned long more,
                       const std::function<void(TestEngine&, Report&)>& check) {
  Occasion occasion(what, puppet);
  TestEngine engine("engine");
  engine.On(what, [&](Report& report) -> uint32_t {
    if (occasion.Is(report)) check(engine, report);
    return PassThrough(report);
  });
  AssertOneOf(engine.AttachTid(puppet.tid()), {0});
  AssertOneOf(engine.SetEvents(occasion.events() | more), {0});
  occasion.Begin();
  engine.AwaitLog(std::string("the callback ") + WhatName(what), [&](const auto& log) {
    for (const Report& report : log) {
      if (report.end != 0 && occasion.Is(report)) return true;
    }
    return false;
  });
  occasion.Finish();
}

// The engine's mask without bits that are the implementation's own.
inline unsigned long MaskOf(const TestEngine& engine) {
  return engine.get()->flags & UTRACE_EVENT_ALL;
}

// Kills the puppet's process and waits until the report of its death is over: then, and not before,
// DETACH of an engine succeeds. Uses up `probe`, which is attached to the puppet and has DEATH.
inline void AwaitDeathReportOver(TestEngine& probe) {
  probe.AwaitEnded(What::kDeath);
  int result = 0;
  if (!PollUntil([&] {
        result = probe.Control(UTRACE_DETACH);
        return result != -EALREADY;
      }) ||
      result != 0) {
    Failed("DETACH after the death report gives " + ErrnoName(result));
  }
}

}  // namespace utrace::kit

#endif  // CONFORMANCE_CLAUSES_CALLBACK_SCENES_H_
