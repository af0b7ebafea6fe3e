// The state machine of one task: its engines, their reports, and what the task does next.
//
// Two kinds of callers meet here. *Controllers* and callbacks call through utrace.h (api.cc): Attach,
// SetEvents, Control, Barrier, PrepareExamine. The *host* calls the On... functions on the task path:
// one at a time per task, from whatever thread serves it, with the task at a safe point. The core
// never blocks on the task path: where the task has to stop, the verdict says so, and when the last
// engine lets go the host is asked to call OnWake.
//
// States of a task (`life_`):
//
//   kAlive      runs, or is held
//   kDying      report_death is in progress
//   kDead       dead, its death report over, not reaped
//   kReaping    report_reap is in progress
//   kReaped     gone; every call returns -ESRCH
//
// Lock: one mutex per task guards everything here and in its EngineObjects. It is never held during a
// callback, nor during a call of the host.
#ifndef CORE_TASK_H_
#define CORE_TASK_H_

#include <csignal>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/calls_wanted.h"
#include "core/engine_object.h"
#include "core/host.h"
#include "core/sync.h"
#include "core/utrace.h"

struct utrace_task {};

namespace utrace {

struct TracedTask;

enum class Step : uint8_t { kNone, kBlock, kSingle };

// What becomes of a task at a place inside the kernel.
struct Verdict {
  // Keep it where it is until Task::OnWake says otherwise.
  bool hold = false;
  // Bring it to Task::OnUserReturn before it runs user code: a report or a stop is due there.
  bool due = false;
};

// Why the entry of a system call is told of.
enum class Entry : uint8_t {
  kNew,   // the call is about to run
  kHeld,  // it was reported, and held: is it to be reported again?
  kAgain,  // it was reported; now more is known of it, and it is reported again as UTRACE_SYSCALL_RESUMED
};

struct EntryVerdict : Verdict {
  bool abort = false;  // do not attempt the call
};

// What a signal does, decided by the engines.
struct SignalEffect {
  enum class Kind : uint8_t {
    kDrop,
    kNatural,          // deliver `info` as the program disposes of info.si_signo
    kOriginalHandler,  // run the handler of the signal that was dequeued, with `info`
    kHandler,          // run `action`, with `info`
    kTerminate,        // end the process by info.si_signo
    kCore,
    kStop,     // stop the process absolutely
    kJobStop,  // stop it by job control rules
  };
  Kind kind = Kind::kDrop;
  bool put_back = false;      // HOLD: the signal is to be seen again
  bool info_changed = false;  // differs from what was dequeued
  siginfo_t info{};
  utrace_sigaction action{};
};

// What happens at the edge of user mode.
struct UserVerdict {
  enum class Next : uint8_t {
    kRun,     // run user code, stepping by `step`
    kHold,    // keep it here until OnWake
    kSignal,  // engines introduce a signal: `signal`; then call OnUserReturn again
  };
  Next next = Next::kRun;
  Step step = Step::kNone;
  SignalEffect signal;
};

// The kind of event that a signal makes by its disposition [SIG-01]; an event bit.
unsigned long SignalEventKind(int signal, uint64_t handler);

// Makes the calling thread a task's context for as long as it lives.
class CurrentTask {
 public:
  explicit CurrentTask(Task* task);
  ~CurrentTask();
  CurrentTask(const CurrentTask&) = delete;
  CurrentTask& operator=(const CurrentTask&) = delete;

 private:
  Task* const previous_;
};

class Task final : public utrace_task {
 public:
  // The host's constructor; the new task has one reference, the caller's.
  explicit Task(std::unique_ptr<HostTask> host);
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;

  void Ref() { references_.fetch_add(1, std::memory_order_relaxed); }
  // For tables that hold no reference: false if the last one is gone already.
  bool TryRef();
  void Unref();
  HostTask& host() { return *host_; }

  // The task that the calling thread makes a callback for; null outside.
  static Task* Current();

  // ---- Controllers. Contracts: utrace.h. ------------------------------------------------------

