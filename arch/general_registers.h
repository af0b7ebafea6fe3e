// A task's general registers, as the host and the model keep them.
#ifndef ARCH_GENERAL_REGISTERS_H_
#define ARCH_GENERAL_REGISTERS_H_

#include <sys/user.h>

#include <cerrno>
#include <cstdint>

namespace utrace::arch {

// The image of NT_PRSTATUS; and what the kernel keeps of a system call beside it, where kCallsApart.
struct GeneralRegisters : user_regs_struct {
  int32_t call = -1;               // the number; -1: in no call
  bool entering = false;           // not made yet: the first argument is still in its register
  uint64_t first_argument = 0;     // in a call
  int64_t entry_result = -ENOSYS;  // while entering: what the program sees if the call is aborted
};

}  // namespace utrace::arch

#endif  // ARCH_GENERAL_REGISTERS_H_
