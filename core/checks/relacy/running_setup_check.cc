// RunningSetup in every interleaving of a lane that lets its task go twice and controllers that drop
// an event and want it again: either the task runs with the event set up, or the lane was told.
//
// Built three times: with the core's source, where nothing may be found; with a lane that reads the
// masks before it announces that; and with one that leaves the last setup standing meanwhile.
#include UTRACE_CHECKED_HEADER
#include "core/checks/relacy/search.h"

namespace utrace {
namespace {

template <int kThreads>
struct NoEventIsMissed : rl::test_suite<NoEventIsMissed<kThreads>, kThreads> {
  linux_host::RunningSetup setup;
  Mutex lock_of_masks;
  unsigned long masks = 0;  // guarded by lock_of_masks
  // Whether the lane was asked to look at the masks while they had the event. It is not what is
  // explored here: an ordinary variable serves, since only one thread runs at a time.
  bool told[kThreads] = {};

  // What the running task is set up to report; the lane's.
  unsigned long running_with = 0;

  static unsigned long Event(unsigned index) { return 1UL << index; }
  unsigned long Masks() {
    const MutexLock lock(lock_of_masks);
    return masks;
  }
  void LetGo() {
    running_with = setup.Announce([this] { return Masks(); });
    setup.SetUp(running_with);
  }
  // As Task::SetEvents and LinuxTask::InterestChanged do.
  void Choose(unsigned index, bool wanted) {
    unsigned long now = 0;
    {
      const MutexLock lock(lock_of_masks);
      masks = wanted ? masks | Event(index) : masks & ~Event(index);
      now = masks;
    }
    if (!setup.MustBeTold(now)) return;
    for (unsigned i = 1; i < kThreads; ++i) {
      if ((now & Event(i)) != 0) told[i] = true;
    }
  }

  void before() {
    for (unsigned i = 1; i < kThreads; ++i) masks |= Event(i);
    LetGo();
  }
  void thread(unsigned index) {
    if (index != 0) {
      Choose(index, false);
      Choose(index, true);
      return;
    }
    for (int stops = 0; stops < 2; ++stops) {
      setup.Stopped();
      LetGo();
    }
  }
  void after() {
    for (unsigned i = 1; i < kThreads; ++i) {
      RL_ASSERT(told[i] || (running_with & Event(i)) != 0);
    }
  }
};

}  // namespace
}  // namespace utrace

int main() { return utrace::checks::Explore<utrace::NoEventIsMissed>("masks") ? 0 : 1; }
