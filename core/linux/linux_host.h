// The host that runs live threads: which tasks there are, and which lane serves which process.
#ifndef CORE_LINUX_LINUX_HOST_H_
#define CORE_LINUX_LINUX_HOST_H_

#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "arch/arch.h"
#include "core/host.h"
#include "core/linux/exit_statuses.h"
#include "core/linux/features.h"
#include "core/linux/lane.h"
#include "core/linux/linux_task.h"
#include "core/linux/pidfd_watcher.h"

namespace utrace::linux_host {

class LinuxHost final : public Host {
 public:
  static LinuxHost& Get();

  // ---- Host ----
  Task* FindTask(pid_t tid, int* status, std::string* error) override;
  bool HasSingleStep() override { return Steps().single_step; }
  bool HasBlockStep() override { return Steps().block_step; }
  const char* DeclaredLimits() override;
  WaitResult WaitOn(Atomic<uint32_t>& word, uint32_t expected) override;
  void WakeAll(Atomic<uint32_t>& word) override;

  // ---- Any thread ----
  const Features& features() const { return features_; }
  PidfdWatcher& watcher() { return watcher_; }
  ExitStatuses& exits() { return exits_; }
  // The object for a thread that exists, with a reference for the caller; made if needed. Null if
  // the thread is gone.
  Task* FindOrMake(pid_t tid);
  // The object if there is one, with a reference for the caller; null otherwise.
  Task* FindMade(pid_t tid);
  // All objects there are, with a reference to each for the caller.
  std::vector<Task*> Tasks();
  // The id belongs to another thread from now on, or to none.
  void Forget(const LinuxTask* task, pid_t tid);
  void Rename(LinuxTask* task, pid_t old_tid);

  // All threads of a process are served by one lane: an exec by one renames another.
  Lane* LaneFor(pid_t tgid);
  void NoteAdded(Lane* lane, pid_t tgid);
  void NoteRemoved(Lane* lane, pid_t tgid);

 private:
  struct Served {
    Lane* lane = nullptr;
    int tasks = 0;
  };

  LinuxHost();
  arch::StepAbilities Steps();

  const Features features_;
  // Not std::call_once: what it calls must not throw, and starting a thread can.
  std::mutex probes_mutex_;
  // ---- Guarded by probes_mutex_; not changed once set. ----
  bool steps_probed_ = false;
  arch::StepAbilities steps_;
  std::string limits_;
  PidfdWatcher watcher_;
  ExitStatuses exits_;

  std::mutex tasks_mutex_;
  std::unordered_map<pid_t, LinuxTask*> tasks_;  // guarded by tasks_mutex_; entries own nothing

  std::mutex lanes_mutex_;
  // ---- Guarded by lanes_mutex_. ----
  std::vector<Lane*> lanes_;
  std::unordered_map<Lane*, int> load_;
  std::unordered_map<pid_t, Served> served_;
};

}  // namespace utrace::linux_host

#endif  // CORE_LINUX_LINUX_HOST_H_
