// A thread of the model: a fiber that is its user code and the kernel's code that works for it.
//
// The core is told of what happens to it (core/task.h) while `traced_`: from the first engine's
// attach (Adopt) until the core lets it go (Task::TryRelease).
#ifndef CORE_MODEL_KERNEL_THREAD_H_
#define CORE_MODEL_KERNEL_THREAD_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/model/kernel/machine_state.h"
#include "core/model/kernel/process.h"
#include "core/model/scheduler.h"
#include "core/task.h"

namespace utrace::model {

class World;

// How a thread's user code ends; thrown at the edge of user mode.
struct ThreadEnded {};
struct NewProgram {};

class Thread : public std::enable_shared_from_this<Thread> {
 public:
  // What a thread's user code is.
  enum class Program : uint8_t {
    kSlot,    // takes commands in its slot
    kExits,   // exits at once
    kKernel,  // a thread of the kernel, which has none
  };
  Thread(std::shared_ptr<Process> process, pid_t tid, int slot, Program program);
  ~Thread();
  Thread(const Thread&) = delete;
  Thread& operator=(const Thread&) = delete;

  // Begins to run; a newborn waits until its parent has reported it.
  void Start();
  void EndNewborn() { newborn_ = false; }

  // ---- User code (program.cc): on its own fiber.

  int64_t Call(long number, uint64_t a0 = 0, uint64_t a1 = 0, uint64_t a2 = 0, uint64_t a3 = 0,
               uint64_t a4 = 0, uint64_t a5 = 0);
  // The same, made by the system call instruction at `site`.
  int64_t CallAt(uint64_t site, long number, const uint64_t (&arguments)[6]);
  // One turn of a loop, without a system call; lets others run first.
  void Instruction();
  // The instruction at `pc`, where the program counter is, of which `next` is executed next; with
  // `branch` it leads there by a taken branch. Lets others run first.
  void InstructionAt(uint64_t pc, uint64_t next, bool branch);
  // An instruction that faults.
  void Fault(int signal, int code, uint64_t address);

  // ---- The core's requests (host.cc): any fiber.

  // The core's task, made on first use.
  Task& core();
  int Adopt();
  void RequestSafePoint(Urgency urgency);
  void RequestWake() { wake_ = true; }
  void InterestChanged();
  int CurrentSyscall(utrace_current_syscall* call) const;
  // Zero if the caller may touch its registers; -ESRCH if it was killed.
  int CheckStopped();

  // ---- Signals (thread_signals.cc)

  SignalSet blocked = 0;
  PendingSignals own;
  std::optional<stack_t> alternate_stack;
  // Something is to be looked at before it sleeps again, or returns to user mode.
  void Notify() { notified_ = true; }
  void BeginJobStop() { job_stop_due_ = true, notified_ = true; }
  void CancelJobStop() { job_stop_due_ = false; }
  void EndJobStop() { job_stopped_ = false; }
  bool IsJobStopped() const { return job_stopped_; }
  bool IsJobStopDue() const { return job_stop_due_; }
  bool WantsIgnored() const;  // an engine wants to hear of signals that the program ignores
  void Kill() { killed_ = true, notified_ = true; }
  bool CanTake(int signal) const { return !exiting_ && (blocked & SignalBit(signal)) == 0; }

  // ---- State

  const std::shared_ptr<Process> process;
  pid_t tid;
  int slot;             // -1: none
  int spawn_slot = -1;  // for the next clone
  MachineState machine;
  const Program program;
  bool IsDead() const { return dead_; }
  bool IsGone() const { return gone_; }
  bool IsExiting() const { return exiting_; }
  // It is dead and waits for nobody: to be forgotten. Its fiber makes the reap report.
  void Reap();
  bool HasEnded() const { return ended_; }
  char State() const;  // as /proc shows it

  // ---- For the calls (calls.cc, wait_calls.cc, life.cc)

  enum class Slept : uint8_t { kReady, kTimeout, kInterrupted };
  // Sleeps in a system call. Signals interrupt it.
  Slept Sleep(const char* what, const std::function<bool()>& ready, int64_t timeout = kForever);
  // Only its death ends this wait early; false then.
  bool SleepUnlessKilled(const char* what, const std::function<bool()>& ready);
  // Continues a call that was interrupted, for restart_syscall.
  std::function<int64_t()> restart;
  int64_t clock = 0;  // what its last clock_gettime gave
  bool IsKilled() const { return killed_; }
  World& world() const { return process->world; }
  uint64_t Argument(unsigned index) const { return arch::SyscallArgument(machine.general, index); }
  // Its exit, or with `whole_process` that of all threads.
  [[noreturn]] void Exit(long status, bool whole_process);

 private:
  struct HandlerFrame {
    MachineState machine;
    SignalSet blocked;
    siginfo_t info;
    uint64_t serial;
  };
  enum class Place : uint8_t { kUser, kKernel, kAsleep, kHeld, kJobStopped };

  void Main();
  void RunProgram();

  // thread.cc
  void SystemCall();
  bool ReportEntry();
  void ReturnToUser();
  // Interrupts and the trap of a step, where the next user instruction would be executed.
  void BeforeInstruction();
  // It was executed; `branch` if it was one that was taken.
  void AfterInstruction(bool branch);
  // User code of handlers set up beyond `depth`, and the start of a new program.
  void RunHandlers(size_t depth);
  void RunHandler();
  void CheckProgramCounter(uint64_t expected);
  // The core said: hold. Until it says otherwise; false if the thread was killed meanwhile.
  bool Hold();
  bool AwaitWake();
  void ReleaseIfIdle();
  void RestartCall();

  // thread_signals.cc
  bool HasSignal() const;
  // A report is due before it, or it was acted on; either way look again.
  void TakeSignal();
  void CarryOut(const SignalEffect& effect, const siginfo_t* dequeued);
  void ActNaturally(const siginfo_t& info);
  void ActByDefault(const siginfo_t& info, int number);
  void SetUpHandler(const siginfo_t& info, const utrace_sigaction& action, bool own_action);
  void StopForJobControl();
  void EndBySignal(int signal, bool core);

  // life.cc
  int64_t Clone(unsigned long flags, uint64_t parent_tid_at, uint64_t clear_tid_at);
  // The result of a failed one; none if the registers are those of the new program.
  std::optional<int64_t> Exec(uint64_t path_at);
  void Die(long status);
  void EndProcess();

  // calls.cc: what the call in the registers does; its result, or none if it set all registers.
  std::optional<int64_t> Dispatch(long number);
  void ReturnFromHandler();

  Task* core_ = nullptr;  // with a reference, until it is reaped
  bool traced_ = false;
  unsigned long interest_ = 0;
  bool release_ = false;  // the last engine left: ask the core whether it lets go
  int adopting_ = 0;

  Place place_ = Place::kKernel;
  bool in_call_ = false;
  bool newborn_ = true;
  bool killed_ = false;
  bool asked_ = false;  // a report is due before user mode
  bool notified_ = false;
  bool wake_ = false;       // of a hold
  bool take_over_ = false;  // of a job control stop
  bool job_stop_due_ = false;
  bool job_stopped_ = false;
  bool exiting_ = false;
  bool dead_ = false;
  bool gone_ = false;
  bool ended_ = false;
  bool new_program_ = false;
  uint64_t clear_tid_at_ = 0;
  long exit_code_ = 0;
  Step step_ = Step::kNone;
  std::optional<siginfo_t> trap_;
  std::vector<HandlerFrame> frames_;
  uint64_t frames_made_ = 0;
};

}  // namespace utrace::model

#endif  // CORE_MODEL_KERNEL_THREAD_H_
