"""Two loops on two processors, each with a tracer of its own, and both under one tracer."""

import os
import subprocess
import statistics

NAME = "two loops"


def measure(tools, rounds, quick):
    """{(NAME, tracer): [nanoseconds for each call of both together]}"""
    first, second = sorted(os.sched_getaffinity(0))[:2]
    calls = "500" if quick else "30000"

    def loop(processor):
        return ["taskset", "--cpu-list", str(processor), tools["getppid_loop"], calls]

    ways = {
        "untraced": [loop(first), loop(second)],
        # On the processor of what it traces, as the loop is free to choose.
        "bare loop": [["taskset", "--cpu-list", str(one), tools["bare_loop"], "--info"] + loop(one)
                      for one in (first, second)],
        "1 engine": [[tools["counting_engines"], "1"] + loop(first) + ["+"] + loop(second)],
    }
    times = {}
    for _ in range(rounds):
        for way, commands in ways.items():
            started = [subprocess.Popen(command, stdout=subprocess.PIPE) for command in commands]
            output = b"".join(process.communicate(timeout=600)[0] for process in started)
            if any(process.returncode for process in started):
                raise RuntimeError("%s, %s: a program failed" % (NAME, way))
            each = [float(line) for line in output.split()]
            # Both make calls at the same time: their rates add up.
            times.setdefault((NAME, way), []).append(1 / sum(1 / one for one in each))
    print("two loops, apart")
    for (_, way), spent in times.items():
        print("  %-22s %14.1f us per call of either" % (way, statistics.median(spent) / 1000), flush=True)
    return times
