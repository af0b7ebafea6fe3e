"""Mutants of chapter 2: The API surface."""

load(":mutant.bzl", "mutant")

CHAPTER_02 = [
    mutant(
        clause = "API-01",
        name = "clones_come_under_execs_bit",
        wrong = "clones are reported to engines with the bit of exec",
        file = "core/report.cc",
        find = "ReportEvent(UTRACE_EVENT(CLONE), PassKind::kEvent",
        replace = "ReportEvent(UTRACE_EVENT(EXEC), PassKind::kEvent",
    ),
    mutant(
        clause = "API-02",
        name = "report_and_interrupt_are_swapped",
        wrong = "REPORT and INTERRUPT have each other's numbers",
        file = "core/api.cc",
        find = "static_cast<unsigned>(action));",
        replace = """static_cast<unsigned>(
                                               action == UTRACE_REPORT      ? UTRACE_INTERRUPT
                                               : action == UTRACE_INTERRUPT ? UTRACE_REPORT
                                                                            : action));""",
    ),
    mutant(
        clause = "API-03",
        name = "ignore_and_deliver_are_swapped",
        wrong = "the number of IGN delivers the signal",
        file = "core/signal_rules.cc",
        find = """switch (answer & UTRACE_SIGNAL_MASK) {
    case UTRACE_SIGNAL_DELIVER:""",
        replace = """switch (answer & UTRACE_SIGNAL_MASK) {
    case UTRACE_SIGNAL_IGN:""",
    ),
    mutant(
        clause = "API-03",
        name = "report_has_the_number_of_handler",
        wrong = "a report without a signal has the number of HANDLER",
        file = "core/report.cc",
        find = "ReportSignal(0, UTRACE_SIGNAL_REPORT, info",
        replace = "ReportSignal(0, UTRACE_SIGNAL_HANDLER, info",
    ),
    mutant(
        clause = "API-04",
        name = "abort_is_0x20",
        wrong = "ABORT is 0x20",
        file = "core/report.cc",
        find = "abort_entry_ = action == UTRACE_SYSCALL_ABORT;",
        replace = "abort_entry_ = action == 0x20;",
    ),
    mutant(
        clause = "API-04",
        name = "resumed_is_0x200",
        wrong = "RESUMED is 0x200",
        file = "core/report.cc",
        find = "resumed ? UTRACE_SYSCALL_RESUMED : 0;",
        replace = "resumed ? 0x200U : 0;",
    ),
    mutant(
        clause = "API-05",
        name = "match_flags_are_swapped",
        wrong = "MATCH_OPS and MATCH_DATA have each other's numbers",
        file = "core/attach.cc",
        find = """      if ((flags & UTRACE_ATTACH_MATCH_OPS) != 0 && engine->ops != ops) continue;
      if ((flags & UTRACE_ATTACH_MATCH_DATA) != 0 && engine->data != data) continue;
""",
        replace = """      if ((flags & UTRACE_ATTACH_MATCH_DATA) != 0 && engine->ops != ops) continue;
      if ((flags & UTRACE_ATTACH_MATCH_OPS) != 0 && engine->data != data) continue;
""",
    ),
    mutant(
        clause = "API-06",
        name = "child_and_parent_are_swapped",
        wrong = "report_clone is passed the child for the parent",
        file = "core/report.cc",
        find = "ops.report_clone(resume, &engine, this, flags, &child)",
        replace = "ops.report_clone(resume, &engine, &child, flags, this)",
    ),
    mutant(
        clause = "API-06",
        name = "every_engine_needs_quiesce",
        wrong = "an ops table without report_quiesce cannot be attached",
        file = "core/attach.cc",
        find = """  if (ops == nullptr) {
    *status = -EINVAL;""",
        replace = """  if (ops == nullptr || ops->report_quiesce == nullptr) {
    *status = -EINVAL;""",
    ),
    mutant(
        clause = "API-07",
        name = "control_by_pid_is_missing",
        wrong = "utrace_control_pid is not implemented",
        file = "core/api.cc",
        find = "return task == nullptr ? status : utrace_control(task, engine, action);",
        replace = "return task == nullptr || action >= 0 ? -ENOSYS : utrace_control(task, engine, action);",
    ),
    mutant(
        clause = "API-07",
        name = "errors_are_positive",
        wrong = "errors of set_events are positive",
        file = "core/api.cc",
        find = "  return utrace::FromPublic(task)->SetEvents(*utrace::FromPublic(engine), events);",
        replace = "  return -utrace::FromPublic(task)->SetEvents(*utrace::FromPublic(engine), events);",
    ),
    mutant(
        clause = "API-08",
        name = "gone_pid_is_einval",
        wrong = "a pid handle whose task is gone gives -EINVAL",
        file = "core/api.cc",
        find = "*status = -ESRCH;",
        replace = "*status = -EINVAL;",
    ),
    mutant(
        clause = "API-08",
        name = "a_number_names_whoever_has_it",
        wrong = "a pid handle names the next task with that number",
        file = "core/linux/linux_task.cc",
        find = "bool LinuxTask::Exists() { return IdentityOf(tid(), LinuxHost::Get().features()) == identity_; }",
        replace = "bool LinuxTask::Exists() { return IdentityOf(tid(), LinuxHost::Get().features()) != 0; }",
    ),
    mutant(
        clause = "API-09",
        name = "data_is_not_readable",
        wrong = "the data field of an engine is not what it was attached with",
        file = "core/engine_object.cc",
        find = "utrace_engine{engine_ops, engine_data, 0}",
        replace = "utrace_engine{engine_ops, engine_data == nullptr ? nullptr : this, 0}",
    ),
    mutant(
        clause = "API-10",
        name = "the_version_changes",
        wrong = "the version is another one from the third time on that it is asked for",
        file = "core/api.cc",
        find = "unsigned long utrace_api_version() { return UTRACE_API_VERSION; }",
        replace = """unsigned long utrace_api_version() {
  static unsigned long asked = 0;
  return UTRACE_API_VERSION + (++asked > 2 ? 1 : 0);
}""",
    ),
    mutant(
        clause = "API-11",
        name = "control_waits_for_the_callback",
        wrong = "control waits for a callback in progress",
        file = "core/control.cc",
        find = "    const bool stopped = (held_ && SomeoneStops()) || job_stopped_;",
        replace = """    while (engine.in_callback && Current() != this) WaitForChange(lock);
    const bool stopped = (held_ && SomeoneStops()) || job_stopped_;""",
    ),
    mutant(
        clause = "API-11",
        name = "set_events_waits_for_the_report",
        wrong = "set_events waits for the report in progress",
        file = "core/control.cc",
        find = "    const unsigned long added = events & ~engine.flags;",
        replace = """    while (in_pass_ && Current() != this) WaitForChange(lock);
    const unsigned long added = events & ~engine.flags;""",
    ),
]
