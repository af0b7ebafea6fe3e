// What the kernel leaves in the result register of a call that it means to restart. These values
// are seen by tracers only, and so are in no header for programs.
#ifndef ARCH_RESTART_CODES_H_
#define ARCH_RESTART_CODES_H_

#include <cstdint>

namespace utrace::arch {

constexpr int64_t kRestartSys = 512;           // restarted if no handler runs, or by SA_RESTART
constexpr int64_t kRestartNoIntr = 513;        // always restarted
constexpr int64_t kRestartNoHand = 514;        // restarted if no handler runs
constexpr int64_t kRestartRestartBlock = 516;  // likewise, as restart_syscall(2)

constexpr bool IsRestartCode(int64_t error) {
  return error == kRestartSys || error == kRestartNoIntr || error == kRestartNoHand ||
         error == kRestartRestartBlock;
}

}  // namespace utrace::arch

#endif  // ARCH_RESTART_CODES_H_
