"""Mutants of chapter 18: Stepping."""

load(":mutant.bzl", "mutant")

CHAPTER_18 = [
    mutant(
        clause = "STP-07",
        name = "stepping_stays_on",
        wrong = "a step is for every resumption",
        file = "core/report.cc",
        find = "engine->wish = UTRACE_RESUME;  // for one resumption [REP-06]",
        replace = "",
    ),
]
