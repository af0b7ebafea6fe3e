#include "core/testing/fake_utrace.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <functional>
#include <mutex>
#include <vector>

#include "core/machine.h"

namespace {

// One lock for everything: the fake is for correctness, not for speed. Never held in a callback.
std::mutex g_lock;
std::condition_variable g_changed;
int g_next_attach_error = 0;
thread_local utrace_task* t_current = nullptr;

enum class Life : uint8_t { kAlive, kDying, kDead, kReaping, kReaped };

struct FakeEngine : utrace_engine {
  int references = 2;  // the attachment's and the creator's
  bool attached = true;
  bool detaching = false;  // when the running callback ends
  bool running = false;
};

}  // namespace

struct utrace_task {
  int references = 1;
  pid_t tid = 0;
  pid_t tgid = 0;
  Life life = Life::kAlive;
  std::vector<FakeEngine*> engines;
  long number = -1;
  std::array<uint64_t, 6> arguments{};
  utrace::SyscallOutcome outcome{};
  std::map<uint64_t, std::string> memory;
};

struct utrace_pid {
  std::atomic<int> references = 1;
  utrace_task* task;
};

namespace {

// Findable ones, with a reference each. Never destroyed: tests need not reap what they make.
std::vector<utrace_task*>& g_tasks = *new std::vector<utrace_task*>;

FakeEngine* Fake(utrace_engine* engine) { return static_cast<FakeEngine*>(engine); }

// With the lock held; drops it around release.
void Drop(FakeEngine* engine, std::unique_lock<std::mutex>& lock) {
  if (--engine->references != 0) return;
  lock.unlock();
  if (engine->ops->release != nullptr) engine->ops->release(engine->data);
  delete engine;
  lock.lock();
}

void Detach(utrace_task* task, FakeEngine* engine, std::unique_lock<std::mutex>& lock) {
  engine->attached = false;
  std::erase(task->engines, engine);
  Drop(engine, lock);
}

using Call = std::function<uint32_t(FakeEngine&, uint32_t action)>;

// Calls every engine that has one of `wanted` in its mask.
utrace::fake::Verdict Pass(utrace_task* task, unsigned long wanted, bool reverse, uint32_t first,
                           const Call& call) {
  std::unique_lock lock(g_lock);
  std::vector<FakeEngine*> engines = task->engines;
  if (reverse) std::reverse(engines.begin(), engines.end());
  for (FakeEngine* engine : engines) ++engine->references;
  utrace::fake::Verdict verdict{.action = utrace::Action::kResume, .bits = first};
  utrace_task* const outer = std::exchange(t_current, task);
  for (FakeEngine* engine : engines) {
    if (engine->attached && (engine->flags & wanted) != 0) {
      engine->running = true;
      lock.unlock();
      const uint32_t result = call(*engine, verdict.bits | static_cast<uint32_t>(verdict.action));
      lock.lock();
      engine->running = false;
      const utrace::Action action = utrace::ToAction(result);
      if (action == utrace::Action::kDetach || engine->detaching) {
        Detach(task, engine, lock);
      } else {
        verdict.action = std::min(verdict.action, action);
      }
      verdict.bits = (result & ~UTRACE_RESUME_MASK) | (first & UTRACE_SYSCALL_RESUMED);
      g_changed.notify_all();
    }
    Drop(engine, lock);
  }
  t_current = outer;
  return verdict;
}

utrace::fake::Verdict Event(utrace_task* task, unsigned long event, const Call& call,
                            bool reverse = false, uint32_t first = 0) {
  Pass(task, UTRACE_EVENT(QUIESCE), reverse, 0, [&](FakeEngine& engine, uint32_t action) {
    return engine.ops->report_quiesce(action, &engine, task, event);
  });
  return Pass(task, event, reverse, first, call);
}

void SetLife(utrace_task* task, Life life) {
  const std::lock_guard lock(g_lock);
  task->life = life;
}

utrace_regs* NoRegs() { return nullptr; }

}  // namespace

