#include "engines/ptrace_compat/testing/machine_x86_64.h"

#include <errno.h>

#include "engines/ptrace_compat/testing/probe.h"

asm(R"(
  .text
  .globl probe_nops, probe_trap, probe_getppid, probe_copy, probe_jumps, probe_flags
  .globl probe_sse, probe_sse_stop
probe_nops:
  nop
  nop
  nop
  nop
  ret
probe_trap:
  int3
  nop
  ret
probe_getppid:
  movl $110, %eax
  syscall
  nop
  ret
probe_copy:
  movq %rdx, %rcx
  rep movsb
  ret
probe_jumps:
  xorl %eax, %eax
  jmp 1f
  nop
1:
  nop
  jmp 2f
  nop
2:
  nop
  jmp 3f
  nop
3:
  ret
probe_flags:
  pushfq
  popq %rax
  ret
probe_sse:
  movdqu (%rdi), %xmm7
probe_sse_stop:
  int3
  movdqu %xmm7, (%rsi)
  ret
)");

volatile long probe_watched[4];

namespace probe {

user_regs_struct Registers(pid_t pid) {
  user_regs_struct registers{};
  if (Ptrace(PTRACE_GETREGS, pid, 0, ToArgument(&registers)) != 0) {
    Scene(("GETREGS: " + ErrorName(errno)).c_str());
  }
  return registers;
}

void SetRegisters(pid_t pid, const user_regs_struct& registers) {
  if (Ptrace(PTRACE_SETREGS, pid, 0, ToArgument(&registers)) != 0) {
    Scene(("SETREGS: " + ErrorName(errno)).c_str());
  }
}

void RunTo(pid_t pid, void (*place)()) {
  const uint64_t address = reinterpret_cast<uint64_t>(place);
  const long word = Ptrace(PTRACE_PEEKTEXT, pid, address, 0);
  if (errno != 0) Scene(("PEEKTEXT: " + ErrorName(errno)).c_str());
  const uint64_t trap = (static_cast<uint64_t>(word) & ~0xffUL) | 0xcc;
  if (Ptrace(PTRACE_POKETEXT, pid, address, trap) != 0 || Ptrace(PTRACE_CONT, pid, 0, 0) != 0) {
    Scene(("no breakpoint: " + ErrorName(errno)).c_str());
  }
  Expect(pid, StopStatus(SIGTRAP));
  user_regs_struct registers = Registers(pid);
  if (registers.rip != address + 1) Scene("the trap is elsewhere");
  registers.rip = address;
  SetRegisters(pid, registers);
  if (Ptrace(PTRACE_POKETEXT, pid, address, static_cast<uint64_t>(word)) != 0) {
    Scene(("the breakpoint cannot be removed: " + ErrorName(errno)).c_str());
  }
}

std::string Place(pid_t pid, void (*place)()) {
  const auto distance = static_cast<long>(Registers(pid).rip - reinterpret_cast<uint64_t>(place));
  if (distance < 0 || distance > 64) return "elsewhere";
  return "+" + std::to_string(distance);
}

}  // namespace probe
