// A tracer thread. The kernel ties a tracee to the thread that seized it: only that thread may issue
// ptrace requests for it, and only that thread waits for it. Others post work to the lane.
#ifndef CORE_LINUX_LANE_H_
#define CORE_LINUX_LANE_H_

#include <sys/types.h>

#include <condition_variable>
#include <csignal>
#include <mutex>
#include <set>
#include <type_traits>
#include <unordered_map>
#include <vector>

#include "core/linux/bell.h"

namespace utrace::linux_host {

class LinuxTask;

// What is asked of a task's lane. Requests of one kind that have not been served yet are one.
using Requests = unsigned;
constexpr Requests kAskWake = 1U << 0;         // no engine holds it any longer
constexpr Requests kAskReport = 1U << 1;       // Urgency::kReport
constexpr Requests kAskInterrupt = 1U << 2;    // Urgency::kInterrupt
constexpr Requests kAskTakeOver = 1U << 3;     // Urgency::kTakeOver
constexpr Requests kAskInterest = 1U << 4;     // events were added
constexpr Requests kAskRelease = 1U << 5;      // its last engine left
constexpr Requests kAskDead = 1U << 6;         // its pidfd says that it died
constexpr Requests kAskReaped = 1U << 7;       // its pidfd says that it was reaped
constexpr Requests kAskLook = 1U << 8;         // a leader that exits: is it dead, or replaced?
constexpr Requests kAskStayStopped = 1U << 9;  // it runs in a job control stop, and shall no longer

// The part of a task that queues it on a lane; one lock guards those of all lanes, since a task may
// change its lane.
struct Asked {
  LinuxTask* task = nullptr;  // referenced while queued
  Requests requests = 0;
  bool queued = false;
  Asked* next = nullptr;
};

class Lane {
 public:
  // Starts the thread; it lives as long as the process. If the process dies, the kernel lets all
  // tracees run on.
  static Lane* Start();
  // The lane that the calling thread is; null elsewhere.
  static Lane* Current();

  // Has `asked.task` serve `requests` on the lane, between events. Any thread; neither waits nor
  // allocates.
  void Ask(Asked& asked, Requests requests);
  // Asks, and waits until it was served, unless a callback keeps the lane from it: then it is served
  // when that ends. From another lane: does not wait.
  void AskPromptly(Asked& asked, Requests requests);
  // Runs `work()` on the lane and waits for it; at once if the caller is the lane. Any thread. A
  // callback that blocks on the lane delays it, unless it waits in a Call itself: a lane that waits
  // for another serves the calls that it gets meanwhile.
  template <typename Work>
  void Call(Work&& work) {
    if (Current() == this) {
      work();
      return;
    }
    struct Errand final : Caller {
      explicit Errand(std::remove_reference_t<Work>& errand_work) : work(errand_work) {}
      void Run() override { work(); }
      std::remove_reference_t<Work>& work;
    } errand(work);
    CallAndWait(errand);
  }

  // ---- On the lane only. ----

  // Around every call of the core that may run callbacks.
  class CallbackRegion {
   public:
    CallbackRegion();
    ~CallbackRegion();
    CallbackRegion(const CallbackRegion&) = delete;
    CallbackRegion& operator=(const CallbackRegion&) = delete;
  };

  void Add(LinuxTask* task);  // takes a reference to its core task
  void Remove(LinuxTask* task);
  void Rekey(LinuxTask* task, pid_t old_tid);
  LinuxTask* Find(pid_t tid);
  // The lane's own thread id, by which the kernel names the tracer.
  pid_t thread() const { return bell_.thread(); }
  // All threads of a process on this lane.
  std::vector<LinuxTask*> TasksOf(pid_t tgid);
  std::vector<LinuxTask*> Tasks();
  // Newborns that have stopped, and whose maker has not announced them yet.
  struct Newborn {
    int stop = 0;            // what the wait said of it
    std::set<pid_t> makers;  // the threads that may have made it
  };
  std::unordered_map<pid_t, Newborn>& unannounced() { return unannounced_; }

 private:
  // On the stack of a thread that waits.
  struct Caller {
    virtual ~Caller() = default;
    virtual void Run() = 0;
    Caller* next = nullptr;
    bool done = false;
  };

  Lane() = default;
  void Run();
  void CallAndWait(Caller& caller);
  void Queue(Asked& asked, Requests requests);
  void ServeAsked();
  void Dispatch(pid_t tid, const siginfo_t& info);

  bool RunCaller(std::unique_lock<std::mutex>& lock);

  // Of all lanes: guards every Asked, and what is said below.
  static std::mutex mutex_;
  // With mutex_: something was asked of a lane or served by one, or a callback began.
  static std::condition_variable& progress_;

  Bell bell_;
  std::unordered_map<pid_t, LinuxTask*> tasks_;
  std::unordered_map<pid_t, Newborn> unannounced_;

  // ---- Guarded by mutex_. ----
  Asked* asked_first_ = nullptr;
  Asked* asked_last_ = nullptr;
  Caller* callers_first_ = nullptr;
  Caller* callers_last_ = nullptr;
  uint64_t asked_count_ = 0;
  uint64_t served_count_ = 0;
  uint32_t in_callback_ = 0;
};

}  // namespace utrace::linux_host

#endif  // CORE_LINUX_LANE_H_
