// wait4 and waitid.
#include <sys/wait.h>

#include <cerrno>
#include <memory>

#include "core/model/kernel/calls.h"
#include "core/model/kernel/thread.h"
#include "core/model/kernel/world.h"

namespace utrace::model {
namespace {

constexpr int kRestartSys = 512;

// Which children a call is about.
struct Wanted {
  idtype_t type = P_ALL;
  pid_t id = 0;
  int options = 0;

  bool Includes(const Process& child) const {
    if (type == P_PID && child.pid != id) return false;
    if (type == P_PGID && child.group != id) return false;
    const bool is_clone = child.exit_signal != SIGCHLD;
    return (options & __WALL) != 0 || is_clone == ((options & __WCLONE) != 0);
  }
};

struct Change {
  Process* child = nullptr;
  int code = 0;    // CLD_...
  int value = 0;   // exit status or signal
  int status = 0;  // as wait4 has it
};

Change ChangeOf(Process& child, int options) {
  if ((options & WEXITED) != 0 && child.finished && !child.reaps_itself) {
    const auto status = static_cast<int>(child.status);
    const int signal = status & 0x7f;
    if (signal == 0) return {&child, CLD_EXITED, (status >> 8) & 0xff, status};
    return {&child, (status & 0x80) != 0 ? CLD_DUMPED : CLD_KILLED, signal, status};
  }
  if ((options & WSTOPPED) != 0 && child.stop_to_tell) {
    return {&child, CLD_STOPPED, child.stop_signal, (child.stop_signal << 8) | 0x7f};
  }
  if ((options & WCONTINUED) != 0 && child.continue_to_tell) {
    return {&child, CLD_CONTINUED, SIGCONT, 0xffff};
  }
  return {};
}

// Takes the first change of a wanted child, or waits for one.
int64_t WaitFor(Thread& thread, const Wanted& wanted, Change* change) {
  bool childless = false;
  const auto look = [&] {
    childless = true;
    for (const auto& [pid, child] : thread.world().processes()) {
      if (child->parent != thread.process.get() || !wanted.Includes(*child)) continue;
      childless = false;
      *change = ChangeOf(*child, wanted.options);
      if (change->child != nullptr) return true;
    }
    return childless;
  };
  if (!look()) {
    if ((wanted.options & WNOHANG) != 0) return 0;
    if (thread.Sleep("a child", look) != Thread::Slept::kReady) return -kRestartSys;
  }
  if (childless) return -ECHILD;
  Process& child = *change->child;
  const pid_t pid = child.pid;
  if ((wanted.options & WNOWAIT) != 0) return pid;
  switch (change->code) {
    case CLD_STOPPED:
      child.stop_to_tell = false;
      break;
    case CLD_CONTINUED:
      child.continue_to_tell = false;
      break;
    default:
      child.Leader()->Reap();
      break;
  }
  return pid;
}

}  // namespace

int64_t Wait4(Thread& thread) {
  const auto pid = static_cast<pid_t>(thread.Argument(0));
  Wanted wanted;
  // wait4's own flags have the values of waitid's.
  wanted.options = static_cast<int>(thread.Argument(2)) | WEXITED;
  if (pid > 0) wanted.type = P_PID, wanted.id = pid;
  if (pid == 0) wanted.type = P_PGID, wanted.id = thread.process->group;
  if (pid < -1) wanted.type = P_PGID, wanted.id = -pid;
  Change change;
  const int64_t result = WaitFor(thread, wanted, &change);
  const uint64_t status_at = thread.Argument(1);
  if (result > 0 && status_at != 0) thread.process->memory->Store(status_at, change.status);
  return result;
}

int64_t WaitId(Thread& thread) {
  Wanted wanted;
  wanted.type = static_cast<idtype_t>(thread.Argument(0));
  wanted.id = static_cast<pid_t>(thread.Argument(1));
  wanted.options = static_cast<int>(thread.Argument(3));
  if ((wanted.options & (WEXITED | WSTOPPED | WCONTINUED)) == 0) return -EINVAL;
  Change change;
  const int64_t result = WaitFor(thread, wanted, &change);
  if (result < 0) return result;
  const uint64_t info_at = thread.Argument(2);
  siginfo_t info{};
  if (result > 0) {
    info.si_signo = SIGCHLD;
    info.si_code = change.code;
    info.si_pid = static_cast<pid_t>(result);
    info.si_status = change.value;
  }
  if (info_at != 0) thread.process->memory->Store(info_at, info);
  return 0;
}

}  // namespace utrace::model
