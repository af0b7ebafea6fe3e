"""Mutants of chapter 14: Exec."""

load(":mutant.bzl", "mutant")

CHAPTER_14 = [
    mutant(
        clause = "EXE-01",
        name = "exec_result_is_overwritten",
        wrong = "the register that execve's result goes to cannot be changed in report_exec",
        file = "core/linux/life.cc",
        find = "  if (FetchRegisters() == 0 && arch::SyscallResult(registers_) != result) {",
        replace = "  if (FetchRegisters() == 0 && arch::SyscallResult(registers_) != result && !traced_here_) {",
    ),
    mutant(
        clause = "EXE-01",
        name = "exec_without_its_path",
        wrong = "report_exec is not told where the new program starts",
        file = "core/linux/life.cc",
        find = "    program.entry = arch::Pc(registers_);",
        replace = "    program.entry = 0;",
    ),
    mutant(
        clause = "EXE-02",
        name = "failed_exec_is_reported",
        wrong = "an execve is reported when it is tried, not when it succeeded",
        file = "core/linux/life.cc",
        find = """bool LinuxTask::ReportOwnExit() {
""",
        replace = """bool LinuxTask::ReportOwnExit() {
  if (FetchRegisters() == 0 && arch::SyscallNumber(registers_) == SYS_execve) {
    const Region region;
    core_->OnExec(utrace_program{});
  }
""",
    ),
    mutant(
        clause = "EXE-03",
        name = "exec_clears_the_masks",
        wrong = "an exec leaves engines without events",
        file = "core/report.cc",
        find = """  return HoldHere(false);
""",
        replace = """  {
    MutexLock lock(mutex_);
    for (EngineObject* engine : engines_) engine->flags = 0;
  }
  return HoldHere(false);
""",
    ),
    mutant(
        clause = "EXE-03",
        name = "exec_drops_engines",
        wrong = "an exec detaches the engines",
        file = "core/report.cc",
        find = """  return HoldHere(false);
""",
        replace = """  {
    MutexLock lock(mutex_);
    for (EngineObject* engine : engines_) engine->state = EngineObject::State::kDetached;
  }
  return HoldHere(false);
""",
    ),
    mutant(
        clause = "EXE-04",
        name = "replaced_leader_does_not_die",
        wrong = "the leader's engines get no death when another thread execs",
        file = "core/linux/life.cc",
        find = """    leader->Die(/*replaced=*/true);
""",
        replace = "",
    ),
    mutant(
        clause = "EXE-04",
        name = "renamed_thread_is_lost",
        wrong = "the thread that exec'd is not found under the leader's id",
        file = "core/linux/life.cc",
        find = """  host.Rename(this, old_tid);
""",
        replace = "",
    ),
]
