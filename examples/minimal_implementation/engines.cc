// The calls of core/utrace.h.
#include <errno.h>
#include <stdio.h>

#include <algorithm>

#include "examples/minimal_implementation/tasks.h"

using minimal::Engine;
using minimal::Lock;

// Names a task for as long as the caller likes; it holds a reference, which delays nothing.
struct utrace_pid {
  utrace_task* task;
  int references;
};

namespace {

bool Matches(const Engine* engine, int flags, const utrace_engine_ops* ops, const void* data) {
  if ((flags & UTRACE_ATTACH_MATCH_OPS) != 0 && engine->ops != ops) return false;
  return (flags & UTRACE_ATTACH_MATCH_DATA) == 0 || engine->data == data;
}

// Of an attached engine only; `engine` may be a detached one.
bool IsOn(const utrace_task* task, const Engine* engine) {
  return engine->attached && engine->task == task;
}

// Whether each event has a callback that it can lead to.
bool HasCallbacks(const utrace_engine_ops* ops, unsigned long events) {
  const auto lacks = [&](unsigned long event, bool callback) {
    return (events & event) != 0 && !callback;
  };
  return !lacks(UTRACE_EVENT(QUIESCE), ops->report_quiesce != nullptr) &&
         !lacks(UTRACE_EVENT(REAP), ops->report_reap != nullptr) &&
         !lacks(UTRACE_EVENT(CLONE), ops->report_clone != nullptr) &&
         !lacks(UTRACE_EVENT(EXEC), ops->report_exec != nullptr) &&
         !lacks(UTRACE_EVENT(EXIT), ops->report_exit != nullptr) &&
         !lacks(UTRACE_EVENT(DEATH), ops->report_death != nullptr) &&
         !lacks(UTRACE_EVENT(SYSCALL_ENTRY), ops->report_syscall_entry != nullptr) &&
         !lacks(UTRACE_EVENT(SYSCALL_EXIT), ops->report_syscall_exit != nullptr) &&
         !lacks(UTRACE_EVENT_SIGNAL_ALL,
                ops->report_signal != nullptr || (events & UTRACE_EVENT(QUIESCE)) != 0) &&
         !lacks(UTRACE_EVENT(JCTL), ops->report_jctl != nullptr);
}

// Calls a function with the task of a pid handle.
template <typename Function>
int WithTask(utrace_pid* pid, Function function) {
  utrace_task* task = utrace_pid_task(pid);
  if (UTRACE_IS_ERR(task)) return UTRACE_PTR_ERR(task);
  const int result = function(task);
  utrace_task_put(task);
  return result;
}

}  // namespace

unsigned long utrace_api_version(void) { return UTRACE_API_VERSION; }
const char* utrace_declared_limits(void) { return "NO-SINGLESTEP tasks have no instructions\n"; }
const char* utrace_last_error_text(void) { return ""; }
utrace_task* utrace_current(void) { return minimal::current; }

// ---- Names ---------------------------------------------------------------------------------------

utrace_pid* utrace_pid_find(pid_t tid) {
  const Lock lock(minimal::mutex);
  utrace_task* task = tid <= 0 ? nullptr : minimal::Find(tid);
  if (task == nullptr) return static_cast<utrace_pid*>(UTRACE_ERR_PTR(tid <= 0 ? -EINVAL : -ESRCH));
  ++task->references;
  return new utrace_pid{task, 1};
}

utrace_pid* utrace_pid_get(utrace_pid* pid) {
  const Lock lock(minimal::mutex);
  ++pid->references;
  return pid;
}

void utrace_pid_put(utrace_pid* pid) {
  if (pid == nullptr || UTRACE_IS_ERR(pid)) return;
  Lock lock(minimal::mutex);
  if (--pid->references > 0) return;
  minimal::Put(pid->task, lock);
  delete pid;
}

utrace_task* utrace_pid_task(utrace_pid* pid) {
  if (pid == nullptr || UTRACE_IS_ERR(pid)) {
    return static_cast<utrace_task*>(UTRACE_ERR_PTR(-EINVAL));
  }
  const Lock lock(minimal::mutex);
  if (pid->task->reaped) return static_cast<utrace_task*>(UTRACE_ERR_PTR(-ESRCH));
  ++pid->task->references;
  return pid->task;
}

