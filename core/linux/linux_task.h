// One live thread under ptrace.
//
// Everything that issues a ptrace request runs on the task's lane; fields say who guards them. The
// class is spread over files by subject: linux_task.cc (being a HostTask: adoption and requests from
// other threads), stops.cc (what to do at each stop), signals.cc (carrying out what engines decided
// about a signal), life.cc (clone, exec, exit, death, reap),
// newborns.cc (tracees that their makers have not announced yet), registers.cc (machine state),
// debug_registers.cc, ptrace_requests.cc (what is not in the contract).
//
// Places where the task can be, as the lane sees it:
//
//   kRunning     not in a stop that the lane knows of
//   kEntry       syscall-entry-stop
//   kKernel      in the middle of a system call: clone, exec
//   kExit        in PTRACE_EVENT_EXIT, or at the entry of its own exit with the exit reported
//   kUser        about to return to user mode: syscall-exit-stop, trap, a signal that was dealt with
//   kBeforeSignal  signal-delivery-stop, the signal not looked at yet
//   kGroup       job control stop, held by an engine or about to listen
//   kListening   job control stop, PTRACE_LISTEN
//   kContinuing  its job control stop ended; held by an engine
//   kGone        dead
#ifndef CORE_LINUX_LINUX_TASK_H_
#define CORE_LINUX_LINUX_TASK_H_

#include <sys/ptrace.h>

#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <deque>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "arch/arch.h"
#include "arch/debug_registers.h"
#include "core/host.h"
#include "core/linux/fd.h"
#include "core/linux/lane.h"
#include "core/linux/running_setup.h"
#include "core/linux/wait_status.h"
#include "core/task.h"

namespace utrace::linux_host {

// Of a thread that stops for the calling one: all that arch::GeneralRegisters holds. False: errno says why.
bool GetGeneralRegisters(pid_t tid, arch::GeneralRegisters* registers);
bool SetGeneralRegisters(pid_t tid, const arch::GeneralRegisters& registers);
// Of any thread: as utrace_task_current_syscall, but -ENOENT if the kernel does not tell.
int ReadCurrentSyscall(pid_t tid, utrace_current_syscall* call);

class LinuxTask final : public HostTask {
 public:
  // `identity` of IdentityOf; neither traced nor stopped. `core` is set right after.
  LinuxTask(pid_t tid, pid_t tgid, uint64_t identity, bool kernel_thread);
  ~LinuxTask() override;
  void Bind(Task* core) { core_ = core; }
  Task& core() { return *core_; }
  uint64_t identity() const { return identity_.load(); }

  // ---- HostTask ---------------------------------------------------------------------------------
  pid_t tid() const override { return tid_.load(); }
  pid_t tgid() const override { return tgid_; }
  bool IsKernelThread() const override { return kernel_thread_; }
  int Adopt(std::string* error) override;
  void RequestSafePoint(Urgency urgency) override;
  void RequestWake() override;
  void InterestChanged(unsigned long interest) override;
  bool IsStillStopped() override;
  bool Exists() override;
  const utrace_regset_view& View() const override { return arch::View(); }
  int RegsetGet(uint32_t index, size_t position, size_t count, void* buffer) override;
  int RegsetSet(uint32_t index, size_t position, size_t count, const void* buffer) override;
  int GetPc(uint64_t* pc) override;
  int SetPc(uint64_t pc) override;
  int GetSp(uint64_t* sp) override;
  int SyscallNumber(long* number) override;
  int SetSyscallNumber(long number) override;
  int SyscallArguments(unsigned first, unsigned count, uint64_t* arguments) override;
  int SetSyscallArguments(unsigned first, unsigned count, const uint64_t* arguments) override;
  int SyscallResult(int64_t* result) override;
  int SetSyscallResult(int64_t result) override;
  int RollBackSyscall() override;
  ssize_t ReadMemory(uint64_t address, void* buffer, size_t size) override;
  ssize_t WriteMemory(uint64_t address, const void* buffer, size_t size) override;
  int CurrentSyscall(utrace_current_syscall* call) override;

  // ---- What the contract does not offer. Contracts: ptrace_requests.h ---------------------------
  long StateRequest(long request, uint64_t address, void* data);
  std::optional<int> DeathStatus();
  void RunInJobControlStop(bool runs);
  std::optional<uint32_t> FilterData();
  int SetDebugRegister(uint64_t owner, unsigned index, uint64_t value);
  int GetDebugRegister(uint64_t owner, unsigned index, uint64_t* value);
  void DropDebugRegisters(uint64_t owner);
  std::vector<uint64_t> OwnersOfTrap();

  // ---- Called by the lane ------------------------------------------------------------------------
  void OnStop(int wait_code);
  void OnZombie(const siginfo_t& info);
  // A tracee that is not in the lane's table: a newborn not announced yet, or a renamed thread.
  static void OnUnknown(Lane& lane, pid_t tid, const siginfo_t& info);
  // Thread `tid` has come to a stop, or died: what it made until then and has not announced, it never will.
  static void OnPossibleMaker(Lane& lane, pid_t tid, bool died);
  // Lets newborns that nobody is going to announce run on untraced.
  static void ReleaseOrphans(Lane& lane);

