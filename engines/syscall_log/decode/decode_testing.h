// Calls of a program that has just the memory that a test gives it.
#ifndef ENGINES_SYSCALL_LOG_DECODE_DECODE_TESTING_H_
#define ENGINES_SYSCALL_LOG_DECODE_DECODE_TESTING_H_

#include <seccomp.h>

#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "engines/syscall_log/decode/shown_call.h"
#include "gtest/gtest.h"

namespace utrace::syscall_log {

class FakeMemory final : public Memory {
 public:
  size_t Read(uint64_t address, void* buffer, size_t size) override {
    auto after = pieces_.upper_bound(address);
    if (after == pieces_.begin()) return 0;
    const auto& [start, bytes] = *--after;
    const uint64_t offset = address - start;
    if (offset >= bytes.size()) return 0;
    const size_t count = std::min<size_t>(size, bytes.size() - offset);
    memcpy(buffer, bytes.data() + offset, count);
    return count;
  }

  // Puts it somewhere and returns where.
  uint64_t Put(std::string bytes) {
    const uint64_t address = next_;
    next_ += (bytes.size() + 0xfff) & ~size_t{0xfff};
    next_ += 0x1000;  // so that reading on fails
    pieces_[address] = std::move(bytes);
    return address;
  }
  uint64_t PutText(std::string text) { return Put(std::move(text) + '\0'); }
  template <class T>
  uint64_t PutObject(const T& object) {
    return Put(std::string(reinterpret_cast<const char*>(&object), sizeof(object)));
  }
  template <class T>
  uint64_t PutArray(const std::vector<T>& objects) {
    return Put(
        std::string(reinterpret_cast<const char*>(objects.data()), objects.size() * sizeof(T)));
  }
  template <class T>
  void Change(uint64_t address, const T& object) {
    pieces_[address].assign(reinterpret_cast<const char*>(&object), sizeof(object));
  }

 private:
  std::map<uint64_t, std::string> pieces_;
  uint64_t next_ = 0x10000;
};

class FakeDescriptors final : public Descriptors {
 public:
  std::string PathOf(int fd) override { return paths.count(fd) != 0 ? paths[fd] : ""; }
  std::string WorkingDirectory() override { return "/home"; }
  std::map<int, std::string> paths;
};

class DecodeTest : public testing::Test {
 protected:
  using Args = std::array<uint64_t, 6>;

  // "name(arguments) = result" in the format asked for; JSON: {"args":{...},"result":...}.
  std::string Show(const char* name, const Args& args, const CallOutcome& outcome = {},
                   Format format = Format::kText) {
    return Show(name, args, outcome, format, [] {});
  }
  // `during` is what happens between the entry and the exit.
  template <class During>
  std::string Show(const char* name, const Args& args, const CallOutcome& outcome, Format format,
                   const During& during) {
    ShownCall call(format);
    const Surroundings surroundings{memory_, descriptors_, style_};
    call.Enter(seccomp_syscall_resolve_name(name), args, surroundings);
    during();
    call.Exit(outcome, surroundings);
    Text text;
    Append(text, format == Format::kText ? std::string(name) + "(" : std::string("{\"args\":{"));
    call.AppendArguments(text);
    Append(text, format == Format::kText ? ") = " : "},");
    call.AppendResult(text);
    if (format == Format::kJson) Append(text, "}");
    return fmt::to_string(text);
  }
  std::string Json(const char* name, const Args& args, const CallOutcome& outcome = {}) {
    return Show(name, args, outcome, Format::kJson);
  }

  static CallOutcome Returned(int64_t value) { return {.error = 0, .value = value}; }
  static CallOutcome Failed(int error) { return {.error = error, .value = 0}; }
  static constexpr uint64_t Minus(int64_t n) { return static_cast<uint64_t>(-n); }

  FakeMemory memory_;
  FakeDescriptors descriptors_;
  Style style_;
};

}  // namespace utrace::syscall_log

#endif  // ENGINES_SYSCALL_LOG_DECODE_DECODE_TESTING_H_
