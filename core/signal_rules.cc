#include "core/signal_rules.h"

#include <csignal>
#include <cstring>

namespace utrace {
namespace {

bool IsHandler(uint64_t handler) { return handler != UTRACE_SIG_DFL && handler != UTRACE_SIG_IGN; }

bool SameAction(const utrace_sigaction& a, const utrace_sigaction& b) {
  return a.handler == b.handler && a.flags == b.flags && a.restorer == b.restorer &&
         a.mask == b.mask;
}

SignalEffect::Kind DefaultEffect(int signal) {
  switch (DefaultActionOf(signal)) {
    case DefaultAction::kTerminate:
      return SignalEffect::Kind::kTerminate;
    case DefaultAction::kCore:
      return SignalEffect::Kind::kCore;
    case DefaultAction::kStop:
      return signal == SIGSTOP ? SignalEffect::Kind::kStop : SignalEffect::Kind::kJobStop;
    default:
      return SignalEffect::Kind::kDrop;
  }
}

}  // namespace

DefaultAction DefaultActionOf(int signal) {
  switch (signal) {
    case SIGCHLD:
    case SIGURG:
    case SIGWINCH:
      return DefaultAction::kIgnore;
    case SIGCONT:
      return DefaultAction::kContinue;
    case SIGSTOP:
    case SIGTSTP:
    case SIGTTIN:
    case SIGTTOU:
      return DefaultAction::kStop;
    case SIGQUIT:
    case SIGILL:
    case SIGTRAP:
    case SIGABRT:
    case SIGFPE:
    case SIGSEGV:
    case SIGBUS:
    case SIGSYS:
    case SIGXCPU:
    case SIGXFSZ:
      return DefaultAction::kCore;
    default:
      return DefaultAction::kTerminate;
  }
}

unsigned long SignalEventKind(int signal, uint64_t handler) {
  if (handler == UTRACE_SIG_IGN) return UTRACE_EVENT(SIGNAL_IGN);
  if (handler != UTRACE_SIG_DFL) return UTRACE_EVENT(SIGNAL);
  switch (DefaultActionOf(signal)) {
    case DefaultAction::kIgnore:
    case DefaultAction::kContinue:
      return UTRACE_EVENT(SIGNAL_IGN);
    case DefaultAction::kStop:
      return UTRACE_EVENT(SIGNAL_STOP);
    case DefaultAction::kCore:
      return UTRACE_EVENT(SIGNAL_CORE);
    default:
      return UTRACE_EVENT(SIGNAL_TERM);
  }
}

uint32_t InitialSignalAction(int signal, unsigned long event) {
  switch (event) {
    case UTRACE_EVENT(SIGNAL_IGN):
      return UTRACE_SIGNAL_IGN;
    case UTRACE_EVENT(SIGNAL):
      return UTRACE_SIGNAL_DELIVER;
    case UTRACE_EVENT(SIGNAL_CORE):
      return UTRACE_SIGNAL_CORE;
    case UTRACE_EVENT(SIGNAL_STOP):
      return signal == SIGSTOP ? UTRACE_SIGNAL_STOP : UTRACE_SIGNAL_TSTP;
    default:
      return UTRACE_SIGNAL_TERM;
  }
}

SignalEffect ResolveSignal(uint32_t answer, const siginfo_t* dequeued, const siginfo_t& info,
                           const utrace_sigaction* original, const utrace_sigaction& disposition) {
  using Kind = SignalEffect::Kind;
  SignalEffect effect;
  effect.info = info;
  effect.action = disposition;
  effect.put_back = dequeued != nullptr && (answer & UTRACE_SIGNAL_HOLD) != 0;
  // NOLINTNEXTLINE(bugprone-suspicious-memory-comparison): both are copies of one kernel image.
  effect.info_changed = dequeued == nullptr || std::memcmp(dequeued, &info, sizeof(info)) != 0;
  const int number = info.si_signo;
  const bool valid = number >= 1 && number <= kLargestSignal;  // [BAD-05]
  if (!valid) effect.put_back = false;

  switch (answer & UTRACE_SIGNAL_MASK) {
    case UTRACE_SIGNAL_DELIVER:
      if (!valid) break;
      if (original == nullptr || SameAction(*original, disposition)) {
        if (original == nullptr && disposition.handler != UTRACE_SIG_UNKNOWN_HANDLER) {
          effect.kind = IsHandler(disposition.handler)          ? Kind::kHandler
                        : disposition.handler == UTRACE_SIG_IGN ? Kind::kDrop
                                                                : DefaultEffect(number);
        } else if (original == nullptr || dequeued == nullptr || dequeued->si_signo == number) {
          effect.kind = Kind::kNatural;
        } else if (IsHandler(original->handler)) {
          effect.kind = Kind::kOriginalHandler;
        } else if (original->handler == UTRACE_SIG_DFL) {
          effect.kind = DefaultEffect(number);
        }
        break;
      }
      if (disposition.handler == UTRACE_SIG_IGN) break;
      if (disposition.handler == UTRACE_SIG_DFL) {
        effect.kind = DefaultEffect(number);
      } else if (disposition.handler == UTRACE_SIG_UNKNOWN_HANDLER) {
        effect.kind = Kind::kNatural;
      } else {
        effect.kind = Kind::kHandler;
      }
      break;
    case UTRACE_SIGNAL_TERM:
      if (valid) effect.kind = Kind::kTerminate;
      break;
    case UTRACE_SIGNAL_CORE:
      if (valid) effect.kind = Kind::kCore;
      break;
    case UTRACE_SIGNAL_STOP:
      if (valid) effect.kind = Kind::kStop;
      break;
    case UTRACE_SIGNAL_TSTP:
      if (valid) effect.kind = Kind::kJobStop;
      break;
    default:  // IGN; REPORT and HANDLER count as IGN [SIG-18]
      break;
  }
  return effect;
}

}  // namespace utrace
