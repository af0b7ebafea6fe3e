#include "engines/syscall_log/decode/decode_fuzz.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "engines/syscall_log/decode/shown_call.h"
#include "engines/syscall_log/decode/syscall_names.h"
#include "nlohmann/json.hpp"

namespace utrace::syscall_log {
namespace {

constexpr uint64_t kMemoryStart = 0x10000;

class Bytes {
 public:
  Bytes(const uint8_t* data, size_t size) : data_(data), left_(size) {}
  template <class T>
  T Take() {
    T value{};
    const size_t count = std::min(left_, sizeof(value));
    if (count != 0) memcpy(&value, data_, count);
    data_ += count;
    left_ -= count;
    return value;
  }
  std::string Rest() const { return {reinterpret_cast<const char*>(data_), left_}; }

 private:
  const uint8_t* data_;
  size_t left_;
};

class SmallMemory final : public Memory {
 public:
  explicit SmallMemory(std::string bytes) : bytes_(std::move(bytes)) {}
  size_t Read(uint64_t address, void* buffer, size_t size) override {
    if (address < kMemoryStart || address - kMemoryStart >= bytes_.size()) return 0;
    const size_t offset = address - kMemoryStart;
    const size_t count = std::min(size, bytes_.size() - offset);
    memcpy(buffer, bytes_.data() + offset, count);
    return count;
  }
  // What the call does to it.
  void Change() { std::reverse(bytes_.begin(), bytes_.end()); }

 private:
  std::string bytes_;
};

class NoDescriptors final : public Descriptors {
 public:
  std::string PathOf(int fd) override { return fd % 2 == 0 ? "/a\"\n\xff" : ""; }
  std::string WorkingDirectory() override { return "/"; }
};

[[noreturn]] void Fail(const char* what, const Text& shown) {
  fprintf(stderr, "%s: %.*s\n", what, static_cast<int>(shown.size()), shown.data());
  abort();
}

void ShowBytes(Bytes bytes, Format format, const Style& style) {
  const long number = bytes.Take<uint16_t>() % kSyscallLimit;
  std::array<uint64_t, 6> args{};
  for (uint64_t& arg : args) {
    const auto kind = bytes.Take<uint8_t>();
    const auto value = bytes.Take<uint64_t>();
    // Mostly small numbers and addresses of what is there, which lead further than any number.
    arg = kind % 4 == 0 ? value : kind % 4 == 1 ? value % 64 : kMemoryStart + value % 256;
  }
  const auto outcome_kind = bytes.Take<uint8_t>();
  const auto result = bytes.Take<int64_t>();
  CallOutcome outcome;
  if (outcome_kind % 3 == 0) outcome.error = static_cast<int>(result & 0xfff);
  if (outcome.error == 0) outcome.value = outcome_kind % 2 == 0 ? result : result & 0xff;

  SmallMemory memory(bytes.Rest());
  NoDescriptors descriptors;
  const Surroundings surroundings{memory, descriptors, style};
  ShownCall call(format);
  call.Enter(number, args, surroundings);
  Text shown;
  call.AppendArguments(shown, 0, call.CertainArguments());
  memory.Change();
  call.Exit(outcome, surroundings);
  shown.clear();
  if (format == Format::kJson) Append(shown, "{\"args\":{");
  call.AppendArguments(shown);
  if (format == Format::kJson) Append(shown, "},");
  call.AppendResult(shown);
  if (format == Format::kJson) Append(shown, "}");

  const std::string_view text(shown.data(), shown.size());
  if (text.find('\n') != std::string_view::npos) Fail("not one line", shown);
  if (format == Format::kJson && !nlohmann::json::accept(text)) Fail("not JSON", shown);
}

}  // namespace

void ShowArbitraryCall(const uint8_t* data, size_t size) {
  const Style plain;
  const Style whole{.strings = 1 << 12, .elements = 1 << 10, .verbose = true, .paths = true};
  for (const Format format : {Format::kText, Format::kJson}) {
    for (const Style& style : {plain, whole}) ShowBytes(Bytes(data, size), format, style);
  }
}

}  // namespace utrace::syscall_log
