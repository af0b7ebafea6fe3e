#include <elf.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "arch/arch.h"
#include "arch/x86_64/tracee_for_test.h"
#include "arch/x86_64/xstate.h"
#include "gtest/gtest.h"

namespace utrace::arch {
namespace {

TEST(ViewTest, NamesTheMachine) {
  EXPECT_EQ(View().name, std::string("x86_64"));
  EXPECT_EQ(View().elf_machine, EM_X86_64);
  EXPECT_EQ(&View(), &View());
}

// [REG-02]
TEST(ViewTest, GeneralRegistersComeFirstThenFloatingPoint) {
  ASSERT_GE(View().count, 2u);
  EXPECT_EQ(View().sets[0].note_type, static_cast<uint32_t>(NT_PRSTATUS));
  EXPECT_EQ(View().sets[0].slots, 27u);
  EXPECT_EQ(View().sets[1].note_type, static_cast<uint32_t>(NT_PRFPREG));
  EXPECT_EQ(View().sets[1].slots, 64u);
  for (uint32_t i = 0; i < View().count; ++i) {
    EXPECT_EQ(View().sets[i].slot_size, 8u);
    EXPECT_EQ(View().sets[i].align, 8u);
    EXPECT_STRNE(View().sets[i].name, "");
  }
}

// [REG-01] The kernel's sizes are the view's.
TEST(ViewTest, DescribesWhatTheKernelGives) {
  Tracee tracee([] { pause(); });
  tracee.Interrupt();
  for (uint32_t i = 0; i < View().count; ++i) {
    const utrace_regset& set = View().sets[i];
    const auto image = tracee.RegisterSet(set.note_type);
    ASSERT_TRUE(image) << set.name;
    EXPECT_EQ(image->size(), size_t{set.slots} * set.slot_size) << set.name;
  }
  const bool has_xstate = tracee.RegisterSet(NT_X86_XSTATE).has_value();
  EXPECT_EQ(View().count, has_xstate ? 3u : 2u);
}

TEST(XstateTest, SizeFollowsTheComponents) {
  EXPECT_EQ(XstateSizeFor(0), kFxsaveSize + kXstateHeaderSize);
  EXPECT_EQ(XstateSizeFor(kXfeatureX87 | kXfeatureSse), kFxsaveSize + kXstateHeaderSize);
  if (XstateSize() == 0) GTEST_SKIP() << "no XSAVE";
  Tracee tracee([] { pause(); });
  tracee.Interrupt();
  const std::vector<uint8_t> image = tracee.Xstate();
  EXPECT_EQ(XstateSizeFor(XstateEnabled(image)), XstateSize());
}

TEST(XstateTest, InitialStateIsWhatTheKernelTakesAndProgramsStartWith) {
  Tracee tracee([] {
    __asm__ volatile("fldpi");
    pause();
  });
  tracee.Interrupt();
  const std::vector<uint8_t> initial = InitialXstate(tracee.Xstate());
  tracee.SetXstate(initial);
  const std::vector<uint8_t> after = tracee.Xstate();
  ASSERT_EQ(after.size(), initial.size());
  user_fpregs_struct legacy;
  std::memcpy(&legacy, after.data(), sizeof(legacy));
  EXPECT_EQ(legacy.cwd, 0x37f);
  EXPECT_EQ(legacy.swd, 0);
  EXPECT_EQ(legacy.ftw, 0);
  EXPECT_EQ(legacy.mxcsr, 0x1f80u);
}

TEST(RegistersTest, PcAndSp) {
  GeneralRegisters regs = {};
  regs.rip = 0x1234;
  regs.rsp = 0x5678;
  EXPECT_EQ(Pc(regs), 0x1234u);
  EXPECT_EQ(Sp(regs), 0x5678u);
  SetPc(regs, 0x9abc);
  EXPECT_EQ(regs.rip, 0x9abcu);
  EXPECT_EQ(regs.rsp, 0x5678u);
}

}  // namespace
}  // namespace utrace::arch