  EngineObject* Attach(int flags, const utrace_engine_ops* ops, void* data, int* status,
                       std::string* error);
  int SetEvents(EngineObject& engine, unsigned long events);
  int Control(EngineObject& engine, unsigned action);
  // Contract: calls_wanted.h.
  int WantCalls(EngineObject& engine, CallsWanted wanted);
  int Barrier(EngineObject& engine);
  int PrepareExamine(EngineObject& engine, utrace_examiner& examiner);
  int FinishExamine(EngineObject& engine, const utrace_examiner& examiner);
  // The public mask [EVT-15].
  unsigned long Interest();
  bool IsReaped();
  // Contract: look.h.
  void Look(TracedTask& seen);
  // Zero if the calling thread may touch the machine state now; else -EINVAL or -ESRCH [REG-04].
  int CheckAccess();
  // The calling thread changed these: counted for the engine whose callback it makes, if it makes one
  // for this task.
  void NoteChanges(Changes changes);

  // ---- Host, task path ------------------------------------------------------------------------

  EntryVerdict OnSyscallEntry(Entry entry);
  // Followed by OnUserReturn.
  void OnSyscallExit();
  // `child` is registered and has run no user code. `waits` for vfork: the parent is held here.
  Verdict OnClone(unsigned long flags, Task& child);
  Verdict OnExec(const utrace_program& program);
  // `code` is the wait status to be, and may be changed if the host can; `killed` if SIGKILL, or
  // another thread's exec or exit, is what ends the task: it is not held then [KIL-06].
  Verdict OnExit(long* code, bool killed);
  void OnDeath(bool group_dead, int signal);
  void OnReap();
  // A signal was dequeued; `disposition` is the program's. Call OnBeforeSignal first.
  SignalEffect OnSignal(const siginfo_t& info, const utrace_sigaction& disposition);
  // Reports that were asked for come before a dequeued signal is looked at [SIG-12]. As OnUserReturn,
  // but kRun means: go on with the signal.
  UserVerdict OnBeforeSignal() { return SafePoint(false); }
  // A handler was set up, the task is at its first instruction. Followed by OnUserReturn, unless
  // engines introduce a signal there.
  SignalEffect OnHandler();
  // Whether delivery to a handler must stop at its first instruction for OnHandler [SIG-09].
  bool WantsHandlerReport();
  // Completed (CLD_STOPPED) or left (CLD_CONTINUED) a job control stop. hold: an engine keeps it.
  Verdict OnJobControl(int type, int notify);
  // About to return to user mode.
  UserVerdict OnUserReturn() { return SafePoint(true); }
  // The host was asked to wake a held task. hold: someone holds it again. Otherwise the host goes on
  // from where it was held: OnSyscallEntry(Entry::kHeld), OnUserReturn, or just on its way.
  Verdict OnWake();
  // A held task turned out to run: SIGKILL woke it.
  void OnKilledInStop();
  // A signal that was introduced ends the process: no STOP given beside it holds the task [SIG-21].
  void OnEndingSignal();

  // ---- Host, any thread -----------------------------------------------------------------------

  // What the engines asked for; zero if none is attached, else with kAttached, and of those that want
  // events of system calls: whether some want all of them, some those that their command's filter names
  // (Owner::WantNamedCallsOnly), some those that the program's own filters want traced (calls_wanted.h).
  static constexpr unsigned long kAttached = 1UL << UTRACE_EVENT_BITS;
  static constexpr unsigned long kEveryCall = kAttached << 1;
  static constexpr unsigned long kNamedCalls = kAttached << 2;
  static constexpr unsigned long kFilteredCalls = kAttached << 3;
  unsigned long HostInterest();

  // Adopted: whether engines may come without Adopt. TryRelease makes it false unless an engine is
  // attached or on its way.
  void MarkAdopted();
  bool TryRelease();
  // It is dead already, nobody was there to report to.
  void MarkDead();
  // Found in a job control stop when it was adopted; or back in one that it was let run in.
  void MarkJobStopped();
  // The host lets it run while its group stays stopped: until that ends it counts as any running task.
  void MarkRunsInJobStop();
  // A newborn, until its parent's clone report is over [ATT-16].
  void MarkNewborn(const Task* parent);
  void EndNewborn();
  // Whether OnUserReturn is wanted before the task runs user code.
  bool IsDue();

