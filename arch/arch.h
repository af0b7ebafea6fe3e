// What the Linux host asks of the machine: register layout, system call ABI, stepping, signal
// frames.
//
// Functions work on register images that the caller has fetched from a stopped tracee; none of them
// issues a ptrace request of its own except the probes. One architecture is linked in.
#ifndef ARCH_ARCH_H_
#define ARCH_ARCH_H_

#include <signal.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "arch/general_registers.h"
#include "arch/this_machine.h"
#include "core/machine.h"

namespace utrace::arch {

// this_machine.h defines
//   kMaxSyscallInstruction  bytes of the longest system call instruction
//   kCallsApart             whether the number of a call is a register set of its own (kCallNumberNote), and its
//                           result takes the place of its first argument: whoever fetches the registers then
//                           fills in the fields of GeneralRegisters that NT_PRSTATUS does not have
//   kRewindsEarly           whether a call that is restarted is taken back before a signal is looked at, and not
//                           after that
//   kCanBlockStep           whether there is a request for block steps
//   kTrapsTwiceBehindCalls  whether a step over a system call instruction makes two traps
//   kCloneChildTidArgument  where clone(2) takes the address of the child's id

// The register sets of this architecture, general registers first [REG-01, REG-02].
const utrace_regset_view& View();
// The set of the view whose image a signal frame saves.
const utrace_regset& ExtendedState();

uint64_t Pc(const GeneralRegisters& regs);
void SetPc(GeneralRegisters& regs, uint64_t pc);
uint64_t Sp(const GeneralRegisters& regs);
void SetSp(GeneralRegisters& regs, uint64_t sp);
// The register in which the kit's programs leave a mark (core/utrace_target.h).
uint64_t Marker(const GeneralRegisters& regs);

// ---- System calls. At an entry stop, an exit stop, or in between. -----------------------------

// -1 if the registers show no system call.
long SyscallNumber(const GeneralRegisters& regs);
void SetSyscallNumber(GeneralRegisters& regs, long number);
uint64_t SyscallArgument(const GeneralRegisters& regs, unsigned index);  // index 0 to 5
void SetSyscallArgument(GeneralRegisters& regs, unsigned index, uint64_t value);
// The raw result register: an errno if in [-4095, -1].
int64_t SyscallResult(const GeneralRegisters& regs);
void SetSyscallResult(GeneralRegisters& regs, int64_t result);
// What the processor and the kernel do with the registers when a program, at the instruction, makes a call; and
// when the call, its entry being over, is carried out: for those who play kernel.
void BeginSyscall(GeneralRegisters& regs);
void EndSyscallEntry(GeneralRegisters& regs);
// Undoes the call: the program makes it again when it resumes.
void RollBackSyscall(GeneralRegisters& regs, long number);
// Makes the task, resumed to user mode, execute the system call instruction at `instruction` with the
// given number; its arguments are set by SetSyscallArgument.
void SetRemoteCall(GeneralRegisters& regs, uint64_t instruction, long number);
// Whether the kernel will restart the interrupted call by itself once no signal handler runs
// (-ERESTARTSYS, -ERESTARTNOINTR, -ERESTARTNOHAND, -ERESTART_RESTARTBLOCK in a call).
bool IsRestartPending(const GeneralRegisters& regs);
// Whether `code` (the bytes at the program counter) starts with an instruction that enters the
// kernel for a system call.
bool IsSyscallInstruction(std::span<const uint8_t> code);
// Offset of a system call instruction within `code`, for remote calls; nullopt if there is none.
std::optional<size_t> FindSyscallInstruction(std::span<const uint8_t> code);
// Whether the task runs in a 32-bit or other foreign personality, whose calls have other numbers.
bool IsForeignAbi(const GeneralRegisters& regs);

// Flags in force of the fork, vfork, clone or clone3 that the task is in, with the exit signal in
// the low byte; `read_u64` reads eight bytes of the task's memory, where clone3 keeps its flags.
using ReadU64 = std::function<std::optional<uint64_t>(uint64_t address)>;
std::optional<uint64_t> CloneFlags(const GeneralRegisters& regs, const ReadU64& read_u64);

// ---- Requests of ptrace(2) that only this machine has, or numbers in its own way ------------------

// What a request does to a stopped thread.
enum class StateAccess : uint8_t {
  kOther,    // none of this machine's, or it does more than read or change state
  kReads,    // reads registers
  kChanges,  // changes registers
};
StateAccess MachineRequest(long request);

// ---- Signal handlers ----------------------------------------------------------------------------

// The memory and the registers with which a task starts a handler, as the kernel would set them up.
struct SignalFrame {
  GeneralRegisters regs;  // to be installed
  uint64_t address;       // where `bytes` go in the task's memory
  std::vector<uint8_t> bytes;
  uint64_t blocked;             // the signal mask while the handler runs
  std::vector<uint8_t> xstate;  // to be installed as the set that the request's came from: the
                                // handler starts with initial floating point state
};

struct SignalFrameRequest {
  GeneralRegisters regs;            // of the interrupted task; BuildSignalFrame resolves a pending
                                    // restart of a system call, by the handler's SA_RESTART
  std::span<const uint8_t> xstate;  // the whole NT_X86_XSTATE image or the machine's equivalent
  siginfo_t info;
  utrace_sigaction action;  // handler, flags, restorer (nonzero), mask
  uint64_t blocked;         // the task's signal mask before, as PTRACE_GETSIGMASK reads it
  // What sigaltstack(2) would tell the task. ptrace does not tell: without it SA_ONSTACK is not
  // heeded, the handler runs on the current stack, and its context names no alternate stack. Either
  // way the task's alternate stack stays in force after the handler.
  std::optional<stack_t> alternate_stack = std::nullopt;
};
// nullopt: not a handler, no restorer, no such signal, a task in a foreign ABI, an image or a stack
// too small. A task with a user shadow stack is not provided for.
std::optional<SignalFrame> BuildSignalFrame(const SignalFrameRequest& request);
// Finds code that returns from a signal handler within `code`; offset, or nullopt.
std::optional<size_t> FindSigreturn(std::span<const uint8_t> code);

// ---- Stepping: probed once with a traced child of the caller's own. -----------------------------

struct StepAbilities {
  bool single_step = false;
  bool block_step = false;
};
// Forks a child, traces and steps it; takes a few milliseconds, and a second at most on a machine
// that loses steps. May be called from any thread and beside others. The child is gone when this
// returns; its stops may raise a SIGCHLD, its end does not.
StepAbilities ProbeStepping();

}  // namespace utrace::arch

#endif  // ARCH_ARCH_H_
