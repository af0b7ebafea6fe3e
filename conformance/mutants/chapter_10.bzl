"""Mutants of chapter 10: report_quiesce."""

load(":mutant.bzl", "mutant")

CHAPTER_10 = [
    mutant(
        clause = "QUI-01",
        name = "quiesce_before_reap",
        wrong = "report_quiesce is called before report_reap too",
        file = "core/report.cc",
        find = " && event != UTRACE_EVENT(REAP);",
        replace = ";",
    ),
    mutant(
        clause = "QUI-01",
        name = "quiesce_for_own_events_only",
        wrong = "report_quiesce is not called for another engine's event",
        file = "core/report.cc",
        find = "const bool quiesce = (engine.flags & UTRACE_EVENT(QUIESCE)) != 0 &&",
        replace = """const bool quiesce = (engine.flags & UTRACE_EVENT(QUIESCE)) != 0 &&
                           (event == 0 || (engine.flags & event) != 0) &&""",
    ),
    mutant(
        clause = "QUI-02",
        name = "event_zero_is_named_quiesce",
        wrong = "report_quiesce with no event is passed the bit of QUIESCE",
        file = "core/report.cc",
        find = """      if (quiesce) {
        const auto call = [&](const utrace_engine_ops& ops) {
          return ops.report_quiesce(pass.resume, &engine, this, event);""",
        replace = """      if (quiesce) {
        const auto call = [&](const utrace_engine_ops& ops) {
          return ops.report_quiesce(pass.resume, &engine, this, wanted);""",
    ),
    mutant(
        clause = "QUI-02",
        name = "event_zero_unasked",
        wrong = "a report is made at the edge of user mode after each system call, though nobody asked",
        file = "core/report.cc",
        find = "void Task::OnSyscallExit() {",
        replace = """void Task::OnSyscallExit() {
  {
    MutexLock lock(mutex_);
    AddPending(Pending::kReport);
  }""",
    ),
    mutant(
        clause = "QUI-03",
        name = "no_event_zero_without_report_signal",
        wrong = "an engine without report_signal gets nothing where a report_signal stands for the event-zero report",
        file = "core/report.cc",
        find = "if (engine.ops->report_signal == nullptr) {  // [QUI-07]",
        replace = """if (engine.ops->report_signal == nullptr) {
        if (event == 0) continue;""",
    ),
    mutant(
        clause = "QUI-04",
        name = "no_quiesce_before_death",
        wrong = "no report_quiesce comes before report_death",
        file = "core/report.cc",
        find = "engine.ops->report_quiesce != nullptr && event != UTRACE_EVENT(REAP);",
        replace = """engine.ops->report_quiesce != nullptr && event != UTRACE_EVENT(REAP) &&
                           event != UTRACE_EVENT(DEATH);""",
    ),
    mutant(
        clause = "QUI-05",
        name = "called_after_detach_in_quiesce",
        wrong = "an engine that left in report_quiesce still gets the event",
        file = "core/report.cc",
        find = "return engine.state == EngineObject::State::kAttached;",
        replace = "return true;",
    ),
    mutant(
        clause = "QUI-06",
        name = "quiesce_without_quiesce",
        wrong = "an engine without QUIESCE gets report_quiesce",
        file = "core/report.cc",
        find = "const bool quiesce = (engine.flags & UTRACE_EVENT(QUIESCE)) != 0 &&",
        replace = "const bool quiesce =",
    ),
    mutant(
        clause = "QUI-07",
        name = "no_quiesce_for_a_signal",
        wrong = "an engine without report_signal is told nothing of a signal",
        file = "core/report.cc",
        find = "if (engine.ops->report_signal == nullptr) {  // [QUI-07]",
        replace = """if (engine.ops->report_signal == nullptr) {
        if (event != 0) continue;""",
    ),
]
