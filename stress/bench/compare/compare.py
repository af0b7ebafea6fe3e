#!/usr/bin/env python3
"""What programs cost under utrace, next to the same under nothing, the smallest ptrace loop, strace and gdb.

Usage: compare.py [--rounds N] [--only WORK,...] [--place pinned|free] [--realtime | --when-idle]
                  [--json FILE] [--svg DIRECTORY] [--quick] NAME=PATH...

Every work runs under every tracer in turn, N times (7 without a word), all on one processor ("pinned") and then
wherever the scheduler puts them ("free"). Prints the medians and their ratios, and the ratios that are bounded
beside their bounds. Where others work on the machine: --realtime, for root, has what runs pinned run before
everything else; --when-idle has every run that is free wait until the processors were idle for a moment. --quick shows that it runs; its figures mean nothing. NAME=PATH: the programs that it needs.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time

import chart
import pairs
import tracers
import works

# Place, work and tracer of what is measured, and of what it is measured by; and what the ratio may be.
BOUNDS = [
    ("pinned", "getppid", "1 engine", "getppid", "bare loop, info", 1.10),
    ("pinned", "getppid", "8 engines", "getppid", "1 engine", 1.10),
    ("pinned", "getppid", "syscall_log", "getppid", "strace -f", 0.85),
    ("pinned", "files", "syscall_log", "files", "strace -f", 0.85),
    ("free", "getppid", "syscall_log", "getppid", "strace -f", 0.20),
    ("pinned", "getppid", "utrace --fast", "getppid", "untraced", 1.25),
    ("pinned", "getppid", "crash_catcher", "getppid", "untraced", 1.02),
    ("pinned", "among 1000", "1 engine", "alone", "1 engine", 1.05),
    ("pinned", "steps", "utrace steps", "steps", "bare steps", 1.10),
    # The time of a call: at most 1/0.90 of the other's is at least 0.90 of its events.
    ("apart", "two loops", "1 engine", "two loops", "bare loop", 1 / 0.90),
]


def idle_share():
    """Idle and all time of the processors so far, in ticks."""
    with open("/proc/stat", encoding="ascii") as file:
        ticks = [int(word) for word in file.readline().split()[1:9]]
    return ticks[3] + ticks[4], sum(ticks)


def await_idle():
    """Waits until nine tenths of the processors' time were idle, for a moment."""
    while True:
        idle, ticks = idle_share()
        time.sleep(0.3)
        idle, ticks = (now - before for now, before in zip(idle_share(), (idle, ticks)))
        if idle >= 0.9 * ticks:
            return


def measure(place, chosen, all_tracers, arguments, directory, environment):
    """{(work, tracer): [nanoseconds]}"""
    pinned = ["taskset", "--cpu-list", str(min(os.sched_getaffinity(0)))] if place == "pinned" else []
    if pinned and arguments.realtime:
        # In turns: a command that waits to be let go does not sleep, and its tracer must get the processor.
        pinned = ["chrt", "--rr", "1"] + pinned
    times = {}
    for work in chosen:
        for _ in range(arguments.rounds):
            for tracer in all_tracers:
                if work.kinds & tracer.kinds:
                    if place == "free" and arguments.when_idle:
                        await_idle()
                    spent = works.run(work, tracer, directory, environment, pinned)
                    times.setdefault((work.name, tracer.name), []).append(spent)
        print_work(place, work, all_tracers, times)
    return times


def print_work(place, work, all_tracers, times):
    print("%s, %s" % (work.name, place))
    base = None
    for tracer in all_tracers:
        if (work.name, tracer.name) not in times:
            continue
        median = statistics.median(times[work.name, tracer.name])
        base = base or median
        print("  %-22s %14.1f us per %s %10.2f times" % (tracer.name, median / 1000, work.unit, median / base),
              flush=True)


def bounded(medians):
    """The ratios that have bounds."""
    rows = []
    for place, work, tracer, base_work, base, bound in BOUNDS:
        over, under = medians.get((place, work, tracer)), medians.get((place, base_work, base))
        if over is not None and under is not None:
            rows.append({"place": place, "work": work, "tracer": tracer, "against": "%s, %s" % (base_work, base),
                         "ratio": over / under, "bound": bound, "kept": over / under <= bound})
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="")
    parser.add_argument("--place", choices=["pinned", "free"])
    parser.add_argument("--realtime", action="store_true")
    parser.add_argument("--when-idle", action="store_true")
    parser.add_argument("--json")
    parser.add_argument("--svg")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("tools", nargs="+")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rounds = 1
    tools = {name: os.path.abspath(path) for name, path in (tool.split("=", 1) for tool in arguments.tools)}
    only = set(arguments.only.split(",")) - {""}
    medians, raw = {}, []
    load, (idle, ticks) = os.getloadavg(), idle_share()
    with tempfile.TemporaryDirectory() as directory:
        environment = dict(os.environ, UTRACE_SOCKET_DIR=os.path.join(directory, "server"))
        every_tracer = tracers.all_tracers(tools, directory)
        every_work = works.all_works(tools, arguments.quick)
        unknown = only - {work.name for work in every_work} - {pairs.NAME}
        if unknown:
            sys.exit("there is no work " + ", ".join(sorted(unknown)))
        chosen = [work for work in every_work if not only or work.name in only]
        measured = {}
        for place in [arguments.place] if arguments.place else ["pinned", "free"]:
            measured[place] = measure(place, chosen, every_tracer, arguments, directory, environment)
        if (not only or pairs.NAME in only) and arguments.place is None and len(os.sched_getaffinity(0)) > 1:
            measured["apart"] = pairs.measure(tools, arguments.rounds, arguments.quick)
        for place, times in measured.items():
            for (work, tracer), spent in times.items():
                medians[place, work, tracer] = statistics.median(spent)
                raw.append({"place": place, "work": work, "tracer": tracer, "nanoseconds": spent})
    rows = bounded(medians)
    print("\n%-11s %-11s %-20s against %-28s ratio   at most" % ("place", "work", "tracer", ""))
    for row in rows:
        print("%(place)-11s %(work)-11s %(tracer)-20s %(against)-36s %(ratio)6.3f   %(bound)5.2f" % row
              + ("" if row["kept"] else "  MISSED"))
    idle, ticks = (now - before for now, before in zip(idle_share(), (idle, ticks)))
    machine = {"processors": os.cpu_count(), "kernel": os.uname().release, "load_before": load,
               "load_after": os.getloadavg(), "idle_share": idle / max(ticks, 1), "rounds": arguments.rounds}
    print("load %.1f before and %.1f after, processors idle for %.0f %% of the time"
          % (load[0], machine["load_after"][0], 100 * machine["idle_share"]))
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump({"machine": machine, "bounds": rows, "times": raw}, file, indent=1)
    if arguments.svg:
        chart.draw_all(arguments.svg, medians)


if __name__ == "__main__":
    main()
