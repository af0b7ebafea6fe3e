#include "arch/debug_registers.h"

#include <sys/user.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <vector>

#include "gtest/gtest.h"

namespace utrace::arch {
namespace {

using Physical = DebugRegisters::Physical;

constexpr uint64_t kAddress = 0x7fff00001000;
// Kinds and lengths, as the control register has them in its upper half.
constexpr uint64_t kExecute = 0x0;
constexpr uint64_t kWrite4 = 0xd;
constexpr uint64_t kAccess8 = 0xb;
constexpr uint64_t kPort = 0x2;

// A control register in which `slot` is enabled (locally), and has a condition.
uint64_t Enabled(unsigned slot, uint64_t condition) {
  return uint64_t{1} << (slot * 2) | condition << (16 + slot * 4);
}

uint64_t Read(const DebugRegisters& registers, DebugRegisters::Owner owner, unsigned index) {
  uint64_t value = 0;
  EXPECT_EQ(registers.Get(owner, index, &value), 0);
  return value;
}

// Four breakpoints of one owner, at addresses of its own.
DebugRegisters Full() {
  DebugRegisters full;
  uint64_t control = 0;
  for (unsigned slot = 0; slot < 4; ++slot) {
    EXPECT_EQ(full.Set(1, slot, kAddress + slot * 16), 0);
    control |= Enabled(slot, kWrite4);
  }
  EXPECT_EQ(full.Set(1, 7, control), 0);
  return full;
}

TEST(DebugRegisters, AreFoundByTheirOffsets) {
  EXPECT_EQ(DebugRegisterAt(offsetof(user, u_debugreg)), 0U);
  EXPECT_EQ(DebugRegisterAt(offsetof(user, u_debugreg) + 7 * 8), 7U);
  EXPECT_EQ(DebugRegisterAt(offsetof(user, u_debugreg) + 8 * 8), std::nullopt);
  EXPECT_EQ(DebugRegisterAt(offsetof(user, u_debugreg) + 4), std::nullopt);
  EXPECT_EQ(DebugRegisterAt(offsetof(user, u_debugreg) - 8), std::nullopt);
  EXPECT_EQ(DebugRegisterAt(offsetof(user, regs.rip)), std::nullopt);
  EXPECT_EQ(DebugRegisterOffset(7), offsetof(user, u_debugreg) + 7 * 8);
  EXPECT_EQ(DebugStatusRegister(), 6U);
}

TEST(DebugRegisters, ReadAsAfterAnExecUntilTheyAreWritten) {
  const DebugRegisters registers;
  EXPECT_TRUE(registers.empty());
  for (const unsigned index : {0U, 1U, 2U, 3U, 4U, 5U, 7U})
    EXPECT_EQ(Read(registers, 1, index), 0U);
  EXPECT_EQ(Read(registers, 1, 6), 0xffff0ff0U);
  uint64_t value = 0;
  EXPECT_EQ(registers.Get(1, 8, &value), -EIO);
}

TEST(DebugRegisters, ReadAsTheirOwnerWroteThemAndNobodyElse) {
  DebugRegisters registers;
  // What is reserved in the control register reads as it was written; it is not installed.
  const uint64_t control = 0xffffffff0000ff00 | Enabled(2, kWrite4);
  ASSERT_EQ(registers.Set(1, 2, kAddress), 0);
  ASSERT_EQ(registers.Set(1, 7, control), 0);
  ASSERT_EQ(registers.Set(1, 6, 0x1234), 0);
  EXPECT_EQ(Read(registers, 1, 2), kAddress);
  EXPECT_EQ(Read(registers, 1, 7), control);
  EXPECT_EQ(Read(registers, 1, 6), 0x1234U);
  EXPECT_EQ(Read(registers, 2, 2), 0U);
  EXPECT_EQ(Read(registers, 2, 7), 0U);
  EXPECT_EQ(Read(registers, 2, 6), 0xffff0ff0U);
}

TEST(DebugRegisters, OfOneOwnerKeepTheirPlaces) {
  DebugRegisters registers;
  ASSERT_EQ(registers.Set(1, 3, kAddress), 0);
  EXPECT_EQ(registers.physical(), Physical{});  // not enabled
  ASSERT_EQ(registers.Set(1, 7, Enabled(3, kAccess8)), 0);
  Physical expected;
  expected.address[3] = kAddress;
  expected.condition[3] = kAccess8;
  expected.enabled[3] = true;
  EXPECT_EQ(registers.physical(), expected);
  // Enabled globally is the same to one thread.
  ASSERT_EQ(registers.Set(1, 7, uint64_t{2} << 6 | kAccess8 << 28), 0);
  EXPECT_EQ(registers.physical(), expected);
  ASSERT_EQ(registers.Set(1, 7, 0), 0);
  EXPECT_EQ(registers.physical(), Physical{});
}

TEST(DebugRegisters, OfTwoOwnersAreMerged) {
  DebugRegisters registers;
  for (const DebugRegisters::Owner owner : {1, 2}) {
    ASSERT_EQ(registers.Set(owner, 0, kAddress + owner * 64), 0);
    ASSERT_EQ(registers.Set(owner, 7, Enabled(0, kWrite4)), 0);
  }
  Physical expected;
  expected.address = {kAddress + 64, kAddress + 128, 0, 0};
  expected.condition = {kWrite4, kWrite4, 0, 0};
  expected.enabled = {true, true, false, false};
  EXPECT_EQ(registers.physical(), expected);
  // Each keeps its view.
  EXPECT_EQ(Read(registers, 2, 0), kAddress + 128);
  EXPECT_EQ(Read(registers, 2, 1), 0U);
  EXPECT_EQ(Read(registers, 2, 7), Enabled(0, kWrite4));
  registers.Drop(1);
  expected = Physical{};
  expected.address[0] = kAddress + 128;
  expected.condition[0] = kWrite4;
  expected.enabled[0] = true;
  EXPECT_EQ(registers.physical(), expected);
  registers.Drop(2);
  EXPECT_TRUE(registers.empty());
  EXPECT_EQ(registers.physical(), Physical{});
}

TEST(DebugRegisters, AlikeShareAPlaceAndUnlikeDoNot) {
  DebugRegisters registers = Full();
  ASSERT_EQ(registers.Set(2, 0, kAddress + 32), 0);
  EXPECT_EQ(registers.Set(2, 7, Enabled(0, kWrite4)), 0);
  // The same address with another condition.
  EXPECT_EQ(registers.Set(2, 7, Enabled(0, kExecute)), -ENOSPC);
}

TEST(DebugRegisters, ThatThereIsNoRoomForChangeNothing) {
  DebugRegisters registers = Full();
  ASSERT_EQ(registers.Set(2, 1, kAddress + 256), 0);
  const Physical before = registers.physical();
  EXPECT_EQ(registers.Set(2, 7, Enabled(1, kWrite4)), -ENOSPC);
  EXPECT_EQ(registers.physical(), before);
  EXPECT_EQ(Read(registers, 2, 7), 0U);
  // Nor does an enabled one that moves to where there is no room.
  ASSERT_EQ(registers.Set(2, 1, kAddress), 0);
  ASSERT_EQ(registers.Set(2, 7, Enabled(1, kWrite4)), 0);
  EXPECT_EQ(registers.Set(2, 1, kAddress + 256), -ENOSPC);
  EXPECT_EQ(Read(registers, 2, 1), kAddress);
  // One less of the other makes room.
  ASSERT_EQ(registers.Set(1, 7, Enabled(0, kWrite4)), 0);
  EXPECT_EQ(registers.Set(2, 1, kAddress + 256), 0);
}

TEST(DebugRegisters, ThatNoUserMayHaveAreRefused) {
  DebugRegisters registers;
  EXPECT_EQ(registers.Set(1, 0, 0xffff800000000000), -EINVAL);
  EXPECT_EQ(registers.Set(1, 7, Enabled(0, kPort)), -EINVAL);
  EXPECT_EQ(registers.Set(1, 4, 1), -EIO);
  EXPECT_EQ(registers.Set(1, 5, 1), -EIO);
  EXPECT_EQ(registers.Set(1, 8, 1), -EIO);
  EXPECT_TRUE(registers.empty());
}

TEST(DebugRegisters, TellWhoseTrapItIsByTheNumbersThatTheOwnersKnow) {
  DebugRegisters registers;
  // Owner 1 has 0 and 2; owner 2 has its 0 at place 1, and shares owner 1's 2 as its 3.
  ASSERT_EQ(registers.Set(1, 0, kAddress), 0);
  ASSERT_EQ(registers.Set(1, 2, kAddress + 32), 0);
  ASSERT_EQ(registers.Set(1, 7, Enabled(0, kWrite4) | Enabled(2, kWrite4)), 0);
  ASSERT_EQ(registers.Set(2, 0, kAddress + 64), 0);
  ASSERT_EQ(registers.Set(2, 3, kAddress + 32), 0);
  ASSERT_EQ(registers.Set(2, 7, Enabled(0, kWrite4) | Enabled(3, kWrite4)), 0);
  ASSERT_EQ(registers.Set(3, 0, kAddress + 128), 0);  // enables nothing

  using Owners = std::vector<DebugRegisters::Owner>;
  EXPECT_EQ(registers.NoteTrap(0xffff0ff1), (Owners{1}));
  EXPECT_EQ(Read(registers, 1, 6), 0xffff0ff1U);
  EXPECT_EQ(Read(registers, 2, 6), 0xffff0ff0U);
  EXPECT_EQ(registers.NoteTrap(0xffff0ff2), (Owners{2}));
  EXPECT_EQ(Read(registers, 1, 6), 0xffff0ff0U);
  EXPECT_EQ(Read(registers, 2, 6), 0xffff0ff1U);
  EXPECT_EQ(registers.NoteTrap(0xffff0ff4), (Owners{1, 2}));
  EXPECT_EQ(Read(registers, 1, 6), 0xffff0ff4U);
  EXPECT_EQ(Read(registers, 2, 6), 0xffff0ff8U);
  // A step is everybody's to see, and no breakpoint.
  EXPECT_EQ(registers.NoteTrap(0xffff4ff0), (Owners{}));
  EXPECT_EQ(Read(registers, 3, 6), 0xffff4ff0U);
}

// A thread's registers under the writes, with the kernel's rule about lengths.
struct Thread {
  std::array<uint64_t, 8> registers{};
  bool Write(const DebugWrite& write) {
    std::array<uint64_t, 8> next = registers;
    next[*DebugRegisterAt(write.user_offset)] = write.value;
    for (unsigned slot = 0; slot < 4; ++slot) {
      const uint64_t condition = next[7] >> (16 + slot * 4) & 0xf;
      if ((next[7] >> (slot * 2) & 3) != 0 && condition == kWrite4 && next[slot] % 4 != 0) {
        return false;
      }
    }
    registers = next;
    return true;
  }
};

TEST(DebugWrites, TurnOneSetIntoAnother) {
  const DebugRegisters full = Full();
  DebugRegisters other;
  ASSERT_EQ(other.Set(1, 0, kAddress), 0);      // as it was
  ASSERT_EQ(other.Set(1, 1, kAddress + 3), 0);  // elsewhere, with a length for which it is good
  ASSERT_EQ(other.Set(1, 7, Enabled(0, kWrite4) | Enabled(1, kExecute)), 0);
  Thread thread;
  for (const DebugWrite& write : DebugWrites({}, full.physical())) EXPECT_TRUE(thread.Write(write));
  EXPECT_EQ(thread.registers[7], 0xdddd0055U);
  EXPECT_EQ(thread.registers[3], kAddress + 48);
  for (const DebugWrite& write : DebugWrites(full.physical(), other.physical())) {
    EXPECT_TRUE(thread.Write(write));
    EXPECT_NE(thread.registers[7] & 1, 0U);  // the one that stays is in force all the time
  }
  EXPECT_EQ(thread.registers[7], 0xd0005U);
  EXPECT_EQ(thread.registers[1], kAddress + 3);
  EXPECT_TRUE(DebugWrites(full.physical(), full.physical()).empty());
}

TEST(DebugWrites, OfTheWayBackUndoWhatWasRefused) {
  const DebugRegisters full = Full();
  Thread thread;
  for (const DebugWrite& write : DebugWrites({}, full.physical())) EXPECT_TRUE(thread.Write(write));
  const Thread before = thread;
  DebugRegisters bad = full;
  ASSERT_EQ(bad.Set(1, 2, kAddress + 1), 0);
  bool refused = false;
  for (const DebugWrite& write : DebugWrites(full.physical(), bad.physical())) {
    refused |= !thread.Write(write);
  }
  EXPECT_TRUE(refused);
  EXPECT_NE(thread.registers, before.registers);
  for (const DebugWrite& write : DebugWrites(bad.physical(), full.physical())) {
    EXPECT_TRUE(thread.Write(write));
  }
  EXPECT_EQ(thread.registers, before.registers);
}

}  // namespace
}  // namespace utrace::arch
