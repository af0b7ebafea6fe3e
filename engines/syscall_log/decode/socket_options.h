// The arguments of setsockopt and getsockopt.
#ifndef ENGINES_SYSCALL_LOG_DECODE_SOCKET_OPTIONS_H_
#define ENGINES_SYSCALL_LOG_DECODE_SOCKET_OPTIONS_H_

#include "engines/syscall_log/decode/call.h"

namespace utrace::syscall_log {

void ShowSocketLevel(Call& call, uint64_t level);
void ShowSocketOptionName(Call& call, uint64_t name);
void ShowSocketOptionIn(Call& call, uint64_t address);
void ShowSocketOptionOut(Call& call, uint64_t address);

constexpr Type SocketLevel{ShowSocketLevel};
constexpr Type SocketOptionName{ShowSocketOptionName};
constexpr Type SocketOptionIn{ShowSocketOptionIn};
constexpr Type SocketOptionOut{ShowSocketOptionOut, When::kExit};

}  // namespace utrace::syscall_log

#endif  // ENGINES_SYSCALL_LOG_DECODE_SOCKET_OPTIONS_H_
