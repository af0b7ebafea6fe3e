#include <sys/ptrace.h>

#include "arch/arch.h"

namespace utrace::arch {
namespace {

// Not in glibc's sys/ptrace.h; asm/ptrace-abi.h, which has it, does not go together with that.
constexpr long kArchPrctl = 30;

}  // namespace

StateAccess MachineRequest(long request) {
  switch (request) {
    case PTRACE_GETREGS:
    case PTRACE_GETFPREGS:
    case PTRACE_GETFPXREGS:
    case PTRACE_GET_THREAD_AREA:
      return StateAccess::kReads;
    case PTRACE_SETREGS:
    case PTRACE_SETFPREGS:
    case PTRACE_SETFPXREGS:
    case PTRACE_SET_THREAD_AREA:
    case kArchPrctl:  // some of its codes read, and some set a segment's base
      return StateAccess::kChanges;
    default:
      return StateAccess::kOther;
  }
}

}  // namespace utrace::arch
