// The stack frame of a signal handler: a copy of what the kernel does in arch/x86/kernel/signal.c
// and signal_64.c, since rt_sigreturn(2) reads it back.
#include <errno.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstddef>
#include <cstring>

#include "arch/arch.h"
#include "arch/x86_64/syscall_abi.h"
#include "arch/x86_64/xstate.h"

namespace utrace::arch {
namespace {

// ---- The kernel's data structures. ------------------------------------------------------------

struct MachineContext {
  uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
  uint64_t rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip;
  uint64_t eflags;
  uint16_t cs, gs, fs, ss;
  uint64_t err, trapno, oldmask, cr2;
  uint64_t fpstate;  // an address
  uint64_t reserved[8];
};
static_assert(sizeof(MachineContext) == 256);

struct UserContext {
  uint64_t flags;
  uint64_t link;
  stack_t stack;
  MachineContext machine;
  uint64_t blocked;
};
static_assert(sizeof(UserContext) == 304);

struct Frame {
  uint64_t return_address;
  UserContext context;
  siginfo_t info;
};
static_assert(sizeof(Frame) == 440);

// In the legacy area of the extended state, at kSoftwareBytes.
struct SoftwareBytes {
  uint32_t magic1;
  uint32_t extended_size;  // with magic2
  uint64_t features;
  uint32_t size;
  uint32_t padding[7];
};
static_assert(sizeof(SoftwareBytes) == kSoftwareBytesSize);

constexpr uint32_t kMagic1 = 0x46505853;
constexpr uint32_t kMagic2 = 0x46505845;

constexpr uint64_t kContextHasXstate = 1;
constexpr uint64_t kContextHasSs = 2;
constexpr uint64_t kContextStrictSs = 4;

constexpr uint64_t kRedZone = 128;
constexpr uint64_t kXstateAlign = 64;
constexpr uint64_t kFrameAlign = 16;

constexpr uint64_t kTrapFlag = 1 << 8;
constexpr uint64_t kDirectionFlag = 1 << 10;
constexpr uint64_t kResumeFlag = 1 << 16;

constexpr uint64_t kCs64 = 0x33;

constexpr int kLastSignal = 64;

constexpr uint64_t SignalBit(int signal) { return uint64_t{1} << (signal - 1); }

constexpr uint64_t RoundDown(uint64_t value, uint64_t align) { return value & ~(align - 1); }

// ---- Parts of the frame. ------------------------------------------------------------------------

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

// The extended state in the form in which rt_sigreturn takes it.
std::optional<std::vector<uint8_t>> FrameXstate(std::span<const uint8_t> image) {
  if (image.size() < kFxsaveSize) return std::nullopt;
  if (image.size() < kFxsaveSize + kXstateHeaderSize) {
    return std::vector<uint8_t>(image.begin(), image.begin() + kFxsaveSize);
  }
  // The image always has room for the tile registers, but a frame with them is larger than the
  // kernel accepts from a task that has no permission to use them.
  uint64_t features = XstateEnabled(image);
  uint64_t in_use = XstateInUse(image);
  features &= ~kXfeatureTileData | in_use;
  features |= kXfeatureX87 | kXfeatureSse;
  const size_t size = std::min(XstateSizeFor(features), image.size());

  std::vector<uint8_t> bytes(image.begin(), image.begin() + static_cast<ptrdiff_t>(size));
  bytes.resize(size + sizeof(kMagic2));
  SoftwareBytes software = {};
  software.magic1 = kMagic1;
  software.extended_size = static_cast<uint32_t>(bytes.size());
  software.features = features;
  software.size = static_cast<uint32_t>(size);
  std::memcpy(bytes.data() + kSoftwareBytes, &software, sizeof(software));
  // As the kernel has it: handlers that change these registers in the frame may rely on the change
  // being taken.
  in_use |= kXfeatureX87 | kXfeatureSse;
  std::memcpy(bytes.data() + kFxsaveSize, &in_use, sizeof(in_use));
  std::memcpy(bytes.data() + size, &kMagic2, sizeof(kMagic2));
  return bytes;
}

// Where the handler's stack begins.
uint64_t StackTop(const SignalFrameRequest& request) {
  const uint64_t below_red_zone = request.regs.rsp - kRedZone;
  if ((request.action.flags & SA_ONSTACK) == 0 || !request.alternate_stack) return below_red_zone;
  const stack_t& stack = *request.alternate_stack;
  // The kernel would disarm the latter kind, which cannot be done for it.
  constexpr int kAutoDisarm = INT_MIN;
  if ((stack.ss_flags & (SS_DISABLE | kAutoDisarm)) != 0) return below_red_zone;
  const uint64_t base = reinterpret_cast<uintptr_t>(stack.ss_sp);
  const bool on_it = below_red_zone > base && below_red_zone - base <= stack.ss_size;
  return on_it ? below_red_zone : base + stack.ss_size;
}

MachineContext SaveRegisters(const GeneralRegisters& regs, uint64_t blocked, uint64_t fpstate) {
  MachineContext machine = {};
  machine.r8 = regs.r8;
  machine.r9 = regs.r9;
  machine.r10 = regs.r10;
  machine.r11 = regs.r11;
  machine.r12 = regs.r12;
  machine.r13 = regs.r13;
  machine.r14 = regs.r14;
  machine.r15 = regs.r15;
  machine.rdi = regs.rdi;
  machine.rsi = regs.rsi;
  machine.rbp = regs.rbp;
  machine.rbx = regs.rbx;
  machine.rdx = regs.rdx;
  machine.rax = regs.rax;
  machine.rcx = regs.rcx;
  machine.rsp = regs.rsp;
  machine.rip = regs.rip;
  machine.eflags = regs.eflags;
  machine.cs = static_cast<uint16_t>(regs.cs);
  machine.ss = static_cast<uint16_t>(regs.ss);
  machine.oldmask = blocked;
  machine.fpstate = fpstate;
  return machine;
}

// A handler that looks for the faulting address or the trap here finds what the siginfo tells.
void SaveFault(MachineContext& machine, const siginfo_t& info) {
  constexpr uint64_t kPageFault = 14;
  constexpr uint64_t kFaultInUserMode = 4;
  constexpr uint64_t kFaultByProtection = 1;
  if (info.si_signo != SIGSEGV) return;
  if (info.si_code != SEGV_MAPERR && info.si_code != SEGV_ACCERR) return;
  machine.trapno = kPageFault;
  machine.err = kFaultInUserMode | (info.si_code == SEGV_ACCERR ? kFaultByProtection : 0);
  machine.cr2 = reinterpret_cast<uintptr_t>(info.si_addr);
}

}  // namespace

std::optional<SignalFrame> BuildSignalFrame(const SignalFrameRequest& request) {
  const int signal = request.info.si_signo;
  if (signal < 1 || signal > kLastSignal) return std::nullopt;
  if (request.action.handler <= UTRACE_SIG_UNKNOWN_HANDLER) return std::nullopt;
  if (request.action.restorer == 0 || request.regs.cs != kCs64) return std::nullopt;
  std::optional<std::vector<uint8_t>> xstate = FrameXstate(request.xstate);
  if (!xstate) return std::nullopt;

  const uint64_t top = StackTop(request);
  if (top < xstate->size() + sizeof(Frame) + kXstateAlign + kFrameAlign) return std::nullopt;
  const uint64_t xstate_address = RoundDown(top - xstate->size(), kXstateAlign);
  // As after a call instruction: the return address is at an odd multiple of eight.
  const uint64_t address = RoundDown(xstate_address - sizeof(Frame), kFrameAlign) - 8;

  GeneralRegisters regs = request.regs;
  ResolveInterruptedSyscall(regs, request.action.flags);

  Frame frame = {};
  frame.return_address = request.action.restorer;
  frame.context.flags = kContextHasSs | kContextStrictSs;
  if (xstate->size() > kFxsaveSize) frame.context.flags |= kContextHasXstate;
  // rt_sigreturn installs this as the alternate stack. All zero is none that it would take, and so
  // leaves the task's own in place.
  if (request.alternate_stack) frame.context.stack = *request.alternate_stack;
  frame.context.machine = SaveRegisters(regs, request.blocked, xstate_address);
  SaveFault(frame.context.machine, request.info);
  frame.context.blocked = request.blocked;
  frame.info = request.info;

  SignalFrame result = {};
  result.address = address;
  result.bytes.resize(xstate_address - address + xstate->size());
  std::memcpy(result.bytes.data(), &frame, sizeof(frame));
  std::copy(xstate->begin(), xstate->end(),
            result.bytes.begin() + static_cast<ptrdiff_t>(xstate_address - address));
  result.xstate = InitialXstate(request.xstate);

  result.blocked = request.blocked | request.action.mask;
  if ((request.action.flags & SA_NODEFER) == 0) result.blocked |= SignalBit(signal);
  result.blocked &= ~(SignalBit(SIGKILL) | SignalBit(SIGSTOP));

  result.regs = regs;
  result.regs.rdi = static_cast<uint64_t>(signal);
  result.regs.rsi = address + offsetof(Frame, info);
  result.regs.rdx = address + offsetof(Frame, context);
  result.regs.rax = 0;  // the number of vector arguments, should the handler have no prototype
  result.regs.rip = request.action.handler;
  result.regs.rsp = address;
  result.regs.eflags &= ~(kDirectionFlag | kTrapFlag | kResumeFlag);
  SetSyscallNumber(result.regs, -1);
  return result;
}

std::optional<size_t> FindSigreturn(std::span<const uint8_t> code) {
  // mov $15, %rax; syscall. Every C library has it byte for byte, as debuggers look for it too.
  constexpr std::array<uint8_t, 9> kSigreturn = {0x48, 0xc7, 0xc0, 0x0f, 0x00,
                                                 0x00, 0x00, 0x0f, 0x05};
  const auto found = std::search(code.begin(), code.end(), kSigreturn.begin(), kSigreturn.end());
  if (found == code.end()) return std::nullopt;
  return static_cast<size_t>(found - code.begin());
}

}  // namespace utrace::arch
