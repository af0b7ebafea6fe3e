// Writing engines in C++: derive from Engine, override the callbacks you need, attach.
//
//   class CountExecs : public utrace::Engine {
//    public:
//     utrace::Action OnExec(utrace::ExecReport&) override {
//       ++count_;
//       return utrace::Action::kResume;
//     }
//     std::atomic<int> count_ = 0;
//   };
//
//   auto engine = std::make_shared<CountExecs>();
//   auto attachment = utrace::Attachment::Attach(task, engine, utrace::Events::kExec);
//
// One Engine object may be attached to any number of tasks. Callbacks for one task never overlap, but
// those for different tasks may run at the same time on different threads [REP-03]: what an engine
// keeps for each task belongs into Report::State, which needs no lock, and what its tasks share needs
// one. docs/writing-engines.md is the guide.
//
// The ids in brackets name the clauses of docs/spec.md. "Error" below means a negative errno in the
// Status or Result.
#ifndef CORE_ENGINE_H_
#define CORE_ENGINE_H_

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "core/actions.h"
#include "core/events.h"
#include "core/handles.h"
#include "core/machine_view.h"
#include "core/result.h"
#include "core/utrace.h"

namespace utrace {

class Engine;

namespace internal {

class Binding;

struct StateBase {
  virtual ~StateBase() = default;
};

template <class T>
struct StateOf final : StateBase {
  T value{};
};

}  // namespace internal

// ---- What callbacks are told -----------------------------------------------------------------

// Common to all callbacks. A report, and every reference it hands out, is valid until the callback
// returns.
class Report {
 public:
  // The task that the event happened to; also the caller's current task (REAP excepted).
  TaskView task() const { return task_; }
  // Its registers, system call and memory.
  Machine machine() const { return Machine(task_); }
  // The most constrained action that the engines called before in this report asked for [REP-04].
  Action so_far() const { return so_far_; }
  // This Engine object, to attach it elsewhere.
  const std::shared_ptr<Engine>& engine() const;
  // The events that are enabled for this engine on this task.
  Events events() const;
  // Makes them exactly `events`, from the next callback on [EVT-01, REP-13]. Errors as
  // Attachment::SetEvents.
  Status SetEvents(Events events);

  // What this engine keeps for this task: made with T's default constructor when first asked for,
  // destroyed when the attachment is over and nobody refers to it. One type T for each attachment;
  // asking for another throws std::logic_error.
  template <class T>
  T& State() {
    std::unique_ptr<internal::StateBase>& slot = StateSlot();
    if (slot == nullptr) slot = std::make_unique<internal::StateOf<T>>();
    auto* state = dynamic_cast<internal::StateOf<T>*>(slot.get());
    if (state == nullptr) throw std::logic_error("Report::State: asked for with two types");
    return state->value;
  }

  Report(const Report&) = delete;
  Report& operator=(const Report&) = delete;

 protected:
  Report(internal::Binding& binding, utrace_engine* engine, TaskView task, Action so_far)
      : binding_(binding), handle_(engine), task_(task), so_far_(so_far) {}
  ~Report() = default;

 private:
  std::unique_ptr<internal::StateBase>& StateSlot() const;

  internal::Binding& binding_;
  utrace_engine* const handle_;
  const TaskView task_;
  const Action so_far_;
};

class QuiesceReport final : public Report {
 public:
  QuiesceReport(internal::Binding& binding, utrace_engine* engine, TaskView task, Action so_far,
                Events event)
      : Report(binding, engine, task, so_far), event_(event) {}

  // The event whose callbacks follow; empty if the task is about to return to user mode and somebody
  // asked for a report [QUI-01, QUI-02].
  Events event() const { return event_; }

 private:
  const Events event_;
};

class SignalReport final : public Report {
 public:
  SignalReport(internal::Binding& binding, utrace_engine* engine, TaskView task, uint32_t action,
               siginfo_t& info, const utrace_sigaction* original, utrace_sigaction& disposition)
      : Report(binding, engine, task, ToAction(action)),
        signal_so_far_(static_cast<SignalAction>(utrace_signal_action(action))),
        info_(info),
        original_(original),
        disposition_(disposition) {}

