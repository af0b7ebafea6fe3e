#!/usr/bin/env python3
"""The text that a mutant replaces occurs exactly once in its file: a change of the code that leaves a
mutant behind is seen at once, and not when all of them are built.

Argument: a list of objects with a mutant's name, its file and the text (JSON).
"""

import json
import sys


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        texts = json.load(file)["texts"]
    if not texts:
        sys.exit("there is no mutant")
    bad = 0
    for mutant in texts:
        with open(mutant["file"], encoding="utf-8") as file:
            count = file.read().count(mutant["find"])
        if count != 1:
            bad += 1
            print(f"{mutant['name']}: {mutant['find']!r} occurs {count} times in {mutant['file']}; "
                  "let the mutant follow the code (conformance/mutants/chapter_*.bzl)")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
