#include "core/model/scheduler.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <utility>
#include <vector>

#include "core/model/fiber.h"

namespace utrace::model {
namespace {

// Values of FiberLocal, destroyed in reverse order of creation.
class Locals {
 public:
  Locals() = default;
  ~Locals() { Clear(); }
  Locals(const Locals&) = delete;
  Locals& operator=(const Locals&) = delete;

  void* Get(const void* key, void* (*make)(), void (*destroy)(void*)) {
    for (const Entry& entry : entries_) {
      if (entry.key == key) return entry.value;
    }
    void* const value = make();
    entries_.push_back({key, value, destroy});
    return value;
  }
  void Clear() {
    while (!entries_.empty()) {
      const Entry last = entries_.back();
      entries_.pop_back();
      last.destroy(last.value);
    }
  }

 private:
  struct Entry {
    const void* key;
    void* value;
    void (*destroy)(void*);
  };
  std::vector<Entry> entries_;
};

enum class State : uint8_t { kReady, kWaiting, kWaitingForLock, kYielding, kSettling, kEnded };

struct Fiber {
  std::string name;
  std::function<void()> body;
  bool daemon = false;
  State state = State::kReady;
  Worker* worker = nullptr;  // from its first turn to its end
  bool interrupted = false;
  bool blocked = false;  // when it reached its point it could not go on
  Locals locals;

  // kWaiting, kWaitingForLock
  const char* what = nullptr;
  const std::function<bool()>* ready = nullptr;
  bool interruptible = false;
  int64_t deadline = kForever;
  Awaited outcome = Awaited::kReady;
  const bool* held = nullptr;
  const FiberId* holder = nullptr;

  // Of its last turn between two calls of Yield: whether anything else went on meanwhile.
  bool loops = false;
  uint64_t activity_at_yield = 0;
  bool quiet = false;
  uint64_t last_turn = 0;
};

class Run;
thread_local Run* t_run = nullptr;  // while a fiber of it has the thread

[[noreturn]] void WrongUse(const char* what) {
  std::fprintf(stderr, "core/model/scheduler: %s\n", what);
  std::abort();
}

// Fibers and workers that runs leave to the next.
struct Reused {
  WorkerPool workers;
  std::vector<std::unique_ptr<Fiber>> fibers;
};
Reused& ThisThreadsReused() {
  thread_local Reused reused;
  return reused;
}

// One run of the body.
class Run {
 public:
  Run(Strategy& strategy, Reused& reused) : strategy_(strategy), reused_(reused) {}
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  RunResult::End Start(const std::function<void()>& body) {
    NewFiber(
        "body", [&body] { body(); }, false);
    SwitchTo(0);
    if (end_ != RunResult::End::kDone) {
      for (auto& fiber : fibers_) {
        // Its stack refers to what the fiber keeps.
        if (Worker* worker = fiber->worker) WorkerPool::Abandon(worker, std::move(fiber));
      }
      PutBack(nullptr);
      return end_;
    }
    UnwindDaemons();
    PutBack(nullptr);
    for (auto& fiber : fibers_) {
      fiber->body = nullptr;
      reused_.fibers.push_back(std::move(fiber));
    }
    return end_;
  }

  FiberId current() const { return current_; }
  Fiber& self() { return *fibers_[current_]; }
  int64_t now() const { return now_; }
  uint64_t points() const { return step_; }
  const std::string& text() const { return text_; }

  std::string Schedule() const {
    std::string text = "replay:";
    for (const auto& [step, choice] : choices_) {
      if (text.back() != ':') text += ',';
      text += std::to_string(step) + '=' + std::to_string(choice);
    }
    return text;
  }

  Fiber& Find(FiberId id) {
    if (id >= fibers_.size()) WrongUse("there is no fiber of that id");
    return *fibers_[id];
  }

  FiberId Spawn(std::string name, std::function<void()> body, bool daemon) {
    if (unwinding_) WrongUse("Spawn while daemons are unwound");
    ++activity_;
    return NewFiber(std::move(name), std::move(body), daemon);
  }

  // Every point: the caller's state says whether it can go on.
  void Reach() {
    if (unwinding_) {
      Unwind();
      return;
    }
    if (evaluating_) WrongUse("a condition of Await reached a point");
    const FiberId next = Next();
    if (next == current_) {
      Resumed();
      return;
    }
    if (next == kNobody) {
      thread_.SwitchTo(*self().worker);
    } else {
      Fiber& from = self();
      TargetOf(next).SwitchTo(*from.worker);
    }
    if (unwinding_) {
      Unwind();
      return;
    }
    Resumed();
  }

  [[noreturn]] void Fail(std::string text) {
    End(RunResult::End::kFailed, std::move(text));
    thread_.SwitchTo(*self().worker);
    WrongUse("a run that had failed went on");
  }

