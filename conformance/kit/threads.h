// The threads of the kit itself. They are the operating system's, or those of a hosted implementation
// that runs them under a scheduler of its own (core/utrace_target.h, part B). Whatever starts a thread,
// waits or asks for the time goes through here, in the kit and in clause tests.
#ifndef CONFORMANCE_KIT_THREADS_H_
#define CONFORMANCE_KIT_THREADS_H_

#include <sys/types.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

namespace utrace::kit {

// gettid, or utrace_target_thread_self.
using ThreadId = pid_t;

class Condition;

class Threads {
 public:
  virtual ~Threads() = default;

  virtual ThreadId Self() const = 0;
  // Runs `body`, which must not throw, on a new thread.
  virtual void Start(const std::string& name, std::function<void()> body) = 0;

  // R, S and other letters of /proc, X once it has ended; and a number that changes when the thread
  // ran in between.
  struct Look {
    char state = 'X';
    long switches = -1;
    bool operator==(const Look&) const = default;
  };
  virtual Look LookAt(ThreadId thread) = 0;
  // So many equal looks in a row at a sleeping thread say that it is blocked and not only on its way.
  virtual int LooksOfTheBlocked() const = 0;
  // A signal whose handler does nothing and restarts no call; the thread must not have ended.
  virtual void Interrupt(ThreadId thread) = 0;

  // Releases `lock` and waits until `condition` is notified and `ready`, called with the lock held,
  // is true. False after `timeout`.
  virtual bool Await(std::unique_lock<std::mutex>& lock, Condition& condition,
                     const std::function<bool()>& ready, std::chrono::nanoseconds timeout) = 0;
  // Offers the processor to others.
  virtual void Yield() = 0;
  // Lets others go on, the longer the higher `round` is: for what can only be looked at.
  virtual void Pause(int round) = 0;
  virtual std::chrono::nanoseconds Now() const = 0;

  // Runs the body of a test. `schedule` says in which order the threads go on, empty: as it comes;
  // the operating system knows no other.
  struct Ran {
    std::string error;     // why it could not be run to its end
    std::string schedule;  // what repeats it; empty if nothing does
  };
  virtual Ran Run(const std::string& schedule, const std::function<void()>& body) = 0;
};

// The operating system's, until others are named. They are not taken over.
Threads& TheThreads();
void UseThreads(Threads* threads);

// Offers the processor to others: for loops in which a race is to come out this way or that. A loop that
// waits for something uses PollUntil.
void Yield();

// As std::condition_variable, for TheThreads(). `ready` depends on nothing but what the mutex guards,
// and whoever changes that notifies.
class Condition {
 public:
  void notify_all() {
    ++changes_;
    os_.notify_all();
  }
  template <typename Ready>
  bool wait_for(std::unique_lock<std::mutex>& lock, std::chrono::nanoseconds timeout, Ready ready) {
    return TheThreads().Await(lock, *this, ready, timeout);
  }
  template <typename Ready>
  void wait(std::unique_lock<std::mutex>& lock, Ready ready) {
    TheThreads().Await(lock, *this, ready, std::chrono::nanoseconds::max());
  }

  std::condition_variable& os() { return os_; }
  // Counts notifications; guarded by the mutex.
  uint64_t changes() const { return changes_; }

 private:
  std::condition_variable os_;
  uint64_t changes_ = 0;
};

// A thread beside the test, which must end before the object does.
class Thread {
 public:
  explicit Thread(std::function<void()> body, const std::string& name = "thread of the test");
  ~Thread();  // joins
  Thread(const Thread&) = delete;
  Thread& operator=(const Thread&) = delete;
  void Join();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace utrace::kit

#endif  // CONFORMANCE_KIT_THREADS_H_
