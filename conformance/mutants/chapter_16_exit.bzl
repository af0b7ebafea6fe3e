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
]
