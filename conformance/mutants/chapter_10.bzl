"""Mutants of chapter 10: report_quiesce."""

load(":mutant.bzl", "mutant")

CHAPTER_10 = [
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
]
