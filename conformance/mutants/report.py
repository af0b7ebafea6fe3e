#!/usr/bin/env python3
"""Judges mutants by the tests of the clause each breaks, and prints how many are caught, by clause.

Arguments: the driver, the runner, the puppet, the unchanged implementation, the specification, and the
list of mutants (JSON, beside the shared objects lib<name>.so); then, from whoever runs it, clauses,
families or names of mutants to which to restrict it.

A mutant is caught if a test of the clause it breaks says FAIL, or if it crashes or hangs in one. That
the kit breaks, or that the object cannot be loaded, does not count.

The unchanged implementation is judged before the mutants of each clause: if it fails itself, they are
not judged, for to be caught would show nothing.

Exit status: 0 if every MUST clause asked about has a mutant or a reason to have none, and all mutants
are caught; else 1. 2 on wrong use, or if the unchanged implementation failed a test.
"""

import concurrent.futures
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

# A mutant often makes a test wait for what never comes. The unchanged implementation is run with the
# same deadlines, so they convict nobody by being short.
DEADLINES = {"UTRACE_KIT_DEADLINE_MS": "5000", "UTRACE_KIT_WATCHDOG_MS": "20000"}
# Beyond every deadline that the driver keeps itself for one test.
DRIVER_GUARD_SECONDS = 150


class Judge:
    """The suite, for one implementation after the other."""

    def __init__(self, driver, runner, puppet):
        self.driver = driver
        self.runner = runner
        self.puppet = puppet
        self.tests = {}
        listed = subprocess.run([runner, "--list"], stdout=subprocess.PIPE, text=True, check=True)
        for test in listed.stdout.split():
            self.tests.setdefault(test.split(".")[0].replace("_", "-"), []).append(test)

    def run(self, implementation, only, guard):
        """The driver's exit status and what it printed; None as status if it did not end in time."""
        with tempfile.TemporaryDirectory() as scratch:
            environment = {**os.environ, **DEADLINES, "TEST_TMPDIR": scratch}
            for name in ("XML_OUTPUT_FILE", "TEST_UNDECLARED_OUTPUTS_DIR", "TESTBRIDGE_TEST_ONLY"):
                environment.pop(name, None)
            with subprocess.Popen(
                    [self.driver, f"--runner={self.runner}", f"--puppet={self.puppet}",
                     f"--implementation={implementation}", "--jobs=1", f"--only={only}"],
                    env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                    errors="replace", start_new_session=True) as process:
                try:
                    output, _ = process.communicate(timeout=guard)
                    return process.returncode, output
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    output, _ = process.communicate()
                    return None, output

    def catch(self, implementation, clause):
        """(whether it is caught, by which test and how; or what was said instead)."""
        words = []
        for test in self.tests.get(clause, []):
            status, output = self.run(implementation, test, DRIVER_GUARD_SECONDS)
            if status == 1:  # one test was run, and it found the implementation at fault
                return True, f"{test} {manner(output, test)}"
            if status != 0:
                words.append(f"{test}: the driver "
                             f"{'hung' if status is None else f'ended with status {status}'}\n{output}")
        return False, "\n".join(words)


def manner(output, test):
    """How a test failed, from the driver's words about it."""
    crash = re.search(rf"crashed by (\w+) in {re.escape(test)}", output)
    if crash:
        return f"(the host died in it by {crash.group(1)})"
    if f"hung in {test}" in output or re.search(r"\bhung for \d+ ms while", output):
        return "(the host hung in it)"
    return "says FAIL"


def must_clauses(spec):
    with open(spec, encoding="utf-8") as file:
        return re.findall(r"^- \*\*\[([A-Z]+-\d+)\]\*\* MUST", file.read(), re.MULTILINE)


class Progress:
    """A line for each mutant as it is judged; on a terminal also what is running."""

    def __init__(self, total):
        self.lock = threading.Lock()
        self.total = total
        self.done = 0
        self.running = []
        self.start = time.monotonic()

    def started(self, name):
        with self.lock:
            self.running.append(name)
            self.refresh()

    def stopped(self, name):
        with self.lock:
            self.running.remove(name)

    def ended(self, line):
        with self.lock:
            self.done += 1
            self.clear()
            print(f"[{self.done}/{self.total}] {line}", flush=True)
            self.refresh()

    def clear(self):
        if sys.stdout.isatty():
            print("\r\033[K", end="", flush=True)

    def refresh(self):
        if sys.stdout.isatty():
            self.clear()
            seconds = time.monotonic() - self.start
            print(f"{seconds:.0f} s  {', '.join(self.running)}"[:79], end="", flush=True)


