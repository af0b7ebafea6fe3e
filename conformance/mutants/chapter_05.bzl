"""Mutants of chapter 5: Choosing events."""

load(":mutant.bzl", "mutant")

CHAPTER_05 = [
    mutant(
        clause = "EVT-01",
        name = "bits_are_only_added",
        wrong = "set_events only adds bits",
        file = "core/control.cc",
        find = "events &= UTRACE_EVENT_ALL;",
        replace = "events = (events & UTRACE_EVENT_ALL) | engine.flags;",
    ),
    mutant(
        clause = "EVT-03",
        name = "death_of_the_dead_is_esrch",
        wrong = "setting DEATH on a dead task gives -ESRCH",
        file = "core/control.cc",
        find = "if (life_ >= Life::kDying && (added & kLifeEvents) != 0) return -EALREADY;",
        replace = "if (life_ >= Life::kDying && (added & kLifeEvents) != 0) return -ESRCH;",
    ),
    mutant(
        clause = "EVT-04",
        name = "death_cleared_while_reported",
        wrong = "DEATH can be cleared while it is reported",
        file = "core/control.cc",
        find = "if (life_ == Life::kDying && (cleared & kLifeEvents) != 0) return -EALREADY;",
        replace = "",
    ),
    mutant(
        clause = "EVT-06",
        name = "nothing_cleared_on_the_dead",
        wrong = "DEATH cannot be cleared on a dead task",
        file = "core/control.cc",
        find = "if (life_ == Life::kDying && (cleared & kLifeEvents) != 0)",
        replace = "if (life_ >= Life::kDying && (cleared & kLifeEvents) != 0)",
    ),
    mutant(
        clause = "EVT-07",
        name = "cleared_in_callback_is_zero",
        wrong = "clearing a bit during a callback gives zero",
        file = "core/control.cc",
        find = "if (cleared != 0 || asks_again) result",
        replace = "if (false && asks_again) result",
    ),
    mutant(
        clause = "EVT-08",
        name = "added_in_callback_is_in_progress",
        wrong = "adding a bit during a callback gives -EINPROGRESS",
        file = "core/control.cc",
        find = "if (cleared != 0 || asks_again) result",
        replace = "if (cleared != 0 || added != 0 || asks_again) result",
    ),
    mutant(
        clause = "EVT-09",
        name = "own_task_is_in_progress",
        wrong = "a callback that clears its own bit gets -EINPROGRESS",
        file = "core/control.cc",
        find = "if (engine.in_callback && Current() != this) {",
        replace = "if (engine.in_callback) {",
    ),
    mutant(
        clause = "EVT-12",
        name = "asked_again_is_zero",
        wrong = "the same mask once more gives zero while the old callback runs",
        file = "core/control.cc",
        find = "if (cleared != 0 || asks_again) result",
        replace = "if (cleared != 0 || (false && asks_again)) result",
    ),
]
