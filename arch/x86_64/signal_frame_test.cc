#include <errno.h>
#include <link.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "arch/arch.h"
#include "arch/x86_64/tracee_for_test.h"
#include "arch/x86_64/xstate.h"
#include "gtest/gtest.h"

// spin_with_known_registers(Spin*, pattern, level): fills every register of the program (level 0
// SSE, 1 AVX, 2 AVX-512) and the red zone, sets Spin.ready, waits for Spin.go and traps.
__asm__(R"(
.pushsection .text.spin, "ax", @progbits
.globl spin_with_known_registers
.hidden spin_with_known_registers
spin_with_known_registers:
  pushq %rbx
  pushq %rbp
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  pushfq
  cmpl $1, %edx
  jb 2f
  je 1f
.irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
  vmovdqu64 (\n * 64)(%rsi), %zmm\n
.endr
.irp n, 0,1,2,3,4,5,6,7
  kmovw (\n * 64)(%rsi), %k\n
.endr
  jmp 3f
1:
.irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
  vmovdqu (\n * 64)(%rsi), %ymm\n
.endr
  jmp 3f
2:
.irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
  movdqu (\n * 64)(%rsi), %xmm\n
.endr
3:
  ldmxcsr 8(%rdi)
  fldcw 12(%rdi)
  fldpi
  fld1
.irp n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16
  movq $(\n * 0x01010101), (-8 * \n)(%rsp)
.endr
  movabsq $0x1111111111111111, %rax
  movabsq $0x2222222222222222, %rbx
  movabsq $0x3333333333333333, %rcx
  movabsq $0x4444444444444444, %rdx
  movabsq $0x5555555555555555, %rsi
  movabsq $0x6666666666666666, %rbp
  movabsq $0x8888888888888888, %r8
  movabsq $0x9999999999999999, %r9
  movabsq $0xaaaaaaaaaaaaaaaa, %r10
  movabsq $0xbbbbbbbbbbbbbbbb, %r11
  movabsq $0xcccccccccccccccc, %r12
  movabsq $0xdddddddddddddddd, %r13
  movabsq $0xeeeeeeeeeeeeeeee, %r14
  movabsq $0x7777777777777777, %r15
  std
  movl $1, 4(%rdi)
4:
  pause
  cmpl $0, (%rdi)
  je 4b
  int3
  fninit
  ldmxcsr 16(%rdi)
  popfq
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbp
  popq %rbx
  ret

.globl signal_test_restorer
.hidden signal_test_restorer
signal_test_restorer:
  movq $15, %rax
  syscall
  ud2
.popsection
)");

