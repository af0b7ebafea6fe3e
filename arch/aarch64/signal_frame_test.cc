// Frames as the kernel would set them up; that it takes them back, the certificate in a guest shows.
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <cstring>
#include <vector>

#include "arch/arch.h"
#include "gtest/gtest.h"

namespace utrace::arch {
namespace {

SignalFrameRequest Request(const std::vector<uint8_t>& vectors) {
  SignalFrameRequest request{};
  for (unsigned i = 0; i < 31; ++i) request.regs.regs[i] = 1000 + i;
  request.regs.sp =
      0x7ffff0008;  // as only a broken program has it: frames are aligned all the same
  request.regs.pc = 0x400000;
  request.regs.pstate = 0xc00 | uint64_t{1} << 25 | 0x80000000;
  request.xstate = vectors;
  request.info.si_signo = SIGUSR1;
  request.action.handler = 0x500000;
  request.action.restorer = 0x600000;
  request.action.mask = 4;
  request.blocked = 2;
  return request;
}

const std::vector<uint8_t>& Vectors() {
  static const std::vector<uint8_t> vectors(sizeof(user_fpsimd_struct), 0x5a);
  return vectors;
}

TEST(SignalFrame, TheHandlerFindsItsArgumentsAndItsWayBack) {
  const SignalFrameRequest request = Request(Vectors());
  const auto frame = BuildSignalFrame(request);
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->regs.pc, 0x500000U);
  EXPECT_EQ(frame->regs.regs[0], static_cast<uint64_t>(SIGUSR1));
  EXPECT_EQ(frame->regs.regs[1], frame->address);
  EXPECT_EQ(frame->regs.regs[2], frame->address + 128);
  EXPECT_EQ(frame->regs.regs[30], 0x600000U);
  EXPECT_EQ(frame->regs.sp, frame->address);
  EXPECT_EQ(frame->address % 16, 0U);
  EXPECT_LE(frame->address + frame->bytes.size(), request.regs.sp);
  EXPECT_EQ(frame->regs.pstate, 0x80000000U);
  EXPECT_EQ(SyscallNumber(frame->regs), -1);
  EXPECT_EQ(frame->xstate, Vectors());
  EXPECT_EQ(frame->blocked, 2U | 4U | uint64_t{1} << (SIGUSR1 - 1));
  // A record of the interrupted function's frame, for unwinders.
  uint64_t record[2] = {};
  ASSERT_EQ(frame->regs.regs[29] + sizeof(record), frame->address + frame->bytes.size());
  std::memcpy(record, &frame->bytes[frame->regs.regs[29] - frame->address], sizeof(record));
  EXPECT_EQ(record[0], 1029U);
  EXPECT_EQ(record[1], 1030U);
}

TEST(SignalFrame, TheContextHoldsWhatWasInterrupted) {
  const SignalFrameRequest request = Request(Vectors());
  const auto frame = BuildSignalFrame(request);
  ASSERT_TRUE(frame);
  ucontext_t context;
  std::memcpy(&context, &frame->bytes[128], sizeof(context));
  for (unsigned i = 0; i < 31; ++i) EXPECT_EQ(context.uc_mcontext.regs[i], 1000 + i);
  EXPECT_EQ(context.uc_mcontext.sp, request.regs.sp);
  EXPECT_EQ(context.uc_mcontext.pc, request.regs.pc);
  EXPECT_EQ(context.uc_mcontext.pstate, request.regs.pstate);
  EXPECT_EQ(context.uc_sigmask.__val[0], 2U);
}

TEST(SignalFrame, NoFrameForWhatIsNoHandler) {
  SignalFrameRequest request = Request(Vectors());
  request.action.handler = UTRACE_SIG_IGN;
  EXPECT_FALSE(BuildSignalFrame(request));
  request = Request(Vectors());
  request.action.restorer = 0;
  EXPECT_FALSE(BuildSignalFrame(request));
  request = Request(Vectors());
  request.info.si_signo = 65;
  EXPECT_FALSE(BuildSignalFrame(request));
  request = Request(Vectors());
  request.regs.sp = 64;
  EXPECT_FALSE(BuildSignalFrame(request));
  request = Request(Vectors());
  request.xstate = request.xstate.first(100);
  EXPECT_FALSE(BuildSignalFrame(request));
  request = Request(Vectors());
  request.regs.pstate |= 0x10;
  EXPECT_FALSE(BuildSignalFrame(request));
}

TEST(SignalFrame, AnInterruptedCallEndsAsTheHandlersFlagsHaveIt) {
  const auto interrupted = [](int64_t code, uint64_t flags) {
    SignalFrameRequest request = Request(Vectors());
    request.action.flags = flags;
    request.regs.call = 63;
    request.regs.first_argument = 3;
    request.regs.regs[0] = static_cast<uint64_t>(-code);
    const auto frame = BuildSignalFrame(request);
    EXPECT_TRUE(frame);
    ucontext_t context;
    std::memcpy(&context, &frame->bytes[128], sizeof(context));
    return std::pair<uint64_t, uint64_t>(context.uc_mcontext.pc, context.uc_mcontext.regs[0]);
  };
  const std::pair<uint64_t, uint64_t> again(0x400000 - 4, 3);
  const std::pair<uint64_t, uint64_t> failed(0x400000, static_cast<uint64_t>(-EINTR));
  EXPECT_EQ(interrupted(512, SA_RESTART), again);
  EXPECT_EQ(interrupted(512, 0), failed);
  EXPECT_EQ(interrupted(513, 0), again);
  EXPECT_EQ(interrupted(514, SA_RESTART), failed);
}

TEST(SignalFrame, TheAlternateStackIsUsedUnlessTheTaskIsOnIt) {
  SignalFrameRequest request = Request(Vectors());
  request.action.flags = SA_ONSTACK;
  request.alternate_stack =
      stack_t{.ss_sp = reinterpret_cast<void*>(0x100000), .ss_flags = 0, .ss_size = 0x10000};
  const auto other = BuildSignalFrame(request);
  ASSERT_TRUE(other);
  EXPECT_LT(other->address, 0x110000U);
  EXPECT_GT(other->address, 0x100000U);
  request.regs.sp = 0x10f000;
  const auto same = BuildSignalFrame(request);
  ASSERT_TRUE(same);
  EXPECT_LT(same->address, 0x10f000U);
}

TEST(SignalFrame, TheWayBackIsFoundInCode) {
  const std::vector<uint8_t> code = {0x1f, 0x20, 0x03, 0xd5, 0x68, 0x11,
                                     0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4};
  EXPECT_EQ(FindSigreturn(code), 4U);
  EXPECT_EQ(FindSigreturn(std::span(code).first(11)), std::nullopt);
}

}  // namespace
}  // namespace utrace::arch
