// The functions that trace and wait, and those that make and execute.
#include <alloca.h>
#include <errno.h>
#include <limits.h>
#include <linux/ptrace.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engines/ptrace_compat/client/connection.h"
#include "engines/ptrace_compat/client/export.h"
#include "engines/ptrace_compat/client/native.h"
#include "engines/ptrace_compat/client/process.h"
#include "engines/ptrace_compat/client/requests.h"
#include "engines/ptrace_compat/client/signals.h"
#include "engines/ptrace_compat/client/waiting.h"

namespace utrace::ptrace_compat::client {
namespace {

uint64_t Number(const void* pointer) { return reinterpret_cast<uint64_t>(pointer); }

long TraceOrNative(long request, pid_t pid, uint64_t address, uint64_t data) {
  if (ServerDirectory() != nullptr) return Trace(request, pid, address, data);
  return Raw(SYS_ptrace, request, pid, static_cast<long>(address), static_cast<long>(data));
}

long Wait4(pid_t pid, int* status, int options, rusage* usage) {
  constexpr int kAllowed =
      WNOHANG | WUNTRACED | WCONTINUED | __WNOTHREAD | __WALL | static_cast<int>(__WCLONE);
  if ((options & ~kAllowed) != 0) return -EINVAL;
  if (pid == INT_MIN) return -ESRCH;
  WaitCall call{.options = options | WEXITED};
  if (pid == -1) {
    call.id_type = P_ALL;
  } else if (pid > 0) {
    call.id_type = P_PID;
    call.id = static_cast<id_t>(pid);
  } else {
    call.id_type = P_PGID;
    call.id = static_cast<id_t>(-pid);
  }
  WaitResult result;
  const long waited = Wait(call, usage != nullptr, &result);
  if (waited != 0) return waited;
  if (result.pid == 0) return 0;
  if (status != nullptr) *status = result.status;
  if (usage != nullptr) *usage = result.usage;
  return result.pid;
}

int CodeOf(const WaitResult& result) {
  if (WIFEXITED(result.status)) return CLD_EXITED;
  if (WIFSIGNALED(result.status)) return WCOREDUMP(result.status) ? CLD_DUMPED : CLD_KILLED;
  if (WIFCONTINUED(result.status)) return CLD_CONTINUED;
  return result.trap ? CLD_TRAPPED : CLD_STOPPED;
}

int ValueOf(const WaitResult& result) {
  if (WIFEXITED(result.status)) return WEXITSTATUS(result.status);
  if (WIFSIGNALED(result.status)) return WTERMSIG(result.status);
  if (WIFCONTINUED(result.status)) return SIGCONT;
  return result.status >> 8;  // the event of ptrace included
}

// What the kernel refuses before it looks at any child.
bool IsWaitId(int id_type, id_t id, int options) {
  constexpr int kKinds = WEXITED | WSTOPPED | WCONTINUED;
  constexpr int kOthers = WNOHANG | WNOWAIT | __WNOTHREAD | __WALL | static_cast<int>(__WCLONE);
  if ((options & ~(kKinds | kOthers)) != 0 || (options & kKinds) == 0) return false;
  const auto number = static_cast<int>(id);
  if (id_type == P_PID) return number > 0;
  return id_type == P_ALL || ((id_type == P_PGID || id_type == P_PIDFD) && number >= 0);
}

long WaitId(int id_type, id_t id, siginfo_t* info, int options, rusage* usage) {
  if (!IsWaitId(id_type, id, options)) return -EINVAL;
  WaitResult result;
  const long waited =
      Wait({.id_type = id_type, .id = id, .options = options}, usage != nullptr, &result);
  if (waited != 0) return waited;
  if (usage != nullptr && result.pid != 0) *usage = result.usage;
  if (info == nullptr) return 0;
  const bool event = result.pid != 0;
  info->si_signo = event ? SIGCHLD : 0;
  info->si_errno = 0;
  info->si_code = event ? CodeOf(result) : 0;
  info->si_pid = result.pid;
  info->si_uid = result.uid;
  info->si_status = event ? ValueOf(result) : 0;
  return 0;
}

}  // namespace

// <sys/ptrace.h> declares it with an enumeration, which a list of arguments must not begin with.
UTRACE_INTERPOSED long ptrace(int request, ...) noexcept {
  va_list arguments;
  va_start(arguments, request);
  const pid_t pid = va_arg(arguments, pid_t);
  const uint64_t address = Number(va_arg(arguments, void*));
  uint64_t data = Number(va_arg(arguments, void*));
  va_end(arguments);
  const bool peeks =
      request == PTRACE_PEEKTEXT || request == PTRACE_PEEKDATA || request == PTRACE_PEEKUSR;
  long word = 0;
  if (peeks) data = Number(&word);
  const long result = TraceOrNative(request, pid, address, data);
  if (result < 0 || !peeks) return Returned(result);
  errno = 0;
  return word;
}

UTRACE_INTERPOSED pid_t wait4(pid_t pid, int* status, int options, struct rusage* usage) noexcept {
  return static_cast<pid_t>(Returned(Wait4(pid, status, options, usage)));
}

UTRACE_INTERPOSED pid_t wait3(int* status, int options, struct rusage* usage) noexcept {
  return wait4(-1, status, options, usage);
}

UTRACE_INTERPOSED pid_t waitpid(pid_t pid, int* status, int options) {
  return static_cast<pid_t>(Returned(Wait4(pid, status, options, nullptr)));
}

UTRACE_INTERPOSED pid_t wait(int* status) { return waitpid(-1, status, 0); }

UTRACE_INTERPOSED int waitid(idtype_t id_type, id_t id, siginfo_t* info, int options) {
  return static_cast<int>(Returned(WaitId(id_type, id, info, options, nullptr)));
}

UTRACE_INTERPOSED int kill(pid_t pid, int number) noexcept {
  if (number == SIGKILL) NoteKill();
  return TheNative().kill(pid, number);
}

UTRACE_INTERPOSED int tgkill(pid_t process, pid_t thread, int number) {
  if (number == SIGKILL) NoteKill();
  if (number == SIGSTOP && StopThread(thread)) return 0;
  return TheNative().tgkill(process, thread, number);
}

UTRACE_INTERPOSED long syscall(long number, ...) noexcept {
  va_list arguments;
  va_start(arguments, number);
  long a[6];
  for (long& argument : a) argument = va_arg(arguments, long);
  va_end(arguments);
  switch (number) {
    case SYS_ptrace:
      return Returned(TraceOrNative(a[0], static_cast<pid_t>(a[1]), static_cast<uint64_t>(a[2]),
                                    static_cast<uint64_t>(a[3])));
    case SYS_wait4:
      return Returned(Wait4(static_cast<pid_t>(a[0]), reinterpret_cast<int*>(a[1]),
                            static_cast<int>(a[2]), reinterpret_cast<rusage*>(a[3])));
    case SYS_waitid:
      return Returned(WaitId(static_cast<int>(a[0]), static_cast<id_t>(a[1]),
                             reinterpret_cast<siginfo_t*>(a[2]), static_cast<int>(a[3]),
                             reinterpret_cast<rusage*>(a[4])));
    case SYS_kill:
    case SYS_pidfd_send_signal:
      if (a[1] == SIGKILL) NoteKill();
      break;
    case SYS_tkill:
    case SYS_tgkill: {
      const int last = number == SYS_tgkill ? 2 : 1;
      if (a[last] == SIGKILL) NoteKill();
      if (a[last] == SIGSTOP && StopThread(static_cast<pid_t>(a[last - 1]))) return 0;
      break;
    }
    default:
      break;
  }
  // What becomes of them is the same; the C library's functions know what a tracee must not inherit.
  if (number == SYS_execve) {
    return execve(reinterpret_cast<const char*>(a[0]), reinterpret_cast<char* const*>(a[1]),
                  reinterpret_cast<char* const*>(a[2]));
  }
  if (number == SYS_execveat) {
    return execveat(static_cast<int>(a[0]), reinterpret_cast<const char*>(a[1]),
                    reinterpret_cast<char* const*>(a[2]), reinterpret_cast<char* const*>(a[3]),
                    static_cast<int>(a[4]));
  }
  // Of descriptors too.
  if (number == SYS_close) return close(static_cast<int>(a[0]));
  if (number == SYS_close_range) {
    return close_range(static_cast<unsigned>(a[0]), static_cast<unsigned>(a[1]),
                       static_cast<int>(a[2]));
  }
#ifdef SYS_dup2
  if (number == SYS_dup2) return dup2(static_cast<int>(a[0]), static_cast<int>(a[1]));
#endif
  if (number == SYS_dup3)
    return dup3(static_cast<int>(a[0]), static_cast<int>(a[1]), static_cast<int>(a[2]));
  const long result = TheNative().syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
  switch (number) {
    case SYS_rt_sigprocmask:
      if (result == 0 && a[1] != 0)
        NoteMask(static_cast<int>(a[0]), *reinterpret_cast<const Mask*>(a[1]));
      break;
    case SYS_clone:
    case SYS_clone3:
#ifdef SYS_fork
    case SYS_fork:
#endif
      NoteChild();
      break;
    default:
      break;
  }
  return result;
}

}  // namespace utrace::ptrace_compat::client
