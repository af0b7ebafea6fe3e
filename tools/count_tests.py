#!/usr/bin/env python3
"""Counts the test cases behind one run of `bazel test`.

usage: count_tests.py BAZEL_OUTPUT TESTLOGS

BAZEL_OUTPUT is what the run printed: its closing summary says which targets the run stands for,
also those whose cached result was taken, and nothing else in TESTLOGS (`bazel info bazel-testlogs`)
is looked at, so results left behind by removed or unbuilt targets do not count. Each target's cases
come from its test.xml. A target without cases counts as one, and one that failed although none of
its cases did (a crash, a leak found at exit, a timeout) counts as one failure more.

Prints a line for each failed case and each target without a result, and on the last line
`N passed, N failed`. Exits with 1 if anything failed or nothing ran.
"""

import collections
import os
import re
import sys
import xml.etree.ElementTree

Target = collections.namedtuple("Target", "label status shards")

# `//pkg:name   (cached) PASSED in 0.1s`, `//pkg:name  FLAKY, failed in 1 out of 2 in 0.1s`
SUMMARY_LINE = re.compile(r"(//\S*)\s+(?:\([^)]*cached\) )?([A-Z][A-Z ]*[A-Z])(?=,| in |\s*$)")
SHARDS_LINE = re.compile(r"\s+Stats over (\d+) runs:")


def targets_of(output):
    """The targets in the closing summary of Bazel's output, as a list of Target."""
    lines = output.splitlines()
    # The output of failed tests, which may look like anything, comes before this line.
    starts = [n for n, line in enumerate(lines) if line.startswith("INFO: Elapsed time: ")]
    targets = []
    for line in lines[starts[-1] :] if starts else []:
        if match := SUMMARY_LINE.match(line):
            targets.append(Target(match[1], match[2], 0))
        elif (match := SHARDS_LINE.match(line)) and targets:
            targets[-1] = targets[-1]._replace(shards=int(match[1]))
    return targets


def reports_of(target, testlogs):
    """The paths of the target's XML reports, one for each shard."""
    directory = os.path.join(testlogs, *target.label[2:].split(":"))
    if not target.shards:
        return [os.path.join(directory, "test.xml")]
    names = [f"shard_{n + 1}_of_{target.shards}" for n in range(target.shards)]
    return [os.path.join(directory, name, "test.xml") for name in names]


def cases_of(report):
    """Yields (name, verdict) for each case in a JUnit file: "passed", "failed" or "skipped"."""
    try:
        root = xml.etree.ElementTree.parse(report).getroot()
    except (OSError, xml.etree.ElementTree.ParseError):
        return
    for case in root.iter("testcase"):
        name = ".".join(filter(None, [case.get("classname"), case.get("name")]))
        if case.find("failure") is not None or case.find("error") is not None:
            yield name, "failed"
        elif case.find("skipped") is not None or case.get("status") == "notrun":
            yield name, "skipped"
        else:
            yield name, "passed"


def count(targets, testlogs):
    """Returns (counts by verdict, lines to print about what did not pass)."""
    counts = collections.Counter()
    lines = []

    def failed(what):
        counts["failed"] += 1
        lines.append(f"FAILED {what}")

    for target in targets:
        if target.status in ("NO STATUS", "INCOMPLETE"):
            lines.append(f"NO RESULT {target.label}")
            continue
        if target.status == "FAILED TO BUILD":
            failed(f"{target.label} (to build)")
            continue
        passed = target.status in ("PASSED", "FLAKY")
        cases = [case for report in reports_of(target, testlogs) for case in cases_of(report)]
        if passed and not cases:
            counts["passed"] += 1
        for name, verdict in cases:
            if verdict == "failed":
                failed(f"{target.label} {name}")
            else:
                counts[verdict] += 1
        if not passed and all(verdict != "failed" for _, verdict in cases):
            failed(f"{target.label} ({target.status})")
    return counts, lines


def main(output_file, testlogs):
    with open(output_file, encoding="utf-8", errors="replace") as file:
        targets = targets_of(file.read())
    counts, lines = count(targets, testlogs)
    for line in lines:
        print(line)
    if counts["skipped"]:
        print(f"{counts['skipped']} skipped")
    print(f"{counts['passed']} passed, {counts['failed']} failed")
    return 0 if counts["passed"] and not counts["failed"] else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
