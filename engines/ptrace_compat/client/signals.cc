#include "engines/ptrace_compat/client/signals.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <string.h>
#include <ucontext.h>

#include <atomic>

#include "engines/ptrace_compat/client/native.h"
#include "engines/ptrace_compat/client/process.h"
#include "engines/ptrace_compat/wire.h"

namespace utrace::ptrace_compat::client {
namespace {

using Handler = void (*)(int, siginfo_t*, void*);

// What the program has set for a signal whose handler this library stands in front of.
struct Behind {
  std::atomic<Handler> handler;
  std::atomic<int> flags;
  std::atomic<Mask> mask;
};
Behind g_behind[_NSIG];
std::atomic<bool> g_expects_ring{false};
// A thread of the program has blocked SIGCHLD at some time, and may have it blocked now: then the kernel keeps one
// that nobody handles, for whoever takes it or sets a handler.
std::atomic<bool> g_sigchld_blocked{false};

constexpr int kReasonRung = 1;
constexpr int kReasonDisturbed = 2;

Mask MaskOf(const sigset_t& set) {
  Mask mask = 0;
  memcpy(&mask, &set, sizeof(mask));
  return mask;
}

sigset_t SetOf(Mask mask) {
  sigset_t set{};
  memcpy(&set, &mask, sizeof(mask));
  return set;
}

// What is blocked while the program's handler for the signal runs. The ring is: it is for the flow that
// waits.
Mask DuringHandler(const Behind& behind, int number, int flags, const void* context) {
  Mask mask = MaskOf(static_cast<const ucontext_t*>(context)->uc_sigmask);
  mask |= behind.mask.load(std::memory_order_relaxed) | Only(RingSignal());
  return (flags & SA_NODEFER) != 0 ? mask : mask | Only(number);
}

// In front of all handlers of the program's, with all signals blocked. So what it interrupts is the program, a
// handler of the program's, or a region; never its own beginning on behalf of another signal, which a jump
// out of here would leave unhandled.
void OnSignal(int number, siginfo_t* info, void* context) {
  Behind& behind = g_behind[number];
  const Handler handler = behind.handler.load(std::memory_order_acquire);
  if (handler == nullptr) return;
  const int flags = behind.flags.load(std::memory_order_relaxed);
  if (number == SIGCHLD) Repair(info);
  Thread& thread = t_thread;
  const bool armed = thread.armed != 0;
  sigjmp_buf* const leave = thread.leave;
  const uint64_t serial = thread.connection.last_serial();
  // Should the handler jump elsewhere, nothing leads back here.
  thread.armed = 0;
  SetMask(DuringHandler(behind, number, flags, context));
  handler(number, info, context);
  if (!armed) return;
  SetMask(kAllSignals);
  thread.leave = leave;
  if ((flags & SA_RESTART) == 0) {
    // Whether the call has begun to block or is only about to.
    thread.interrupted = 1;
    siglongjmp(*leave, kReasonDisturbed);
  }
  if (thread.connection.last_serial() != serial) siglongjmp(*leave, kReasonDisturbed);
  thread.armed = 1;
}

void OnRing(int number, siginfo_t* info, void* context) {
  Thread& thread = t_thread;
  if (info->si_code <= 0 && thread.connection.open() &&
      info->si_pid == thread.connection.server()) {
    if (thread.armed == 0) return;
    thread.armed = 0;
    siglongjmp(*thread.leave, kReasonRung);
  }
  // Somebody means the program.
  if (g_behind[number].handler.load(std::memory_order_acquire) != nullptr) {
    OnSignal(number, info, context);
  }
}

bool IsHandler(const struct sigaction& action) {
  return action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN;
}

bool IsOurs(const struct sigaction& action) {
  return action.sa_sigaction == OnSignal || action.sa_sigaction == OnRing;
}

// What the kernel shall know of `action`.
struct sigaction InFront(const struct sigaction& action) {
  struct sigaction front = action;
  if (!IsHandler(action)) return front;
  front.sa_sigaction = OnSignal;
  front.sa_flags |= SA_SIGINFO;
  front.sa_mask = SetOf(kAllSignals);
  return front;
}

// What the program shall see of what the kernel has, `before` this library's own notes changed.
void ShowAsSet(struct sigaction* action, Handler handler, int flags, Mask mask) {
  if (!IsOurs(*action)) return;
  action->sa_sigaction = handler;
  action->sa_flags = (action->sa_flags & ~SA_SIGINFO) | (flags & SA_SIGINFO);
  action->sa_mask = SetOf(mask);
  if (handler == nullptr) action->sa_handler = SIG_DFL;
}

}  // namespace

int SetAction(int number, const struct sigaction* action, struct sigaction* old) {
  const Native& native = TheNative();
  if (number <= 0 || number >= _NSIG) return native.sigaction(number, action, old);
  Behind& behind = g_behind[number];
  const Handler handler = behind.handler;
  const int flags = behind.flags;
  const Mask mask = behind.mask;
  struct sigaction before {};
  const bool ring = number == RingSignal() && g_expects_ring;
  if (WhoseMemory() == Memory::kBorrowed || (action == nullptr && !ring)) {
    // In a vfork child the handlers are this process's, but our notes its parent's.
    const int status = native.sigaction(number, action, &before);
    if (status != 0) return status;
    ShowAsSet(&before, handler, flags, mask);
    if (old != nullptr) *old = before;
    return 0;
  }
  if (ring) {
    // The ring's handler stays, and calls the program's.
    if (old != nullptr) {
      *old = {};
      old->sa_sigaction = handler;
      old->sa_flags = flags;
      old->sa_mask = SetOf(mask);
    }
    if (action != nullptr) {
      behind.flags = action->sa_flags;
      behind.mask = MaskOf(action->sa_mask);
      behind.handler = IsHandler(*action) ? action->sa_sigaction : nullptr;
    }
    return 0;
  }
  struct sigaction wanted = *action;
  const struct sigaction front = InFront(wanted);
  // First what the new handler needs: it may be called at once.
  if (IsHandler(wanted)) {
    behind.flags = wanted.sa_flags;
    behind.mask = MaskOf(wanted.sa_mask);
    behind.handler = wanted.sa_sigaction;
  }
  const int status = native.sigaction(number, &front, &before);
  if (status != 0) {
    behind.handler = handler;
    behind.flags = flags;
    behind.mask = mask;
    return status;
  }
  ShowAsSet(&before, handler, flags, mask);
  if (old != nullptr) *old = before;
  if (IsHandler(wanted)) NoteMask(SIG_BLOCK, &wanted.sa_mask);
  if (number == SIGCHLD) ChangeSigchldFlags();
  return 0;
}

void Repair(siginfo_t* info) {
  if (info->si_signo != SIGCHLD || info->si_code != wire::kSigchldCode) return;
  info->si_code = info->si_errno;
  info->si_errno = 0;
}

void NoteMask(int how, Mask mask) {
  if (how == SIG_UNBLOCK || (mask & Only(SIGCHLD)) == 0) return;
  if (g_sigchld_blocked.exchange(true)) return;
  ChangeSigchldFlags();
}

void NoteMask(int how, const sigset_t* set) {
  if (set != nullptr) NoteMask(how, MaskOf(*set));
}

void NoteInheritedMask() {
  sigset_t mask;
  if (TheNative().sigprocmask(SIG_BLOCK, nullptr, &mask) != 0) return;
  if ((MaskOf(mask) & Only(SIGCHLD)) != 0) g_sigchld_blocked = true;
}

uint64_t SigchldFlags() {
  struct sigaction now {};
  if (TheNative().sigaction(SIGCHLD, nullptr, &now) != 0) return 0;
  const bool lost = now.sa_handler == SIG_DFL && !g_sigchld_blocked;
  return (now.sa_handler == SIG_IGN || lost ? uint64_t{wire::kSigchldIgnored} : 0) |
         ((now.sa_flags & SA_NOCLDSTOP) != 0 ? uint64_t{wire::kNoCldStop} : 0);
}

void ExpectRing() {
  if (g_expects_ring.exchange(true)) return;
  struct sigaction action {};
  struct sigaction before {};
  action.sa_sigaction = OnRing;
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  sigfillset(&action.sa_mask);
  TheNative().sigaction(RingSignal(), &action, &before);
  // A handler of the program's that was set before is behind OnSignal, and stays noted.
  if (!IsOurs(before) && IsHandler(before)) {
    g_behind[RingSignal()].flags = before.sa_flags;
    g_behind[RingSignal()].mask = MaskOf(before.sa_mask);
    g_behind[RingSignal()].handler = before.sa_sigaction;
  }
}

__attribute__((noinline)) Left InRegion(Thread& thread, Mask during, long (*call)(void* argument),
                                        void* argument, long* result) {
  sigjmp_buf here;
  sigjmp_buf* const outer = thread.leave;
  if (const int reason = sigsetjmp(here, 0); reason != 0) {
    // In the mask of the handler that jumped.
    SetMask(kAllSignals);
    thread.armed = 0;
    t_thread.leave = nullptr;
    pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, nullptr);
    return reason == kReasonRung ? Left::kRung : Left::kDisturbed;
  }
  thread.leave = &here;
  int type = PTHREAD_CANCEL_DEFERRED;
  // Around bare system calls alone. NOLINTNEXTLINE(concurrency-thread-canceltype-asynchronous)
  pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &type);
  thread.armed = 1;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  SetMask(during);
  *result = call(argument);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  thread.armed = 0;
  SetMask(kAllSignals);
  pthread_setcanceltype(type, nullptr);
  thread.leave = outer;
  return Left::kReturned;
}

}  // namespace utrace::ptrace_compat::client
