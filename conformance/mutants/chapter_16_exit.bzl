"""Mutants of chapter 16: Exit."""

load(":mutant.bzl", "mutant")

CHAPTER_16_EXIT = [
    mutant(
        clause = "EXI-01",
        name = "changed_code_is_passed_as_original",
        wrong = "a changed exit code is passed as the original one",
        file = "core/report.cc",
        find = "return ops.report_exit(resume, &engine, this, original, code);",
        replace = "return ops.report_exit(resume, &engine, this, original * 0 + *code, code);",
    ),
    mutant(
        clause = "EXI-01",
        name = "exit_code_stays",
        wrong = "an exit code changed to a larger one is not what the parent sees",
        file = "core/linux/life.cc",
        find = "  if (code != original && FetchRegisters() == 0) {",
        replace = "  if (code < original && FetchRegisters() == 0) {",
    ),
    mutant(
        clause = "EXI-02",
        name = "stop_from_exit_does_not_hold",
        wrong = "STOP from report_exit does not hold a task that exits by its own call",
        file = "core/report.cc",
        find = "  return HoldHere(!killed);",
        replace = "  return HoldHere(!killed && (*code & 0x7f) != 0);",
    ),
    mutant(
        clause = "EXI-02",
        name = "stop_from_exit_does_not_hold_signalled",
        wrong = "STOP from report_exit does not hold a task that a signal ends",
        file = "core/linux/life.cc",
        find = "!own_call && !own_signal);",
        replace = "!own_call || own_signal);",
    ),
    mutant(
        clause = "EXI-03",
        name = "exit_call_reported_after_exit",
        wrong = "an exit of a system call is reported after report_exit",
        file = "core/linux/life.cc",
        find = """  if (!verdict.hold) AfterExitHold();
  return true;""",
        replace = """  core_->OnSyscallExit();
  if (!verdict.hold) AfterExitHold();
  return true;""",
    ),
    mutant(
        clause = "EXI-03",
        name = "changed_number_cancels_the_exit",
        wrong = "a task whose exit call an engine made another one, after report_exit, lives on",
        file = "core/linux/life.cc",
        find = """    arch::SetSyscallNumber(registers_, *exit_call_);
    StoreRegisters();
""",
        replace = "",
    ),
]
