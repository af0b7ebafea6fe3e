// What decoding reads the traced program's memory with.
#ifndef ENGINES_SYSCALL_LOG_DECODE_MEMORY_H_
#define ENGINES_SYSCALL_LOG_DECODE_MEMORY_H_

#include <cstddef>
#include <cstdint>

namespace utrace::syscall_log {

class Memory {
 public:
  virtual ~Memory() = default;
  // Copies up to `size` bytes from `address` to `buffer`, up to the first that is not mapped. Returns
  // how many; zero if there are none.
  virtual size_t Read(uint64_t address, void* buffer, size_t size) = 0;
};

}  // namespace utrace::syscall_log

#endif  // ENGINES_SYSCALL_LOG_DECODE_MEMORY_H_
