// What the puppet does in its machine's own way.
#ifndef CONFORMANCE_PUPPET_MACHINE_H_
#define CONFORMANCE_PUPPET_MACHINE_H_

#include "conformance/puppet/protocol.h"

namespace utrace::puppet {

void WriteByte(uint64_t address);
void IllegalInstruction();
// Divides by zero: false if that is no fault on this machine.
bool DivideByZero();
void BreakpointTrap();

// Program counter, stack pointer and marker of what a handler interrupted; its third argument tells.
void NoteInterrupted(const void* context, SignalRecord* record);

// At the end of a handler: lets the program go on behind the instruction of BreakpointTrap.
void PassBreakpoint(int signo, int code, void* context);

}  // namespace utrace::puppet

#endif  // CONFORMANCE_PUPPET_MACHINE_H_
