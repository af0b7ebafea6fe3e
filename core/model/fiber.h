// Fibers as such: contexts with stacks of their own, kept from run to run, and the switch between
// them. Who runs when is scheduler.cc's business.
#ifndef CORE_MODEL_FIBER_H_
#define CORE_MODEL_FIBER_H_

#include <boost/context/fiber.hpp>
#include <boost/context/stack_context.hpp>
#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

namespace utrace::model {

// Something that can be switched to: a worker, or the thread's own stack.
class Context {
 public:
  Context() = default;
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  // Goes on in `this`, which was left by SwitchTo or is a worker not begun; returns when somebody
  // switches back to `from`, the context of the caller.
  void SwitchTo(Context& from);

 protected:
  friend class Worker;
  friend class WorkerPool;
  // On the new stack, after each switch.
  void Arrived();
  // The sanitizers must hear of a switch before it is made; `last`: nobody comes back to `from`.
  void Announce(Context& from, bool last);

  boost::context::fiber continuation_;
  // Exceptions in flight belong to a stack; the C++ runtime keeps them by thread. As the C++ ABI lays
  // them out.
  struct Exceptions {
    void* caught = nullptr;
    unsigned uncaught = 0;
  } exceptions_;
  // For the sanitizers.
  const void* stack_bottom_ = nullptr;
  size_t stack_size_ = 0;
  void* fake_stack_ = nullptr;
  void* tsan_fiber_ = nullptr;
};

// The thread's own stack; one lives at a time.
class ThreadContext : public Context {
 public:
  ThreadContext();
};

// A stack that runs one job after the other.
class Worker : public Context {
 public:
  Worker();
  // Its job must be done. `back` is the caller's context.
  void Retire(Context& back);

  // Set before the first switch to it. When the job returns, the context that it names goes on. The
  // job must let no exception out.
  std::function<Context*()> job;

 private:
  boost::context::fiber Loop();
  bool retiring_ = false;
  boost::context::stack_context stack_;
};

// Workers of the calling thread that wait for a job.
class WorkerPool {
 public:
  WorkerPool() = default;
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  Worker* Take();
  void Return(Worker* worker) { idle_.push_back(worker); }
  // A worker in the middle of a job that will never go on. Its stack stays, what is on it stays, and
  // so does `needed`.
  static void Abandon(Worker* worker, std::shared_ptr<void> needed);

 private:
  std::vector<Worker*> idle_;
};

}  // namespace utrace::model

#endif  // CORE_MODEL_FIBER_H_
