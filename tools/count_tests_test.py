#!/usr/bin/env python3
"""Tests of count_tests.py."""

import contextlib
import io
import os
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True  # the source tree is read-only to tests
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import count_tests

PASS = '<testcase classname="Suite" name="Good" status="run"/>'
FAIL = '<testcase classname="Suite" name="Bad"><failure message="1 != 2"/></testcase>'
ERROR = '<testcase name="a_test"><error message="exited with error code 1"/></testcase>'
SKIP = '<testcase classname="Suite" name="Skipped"><skipped/></testcase>'
DISABLED = '<testcase classname="Suite" name="DISABLED_It" status="notrun"/>'


class CountTests(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.testlogs = directory.name

    def report(self, path, *cases):
        path = os.path.join(self.testlogs, path, "test.xml")
        os.makedirs(os.path.dirname(path))
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>")

    def run_on(self, *summary, output="", closing="INFO: Elapsed time: 1.0s, Critical Path: 0.5s"):
        """Returns (exit status, all printed lines)."""
        log = os.path.join(self.testlogs, "output")
        with open(log, "w", encoding="utf-8") as file:
            file.write("\n".join([output, closing, *summary, "INFO: Build completed"]))
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            status = count_tests.main(log, self.testlogs)
        return status, printed.getvalue().splitlines()

    def test_counts_cases_of_all_targets(self):
        self.report("core/a_test", PASS, PASS)
        self.report("core/linux/b_test", PASS)
        self.assertEqual(
            self.run_on(
                "//core:a_test                 PASSED in 0.0s",
                "//core/linux:b_test  (cached) PASSED in 12.5s",
            ),
            (0, ["3 passed, 0 failed"]),
        )

    def test_counts_failures_and_names_them(self):
        self.report("core/a_test", PASS, FAIL)
        self.report("core/b_test", ERROR)
        self.assertEqual(
            self.run_on(
                "//core:a_test   FAILED in 0.2s",
                "  /cache/testlogs/core/a_test/test.log",
                "//core:b_test   FAILED in 0.2s",
            ),
            (
                1,
                [
                    "FAILED //core:a_test Suite.Bad",
                    "FAILED //core:b_test a_test",
                    "1 passed, 2 failed",
                ],
            ),
        )

    def test_results_of_targets_outside_the_run_do_not_count(self):
        self.report("core/a_test", PASS)
        self.report("core/removed_test", PASS, FAIL)
        self.assertEqual(self.run_on("//core:a_test  PASSED in 0.0s"), (0, ["1 passed, 0 failed"]))

    def test_results_of_an_earlier_run_do_not_count(self):
        self.report("core/a_test", PASS)
        self.report("core/b_test", PASS)
        self.assertEqual(
            self.run_on("//core:a_test  NO STATUS", "//core:b_test   FAILED TO BUILD"),
            (
                1,
                [
                    "NO RESULT //core:a_test",
                    "FAILED //core:b_test (to build)",
                    "0 passed, 1 failed",
                ],
            ),
        )

    def test_skipped_and_disabled_cases_are_neither(self):
        self.report("core/a_test", PASS, SKIP, DISABLED)
        self.assertEqual(
            self.run_on("//core:a_test  PASSED in 0.0s"), (0, ["2 skipped", "1 passed, 0 failed"])
        )

    def test_a_target_without_cases_counts_as_one(self):
        self.report("tools/no_cases")
        self.assertEqual(
            self.run_on("//tools:no_cases  PASSED in 0.1s", "//tools:no_report  PASSED in 0.1s"),
            (0, ["2 passed, 0 failed"]),
        )

    def test_a_failure_outside_all_cases_counts_as_one(self):
        self.report("core/leaks", PASS, PASS)
        self.assertEqual(
            self.run_on("//core:leaks  FAILED in 0.1s", "//core:hangs  TIMEOUT in 60.1s"),
            (1, ["FAILED //core:leaks (FAILED)", "FAILED //core:hangs (TIMEOUT)", "2 passed, 2 failed"]),
        )

    def test_shards_add_up_and_other_sharding_is_ignored(self):
        self.report("core/a_test", PASS)
        for shard in (1, 2):
            self.report(f"core/a_test/shard_{shard}_of_2", PASS, PASS)
        for shard in (1, 2, 3):
            self.report(f"core/a_test/shard_{shard}_of_3", FAIL)
        self.assertEqual(
            self.run_on(
                "//core:a_test       (1/2 cached) PASSED in 0.2s",
                "  Stats over 2 runs: max = 0.2s, min = 0.1s, avg = 0.2s, dev = 0.1s",
            ),
            (0, ["4 passed, 0 failed"]),
        )

    def test_a_flaky_target_passed(self):
        self.report("core/a_test", PASS)
        self.assertEqual(
            self.run_on("//core:a_test  FLAKY, failed in 1 out of 2 in 0.1s"),
            (0, ["1 passed, 0 failed"]),
        )

    def test_what_tests_print_is_no_summary(self):
        self.report("core/fake", PASS)
        self.report("core/a_test", PASS)
        self.assertEqual(
            self.run_on("//core:a_test  PASSED in 0.0s", output="//core:fake  PASSED in 0.0s"),
            (0, ["1 passed, 0 failed"]),
        )

    def test_nothing_ran(self):
        self.assertEqual(self.run_on(), (1, ["0 passed, 0 failed"]))
        self.assertEqual(
            self.run_on("//core:a_test  PASSED in 0.0s", closing="ERROR: no such package"),
            (1, ["0 passed, 0 failed"]),
        )


if __name__ == "__main__":
    unittest.main()