namespace utrace::arch {
namespace {

struct Spin {
  volatile uint32_t go = 0;
  volatile uint32_t ready = 0;
  uint32_t mxcsr = 0x9f80;  // flush to zero: not the initial value
  uint16_t control_word = 0x27f;
  uint32_t initial_mxcsr = 0x1f80;
};
static_assert(offsetof(Spin, initial_mxcsr) == 16);

extern "C" void spin_with_known_registers(Spin* spin, const uint8_t* pattern, int level);
extern "C" const char signal_test_restorer[];

// What rt_sigaction takes.
struct KernelAction {
  uint64_t handler;
  uint64_t flags;
  uint64_t restorer;
  uint64_t mask;
};
constexpr uint64_t kSaRestorer = 0x04000000;

constexpr uint64_t Bit(int signal) { return uint64_t{1} << (signal - 1); }

// Everything that a child and the test tell each other.
struct Record {
  Spin spin;
  alignas(16) user_fpregs_struct fpregs;  // at the handler's start
  volatile int calls = 0;
  int signal = 0;
  siginfo_t info = {};
  uint64_t blocked = 0;
  bool aligned = false;
  bool direction_flag = false;
  uint64_t stack = 0;
  int level = 0;
  int write_to = -1;
  // Of the body.
  long result = 0;
  timespec left = {};
  stack_t stack_after = {};
  uint64_t blocked_after = 0;
  bool done = false;
};

Record* record;  // the handler's

__attribute__((noinline)) void Handler(int signal, siginfo_t* info, void*) {
  __asm__ volatile("fxsave64 %0" : "=m"(record->fpregs));
  record->direction_flag = (__builtin_ia32_readeflags_u64() & 0x400) != 0;
  record->stack = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  record->aligned = record->stack % 16 == 0;
  record->signal = signal;
  record->info = *info;
  syscall(SYS_rt_sigprocmask, SIG_BLOCK, nullptr, &record->blocked, sizeof(record->blocked));
  if (record->write_to >= 0) syscall(SYS_write, record->write_to, "x", 1L);
  record->calls = record->calls + 1;
  record->spin.go = 1;
  // Nothing of the interrupted program's may be left.
  if (record->level > 0) {
    __asm__ volatile("vzeroall");
  } else {
    __asm__ volatile("pxor %xmm0, %xmm0; pxor %xmm7, %xmm7; pxor %xmm15, %xmm15");
  }
  __asm__ volatile("fninit");
}

KernelAction ActionFor(uint64_t flags, uint64_t mask) {
  return {.handler = reinterpret_cast<uintptr_t>(&Handler),
          .flags = flags | SA_SIGINFO | kSaRestorer,
          .restorer = reinterpret_cast<uintptr_t>(signal_test_restorer),
          .mask = mask};
}

int Level() {
  if (__builtin_cpu_supports("avx512f")) return 2;
  return __builtin_cpu_supports("avx") ? 1 : 0;
}

std::vector<uint8_t> Pattern() {
  std::vector<uint8_t> pattern(32 * 64);
  for (size_t i = 0; i < pattern.size(); ++i) pattern[i] = static_cast<uint8_t>(i * 7 + i / 64 + 1);
  return pattern;
}

siginfo_t Queued(int signal) {
  siginfo_t info = {};
  info.si_signo = signal;
  info.si_code = SI_QUEUE;
  info.si_pid = 77;
  info.si_uid = 88;
  info.si_value.sival_int = 4711;
  return info;
}

// ---- Of the frame alone. ----------------------------------------------------------------------

class FrameTest : public testing::Test {
 protected:
  FrameTest() {
    if (XstateSize() == 0) {
      image_ = std::vector<uint8_t>(kFxsaveSize);
    } else {
      Tracee tracee([] { pause(); });
      tracee.Interrupt();
      image_ = tracee.Xstate();
    }
    request_.regs.rip = 0x401000;
    request_.regs.rsp = 0x7ffc12345678;
    request_.regs.orig_rax = ~uint64_t{0};
    request_.regs.cs = 0x33;
    request_.regs.ss = 0x2b;
    request_.regs.eflags = 0x10746;
    request_.xstate = image_;
    request_.info = Queued(SIGUSR1);
    request_.action = {.handler = 0x402000, .flags = SA_SIGINFO, .restorer = 0x403000, .mask = 0};
  }

  SignalFrame Build() {
    auto frame = BuildSignalFrame(request_);
    EXPECT_TRUE(frame);
    return frame.value_or(SignalFrame());
  }

  static ucontext_t Context(const SignalFrame& frame) {
    // The C library's type has room at its end for what the kernel does not write.
    ucontext_t context = {};
    std::memcpy(&context, frame.bytes.data() + 8, 304);
    return context;
  }

