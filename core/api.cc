// utrace.h over the state machine: checks of arguments, references, error texts.
#include <cerrno>
#include <cstdio>
#include <new>
#include <string>

#include "core/task.h"
#include "core/utrace.h"

struct utrace_pid {
  explicit utrace_pid(utrace::Task* named) : task(named) {}
  utrace::Atomic<uint32_t> references{1};
  utrace::Task* const task;  // referenced
};

namespace utrace {
namespace {

// Of the calling thread [utrace_last_error_text].
std::string& LastError() { return ThreadLocal<class LastErrorTag, std::string>::Get(); }

bool Unusable(const void* pointer) { return pointer == nullptr || UTRACE_IS_ERR(pointer); }

template <typename T>
T* Error(int status) {
  return static_cast<T*>(UTRACE_ERR_PTR(status));
}

// The task of a handle if it is still there; sets *status otherwise [API-08].
Task* Live(utrace_pid* pid, int* status) {
  if (Unusable(pid)) {
    *status = -EINVAL;
    return nullptr;
  }
  if (pid->task->IsReaped()) {
    *status = -ESRCH;
    return nullptr;
  }
  return pid->task;
}

utrace_engine* Attach(Task* task, int flags, const utrace_engine_ops* ops, void* data) {
  LastError().clear();
  int status = 0;
  EngineObject* engine = task->Attach(flags, ops, data, &status, &LastError());
  return status < 0 ? Error<utrace_engine>(status) : engine;
}

// An engine is only meant for its own task.
int CheckPair(utrace_task* task, utrace_engine* engine) {
  if (Unusable(task) || Unusable(engine)) return -EINVAL;
  return FromPublic(engine)->task == FromPublic(task) ? 0 : -EINVAL;
}

}  // namespace
}  // namespace utrace

using utrace::EngineObject;
using utrace::Task;

unsigned long utrace_api_version() { return UTRACE_API_VERSION; }

// ---- Naming tasks ----------------------------------------------------------------------------------

utrace_pid* utrace_pid_find(pid_t tid) {
  utrace::LastError().clear();
  if (tid <= 0) {
    utrace::LastError() = std::to_string(tid) + " is no thread id; ids are positive";
    return utrace::Error<utrace_pid>(-EINVAL);
  }
  int status = 0;
  Task* task = utrace::TheHost().FindTask(tid, &status, &utrace::LastError());
  if (task == nullptr) return utrace::Error<utrace_pid>(status);
  auto* pid = new (std::nothrow) utrace_pid(task);
  if (pid == nullptr) {
    task->Unref();
    return utrace::Error<utrace_pid>(-ENOMEM);
  }
  return pid;
}

utrace_pid* utrace_pid_get(utrace_pid* pid) {
  if (!utrace::Unusable(pid)) pid->references.fetch_add(1, std::memory_order_relaxed);
  return pid;
}

