"""The programs of crashes/ that stand for the twelve kinds, and gdb's backtraces of them."""

import re
import subprocess

DEADLINE = 120  # seconds; a guard against hanging

# Program: signal, function and source file.
KINDS = {
    "null_pointer": ("SIGSEGV", "set_value", "null_pointer.c"),
    "stack_overflow": ("SIGSEGV", "descend", "stack_overflow.c"),
    "abort": ("SIGABRT", "check", "abort.c"),
    "division": ("SIGFPE", "average", "division.c"),
    "illegal_instruction": ("SIGILL", "unreachable", "illegal_instruction.c"),
    "bus_error": ("SIGBUS", "last_byte", "bus_error.c"),
    "double_free": ("SIGABRT", "drop", "double_free.c"),
    "uncaught_exception": ("SIGABRT", "shop::Order::Check() const", "uncaught_exception.cc"),
    "stack_smash": ("SIGABRT", "copy", "stack_smash.c"),
    "second_thread": ("SIGSEGV", "read_through", "second_thread.c"),
    "static_program": ("SIGSEGV", "set_value", "null_pointer.c"),
    "stripped": ("SIGSEGV", "set_value", "null_pointer.c"),
}


def backtrace(*arguments):
    """The functions of gdb's backtrace, innermost first."""
    result = subprocess.run(
        ["gdb", "-nx", "-batch", "-iex", "set debuginfod enabled off", *arguments],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        timeout=DEADLINE, check=True)
    shown = result.stdout.decode(errors="replace")
    # The frame that it stops at may be shown before the backtrace.
    return re.findall(r"^#\d+ +(?:0x[0-9a-f]+ in )?([^(]+?) ?\(", shown[shown.rfind("\n#0 "):],
                      re.MULTILINE)
