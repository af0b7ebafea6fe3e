// The arguments of ioctl.
#ifndef ENGINES_SYSCALL_LOG_DECODE_IOCTL_H_
#define ENGINES_SYSCALL_LOG_DECODE_IOCTL_H_

#include "engines/syscall_log/decode/call.h"

namespace utrace::syscall_log {

void ShowIoctlRequest(Call& call, uint64_t request);
void ShowIoctlArgument(Call& call, uint64_t value);
bool IoctlHasArgument(const std::array<uint64_t, 6>& args);

constexpr Type IoctlRequest{ShowIoctlRequest};
constexpr Type IoctlArgument{
    .show = ShowIoctlArgument, .when = When::kBoth, .present = IoctlHasArgument};

}  // namespace utrace::syscall_log

#endif  // ENGINES_SYSCALL_LOG_DECODE_IOCTL_H_
