// The memory of a model process, as its own loads and stores and its engines see it.
#ifndef CORE_MODEL_KERNEL_ADDRESS_SPACE_H_
#define CORE_MODEL_KERNEL_ADDRESS_SPACE_H_

#include <sys/types.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "core/utrace_target.h"

namespace utrace::model {

// Where things are in every model program.
inline constexpr uint64_t kEntryPoint = 0x400000;
inline constexpr uint64_t kCallSite = 0x400100;      // its system call instruction
inline constexpr uint64_t kUserCode = 0x400200;      // what it runs between calls
inline constexpr uint64_t kHandlerCode = 0x400300;   // of every handler that it installs
inline constexpr uint64_t kRestorerSite = 0x400400;  // the system call instruction of sigreturn
inline constexpr uint64_t kStepCode = 0x400500;      // of the command STEPS
inline constexpr uint64_t kBranchCode = 0x400600;    // of the command BRANCHES
inline constexpr uint64_t kUnmapped = 0x500000;
inline constexpr uint64_t kPrivateMemory = 0x600000;
inline constexpr size_t kPrivateSize = 8192;
inline constexpr uint64_t kReadOnlyMemory = 0x700000;
inline constexpr size_t kReadOnlySize = 4096;
// What the code of a slot keeps for itself, kStackSize bytes each.
inline constexpr uint64_t kStackMemory = 0x800000;
inline constexpr size_t kStackSize = 256;
inline constexpr uint64_t kSharedMemory = 0x10000000;
inline constexpr uint64_t kStackTop = 0x7fff0000;

// Shared by the kit and all processes of a world.
using Slots = std::array<utrace_target_slot, UTRACE_TARGET_SLOTS>;

class AddressSpace {
 public:
  explicit AddressSpace(Slots& slots);

  enum class By : uint8_t {
    kProgram,  // its own stores, which a read-only page refuses
    kTracer,
  };
  // Copies up to `size` bytes; how many, short if an unmapped page comes first, or -EFAULT.
  ssize_t Read(uint64_t address, void* buffer, size_t size) const;
  ssize_t Write(uint64_t address, const void* bytes, size_t size, By by);

  template <typename T>
  bool Load(uint64_t address, T* value) const {
    return Read(address, value, sizeof(T)) == static_cast<ssize_t>(sizeof(T));
  }
  template <typename T>
  bool Store(uint64_t address, const T& value) {
    return Write(address, &value, sizeof(T), By::kProgram) == static_cast<ssize_t>(sizeof(T));
  }

 private:
  // The bytes at `address` up to the end of its region; null if there is none.
  uint8_t* Find(uint64_t address, size_t* available, bool* writable) const;

  Slots& slots_;
  mutable std::array<uint8_t, kPrivateSize> private_{};
  mutable std::array<uint8_t, kReadOnlySize> read_only_{};
  mutable std::array<uint8_t, kStackSize * UTRACE_TARGET_SLOTS> stacks_{};
};

}  // namespace utrace::model

#endif  // CORE_MODEL_KERNEL_ADDRESS_SPACE_H_
