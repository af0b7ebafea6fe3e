#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>

#include <cerrno>
#include <map>
#include <optional>
#include <vector>

#include "arch/arch.h"
#include "gtest/gtest.h"

namespace utrace::arch {
namespace {

constexpr uint64_t kPc = 0x400000;

// About to make a call, at the instruction.
GeneralRegisters BeforeCall(long number, uint64_t first) {
  GeneralRegisters regs{};
  for (unsigned i = 0; i < 31; ++i) regs.regs[i] = 1000 + i;
  regs.regs[0] = first;
  regs.regs[8] = static_cast<uint64_t>(number);
  regs.pc = kPc;
  regs.sp = 0x7ff0;
  return regs;
}

TEST(SyscallAbi, InNoCallThereIsNoNumber) { EXPECT_EQ(SyscallNumber(BeforeCall(SYS_read, 3)), -1); }

TEST(SyscallAbi, AtTheEntryArgumentsAreInTheirRegisters) {
  GeneralRegisters regs = BeforeCall(SYS_read, 3);
  BeginSyscall(regs);
  EXPECT_EQ(regs.pc, kPc + 4);
  EXPECT_EQ(SyscallNumber(regs), SYS_read);
  EXPECT_EQ(SyscallArgument(regs, 0), 3U);
  for (unsigned i = 1; i < 6; ++i) EXPECT_EQ(SyscallArgument(regs, i), 1000 + i);
  EXPECT_EQ(SyscallArgument(regs, 6), 0U);
  EXPECT_EQ(SyscallResult(regs), -ENOSYS);
}

TEST(SyscallAbi, AResultSetAtTheEntryDoesNotTouchTheArgument) {
  GeneralRegisters regs = BeforeCall(SYS_read, 3);
  BeginSyscall(regs);
  SetSyscallResult(regs, 4711);
  EXPECT_EQ(SyscallResult(regs), 4711);
  EXPECT_EQ(SyscallArgument(regs, 0), 3U);
  EXPECT_EQ(regs.regs[0], 3U);
  EndSyscallEntry(regs);
  EXPECT_EQ(regs.regs[0], 4711U);
  EXPECT_EQ(SyscallArgument(regs, 0), 3U);
}

TEST(SyscallAbi, AnArgumentChangedAtTheEntryIsWhatTheCallWasMadeWith) {
  GeneralRegisters regs = BeforeCall(SYS_read, 3);
  BeginSyscall(regs);
  SetSyscallArgument(regs, 0, 5);
  SetSyscallArgument(regs, 5, 6);
  SetSyscallArgument(regs, 6, 7);
  EXPECT_EQ(regs.regs[0], 5U);
  EXPECT_EQ(regs.regs[5], 6U);
  EXPECT_EQ(regs.regs[6], 1006U);
  EndSyscallEntry(regs);
  EXPECT_EQ(SyscallArgument(regs, 0), 5U);
}

TEST(SyscallAbi, AtTheExitTheResultAndTheFirstArgumentAreApart) {
  GeneralRegisters regs = BeforeCall(SYS_read, 3);
  BeginSyscall(regs);
  EndSyscallEntry(regs);
  SetSyscallResult(regs, -EIO);
  EXPECT_EQ(SyscallResult(regs), -EIO);
  EXPECT_EQ(static_cast<int64_t>(regs.regs[0]), -EIO);
  SetSyscallArgument(regs, 0, 9);
  EXPECT_EQ(SyscallResult(regs), -EIO);
  EXPECT_EQ(SyscallArgument(regs, 0), 9U);
}

TEST(SyscallAbi, RolledBackItIsAsBefore) {
  const GeneralRegisters before = BeforeCall(SYS_read, 3);
  GeneralRegisters regs = before;
  BeginSyscall(regs);
  EndSyscallEntry(regs);
  SetSyscallResult(regs, 7);
  RollBackSyscall(regs, SYS_read);
  EXPECT_EQ(regs.pc, kPc);
  EXPECT_EQ(SyscallNumber(regs), -1);
  for (unsigned i = 0; i < 31; ++i) EXPECT_EQ(regs.regs[i], before.regs[i]) << i;
}

TEST(SyscallAbi, ARemoteCallFromWithinACall) {
  GeneralRegisters regs = BeforeCall(SYS_read, 3);
  BeginSyscall(regs);
  EndSyscallEntry(regs);
  for (unsigned i = 0; i < 4; ++i) SetSyscallArgument(regs, i, 20 + i);
  SetRemoteCall(regs, 0x500000, SYS_rt_sigaction);
  EXPECT_EQ(regs.pc, 0x500000U);
  EXPECT_EQ(SyscallNumber(regs), -1);
  EXPECT_EQ(regs.regs[8], static_cast<uint64_t>(SYS_rt_sigaction));
  for (unsigned i = 0; i < 4; ++i) EXPECT_EQ(regs.regs[i], 20U + i);
}

TEST(SyscallAbi, ARestartIsPendingOnlyInACall) {
  for (const int64_t code : {512, 513, 514, 516}) {
    GeneralRegisters regs = BeforeCall(SYS_read, 3);
    BeginSyscall(regs);
    EXPECT_FALSE(IsRestartPending(regs));
    EndSyscallEntry(regs);
    SetSyscallResult(regs, -code);
    EXPECT_TRUE(IsRestartPending(regs)) << code;
    SetSyscallNumber(regs, -1);
    EXPECT_FALSE(IsRestartPending(regs)) << code;
  }
  GeneralRegisters regs = BeforeCall(SYS_read, 3);
  BeginSyscall(regs);
  EndSyscallEntry(regs);
  SetSyscallResult(regs, -EINTR);
  EXPECT_FALSE(IsRestartPending(regs));
}

TEST(SyscallAbi, ItsInstructionIsFoundWhereInstructionsBegin) {
  const std::vector<uint8_t> svc = {0x01, 0x00, 0x00, 0xd4};
  EXPECT_TRUE(IsSyscallInstruction(svc));
  EXPECT_FALSE(IsSyscallInstruction(std::span(svc).first(3)));
  EXPECT_FALSE(IsSyscallInstruction(std::vector<uint8_t>{0x1f, 0x20, 0x03, 0xd5}));
  std::vector<uint8_t> code = {0x1f, 0x20, 0x01, 0x00, 0x00, 0xd4, 0x00, 0x00};  // across two
  EXPECT_EQ(FindSyscallInstruction(code), std::nullopt);
  code.insert(code.end(), svc.begin(), svc.end());
  EXPECT_EQ(FindSyscallInstruction(code), 8U);
  EXPECT_EQ(FindSyscallInstruction(std::span(code).first(11)), std::nullopt);
}

TEST(SyscallAbi, CloneFlagsAreInTheFirstArgumentOrInMemory) {
  const std::map<uint64_t, uint64_t> memory = {{0x1000, CLONE_VM}, {0x1020, SIGCHLD}};
  const ReadU64 read = [&](uint64_t address) -> std::optional<uint64_t> {
    const auto found = memory.find(address);
    return found == memory.end() ? std::nullopt : std::optional(found->second);
  };
  const auto flags = [&](long number, uint64_t first) {
    GeneralRegisters regs = BeforeCall(number, first);
    BeginSyscall(regs);
    EndSyscallEntry(regs);
    return CloneFlags(regs, read);
  };
  EXPECT_EQ(flags(SYS_clone, 0xffffffff00000000U | CLONE_VFORK | SIGCHLD),
            CLONE_VFORK | uint64_t{SIGCHLD});
  EXPECT_EQ(flags(SYS_clone3, 0x1000), CLONE_VM | uint64_t{SIGCHLD});
  EXPECT_EQ(flags(SYS_clone3, 0x2000), std::nullopt);
  EXPECT_EQ(flags(SYS_read, 0x1000), std::nullopt);
}

TEST(SyscallAbi, A32BitProgramIsForeign) {
  GeneralRegisters regs = BeforeCall(SYS_read, 3);
  EXPECT_FALSE(IsForeignAbi(regs));
  regs.pstate = 0x10;
  EXPECT_TRUE(IsForeignAbi(regs));
}

TEST(Registers, TheViewHasTheSetsOfTheMachine) {
  const utrace_regset_view& view = View();
  EXPECT_STREQ(view.name, "aarch64");
  EXPECT_EQ(view.sets[0].slots * view.sets[0].slot_size, sizeof(user_regs_struct));
  EXPECT_EQ(view.sets[1].slots * view.sets[1].slot_size, sizeof(user_fpsimd_struct));
  EXPECT_EQ(&ExtendedState(), &view.sets[1]);
  GeneralRegisters regs = BeforeCall(SYS_read, 3);
  EXPECT_EQ(Pc(regs), kPc);
  EXPECT_EQ(Sp(regs), 0x7ff0U);
  EXPECT_EQ(Marker(regs), 1028U);
  SetPc(regs, 1);
  SetSp(regs, 2);
  EXPECT_EQ(regs.pc, 1U);
  EXPECT_EQ(regs.sp, 2U);
}

}  // namespace
}  // namespace utrace::arch
