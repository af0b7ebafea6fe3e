// The engine on its task: attachment, control, and what it wants to hear of.
#include "engines/ptrace_compat/tracee.h"

#include <linux/ptrace.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

#include "core/calls_wanted.h"

namespace utrace::ptrace_compat {
Tracee::Tracee(World& world, TaskView task, std::shared_ptr<AddressSpace> space)
    : world_(world), task_(TaskRef::Share(task)), space_(std::move(space)) {}

Tracee::~Tracee() = default;

Status Tracee::Attach(uint32_t options) {
  Wants wants;
  {
    const Lock lock(world_.mutex);
    wants = Wanted(options);
    wants_.events = wants.events;
  }
  Result<Attachment> attachment =
      Attachment::Attach(task_.view(), shared_from_this(), Events(wants.events));
  if (!attachment) return attachment.status();
  {
    const std::lock_guard lock(handle_mutex_);
    handle_ = attachment->handle();
  }
  // It ends by control, and needs no object.
  attachment->Leave();
  return Status();
}

void Tracee::Abandon() {
  (void)Control(UTRACE_DETACH);
  GiveUpControl();
}

EngineRef Tracee::Handle() const {
  const std::lock_guard lock(handle_mutex_);
  return handle_;
}

// The handle keeps the engine, which is this object: without this each of them would keep the other for ever.
void Tracee::GiveUpControl() {
  EngineRef last;
  const std::lock_guard lock(handle_mutex_);
  std::swap(last, handle_);
}

int Tracee::Control(enum utrace_resume_action action) const {
  const EngineRef handle = Handle();
  return handle ? utrace_control(task_.get(), handle.get(), action) : -ESRCH;
}

Lock Tracee::Enter() {
  Lock lock(world_.mutex);
  ++callbacks_;
  callback_came_.notify_all();
  return lock;
}

void Tracee::Settle(Lock& lock) {
  const EngineRef handle = Handle();
  if (!handle) return;
  for (;;) {
    const uint64_t before = callbacks_;
    lock.unlock();
    while (utrace_barrier(task_.get(), handle.get()) == -UTRACE_ERESTARTSYS) {
    }
    lock.lock();
    if (callbacks_ == before) return;
  }
}

long Tracee::Access(Lock& lock, Link& link, const std::function<long()>& work) {
  constexpr std::chrono::seconds kGuard(10);
  const uint64_t number = link.event_number;
  const auto stands = [&] { return link.is_stopped() && link.event_number == number; };
  const auto failed = [](long result) { return result == -EINVAL || result == -ESRCH; };
  if (!stands()) return -ESRCH;
  // The callback that told of the stop holds the task where it is; others, at the next safe point.
  if (link.prepared || (!link.stop.own && link.stop.kind != Stop::Kind::kOther)) {
    lock.unlock();
    const long result = work();
    lock.lock();
    if (!failed(result)) return result;
  }
  const EngineRef handle = Handle();
  if (!handle) return -ESRCH;
  for (;;) {
    Settle(lock);
    if (!stands()) return -ESRCH;
    const uint64_t before = callbacks_;
    lock.unlock();
    utrace_examiner examiner{};
    bool held = utrace_prepare_examine(task_.get(), handle.get(), &examiner) == 0;
    const long result = held ? work() : -ESRCH;
    if (held && failed(result)) {
      held = utrace_finish_examine(task_.get(), handle.get(), &examiner) == 0;
    }
    lock.lock();
    if (held) {
      if (stands()) link.prepared = true;
      return result;
    }
    // Killed, or between two holds: somebody asked for a report, and its callback holds the task again.
    const bool came =
        callback_came_.wait_for(lock, kGuard, [&] { return callbacks_ != before || !stands(); });
    if (!came) return -ESRCH;
  }
}

// ---- What is wanted -------------------------------------------------------------------------------

Tracee::Wants Tracee::Wanted(uint32_t options) const {
  bool calls = sees_exit_;
  // CLONE whatever the options say: a child made with CLONE_PTRACE is traced from its first instruction on.
  unsigned long events = UTRACE_EVENT(QUIESCE) | UTRACE_EVENT_SIGNAL_ALL | UTRACE_EVENT(JCTL) |
                         UTRACE_EVENT(CLONE) | UTRACE_EVENT(EXEC) | UTRACE_EVENT(DEATH) |
                         UTRACE_EVENT(REAP);
  // No wait tells how a leader ended that dies before its threads: this does.
  if (task_.tid() == task_.tgid()) events |= UTRACE_EVENT(EXIT);
  for (const auto& link : links_) {
    options |= link->options;
    if (!StopsAtEntry(link->run)) continue;
    events |= UTRACE_EVENT_SYSCALL;
    calls = true;
  }
  if ((options & PTRACE_O_TRACEEXIT) != 0) events |= UTRACE_EVENT(EXIT);
  if (sees_exit_) events |= UTRACE_EVENT(SYSCALL_EXIT);
  if ((options & PTRACE_O_TRACESECCOMP) == 0) return {.events = events};
  events |= UTRACE_EVENT(SYSCALL_ENTRY);
  return {.events = events, .all_calls = calls, .filtered_calls = true};
}

// Without the lock, unless the task runs no user code meanwhile. Fails only for a task that is dead.
void Tracee::Set(const Wants& wants) {
  const EngineRef handle = Handle();
  if (!handle) return;
  const CallsWanted calls{.all = wants.all_calls, .filtered = wants.filtered_calls};
  // In this order the task does not for a moment stop for all calls.
  if (!calls.all) (void)WantCalls(handle, calls);
  utrace_set_events(task_.get(), handle.get(), wants.events);
  if (calls.all) (void)WantCalls(handle, calls);
}

// Of a task that runs no user code before this returns: never waits then.
void Tracee::SetEventsOfHeld() {
  const Wants wanted = Wanted(0);
  if (wanted == wants_) return;
  Set(wanted);
  wants_ = wanted;
}

void Tracee::ChooseEvents(Lock& lock) {
  for (;;) {
    const Wants wanted = Wanted(0);
    if (wanted == wants_) return;
    lock.unlock();
    // If it runs, this may wait for its lane, which may wait for the lock.
    Set(wanted);
    lock.lock();
    wants_ = wanted;
  }
}

bool Tracee::Busy() const {
  if (!occurrences_.empty()) return true;
  return std::any_of(links_.begin(), links_.end(), [this](const auto& link) {
    // A listening link keeps a task that nothing else keeps.
    return link->is_stopped() || (link->state == Link::State::kListening && group_stop_ == 0);
  });
}

Action Tracee::Wish() const {
  if (Busy()) return Action::kStop;
  Action action = Action::kResume;
  for (const auto& link : links_) {
    if (link->state != Link::State::kRunning || !Steps(link->run)) continue;
    if (link->run != Run::kBlockStep) return Action::kSingleStep;
    action = Action::kBlockStep;
  }
  return action;
}

bool Tracee::IsFor(const Occurrence& occurrence, const Link& link) const {
  if (link.state != Link::State::kRunning) return false;
  if (!occurrence.only.empty() && occurrence.only.count(link.id) == 0) return false;
  switch (occurrence.kind) {
    case Occurrence::Kind::kSignal:
      return true;
    case Occurrence::Kind::kEntry:
      return StopsAtEntry(link.run);
    case Occurrence::Kind::kExit:
      return link.run == Run::kSyscall && !link.missed_entry;
    case Occurrence::Kind::kEvent:
      return (link.options & occurrence.option) != 0;
    case Occurrence::Kind::kHandler:
      return Steps(link.run);
  }
  return false;
}

bool Tracee::AnyWants(const Occurrence& occurrence) const {
  return std::any_of(links_.begin(), links_.end(),
                     [&](const auto& link) { return IsFor(occurrence, *link); });
}

}  // namespace utrace::ptrace_compat
