// Types of arguments that all kinds of calls have.
#ifndef ENGINES_SYSCALL_LOG_DECODE_VALUES_H_
#define ENGINES_SYSCALL_LOG_DECODE_VALUES_H_

#include <cstdint>

#include "engines/syscall_log/decode/call.h"
#include "engines/syscall_log/decode/names.h"

namespace utrace::syscall_log {

// ---- Parts of values.

// A constant; without a name its number, and in text what kind of name is missing.
void PutName(Renderer& out, const Names& names, uint64_t value);
// The same for an argument of type int: with and without its sign.
void PutIntName(Renderer& out, const Names& names, uint64_t value);
// Names of the bits, and in hexadecimal those without one. A name of zero stands for no bits.
void PutFlags(Renderer& out, const Names& names, uint64_t value);
// The same between BeginFlags and EndFlags: the names found; returns the bits that are left.
uint64_t PutFlagNames(Renderer& out, const Names& names, uint64_t value);
// One name in `base_mask`, and flags beside it.
void PutNameAndFlags(Renderer& out, const Names& base, uint64_t base_mask, const Names& flags,
                     uint64_t value);
// `size` bytes at an address, no more than the style's limit for strings.
void PutBytes(Call& call, uint64_t address, uint64_t size);
// The same of bytes that are no text.
void PutData(Call& call, uint64_t address, uint64_t size);
// A text that ends in a zero byte, up to `limit` bytes.
void PutText(Call& call, uint64_t address, size_t limit);
// A text within a structure: up to a zero byte or `size`.
void PutField(Renderer& out, std::string_view name, const char* text, size_t size);
void PutDescriptor(Call& call, int fd);
void PutMode(Renderer& out, uint32_t mode);
void PutDevice(Renderer& out, uint64_t device);
void PutId(Renderer& out, uint32_t id);  // -1 for no user or group
void PutUnsignedField(Renderer& out, std::string_view name, uint64_t value);
void PutSignedField(Renderer& out, std::string_view name, int64_t value);
void PutHexField(Renderer& out, std::string_view name, uint64_t value);
void PutAddressField(Renderer& out, std::string_view name, uint64_t value);
void PutFlagsField(Renderer& out, std::string_view name, const Names& names, uint64_t value);
void PutNameField(Renderer& out, std::string_view name, const Names& names, uint64_t value);

// ---- Whole arguments.

void ShowInt(Call& call, uint64_t value);
void ShowUnsignedInt(Call& call, uint64_t value);
void ShowLong(Call& call, uint64_t value);
void ShowSize(Call& call, uint64_t value);
void ShowHex(Call& call, uint64_t value);
void ShowHexInt(Call& call, uint64_t value);
void ShowAddress(Call& call, uint64_t value);
void ShowDescriptor(Call& call, uint64_t value);
void ShowDirectory(Call& call, uint64_t value);
void ShowPath(Call& call, uint64_t value);
void ShowText(Call& call, uint64_t value);
void ShowOctal(Call& call, uint64_t value);
void ShowId(Call& call, uint64_t value);
void ShowFileMode(Call& call, uint64_t value);  // with its type: S_IFREG|0644
void ShowSignalNumber(Call& call, uint64_t value);
// What a pointer to a number points to, in brackets.
void ShowIntAt(Call& call, uint64_t address);
void ShowUnsignedIntAt(Call& call, uint64_t address);
void ShowLongAt(Call& call, uint64_t address);
void ShowAddressAt(Call& call, uint64_t address);
// The same, before the call and after: [16 => 12].
void ShowIntChange(Call& call, uint64_t address);
void ShowLongChange(Call& call, uint64_t address);
// Text of environment and arguments of exec.
void ShowTexts(Call& call, uint64_t address);
void ShowTextCount(Call& call, uint64_t address);

template <const Names& kNames>
void ShowName(Call& call, uint64_t value) {
  PutIntName(call.out, kNames, value);
}
template <const Names& kNames>
void ShowFlags(Call& call, uint64_t value) {
  PutFlags(call.out, kNames, static_cast<uint32_t>(value));
}
template <const Names& kNames>
void ShowFlags64(Call& call, uint64_t value) {
  PutFlags(call.out, kNames, value);
}
// A buffer whose length is another argument, or the result.
template <unsigned kSizeArgument>
void ShowBytes(Call& call, uint64_t address) {
  PutBytes(call, address, call.args[kSizeArgument]);
}
inline void ShowResultBytes(Call& call, uint64_t address) { PutBytes(call, address, call.count()); }

constexpr Type Int{ShowInt};
constexpr Type UInt{ShowUnsignedInt};
constexpr Type Long{ShowLong};
constexpr Type Size{ShowSize};
constexpr Type HexLong{ShowHex};
constexpr Type HexInt{ShowHexInt};
constexpr Type Pointer{ShowAddress};
constexpr Type Fd{ShowDescriptor, When::kEntry, Role::kDescriptor};
constexpr Type Directory{ShowDirectory, When::kEntry, Role::kDescriptor};
constexpr Type Path{ShowPath, When::kEntry, Role::kPath};
constexpr Type String{ShowText};
constexpr Type Mode{ShowOctal};
constexpr Type FileMode{ShowFileMode};
constexpr Type Id{ShowId};
constexpr Type Signal{ShowSignalNumber};
template <const Names& kNames>
constexpr Type Named{ShowName<kNames>};
template <const Names& kNames>
constexpr Type Flags{ShowFlags<kNames>};
template <const Names& kNames>
constexpr Type Flags64{ShowFlags64<kNames>};
template <unsigned kSizeArgument>
constexpr Type BytesIn{ShowBytes<kSizeArgument>};
constexpr Type ResultBytes{ShowResultBytes, When::kExit};
constexpr Type IntOut{ShowIntAt, When::kExit};
constexpr Type IntIn{ShowIntAt};
constexpr Type UIntOut{ShowUnsignedIntAt, When::kExit};
constexpr Type LongOut{ShowLongAt, When::kExit};
constexpr Type AddressOut{ShowAddressAt, When::kExit};
constexpr Type IntInOut{ShowIntChange, When::kBoth};
constexpr Type LongInOut{ShowLongChange, When::kBoth};

}  // namespace utrace::syscall_log

#endif  // ENGINES_SYSCALL_LOG_DECODE_VALUES_H_
