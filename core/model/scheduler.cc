#include "core/model/scheduler.h"

#include <utility>

#include "core/model/run.h"

namespace utrace::model {
namespace {

Reused& ThisThreadsReused() {
  thread_local Reused reused;
  return reused;
}

Run& InRun() {
  Run* const run = RunOfThisThread();
  if (run == nullptr) WrongUse("called outside fibers");
  return *run;
}

}  // namespace

RunResult Explore(Strategy& strategy, const std::function<void()>& body) {
  if (InFiber()) WrongUse("Explore within a run");
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

bool InFiber() { return RunOfThisThread() != nullptr; }
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

void NoteProgress() { InRun().NoteProgress(); }

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

bool Settle(int64_t advance, uint64_t patience) {
  Run& run = InRun();
  Fiber& self = run.self();
  self.state = State::kSettling;
  self.patient_until = patience < UINT64_MAX - run.points() ? run.points() + patience : UINT64_MAX;
  self.settled = true;
  run.Reach();
  if (self.settled && advance > 0) run.LetPass(advance);
  return self.settled;
}

int64_t Now() { return InRun().now(); }

void Fail(const std::string& text) { InRun().Fail(text); }

Explored::Explored() { ++InRun().explored; }
Explored::~Explored() { --InRun().explored; }

void* FiberLocal(const void* key, void* (*make)(), void (*destroy)(void*)) {
  if (Run* const run = RunOfThisThread()) return run->self().locals.Get(key, make, destroy);
  thread_local Locals locals;
  return locals.Get(key, make, destroy);
}

}  // namespace utrace::model
