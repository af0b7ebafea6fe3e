#!/usr/bin/env python3
"""What strace costs a getppid loop under `utrace wrap`, next to what it costs natively.

Usage: wrap_cost.py UTRACE GETPPID_LOOP [--quick] [--realtime]. Runs the two in turn, seven times each, with all
their processes on one processor and then with the scheduler's choice, and prints the medians of one call's time
and their ratio. With --realtime they run before everything else on the machine, which root may ask for: then the
figures say the same while others work. --quick shows that it runs; its figures mean nothing.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile


def main():
    utrace, loop = (os.path.abspath(path) for path in sys.argv[1:3])
    quick = "--quick" in sys.argv[3:]
    first = ["chrt", "--fifo", "1"] if "--realtime" in sys.argv[3:] else []
    rounds, calls = (1, 100) if quick else (7, 3000)
    strace = shutil.which("strace")
    if strace is None:
        sys.exit("there is no strace to measure")
    traced = [strace, "-f", "-o", "/dev/null", loop, str(calls)]
    places = [("on one processor", ["taskset", "--cpu-list", str(min(os.sched_getaffinity(0)))]),
              ("anywhere", [])]
    with tempfile.TemporaryDirectory() as directory:
        environment = dict(os.environ, UTRACE_SOCKET_DIR=os.path.join(directory, "server"))
        for place, pinned in places:
            times = {"native": [], "wrapped": []}
            for _ in range(rounds):
                for way, prefix in (("native", []), ("wrapped", [utrace, "wrap", "--"])):
                    result = subprocess.run(first + pinned + prefix + traced, env=environment,
                                            stdout=subprocess.PIPE, check=True, timeout=300)
                    times[way].append(float(result.stdout) / 1000)
            native, wrapped = (statistics.median(times[way]) for way in ("native", "wrapped"))
            print("%-18s native %8.1f us   wrapped %8.1f us   %5.2f times"
                  % (place, native, wrapped, wrapped / native), flush=True)


if __name__ == "__main__":
    main()
