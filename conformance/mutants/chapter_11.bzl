"""Mutants of chapter 11: System calls."""

load(":mutant.bzl", "mutant")

CHAPTER_11 = [
    mutant(
        clause = "SYS-01",
        name = "changed_number_is_dropped",
        wrong = "a changed system call number never reaches the task",
        file = "core/linux/registers.cc",
        find = """    arch::SetSyscallNumber(registers_, number);
    return StoreRegisters();""",
        replace = "    return number == arch::SyscallNumber(registers_) ? StoreRegisters() : 0;",
    ),
    mutant(
        clause = "SYS-01",
        name = "changed_arguments_are_dropped",
        wrong = "changed arguments never reach the task",
        file = "core/linux/registers.cc",
        find = """      arch::SetSyscallArgument(registers_, first + i, arguments[i]);
    }
    return StoreRegisters();""",
        replace = """      arch::SetSyscallArgument(registers_, first + i, arguments[i]);
    }
    return 0;""",
    ),
    mutant(
        clause = "SYS-01",
        name = "entry_reported_behind_the_call",
        wrong = "report_syscall_entry is made when the call has run",
        file = "core/linux/stops.cc",
        find = "const bool entry = known ? info.op == PTRACE_SYSCALL_INFO_ENTRY : !in_syscall_;",
        replace = "const bool entry = known ? info.op == PTRACE_SYSCALL_INFO_EXIT : in_syscall_;",
    ),
    mutant(
        clause = "SYS-02",
        name = "replaced_result_is_dropped",
        wrong = "a replaced result never reaches the task",
        file = "core/linux/registers.cc",
        find = """    arch::SetSyscallResult(registers_, result);
    return StoreRegisters();""",
        replace = "    return result == arch::SyscallResult(registers_) ? StoreRegisters() : 0;",
    ),
    mutant(
        clause = "SYS-02",
        name = "rollback_keeps_the_program_counter",
        wrong = "a call that was rolled back is not made again",
        file = "arch/x86_64/syscall_abi.cc",
        find = """  regs.rip -= kSyscallInstructionSize;
""",
        replace = "",
    ),
    mutant(
        clause = "SYS-03",
        name = "abort_is_forgotten",
        wrong = "ABORT does not abort",
        file = "core/report.cc",
        find = "abort_entry_ = action == UTRACE_SYSCALL_ABORT;",
        replace = "abort_entry_ = false;",
    ),
    mutant(
        clause = "SYS-03",
        name = "aborted_call_succeeds",
        wrong = "the result of an aborted call is zero",
        file = "core/linux/stops.cc",
        find = """      arch::SetSyscallNumber(registers_, -1);
      StoreRegisters();""",
        replace = """      arch::SetSyscallNumber(registers_, -1);
      arch::SetSyscallResult(registers_, 0);
      StoreRegisters();""",
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
        clause = "SYS-04",
        name = "each_sees_run",
        wrong = "an entry callback is not told what the engine before it left",
        file = "core/report.cc",
        find = "ops.report_syscall_entry(action | flag | resume, &engine, this, regs);",
        replace = "ops.report_syscall_entry(UTRACE_SYSCALL_RUN | flag | resume, &engine, this, regs);",
    ),
    mutant(
        clause = "SYS-05",
        name = "entry_stop_waits_for_user_mode",
        wrong = "STOP at entry takes effect behind the call",
        file = "core/report.cc",
        find = """        if (SomeoneStops()) {
          StartHold();
          EntryVerdict verdict;""",
        replace = """        if (SomeoneStops() && resumed) {
          StartHold();
          EntryVerdict verdict;""",
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
        clause = "SYS-06",
        name = "no_repeat_for_a_result",
        wrong = "REPORT returned at entry does not repeat the report",
        file = "core/report.cc",
        find = """    repeat_entry_ = true;
  }
  // A STOP""",
        replace = """    repeat_entry_ = false;
  }
  // A STOP""",
    ),
    mutant(
        clause = "SYS-06",
        name = "no_repeat_for_control",
        wrong = "a REPORT by control while stopped at entry does not repeat the report",
        file = "core/control.cc",
        find = """          if (at_entry_) repeat_entry_ = true;
""",
        replace = "",
    ),
    mutant(
        clause = "SYS-07",
        name = "resume_repeats_the_entry",
        wrong = "a plain RESUME repeats the entry report",
        file = "core/control.cc",
        find = """        default:
          break;
      }
    }
    if (held_)""",
        replace = """        default:
          if (at_entry_) repeat_entry_ = true;
          break;
      }
    }
    if (held_)""",
    ),
    mutant(
        clause = "SYS-08",
        name = "held_task_runs_the_call_first",
        wrong = "a task that is stopped at entry runs the call meanwhile",
        file = "core/linux/stops.cc",
        find = """    if (verdict.hold) return;
    if (verdict.abort""",
        replace = """    if (verdict.hold) {
      Resume(PTRACE_SYSCALL, 0);
      return;
    }
    if (verdict.abort""",
    ),
    mutant(
        clause = "SYS-09",
        name = "no_exit_of_an_aborted_call",
        wrong = "an aborted call gets no exit report",
        file = "core/linux/stops.cc",
        find = """      StoreRegisters();
    }
    aborted_number_ = -1;
""",
        replace = """      StoreRegisters();
    }
    if (aborted_number_ >= 0) {
      aborted_number_ = -1;
      argument_to_restore_.reset();
      ReturnToUser();
      return;
    }
""",
    ),
    mutant(
        clause = "SYS-10",
        name = "exec_is_an_exit",
        wrong = "an exec gets an exit report of its own, and the call's besides",
        file = "core/linux/life.cc",
        find = "    core_->OnExec(program);",
        replace = """    core_->OnExec(program);
    core_->OnSyscallExit();""",
    ),
    mutant(
        clause = "SYS-10",
        name = "newborn_begins_with_an_exit",
        wrong = "a newborn begins with the exit of the call that made it",
        file = "core/linux/stops.cc",
        find = """    newborn_ = false;
    ReturnToUser();""",
        replace = """    newborn_ = false;
    {
      const Region region;
      core_->OnSyscallExit();
    }
    ReturnToUser();""",
    ),
    mutant(
        clause = "SYS-11",
        name = "double_exit_of_failed_calls",
        wrong = "the exit of a call that failed is reported twice",
        file = "core/linux/stops.cc",
        find = "    core_->OnSyscallExit();",
        replace = """    core_->OnSyscallExit();
    if (FetchRegisters() == 0 && arch::SyscallResult(registers_) < 0) core_->OnSyscallExit();""",
    ),
    mutant(
        clause = "SYS-11",
        name = "no_reconfiguration_while_running",
        wrong = "system call events enabled while the task runs count from some later stop on",
        file = "core/linux/linux_task.cc",
        find = "  if (setup_.Lacks(Needed(ToStopFor(interest)))) Interrupt();",
        replace = "  if (setup_.Lacks(Needed(ToStopFor(interest)) & ~UTRACE_EVENT_SYSCALL)) Interrupt();",
    ),
    mutant(
        clause = "SYS-12",
        name = "repeat_inherits_abort",
        wrong = "a repeated entry report starts with the ABORT of the round before",
        file = "core/report.cc",
        find = "uint32_t action = UTRACE_SYSCALL_RUN;",
        replace = "uint32_t action = abort_entry_ ? UTRACE_SYSCALL_ABORT : UTRACE_SYSCALL_RUN;",
    ),
    mutant(
        clause = "SYS-13",
        name = "quiesce_sets_the_signal_action",
        wrong = "what report_quiesce returns erases the signal action that others left",
        file = "core/report.cc",
        find = """        const auto call = [&](const utrace_engine_ops& ops) {
          return ops.report_quiesce(pass.resume, &engine, this, event);
        };
        CallEngine(lock, engine, pass, call);""",
        replace = """        const auto call = [&](const utrace_engine_ops& ops) {
          const uint32_t result = ops.report_quiesce(pass.resume, &engine, this, event);
          action = result & (UTRACE_SIGNAL_MASK | UTRACE_SIGNAL_HOLD);
          return result;
        };
        CallEngine(lock, engine, pass, call);""",
    ),
]
