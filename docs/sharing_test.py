#!/usr/bin/env python3
"""Every rule of docs/sharing.md names tests, and every test and clause that the page names exists.

Arguments: sharing.md, spec.md, sharing_test.cc, and the sources of the clause tests.
"""

import re
import sys


def main():
    page, spec, *sources = (open(path, encoding="utf-8").read() for path in sys.argv[1:])
    tests = set()
    for text in sources:
        for suite, name in re.findall(r"\b(?:CLAUSE_TEST|TEST_F)\(\s*(\w+),\s*(\w+)\)", text):
            tests.add(suite + "." + name)
    clauses = set(re.findall(r"- \*\*\[(\w+-\d+)\]\*\*", spec))
    faults = []
    rules = 0
    for number, line in enumerate(page.splitlines(), 1):
        row = re.match(r"\| (.*) \| ([^|]*) \|$", line)
        for test in re.findall(r"`((?:[A-Z]{3}_\d\d|Sharing)\.\w+)`", line):
            if test not in tests:
                faults.append("line %d: there is no test %s" % (number, test))
        for group in re.findall(r"\[([A-Z]{3}-\d\d[^]]*)\]", line):
            for clause in group.split(", "):
                if clause not in clauses:
                    faults.append("line %d: there is no clause %s" % (number, clause))
        if row and row.group(2) == "tests":
            rules_follow = True
        elif not row and not line.startswith("|--"):
            rules_follow = False
        elif row and rules_follow:
            rules += 1
            if "`" not in row.group(2):
                faults.append("line %d: the rule names no test" % number)
    unnamed = {test for test in tests if test.startswith("Sharing.")} - set(re.findall(r"`(\S+)`", page))
    faults += ["%s is not named" % test for test in sorted(unnamed)]
    if rules < 10:
        faults.append("only %d rules were found" % rules)
    print("%d rules" % rules)
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
