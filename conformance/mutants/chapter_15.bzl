"""Mutants of chapter 15: Job control."""

load(":mutant.bzl", "mutant")

CHAPTER_15 = [
    mutant(
        clause = "JCT-01",
        name = "continued_is_told_as_stopped",
        wrong = "a continuation is reported as another stop",
        file = "core/report.cc",
        find = "return ops.report_jctl(resume, &engine, this, type, notify);",
        replace = "return ops.report_jctl(resume, &engine, this, CLD_STOPPED, notify);",
    ),
    mutant(
        clause = "JCT-01",
        name = "only_the_leader_reports_stops",
        wrong = "only the leader's job control stops are reported",
        file = "core/linux/stops.cc",
        find = """  job_reported_ = true;
  Verdict verdict;""",
        replace = """  job_reported_ = tid() == tgid_;
  if (!job_reported_) {
    AfterGroupStop();
    return;
  }
  Verdict verdict;""",
    ),
    mutant(
        clause = "JCT-02",
        name = "every_stop_notifies",
        wrong = "every thread of a group claims to notify the parent",
        file = "core/linux/stops.cc",
        find = "    const int notify = !again && LastToStop() ? CLD_STOPPED : 0;",
        replace = "    const int notify = (!again && LastToStop()) || place_ == Place::kGroup ? CLD_STOPPED : 0;",
    ),
    mutant(
        clause = "JCT-02",
        name = "no_stop_notifies",
        wrong = "no thread of a group claims to notify the parent",
        file = "core/linux/stops.cc",
        find = "    const int notify = !again && LastToStop() ? CLD_STOPPED : 0;",
        replace = "    const int notify = !again && LastToStop() && place_ != Place::kGroup ? CLD_STOPPED : 0;",
    ),
    mutant(
        clause = "JCT-02",
        name = "notify_tells_another_thing",
        wrong = "notify does not tell what the parent is told",
        file = "core/linux/stops.cc",
        find = "    const int notify = !again && LastToStop() ? CLD_STOPPED : 0;",
        replace = "    const int notify = !again && LastToStop() ? CLD_TRAPPED : 0;",
    ),
    mutant(
        clause = "JCT-03",
        name = "traced_stops_are_real",
        wrong = "a task is stopped for engines by SIGSTOP",
        file = "core/linux/linux_task.cc",
        find = "  if (ptrace(PTRACE_INTERRUPT, tid(), nullptr, nullptr) == 0) interrupt_sent_ = true;",
        replace = "  if (syscall(SYS_tgkill, tgid_, tid(), SIGSTOP) == 0) interrupt_sent_ = true;",
    ),
    mutant(
        clause = "JCT-03",
        name = "real_stops_are_hidden",
        wrong = "a job control stop of a traced task does not take place",
        file = "core/linux/signals.cc",
        find = """  if (is_default && by_default != DefaultAction::kStop) {
    fatal""",
        replace = """  if (is_default && by_default == DefaultAction::kStop) {
    ReturnToUser();
    return;
  }
  if (is_default) {
    fatal""",
    ),
    mutant(
        clause = "JCT-04",
        name = "stopped_task_does_not_listen",
        wrong = "a traced task in a job control stop does not hear SIGCONT",
        file = "core/linux/stops.cc",
        find = """  ptrace(PTRACE_LISTEN, tid(), nullptr, nullptr);
""",
        replace = "",
    ),
    mutant(
        clause = "JCT-04",
        name = "job_stop_does_not_last",
        wrong = "a traced task runs on in a job control stop",
        file = "core/linux/stops.cc",
        find = """  ptrace(PTRACE_LISTEN, tid(), nullptr, nullptr);
""",
        replace = """  ptrace(PTRACE_CONT, tid(), nullptr, nullptr);
""",
    ),
]
