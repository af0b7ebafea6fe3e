// A storm: engines on every thread of a program and of all that it creates, while controllers attach more of
// them, stop, step, interrupt and detach at random. It works through the C interface of any implementation, loaded
// from its shared object, and everything is recorded and judged.
#ifndef STRESS_STORM_STORM_H_
#define STRESS_STORM_STORM_H_

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/utrace.h"
#include "stress/storm/counts.h"
#include "stress/storm/random.h"

namespace utrace::storm {

struct Options {
  uint64_t seed = 1;
  int controllers = 2;
  std::chrono::microseconds pace{200};  // between two operations of a controller, in the mean
  std::chrono::seconds guard{60};       // against waiting for ever for what should come to its end
  unsigned long watched = UTRACE_EVENT_ALL;  // the events that are watched on every task
  unsigned kills = 0;  // of a thousand visits, so many kill the process they visit
  bool steps = true;   // engines ask for single and block steps
  // What calls may fail with beyond what the tasks' own lives explain.
  bool scarce = false;       // descriptors or memory
  bool interrupted = false;  // by signals
};

// A task that is watched, for as long as somebody looks at it.
struct Watched {
  ~Watched();
  utrace_task* task = nullptr;       // with a reference
  utrace_pid* pid = nullptr;         // with a reference, or null
  utrace_engine* watcher = nullptr;  // with a reference
  size_t place = 0;                  // in Storm::watched_
};

class Storm {
 public:
  explicit Storm(const Options& options);

  // Watches thread `tid`, and whatever it creates from then on. What is wrong; empty if nothing is.
  std::string Watch(pid_t tid);
  // From a report_clone callback for `child`.
  void WatchNewborn(utrace_task* child);
  // From the watcher's report_reap, or when it detaches.
  void Forget(const std::shared_ptr<Watched>& watched);

  // Lets the controllers work until no task is left, or until `deadline`: then every engine leaves, and the tasks run
  // on. False if something does not end.
  bool Run(Clock::time_point deadline);

  // One of the tasks that are watched now; null if there is none.
  std::shared_ptr<Watched> Any(Random* random);

  bool leaving() const { return leaving_; }
  const Options& options() const { return options_; }
  Counts& counts() { return counts_; }
  pid_t root() const { return root_; }

 private:
  int Attach(utrace_task* task);
  std::vector<std::shared_ptr<Watched>> All();
  void Leave();
  bool AwaitReleased();

  const Options options_;
  Counts counts_;
  pid_t root_ = 0;
  std::atomic<bool> leaving_ = false;  // the watchers are to leave
  std::atomic<bool> calm_ = false;     // the controllers are to end

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::shared_ptr<Watched>> watched_;  // guarded by mutex_
};

}  // namespace utrace::storm

#endif  // STRESS_STORM_STORM_H_
