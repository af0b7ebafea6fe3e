#!/usr/bin/env python3
"""Copies a file with one piece of text replaced; fails unless the text occurs exactly once."""

import sys


def main():
    source, target, find, replace = sys.argv[1:]
    with open(source, encoding="utf-8") as file:
        text = file.read()
    count = text.count(find)
    if count != 1:
        sys.exit(f"{source}: {find!r} occurs {count} times; a mutant needs it exactly once")
    with open(target, "w", encoding="utf-8") as file:
        file.write(text.replace(find, replace))


if __name__ == "__main__":
    main()
