"""Mutants of chapter 18: Stepping."""

load(":mutant.bzl", "mutant")

CHAPTER_18 = [
    mutant(
        clause = "STP-01",
        name = "step_of_two_instructions",
        wrong = "a step is of two instructions",
        file = "core/linux/signals.cc",
        find = "  if (IsStepTrap(info) && (engines_step || handler_step)) {",
        replace = """  static thread_local unsigned steps = 0;
  if (IsStepTrap(info) && step_ != Step::kNone && ++steps % 2 == 1) {
    ResumeToUser(step_);
    return;
  }
  if (IsStepTrap(info) && (engines_step || handler_step)) {""",
    ),
    mutant(
        clause = "STP-02",
        name = "no_single_step",
        wrong = "SINGLESTEP gives -EOPNOTSUPP where the machine can step, and is accepted where it cannot",
        file = "core/control.cc",
        find = "      if (!TheHost().HasSingleStep()) return -EOPNOTSUPP;",
        replace = "      if (TheHost().HasSingleStep()) return -EOPNOTSUPP;",
    ),
    mutant(
        clause = "STP-02",
        name = "undeclared_single_step",
        wrong = "what is declared of single steps is the opposite of what the machine can",
        file = "core/linux/linux_host.cc",
        find = "    if (!steps.single_step) limits_ += kNoSingleStep;",
        replace = "    if (steps.single_step) limits_ += kNoSingleStep;",
    ),
    mutant(
        clause = "STP-03",
        name = "block_step_runs_on",
        wrong = "BLOCKSTEP does not stop at all",
        file = "core/linux/stops.cc",
        find = "  Resume(step == Step::kBlock ? kSingleBlock :",
        replace = "  Resume(step == Step::kBlock ? PTRACE_CONT + 0 * kSingleBlock :",
    ),
    mutant(
        clause = "STP-04",
        name = "two_steps_are_none",
        wrong = "SINGLESTEP and BLOCKSTEP of two engines cancel each other",
        file = "core/report.cc",
        find = "          if (engine->wish == UTRACE_BLOCKSTEP) step = std::max(step, Step::kBlock);",
        replace = """          if (engine->wish == UTRACE_BLOCKSTEP) {
            step = step == Step::kSingle ? Step::kNone : Step::kBlock;
          }""",
    ),
    mutant(
        clause = "STP-05",
        name = "step_outlasts_later_callbacks",
        wrong = "a step is not taken back by RESUME from a later callback",
        file = "core/report.cc",
        find = """  engine.stop_committed = false;
  engine.wish = UTRACE_RESUME;
  if (action == UTRACE_SINGLESTEP""",
        replace = """  engine.stop_committed = false;
  if (engine.wish == UTRACE_STOP) engine.wish = UTRACE_RESUME;
  if (action == UTRACE_SINGLESTEP""",
    ),
    mutant(
        clause = "STP-05",
        name = "later_step_is_dropped",
        wrong = "a step that report_signal asks for is not made",
        file = "core/report.cc",
        find = """  if (action == UTRACE_SINGLESTEP || action == UTRACE_BLOCKSTEP) {
    engine.wish""",
        replace = """  if ((action == UTRACE_SINGLESTEP || action == UTRACE_BLOCKSTEP) && kind != PassKind::kSignal) {
    engine.wish""",
    ),
    mutant(
        clause = "STP-06",
        name = "step_over_call_is_lost",
        wrong = "a step into a system call that is reported makes no trap",
        file = "core/linux/stops.cc",
        find = """      step_over_call_ = !to_unsent;
""",
        replace = "",
    ),
    mutant(
        clause = "STP-07",
        name = "stepping_stays_on",
        wrong = "a step is for every resumption",
        file = "core/report.cc",
        find = "engine->wish = UTRACE_RESUME;  // for one resumption [REP-06]",
        replace = "",
    ),
    mutant(
        clause = "STP-08",
        name = "control_resume_takes_all_steps",
        wrong = "RESUME by control takes another engine's step away",
        file = "core/control.cc",
        find = """        default:
          break;
      }
    }
    if (held_)""",
        replace = """        default:
          for (EngineObject* each : engines_) {
            if (each->wish != UTRACE_STOP) each->wish = UTRACE_RESUME;
          }
          break;
      }
    }
    if (held_)""",
    ),
    mutant(
        clause = "STP-08",
        name = "control_resume_wakes_all",
        wrong = "RESUME by control wakes a task that another engine holds",
        file = "core/control.cc",
        find = """        default:
          break;
      }
    }
    if (held_)""",
        replace = """        default:
          for (EngineObject* each : engines_) {
            if (each->wish == UTRACE_STOP) each->wish = UTRACE_RESUME;
          }
          break;
      }
    }
    if (held_)""",
    ),
    mutant(
        clause = "STP-08",
        name = "step_wakes_all",
        wrong = "a step by control wakes a task that another engine holds",
        file = "core/control.cc",
        find = """          engine.wish = static_cast<uint8_t>(action);
          ask""",
        replace = """          for (EngineObject* each : engines_) each->wish = static_cast<uint8_t>(action);
          ask""",
    ),
]