  std::vector<uint8_t> image_;
  SignalFrameRequest request_ = {};
};

TEST_F(FrameTest, RegistersAreThoseOfAFunctionCall) {
  const SignalFrame frame = Build();
  EXPECT_EQ(frame.regs.rip, 0x402000u);
  EXPECT_EQ(frame.regs.rsp, frame.address);
  EXPECT_EQ(frame.address % 16, 8u);
  EXPECT_EQ(frame.regs.rdi, static_cast<uint64_t>(SIGUSR1));
  EXPECT_EQ(frame.regs.rdx, frame.address + 8);
  EXPECT_EQ(frame.regs.rsi, frame.address + 8 + 304);
  EXPECT_EQ(frame.regs.rax, 0u);
  EXPECT_EQ(frame.regs.orig_rax, ~uint64_t{0});
  EXPECT_EQ(frame.regs.cs, 0x33u);
  EXPECT_EQ(frame.regs.ss, 0x2bu);
  EXPECT_EQ(frame.regs.eflags, 0x246u);  // without DF, TF and RF
  EXPECT_LE(frame.address + frame.bytes.size(), request_.regs.rsp - 128);
}

TEST_F(FrameTest, LiesAsDeepAsAnyAlignmentNeeds) {
  for (uint64_t sp = 0x7ffc00000000; sp < 0x7ffc00000080; ++sp) {
    request_.regs.rsp = sp;
    const SignalFrame frame = Build();
    EXPECT_EQ(frame.address % 16, 8u);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(Context(frame).uc_mcontext.fpregs) % 64, 0u);
    EXPECT_LE(frame.address + frame.bytes.size(), sp - 128);
    EXPECT_GT(frame.address + frame.bytes.size(), sp - 128 - 64);
  }
}

TEST_F(FrameTest, RefusesWhatCannotBeAHandler) {
  const SignalFrameRequest good = request_;
  const std::vector<std::function<void(SignalFrameRequest&)>> faults = {
      [](auto& r) { r.action.handler = UTRACE_SIG_DFL; },
      [](auto& r) { r.action.handler = UTRACE_SIG_IGN; },
      [](auto& r) { r.action.handler = UTRACE_SIG_UNKNOWN_HANDLER; },
      [](auto& r) { r.action.restorer = 0; },
      [](auto& r) { r.info.si_signo = 0; },
      [](auto& r) { r.info.si_signo = -1; },
      [](auto& r) { r.info.si_signo = 65; },
      [](auto& r) { r.regs.cs = 0x23; },
      [](auto& r) { r.xstate = {}; },
      [](auto& r) { r.xstate = r.xstate.first(511); },
      [](auto& r) { r.regs.rsp = 600; },
  };
  for (size_t i = 0; i < faults.size(); ++i) {
    request_ = good;
    faults[i](request_);
    EXPECT_FALSE(BuildSignalFrame(request_)) << "fault " << i;
  }
  request_ = good;
  request_.info.si_signo = 64;
  EXPECT_TRUE(BuildSignalFrame(request_));
}

TEST_F(FrameTest, BlocksOldMaskHandlersMaskAndTheSignal) {
  request_.blocked = Bit(SIGHUP);
  request_.action.mask = Bit(SIGTERM) | Bit(SIGKILL) | Bit(SIGSTOP);
  SignalFrame frame = Build();
  EXPECT_EQ(frame.blocked, Bit(SIGHUP) | Bit(SIGTERM) | Bit(SIGUSR1));
  uint64_t saved = 0;
  std::memcpy(&saved, frame.bytes.data() + 8 + 296, sizeof(saved));
  EXPECT_EQ(saved, Bit(SIGHUP));

  request_.action.flags |= SA_NODEFER;
  EXPECT_EQ(Build().blocked, Bit(SIGHUP) | Bit(SIGTERM));
  request_.info.si_signo = 64;
  request_.action.flags = 0;
  EXPECT_EQ(Build().blocked, Bit(SIGHUP) | Bit(SIGTERM) | (uint64_t{1} << 63));
}

TEST_F(FrameTest, ResolvesTheInterruptedCall) {
  struct Case {
    int code;
    uint64_t flags;
    bool restarts;
  };
  constexpr std::array<Case, 8> kCases = {{{512, 0, false},
                                           {512, SA_RESTART, true},
                                           {513, 0, true},
                                           {513, SA_RESTART, true},
                                           {514, 0, false},
                                           {514, SA_RESTART, false},
                                           {516, 0, false},
                                           {516, SA_RESTART, false}}};
  for (const Case& c : kCases) {
    request_.regs.orig_rax = SYS_read;
    request_.regs.rax = static_cast<uint64_t>(-int64_t{c.code});
    request_.action.flags = SA_SIGINFO | c.flags;
    const SignalFrame frame = Build();
    const auto& saved = Context(frame).uc_mcontext.gregs;
    EXPECT_EQ(saved[REG_RAX], c.restarts ? SYS_read : -EINTR) << c.code << " " << c.flags;
    EXPECT_EQ(saved[REG_RIP], c.restarts ? 0x400ffe : 0x401000) << c.code << " " << c.flags;
    EXPECT_EQ(SyscallNumber(frame.regs), -1);
  }
}

TEST_F(FrameTest, LeavesOtherResultsAlone) {
  for (const int64_t result : {int64_t{0}, int64_t{5}, int64_t{-EINTR}, int64_t{-515}}) {
    request_.regs.orig_rax = SYS_read;
    request_.regs.rax = static_cast<uint64_t>(result);
    const auto saved = Context(Build()).uc_mcontext.gregs[REG_RAX];
    EXPECT_EQ(saved, result);
  }
  // Not in a call, with a register that looks like it.
  request_.regs.orig_rax = ~uint64_t{0};
  request_.regs.rax = static_cast<uint64_t>(-512);
  EXPECT_EQ(Context(Build()).uc_mcontext.gregs[REG_RAX], -512);
}

TEST_F(FrameTest, TellsTheFaultingAddress) {
  request_.info = {};
  request_.info.si_signo = SIGSEGV;
  request_.info.si_code = SEGV_ACCERR;
  request_.info.si_addr = reinterpret_cast<void*>(0x1234);
  const ucontext_t context = Context(Build());
  EXPECT_EQ(context.uc_mcontext.gregs[REG_CR2], 0x1234);
  EXPECT_EQ(context.uc_mcontext.gregs[REG_TRAPNO], 14);
  EXPECT_EQ(context.uc_mcontext.gregs[REG_ERR], 5);
}

TEST_F(FrameTest, LeavesOutTileRegistersThatAreNotInUse) {
  if (XstateSize() == 0) GTEST_SKIP() << "no XSAVE";
  // What the kernel gives on a machine with AMX, of a task that may not use it.
  std::vector<uint8_t> image = image_;
  const uint64_t enabled = XstateEnabled(image) & ~kXfeatureTileData;
  const uint64_t with_tiles = enabled | kXfeatureTileData;
  std::memcpy(image.data() + kSoftwareBytes, &with_tiles, sizeof(with_tiles));
  image.resize(XstateSizeFor(enabled) + 8192 + 64);
  request_.xstate = image;
  const SignalFrame frame = Build();
  const ucontext_t context = Context(frame);
  const uint64_t offset = reinterpret_cast<uintptr_t>(context.uc_mcontext.fpregs) - frame.address;
  _fpx_sw_bytes software;
  std::memcpy(&software, frame.bytes.data() + offset + kSoftwareBytes, sizeof(software));
  EXPECT_EQ(software.xstate_size, XstateSizeFor(enabled));
  EXPECT_EQ(software.xstate_bv, enabled);
  EXPECT_EQ(frame.bytes.size(), offset + XstateSizeFor(enabled) + 4);
}

// A handler that changes these registers in its context expects the change to be taken.
TEST_F(FrameTest, LegacyRegistersCountAsInUse) {
  if (XstateSize() == 0) GTEST_SKIP() << "no XSAVE";
  std::vector<uint8_t> image = image_;
  std::memset(image.data() + kFxsaveSize, 0, 8);
  request_.xstate = image;
  const SignalFrame frame = Build();
  const ucontext_t context = Context(frame);
  const uint64_t offset = reinterpret_cast<uintptr_t>(context.uc_mcontext.fpregs) - frame.address;
  EXPECT_EQ(XstateInUse(std::span(frame.bytes).subspan(offset)), kXfeatureX87 | kXfeatureSse);
}

TEST_F(FrameTest, WithoutXsaveHoldsTheLegacyArea) {
  std::vector<uint8_t> legacy(image_.begin(), image_.begin() + kFxsaveSize);
  request_.xstate = legacy;
  const SignalFrame frame = Build();
  const ucontext_t context = Context(frame);
  EXPECT_EQ(context.uc_flags, 6u);
  const uint64_t offset = reinterpret_cast<uintptr_t>(context.uc_mcontext.fpregs) - frame.address;
  EXPECT_EQ(frame.bytes.size(), offset + kFxsaveSize);
  EXPECT_EQ(std::memcmp(frame.bytes.data() + offset, legacy.data(), kFxsaveSize), 0);
  EXPECT_EQ(frame.xstate.size(), kFxsaveSize);
}

TEST_F(FrameTest, UsesTheAlternateStackIfItIsKnownAndAskedFor) {
  constexpr uint64_t kBase = 0x10000000;
  constexpr size_t kSize = 0x10000;
  const stack_t stack = {.ss_sp = reinterpret_cast<void*>(kBase), .ss_flags = 0, .ss_size = kSize};
  const auto on_it = [&] { return Build().address - kBase < kSize; };
  request_.alternate_stack = stack;
  EXPECT_FALSE(on_it());
  request_.action.flags |= SA_ONSTACK;
  EXPECT_TRUE(on_it());
  EXPECT_EQ(Context(Build()).uc_stack.ss_size, kSize);
  // A handler that interrupts another one there goes below it.
  request_.regs.rsp = kBase + kSize / 2;
  EXPECT_LT(Build().address, kBase + kSize / 2);
  EXPECT_TRUE(on_it());
  request_.regs.rsp = 0x7ffc12345678;
  request_.alternate_stack->ss_flags = SS_DISABLE;
  EXPECT_FALSE(on_it());
  request_.alternate_stack.reset();
  EXPECT_FALSE(on_it());
}

// ---- With a child whose handler runs. -----------------------------------------------------------

class HandlerTest : public testing::Test {
 protected:
  // In the child: has the kernel call Handler for `signal` too.
  static void Install(int signal, const KernelAction& action) {
    syscall(SYS_rt_sigaction, signal, &action, nullptr, 8L);
  }

