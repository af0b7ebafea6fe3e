#include "engines/crash_catcher/stopper.h"

#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <utility>

#include "engines/crash_catcher/proc_files.h"
#include "fmt/format.h"

namespace utrace::crash {

Status Stopper::StopAll(TaskView task) {
  if (const Status own = Stop(task); !own.ok()) return own;
  // What threads create from now on is followed, if they are attached to; so read until there are none
  // that are not.
  std::set<pid_t> seen{task.tid()};
  for (bool more = true; more;) {
    more = false;
    for (const pid_t tid : ThreadIds(pid_)) {
      if (!seen.insert(tid).second) continue;
      more = true;
      const Result<PidRef> pid = PidRef::Find(tid);
      if (!pid) continue;  // it is gone
      const Result<TaskRef> other = pid->FindTask();
      if (!other || other->tgid() != pid_) continue;
      const Status status = Stop(*other);
      if (status.ok() || status.code() == -ESRCH || status.code() == -EALREADY) continue;
      const std::lock_guard lock(mutex_);
      problems_.push_back(fmt::format("thread {} cannot be stopped: {}", tid, status.ToString()));
    }
  }
  return Status();
}

Status Stopper::Stop(TaskView task) {
  auto attached =
      Attachment::Attach(task, shared_from_this(), kEvents, Attachment::Mode::kUnlessAttached);
  if (!attached) return attached.code() == -EEXIST ? Status() : attached.status();
  const auto attachment = std::make_shared<Attachment>(std::move(*attached));
  {
    const std::lock_guard lock(mutex_);
    Entry& entry = entries_[task.get()];
    entry.task = TaskRef::Share(task);
    entry.attachment = attachment;
  }
  const Status status = attachment->Control(Action::kStop);
  if (status.ok()) {
    NoteStopped(task);
    return status;
  }
  if (status.code() != -EINPROGRESS) return Status();  // it is dead, which OnDeath has told
  // Its callback comes when it gets to a safe point. One that waits in a system call is brought there;
  // one that is being reported to is there already.
  if (TaskView::Current() != task) (void)attachment->Control(Action::kInterrupt);
  return Status();
}

void Stopper::NoteStopped(TaskView task) {
  const std::lock_guard lock(mutex_);
  ++entries_[task.get()].stops;
  changed_.notify_all();
}

void Stopper::Await(std::chrono::steady_clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  changed_.wait_until(lock, deadline, [this] {
    return std::ranges::all_of(
        entries_, [](const auto& item) { return item.second.stops != 0 || item.second.dead; });
  });
}

std::vector<TaskRef> Stopper::threads() {
  std::vector<TaskRef> alive;
  const std::lock_guard lock(mutex_);
  for (const auto& [task, entry] : entries_) {
    // A callback may come before the attach returned.
    if (!entry.dead && entry.attachment != nullptr) alive.push_back(entry.task);
  }
  return alive;
}

Result<Examination> Stopper::Examine(TaskView task,
                                     std::chrono::steady_clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  const auto found = entries_.find(task.get());
  if (found == entries_.end() || found->second.attachment == nullptr) return Status(-ESRCH);
  const Entry& entry = found->second;
  uint64_t stops = 0;
  for (;;) {
    const bool in_time =
        changed_.wait_until(lock, deadline, [&] { return entry.stops > stops || entry.dead; });
    if (entry.dead) return Status(-ESRCH);
    if (!in_time) return Status(-EAGAIN);
    stops = entry.stops;
    lock.unlock();
    // The callback that told of it may not have returned.
    (void)entry.attachment->Barrier();
    Result<Examination> examination = Examination::Begin(*entry.attachment);
    // A thread that stopped for the first of our two requests goes on to the second.
    if (examination || examination.code() == -ESRCH) return examination;
    lock.lock();
  }
}

std::vector<std::string> Stopper::problems() {
  const std::lock_guard lock(mutex_);
  return problems_;
}

void Stopper::Release() {
  DetachEverywhere();
  // The attachments refer to this object. They go outside the lock: the last may take it along.
  std::map<utrace_task*, Entry> entries;
  const std::lock_guard lock(mutex_);
  entries.swap(entries_);
}

Action Stopper::OnQuiesce(QuiesceReport& report) {
  // At an event it stops a little later, for which an examination waits.
  if (report.event() != Events::kDeath) NoteStopped(report.task());
  return Action::kStop;
}

SignalResult Stopper::OnSignal(SignalReport& report) {
  NoteStopped(report.task());
  return Action::kStop;
}

Action Stopper::OnClone(CloneReport& report) {
  if ((report.flags() & CLONE_THREAD) != 0) (void)Stop(report.child());
  return Action::kStop;
}

Action Stopper::OnDeath(DeathReport& report) {
  const std::lock_guard lock(mutex_);
  entries_[report.task().get()].dead = true;
  changed_.notify_all();
  return Action::kDetach;
}

}  // namespace utrace::crash
