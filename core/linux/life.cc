// Clone, exec, exit, death and reap.
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <limits>

#include "core/linux/linux_host.h"
#include "core/linux/linux_task.h"
#include "core/linux/proc.h"

namespace utrace::linux_host {
namespace {

using Region = Lane::CallbackRegion;

constexpr unsigned long kCloneVfork = 0x4000;
constexpr unsigned long kCloneVm = 0x100;
constexpr unsigned long kCloneThread = 0x10000;
constexpr int kOwnTracees = __WALL | __WNOTHREAD;

unsigned long EventMessage(pid_t tid) {
  unsigned long message = 0;
  ptrace(PTRACE_GETEVENTMSG, tid, nullptr, &message);
  return message;
}

bool IsExitCall(long number) { return number == SYS_exit || number == SYS_exit_group; }

std::string Executable(pid_t tid) {
  char path[PATH_MAX];
  const std::string link = "/proc/" + std::to_string(tid) + "/exe";
  const ssize_t length = readlink(link.c_str(), path, sizeof(path));
  return length > 0 ? std::string(path, static_cast<size_t>(length)) : std::string();
}

}  // namespace

// ---- Clone -----------------------------------------------------------------------------------------

void LinuxTask::AtClone(int event) {
  in_syscall_ = true;
  place_ = Place::kKernel;
  const auto child_tid = static_cast<pid_t>(EventMessage(tid()));
  unsigned long flags = event == PTRACE_EVENT_VFORK  ? kCloneVfork | kCloneVm | SIGCHLD
                        : event == PTRACE_EVENT_FORK ? SIGCHLD
                                                     : 0;
  if (FetchRegisters() == 0) {
    const auto exact =
        arch::CloneFlags(registers_, [this](uint64_t address) { return ReadU64(address); });
    if (exact) flags = *exact;
  }
  if ((flags & kCloneThread) != 0) siblings_ = true;
  Lane* const lane = Lane::Current();
  LinuxHost& host = LinuxHost::Get();
  Task* const child_core = child_tid > 0 ? host.FindOrMake(child_tid) : nullptr;
  if (child_core == nullptr) {  // killed and reaped already, or there is no means to look at it
    const auto stopped = lane->unannounced().find(child_tid);
    if (stopped != lane->unannounced().end()) stopped->second.makers.clear();
    GoOnInKernel();
    return;
  }
  auto& child = static_cast<LinuxTask&>(child_core->host());
  child.traced_here_ = true;
  child.newborn_ = true;
  child.options_ = options_;  // inherited
  child.filtered_.store(filtered());
  child.place_ = Place::kRunning;
  child.lane_ = lane;
  child_core->MarkNewborn(core_);
  child_core->MarkAdopted();
  lane->Add(&child);
  host.NoteAdded(lane, child.tgid_);
  if (child.tid() == child.tgid_) {
    host.watcher().Add(&child, lane, OpenPidfd(child_tid, host.features().thread_pidfds), true);
  }
  child.Publish(true);
  Verdict verdict;
  {
    const Region region;
    verdict = core_->OnClone(flags, *child_core);
  }
  const auto waiting = lane->unannounced().find(child_tid);
  if (waiting != lane->unannounced().end()) {
    const int stop = waiting->second.stop;
    lane->unannounced().erase(waiting);
    child.OnStop(stop);
  }
  child_core->Unref();
  if (!verdict.hold) GoOnInKernel();
}

// ---- Exec ------------------------------------------------------------------------------------------

// This thread executed a program and took the leader's id; the leader is gone [EXE-04].
void LinuxTask::Renamed(pid_t leader_tid) {
  Lane* const lane = Lane::Current();
  LinuxHost& host = LinuxHost::Get();
  const pid_t old_tid = tid();
  LinuxTask* const leader = lane->Find(leader_tid);
  if (leader != nullptr) {
    leader->core().Ref();
    lane->Remove(leader);
  }
  // Under the new id before the leader is given up: who looks for the id finds one of the two.
  tid_.store(leader_tid);
  lane->Rekey(this, old_tid);
  host.Rename(this, old_tid);
  if (leader != nullptr) {
    leader->Die(/*replaced=*/true);
    leader->Reaped();
    leader->core().Unref();
  }
  identity_.store(IdentityOf(leader_tid, host.features()));
  host.watcher().Add(this, lane, OpenPidfd(leader_tid, host.features().thread_pidfds), true);
}

void LinuxTask::AtExec() {
  in_syscall_ = true;
  place_ = Place::kKernel;
  finish_call_ = false;
  const auto former = static_cast<pid_t>(EventMessage(tid()));
  if (former != tid()) {
    // The leader's object was found under the id: the thread that executed takes its place.
    LinuxTask* task = Lane::Current()->Find(former);
    if (task != nullptr && task != this) {
      task->core().Ref();
      task->setup_.Stopped();
      task->registers_valid_ = false;
      task->Renamed(tid());
      task->AtExec();
      task->core().Unref();
      return;
    }
  }
  siblings_ = false;
  debug_registers_ = arch::DebugRegisters();  // the kernel has cleared them
  debug_installed_ = debug_registers_.physical();
  CloseMemory();
  const std::string path = Executable(tid());
  utrace_program program{};
  program.path = path.c_str();
  program.former_tid = former;
  int64_t result = 0;
  if (FetchRegisters() == 0) {
    program.entry = arch::Pc(registers_);
    result = arch::SyscallResult(registers_);
  }
  {
    const Region region;
    core_->OnExec(program);
  }
  // The kernel still puts execve's result into one of the registers: if an engine wrote there, again
  // at the end of the call [EXE-01].
  if (FetchRegisters() == 0 && arch::SyscallResult(registers_) != result) {
    exec_result_ = arch::SyscallResult(registers_);
  }
  GoOnInKernel();
}

// ---- Exit ------------------------------------------------------------------------------------------

// At the entry of a call. Whether it is the task's own exit and was reported here, where the code can
// still be changed [EXI-01, LIM-05].
bool LinuxTask::ReportOwnExit() {
  if ((core_->HostInterest() & UTRACE_EVENT(EXIT)) == 0) return false;
  const bool known = syscall_info_size_ != 0 && syscall_info_.op == PTRACE_SYSCALL_INFO_ENTRY;
  if (known && !IsExitCall(static_cast<long>(syscall_info_.entry.nr))) return false;
  if (FetchRegisters() != 0) return false;
  if (arch::IsForeignAbi(registers_) || !IsExitCall(arch::SyscallNumber(registers_))) return false;
  place_ = Place::kExit;
  exit_call_ = arch::SyscallNumber(registers_);
  const long original = static_cast<long>(arch::SyscallArgument(registers_, 0) & 0xff) << 8;
  long code = original;
  Verdict verdict;
  {
    const Region region;
    verdict = core_->OnExit(&code, false);
  }
  exit_reported_ = true;
  if (code != original && FetchRegisters() == 0) {
    arch::SetSyscallArgument(registers_, 0, static_cast<uint64_t>(code >> 8) & 0xff);
    StoreRegisters();
  }
  if (!verdict.hold) AfterExitHold();
  return true;
}

void LinuxTask::AtExit() {
  place_ = Place::kExit;
  if (tid() == tgid_ && ThreadsOf(tgid_).size() > 1) {
    LinuxHost::Get().watcher().LookAt(this, std::numeric_limits<int64_t>::max());
  }
  const auto status = static_cast<long>(EventMessage(tid()));
  const int signal = static_cast<int>(status & 0x7f);
  const bool own_call = FetchRegisters() == 0 && IsExitCall(arch::SyscallNumber(registers_));
  const bool own_signal = signal != 0 && signal != SIGKILL && signal == fatal_signal_;
  in_syscall_ = false;
  exit_call_.reset();
  if (exit_reported_) {
    AfterExitHold();
    return;
  }
  exit_reported_ = true;
  long code = status;
  Verdict verdict;
  {
    const Region region;
    verdict = core_->OnExit(&code, !own_call && !own_signal);
  }
  if (!verdict.hold) AfterExitHold();
}

void LinuxTask::AfterExitHold() {
  // What engines made of the call's number since its report does not keep the task alive [EXI-03].
  if (exit_call_ && FetchRegisters() == 0 && arch::SyscallNumber(registers_) != *exit_call_) {
    arch::SetSyscallNumber(registers_, *exit_call_);
    StoreRegisters();
  }
  exit_call_.reset();
  if (ReleaseIfIdle(0)) return;
  ApplyOptions();
  Resume(PTRACE_CONT, 0);
}

// ---- Death and reap --------------------------------------------------------------------------------

bool LinuxTask::IsOwnChild() {
  const auto stat = ReadStat(tid());
  return stat && stat->parent == getpid();
}

bool LinuxTask::IsLastOfGroup() {
  for (const pid_t thread : ThreadsOf(tgid_)) {
    if (thread == tid()) continue;
    const auto stat = ReadStat(thread);
    if (!stat) continue;
    if (!stat->IsDead()) return false;
    // Dead, but its report is still to come: that one will be the last.
    const LinuxTask* other = Lane::Current()->Find(thread);
    if (other != nullptr && !other->death_reported_) return false;
  }
  return true;
}

int LinuxTask::SignalToParent(bool group_dead) {
  constexpr int kReapsItself = -1;
  constexpr int kLeaderBeforeThreads = -2;
  if (tid() != tgid_) return kReapsItself;
  if (!group_dead) return kLeaderBeforeThreads;
  const auto stat = ReadStat(tid());
  if (!stat) return kReapsItself;
  const auto parent = ReadStatus(stat->parent);
  const bool ignored =
      parent && stat->exit_signal == SIGCHLD && ((parent->ignored >> (SIGCHLD - 1)) & 1) != 0;
  return ignored ? kReapsItself : stat->exit_signal;
}

// `replaced`: an exec by another thread took its id.
void LinuxTask::Die(bool replaced) {
  if (death_reported_) return;
  setup_.Stopped();
  if (place_ != Place::kRunning && place_ != Place::kListening) core_->OnKilledInStop();
  const bool last = !replaced && IsLastOfGroup();
  const int signal = SignalToParent(last);
  death_reported_ = true;
  const Region region;
  core_->EndNewborn();
  core_->OnDeath(last, signal);
}

void LinuxTask::OnZombie(const siginfo_t& info) {
  {
    const std::lock_guard lock(mutex_);
    death_status_ = RawExitStatus(info);
  }
  Die(false);
  Lane* const lane = Lane::Current();
  LinuxHost& host = LinuxHost::Get();
  const bool own_child = IsOwnChild();
  const bool parent_waits = tid() == tgid_ && !own_child;
  if (parent_waits) {
    // Before it is handed over: afterwards it may be gone at once.
    host.watcher().Remove(this);
    host.watcher().Add(this, lane, OpenPidfd(tid(), host.features().thread_pidfds), false);
  }
  siginfo_t dead{};
  waitid(P_PID, static_cast<id_t>(tid()), &dead, WEXITED | WNOHANG | kOwnTracees);
  traced_here_ = false;
  host.NoteRemoved(lane, tgid_);
  if (own_child) host.exits().Record(tid(), RawExitStatus(info));
  Publish(false);
  lane->Remove(this);
  if (!parent_waits) Reaped();
}

void LinuxTask::OnPidfd(bool reaped) {
  if (!reaped) {
    LookAtLeader();
    return;
  }
  if (!traced_here_) {
    Reaped();
    return;
  }
  // A tracee is not reaped: an exec took the leader's id away.
  LookAtLeader();
  if (!traced_here_) return;
  // Not yet, then. The watcher has let go of it.
  LinuxHost& host = LinuxHost::Get();
  Fd pidfd = OpenPidfd(tid(), host.features().thread_pidfds);
  if (!pidfd.valid() && errno == ESRCH) return;
  host.watcher().Add(this, Lane::Current(), std::move(pidfd), true);
  host.watcher().LookAt(this, std::numeric_limits<int64_t>::max());
}

// A leader that is dead while its threads live on, or whose id an untraced thread took by exec: no
// wait shows either.
void LinuxTask::LookAtLeader() {
  if (!traced_here_ || place_ != Place::kRunning) return;
  const auto status = ReadStatus(tid());
  // First: who took the id may be dead as well by now.
  if (status && status->tracer != Lane::Current()->thread()) {
    Die(/*replaced=*/true);
    Reaped();
    return;
  }
  const auto stat = ReadStat(tid());
  // The id may still go to a thread that executes a program.
  if (stat && stat->IsDead() && !death_reported_ && !IsLastOfGroup()) Die(false);
}

void LinuxTask::Reaped() {
  Lane* const lane = Lane::Current();
  LinuxHost& host = LinuxHost::Get();
  host.Forget(this, tid());
  if (traced_here_) {  // an exec took the leader away
    traced_here_ = false;
    host.NoteRemoved(lane, tgid_);
    host.watcher().Remove(this);
    Publish(false);
    lane->Remove(this);
  }
  CloseMemory();
  const Region region;
  core_->OnReap();
}

// ---- The group in job control ------------------------------------------------------------------------

bool LinuxTask::LastToStop() {
  for (const pid_t thread : ThreadsOf(tgid_)) {
    if (thread == tid()) continue;
    const LinuxTask* other = Lane::Current()->Find(thread);
    if (other != nullptr) {
      if (!other->death_reported_ && !other->job_reported_) return false;
      continue;
    }
    const auto stat = ReadStat(thread);
    if (stat && !stat->IsDead() && stat->state != 'T') return false;
  }
  return true;
}

bool LinuxTask::FirstToContinue() {
  for (const LinuxTask* other : Lane::Current()->TasksOf(tgid_)) {
    if (other != this && !other->job_reported_) return false;
  }
  return true;
}

}  // namespace utrace::linux_host
