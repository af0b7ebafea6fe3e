"""Mutants of chapter 7: utrace_barrier."""

load(":mutant.bzl", "mutant")

CHAPTER_07 = [
    mutant(
        clause = "BAR-01",
        name = "barrier_of_the_own_task_fails",
        wrong = "a barrier on the caller's own task gives -EINVAL",
        file = "core/wait.cc",
        find = """int Task::Barrier(EngineObject& engine) {
  if (Current() == this) return 0;""",
        replace = """int Task::Barrier(EngineObject& engine) {
  if (Current() == this) return -EINVAL;""",
    ),
    mutant(
        clause = "BAR-02",
        name = "barrier_waits_for_an_event",
        wrong = "a barrier waits for a callback that has not begun",
        file = "core/wait.cc",
        find = "while (engine.in_callback && engine.callbacks == running) {",
        replace = """while (life_ == Life::kAlive && !held_ && engine.callbacks == running &&
         engine.state != EngineObject::State::kDetached) {""",
    ),
    mutant(
        clause = "BAR-03",
        name = "barrier_does_not_wait",
        wrong = "a barrier does not wait",
        file = "core/wait.cc",
        find = "while (engine.in_callback && engine.callbacks == running) {",
        replace = "while (false && engine.callbacks == running) {",
    ),
    mutant(
        clause = "BAR-04",
        name = "barrier_waits_for_the_whole_report",
        wrong = "a barrier waits for another engine's callback",
        file = "core/wait.cc",
        find = "while (engine.in_callback && engine.callbacks == running) {",
        replace = "while ((engine.in_callback || in_pass_) && engine.callbacks == running) {",
    ),
    mutant(
        clause = "BAR-05",
        name = "barrier_refuses_the_detached",
        wrong = "a barrier on an engine that is leaving does not wait for its callback",
        file = "core/wait.cc",
        find = "  const uint32_t running = engine.callbacks;",
        replace = """  if (engine.state != EngineObject::State::kAttached) return -ESRCH;
  const uint32_t running = engine.callbacks;""",
    ),
    mutant(
        clause = "BAR-06",
        name = "barrier_of_the_detached_is_zero",
        wrong = "a barrier of an engine that has left gives zero",
        file = "core/wait.cc",
        find = "? -ESRCH : 0;",
        replace = "? 0 : 0;",
    ),
    mutant(
        clause = "BAR-07",
        name = "interrupted_barrier_is_eintr",
        wrong = "an interrupted barrier gives -EINTR",
        file = "core/wait.cc",
        find = "return -UTRACE_ERESTARTSYS;",
        replace = "return -EINTR;",
    ),
    mutant(
        clause = "BAR-08",
        name = "detach_does_not_skip_the_rest_of_the_report",
        wrong = "an engine that was detached during a report is called in it",
        file = "core/report.cc",
        find = """      if (engine.state != EngineObject::State::kAttached) continue;
      const bool quiesce""",
        replace = "      const bool quiesce",
    ),
    mutant(
        clause = "BAR-08",
        name = "masks_are_from_the_start_of_the_report",
        wrong = "QUIESCE cleared during a report is obeyed in the next",
        file = "core/report.cc",
        find = """    const size_t count = engines_.size();
    for (size_t i = 0; i < count; ++i) {
      EngineObject& engine = *engines_[reverse ? count - 1 - i : i];
      if (engine.state != EngineObject::State::kAttached) continue;
      const bool quiesce = (engine.flags & UTRACE_EVENT(QUIESCE)) != 0 &&""",
        replace = """    const size_t count = engines_.size();
    std::vector<unsigned long> masks;
    for (const EngineObject* engine : engines_) masks.push_back(engine->flags);
    for (size_t i = 0; i < count; ++i) {
      EngineObject& engine = *engines_[reverse ? count - 1 - i : i];
      if (engine.state != EngineObject::State::kAttached) continue;
      const bool quiesce = (masks[reverse ? count - 1 - i : i] & UTRACE_EVENT(QUIESCE)) != 0 &&""",
    ),
    mutant(
        clause = "BAR-10",
        name = "barrier_does_not_wait_for_the_end",
        wrong = "a barrier does not wait for report_death and report_reap",
        file = "core/wait.cc",
        find = "while (engine.in_callback && engine.callbacks == running) {",
        replace = "while (life_ == Life::kAlive && engine.in_callback && engine.callbacks == running) {",
    ),
]
