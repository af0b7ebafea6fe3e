#include <elf.h>
#include <sys/user.h>

#include "conformance/kit/machine.h"

namespace utrace::kit {

#define AT(name) offsetof(user_regs_struct, name)

// The image has rax rbx rcx rdx rsi rdi rbp r8 to r15.
const Machine& ThisMachine() {
  static const Machine machine = {
      .elf_machine = EM_X86_64,
      .general_size = sizeof(user_regs_struct),
      .general = {AT(rax), AT(rbx), AT(rcx), AT(rdx), AT(rsi), AT(rdi), AT(rbp), AT(r8), AT(r9),
                  AT(r10), AT(r11), AT(r12), AT(r13), AT(r14), AT(r15)},
      .pc = AT(rip),
      .sp = AT(rsp),
      .vectors_size = sizeof(user_fpregs_struct),
      .vectors = offsetof(user_fpregs_struct, xmm_space),
      .call_number = 0,
      .call_result = 0,
      .first_argument = 5,
      .lost_in_calls = {2, 10},
      .kept = 11,
      .further_sets = {NT_X86_XSTATE},
  };
  return machine;
}

}  // namespace utrace::kit
