#include "core/linux/ptrace_requests.h"

#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/changes.h"
#include "core/linux/linux_task.h"
#include "core/linux/proc.h"
#include "core/linux/wait_status.h"

namespace utrace::linux_host {
namespace {

using arch::StateAccess;

// Newer than glibc's header.
constexpr long kSetSyscallUserDispatch = 0x4210;
constexpr long kGetSyscallUserDispatch = 0x4211;
constexpr long kSetSyscallInfo = 0x4212;

StateAccess AccessOf(long request) {
  switch (request) {
    case PTRACE_PEEKTEXT:
    case PTRACE_PEEKDATA:
    case PTRACE_POKETEXT:
    case PTRACE_POKEDATA:
    case PTRACE_PEEKUSER:
    case PTRACE_GETREGSET:
    case PTRACE_GETSIGINFO:
    case PTRACE_GETEVENTMSG:
    case PTRACE_PEEKSIGINFO:
    case PTRACE_GETSIGMASK:
    case PTRACE_SETSIGMASK:
    case PTRACE_SECCOMP_GET_FILTER:
    case PTRACE_SECCOMP_GET_METADATA:
    case PTRACE_GET_SYSCALL_INFO:
    case PTRACE_GET_RSEQ_CONFIGURATION:
    case kSetSyscallUserDispatch:
    case kGetSyscallUserDispatch:
      return StateAccess::kReads;
    case PTRACE_POKEUSER:
    case PTRACE_SETREGSET:
    case kSetSyscallInfo:
      return StateAccess::kChanges;
    default:
      return arch::MachineRequest(request);
  }
}

LinuxTask& HostOf(TaskView task) { return static_cast<LinuxTask&>(FromPublic(task.get())->host()); }

}  // namespace

long LinuxTask::StateRequest(long request, uint64_t address, void* data) {
  const StateAccess access = AccessOf(request);
  if (access == StateAccess::kOther) return -EIO;
  Lane* const lane = lane_.load();
  if (lane == nullptr) return Exists() ? -EINVAL : -ESRCH;
  long result = 0;
  lane->Call([&] {
    // Only here: a callback that has just decided to hold the task is over now.
    result = core_->CheckAccess();
    if (result != 0) return;
    if (request == PTRACE_GET_SYSCALL_INFO && syscall_info_size_ != 0) {
      std::memcpy(data, &syscall_info_, std::min<size_t>(address, syscall_info_size_));
      result = static_cast<long>(syscall_info_size_);
      return;
    }
    if (access == StateAccess::kChanges) {
      registers_valid_ = false;
      syscall_info_size_ = 0;
    }
    result = syscall(SYS_ptrace, request, tid(), address, data);
    if (result < 0) result = RequestError(-errno);
  });
  if (result < 0) return result;
  if (access == StateAccess::kChanges) core_->NoteChanges(Bit(Changed::kRegisters));
  if (request == PTRACE_POKETEXT || request == PTRACE_POKEDATA) {
    core_->NoteChanges(Bit(Changed::kMemory));
  }
  return result;
}

std::optional<int> LinuxTask::DeathStatus() {
  const auto noted = [this] {
    const std::lock_guard lock(mutex_);
    return death_status_;
  };
  if (const auto status = noted()) return status;
  if (Lane* const lane = lane_.load()) lane->Call([this] { NoteDeathOfGroup(); });
  return noted();
}

// Of a leader that died before its threads: others may know of their end before the lane has waited for it.
void LinuxTask::NoteDeathOfGroup() {
  if (!traced_here_ || !death_reported_ || tid() != tgid_) return;
  siginfo_t info{};
  constexpr int kLook = WEXITED | WNOHANG | WNOWAIT | __WALL | __WNOTHREAD;
  if (waitid(P_PID, static_cast<id_t>(tid()), &info, kLook) != 0 || info.si_pid == 0) return;
  const std::lock_guard lock(mutex_);
  death_status_ = RawExitStatus(info);
}

void LinuxTask::RunInJobControlStop(bool runs) {
  if (may_run_in_job_stop_.exchange(runs) == runs || runs) return;
  if (Lane* const lane = lane_.load()) lane->Ask(asked_, kAskStayStopped);
}

std::optional<uint32_t> LinuxTask::FilterData() {
  Lane* const lane = lane_.load();
  std::optional<uint32_t> data;
  if (lane != nullptr) lane->Call([&] { data = filter_data_; });
  return data;
}

long PtraceStateRequest(TaskView task, long request, uint64_t address, void* data) {
  return HostOf(task).StateRequest(request, address, data);
}

std::optional<int> DeathStatus(TaskView task) { return HostOf(task).DeathStatus(); }

std::optional<uint64_t> BlockedSignals(TaskView task) {
  const auto status = ReadStatus(task.tid());
  if (!status) return std::nullopt;
  return status->blocked;
}

void RunInJobControlStop(TaskView task, bool runs) { HostOf(task).RunInJobControlStop(runs); }

std::optional<uint32_t> FilterData(TaskView task) { return HostOf(task).FilterData(); }

std::optional<unsigned> DebugRegisterAt(uint64_t user_offset) {
  return arch::DebugRegisterAt(user_offset);
}

unsigned DebugControlRegister() { return arch::DebugControlRegister(); }

int SetDebugRegister(TaskView task, uint64_t owner, unsigned index, uint64_t value) {
  return HostOf(task).SetDebugRegister(owner, index, value);
}

int GetDebugRegister(TaskView task, uint64_t owner, unsigned index, uint64_t* value) {
  return HostOf(task).GetDebugRegister(owner, index, value);
}

void DropDebugRegisters(TaskView task, uint64_t owner) { HostOf(task).DropDebugRegisters(owner); }

std::vector<uint64_t> OwnersOfTrap(TaskView task) { return HostOf(task).OwnersOfTrap(); }

}  // namespace utrace::linux_host