  // The child's body for the tests that interrupt a computation.
  std::function<void()> Spinning(const KernelAction& action) {
    record_->level = Level();
    return [this, action, pattern = Pattern()] {
      record = record_.get();
      Install(SIGUSR1, action);
      const uint64_t blocked = Bit(SIGUSR2);
      syscall(SYS_rt_sigprocmask, SIG_SETMASK, &blocked, nullptr, 8L);
      const stack_t stack = {.ss_sp = stack_, .ss_flags = 0, .ss_size = sizeof(stack_)};
      sigaltstack(&stack, nullptr);
      spin_with_known_registers(&record->spin, pattern.data(), record->level);
      sigaltstack(nullptr, &record->stack_after);
      syscall(SYS_rt_sigprocmask, SIG_BLOCK, nullptr, &record->blocked_after, 8L);
      record->done = true;
    };
  }

  void WaitUntilSpinning() {
    while (record_->spin.ready == 0) usleep(200);
    usleep(1000);
  }

  // The request for the stopped `tracee`.
  static SignalFrameRequest Request(Tracee& tracee, const std::vector<uint8_t>& xstate,
                                    const siginfo_t& info, const KernelAction& action) {
    SignalFrameRequest request = {};
    request.regs = tracee.Registers();
    request.xstate = xstate;
    request.info = info;
    request.action = {.handler = action.handler,
                      .flags = action.flags,
                      .restorer = action.restorer,
                      .mask = action.mask};
    request.blocked = tracee.Blocked();
    return request;
  }

