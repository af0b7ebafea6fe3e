#!/usr/bin/env python3
"""For each kind of crash: gdb's backtrace of the kernel's core file beside that of crash_catcher's.

Needs to be root, and sets /proc/sys/kernel/core_pattern meanwhile. Exit status 1 if any two differ.
"""

import glob
import os
import resource
import signal
import subprocess
import sys
import tempfile

from crash_kinds import DEADLINE, KINDS, backtrace

CATCH = os.path.abspath(sys.argv[1])
PROGRAMS = os.path.abspath(os.path.dirname(sys.argv[2]))
PATTERN = "/proc/sys/kernel/core_pattern"


def write_core(directory, command, limit):
    """Runs the command and returns the core file that appears in the directory."""
    subprocess.run(command, cwd=directory, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, timeout=DEADLINE, check=False,
                   preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (limit, limit)))
    cores = glob.glob(os.path.join(directory, "*core*"))
    if len(cores) != 1:
        sys.exit(f"{command[-1]}: {len(cores)} core files")
    return cores[0]


def compare():
    differ = 0
    print(f"{'kind':<22} {'frames':>6}  innermost frames")
    for name in KINDS:
        program = os.path.join(PROGRAMS, name)
        with tempfile.TemporaryDirectory() as kernel, tempfile.TemporaryDirectory() as ours:
            with open(PATTERN, "w", encoding="ascii") as file:
                file.write(os.path.join(kernel, "core"))
            by_kernel = backtrace("-ex", "bt 50", program,
                                  write_core(kernel, [program], resource.RLIM_INFINITY))
            catch = [CATCH, "-e", f"crash_catcher:dir={ours}", "--", program]
            by_us = backtrace("-ex", "bt 50", program, write_core(ours, catch, 0))
        same = by_kernel == by_us and by_us
        print(f"{name:<22} {len(by_us):>6}  {' < '.join(by_us[:4])}  {'same' if same else 'DIFFERS'}")
        if not same:
            differ += 1
            print(f"  the kernel's: {' < '.join(by_kernel)}")
    return 1 if differ else 0


def main():
    with open(PATTERN, encoding="ascii") as file:
        before = file.read()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    try:
        return compare()
    finally:
        with open(PATTERN, "w", encoding="ascii") as file:
            file.write(before)


if __name__ == "__main__":
    sys.exit(main())
