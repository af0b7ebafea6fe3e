#include "core/linux/pidfd_watcher.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/prctl.h>

#include <csignal>
#include <thread>
#include <vector>

#include "core/linux/lane.h"
#include "core/linux/linux_task.h"

namespace utrace::linux_host {
namespace {

constexpr int kLookEveryMs = 50;

// Hands a notice to the task's lane; the reference that keeps the task is dropped there.
void Tell(LinuxTask *task, Lane *lane, bool reaped, bool drop) {
  task->core().Ref();
  lane->Post([task, reaped, drop] {
    task->OnPidfd(reaped);
    if (drop) task->core().Unref();
    task->core().Unref();
  });
}

}  // namespace

PidfdWatcher::PidfdWatcher(bool thread_pidfds)
    : thread_pidfds_(thread_pidfds), epoll_(epoll_create1(EPOLL_CLOEXEC)) {}

void PidfdWatcher::Add(LinuxTask *task, Lane *lane, Fd pidfd, bool death) {
  std::call_once(started_, [this] {
    sigset_t all;
    sigset_t old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    std::thread([this] { Run(); }).detach();
    pthread_sigmask(SIG_SETMASK, &old, nullptr);
  });
  const std::lock_guard lock(mutex_);
  Watched &watched = watched_[task];
  if (watched.id == 0) {
    task->core().Ref();
    watched.id = next_id_++;
    by_id_[watched.id] = task;
  }
  watched.lane = lane;
  watched.wants_death = death;
  watched.pidfd = std::move(pidfd);
  // Edges only: a zombie's pidfd stays readable.
  epoll_event event{};
  event.events = EPOLLET | (death ? EPOLLIN : 0U);
  event.data.u64 = watched.id;
  epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, watched.pidfd.get(), &event);
}

void PidfdWatcher::Remove(LinuxTask *task) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = watched_.find(task);
    if (found == watched_.end()) return;
    by_id_.erase(found->second.id);
    watched_.erase(found);
  }
  task->core().Unref();
}

void PidfdWatcher::Run() {
  prctl(PR_SET_NAME, "utrace-watch");
  for (;;) {
    epoll_event events[64];
    const int count =
        epoll_wait(epoll_.get(), events, 64, thread_pidfds_ ? -1 : kLookEveryMs);
    for (int i = 0; i < count; ++i) {
      const std::lock_guard lock(mutex_);
      const auto found = by_id_.find(events[i].data.u64);
      if (found == by_id_.end()) continue;
      LinuxTask *const task = found->second;
      Watched &watched = watched_[task];
      const bool reaped = (events[i].events & EPOLLHUP) != 0;
      if (reaped) {
        Tell(task, watched.lane, true, true);
        by_id_.erase(found);
        watched_.erase(task);
      } else if (watched.wants_death && !watched.told_death) {
        watched.told_death = true;
        Tell(task, watched.lane, false, false);
      }
    }
    if (!thread_pidfds_) LookAtReaped();
  }
}

void PidfdWatcher::LookAtReaped() {
  const std::lock_guard lock(mutex_);
  std::vector<LinuxTask *> reaped;
  for (const auto &[task, watched] : watched_) {
    if (!task->Exists()) reaped.push_back(task);
  }
  for (LinuxTask *task : reaped) {
    Watched &watched = watched_[task];
    Tell(task, watched.lane, true, true);
    by_id_.erase(watched.id);
    watched_.erase(task);
  }
}

}  // namespace utrace::linux_host
