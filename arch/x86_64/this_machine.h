// What arch.h differs in on x86_64.
#ifndef ARCH_X86_64_THIS_MACHINE_H_
#define ARCH_X86_64_THIS_MACHINE_H_

#include <cstddef>
#include <cstdint>

namespace utrace::arch {

constexpr bool kCallsApart = false;
constexpr uint32_t kCallNumberNote = 0;
constexpr bool kRewindsEarly = false;
constexpr bool kCanBlockStep = true;
constexpr bool kTrapsTwiceBehindCalls = false;
constexpr size_t kMaxSyscallInstruction = 2;
constexpr unsigned kCloneChildTidArgument = 3;

}  // namespace utrace::arch

#endif  // ARCH_X86_64_THIS_MACHINE_H_