  // False if no signal was dequeued: a report was asked for, or a handler was just set up [SIG-08,
  // SIG-09]. An engine may then fill in info() and return SignalAction::kDeliver to inject one.
  bool is_signal() const { return original_ != nullptr; }
  // What the engines called before decided about the signal [SIG-03].
  SignalAction signal_so_far() const { return signal_so_far_; }
  // May be changed, the number included; counts with SignalAction::kDeliver [SIG-05].
  siginfo_t& info() const { return info_; }
  // How the program disposes of the signal; null unless is_signal().
  const utrace_sigaction* original() const { return original_; }
  // What is applied by SignalAction::kDeliver; may be changed.
  utrace_sigaction& disposition() const { return disposition_; }

 private:
  const SignalAction signal_so_far_;
  siginfo_t& info_;
  const utrace_sigaction* const original_;
  utrace_sigaction& disposition_;
};

class CloneReport final : public Report {
 public:
  CloneReport(internal::Binding& binding, utrace_engine* engine, TaskView task, Action so_far,
              unsigned long flags, TaskView child)
      : Report(binding, engine, task, so_far), flags_(flags), child_(child) {}

  unsigned long flags() const { return flags_; }  // CLONE_* and the exit signal
  // Exists and has not run a user instruction; may be attached to and controlled [CLN-01..03].
  TaskView child() const { return child_; }
  // Attaches this Engine object to the child, for the child's life, with the same events as here.
  // Success also if it is attached already. Errors as Attachment::Attach.
  Status Follow() const;

 private:
  const unsigned long flags_;
  const TaskView child_;
};

class JctlReport final : public Report {
 public:
  JctlReport(internal::Binding& binding, utrace_engine* engine, TaskView task, Action so_far,
             int type, int notify)
      : Report(binding, engine, task, so_far), type_(type), notify_(notify) {}

  int type() const { return type_; }      // CLD_STOPPED or CLD_CONTINUED
  int notify() const { return notify_; }  // what the parent is told because of this task, or zero

 private:
  const int type_;
  const int notify_;
};

class ExecReport final : public Report {
 public:
  ExecReport(internal::Binding& binding, utrace_engine* engine, TaskView task, Action so_far,
             const utrace_program& program)
      : Report(binding, engine, task, so_far), program_(program) {}

  const utrace_program& program() const { return program_; }

 private:
  const utrace_program& program_;
};

// A system call, at its entry or its exit.
class SyscallReport : public Report {
 public:
  // -1 if the task is in no call, or was killed meanwhile.
  long number() const { return machine().SyscallNumber().value_or(-1); }
  // `index` counts from 0 to 5. 0 if the task was killed meanwhile.
  uint64_t argument(unsigned index) const { return machine().SyscallArgument(index).value_or(0); }

 protected:
  using Report::Report;
  ~SyscallReport() = default;
};

class SyscallEntry final : public SyscallReport {
 public:
  SyscallEntry(internal::Binding& binding, utrace_engine* engine, TaskView task, uint32_t action)
      : SyscallReport(binding, engine, task, ToAction(action)), action_(action) {}

  // What the engines called before decided about the call [SYS-04].
  SyscallAction call_so_far() const {
    return static_cast<SyscallAction>(utrace_syscall_action(action_));
  }
  // This entry was reported before, and is again because somebody asked for a report [SYS-06].
  bool repeated() const { return (action_ & UTRACE_SYSCALL_RESUMED) != 0; }
  // Return this to have the call not run and the program see `error`, a positive errno value.
  SyscallResult Refuse(int error) const {
    // Fails only if the task was killed, and then it sees nothing any more.
    (void)machine().SetSyscallError(error);
    return SyscallResult::Abort();
  }

 private:
  const uint32_t action_;
};

class SyscallExit final : public SyscallReport {
 public:
  SyscallExit(internal::Binding& binding, utrace_engine* engine, TaskView task, Action so_far)
      : SyscallReport(binding, engine, task, so_far) {}