utrace_task* utrace_task_get(utrace_task* task) {
  const Lock lock(minimal::mutex);
  ++task->references;
  return task;
}

void utrace_task_put(utrace_task* task) {
  if (task == nullptr || UTRACE_IS_ERR(task)) return;
  Lock lock(minimal::mutex);
  minimal::Put(task, lock);
}

pid_t utrace_task_tid(utrace_task* task) { return task->tid; }
pid_t utrace_task_tgid(utrace_task* task) { return task->tgid; }

// ---- Attaching -----------------------------------------------------------------------------------

utrace_engine* utrace_attach_task(utrace_task* task, int flags, const utrace_engine_ops* ops,
                                  void* data) {
  const auto error = [](int value) { return static_cast<utrace_engine*>(UTRACE_ERR_PTR(value)); };
  if (task == nullptr || UTRACE_IS_ERR(task)) return error(-EINVAL);
  const bool create = (flags & UTRACE_ATTACH_CREATE) != 0;
  const int known = UTRACE_ATTACH_CREATE | UTRACE_ATTACH_EXCLUSIVE | UTRACE_ATTACH_MATCH_OPS |
                    UTRACE_ATTACH_MATCH_DATA;
  if ((flags & ~known) != 0) return error(-EINVAL);
  if (create && ops == nullptr) return error(-EINVAL);
  const Lock lock(minimal::mutex);
  if (task->reaped) return error(create ? -ESRCH : -ENOENT);
  const auto found = std::find_if(
      task->engines.begin(), task->engines.end(),
      [&](const Engine* engine) { return !engine->leaves && Matches(engine, flags, ops, data); });
  const bool exists = found != task->engines.end();
  if (!create) {
    if (!exists) return error(-ENOENT);
    ++(*found)->references;
    return *found;
  }
  if (exists && (flags & UTRACE_ATTACH_EXCLUSIVE) != 0) return error(-EEXIST);
  auto* engine = new Engine;
  engine->ops = ops;
  engine->data = data;
  engine->flags = 0;
  engine->task = task;
  engine->references = 2;
  engine->release = ops->release;
  task->engines.push_back(engine);
  return engine;
}

utrace_engine* utrace_attach_pid(utrace_pid* pid, int flags, const utrace_engine_ops* ops,
                                 void* data) {
  utrace_task* task = utrace_pid_task(pid);
  if (UTRACE_IS_ERR(task)) return static_cast<utrace_engine*>(static_cast<void*>(task));
  utrace_engine* engine = utrace_attach_task(task, flags, ops, data);
  utrace_task_put(task);
  return engine;
}

utrace_engine* utrace_engine_get(utrace_engine* engine) {
  const Lock lock(minimal::mutex);
  ++static_cast<Engine*>(engine)->references;
  return engine;
}

void utrace_engine_put(utrace_engine* engine) {
  if (engine == nullptr || UTRACE_IS_ERR(engine)) return;
  Lock lock(minimal::mutex);
  minimal::Put(static_cast<Engine*>(engine), lock);
}

// ---- Events and control --------------------------------------------------------------------------

int utrace_set_events(utrace_task* task, utrace_engine* given, unsigned long events) {
  if (task == nullptr || given == nullptr) return -EINVAL;
  auto* engine = static_cast<Engine*>(given);
  const Lock lock(minimal::mutex);
  if (!IsOn(task, engine) || engine->leaves) return -ESRCH;
  events &= UTRACE_EVENT_ALL;
  if (!HasCallbacks(engine->ops, events)) return -EINVAL;
  const unsigned long ending = UTRACE_EVENT(DEATH) | UTRACE_EVENT(QUIESCE);
  if (task->dead && (events & ~engine->flags & ending) != 0) return -EALREADY;
  if (task->reporting_death && (engine->flags & ~events & ending) != 0) return -EALREADY;
  if (task->reaped && (engine->flags & ~events & UTRACE_EVENT(REAP)) != 0) return -EALREADY;
  // While a callback runs, whatever was enabled when it began may be its reason.
  const unsigned long before = engine->in_callback ? engine->flags_of_callback : engine->flags;
  const bool cleared = ((before | engine->flags) & ~events) != 0;
  engine->flags = events;
  return cleared && engine->in_callback && minimal::current != task ? -EINPROGRESS : 0;
}

