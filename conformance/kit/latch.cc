#include "conformance/kit/latch.h"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <set>

#include "conformance/kit/threads.h"
#include "conformance/kit/verdict.h"

namespace utrace::kit {

uint64_t NextSequence() {
  static std::atomic<uint64_t> next{0};
  return ++next;
}

// ---- Gate --------------------------------------------------------------------------------------

struct Gate::State {
  std::mutex mutex;
  Condition changed;
  std::string name;
  bool open = false;
  int arrivals = 0;
};

namespace {

struct Gates {
  std::mutex mutex;
  std::set<Gate*> all;
};
Gates& TheGates() {
  static auto* gates = new Gates;
  return *gates;
}

}  // namespace

Gate::Gate(std::string name) : state_(std::make_shared<State>()) {
  state_->name = std::move(name);
  Gates& gates = TheGates();
  std::lock_guard lock(gates.mutex);
  gates.all.insert(this);
}

Gate::~Gate() {
  {
    Gates& gates = TheGates();
    std::lock_guard lock(gates.mutex);
    gates.all.erase(this);
  }
  Open();
}

void Gate::OpenAll() {
  Gates& gates = TheGates();
  std::lock_guard lock(gates.mutex);
  for (Gate* gate : gates.all) gate->Open();
}

void Gate::Open() {
  std::lock_guard lock(state_->mutex);
  state_->open = true;
  state_->changed.notify_all();
}

void Gate::Close() {
  std::lock_guard lock(state_->mutex);
  state_->open = false;
}

bool Gate::IsOpen() const {
  std::lock_guard lock(state_->mutex);
  return state_->open;
}

bool Gate::Wait() {
  const std::shared_ptr<State> state = state_;  // the gate may go while we wait
  std::unique_lock lock(state->mutex);
  ++state->arrivals;
  state->changed.notify_all();
  if (state->changed.wait_for(lock, Deadline(), [&] { return state->open; })) return true;
  const std::string name = state->name;
  lock.unlock();
  ADD_FAILURE() << "nobody opened the gate '" << name << "' in time";
  return false;
}

bool Gate::TryAwaitArrival(int count, std::chrono::milliseconds deadline) {
  SetStep("waiting for somebody to arrive at the gate '" + state_->name + "'");
  std::unique_lock lock(state_->mutex);
  return state_->changed.wait_for(lock, deadline, [&] { return state_->arrivals >= count; });
}

void Gate::AwaitArrival(int count) {
  if (TryAwaitArrival(count)) return;
  StepFailed("arrival " + std::to_string(count) + " at the gate '" + state_->name +
             "' did not come (there were " + std::to_string(arrivals()) + ")");
}

int Gate::arrivals() const {
  std::lock_guard lock(state_->mutex);
  return state_->arrivals;
}

// ---- Latch -------------------------------------------------------------------------------------

struct Latch::State {
  std::mutex mutex;
  Condition changed;
  std::string name;
  int count = 0;
};

Latch::Latch(int count, std::string name) : state_(std::make_shared<State>()) {
  state_->count = count;
  state_->name = std::move(name);
}

Latch::~Latch() {
  std::lock_guard lock(state_->mutex);
  state_->count = 0;
  state_->changed.notify_all();
}

void Latch::CountDown(int by) {
  std::lock_guard lock(state_->mutex);
  state_->count -= by;
  if (state_->count <= 0) state_->changed.notify_all();
}

bool Latch::Wait() {
  const std::shared_ptr<State> state = state_;
  std::unique_lock lock(state->mutex);
  if (state->changed.wait_for(lock, Deadline(), [&] { return state->count <= 0; })) return true;
  const std::string name = state->name;
  const int count = state->count;
  lock.unlock();
  ADD_FAILURE() << "the latch '" << name << "' still lacks " << count << " in time";
  return false;
}

bool Latch::TryWait() const {
  std::lock_guard lock(state_->mutex);
  return state_->count <= 0;
}

// ---- Controller --------------------------------------------------------------------------------

struct Controller::State {
  std::mutex mutex;
  Condition changed;
  std::string name;
  std::function<long()> call;
  ThreadId thread = 0;
  bool started = false;
  bool finished = false;
  long result = 0;
  uint64_t started_at = 0;
  uint64_t finished_at = 0;
};

Controller::Controller(std::string name, std::function<long()> call)
    : state_(std::make_shared<State>()) {
  State* state = state_.get();
  state->name = std::move(name);
  state->call = std::move(call);
  TheThreads().Start(state->name, [held = state_] {
    {
      std::lock_guard lock(held->mutex);
      held->thread = TheThreads().Self();
      held->started = true;
      held->started_at = NextSequence();
      held->changed.notify_all();
    }
    const long result = held->call();
    std::lock_guard lock(held->mutex);
    held->finished_at = NextSequence();
    held->result = result;
    held->finished = true;
    held->changed.notify_all();
  });
  std::unique_lock lock(state->mutex);
  state->changed.wait(lock, [&] { return state->started; });
}

Controller::~Controller() {
  if (Finished()) return;
  Gate::OpenAll();
  long result;
  if (!TryResult(&result)) {
    ADD_FAILURE() << "the call '" << state_->name << "' has not returned";
  }
}

bool Controller::Finished() const {
  std::lock_guard lock(state_->mutex);
  return state_->finished;
}

bool Controller::TryResult(long* result, std::chrono::milliseconds deadline) {
  SetStep("waiting for the call '" + state_->name + "' to return");
  std::unique_lock lock(state_->mutex);
  if (!state_->changed.wait_for(lock, deadline, [&] { return state_->finished; })) return false;
  *result = state_->result;
  return true;
}

long Controller::Result() {
  long result = 0;
  if (!TryResult(&result)) Failed("the call '" + state_->name + "' does not return");
  return result;
}

void Controller::AwaitBlockedOrFinished() {
  SetStep("waiting for the call '" + state_->name + "' to block or return");
  int same = 0;
  Threads::Look last;
  const bool seen = PollUntil([&] {
    if (Finished()) return true;
    const Threads::Look look = TheThreads().LookAt(state_->thread);
    if (look.state != 'S') {
      same = 0;
    } else {
      same = look == last ? same + 1 : 1;
    }
    last = look;
    return same >= TheThreads().LooksOfTheBlocked();
  });
  if (!seen) Failed("the call '" + state_->name + "' neither blocks nor returns");
}

void Controller::AwaitBlocked() {
  AwaitBlockedOrFinished();
  if (Finished()) {
    Failed("the call '" + state_->name + "' returned " + ErrnoName(Result()) +
           " where it should wait");
  }
}

void Controller::SignalOnce() {
  std::lock_guard lock(state_->mutex);
  if (!state_->finished) TheThreads().Interrupt(state_->thread);
}

void Controller::Interrupt() {
  SetStep("interrupting the call '" + state_->name + "'");
  Threads::Look last;
  const bool done = PollUntil([&] {
    if (Finished()) return true;
    const Threads::Look look = TheThreads().LookAt(state_->thread);
    if (look.state == 'S' && look != last) SignalOnce();
    last = look;
    return false;
  });
  if (!done) Failed("the call '" + state_->name + "' is not interrupted by a signal");
}

uint64_t Controller::started_at() const {
  std::lock_guard lock(state_->mutex);
  return state_->started_at;
}

uint64_t Controller::finished_at() const {
  std::lock_guard lock(state_->mutex);
  return state_->finished_at;
}

}  // namespace utrace::kit
