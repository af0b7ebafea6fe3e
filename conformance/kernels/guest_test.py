#!/usr/bin/env python3
"""How guests end: guest.py must tell each way, and never take a failure for a result.

  guest_test.py ARCHITECTURE KERNEL IMAGE
"""

import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import guest

architecture, kernel, image = sys.argv[1:4]


def shell(script, name="job"):
    return guest.Job(name, ["/bin/sh", "-c", script])


class Guests(unittest.TestCase):

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.console = os.path.join(scratch.name, "console.log")

    def boot(self, *jobs, deadline=120, memory=512):
        return guest.boot(architecture, kernel, image, jobs, deadline, self.console, memory)

    def failure(self, *jobs, **options):
        with self.assertRaises(guest.GuestFailure) as caught:
            self.boot(*jobs, **options)
        return str(caught.exception)

    def test_jobs_leave_their_statuses_and_files(self):
        results = self.boot(
            shell('mkdir /out/deep; printf "%s" "$TEXT" > /out/deep/file; printf "\\0\\n\\377" > /out/bytes', "first")
            ._replace(environment={"TEXT": "of the first"}),
            shell("pwd > /out/where; exit 3", "second")._replace(directory="/tmp"),
            shell("kill -11 $$", "third"))
        self.assertEqual(results.statuses, {"first": 0, "second": 3, "third": -11})
        self.assertEqual(results.files,
                         {"deep/file": b"of the first", "bytes": b"\0\n\xff", "where": b"/tmp\n"})

    def test_what_a_job_prints_is_in_the_console_log(self):
        self.boot(shell("echo said; echo too >&2; [ -t 1 ] || echo no terminal"))
        with open(self.console, encoding="utf-8") as file:
            text = file.read()
        for line in ("said", "too", "no terminal"):
            self.assertIn(line, text)

    def test_a_panic_is_a_failure(self):
        said = self.failure(shell("echo marked >/dev/console; echo c > /proc/sysrq-trigger; exit 0"))
        self.assertIn("the kernel panicked: Kernel panic - not syncing: sysrq triggered crash", said)
        self.assertIn("| marked", said)

    def test_a_hang_is_a_failure(self):
        said = self.failure(shell("echo marked >/dev/console; while :; do :; done"), deadline=20)
        self.assertIn("it was still running after 20 s", said)
        self.assertIn("| marked", said)

    def test_running_out_of_memory_is_a_failure(self):
        said = self.failure(shell("x=0123456789abcdef; while :; do x=$x$x; done"), memory=384)
        self.assertIn("out of memory: ", said)

    def test_a_program_that_is_not_there_is_its_jobs_failure(self):
        self.assertEqual(self.boot(guest.Job("none", ["/no/such/program"])).statuses, {"none": 127})

    def test_a_guest_that_goes_off_early_is_a_failure(self):
        said = self.failure(shell("echo o > /proc/sysrq-trigger; while :; do :; done"))
        self.assertIn("it ended without results", said)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
