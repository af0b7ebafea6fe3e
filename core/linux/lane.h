// A tracer thread. The kernel ties a tracee to the thread that seized it: only that thread may issue
// ptrace requests for it, and only that thread waits for it. Others post work to the lane.
#ifndef CORE_LINUX_LANE_H_
#define CORE_LINUX_LANE_H_

#include <sys/types.h>

#include <condition_variable>
#include <csignal>
#include <functional>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "core/linux/bell.h"

namespace utrace::linux_host {

class LinuxTask;

class Lane {
 public:
  // Starts the thread; it lives as long as the process. If the process dies, the kernel lets all
  // tracees run on.
  static Lane *Start();
  // The lane that the calling thread is; null elsewhere.
  static Lane *Current();

  // Runs `work` on the lane, in order of posting, between events. Any thread; does not wait.
  void Post(std::function<void()> work);
  // Posts and waits until it has run; at once if the caller is the lane. Any thread. A callback that
  // blocks on the lane delays it.
  void Call(const std::function<void()> &work);
  // Posts and waits until it has run, unless the lane is inside a callback (then it will run when
  // that ends). From another lane: does not wait.
  void PostPromptly(std::function<void()> work);

  // ---- On the lane only. ----

  // Around every call of the core that may run callbacks.
  class CallbackRegion {
   public:
    CallbackRegion();
    ~CallbackRegion();
    CallbackRegion(const CallbackRegion &) = delete;
    CallbackRegion &operator=(const CallbackRegion &) = delete;
  };

  void Add(LinuxTask *task);  // takes a reference to its core task
  void Remove(LinuxTask *task);
  void Rekey(LinuxTask *task, pid_t old_tid);
  LinuxTask *Find(pid_t tid);
  // All threads of a process on this lane.
  std::vector<LinuxTask *> TasksOf(pid_t tgid);
  // The initial stops of newborns whose parent has not announced them yet.
  std::unordered_map<pid_t, int> &unannounced() { return unannounced_; }

 private:
  Lane() = default;
  void Run();
  void RunPosted();
  void Dispatch(pid_t tid, const siginfo_t &info);

  Bell bell_;
  std::unordered_map<pid_t, LinuxTask *> tasks_;
  std::unordered_map<pid_t, int> unannounced_;

  std::mutex mutex_;
  std::condition_variable progress_;  // with mutex_: posted work ran, or a callback began
  // ---- Guarded by mutex_. ----
  std::vector<std::function<void()>> posted_;
  uint64_t posted_count_ = 0;
  uint64_t done_count_ = 0;
  uint32_t in_callback_ = 0;
};

}  // namespace utrace::linux_host

#endif  // CORE_LINUX_LANE_H_