  bool CanGoOn(Fiber& fiber) {
    switch (fiber.state) {
      case State::kReady:
        return true;
      case State::kWaitingForLock:
        return !*fiber.held;
      case State::kWaiting: {
        evaluating_ = true;
        const bool ready = (*fiber.ready)();
        evaluating_ = false;
        if (ready) {
          fiber.outcome = Awaited::kReady;
        } else if (fiber.interruptible && fiber.interrupted) {
          fiber.outcome = Awaited::kInterrupted;
        } else if (fiber.deadline <= now_) {
          fiber.outcome = Awaited::kTimeout;
        } else {
          return false;
        }
        return true;
      }
      default:
        return false;
    }
  }

  void BecomesYielding() {
    Fiber& fiber = self();
    if (!unwinding_) {
      fiber.quiet = fiber.loops && fiber.activity_at_yield == activity_;
      fiber.activity_at_yield = activity_;
      fiber.loops = true;
      fiber.last_turn = ++turns_;
    }
    fiber.state = State::kYielding;
  }

  void LetPass(int64_t advance) {
    if (unwinding_) return;
    int64_t until = advance > kForever - now_ ? kForever : now_ + advance;
    for (const auto& fiber : fibers_) {
      if (fiber->state == State::kWaiting) until = std::min(until, fiber->deadline);
    }
    now_ = std::max(now_, until);
  }

  int explored = 0;

 private:
  FiberId NewFiber(std::string name, std::function<void()> body, bool daemon) {
    const auto id = static_cast<FiberId>(fibers_.size());
    std::unique_ptr<Fiber> fiber;
    if (reused_.fibers.empty()) {
      fiber = std::make_unique<Fiber>();
    } else {
      fiber = std::move(reused_.fibers.back());
      reused_.fibers.pop_back();
    }
    fiber->name = std::move(name);
    fiber->body = std::move(body);
    fiber->daemon = daemon;
    fiber->state = State::kReady;
    fiber->interrupted = false;
    fiber->loops = false;
    fiber->quiet = false;
    fibers_.push_back(std::move(fiber));
    if (!daemon) ++unfinished_;
    return id;
  }

  // The context of a fiber, which becomes the current one.
  Context& TargetOf(FiberId id) {
    current_ = id;
    Fiber& fiber = *fibers_[id];
    if (fiber.worker == nullptr) {
      fiber.worker = reused_.workers.Take();
      fiber.worker->job = [this, &fiber] { return Body(fiber); };
    }
    return *fiber.worker;
  }

  // From the thread's own stack.
  void SwitchTo(FiberId id) {
    t_run = this;
    TargetOf(id).SwitchTo(thread_);
    t_run = nullptr;
  }

  // `worker` has done its job but is still on its stack: it can be had again when the next one is put
  // back.
  void PutBack(Worker* worker) {
    if (finished_ != nullptr) reused_.workers.Return(finished_);
    finished_ = worker;
  }

  // Runs on the fiber's stack; returns who goes on.
  Context* Body(Fiber& fiber) {
    try {
      fiber.body();
    } catch (const FiberEnded&) {
      if (!unwinding_) End(RunResult::End::kFailed, fiber.name + " threw FiberEnded");
    } catch (const std::exception& exception) {
      End(RunResult::End::kFailed, fiber.name + " threw: " + exception.what());
    } catch (...) {
      End(RunResult::End::kFailed, fiber.name + " threw something that is no std::exception");
    }
    fiber.locals.Clear();
    fiber.state = State::kEnded;
    PutBack(std::exchange(fiber.worker, nullptr));
    ++activity_;
    if (!fiber.daemon) --unfinished_;
    if (unwinding_ || end_ != RunResult::End::kDone || unfinished_ == 0) return &thread_;
    const FiberId next = Next();
    if (next == kNobody) return &thread_;
    return &TargetOf(next);
  }

  void UnwindDaemons() {
    unwinding_ = true;
    for (FiberId id = 0; id < fibers_.size(); ++id) {
      Fiber& fiber = *fibers_[id];
      if (fiber.worker == nullptr) {
        fiber.state = State::kEnded;
        continue;
      }
      SwitchTo(id);
      if (fiber.state != State::kEnded) WrongUse("a daemon did not let FiberEnded pass");
    }
  }

  // What a point of a daemon is while it is unwound: waits have no end any more.
  void Unwind() {
    if (++step_ > 2 * kMaxPoints) WrongUse("a daemon goes on for ever while it is unwound");
    Fiber& fiber = self();
    const bool waits = fiber.state != State::kReady && !CanGoOn(fiber);
    fiber.state = State::kReady;
    if (!waits) return;
    if (std::uncaught_exceptions() == 0) throw FiberEnded();
    WrongUse("a destructor waits while its daemon is unwound");
  }

