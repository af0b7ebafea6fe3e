// Tables of names for values, made from the system's headers at build time (names/names.py).
#ifndef ENGINES_SYSCALL_LOG_DECODE_NAMES_H_
#define ENGINES_SYSCALL_LOG_DECODE_NAMES_H_

#include <cstdint>
#include <span>

namespace utrace::syscall_log {

struct NameEntry {
  uint64_t value;
  const char* name;
};

// One table. Lives as long as the process.
struct Names {
  std::span<const NameEntry> entries;  // in ascending order of value, no value twice
  const char* unknown;                 // said of a value without a name: "O_???"

  // Null if there is none.
  const char* Find(uint64_t value) const;
};

// All requests of ioctl that the kernel's headers name; several drivers use the same numbers, and
// this knows one name for each.
extern const Names kIoctls;

}  // namespace utrace::syscall_log

#endif  // ENGINES_SYSCALL_LOG_DECODE_NAMES_H_
