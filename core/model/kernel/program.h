// The user code of model threads: what the commands of core/utrace_target.h do.
#ifndef CORE_MODEL_KERNEL_PROGRAM_H_
#define CORE_MODEL_KERNEL_PROGRAM_H_

#include <csignal>
#include <cstdint>

#include "core/model/kernel/machine_state.h"
#include "core/model/kernel/pending_signals.h"

namespace utrace::model {

class Thread;

inline constexpr char kProgramPath[] = "/model/program";
// Where the program has its own path.
inline constexpr uint64_t kProgramPathAt = 0x410000;

// Takes commands until the thread ends.
[[noreturn]] void RunSlot(Thread& thread);
// The handler that SIGACTION installs: writes into the slot what it saw.
void RecordSignal(Thread& thread, const siginfo_t& info, const MachineState& interrupted,
                  const MachineState& handler, SignalSet blocked_before);

}  // namespace utrace::model

#endif  // CORE_MODEL_KERNEL_PROGRAM_H_
