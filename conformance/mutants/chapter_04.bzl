"""Mutants of chapter 4: The lifetime of an engine."""

load(":mutant.bzl", "mutant")

CHAPTER_04 = [
    mutant(
        clause = "REF-03",
        name = "release_is_not_called",
        wrong = "release is never called",
        file = "core/engine_object.cc",
        find = "if (was_attached && release != nullptr) release(data);",
        replace = "",
    ),
    mutant(
        clause = "REF-04",
        name = "release_of_today",
        wrong = "release is taken from the ops table when it is called",
        file = "core/engine_object.cc",
        find = "if (was_attached && release != nullptr) release(data);",
        replace = "if (was_attached && ops->release != nullptr) ops->release(data);",
    ),
    mutant(
        clause = "REF-07",
        name = "failed_attach_releases",
        wrong = "an attach that failed calls release",
        file = "core/engine_object.cc",
        find = "if (was_attached && release != nullptr)",
        replace = "if (release != nullptr)",
    ),
]
