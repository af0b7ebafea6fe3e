// The debug registers of one thread, shared by several who each believe that they are theirs.
//
// Each *owner* has a file of registers of its own, which reads as it was written. What is enabled in the files
// is merged into the registers that the thread has: alike breakpoints of several owners share a place. Pure
// bookkeeping on values; whoever uses it installs what comes out. Not synchronised.
#ifndef ARCH_DEBUG_REGISTERS_H_
#define ARCH_DEBUG_REGISTERS_H_

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

namespace utrace::arch {

// The register that PTRACE_PEEKUSER and PTRACE_POKEUSER mean by an offset into struct user; nullopt if that is
// no debug register. A machine that has no such registers says so of every offset.
std::optional<unsigned> DebugRegisterAt(uint64_t user_offset);
uint64_t DebugRegisterOffset(unsigned index);
// The register in which the processor says what it trapped for.
unsigned DebugStatusRegister();
// The one that says what of the others is in force.
unsigned DebugControlRegister();

class DebugRegisters {
 public:
  using Owner = uint64_t;
  static constexpr unsigned kSlots = 4;

  bool Has(Owner owner) const { return files_.count(owner) != 0; }
  // Begins the owner's file, of which there is none; else its first write does. Its status register reads as
  // `status`, the thread's, but for breakpoints, which are others'.
  void Begin(Owner owner, uint64_t status);
  // Writes a register of the owner's file. Error, and then nothing changed: -EIO no such register; -EINVAL
  // an address that is no user's, or a breakpoint of a kind that a user may not have; -ENOSPC the thread has
  // not so many. What is enabled may still be refused when it is installed (its length and address may not
  // go together): then the caller keeps the copy that it had before.
  int Set(Owner owner, unsigned index, uint64_t value);
  // Reads one: as after an exec if the owner never wrote any. Error: -EIO no such register.
  int Get(Owner owner, unsigned index, uint64_t* value) const;
  // Nothing of the owner stays. Never fails.
  void Drop(Owner owner);
  bool empty() const { return files_.empty(); }

  // The thread trapped, and its status register reads `status`: every owner's shows what of that is its own.
  // Those with a breakpoint that was met, in the order of their keys.
  std::vector<Owner> NoteTrap(uint64_t status);

  // The thread's own registers: what is enabled in all files together.
  struct Physical {
    std::array<uint64_t, kSlots> address{};
    std::array<uint8_t, kSlots> condition{};  // kind and length, as the machine encodes them
    std::array<bool, kSlots> enabled{};
    friend bool operator==(const Physical&, const Physical&) = default;
  };
  const Physical& physical() const { return physical_; }

 private:
  struct File {
    std::array<uint64_t, kSlots> address{};
    uint64_t status = 0;
    uint64_t control = 0;
    std::array<uint8_t, kSlots> place{};  // in physical_, of what is enabled
  };
  static File Fresh();
  int Place();

  std::map<Owner, File> files_;
  Physical physical_;
};

// A register of the thread to be written, by PTRACE_POKEUSER; in the order of a list.
struct DebugWrite {
  uint64_t user_offset;
  uint64_t value;
};
// Turns a thread whose registers are `from` into one whose are `to`. If one of the writes is refused, those
// of the way back, from `to` to `from`, undo what was done.
std::vector<DebugWrite> DebugWrites(const DebugRegisters::Physical& from,
                                    const DebugRegisters::Physical& to);

}  // namespace utrace::arch

#endif  // ARCH_DEBUG_REGISTERS_H_
