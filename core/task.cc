#include "core/task.h"

#include <algorithm>

namespace utrace {
namespace {

using CurrentTaskSlot = ThreadLocal<class CurrentTaskTag, Task*>;

}  // namespace

CurrentTask::CurrentTask(Task* task) : previous_(CurrentTaskSlot::Get()) {
  CurrentTaskSlot::Get() = task;
}
CurrentTask::~CurrentTask() { CurrentTaskSlot::Get() = previous_; }

Task* Task::Current() { return CurrentTaskSlot::Get(); }

Task::Task(std::unique_ptr<HostTask> host) : host_(std::move(host)) {}

Task::~Task() = default;

bool Task::TryRef() {
  uint32_t count = references_.load(std::memory_order_relaxed);
  while (count != 0) {
    if (references_.compare_exchange_weak(count, count + 1, std::memory_order_acq_rel)) return true;
  }
  return false;
}

void Task::Unref() {
  if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
}

// ---- Waiting -----------------------------------------------------------------------------------

void Task::Notify() {
  changes_.fetch_add(1, std::memory_order_release);
  // Waking is a system call in a live host; nearly always nobody waits.
  if (waiters_ > 0) TheHost().WakeAll(changes_);
}

WaitResult Task::WaitForChange(MutexLock& lock) {
  const uint32_t seen = changes_.load(std::memory_order_acquire);
  ++waiters_;
  lock.unlock();
  const WaitResult result = TheHost().WaitOn(changes_, seen);
  lock.lock();
  --waiters_;
  return result;
}

// ---- What the engines want ---------------------------------------------------------------------

unsigned long Task::InterestLocked() const {
  unsigned long interest = 0;
  bool any = false;
  for (const auto* list : {&engines_, &arriving_}) {
    for (const EngineObject* engine : *list) {
      if (engine->state == EngineObject::State::kDetached) continue;
      any = true;
      interest |= engine->flags;
      const CallsWanted& wanted = engine->calls_wanted;
      if (wanted.all && (engine->flags & UTRACE_EVENT_SYSCALL) != 0) {
        const bool named = engine->owner != nullptr && engine->owner->wants_named_calls_only();
        interest |= named ? kNamedCalls : kEveryCall;
      }
      if (wanted.filtered && (engine->flags & UTRACE_EVENT(SYSCALL_ENTRY)) != 0) {
        interest |= kFilteredCalls;
      }
    }
  }
  return any ? interest | kAttached : 0;
}

unsigned long Task::HostInterest() {
  MutexLock lock(mutex_);
  return InterestLocked();
}

unsigned long Task::Interest() {
  const unsigned long interest = HostInterest();
  return interest == 0 ? 0 : (interest & UTRACE_EVENT_ALL) | UTRACE_EVENT(REAP);
}

bool Task::SomeoneStops() const {
  for (const auto* list : {&engines_, &arriving_}) {
    for (const EngineObject* engine : *list) {
      if (engine->state == EngineObject::State::kAttached && engine->wish == UTRACE_STOP) {
        return true;
      }
    }
  }
  return false;
}

bool Task::StillDue() const {
  if (pending_ != Pending::kNone || report_after_stop_) return true;
  for (const auto* list : {&engines_, &arriving_}) {
    for (const EngineObject* engine : *list) {
      if (engine->state == EngineObject::State::kAttached && engine->wish != UTRACE_RESUME) {
        return true;
      }
    }
  }
  return false;
}

bool Task::IsDue() {
  MutexLock lock(mutex_);
  return life_ == Life::kAlive && StillDue();
}

void Task::AddPending(Pending pending) { pending_ = std::max(pending_, pending); }

void Task::StartHold() {
  held_ = true;
  report_after_stop_ = true;
  for (EngineObject* engine : engines_) {
    if (engine->wish == UTRACE_STOP) engine->stop_committed = true;
  }
  Notify();
}

void Task::EndHold() {
  if (!held_) return;
  held_ = false;
  ++hold_generation_;
  Notify();
}

bool Task::IsReaped() {
  {
    MutexLock lock(mutex_);
    if (life_ >= Life::kReaping) return true;
    // Of a dead task the parent's wait may have returned before the host heard of it.
    if (adopted_ && life_ == Life::kAlive) return false;
  }
  return !host_->Exists();
}

void Task::NoteChanges(Changes changes) {
  if (Current() == this && called_ != nullptr) called_->changed |= changes;
}

int Task::CheckAccess() {
  MutexLock lock(mutex_);
  if (life_ != Life::kAlive) return -ESRCH;
  if (Current() == this || held_) return 0;
  return -EINVAL;
}

// ---- Notices from the host -----------------------------------------------------------------------

void Task::MarkAdopted() {
  MutexLock lock(mutex_);
  adopted_ = true;
}

bool Task::TryRelease() {
  MutexLock lock(mutex_);
  if (!engines_.empty() || !arriving_.empty() || attaching_ > 0) return false;
  adopted_ = false;
  job_stopped_ = false;
  pending_ = Pending::kNone;
  report_after_stop_ = false;
  keep_info_ = false;
  EndHold();
  return true;
}

void Task::MarkDead() {
  MutexLock lock(mutex_);
  if (life_ == Life::kAlive) life_ = Life::kDead;
  adopted_ = true;
}

void Task::MarkJobStopped() {
  MutexLock lock(mutex_);
  job_stopped_ = true;
}

void Task::MarkRunsInJobStop() {
  MutexLock lock(mutex_);
  job_stopped_ = false;
}

void Task::MarkNewborn(const Task* parent) {
  MutexLock lock(mutex_);
  newborn_of_ = parent;
}

void Task::EndNewborn() {
  MutexLock lock(mutex_);
  newborn_of_ = nullptr;
  Notify();
}

void Task::OnKilledInStop() {
  MutexLock lock(mutex_);
  for (EngineObject* engine : engines_) engine->stop_committed = false;
  EndHold();
  Notify();
}

void Task::OnEndingSignal() {
  MutexLock lock(mutex_);
  for (const auto* list : {&engines_, &arriving_}) {
    for (EngineObject* engine : *list) {
      engine->wish = UTRACE_RESUME;
      engine->stop_committed = false;
    }
  }
}

Verdict Task::OnWake() {
  MutexLock lock(mutex_);
  // A report that is due comes first, and decides anew [CTL-21]; in a job control stop it waits for
  // the stop to end.
  if (life_ == Life::kAlive && SomeoneStops() && (job_stopped_ || pending_ == Pending::kNone)) {
    if (!held_) StartHold();
    return {.hold = true, .due = true};
  }
  EndHold();
  return {.hold = false, .due = StillDue()};
}

}  // namespace utrace
