#include <sys/ptrace.h>

#include <cstdint>

#include "arch/arch.h"
#include "arch/stepper.h"

// What the child is stepped through. It touches no memory and ends in a loop, so that a step that
// never ends does no harm until the child is killed.
__asm__(
    ".pushsection .text.utrace_step_probe, \"ax\", %progbits\n"
    ".hidden utrace_step_probe\n"
    ".globl utrace_step_probe\n"
    ".p2align 2\n"
    "utrace_step_probe:\n"
    "  nop\n"
    "  nop\n"
    "1:\n"
    "  b 1b\n"
    ".popsection\n");

extern "C" const char utrace_step_probe[];

namespace utrace::arch {

// This architecture has no block step.
StepAbilities ProbeStepping() {
  constexpr uint64_t kInstruction = 4;
  StepAbilities abilities;
  Stepper child;
  if (!child.ready()) return abilities;
  const uint64_t start = Address(utrace_step_probe);
  abilities.single_step = child.Go(utrace_step_probe) &&
                          child.StepEndsAt(PTRACE_SINGLESTEP, start + kInstruction) &&
                          child.StepEndsAt(PTRACE_SINGLESTEP, start + 2 * kInstruction);
  return abilities;
}

}  // namespace utrace::arch
