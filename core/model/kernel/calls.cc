#include "core/model/kernel/calls.h"

#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "arch/absent_calls.h"
#include "core/model/kernel/thread.h"
#include "core/model/kernel/world.h"

namespace utrace::model {
namespace {

constexpr int kRestartSys = 512;
constexpr uint64_t kVforkFlags = CLONE_VFORK | CLONE_VM | SIGCHLD;

// The beginning of clone3's argument.
struct Clone3Arguments {
  uint64_t flags;
  uint64_t pidfd;
  uint64_t child_tid;
  uint64_t parent_tid;
  uint64_t exit_signal;
};

int64_t Receive(Thread& thread) {
  const auto slot = static_cast<int>(thread.Argument(0));
  if (slot < 0 || slot >= UTRACE_TARGET_SLOTS) return -EBADF;
  Channel& channel = thread.world().channel(slot);
  const auto slept = thread.Sleep("a command", [&] { return !channel.commands.empty(); });
  if (slept != Thread::Slept::kReady) return -kRestartSys;
  channel.received = channel.commands.front();
  channel.commands.pop_front();
  return sizeof(utrace_target_command);
}

int64_t SendReply(Thread& thread) {
  const auto slot = static_cast<int>(thread.Argument(0));
  if (slot < 0 || slot >= UTRACE_TARGET_SLOTS) return -EBADF;
  Channel& channel = thread.world().channel(slot);
  channel.replies.push_back(channel.to_send);
  return sizeof(utrace_target_reply);
}

int64_t GetWorkingDirectory(Thread& thread) {
  constexpr char kPath[] = "/model";
  if (thread.Argument(1) < sizeof(kPath)) return -ERANGE;
  const ssize_t written = thread.process->memory->Write(thread.Argument(0), kPath, sizeof(kPath),
                                                        AddressSpace::By::kProgram);
  return written == sizeof(kPath) ? static_cast<int64_t>(sizeof(kPath)) : -EFAULT;
}

int64_t SetGroup(Thread& thread) {
  const auto pid = static_cast<pid_t>(thread.Argument(0));
  const auto group = static_cast<pid_t>(thread.Argument(1));
  Process* const process = pid == 0 ? thread.process.get() : thread.world().FindProcess(pid);
  if (process == nullptr) return -ESRCH;
  if (process->session == process->pid) return -EPERM;
  process->group = group == 0 ? process->pid : group;
  return 0;
}

int64_t NewSession(Thread& thread) {
  Process& process = *thread.process;
  if (process.group == process.pid) return -EPERM;
  process.session = process.group = process.pid;
  return process.pid;
}

int64_t GetGroup(Thread& thread) {
  const auto pid = static_cast<pid_t>(thread.Argument(0));
  const Process* const process = pid == 0 ? thread.process.get() : thread.world().FindProcess(pid);
  return process == nullptr ? -ESRCH : process->group;
}

int64_t Control(Thread& thread) {
  if (thread.Argument(0) != PR_SET_PDEATHSIG) return -EINVAL;
  thread.process->parent_death_signal = static_cast<int>(thread.Argument(1));
  return 0;
}

int64_t ReadClock(Thread& thread) {
  thread.clock = Now();
  constexpr int64_t kSecond = 1'000'000'000;
  const std::array<int64_t, 2> time = {thread.clock / kSecond, thread.clock % kSecond};
  return thread.process->memory->Store(thread.Argument(1), time) ? 0 : -EFAULT;
}

}  // namespace

std::optional<int64_t> Thread::Dispatch(long number) {
  if (IsSleepCall(number)) return SleepCall(*this, number);
  if (IsSignalCall(number)) return SignalCall(*this, number);
  switch (number) {
    case SYS_recvfrom:
      return Receive(*this);
    case SYS_sendto:
      return SendReply(*this);
    case SYS_getpid:
      return process->pid;
    case SYS_gettid:
      return tid;
    case SYS_getppid:
      return process->parent != nullptr ? process->parent->pid : 1;
    case SYS_getuid:
    case SYS_geteuid:
    case SYS_getgid:
    case SYS_getegid:
      return 0;
    case SYS_getcwd:
      return GetWorkingDirectory(*this);
    case SYS_getpgid:
      return GetGroup(*this);
    case SYS_setpgid:
      return SetGroup(*this);
    case SYS_setsid:
      return NewSession(*this);
    case SYS_prctl:
      return Control(*this);
    case SYS_clock_gettime:
      return ReadClock(*this);
    case SYS_close:
    case SYS_dup:
      return -EBADF;  // no descriptor but those of the channels, which are not to be closed
    case SYS_sched_yield:
      Point();
      return 0;
    case SYS_fork:
      return Clone(SIGCHLD, 0, 0);
    case SYS_vfork:
      return Clone(kVforkFlags, 0, 0);
    case SYS_clone:
      return Clone(Argument(0), Argument(2), Argument(arch::kCloneChildTidArgument));
    case SYS_clone3: {
      Clone3Arguments clone{};
      if (!process->memory->Load(Argument(0), &clone)) return -EFAULT;
      return Clone(clone.flags | clone.exit_signal, clone.parent_tid, clone.child_tid);
    }
    case SYS_execve:
      return Exec(Argument(0));
    case SYS_exit:
      Exit(static_cast<long>(Argument(0) & 0xff) << 8, false);
    case SYS_exit_group:
      Exit(static_cast<long>(Argument(0) & 0xff) << 8, true);
    case SYS_wait4:
      return Wait4(*this);
    case SYS_waitid:
      return WaitId(*this);
    case SYS_rt_sigreturn:
      ReturnFromHandler();
      return std::nullopt;
    default:
      return -ENOSYS;
  }
}

}  // namespace utrace::model
