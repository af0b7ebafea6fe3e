#include "arch/bell_wait.h"

#include <ucontext.h>

// Between the first two labels nothing has completed yet. 247 is waitid, and 15 rt_sigreturn.
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

extern "C" {
long utrace_bell_waitid(int id_type, id_t id, siginfo_t* info, int options, const void* rung)
    __attribute__((visibility("hidden")));
extern const char utrace_bell_begin[] __attribute__((visibility("hidden")));
extern const char utrace_bell_end[] __attribute__((visibility("hidden")));
extern const char utrace_bell_rung[] __attribute__((visibility("hidden")));
void utrace_bell_restorer() __attribute__((visibility("hidden")));
}

namespace utrace::arch {

long BellWaitId(int id_type, id_t id, siginfo_t* info, int options, const void* rung) {
  return utrace_bell_waitid(id_type, id, info, options, rung);
}

__attribute__((no_sanitize("thread", "address", "undefined"))) void TakeBackBellWait(
    void* context) {
  auto& pc = static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP];
  // After the system call instruction the call has its result, which must not be thrown away.
  if (pc >= reinterpret_cast<greg_t>(utrace_bell_begin) &&
      pc < reinterpret_cast<greg_t>(utrace_bell_end)) {
    pc = reinterpret_cast<greg_t>(utrace_bell_rung);
  }
}

void (*BellRestorer())() { return utrace_bell_restorer; }

}  // namespace utrace::arch
