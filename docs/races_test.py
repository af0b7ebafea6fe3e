#!/usr/bin/env python3
"""Every test that docs/races.md names exists, under the label that it is named with.

Arguments: races.md, spec.md, a file with the labels that exist, and the sources of tests.
"""

import re
import sys

RACES = 12
# Where the tests of a label are written, and as what. `chapter` is for the clause tests of a chapter.
WRITTEN = [
    (r"//conformance:chapter_(?P<chapter>\d\d)_test", r"conformance/clauses/", ["CLAUSE_TEST"]),
    (r"//core/model/races:races_\d_test", r"core/model/races/", ["RACE"]),
    (r"//core/checks/relacy:(?P<check>\w+)_test", r"core/checks/relacy/", None),
    (r"//core:(?P<file>\w+)", r"core/", ["TEST", "TEST_F"]),
]


def chapters(spec):
    """The number of the chapter in which each clause is."""
    chapter_of = {}
    chapter = None
    for line in spec.splitlines():
        heading = re.match(r"## (\d+)\. ", line)
        if heading:
            chapter = int(heading.group(1))
        clause = re.match(r"- \*\*\[(\w+-\d+)\]\*\*", line)
        if clause:
            chapter_of[clause.group(1)] = chapter
    return chapter_of


def fault_of(label, test, sources, chapter_of):
    """Why there is no such test, or None."""
    for pattern, directory, macros in WRITTEN:
        match = re.fullmatch(pattern, label)
        if not match:
            continue
        names = match.groupdict()
        files = {path: text for path, text in sources.items() if path.startswith(directory)}
        if names.get("check"):
            files = {path: text for path, text in files.items() if path.endswith("/%s_check.cc" % names["check"])}
        if names.get("file"):
            files = {path: text for path, text in files.items() if path == "core/%s.cc" % names["file"]}
        if not files:
            return "no source of its tests is known"
        if macros is None:
            wanted = re.escape('("%s")' % test)
        else:
            suite, _, name = test.partition(".")
            wanted = r"\b(%s)\(\s*%s,\s*%s\)" % ("|".join(macros), re.escape(suite), re.escape(name))
        if not any(re.search(wanted, text) for text in files.values()):
            return "no source has a test of that name"
        if names.get("chapter"):
            clause = test.partition(".")[0].replace("_", "-")
            if chapter_of.get(clause) != int(names["chapter"]):
                return "%s is a clause of chapter %s" % (clause, chapter_of.get(clause))
        return None
    return "labels of this kind are not known here"


def main():
    races, spec, labels = (open(path, encoding="utf-8").read() for path in sys.argv[1:4])
    sources = {path: open(path, encoding="utf-8").read() for path in sys.argv[4:]}
    existing = set(labels.split())
    chapter_of = chapters(spec)
    faults = []
    rows = {}
    for line in races.splitlines():
        row = re.match(r"\| (\d+) \|.*\| ([^|]*) \|$", line)
        if not row:
            continue
        number, tests = int(row.group(1)), row.group(2)
        rows[number] = 0
        for group in tests.split(";"):
            label, *names = re.findall(r"`([^`]*)`", group)
            if label not in existing:
                faults.append("race %d: there is no %s" % (number, label))
            if not names:
                faults.append("race %d: names no test of %s" % (number, label))
            for name in names:
                rows[number] += 1
                fault = fault_of(label, name, sources, chapter_of)
                if fault:
                    faults.append("race %d: %s %s: %s" % (number, label, name, fault))
    if sorted(rows) != list(range(1, RACES + 1)):
        faults.append("races 1 to %d are wanted, there are %s" % (RACES, sorted(rows)))
    print("%d races, %d tests named" % (len(rows), sum(rows.values())))
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
