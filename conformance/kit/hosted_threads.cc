#include "conformance/kit/hosted_threads.h"

#include <errno.h>

#include <algorithm>
#include <memory>

#include "conformance/kit/verdict.h"

namespace utrace::kit {
namespace {

void CallFunction(void* function) {
  const std::unique_ptr<std::function<void()>> body(static_cast<std::function<void()>*>(function));
  (*body)();
}

// A wait for a Condition, as the scheduler looks at it.
struct Wait {
  std::mutex* mutex;
  const Condition* condition;
  const std::function<bool()>* ready;
  uint64_t seen;
  int over;
};

int IsOver(void* argument) {
  auto* wait = static_cast<Wait*>(argument);
  const std::lock_guard lock(*wait->mutex);
  // What `ready` depends on changes with a notification only. Asked again, the answer is the same: the
  // scheduler may let others go on first.
  if (wait->condition->changes() == wait->seen) return wait->over;
  wait->seen = wait->condition->changes();
  wait->over = (*wait->ready)() ? 1 : 0;
  return wait->over;
}

}  // namespace

ThreadId HostedThreads::Self() const { return running_ ? target_.utrace_target_thread_self() : 0; }

void HostedThreads::Start(const std::string& name, std::function<void()> body) {
  auto function = std::make_unique<std::function<void()>>(std::move(body));
  const int thread = target_.utrace_target_thread(name.c_str(), CallFunction, function.get());
  if (thread <= 0) Broken("utrace_target_thread gives " + ErrnoName(thread));
  (void)function.release();  // CallFunction has it
}

// Settled, whoever sleeps is blocked: a single look says so, and every look is another one.
Threads::Look HostedThreads::LookAt(ThreadId thread) {
  target_.utrace_target_settle(0);
  return {static_cast<char>(target_.utrace_target_thread_state(thread)), ++looks_};
}

void HostedThreads::Interrupt(ThreadId thread) { target_.utrace_target_thread_interrupt(thread); }

bool HostedThreads::Await(std::unique_lock<std::mutex>& lock, Condition& condition,
                          const std::function<bool()>& ready, std::chrono::nanoseconds timeout) {
  // Between the tests there is nobody to wait for.
  if (!running_ || ready()) return ready();
  Wait wait = {lock.mutex(), &condition, &ready, condition.changes(), 0};
  lock.unlock();
  target_.utrace_target_await(IsOver, &wait, timeout.count());
  lock.lock();
  return ready();
}

void HostedThreads::Yield() {
  target_.utrace_target_await([](void*) { return 1; }, nullptr, 0);
}

void HostedThreads::Pause(int round) {
  // At first others only get a chance: some never come to rest. Then whatever can happen without time
  // does, then time passes, in steps that grow to 10 ms.
  constexpr int kChances = 1000;
  if (round < kChances) return Yield();
  const int grown = std::min(round - kChances, 14);
  target_.utrace_target_settle(grown == 0 ? 0 : std::min(1000L << grown, 10'000'000L));
}

std::chrono::nanoseconds HostedThreads::Now() const {
  return std::chrono::nanoseconds(running_ ? target_.utrace_target_now() : 0);
}

Threads::Ran HostedThreads::Run(const std::string& schedule, const std::function<void()>& body) {
  struct Call {
    HostedThreads* threads;
    const std::function<void()>* body;
  } call = {this, &body};
  const int result = target_.utrace_target_run(
      schedule.c_str(),
      [](void* argument) {
        auto* made = static_cast<Call*>(argument);
        made->threads->running_ = true;
        (*made->body)();
        made->threads->running_ = false;
      },
      &call);
  const bool ended = !running_;
  running_ = false;
  Ran ran;
  const char* text = target_.utrace_target_schedule();
  if (text != nullptr) ran.schedule = text;
  if (result == 0 && ended) return ran;
  switch (-result) {
    case EDEADLK:
      ran.error = ended ? "threads that wait for ever were left" : "all threads wait for ever";
      break;
    case EILSEQ:
      ran.error = "the schedule could not be followed to its end: the test did not repeat itself";
      break;
    case EINVAL:
      ran.error = "no schedule: " + schedule;
      break;
    default:
      ran.error = "utrace_target_run gives " + ErrnoName(result);
      break;
  }
  return ran;
}

}  // namespace utrace::kit
