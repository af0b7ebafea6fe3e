#include "core/linux/bell.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "arch/bell_wait.h"

namespace utrace::linux_host {
namespace {

__attribute__((no_sanitize("thread", "address", "undefined"))) void OnRing(int, siginfo_t*,
                                                                           void* context) {
  arch::TakeBackBellWait(context);
}

// The kernel's layout. Installed by the bare call: thread sanitizer would postpone a handler that it
// knows of to the next library call, and the wait would go on.
struct KernelSigaction {
  void (*handler)(int, siginfo_t*, void*);
  unsigned long flags;
  void (*restorer)();
  uint64_t mask;
};

bool InstallHandler() {
  constexpr unsigned long kSaRestorer = 0x04000000;
  const auto restorer = arch::BellRestorer();
  // SA_RESTART: other calls of the thread, in callbacks, do not notice a ring.
  const KernelSigaction action{
      OnRing, SA_SIGINFO | SA_RESTART | (restorer != nullptr ? kSaRestorer : 0), restorer, ~0UL};
  return syscall(SYS_rt_sigaction, Bell::Signal(), &action, nullptr, sizeof(action.mask)) == 0;
}

}  // namespace

void Bell::Bind() {
  static const bool installed = InstallHandler();
  if (!installed) std::abort();  // only an invalid signal number could cause it
  process_ = getpid();
  thread_ = static_cast<pid_t>(syscall(SYS_gettid));
}

void Bell::Ring() {
  words_.Ring([this](const Atomic<uint32_t>& rung) {
    syscall(SYS_tgkill, process_, thread_, Signal());
    // Not yet there, it looks at `rung` before it sleeps.
    if (!rings_alone_.load(std::memory_order_seq_cst)) return;
    syscall(SYS_futex, &rung, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
  });
}

int Bell::WaitId(int id_type, id_t id, siginfo_t* info, int options) {
  return static_cast<int>(words_.WaitUnlessRung([=](const Atomic<uint32_t>& rung) {
    return arch::BellWaitId(id_type, id, info, options, &rung);
  }));
}

void Bell::WaitForRing() {
  rings_alone_.store(true, std::memory_order_seq_cst);
  words_.WaitForRing([](const Atomic<uint32_t>& rung) {
    syscall(SYS_futex, &rung, FUTEX_WAIT_PRIVATE, 0, nullptr, nullptr, 0);
  });
  rings_alone_.store(false, std::memory_order_seq_cst);
}

}  // namespace utrace::linux_host
