#include "engines/ptrace_compat/arguments.h"

#include <gtest/gtest.h>
#include <sys/ptrace.h>
#include <sys/user.h>

namespace utrace::ptrace_compat {
namespace {

TEST(Arguments, SizesAreThoseOfGlibcsStructures) {
  EXPECT_EQ(ArgumentOf(PTRACE_GETREGS).size, sizeof(user_regs_struct));
  EXPECT_EQ(ArgumentOf(PTRACE_GETREGS).passing, Passing::kOut);
  EXPECT_EQ(ArgumentOf(PTRACE_SETREGS).passing, Passing::kIn);
  EXPECT_EQ(ArgumentOf(PTRACE_GETFPREGS).size, sizeof(user_fpregs_struct));
  EXPECT_EQ(ArgumentOf(PTRACE_GETSIGINFO).size, sizeof(siginfo_t));
}

TEST(Arguments, WordsAndSizedOnes) {
  for (const long request : {PTRACE_PEEKTEXT, PTRACE_PEEKDATA, PTRACE_PEEKUSER}) {
    EXPECT_EQ(ArgumentOf(request).passing, Passing::kOutWord);
  }
  EXPECT_EQ(ArgumentOf(PTRACE_GET_SYSCALL_INFO).passing, Passing::kOutSized);
  EXPECT_EQ(ArgumentOf(PTRACE_SETSIGMASK).passing, Passing::kInSized);
  EXPECT_EQ(ArgumentOf(PTRACE_SECCOMP_GET_METADATA).passing, Passing::kInOutSized);
  EXPECT_EQ(ArgumentOf(PTRACE_GETREGSET).passing, Passing::kOutVector);
  EXPECT_EQ(ArgumentOf(PTRACE_LISTEN).passing, Passing::kValues);
}

TEST(Arguments, ArchPrctlFillsWhereItGets) {
  constexpr uint64_t kSetFs = 0x1002;
  constexpr uint64_t kGetFs = 0x1003;
  EXPECT_EQ(ArgumentOf(PTRACE_ARCH_PRCTL).passing, Passing::kArchPrctl);
  EXPECT_TRUE(FillsAddress(kGetFs));
  EXPECT_FALSE(FillsAddress(kSetFs));
}

TEST(Arguments, WhatNobodyKnows) {
  for (const long request : {-1L, 10L, 0x4300L, 1L << 40}) {
    EXPECT_EQ(ArgumentOf(request).passing, Passing::kUnknown);
  }
}

}  // namespace
}  // namespace utrace::ptrace_compat
