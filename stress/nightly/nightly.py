#!/usr/bin/python3
"""A night of storms: stress-ng's stressors alone and in mixes under engines that come and go at random, and faults.

Writes a report (HTML and JSON) and adds the night to the file of nights. The exit status is 0 only if nothing was wrong.
"""

import argparse
import datetime
import json
import os
import random
import shutil
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import faults  # noqa: E402
import report  # noqa: E402
import storms  # noqa: E402
import stressors  # noqa: E402

# Of the time, for faults; the rest goes to stressors, alone and in mixes by turns.
FAULTS_SHARE = 0.35
RUN_SECONDS = 4


def arguments():
    parser = argparse.ArgumentParser(prog="nightly", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30, help="how long (default: 30)")
    parser.add_argument("--seed", type=int, help="repeats the choices of a night (default: from the clock; it is printed)")
    parser.add_argument("--only", help="one stressor, one mix (names joined by +), or one fault by name; see --list")
    parser.add_argument("--list", action="store_true", help="names of all stressors and faults")
    parser.add_argument("--output", default="utrace-nights", help="directory of the reports (default: utrace-nights)")
    parser.add_argument("--implementation", help="another implementation's shared object (default: this tree's)")
    for name in ("storm", "gate", "victims", "utrace", "our-implementation"):
        parser.add_argument("--" + name, help=argparse.SUPPRESS)
    return parser.parse_args()


class Progress:
    """One line that is written over on a terminal; a line per run elsewhere."""

    def __init__(self, seconds):
        self.start = time.monotonic()
        self.seconds = seconds
        self.terminal = sys.stdout.isatty()

    def left(self):
        return self.seconds - (time.monotonic() - self.start)

    def show(self, outcome, totals):
        done = time.monotonic() - self.start
        line = (f"[{done / 60:5.1f} of {self.seconds / 60:.0f} min] {outcome.name:28.28} "
                f"{totals['events']:>11,} events {totals['tasks']:>8,} tasks {totals['faults']:>6,} faults "
                f"{totals['failed']} failed")
        if outcome.problems:
            print(("\r\033[K" if self.terminal else "") + f"FAILED {outcome.name} (seed {outcome.seed}): " +
                  outcome.problems[0].strip().splitlines()[0][:300])
        print(("\r\033[K" + line) if self.terminal else line, end="" if self.terminal else "\n", flush=True)

    def end(self):
        if self.terminal:
            print()


class Runs:
    """The outcomes of a night, as they come."""

    def __init__(self, night, progress):
        self.night = night
        self.progress = progress
        self.outcomes = []
        self.totals = {"events": 0, "tasks": 0, "faults": 0, "failed": 0}
        self.expected = {}  # statuses of stressors, untraced

    def add(self, only, outcomes):
        for outcome in outcomes:
            outcome.only = only
            self.outcomes.append(outcome)
            self.totals["events"] += outcome.result.get("events", 0)
            self.totals["tasks"] += outcome.result.get("tasks", 0)
            self.totals["faults"] += sum(outcome.faults.values())
            self.totals["failed"] += bool(outcome.problems)
            self.progress.show(outcome, self.totals)

    def untraced(self, name):
        """What a stressor ends with by itself."""
        if name not in self.expected:
            self.expected[name], _ = self.night.untraced(stressors.command([name], 1))
        return self.expected[name]

    def stress(self, names, seed, seconds):
        chooser = random.Random(seed)
        flags = ["--pace", str(chooser.choice([100, 300, 1000])), "--controllers", str(chooser.choice([1, 2, 3]))]
        # Without the events of system calls a stressor does more of everything else.
        if chooser.random() < 0.5:
            flags += ["--events", str(0x3fff & ~0xc0)]
        command = stressors.command(names, seconds)
        expected = self.untraced(names[0]) if len(names) == 1 else 0
        self.add("+".join(names), [self.night.run("+".join(names), command, seed, flags, expected=expected)])


def whole_night(runs, seed, progress):
    chooser = random.Random(seed)
    shares = sum(share for _, share in faults.ALL)
    spent_on_faults = 0.0
    next_fault = 0
    usable = []
    alone = list(stressors.ALONE)
    chooser.shuffle(alone)
    turn = 0
    while progress.left() > RUN_SECONDS:
        done = progress.seconds - progress.left()
        if spent_on_faults < FAULTS_SHARE * done:
            fault, share = faults.ALL[next_fault % len(faults.ALL)]
            next_fault += 1
            seconds = max(2, int(FAULTS_SHARE * progress.seconds * share / shares / 4))
            start = time.monotonic()
            runs.add(fault.__name__, fault(runs.night, chooser.randrange(1 << 30), min(seconds, max(2, int(progress.left())))))
            spent_on_faults += time.monotonic() - start
            continue
        turn += 1
        if turn % 3 == 0 and len(usable) > 4:
            mix_seed = chooser.randrange(1 << 30)
            runs.stress(stressors.mix(mix_seed, usable), mix_seed, RUN_SECONDS)
            continue
        name = alone[turn % len(alone)]
        if runs.untraced(name) == 0 and name not in usable and name not in stressors.NOT_AS_ROOT:
            usable.append(name)
        runs.stress([name], chooser.randrange(1 << 30), RUN_SECONDS)


def main():
    options = arguments()
    if options.list:
        print("stressors: " + " ".join(stressors.ALONE))
        print("faults: " + " ".join(fault.__name__ for fault, _ in faults.ALL))
        return 0
    if shutil.which("stress-ng") is None:
        print("nightly: stress-ng is not installed (./bazelw installs it)", file=sys.stderr)
        return 2
    here = os.environ.get("BUILD_WORKING_DIRECTORY", os.getcwd())
    tools = storms.Tools(
        storm=os.path.abspath(options.storm), gate=os.path.abspath(options.gate),
        victims=os.path.abspath(options.victims), utrace=os.path.abspath(options.utrace),
        implementation=os.path.join(here, options.implementation) if options.implementation
        else os.path.abspath(options.our_implementation))
    directory = os.path.join(here, options.output)
    os.makedirs(directory, exist_ok=True)
    seed = options.seed if options.seed is not None else int(time.time())
    began = datetime.datetime.now().astimezone()
    print(f"nightly: seed {seed}, reports in {directory}")
    storms.become_reaper()
    night = storms.Night(tools, os.path.join(directory, "histories"))
    progress = Progress(options.minutes * 60)
    runs = Runs(night, progress)
    if options.only:
        known = {fault.__name__: fault for fault, _ in faults.ALL}
        if options.only in known:
            runs.add(options.only, known[options.only](night, seed, int(options.minutes * 60)))
        else:
            runs.stress(options.only.split("+"), seed, int(options.minutes * 60))
    else:
        whole_night(runs, seed, progress)
    progress.end()
    record = report.record(runs, began, seed, options, progress)
    name = began.strftime("night-%Y%m%d-%H%M%S")
    with open(os.path.join(directory, name + ".json"), "w", encoding="utf-8") as file:
        json.dump(record, file, indent=1)
    nights = report.add_night(os.path.join(directory, "nights.jsonl"), record)
    with open(os.path.join(directory, name + ".html"), "w", encoding="utf-8") as file:
        file.write(report.page(record, nights))
    print(report.text(record))
    print(f"report: {os.path.join(directory, name)}.html")
    return 1 if runs.totals["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
