// The words of a lane's bell in every interleaving, for both kinds of wait: no ring is lost. A lane
// that sleeps while something was asked of it is a deadlock, which the search reports.
//
// Built three times: with the core's source, where nothing may be found; with a ring whose look at the
// waiter may overtake it; and with a wait that starts by forgetting what was rung before.
#include UTRACE_CHECKED_HEADER
#include "core/checks/relacy/search.h"

namespace utrace {
namespace {

// What bell.cc gets from the kernel and from its few instructions of assembly.
class Sleeper {
 public:
  // utrace_bell_waitid: from before the look at `rung` on, a signal moves the thread out. For a
  // tracee it returns before it looks.
  long Wait(const Atomic<uint32_t>& rung, bool tracee) {
    if (tracee) return 0;
    Enter();
    if (rung.load(std::memory_order_seq_cst) == 0) AwaitSignal();
    Leave();
    return -EINTR;
  }
  // FUTEX_WAIT: the look and the falling asleep are one step, with respect to a waker.
  void Sleep(const Atomic<uint32_t>& rung) {
    MutexLock lock(mutex_);
    if (rung.load(std::memory_order_seq_cst) == 0) woken_.wait(lock);
  }
  // tgkill and FUTEX_WAKE. A signal to a thread that is not in its wait is of no effect.
  void Wake() {
    const MutexLock lock(mutex_);
    signalled_ = inside_;
    woken_.notify_all();
  }

 private:
  void Enter() {
    const MutexLock lock(mutex_);
    inside_ = true;
    signalled_ = false;
  }
  void AwaitSignal() {
    MutexLock lock(mutex_);
    while (!signalled_) woken_.wait(lock);
  }
  void Leave() {
    const MutexLock lock(mutex_);
    inside_ = false;
  }

  Mutex mutex_;
  checks::RelacyCondition woken_;
  bool inside_ = false;
  bool signalled_ = false;
};

// Thread 0 is the lane, all others ask it for something.
template <int kThreads, bool kHasTracees>
struct NoRingIsLost : rl::test_suite<NoRingIsLost<kThreads, kHasTracees>, kThreads> {
  linux_host::BellWords words;
  Sleeper sleeper;
  Mutex lock_of_requests;
  int asked = 0;  // guarded by lock_of_requests

  bool AllServed() {
    const MutexLock lock(lock_of_requests);
    return asked == kThreads - 1;
  }
  void thread(unsigned index) {
    if (index != 0) {
      {
        const MutexLock lock(lock_of_requests);
        ++asked;
      }
      words.Ring([this](const Atomic<uint32_t>&) { sleeper.Wake(); });
      return;
    }
    bool tracee = kHasTracees;
    while (!AllServed()) {
      if constexpr (kHasTracees) {
        words.WaitUnlessRung(
            [&](const Atomic<uint32_t>& rung) { return sleeper.Wait(rung, tracee); });
        tracee = false;
      } else {
        words.WaitForRing([&](const Atomic<uint32_t>& rung) { sleeper.Sleep(rung); });
      }
    }
  }
};

template <int kThreads>
using WithTracees = NoRingIsLost<kThreads, true>;
template <int kThreads>
using WithoutTracees = NoRingIsLost<kThreads, false>;

}  // namespace
}  // namespace utrace

int main() {
  using namespace utrace;
  return checks::Judge({checks::Explore<WithTracees>("wait for tracees"),
                        checks::Explore<WithoutTracees>("wait for a ring")})
             ? 0
             : 1;
}