void utrace_pid_put(utrace_pid* pid) {
  if (utrace::Unusable(pid)) return;
  if (pid->references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  pid->task->Unref();
  delete pid;
}

utrace_task* utrace_pid_task(utrace_pid* pid) {
  int status = 0;
  Task* task = utrace::Live(pid, &status);
  if (task == nullptr) return utrace::Error<utrace_task>(status);
  task->Ref();
  return task;
}

utrace_task* utrace_task_get(utrace_task* task) {
  if (!utrace::Unusable(task)) utrace::FromPublic(task)->Ref();
  return task;
}

void utrace_task_put(utrace_task* task) {
  if (!utrace::Unusable(task)) utrace::FromPublic(task)->Unref();
}

pid_t utrace_task_tid(utrace_task* task) {
  return utrace::Unusable(task) ? -EINVAL : utrace::FromPublic(task)->host().tid();
}

pid_t utrace_task_tgid(utrace_task* task) {
  return utrace::Unusable(task) ? -EINVAL : utrace::FromPublic(task)->host().tgid();
}

utrace_task* utrace_current() { return Task::Current(); }

// ---- Attaching ---------------------------------------------------------------------------------------

utrace_engine* utrace_attach_task(utrace_task* task, int flags, const utrace_engine_ops* ops,
                                  void* data) {
  if (utrace::Unusable(task)) return utrace::Error<utrace_engine>(-EINVAL);
  return utrace::Attach(utrace::FromPublic(task), flags, ops, data);
}

utrace_engine* utrace_attach_pid(utrace_pid* pid, int flags, const utrace_engine_ops* ops,
                                 void* data) {
  int status = 0;
  Task* task = utrace::Live(pid, &status);
  if (task == nullptr) return utrace::Error<utrace_engine>(status);
  return utrace::Attach(task, flags, ops, data);
}

utrace_engine* utrace_engine_get(utrace_engine* engine) {
  if (!utrace::Unusable(engine)) utrace::FromPublic(engine)->Ref();
  return engine;
}

void utrace_engine_put(utrace_engine* engine) {
  if (!utrace::Unusable(engine)) utrace::FromPublic(engine)->Unref();
}

// ---- Events and control ------------------------------------------------------------------------------

int utrace_set_events(utrace_task* task, utrace_engine* engine, unsigned long events) {
  const int status = utrace::CheckPair(task, engine);
  if (status < 0) return status;
  return utrace::FromPublic(task)->SetEvents(*utrace::FromPublic(engine), events);
}

int utrace_set_events_pid(utrace_pid* pid, utrace_engine* engine, unsigned long events) {
  int status = 0;
  Task* task = utrace::Live(pid, &status);
  return task == nullptr ? status : utrace_set_events(task, engine, events);
}

int utrace_control(utrace_task* task, utrace_engine* engine, enum utrace_resume_action action) {
  const int status = utrace::CheckPair(task, engine);
  if (status < 0) return status;
  return utrace::FromPublic(task)->Control(*utrace::FromPublic(engine),
                                           static_cast<unsigned>(action));
}

int utrace_control_pid(utrace_pid* pid, utrace_engine* engine, enum utrace_resume_action action) {
  int status = 0;
  Task* task = utrace::Live(pid, &status);
  return task == nullptr ? status : utrace_control(task, engine, action);
}

// ---- Synchronising -----------------------------------------------------------------------------------

int utrace_barrier(utrace_task* task, utrace_engine* engine) {
  if (utrace::Unusable(engine)) return -EINVAL;
  EngineObject* object = utrace::FromPublic(engine);
  // A completely detached engine is answered whatever the task pointer [BAR-06].
  const int status = object->task->Barrier(*object);
  if (status == 0 && (utrace::Unusable(task) || object->task != utrace::FromPublic(task))) {
    return -EINVAL;
  }
  return status;
}

int utrace_barrier_pid(utrace_pid* pid, utrace_engine* engine) {
  // Also while the task is being reaped: report_reap is waited for [BAR-10]. Afterwards the engine is
  // detached, and so -ESRCH.
  if (utrace::Unusable(pid)) return -EINVAL;
  return utrace_barrier(pid->task, engine);
}

int utrace_prepare_examine(utrace_task* task, utrace_engine* engine, utrace_examiner* examiner) {
  const int status = utrace::CheckPair(task, engine);
  if (status < 0 || examiner == nullptr) return -EINVAL;
  return utrace::FromPublic(task)->PrepareExamine(*utrace::FromPublic(engine), *examiner);
}

int utrace_finish_examine(utrace_task* task, utrace_engine* engine, utrace_examiner* examiner) {
  const int status = utrace::CheckPair(task, engine);
  if (status < 0 || examiner == nullptr) return -EINVAL;
  return utrace::FromPublic(task)->FinishExamine(*utrace::FromPublic(engine), *examiner);
}

// ---- What a user may see -----------------------------------------------------------------------------

unsigned long utrace_task_interest(utrace_task* task) {
  return utrace::Unusable(task) ? 0 : utrace::FromPublic(task)->Interest();
}

int utrace_task_status(utrace_task* task, char* buffer, size_t size) {
  if (utrace::Unusable(task) || buffer == nullptr || size == 0) return -EINVAL;
  return std::snprintf(buffer, size, "Utrace:\t%lx\n", utrace::FromPublic(task)->Interest());
}

const char* utrace_last_error_text() { return utrace::LastError().c_str(); }

const char* utrace_declared_limits() { return utrace::TheHost().DeclaredLimits(); }
