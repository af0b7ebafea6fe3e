// What the kit knows of the machine that it runs on: where a puppet's registers are in the register sets.
#ifndef CONFORMANCE_KIT_MACHINE_H_
#define CONFORMANCE_KIT_MACHINE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace utrace::kit {

// Indices of registers are those of RegisterImage::general.
struct Machine {
  uint16_t elf_machine;
  // Positions in NT_PRSTATUS, whose size this is.
  size_t general_size;
  size_t general[15];
  size_t pc;
  size_t sp;
  // Positions in NT_PRFPREG, whose size this is, of the sixteen vectors one behind another.
  size_t vectors_size;
  size_t vectors;
  // Registers of a system call, and those whose content it does not keep.
  int call_number;
  int call_result;
  int first_argument;
  std::vector<int> lost_in_calls;
  // One that calls do not touch, and that belongs to no argument.
  int kept;
  // Sets that there must be beside those two [REG-02].
  std::vector<uint32_t> further_sets;
};
const Machine& ThisMachine();

}  // namespace utrace::kit

#endif  // CONFORMANCE_KIT_MACHINE_H_
