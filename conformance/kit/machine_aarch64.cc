#include <elf.h>
#include <sys/user.h>

#include "conformance/kit/machine.h"

namespace utrace::kit {

#define AT(number) (offsetof(user_regs_struct, regs) + 8 * (number))

// The image has registers 0 to 6, 8 to 12, 19, 20 and 28.
const Machine& ThisMachine() {
  static const Machine machine = {
      .elf_machine = EM_AARCH64,
      .general_size = sizeof(user_regs_struct),
      .general = {AT(0), AT(1), AT(2), AT(3), AT(4), AT(5), AT(6), AT(8), AT(9), AT(10), AT(11),
                  AT(12), AT(19), AT(20), AT(28)},
      .pc = offsetof(user_regs_struct, pc),
      .sp = offsetof(user_regs_struct, sp),
      .vectors_size = sizeof(user_fpsimd_struct),
      .vectors = offsetof(user_fpsimd_struct, vregs),
      .call_number = 7,
      .call_result = 0,
      .first_argument = 0,
      .lost_in_calls = {},
      .kept = 11,
      .further_sets = {NT_ARM_TLS, NT_ARM_HW_BREAK, NT_ARM_HW_WATCH, NT_ARM_SYSTEM_CALL},
  };
  return machine;
}

}  // namespace utrace::kit
