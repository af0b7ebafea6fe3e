// The functions that set signal handlers, or wait for signals.
#include <errno.h>
#include <signal.h>
#include <time.h>

#include <atomic>

#include "engines/ptrace_compat/client/export.h"
#include "engines/ptrace_compat/client/native.h"
#include "engines/ptrace_compat/client/process.h"
#include "engines/ptrace_compat/client/signals.h"

namespace utrace::ptrace_compat::client {
namespace {

using Handler = void (*)(int);

// Signals whose handlers, set by signal(3), shall interrupt system calls (siginterrupt).
std::atomic<Mask> g_interrupting{0};

Handler Set(int number, Handler handler, int flags) {
  if (handler == SIG_ERR || number <= 0 || number >= _NSIG) {
    errno = EINVAL;
    return SIG_ERR;
  }
  struct sigaction action {};
  struct sigaction old {};
  action.sa_handler = handler;
  action.sa_flags = flags;
  sigemptyset(&action.sa_mask);
  if ((flags & SA_RESETHAND) == 0) sigaddset(&action.sa_mask, number);
  return SetAction(number, &action, &old) == 0 ? old.sa_handler : SIG_ERR;
}

}  // namespace

UTRACE_INTERPOSED int sigaction(int number, const struct sigaction* action,
                                struct sigaction* old) noexcept {
  return SetAction(number, action, old);
}

UTRACE_INTERPOSED Handler signal(int number, Handler handler) noexcept {
  const bool interrupts = number > 0 && number < _NSIG && (g_interrupting & Only(number)) != 0;
  return Set(number, handler, interrupts ? 0 : SA_RESTART);
}

UTRACE_INTERPOSED Handler bsd_signal(int number, Handler handler) {
  return signal(number, handler);
}
UTRACE_INTERPOSED Handler ssignal(int number, Handler handler) noexcept {
  return signal(number, handler);
}

UTRACE_INTERPOSED Handler sysv_signal(int number, Handler handler) noexcept {
  return Set(number, handler, static_cast<int>(SA_RESETHAND) | SA_NODEFER);
}
UTRACE_INTERPOSED Handler __sysv_signal(int number, Handler handler) noexcept {
  return sysv_signal(number, handler);
}

UTRACE_INTERPOSED int sigignore(int number) noexcept {
  return Set(number, SIG_IGN, 0) == SIG_ERR ? -1 : 0;
}

UTRACE_INTERPOSED int siginterrupt(int number, int interrupts) noexcept {
  struct sigaction action {};
  if (SetAction(number, nullptr, &action) != 0) return -1;
  if (interrupts != 0) {
    g_interrupting |= Only(number);
    action.sa_flags &= ~SA_RESTART;
  } else {
    g_interrupting &= ~Only(number);
    action.sa_flags |= SA_RESTART;
  }
  return SetAction(number, &action, nullptr);
}

// ---- Masks: noted, and the C library's own. One of BSD's has the first 32 signals. ----

UTRACE_INTERPOSED int sigprocmask(int how, const sigset_t* set, sigset_t* old) noexcept {
  const int status = TheNative().sigprocmask(how, set, old);
  if (status == 0) NoteMask(how, set);
  return status;
}

UTRACE_INTERPOSED int pthread_sigmask(int how, const sigset_t* set, sigset_t* old) noexcept {
  const int status = TheNative().pthread_sigmask(how, set, old);
  if (status == 0) NoteMask(how, set);
  return status;
}

UTRACE_INTERPOSED int sigblock(int mask) noexcept {
  const int before = TheNative().sigblock(mask);
  NoteMask(SIG_BLOCK, static_cast<unsigned>(mask));
  return before;
}

UTRACE_INTERPOSED int sigsetmask(int mask) noexcept {
  const int before = TheNative().sigsetmask(mask);
  NoteMask(SIG_BLOCK, static_cast<unsigned>(mask));
  return before;
}

UTRACE_INTERPOSED int sighold(int number) noexcept {
  const int status = TheNative().sighold(number);
  if (status == 0) NoteMask(SIG_BLOCK, Only(number));
  return status;
}

UTRACE_INTERPOSED Handler sigset(int number, Handler handler) noexcept {
  struct sigaction old {};
  if (SetAction(number, nullptr, &old) != 0) return SIG_ERR;
  sigset_t set;
  sigset_t before;
  sigemptyset(&set);
  sigaddset(&set, number);
  if (handler != SIG_HOLD && Set(number, handler, 0) == SIG_ERR) return SIG_ERR;
  if (sigprocmask(handler == SIG_HOLD ? SIG_BLOCK : SIG_UNBLOCK, &set, &before) != 0)
    return SIG_ERR;
  return sigismember(&before, number) == 1 ? SIG_HOLD : old.sa_handler;
}

UTRACE_INTERPOSED int sigtimedwait(const sigset_t* set, siginfo_t* info,
                                   const struct timespec* timeout) {
  siginfo_t own{};
  if (info == nullptr) info = &own;
  const int number = TheNative().sigtimedwait(set, info, timeout);
  if (number == SIGCHLD) Repair(info);
  return number;
}

UTRACE_INTERPOSED int sigwaitinfo(const sigset_t* set, siginfo_t* info) {
  return sigtimedwait(set, info, nullptr);
}

}  // namespace utrace::ptrace_compat::client
