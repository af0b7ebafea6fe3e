// Addresses of sockets.
#ifndef ENGINES_SYSCALL_LOG_DECODE_SOCKADDR_H_
#define ENGINES_SYSCALL_LOG_DECODE_SOCKADDR_H_

#include <cstddef>

#include "engines/syscall_log/decode/call.h"

namespace utrace::syscall_log {

// The `size` bytes of an address that are at `bytes`.
void PutSocketAddress(Call& call, const char* bytes, size_t size);
// Those at an address in the program.
void PutSocketAddressAt(Call& call, uint64_t address, uint64_t size);
// An Internet address alone, in quotes; `size` is 4 or 16 bytes.
void PutInternetAddress(Renderer& out, const void* address, size_t size);

}  // namespace utrace::syscall_log

#endif  // ENGINES_SYSCALL_LOG_DECODE_SOCKADDR_H_
