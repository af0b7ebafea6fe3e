// The system call instruction.
#ifndef ARCH_X86_64_SYSCALL_ABI_H_
#define ARCH_X86_64_SYSCALL_ABI_H_

#include <cstdint>

#include "arch/restart_codes.h"

namespace utrace::arch {

constexpr uint64_t kSyscallInstructionSize = 2;

}  // namespace utrace::arch

#endif  // ARCH_X86_64_SYSCALL_ABI_H_
