#include "stress/storm/visit.h"

#include <sched.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <optional>
#include <string>
#include <thread>

#include "conformance/kit/api.h"
#include "core/machine.h"
#include "stress/storm/party.h"

namespace utrace::storm {
namespace {

using history::What;
using kit::api;

constexpr unsigned long kAlways = UTRACE_EVENT(QUIESCE);
// Longer than this a controller does not wait for a task to stop: it may sleep in a call.
constexpr auto kPatience = std::chrono::milliseconds(20);
constexpr auto kLookEvery = std::chrono::microseconds(50);

// The callbacks in which a process can be killed.
constexpr std::array kKillIn = {What::kQuiesce,      What::kSignal,      What::kClone, What::kExec,
                                What::kSyscallEntry, What::kSyscallExit, What::kExit};

std::string KindOf(const Report& report) {
  std::string kind = "kill in ";
  kind += history::WhatName(report.what);
  const bool vfork = report.what == What::kClone && (report.clone_flags & CLONE_VFORK) != 0;
  return vfork ? kind + " of vfork" : kind;
}

// Answers at random, without changing what the program does.
class Visitor final : public Party {
 public:
  Visitor(Storm* storm, uint64_t seed, std::optional<What> kill_in)
      : Party(storm->counts()), storm_(*storm), random_(seed), kill_in_(kill_in) {}

  bool killed() const { return killed_; }
  void Asked() { asked_ = Clock::now().time_since_epoch().count(); }

  uint32_t Answer(const Report& report) override {
    if (report.asked_for()) {
      const auto asked = asked_.exchange(0);
      if (asked != 0) {
        counts().report.Add(Clock::now().time_since_epoch() - std::chrono::nanoseconds(asked));
      }
    }
    if (kill_in_ == report.what && !killed_) {
      killed_ = true;
      Kill(report);
    }
    return report.With(Wish());
  }

 private:
  enum utrace_resume_action Wish() {
    const enum utrace_resume_action wish = AnyWish();
    const bool step = wish == UTRACE_SINGLESTEP || wish == UTRACE_BLOCKSTEP;
    return step && !storm_.options().steps ? UTRACE_RESUME : wish;
  }
  enum utrace_resume_action AnyWish() {
    const uint64_t dice = random_.Below(100);
    if (dice < 80) return UTRACE_RESUME;
    if (dice < 86) return UTRACE_REPORT;
    if (dice < 88) return UTRACE_INTERRUPT;
    if (dice < 92) return UTRACE_SINGLESTEP;
    if (dice < 94) return UTRACE_BLOCKSTEP;
    if (dice < 98) return UTRACE_STOP;
    return UTRACE_DETACH;
  }

  void Kill(const Report& report) {
    const pid_t process = api().utrace_task_tgid(report.task);
    if (process == storm_.root()) return;
    if (kill(process, SIGKILL) == 0) counts().Fault(KindOf(report));
  }

  Storm& storm_;
  Random random_;
  const std::optional<What> kill_in_;
  std::atomic<bool> killed_ = false;
  std::atomic<int64_t> asked_ = 0;  // when a report was asked for; zero: none is due
};

// One engine on one task, in the hands of one controller.
class VisitInProgress {
 public:
  VisitInProgress(Storm* storm, Watched* watched, Random* random)
      : storm_(*storm), counts_(storm->counts()), watched_(*watched), random_(*random) {}

  bool Begin(std::optional<What> kill_in = {}) {
    auto visitor = std::make_unique<Visitor>(&storm_, random_.Next(), kill_in);
    Party* const data = visitor.get();
    const bool by_pid = watched_.pid != nullptr && random_.OneIn(3);
    const auto start = Clock::now();
    engine_ =
        by_pid ? api().utrace_attach_pid(watched_.pid, UTRACE_ATTACH_CREATE, &Party::kOps, data)
               : api().utrace_attach_task(watched_.task, UTRACE_ATTACH_CREATE, &Party::kOps, data);
    const int status = UTRACE_IS_ERR(engine_) ? UTRACE_PTR_ERR(engine_) : 0;
    if (counts_.Call("attach", status, {0, -ESRCH}) != 0) return false;
    counts_.attach.Add(Clock::now() - start);
    visitor_ = visitor.release();  // the engine's from now on
    ++counts_.attached;
    return true;
  }