  void Serve(Requests requests);

  // Contract: call_filter.h. Before the task is adopted.
  void ExpectFilter() { filtered_.store(true); }
  bool filtered() const { return filtered_.load(); }

  // For the watcher of pidfds: what it asks the lane with.
  Asked& asked() { return asked_; }

  // Any thread. Waits while a lane traces the task; whether one did.
  bool AwaitUntraced();

 private:
  enum class Place : uint8_t {
    kRunning,
    kEntry,
    kKernel,
    kExit,
    kUser,
    kBeforeSignal,
    kGroup,
    kListening,
    kContinuing,
    kGone,
  };
  // A signal that we sent so that the kernel brings the task to a signal-delivery-stop, where what
  // is decided already is carried out or what was put back is seen again.
  struct Carrier {
    uint64_t cookie = 0;
    int number = 0;
    bool decided = false;    // carry out `effect`; else look at effect.info as if just dequeued
    bool by_kernel = false;  // sent by the kernel, when the task was resumed
    SignalEffect effect;
  };

  // linux_task.cc
  int Seize(std::string* error);
  void OnPidfd(bool reaped);
  void LookAtLeader();
  int ExplainRefusal(int error_number, std::string* error);
  void Interrupt();
  void Reconfigure(unsigned long interest);
  void Wake();
  void Publish(bool traced);
  void Retry();

  // stops.cc
  void AtSyscall();
  void AtEntry(Entry entry);
  void AtFilter();
  void AtSyscallExit();
  void AtTrap();
  void AfterTrap();
  void AtGroupStop();
  void AfterGroupStop();
  bool GroupStopIsNew() const;
  void AtSignal(int signal);
  void LookAtSignal();
  void ReturnToUser(Step unfinished = Step::kNone);
  void NoteLateTrap();
  void Hold(Place place) { place_ = place; }
  void GoOnInKernel();
  void Resume(int request, int signal);
  bool IsAtSyscallInstruction();
  void ResumeToUser(Step step);
  void ApplyOptions();
  bool ReleaseIfIdle(int signal);
  bool RepairInterruptedCall();
  bool TookCallBack();
  void RememberInterruptedCall();
  bool FailedByInterrupt();
  unsigned long KernelOptions(unsigned long interest) const;
  unsigned long ToStopFor(unsigned long interest) const;
  bool FilterIsEnough(unsigned long interest) const;
  bool LeavesCallsToFilter() { return FilterIsEnough(core_->HostInterest()); }

  // signals.cc
  void CarryOut(const SignalEffect& effect, int stopped_for);
  int JobStopSignal(int wanted);
  void Deliver(const siginfo_t& info, int number, bool set_info);
  void AtHandler();
  void ReportHandler();
  void RunChosenHandler(const SignalEffect& effect);
  void EndProcessBy(const SignalEffect& effect, int stopped_for);
  bool ResetDisposition(int number);
  uint64_t DispositionOf(int signal);
  bool SetSignalMask(uint64_t mask);
  std::optional<uint64_t> SignalMask();

  // carriers.cc
  void SendCarrier(const SignalEffect& effect, int number, bool decided);
  void SendUnsent();
  int HandOneToKernel();
  std::optional<Carrier> TakeCarrier(const siginfo_t& info);
  void ResumeToCarrier();
  bool StepsToUnsent();
  bool IsBlocked(int signal);
  bool LookAtUnsent();

  // life.cc
  void AtClone(int event);
  void AtExec();
  void AtExit();
  bool ReportOwnExit();
  void AfterExitHold();
  void Die(bool replaced);
  void Reaped();
  void Renamed(pid_t leader_tid);
  bool LastToStop();
  bool FirstToContinue();
  bool IsLastOfGroup();
  int SignalToParent(bool group_dead);
  bool IsOwnChild();

  // newborns.cc
  static std::set<pid_t> MakersOf(Lane& lane, pid_t tid, std::optional<uint64_t> flags);
  static void AskMakers(Lane& lane, pid_t tid);

  // ptrace_requests.cc
  void NoteDeathOfGroup();

  // debug_registers.cc
  bool InstallDebugRegisters(const arch::DebugRegisters& wanted);
  bool NoteDebugTrap();
  void ReleaseDebugRegisters();
  arch::DebugRegisters DebugRegistersWith(uint64_t owner);

  // registers.cc
  int RequestError(int otherwise);
  int FetchRegisters();
  void FetchCall();
  int StoreRegisters();
  int TransferMemory(uint64_t address, void* buffer, size_t size, bool write, ssize_t* done);
  std::optional<uint64_t> ReadU64(uint64_t address);
  void CloseMemory();
  std::optional<uint64_t> FindCode(std::optional<size_t> (*find)(std::span<const uint8_t>),
                                   const char* preferred_mapping);

