"""Mutants of chapter 17: SIGKILL comes first."""

load(":mutant.bzl", "mutant")

CHAPTER_17 = [
    mutant(
        clause = "KIL-01",
        name = "group_exit_does_not_wake",
        wrong = "an engine holds a task that another thread ends",
        file = "core/linux/life.cc",
        find = "core_->OnExit(&code, !own_call && !own_signal);",
        replace = "core_->OnExit(&code, !own_call && !own_signal && signal == SIGKILL);",
    ),
    mutant(
        clause = "KIL-02",
        name = "two_engines_hold_the_killed",
        wrong = "several engines together hold a killed task",
        file = "core/report.cc",
        find = "return HoldHere(!killed);",
        replace = "return HoldHere(!killed || engines_.size() > 1);",
    ),
    mutant(
        clause = "KIL-03",
        name = "killed_task_reports_no_death",
        wrong = "a task that is killed in a stop makes no death report",
        file = "core/task.cc",
        find = "for (EngineObject* engine : engines_) engine->stop_committed = false;",
        replace = """for (EngineObject* engine : engines_) {
    engine->stop_committed = false;
    engine->flags &= ~UTRACE_EVENT(DEATH);
  }""",
    ),
    mutant(
        clause = "KIL-06",
        name = "exit_holds_the_killed",
        wrong = "STOP from report_exit holds a killed task",
        file = "core/report.cc",
        find = "return HoldHere(!killed);",
        replace = "return HoldHere(!killed || SomeoneStops());",
    ),
    mutant(
        clause = "KIL-05",
        name = "edit_of_the_killed_seems_to_succeed",
        wrong = "an edit that a killed task did not take returns zero",
        file = "core/machine_api.cc",
        find = """  return ChangeAtSafePoint(task, good, Bit(Changed::kRegisters), [&](HostTask& host) {
    return host.RegsetSet(index, position, count, buffer);
  });""",
        replace = """  const int status = ChangeAtSafePoint(task, good, Bit(Changed::kRegisters), [&](HostTask& host) {
    return host.RegsetSet(index, position, count, buffer);
  });
  return status == -ESRCH ? 0 : status;""",
    ),
    mutant(
        clause = "KIL-04",
        name = "killed_task_finishes_its_call",
        wrong = "a task that is killed inside a system call reports the end of the call",
        file = "core/linux/life.cc",
        find = """  in_syscall_ = false;
  exit_call_.reset();
  if (exit_reported_) {""",
        replace = """  if (in_syscall_ && !own_call) {
    const Region region;
    core_->OnSyscallExit();
  }
  in_syscall_ = false;
  exit_call_.reset();
  if (exit_reported_) {""",
    ),
]
