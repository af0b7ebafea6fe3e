#include "arch/x86_64/handler_for_test.h"

// spin_with_known_registers(Spin*, pattern, level): fills every register of the program (level 0
// SSE, 1 AVX, 2 AVX-512) and the red zone, sets Spin.ready, waits for Spin.go and traps.
__asm__(R"(
.pushsection .text.spin, "ax", @progbits
.globl spin_with_known_registers
.hidden spin_with_known_registers
spin_with_known_registers:
  pushq %rbx
  pushq %rbp
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  pushfq
  cmpl $1, %edx
  jb 2f
  je 1f
.irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
  vmovdqu64 (\n * 64)(%rsi), %zmm\n
.endr
.irp n, 0,1,2,3,4,5,6,7
  kmovw (\n * 64)(%rsi), %k\n
.endr
  jmp 3f
1:
.irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
  vmovdqu (\n * 64)(%rsi), %ymm\n
.endr
  jmp 3f
2:
.irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
  movdqu (\n * 64)(%rsi), %xmm\n
.endr
3:
  ldmxcsr 8(%rdi)
  fldcw 12(%rdi)
  fldpi
  fld1
.irp n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16
  movq $(\n * 0x01010101), (-8 * \n)(%rsp)
.endr
  movabsq $0x1111111111111111, %rax
  movabsq $0x2222222222222222, %rbx
  movabsq $0x3333333333333333, %rcx
  movabsq $0x4444444444444444, %rdx
  movabsq $0x5555555555555555, %rsi
  movabsq $0x6666666666666666, %rbp
  movabsq $0x8888888888888888, %r8
  movabsq $0x9999999999999999, %r9
  movabsq $0xaaaaaaaaaaaaaaaa, %r10
  movabsq $0xbbbbbbbbbbbbbbbb, %r11
  movabsq $0xcccccccccccccccc, %r12
  movabsq $0xdddddddddddddddd, %r13
  movabsq $0xeeeeeeeeeeeeeeee, %r14
  movabsq $0x7777777777777777, %r15
  std
  movl $1, 4(%rdi)
4:
  pause
  cmpl $0, (%rdi)
  je 4b
  int3
  fninit
  ldmxcsr 16(%rdi)
  popfq
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbp
  popq %rbx
  ret

.globl signal_test_restorer
.hidden signal_test_restorer
signal_test_restorer:
  movq $15, %rax
  syscall
  ud2
.popsection
)");

namespace utrace::arch {

extern "C" const char signal_test_restorer[];

void Handler(int signal, siginfo_t* info, void*) {
  __asm__ volatile("fxsave64 %0" : "=m"(record->fpregs));
  record->direction_flag = (__builtin_ia32_readeflags_u64() & 0x400) != 0;
  record->stack = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  record->aligned = record->stack % 16 == 0;
  record->signal = signal;
  record->info = *info;
  syscall(SYS_rt_sigprocmask, SIG_BLOCK, nullptr, &record->blocked, sizeof(record->blocked));
  if (record->write_to >= 0) syscall(SYS_write, record->write_to, "x", 1L);
  record->calls = record->calls + 1;
  record->spin.go = 1;
  // Nothing of the interrupted program's may be left.
  if (record->level > 0) {
    __asm__ volatile("vzeroall");
  } else {
    __asm__ volatile("pxor %xmm0, %xmm0; pxor %xmm7, %xmm7; pxor %xmm15, %xmm15");
  }
  __asm__ volatile("fninit");
}

KernelAction ActionFor(uint64_t flags, uint64_t mask) {
  return {.handler = reinterpret_cast<uintptr_t>(&Handler),
          .flags = flags | SA_SIGINFO | kSaRestorer,
          .restorer = reinterpret_cast<uintptr_t>(signal_test_restorer),
          .mask = mask};
}

int Level() {
  if (__builtin_cpu_supports("avx512f")) return 2;
  return __builtin_cpu_supports("avx") ? 1 : 0;
}

std::vector<uint8_t> Pattern() {
  std::vector<uint8_t> pattern(32 * 64);
  for (size_t i = 0; i < pattern.size(); ++i) pattern[i] = static_cast<uint8_t>(i * 7 + i / 64 + 1);
  return pattern;
}

}  // namespace utrace::arch
