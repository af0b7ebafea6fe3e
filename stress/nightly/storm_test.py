#!/usr/bin/python3
"""Short storms: what is right passes, and what is wrong is found."""

import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import faults  # noqa: E402
import storms  # noqa: E402


class StormTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        storms.become_reaper()
        cls.place = tempfile.mkdtemp(dir=os.environ.get("TEST_TMPDIR"))
        cls.night = storms.Night(TOOLS, cls.place)

    def victims(self, *flags, seconds=1, **options):
        return self.night.run("victims", [TOOLS.victims, str(seconds)], 7, ["--pace", "300", *flags], **options)

    def test_nothing_is_lost_while_engines_come_and_go(self):
        outcome = self.victims()
        self.assertEqual(outcome.problems, [])
        self.assertGreater(outcome.result["tasks"], 30)
        self.assertGreater(outcome.result["attached"], outcome.result["tasks"])
        self.assertIn('"harmed":0', outcome.output)

    def test_what_is_killed_dies_and_is_reported(self):
        outcome = self.victims("--kills", "700", seconds=2)
        self.assertEqual(outcome.problems, [])
        self.assertGreater(sum(outcome.faults.values()), 0)
        self.assertNotIn('"killed":0,', outcome.output)

    def test_all_engines_leave_a_program_that_runs_on(self):
        outcome = self.victims("--seconds", "1", seconds=3)
        self.assertEqual(outcome.problems, [])
        self.assertLess(outcome.result["seconds"], 2.9)
        self.assertIn('"harmed":0', outcome.output)

    def test_few_descriptors(self):
        outcome = self.victims("--scarce", storm_prefix=["prlimit", "--nofile=24"])
        self.assertEqual(outcome.problems, [])

    def test_a_tracer_that_is_killed_harms_nobody(self):
        outcomes = faults.tracer_killed(self.night, 5, 1)
        self.assertEqual([outcome.problems for outcome in outcomes], [[] for _ in outcomes])

    def test_a_full_disk_is_told(self):
        for outcome in faults.full_disk(self.night, 5, 1):
            self.assertEqual(outcome.problems, [])

    def test_a_wrong_implementation_is_found(self):
        wrong = storms.Night(storms.Tools(TOOLS.storm, TOOLS.gate, TOOLS.victims, WRONG), self.place)
        outcome = wrong.run("victims", [TOOLS.victims, "2"], 7, ["--pace", "300", "--guard", "3"], expected=None)
        self.assertNotEqual(outcome.problems, [])

    def test_harm_to_the_program_is_found(self):
        outcome = self.night.run("fails", ["sh", "-c", "exit 4"], 7)
        self.assertTrue(any("ended with 4" in problem for problem in outcome.problems), outcome.problems)

    def test_what_is_left_behind_is_found(self):
        # A stopped process, which nobody is going to continue.
        storms.LEFT_SECONDS = 3
        self.addCleanup(setattr, storms, "LEFT_SECONDS", 30)
        outcome = self.night.run("leaves", ["sh", "-c", "sh -c 'kill -STOP $$' &"], 7, ["--seconds", "1"],
                                 expected=None)
        self.assertTrue(any("left behind" in problem for problem in outcome.problems), outcome.problems)


if __name__ == "__main__":
    TOOLS = storms.Tools(*[os.path.abspath(path) for path in sys.argv[1:5]])
    WRONG = os.path.abspath(sys.argv[5])
    unittest.main(argv=sys.argv[:1] + sys.argv[6:])