 private:
  enum class Life : uint8_t { kAlive, kDying, kDead, kReaping, kReaped };
  // Reports asked for and not made yet, the strongest of all requests [CTL-44].
  enum class Pending : uint8_t { kNone, kReport, kInterrupt };
  // Which rule applies to REPORT and INTERRUPT among the results of a pass.
  enum class PassKind : uint8_t { kEvent, kEntry, kUserReturn, kSignal, kDeath };
  struct Pass;

  ~Task();

  // attach.cc
  EngineObject* FindMatch(int flags, const utrace_engine_ops* ops, const void* data);
  int AdoptOrNoMemory(std::string* error);
  bool Insert(EngineObject& engine);
  void RemoveDetached(std::vector<EngineObject*>& removed);
  static void DropAll(const std::vector<EngineObject*>& engines);

  // task.cc; all with the lock held.
  unsigned long InterestLocked() const;
  bool SomeoneStops() const;
  bool StillDue() const;
  void Notify();
  WaitResult WaitForChange(MutexLock& lock);
  void AddPending(Pending pending);
  void StartHold();
  void EndHold();

  // report.cc
  using Callback = std::function<uint32_t(EngineObject&, const utrace_engine_ops&, uint32_t)>;
  void BeginPass();
  void EndPass();
  bool CallEngine(MutexLock& lock, EngineObject& engine, Pass& pass,
                  const std::function<uint32_t(const utrace_engine_ops&)>& call);
  void ApplyResult(EngineObject& engine, PassKind kind, uint32_t result);
  static void CountChanges(EngineObject& engine, Pass& pass, uint32_t result);
  void ReportEvent(unsigned long event, PassKind kind, bool reverse, const Callback& specific);
  uint32_t ReportSignal(unsigned long event, uint32_t action, siginfo_t& info,
                        const utrace_sigaction* original, utrace_sigaction& disposition);
  UserVerdict SafePoint(bool leaving);
  Verdict HoldHere(bool may_hold);
  SignalEffect Resolve(uint32_t result, const siginfo_t* dequeued, const siginfo_t& info,
                       const utrace_sigaction* original, const utrace_sigaction& action);

  Atomic<uint32_t> references_{1};
  const std::unique_ptr<HostTask> host_;

  Mutex mutex_;
  // ---- Guarded by mutex_. ----
  Life life_ = Life::kAlive;
  bool adopted_ = false;
  uint32_t attaching_ = 0;  // attaches between Adopt and insertion
  const Task* newborn_of_ = nullptr;
  // In order of attachment. Changes only while no pass is in progress; engines that attach during
  // one wait in `arriving_` [ATT-14].
  std::vector<EngineObject*> engines_;
  std::vector<EngineObject*> arriving_;
  bool in_pass_ = false;
  uint64_t passes_ = 0;
  EngineObject* called_ = nullptr;  // read by the thread that makes the callback, too
  Pending pending_ = Pending::kNone;
  // STOP was used: report before user mode [REP-08].
  bool report_after_stop_ = false;
  // Inside a syscall entry, from its report until the call is attempted.
  bool at_entry_ = false;
  bool repeat_entry_ = false;  // [SYS-06]
  bool abort_entry_ = false;   // what the last round left [SYS-03]
  bool held_ = false;          // the last verdict was hold, and the host has not moved on
  bool job_stopped_ = false;
  uint64_t hold_generation_ = 1;  // changes whenever a hold ends [EXM-07]
  siginfo_t last_info_{};         // left by a report_signal that ended in STOP [SIG-11]
  bool keep_info_ = false;
  uint32_t waiters_ = 0;
  Atomic<uint32_t> changes_{0};  // waited on by WaitForChange
};

inline Task* FromPublic(utrace_task* task) { return static_cast<Task*>(task); }

}  // namespace utrace

#endif  // CORE_TASK_H_
