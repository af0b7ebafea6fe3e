// The user code of model threads: what the commands of core/utrace_target.h do.
#ifndef CORE_MODEL_KERNEL_PROGRAM_H_
#define CORE_MODEL_KERNEL_PROGRAM_H_

#include <csignal>
#include <cstdint>

#include "core/model/kernel/address_space.h"
#include "core/model/kernel/machine_state.h"
#include "core/model/kernel/pending_signals.h"

namespace utrace::model {

class Thread;

inline constexpr char kProgramPath[] = "/model/program";
// Where the program has its own path.
inline constexpr uint64_t kProgramPathAt = 0x410000;

// Of the commands STEPS and BRANCHES: the places that utrace_target_addresses tells.
inline constexpr uint64_t kInstructionSize = 4;
constexpr uint64_t StepAt(int index) {
  // One of them is a call instruction.
  const uint64_t calls = index > UTRACE_TARGET_STEP_CALL ? 2 : 1;
  const uint64_t others = static_cast<uint64_t>(index) + 1 - calls;
  return kStepCode + calls * arch::kMaxSyscallInstruction + others * kInstructionSize;
}
inline constexpr uint64_t kBranchStart = kBranchCode + arch::kMaxSyscallInstruction;
constexpr uint64_t BranchTarget(int index) {
  return kBranchCode + (static_cast<uint64_t>(index) + 1) * 0x20;
}

// Takes commands until the thread ends.
[[noreturn]] void RunSlot(Thread& thread);
// The handler that SIGACTION installs: writes into the slot what it saw.
void RecordSignal(Thread& thread, const siginfo_t& info, const MachineState& interrupted,
                  const MachineState& handler, SignalSet blocked_before);

}  // namespace utrace::model

#endif  // CORE_MODEL_KERNEL_PROGRAM_H_
