#include "core/linux/bell.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

// long utrace_bell_waitid(id_type, id, info, options, const uint32_t* rung): the raw result of
// waitid, or -EINTR if *rung was or became nonzero before the call completed. Between the first two
// labels nothing has completed yet.
#if defined(__x86_64__)
asm(R"(
.text
.p2align 4
.type utrace_bell_waitid, @function
utrace_bell_waitid:
  movq %r8, %r9
  xorl %r8d, %r8d
  movq %rcx, %r10
utrace_bell_begin:
  cmpl $0, (%r9)
  jne utrace_bell_rung
  movl $247, %eax
  syscall
utrace_bell_end:
  ret
utrace_bell_rung:
  movq $-4, %rax
  ret
.size utrace_bell_waitid, . - utrace_bell_waitid

.type utrace_bell_restorer, @function
utrace_bell_restorer:
  movq $15, %rax
  syscall
.size utrace_bell_restorer, . - utrace_bell_restorer
)");
#else
#error "bell.cc has no wait for this architecture yet"
#endif

extern "C" {
long utrace_bell_waitid(int id_type, id_t id, siginfo_t* info, int options, const void* rung)
    __attribute__((visibility("hidden")));
extern const char utrace_bell_begin[] __attribute__((visibility("hidden")));
extern const char utrace_bell_end[] __attribute__((visibility("hidden")));
extern const char utrace_bell_rung[] __attribute__((visibility("hidden")));
void utrace_bell_restorer() __attribute__((visibility("hidden")));
}

namespace utrace::linux_host {
namespace {

__attribute__((no_sanitize("thread", "address", "undefined"))) void OnRing(int, siginfo_t*,
                                                                           void* context) {
  auto& pc = static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP];
  // After the system call instruction the call has its result, which must not be thrown away.
  if (pc >= reinterpret_cast<greg_t>(utrace_bell_begin) &&
      pc < reinterpret_cast<greg_t>(utrace_bell_end)) {
    pc = reinterpret_cast<greg_t>(utrace_bell_rung);
  }
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
  // SA_RESTART: other calls of the thread, in callbacks, do not notice a ring.
  const KernelSigaction action{OnRing, SA_SIGINFO | SA_RESTART | kSaRestorer, utrace_bell_restorer,
                               ~0UL};
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
    return utrace_bell_waitid(id_type, id, info, options, &rung);
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
