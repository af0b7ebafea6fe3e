// The layout of the extended state image (NT_X86_XSTATE), which is XSAVE's standard format.
#ifndef ARCH_X86_64_XSTATE_H_
#define ARCH_X86_64_XSTATE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace utrace::arch {

constexpr size_t kFxsaveSize = 512;       // the legacy area, which is also NT_PRFPREG
constexpr size_t kXstateHeaderSize = 64;  // follows the legacy area
constexpr size_t kSoftwareBytes = 464;    // offset in the legacy area; free for the kernel's use
constexpr size_t kSoftwareBytesSize = 48;

// Bits of XCR0 and of the header's XSTATE_BV.
constexpr uint64_t kXfeatureX87 = 1 << 0;
constexpr uint64_t kXfeatureSse = 1 << 1;
constexpr uint64_t kXfeaturePkru = 1 << 9;
constexpr uint64_t kXfeatureTileData = 1 << 18;

// Bytes of the image on this machine: everything that XCR0 enables. Zero without XSAVE.
size_t XstateSize();

// Bytes that the components in `features` reach up to.
size_t XstateSizeFor(uint64_t features);

// The components that `image` has room for (XCR0), and those that are not in their initial state
// (XSTATE_BV). `image` holds a header.
uint64_t XstateEnabled(std::span<const uint8_t> image);
uint64_t XstateInUse(std::span<const uint8_t> image);

// The state in which the kernel starts a program or a signal handler, as an image for the machine
// that `image` (NT_X86_XSTATE, or NT_PRFPREG without XSAVE) comes from.
std::vector<uint8_t> InitialXstate(std::span<const uint8_t> image);

}  // namespace utrace::arch

#endif  // ARCH_X86_64_XSTATE_H_
