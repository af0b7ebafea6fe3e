"""Mutants of chapter 2: The API surface."""

load(":mutant.bzl", "mutant")

CHAPTER_02 = [
    mutant(
        clause = "API-08",
        name = "gone_pid_is_einval",
        wrong = "a pid handle whose task is gone gives -EINVAL",
        file = "core/api.cc",
        find = "*status = -ESRCH;",
        replace = "*status = -EINVAL;",
    ),
]