  // What the call came to. Error: -ESRCH if the task was killed meanwhile.
  Result<SyscallOutcome> outcome() const { return machine().Outcome(); }
};

class ExitReport final : public Report {
 public:
  ExitReport(internal::Binding& binding, utrace_engine* engine, TaskView task, Action so_far,
             long original, long& code)
      : Report(binding, engine, task, so_far), original_(original), code_(code) {}

  // The wait status with which the task ends by itself.
  long original() const { return original_; }
  // What the parent will see; may be changed [EXI-01].
  long& code() const { return code_; }

 private:
  const long original_;
  long& code_;
};

class DeathReport final : public Report {
 public:
  DeathReport(internal::Binding& binding, utrace_engine* engine, TaskView task, bool group_dead,
              int signal)
      : Report(binding, engine, task, Action::kResume), group_dead_(group_dead), signal_(signal) {}

  bool group_dead() const { return group_dead_; }  // it was the last thread of its process
  // What the parent is sent; -1 for a task that reaps itself, -2 for a leader that dies before its
  // threads [DTH-04].
  int signal() const { return signal_; }

 private:
  const bool group_dead_;
  const int signal_;
};

class ReapReport final : public Report {
 public:
  ReapReport(internal::Binding& binding, utrace_engine* engine, TaskView task)
      : Report(binding, engine, task, Action::kResume) {}
};

// ---- The engine --------------------------------------------------------------------------------

// Base of every engine. Made with std::make_shared: each attachment holds the object, so that it
// outlives its callbacks without further care [REF-03..05].
//
// Callbacks are made at a safe point of the task: its registers and memory are accessible, no lock is
// held, all of this interface may be used. They should not block for long, because the task waits,
// and so may others. A callback that throws does no harm beyond its own engine: the exception is
// reported on standard error under the engine's Name, that engine leaves that task, and the task
// runs on.
class Engine {
 public:
  Engine();
  virtual ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // For messages. The default is the name of the class.
  virtual std::string Name() const;

  // Each is called only for events that were enabled [EVT-16]. The defaults resume, and leave signals
  // and system calls as the engines before decided.
  virtual Action OnQuiesce(QuiesceReport& report);
  virtual SignalResult OnSignal(SignalReport& report);
  virtual Action OnClone(CloneReport& report);
  virtual Action OnJctl(JctlReport& report);
  virtual Action OnExec(ExecReport& report);
  virtual SyscallResult OnSyscallEntry(SyscallEntry& report);
  virtual Action OnSyscallExit(SyscallExit& report);
  virtual Action OnExit(ExitReport& report);
  // Only Action::kDetach means anything as a result: no OnReap then [REA-03].
  virtual Action OnDeath(DeathReport& report);
  // The last callback; may come from any thread [REA-01, REA-05].
  virtual void OnReap(ReapReport& report);

  // Detaches this object from every task, followed ones included, and refuses later attaches with
  // -ESHUTDOWN. After it returned no callback of this object runs or will run, except those further
  // up the caller's own stack. Waits as Attachment::DetachAndWait does; any thread may call it.
  void DetachEverywhere();

 private:
  friend class internal::Binding;
  friend class Attachment;
  struct Impl;

  const std::unique_ptr<Impl> impl_;
};

// ---- Attaching ---------------------------------------------------------------------------------

// One Engine object on one task. Movable; a default-constructed or moved-from one is empty, and only
// the destructor, assignment and operator bool may be used on it.
class Attachment {
 public:
  enum class Mode {
    kAlways,          // attach, again if this Engine object is attached to the task already
    kUnlessAttached,  // then fail with -EEXIST [ATT-06]
  };

  Attachment() = default;
  Attachment(Attachment&& other) noexcept = default;
  Attachment& operator=(Attachment&& other) noexcept;
  // DetachAndWait().
  ~Attachment();