  void Resumed() {
    Fiber& fiber = self();
    if (fiber.blocked) fiber.loops = false;
    if (!fiber.loops) ++activity_;
    fiber.state = State::kReady;
  }

  void End(RunResult::End end, std::string text) {
    if (end_ != RunResult::End::kDone) return;
    end_ = end;
    text_ = std::move(text);
  }

  // Who goes on; kNobody if the run is over.
  FiberId Next() {
    const uint64_t step = step_++;
    if (step >= kMaxPoints) {
      End(RunResult::End::kRunaway,
          "more than " + std::to_string(kMaxPoints) + " points; at the last one were: " + Census());
      return kNobody;
    }
    Fiber& current = self();
    const bool yields = current.state == State::kYielding;
    bool current_runnable = false;
    current.blocked = false;
    for (;;) {
      runnable_.clear();
      bool someone_yields = false;
      bool others = false;
      for (FiberId id = 0; id < fibers_.size(); ++id) {
        Fiber& fiber = *fibers_[id];
        if (fiber.state == State::kYielding) {
          someone_yields = true;
          if (id == current_) continue;
          runnable_.push_back(id);
        } else if (CanGoOn(fiber)) {
          runnable_.push_back(id);
          others = true;
          if (id == current_) current_runnable = true;
        }
      }
      current.blocked |= !current_runnable && !yields;
      if (others) {
        // Who yields is overtaken, unless the strategy takes the processor from the current fiber.
        if (!current_runnable) {
          KeepOnly([](const Fiber& fiber) { return fiber.state != State::kYielding; });
        }
        break;
      }
      if (someone_yields) {
        // Nobody but who yields: each in turn, until all have seen that nothing happens.
        const FiberId next = OldestYielding(/*but_quiet=*/true);
        if (next != kNobody) return next;
      }
      runnable_.clear();
      for (FiberId id = 0; id < fibers_.size(); ++id) {
        if (fibers_[id]->state == State::kSettling) runnable_.push_back(id);
      }
      if (!runnable_.empty()) break;
      if (AdvanceToDeadline()) continue;
      if (someone_yields) return OldestYielding(/*but_quiet=*/false);
      End(RunResult::End::kDeadlock, Census());
      return kNobody;
    }
    if (runnable_.size() == 1) return runnable_.front();
    const Strategy::Decision decision{.step = step,
                                      .runnable = runnable_,
                                      .current = current_,
                                      .current_runnable = current_runnable,
                                      .current_yields = yields,
                                      .explored = explored > 0};
    const FiberId choice = strategy_.Choose(decision);
    if (choice == kNobody) {
      End(RunResult::End::kDiverged, strategy_.Divergence());
      return kNobody;
    }
    if (choice != DefaultChoice(decision)) choices_.emplace_back(step, choice);
    return choice;
  }

  template <typename Predicate>
  void KeepOnly(Predicate keep) {
    std::erase_if(runnable_, [&](FiberId id) { return !keep(*fibers_[id]); });
  }

  FiberId OldestYielding(bool but_quiet) const {
    FiberId oldest = kNobody;
    for (FiberId id = 0; id < fibers_.size(); ++id) {
      const Fiber& fiber = *fibers_[id];
      if (fiber.state != State::kYielding) continue;
      if (but_quiet && fiber.quiet && fiber.activity_at_yield == activity_) continue;
      if (oldest == kNobody || fiber.last_turn < fibers_[oldest]->last_turn) oldest = id;
    }
    return oldest;
  }

  bool AdvanceToDeadline() {
    int64_t earliest = kForever;
    for (const auto& fiber : fibers_) {
      if (fiber->state == State::kWaiting) earliest = std::min(earliest, fiber->deadline);
    }
    if (earliest == kForever) return false;
    now_ = earliest;
    return true;
  }

  // Who waits for what.
  std::string Census() const {
    std::string text;
    for (FiberId id = 0; id < fibers_.size(); ++id) {
      const Fiber& fiber = *fibers_[id];
      if (fiber.state == State::kEnded) continue;
      if (!text.empty()) text += "; ";
      text += Label(id);
      switch (fiber.state) {
        case State::kWaiting:
          text += " waits for ";
          text += fiber.what;
          break;
        case State::kWaitingForLock:
          text += " waits for a lock";
          if (*fiber.held && *fiber.holder < fibers_.size()) {
            text += " that " + Label(*fiber.holder) + " holds";
          }
          break;
        case State::kYielding:
          text += " yields";
          break;
        case State::kSettling:
          text += " waits for the others to settle";
          break;
        default:
          text += " could go on";
          break;
      }
    }
    return text;
  }

  std::string Label(FiberId id) const {
    return fibers_[id]->name + " (fiber " + std::to_string(id) + ")";
  }

