// A minimal utrace: tasks that are threads of this process, and the engines on them.
//
// It is incomplete on purpose: it shows what another implementation needs in order to be certified, and
// what the certificate says about what it lacks. One mutex guards everything; callbacks run without it,
// on the thread of their task.
#ifndef EXAMPLES_MINIMAL_IMPLEMENTATION_TASKS_H_
#define EXAMPLES_MINIMAL_IMPLEMENTATION_TASKS_H_

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "core/machine.h"
#include "core/utrace.h"
#include "core/utrace_target.h"

namespace minimal {

struct Engine : utrace_engine {
  utrace_task* task = nullptr;  // may be gone once it is detached
  int references = 0;           // the attachment has one
  bool attached = true;
  bool in_callback = false;
  unsigned long flags_of_callback = 0;  // the mask when it began
  bool leaves = false;                  // detaches when the callback ends
  bool wants_stop = false;              // STOP
  bool asked = false;                   // a report is due: STOP by control, REPORT or INTERRUPT
  void (*release)(void*) = nullptr;
};

// Guards every field of every task and engine; `changed` is notified whenever one changes.
extern std::mutex mutex;
extern std::condition_variable changed;
using Lock = std::unique_lock<std::mutex>;

// Thrown on a task's own thread where it would wait or go on, once it has been killed.
struct Killed {};

}  // namespace minimal

// One thread of the simulated program. The process of a task has no other.
struct utrace_task {
  utrace_task(pid_t thread, pid_t process, unsigned place);

  void Run();  // on its thread
  void Kill();
  // Lets the dead go; the task's thread makes the reports.
  void Reap();
  // Has the process ended, and nobody waited for it?
  bool IsZombie() const { return dead && !reaped; }
  bool IsHeld() const;

  const pid_t tid;
  const pid_t tgid;
  const unsigned slot;
  int references = 1;  // the world has one
  std::vector<minimal::Engine*> engines;

  char state = 'R';  // as utrace_target_state tells it
  bool killed = false;
  bool dead = false;
  bool reporting_death = false;
  bool reaped = false;
  uint64_t stops = 0;      // counts them
  bool interrupt = false;  // a report is due in the middle of a call
  int wait_status = 0;
  // The system call that it is in: -1 none.
  long call = -1;
  uint64_t arguments[6] = {};
  long result = 0;

  std::deque<utrace_target_command> commands;
  std::deque<utrace_target_reply> replies;
  std::deque<unsigned char> pipe;
  std::thread thread;

 private:
  // Makes a system call with its reports.
  long Call(long number, const int64_t* call_arguments = nullptr);
  long Perform(minimal::Lock& lock);
  long Wait(minimal::Lock& lock);
  long WaitId(minimal::Lock& lock);
  long Execute(const utrace_target_command& command);
  long Spin();
  void Die(int status);

  // Waits in a call until `ready`, or is killed.
  void Sleep(minimal::Lock& lock, const std::function<bool()>& ready);
  // A safe point: the report that somebody asked for, and the stop.
  void Stop(minimal::Lock& lock);
  // One report to all engines; `make` makes the event's callback and returns its result.
  using Callback = std::function<uint32_t(minimal::Engine*, uint32_t action)>;
  uint32_t Report(unsigned long event, uint32_t first, bool backwards, const Callback& make);
  uint32_t ReportTo(minimal::Engine* engine, unsigned long event, uint32_t action,
                    const Callback& make);

  utrace_target_command command_ = {};  // the one that is executed
  utrace_target_reply reply_ = {};      // its acknowledgement
};

namespace minimal {

// The tasks by slot; null where there is none. Guarded by `mutex`.
extern utrace_task* world[UTRACE_TARGET_SLOTS];
utrace_target_slot& Memory(unsigned slot);

utrace_task* Find(pid_t tid);

void Put(utrace_task* task, Lock& lock);
// Takes the engine off its task; its release callback is made, without the lock, by the last Put.
void Detach(Engine* engine, Lock& lock);
void Put(Engine* engine, Lock& lock);

// The task whose callback the calling thread makes.
extern thread_local utrace_task* current;

}  // namespace minimal

#endif  // EXAMPLES_MINIMAL_IMPLEMENTATION_TASKS_H_
