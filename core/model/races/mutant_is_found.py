#!/usr/bin/env python3
"""Usage: mutant_is_found.py PROGRAM SCENE

PROGRAM explores race scenes over a core that is wrong in one point. It must fail in SCENE, print one
line that repeats the failure, and what that line says must repeat it: twice, the same.
"""
import os
import re
import subprocess
import sys


def run(program, scene, schedule):
    # What fails in there is no case of this test: Bazel's report is not its to write.
    environment = {name: value for name, value in os.environ.items() if name != "XML_OUTPUT_FILE"}
    done = subprocess.run(
        [program, f"--gtest_filter={scene}", f"--schedule={schedule}", "--gtest_print_time=0"],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.returncode, done.stdout


def failure_of(output):
    found = re.search(r"^Failed\n(.*)$", output, re.M)
    return found.group(1) if found else None


def main():
    program, scene = sys.argv[1:]
    status, output = run(program, scene, "exhaustive:2")
    line = re.search(r"^repeat with: --gtest_filter=(\S+) --schedule=(replay:\S*)$", output, re.M)
    if status == 0 or not line:
        sys.exit(f"{scene} did not notice the mutant, or named no schedule:\n{output}")
    first = failure_of(output)
    print(f"{scene} fails: {first}\n{line.group(0)}")
    for _ in range(2):
        status, output = run(program, line.group(1), line.group(2))
        if status == 0 or failure_of(output) != first:
            sys.exit(f"the schedule did not repeat the failure:\n{output}")
    print("repeated twice, the same")


main()
