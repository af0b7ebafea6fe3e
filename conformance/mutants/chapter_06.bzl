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
        clause = "CTL-05",
        name = "resume_is_for_all_engines",
        wrong = "one engine's RESUME takes away the STOP of all",
        file = "core/control.cc",
        find = """      engine.wish = UTRACE_RESUME;
      engine.stop_committed = false;
      switch (action) {""",
        replace = """      for (EngineObject* each : engines_) each->wish = UTRACE_RESUME;
      engine.stop_committed = false;
      switch (action) {""",
    ),
    mutant(
        clause = "CTL-05",
        name = "one_stop_at_a_time",
        wrong = "a STOP replaces that of another engine",
        file = "core/control.cc",
        find = """      engine.wish = UTRACE_STOP;
      if (stopped) {""",
        replace = """      for (EngineObject* each : engines_) each->wish = UTRACE_RESUME;
      engine.wish = UTRACE_STOP;
      if (stopped) {""",
    ),
    mutant(
        clause = "CTL-10",
        name = "detach_of_a_stopped_task_is_in_progress",
        wrong = "DETACH on a stopped task gives -EINPROGRESS",
        file = "core/control.cc",
        find = "if (engine.in_callback) result = -EINPROGRESS;",
        replace = "if (engine.in_callback || held_) result = -EINPROGRESS;",
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
        clause = "CTL-11",
        name = "result_outweighs_the_detach",
        wrong = "a callback that returns STOP undoes the DETACH made meanwhile",
        file = "core/report.cc",
        find = "if (action == UTRACE_DETACH || engine.state == EngineObject::State::kDetaching) {",
        replace = """if (action == UTRACE_STOP && engine.state == EngineObject::State::kDetaching) {
    engine.state = EngineObject::State::kAttached;
  }
  if (action == UTRACE_DETACH || engine.state == EngineObject::State::kDetaching) {""",
    ),
    mutant(
        clause = "CTL-12",
        name = "detach_of_a_running_task_is_in_progress",
        wrong = "DETACH on a running task gives -EINPROGRESS",
        file = "core/control.cc",
        find = "if (engine.in_callback) result = -EINPROGRESS;",
        replace = "if (engine.in_callback || (!held_ && life_ == Life::kAlive)) result = -EINPROGRESS;",
    ),
    mutant(
        clause = "CTL-12",
        name = "any_callback_is_in_progress",
        wrong = "DETACH gives -EINPROGRESS because of another engine's callback",
        file = "core/control.cc",
        find = "if (engine.in_callback) result = -EINPROGRESS;",
        replace = "if (engine.in_callback || in_pass_) result = -EINPROGRESS;",
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
        clause = "CTL-14",
        name = "detach_while_reaping_is_zero",
        wrong = "DETACH while the task is being reaped detaches",
        file = "core/control.cc",
        find = """life_ >= Life::kReaping) return -ESRCH;
    if (life_ != Life::kAlive""",
        replace = """life_ > Life::kReaping) return -ESRCH;
    if (life_ != Life::kAlive""",
    ),
    mutant(
        clause = "CTL-15",
        name = "the_dead_cannot_be_detached",
        wrong = "DETACH after the death report gives -EALREADY",
        file = "core/control.cc",
        find = "if (life_ == Life::kDying) return -EALREADY;",
        replace = "if (life_ >= Life::kDying) return -EALREADY;",
    ),
    mutant(
        clause = "CTL-16",
        name = "detach_leaves_the_task_stopped",
        wrong = "a task whose last holder detaches stays stopped",
        file = "core/control.cc",
        find = "wake = !SomeoneStops();",
        replace = "wake = !SomeoneStops() && action != UTRACE_DETACH;",
    ),
    mutant(
        clause = "CTL-17",
        name = "second_detach_is_zero",
        wrong = "a second DETACH gives zero",
        file = "core/control.cc",
        find = """life_ >= Life::kReaping) return -ESRCH;
    if (life_ != Life::kAlive""",
        replace = """life_ >= Life::kReaping) {
      return action == UTRACE_DETACH ? 0 : -ESRCH;
    }
    if (life_ != Life::kAlive""",
    ),
    mutant(
        clause = "CTL-18",
        name = "own_callback_is_not_in_progress",
        wrong = "DETACH from a callback of the same engine gives zero",
        file = "core/control.cc",
        find = "if (engine.in_callback) result = -EINPROGRESS;",
        replace = "if (engine.in_callback && Current() != this) result = -EINPROGRESS;",
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
        clause = "CTL-20",
        name = "sigcont_ends_a_stop_taken_over",
        wrong = "SIGCONT ends a job control stop that an engine took over",
        file = "core/report.cc",
        find = "if (type == CLD_CONTINUED && job_stopped_ && SomeoneStops()) {",
        replace = "if (type == CLD_CONTINUED && !job_stopped_ && SomeoneStops()) {",
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
        clause = "CTL-22",
        name = "stop_interrupts_the_call",
        wrong = "STOP interrupts a system call in progress",
        file = "core/control.cc",
        find = """        AddPending(Pending::kReport);
        ask = true;
        result = -EINPROGRESS;""",
        replace = """        AddPending(Pending::kReport);
        ask = true;
        urgency = Urgency::kInterrupt;
        result = -EINPROGRESS;""",
    ),
    mutant(
        clause = "CTL-24",
        name = "engine_without_events_cannot_let_go",
        wrong = "an engine that never set an event cannot take back its STOP",
        file = "core/control.cc",
        find = """      engine.wish = UTRACE_RESUME;
      engine.stop_committed = false;
      switch (action) {""",
        replace = """      if (engine.flags != 0) engine.wish = UTRACE_RESUME;
      engine.stop_committed = false;
      switch (action) {""",
    ),
    mutant(
        clause = "CTL-25",
        name = "stop_cannot_be_taken_back",
        wrong = "RESUME and REPORT do not take back a STOP that has not yet stopped the task",
        file = "core/control.cc",
        find = """      engine.wish = UTRACE_RESUME;
      engine.stop_committed = false;
      switch (action) {""",
        replace = """      if (held_ || action == UTRACE_DETACH) engine.wish = UTRACE_RESUME;
      engine.stop_committed = false;
      switch (action) {""",
    ),
    mutant(
        clause = "CTL-23",
        name = "stop_needs_quiesce",
        wrong = "STOP by an engine without QUIESCE does not stop the task",
        file = "core/control.cc",
        find = """      engine.wish = UTRACE_STOP;
      if (stopped) {""",
        replace = """      if ((engine.flags & UTRACE_EVENT(QUIESCE)) != 0) engine.wish = UTRACE_STOP;
      if (stopped) {""",
    ),
    mutant(
        clause = "CTL-30",
        name = "resume_ends_no_stop",
        wrong = "RESUME does not end a STOP",
        file = "core/control.cc",
        find = """      engine.wish = UTRACE_RESUME;
      engine.stop_committed = false;
      switch (action) {""",
        replace = """      if (!engine.stop_committed || action != UTRACE_RESUME) engine.wish = UTRACE_RESUME;
      engine.stop_committed = false;
      switch (action) {""",
    ),
    mutant(
        clause = "CTL-31",
        name = "resume_of_a_running_task_is_in_progress",
        wrong = "RESUME on a running task gives -EINPROGRESS",
        file = "core/control.cc",
        find = """        default:
          break;
      }
    }
    if (held_) {""",
        replace = """        default:
          if (!held_) result = -EINPROGRESS;
          break;
      }
    }
    if (held_) {""",
    ),
    mutant(
        clause = "CTL-31",
        name = "resume_of_a_running_task_reports",
        wrong = "RESUME on a running task makes a report",
        file = "core/control.cc",
        find = """        default:
          break;
      }
    }
    if (held_) {""",
        replace = """        default:
          AddPending(Pending::kReport);
          ask = true;
          break;
      }
    }
    if (held_) {""",
    ),
    mutant(
        clause = "CTL-40",
        name = "report_waits_for_the_task",
        wrong = "REPORT waits until the task enters the kernel by itself",
        file = "core/control.cc",
        find = """          if (at_entry_) repeat_entry_ = true;
          ask = true;""",
        replace = "          if (at_entry_) repeat_entry_ = true;",
    ),
    mutant(
        clause = "CTL-41",
        name = "report_is_lost_under_anothers_stop",
        wrong = "REPORT is lost while another engine keeps the task stopped",
        file = "core/control.cc",
        find = "AddPending(action == UTRACE_REPORT ? Pending::kReport : Pending::kInterrupt);",
        replace = """if (SomeoneStops()) {
            report_after_stop_ = false;
          } else {
            AddPending(action == UTRACE_REPORT ? Pending::kReport : Pending::kInterrupt);
          }""",
    ),
    mutant(
        clause = "CTL-42",
        name = "report_interrupts_the_call",
        wrong = "REPORT interrupts a system call in progress",
        file = "core/control.cc",
        find = "urgency = action == UTRACE_REPORT ? Urgency::kReport : Urgency::kInterrupt;",
        replace = "urgency = Urgency::kInterrupt;",
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
        clause = "CTL-43",
        name = "report_is_in_progress",
        wrong = "REPORT of a running task gives -EINPROGRESS",
        file = "core/control.cc",
        find = """          if (at_entry_) repeat_entry_ = true;
          ask = true;""",
        replace = """          if (at_entry_) repeat_entry_ = true;
          if (!held_) result = -EINPROGRESS;
          ask = true;""",
    ),
    mutant(
        clause = "CTL-43",
        name = "two_requests_make_no_report",
        wrong = "a second request takes back the first",
        file = "core/task.cc",
        find = "pending_ = std::max(pending_, pending);",
        replace = "pending_ = pending_ == pending ? Pending::kNone : std::max(pending_, pending);",
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
    mutant(
        clause = "CTL-52",
        name = "introduced_signal_is_dropped",
        wrong = "a signal that report_signal introduces is dropped",
        file = "core/report.cc",
        find = """if (effect.kind != SignalEffect::Kind::kDrop) {
      return {.next""",
        replace = """if (keep_info_ && effect.kind != SignalEffect::Kind::kDrop) {
      return {.next""",
    ),
]
