#include "engines/syscall_log/format.h"

#include <seccomp.h>
#include <string.h>
#include <sys/wait.h>

#include <cstdlib>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "core/result.h"

namespace utrace::syscall_log {
namespace {

template <class... Args>
void Print(Text& out, fmt::format_string<Args...> format, Args&&... args) {
  fmt::format_to(std::back_inserter(out), format, std::forward<Args>(args)...);
}

std::string ResolveName(long number) {
  const std::unique_ptr<char, decltype(&std::free)> name(
      seccomp_syscall_resolve_num_arch(seccomp_arch_native(), static_cast<int>(number)),
      &std::free);
  return name == nullptr ? std::string() : name.get();
}

// libseccomp searches its whole table for each name, so they are looked up once. The kernel's numbers
// are well below this on every machine that has one table for all calls.
constexpr long kTableSize = 1024;

const std::vector<std::string>& NameTable() {
  static const std::vector<std::string> table = [] {
    std::vector<std::string> names;
    names.reserve(kTableSize);
    for (long number = 0; number < kTableSize; ++number) names.push_back(ResolveName(number));
    return names;
  }();
  return table;
}

// What the kernel means by an error that only tracers get to see: the call is made again, or fails
// with EINTR, which is decided after this point. Null for any other error.
const char* RestartText(long error) {
  switch (error) {
    case UTRACE_ERESTARTSYS:
      return "restarts unless a handler without SA_RESTART runs";
    case UTRACE_ERESTARTNOINTR:
      return "restarts";
    case 514:
      return "restarts unless a handler runs";
    case 516:
      return "restarts with the remaining time unless a handler runs";
    default:
      return nullptr;
  }
}

struct Code {
  int signal;  // zero: any signal
  int code;
  const char* name;
};

constexpr Code kCodes[] = {
    {0, SI_USER, "SI_USER"},
    {0, SI_KERNEL, "SI_KERNEL"},
    {0, SI_QUEUE, "SI_QUEUE"},
    {0, SI_TIMER, "SI_TIMER"},
    {0, SI_MESGQ, "SI_MESGQ"},
    {0, SI_ASYNCIO, "SI_ASYNCIO"},
    {0, SI_SIGIO, "SI_SIGIO"},
    {0, SI_TKILL, "SI_TKILL"},
    {0, SI_ASYNCNL, "SI_ASYNCNL"},
    {SIGCHLD, CLD_EXITED, "CLD_EXITED"},
    {SIGCHLD, CLD_KILLED, "CLD_KILLED"},
    {SIGCHLD, CLD_DUMPED, "CLD_DUMPED"},
    {SIGCHLD, CLD_TRAPPED, "CLD_TRAPPED"},
    {SIGCHLD, CLD_STOPPED, "CLD_STOPPED"},
    {SIGCHLD, CLD_CONTINUED, "CLD_CONTINUED"},
    {SIGSEGV, SEGV_MAPERR, "SEGV_MAPERR"},
    {SIGSEGV, SEGV_ACCERR, "SEGV_ACCERR"},
    {SIGSEGV, SEGV_BNDERR, "SEGV_BNDERR"},
    {SIGSEGV, SEGV_PKUERR, "SEGV_PKUERR"},
    {SIGBUS, BUS_ADRALN, "BUS_ADRALN"},
    {SIGBUS, BUS_ADRERR, "BUS_ADRERR"},
    {SIGBUS, BUS_OBJERR, "BUS_OBJERR"},
    {SIGBUS, BUS_MCEERR_AR, "BUS_MCEERR_AR"},
    {SIGBUS, BUS_MCEERR_AO, "BUS_MCEERR_AO"},
    {SIGFPE, FPE_INTDIV, "FPE_INTDIV"},
    {SIGFPE, FPE_INTOVF, "FPE_INTOVF"},
    {SIGFPE, FPE_FLTDIV, "FPE_FLTDIV"},
    {SIGFPE, FPE_FLTOVF, "FPE_FLTOVF"},
    {SIGFPE, FPE_FLTUND, "FPE_FLTUND"},
    {SIGFPE, FPE_FLTRES, "FPE_FLTRES"},
    {SIGFPE, FPE_FLTINV, "FPE_FLTINV"},
    {SIGFPE, FPE_FLTSUB, "FPE_FLTSUB"},
    {SIGILL, ILL_ILLOPC, "ILL_ILLOPC"},
    {SIGILL, ILL_ILLOPN, "ILL_ILLOPN"},
    {SIGILL, ILL_ILLADR, "ILL_ILLADR"},
    {SIGILL, ILL_ILLTRP, "ILL_ILLTRP"},
    {SIGILL, ILL_PRVOPC, "ILL_PRVOPC"},
    {SIGILL, ILL_PRVREG, "ILL_PRVREG"},
    {SIGILL, ILL_COPROC, "ILL_COPROC"},
    {SIGILL, ILL_BADSTK, "ILL_BADSTK"},
    {SIGTRAP, TRAP_BRKPT, "TRAP_BRKPT"},
    {SIGTRAP, TRAP_TRACE, "TRAP_TRACE"},
    {SIGTRAP, TRAP_BRANCH, "TRAP_BRANCH"},
    {SIGTRAP, TRAP_HWBKPT, "TRAP_HWBKPT"},
    {SIGPOLL, POLL_IN, "POLL_IN"},
    {SIGPOLL, POLL_OUT, "POLL_OUT"},
    {SIGPOLL, POLL_MSG, "POLL_MSG"},
    {SIGPOLL, POLL_ERR, "POLL_ERR"},
    {SIGPOLL, POLL_PRI, "POLL_PRI"},
    {SIGPOLL, POLL_HUP, "POLL_HUP"},
    {SIGSYS, 1, "SYS_SECCOMP"},
};

void AppendCode(Text& out, int signal, int code) {
  for (const Code& known : kCodes) {
    if (known.code != code || (known.signal != 0 && known.signal != signal)) continue;
    Append(out, known.name);
    return;
  }
  Print(out, "{}", code);
}

bool IsFault(int signal) {
  return signal == SIGSEGV || signal == SIGBUS || signal == SIGFPE || signal == SIGILL ||
         signal == SIGTRAP;
}

void AppendSender(Text& out, const siginfo_t& info) {
  Print(out, ", si_pid={}, si_uid={}", info.si_pid, info.si_uid);
}

void AppendValue(Text& out, const siginfo_t& info) {
  Print(out, ", si_value={:#x}", reinterpret_cast<uintptr_t>(info.si_value.sival_ptr));
}

}  // namespace

void Append(Text& out, std::string_view text) {
  out.append(text.data(), text.data() + text.size());
}

void AppendSyscallName(Text& out, long number) {
  if (number >= 0 && number < kTableSize && !NameTable()[number].empty()) {
    Append(out, NameTable()[number]);
  } else {
    Print(out, "syscall_{:#x}", static_cast<unsigned long>(number));
  }
}

void AppendCall(Text& out, long number, const std::array<uint64_t, 6>& arguments) {
  AppendSyscallName(out, number);
  const auto& a = arguments;
  Print(out, "({:#x}, {:#x}, {:#x}, {:#x}, {:#x}, {:#x})", a[0], a[1], a[2], a[3], a[4], a[5]);
}

void AppendOutcome(Text& out, const SyscallOutcome& outcome) {
  if (outcome.error == 0) {
    Print(out, "{}", outcome.value);
    return;
  }
  const int error = static_cast<int>(-outcome.error);
  const char* name = ErrnoName(error);
  if (const char* restart = RestartText(error); restart != nullptr) {
    Print(out, "? {} ({})", name, restart);
  } else if (name != nullptr) {
    Print(out, "-1 {} ({})", name, strerrordesc_np(error));
  } else {
    Print(out, "-1 errno {}", error);
  }
}

void AppendSignalName(Text& out, int signal) {
  if (const char* name = sigabbrev_np(signal); name != nullptr) {
    Print(out, "SIG{}", name);
  } else if (signal == SIGRTMIN) {
    Append(out, "SIGRTMIN");
  } else if (signal > SIGRTMIN && signal <= SIGRTMAX) {
    Print(out, "SIGRTMIN+{}", signal - SIGRTMIN);
  } else {
    Print(out, "signal {}", signal);  // the C library keeps some for itself
  }
}

void AppendSiginfo(Text& out, const siginfo_t& info) {
  AppendSignalName(out, info.si_signo);
  Append(out, " {si_code=");
  AppendCode(out, info.si_signo, info.si_code);
  switch (info.si_code) {
    case SI_USER:
    case SI_TKILL:
      AppendSender(out, info);
      break;
    case SI_QUEUE:
    case SI_MESGQ:
      AppendSender(out, info);
      AppendValue(out, info);
      break;
    case SI_TIMER:
      Print(out, ", si_timerid={}, si_overrun={}", info.si_timerid, info.si_overrun);
      AppendValue(out, info);
      break;
    case SI_KERNEL:
      break;
    default:
      if (info.si_signo == SIGCHLD) {
        AppendSender(out, info);
        Append(out, ", si_status=");
        if (info.si_code == CLD_EXITED) {
          Print(out, "{}", info.si_status);
        } else {
          AppendSignalName(out, info.si_status);
        }
      } else if (IsFault(info.si_signo)) {
        Print(out, ", si_addr={:#x}", reinterpret_cast<uintptr_t>(info.si_addr));
      } else if (info.si_signo == SIGPOLL) {
        Print(out, ", si_band={:#x}, si_fd={}", info.si_band, info.si_fd);
      } else if (info.si_signo == SIGSYS) {
        Print(out,
              ", si_call_addr={:#x}, si_syscall=", reinterpret_cast<uintptr_t>(info.si_call_addr));
        AppendSyscallName(out, info.si_syscall);
        Print(out, ", si_arch={:#x}", info.si_arch);
      }
  }
  Append(out, "}");
}

void AppendWaitStatus(Text& out, long status) {
  const int code = static_cast<int>(status);
  if (WIFEXITED(code)) {
    Print(out, "exited with {}", WEXITSTATUS(code));
    return;
  }
  Append(out, "killed by ");
  AppendSignalName(out, WTERMSIG(code));
  if (WCOREDUMP(code)) Append(out, " (core dumped)");
}

}  // namespace utrace::syscall_log
