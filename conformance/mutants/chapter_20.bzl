"""Mutants of chapter 20: Bad input."""

load(":mutant.bzl", "mutant")

CHAPTER_20 = [
    mutant(
        clause = "BAD-02",
        name = "event_without_callback_is_zero",
        wrong = "an event without a callback can be enabled",
        file = "core/control.cc",
        find = "if (!HasCallbacks(*engine.ops, events)) return -EINVAL;",
        replace = "if (!HasCallbacks(*engine.ops, events)) return 0;",
    ),
]
