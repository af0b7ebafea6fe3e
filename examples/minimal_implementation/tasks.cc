// What tasks do, and the reports they make.
#include "examples/minimal_implementation/tasks.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>

using minimal::Engine;
using minimal::Lock;

namespace minimal {

std::mutex mutex;
std::condition_variable changed;
utrace_task* world[UTRACE_TARGET_SLOTS] = {};
thread_local utrace_task* current = nullptr;

utrace_target_slot& Memory(unsigned slot) {
  static utrace_target_slot slots[UTRACE_TARGET_SLOTS];
  return slots[slot];
}

utrace_task* Find(pid_t tid) {
  for (utrace_task* task : world) {
    if (task != nullptr && task->tid == tid && !task->reaped) return task;
  }
  return nullptr;
}

void Put(utrace_task* task, Lock&) {
  if (--task->references == 0) delete task;
}

void Put(Engine* engine, Lock& lock) {
  if (--engine->references > 0) return;
  lock.unlock();
  if (engine->release != nullptr) engine->release(engine->data);
  delete engine;
  lock.lock();
}

void Detach(Engine* engine, Lock& lock) {
  auto& engines = engine->task->engines;
  engines.erase(std::find(engines.begin(), engines.end(), engine));
  engine->attached = false;
  engine->wants_stop = engine->asked = false;
  changed.notify_all();
  Put(engine, lock);
}

}  // namespace minimal

utrace_task::utrace_task(pid_t thread_id, pid_t process, unsigned place)
    : tid(thread_id), tgid(process), slot(place) {}

bool utrace_task::IsHeld() const {
  return std::any_of(engines.begin(), engines.end(), [](Engine* e) { return e->wants_stop; });
}

void utrace_task::Kill() {
  if (!killed && !dead) wait_status = SIGKILL;
  killed = true;
  minimal::changed.notify_all();
}

void utrace_task::Sleep(Lock& lock, const std::function<bool()>& ready) {
  for (;;) {
    state = 'S';
    minimal::changed.notify_all();
    minimal::changed.wait(lock, [&] { return killed || interrupt || ready(); });
    if (killed) throw minimal::Killed();
    state = 'R';
    if (ready()) return;
    Stop(lock);
  }
}

// ---- Reports -------------------------------------------------------------------------------------

uint32_t utrace_task::ReportTo(Engine* engine, unsigned long event, uint32_t action,
                               const Callback& make) {
  Lock lock(minimal::mutex);
  const auto wants = [&](unsigned long events) {
    return engine->attached && (engine->flags & events) != 0;
  };
  const auto answer_of = [&](const std::function<uint32_t()>& callback) {
    engine->in_callback = true;
    engine->flags_of_callback = engine->flags;
    lock.unlock();
    minimal::current = this;
    const uint32_t answer = callback();
    minimal::current = nullptr;
    lock.lock();
    engine->in_callback = false;
    const uint32_t resume = utrace_resume_action(answer);
    if (resume == UTRACE_STOP) {
      engine->wants_stop = !dead;
    } else if (!engine->asked) {
      engine->wants_stop = false;
    }
    // Answers to the very report that was asked for ask for no other.
    if (resume == UTRACE_REPORT || resume == UTRACE_INTERRUPT) engine->asked |= event != 0 && !dead;
    if (utrace_resume_action(answer) == UTRACE_DETACH || engine->leaves) {
      engine->leaves = false;
      minimal::Detach(engine, lock);
    }
    minimal::changed.notify_all();
    return answer;
  };
  const uint32_t quiesce = UTRACE_EVENT(QUIESCE);
  if (wants(quiesce) && event != UTRACE_EVENT(REAP)) {
    const uint32_t wish = utrace_resume_action(
        answer_of([&] { return engine->ops->report_quiesce(action, engine, this, event); }));
    action = (action & ~UTRACE_RESUME_MASK) | std::min(action & UTRACE_RESUME_MASK, wish);
  }
  if (wants(event)) {
    const uint32_t answer = answer_of([&] { return make(engine, action); });
    action = (answer & ~UTRACE_RESUME_MASK) |
             std::min(action & UTRACE_RESUME_MASK, answer & UTRACE_RESUME_MASK);
  }
  minimal::Put(engine, lock);
  return action;
}

