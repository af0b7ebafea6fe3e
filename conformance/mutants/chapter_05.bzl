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
        clause = "EVT-02",
        name = "detached_has_no_events_to_set",
        wrong = "set_events of a detached engine gives -EINVAL",
        file = "core/control.cc",
        find = "life_ == Life::kReaped) return -ESRCH;",
        replace = "life_ == Life::kReaped) return -EINVAL;",
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
        clause = "EVT-05",
        name = "reap_can_be_cleared_too_late",
        wrong = "clearing REAP during the reap report gives zero",
        file = "core/control.cc",
        find = "(cleared & UTRACE_EVENT(REAP)) != 0 ? -EALREADY : -ESRCH",
        replace = "(cleared & UTRACE_EVENT(REAP)) != 0 ? 0 : -ESRCH",
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
        clause = "EVT-10",
        name = "stopped_task_is_in_progress",
        wrong = "clearing a bit on a stopped task gives -EINPROGRESS",
        file = "core/control.cc",
        find = "if (engine.in_callback && Current() != this) {",
        replace = "if ((engine.in_callback || held_) && Current() != this) {",
    ),
    mutant(
        clause = "EVT-11",
        name = "nothing_is_cleared_during_a_report",
        wrong = "bits that are cleared during a report of other engines stay set",
        file = "core/control.cc",
        find = "__atomic_store_n(&engine.flags, events, __ATOMIC_RELEASE);",
        replace = """__atomic_store_n(&engine.flags,
                     in_pass_ && !engine.in_callback ? events | engine.flags : events,
                     __ATOMIC_RELEASE);""",
    ),
    mutant(
        clause = "EVT-12",
        name = "asked_again_is_zero",
        wrong = "the same mask once more gives zero while the old callback runs",
        file = "core/control.cc",
        find = "if (cleared != 0 || asks_again) result",
        replace = "if (cleared != 0 || (false && asks_again)) result",
    ),
    mutant(
        clause = "EVT-13",
        name = "bit_set_in_quiesce_is_too_late",
        wrong = "a bit set in report_quiesce takes effect with the next occurrence",
        file = "core/report.cc",
        find = """      if (quiesce) {
        const auto call = [&](const utrace_engine_ops& ops) {
          return ops.report_quiesce(pass.resume, &engine, this, event);
        };
        if (!CallEngine(lock, engine, pass, call)) continue;
      }
      // The mask may have changed in the callback just made [EVT-13].
      if (event == 0 || (engine.flags & event) == 0) continue;""",
        replace = """      const unsigned long mask = engine.flags;
      if (quiesce) {
        const auto call = [&](const utrace_engine_ops& ops) {
          return ops.report_quiesce(pass.resume, &engine, this, event);
        };
        if (!CallEngine(lock, engine, pass, call)) continue;
      }
      if (event == 0 || (mask & event) == 0) continue;""",
    ),
    mutant(
        clause = "EVT-14",
        name = "quiesce_set_while_stopped_is_too_late",
        wrong = "QUIESCE set on a stopped task makes no report when it resumes",
        file = "core/task.cc",
        find = "  report_after_stop_ = true;",
        replace = "  report_after_stop_ = (InterestLocked() & UTRACE_EVENT(QUIESCE)) != 0;",
    ),
    mutant(
        clause = "EVT-15",
        name = "mask_without_reap",
        wrong = "the task's mask of interest lacks REAP",
        file = "core/task.cc",
        find = "(interest & UTRACE_EVENT_ALL) | UTRACE_EVENT(REAP)",
        replace = "interest & UTRACE_EVENT_ALL",
    ),
    mutant(
        clause = "EVT-15",
        name = "mask_of_the_last_engine",
        wrong = "the task's mask of interest is that of one engine",
        file = "core/task.cc",
        find = "      interest |= engine->flags;",
        replace = "      interest = engine->flags;",
    ),
    mutant(
        clause = "EVT-17",
        name = "another_engines_death_is_ones_own",
        wrong = "DEATH that another engine has is not newly set",
        file = "core/control.cc",
        find = "const unsigned long added = events & ~engine.flags;",
        replace = "const unsigned long added = events & ~InterestLocked();",
    ),
    mutant(
        clause = "EVT-16",
        name = "every_engine_gets_what_one_wants",
        wrong = "an event is reported to all engines that want any",
        file = "core/report.cc",
        find = "if (event == 0 || (engine.flags & event) == 0) continue;",
        replace = "if (event == 0 || (interest & event) == 0 || engine.flags == 0) continue;",
    ),
]
