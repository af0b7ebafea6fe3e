"""Mutants of chapter 12, Signals: requests, handlers, and signals that are put back or go under."""

load(":mutant.bzl", "mutant")

CHAPTER_12_REPORTS = [
    mutant(
        clause = "SIG-08",
        name = "report_has_a_disposition",
        wrong = "a REPORT comes with an original disposition",
        file = "core/report.cc",
        find = "ReportSignal(0, UTRACE_SIGNAL_REPORT, info, nullptr, disposition);",
        replace = "ReportSignal(0, UTRACE_SIGNAL_REPORT, info, &disposition, disposition);",
    ),
    mutant(
        clause = "SIG-08",
        name = "injected_is_reported",
        wrong = "a signal that an engine injected is reported as if it had been dequeued",
        file = "core/linux/signals.cc",
        find = "    SendCarrier(decided, number, true);",
        replace = "    SendCarrier(decided, number, false);",
    ),
    mutant(
        clause = "SIG-08",
        name = "injected_is_lost",
        wrong = "DELIVER at a REPORT injects nothing",
        file = "core/signal_rules.cc",
        find = "        if (original == nullptr && disposition.handler != UTRACE_SIG_UNKNOWN_HANDLER) {",
        replace = """        if (original == nullptr && dequeued == nullptr) break;
        if (original == nullptr && disposition.handler != UTRACE_SIG_UNKNOWN_HANDLER) {""",
    ),
    mutant(
        clause = "SIG-09",
        name = "no_handler_report",
        wrong = "no report is made at a handler's first instruction",
        file = "core/report.cc",
        find = "bool Task::WantsHandlerReport() { return IsDue(); }",
        replace = "bool Task::WantsHandlerReport() { return !IsDue() && IsDue(); }",
    ),
    mutant(
        clause = "SIG-09",
        name = "handler_report_always",
        wrong = "a HANDLER report is made though nobody asked for a stop or step",
        file = "core/report.cc",
        find = "bool Task::WantsHandlerReport() { return IsDue(); }",
        replace = "bool Task::WantsHandlerReport() { return IsDue() || HostInterest() != 0; }",
    ),
    mutant(
        clause = "SIG-09",
        name = "handler_report_and_report",
        wrong = "behind a HANDLER report comes a REPORT one",
        file = "core/report.cc",
        find = """    // This report stands for the one that was asked for [SIG-09].
    pending_ = Pending::kNone;""",
        replace = "    AddPending(Pending::kReport);",
    ),
    mutant(
        clause = "SIG-10",
        name = "no_handler_report_for_a_step",
        wrong = "SINGLESTEP with DELIVER makes no HANDLER report",
        file = "core/report.cc",
        find = "bool Task::WantsHandlerReport() { return IsDue(); }",
        replace = """bool Task::WantsHandlerReport() {
  MutexLock lock(mutex_);
  return pending_ != Pending::kNone || report_after_stop_ || SomeoneStops();
}""",
    ),
    mutant(
        clause = "SIG-10",
        name = "no_handler_report_of_a_chosen_handler",
        wrong = "a handler that an engine chose gets no HANDLER report",
        file = "core/linux/signals.cc",
        find = """  resume_signal_ = 0;
  if (core_->WantsHandlerReport()) {""",
        replace = "  if (resume_signal_ = 0; resume_signal_ != 0) {",
    ),
    mutant(
        clause = "SIG-11",
        name = "siginfo_lost_in_a_stop",
        wrong = "after a STOP the next report_signal has an empty siginfo",
        file = "core/report.cc",
        find = "  keep_info_ = SomeoneStops();",
        replace = "  keep_info_ = false;",
    ),
    mutant(
        clause = "SIG-11",
        name = "siginfo_kept_as_dequeued",
        wrong = "after a STOP the siginfo is the one that was dequeued, not the one that the engine left",
        file = "core/report.cc",
        find = "  if (keep_info_) last_info_ = info;",
        replace = "  if (keep_info_) last_info_ = dequeued != nullptr ? *dequeued : info;",
    ),
    mutant(
        clause = "SIG-12",
        name = "signals_before_reports",
        wrong = "a pending signal is reported before the report that was asked for",
        file = "core/linux/signals.cc",
        find = "    before = core_->OnBeforeSignal();",
        replace = "    if (synthetic_) before = core_->OnBeforeSignal();",
    ),
    mutant(
        clause = "SIG-13",
        name = "interrupt_from_signal_repeats",
        wrong = "INTERRUPT returned from report_signal asks for another one, for ever",
        file = "core/report.cc",
        find = "if (kind != PassKind::kSignal) AddPending(Pending::kInterrupt);",
        replace = "AddPending(Pending::kInterrupt);",
    ),
    mutant(
        clause = "SIG-13",
        name = "report_from_signal_repeats",
        wrong = "REPORT returned from report_signal asks for a report",
        file = "core/report.cc",
        find = "if (kind == PassKind::kEvent || kind == PassKind::kEntry) AddPending(Pending::kReport);",
        replace = "if (kind != PassKind::kUserReturn) AddPending(Pending::kReport);",
    ),
    mutant(
        clause = "SIG-14",
        name = "sigkill_is_reported",
        wrong = "SIGKILL is reported by report_signal",
        file = "core/linux/life.cc",
        find = """  in_syscall_ = false;
  exit_call_.reset();
  if (exit_reported_) {
    AfterExitHold();""",
        replace = """  in_syscall_ = false;
  exit_call_.reset();
  if (signal == SIGKILL) {
    siginfo_t info{};
    info.si_signo = SIGKILL;
    const Region region;
    core_->OnSignal(info, utrace_sigaction{});
  }
  if (exit_reported_) {
    AfterExitHold();""",
    ),
    mutant(
        clause = "SIG-15",
        name = "ignored_signals_unreported",
        wrong = "a signal that the program ignores is not reported",
        file = "core/report.cc",
        find = "  if ((Interest() & event) == 0) {",
        replace = "  if ((Interest() & event) == 0 || disposition.handler == UTRACE_SIG_IGN) {",
    ),
    mutant(
        clause = "SIG-16",
        name = "one_shot_resets_dropped",
        wrong = "a one-shot handler is reset by a signal that an engine dropped",
        file = "core/linux/signals.cc",
        find = """  if (effect.kind == Kind::kDrop) {
    ReturnToUser();""",
        replace = """  if (effect.kind == Kind::kDrop) {
    if (stopped_for != 0) ResetDisposition(stopped_for);
    ReturnToUser();""",
    ),
    mutant(
        clause = "SIG-17",
        name = "stop_from_signal_runs_on",
        wrong = "STOP from report_signal does not stop the task",
        file = "core/report.cc",
        find = """    case UTRACE_STOP:
      engine.wish""",
        replace = """    case UTRACE_STOP:
      if (kind == PassKind::kSignal) break;
      engine.wish""",
    ),
    mutant(
        clause = "SIG-17",
        name = "stopped_signal_comes_back",
        wrong = "a signal that was dropped beside a STOP is seen again without HOLD",
        file = "core/report.cc",
        find = "  if (keep_info_) last_info_ = info;",
        replace = """  if (keep_info_) last_info_ = info;
  if (keep_info_ && dequeued != nullptr) effect.put_back = true;""",
    ),
    mutant(
        clause = "SIG-18",
        name = "report_delivers",
        wrong = "REPORT as the final signal action delivers",
        file = "core/signal_rules.cc",
        find = """    default:  // IGN; REPORT and HANDLER count as IGN [SIG-18]
""",
        replace = """    case UTRACE_SIGNAL_REPORT:
      if (valid) effect.kind = Kind::kNatural;
      break;
    default:
""",
    ),
    mutant(
        clause = "SIG-18",
        name = "handler_delivers",
        wrong = "HANDLER as the final signal action delivers",
        file = "core/signal_rules.cc",
        find = """    default:  // IGN; REPORT and HANDLER count as IGN [SIG-18]
""",
        replace = """    case UTRACE_SIGNAL_HANDLER:
      if (valid) effect.kind = Kind::kNatural;
      break;
    default:
""",
    ),
    mutant(
        clause = "SIG-19",
        name = "signal_lost_in_a_stop",
        wrong = "a signal that was dequeued while the task was to stop is lost",
        file = "core/linux/stops.cc",
        find = """    case Place::kBeforeSignal:
      LookAtSignal();
""",
        replace = """    case Place::kBeforeSignal:
      ReturnToUser();
""",
    ),
    mutant(
        clause = "SIG-19",
        name = "bursts_are_reported_once",
        wrong = "a signal with the number of the one before is not reported",
        file = "core/linux/signals.cc",
        find = """  dequeued_ = info;
  synthetic_ = false;
""",
        replace = """  if (info.si_signo == dequeued_.si_signo && (core_->HostInterest() & UTRACE_EVENT(QUIESCE)) == 0) {
    Resume(PTRACE_CONT, signal);
    return;
  }
  dequeued_ = info;
  synthetic_ = false;
""",
    ),
    mutant(
        clause = "SIG-19",
        name = "queued_signals_twice",
        wrong = "queued signals are reported twice",
        file = "core/report.cc",
        find = "  action = ReportSignal(event, action, changed, &disposition, apply);",
        replace = """  if (info.si_code == SI_QUEUE) ReportSignal(event, action, changed, &disposition, apply);
  action = ReportSignal(event, action, changed, &disposition, apply);""",
    ),
    mutant(
        clause = "SIG-20",
        name = "stop_before_the_handler",
        wrong = "STOP with DELIVER makes no HANDLER report, and the handler runs on",
        file = "core/report.cc",
        find = "bool Task::WantsHandlerReport() { return IsDue(); }",
        replace = """bool Task::WantsHandlerReport() {
  {
    MutexLock lock(mutex_);
    if (SomeoneStops()) return false;
  }
  return IsDue();
}""",
    ),
    mutant(
        clause = "SIG-21",
        name = "stop_holds_the_dying",
        wrong = "STOP beside an action that ends the process holds it",
        file = "core/task.cc",
        find = """      engine->wish = UTRACE_RESUME;
      engine->stop_committed = false;""",
        replace = "      engine->stop_committed = engine->wish == UTRACE_STOP;",
    ),
]
