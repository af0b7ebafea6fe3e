#!/usr/bin/env python3
"""Two gdbs with the same breakpoint on one program.

  two_gdbs_test.py UTRACE COUNTING TURNS
"""

import os
import re
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from demo_sharing import DEADLINE, Gdb

UTRACE, COUNTING, TURNS = (os.path.abspath(path) for path in sys.argv[1:4])


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


class BothContinue(unittest.TestCase):
    """Both continue again and again: who is at the breakpoint waits for the other without knowing of it."""

    CALLS = 6

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        os.environ["UTRACE_SOCKET_DIR"] = os.path.join(directory.name, "server.d")

    def start(self, *command):
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True)

        def end():
            process.kill()
            process.wait()
            process.stdin.close()
            process.stdout.close()

        self.addCleanup(end)
        return process

    def start_gdb(self, pid, *settings):
        """One that has attached, and will say of each call which it is, until the program has ended."""
        commands = ["set width 0", *settings, "break place", "echo ready\\n"]
        commands += ["continue", "print number"] * self.CALLS + ["continue"]
        script = [word for command in commands for word in ("-ex", command)]
        gdb = self.start(UTRACE, "wrap", "--", "gdb", "-q", "-nx", "-batch", "-p", pid, *script)
        for line in gdb.stdout:
            if line == "ready\n":
                return gdb
        self.fail("gdb has not attached")

    def expect_each_hears(self, threads, *settings):
        program = self.start(TURNS, str(threads), str(self.CALLS))
        pid = program.stdout.readline().strip()
        gdbs = [self.start_gdb(pid, *settings) for _ in range(2)]
        program.stdin.write("x")
        program.stdin.flush()
        for gdb in gdbs:
            said, _ = gdb.communicate(timeout=DEADLINE)
            heard = [int(number) for number in re.findall(r"^\$\d+ = (\d+)$", said, re.MULTILINE)]
            self.assertEqual(heard, list(range(1, self.CALLS + 1)), said)
            self.assertIn("exited normally", said)
        self.assertEqual(program.communicate(timeout=DEADLINE)[0], f"last call: {self.CALLS}\n")

    def test_both_hear_of_each_hit(self):
        for threads in (0, 1, 3):
            with self.subTest(threads=threads):
                self.expect_each_hears(threads, "set displaced-stepping off")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