namespace utrace::fake {

TaskRef NewTask(pid_t tid, pid_t tgid) {
  auto* task = new utrace_task{.references = 2, .tid = tid, .tgid = tgid};
  const std::lock_guard lock(g_lock);
  g_tasks.push_back(task);
  return TaskRef::Adopt(task);
}

void SetSyscall(TaskView task, long number, std::array<uint64_t, 6> arguments) {
  const std::lock_guard lock(g_lock);
  task.get()->number = number;
  task.get()->arguments = arguments;
}

SyscallOutcome Outcome(TaskView task) {
  const std::lock_guard lock(g_lock);
  return task.get()->outcome;
}

void SetMemory(TaskView task, uint64_t address, std::string bytes) {
  const std::lock_guard lock(g_lock);
  task.get()->memory[address] = std::move(bytes);
}

void SetTid(TaskView task, pid_t tid) {
  const std::lock_guard lock(g_lock);
  task.get()->tid = tid;
}

Verdict ReportQuiesce(TaskView task) {
  return Pass(task.get(), UTRACE_EVENT(QUIESCE), false, 0,
              [&](FakeEngine& engine, uint32_t action) {
                return engine.ops->report_quiesce(action, &engine, task.get(), 0);
              });
}

Verdict ReportSyscallEntry(TaskView task, long number, std::array<uint64_t, 6> arguments,
                           bool repeated) {
  SetSyscall(task, number, arguments);
  return Event(
      task.get(), UTRACE_EVENT(SYSCALL_ENTRY),
      [&](FakeEngine& engine, uint32_t action) {
        return engine.ops->report_syscall_entry(action, &engine, task.get(), NoRegs());
      },
      true, repeated ? UTRACE_SYSCALL_RESUMED : 0);
}

Verdict ReportSyscallExit(TaskView task, long error, long value) {
  {
    const std::lock_guard lock(g_lock);
    task.get()->outcome = {error, value};
  }
  const Verdict verdict =
      Event(task.get(), UTRACE_EVENT(SYSCALL_EXIT), [&](FakeEngine& engine, uint32_t action) {
        return engine.ops->report_syscall_exit(action, &engine, task.get(), NoRegs());
      });
  SetSyscall(task, -1);
  return verdict;
}

Verdict ReportSignal(TaskView task, Events event, siginfo_t info, uint32_t action) {
  const bool dequeued = action != UTRACE_SIGNAL_REPORT && action != UTRACE_SIGNAL_HANDLER;
  const utrace_sigaction original{};
  utrace_sigaction disposition{};
  return Pass(task.get(), event.bits() | UTRACE_EVENT(QUIESCE), false, action,
              [&](FakeEngine& engine, uint32_t so_far) {
                return engine.ops->report_signal(so_far, &engine, task.get(), NoRegs(), &info,
                                                 dequeued ? &original : nullptr, &disposition);
              });
}

Verdict ReportClone(TaskView task, TaskView child, unsigned long flags) {
  return Event(task.get(), UTRACE_EVENT(CLONE), [&](FakeEngine& engine, uint32_t action) {
    return engine.ops->report_clone(action, &engine, task.get(), flags, child.get());
  });
}

Verdict ReportJctl(TaskView task, int type, int notify) {
  return Event(task.get(), UTRACE_EVENT(JCTL), [&](FakeEngine& engine, uint32_t action) {
    return engine.ops->report_jctl(action, &engine, task.get(), type, notify);
  });
}

Verdict ReportExec(TaskView task, const std::string& path, pid_t former_tid) {
  const utrace_program program{.path = path.c_str(), .entry = 0x1000, .former_tid = former_tid};
  return Event(task.get(), UTRACE_EVENT(EXEC), [&](FakeEngine& engine, uint32_t action) {
    return engine.ops->report_exec(action, &engine, task.get(), &program, NoRegs());
  });
}

Verdict ReportExit(TaskView task, long status) {
  long code = status;
  return Event(task.get(), UTRACE_EVENT(EXIT), [&](FakeEngine& engine, uint32_t action) {
    return engine.ops->report_exit(action, &engine, task.get(), status, &code);
  });
}

void ReportDeath(TaskView task, bool group_dead, int signal) {
  SetLife(task.get(), Life::kDying);
  Event(task.get(), UTRACE_EVENT(DEATH), [&](FakeEngine& engine, uint32_t) {
    const uint32_t result = engine.ops->report_death(&engine, task.get(), group_dead, signal);
    return utrace_resume_action(result) == UTRACE_DETACH ? result : uint32_t{UTRACE_RESUME};
  });
  SetLife(task.get(), Life::kDead);
}

void ReportReap(TaskView task) {
  SetLife(task.get(), Life::kReaping);
  Pass(task.get(), UTRACE_EVENT(REAP), false, 0, [&](FakeEngine& engine, uint32_t) -> uint32_t {
    engine.ops->report_reap(&engine, task.get());
    return UTRACE_RESUME;
  });
  std::unique_lock lock(g_lock);
  task.get()->life = Life::kReaped;
  while (!task.get()->engines.empty()) Detach(task.get(), task.get()->engines.front(), lock);
  g_changed.notify_all();
  const bool findable = std::erase(g_tasks, task.get()) != 0;
  lock.unlock();
  if (findable) utrace_task_put(task.get());
}

int Attached(TaskView task) {
  const std::lock_guard lock(g_lock);
  return static_cast<int>(task.get()->engines.size());
}

void FailNextAttach(int error) {
  const std::lock_guard lock(g_lock);
  g_next_attach_error = error;
}

}  // namespace utrace::fake

