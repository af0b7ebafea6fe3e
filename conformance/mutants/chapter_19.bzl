"""Mutants of chapter 19: Machine state."""

load(":mutant.bzl", "mutant")

CHAPTER_19 = [
    mutant(
        clause = "REG-01",
        name = "parts_read_from_the_start",
        wrong = "a part of a register set is read from the set's beginning",
        file = "core/linux/registers.cc",
        find = "std::memcpy(buffer, image.data() + position, count);",
        replace = "std::memcpy(buffer, image.data(), count);",
    ),
    mutant(
        clause = "REG-01",
        name = "parts_of_slots",
        wrong = "positions and counts within a slot are accepted",
        file = "core/machine_api.cc",
        find = "position % set.slot_size == 0 && count % set.slot_size == 0 && position <= size",
        replace = "position <= size",
    ),
    mutant(
        clause = "REG-01",
        name = "set_of_wrong_note",
        wrong = "the view names the floating point registers by the note of the general ones",
        file = "arch/x86_64/regsets.cc",
        find = "Set(\"floating_point\", NT_PRFPREG, sizeof(user_fpregs_struct))",
        replace = "Set(\"floating_point\", NT_PRSTATUS, sizeof(user_fpregs_struct))",
    ),
    mutant(
        clause = "REG-02",
        name = "no_extended_state",
        wrong = "the extended state of x86_64 is missing",
        file = "arch/x86_64/regsets.cc",
        find = ".count = static_cast<uint32_t>(sets.size()) - (XstateSize() == 0 ? 1 : 0),",
        replace = ".count = static_cast<uint32_t>(sets.size()) - (XstateSize() != 0 ? 1 : 0),",
    ),
    mutant(
        clause = "REG-03",
        name = "partial_write_clears_the_rest",
        wrong = "a part written of the floating point registers clears the others",
        file = "core/linux/registers.cc",
        find = "    std::memcpy(image.data() + position, buffer, count);",
        replace = """    if (index == 1) std::fill(image.begin(), image.end(), uint8_t{0});
    std::memcpy(image.data() + position, buffer, count);""",
    ),
    mutant(
        clause = "REG-03",
        name = "written_registers_are_dropped",
        wrong = "written floating point registers are not what the task runs with",
        file = "core/linux/registers.cc",
        find = "    if (ptrace(PTRACE_SETREGSET, tid(), note, &vector) == 0) return 0;",
        replace = "    if (index != 0 || ptrace(PTRACE_SETREGSET, tid(), note, &vector) == 0) return 0;",
    ),
    mutant(
        clause = "REG-04",
        name = "refused_access_gives_garbage",
        wrong = "access to a task that runs is said to have succeeded",
        file = "core/machine_api.cc",
        find = """  if (status < 0) return status;
  return use(object->host());""",
        replace = """  if (status < 0) return status == -EINVAL ? 0 : status;
  return use(object->host());""",
    ),
    mutant(
        clause = "SCI-01",
        name = "fourth_argument_of_functions",
        wrong = "the fourth argument is taken from where functions have it",
        file = "arch/x86_64/syscall_abi.cc",
        find = "&GeneralRegisters::rdx, &GeneralRegisters::r10,",
        replace = "&GeneralRegisters::rdx, &GeneralRegisters::rcx,",
    ),
    mutant(
        clause = "SCI-01",
        name = "errors_are_values",
        wrong = "small errors are read as return values",
        file = "core/machine_api.cc",
        find = "    const bool failed = result >= kSmallestErrno && result < 0;",
        replace = "    const bool failed = result >= kSmallestErrno && result < -ENOSYS;",
    ),
    mutant(
        clause = "SCI-01",
        name = "error_is_set_as_value",
        wrong = "an error cannot be set",
        file = "core/machine_api.cc",
        find = "host.SetSyscallResult(error != 0 ? error : value);",
        replace = "host.SetSyscallResult(value);",
    ),
    mutant(
        clause = "SCI-01",
        name = "rollback_without_the_number",
        wrong = "a call that was rolled back is made again with another number",
        file = "arch/x86_64/syscall_abi.cc",
        find = """  regs.rax = static_cast<uint64_t>(number);
  regs.rip -=""",
        replace = """  regs.rax = static_cast<uint64_t>(number > 0 ? -1 : number);
  regs.rip -=""",
    ),
    mutant(
        clause = "SCI-02",
        name = "seventh_argument",
        wrong = "arguments beyond the sixth are accepted",
        file = "core/machine_api.cc",
        find = "return first <= 6 && count <= 6 - first;",
        replace = "return first <= 6 && count <= 6;",
    ),
    mutant(
        clause = "CUR-01",
        name = "running_is_blocked",
        wrong = "a running task is said to be blocked outside a call",
        file = "core/linux/registers.cc",
        find = """  if (text->rfind("running", 0) == 0) return -EAGAIN;
""",
        replace = """  if (text->rfind("running", 0) == 0) {
    *call = utrace_current_syscall{};
    call->number = -1;
    return 0;
  }
""",
    ),
    mutant(
        clause = "CUR-01",
        name = "stack_and_program_counter_swapped",
        wrong = "stack pointer and program counter are mistaken for each other",
        file = "core/linux/registers.cc",
        find = """    call->sp = fields[6];
    call->pc = fields[7];""",
        replace = """    call->sp = fields[7];
    call->pc = fields[6];""",
    ),
    mutant(
        clause = "CUR-01",
        name = "untraced_tasks_have_no_call",
        wrong = "the call of a task that nobody traces is not told",
        file = "core/linux/registers.cc",
        find = "  const int status = ReadCurrentSyscall(tid(), call);",
        replace = "  const int status = lane_.load() == nullptr ? -ENOENT : ReadCurrentSyscall(tid(), call);",
    ),
    mutant(
        clause = "STA-01",
        name = "blank_instead_of_tab",
        wrong = "the status line has a blank for its tab",
        file = "core/api.cc",
        find = "\"Utrace:\\t%lx\\n\"",
        replace = "\"Utrace: %lx\\n\"",
    ),
    mutant(
        clause = "STA-01",
        name = "interest_of_nobody",
        wrong = "a task that nobody traces shows a mask",
        file = "core/task.cc",
        find = "  return interest == 0 ? 0 : (interest & UTRACE_EVENT_ALL) | UTRACE_EVENT(REAP);",
        replace = "  return (interest & UTRACE_EVENT_ALL) | UTRACE_EVENT(REAP);",
    ),
]
