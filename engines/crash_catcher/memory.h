// Reading the memory of the process that is reported.
#ifndef ENGINES_CRASH_CATCHER_MEMORY_H_
#define ENGINES_CRASH_CATCHER_MEMORY_H_

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/machine_view.h"

namespace utrace::crash {

class Memory {
 public:
  Memory() = default;
  virtual ~Memory() = default;
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  // How many bytes of `bytes` could be filled from `address` on: fewer where an unmapped page comes
  // first, zero if there is not one.
  virtual size_t Read(uint64_t address, std::span<std::byte> bytes) = 0;
  // The process cannot be read any more: it was killed.
  virtual bool gone() const = 0;

  template <class T>
  bool ReadObject(uint64_t address, T* object) {
    return Read(address, std::as_writable_bytes(std::span(object, 1))) == sizeof(T);
  }
};

// Through a task that is held stopped.
class TaskMemory final : public Memory {
 public:
  explicit TaskMemory(const Machine& machine) : machine_(machine) {}

  size_t Read(uint64_t address, std::span<std::byte> bytes) override {
    if (gone_) return 0;
    const Result<size_t> count = machine_.ReadMemory(address, bytes);
    if (count) return *count;
    // Unreadable memory is -EFAULT, or -EIO; a task that does not stay stopped was killed.
    gone_ = count.code() == -ESRCH || count.code() == -EINVAL;
    return 0;
  }
  bool gone() const override { return gone_; }

 private:
  const Machine machine_;
  bool gone_ = false;
};

}  // namespace utrace::crash

#endif  // ENGINES_CRASH_CATCHER_MEMORY_H_
