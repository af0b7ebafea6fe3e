// Taking the snapshot of a process whose threads are held.
#ifndef ENGINES_CRASH_CATCHER_COLLECT_H_
#define ENGINES_CRASH_CATCHER_COLLECT_H_

#include <chrono>
#include <memory>
#include <vector>

#include "engines/crash_catcher/memory.h"
#include "engines/crash_catcher/snapshot.h"
#include "engines/crash_catcher/stopper.h"

namespace utrace::crash {

// A process held for a report: what is known of it, and access to its memory for as long as this lives.
class HeldProcess {
 public:
  // Waits until the threads that `stopper` stops are stopped, and reads their registers. `first`, the
  // thread that the report is about, comes first in snapshot().threads, and must stop; how long the
  // others may take after it is `patience`. Errors: -ESRCH it was killed; -EAGAIN it does not stop.
  // `stopper` must hold on for this object's life.
  static Result<std::unique_ptr<HeldProcess>> Take(Stopper& stopper, TaskView first,
                                                   std::chrono::milliseconds patience);

  Snapshot& snapshot() { return snapshot_; }
  Memory& memory() { return *memory_; }
  // Fills in what /proc tells, the stacks, the code and the explanation. snapshot().signal is set before.
  void Describe(bool environment);
  // Whether all that was read belongs together: the process was not killed meanwhile. Any time.
  bool StillHeld();

 private:
  HeldProcess() = default;
  void DescribeCode(class Symbols* symbols);

  Snapshot snapshot_;
  std::unique_ptr<Memory> memory_;
  std::vector<Examination> examinations_;  // the first thread's is first
};

}  // namespace utrace::crash

#endif  // ENGINES_CRASH_CATCHER_COLLECT_H_
