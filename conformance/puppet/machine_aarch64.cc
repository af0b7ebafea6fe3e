#include <signal.h>
#include <ucontext.h>

#include "conformance/puppet/machine.h"

namespace utrace::puppet {

void WriteByte(uint64_t address) { asm volatile("strb wzr, [%0]" : : "r"(address) : "memory"); }
void IllegalInstruction() { asm volatile("udf #0"); }
bool DivideByZero() { return false; }
void BreakpointTrap() { asm volatile("brk #0"); }

void NoteInterrupted(const void* context, SignalRecord* record) {
  const mcontext_t& machine = static_cast<const ucontext_t*>(context)->uc_mcontext;
  record->pc = machine.pc;
  record->sp = machine.sp;
  record->marker = machine.regs[28];
}

void PassBreakpoint(int signo, int code, void* context) {
  if (signo == SIGTRAP && code == TRAP_BRKPT)
    static_cast<ucontext_t*>(context)->uc_mcontext.pc += 4;
}

}  // namespace utrace::puppet
