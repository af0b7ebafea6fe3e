#include <errno.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <vector>

#include "arch/arch.h"
#include "arch/x86_64/tracee_for_test.h"
#include "gtest/gtest.h"

namespace utrace::arch {
namespace {

constexpr bool kStopped = true;
constexpr uint64_t kNone = ~uint64_t{0};

GeneralRegisters InSyscall(long number) {
  GeneralRegisters regs = {};
  regs.orig_rax = static_cast<uint64_t>(number);
  regs.cs = 0x33;
  return regs;
}

TEST(SyscallAbiTest, NumberIsTheLowHalf) {
  EXPECT_EQ(SyscallNumber(InSyscall(SYS_read)), SYS_read);
  EXPECT_EQ(SyscallNumber(InSyscall(-1)), -1);
  EXPECT_EQ(SyscallNumber(InSyscall(0x100000003)), 3);
  EXPECT_EQ(SyscallNumber(InSyscall(0xffffffff)), -1);
  GeneralRegisters regs = {};
  SetSyscallNumber(regs, -1);
  EXPECT_EQ(regs.orig_rax, kNone);
  SetSyscallNumber(regs, 39);
  EXPECT_EQ(SyscallNumber(regs), 39);
}

TEST(SyscallAbiTest, Arguments) {
  GeneralRegisters regs = {};
  for (unsigned i = 0; i < 6; ++i) SetSyscallArgument(regs, i, 10 + i);
  EXPECT_EQ(regs.rdi, 10u);
  EXPECT_EQ(regs.rsi, 11u);
  EXPECT_EQ(regs.rdx, 12u);
  EXPECT_EQ(regs.r10, 13u);
  EXPECT_EQ(regs.r8, 14u);
  EXPECT_EQ(regs.r9, 15u);
  EXPECT_EQ(regs.rcx, 0u);
  for (unsigned i = 0; i < 6; ++i) EXPECT_EQ(SyscallArgument(regs, i), 10 + i);
}

// [SCI-02] reaches here only by mistake, and then does no harm.
TEST(SyscallAbiTest, ArgumentOutOfRange) {
  GeneralRegisters regs = {};
  const GeneralRegisters before = regs;
  SetSyscallArgument(regs, 6, 1);
  EXPECT_EQ(std::memcmp(&regs, &before, sizeof(regs)), 0);
  EXPECT_EQ(SyscallArgument(regs, 6), 0u);
}

TEST(SyscallAbiTest, Result) {
  GeneralRegisters regs = {};
  SetSyscallResult(regs, -ENOENT);
  EXPECT_EQ(regs.rax, static_cast<uint64_t>(-ENOENT));
  EXPECT_EQ(SyscallResult(regs), -ENOENT);
}

TEST(SyscallAbiTest, RollBack) {
  GeneralRegisters regs = InSyscall(SYS_read);
  regs.rip = 0x1002;
  regs.rax = 17;
  RollBackSyscall(regs, SYS_read);
  EXPECT_EQ(regs.rip, 0x1000u);
  EXPECT_EQ(regs.rax, static_cast<uint64_t>(SYS_read));
  EXPECT_EQ(SyscallNumber(regs), -1);
  EXPECT_FALSE(IsRestartPending(regs));
}

TEST(SyscallAbiTest, RestartPending) {
  GeneralRegisters regs = InSyscall(SYS_read);
  for (int code : {512, 513, 514, 516}) {
    SetSyscallResult(regs, -code);
    EXPECT_TRUE(IsRestartPending(regs)) << code;
  }
  for (int result : {0, 1, 512, -EINTR, -515, -517}) {
    SetSyscallResult(regs, result);
    EXPECT_FALSE(IsRestartPending(regs)) << result;
  }
  // A program may have that value in the register for reasons of its own.
  SetSyscallNumber(regs, -1);
  SetSyscallResult(regs, -512);
  EXPECT_FALSE(IsRestartPending(regs));
}

TEST(SyscallAbiTest, SyscallInstructions) {
  EXPECT_TRUE(IsSyscallInstruction(std::vector<uint8_t>{0x0f, 0x05}));
  EXPECT_TRUE(IsSyscallInstruction(std::vector<uint8_t>{0x0f, 0x34, 0x90}));
  EXPECT_TRUE(IsSyscallInstruction(std::vector<uint8_t>{0xcd, 0x80}));
  EXPECT_FALSE(IsSyscallInstruction(std::vector<uint8_t>{0x90, 0x0f, 0x05}));
  EXPECT_FALSE(IsSyscallInstruction(std::vector<uint8_t>{0x0f}));
  EXPECT_FALSE(IsSyscallInstruction({}));

  EXPECT_EQ(FindSyscallInstruction(std::vector<uint8_t>{0x0f, 0x0f, 0x05, 0x0f, 0x05}), 1u);
  EXPECT_EQ(FindSyscallInstruction(std::vector<uint8_t>{0x90, 0x0f}), std::nullopt);
  EXPECT_EQ(FindSyscallInstruction(std::vector<uint8_t>{0xcd, 0x80}), std::nullopt);
}

TEST(SyscallAbiTest, ForeignAbi) {
  EXPECT_FALSE(IsForeignAbi(InSyscall(SYS_read)));
  EXPECT_FALSE(IsForeignAbi(InSyscall(-1)));
  EXPECT_TRUE(IsForeignAbi(InSyscall(0x40000000 | SYS_read)));
  GeneralRegisters regs = InSyscall(-1);
  regs.cs = 0x23;
  EXPECT_TRUE(IsForeignAbi(regs));
}

TEST(CloneFlagsTest, OldCalls) {
  const ReadU64 unused = [](uint64_t) { return std::optional<uint64_t>(); };
  EXPECT_EQ(CloneFlags(InSyscall(SYS_fork), unused), static_cast<uint64_t>(SIGCHLD));
  EXPECT_EQ(CloneFlags(InSyscall(SYS_vfork), unused),
            static_cast<uint64_t>(CLONE_VM | CLONE_VFORK | SIGCHLD));
  GeneralRegisters regs = InSyscall(SYS_clone);
  SetSyscallArgument(regs, 0, 0xffffffff00000000 | CLONE_VM | SIGUSR1);
  EXPECT_EQ(CloneFlags(regs, unused), static_cast<uint64_t>(CLONE_VM | SIGUSR1));
  EXPECT_EQ(CloneFlags(InSyscall(SYS_read), unused), std::nullopt);
  EXPECT_EQ(CloneFlags(InSyscall(-1), unused), std::nullopt);
}

TEST(CloneFlagsTest, Clone3KeepsThemInMemory) {
  clone_args arguments = {};
  arguments.flags = CLONE_VM | CLONE_INTO_CGROUP | CLONE_NEWTIME;
  arguments.exit_signal = SIGCHLD;
  constexpr uint64_t kAddress = 0x10000;
  GeneralRegisters regs = InSyscall(SYS_clone3);
  SetSyscallArgument(regs, 0, kAddress);
  const ReadU64 read = [&](uint64_t address) -> std::optional<uint64_t> {
    uint64_t value = 0;
    std::memcpy(&value, reinterpret_cast<const char*>(&arguments) + (address - kAddress), 8);
    return value;
  };
  EXPECT_EQ(CloneFlags(regs, read), CLONE_VM | CLONE_INTO_CGROUP | CLONE_NEWTIME | SIGCHLD);
  for (uint64_t missing : {uint64_t{0}, uint64_t{32}}) {
    const ReadU64 partial = [&](uint64_t address) -> std::optional<uint64_t> {
      if (address == kAddress + missing) return std::nullopt;
      return read(address);
    };
    EXPECT_EQ(CloneFlags(regs, partial), std::nullopt);
  }
}

// ---- With a real child. -----------------------------------------------------------------------

class SyscallStopTest : public testing::Test {
 protected:
  // To the next entry or exit.
  static GeneralRegisters Next(Tracee& tracee) {
    tracee.Resume(PTRACE_SYSCALL);
    const int status = tracee.Wait();
    EXPECT_TRUE(WIFSTOPPED(status) && WSTOPSIG(status) == (SIGTRAP | 0x80)) << status;
    return tracee.Registers();
  }
  // To the entry of `number`.
  static GeneralRegisters NextEntry(Tracee& tracee, long number) {
    for (;;) {
      const GeneralRegisters regs = Next(tracee);
      if (SyscallNumber(regs) == number) return regs;
    }
  }
};

// [SCI-01]
TEST_F(SyscallStopTest, NumberArgumentsAndResultAreTheKernels) {
  Shared<long> result;
  Tracee tracee([&] { *result.get() = syscall(SYS_tgkill, 1L, 2L, 3L, 4L, 5L, 6L); }, kStopped);
  GeneralRegisters regs = NextEntry(tracee, SYS_tgkill);
  EXPECT_EQ(SyscallArgument(regs, 0), 1u);
  EXPECT_EQ(SyscallArgument(regs, 1), 2u);
  EXPECT_EQ(SyscallArgument(regs, 2), 3u);
  EXPECT_EQ(SyscallArgument(regs, 3), 4u);
  EXPECT_EQ(SyscallArgument(regs, 4), 5u);
  EXPECT_FALSE(IsForeignAbi(regs));
  EXPECT_FALSE(IsRestartPending(regs));
  const auto code = tracee.Read(Pc(regs) - 2, 2);
  EXPECT_TRUE(IsSyscallInstruction(code));
  EXPECT_EQ(FindSyscallInstruction(code), 0u);

  SetSyscallNumber(regs, SYS_getpid);
  tracee.SetRegisters(regs);
  regs = Next(tracee);
  EXPECT_EQ(SyscallNumber(regs), SYS_getpid);
  EXPECT_EQ(SyscallResult(regs), tracee.pid());
  SetSyscallResult(regs, 12345);
  tracee.SetRegisters(regs);
  tracee.Resume(PTRACE_CONT);
  EXPECT_EQ(tracee.Wait(), 0);
  EXPECT_EQ(*result.get(), 12345);
}

TEST_F(SyscallStopTest, NoNumberMeansNoCall) {
  Shared<long> result;
  Tracee tracee([&] { *result.get() = syscall(SYS_getppid) == -1 ? errno : -1; }, kStopped);
  GeneralRegisters regs = NextEntry(tracee, SYS_getppid);
  SetSyscallNumber(regs, -1);
  tracee.SetRegisters(regs);
  Next(tracee);
  tracee.Resume(PTRACE_CONT);
  EXPECT_EQ(tracee.Wait(), 0);
  EXPECT_EQ(*result.get(), ENOSYS);
}

// Also where the kernel would go back by itself: once is what counts.
TEST_F(SyscallStopTest, RolledBackCallIsMadeAgain) {
  for (const bool restarting : {false, true}) {
    Shared<long> result;
    Tracee tracee([&] { *result.get() = syscall(SYS_getppid); }, kStopped);
    NextEntry(tracee, SYS_getppid);
    GeneralRegisters regs = Next(tracee);
    if (restarting) SetSyscallResult(regs, -512);
    RollBackSyscall(regs, SYS_getppid);
    tracee.SetRegisters(regs);
    regs = Next(tracee);
    EXPECT_EQ(SyscallNumber(regs), SYS_getppid);
    EXPECT_EQ(SyscallResult(regs), -ENOSYS) << "not an entry";
    regs = Next(tracee);
    EXPECT_EQ(SyscallResult(regs), getpid());
    tracee.Resume(PTRACE_CONT);
    EXPECT_EQ(tracee.Wait(), 0);
    EXPECT_EQ(*result.get(), getpid());
  }
}

TEST_F(SyscallStopTest, InterruptedCallShowsAsPendingRestart) {
  Tracee tracee([] { pause(); });
  tracee.WaitUntilBlockedIn(SYS_pause);
  tracee.Interrupt();
  EXPECT_TRUE(IsRestartPending(tracee.Registers()));
  EXPECT_EQ(SyscallNumber(tracee.Registers()), SYS_pause);
}

TEST_F(SyscallStopTest, CloneFlagsOfRealCalls) {
  // The flags of the first call with one of these exit signals: a sanitizer may have the child make
  // a thread first, which has none.
  const auto first = [](Tracee& tracee) {
    const ReadU64 read = [&tracee](uint64_t address) -> std::optional<uint64_t> {
      uint64_t value = 0;
      std::memcpy(&value, tracee.Read(address, sizeof(value)).data(), sizeof(value));
      return value;
    };
    for (;;) {
      const std::optional<uint64_t> flags = CloneFlags(Next(tracee), read);
      if (flags && (*flags & CSIGNAL) != 0) return *flags;
    }
  };
  constexpr uint64_t kFlags = CLONE_FS | CLONE_FILES;
  Tracee old_call(
      [] {
        if (syscall(SYS_clone, kFlags | SIGUSR2, 0L, 0L, 0L, 0L) == 0) syscall(SYS_exit, 0L);
      },
      kStopped);
  EXPECT_EQ(first(old_call), kFlags | SIGUSR2);

  Tracee new_call(
      [] {
        clone_args arguments = {};
        arguments.flags = kFlags;
        arguments.exit_signal = SIGUSR1;
        if (syscall(SYS_clone3, &arguments, sizeof(arguments)) == 0) syscall(SYS_exit, 0L);
      },
      kStopped);
  EXPECT_EQ(first(new_call), kFlags | SIGUSR1);
}

}  // namespace
}  // namespace utrace::arch