  static void InstallFrame(Tracee& tracee, const SignalFrame& frame) {
    tracee.Write(frame.address, frame.bytes);
    tracee.SetXstate(frame.xstate);
    tracee.SetRegisters(frame.regs);
    tracee.SetBlocked(frame.blocked);
  }

  // Interrupts the tracee and makes it run the handler of `action` with `info`.
  static void RunHandler(Tracee& tracee, const siginfo_t& info, const KernelAction& action) {
    tracee.Interrupt();
    const std::vector<uint8_t> xstate = tracee.Xstate();
    const auto frame = BuildSignalFrame(Request(tracee, xstate, info, action));
    ASSERT_TRUE(frame);
    InstallFrame(tracee, *frame);
    tracee.Resume(PTRACE_CONT);
  }

  void ExpectInitialFpState() const {
    EXPECT_EQ(record_->fpregs.cwd, 0x37f);
    EXPECT_EQ(record_->fpregs.ftw, 0);
    EXPECT_EQ(record_->fpregs.mxcsr, 0x1f80u);
    for (const unsigned word : record_->fpregs.xmm_space) EXPECT_EQ(word, 0u);
  }

  static inline char stack_[1 << 16];
  Shared<Record> record_;
};

void ExpectSameRegisters(const GeneralRegisters& left, const GeneralRegisters& right) {
  const auto* const a = reinterpret_cast<const uint64_t*>(&left);
  const auto* const b = reinterpret_cast<const uint64_t*>(&right);
  for (size_t i = 0; i < sizeof(left) / 8; ++i) EXPECT_EQ(a[i], b[i]) << "slot " << i;
}

void ExpectSameBytes(const std::vector<uint8_t>& left, const std::vector<uint8_t>& right) {
  ASSERT_EQ(left.size(), right.size());
  for (size_t i = 0; i < left.size(); ++i) {
    ASSERT_EQ(left[i], right[i]) << "at " << i;
  }
}

// Beside the kernel's own frame for the same signal.
TEST_F(HandlerTest, FrameIsTheKernels) {
  for (const uint64_t flags : {uint64_t{0}, uint64_t{SA_NODEFER}, uint64_t{SA_ONSTACK}}) {
    SCOPED_TRACE(flags);
    Shared<Record> fresh;
    *record_.get() = *fresh.get();
    const KernelAction action = ActionFor(flags, Bit(SIGTERM));
    Tracee tracee(Spinning(action));
    WaitUntilSpinning();
    tracee.StopBySignal(SIGUSR1);
    const std::vector<uint8_t> xstate = tracee.Xstate();
    SignalFrameRequest request = Request(tracee, xstate, tracee.SignalInfo(), action);
    request.alternate_stack = {.ss_sp = stack_, .ss_flags = 0, .ss_size = sizeof(stack_)};
    const auto ours = BuildSignalFrame(request);
    ASSERT_TRUE(ours);

    // To the handler's first instruction.
    tracee.Resume(PTRACE_SINGLESTEP, SIGUSR1);
    const int status = tracee.Wait();
    ASSERT_TRUE(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP) << status;
    ExpectSameRegisters(ours->regs, tracee.Registers());
    EXPECT_EQ(ours->blocked, tracee.Blocked());

    // Fault details are not known to a tracer; what the kernel leaves as it was is not compared.
    constexpr size_t kContext = 8;
    constexpr size_t kMachine = kContext + offsetof(ucontext_t, uc_mcontext);
    constexpr size_t kStackPadding = kContext + offsetof(ucontext_t, uc_stack.ss_flags) + 4;
    constexpr size_t kFault = kMachine + REG_ERR * 8;
    constexpr size_t kFaultAddress = kMachine + REG_CR2 * 8;
    constexpr size_t kFpstate = kMachine + offsetof(mcontext_t, fpregs);
    constexpr size_t kReserved = kMachine + offsetof(mcontext_t, __reserved1);
    constexpr size_t kFrameSize = 440;
    uint64_t fpstate = 0;
    std::memcpy(&fpstate, ours->bytes.data() + kFpstate, sizeof(fpstate));
    const size_t fpregs = fpstate - ours->address;
    const size_t components = fpregs + kFxsaveSize + 16;  // where XSAVE skips initial ones
    const size_t end = ours->bytes.size() - (XstateSize() == 0 ? 0 : 4);
    std::vector<uint8_t> theirs = tracee.Read(ours->address, ours->bytes.size());
    std::vector<uint8_t> bytes = ours->bytes;
    const auto ignore = [&](size_t from, size_t to) {
      for (size_t i = from; i < to; ++i) bytes[i] = theirs[i] = 0;
    };
    ignore(kStackPadding, kStackPadding + 4);
    ignore(kFault, kFault + 16);
    ignore(kFaultAddress, kFaultAddress + 8);
    ignore(kReserved, kReserved + 64);
    ignore(kFrameSize, fpregs);
    ignore(fpregs + 416, fpregs + kSoftwareBytes);
    if (components < end) ignore(components, end);
    ExpectSameBytes(bytes, theirs);

    // The handler's floating point state, as far as it is in use.
    const std::vector<uint8_t> handlers = tracee.Xstate();
    ASSERT_EQ(handlers.size(), ours->xstate.size());
    tracee.SetXstate(ours->xstate);
    std::vector<uint8_t> installed = tracee.Xstate();
    if (XstateSize() != 0) {
      // Whether a register in its initial state counts as used is of no consequence.
      std::memcpy(installed.data() + kFxsaveSize, handlers.data() + kFxsaveSize, 8);
    }
    ExpectSameBytes(installed, handlers);
  }
}

// [SIG-05] The handler gets the siginfo, and the program notices nothing else.
TEST_F(HandlerTest, InterruptedCodeGoesOnAsItWas) {
  const KernelAction action = ActionFor(0, Bit(SIGTERM));
  Tracee tracee(Spinning(action));
  WaitUntilSpinning();
  tracee.Interrupt();
  const GeneralRegisters before = tracee.Registers();
  const std::vector<uint8_t> xstate = tracee.Xstate();
  const std::vector<uint8_t> red_zone = tracee.Read(before.rsp - 128, 128);
  const auto frame = BuildSignalFrame(Request(tracee, xstate, Queued(SIGUSR1), action));
  ASSERT_TRUE(frame);
  InstallFrame(tracee, *frame);
  tracee.Resume(PTRACE_CONT);

  const int status = tracee.Wait();  // for the int3 after the loop
  ASSERT_TRUE(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP) << status;
  EXPECT_EQ(record_->calls, 1);
  EXPECT_EQ(record_->signal, SIGUSR1);
  EXPECT_EQ(record_->info.si_code, SI_QUEUE);
  EXPECT_EQ(record_->info.si_pid, 77);
  EXPECT_EQ(record_->info.si_value.sival_int, 4711);
  EXPECT_EQ(record_->blocked, Bit(SIGUSR1) | Bit(SIGUSR2) | Bit(SIGTERM));
  EXPECT_TRUE(record_->aligned);
  EXPECT_FALSE(record_->direction_flag);
  ExpectInitialFpState();

  GeneralRegisters after = tracee.Registers();
  EXPECT_NE(after.eflags & 0x400, 0u) << "direction flag";
  after.rip = before.rip;
  after.eflags = before.eflags;  // the loop compares
  ExpectSameRegisters(before, after);
  ExpectSameBytes(xstate, tracee.Xstate());
  ExpectSameBytes(red_zone, tracee.Read(before.rsp - 128, 128));
  EXPECT_EQ(tracee.Blocked(), Bit(SIGUSR2));

  tracee.Resume(PTRACE_CONT);
  EXPECT_EQ(tracee.Wait(), 0);
  EXPECT_TRUE(record_->done);
  EXPECT_EQ(record_->blocked_after, Bit(SIGUSR2));
  EXPECT_EQ(record_->stack_after.ss_sp, stack_) << "the alternate stack is gone";
  EXPECT_EQ(record_->stack_after.ss_size, sizeof(stack_));
  EXPECT_EQ(record_->stack_after.ss_flags, 0);
}

// At the stop for another signal, which is dropped; twice, one handler in the other.
TEST_F(HandlerTest, HandlersNest) {
  const KernelAction action = ActionFor(SA_NODEFER, 0);
  Tracee tracee(Spinning(action));
  WaitUntilSpinning();
  tracee.StopBySignal(SIGHUP);
  const GeneralRegisters before = tracee.Registers();
  const std::vector<uint8_t> xstate = tracee.Xstate();
  for (int i = 0; i < 2; ++i) {
    const std::vector<uint8_t> current = tracee.Xstate();
    const auto frame = BuildSignalFrame(Request(tracee, current, Queued(SIGRTMIN + i), action));
    ASSERT_TRUE(frame);
    InstallFrame(tracee, *frame);
  }
  tracee.Resume(PTRACE_CONT);
  const int status = tracee.Wait();
  ASSERT_TRUE(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP) << status;
  EXPECT_EQ(record_->calls, 2);
  EXPECT_EQ(record_->signal, SIGRTMIN) << "the outer one ran last";
  GeneralRegisters after = tracee.Registers();
  after.rip = before.rip;
  after.eflags = before.eflags;
  ExpectSameRegisters(before, after);
  ExpectSameBytes(xstate, tracee.Xstate());
  EXPECT_EQ(tracee.Blocked(), Bit(SIGUSR2));
}

TEST_F(HandlerTest, RunsOnTheAlternateStackIfTold) {
  const KernelAction action = ActionFor(SA_ONSTACK, 0);
  Tracee tracee(Spinning(action));
  WaitUntilSpinning();
  tracee.Interrupt();
  const std::vector<uint8_t> xstate = tracee.Xstate();
  SignalFrameRequest request = Request(tracee, xstate, Queued(SIGUSR1), action);
  request.alternate_stack = {.ss_sp = stack_, .ss_flags = 0, .ss_size = sizeof(stack_)};
  const auto frame = BuildSignalFrame(request);
  ASSERT_TRUE(frame);
  InstallFrame(tracee, *frame);
  tracee.Resume(PTRACE_CONT);
  const int status = tracee.Wait();
  ASSERT_TRUE(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP) << status;
  EXPECT_LT(record_->stack - reinterpret_cast<uintptr_t>(stack_), sizeof(stack_));
  tracee.Resume(PTRACE_CONT);
  EXPECT_EQ(tracee.Wait(), 0);
  EXPECT_EQ(record_->stack_after.ss_sp, stack_);
}

// ---- In a system call. --------------------------------------------------------------------------

class HandlerInSyscallTest : public HandlerTest {
 protected:
  // Runs `body`, which blocks in call `number`, and the handler meanwhile; then waits for its end.
  void Interrupt(long number, uint64_t flags, const std::function<void()>& body) {
    record_->level = Level();
    Tracee tracee([&] {
      record = record_.get();
      body();
      syscall(SYS_rt_sigprocmask, SIG_BLOCK, nullptr, &record->blocked_after, 8L);
    });
    tracee.WaitUntilBlockedIn(number);
    RunHandler(tracee, Queued(SIGUSR1), ActionFor(flags, 0));
    EXPECT_EQ(tracee.Wait(), 0);
    EXPECT_EQ(record_->calls, 1);
    EXPECT_EQ(record_->signal, SIGUSR1);
    EXPECT_TRUE(record_->aligned);
  }

