// Names of signals, and what is known of a signal that arrives.
#ifndef ENGINES_SYSCALL_LOG_DECODE_SIGNALS_H_
#define ENGINES_SYSCALL_LOG_DECODE_SIGNALS_H_

#include <signal.h>

#include "engines/syscall_log/decode/renderer.h"

namespace utrace::syscall_log {

// "SIGTERM"; "SIGRTMIN", "SIGRT_1" and so on from 32 on, where the kernel's begin; "123" if there is no
// such signal.
void AppendSignalName(Text& out, int signal);
// A name by itself, as a value.
void PutSignal(Renderer& out, int signal);
// {si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=17, si_uid=0, si_status=0}.
void PutSiginfo(Renderer& out, const siginfo_t& info);
// The `size` bytes of a set as the kernel has it: [INT CHLD], or ~[INT] if most are in it.
void PutSignalSet(Renderer& out, const uint8_t* bytes, size_t size);

}  // namespace utrace::syscall_log

#endif  // ENGINES_SYSCALL_LOG_DECODE_SIGNALS_H_
