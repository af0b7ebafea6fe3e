"""aarch64's implementation of arch.h as a list of files."""

AARCH64_PARTS = [
    "bell_wait",
    "debug_registers",
    "machine_requests",
    "regsets",
    "signal_frame",
    "stepping",
    "syscall_abi",
]
