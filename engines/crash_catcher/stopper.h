// Stopper: holds all threads of a process stopped while a report about it is made.
#ifndef ENGINES_CRASH_CATCHER_STOPPER_H_
#define ENGINES_CRASH_CATCHER_STOPPER_H_

#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/engine.h"

namespace utrace::crash {

// Attached to the threads of one process, each of which it stops where it is: a system call in
// progress is interrupted, as a stop signal would, and goes on afterwards. Made with
// std::make_shared.
class Stopper final : public Engine, public std::enable_shared_from_this<Stopper> {
 public:
  explicit Stopper(pid_t pid) : pid_(pid) {}

  // Asks for a stop of `task`, and for one of every other thread of its process. Any thread, and in
  // callbacks for that process, whose tasks may be reported meanwhile. A thread that cannot be
  // attached to is left out, and problems() says why. Error: `task` itself cannot be attached to.
  Status StopAll(TaskView task);
  // The same for one thread: another one of the process, which is about to die as well.
  Status Stop(TaskView task);

  // Waits until all of them are stopped or dead, or until the deadline.
  void Await(std::chrono::steady_clock::time_point deadline);

  // The threads that are not dead.
  std::vector<TaskRef> threads();
  // Access to one of them, until the deadline. Errors: -EAGAIN it has not stopped; -ESRCH it is dead, or
  // unknown. The examination must end before Release.
  Result<Examination> Examine(TaskView task, std::chrono::steady_clock::time_point deadline);
  std::vector<std::string> problems();

  // Lets all of them run. No callback comes after it returned; not to be called in one.
  void Release();

  std::string Name() const override { return "crash_catcher's stop"; }
  Action OnQuiesce(QuiesceReport& report) override;
  SignalResult OnSignal(SignalReport& report) override;
  Action OnClone(CloneReport& report) override;
  Action OnDeath(DeathReport& report) override;

 private:
  static constexpr Events kEvents = Events::kQuiesce | Events::kClone | Events::kDeath;

  struct Entry {
    TaskRef task;
    std::shared_ptr<Attachment> attachment;
    uint64_t stops = 0;  // callbacks that stopped it
    bool dead = false;
  };

  void NoteStopped(TaskView task);

  const pid_t pid_;
  std::mutex mutex_;
  // ---- Guarded by mutex_. ----
  std::condition_variable changed_;
  std::map<utrace_task*, Entry> entries_;
  std::vector<std::string> problems_;
};

}  // namespace utrace::crash

#endif  // ENGINES_CRASH_CATCHER_STOPPER_H_
