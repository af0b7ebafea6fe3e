// The table of calls, by subject. Each group is its own source file.
#ifndef ENGINES_SYSCALL_LOG_DECODE_GROUPS_H_
#define ENGINES_SYSCALL_LOG_DECODE_GROUPS_H_

#include <span>

#include "engines/syscall_log/decode/call.h"

namespace utrace::syscall_log {

// In no order; live as long as the process.
std::span<const CallInfo> DescriptorCalls();
std::span<const CallInfo> PathCalls();
std::span<const CallInfo> StatCalls();
std::span<const CallInfo> MountCalls();
std::span<const CallInfo> MemoryCalls();
std::span<const CallInfo> ProcessCalls();
std::span<const CallInfo> SchedulerCalls();
std::span<const CallInfo> CredentialCalls();
std::span<const CallInfo> SignalCalls();
std::span<const CallInfo> NetworkCalls();
std::span<const CallInfo> PollCalls();
std::span<const CallInfo> TimeCalls();
std::span<const CallInfo> IpcCalls();
std::span<const CallInfo> SystemCalls();
std::span<const CallInfo> KernelCalls();

}  // namespace utrace::syscall_log

#endif  // ENGINES_SYSCALL_LOG_DECODE_GROUPS_H_
