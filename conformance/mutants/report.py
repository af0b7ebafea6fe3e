#!/usr/bin/env python3
"""Judges every mutant by the tests of the clause it breaks, and prints how many are caught, by clause.

Arguments: the driver, the runner, the puppet, the unchanged implementation, the specification, and
CLAUSE=FILE for each mutant; then, from whoever runs it, clauses or families to which to restrict it.
Exit status: 0 if every MUST clause asked about has a mutant and all mutants are caught, else 1; 2 if
the unchanged implementation fails a test itself, for then a caught mutant would show nothing.
"""

import os
import re
import subprocess
import sys

# A mutant often makes a test wait for what never comes. The unchanged implementation is run with the
# same deadlines, so they convict nobody by being short.
DEADLINES = {"UTRACE_KIT_DEADLINE_MS": "5000", "UTRACE_KIT_WATCHDOG_MS": "20000"}


def judge(driver, runner, puppet, implementation, clauses):
    """The driver's exit status and what it printed."""
    environment = {k: v for k, v in os.environ.items() if k != "XML_OUTPUT_FILE"}
    environment.update(DEADLINES)
    result = subprocess.run(
        [driver, f"--runner={runner}", f"--puppet={puppet}", f"--implementation={implementation}",
         "--only=" + ",".join(clauses)],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return result.returncode, result.stdout


def must_clauses(spec):
    with open(spec, encoding="utf-8") as file:
        return re.findall(r"^- \*\*\[([A-Z]+-\d+)\]\*\* MUST", file.read(), re.MULTILINE)


def main():
    driver, runner, puppet, original, spec, *rest = sys.argv[1:]
    mutants = [argument.split("=", 1) for argument in rest if "=" in argument]
    wanted = [argument.upper() for argument in rest if "=" not in argument]

    def asked(clause):
        return not wanted or clause in wanted or clause.split("-")[0] in wanted

    mutants = [(clause, file) for clause, file in mutants if asked(clause)]
    required = [clause for clause in must_clauses(spec) if asked(clause)]
    if not mutants:
        print("no mutant breaks " + ", ".join(wanted))
        return 1

    clauses = list(dict.fromkeys(clause for clause, _ in mutants))
    status, output = judge(driver, runner, puppet, original, clauses)
    if status != 0:
        print(output)
        print("the unchanged implementation does not pass these tests: no mutant is judged")
        return 2

    caught = {clause: [0, 0] for clause in clauses}
    missed = []
    for number, (clause, file) in enumerate(mutants, 1):
        name = os.path.basename(file)[len("lib"):-len(".so")]
        # Status 1: a test found the implementation at fault, and only tests of the clause were run.
        # Any other is trouble of another kind.
        status, output = judge(driver, runner, puppet, file, [clause])
        good = status == 1
        caught[clause][0] += good
        caught[clause][1] += 1
        if not good:
            missed.append(f"{clause} {name} (exit status {status})")
            print(output)
        print(f"[{number}/{len(mutants)}] {clause} {name}: {'caught' if good else 'NOT CAUGHT'}",
              flush=True)

    print("\nclause   caught/total")
    for clause, (good, total) in caught.items():
        print(f"{clause:8} {good}/{total}")
    without = [clause for clause in required if clause not in caught]
    good = sum(counts[0] for counts in caught.values())
    print(f"\n{good} of {len(mutants)} mutants caught; "
          f"{len(required) - len(without)} of {len(required)} MUST clauses have one")
    if missed:
        print("not caught: " + "; ".join(missed))
    if without:
        print("without a mutant: " + " ".join(without))
    return 1 if missed or without else 0


if __name__ == "__main__":
    sys.exit(main())