// ---- utrace.h ----------------------------------------------------------------------------------

unsigned long utrace_api_version(void) { return UTRACE_API_VERSION; }

utrace_pid* utrace_pid_find(pid_t tid) {
  if (tid <= 0) return static_cast<utrace_pid*>(UTRACE_ERR_PTR(-EINVAL));
  const std::lock_guard lock(g_lock);
  for (utrace_task* task : g_tasks) {
    if (task->tid != tid) continue;
    ++task->references;
    return new utrace_pid{.task = task};
  }
  return static_cast<utrace_pid*>(UTRACE_ERR_PTR(-ESRCH));
}

utrace_pid* utrace_pid_get(utrace_pid* pid) {
  ++pid->references;
  return pid;
}

void utrace_pid_put(utrace_pid* pid) {
  if (--pid->references != 0) return;
  utrace_task_put(pid->task);
  delete pid;
}

utrace_task* utrace_pid_task(utrace_pid* pid) {
  const std::lock_guard lock(g_lock);
  if (pid->task->life == Life::kReaped) return static_cast<utrace_task*>(UTRACE_ERR_PTR(-ESRCH));
  ++pid->task->references;
  return pid->task;
}

utrace_task* utrace_task_get(utrace_task* task) {
  const std::lock_guard lock(g_lock);
  ++task->references;
  return task;
}

void utrace_task_put(utrace_task* task) {
  std::unique_lock lock(g_lock);
  if (--task->references != 0) return;
  lock.unlock();
  delete task;
}

pid_t utrace_task_tid(utrace_task* task) {
  const std::lock_guard lock(g_lock);
  return task->tid;
}

pid_t utrace_task_tgid(utrace_task* task) {
  const std::lock_guard lock(g_lock);
  return task->tgid;
}

utrace_task* utrace_current(void) { return t_current; }

utrace_engine* utrace_attach_task(utrace_task* task, int flags, const utrace_engine_ops* ops,
                                  void* data) {
  const auto fail = [](int error) { return static_cast<utrace_engine*>(UTRACE_ERR_PTR(error)); };
  if (task == nullptr) return fail(-EINVAL);
  const std::lock_guard lock(g_lock);
  if (const int error = std::exchange(g_next_attach_error, 0); error != 0) return fail(error);
  if (task->life == Life::kReaping || task->life == Life::kReaped) return fail(-ESRCH);
  FakeEngine* match = nullptr;
  for (FakeEngine* engine : task->engines) {
    if (engine->detaching) continue;
    if ((flags & UTRACE_ATTACH_MATCH_OPS) != 0 && engine->ops != ops) continue;
    if ((flags & UTRACE_ATTACH_MATCH_DATA) != 0 && engine->data != data) continue;
    match = engine;
    break;
  }
  if ((flags & UTRACE_ATTACH_CREATE) == 0) {
    if (match == nullptr) return fail(-ENOENT);
    ++match->references;
    return match;
  }
  if (ops == nullptr) return fail(-EINVAL);
  if ((flags & UTRACE_ATTACH_EXCLUSIVE) != 0 && match != nullptr) return fail(-EEXIST);
  auto* engine = new FakeEngine;
  engine->ops = ops;
  engine->data = data;
  engine->flags = 0;
  task->engines.push_back(engine);
  return engine;
}

utrace_engine* utrace_engine_get(utrace_engine* engine) {
  const std::lock_guard lock(g_lock);
  ++Fake(engine)->references;
  return engine;
}

void utrace_engine_put(utrace_engine* engine) {
  std::unique_lock lock(g_lock);
  Drop(Fake(engine), lock);
}

int utrace_set_events(utrace_task* task, utrace_engine* engine, unsigned long events) {
  const std::lock_guard lock(g_lock);
  FakeEngine* fake = Fake(engine);
  if (!fake->attached || fake->detaching) return -ESRCH;
  const unsigned long death = UTRACE_EVENT(QUIESCE) | UTRACE_EVENT(DEATH);
  const unsigned long added = events & ~engine->flags;
  const unsigned long cleared = engine->flags & ~events;
  if (task->life != Life::kAlive && (added & death) != 0) return -EALREADY;
  if (task->life == Life::kDying && (cleared & death) != 0) return -EALREADY;
  if (task->life == Life::kReaping && (cleared & UTRACE_EVENT(REAP)) != 0) return -EALREADY;
  engine->flags = events & UTRACE_EVENT_ALL;
  return cleared != 0 && fake->running && t_current != task ? -EINPROGRESS : 0;
}

