"""Mutants of chapter 9: Reports: order and arbitration."""

load(":mutant.bzl", "mutant")

CHAPTER_09 = [
    mutant(
        clause = "REP-02",
        name = "entry_in_attach_order",
        wrong = "the entry report goes in order of attachment",
        file = "core/report.cc",
        find = "*engines_[reverse ? count - 1 - i : i]",
        replace = "*engines_[i + (reverse ? 0 : 0)]",
    ),
    mutant(
        clause = "REP-04",
        name = "action_so_far_is_the_last",
        wrong = "a callback is passed the resume action of the one before, however loose",
        file = "core/report.cc",
        find = "pass.resume = std::min(pass.resume, action);",
        replace = "pass.resume = action;",
    ),
    mutant(
        clause = "REP-12",
        name = "withdrawn_stop_stops",
        wrong = "a STOP that the engine takes back in the same report holds the task",
        file = "core/report.cc",
        find = """  engine.stop_committed = false;
  engine.wish = UTRACE_RESUME;
  if (action == UTRACE_SINGLESTEP""",
        replace = """  if (engine.wish == UTRACE_STOP) return;
  engine.stop_committed = false;
  engine.wish = UTRACE_RESUME;
  if (action == UTRACE_SINGLESTEP""",
    ),
]
