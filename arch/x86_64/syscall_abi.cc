#include "arch/x86_64/syscall_abi.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>

#include <algorithm>
#include <array>

#include "arch/arch.h"

namespace utrace::arch {
namespace {

constexpr uint64_t kNoSyscall = ~uint64_t{0};
constexpr uint64_t kCs32 = 0x23;      // the code segment of 32-bit programs
constexpr long kX32Bit = 0x40000000;  // marks the numbers of the x32 ABI

using Instruction = std::array<uint8_t, kMaxSyscallInstruction>;
constexpr Instruction kSyscall = {0x0f, 0x05};
constexpr Instruction kSysenter = {0x0f, 0x34};
constexpr Instruction kInt80 = {0xcd, 0x80};

static_assert(kSyscall.size() == kSyscallInstructionSize);

// The calling convention of the kernel, which differs from that of functions in the fourth.
using Register = decltype(&GeneralRegisters::rdi);
constexpr std::array<Register, 6> kArguments = {&GeneralRegisters::rdi, &GeneralRegisters::rsi,
                                                &GeneralRegisters::rdx, &GeneralRegisters::r10,
                                                &GeneralRegisters::r8,  &GeneralRegisters::r9};

}  // namespace

// The kernel takes the low half, sign-extended: programs may leave anything in the high one.
long SyscallNumber(const GeneralRegisters& regs) { return static_cast<int32_t>(regs.orig_rax); }

void SetSyscallNumber(GeneralRegisters& regs, long number) {
  regs.orig_rax = static_cast<uint64_t>(number);
}

uint64_t SyscallArgument(const GeneralRegisters& regs, unsigned index) {
  return index < kArguments.size() ? regs.*kArguments[index] : 0;
}

void SetSyscallArgument(GeneralRegisters& regs, unsigned index, uint64_t value) {
  if (index < kArguments.size()) regs.*kArguments[index] = value;
}

int64_t SyscallResult(const GeneralRegisters& regs) { return static_cast<int64_t>(regs.rax); }

void SetSyscallResult(GeneralRegisters& regs, int64_t result) {
  regs.rax = static_cast<uint64_t>(result);
}

void BeginSyscall(GeneralRegisters& regs) {
  regs.orig_rax = regs.rax;
  regs.rip += kSyscallInstructionSize;
  SetSyscallResult(regs, -ENOSYS);
}

void EndSyscallEntry(GeneralRegisters&) {}

void RollBackSyscall(GeneralRegisters& regs, long number) {
  regs.rax = static_cast<uint64_t>(number);
  regs.rip -= kSyscallInstructionSize;
  // Else the kernel could take the number for a result to restart on, and go back once more.
  regs.orig_rax = kNoSyscall;
}

void SetRemoteCall(GeneralRegisters& regs, uint64_t instruction, long number) {
  regs.rip = instruction;
  regs.rax = static_cast<uint64_t>(number);
  regs.orig_rax = kNoSyscall;
}

bool IsRestartPending(const GeneralRegisters& regs) {
  if (SyscallNumber(regs) == -1) return false;
  switch (-SyscallResult(regs)) {
    case kRestartSys:
    case kRestartNoIntr:
    case kRestartNoHand:
    case kRestartRestartBlock:
      return true;
    default:
      return false;
  }
}

bool IsSyscallInstruction(std::span<const uint8_t> code) {
  if (code.size() < kMaxSyscallInstruction) return false;
  const Instruction start = {code[0], code[1]};
  return start == kSyscall || start == kSysenter || start == kInt80;
}

std::optional<size_t> FindSyscallInstruction(std::span<const uint8_t> code) {
  const auto found = std::search(code.begin(), code.end(), kSyscall.begin(), kSyscall.end());
  if (found == code.end()) return std::nullopt;
  return static_cast<size_t>(found - code.begin());
}

bool IsForeignAbi(const GeneralRegisters& regs) {
  const long number = SyscallNumber(regs);
  return regs.cs == kCs32 || (number >= 0 && (number & kX32Bit) != 0);
}

std::optional<uint64_t> CloneFlags(const GeneralRegisters& regs, const ReadU64& read_u64) {
  switch (SyscallNumber(regs)) {
    case SYS_fork:
      return SIGCHLD;
    case SYS_vfork:
      return CLONE_VFORK | CLONE_VM | SIGCHLD;
    case SYS_clone:
      // The kernel ignores the high half.
      return SyscallArgument(regs, 0) & 0xffffffff;
    case SYS_clone3: {
      constexpr uint64_t kExitSignalOffset = 32;  // in struct clone_args; the flags come first
      const uint64_t arguments = SyscallArgument(regs, 0);
      const std::optional<uint64_t> flags = read_u64(arguments);
      const std::optional<uint64_t> signal = read_u64(arguments + kExitSignalOffset);
      if (!flags || !signal) return std::nullopt;
      // CLONE_NEWTIME lies in the low byte, above every signal number.
      return *flags | (*signal & CSIGNAL);
    }
    default:
      return std::nullopt;
  }
}

}  // namespace utrace::arch
