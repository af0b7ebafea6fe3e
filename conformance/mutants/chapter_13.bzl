"""Mutants of chapter 13: Clone."""

load(":mutant.bzl", "mutant")

CHAPTER_13 = [
    mutant(
        clause = "CLN-01",
        name = "clone_flags_of_vfork",
        wrong = "the flags of vfork lack CLONE_VFORK",
        file = "arch/x86_64/syscall_abi.cc",
        find = "      return CLONE_VFORK | CLONE_VM | SIGCHLD;",
        replace = "      return CLONE_VM | SIGCHLD;",
    ),
    mutant(
        clause = "CLN-01",
        name = "threads_are_no_clones",
        wrong = "no report_clone is made for a new thread",
        file = "core/linux/linux_task.cc",
        find = "    options |= PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK;",
        replace = "    options |= PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK;",
    ),
    mutant(
        clause = "CLN-01",
        name = "child_runs_during_report_clone",
        wrong = "the child runs while report_clone is made",
        file = "core/linux/life.cc",
        find = """  Verdict verdict;
  {
    const Region region;
    verdict = core_->OnClone(flags, *child_core);
  }
  const auto waiting""",
        replace = """  siginfo_t first{};
  if (waitid(P_PID, static_cast<id_t>(child_tid), &first, WSTOPPED | kOwnTracees) == 0) {
    child_core->EndNewborn();
    child.OnStop(first.si_status);
  }
  Verdict verdict;
  {
    const Region region;
    verdict = core_->OnClone(flags, *child_core);
  }
  const auto waiting""",
    ),
    mutant(
        clause = "CLN-01",
        name = "clone3_flags_are_lost",
        wrong = "of the flags of clone3 only the exit signal is told",
        file = "arch/x86_64/syscall_abi.cc",
        find = "return *flags | (*signal & CSIGNAL);",
        replace = "return *signal & CSIGNAL;",
    ),
    mutant(
        clause = "CLN-02",
        name = "stop_on_a_newborn_is_ignored",
        wrong = "a newborn runs whatever was asked of it in report_clone",
        file = "core/linux/stops.cc",
        find = """  if (newborn_) {
    newborn_ = false;
    ReturnToUser();""",
        replace = """  if (newborn_) {
    newborn_ = false;
    ApplyOptions();
    Resume(PTRACE_CONT, 0);""",
    ),
    mutant(
        clause = "CLN-03",
        name = "report_on_a_newborn_is_dropped",
        wrong = "a REPORT or INTERRUPT on a child is forgotten when its parent's report ends",
        file = "core/task.cc",
        find = """  newborn_of_ = nullptr;
  Notify();
}""",
        replace = """  newborn_of_ = nullptr;
  if (!SomeoneStops()) pending_ = Pending::kNone;
  Notify();
}""",
    ),
    mutant(
        clause = "CLN-04",
        name = "failed_clone_is_reported",
        wrong = "a clone that failed is reported at its exit",
        file = "core/linux/stops.cc",
        find = """  finish_call_ = false;
  if (exec_result_) {""",
        replace = """  finish_call_ = false;
  if (FetchRegisters() == 0 && arch::SyscallResult(registers_) < 0 &&
      arch::CloneFlags(registers_, [this](uint64_t address) { return ReadU64(address); })) {
    const Region region;
    core_->OnClone(SIGCHLD, *core_);
  }
  if (exec_result_) {""",
    ),
    mutant(
        clause = "CLN-05",
        name = "vfork_parent_is_not_held",
        wrong = "STOP from report_clone does not hold a vfork's parent",
        file = "core/report.cc",
        find = "return HoldHere((flags & kCloneVfork) != 0);",
        replace = "return HoldHere(false && (flags & kCloneVfork) != 0);",
    ),
    mutant(
        clause = "CLN-05",
        name = "vfork_parent_stops_after_the_child",
        wrong = "STOP from report_clone of a vfork waits until the child has let its parent go",
        file = "core/report.cc",
        find = "return HoldHere((flags & kCloneVfork) != 0);",
        replace = "return HoldHere((flags & kCloneVfork) != 0 && child.IsReaped());",
    ),
    mutant(
        clause = "CLN-06",
        name = "child_inherits_engines",
        wrong = "a child starts with its parent's engines",
        file = "core/report.cc",
        find = """  child.EndNewborn();
""",
        replace = """  child.EndNewborn();
  std::vector<EngineObject*> parents;
  {
    MutexLock lock(mutex_);
    parents = engines_;
  }
  for (EngineObject* engine : parents) {
    int status = 0;
    std::string error;
    EngineObject* heir =
        child.Attach(UTRACE_ATTACH_CREATE, engine->ops, engine->data, &status, &error);
    if (heir != nullptr) child.SetEvents(*heir, engine->flags);
  }
""",
    ),
    mutant(
        clause = "CLN-07",
        name = "stop_of_the_parent_frees_the_child",
        wrong = "a parent that stops lets its child go",
        file = "core/report.cc",
        find = """  child.EndNewborn();
""",
        replace = """  child.EndNewborn();
  if (IsDue()) child.OnEndingSignal();
""",
    ),
]