  static long Result(long value) { return value == -1 ? -errno : value; }
};

TEST_F(HandlerInSyscallTest, NanosleepEndsWithTheTimeLeft) {
  for (const uint64_t flags : {uint64_t{0}, uint64_t{SA_RESTART}}) {
    record_->calls = 0;
    Interrupt(SYS_nanosleep, flags, [] {
      const timespec time = {.tv_sec = 100, .tv_nsec = 0};
      record->result = Result(syscall(SYS_nanosleep, &time, &record->left));
    });
    EXPECT_EQ(record_->result, -EINTR);
    EXPECT_GT(record_->left.tv_sec, 10);
    EXPECT_LE(record_->left.tv_sec, 100);  // the kernel counts its slack in
  }
}

TEST_F(HandlerInSyscallTest, ReadEndsWithoutSaRestart) {
  Interrupt(SYS_read, 0, [] {
    int ends[2];
    char byte;
    record->result = pipe(ends) == 0 ? Result(read(ends[0], &byte, 1)) : 0;
  });
  EXPECT_EQ(record_->result, -EINTR);
}

TEST_F(HandlerInSyscallTest, ReadGoesOnWithSaRestart) {
  Interrupt(SYS_read, SA_RESTART, [] {
    int ends[2];
    char byte = 0;
    if (pipe(ends) != 0) return;
    record->write_to = ends[1];
    record->result = Result(read(ends[0], &byte, 1)) == 1 ? byte : 0;
  });
  EXPECT_EQ(record_->result, 'x');
}

TEST_F(HandlerInSyscallTest, PauseEndsInAnyCase) {
  Interrupt(SYS_pause, SA_RESTART, [] { record->result = Result(syscall(SYS_pause)); });
  EXPECT_EQ(record_->result, -EINTR);
}

TEST_F(HandlerInSyscallTest, SigsuspendEndsWithTheMaskFromBefore) {
  Interrupt(SYS_rt_sigsuspend, 0, [] {
    const uint64_t blocked = Bit(SIGUSR2);
    const uint64_t none = 0;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &blocked, nullptr, 8L);
    record->result = Result(syscall(SYS_rt_sigsuspend, &none, 8L));
  });
  EXPECT_EQ(record_->result, -EINTR);
  EXPECT_EQ(record_->blocked_after, Bit(SIGUSR2));
}

