// What arch.h differs in on aarch64.
#ifndef ARCH_AARCH64_THIS_MACHINE_H_
#define ARCH_AARCH64_THIS_MACHINE_H_

#include <cstddef>
#include <cstdint>

namespace utrace::arch {

constexpr bool kCallsApart = true;
constexpr uint32_t kCallNumberNote = 0x404;  // NT_ARM_SYSTEM_CALL
constexpr bool kRewindsEarly = true;
constexpr bool kCanBlockStep = false;
constexpr bool kTrapsTwiceBehindCalls = true;
constexpr size_t kMaxSyscallInstruction = 4;
constexpr unsigned kCloneChildTidArgument = 4;

}  // namespace utrace::arch

#endif  // ARCH_AARCH64_THIS_MACHINE_H_
