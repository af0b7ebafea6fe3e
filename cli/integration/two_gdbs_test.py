#!/usr/bin/env python3
"""Two gdbs with the same breakpoint on one program.

  two_gdbs_test.py UTRACE COUNTING
"""

import os
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from demo_sharing import DEADLINE, Gdb

UTRACE, COUNTING = (os.path.abspath(path) for path in sys.argv[1:3])


class SameBreakpoint(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        os.environ["UTRACE_SOCKET_DIR"] = os.path.join(directory.name, "server.d")
        self.program = subprocess.Popen([COUNTING], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)
        self.addCleanup(self.program.stdout.close)
        self.addCleanup(self.program.wait)
        self.addCleanup(self.program.kill)
        pid = int(self.program.stdout.readline())
        self.gdbs = [Gdb(UTRACE, pid, f"(gdb {n})") for n in (1, 2)]
        for gdb in self.gdbs:
            self.addCleanup(gdb.process.wait)
            self.addCleanup(gdb.process.kill)
            gdb.do("set breakpoint always-inserted on")

    def expect_unharmed(self, attached):
        for gdb in attached:
            gdb.do("detach")
            gdb.end()
        output, _ = self.program.communicate("", timeout=DEADLINE)
        self.assertIn("nothing was noticed", output)
        self.assertEqual(self.program.returncode, 0)

    def test_the_second_sees_the_original_byte(self):
        first, second = self.gdbs
        before = second.do("x/8xb milestone")
        first.do("break milestone")
        self.assertEqual(second.do("x/8xb milestone"), before)
        second.do("break milestone")
        # The first takes its own away, and the other one's stays.
        first.do("delete")
        self.assertEqual(first.do("x/8xb milestone"), before)
        self.assertEqual(second.do("x/8xb milestone"), before)
        first.do("detach")
        first.end()
        self.assertIn("hit Breakpoint 1, milestone", second.do("continue"))
        second.do("delete")
        self.expect_unharmed([second])

    def test_one_leaves_with_its_breakpoint_inserted(self):
        first, second = self.gdbs
        for gdb in self.gdbs:
            gdb.do("break milestone")
        first.do("detach")
        first.end()
        for _ in range(2):
            self.assertIn("hit Breakpoint 1, milestone", second.do("continue"))
        second.do("delete")
        self.expect_unharmed([second])

    def test_one_is_killed_with_its_breakpoint_inserted(self):
        first, second = self.gdbs
        for gdb in self.gdbs:
            gdb.do("break milestone")
        first.process.kill()
        first.process.wait()
        for _ in range(2):
            self.assertIn("hit Breakpoint 1, milestone", second.do("continue"))
        second.do("delete")
        self.expect_unharmed([second])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
