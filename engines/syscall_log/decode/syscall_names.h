// Names of system calls, as libseccomp knows them.
#ifndef ENGINES_SYSCALL_LOG_DECODE_SYSCALL_NAMES_H_
#define ENGINES_SYSCALL_LOG_DECODE_SYSCALL_NAMES_H_

#include <string_view>

#include "engines/syscall_log/decode/renderer.h"

namespace utrace::syscall_log {

// The kernel's numbers are below this on every machine that has one table for all calls.
constexpr long kSyscallLimit = 1024;

// Empty for a number without a name on this machine. Lives as long as the process.
std::string_view SyscallName(long number);
// Whether this or another machine has a call of this name.
bool IsSyscallName(std::string_view name);
// "read", or "syscall_0x1234" for a number without a name.
void AppendSyscallName(Text& out, long number);

}  // namespace utrace::syscall_log

#endif  // ENGINES_SYSCALL_LOG_DECODE_SYSCALL_NAMES_H_
