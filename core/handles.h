// TaskView, and the handles that keep tasks, pids and engines valid.
#ifndef CORE_HANDLES_H_
#define CORE_HANDLES_H_

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <utility>

#include "core/events.h"
#include "core/result.h"
#include "core/utrace.h"

namespace utrace {

// One user thread, named by a pointer that somebody else keeps valid: a callback for as long as it
// runs, or a TaskRef. Null only where a function says so.
class TaskView {
 public:
  constexpr TaskView() = default;
  // NOLINTNEXTLINE(google-explicit-constructor): the C interface's pointer means the same.
  constexpr TaskView(utrace_task* task) : task_(task) {}

  // In a callback the task that it is made for; elsewhere null.
  static TaskView Current() { return utrace_current(); }

  utrace_task* get() const { return task_; }
  explicit operator bool() const { return task_ != nullptr; }
  // The thread id, which changes when a thread other than the leader executes a program [EXE-04].
  pid_t tid() const { return utrace_task_tid(task_); }
  // The process id.
  pid_t tgid() const { return utrace_task_tgid(task_); }
  // What the engines of the task want together [EVT-15].
  Events interest() const { return Events(utrace_task_interest(task_)); }

  friend constexpr bool operator==(TaskView, TaskView) = default;

 private:
  utrace_task* task_ = nullptr;
};

namespace internal {

// A counted reference of the C interface as a value: copying takes one more, destroying drops one.
template <class T, T* (*kGet)(T*), void (*kPut)(T*)>
class Ref {
 public:
  Ref() = default;
  Ref(const Ref& other) : pointer_(other.pointer_ != nullptr ? kGet(other.pointer_) : nullptr) {}
  Ref(Ref&& other) noexcept : pointer_(std::exchange(other.pointer_, nullptr)) {}
  Ref& operator=(Ref other) noexcept {
    std::swap(pointer_, other.pointer_);
    return *this;
  }
  ~Ref() {
    if (pointer_ != nullptr) kPut(pointer_);
  }

  T* get() const { return pointer_; }
  explicit operator bool() const { return pointer_ != nullptr; }
  // Hands the reference over to the caller, who must drop it; null is left here.
  T* release() { return std::exchange(pointer_, nullptr); }
  friend bool operator==(const Ref&, const Ref&) = default;

 protected:
  explicit Ref(T* owned) : pointer_(owned) {}

 private:
  T* pointer_ = nullptr;
};

using TaskBase = Ref<utrace_task, utrace_task_get, utrace_task_put>;
using PidBase = Ref<utrace_pid, utrace_pid_get, utrace_pid_put>;
using EngineBase = Ref<utrace_engine, utrace_engine_get, utrace_engine_put>;

}  // namespace internal

// Keeps a task's pointer valid, also after the task was reaped; delays nothing in its life.
class TaskRef : public internal::TaskBase {
 public:
  TaskRef() = default;
  // Takes over a reference that the caller owns.
  static TaskRef Adopt(utrace_task* task) { return TaskRef(task); }
  // Takes a reference of its own. Null is allowed.
  static TaskRef Share(TaskView task) {
    return TaskRef(task ? utrace_task_get(task.get()) : nullptr);
  }

  TaskView view() const { return get(); }
  // NOLINTNEXTLINE(google-explicit-constructor): a reference is good wherever a task is asked for.
  operator TaskView() const { return view(); }
  pid_t tid() const { return view().tid(); }
  pid_t tgid() const { return view().tgid(); }

 private:
  explicit TaskRef(utrace_task* owned) : internal::TaskBase(owned) {}
};

// Names a thread that may be gone, without ever coming to name another one [API-08].
class PidRef : public internal::PidBase {
 public:
  PidRef() = default;
  // Takes over a reference that the caller owns.
  static PidRef Adopt(utrace_pid* pid) { return PidRef(pid); }
  // The thread with id `tid`; neither stops nor traces it. Errors: -ESRCH no such thread, -EINVAL
  // `tid` is not positive [BAD-04].
  static Result<PidRef> Find(pid_t tid) {
    utrace_pid* pid = utrace_pid_find(tid);
    if (UTRACE_IS_ERR(pid)) return Status(UTRACE_PTR_ERR(pid));
    return PidRef(pid);
  }

  // The task. Error: -ESRCH once it was reaped.
  Result<TaskRef> FindTask() const {
    utrace_task* task = utrace_pid_task(get());
    if (UTRACE_IS_ERR(task)) return Status(UTRACE_PTR_ERR(task));
    return TaskRef::Adopt(task);
  }

 private:
  explicit PidRef(utrace_pid* owned) : internal::PidBase(owned) {}
};

// Keeps an engine's pointer valid beyond detach and reaping [REF-01].
class EngineRef : public internal::EngineBase {
 public:
  EngineRef() = default;
  // Takes over a reference that the caller owns.
  static EngineRef Adopt(utrace_engine* engine) { return EngineRef(engine); }

 private:
  explicit EngineRef(utrace_engine* owned) : internal::EngineBase(owned) {}
};

}  // namespace utrace

#endif  // CORE_HANDLES_H_
