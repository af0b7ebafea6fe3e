"""Mutants of chapter 20: Bad input."""

load(":mutant.bzl", "mutant")

CHAPTER_20 = [
    mutant(
        clause = "BAD-01",
        name = "null_engine_is_used",
        wrong = "a null engine is used",
        file = "core/api.cc",
        find = "  if (Unusable(task) || Unusable(engine)) return -EINVAL;",
        replace = "  if (Unusable(task)) return -EINVAL;",
    ),
    mutant(
        clause = "BAD-01",
        name = "null_ops_are_attached",
        wrong = "an engine without ops is attached",
        file = "core/attach.cc",
        find = """  if (ops == nullptr) {
    *status = -EINVAL;
    return nullptr;
  }
""",
        replace = "",
    ),
    mutant(
        clause = "BAD-01",
        name = "null_examiner_is_used",
        wrong = "a null examiner is used",
        file = "core/api.cc",
        find = """  if (status < 0 || examiner == nullptr) return -EINVAL;
  return utrace::FromPublic(task)->FinishExamine""",
        replace = """  if (status < 0) return -EINVAL;
  return utrace::FromPublic(task)->FinishExamine""",
    ),
    mutant(
        clause = "BAD-01",
        name = "null_task_is_asked_for_its_line",
        wrong = "a null task is asked for its status line",
        file = "core/api.cc",
        find = "if (utrace::Unusable(task) || buffer == nullptr",
        replace = "if (buffer == nullptr",
    ),
    mutant(
        clause = "BAD-02",
        name = "event_without_callback_is_zero",
        wrong = "an event without a callback can be enabled",
        file = "core/control.cc",
        find = "if (!HasCallbacks(*engine.ops, events)) return -EINVAL;",
        replace = "if (!HasCallbacks(*engine.ops, events)) return 0;",
    ),
    mutant(
        clause = "BAD-02",
        name = "jctl_without_callback",
        wrong = "JCTL can be enabled without report_jctl",
        file = "core/control.cc",
        find = """  if (lacks(UTRACE_EVENT(JCTL), ops.report_jctl != nullptr)) return false;
""",
        replace = "",
    ),
    mutant(
        clause = "BAD-02",
        name = "signal_without_callback",
        wrong = "signal events can be enabled without report_signal and QUIESCE",
        file = "core/control.cc",
        find = "ops.report_signal != nullptr || quiesce_serves);",
        replace = "true || quiesce_serves || ops.report_signal);",
    ),
    mutant(
        clause = "BAD-02",
        name = "refused_mask_is_set",
        wrong = "a mask that is refused clears the old one",
        file = "core/control.cc",
        find = "    if (!HasCallbacks(*engine.ops, events)) return -EINVAL;",
        replace = """    if (!HasCallbacks(*engine.ops, events)) {
      engine.flags = events & (UTRACE_EVENT(SYSCALL_EXIT) | UTRACE_EVENT(QUIESCE)) & engine.flags;
      return -EINVAL;
    }""",
    ),
    mutant(
        clause = "BAD-04",
        name = "negative_pid_is_a_pid",
        wrong = "a negative number names the thread of its absolute value",
        file = "core/api.cc",
        find = "  if (tid <= 0) {",
        replace = """  if (tid < 0) tid = -tid;
  if (tid == 0) {""",
    ),
    mutant(
        clause = "BAD-04",
        name = "pid_that_is_none_is_found",
        wrong = "a pid that never existed names another task",
        file = "core/linux/linux_host.cc",
        find = """  Task* task = FindOrMake(tid);
""",
        replace = """  Task* task = FindOrMake(tid);
  if (task == nullptr) task = FindOrMake(1);
""",
    ),
    mutant(
        clause = "BAD-05",
        name = "any_signal_number_goes",
        wrong = "a signal number beyond the largest is acted by",
        file = "core/signal_rules.cc",
        find = "  const bool valid = number >= 1 && number <= kLargestSignal;  // [BAD-05]",
        replace = "  const bool valid = number >= 1;",
    ),
    mutant(
        clause = "BAD-05",
        name = "zero_is_a_signal",
        wrong = "a signal number of zero or less is acted by",
        file = "core/signal_rules.cc",
        find = "  const bool valid = number >= 1 && number <= kLargestSignal;  // [BAD-05]",
        replace = "  const bool valid = number <= kLargestSignal;",
    ),
    mutant(
        clause = "BAD-06",
        name = "own_process_is_busy",
        wrong = "an attach to the own process is refused as busy, not as impossible",
        file = "core/linux/linux_task.cc",
        find = """    return -EPERM;
  }
  const pid_t tracer = status""",
        replace = """    return -EBUSY;
  }
  const pid_t tracer = status""",
    ),
    mutant(
        clause = "BAD-06",
        name = "two_hosts_trace_each_other",
        wrong = "a process that traces this one can be traced in turn",
        file = "core/linux/linux_task.cc",
        find = "  if (TracesUs(tgid_)) {",
        replace = "  if (tgid_ == getpid() && TracesUs(tgid_)) {",
    ),
]
