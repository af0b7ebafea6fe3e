#include "engines/ptrace_compat/arguments.h"

#include <linux/ptrace.h>
#include <signal.h>
#include <sys/user.h>

#ifdef PTRACE_ARCH_PRCTL
#include <asm/prctl.h>
#endif

namespace utrace::ptrace_compat {
namespace {

// Requests that the headers may not know yet.
// NOLINTBEGIN(readability-identifier-naming)
#ifndef PTRACE_SET_SYSCALL_USER_DISPATCH_CONFIG
constexpr long PTRACE_SET_SYSCALL_USER_DISPATCH_CONFIG = 0x4210;
constexpr long PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG = 0x4211;
#endif
#ifndef PTRACE_SET_SYSCALL_INFO
constexpr long PTRACE_SET_SYSCALL_INFO = 0x4212;
#endif
// NOLINTEND(readability-identifier-naming)

// struct user_desc of the machine's headers, which not all of them have.
[[maybe_unused]] constexpr size_t kThreadAreaSize = 16;

}  // namespace

Argument ArgumentOf(long request) {
  switch (request) {
    case PTRACE_TRACEME:
    case PTRACE_POKETEXT:
    case PTRACE_POKEDATA:
    case PTRACE_POKEUSR:
    case PTRACE_CONT:
    case PTRACE_KILL:
    case PTRACE_SINGLESTEP:
    case PTRACE_ATTACH:
    case PTRACE_DETACH:
    case PTRACE_SYSCALL:
    case PTRACE_SETOPTIONS:
    case PTRACE_SEIZE:
    case PTRACE_INTERRUPT:
    case PTRACE_LISTEN:
      return {Passing::kValues};
    case PTRACE_PEEKTEXT:
    case PTRACE_PEEKDATA:
    case PTRACE_PEEKUSR:
      return {Passing::kOutWord, sizeof(long)};
    case PTRACE_GETEVENTMSG:
      return {Passing::kOut, sizeof(unsigned long)};
    case PTRACE_GETSIGINFO:
      return {Passing::kOut, sizeof(siginfo_t)};
    case PTRACE_SETSIGINFO:
      return {Passing::kIn, sizeof(siginfo_t)};
    case PTRACE_GETREGSET:
      return {Passing::kOutVector};
    case PTRACE_SETREGSET:
      return {Passing::kInVector};
    case PTRACE_PEEKSIGINFO:
      return {Passing::kPeekSiginfo, sizeof(siginfo_t)};
    case PTRACE_GETSIGMASK:
    case PTRACE_GET_SYSCALL_INFO:
    case PTRACE_GET_RSEQ_CONFIGURATION:
    case PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG:
      return {Passing::kOutSized};
    case PTRACE_SETSIGMASK:
    case PTRACE_SET_SYSCALL_USER_DISPATCH_CONFIG:
    case PTRACE_SET_SYSCALL_INFO:
      return {Passing::kInSized};
    case PTRACE_SECCOMP_GET_METADATA:
      return {Passing::kInOutSized};
    case PTRACE_SECCOMP_GET_FILTER:
      return {Passing::kOutFilter};
      // What only some machines have.
#ifdef PTRACE_OLDSETOPTIONS
    case PTRACE_OLDSETOPTIONS:
      return {Passing::kValues};
#endif
#ifdef PTRACE_SINGLEBLOCK
    case PTRACE_SINGLEBLOCK:
      return {Passing::kValues};
#endif
#ifdef PTRACE_SYSEMU
    case PTRACE_SYSEMU:
    case PTRACE_SYSEMU_SINGLESTEP:
      return {Passing::kValues};
#endif
#ifdef PTRACE_GETREGS
    case PTRACE_GETREGS:
      return {Passing::kOut, sizeof(user_regs_struct)};
    case PTRACE_SETREGS:
      return {Passing::kIn, sizeof(user_regs_struct)};
#endif
#ifdef PTRACE_GETFPREGS
    case PTRACE_GETFPREGS:
      return {Passing::kOut, sizeof(user_fpregs_struct)};
    case PTRACE_SETFPREGS:
      return {Passing::kIn, sizeof(user_fpregs_struct)};
#endif
#ifdef PTRACE_GET_THREAD_AREA
    case PTRACE_GET_THREAD_AREA:
      return {Passing::kOut, kThreadAreaSize};
    case PTRACE_SET_THREAD_AREA:
      return {Passing::kIn, kThreadAreaSize};
#endif
#ifdef PTRACE_ARCH_PRCTL
    case PTRACE_ARCH_PRCTL:
      return {Passing::kArchPrctl, sizeof(long)};
#endif
    default:
      return {};
  }
}

#ifdef PTRACE_ARCH_PRCTL
bool FillsAddress(uint64_t data) { return data == ARCH_GET_FS || data == ARCH_GET_GS; }
#else
bool FillsAddress(uint64_t) { return false; }
#endif

}  // namespace utrace::ptrace_compat
