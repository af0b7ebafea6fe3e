// What the kernel leaves in the result register of a call that it means to restart. These values
// are seen by tracers only, and so are in no header for programs.
#ifndef ARCH_X86_64_SYSCALL_ABI_H_
#define ARCH_X86_64_SYSCALL_ABI_H_

#include <cstdint>

namespace utrace::arch {

constexpr int64_t kRestartSys = 512;           // restarted if no handler runs, or by SA_RESTART
constexpr int64_t kRestartNoIntr = 513;        // always restarted
constexpr int64_t kRestartNoHand = 514;        // restarted if no handler runs
constexpr int64_t kRestartRestartBlock = 516;  // likewise, as restart_syscall(2)

constexpr uint64_t kSyscallInstructionSize = 2;

}  // namespace utrace::arch

#endif  // ARCH_X86_64_SYSCALL_ABI_H_