  // Attaches `engine` to `task` and enables `events`; callbacks may begin before this returns. Any
  // thread may call it, in callbacks too. Blocks while the kernel is asked for the task, and for a
  // newborn until its parent's clone report is over [ATT-16].
  //
  // Errors: -ESRCH reaped; -EPERM kernel thread, foreign tracer or no permission
  // (utrace_last_error_text says which); -EEXIST see Mode; -EALREADY dead, and `events` includes
  // QUIESCE or DEATH [EVT-03]; -ESHUTDOWN after Engine::DetachEverywhere; -EINVAL null engine or
  // task; -ENOMEM. Nothing is attached then.
  static Result<Attachment> Attach(TaskView task, const std::shared_ptr<Engine>& engine,
                                   Events events, Mode mode = Mode::kAlways);
  static Result<Attachment> Attach(const PidRef& pid, const std::shared_ptr<Engine>& engine,
                                   Events events, Mode mode = Mode::kAlways);

  explicit operator bool() const { return static_cast<bool>(handle_); }
  TaskView task() const { return task_; }
  const EngineRef& handle() const { return handle_; }
  const std::shared_ptr<Engine>& engine() const;

  // Makes the event set exactly `events`. Never waits. Errors: -ESRCH detached or reaped; -EALREADY
  // too late for DEATH, QUIESCE or REAP [EVT-03..05]; -EINPROGRESS the set is in force, and a
  // callback that began before still runs [EVT-07].
  Status SetEvents(Events events);
  // Says what the task shall do as far as this engine is concerned. Never waits. kStop: success if
  // it is stopped already, else -EINPROGRESS and it stops at its next safe point; see utrace_control
  // for the rest. kDetach detaches without waiting.
  Status Control(Action action);
  // Waits until no callback of this attachment is running that began before; at once inside one.
  // Errors: -ESRCH detached; -ERESTARTSYS interrupted by a signal to the caller [BAR-01..10].
  Status Barrier();
  // Ends the attachment: after it returned no callback of it runs or will run, and a stop by it is
  // over; this object is empty. Waits for a callback that is running, except on the caller's own
  // stack: called inside a callback of this very attachment, it returns at once and that callback
  // is the last. While the task's death report is in progress the attachment stays in the task's
  // list until that is over, unheard. In a callback of another task it must not be called if a
  // callback of this attachment may wait for that one.
  void DetachAndWait();
  // Gives the attachment up without ending it: it lasts until a callback returns Action::kDetach,
  // Engine::DetachEverywhere, or the reaping of its task. This object is empty.
  void Leave();

 private:
  friend class Engine;
  Attachment(TaskRef task, EngineRef handle, std::shared_ptr<internal::Binding> binding);

  TaskRef task_;
  // Declared after task_: handles are dropped before the task they belong to.
  EngineRef handle_;
  std::shared_ptr<internal::Binding> binding_;
};

// Access to a task that an attachment holds stopped, from outside its callbacks [EXM-01..09].
class Examination {
 public:
  // Waits until the task is really off the processor. `attachment` must outlive the examination.
  // Errors: -EINVAL this attachment does not hold it stopped; -ESRCH dead; -EAGAIN it runs despite
  // the stop.
  static Result<Examination> Begin(const Attachment& attachment);

  Examination(Examination&& other) noexcept
      : attachment_(std::exchange(other.attachment_, nullptr)), examiner_(other.examiner_) {}
  Examination& operator=(Examination&&) = delete;
  // Finishes, without telling whether what was seen is to be trusted.
  ~Examination() { (void)Finish(); }

  Machine machine() const { return Machine(attachment_->task()); }
  // Success if the task stayed stopped since Begin, so that what was read belongs together and what
  // was written arrived. -EAGAIN it woke in between; -EINVAL the attachment no longer holds it, or a
  // second call. No machine() after it.
  Status Finish();

 private:
  explicit Examination(const Attachment& attachment) : attachment_(&attachment) {}

  const Attachment* attachment_;
  utrace_examiner examiner_{};
};

}  // namespace utrace

#endif  // CORE_ENGINE_H_
