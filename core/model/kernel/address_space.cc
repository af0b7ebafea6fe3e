#include "core/model/kernel/address_space.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace utrace::model {
namespace {

constexpr char kPrivateText[] = "private memory of the program";
constexpr char kReadOnlyText[] = "this page cannot be written by the puppet";

}  // namespace

AddressSpace::AddressSpace(Slots& slots) : slots_(slots) {
  std::memcpy(private_.data(), kPrivateText, sizeof(kPrivateText));
  std::memcpy(read_only_.data(), kReadOnlyText, sizeof(kReadOnlyText));
}

uint8_t* AddressSpace::Find(uint64_t address, size_t* available, bool* writable) const {
  const auto within = [&](uint64_t start, size_t size, void* bytes) -> uint8_t* {
    if (address < start || address - start >= size) return nullptr;
    *available = size - (address - start);
    return static_cast<uint8_t*>(bytes) + (address - start);
  };
  *writable = true;
  if (uint8_t* found = within(kPrivateMemory, kPrivateSize, private_.data())) return found;
  if (uint8_t* found = within(kStackMemory, stacks_.size(), stacks_.data())) return found;
  if (uint8_t* found = within(kSharedMemory, sizeof(Slots), slots_.data())) return found;
  *writable = false;
  return within(kReadOnlyMemory, kReadOnlySize, read_only_.data());
}

ssize_t AddressSpace::Read(uint64_t address, void* buffer, size_t size) const {
  size_t available = 0;
  bool writable = false;
  const uint8_t* const found = Find(address, &available, &writable);
  if (found == nullptr) return size == 0 ? 0 : -EFAULT;
  const size_t count = std::min(size, available);
  std::memcpy(buffer, found, count);
  return static_cast<ssize_t>(count);
}

ssize_t AddressSpace::Write(uint64_t address, const void* bytes, size_t size, By by) {
  size_t available = 0;
  bool writable = false;
  uint8_t* const found = Find(address, &available, &writable);
  if (found == nullptr || (!writable && by == By::kProgram)) return size == 0 ? 0 : -EFAULT;
  const size_t count = std::min(size, available);
  std::memcpy(found, bytes, count);
  return static_cast<ssize_t>(count);
}

}  // namespace utrace::model
