// One call made of arbitrary bytes.
#ifndef ENGINES_SYSCALL_LOG_DECODE_DECODE_FUZZ_H_
#define ENGINES_SYSCALL_LOG_DECODE_DECODE_FUZZ_H_

#include <cstddef>
#include <cstdint>

namespace utrace::syscall_log {

// Shows a call that `size` bytes at `data` describe, number, arguments, result and memory, in both
// formats and styles. Aborts if what is shown is no single line, or no JSON.
void ShowArbitraryCall(const uint8_t* data, size_t size);

}  // namespace utrace::syscall_log

#endif  // ENGINES_SYSCALL_LOG_DECODE_DECODE_FUZZ_H_
