// Every call with arguments, results and memory of all kinds; the same ones each time.
#include "engines/syscall_log/decode/decode_fuzz.h"

#include <random>
#include <vector>

#include "engines/syscall_log/decode/syscall_names.h"
#include "engines/syscall_log/decode/table.h"
#include "gtest/gtest.h"

namespace utrace::syscall_log {
namespace {

TEST(DecodeFuzz, EveryCallWithArbitraryArguments) {
  constexpr int kEach = 60;
  std::mt19937 random(4);
  int calls = 0;
  for (long number = 0; number < kSyscallLimit; ++number) {
    if (FindCall(number) == nullptr) continue;
    ++calls;
    for (int n = 0; n < kEach; ++n) {
      std::vector<uint8_t> bytes(64 + random() % 400);
      // Much of what programs pass is zero, and some is text.
      for (uint8_t& byte : bytes) {
        byte = static_cast<uint8_t>(n % 3 == 0 ? random() : n % 3 == 1 ? random() % 3 : 'a');
      }
      bytes[0] = static_cast<uint8_t>(number & 0xff);
      bytes[1] = static_cast<uint8_t>(number >> 8);
      ShowArbitraryCall(bytes.data(), bytes.size());
    }
  }
  EXPECT_GE(calls, 300);
}

TEST(DecodeFuzz, NothingAtAll) {
  for (size_t size = 0; size < 70; ++size) {
    const std::vector<uint8_t> bytes(size, 0x11);
    ShowArbitraryCall(bytes.data(), bytes.size());
  }
}

}  // namespace
}  // namespace utrace::syscall_log
