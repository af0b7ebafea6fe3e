#!/usr/bin/env python3
"""Tests of report.py, against a driver and a runner that are shell scripts."""

import contextlib
import io
import json
import os
import sys
import tempfile
import unittest
from unittest import mock

sys.dont_write_bytecode = True  # the source tree is read-only to tests
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import report

# Behaves as the mutant's name says, but only in the second test of AAA-01.
DRIVER = r"""#!/bin/sh
for argument; do
  case $argument in
    --implementation=*) name=${argument#*=} name=${name##*/} ;;
    --only=*) test=${argument#--only=} ;;
  esac
done
echo "$name $test" >>"$(dirname "$0")/calls"
case $name in
  original.so) exit "$(cat "$(dirname "$0")/original")" ;;
esac
[ "$test" = AAA_01.Second ] || exit 0
case $name in
  libfails.so) echo "AAA-01 Second FAIL"; exit 1 ;;
  libcrashes.so) echo "crashed by SIGSEGV in $test."; exit 1 ;;
  libhangs.so) echo "hung for 20000 ms while waiting"; exit 1 ;;
  libbreaks_the_kit.so) echo "BROKEN"; exit 4 ;;
  libcannot_be_loaded.so) exit 3 ;;
  libnever_ends.so) exec sleep 1000 ;;
esac
"""
RUNNER = "#!/bin/sh\nprintf '%s\\n' AAA_01.First AAA_01.Second AAA_01.Third BBB_02.Only\n"
SPEC = """
- **[AAA-01]** MUST doc. One.
- **[BBB-02]** MUST impl. Two.
- **[BBB-03]** SHOULD. Three.
"""


class ReportTests(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
        self.driver = self.program("driver", DRIVER)
        self.runner = self.program("runner", RUNNER)
        self.spec = self.file("spec.md", SPEC)
        self.file("original", "0")

    def file(self, name, text):
        path = os.path.join(self.directory, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def program(self, name, text):
        path = self.file(name, text)
        os.chmod(path, 0o700)
        return path

    def calls(self):
        with open(os.path.join(self.directory, "calls"), encoding="utf-8") as file:
            return file.read().splitlines()

    def report(self, names, *wanted, apart=None, clause="AAA-01"):
        """The exit status and what was printed."""
        listed = [{"clause": clause, "name": name, "file": "core/x.cc", "wrong": "it is " + name}
                  for name in names]
        path = self.file("list.json", json.dumps({"mutants": listed, "not_told_apart": apart or {}}))
        printed = io.StringIO()
        arguments = ["report.py", self.driver, self.runner, "puppet", "original.so", self.spec, path]
        with contextlib.redirect_stdout(printed), mock.patch.object(sys, "argv",
                                                                    arguments + list(wanted)):
            status = report.main()
        return status, printed.getvalue()

    def test_a_test_that_says_fail_catches(self):
        status, text = self.report(["fails"], "AAA")
        self.assertEqual(status, 0, text)
        self.assertIn("AAA-01 fails: caught: AAA_01.Second says FAIL", text)
        self.assertIn("1 of 1 mutants caught; 1 of 1 MUST clauses have one", text)

    def test_no_test_is_run_after_the_one_that_catches(self):
        self.report(["fails"], "AAA")
        self.assertNotIn("libfails.so AAA_01.Third", self.calls())

    def test_only_tests_of_the_clause_are_run(self):
        self.report(["passes"], "AAA")
        self.assertFalse([call for call in self.calls() if "BBB" in call])

    def test_a_crash_catches_and_is_told(self):
        status, text = self.report(["crashes"], "AAA")
        self.assertEqual(status, 0, text)
        self.assertIn("caught: AAA_01.Second (the host died in it by SIGSEGV)", text)

    def test_a_hang_catches_and_is_told(self):
        status, text = self.report(["hangs"], "AAA")
        self.assertEqual(status, 0, text)
        self.assertIn("caught: AAA_01.Second (the host hung in it)", text)

    def test_what_passes_is_not_caught(self):
        status, text = self.report(["passes", "fails"], "AAA")
        self.assertEqual(status, 1)
        self.assertIn("AAA-01 passes: NOT CAUGHT: it is passes", text)
        self.assertIn("AAA-01   1/2", text)
        self.assertIn("not caught: AAA-01 passes (core/x.cc): it is passes", text)

    def test_trouble_of_another_kind_is_not_caught(self):
        for name in ("breaks_the_kit", "cannot_be_loaded"):
            status, text = self.report([name], "AAA")
            self.assertEqual(status, 1)
            self.assertIn("NOT CAUGHT", text)
            self.assertIn("AAA_01.Second: the driver ended with status", text)

    def test_a_driver_that_hangs_is_killed_and_catches_nothing(self):
        with mock.patch.object(report, "DRIVER_GUARD_SECONDS", 0.5):
            status, text = self.report(["never_ends"], "AAA")
        self.assertEqual(status, 1)
        self.assertIn("AAA_01.Second: the driver hung", text)

    def test_not_judged_where_the_unchanged_implementation_fails(self):
        self.file("original", "1")
        status, text = self.report(["fails"], "AAA")
        self.assertEqual(status, 2)
        self.assertIn("AAA-01 fails: NOT JUDGED", text)
        self.assertIn("0 of 1 mutants caught", text)
        self.assertFalse([call for call in self.calls() if "libfails" in call])

    def test_a_clause_without_a_mutant_fails(self):
        status, text = self.report(["fails"])
        self.assertEqual(status, 1)
        self.assertIn("without a mutant: BBB-02\n", text)

    def test_a_clause_that_cannot_be_told_apart_is_printed_and_not_counted(self):
        status, text = self.report(["fails"], apart={"BBB-02": "the kernel decides"})
        self.assertEqual(status, 0, text)
        self.assertIn("cannot be told apart here: BBB-02: the kernel decides", text)
        self.assertIn("1 of 2 MUST clauses have one", text)

    def test_a_name_selects_one_mutant(self):
        status, text = self.report(["fails", "passes"], "fails")
        self.assertEqual(status, 0, text)
        self.assertIn("1 of 1 mutants caught", text)

    def test_unknown_words_and_clauses_are_wrong_use(self):
        self.assertEqual(self.report(["fails"], "CCC")[0], 2)
        self.assertEqual(self.report(["fails"], clause="BBB-03")[0], 2)


if __name__ == "__main__":
    unittest.main()
