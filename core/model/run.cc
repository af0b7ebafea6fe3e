#include "core/model/run.h"

#include <cstdio>
#include <cstdlib>
#include <exception>

namespace utrace::model {
namespace {

thread_local Run* t_run = nullptr;  // while a fiber of it has the thread

}  // namespace

Run* RunOfThisThread() { return t_run; }

void WrongUse(const char* what) {
  std::fprintf(stderr, "core/model/scheduler: %s\n", what);
  std::abort();
}

RunResult::End Run::Start(const std::function<void()>& body) {
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

std::string Run::Schedule() const {
  std::string text = "replay:";
  for (const auto& [step, choice] : choices_) {
    if (text.back() != ':') text += ',';
    text += std::to_string(step) + '=' + std::to_string(choice);
  }
  return text;
}

Fiber& Run::Find(FiberId id) {
  if (id >= fibers_.size()) WrongUse("there is no fiber of that id");
  return *fibers_[id];
}

FiberId Run::Spawn(std::string name, std::function<void()> body, bool daemon) {
  if (unwinding_) WrongUse("Spawn while daemons are unwound");
  ++activity_;
  return NewFiber(std::move(name), std::move(body), daemon);
}

void Run::Reach() {
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

void Run::Fail(std::string text) {
  End(RunResult::End::kFailed, std::move(text));
  thread_.SwitchTo(*self().worker);
  WrongUse("a run that had failed went on");
}

bool Run::CanGoOn(Fiber& fiber) {
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

void Run::BecomesYielding() {
  Fiber& fiber = self();
  if (!unwinding_) {
    fiber.quiet = fiber.loops && fiber.activity_at_yield == activity_;
    fiber.activity_at_yield = activity_;
    fiber.loops = true;
    fiber.last_turn = ++turns_;
  }
  fiber.state = State::kYielding;
}

void Run::NoteProgress() {
  self().loops = false;
  ++activity_;
}

void Run::LetPass(int64_t advance) {
  if (unwinding_) return;
  int64_t until = advance > kForever - now_ ? kForever : now_ + advance;
  for (const auto& fiber : fibers_) {
    if (fiber->state == State::kWaiting) until = std::min(until, fiber->deadline);
  }
  now_ = std::max(now_, until);
}

FiberId Run::NewFiber(std::string name, std::function<void()> body, bool daemon) {
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

Context& Run::TargetOf(FiberId id) {
  current_ = id;
  Fiber& fiber = *fibers_[id];
  if (fiber.worker == nullptr) {
    fiber.worker = reused_.workers.Take();
    fiber.worker->job = [this, &fiber] { return Body(fiber); };
  }
  return *fiber.worker;
}

void Run::SwitchTo(FiberId id) {
  t_run = this;
  TargetOf(id).SwitchTo(thread_);
  t_run = nullptr;
}

void Run::PutBack(Worker* worker) {
  if (finished_ != nullptr) reused_.workers.Return(finished_);
  finished_ = worker;
}

Context* Run::Body(Fiber& fiber) {
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

void Run::UnwindDaemons() {
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

void Run::Unwind() {
  if (++step_ > 2 * kMaxPoints) WrongUse("a daemon goes on for ever while it is unwound");
  Fiber& fiber = self();
  const bool waits = fiber.state != State::kReady && !CanGoOn(fiber);
  fiber.state = State::kReady;
  if (!waits) return;
  if (std::uncaught_exceptions() == 0) throw FiberEnded();
  WrongUse("a destructor waits while its daemon is unwound");
}

void Run::Resumed() {
  Fiber& fiber = self();
  if (fiber.blocked) fiber.loops = false;
  if (!fiber.loops) ++activity_;
  fiber.state = State::kReady;
}

void Run::End(RunResult::End end, std::string text) {
  if (end_ != RunResult::End::kDone) return;
  end_ = end;
  text_ = std::move(text);
}

FiberId Run::Next() {
  const uint64_t step = step_++;
  if (step >= kMaxPoints) {
    End(RunResult::End::kRunaway,
        "more than " + std::to_string(kMaxPoints) + " points; at the last one were: " + Census());
    return kNobody;
  }
  Fiber& current = self();
  current.blocked = false;
  const FiberId impatient = Impatient();
  if (impatient != kNobody) return impatient;
  const bool yields = current.state == State::kYielding;
  bool current_runnable = false;
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
        std::erase_if(runnable_,
                      [&](FiberId id) { return fibers_[id]->state == State::kYielding; });
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
                                    .explored = explored > 0};
  const FiberId choice = strategy_.Choose(decision);
  if (choice == kNobody) {
    End(RunResult::End::kDiverged, strategy_.Divergence());
    return kNobody;
  }
  if (choice != DefaultChoice(decision)) choices_.emplace_back(step, choice);
  return choice;
}
// One whose patience in Settle is at its end goes on whatever the strategy thinks of it.
FiberId Run::Impatient() const {
  for (FiberId id = 0; id < fibers_.size(); ++id) {
    Fiber& fiber = *fibers_[id];
    if (fiber.state != State::kSettling || step_ < fiber.patient_until) continue;
    fiber.settled = false;
    return id;
  }
  return kNobody;
}

FiberId Run::OldestYielding(bool but_quiet) const {
  FiberId oldest = kNobody;
  for (FiberId id = 0; id < fibers_.size(); ++id) {
    const Fiber& fiber = *fibers_[id];
    if (fiber.state != State::kYielding) continue;
    if (but_quiet && fiber.quiet && fiber.activity_at_yield == activity_) continue;
    if (oldest == kNobody || fiber.last_turn < fibers_[oldest]->last_turn) oldest = id;
  }
  return oldest;
}

bool Run::AdvanceToDeadline() {
  int64_t earliest = kForever;
  for (const auto& fiber : fibers_) {
    if (fiber->state == State::kWaiting) earliest = std::min(earliest, fiber->deadline);
  }
  if (earliest == kForever) return false;
  now_ = earliest;
  return true;
}

std::string Run::Census() const {
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

std::string Run::Label(FiberId id) const {
  return fibers_[id]->name + " (fiber " + std::to_string(id) + ")";
}

}  // namespace utrace::model
