#include <elf.h>

#include <array>

#include "arch/arch.h"

namespace utrace::arch {
namespace {

static_assert(sizeof(user_regs_struct) == 34 * 8);
static_assert(sizeof(user_fpsimd_struct) == 528);

constexpr uint32_t kWord = 4;
constexpr uint32_t kDouble = 8;
// Two pointers: TPIDR_EL0, and TPIDR2_EL0 where there is SME.
constexpr uint32_t kTlsSlots = 2;
// A header of 8 bytes and 16 pairs of an address and a control word, padded to 16 bytes each.
constexpr uint32_t kDebugSlots = (8 + 16 * 16) / kWord;
// Vectors of 2048 bits: a header of 16 bytes, 32 vectors, 16 predicates, FFR, FPSR and FPCR, in units of 16.
constexpr uint32_t kSveSlots = (16 + 32 * 256 + 16 * 32 + 32 + 16) / kDouble;

}  // namespace

const utrace_regset_view& View() {
  static constexpr std::array<utrace_regset, 7> kSets = {{
      {"general", NT_PRSTATUS, sizeof(user_regs_struct) / kDouble, kDouble, kDouble},
      {"floating_point", NT_PRFPREG, sizeof(user_fpsimd_struct) / kWord, kWord, kWord},
      {"tls", NT_ARM_TLS, kTlsSlots, kDouble, kDouble},
      {"hardware_breakpoints", NT_ARM_HW_BREAK, kDebugSlots, kWord, kWord},
      {"hardware_watchpoints", NT_ARM_HW_WATCH, kDebugSlots, kWord, kWord},
      {"system_call", NT_ARM_SYSTEM_CALL, 1, kWord, kWord},
      // Not on every machine.
      {"scalable_vectors", NT_ARM_SVE, kSveSlots, kDouble, kDouble},
  }};
  static constexpr utrace_regset_view kView = {
      .name = "aarch64",
      .elf_machine = EM_AARCH64,
      .count = static_cast<uint32_t>(kSets.size()),
      .sets = kSets.data(),
  };
  return kView;
}

const utrace_regset& ExtendedState() { return View().sets[1]; }

uint64_t Pc(const GeneralRegisters& regs) { return regs.pc; }
void SetPc(GeneralRegisters& regs, uint64_t pc) { regs.pc = pc; }
uint64_t Sp(const GeneralRegisters& regs) { return regs.sp; }
uint64_t Marker(const GeneralRegisters& regs) { return regs.regs[28]; }
void SetSp(GeneralRegisters& regs, uint64_t sp) { regs.sp = sp; }

}  // namespace utrace::arch