// ---- The way back. ------------------------------------------------------------------------------

TEST(FindSigreturnTest, FindsTheInstructions) {
  EXPECT_EQ(FindSigreturn(std::vector<uint8_t>{0x90, 0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05}),
            1u);
  EXPECT_EQ(FindSigreturn(std::vector<uint8_t>{0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f}),
            std::nullopt);
  EXPECT_EQ(FindSigreturn(std::vector<uint8_t>{0x48, 0xc7, 0xc0, 0x0e, 0, 0, 0, 0x0f, 0x05}),
            std::nullopt);
  EXPECT_EQ(FindSigreturn({}), std::nullopt);
}

TEST(FindSigreturnTest, FindsTheCLibrarys) {
  bool found = false;
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* data) {
        if (std::strstr(info->dlpi_name, "/libc") == nullptr) return 0;
        for (const auto& header : std::span(info->dlpi_phdr, info->dlpi_phnum)) {
          if (header.p_type != PT_LOAD || (header.p_flags & PF_X) == 0) continue;
          const auto* const code =
              reinterpret_cast<const uint8_t*>(info->dlpi_addr + header.p_vaddr);
          if (FindSigreturn({code, header.p_filesz})) *static_cast<bool*>(data) = true;
        }
        return 0;
      },
      &found);
  EXPECT_TRUE(found);
}

}  // namespace
}  // namespace utrace::arch