  std::atomic<pid_t> tid_;
  const pid_t tgid_;
  std::atomic<uint64_t> identity_;  // changes with the id, by exec of a thread
  const bool kernel_thread_;
  Task* core_ = nullptr;
  Asked asked_;
  // Set when seized; stays when released, since requests may be on their way.
  std::atomic<Lane*> lane_{nullptr};
  RunningSetup setup_;
  // Contract: RunInJobControlStop of ptrace_requests.h.
  std::atomic<bool> may_run_in_job_stop_ = false;
  std::atomic<bool> filtered_ = false;  // it has, or is about to have, a filter of call_filter.h

  // ---- On the lane only. ----
  bool traced_here_ = false;
  Place place_ = Place::kRunning;
  bool interrupt_sent_ = false;       // a trap will come
  bool stop_took_interrupt_ = false;  // the present stop came while an interrupt was on its way
  bool interrupted_entry_ = false;    // the call that the task is in was entered with one pending
  bool interrupt_wanted_ = false;     // by an engine: report in the middle of a call
  bool in_syscall_ = false;           // between entry- and exit-stop
  bool at_syscall_stop_ = false;      // the present stop is one of a system call
  bool at_event_stop_ = false;        // it is a trap or one of job control
  bool syscalls_stop_ = false;        // resumed such that the next syscall stops
  bool at_filter_ = false;            // the present stop is one that a filter made
  std::optional<uint32_t> filter_data_;  // the present stop is one of a filter of the program's own
  bool entry_reported_ = false;          // of the call whose exit stops
  bool finish_call_ = false;             // a report waits for the end of the call [CTL-22]
  bool newborn_ = false;                 // its first stop is to come
  bool job_reported_ = false;            // in a job control stop that the core knows of
  bool runs_in_job_stop_ = false;        // it was let run all the same
  bool took_stop_signal_ = false;        // it was last resumed with one
  bool exit_reported_ = false;
  std::optional<long> exit_call_;  // its number, while the task is at the entry of its own exit
  bool death_reported_ = false;
  bool siblings_ = false;                // its process was seen to have other threads
  bool synthetic_ = false;               // dequeued_ is a trap of our own making
  bool handler_report_ = false;          // handler_expected_ is for a report to engines
  unsigned long options_ = 0;            // as the kernel has them
  unsigned long interest_ = 0;           // what was to be stopped for when it was last let go
  std::optional<int64_t> call_started_;  // of the call that an interrupt hit; MonotonicNow
  long aborted_number_ = -1;             // of the call that an engine aborted, until its exit
  int resume_signal_ = 0;                // what to pass on when resuming from kUser
  int fatal_signal_ = 0;     // the last one delivered: an exit with it is the task's own end
  Step step_ = Step::kNone;  // asked for by engines, until its trap came
  // The step was made, and another stop came before that of its trap, which is pending.
  bool late_trap_ = false;
  bool step_over_call_ = false;  // a step whose instruction is a system call [STP-06]
  bool handler_expected_ = false;
  std::optional<SignalEffect> handler_patch_;  // what the handler shall see instead
  std::optional<uint64_t> mask_to_restore_;
  std::optional<std::pair<unsigned, uint64_t>> argument_to_restore_;
  std::optional<int64_t>
      exec_result_;               // what an engine's report_exec put where execve's result goes
  siginfo_t dequeued_{};          // in kBeforeSignal
  std::deque<Carrier> carriers_;  // on their way
  std::deque<Carrier> unsent_;    // for which there was no room
  uint64_t next_cookie_ = 1;
  arch::DebugRegisters debug_registers_;
  arch::DebugRegisters::Physical debug_installed_;  // what the thread really has
  std::vector<uint64_t> debug_trap_owners_;         // of the present stop
  // What PTRACE_GET_SYSCALL_INFO says at the present stop of a system call; no size: not known, or changed.
  __ptrace_syscall_info syscall_info_{};
  size_t syscall_info_size_ = 0;
  bool registers_valid_ = false;
  arch::GeneralRegisters registers_{};
  // Where arch::kCallsApart:
  bool entering_ = false;                   // the present stop is before a call
  std::optional<uint64_t> first_argument_;  // of the call that stopped at its entry
  int64_t entry_result_ = -ENOSYS;          // for when it is aborted there
  // Where arch::kRewindsEarly: the call in which the task slept when it was interrupted.
  std::optional<utrace_current_syscall> interrupted_call_;

  std::mutex mutex_;
  std::condition_variable published_;
  // ---- Guarded by mutex_. ----
  bool traced_ = false;
  bool retry_ = false;  // a newborn was let go unannounced: seize it anew
  Fd memory_;
  std::optional<int> death_status_;
};

}  // namespace utrace::linux_host

#endif  // CORE_LINUX_LINUX_TASK_H_