  void Act() {
    switch (random_.Below(9)) {
      case 0:
      case 1:
        return SetEvents(random_.Next() & UTRACE_EVENT_ALL);
      case 2:
        visitor_->Asked();
        return Control("control REPORT", UTRACE_REPORT, true);
      case 3:
        visitor_->Asked();
        return Control("control INTERRUPT", UTRACE_INTERRUPT, false);
      case 4:
        if (Hold()) LetGo();
        return;
      case 5:
        counts_.Call("lookup", Lookup(), {0, -ENOENT, -ESRCH});
        return;
      case 6:
        counts_.Call("barrier", TimedBarrier(), {0, -ESRCH});
        return;
      case 7:
        return Control("control RESUME", UTRACE_RESUME, false);
      default:
        return Step(random_.OneIn(2));
    }
  }

  void End() {
    const auto start = Clock::now();
    int status =
        counts_.Call("control DETACH", api().utrace_control(watched_.task, engine_, UTRACE_DETACH),
                     {0, -EINPROGRESS, -EALREADY, -ESRCH});
    if (status == -EINPROGRESS || status == -EALREADY) {
      counts_.Call("barrier after DETACH", api().utrace_barrier(watched_.task, engine_),
                   {0, -ESRCH});
      if (status == -EALREADY) {
        // It was in its death report; now it is dead, and may be reaped.
        status = api().utrace_control(watched_.task, engine_, UTRACE_DETACH);
        counts_.Call("control DETACH of a dead task", status, {0, -EINPROGRESS, -ESRCH, -EALREADY});
      }
    }
    counts_.detach.Add(Clock::now() - start);
    api().utrace_engine_put(engine_);
  }

  // Waits a little for the callback that kills.
  void AwaitKill() {
    SetEvents(UTRACE_EVENT_ALL);
    const auto start = Clock::now();
    while (!visitor_->killed() && Clock::now() - start < kPatience) std::this_thread::yield();
  }

  // Stops the task, kills its process while it is held, and sees it die at once.
  void KillHeld() {
    SetEvents(kAlways);
    if (Hold()) Kill();
  }

 private:
  void SetEvents(unsigned long events) {
    // Clearing what can't be cleared any more would fail as a whole.
    events |= kAlways;
    counts_.Call("set_events", api().utrace_set_events(watched_.task, engine_, events),
                 {0, -EINPROGRESS, -EALREADY, -ESRCH});
  }

  void Control(const char* name, enum utrace_resume_action action, bool needs_quiesce) {
    const int status = api().utrace_control(watched_.task, engine_, action);
    if (needs_quiesce && (engine_->flags & kAlways) == 0) {
      counts_.Call(name, status, {-EINVAL, -ESRCH});
    } else if (action == UTRACE_SINGLESTEP || action == UTRACE_BLOCKSTEP) {
      counts_.Call(name, status, {0, -ESRCH, -EOPNOTSUPP});
    } else {
      counts_.Call(name, status, {0, -ESRCH});
    }
  }

  void Step(bool block) {
    if (!storm_.options().steps) {
      Control("control RESUME", UTRACE_RESUME, false);
    } else if (block) {
      Control("control BLOCKSTEP", UTRACE_BLOCKSTEP, true);
    } else {
      Control("control SINGLESTEP", UTRACE_SINGLESTEP, true);
    }
  }

  int Lookup() {
    utrace_engine* const found =
        api().utrace_attach_task(watched_.task, UTRACE_ATTACH_MATCH_OPS | UTRACE_ATTACH_MATCH_DATA,
                                 &Party::kOps, engine_->data);
    if (UTRACE_IS_ERR(found)) return UTRACE_PTR_ERR(found);
    if (found != engine_) counts_.Breach("a lookup by data found another engine");
    api().utrace_engine_put(found);
    return 0;
  }

