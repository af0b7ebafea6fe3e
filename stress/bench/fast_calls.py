#!/usr/bin/env python3
"""What a getppid loop costs untraced, under `utrace run --fast` for another call, and under full tracing.

Usage: fast_calls.py UTRACE GETPPID_LOOP [--quick]. Prints nanoseconds for each call, the best of five runs,
and how many times the untraced cost that is. Fails if tracing with --fast misses its call, or if it costs
ten times the untraced call or more.
"""

import os
import subprocess
import sys
import tempfile


def main():
    utrace, loop = (os.path.abspath(path) for path in sys.argv[1:3])
    quick = "--quick" in sys.argv[3:]
    with tempfile.TemporaryDirectory() as directory:
        log = os.path.join(directory, "log")
        environment = dict(os.environ, UTRACE_SOCKET_DIR=os.path.join(directory, "server"))
        only = "syscall_log:trace=openat,output=" + log
        ways = [
            ("untraced", [], 1000000),
            ("--fast, openat only", [utrace, "run", "--fast", "-e", only, "--"], 1000000),
            ("openat only, without --fast", [utrace, "run", "-e", only, "--"], 20000),
            ("all calls, to /dev/null", [utrace, "run", "-o", "/dev/null", "--"], 20000),
        ]
        untraced = None
        for name, prefix, calls in ways:
            times = []
            for _ in range(1 if quick else 5):
                result = subprocess.run(prefix + [loop, str(calls // (10 if quick else 1))], env=environment,
                                        stdout=subprocess.PIPE, check=True, timeout=300)
                times.append(float(result.stdout))
            best = min(times)
            untraced = untraced or best
            print("%-30s %10.1f ns %8.1f times" % (name, best, best / untraced), flush=True)
            if only in prefix:
                with open(log, encoding="utf-8") as file:
                    if '"/dev/null"' not in file.read():
                        sys.exit("the traced call is not in the log")
            if "--fast" in prefix and best >= 10 * untraced:
                sys.exit("--fast is not fast")


if __name__ == "__main__":
    main()
