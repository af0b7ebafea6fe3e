"""Mutants of chapter 8: Examining a stopped task."""

load(":mutant.bzl", "mutant")

CHAPTER_08 = [
    mutant(
        clause = "EXM-01",
        name = "prepare_of_the_own_task_fails",
        wrong = "prepare on the caller's own task gives -EAGAIN",
        file = "core/wait.cc",
        find = """utrace_examiner& examiner) {
  if (Current() == this) return 0;
  MutexLock""",
        replace = """utrace_examiner& examiner) {
  if (Current() == this) return -EAGAIN;
  MutexLock""",
    ),
    mutant(
        clause = "EXM-02",
        name = "prepare_of_the_running_is_eagain",
        wrong = "prepare on a task that this engine does not hold gives -EAGAIN",
        file = "core/wait.cc",
        find = """engine.wish != UTRACE_STOP) {
      return -EINVAL;""",
        replace = """engine.wish != UTRACE_STOP) {
      return -EAGAIN;""",
    ),
    mutant(
        clause = "EXM-03",
        name = "prepare_of_the_dead_is_eagain",
        wrong = "prepare on a dead task gives -EAGAIN",
        file = "core/wait.cc",
        find = "engine.state == EngineObject::State::kDetached) return -ESRCH;",
        replace = "engine.state == EngineObject::State::kDetached) return -EAGAIN;",
    ),
    mutant(
        clause = "EXM-07",
        name = "finish_forgets_a_wakeup",
        wrong = "finish does not notice that the task woke and stopped again",
        file = "core/wait.cc",
        find = "if (!held_ || hold_generation_ != examiner.generation) return -EAGAIN;",
        replace = "if (!held_ || (false && hold_generation_ != examiner.generation)) return -EAGAIN;",
    ),
    mutant(
        clause = "EXM-09",
        name = "prepare_of_a_sleeper_is_zero",
        wrong = "prepare on a task that sleeps in a call gives zero",
        file = "core/wait.cc",
        find = "if (!engine.stop_committed) return -EAGAIN;",
        replace = "if (!engine.stop_committed) return 0;",
    ),
]
