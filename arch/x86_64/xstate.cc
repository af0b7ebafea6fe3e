#include "arch/x86_64/xstate.h"

#include <cpuid.h>

#include <algorithm>
#include <bit>
#include <cstring>

namespace utrace::arch {
namespace {

constexpr unsigned kXstateLeaf = 0xd;

struct Component {
  size_t offset = 0;
  size_t size = 0;
};

Component FindComponent(unsigned feature) {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (__get_cpuid_count(kXstateLeaf, feature, &eax, &ebx, &ecx, &edx) == 0) return {};
  return {.offset = ebx, .size = eax};
}

uint64_t ReadU64(std::span<const uint8_t> image, size_t offset) {
  uint64_t value = 0;
  std::memcpy(&value, image.data() + offset, sizeof(value));
  return value;
}

template <typename T>
void Write(std::vector<uint8_t>& image, size_t offset, T value) {
  std::memcpy(image.data() + offset, &value, sizeof(value));
}

}  // namespace

size_t XstateSize() {
  static const size_t size = [] {
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
    if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) == 0 || (ecx & bit_OSXSAVE) == 0) return 0U;
    // ebx counts what the kernel enabled in XCR0; ecx would count what it left off as well.
    if (__get_cpuid_count(kXstateLeaf, 0, &eax, &ebx, &ecx, &edx) == 0) return 0U;
    return ebx;
  }();
  return size;
}

size_t XstateSizeFor(uint64_t features) {
  size_t size = kFxsaveSize + kXstateHeaderSize;
  // The order of offsets is not that of bits: the largest one must be looked for.
  for (uint64_t rest = features & ~(kXfeatureX87 | kXfeatureSse); rest != 0; rest &= rest - 1) {
    const Component component = FindComponent(static_cast<unsigned>(std::countr_zero(rest)));
    size = std::max(size, component.offset + component.size);
  }
  return size;
}

uint64_t XstateEnabled(std::span<const uint8_t> image) { return ReadU64(image, kSoftwareBytes); }

uint64_t XstateInUse(std::span<const uint8_t> image) { return ReadU64(image, kFxsaveSize); }

std::vector<uint8_t> InitialXstate(std::span<const uint8_t> image) {
  std::vector<uint8_t> initial(image.size());
  if (image.size() < kFxsaveSize) return initial;
  constexpr uint16_t kControlWord = 0x37f;  // x87: all exceptions masked, extended precision
  constexpr uint32_t kMxcsr = 0x1f80;       // SSE: all exceptions masked
  constexpr size_t kMxcsrOffset = 24;
  constexpr size_t kMxcsrMaskOffset = 28;  // a property of the machine, not of the state
  Write(initial, 0, kControlWord);
  Write(initial, kMxcsrOffset, kMxcsr);
  std::memcpy(initial.data() + kMxcsrMaskOffset, image.data() + kMxcsrMaskOffset, sizeof(uint32_t));
  if (image.size() < kFxsaveSize + kXstateHeaderSize) return initial;

  const uint64_t enabled = XstateEnabled(image);
  Write(initial, kSoftwareBytes, enabled);
  // A component whose bit is clear is initialised by the processor, but whether that includes the
  // control words depends on the instruction that the kernel loads it with.
  uint64_t in_use = kXfeatureX87 | kXfeatureSse;
  if (enabled & kXfeaturePkru) {
    // The kernel's own initial value is not the processor's: only key 0 is accessible.
    constexpr uint32_t kPkru = 0x55555554;
    const Component pkru = FindComponent(std::countr_zero(kXfeaturePkru));
    if (pkru.size >= sizeof(kPkru) && pkru.offset + pkru.size <= initial.size()) {
      Write(initial, pkru.offset, kPkru);
      in_use |= kXfeaturePkru;
    }
  }
  Write(initial, kFxsaveSize, in_use);
  return initial;
}

}  // namespace utrace::arch
