#include <elf.h>

#include <array>

#include "arch/arch.h"
#include "arch/x86_64/xstate.h"

namespace utrace::arch {
namespace {

constexpr uint32_t kSlot = 8;

static_assert(sizeof(user_regs_struct) == 27 * kSlot);
static_assert(sizeof(user_fpregs_struct) == kFxsaveSize);

utrace_regset Set(const char* name, uint32_t note_type, size_t bytes) {
  return {.name = name,
          .note_type = note_type,
          .slots = static_cast<uint32_t>(bytes / kSlot),
          .slot_size = kSlot,
          .align = kSlot};
}

}  // namespace

const utrace_regset_view& View() {
  static const std::array<utrace_regset, 3> sets = {
      Set("general", NT_PRSTATUS, sizeof(user_regs_struct)),
      Set("floating_point", NT_PRFPREG, sizeof(user_fpregs_struct)),
      Set("extended_state", NT_X86_XSTATE, XstateSize()),
  };
  // Without XSAVE the kernel has no such set.
  static const utrace_regset_view view = {
      .name = "x86_64",
      .elf_machine = EM_X86_64,
      .count = static_cast<uint32_t>(sets.size()) - (XstateSize() == 0 ? 1 : 0),
      .sets = sets.data(),
  };
  return view;
}

const utrace_regset& ExtendedState() { return View().sets[View().count - 1]; }

uint64_t Pc(const GeneralRegisters& regs) { return regs.rip; }
void SetPc(GeneralRegisters& regs, uint64_t pc) { regs.rip = pc; }
uint64_t Sp(const GeneralRegisters& regs) { return regs.rsp; }
uint64_t Marker(const GeneralRegisters& regs) { return regs.r15; }
void SetSp(GeneralRegisters& regs, uint64_t sp) { regs.rsp = sp; }

}  // namespace utrace::arch