def judge_all(judge, original, mutants, directory):
    """Name of a mutant -> whether it is caught; None if the unchanged implementation is, too."""
    progress = Progress(len(mutants))
    by_clause = {}
    for mutant in mutants:
        by_clause.setdefault(mutant["clause"], []).append(mutant)

    def one_clause(item):
        clause, its = item
        # Right before its mutants, so that all meet the same machine.
        progress.started(clause)
        status, output = judge.run(original, clause, None)
        progress.stopped(clause)
        verdicts = {}
        for mutant in its:
            line = f"{clause} {mutant['name']}: "
            if status != 0:
                verdicts[mutant["name"]] = None
                progress.ended(f"{line}NOT JUDGED: the unchanged implementation does not pass "
                               f"the tests of {clause}\n{output}".rstrip())
                continue
            progress.started(mutant["name"])
            caught, words = judge.catch(f"{directory}/lib{mutant['name']}.so", clause)
            progress.stopped(mutant["name"])
            verdicts[mutant["name"]] = caught
            line += f"caught: {words}" if caught else f"NOT CAUGHT: {mutant['wrong']}\n{words}"
            progress.ended(line.rstrip())
        return verdicts

    # As many at a time as tests of the suite itself run; the rest of their time they wait.
    verdicts = {}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for part in pool.map(one_clause, by_clause.items()):
            verdicts.update(part)
    progress.clear()
    return verdicts


def print_summary(required, mutants, caught, not_told_apart):
    """Caught/total by clause, and what is missing. The exit status."""
    by_clause = {clause: [] for clause in required}
    for mutant in mutants:
        by_clause.setdefault(mutant["clause"], []).append(mutant)
    print("\nclause   caught/total")
    for clause, its in by_clause.items():
        if its:
            print(f"{clause:8} {sum(bool(caught[mutant['name']]) for mutant in its)}/{len(its)}")
    apart = [clause for clause in required if not by_clause[clause] and clause in not_told_apart]
    without = [clause for clause in required if not by_clause[clause] and clause not in apart]
    missed = [mutant for mutant in mutants if caught[mutant["name"]] is False]
    not_judged = [mutant for mutant in mutants if caught[mutant["name"]] is None]
    have = len(required) - len(apart) - len(without)
    print(f"\n{len(mutants) - len(missed) - len(not_judged)} of {len(mutants)} mutants caught; "
          f"{have} of {len(required)} MUST clauses have one")
    for mutant in missed:
        print(f"not caught: {mutant['clause']} {mutant['name']} ({mutant['file']}): {mutant['wrong']}")
    for mutant in not_judged:
        print(f"not judged: {mutant['clause']} {mutant['name']}")
    for clause in apart:
        print(f"cannot be told apart here: {clause}: {not_told_apart[clause]}")
    if without:
        print("without a mutant: " + " ".join(without))
    if not_judged:
        return 2
    return 1 if missed or without else 0


def select(mutants, required, wanted):
    """The mutants and the MUST clauses that `wanted` names, and those words that name none."""
    if not wanted:
        return mutants, required, []

    def clause_is(clause, word):
        return word.upper() in (clause, clause.split("-")[0])

    chosen = [mutant for mutant in mutants
              if any(word == mutant["name"] or clause_is(mutant["clause"], word) for word in wanted)]
    clauses = [clause for clause in required if any(clause_is(clause, word) for word in wanted)]
    unknown = [word for word in wanted
               if not any(word == mutant["name"] for mutant in mutants)
               and not any(clause_is(clause, word) for clause in required)]
    # One named by itself says nothing of other clauses.
    clauses += [mutant["clause"] for mutant in chosen if mutant["clause"] not in clauses]
    return chosen, list(dict.fromkeys(clauses)), unknown


def main():
    driver, runner, puppet, original, spec, list_path, *wanted = sys.argv[1:]
    with open(list_path, encoding="utf-8") as file:
        listed = json.load(file)
    every = must_clauses(spec)
    strangers = {mutant["clause"] for mutant in listed["mutants"]} | set(listed["not_told_apart"])
    strangers -= set(every)
    mutants, required, unknown = select(listed["mutants"], every, wanted)
    if unknown or strangers:
        print("no MUST clause, family or mutant: " + ", ".join(unknown + sorted(strangers)))
        return 2

    judge = Judge(driver, runner, puppet)
    caught = judge_all(judge, original, mutants, os.path.dirname(list_path))
    return print_summary(required, mutants, caught, listed["not_told_apart"])


if __name__ == "__main__":
    sys.exit(main())
