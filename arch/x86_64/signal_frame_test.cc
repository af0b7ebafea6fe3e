// The frame alone, and the way back from a handler.
#include <link.h>
#include <signal.h>
#include <ucontext.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <vector>

#include "arch/arch.h"
#include "arch/x86_64/queued_signal_for_test.h"
#include "arch/x86_64/tracee_for_test.h"
#include "arch/x86_64/xstate.h"
#include "gtest/gtest.h"

namespace utrace::arch {
namespace {

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
