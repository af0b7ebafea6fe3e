#include <ucontext.h>

#include "conformance/puppet/machine.h"

namespace utrace::puppet {

void WriteByte(uint64_t address) { asm volatile("movb $1, (%0)" : : "r"(address) : "memory"); }
void IllegalInstruction() { asm volatile("ud2"); }

bool DivideByZero() {
  asm volatile("xorl %%edx, %%edx; movl $1, %%eax; xorl %%ecx, %%ecx; divl %%ecx"
               :
               :
               : "eax", "ecx", "edx");
  return true;
}

void BreakpointTrap() { asm volatile("int3"); }

void NoteInterrupted(const void* context, SignalRecord* record) {
  const greg_t* registers = static_cast<const ucontext_t*>(context)->uc_mcontext.gregs;
  record->pc = static_cast<uint64_t>(registers[REG_RIP]);
  record->sp = static_cast<uint64_t>(registers[REG_RSP]);
  record->marker = static_cast<uint64_t>(registers[REG_R15]);
}

// It is there already.
void PassBreakpoint(int, int, void*) {}

}  // namespace utrace::puppet
