"""Mutants of chapter 9: Reports: order and arbitration."""

load(":mutant.bzl", "mutant")

CHAPTER_09 = [
    mutant(
        clause = "REP-01",
        name = "every_report_in_reverse",
        wrong = "all reports of events go in the order of the entry report",
        file = "core/report.cc",
        find = "*engines_[reverse ? count - 1 - i : i]",
        replace = "*engines_[reverse || event != 0 ? count - 1 - i : i]",
    ),
    mutant(
        clause = "REP-01",
        name = "signals_in_reverse",
        wrong = "report_signal goes to the engine attached last first",
        file = "core/report.cc",
        find = "EngineObject& engine = *engines_[i];",
        replace = "EngineObject& engine = *engines_[count - 1 - i];",
    ),
    mutant(
        clause = "REP-02",
        name = "entry_in_attach_order",
        wrong = "the entry report goes in order of attachment",
        file = "core/report.cc",
        find = "*engines_[reverse ? count - 1 - i : i]",
        replace = "*engines_[i + (reverse ? 0 : 0)]",
    ),
    mutant(
        clause = "REP-02",
        name = "repeated_entry_in_attach_order",
        wrong = "a repeated entry report goes in order of attachment",
        file = "core/report.cc",
        find = "/*reverse=*/true",
        replace = "/*reverse=*/!resumed",
    ),
    mutant(
        clause = "REP-03",
        name = "reap_beside_death",
        wrong = "the death report is made beside whatever comes next",
        file = "core/linux/life.cc",
        find = """  const Region region;
  core_->EndNewborn();
  core_->OnDeath(last, signal);""",
        replace = """  core_->EndNewborn();
  core_->Ref();
  std::thread([core = core_, last, signal] {
    core->OnDeath(last, signal);
    core->Unref();
  }).detach();""",
    ),
    mutant(
        clause = "REP-04",
        name = "action_so_far_is_the_last",
        wrong = "a callback is passed the resume action of the one before, however loose",
        file = "core/report.cc",
        find = "pass.resume = std::min(pass.resume, action);",
        replace = "pass.resume = action;",
    ),
    mutant(
        clause = "REP-04",
        name = "action_starts_as_report",
        wrong = "the first callback of a report is passed REPORT",
        file = "core/report.cc",
        find = "uint32_t resume = UTRACE_RESUME;",
        replace = "uint32_t resume = UTRACE_REPORT;",
    ),
    mutant(
        clause = "REP-04",
        name = "detach_is_passed_as_stop",
        wrong = "a result of DETACH tightens the action that the next callback is passed",
        file = "core/report.cc",
        find = "  pass.resume = std::min(pass.resume, action);",
        replace = "  pass.resume = std::min(pass.resume, action % UTRACE_DETACH);",
    ),
    mutant(
        clause = "REP-05",
        name = "resume_erases_report",
        wrong = "an engine's RESUME takes back the REPORT of one called before it",
        file = "core/report.cc",
        find = """    default:
      break;
  }
  if (kind == PassKind::kEntry &&""",
        replace = """    default:
      if (pending_ == Pending::kReport) pending_ = Pending::kNone;
      break;
  }
  if (kind == PassKind::kEntry &&""",
    ),
    mutant(
        clause = "REP-05",
        name = "report_erases_interrupt",
        wrong = "a REPORT that comes after an INTERRUPT weakens it",
        file = "core/task.cc",
        find = "pending_ = std::max(pending_, pending);",
        replace = "pending_ = pending;",
    ),
    mutant(
        clause = "REP-05",
        name = "resume_wakes_other_engines_stop",
        wrong = "the result of the engine called last decides alone",
        file = "core/report.cc",
        find = """  engine.stop_committed = false;
  engine.wish = UTRACE_RESUME;
  if (action == UTRACE_SINGLESTEP""",
        replace = """  engine.stop_committed = false;
  for (EngineObject* each : engines_) each->wish = UTRACE_RESUME;
  if (action == UTRACE_SINGLESTEP""",
    ),
    mutant(
        clause = "REP-06",
        name = "stop_outlasts_later_results",
        wrong = "a STOP is not ended by what the engine returns from a later callback",
        file = "core/report.cc",
        find = """  engine.stop_committed = false;
  engine.wish = UTRACE_RESUME;
  if (action == UTRACE_SINGLESTEP""",
        replace = """  if (held_ || engine.wish == UTRACE_STOP) return;
  engine.stop_committed = false;
  engine.wish = UTRACE_RESUME;
  if (action == UTRACE_SINGLESTEP""",
    ),
    mutant(
        clause = "REP-06",
        name = "stop_ends_with_the_report_after_it",
        wrong = "a report that another engine asked for ends a STOP",
        file = "core/report.cc",
        find = """      pending_ = Pending::kNone;
      report_after_stop_ = false;
      // What""",
        replace = """      pending_ = Pending::kNone;
      report_after_stop_ = false;
      for (EngineObject* engine : engines_) engine->wish = UTRACE_RESUME;
      // What""",
    ),
    mutant(
        clause = "REP-07",
        name = "clone_stops_at_once",
        wrong = "STOP from report_clone stops the task inside the call",
        file = "core/report.cc",
        find = "return HoldHere((flags & kCloneVfork) != 0);",
        replace = "return HoldHere(kCloneVfork != 0 && flags != 0);",
    ),
    mutant(
        clause = "REP-07",
        name = "exit_stop_before_event_zero",
        wrong = "a STOP takes effect before the report that is due at the edge of user mode",
        file = "core/report.cc",
        find = """      if (pending == Pending::kNone) {
        if (SomeoneStops()) {""",
        replace = """      if (pending != Pending::kInterrupt) {
        if (SomeoneStops()) {""",
    ),
    mutant(
        clause = "REP-08",
        name = "no_report_after_a_stop",
        wrong = "a task that was stopped runs on without a last callback",
        file = "core/task.cc",
        find = """  held_ = true;
  report_after_stop_ = true;""",
        replace = "  held_ = true;",
    ),
    mutant(
        clause = "REP-08",
        name = "report_forgotten_at_syscall_exit",
        wrong = "the report of a system call's exit is taken for the one that REPORT asked for",
        file = "core/report.cc",
        find = "void Task::OnSyscallExit() {",
        replace = """void Task::OnSyscallExit() {
  {
    MutexLock lock(mutex_);
    pending_ = Pending::kNone;
  }""",
    ),
    mutant(
        clause = "REP-09",
        name = "detach_result_does_nothing",
        wrong = "DETACH as a result counts as RESUME",
        file = "core/report.cc",
        find = "if (action == UTRACE_DETACH || engine.state == EngineObject::State::kDetaching) {",
        replace = "if (engine.state == EngineObject::State::kDetaching) {",
    ),
    mutant(
        clause = "REP-09",
        name = "detach_result_waits_for_the_next_report",
        wrong = "an engine that left in report_quiesce still gets the event",
        file = "core/report.cc",
        find = "        if (!CallEngine(lock, engine, pass, call)) continue;",
        replace = "        CallEngine(lock, engine, pass, call);",
    ),
    mutant(
        clause = "REP-10",
        name = "newcomers_join_the_report",
        wrong = "engines that attach during a report are called in it",
        file = "core/report.cc",
        find = """    for (size_t i = 0; i < count; ++i) {
      EngineObject& engine = *engines_[reverse ? count - 1 - i : i];""",
        replace = """    for (size_t i = 0; i < count + arriving_.size(); ++i) {
      EngineObject& engine =
          i >= count ? *arriving_[i - count] : *engines_[reverse ? count - 1 - i : i];""",
    ),
    mutant(
        clause = "REP-10",
        name = "a_detach_ends_the_report",
        wrong = "a report that meets an engine that was detached meanwhile calls none after it",
        file = "core/report.cc",
        find = """      if (engine.state != EngineObject::State::kAttached) continue;
      const bool quiesce""",
        replace = """      if (engine.state != EngineObject::State::kAttached) break;
      const bool quiesce""",
    ),
    mutant(
        clause = "REP-11",
        name = "stop_of_a_stopped_task_is_lost",
        wrong = "a control STOP on a task that is stopped already is forgotten",
        file = "core/control.cc",
        find = """      engine.wish = UTRACE_STOP;
      if (stopped) {""",
        replace = """      if (!stopped) engine.wish = UTRACE_STOP;
      if (stopped) {""",
    ),
    mutant(
        clause = "REP-11",
        name = "one_stop_per_report",
        wrong = "a STOP beside that of another engine is forgotten",
        file = "core/report.cc",
        find = "      engine.wish = UTRACE_STOP;",
        replace = "      if (!SomeoneStops()) engine.wish = UTRACE_STOP;",
    ),
    mutant(
        clause = "REP-12",
        name = "withdrawn_stop_stops",
        wrong = "a STOP that the engine takes back in the same report holds the task",
        file = "core/report.cc",
        find = """  engine.stop_committed = false;
  engine.wish = UTRACE_RESUME;
  if (action == UTRACE_SINGLESTEP""",
        replace = """  if (engine.wish == UTRACE_STOP) return;
  engine.stop_committed = false;
  engine.wish = UTRACE_RESUME;
  if (action == UTRACE_SINGLESTEP""",
    ),
    mutant(
        clause = "REP-12",
        name = "no_stop_from_quiesce_of_an_event",
        wrong = "a STOP from report_quiesce of an event is dropped before the event's own callback",
        file = "core/report.cc",
        find = "      if (event == 0 || (engine.flags & event) == 0) continue;",
        replace = """      if (event != 0 && engine.wish == UTRACE_STOP) engine.wish = UTRACE_RESUME;
      if (event == 0 || (engine.flags & event) == 0) continue;""",
    ),
    mutant(
        clause = "REP-13",
        name = "mask_read_before_quiesce",
        wrong = "the mask that report_quiesce changed is obeyed only in the next report",
        file = "core/report.cc",
        find = """      const bool quiesce = (engine.flags & UTRACE_EVENT(QUIESCE)) != 0 &&
                           engine.ops->report_quiesce != nullptr && event != UTRACE_EVENT(REAP);
      if (quiesce) {
        const auto call = [&](const utrace_engine_ops& ops) {
          return ops.report_quiesce(pass.resume, &engine, this, event);
        };
        if (!CallEngine(lock, engine, pass, call)) continue;
      }
      // The mask may have changed in the callback just made [EVT-13].
      if (event == 0 || (engine.flags & event) == 0) continue;""",
        replace = """      const unsigned long flags = engine.flags;
      const bool quiesce = (flags & UTRACE_EVENT(QUIESCE)) != 0 &&
                           engine.ops->report_quiesce != nullptr && event != UTRACE_EVENT(REAP);
      if (quiesce) {
        const auto call = [&](const utrace_engine_ops& ops) {
          return ops.report_quiesce(pass.resume, &engine, this, event);
        };
        if (!CallEngine(lock, engine, pass, call)) continue;
      }
      if (event == 0 || (flags & event) == 0) continue;""",
    ),
    mutant(
        clause = "REP-14",
        name = "every_call_stops",
        wrong = "system calls stop the task whether or not an engine wants them",
        file = "core/linux/stops.cc",
        find = "Resume(syscalls || argument_to_restore_ ? PTRACE_SYSCALL : PTRACE_CONT, resume_signal_);",
        replace = """Resume(syscalls || argument_to_restore_ || traced_here_ ? PTRACE_SYSCALL : PTRACE_CONT,
           resume_signal_);""",
    ),
    mutant(
        clause = "REP-14",
        name = "never_let_go",
        wrong = "a task that the last engine left stays traced, and stops at its signals",
        file = "core/linux/stops.cc",
        find = """  if (core_->HostInterest() != 0) return false;
  // What is half""",
        replace = """  if (core_->HostInterest() != 0 || traced_here_) return false;
  // What is half""",
    ),
    mutant(
        clause = "REP-15",
        name = "cleared_mask_is_still_called",
        wrong = "an engine with QUIESCE gets every event's callback",
        file = "core/report.cc",
        find = "      if (event == 0 || (engine.flags & event) == 0) continue;",
        replace = "      if (event == 0 || ((engine.flags | (quiesce ? event : 0)) & event) == 0) continue;",
    ),
    mutant(
        clause = "REP-16",
        name = "bare_stop_does_not_hold",
        wrong = "a STOP of an engine without QUIESCE does not hold",
        file = "core/task.cc",
        find = "if (engine->state == EngineObject::State::kAttached && engine->wish == UTRACE_STOP) {",
        replace = """if (engine->state == EngineObject::State::kAttached && engine->wish == UTRACE_STOP &&
          (engine->flags & UTRACE_EVENT(QUIESCE)) != 0) {""",
    ),
    mutant(
        clause = "REP-17",
        name = "interrupt_from_event_zero_is_nothing",
        wrong = "INTERRUPT from report_quiesce with event zero leads to no report_signal",
        file = "core/report.cc",
        find = "if (kind != PassKind::kSignal) AddPending(Pending::kInterrupt);",
        replace = "if (kind == PassKind::kEvent || kind == PassKind::kEntry) AddPending(Pending::kInterrupt);",
    ),
    mutant(
        clause = "REP-17",
        name = "report_from_event_zero_repeats",
        wrong = "REPORT from report_quiesce with event zero asks for another one, for ever",
        file = "core/report.cc",
        find = "if (kind == PassKind::kEvent || kind == PassKind::kEntry) AddPending(Pending::kReport);",
        replace = "if (kind != PassKind::kSignal) AddPending(Pending::kReport);",
    ),
    mutant(
        clause = "REP-17",
        name = "report_from_event_zero_hides_steps",
        wrong = "REPORT from report_quiesce with event zero takes another engine's step away",
        file = "core/report.cc",
        find = "if (kind == PassKind::kEvent || kind == PassKind::kEntry) AddPending(Pending::kReport);",
        replace = """if (kind == PassKind::kEvent || kind == PassKind::kEntry) AddPending(Pending::kReport);
      if (kind == PassKind::kUserReturn) {
        for (EngineObject* each : engines_) {
          if (each->wish != UTRACE_STOP) each->wish = UTRACE_RESUME;
        }
      }""",
    ),
]
