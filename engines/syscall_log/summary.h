// Summary: how often each call was made, how often it failed, and how long it took.
#ifndef ENGINES_SYSCALL_LOG_SUMMARY_H_
#define ENGINES_SYSCALL_LOG_SUMMARY_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>

#include "engines/syscall_log/decode/shown_call.h"
#include "engines/syscall_log/decode/syscall_names.h"

namespace utrace::syscall_log {

// Any thread.
class Summary {
 public:
  // A call that returned; `duration` in nanoseconds.
  void Add(long number, bool failed, int64_t duration);
  // A table as strace -c prints it, or one JSON object: lines, the longest time first.
  void Append(Format format, Text& out) const;

 private:
  struct Count {
    std::atomic<uint64_t> calls = 0;
    std::atomic<uint64_t> errors = 0;
    std::atomic<int64_t> time = 0;
  };

  // The last stands for all numbers beyond the tables.
  std::array<Count, kSyscallLimit + 1> counts_;
};

}  // namespace utrace::syscall_log

#endif  // ENGINES_SYSCALL_LOG_SUMMARY_H_