int utrace_set_events_pid(utrace_pid* pid, utrace_engine* engine, unsigned long events) {
  return WithTask(pid, [&](utrace_task* task) { return utrace_set_events(task, engine, events); });
}

int utrace_control(utrace_task* task, utrace_engine* given, enum utrace_resume_action action) {
  if (task == nullptr || given == nullptr) return -EINVAL;
  if (static_cast<unsigned>(action) > UTRACE_DETACH) return -EINVAL;
  auto* engine = static_cast<Engine*>(given);
  Lock lock(minimal::mutex);
  if (!IsOn(task, engine) || engine->leaves) return -ESRCH;
  if (task->reaped || (task->dead && action != UTRACE_DETACH)) return -ESRCH;
  if (action == UTRACE_REPORT && (engine->flags & UTRACE_EVENT(QUIESCE)) == 0) return -EINVAL;
  switch (action) {
    case UTRACE_DETACH:
      if (task->reporting_death) return -EALREADY;
      if (engine->in_callback) {
        engine->leaves = true;
        return -EINPROGRESS;
      }
      minimal::Detach(engine, lock);
      return 0;
    case UTRACE_STOP:
      engine->wants_stop = true;
      if (task->state == 't') return 0;
      engine->asked = true;
      return -EINPROGRESS;
    case UTRACE_RESUME:
      if (engine->wants_stop) engine->asked = false;  // a REPORT stays
      engine->wants_stop = false;
      minimal::changed.notify_all();
      return 0;
    case UTRACE_REPORT:
    case UTRACE_INTERRUPT:
      engine->wants_stop = false;
      engine->asked = true;
      task->interrupt |= action == UTRACE_INTERRUPT;
      minimal::changed.notify_all();
      return 0;
    default:
      return -EOPNOTSUPP;  // the steps are left out
  }
}

int utrace_control_pid(utrace_pid* pid, utrace_engine* engine, enum utrace_resume_action action) {
  return WithTask(pid, [&](utrace_task* task) { return utrace_control(task, engine, action); });
}

int utrace_barrier(utrace_task* task, utrace_engine* given) {
  if (given == nullptr) return -EINVAL;
  auto* engine = static_cast<Engine*>(given);
  Lock lock(minimal::mutex);
  if (task != nullptr && minimal::current == task) return 0;
  minimal::changed.wait(lock, [&] { return !engine->in_callback; });
  return engine->attached ? 0 : -ESRCH;
}

int utrace_barrier_pid(utrace_pid* pid, utrace_engine* engine) {
  return WithTask(pid, [&](utrace_task* task) { return utrace_barrier(task, engine); });
}

// ---- Examining -----------------------------------------------------------------------------------

int utrace_prepare_examine(utrace_task* task, utrace_engine* given, utrace_examiner* examiner) {
  if (task == nullptr || given == nullptr || examiner == nullptr) return -EINVAL;
  const auto* engine = static_cast<Engine*>(given);
  Lock lock(minimal::mutex);
  if (minimal::current == task) return 0;
  // A callback's STOP is on its way.
  minimal::changed.wait(lock, [&] {
    return task->killed || task->state == 't' || !engine->wants_stop || engine->asked;
  });
  if (task->killed || !IsOn(task, engine)) return -ESRCH;
  examiner->generation = task->stops;
  return engine->wants_stop && task->state == 't' ? 0 : -EINVAL;
}

int utrace_finish_examine(utrace_task* task, utrace_engine* engine, utrace_examiner* examiner) {
  if (examiner == nullptr) return -EINVAL;
  utrace_examiner now = {};
  const int result = utrace_prepare_examine(task, engine, &now);
  if (result != 0 || minimal::current == task) return result;
  return now.generation == examiner->generation ? 0 : -EAGAIN;
}

unsigned long utrace_task_interest(utrace_task* task) {
  if (task == nullptr) return 0;
  const Lock lock(minimal::mutex);
  unsigned long interest = task->engines.empty() ? 0 : UTRACE_EVENT(REAP);
  for (const Engine* engine : task->engines) interest |= engine->flags;
  return interest;
}

int utrace_task_status(utrace_task* task, char* buffer, size_t size) {
  if (task == nullptr || buffer == nullptr) return -EINVAL;
  return snprintf(buffer, size, "Utrace:\t%lx\n", utrace_task_interest(task));
}
