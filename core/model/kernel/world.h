// A world of the model: its processes and threads, and the channels by which they are commanded.
#ifndef CORE_MODEL_KERNEL_WORLD_H_
#define CORE_MODEL_KERNEL_WORLD_H_

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/model/kernel/process.h"
#include "core/model/kernel/thread.h"

namespace utrace::model {

// What a slot's thread and whoever commands it say to each other.
struct Channel {
  std::deque<utrace_target_command> commands;
  std::deque<utrace_target_reply> replies;
  std::string pipe;  // bytes that only Feed writes

  utrace_target_command received;  // by the last recvfrom
  utrace_target_reply to_send;     // by the next sendto
};

// Lives within one run of the scheduler; one at a time.
class World {
 public:
  // With the process of the slots PARENT and WAITER.
  World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  // Kills everything and waits for its reports to end.
  void End();

  // A child of PARENT in a process group of its own, with one thread in `slot`.
  void Spawn(int slot);
  // A thread that belongs to the kernel; its id.
  pid_t AddKernelThread();

  Thread* FindThread(pid_t tid) const;
  Process* FindProcess(pid_t pid) const;
  const std::map<pid_t, std::shared_ptr<Process>>& processes() const { return processes_; }
  Process& parent() const { return *parent_; }

  Channel& channel(int slot) { return channels_[static_cast<size_t>(slot)]; }
  utrace_target_slot& slot(int slot) { return slots_[static_cast<size_t>(slot)]; }
  Slots& slots() { return slots_; }
  uint64_t NextOrder() { return ++order_; }

  // What the machine can do.
  bool single_step = true;
  bool block_step = true;

  // ---- For the kernel's calls.
  pid_t NewId() { return next_id_++; }
  std::shared_ptr<Process> AddProcess(pid_t pid, Process* parent);
  std::shared_ptr<Thread> AddThread(const std::shared_ptr<Process>& process, pid_t tid, int slot,
                                    Thread::Program program);
  void Show(const std::shared_ptr<Thread>& thread);  // it can be found from now on
  void Forget(Thread& thread);
  void Forget(Process& process);
  // An exec by another thread than the leader: `thread` has the leader's id from now on.
  void TakeLeadership(Thread& thread, Thread& leader);
  // The children of a process that ended have no parent any more.
  void Orphan(Process& ended);

 private:
  Slots slots_{};
  std::array<Channel, UTRACE_TARGET_SLOTS> channels_;
  std::map<pid_t, std::shared_ptr<Process>> processes_;  // not reaped
  std::map<pid_t, std::shared_ptr<Thread>> threads_;     // not reaped
  std::vector<std::shared_ptr<Thread>> all_;
  Process* parent_ = nullptr;
  pid_t next_id_ = 1000;
  uint64_t order_ = 0;
};

// The world that is there now; null between worlds.
World* TheWorld();
// Zero, or -EBUSY while there is one.
int BeginWorld();
void EndWorld();
// What is left of one by a run that was abandoned stays in memory.
void AbandonWorld();

}  // namespace utrace::model

#endif  // CORE_MODEL_KERNEL_WORLD_H_
