"""Mutants of chapter 12: Signals."""

load(":mutant.bzl", "mutant")

CHAPTER_12 = [
    mutant(
        clause = "SIG-03",
        name = "signal_action_is_not_passed_on",
        wrong = "the signal action of an engine is not passed to the next",
        file = "core/report.cc",
        find = "action = result & (UTRACE_SIGNAL_MASK | UTRACE_SIGNAL_HOLD);",
        replace = "if (i + 1 == count) action = result & (UTRACE_SIGNAL_MASK | UTRACE_SIGNAL_HOLD);",
    ),
]
