// The scheduler of the model: threads of control that run one at a time, and a strategy that decides
// every step, so that a schedule can be written down and repeated.
//
// A *fiber* is one thread of control: a simulated task, a controller, a helper of the host. All fibers
// of a run share one thread of the operating system, so nothing happens between two *points*. Code
// reaches a point in Mutex::lock, in operations of Atomic, in Await and in Yield (sync.h); there the
// strategy may let another fiber go on. To take the processor from a fiber that could go on is a
// *preemption*; strategies may bound their number.
//
// Time is virtual: Now() stands still while any fiber can run, and jumps to the earliest deadline when
// none can. A wait of 30 s for something that never comes ends at once.
#ifndef CORE_MODEL_SCHEDULER_H_
#define CORE_MODEL_SCHEDULER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace utrace::model {

using FiberId = uint32_t;  // in order of creation, from 0 (the body of the run)

inline constexpr FiberId kNobody = UINT32_MAX;

inline constexpr int64_t kForever = INT64_MAX;
// A run with more points than this ends as kRunaway.
inline constexpr uint64_t kMaxPoints = 1'000'000;

// Chooses who goes on at a point.
class Strategy {
 public:
  virtual ~Strategy() = default;

  struct Decision {
    uint64_t step;                      // counts the points of the run, from 0
    std::span<const FiberId> runnable;  // ascending, never empty
    FiberId current;                    // who reached the point
    bool current_runnable;  // it can go on and does not yield: choosing another is a preemption
    bool explored;          // within Explored: outside, exhaustive search does not branch
  };
  // One of decision.runnable; or kNobody if what was to be repeated is not possible here, with
  // Divergence() saying why. Not asked where there is only one.
  virtual FiberId Choose(const Decision& decision) = 0;
  virtual std::string Divergence() const { return {}; }
  // The run is over after `steps` points. A reason if it ended before all that was to be repeated.
  virtual std::string EndRun([[maybe_unused]] uint64_t steps) { return {}; }

  // Before each run of a search; false if there is nothing left to try.
  virtual bool BeginRun() = 0;
};

// Who goes on by default: the current fiber if it is runnable, else the lowest id.
FiberId DefaultChoice(const Strategy::Decision& decision);

// Strategies by name:
//   random:SEED         every choice with equal probability; one run
//   pct:SEED:DEPTH[:N]  the runnable fiber of highest priority, priorities being random, and DEPTH - 1
//                       changes of them at random points of the first N (1000 if not given); one run
//   exhaustive:BOUND    every schedule with at most BOUND preemptions, but that fibers which yield are
//                       not permuted: they come after all that do not, and take turns where there are
//                       no others; as many runs as that takes
//   replay:TEXT         the schedule that a report named; one run
// SEED, DEPTH, N and BOUND are decimal numbers. TEXT is "" or choices joined by commas, each
// "STEP=FIBER": at that point, counted from 0, that fiber goes on. STEPs ascend. Where no choice is
// named the default one is made (DefaultChoice). The run ends as kDiverged if a named choice cannot be
// made.
// Null with *error set if the text is none of these.
std::unique_ptr<Strategy> MakeStrategy(std::string_view text, std::string* error);

struct RunResult {
  enum class End : uint8_t {
    kDone,      // the body returned, and every other fiber ended or was a daemon
    kFailed,    // Fail was called, or the body threw
    kDeadlock,  // fibers that are no daemons wait for ever
    kDiverged,  // the code under test did not repeat itself: a replayed choice was not possible
    kRunaway,   // more points than a run may have
  };
  End end = End::kDone;
  std::string text;      // what failed, or who waits for what
  std::string schedule;  // "replay:..." for this very run
  uint64_t runs = 0;     // of the search, this one included
  uint64_t points = 0;   // of all runs
};
const char* EndName(RunResult::End end);

// Runs `body` as fiber 0, again for each run of the strategy, until a run does not end in kDone or
// nothing is left to try. What the body makes it must take down itself, within the run; a run that
// does not end in kDone is abandoned where it is, and what its fibers hold stays in memory. Not to be
// nested; one at a time per thread.
RunResult Explore(Strategy& strategy, const std::function<void()>& body);

// ---- For code that runs in fibers; elsewhere these must not be called. ------------------------------

// Whether the calling thread runs a fiber.
bool InFiber();
FiberId CurrentFiber();

// A new fiber. It can run from the next point on. Daemons do not keep a run from ending: when all
// others have ended they are unwound one after the other (their Await and Yield throw FiberEnded,
// which they must let pass; points let nobody else go on then). An exception that leaves another
// fiber's body fails the run.
FiberId Spawn(std::string name, std::function<void()> body, bool daemon = false);
struct FiberEnded {};

// Whether that fiber's body has returned.
bool HasEnded(FiberId fiber);
// Whether it waits in Await (or Mutex::lock) now, and its condition does not hold.
bool IsWaiting(FiberId fiber);

// A point: others may go on.
void Point();
// A point at which the caller lets everybody else go first: for loops that wait for others without
// saying for what. It goes on when no other can, or when the strategy takes the processor from
// another for it. Takes part in Settle as if it were waiting.
void Yield();
// What the calling fiber does before its next Yield is more than a loop that waits for others: time does
// not pass, and nobody's Settle ends, because all who are left only do that.
void NoteProgress();
// Waits until `ready` holds, or for `timeout` ns of virtual time; whether it holds. `ready` is called
// by the scheduler at every point, must not reach one itself, and should be cheap.
bool Await(const char* what, const std::function<bool()>& ready, int64_t timeout = kForever);
// The same, and ends early if Interrupt is called for this fiber meanwhile (or was called before and
// not yet noticed).
enum class Awaited : uint8_t { kReady, kTimeout, kInterrupted };
Awaited AwaitInterruptibly(const char* what, const std::function<bool()>& ready,
                           int64_t timeout = kForever);
// Waits while `held`; `holder` is for the description of a deadlock.
void AwaitLock(const bool& held, const FiberId& holder);
// What a signal handler that runs in a thread is to a wait of that thread.
void Interrupt(FiberId fiber);
// Waits until no other fiber can go on without time passing (those that only Yield aside). Then lets
// `advance` ns pass, at most up to the next deadline. True, or false if others still went on after
// `patience` points: then no time has passed.
bool Settle(int64_t advance = 0, uint64_t patience = UINT64_MAX);

// Virtual nanoseconds since the run began.
int64_t Now();

// Ends the run as kFailed with this text.
[[noreturn]] void Fail(const std::string& text);

// Exhaustive search branches only while one of these is alive: what sets the scene and what looks at
// the result need no second schedule.
class Explored {
 public:
  Explored();
  ~Explored();
  Explored(const Explored&) = delete;
  Explored& operator=(const Explored&) = delete;
};

// The calling fiber's own value for `key` (any address), made by `make` on first use and destroyed by
// `destroy` when the fiber ends. Outside fibers: the thread's.
void* FiberLocal(const void* key, void* (*make)(), void (*destroy)(void*));

}  // namespace utrace::model

#endif  // CORE_MODEL_SCHEDULER_H_
