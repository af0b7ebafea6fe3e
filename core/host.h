// What the state machine asks of whatever runs the tasks: the kernel side.
//
// A host owns the execution of tasks: live threads under ptrace (core/linux), or simulated ones. It
// calls Task::On... (task.h) on the *task path*, one call at a time per task, whenever something
// happens to a task, and obeys the verdict that comes back. The core calls the interfaces below.
#ifndef CORE_HOST_H_
#define CORE_HOST_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>

#include "core/machine.h"
#include "core/sync.h"
#include "core/utrace.h"

namespace utrace {

class Task;

// How a task is asked to come to a safe point.
enum class Urgency {
  kReport,     // soon, without disturbing a system call in progress
  kInterrupt,  // at once, interrupting a system call as a stop signal would
  kTakeOver,   // it is in a job control stop: keep it where it is when SIGCONT comes
};

// One task as its host sees it. Every function may be called from any thread, in callbacks too, and
// with no lock of the core held. None of them waits for the task; those under "machine state" may
// wait for the host's thread that serves the task.
class HostTask {
 public:
  virtual ~HostTask() = default;

  virtual pid_t tid() const = 0;
  virtual pid_t tgid() const = 0;
  virtual bool IsKernelThread() const = 0;

  // Makes the task ready for engines: events will reach the core. Blocks. Tells the core by
  // Task::MarkDead if it finds the task dead and not reaped. Zero, or a negative errno with `error`
  // saying which task, why, and what to do.
  virtual int Adopt(std::string* error) = 0;

  // Asks for a call of Task::OnUserReturn, OnSignal or OnSyscallEntry soon. Spurious and repeated
  // requests are harmless.
  virtual void RequestSafePoint(Urgency urgency) = 0;
  // No engine holds the task any longer: the host shall call Task::OnWake.
  virtual void RequestWake() = 0;
  // The union of the engines' masks changed (Task::HostInterest); `interest` is zero if no engine is
  // left, and then the host may let the task go (Task::TryRelease). Events of a newly added kind that happen after this
  // call returned must be reported.
  virtual void InterestChanged(unsigned long interest) = 0;
  // Whether a task that the core believes to be held is still in its stop (it may have been killed).
  virtual bool IsStillStopped() = 0;
  // Whether the pid still names this, unreaped, task. For handles.
  virtual bool Exists() = 0;

  // ---- Machine state: only while the task is at a safe point; see machine.h. ----
  virtual const utrace_regset_view& View() const = 0;
  virtual int RegsetGet(uint32_t index, size_t position, size_t count, void* buffer) = 0;
  virtual int RegsetSet(uint32_t index, size_t position, size_t count, const void* buffer) = 0;
  virtual int GetPc(uint64_t* pc) = 0;
  virtual int SetPc(uint64_t pc) = 0;
  virtual int GetSp(uint64_t* sp) = 0;
  virtual int SyscallNumber(long* number) = 0;
  virtual int SetSyscallNumber(long number) = 0;
  virtual int SyscallArguments(unsigned first, unsigned count, uint64_t* arguments) = 0;
  virtual int SetSyscallArguments(unsigned first, unsigned count, const uint64_t* arguments) = 0;
  virtual int SyscallResult(int64_t* result) = 0;
  virtual int SetSyscallResult(int64_t result) = 0;
  virtual int RollBackSyscall() = 0;
  virtual ssize_t ReadMemory(uint64_t address, void* buffer, size_t size) = 0;
  virtual ssize_t WriteMemory(uint64_t address, const void* buffer, size_t size) = 0;
  // At any time.
  virtual int CurrentSyscall(utrace_current_syscall* call) = 0;
};

enum class WaitResult { kWoken, kInterrupted };

class Host {
 public:
  virtual ~Host() = default;

  // The task with that id, with a reference for the caller. Null and a negative errno in *status if
  // there is none.
  virtual Task* FindTask(pid_t tid, int* status, std::string* error) = 0;

  virtual bool HasSingleStep() = 0;
  virtual bool HasBlockStep() = 0;
  // See utrace_declared_limits.
  virtual const char* DeclaredLimits() = 0;

  // Waits while `word` equals `expected`; may wake spuriously. kInterrupted if a signal handler ran
  // in the calling thread.
  virtual WaitResult WaitOn(Atomic<uint32_t>& word, uint32_t expected) = 0;
  virtual void WakeAll(Atomic<uint32_t>& word) = 0;
};

// The host that is linked in; made on first use, lives as long as the process.
Host& TheHost();

}  // namespace utrace

#endif  // CORE_HOST_H_
