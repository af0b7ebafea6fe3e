// What callbacks wait on and tests open, and threads whose blocking can be watched.
#ifndef CONFORMANCE_KIT_LATCH_H_
#define CONFORMANCE_KIT_LATCH_H_

#include <functional>
#include <memory>
#include <string>

#include "conformance/kit/verdict.h"

namespace utrace::kit {

// A door: closed at first; whoever waits goes on once it is open. A callback that must be held "in
// progress" waits at a Gate that the test opens. Copies share the door, so that a callback can
// outlive the test's variable. The door opens when the last variable of the test goes away, or when
// the test ends.
class Gate {
 public:
  // `name` appears in the failure if nobody opens the gate in time.
  explicit Gate(std::string name = "gate");
  ~Gate();
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  void Open();
  void Close();
  bool IsOpen() const;

  // Says that somebody has arrived, waits until the gate is open. False, and a test failure, if
  // the deadline passes. Callable from callbacks.
  bool Wait();
  // Waits until at least `count` calls of Wait have begun (waiting or gone through). Throws
  // Abandon (StepFailed) at the deadline: the implementation did not make the callback.
  void AwaitArrival(int count = 1);
  // The same, telling failure by false.
  bool TryAwaitArrival(int count = 1, std::chrono::milliseconds deadline = Deadline());
  int arrivals() const;

  // Opens every gate that exists. For the end of a test.
  static void OpenAll();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

// Counts down to zero; Wait returns when it is there. Same rules as Gate.
class Latch {
 public:
  explicit Latch(int count, std::string name = "latch");
  ~Latch();
  Latch(const Latch&) = delete;
  Latch& operator=(const Latch&) = delete;

  void CountDown(int by = 1);
  bool Wait();           // false and a test failure at the deadline
  bool TryWait() const;  // whether it is at zero now

 private:
  struct State;
  std::shared_ptr<State> state_;
};

// A thread that makes one blocking call of the API, watched from the test:
//
//   Controller barrier("barrier", [&] { return api().utrace_barrier(task, engine); });
//   barrier.AwaitBlockedOrFinished();
//   EXPECT_FALSE(barrier.Finished());
//   gate.Open();
//   EXPECT_EQ(0, barrier.Result());
//
// "It waits" is shown so: an implementation that does not wait has finished when
// AwaitBlockedOrFinished returns, and one that does is asleep in the kernel.
class Controller {
 public:
  Controller(std::string name, std::function<long()> call);
  // A call still blocked at this point gets 30 s to finish (all gates are opened for it); then the
  // thread is abandoned with a test failure.
  ~Controller();
  Controller(const Controller&) = delete;
  Controller& operator=(const Controller&) = delete;

  bool Finished() const;
  // Waits for the call to return. Throws Abandon (Failed) at the deadline.
  long Result();
  // As Result, but tells failure by false.
  bool TryResult(long* result, std::chrono::milliseconds deadline = Deadline());

  // Waits until the thread sleeps and stays so over many looks at it, or the call has returned. The call itself may sleep briefly on its way; a wait for something that the test
  // withholds is what lasts.
  void AwaitBlockedOrFinished();
  // The same, and throws Abandon (Failed) if the call returned instead of blocking.
  void AwaitBlocked();

  // Sends the thread a signal whose handler does nothing and does not restart calls
  // (-ERESTARTSYS clauses), again whenever it falls asleep, until the call has returned.
  // Throws Abandon (Failed) at the deadline.
  void Interrupt();
  // Sends that signal once.
  void SignalOnce();

  // Moments of the kit's global sequence (NextSequence) around the call.
  uint64_t started_at() const;
  uint64_t finished_at() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

// A number larger than every one returned before, in any thread: orders callbacks and returns.
uint64_t NextSequence();

}  // namespace utrace::kit

#endif  // CONFORMANCE_KIT_LATCH_H_
