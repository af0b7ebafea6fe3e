// One run under a strategy: its fibers, whose turn it is, and the time. scheduler.h is the interface
// over it.
#ifndef CORE_MODEL_RUN_H_
#define CORE_MODEL_RUN_H_

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/model/fiber.h"
#include "core/model/scheduler.h"

namespace utrace::model {

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

  // kSettling
  uint64_t patient_until = UINT64_MAX;  // a number of points
  bool settled = true;

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

// Ends the process: a mistake in the code that uses the scheduler.
[[noreturn]] void WrongUse(const char* what);

// Fibers and workers that runs leave to the next.
struct Reused {
  WorkerPool workers;
  std::vector<std::unique_ptr<Fiber>> fibers;
};

// One run of the body.
class Run {
 public:
  Run(Strategy& strategy, Reused& reused) : strategy_(strategy), reused_(reused) {}
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  // The whole run; returns how it ended. Once.
  RunResult::End Start(const std::function<void()>& body);

  FiberId current() const { return current_; }
  Fiber& self() { return *fibers_[current_]; }
  int64_t now() const { return now_; }
  uint64_t points() const { return step_; }
  const std::string& text() const { return text_; }

  // What repeats this run.
  std::string Schedule() const;
  Fiber& Find(FiberId id);
  FiberId Spawn(std::string name, std::function<void()> body, bool daemon);

  // Every point: the caller's state says whether it can go on.
  void Reach();
  [[noreturn]] void Fail(std::string text);
  // Whether a fiber that is neither yielding nor settling could go on now; notes why.
  bool CanGoOn(Fiber& fiber);
  void BecomesYielding();
  void NoteProgress();
  void LetPass(int64_t advance);

  int explored = 0;  // objects of Explored that are alive

 private:
  FiberId NewFiber(std::string name, std::function<void()> body, bool daemon);
  // The context of a fiber, which becomes the current one.
  Context& TargetOf(FiberId id);
  // From the thread's own stack.
  void SwitchTo(FiberId id);
  // `worker` has done its job but is still on its stack: it can be had again when the next one is put
  // back.
  void PutBack(Worker* worker);
  // Runs on the fiber's stack; returns who goes on.
  Context* Body(Fiber& fiber);
  void UnwindDaemons();
  // What a point of a daemon is while it is unwound: waits have no end any more.
  void Unwind();
  void Resumed();
  void End(RunResult::End end, std::string text);
  // Who goes on; kNobody if the run is over.
  FiberId Next();
  FiberId Impatient() const;
  FiberId OldestYielding(bool but_quiet) const;
  bool AdvanceToDeadline();
  // Who waits for what.
  std::string Census() const;
  std::string Label(FiberId id) const;

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

// The run whose fiber has the calling thread; null outside.
Run* RunOfThisThread();

}  // namespace utrace::model

#endif  // CORE_MODEL_RUN_H_