uint32_t utrace_task::Report(unsigned long event, uint32_t first, bool backwards,
                             const Callback& make) {
  std::vector<Engine*> all;
  {
    Lock lock(minimal::mutex);
    // Of an event that no engine wants nobody hears; but death comes to everybody.
    const auto wants = [&](const Engine* engine) { return (engine->flags & event) != 0; };
    if (event != 0 && event != UTRACE_EVENT(DEATH) &&
        std::none_of(engines.begin(), engines.end(), wants))
      return first;
    all = engines;
    for (Engine* engine : all) ++engine->references;
  }
  if (backwards) std::reverse(all.begin(), all.end());
  uint32_t action = first;
  uint32_t resume = UTRACE_RESUME;
  for (Engine* engine : all) {
    // What the engine before answered to the event, with the strongest resume action of all.
    action = ReportTo(engine, event, (action & ~UTRACE_RESUME_MASK) | resume, make);
    resume = std::min<uint32_t>(resume, utrace_resume_action(action));
  }
  return action;
}

void utrace_task::Stop(Lock& lock) {
  bool report = std::any_of(engines.begin(), engines.end(), [](Engine* e) { return e->asked; });
  interrupt = false;
  for (;;) {
    if (killed) throw minimal::Killed();
    if (report) {
      for (Engine* engine : engines) engine->asked = false;
      lock.unlock();
      Report(0, UTRACE_RESUME, false, nullptr);
      lock.lock();
    }
    if (!IsHeld() || killed) break;
    state = 't';
    ++stops;
    minimal::changed.notify_all();
    minimal::changed.wait(lock, [&] { return killed || !IsHeld(); });
    state = 'R';
    report = true;  // it resumes
  }
  if (killed) throw minimal::Killed();
}

// Tasks have no registers, so there is nothing in it.
struct utrace_regs {};

// ---- System calls --------------------------------------------------------------------------------

long utrace_task::Call(long number, const int64_t* call_arguments) {
  utrace_regs regs;
  Lock lock(minimal::mutex);
  if (killed) throw minimal::Killed();
  call = number;
  for (int i = 0; i < 6; ++i) {
    arguments[i] = call_arguments == nullptr ? 0 : static_cast<uint64_t>(call_arguments[i]);
  }
  result = -ENOSYS;
  lock.unlock();
  const uint32_t answer = Report(UTRACE_EVENT(SYSCALL_ENTRY), UTRACE_SYSCALL_RUN, true,
                                 [&](Engine* e, uint32_t action) {
                                   return e->ops->report_syscall_entry(action, e, this, &regs);
                                 });
  lock.lock();
  Stop(lock);
  if (utrace_syscall_action(answer) != UTRACE_SYSCALL_ABORT) result = Perform(lock);
  lock.unlock();
  Report(UTRACE_EVENT(SYSCALL_EXIT), 0, false, [&](Engine* e, uint32_t action) {
    return e->ops->report_syscall_exit(action, e, this, &regs);
  });
  lock.lock();
  Stop(lock);
  call = -1;
  return result;
}

long utrace_task::Perform(Lock& lock) {
  switch (call) {
    case SYS_recvfrom:
      Sleep(lock, [&] { return !commands.empty(); });
      command_ = commands.front();
      commands.pop_front();
      return sizeof(command_);
    case SYS_sendto:
      replies.push_back(reply_);
      return sizeof(reply_);
    case SYS_getpid:
      return tgid;
    case SYS_gettid:
      return tid;
    case SYS_getppid:
      return tgid == minimal::world[UTRACE_TARGET_PARENT]->tgid
                 ? 0
                 : minimal::world[UTRACE_TARGET_PARENT]->tgid;
    case SYS_getuid:
    case SYS_sched_yield:
      return 0;
    case SYS_close:
      return -EBADF;  // the pipe stays
    case SYS_read: {
      Sleep(lock, [&] { return !pipe.empty(); });
      const auto size = static_cast<long>(std::min<uint64_t>(arguments[2], pipe.size()));
      auto* to = reinterpret_cast<unsigned char*>(arguments[1]);
      std::copy_n(pipe.begin(), size, to);
      pipe.erase(pipe.begin(), pipe.begin() + size);
      return size;
    }
    case SYS_pause:
      Sleep(lock, [] { return false; });
      return 0;
    case SYS_exit:
    case SYS_exit_group:
      wait_status = static_cast<int>(arguments[0] & 0xff) << 8;
      killed = true;
      throw minimal::Killed();
    case SYS_wait4:
      return Wait(lock);
    case SYS_waitid:
      return WaitId(lock);
    default:
      return -ENOSYS;
  }
}

