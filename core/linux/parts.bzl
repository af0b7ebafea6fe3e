"""The host over live threads as a list of files."""

LINUX_PARTS = [
    "bell",
    "brief_fd",
    "carriers",
    "debug_registers",
    "features",
    "lane",
    "life",
    "linux_host",
    "linux_task",
    "newborns",
    "pidfd_watcher",
    "proc",
    "ptrace_requests",
    "registers",
    "restartable_calls",
    "signals",
    "stops",
]
