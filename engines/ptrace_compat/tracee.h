// Tracee: the engine on one task that all its tracers share.
#ifndef ENGINES_PTRACE_COMPAT_TRACEE_H_
#define ENGINES_PTRACE_COMPAT_TRACEE_H_

#include <sys/types.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/engine.h"
#include "engines/ptrace_compat/address_space.h"
#include "engines/ptrace_compat/link.h"
#include "engines/ptrace_compat/world.h"

namespace utrace::ptrace_compat {

class Tracee final : public Engine, public std::enable_shared_from_this<Tracee> {
 public:
  // Of `task`, whose memory `space` is; no engine of it yet.
  Tracee(World& world, TaskView task, std::shared_ptr<AddressSpace> space);
  ~Tracee() override;

  // Puts the engine on its task, for links with `options` between them. Without World::mutex, once. Errors as
  // Attachment::Attach.
  Status Attach(uint32_t options);
  // Takes it off again, where nobody has come to use it. Without World::mutex.
  void Abandon();

  // All threads of the process that it led, and that it was dead before, are dead. Without World::mutex.
  void GroupIsDead();

  // ---- With World::mutex. It is given up for a moment where it is a parameter. ----

  // A link that has just been made.
  void Add(const std::shared_ptr<Link>& link);
  // Lets links come to the stops in their `own`, soon.
  void Approach(Lock& lock);
  // Waits until the results of all callbacks that took the lock are in force. Before anything that lets the
  // task go on: else the result, a stop, would come after it.
  void Settle(Lock& lock);
  // A stopped link goes on; settled. `signal` is valid, or zero.
  void Resume(Link& link, Run run, int signal);
  // PTRACE_LISTEN, in a stop that allows it; settled.
  void Listen(Link& link);
  // PTRACE_INTERRUPT.
  void Interrupt(Lock& lock, Link& link);
  // The link's tracer has sent SIGSTOP to the task, for itself alone.
  void StopByTracer(Lock& lock, Link& link);
  // The link's tracer leaves it, with `signal` where it is stopped; settled.
  void Leave(Link& link, int signal);
  // The same where the link's tracer has ended: what its stop was for does no harm, nor a breakpoint that was met.
  void LeaveUnasked(Lock& lock, Link& link);
  // The tracer has ended: its breakpoints go, if no other thread of its program traces the process.
  void ForgetBreakpoints(const Tracer& tracer);
  // Before the link's tracer leaves.
  void DropDebugRegisters(Lock& lock, Link& link);
  // For the last time: nothing controls the engine afterwards. Without World::mutex; may destroy the tracee if the
  // caller does not keep it.
  void GiveUpControl();
  // Takes the engine off if it has no link.
  void LeaveIfUnused() { LetGo(); }
  // Does `work` with the machine state of the task, which `link` holds; gives its result, or -ESRCH if the task
  // was killed. `work` is called without the lock, and possibly again if it fails with -EINVAL or -ESRCH.
  long Access(Lock& lock, Link& link, const std::function<long()>& work);
  // Asks for the events that the links want by now. Any state of the task.
  void ChooseEvents(Lock& lock);
  // SIGCONT has come to its process, to another thread.
  void Trap(Lock& lock);
  // The task was found in a job control stop when it was attached to.
  void FoundStopped();
  bool dead() const { return dead_; }
  int group_stop() const { return group_stop_; }
  static Stop GroupStop(const Link& link, int signal);
  static Stop AttachStop();

  TaskView task() const { return task_; }
  const std::shared_ptr<AddressSpace>& space() const { return space_; }
  const std::vector<std::shared_ptr<Link>>& links() const { return links_; }

  // ---- Engine ----
  std::string Name() const override { return "ptrace_compat"; }
  Action OnQuiesce(QuiesceReport& report) override;
  SignalResult OnSignal(SignalReport& report) override;
  Action OnClone(CloneReport& report) override;
  Action OnJctl(JctlReport& report) override;
  Action OnExec(ExecReport& report) override;
  SyscallResult OnSyscallEntry(SyscallEntry& report) override;
  Action OnSyscallExit(SyscallExit& report) override;
  Action OnExit(ExitReport& report) override;
  Action OnDeath(DeathReport& report) override;
  void OnReap(ReapReport& report) override;