  int TimedBarrier() {
    const auto start = Clock::now();
    const int status = api().utrace_barrier(watched_.task, engine_);
    counts_.barrier.Add(Clock::now() - start);
    return status;
  }

  // Stops the task and looks at it. False if it did not stop.
  bool Hold() {
    const auto start = Clock::now();
    int status = api().utrace_control(watched_.task, engine_, UTRACE_STOP);
    if (counts_.Call("control STOP", status, {0, -EINPROGRESS, -ESRCH}) == -ESRCH) return false;
    utrace_examiner examiner = {};
    // An answer of the engine may have let go of it meanwhile: -EINVAL.
    while ((status = Prepare(&examiner)) == -EAGAIN && Clock::now() - start < kPatience) {
      std::this_thread::sleep_for(kLookEvery);
    }
    if (status != 0) return false;
    counts_.hold.Add(Clock::now() - start);
    unsigned long pc = 0;
    const int read = api().utrace_get_pc(watched_.task, &pc);
    counts_.Call("get_pc of a held task", read, {0, -EAGAIN, -EINVAL, -ESRCH});
    status = api().utrace_finish_examine(watched_.task, engine_, &examiner);
    counts_.Call("finish_examine", status, {0, -EAGAIN, -EINVAL, -ESRCH});
    if (read != 0 && status == 0) counts_.Breach("the registers of a held task could not be read");
    return true;
  }

  void LetGo() {
    if (random_.OneIn(4)) std::this_thread::yield();
    const uint64_t how = random_.Below(4);
    if (how < 2) {
      Step(how == 1);
    } else {
      Control("control RESUME", UTRACE_RESUME, false);
    }
  }

  int Prepare(utrace_examiner* examiner) {
    return counts_.Call("prepare_examine",
                        api().utrace_prepare_examine(watched_.task, engine_, examiner),
                        {0, -EAGAIN, -EINVAL, -ESRCH});
  }

  void Kill() {
    const pid_t process = api().utrace_task_tgid(watched_.task);
    if (process == storm_.root() || ::kill(process, SIGKILL) != 0) return;
    counts_.Fault("kill while held");
    const auto start = Clock::now();
    utrace_examiner examiner = {};
    while (Prepare(&examiner) != -ESRCH) {
      if (Clock::now() - start > std::chrono::seconds(30)) {
        counts_.Breach("process " + std::to_string(process) +
                       " was killed while held, and does not die");
        return;
      }
      std::this_thread::yield();
    }
    counts_.death.Add(Clock::now() - start);
  }

  Storm& storm_;
  Counts& counts_;
  Watched& watched_;
  Random& random_;
  utrace_engine* engine_ = nullptr;
  Visitor* visitor_ = nullptr;  // alive as long as a reference to the engine is held
};

}  // namespace

void Visit(Storm* storm, const std::shared_ptr<Watched>& watched, Random* random) {
  VisitInProgress visit(storm, watched.get(), random);
  if (random->Below(1000) < storm->options().kills) {
    const uint64_t where = random->Below(kKillIn.size() + 1);
    if (where == kKillIn.size()) {
      if (!visit.Begin()) return;
      visit.KillHeld();
    } else {
      if (!visit.Begin(kKillIn[where])) return;
      visit.AwaitKill();
    }
  } else {
    if (!visit.Begin()) return;
    for (uint64_t acts = random->Below(8); acts > 0; --acts) {
      visit.Act();
      if (random->OneIn(3)) Pause(storm, random);
    }
  }
  visit.End();
}

void Pause(Storm* storm, Random* random) {
  const auto mean = static_cast<uint64_t>(storm->options().pace.count());
  if (mean > 0) std::this_thread::sleep_for(std::chrono::microseconds(random->Below(2 * mean)));
}

}  // namespace utrace::storm
