#include "arch/bell_wait.h"

#include <ucontext.h>

#include <cstdint>

// Between the first two labels nothing has completed yet. 95 is waitid.
asm(R"(
.text
.p2align 4
.type utrace_bell_waitid, %function
utrace_bell_waitid:
  mov x9, x4
  mov x4, xzr
  mov x8, #95
utrace_bell_begin:
  ldr w10, [x9]
  cbnz w10, utrace_bell_rung
  svc #0
utrace_bell_end:
  ret
utrace_bell_rung:
  mov x0, #-4
  ret
.size utrace_bell_waitid, . - utrace_bell_waitid
)");

extern "C" {
long utrace_bell_waitid(int id_type, id_t id, siginfo_t* info, int options, const void* rung)
    __attribute__((visibility("hidden")));
extern const char utrace_bell_begin[] __attribute__((visibility("hidden")));
extern const char utrace_bell_end[] __attribute__((visibility("hidden")));
extern const char utrace_bell_rung[] __attribute__((visibility("hidden")));
}

namespace utrace::arch {

long BellWaitId(int id_type, id_t id, siginfo_t* info, int options, const void* rung) {
  return utrace_bell_waitid(id_type, id, info, options, rung);
}

__attribute__((no_sanitize("thread", "address", "undefined"))) void TakeBackBellWait(
    void* context) {
  auto& pc = static_cast<ucontext_t*>(context)->uc_mcontext.pc;
  // After the system call instruction the call has its result, which must not be thrown away.
  if (pc >= reinterpret_cast<uintptr_t>(utrace_bell_begin) &&
      pc < reinterpret_cast<uintptr_t>(utrace_bell_end)) {
    pc = reinterpret_cast<uintptr_t>(utrace_bell_rung);
  }
}

// The kernel's vdso returns from handlers.
void (*BellRestorer())() { return nullptr; }

}  // namespace utrace::arch
