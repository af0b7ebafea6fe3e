#!/usr/bin/env python3
"""The probe cases under the kernel's ptrace and under ptrace_compat: the same output?

  compare_cases.py --cases PROGRAM --utrace PROGRAM [--docs FILE] [--group PREFIX]... [--only NAME]...
  compare_cases.py --cases PROGRAM --native RUNS [--group PREFIX]... [--only NAME]...

The first form runs each case once natively and once under `utrace wrap`, and compares what the tracer and
its tracees say and the exit status. The differences that FILE (docs/ptrace-compat.md) lists in the tables
of its section "Cases that differ" are expected. One that is not there any more is a failure too; but where
chance decides, and its line says so: it may show or not, and the run ends well in any case.

The second form runs each case RUNS times natively: its output must be the same each time.

Exit status: 0 all is as expected; 1 something is not; 2 wrong use.
"""

import argparse
import collections
import concurrent.futures
import difflib
import os
import re
import signal
import subprocess
import sys
import tempfile

DEADLINE = 30  # seconds for one run; a guard against hanging
PATIENCE = 5   # for one that is known to differ, perhaps by hanging
AT_ONCE = 16   # of those

Outcome = collections.namedtuple("Outcome", "tracer tracees status")


def run(command, environment, deadline):
    """What a command said and how it ended. It has a session of its own, of which nothing is left."""
    # Files, not pipes: whoever has inherited the end of a pipe would have to be waited for.
    with tempfile.TemporaryFile("w+", errors="replace") as out, \
         tempfile.TemporaryFile("w+", errors="replace") as error:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=error,
                                   env=environment, start_new_session=True)
        try:
            status = str(process.wait(timeout=deadline))
        except subprocess.TimeoutExpired:
            status = f"none within {deadline} seconds"
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
        out.seek(0)
        error.seek(0)
        return Outcome(out.read(), error.read(), status)


def documented(path):
    """Names of cases that differ, and of those that differ by chance."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    section = re.search(r"^## Cases that differ\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    names = {False: set(), True: set()}
    for line in section.group(1).splitlines() if section else []:
        cells = line.split("|")
        if len(cells) > 3:
            names[cells[2].lstrip().startswith("chance:")].update(re.findall(r"`(\w+)`", cells[1]))
    return names[False], names[True]


def show(native, wrapped):
    for field in Outcome._fields:
        one, other = getattr(native, field), getattr(wrapped, field)
        for line in difflib.unified_diff(one.splitlines(), other.splitlines(), f"native, {field}",
                                         f"wrapped, {field}", lineterm="", n=3):
            print("    " + line)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--cases", required=True)
    parser.add_argument("--utrace")
    parser.add_argument("--docs")
    parser.add_argument("--native", type=int, default=0)
    parser.add_argument("--deadline", type=int, default=DEADLINE)
    parser.add_argument("--group", action="append", default=[])
    parser.add_argument("--only", action="append", default=[])
    options = parser.parse_args()
    if bool(options.utrace) == bool(options.native):
        parser.error("either --utrace or --native")
    cases = os.path.abspath(options.cases)
    names = subprocess.run([cases, "--list"], stdout=subprocess.PIPE, text=True,
                           check=True).stdout.split()
    if options.group:
        names = [name for name in names if name.startswith(tuple(options.group))]
    if options.only:
        names = [name for name in names if name in options.only]
    if not names:
        parser.error("no such case")
    expected, chances = documented(options.docs) if options.docs else (set(), set())

    failures = []
    equal = differ = 0
    with tempfile.TemporaryDirectory() as directory, \
         concurrent.futures.ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        environment = dict(os.environ, UTRACE_SOCKET_DIR=os.path.join(directory, "server.d"))
        wrap = [os.path.abspath(options.utrace), "wrap", "--"] if options.utrace else []

        def outcomes(name):
            """Of a native run and of those that it is compared with."""
            case = [cases, "--only", name]
            deadline = PATIENCE if options.utrace and name in expected | chances else options.deadline
            native = run(case, environment, options.deadline)
            if native.status != "0" or "SCENE" in native.tracer + native.tracees:
                return native, None
            others = max(1, options.native - 1)
            return native, [run([*wrap, *case], environment, deadline) for _ in range(others)]

        # Those that may hang wait together; all others have the machine for themselves.
        known = {name: pool.submit(outcomes, name) for name in names if name in expected | chances}
        concurrent.futures.wait(known.values())
        for name in sorted(names):
            native, others = known[name].result() if name in known else outcomes(name)
            if others is None:
                print(f"{name}: natively it ends with status {native.status}\n{native.tracer}{native.tracees}")
                failures.append(name)
                continue
            different = next((other for other in others if other != native), None)
            if different:
                differ += 1
            else:
                equal += 1
            if name in chances and (not different or different.status == native.status):
                print(f"{name}: {'differs' if different else 'equal'}, by chance", flush=True)
                continue
            if bool(different) == (name in expected):
                print(f"{name}: {'differs, as documented' if different else 'equal'}", flush=True)
                continue
            failures.append(name)
            if different:
                print(f"{name}: DIFFERS")
                show(native, different)
            else:
                print(f"{name}: EQUAL, although {options.docs} says that it differs")
            sys.stdout.flush()
    print(f"{len(names)} cases: {equal} equal, {differ} different; {len(failures)} not as expected"
          + "".join("\n  " + name for name in failures))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
