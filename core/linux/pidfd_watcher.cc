#include "core/linux/pidfd_watcher.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <thread>
#include <vector>

#include "core/linux/all_signals_blocked.h"
#include "core/linux/lane.h"
#include "core/linux/linux_task.h"
#include "core/linux/restartable_calls.h"

namespace utrace::linux_host {
namespace {

constexpr int kLookEveryMs = 50;
constexpr int kLookAtLeaderEveryMs = 5;

}  // namespace

PidfdWatcher::PidfdWatcher(bool thread_pidfds)
    : thread_pidfds_(thread_pidfds),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.u64 = 0;  // no task's id
  epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event);
}

// With the lock held.
void PidfdWatcher::Start() {
  if (started_) return;
  const AllSignalsBlocked blocked;
  std::thread([this] { Run(); }).detach();
  started_ = true;
}

void PidfdWatcher::LookAt(LinuxTask* task, int64_t deadline) {
  const std::lock_guard lock(mutex_);
  const auto found = watched_.find(task);
  if (found == watched_.end()) return;
  found->second.look_deadline = std::max(found->second.look_deadline, deadline);
  if (found->second.look) return;
  found->second.look = true;
  ++looks_;
  Wake();
}

// The watcher may be waiting without a time limit.
void PidfdWatcher::Wake() {
  const uint64_t one = 1;
  const ssize_t written = write(wake_.get(), &one, sizeof(one));
  static_cast<void>(written);  // full: it is awake
}

void PidfdWatcher::AskForLooks() {
  const std::lock_guard lock(mutex_);
  if (looks_ == 0) return;
  const int64_t now = MonotonicNow();
  for (auto& [task, watched] : watched_) {
    if (!watched.look) continue;
    watched.lane->Ask(task->asked(), kAskLook);
    if (now > watched.look_deadline) {
      watched.look = false;
      --looks_;
    }
  }
}

void PidfdWatcher::Add(LinuxTask* task, Lane* lane, Fd pidfd, bool death) {
  const std::lock_guard lock(mutex_);
  Start();
  Watched& watched = watched_[task];
  if (watched.id == 0) {
    task->core().Ref();
    watched.id = next_id_++;
    by_id_[watched.id] = task;
  }
  watched.lane = lane;
  watched.wants_death = death;
  watched.pidfd = std::move(pidfd);
  if (watched.polled) --polled_;
  watched.polled = !watched.pidfd.valid();
  if (watched.polled) {
    ++polled_;
    Wake();
    return;
  }
  // Edges only: a zombie's pidfd stays readable.
  epoll_event event{};
  event.events = EPOLLET | (death ? EPOLLIN : 0U);
  event.data.u64 = watched.id;
  epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, watched.pidfd.get(), &event);
  // Where the kernel does not tell of the reap, the watcher must not wait for ever any more.
  if (!thread_pidfds_ && !death) Wake();
}

void PidfdWatcher::Remove(LinuxTask* task) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = watched_.find(task);
    if (found == watched_.end()) return;
    if (found->second.look) --looks_;
    if (found->second.polled) --polled_;
    by_id_.erase(found->second.id);
    watched_.erase(found);
  }
  task->core().Unref();
}

void PidfdWatcher::Run() {
  prctl(PR_SET_NAME, "utrace-watch");
  for (;;) {
    epoll_event events[64];
    int limit = -1;
    {
      const std::lock_guard lock(mutex_);
      if (polled_ > 0 || (!thread_pidfds_ && AwaitsReap())) limit = kLookEveryMs;
      if (looks_ > 0) limit = kLookAtLeaderEveryMs;
    }
    const int count = epoll_wait(epoll_.get(), events, 64, limit);
    std::vector<LinuxTask*> dropped;
    for (int i = 0; i < count; ++i) {
      const std::lock_guard lock(mutex_);
      // A copy: an epoll_event is packed, and its members are not aligned.
      const uint64_t id = events[i].data.u64;
      const auto found = by_id_.find(id);
      if (found == by_id_.end()) continue;
      LinuxTask* const task = found->second;
      Watched& watched = watched_[task];
      const bool reaped = (events[i].events & EPOLLHUP) != 0;
      if (reaped) {
        if (watched.look) --looks_;
        watched.lane->Ask(task->asked(), kAskReaped);
        by_id_.erase(found);
        watched_.erase(task);
        dropped.push_back(task);
      } else if (watched.wants_death && !watched.told_death) {
        watched.told_death = true;
        watched.lane->Ask(task->asked(), kAskDead);
      }
    }
    LookAtPolled(dropped);
    AskForLooks();
    // Not under the lock: the last reference may take the task with it.
    for (LinuxTask* task : dropped) task->core().Unref();
  }
}

// Of what may be reaped any moment, with the lock held. A live leader's pidfd becomes readable first.
bool PidfdWatcher::AwaitsReap() const {
  return std::any_of(watched_.begin(), watched_.end(), [](const auto& entry) {
    return !entry.second.wants_death || entry.second.told_death;
  });
}

void PidfdWatcher::LookAtPolled(std::vector<LinuxTask*>& dropped) {
  const std::lock_guard lock(mutex_);
  if (thread_pidfds_ && polled_ == 0) return;
  for (auto it = watched_.begin(); it != watched_.end();) {
    if (!Polls(it->second) || it->first->Exists()) {
      if (it->second.polled && it->second.wants_death) {
        it->second.lane->Ask(it->first->asked(), kAskLook);
      }
      ++it;
      continue;
    }
    if (it->second.look) --looks_;
    if (it->second.polled) --polled_;
    it->second.lane->Ask(it->first->asked(), kAskReaped);
    by_id_.erase(it->second.id);
    dropped.push_back(it->first);
    it = watched_.erase(it);
  }
}

}  // namespace utrace::linux_host
