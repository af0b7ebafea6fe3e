#include <sys/ptrace.h>

#include <cstdint>

#include "arch/arch.h"
#include "arch/stepper.h"

// What the child is stepped through. It touches no memory and ends in a loop, so that a step that
// never ends does no harm until the child is killed. A machine that takes a block step for a single
// step stops at probe + 1; one that stops at every branch instruction, at the one not taken.
__asm__(
    ".pushsection .text.utrace_step_probe, \"ax\", @progbits\n"
    ".hidden utrace_step_probe\n"
    ".globl utrace_step_probe\n"
    ".hidden utrace_step_probe_first\n"
    ".globl utrace_step_probe_first\n"
    ".hidden utrace_step_probe_second\n"
    ".globl utrace_step_probe_second\n"
    "utrace_step_probe:\n"
    "  nop\n"
    "  nop\n"
    "  xorl %eax, %eax\n"
    "  jnz utrace_step_probe_second\n"
    "  nop\n"
    "  jmp utrace_step_probe_first\n"
    "  ud2\n"
    "utrace_step_probe_first:\n"
    "  nop\n"
    "  nop\n"
    "  jmp utrace_step_probe_second\n"
    "  ud2\n"
    "utrace_step_probe_second:\n"
    "  nop\n"
    "  nop\n"
    "1:\n"
    "  jmp 1b\n"
    ".popsection\n");

extern "C" const char utrace_step_probe[];
extern "C" const char utrace_step_probe_first[];
extern "C" const char utrace_step_probe_second[];

namespace utrace::arch {
namespace {

bool ProbeSingleStep(Stepper& child) {
  const uint64_t start = Address(utrace_step_probe);
  return child.Go(utrace_step_probe) && child.StepEndsAt(PTRACE_SINGLESTEP, start + 1) &&
         child.StepEndsAt(PTRACE_SINGLESTEP, start + 2);
}

bool ProbeBlockStep(Stepper& child) {
  const uint64_t first = Address(utrace_step_probe_first);
  const uint64_t second = Address(utrace_step_probe_second);
  // Repeated, as a virtual machine may lose the setting when it is taken off the processor.
  for (int round = 0; round < 4; ++round) {
    if (!child.Go(utrace_step_probe)) return false;
    if (!child.StepEndsAt(PTRACE_SINGLEBLOCK, first)) return false;
    if (!child.StepEndsAt(PTRACE_SINGLEBLOCK, second)) return false;
    // The machine must also find back to single steps.
    if (!child.StepEndsAt(PTRACE_SINGLESTEP, second + 1)) return false;
  }
  return true;
}

}  // namespace

StepAbilities ProbeStepping() {
  StepAbilities abilities;
  Stepper child;
  if (!child.ready()) return abilities;
  abilities.single_step = ProbeSingleStep(child);
  abilities.block_step = abilities.single_step && ProbeBlockStep(child);
  return abilities;
}

}  // namespace utrace::arch
