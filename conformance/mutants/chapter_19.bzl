"""Mutants of chapter 19: Machine state."""

load(":mutant.bzl", "mutant")

CHAPTER_19 = [
    mutant(
        clause = "STA-01",
        name = "blank_instead_of_tab",
        wrong = "the status line has a blank for its tab",
        file = "core/api.cc",
        find = "\"Utrace:\\t%lx\\n\"",
        replace = "\"Utrace: %lx\\n\"",
    ),
]
