#include "engines/syscall_log/decode/signals.h"

#include <string.h>
#include <unistd.h>

#include "engines/syscall_log/decode/syscall_names.h"
#include "engines/syscall_log/decode/values.h"

namespace utrace::syscall_log {
namespace {

// Real-time signals begin here in the kernel; the C library keeps some for itself.
constexpr int kFirstRealTime = 32;
constexpr int kSignals = 64;

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

void PutCode(Renderer& out, int signal, int code) {
  out.Field("si_code");
  for (const Code& known : kCodes) {
    if (known.code == code && (known.signal == 0 || known.signal == signal)) {
      return out.Name(known.name);
    }
  }
  out.Signed(code);
}

void PutSender(Renderer& out, const siginfo_t& info) {
  PutSignedField(out, "si_pid", info.si_pid);
  PutUnsignedField(out, "si_uid", info.si_uid);
}

void PutValue(Renderer& out, const siginfo_t& info) {
  const auto pointer = reinterpret_cast<uint64_t>(info.si_value.sival_ptr);
  if (pointer == 0 && info.si_value.sival_int == 0) return;
  out.Field("si_value");
  out.BeginStruct();
  PutSignedField(out, "int", info.si_value.sival_int);
  PutAddressField(out, "ptr", pointer);
  out.EndStruct();
}

void PutSignalField(Renderer& out, const char* name, int signal) {
  out.Field(name);
  PutSignal(out, signal);
}

// Processor time, in clock ticks; in text with the seconds that they make.
void PutTicks(Renderer& out, const char* name, clock_t ticks) {
  static const auto per_second = static_cast<double>(sysconf(_SC_CLK_TCK));
  PutSignedField(out, name, ticks);
  if (ticks == 0) return;
  out.TextOnly(fmt::format(" /* {:.2f} s */", static_cast<double>(ticks) / per_second));
}

// Of a signal that the kernel sent because of what happened.
void PutCause(Renderer& out, const siginfo_t& info) {
  switch (info.si_signo) {
    case SIGCHLD:
      PutSender(out, info);
      if (info.si_code == CLD_EXITED) {
        PutSignedField(out, "si_status", info.si_status);
      } else {
        PutSignalField(out, "si_status", info.si_status);
      }
      PutTicks(out, "si_utime", info.si_utime);
      PutTicks(out, "si_stime", info.si_stime);
      break;
    case SIGSEGV:
    case SIGBUS:
    case SIGFPE:
    case SIGILL:
    case SIGTRAP:
      PutAddressField(out, "si_addr", reinterpret_cast<uint64_t>(info.si_addr));
      break;
    case SIGPOLL:
      PutHexField(out, "si_band", static_cast<uint64_t>(info.si_band));
      PutSignedField(out, "si_fd", info.si_fd);
      break;
    case SIGSYS: {
      PutAddressField(out, "si_call_addr", reinterpret_cast<uint64_t>(info.si_call_addr));
      out.Field("si_syscall");
      Text name;
      AppendSyscallName(name, info.si_syscall);
      out.Name({name.data(), name.size()});
      PutHexField(out, "si_arch", info.si_arch);
      break;
    }
    default:
      PutSender(out, info);
  }
}

}  // namespace

void AppendSignalName(Text& out, int signal) {
  if (signal == SIGIO) {
    Append(out, "SIGIO");  // and not POLL, its other name
  } else if (const char* name = sigabbrev_np(signal); name != nullptr) {
    Print(out, "SIG{}", name);
  } else if (signal == kFirstRealTime) {
    Append(out, "SIGRTMIN");
  } else if (signal > kFirstRealTime && signal <= kSignals) {
    Print(out, "SIGRT_{}", signal - kFirstRealTime);
  } else {
    Print(out, "{}", signal);
  }
}

void PutSignal(Renderer& out, int signal) {
  if (signal <= 0 || signal > kSignals) return out.Signed(signal);
  Text name;
  AppendSignalName(name, signal);
  out.Name({name.data(), name.size()});
}

void PutSiginfo(Renderer& out, const siginfo_t& info) {
  out.BeginStruct();
  if (info.si_signo == 0) return out.EndStruct();  // waitid found nobody
  PutSignalField(out, "si_signo", info.si_signo);
  PutCode(out, info.si_signo, info.si_code);
  if (info.si_errno != 0) PutSignedField(out, "si_errno", info.si_errno);
  switch (info.si_code) {
    case SI_USER:
    case SI_TKILL:
      PutSender(out, info);
      break;
    case SI_QUEUE:
    case SI_MESGQ:
      PutSender(out, info);
      PutValue(out, info);
      break;
    case SI_TIMER:
      PutHexField(out, "si_timerid", static_cast<uint32_t>(info.si_timerid));
      PutSignedField(out, "si_overrun", info.si_overrun);
      PutValue(out, info);
      break;
    case SI_KERNEL:
      break;
    default:
      PutCause(out, info);
  }
  out.EndStruct();
}

void PutSignalSet(Renderer& out, const uint8_t* bytes, size_t size) {
  const int count = static_cast<int>(std::min<size_t>(size * 8, kSignals));
  const auto has = [&](int signal) {
    return (bytes[(signal - 1) / 8] >> ((signal - 1) % 8) & 1) != 0;
  };
  int members = 0;
  for (int signal = 1; signal <= count; ++signal) members += has(signal) ? 1 : 0;
  const bool inverted = members > count * 2 / 3;
  out.BeginSet(inverted);
  for (int signal = 1; signal <= count; ++signal) {
    if (has(signal) == inverted) continue;
    Text name;
    AppendSignalName(name, signal);
    out.Name({name.data() + 3, name.size() - 3});  // without SIG
  }
  out.EndSet();
}

}  // namespace utrace::syscall_log
