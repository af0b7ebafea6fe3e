#include "engines/syscall_log/decode/values.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <bit>
#include <cstring>
#include <vector>

#include "engines/syscall_log/decode/signals.h"
#include "engines/syscall_log/decode/tables.h"

namespace utrace::syscall_log {
namespace {

constexpr size_t kPathLimit = 4096;
// However much the user wants to see of a string, no more is read at once.
constexpr size_t kReadLimit = size_t{1} << 20;

void PutUnknown(Renderer& out, const char* unknown, uint64_t value) {
  out.Hex(value);
  if (*unknown == '\0') return;
  out.TextOnly(" /* ");
  out.TextOnly(unknown);
  out.TextOnly(" */");
}

template <class T>
void ShowNumberAt(Call& call, uint64_t address) {
  T number;
  if (address == 0 || !call.Read(address, &number)) return call.out.Address(address);
  call.out.TextOnly("[");
  if constexpr (std::is_signed_v<T>) {
    call.out.Signed(number);
  } else {
    call.out.Unsigned(number);
  }
  call.out.TextOnly("]");
}

// At entry the number is kept; at exit both are shown if they differ.
template <class T>
void ShowChange(Call& call, uint64_t address) {
  T number{};
  const bool read = address != 0 && call.Read(address, &number);
  if (!call.exit) {
    call.kept[call.index] = static_cast<uint64_t>(number);
    return ShowNumberAt<T>(call, address);
  }
  const T before = static_cast<T>(call.kept[call.index]);
  if (!read || before == number) return ShowNumberAt<T>(call, address);
  // "[16 => 12]" of what is both, "[0] => [100]" of a position, as strace has them.
  const bool position = sizeof(T) == sizeof(int64_t);
  call.out.TextOnly("[");
  call.out.BeginChange();
  call.out.Signed(before);
  if (position) call.out.TextOnly("]");
  call.out.Arrow();
  if (position) call.out.TextOnly("[");
  call.out.Signed(number);
  call.out.EndChange();
  call.out.TextOnly("]");
}

}  // namespace

void PutName(Renderer& out, const Names& names, uint64_t value) {
  if (const char* name = names.Find(value); name != nullptr) {
    out.Name(name);
  } else {
    PutUnknown(out, names.unknown, value);
  }
}

void PutIntName(Renderer& out, const Names& names, uint64_t value) {
  const auto with_sign = static_cast<uint64_t>(int64_t{static_cast<int32_t>(value)});
  const bool known_so = names.Find(with_sign) != nullptr;
  PutName(out, names, known_so ? with_sign : static_cast<uint32_t>(value));
}

uint64_t PutFlagNames(Renderer& out, const Names& names, uint64_t value) {
  const auto put = [&](const NameEntry& entry) {
    if (entry.value == 0 || (value & entry.value) != entry.value) return;
    out.Name(entry.name);
    value &= ~entry.value;
  };
  // Names of several bits first, the longest before others, so that they are not taken apart.
  for (size_t i = names.entries.size(); i-- > 0;) {
    if (std::popcount(names.entries[i].value) > 1) put(names.entries[i]);
  }
  for (const NameEntry& entry : names.entries) {
    if (std::popcount(entry.value) == 1) put(entry);
  }
  return value;
}

void PutFlags(Renderer& out, const Names& names, uint64_t value) {
  if (value == 0) {
    const char* none = names.Find(0);
    out.BeginFlags();
    if (none != nullptr) out.Name(none);
    out.EndFlags();
    return;
  }
  out.BeginFlags();
  const uint64_t rest = PutFlagNames(out, names, value);
  if (rest != 0) out.Hex(rest);
  out.EndFlags();
  if (rest == value && *names.unknown != '\0') {
    out.TextOnly(" /* ");
    out.TextOnly(names.unknown);
    out.TextOnly(" */");
  }
}

void PutNameAndFlags(Renderer& out, const Names& base, uint64_t base_mask, const Names& flags,
                     uint64_t value) {
  out.BeginFlags();
  PutName(out, base, value & base_mask);
  const uint64_t rest = PutFlagNames(out, flags, value & ~base_mask);
  if (rest != 0) out.Hex(rest);
  out.EndFlags();
}

namespace {

void PutBuffer(Call& call, uint64_t address, uint64_t size,
               void (Renderer::*put)(std::string_view, bool)) {
  if (address == 0) return call.out.Address(0);
  const size_t wanted = std::min({size, uint64_t{call.style.strings}, uint64_t{kReadLimit}});
  std::array<char, 256> small;
  std::vector<char> large;
  char* bytes = small.data();
  if (wanted > small.size()) {
    large.resize(wanted);
    bytes = large.data();
  }
  const size_t read = wanted == 0 ? 0 : call.memory.Read(address, bytes, wanted);
  if (read == 0 && size != 0 && wanted != 0) return call.out.Address(address);
  (call.out.*put)({bytes, read}, read < size);
}

}  // namespace

void PutBytes(Call& call, uint64_t address, uint64_t size) {
  PutBuffer(call, address, size, &Renderer::String);
}

void PutData(Call& call, uint64_t address, uint64_t size) {
  PutBuffer(call, address, size, &Renderer::Data);
}

void PutText(Call& call, uint64_t address, size_t limit) {
  if (address == 0) return call.out.Address(0);
  limit = std::min(limit, kReadLimit);
  std::string text;
  std::array<char, 512> piece;
  for (;;) {
    // One byte more than is shown tells whether there is more.
    const size_t want = std::min(piece.size(), limit + 1 - text.size());
    const size_t read = call.memory.Read(address + text.size(), piece.data(), want);
    if (read == 0) break;
    const size_t length = strnlen(piece.data(), read);
    text.append(piece.data(), length);
    if (length < read) return call.out.String(text, false);
    if (text.size() > limit) {
      text.resize(limit);
      return call.out.String(text, true);
    }
  }
  // It runs into memory that cannot be read.
  if (text.empty()) return call.out.Address(address);
  call.out.String(text, true);
}

void PutField(Renderer& out, std::string_view name, const char* text, size_t size) {
  out.Field(name);
  out.String({text, strnlen(text, size)}, false);
}

void PutDescriptor(Call& call, int fd) {
  call.out.Descriptor(fd, call.style.paths && fd >= 0 ? call.descriptors.PathOf(fd) : "");
}

void PutMode(Renderer& out, uint32_t mode) {
  const char* type = kFileType.Find(mode & S_IFMT);
  if (type == nullptr) return out.Octal(mode);
  out.BeginFlags();
  out.Name(type);
  if ((mode & S_ISUID) != 0) out.Name("S_ISUID");
  if ((mode & S_ISGID) != 0) out.Name("S_ISGID");
  if ((mode & S_ISVTX) != 0) out.Name("S_ISVTX");
  out.Octal(mode & 0777);
  out.EndFlags();
}

void PutDevice(Renderer& out, uint64_t device) { out.Device(major(device), minor(device)); }

void PutId(Renderer& out, uint32_t id) {
  if (id == UINT32_MAX) {
    out.Signed(-1);
  } else {
    out.Unsigned(id);
  }
}

void PutUnsignedField(Renderer& out, std::string_view name, uint64_t value) {
  out.Field(name);
  out.Unsigned(value);
}

void PutSignedField(Renderer& out, std::string_view name, int64_t value) {
  out.Field(name);
  out.Signed(value);
}

void PutHexField(Renderer& out, std::string_view name, uint64_t value) {
  out.Field(name);
  out.Hex(value);
}

void PutAddressField(Renderer& out, std::string_view name, uint64_t value) {
  out.Field(name);
  out.Address(value);
}

void PutFlagsField(Renderer& out, std::string_view name, const Names& names, uint64_t value) {
  out.Field(name);
  PutFlags(out, names, value);
}

void PutNameField(Renderer& out, std::string_view name, const Names& names, uint64_t value) {
  out.Field(name);
  PutName(out, names, value);
}

void ShowInt(Call& call, uint64_t value) { call.out.Signed(static_cast<int32_t>(value)); }
void ShowUnsignedInt(Call& call, uint64_t value) {
  call.out.Unsigned(static_cast<uint32_t>(value));
}
void ShowLong(Call& call, uint64_t value) { call.out.Signed(static_cast<int64_t>(value)); }
void ShowSize(Call& call, uint64_t value) { call.out.Unsigned(value); }
void ShowHex(Call& call, uint64_t value) { call.out.Hex(value); }
void ShowHexInt(Call& call, uint64_t value) { call.out.Hex(static_cast<uint32_t>(value)); }
void ShowAddress(Call& call, uint64_t value) { call.out.Address(value); }
void ShowDescriptor(Call& call, uint64_t value) { PutDescriptor(call, static_cast<int>(value)); }

void ShowDirectory(Call& call, uint64_t value) {
  const char* here = kAtFdcwd.Find(static_cast<uint64_t>(int64_t{static_cast<int32_t>(value)}));
  if (here == nullptr) return PutDescriptor(call, static_cast<int>(value));
  call.out.Name(here);
  if (!call.style.paths) return;
  call.out.TextOnly("<");
  call.out.TextOnly(call.descriptors.WorkingDirectory());
  call.out.TextOnly(">");
}

void ShowPath(Call& call, uint64_t value) { PutText(call, value, kPathLimit); }
void ShowText(Call& call, uint64_t value) { PutText(call, value, call.style.strings); }
void ShowOctal(Call& call, uint64_t value) { call.out.Octal(static_cast<uint32_t>(value)); }
void ShowId(Call& call, uint64_t value) { PutId(call.out, static_cast<uint32_t>(value)); }
void ShowFileMode(Call& call, uint64_t value) { PutMode(call.out, static_cast<uint32_t>(value)); }
void ShowSignalNumber(Call& call, uint64_t value) { PutSignal(call.out, static_cast<int>(value)); }
void ShowIntAt(Call& call, uint64_t address) { ShowNumberAt<int32_t>(call, address); }
void ShowUnsignedIntAt(Call& call, uint64_t address) { ShowNumberAt<uint32_t>(call, address); }
void ShowLongAt(Call& call, uint64_t address) { ShowNumberAt<int64_t>(call, address); }
void ShowIntChange(Call& call, uint64_t address) { ShowChange<int32_t>(call, address); }
void ShowLongChange(Call& call, uint64_t address) { ShowChange<int64_t>(call, address); }

void ShowAddressAt(Call& call, uint64_t address) {
  uint64_t pointer;
  if (address == 0 || !call.Read(address, &pointer)) return call.out.Address(address);
  call.out.TextOnly("[");
  call.out.Address(pointer);
  call.out.TextOnly("]");
}

void ShowTexts(Call& call, uint64_t address) {
  if (address == 0) return call.out.Address(0);
  uint64_t text = 0;
  if (!call.Read(address, &text)) return call.out.Address(address);
  call.out.BeginArray();
  for (size_t i = 0; text != 0; ++i) {
    if (i == call.style.elements) {
      call.out.More();
      break;
    }
    PutText(call, text, call.style.strings);
    if (!call.Read(address + (i + 1) * sizeof(text), &text)) {
      call.out.Address(address + (i + 1) * sizeof(text));
      break;
    }
  }
  call.out.EndArray();
}

void ShowTextCount(Call& call, uint64_t address) {
  if (call.style.verbose) return ShowTexts(call, address);
  call.out.Address(address);
  if (address == 0) return;
  // Bounded: a program may pass anything.
  constexpr size_t kMost = size_t{1} << 16;
  std::array<uint64_t, 64> texts;
  size_t count = 0;
  while (count < kMost) {
    const size_t read =
        call.memory.Read(address + count * sizeof(uint64_t), texts.data(), sizeof(texts)) /
        sizeof(uint64_t);
    const auto end = std::find(texts.begin(), texts.begin() + read, 0U);
    count += static_cast<size_t>(end - texts.begin());
    if (end != texts.begin() + read) break;
    if (read == 0) {
      call.out.TextOnly(" /* unterminated */");
      return;
    }
  }
  call.out.TextOnly(fmt::format(" /* {} var{} */", count, count == 1 ? "" : "s"));
}

}  // namespace utrace::syscall_log