long utrace_task::Wait(Lock& lock) {
  const auto pid = static_cast<pid_t>(arguments[0]);
  utrace_task* found = nullptr;
  const auto look = [&] {
    found = minimal::Find(pid);
    return found == nullptr || found->IsZombie();
  };
  if (!look() && (arguments[2] & WNOHANG) != 0) return 0;
  Sleep(lock, look);
  if (found == nullptr) return -ECHILD;
  if (arguments[1] != 0) *reinterpret_cast<int*>(arguments[1]) = found->wait_status;
  found->Reap();
  return pid;
}

long utrace_task::WaitId(Lock& lock) {
  const auto pid = static_cast<pid_t>(arguments[1]);
  auto* info = reinterpret_cast<siginfo_t*>(arguments[2]);
  const auto look = [&] {
    const utrace_task* task = minimal::Find(pid);
    return task == nullptr || task->IsZombie();
  };
  if (!look() && (arguments[3] & WNOHANG) != 0) return 0;
  Sleep(lock, look);
  utrace_task* found = minimal::Find(pid);
  if (found == nullptr) return -ECHILD;
  info->si_signo = SIGCHLD;
  info->si_pid = pid;
  info->si_code = WIFEXITED(found->wait_status) ? CLD_EXITED : CLD_KILLED;
  info->si_status =
      WIFEXITED(found->wait_status) ? WEXITSTATUS(found->wait_status) : found->wait_status;
  if ((arguments[3] & WNOWAIT) == 0) found->Reap();
  return 0;
}

// ---- Life and death ------------------------------------------------------------------------------

long utrace_task::Spin() {
  utrace_target_slot& memory = minimal::Memory(slot);
  long rounds = 0;
  while (__atomic_load_n(&memory.go, __ATOMIC_SEQ_CST) == 0) {
    __atomic_add_fetch(&memory.spins, 1, __ATOMIC_SEQ_CST);
    ++rounds;
    Lock lock(minimal::mutex);
    Stop(lock);
    lock.unlock();
    std::this_thread::yield();
  }
  __atomic_store_n(&memory.go, 0, __ATOMIC_SEQ_CST);
  return rounds;
}

long utrace_task::Execute(const utrace_target_command& command) {
  switch (command.op) {
    case UTRACE_TARGET_SYSCALL:
      return Call(command.nr, command.arguments);
    case UTRACE_TARGET_REPEAT: {
      long last = 0;
      const int64_t repeated[6] = {command.arguments[0], command.arguments[1],
                                   command.arguments[2]};
      for (int64_t i = 0; i < command.arguments[3]; ++i) last = Call(command.nr, repeated);
      return last;
    }
    case UTRACE_TARGET_SPIN:
      return Spin();
    default:
      return -ENOSYS;
  }
}

void utrace_task::Run() {
  utrace_target_slot& memory = minimal::Memory(slot);
  try {
    reply_ = {};
    reply_.pid = tgid;
    Call(SYS_sendto);  // it is ready
    for (;;) {
      Call(SYS_recvfrom);
      __atomic_store_n(&memory.started, command_.seq, __ATOMIC_SEQ_CST);
      const long value = Execute(command_);
      __atomic_store_n(&memory.done, command_.seq, __ATOMIC_SEQ_CST);
      reply_.seq = command_.seq;
      reply_.result = value;
      Call(SYS_sendto);
    }
  } catch (const minimal::Killed&) {
    Die(wait_status);
  }
}

void utrace_task::Die(int status) {
  Lock lock(minimal::mutex);
  call = -1;
  wait_status = status;
  dead = true;
  state = 'Z';
  reporting_death = !engines.empty();
  for (Engine* engine : engines) engine->wants_stop = engine->asked = false;
  minimal::changed.notify_all();
  lock.unlock();
  Report(UTRACE_EVENT(DEATH), UTRACE_RESUME, false,
         [&](Engine* e, uint32_t) { return e->ops->report_death(e, this, true, SIGCHLD); });
  lock.lock();
  reporting_death = false;
  minimal::changed.wait(lock, [&] { return reaped; });
  lock.unlock();
  Report(UTRACE_EVENT(REAP), UTRACE_RESUME, false, [&](Engine* e, uint32_t) -> uint32_t {
    e->ops->report_reap(e, this);
    return UTRACE_RESUME;
  });
  lock.lock();
  while (!engines.empty()) minimal::Detach(engines.front(), lock);
}

void utrace_task::Reap() {
  reaped = true;
  minimal::changed.notify_all();
}
