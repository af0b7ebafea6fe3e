#include "core/model/fiber.h"

#include <cxxabi.h>

#include <boost/context/preallocated.hpp>
#include <boost/context/protected_fixedsize_stack.hpp>
#include <cstring>
#include <mutex>
#include <utility>

#if defined(__SANITIZE_ADDRESS__)
#define UTRACE_ASAN 1
#elif defined(__SANITIZE_THREAD__)
#define UTRACE_TSAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UTRACE_ASAN 1
#elif __has_feature(thread_sanitizer)
#define UTRACE_TSAN 1
#endif
#endif

#ifdef UTRACE_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#endif
#ifdef UTRACE_TSAN
#include <sanitizer/tsan_interface.h>
#endif

namespace utrace::model {
namespace {

// Sanitizers make frames several times as large.
#if defined(UTRACE_ASAN) || defined(UTRACE_TSAN)
constexpr size_t kStackSize = 1024UL * 1024;
#else
constexpr size_t kStackSize = 256UL * 1024;
#endif

// Who the thread left last: where boost's continuation of it is to be kept.
thread_local Context* t_left = nullptr;

class Abandoned {
 public:
  void Add(Worker* worker, std::shared_ptr<void> needed) {
    const std::lock_guard lock(mutex_);
    all_.emplace_back(worker, std::move(needed));
  }

 private:
  std::mutex mutex_;
  std::vector<std::pair<Worker*, std::shared_ptr<void>>> all_;
};

}  // namespace

void Context::Announce([[maybe_unused]] Context& from, [[maybe_unused]] bool last) {
#ifdef UTRACE_ASAN
  __sanitizer_start_switch_fiber(last ? nullptr : &from.fake_stack_, stack_bottom_, stack_size_);
#endif
#ifdef UTRACE_TSAN
  __tsan_switch_to_fiber(tsan_fiber_, 0);
#endif
}

void Context::Arrived() {
#ifdef UTRACE_ASAN
  // The thread's own bounds are learnt when it is left first.
  const void* bottom = nullptr;
  size_t size = 0;
  __sanitizer_finish_switch_fiber(fake_stack_, &bottom, &size);
  if (t_left->stack_bottom_ == nullptr) {
    t_left->stack_bottom_ = bottom;
    t_left->stack_size_ = size;
  }
#endif
}

void Context::SwitchTo(Context& from) {
  void* const globals = abi::__cxa_get_globals();
  std::memcpy(&from.exceptions_, globals, sizeof(from.exceptions_));
  std::memcpy(globals, &exceptions_, sizeof(exceptions_));
  t_left = &from;
  Announce(from, false);
  boost::context::fiber left = std::move(continuation_).resume();
  from.Arrived();
  // Null after a worker that retired.
  t_left->continuation_ = std::move(left);
}

ThreadContext::ThreadContext() {
#ifdef UTRACE_TSAN
  tsan_fiber_ = __tsan_get_current_fiber();
#endif
}

Worker::Worker() {
  boost::context::protected_fixedsize_stack allocator(kStackSize);
  stack_ = allocator.allocate();
  stack_bottom_ = static_cast<char*>(stack_.sp) - stack_.size;
  stack_size_ = stack_.size;
#ifdef UTRACE_TSAN
  tsan_fiber_ = __tsan_create_fiber(0);
#endif
  continuation_ = boost::context::fiber(
      std::allocator_arg, boost::context::preallocated(stack_.sp, stack_.size, stack_), allocator,
      [this](boost::context::fiber&& left) {
        Arrived();
        t_left->continuation_ = std::move(left);
        return Loop();
      });
}

boost::context::fiber Worker::Loop() {
  while (!retiring_) {
    Context* const next = job();
    next->SwitchTo(*this);
  }
  Context* const back = t_left;
  back->Announce(*this, true);
  return std::move(back->continuation_);
}

void Worker::Retire(Context& back) {
  retiring_ = true;
  SwitchTo(back);
  std::memcpy(abi::__cxa_get_globals(), &back.exceptions_, sizeof(back.exceptions_));
#ifdef UTRACE_TSAN
  __tsan_destroy_fiber(tsan_fiber_);
#endif
}

Worker* WorkerPool::Take() {
  if (idle_.empty()) return new Worker();
  Worker* const worker = idle_.back();
  idle_.pop_back();
  return worker;
}

WorkerPool::~WorkerPool() {
  ThreadContext back;
  for (Worker* worker : idle_) {
    worker->Retire(back);
    delete worker;
  }
}

void WorkerPool::Abandon(Worker* worker, std::shared_ptr<void> needed) {
  // Never destroyed: their stacks are not unwound.
  static auto* const abandoned = new Abandoned();
  abandoned->Add(worker, std::move(needed));
#ifdef UTRACE_ASAN
  // What its stack refers to is no leak.
  __lsan_register_root_region(worker->stack_bottom_, worker->stack_size_);
#endif
}

}  // namespace utrace::model