 private:
  // Something that visits the links in order.
  struct Occurrence {
    enum class Kind : uint8_t { kSignal, kEntry, kExit, kEvent, kHandler };
    Kind kind = Kind::kSignal;
    Stop stop;                    // what a link comes to
    uint32_t option = 0;          // of an event: the option that asks for it
    std::set<uint64_t> only;      // if not empty, the links that it visits
    bool breakpoint = false;      // of a breakpoint instruction
    uint64_t address = 0;         // where that is
    bool passed_on = false;       // of those that it visits, one wants the program to get it
    bool may_be_blocked = false;  // by the program, which did not block what it began with
    uint64_t last = 0;            // the last link that was asked
    const Link* at = nullptr;     // the link that is in it
  };

  // tracee.cc
  Lock Enter();
  bool Busy() const;
  Action Wish() const;
  bool IsFor(const Occurrence& occurrence, const Link& link) const;
  bool AnyWants(const Occurrence& occurrence) const;
  EngineRef Handle() const;
  int Control(enum utrace_resume_action action) const;
  void SetEventsOfHeld();
  struct Wants {
    unsigned long events = 0;
    bool all_calls = true;  // calls_wanted.h
    bool filtered_calls = false;

    friend bool operator==(const Wants&, const Wants&) = default;
  };
  Wants Wanted(uint32_t options) const;
  void Set(const Wants& wants);

  // passage.cc
  void EnterStop(Link& link, const Stop& stop);
  void EnterOwn();
  void Advance();
  void GoOn(Link& link, int signal);
  void ChooseJobControl() const;
  void LetGo();
  void LeaveTask();
  bool MayLeave() const {
    return leaving_ && introduced_.empty() && !step_runs_ && !trap_may_come_;
  }

  // links.cc
  long StepBackTo(uint64_t address) const;
  bool SpaceIsUsedBy(pid_t tracer, const Tracer* but = nullptr) const;

  // events.cc
  void Dissolve();
  Occurrence EventOccurrence(int event, uint64_t message) const;
  Occurrence SyscallOccurrence(bool entry) const;
  siginfo_t TrapInfo(int code) const;
  void NoteSyscallInfo(TaskView task, Stop& stop) const;
  std::shared_ptr<Tracee> Follow(CloneReport& report, uint32_t options);
  void TellOfDeath(int status);

  // signals.cc
  void SendSignal(int signal) const;
  void SendDisguised(siginfo_t info) const;
  void SendBlockedAnew();
  std::optional<std::set<uint64_t>> BelongsTo(const siginfo_t& info, std::optional<uint64_t> pc,
                                              const std::vector<uint64_t>& watchers) const;
  void TrapForContinue();
  bool QueueTraps();
  void LookForTrap(TaskView task);
  SignalResult AtReport(SignalReport& report);
  static void Replace(siginfo_t& info, int signal, const Tracer& tracer);

  World& world_;
  const TaskRef task_;
  mutable std::mutex handle_mutex_;
  EngineRef handle_;  // from Attach to GiveUpControl; guarded by handle_mutex_

  // ---- Guarded by World::mutex. ----
  std::shared_ptr<AddressSpace> space_;
  std::vector<std::shared_ptr<Link>> links_;  // in order of attachment
  std::deque<Occurrence> occurrences_;        // the first is on its way
  struct Introduced {
    siginfo_t info{};
    bool may_be_blocked = false;
  };
  std::deque<Introduced> introduced_;    // signals for the program, after all links
  std::set<uint64_t> exec_traps_;        // links that the SIGTRAP of an exec is for
  std::optional<uint64_t> vfork_child_;  // whose parent's call is about to end
  uint64_t callbacks_ = 0;               // that took the lock
  std::condition_variable callback_came_;
  Wants wants_;               // what is set
  bool in_call_ = false;      // the entry of the present call was reported, its exit not yet
  bool sees_exit_ = false;    // the end of the present call must be seen
  bool has_stepped_ = false;  // some link asked for a step at some time
  bool step_runs_ = false;    // who asked for the step under way has left
  // The trap of a breakpoint may be under way whose tracer was killed.
  bool trap_may_come_ = false;
  bool leaving_ = false;  // no link is left; the engine goes when the rest is done
  bool dead_ = false;
  bool continued_told_ = false;  // the SIGCONT that ended a job control stop is still to come
  int group_stop_ = 0;           // the signal of the job control stop that it is in
  bool filter_told_ = false;    // of the present call, the stop that a filter of the program's made
  bool emulates_call_ = false;  // the present call shall not run
  int exit_status_ = 0;
};

}  // namespace utrace::ptrace_compat

#endif  // ENGINES_PTRACE_COMPAT_TRACEE_H_
