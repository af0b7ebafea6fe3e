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
        clause = "EXM-04",
        name = "prepare_of_the_killed_is_einval",
        wrong = "prepare on a task that SIGKILL woke gives -EINVAL",
        file = "core/wait.cc",
        find = "if (!engine.stop_committed) return -EAGAIN;",
        replace = """if (!engine.stop_committed) {
      return report_after_stop_ && pending_ == Pending::kNone ? -EINVAL : -EAGAIN;
    }""",
    ),
    mutant(
        clause = "EXM-05",
        name = "stopped_task_cannot_be_read",
        wrong = "the state of a stopped task can be reached in callbacks only",
        file = "core/task.cc",
        find = "if (Current() == this || held_) return 0;",
        replace = "if (Current() == this) return 0;",
    ),
    mutant(
        clause = "EXM-06",
        name = "an_attach_counts_as_a_wakeup",
        wrong = "finish takes the attach of another engine for a wake-up",
        file = "core/attach.cc",
        find = """  engine.Joined();
""",
        replace = """  engine.Joined();
  ++hold_generation_;
""",
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
    mutant(
        clause = "EXM-08",
        name = "prepare_does_not_wait",
        wrong = "prepare does not wait for a task that is on its way to the stop",
        file = "core/wait.cc",
        find = "if (!engine.stop_committed) return -EAGAIN;",
        replace = "return -EAGAIN;",
    ),
]
