#!/usr/bin/env python3
"""The library needs the C library alone, and shows nothing but what it stands in front of."""

import re
import subprocess
import sys
import unittest

LIBRARY = sys.argv.pop(1)


def output(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=60).stdout


class Library(unittest.TestCase):
    def test_needs_the_c_library_alone(self):
        needed = re.findall(r"\(NEEDED\).*\[(.*)\]", output("readelf", "-dW", LIBRARY))
        self.assertTrue(needed)
        for name in needed:
            self.assertRegex(name, r"^(libc\.so\.6|ld-linux.*)$")

    def test_shows_only_what_the_c_library_has(self):
        def names(library):
            # Small letters are local.
            lines = [line.split() for line in
                     output("nm", "-D", "--defined-only", library).splitlines()]
            return {name.split("@")[0] for _, kind, name in lines if kind.isupper() or kind in "iw"}

        libc = re.search(r"libc\.so\.6 => (\S+)", output("ldd", LIBRARY)).group(1)
        shown = names(LIBRARY) - {"__bss_start", "_edata", "_end"}
        self.assertGreaterEqual(shown, {"ptrace", "wait4", "waitpid", "waitid", "sigaction", "syscall"})
        self.assertEqual(shown - names(libc), set())


if __name__ == "__main__":
    unittest.main(verbosity=2)
