#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>

#include <cstring>

#include "arch/arch.h"
#include "arch/restart_codes.h"

namespace utrace::arch {
namespace {

constexpr unsigned kNumberRegister = 8;
constexpr unsigned kArguments = 6;
constexpr uint32_t kSvc0 = 0xd4000001;
constexpr uint64_t kCompatMode = 0x10;  // of the processor's state: a 32-bit program

static_assert(sizeof(kSvc0) == kMaxSyscallInstruction);

uint32_t InstructionAt(std::span<const uint8_t> code, size_t offset) {
  uint32_t instruction = 0;
  std::memcpy(&instruction, code.data() + offset, sizeof(instruction));
  return instruction;
}

}  // namespace

long SyscallNumber(const GeneralRegisters& regs) { return regs.call; }

void SetSyscallNumber(GeneralRegisters& regs, long number) {
  regs.call = static_cast<int32_t>(number);
}

uint64_t SyscallArgument(const GeneralRegisters& regs, unsigned index) {
  if (index >= kArguments) return 0;
  const bool gone = index == 0 && regs.call != -1 && !regs.entering;
  return gone ? regs.first_argument : regs.regs[index];
}

void SetSyscallArgument(GeneralRegisters& regs, unsigned index, uint64_t value) {
  if (index >= kArguments) return;
  if (index == 0) regs.first_argument = value;
  const bool gone = index == 0 && regs.call != -1 && !regs.entering;
  if (!gone) regs.regs[index] = value;
}

int64_t SyscallResult(const GeneralRegisters& regs) {
  return regs.entering ? regs.entry_result : static_cast<int64_t>(regs.regs[0]);
}

void SetSyscallResult(GeneralRegisters& regs, int64_t result) {
  if (regs.entering) {
    regs.entry_result = result;
  } else {
    regs.regs[0] = static_cast<uint64_t>(result);
  }
}

void BeginSyscall(GeneralRegisters& regs) {
  regs.pc += kMaxSyscallInstruction;
  regs.call = static_cast<int32_t>(regs.regs[kNumberRegister]);
  regs.first_argument = regs.regs[0];
  regs.entering = true;
  regs.entry_result = -ENOSYS;
}

void EndSyscallEntry(GeneralRegisters& regs) {
  if (!regs.entering) return;
  regs.first_argument = regs.regs[0];
  regs.entering = false;
  regs.regs[0] = static_cast<uint64_t>(regs.entry_result);
}

void RollBackSyscall(GeneralRegisters& regs, long number) {
  if (!regs.entering) regs.regs[0] = regs.first_argument;
  regs.entering = false;
  regs.regs[kNumberRegister] = static_cast<uint64_t>(number);
  regs.pc -= kMaxSyscallInstruction;
  // Else the kernel could take what is in register 0 for a result to restart on, and go back once more.
  regs.call = -1;
}

void SetRemoteCall(GeneralRegisters& regs, uint64_t instruction, long number) {
  regs.regs[0] = SyscallArgument(regs, 0);
  regs.entering = false;
  regs.pc = instruction;
  regs.regs[kNumberRegister] = static_cast<uint64_t>(number);
  regs.call = -1;
}

bool IsRestartPending(const GeneralRegisters& regs) {
  return regs.call != -1 && !regs.entering && IsRestartCode(-static_cast<int64_t>(regs.regs[0]));
}

bool IsSyscallInstruction(std::span<const uint8_t> code) {
  return code.size() >= kMaxSyscallInstruction && InstructionAt(code, 0) == kSvc0;
}

std::optional<size_t> FindSyscallInstruction(std::span<const uint8_t> code) {
  for (size_t at = 0; at + kMaxSyscallInstruction <= code.size(); at += kMaxSyscallInstruction) {
    if (InstructionAt(code, at) == kSvc0) return at;
  }
  return std::nullopt;
}

bool IsForeignAbi(const GeneralRegisters& regs) { return (regs.pstate & kCompatMode) != 0; }

std::optional<uint64_t> CloneFlags(const GeneralRegisters& regs, const ReadU64& read_u64) {
  switch (SyscallNumber(regs)) {
    case SYS_clone:
      // The kernel ignores the high half.
      return SyscallArgument(regs, 0) & 0xffffffff;
    case SYS_clone3: {
      constexpr uint64_t kExitSignalOffset = 32;  // in struct clone_args; the flags come first
      const uint64_t arguments = SyscallArgument(regs, 0);
      const std::optional<uint64_t> flags = read_u64(arguments);
      const std::optional<uint64_t> signal = read_u64(arguments + kExitSignalOffset);
      if (!flags || !signal) return std::nullopt;
      return *flags | (*signal & CSIGNAL);
    }
    default:
      return std::nullopt;
  }
}

}  // namespace utrace::arch
