"""Mutants of chapter 11: System calls."""

load(":mutant.bzl", "mutant")

CHAPTER_11 = [
    mutant(
        clause = "SYS-03",
        name = "abort_is_forgotten",
        wrong = "ABORT does not abort",
        file = "core/report.cc",
        find = "abort_entry_ = action == UTRACE_SYSCALL_ABORT;",
        replace = "abort_entry_ = false;",
    ),
    mutant(
        clause = "SYS-04",
        name = "any_abort_aborts",
        wrong = "ABORT of any engine aborts",
        file = "core/report.cc",
        find = "action = result & UTRACE_SYSCALL_MASK;",
        replace = "action = std::max(action, result & UTRACE_SYSCALL_MASK);",
    ),
    mutant(
        clause = "SYS-06",
        name = "repeat_without_resumed",
        wrong = "a repeated entry report does not say RESUMED",
        file = "core/report.cc",
        find = "const uint32_t flag = resumed ? UTRACE_SYSCALL_RESUMED : 0;",
        replace = "const uint32_t flag = 0;",
    ),
    mutant(
        clause = "SYS-12",
        name = "repeat_inherits_abort",
        wrong = "a repeated entry report starts with the ABORT of the round before",
        file = "core/report.cc",
        find = "uint32_t action = UTRACE_SYSCALL_RUN;",
        replace = "uint32_t action = abort_entry_ ? UTRACE_SYSCALL_ABORT : UTRACE_SYSCALL_RUN;",
    ),
]
