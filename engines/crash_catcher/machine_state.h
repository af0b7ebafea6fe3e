// What depends on the machine: how its registers are named and numbered, and its instructions.
// One file for each machine implements it (machine_state_x86_64.cc).
#ifndef ENGINES_CRASH_CATCHER_MACHINE_STATE_H_
#define ENGINES_CRASH_CATCHER_MACHINE_STATE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engines/crash_catcher/memory.h"
#include "engines/crash_catcher/snapshot.h"

namespace utrace::crash {

// `general` is the image of NT_PRSTATUS registers in all of these.
using GeneralImage = std::span<const std::byte>;

struct NamedRegister {
  std::string name;
  uint64_t value;
};
std::vector<NamedRegister> NamedRegisters(GeneralImage general);

uint64_t ProgramCounter(GeneralImage general);
uint64_t StackPointer(GeneralImage general);

// The registers by their DWARF numbers, from zero on; the unwinder starts from them.
std::vector<uint64_t> DwarfRegisters(GeneralImage general);

// The state just after the return from a function that was called and has not run an instruction:
// what is left to follow when a program jumps to where there is no code. Nullopt if memory does not
// tell.
std::optional<std::vector<std::byte>> AfterReturn(GeneralImage general, Memory& memory);

// Whether the processor has such an address at all.
bool IsCanonical(uint64_t address);

// Bytes that an instruction can have at most.
size_t LongestInstruction();

// What an instruction does to memory.
struct MemoryAccess {
  uint64_t address;
  size_t bytes;
  bool reads;
  bool writes;
  std::string operand;  // "[rax + 0x10]"
};

// The instructions in `code`, which stands at `address`, as far as they can be decoded.
std::vector<Instruction> Disassemble(std::span<const std::byte> code, uint64_t address);
// What the instruction at the program counter, whose bytes are `code`, accesses.
std::vector<MemoryAccess> AccessesOf(std::span<const std::byte> code, GeneralImage general);

}  // namespace utrace::crash

#endif  // ENGINES_CRASH_CATCHER_MACHINE_STATE_H_
