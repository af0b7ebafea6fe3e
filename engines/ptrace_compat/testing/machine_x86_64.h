// What cases about registers and steps share: places in the program that a tracee runs through.
#ifndef ENGINES_PTRACE_COMPAT_TESTING_MACHINE_X86_64_H_
#define ENGINES_PTRACE_COMPAT_TESTING_MACHINE_X86_64_H_

#include <sys/types.h>
#include <sys/user.h>

#include <string>

// Written in assembly; all keep to the calling convention.
extern "C" {
void probe_nops();                                        // nop; nop; nop; nop; ret
void probe_trap();                                        // int3; nop; ret
long probe_getppid();                                     // mov $110, %eax; syscall; nop; ret
void probe_copy(void* to, const void* from, long bytes);  // rep movsb; ret
long probe_jumps();                                       // four jumps, then ret
long probe_flags();                                       // pushfq; pop %rax; ret
void probe_sse(const void* in, void* out);                // loads xmm7, int3, stores it
void probe_sse_stop();                                    // where its int3 is
extern volatile long probe_watched[4];
}

namespace probe {

user_regs_struct Registers(pid_t pid);
void SetRegisters(pid_t pid, const user_regs_struct& registers);
// Runs the stopped tracee up to `place`, by a breakpoint that is taken away again; ends the case if it
// does not get there.
void RunTo(pid_t pid, void (*place)());
// "+3": where the tracee is, from `place` on; "elsewhere" if that is far.
std::string Place(pid_t pid, void (*place)());

}  // namespace probe

#endif  // ENGINES_PTRACE_COMPAT_TESTING_MACHINE_X86_64_H_
