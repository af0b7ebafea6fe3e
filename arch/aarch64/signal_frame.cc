// The stack frame of a signal handler: a copy of what the kernel does in arch/arm64/kernel/signal.c, since
// rt_sigreturn(2) reads it back.
#include <asm/sigcontext.h>
#include <errno.h>
#include <signal.h>
#include <ucontext.h>

#include <climits>
#include <cstddef>
#include <cstring>

#include "arch/arch.h"
#include "arch/restart_codes.h"

namespace utrace::arch {
namespace {

struct Frame {
  siginfo_t info;
  ucontext_t context;
};
static_assert(offsetof(Frame, context) == 128);
static_assert(offsetof(ucontext_t, uc_mcontext) == 176);
static_assert(sizeof(fpsimd_context) == 528);

// What unwinders follow from the handler to the interrupted function.
struct FrameRecord {
  uint64_t frame_pointer;
  uint64_t return_address;
};

constexpr uint64_t kStackAlign = 16;
constexpr int kLastSignal = 64;
constexpr unsigned kFramePointer = 29;
constexpr unsigned kLinkRegister = 30;
// Of the processor's state: where an indirect branch came from, whether tags are unchecked, and a single step.
constexpr uint64_t kBranchType = 0xc00;
constexpr uint64_t kTagsUnchecked = uint64_t{1} << 25;
constexpr uint64_t kSingleStep = uint64_t{1} << 21;

constexpr uint64_t SignalBit(int signal) { return uint64_t{1} << (signal - 1); }
constexpr uint64_t RoundDown(uint64_t value, uint64_t align) { return value & ~(align - 1); }

// An interrupted call ends as the handler's flags have it: restarted after it, or with an error.
void ResolveInterruptedSyscall(GeneralRegisters& regs, uint64_t action_flags) {
  if (!IsRestartPending(regs)) return;
  const int64_t code = -SyscallResult(regs);
  if (code == kRestartNoIntr || (code == kRestartSys && (action_flags & SA_RESTART) != 0)) {
    RollBackSyscall(regs, SyscallNumber(regs));
  } else {
    SetSyscallResult(regs, -EINTR);
  }
}

// Where the handler's stack begins.
uint64_t StackTop(const SignalFrameRequest& request) {
  const uint64_t sp = request.regs.sp;
  if ((request.action.flags & SA_ONSTACK) == 0 || !request.alternate_stack) return sp;
  const stack_t& stack = *request.alternate_stack;
  // The kernel would disarm the latter kind, which cannot be done for it.
  constexpr int kAutoDisarm = INT_MIN;
  if ((stack.ss_flags & (SS_DISABLE | kAutoDisarm)) != 0) return sp;
  const uint64_t base = reinterpret_cast<uintptr_t>(stack.ss_sp);
  return sp > base && sp - base <= stack.ss_size ? sp : base + stack.ss_size;
}

}  // namespace

std::optional<SignalFrame> BuildSignalFrame(const SignalFrameRequest& request) {
  const int signal = request.info.si_signo;
  if (signal < 1 || signal > kLastSignal) return std::nullopt;
  if (request.action.handler <= UTRACE_SIG_UNKNOWN_HANDLER) return std::nullopt;
  if (request.action.restorer == 0 || IsForeignAbi(request.regs)) return std::nullopt;
  if (request.xstate.size() < sizeof(user_fpsimd_struct)) return std::nullopt;
  const uint64_t top = StackTop(request);
  if (top < sizeof(Frame) + sizeof(FrameRecord) + 2 * kStackAlign) return std::nullopt;
  const uint64_t record_address = RoundDown(top - sizeof(FrameRecord), kStackAlign);
  const uint64_t address = RoundDown(record_address - sizeof(Frame), kStackAlign);

  GeneralRegisters regs = request.regs;
  ResolveInterruptedSyscall(regs, request.action.flags);

  Frame frame = {};
  frame.info = request.info;
  // rt_sigreturn installs this as the alternate stack. All zero is none that it would take, and so leaves the
  // task's own in place.
  if (request.alternate_stack) frame.context.uc_stack = *request.alternate_stack;
  std::memcpy(&frame.context.uc_sigmask, &request.blocked, sizeof(request.blocked));
  mcontext_t& machine = frame.context.uc_mcontext;
  std::memcpy(machine.regs, regs.regs, sizeof(machine.regs));
  machine.sp = regs.sp;
  machine.pc = regs.pc;
  machine.pstate = regs.pstate;
  // A handler that looks for the faulting address here finds what the siginfo tells.
  if (signal == SIGSEGV || signal == SIGBUS) {
    machine.fault_address = reinterpret_cast<uintptr_t>(request.info.si_addr);
  }
  user_fpsimd_struct vectors = {};
  std::memcpy(&vectors, request.xstate.data(), sizeof(vectors));
  fpsimd_context saved = {};
  saved.head = {.magic = FPSIMD_MAGIC, .size = sizeof(saved)};
  saved.fpsr = vectors.fpsr;
  saved.fpcr = vectors.fpcr;
  std::memcpy(saved.vregs, vectors.vregs, sizeof(saved.vregs));
  // The list of records ends with one of zeros, which is there.
  std::memcpy(machine.__reserved, &saved, sizeof(saved));

  const FrameRecord record = {regs.regs[kFramePointer], regs.regs[kLinkRegister]};
  SignalFrame result = {};
  result.address = address;
  result.bytes.resize(record_address - address + sizeof(record));
  std::memcpy(result.bytes.data(), &frame, sizeof(frame));
  std::memcpy(result.bytes.data() + (record_address - address), &record, sizeof(record));
  // Handlers start with the vectors as they are on this machine.
  result.xstate.assign(request.xstate.begin(), request.xstate.end());

  result.blocked = request.blocked | request.action.mask;
  if ((request.action.flags & SA_NODEFER) == 0) result.blocked |= SignalBit(signal);
  result.blocked &= ~(SignalBit(SIGKILL) | SignalBit(SIGSTOP));

  result.regs = regs;
  result.regs.entering = false;
  result.regs.call = -1;
  result.regs.regs[0] = static_cast<uint64_t>(signal);
  result.regs.regs[1] = address + offsetof(Frame, info);
  result.regs.regs[2] = address + offsetof(Frame, context);
  result.regs.regs[kFramePointer] = record_address;
  result.regs.regs[kLinkRegister] = request.action.restorer;
  result.regs.sp = address;
  result.regs.pc = request.action.handler;
  result.regs.pstate &= ~(kBranchType | kTagsUnchecked | kSingleStep);
  return result;
}

std::optional<size_t> FindSigreturn(std::span<const uint8_t> code) {
  // mov x8, #139; svc #0: the kernel's vdso has it, as debuggers look for it too.
  constexpr uint32_t kSigreturn[] = {0xd2801168, 0xd4000001};
  for (size_t at = 0; at + sizeof(kSigreturn) <= code.size(); at += sizeof(uint32_t)) {
    if (std::memcmp(code.data() + at, kSigreturn, sizeof(kSigreturn)) == 0) return at;
  }
  return std::nullopt;
}

}  // namespace utrace::arch
