"""The mutants: what each breaks, where, and how.

One entry for each: (clause, name, part of the core, text that occurs exactly once in it, what stands
there instead). The name says what the wrong implementation does.
"""

MUTANTS = [
    # ---- 2. The API surface
    ("API-08", "gone_pid_is_einval", "api", "*status = -ESRCH;", "*status = -EINVAL;"),

    # ---- 3. Attaching and looking up
    ("ATT-03", "lookup_takes_the_last", "attach", "      return engine;\n", "      if (engine != list->back()) continue;\n      return engine;\n"),
    ("ATT-04", "lookup_ignores_ops", "attach", "if ((flags & UTRACE_ATTACH_MATCH_OPS) != 0 && engine->ops != ops) continue;", "if (false && engine->ops != ops) continue;"),
    ("ATT-05", "no_match_is_esrch", "attach", "*status = -ENOENT;", "*status = -ESRCH;"),
    ("ATT-06", "exclusive_is_ebusy", "attach", "*status = -EEXIST;", "*status = -EBUSY;"),
    ("ATT-07", "null_ops_is_efault", "attach", "if (ops == nullptr) {\n    *status = -EINVAL;", "if (ops == nullptr) {\n    *status = -EFAULT;"),
    ("ATT-08", "kernel_thread_is_esrch", "attach", "*status = -EPERM;", "*status = -ESRCH;"),
    ("ATT-12", "detaching_engine_is_found", "attach", "if (engine->state != EngineObject::State::kAttached) continue;", "if (engine->state == EngineObject::State::kDetached) continue;"),
    ("ATT-13", "new_engine_is_first", "attach", "engines_.push_back(&engine);", "engines_.insert(engines_.begin(), &engine);"),
    ("ATT-16", "newborn_is_free_to_all", "attach", "if (newborn_of_ != nullptr && newborn_of_ != Current()) {", "if (false) {"),
    ("ATT-17", "interrupted_attach_is_eintr", "attach", "*status = -UTRACE_ERESTARTNOINTR;", "*status = -EINTR;"),
    ("ATT-18", "exclusive_alone_creates", "attach", "if ((flags & UTRACE_ATTACH_CREATE) == 0) {", "if ((flags & (UTRACE_ATTACH_CREATE | UTRACE_ATTACH_EXCLUSIVE)) == 0) {"),

    # ---- 4. The lifetime of an engine
    ("REF-03", "release_is_not_called", "engine_object", "if (was_attached && release != nullptr) release(data);", ""),
    ("REF-04", "release_of_today", "engine_object", "if (was_attached && release != nullptr) release(data);", "if (was_attached && ops->release != nullptr) ops->release(data);"),
    ("REF-07", "failed_attach_releases", "engine_object", "if (was_attached && release != nullptr)", "if (release != nullptr)"),

    # ---- 5. Choosing events
    ("EVT-01", "bits_are_only_added", "control", "events &= UTRACE_EVENT_ALL;", "events = (events & UTRACE_EVENT_ALL) | engine.flags;"),
    ("EVT-03", "death_of_the_dead_is_esrch", "control", "if (life_ >= Life::kDying && (added & kLifeEvents) != 0) return -EALREADY;", "if (life_ >= Life::kDying && (added & kLifeEvents) != 0) return -ESRCH;"),
    ("EVT-04", "death_cleared_while_reported", "control", "if (life_ == Life::kDying && (cleared & kLifeEvents) != 0) return -EALREADY;", ""),
    ("EVT-06", "nothing_cleared_on_the_dead", "control", "if (life_ == Life::kDying && (cleared & kLifeEvents) != 0)", "if (life_ >= Life::kDying && (cleared & kLifeEvents) != 0)"),
    ("EVT-07", "cleared_in_callback_is_zero", "control", "if (cleared != 0 || asks_again) result", "if (false && asks_again) result"),
    ("EVT-08", "added_in_callback_is_in_progress", "control", "if (cleared != 0 || asks_again) result", "if (cleared != 0 || added != 0 || asks_again) result"),
    ("EVT-09", "own_task_is_in_progress", "control", "if (engine.in_callback && Current() != this) {", "if (engine.in_callback) {"),
    ("EVT-12", "asked_again_is_zero", "control", "if (cleared != 0 || asks_again) result", "if (cleared != 0 || (false && asks_again)) result"),

    # ---- 6. Controlling
    ("CTL-01", "unknown_action_is_esrch", "control", "if (action > UTRACE_DETACH) return -EINVAL;", "if (action > UTRACE_DETACH) return -ESRCH;"),
    ("CTL-02", "report_without_quiesce", "control", "if (needs_quiesce && (engine.flags & UTRACE_EVENT(QUIESCE)) == 0) return -EINVAL;", "if (needs_quiesce && (engine.flags & UTRACE_EVENT(QUIESCE)) == 0) return 0;"),
    ("CTL-03", "detached_is_einval", "control", "life_ >= Life::kReaping) return -ESRCH;", "life_ >= Life::kReaping) return -EINVAL;"),
    ("CTL-04", "dead_is_ealready", "control", "if (life_ != Life::kAlive && action != UTRACE_DETACH) return -ESRCH;", "if (life_ != Life::kAlive && action != UTRACE_DETACH) return -EALREADY;"),
    ("CTL-11", "detach_in_callback_is_zero", "control", "if (engine.in_callback) result = -EINPROGRESS;", ""),
    ("CTL-13", "detach_in_death_report_is_zero", "control", "if (life_ == Life::kDying) return -EALREADY;", "if (life_ == Life::kDying) return 0;"),
    ("CTL-20", "job_stop_is_no_stop", "control", "const bool stopped = (held_ && SomeoneStops()) || job_stopped_;", "const bool stopped = held_ && SomeoneStops();"),
    ("CTL-21", "stop_of_a_running_task_is_zero", "control", "ask = true;\n        result = -EINPROGRESS;", "ask = true;\n        result = 0;"),
    ("CTL-44", "resume_cancels_a_report", "control", "      engine.stop_committed = false;\n      switch (action) {", "      engine.stop_committed = false;\n      if (action == UTRACE_RESUME) pending_ = Pending::kNone;\n      switch (action) {"),
    ("CTL-50", "interrupt_is_a_report", "control", "AddPending(action == UTRACE_REPORT ? Pending::kReport : Pending::kInterrupt);", "AddPending(Pending::kReport);"),
    ("CTL-51", "interrupt_leaves_calls_alone", "control", "urgency = action == UTRACE_REPORT ? Urgency::kReport : Urgency::kInterrupt;", "urgency = Urgency::kReport;"),

    # ---- 7. utrace_barrier
    ("BAR-01", "barrier_of_the_own_task_fails", "wait", "int Task::Barrier(EngineObject& engine) {\n  if (Current() == this) return 0;", "int Task::Barrier(EngineObject& engine) {\n  if (Current() == this) return -EINVAL;"),
    ("BAR-03", "barrier_does_not_wait", "wait", "while (engine.in_callback && engine.callbacks == running) {", "while (false && engine.callbacks == running) {"),
    ("BAR-06", "barrier_of_the_detached_is_zero", "wait", "? -ESRCH : 0;", "? 0 : 0;"),
    ("BAR-07", "interrupted_barrier_is_eintr", "wait", "return -UTRACE_ERESTARTSYS;", "return -EINTR;"),

    # ---- 8. Examining a stopped task
    ("EXM-01", "prepare_of_the_own_task_fails", "wait", "utrace_examiner& examiner) {\n  if (Current() == this) return 0;\n  MutexLock", "utrace_examiner& examiner) {\n  if (Current() == this) return -EAGAIN;\n  MutexLock"),
    ("EXM-02", "prepare_of_the_running_is_eagain", "wait", "engine.wish != UTRACE_STOP) {\n      return -EINVAL;", "engine.wish != UTRACE_STOP) {\n      return -EAGAIN;"),
    ("EXM-03", "prepare_of_the_dead_is_eagain", "wait", "engine.state == EngineObject::State::kDetached) return -ESRCH;", "engine.state == EngineObject::State::kDetached) return -EAGAIN;"),
    ("EXM-07", "finish_forgets_a_wakeup", "wait", "if (!held_ || hold_generation_ != examiner.generation) return -EAGAIN;", "if (!held_ || (false && hold_generation_ != examiner.generation)) return -EAGAIN;"),
    ("EXM-09", "prepare_of_a_sleeper_is_zero", "wait", "if (!engine.stop_committed) return -EAGAIN;", "if (!engine.stop_committed) return 0;"),

    # ---- 9. Reports
    ("REP-02", "entry_in_attach_order", "report", "*engines_[reverse ? count - 1 - i : i]", "*engines_[i + (reverse ? 0 : 0)]"),
    ("REP-04", "action_so_far_is_the_last", "report", "pass.resume = std::min(pass.resume, action);", "pass.resume = action;"),
    ("REP-12", "withdrawn_stop_stops", "report", "  engine.stop_committed = false;\n  engine.wish = UTRACE_RESUME;\n  if (action == UTRACE_SINGLESTEP", "  if (engine.wish == UTRACE_STOP) return;\n  engine.stop_committed = false;\n  engine.wish = UTRACE_RESUME;\n  if (action == UTRACE_SINGLESTEP"),

    # ---- 10. report_quiesce
    ("QUI-04", "no_quiesce_before_death", "report", "engine.ops->report_quiesce != nullptr && event != UTRACE_EVENT(REAP);", "engine.ops->report_quiesce != nullptr && event != UTRACE_EVENT(REAP) &&\n                           event != UTRACE_EVENT(DEATH);"),
    ("QUI-05", "called_after_detach_in_quiesce", "report", "return engine.state == EngineObject::State::kAttached;", "return true;"),
    ("QUI-06", "quiesce_without_quiesce", "report", "const bool quiesce = (engine.flags & UTRACE_EVENT(QUIESCE)) != 0 &&", "const bool quiesce ="),

    # ---- 11. System calls
    ("SYS-03", "abort_is_forgotten", "report", "abort_entry_ = action == UTRACE_SYSCALL_ABORT;", "abort_entry_ = false;"),
    ("SYS-04", "any_abort_aborts", "report", "action = result & UTRACE_SYSCALL_MASK;", "action = std::max(action, result & UTRACE_SYSCALL_MASK);"),
    ("SYS-06", "repeat_without_resumed", "report", "const uint32_t flag = resumed ? UTRACE_SYSCALL_RESUMED : 0;", "const uint32_t flag = 0;"),
    ("SYS-12", "repeat_inherits_abort", "report", "uint32_t action = UTRACE_SYSCALL_RUN;", "uint32_t action = abort_entry_ ? UTRACE_SYSCALL_ABORT : UTRACE_SYSCALL_RUN;"),

    # ---- 12. Signals
    ("SIG-03", "signal_action_is_not_passed_on", "report", "action = result & (UTRACE_SIGNAL_MASK | UTRACE_SIGNAL_HOLD);", "if (i + 1 == count) action = result & (UTRACE_SIGNAL_MASK | UTRACE_SIGNAL_HOLD);"),

    # ---- 13. Clone, 16. Exit
    ("CLN-05", "vfork_parent_is_not_held", "report", "return HoldHere((flags & kCloneVfork) != 0);", "return HoldHere(false && (flags & kCloneVfork) != 0);"),
    ("EXI-01", "changed_code_is_passed_as_original", "report", "return ops.report_exit(resume, &engine, this, original, code);", "return ops.report_exit(resume, &engine, this, original * 0 + *code, code);"),

    # ---- 18. Stepping, 19. Machine state, 20. Bad input
    ("STP-07", "stepping_stays_on", "report", "engine->wish = UTRACE_RESUME;  // for one resumption [REP-06]", ""),
    ("STA-01", "blank_instead_of_tab", "api", "\"Utrace:\\t%lx\\n\"", "\"Utrace: %lx\\n\""),
    ("BAD-02", "event_without_callback_is_zero", "control", "if (!HasCallbacks(*engine.ops, events)) return -EINVAL;", "if (!HasCallbacks(*engine.ops, events)) return 0;"),
]

# Those that every `bazel test //...` runs: quick ones, from as many places as there are.
REPRESENTATIVE = [
    "lookup_ignores_ops",
    "exclusive_is_ebusy",
    "failed_attach_releases",
    "own_task_is_in_progress",
    "detach_in_callback_is_zero",
    "barrier_does_not_wait",
    "prepare_of_a_sleeper_is_zero",
    "entry_in_attach_order",
    "action_so_far_is_the_last",
    "quiesce_without_quiesce",
    "repeat_inherits_abort",
    "signal_action_is_not_passed_on",
    "blank_instead_of_tab",
]
