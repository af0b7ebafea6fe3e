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
        clause = "BAR-03",
        name = "barrier_does_not_wait",
        wrong = "a barrier does not wait",
        file = "core/wait.cc",
        find = "while (engine.in_callback && engine.callbacks == running) {",
        replace = "while (false && engine.callbacks == running) {",
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
]