int utrace_control(utrace_task* task, utrace_engine* engine, enum utrace_resume_action action) {
  std::unique_lock lock(g_lock);
  FakeEngine* fake = Fake(engine);
  if (action > UTRACE_DETACH) return -EINVAL;
  if (!fake->attached || fake->detaching) return -ESRCH;
  if (action != UTRACE_DETACH) {
    if (task->life != Life::kAlive) return -ESRCH;
    return action == UTRACE_STOP ? -EINPROGRESS : 0;
  }
  if (task->life == Life::kReaping) return -ESRCH;
  if (task->life == Life::kDying) return -EALREADY;
  if (fake->running) {
    fake->detaching = true;
    return -EINPROGRESS;
  }
  Detach(task, fake, lock);
  return 0;
}

int utrace_barrier(utrace_task* task, utrace_engine* engine) {
  std::unique_lock lock(g_lock);
  FakeEngine* fake = Fake(engine);
  if (t_current != nullptr && t_current == task) return 0;
  g_changed.wait(lock, [fake] { return !fake->running; });
  return fake->attached ? 0 : -ESRCH;
}

int utrace_prepare_examine(utrace_task*, utrace_engine*, utrace_examiner*) { return -EINVAL; }
int utrace_finish_examine(utrace_task*, utrace_engine*, utrace_examiner*) { return -EINVAL; }

unsigned long utrace_task_interest(utrace_task* task) {
  const std::lock_guard lock(g_lock);
  unsigned long interest = task->engines.empty() ? 0 : UTRACE_EVENT(REAP);
  for (const FakeEngine* engine : task->engines) interest |= engine->flags;
  return interest;
}

const char* utrace_last_error_text(void) { return ""; }

// ---- machine.h ---------------------------------------------------------------------------------

const utrace_regset_view* utrace_task_regset_view(utrace_task*) { return nullptr; }
int utrace_regset_get(utrace_task*, uint32_t, size_t, size_t, void*) { return -ENODEV; }
int utrace_regset_set(utrace_task*, uint32_t, size_t, size_t, const void*) { return -ENODEV; }
int utrace_get_pc(utrace_task*, uint64_t*) { return -EINVAL; }
int utrace_set_pc(utrace_task*, uint64_t) { return -EINVAL; }
int utrace_get_sp(utrace_task*, uint64_t*) { return -EINVAL; }
int utrace_syscall_rollback(utrace_task*) { return -EINVAL; }

int utrace_syscall_number(utrace_task* task, long* number) {
  const std::lock_guard lock(g_lock);
  *number = task->number;
  return 0;
}

int utrace_syscall_set_number(utrace_task* task, long number) {
  const std::lock_guard lock(g_lock);
  task->number = number;
  return 0;
}

int utrace_syscall_arguments(utrace_task* task, unsigned first, unsigned count,
                             uint64_t* arguments) {
  if (first > 6 || count > 6 - first) return -EINVAL;
  const std::lock_guard lock(g_lock);
  std::copy_n(task->arguments.begin() + first, count, arguments);
  return 0;
}

int utrace_syscall_set_arguments(utrace_task* task, unsigned first, unsigned count,
                                 const uint64_t* arguments) {
  if (first > 6 || count > 6 - first) return -EINVAL;
  const std::lock_guard lock(g_lock);
  std::copy_n(arguments, count, task->arguments.begin() + first);
  return 0;
}

int utrace_syscall_result(utrace_task* task, long* error, long* value) {
  const std::lock_guard lock(g_lock);
  if (error != nullptr) *error = task->outcome.error;
  if (value != nullptr) *value = task->outcome.value;
  return 0;
}

int utrace_syscall_set_result(utrace_task* task, long error, long value) {
  const std::lock_guard lock(g_lock);
  task->outcome = {error, error != 0 ? 0 : value};
  return 0;
}

ssize_t utrace_read_memory(utrace_task* task, uint64_t address, void* buffer, size_t size) {
  const std::lock_guard lock(g_lock);
  const auto after = task->memory.upper_bound(address);
  if (after == task->memory.begin()) return -EFAULT;
  const auto& [start, bytes] = *std::prev(after);
  const uint64_t offset = address - start;
  if (offset >= bytes.size()) return -EFAULT;
  const size_t count = std::min<size_t>(size, bytes.size() - offset);
  memcpy(buffer, bytes.data() + offset, count);
  return static_cast<ssize_t>(count);
}

ssize_t utrace_write_memory(utrace_task*, uint64_t, const void*, size_t) { return -EFAULT; }
