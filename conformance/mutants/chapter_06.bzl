"""Mutants of chapter 6: Controlling."""

load(":mutant.bzl", "mutant")

CHAPTER_06 = [
    mutant(
        clause = "CTL-01",
        name = "unknown_action_is_esrch",
        wrong = "an unknown action gives -ESRCH",
        file = "core/control.cc",
        find = "if (action > UTRACE_DETACH) return -EINVAL;",
        replace = "if (action > UTRACE_DETACH) return -ESRCH;",
    ),
    mutant(
        clause = "CTL-02",
        name = "report_without_quiesce",
        wrong = "REPORT without QUIESCE gives zero",
        file = "core/control.cc",
        find = "if (needs_quiesce && (engine.flags & UTRACE_EVENT(QUIESCE)) == 0) return -EINVAL;",
        replace = "if (needs_quiesce && (engine.flags & UTRACE_EVENT(QUIESCE)) == 0) return 0;",
    ),
    mutant(
        clause = "CTL-03",
        name = "detached_is_einval",
        wrong = "control of a detached engine gives -EINVAL",
        file = "core/control.cc",
        find = "life_ >= Life::kReaping) return -ESRCH;",
        replace = "life_ >= Life::kReaping) return -EINVAL;",
    ),
    mutant(
        clause = "CTL-04",
        name = "dead_is_ealready",
        wrong = "control of a dead task gives -EALREADY",
        file = "core/control.cc",
        find = "if (life_ != Life::kAlive && action != UTRACE_DETACH) return -ESRCH;",
        replace = "if (life_ != Life::kAlive && action != UTRACE_DETACH) return -EALREADY;",
    ),
    mutant(
        clause = "CTL-11",
        name = "detach_in_callback_is_zero",
        wrong = "DETACH during a callback gives zero",
        file = "core/control.cc",
        find = "if (engine.in_callback) result = -EINPROGRESS;",
        replace = "",
    ),
    mutant(
        clause = "CTL-13",
        name = "detach_in_death_report_is_zero",
        wrong = "DETACH during the death report gives zero",
        file = "core/control.cc",
        find = "if (life_ == Life::kDying) return -EALREADY;",
        replace = "if (life_ == Life::kDying) return 0;",
    ),
    mutant(
        clause = "CTL-20",
        name = "job_stop_is_no_stop",
        wrong = "STOP on a task in a job control stop gives -EINPROGRESS",
        file = "core/control.cc",
        find = "const bool stopped = (held_ && SomeoneStops()) || job_stopped_;",
        replace = "const bool stopped = held_ && SomeoneStops();",
    ),
    mutant(
        clause = "CTL-21",
        name = "stop_of_a_running_task_is_zero",
        wrong = "STOP on a running task gives zero",
        file = "core/control.cc",
        find = """ask = true;
        result = -EINPROGRESS;""",
        replace = """ask = true;
        result = 0;""",
    ),
    mutant(
        clause = "CTL-44",
        name = "resume_cancels_a_report",
        wrong = "RESUME takes back a REPORT",
        file = "core/control.cc",
        find = """      engine.stop_committed = false;
      switch (action) {""",
        replace = """      engine.stop_committed = false;
      if (action == UTRACE_RESUME) pending_ = Pending::kNone;
      switch (action) {""",
    ),
    mutant(
        clause = "CTL-50",
        name = "interrupt_is_a_report",
        wrong = "INTERRUPT makes a report_quiesce",
        file = "core/control.cc",
        find = "AddPending(action == UTRACE_REPORT ? Pending::kReport : Pending::kInterrupt);",
        replace = "AddPending(Pending::kReport);",
    ),
    mutant(
        clause = "CTL-51",
        name = "interrupt_leaves_calls_alone",
        wrong = "INTERRUPT waits for the system call to end",
        file = "core/control.cc",
        find = "urgency = action == UTRACE_REPORT ? Urgency::kReport : Urgency::kInterrupt;",
        replace = "urgency = Urgency::kReport;",
    ),
]
