// The text of syscall_log's lines. Functions append to `out` and add neither thread id nor newline.
#ifndef ENGINES_SYSCALL_LOG_FORMAT_H_
#define ENGINES_SYSCALL_LOG_FORMAT_H_

#include <signal.h>

#include <array>
#include <cstdint>
#include <string_view>

#include "core/machine_view.h"
#include "fmt/format.h"

namespace utrace::syscall_log {

using Text = fmt::memory_buffer;

void Append(Text& out, std::string_view text);

// "read", or "syscall_0x1234" for a number that libseccomp has no name for on this machine.
void AppendSyscallName(Text& out, long number);
// "read(0x3, 0x7ffd0000, 0x400, 0x0, 0x0, 0x0)": the six argument registers as they are.
void AppendCall(Text& out, long number, const std::array<uint64_t, 6>& arguments);
// "3", "-1 ENOENT (No such file or directory)", "? ERESTARTSYS (interrupted by a signal)".
void AppendOutcome(Text& out, const SyscallOutcome& outcome);
// "SIGTERM", "SIGRTMIN+3".
void AppendSignalName(Text& out, int signal);
// "SIGCHLD {si_code=CLD_EXITED, si_pid=17, si_uid=0, si_status=0}".
void AppendSiginfo(Text& out, const siginfo_t& info);
// "exited with 3", "killed by SIGSEGV (core dumped)"; `status` as wait gives it.
void AppendWaitStatus(Text& out, long status);

}  // namespace utrace::syscall_log

#endif  // ENGINES_SYSCALL_LOG_FORMAT_H_
