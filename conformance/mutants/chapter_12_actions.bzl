"""Mutants of chapter 12, Signals: what a signal is, and what is done with it."""

load(":mutant.bzl", "mutant")

CHAPTER_12_ACTIONS = [
    mutant(
        clause = "SIG-01",
        name = "default_of_sigxfsz",
        wrong = "the default action of SIGXFSZ is taken to be the end of the process",
        file = "core/signal_rules.cc",
        find = """    case SIGXFSZ:
""",
        replace = "",
    ),
    mutant(
        clause = "SIG-01",
        name = "default_of_sigwinch",
        wrong = "the default action of SIGWINCH is taken to be the end of the process",
        file = "core/signal_rules.cc",
        find = """    case SIGWINCH:
""",
        replace = "",
    ),
    mutant(
        clause = "SIG-01",
        name = "default_of_sigttou",
        wrong = "the default action of SIGTTOU is taken to be the end of the process",
        file = "core/signal_rules.cc",
        find = """    case SIGTTOU:
""",
        replace = "",
    ),
    mutant(
        clause = "SIG-01",
        name = "ignored_is_a_default",
        wrong = "a signal that the program ignores has the kind of its default",
        file = "core/signal_rules.cc",
        find = """  if (handler == UTRACE_SIG_IGN) return UTRACE_EVENT(SIGNAL_IGN);
""",
        replace = """  if (handler == UTRACE_SIG_IGN) handler = UTRACE_SIG_DFL;
""",
    ),
    mutant(
        clause = "SIG-01",
        name = "handled_kind_by_default",
        wrong = "a handler makes SIGNAL only of signals that would end the process",
        file = "core/signal_rules.cc",
        find = "  if (handler != UTRACE_SIG_DFL) return UTRACE_EVENT(SIGNAL);",
        replace = """  if (handler != UTRACE_SIG_DFL && DefaultActionOf(signal) == DefaultAction::kTerminate) {
    return UTRACE_EVENT(SIGNAL);
  }""",
    ),
    mutant(
        clause = "SIG-01",
        name = "disposition_remembered",
        wrong = "a disposition is looked up at the first signal and remembered",
        file = "core/linux/signals.cc",
        find = "  disposition.handler = DispositionOf(dequeued_.si_signo);",
        replace = """  static thread_local std::deque<std::pair<std::pair<pid_t, int>, uint64_t>> seen;
  const std::pair<pid_t, int> key{tid(), dequeued_.si_signo};
  auto known = std::find_if(seen.begin(), seen.end(), [&](const auto& s) { return s.first == key; });
  if (known == seen.end()) {
    seen.push_front({key, DispositionOf(dequeued_.si_signo)});
    known = seen.begin();
  }
  disposition.handler = known->second;""",
    ),
    mutant(
        clause = "SIG-02",
        name = "first_action_of_sigstop",
        wrong = "the first action of SIGSTOP is TSTP",
        file = "core/signal_rules.cc",
        find = "signal == SIGSTOP ? UTRACE_SIGNAL_STOP : UTRACE_SIGNAL_TSTP;",
        replace = "signal != 0 ? UTRACE_SIGNAL_TSTP : UTRACE_SIGNAL_STOP;",
    ),
    mutant(
        clause = "SIG-02",
        name = "first_action_of_core",
        wrong = "the first action of a signal that dumps core is TERM",
        file = "core/signal_rules.cc",
        find = "      return UTRACE_SIGNAL_CORE;",
        replace = "      return UTRACE_SIGNAL_TERM;",
    ),
    mutant(
        clause = "SIG-02",
        name = "first_action_of_ignored",
        wrong = "the first action of an ignored signal is DELIVER",
        file = "core/signal_rules.cc",
        find = "      return UTRACE_SIGNAL_IGN;",
        replace = "      return UTRACE_SIGNAL_DELIVER;",
    ),
    mutant(
        clause = "SIG-03",
        name = "signal_action_is_not_passed_on",
        wrong = "the signal action of an engine is not passed to the next",
        file = "core/report.cc",
        find = "action = result & (UTRACE_SIGNAL_MASK | UTRACE_SIGNAL_HOLD);",
        replace = "if (i + 1 == count) action = result & (UTRACE_SIGNAL_MASK | UTRACE_SIGNAL_HOLD);",
    ),
    mutant(
        clause = "SIG-03",
        name = "first_engines_answer_decides",
        wrong = "the answer of the engine called first decides what becomes of a signal",
        file = "core/report.cc",
        find = "        action = result & (UTRACE_SIGNAL_MASK | UTRACE_SIGNAL_HOLD);",
        replace = "        if (i == 0) action = result & (UTRACE_SIGNAL_MASK | UTRACE_SIGNAL_HOLD);",
    ),
    mutant(
        clause = "SIG-03",
        name = "each_sees_the_first_action",
        wrong = "each engine is passed the first action, not what the one before it left",
        file = "core/report.cc",
        find = "        const uint32_t result = ops.report_signal(action | pass.resume,",
        replace = """        const uint32_t shown = original == nullptr ? action : InitialSignalAction(info.si_signo, event);
        const uint32_t result = ops.report_signal(shown | pass.resume,""",
    ),
    mutant(
        clause = "SIG-04",
        name = "signal_needs_its_own_bit",
        wrong = "an engine with QUIESCE alone gets no report_signal of a signal that is reported",
        file = "core/report.cc",
        find = "if ((engine.flags & (event | UTRACE_EVENT(QUIESCE))) == 0) continue;",
        replace = "if ((engine.flags & (event != 0 ? event : UTRACE_EVENT(QUIESCE))) == 0) continue;",
    ),
    mutant(
        clause = "SIG-04",
        name = "signal_needs_quiesce",
        wrong = "an engine with the event's bit gets report_signal only if it has QUIESCE too",
        file = "core/report.cc",
        find = "if ((engine.flags & (event | UTRACE_EVENT(QUIESCE))) == 0) continue;",
        replace = "if ((engine.flags & UTRACE_EVENT(QUIESCE)) == 0) continue;",
    ),
    mutant(
        clause = "SIG-05",
        name = "changed_siginfo_is_dropped",
        wrong = "a changed siginfo does not reach the handler",
        file = "core/linux/signals.cc",
        find = "  if (set_info) {",
        replace = "  if (set_info && number != info.si_signo) {",
    ),
    mutant(
        clause = "SIG-05",
        name = "changed_number_is_not_patched",
        wrong = "a handler is called with the number before the change",
        file = "core/linux/signals.cc",
        find = """    arch::SetSyscallArgument(registers_, 0, static_cast<uint64_t>(info.si_signo));
""",
        replace = "",
    ),
    mutant(
        clause = "SIG-05",
        name = "chosen_handler_is_not_run",
        wrong = "a disposition changed to a handler is not acted by",
        file = "core/signal_rules.cc",
        find = """      } else {
        effect.kind = Kind::kHandler;
      }""",
        replace = """      } else {
        effect.kind = Kind::kNatural;
      }""",
    ),
    mutant(
        clause = "SIG-05",
        name = "chosen_default_is_the_programs",
        wrong = "a disposition changed to the default is not acted by",
        file = "core/signal_rules.cc",
        find = """      if (disposition.handler == UTRACE_SIG_DFL) {
        effect.kind = DefaultEffect(number);""",
        replace = """      if (disposition.handler == UTRACE_SIG_DFL) {
        effect.kind = Kind::kNatural;""",
    ),
    mutant(
        clause = "SIG-05",
        name = "chosen_ignore_is_the_programs",
        wrong = "a disposition changed to ignore is not acted by",
        file = "core/signal_rules.cc",
        find = """      if (disposition.handler == UTRACE_SIG_IGN) break;
      if""",
        replace = """      if (disposition.handler == UTRACE_SIG_IGN) {
        effect.kind = Kind::kNatural;
        break;
      }
      if""",
    ),
    mutant(
        clause = "SIG-05",
        name = "chosen_mask_is_not_set",
        wrong = "the mask of a chosen disposition is not in force in its handler",
        file = "arch/x86_64/signal_frame.cc",
        find = "  result.blocked = request.blocked | request.action.mask;",
        replace = "  result.blocked = request.blocked;",
    ),
    mutant(
        clause = "SIG-05",
        name = "chosen_restart_is_dropped",
        wrong = "SA_RESTART of a chosen disposition does the opposite",
        file = "arch/x86_64/signal_frame.cc",
        find = "(code == kRestartSys && (action_flags & SA_RESTART) != 0)",
        replace = "(code == kRestartSys && (action_flags & SA_RESTART) == 0)",
    ),
    mutant(
        clause = "SIG-05",
        name = "disposition_stays_changed",
        wrong = "ignoring one signal changes the program's disposition for good",
        file = "core/linux/signals.cc",
        find = """  if (effect.kind == Kind::kDrop) {
    ReturnToUser();""",
        replace = """  if (effect.kind == Kind::kDrop) {
    if (stopped_for != 0 && effect.action.handler == UTRACE_SIG_IGN) ResetDisposition(stopped_for);
    ReturnToUser();""",
    ),
    mutant(
        clause = "SIG-06",
        name = "ignored_by_engines_is_delivered",
        wrong = "IGN does not drop the signal",
        file = "core/signal_rules.cc",
        find = """    default:  // IGN; REPORT and HANDLER count as IGN [SIG-18]
      break;""",
        replace = """    case UTRACE_SIGNAL_IGN:
      if (dequeued != nullptr && valid) effect.kind = Kind::kNatural;
      break;
    default:
      break;""",
    ),
    mutant(
        clause = "SIG-06",
        name = "term_by_the_dequeued_number",
        wrong = "TERM ends the process by the number before the change",
        file = "core/signal_rules.cc",
        find = "      if (valid) effect.kind = Kind::kTerminate;",
        replace = """      if (valid) effect.kind = Kind::kTerminate;
      if (valid && dequeued != nullptr) effect.info.si_signo = dequeued->si_signo;""",
    ),
    mutant(
        clause = "SIG-06",
        name = "core_by_the_dequeued_number",
        wrong = "CORE ends the process by the number before the change",
        file = "core/signal_rules.cc",
        find = "      if (valid) effect.kind = Kind::kCore;",
        replace = """      if (valid) effect.kind = Kind::kCore;
      if (valid && dequeued != nullptr) effect.info.si_signo = dequeued->si_signo;""",
    ),
    mutant(
        clause = "SIG-06",
        name = "stop_by_job_control",
        wrong = "STOP follows job control rules",
        file = "core/signal_rules.cc",
        find = "      if (valid) effect.kind = Kind::kStop;",
        replace = "      if (valid) effect.kind = Kind::kJobStop;",
    ),
    mutant(
        clause = "SIG-06",
        name = "tstp_is_absolute",
        wrong = "TSTP stops whatever job control rules say",
        file = "core/signal_rules.cc",
        find = "      if (valid) effect.kind = Kind::kJobStop;",
        replace = "      if (valid) effect.kind = Kind::kStop;",
    ),
    mutant(
        clause = "SIG-06",
        name = "tstp_runs_a_handler",
        wrong = "TSTP runs the program's handler of SIGTSTP",
        file = "core/linux/signals.cc",
        find = "    if (stops && DispositionOf(candidate) == UTRACE_SIG_DFL) return candidate;",
        replace = "    if (stops) return candidate;",
    ),
    mutant(
        clause = "SIG-06",
        name = "term_respects_the_handler",
        wrong = "TERM of a signal that the program handles runs the handler",
        file = "core/linux/signals.cc",
        find = """  if (!is_default && !ResetDisposition(number)) return;  // died on the way
""",
        replace = "",
    ),
    mutant(
        clause = "SIG-07",
        name = "held_signal_is_gone",
        wrong = "HOLD puts nothing back",
        file = "core/signal_rules.cc",
        find = "  effect.put_back = dequeued != nullptr && (answer & UTRACE_SIGNAL_HOLD) != 0;",
        replace = "  effect.put_back = dequeued == nullptr && (answer & UTRACE_SIGNAL_HOLD) != 0;",
    ),
    mutant(
        clause = "SIG-07",
        name = "held_signal_replaces_the_action",
        wrong = "with HOLD the action that stands beside it is not taken",
        file = "core/linux/signals.cc",
        find = """    SendCarrier(later, effect.info.si_signo, false);
  }
  if (effect.kind == Kind::kDrop) {""",
        replace = """    SendCarrier(later, effect.info.si_signo, false);
  }
  if (effect.kind == Kind::kDrop || effect.put_back) {""",
    ),
    mutant(
        clause = "SIG-07",
        name = "held_signal_comes_back_bare",
        wrong = "a signal that was held comes back without its siginfo",
        file = "core/linux/signals.cc",
        find = """    SignalEffect later;
    later.info = effect.info;""",
        replace = """    SignalEffect later;
    later.info.si_signo = effect.info.si_signo;""",
    ),
]