  Strategy& strategy_;
  Reused& reused_;
  ThreadContext thread_;
  std::vector<std::unique_ptr<Fiber>> fibers_;  // by id
  FiberId current_ = 0;
  Worker* finished_ = nullptr;
  size_t unfinished_ = 0;  // fibers that are no daemons
  uint64_t step_ = 0;
  int64_t now_ = 0;
  uint64_t activity_ = 0;  // changes when anything but a loop of Yields goes on
  uint64_t turns_ = 0;
  bool evaluating_ = false;
  bool unwinding_ = false;
  std::vector<FiberId> runnable_;
  std::vector<std::pair<uint64_t, FiberId>> choices_;  // those that were not the default
  RunResult::End end_ = RunResult::End::kDone;
  std::string text_;
};

Run& InRun() {
  if (t_run == nullptr) WrongUse("called outside fibers");
  return *t_run;
}

}  // namespace

RunResult Explore(Strategy& strategy, const std::function<void()>& body) {
  if (t_run != nullptr) WrongUse("Explore within a run");
  RunResult result;
  while (result.end == RunResult::End::kDone && strategy.BeginRun()) {
    Run run(strategy, ThisThreadsReused());
    result.end = run.Start(body);
    ++result.runs;
    result.points += run.points();
    result.text = run.text();
    const std::string rest = strategy.EndRun(run.points());
    if (result.end == RunResult::End::kDone && !rest.empty()) {
      result.end = RunResult::End::kDiverged;
      result.text = rest;
    }
    if (result.end != RunResult::End::kDone || result.runs == 1) result.schedule = run.Schedule();
  }
  return result;
}

const char* EndName(RunResult::End end) {
  switch (end) {
    case RunResult::End::kDone:
      return "done";
    case RunResult::End::kFailed:
      return "failed";
    case RunResult::End::kDeadlock:
      return "deadlock";
    case RunResult::End::kDiverged:
      return "diverged";
    case RunResult::End::kRunaway:
      return "runaway";
  }
  return "?";
}

bool InFiber() { return t_run != nullptr; }
FiberId CurrentFiber() { return InRun().current(); }

FiberId Spawn(std::string name, std::function<void()> body, bool daemon) {
  return InRun().Spawn(std::move(name), std::move(body), daemon);
}

bool HasEnded(FiberId fiber) { return InRun().Find(fiber).state == State::kEnded; }

bool IsWaiting(FiberId fiber) {
  Run& run = InRun();
  Fiber& found = run.Find(fiber);
  return (found.state == State::kWaiting || found.state == State::kWaitingForLock) &&
         !run.CanGoOn(found);
}

void Point() { InRun().Reach(); }

void Yield() {
  Run& run = InRun();
  run.BecomesYielding();
  run.Reach();
}

namespace {

Awaited AwaitEither(const char* what, const std::function<bool()>& ready, int64_t timeout,
                    bool interruptible) {
  Run& run = InRun();
  Fiber& fiber = run.self();
  fiber.what = what;
  fiber.ready = &ready;
  fiber.interruptible = interruptible;
  fiber.deadline = timeout > kForever - run.now() ? kForever : run.now() + timeout;
  fiber.state = State::kWaiting;
  run.Reach();
  if (fiber.outcome == Awaited::kInterrupted) fiber.interrupted = false;
  return fiber.outcome;
}

}  // namespace

bool Await(const char* what, const std::function<bool()>& ready, int64_t timeout) {
  return AwaitEither(what, ready, timeout, false) == Awaited::kReady;
}

Awaited AwaitInterruptibly(const char* what, const std::function<bool()>& ready, int64_t timeout) {
  return AwaitEither(what, ready, timeout, true);
}

void AwaitLock(const bool& held, const FiberId& holder) {
  Run& run = InRun();
  Fiber& fiber = run.self();
  fiber.held = &held;
  fiber.holder = &holder;
  fiber.state = State::kWaitingForLock;
  run.Reach();
}

void Interrupt(FiberId fiber) { InRun().Find(fiber).interrupted = true; }

void Settle(int64_t advance) {
  Run& run = InRun();
  run.self().state = State::kSettling;
  run.Reach();
  if (advance > 0) run.LetPass(advance);
}

int64_t Now() { return InRun().now(); }

void Fail(const std::string& text) { InRun().Fail(text); }

Explored::Explored() { ++InRun().explored; }
Explored::~Explored() { --InRun().explored; }

void* FiberLocal(const void* key, void* (*make)(), void (*destroy)(void*)) {
  if (t_run != nullptr) return t_run->self().locals.Get(key, make, destroy);
  thread_local Locals locals;
  return locals.Get(key, make, destroy);
}

}  // namespace utrace::model
