// The calls that wait: barrier and examine [BAR-*, EXM-*].
#include <cerrno>

#include "core/task.h"

namespace utrace {

int Task::Barrier(EngineObject& engine) {
  if (Current() == this) return 0;
  MutexLock lock(mutex_);
  const uint32_t running = engine.callbacks;
  while (engine.in_callback && engine.callbacks == running) {
    if (WaitForChange(lock) == WaitResult::kInterrupted && engine.in_callback &&
        engine.callbacks == running) {
      return -UTRACE_ERESTARTSYS;
    }
  }
  return engine.state == EngineObject::State::kDetached ? -ESRCH : 0;
}

int Task::PrepareExamine(EngineObject& engine, utrace_examiner& examiner) {
  if (Current() == this) return 0;
  MutexLock lock(mutex_);
  for (;;) {
    if (life_ != Life::kAlive || engine.state == EngineObject::State::kDetached) return -ESRCH;
    if (engine.state != EngineObject::State::kAttached || engine.wish != UTRACE_STOP) {
      return -EINVAL;
    }
    if (held_) break;
    // Asked for and not in effect yet: the task is not stopped [EXM-09].
    if (!engine.stop_committed) return -EAGAIN;
    // A signal to the caller does not end this wait: it is short, the task is on its way.
    WaitForChange(lock);
  }
  examiner.generation = hold_generation_;
  lock.unlock();
  return host_->IsStillStopped() ? 0 : -EAGAIN;
}

int Task::FinishExamine(EngineObject& engine, const utrace_examiner& examiner) {
  if (Current() == this) return 0;
  {
    MutexLock lock(mutex_);
    if (engine.state != EngineObject::State::kAttached || engine.wish != UTRACE_STOP) {
      return life_ == Life::kAlive ? -EINVAL : -EAGAIN;
    }
    if (!held_ || hold_generation_ != examiner.generation) return -EAGAIN;
  }
  return host_->IsStillStopped() ? 0 : -EAGAIN;
}

}  // namespace utrace
