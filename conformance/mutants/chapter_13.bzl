"""Mutants of chapter 13: Clone."""

load(":mutant.bzl", "mutant")

CHAPTER_13 = [
    mutant(
        clause = "CLN-05",
        name = "vfork_parent_is_not_held",
        wrong = "STOP from report_clone does not hold a vfork's parent",
        file = "core/report.cc",
        find = "return HoldHere((flags & kCloneVfork) != 0);",
        replace = "return HoldHere(false && (flags & kCloneVfork) != 0);",
    ),
]
