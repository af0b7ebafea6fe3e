// Watches pidfds: a leader that dies before its threads, and a dead task that its parent reaps, make
// no event that a tracer could wait for.
#ifndef CORE_LINUX_PIDFD_WATCHER_H_
#define CORE_LINUX_PIDFD_WATCHER_H_

#include <cstdint>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "core/linux/fd.h"

namespace utrace::linux_host {

class Lane;
class LinuxTask;

class PidfdWatcher {
 public:
  // Without thread pidfds the kernel does not tell of a reap: the watcher looks every 50 ms for as
  // long as a dead task waits for its parent [LIM-06].
  explicit PidfdWatcher(bool thread_pidfds);

  // Reports, on `lane`, by LinuxTask::OnPidfd: the death of the task if `death`, and its reaping.
  // Takes a reference to the task until it was reaped or Remove was called. Without a valid `pidfd`, because
  // descriptors are scarce, the watcher looks every 50 ms. Any thread.
  void Add(LinuxTask* task, Lane* lane, Fd pidfd, bool death);
  void Remove(LinuxTask* task);
  // A leader may be on its way to die before its threads, or to be replaced by an exec. The kernel
  // makes no event of either: the watcher has the lane look (LinuxTask::LookAtLeader) every few
  // milliseconds until `deadline` (MonotonicNow). Any thread.
  void LookAt(LinuxTask* task, int64_t deadline);

 private:
  struct Watched {
    uint64_t id = 0;
    Lane* lane = nullptr;
    Fd pidfd;
    bool polled = false;  // it has no pidfd
    bool told_death = false;
    bool wants_death = false;
    bool look = false;
    int64_t look_deadline = 0;
  };

  void Run();
  void Start();
  void Wake();
  bool AwaitsReap() const;
  void LookAtPolled(std::vector<LinuxTask*>& dropped);
  bool Polls(const Watched& watched) const { return watched.polled || !thread_pidfds_; }
  void AskForLooks();

  const bool thread_pidfds_;
  Fd epoll_;
  Fd wake_;
  std::mutex mutex_;
  // ---- Guarded by mutex_. ----
  bool started_ = false;
  int looks_ = 0;   // how many of watched_ have `look`
  int polled_ = 0;  // how many have `polled`
  std::unordered_map<LinuxTask*, Watched> watched_;
  std::unordered_map<uint64_t, LinuxTask*> by_id_;
  uint64_t next_id_ = 1;
};

}  // namespace utrace::linux_host

#endif  // CORE_LINUX_PIDFD_WATCHER_H_
