// Choosing events and controlling [EVT-*, CTL-*].
#include <cerrno>

#include "core/task.h"

namespace utrace {
namespace {

// Whether every enabled event has its callback [BAD-02].
bool HasCallbacks(const utrace_engine_ops& ops, unsigned long events) {
  const auto lacks = [events](unsigned long event, bool present) {
    return (events & event) != 0 && !present;
  };
  if (lacks(UTRACE_EVENT(QUIESCE), ops.report_quiesce != nullptr)) return false;
  if (lacks(UTRACE_EVENT(REAP), ops.report_reap != nullptr)) return false;
  if (lacks(UTRACE_EVENT(CLONE), ops.report_clone != nullptr)) return false;
  if (lacks(UTRACE_EVENT(EXEC), ops.report_exec != nullptr)) return false;
  if (lacks(UTRACE_EVENT(EXIT), ops.report_exit != nullptr)) return false;
  if (lacks(UTRACE_EVENT(DEATH), ops.report_death != nullptr)) return false;
  if (lacks(UTRACE_EVENT(SYSCALL_ENTRY), ops.report_syscall_entry != nullptr)) return false;
  if (lacks(UTRACE_EVENT(SYSCALL_EXIT), ops.report_syscall_exit != nullptr)) return false;
  if (lacks(UTRACE_EVENT(JCTL), ops.report_jctl != nullptr)) return false;
  const bool quiesce_serves = (events & UTRACE_EVENT(QUIESCE)) != 0;  // [QUI-07]
  return !lacks(UTRACE_EVENT_SIGNAL_ALL, ops.report_signal != nullptr || quiesce_serves);
}

}  // namespace

int Task::SetEvents(EngineObject& engine, unsigned long events) {
  events &= UTRACE_EVENT_ALL;
  constexpr unsigned long kLifeEvents = UTRACE_EVENT(DEATH) | UTRACE_EVENT(QUIESCE);
  int result = 0;
  bool changed = false;
  unsigned long interest = 0;
  {
    MutexLock lock(mutex_);
    if (engine.state != EngineObject::State::kAttached || life_ == Life::kReaped) return -ESRCH;
    if (!HasCallbacks(*engine.ops, events)) return -EINVAL;
    const unsigned long added = events & ~engine.flags;
    const unsigned long cleared = engine.flags & ~events;
    if (life_ >= Life::kDying && (added & kLifeEvents) != 0) return -EALREADY;
    if (life_ == Life::kDying && (cleared & kLifeEvents) != 0) return -EALREADY;
    if (life_ == Life::kReaping) {
      return (cleared & UTRACE_EVENT(REAP)) != 0 ? -EALREADY : -ESRCH;
    }
    const unsigned long before = InterestLocked();
    __atomic_store_n(&engine.flags, events, __ATOMIC_RELEASE);
    interest = InterestLocked();
    changed = interest != before;
    if (engine.in_callback && Current() != this) {
      if (cleared != 0) engine.cleared_during_callback = true;
      // The same mask once more asks whether that callback is over [EVT-12].
      const bool asks_again = engine.cleared_during_callback && added == 0;
      if (cleared != 0 || asks_again) result = -EINPROGRESS;
    }
  }
  if (changed) host_->InterestChanged(interest);
  return result;
}

int Task::WantCalls(EngineObject& engine, CallsWanted wanted) {
  bool changed = false;
  unsigned long interest = 0;
  {
    MutexLock lock(mutex_);
    if (life_ >= Life::kReaping || engine.state != EngineObject::State::kAttached) return -ESRCH;
    const unsigned long before = InterestLocked();
    engine.calls_wanted = wanted;
    interest = InterestLocked();
    changed = interest != before;
  }
  if (changed) host_->InterestChanged(interest);
  return 0;
}

Status WantCalls(const EngineRef& engine, CallsWanted wanted) {
  EngineObject* object = FromPublic(engine.get());
  return Status(object->task->WantCalls(*object, wanted));
}

int Task::Control(EngineObject& engine, unsigned action) {
  if (action > UTRACE_DETACH) return -EINVAL;
  int result = 0;
  bool wake = false;
  bool ask = false;
  bool left = false;
  Urgency urgency = Urgency::kReport;
  unsigned long interest = 0;
  std::vector<EngineObject*> removed;
  {
    MutexLock lock(mutex_);
    if (engine.state != EngineObject::State::kAttached || life_ >= Life::kReaping) return -ESRCH;
    if (life_ != Life::kAlive && action != UTRACE_DETACH) return -ESRCH;
    if (life_ == Life::kDying) return -EALREADY;
    const bool needs_quiesce =
        action == UTRACE_REPORT || action == UTRACE_SINGLESTEP || action == UTRACE_BLOCKSTEP;
    if (needs_quiesce && (engine.flags & UTRACE_EVENT(QUIESCE)) == 0) return -EINVAL;
    if (action == UTRACE_SINGLESTEP || action == UTRACE_BLOCKSTEP) {
      if (!TheHost().HasSingleStep()) return -EOPNOTSUPP;
      if (!TheHost().HasBlockStep()) action = UTRACE_SINGLESTEP;
    }

    const bool stopped = (held_ && SomeoneStops()) || job_stopped_;
    engine.stop_during_callback = false;
    if (action == UTRACE_STOP) {
      engine.wish = UTRACE_STOP;
      if (stopped) {
        engine.stop_committed = true;
        if (!held_) {
          ask = true;
          urgency = Urgency::kTakeOver;
        }
      } else {
        engine.stop_committed = false;
        engine.stop_during_callback = engine.in_callback;
        AddPending(Pending::kReport);
        ask = true;
        result = -EINPROGRESS;
      }
    } else {
      engine.wish = UTRACE_RESUME;
      engine.stop_committed = false;
      switch (action) {
        case UTRACE_DETACH:
          engine.state =
              engine.in_callback ? EngineObject::State::kDetaching : EngineObject::State::kDetached;
          if (engine.in_callback) result = -EINPROGRESS;
          if (!in_pass_) RemoveDetached(removed);
          left = true;
          interest = InterestLocked();
          break;
        case UTRACE_INTERRUPT:
        case UTRACE_REPORT:
          urgency = action == UTRACE_REPORT ? Urgency::kReport : Urgency::kInterrupt;
          AddPending(action == UTRACE_REPORT ? Pending::kReport : Pending::kInterrupt);
          if (at_entry_) repeat_entry_ = true;
          ask = true;
          break;
        case UTRACE_SINGLESTEP:
        case UTRACE_BLOCKSTEP:
          engine.wish = static_cast<uint8_t>(action);
          ask = !held_;
          break;
        default:
          break;
      }
    }
    if (held_) {
      wake = !SomeoneStops();
      ask = ask && urgency == Urgency::kTakeOver;
    }
  }
  DropAll(removed);
  if (left) host_->InterestChanged(interest);
  if (wake) {
    host_->RequestWake();
  } else if (ask) {
    host_->RequestSafePoint(urgency);
  }
  return result;
}

}  // namespace utrace
