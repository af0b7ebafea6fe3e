#!/usr/bin/env python3
"""Runs the clause tests on the minimal implementation, and compares what fails with what is to fail.

Arguments: the runner, the shared object, the list, and optionally clauses or families to which to
restrict it. A line of the list is a clause and why it fails; "#" begins a comment. The test fails if a
clause fails that is not listed, if one that is listed does not fail, and if anything is broken.
"""

import collections
import concurrent.futures
import json
import os
import subprocess
import sys
import tempfile

# The implementation makes many tests wait for what never comes.
DEADLINES = {"UTRACE_KIT_DEADLINE_MS": "4000", "UTRACE_KIT_WATCHDOG_MS": "30000"}


def clause_of(test):
    return test.split(".")[0].replace("_", "-")


def read_list(path):
    clauses = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            clause, _, reason = line.split("#")[0].strip().partition(" ")
            if clause:
                clauses[clause] = reason.strip()
    return clauses


class Suite:
    def __init__(self, runner, implementation):
        self.runner = runner
        self.implementation = implementation
        self.environment = {**os.environ, **DEADLINES}
        # Under Bazel, what fails in a runner is no case of this test: the report is not its to write.
        self.environment.pop("XML_OUTPUT_FILE", None)

    def tests(self):
        listed = subprocess.run([self.runner, "--list"], stdout=subprocess.PIPE, text=True, check=True)
        return listed.stdout.split()

    def run(self, test):
        """The result that the runner wrote for one test, run in a process of its own."""
        with tempfile.TemporaryDirectory() as scratch:
            path = os.path.join(scratch, "result")
            ended = subprocess.run(
                [self.runner, "--implementation", self.implementation, "--result", path,
                 "--gtest_filter=" + test],
                env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                text=True, errors="replace", check=False)
            with open(path, encoding="utf-8") as file:
                lines = file.read().splitlines()
        if len(lines) != 1:  # it crashed, which is the implementation's doing
            return {"id": test, "verdict": "FAIL",
                    "message": f"ended with status {ended.returncode}:\n{ended.stdout[-2000:]}"}
        return json.loads(lines[0])


def main(runner, implementation, expected_path, only):
    expected = read_list(expected_path)
    suite = Suite(runner, implementation)
    tests = suite.tests()
    if only:
        tests = [t for t in tests if clause_of(t) in only or clause_of(t).split("-")[0] in only]
        expected = {c: r for c, r in expected.items() if c in only or c.split("-")[0] in only}
    with concurrent.futures.ThreadPoolExecutor(max_workers=4) as pool:
        results = list(pool.map(suite.run, tests))
    verdicts = collections.Counter(result["verdict"] for result in results)
    print(", ".join(f"{count} {verdict}" for verdict, count in sorted(verdicts.items())))
    failed = {}
    wrong = 0
    for result in results:
        if result["verdict"] == "FAIL":
            failed.setdefault(clause_of(result["id"]), []).append(result)
        if result["verdict"] == "BROKEN":
            wrong += 1
            print(f"BROKEN {result['id']}: {result['message']}")
    for clause in sorted(failed):
        if clause not in expected:
            wrong += 1
            print(f"{clause} fails and is not listed:")
            for result in failed[clause]:
                print(f"  {result['id']}: {result['message']}")
    for clause in sorted(expected):
        if clause not in failed:
            wrong += 1
            print(f"{clause} is listed ({expected[clause]}) and does not fail")
    if verdicts["PASS"] == 0:
        wrong += 1
        print("no test passed")
    return 1 if wrong else 0


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]))
