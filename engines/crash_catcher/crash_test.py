#!/usr/bin/env python3
"""crash_catcher over programs that crash in twelve ways, and what it must leave alone."""

import glob
import json
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import unittest

CATCH = os.path.abspath(sys.argv.pop(1))
PROGRAMS = os.path.abspath(os.path.dirname(sys.argv.pop(1)))
SOURCES = os.path.abspath(os.path.dirname(sys.argv.pop(1)))
DEADLINE = 120  # seconds; a guard against hanging

# Program: signal, function, source, and the functions of the backtrace up to main or the thread's start.
KINDS = {
    "null_pointer": ("SIGSEGV", "set_value", "null_pointer.c"),
    "stack_overflow": ("SIGSEGV", "descend", "stack_overflow.c"),
    "abort": ("SIGABRT", "check", "abort.c"),
    "division": ("SIGFPE", "average", "division.c"),
    "illegal_instruction": ("SIGILL", "unreachable", "illegal_instruction.c"),
    "bus_error": ("SIGBUS", "last_byte", "bus_error.c"),
    "double_free": ("SIGABRT", "drop", "double_free.c"),
    "uncaught_exception": ("SIGABRT", "shop::Order::Check() const", "uncaught_exception.cc"),
    "stack_smash": ("SIGABRT", "copy", "stack_smash.c"),
    "second_thread": ("SIGSEGV", "read_through", "second_thread.c"),
    "static_program": ("SIGSEGV", "set_value", "null_pointer.c"),
    "stripped": ("SIGSEGV", "set_value", "null_pointer.c"),
}

# A sentence that the explanation must have.
EXPLANATIONS = {
    "null_pointer": "That is a null pointer plus 8",
    "stack_overflow": "Stack overflow",
    "abort": "The process sent it to itself",
    "division": "divided by zero",
    "illegal_instruction": "The instruction is ud2.",
    "bus_error": "The file behind the mapping ends before offset 0x1fff",
    "second_thread": "It happened reading 4 bytes at [rax] = 0x40",
}


def program(name):
    return os.path.join(PROGRAMS, name)


def lines_marked(source, mark):
    with open(os.path.join(SOURCES, source), encoding="utf-8") as file:
        return [number for number, line in enumerate(file, 1) if f"// {mark}" in line]


def backtrace(*arguments):
    """The functions of gdb's backtrace, innermost first."""
    result = subprocess.run(
        ["gdb", "-nx", "-batch", "-iex", "set debuginfod enabled off", *arguments],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        timeout=DEADLINE, check=True)
    shown = result.stdout.decode(errors="replace")
    # The frame that it stops at may be shown before the backtrace.
    return re.findall(r"^#\d+ +(?:0x[0-9a-f]+ in )?([^(]+?) ?\(", shown[shown.rfind("\n#0 "):],
                      re.MULTILINE)


class CrashTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.dir = directory.name

    def catch(self, name, options="", before=(), after=(), arguments=(), limits=None):
        """Runs the program; what was said, and its raw wait status."""
        engines = [*before, f"crash_catcher:dir={self.dir}{options}", *after]
        command = [CATCH]
        for engine in engines:
            command += ["-e", engine]
        result = subprocess.run([*command, "--", program(name), *arguments],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, timeout=DEADLINE, check=False,
                                preexec_fn=limits)
        said = result.stdout.decode(errors="replace")
        found = re.search(r"^wait status (\d+)$", said, re.MULTILINE)
        self.assertIsNotNone(found, said)
        return said, int(found[1])

    def only(self, pattern):
        found = glob.glob(os.path.join(self.dir, pattern))
        self.assertEqual(len(found), 1, os.listdir(self.dir))
        return found[0]

    def report(self):
        with open(self.only("crash-*.json"), encoding="utf-8") as file:
            return json.load(file)

    def text(self):
        with open(self.only("crash-*.txt"), encoding="utf-8") as file:
            return file.read()


class Kinds(CrashTest):
    """The twelve kinds: function and line, status, and gdb's backtrace of the core file."""

    def check_kind(self, name):
        number_name, function, source = KINDS[name]
        no_core = lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        said, status = self.catch(name, ",format=both", limits=no_core)
        self.assertEqual(status, int(getattr(signal, number_name)))
        lines = lines_marked(source, "CRASH")
        self.assertTrue(lines)
        if name == "stack_overflow":
            # It depends on the compiler which of the first two touches the stack first.
            lines.append(lines[0] + 1)
            lines.append(lines[0] - 1)
        said_so = re.search(
            rf"crashed by {number_name} in {re.escape(function)} at [^ ]*{source}:(\d+)", said)
        self.assertIsNotNone(said_so, said)
        self.assertIn(int(said_so[1]), lines)

        report = self.report()
        self.assertEqual(report["signal"]["name"], number_name)
        self.assertIn(f"in {function} at ", report["summary"])
        self.assertIn(said_so[0], self.text())
        if name in EXPLANATIONS:
            self.assertIn(EXPLANATIONS[name], " ".join(report["explanation"]))
        pc = report["threads"][0]["registers"]["rip"]
        self.assertIn(pc, [instruction["address"] for instruction in report["code"]])

        # The core file against the same program run by gdb itself.
        core = self.only("crash-*.core")
        limit = ["-ex", "bt 12"]
        from_core = backtrace(*limit, program(name), core)
        live = backtrace("-ex", "run", *limit, program(name))
        self.assertGreater(len(live), 1)
        self.assertEqual(from_core, live)
        # And ours, as far as the program's own functions go: gdb makes up frames for tail calls of the
        # C library, and has another name for some of its functions.
        own = [place["name"].split("(")[0] for frame in report["threads"][0]["frames"]
               if frame.get("module") == program(name) for place in frame["functions"]
               if "name" in place and place["name"] != "_start"]
        self.assertEqual([one for one in live if one in own], own[:12])


for kind in KINDS:
    setattr(Kinds, f"test_{kind}", lambda self, kind=kind: self.check_kind(kind))


class Threads(CrashTest):
    def test_all_threads_are_shown_where_they_are(self):
        self.catch("second_thread", ",format=json,core=no")
        report = self.report()
        self.assertEqual(len(report["threads"]), 4)
        self.assertEqual(report["threads"][0]["tid"], report["tid"])
        self.assertNotEqual(report["tid"], report["pid"])
        places = {}
        for thread in report["threads"]:
            self.assertNotIn("problem", thread)
            for frame in thread["frames"]:
                for place in frame["functions"]:
                    places.setdefault(place.get("name"), place.get("line"))
        self.assertIn(places["wait_for_ever"], lines_marked("second_thread.c", "WAITER"))
        self.assertIn(places["work_for_ever"], lines_marked("second_thread.c", "WORKER"))
        self.assertIn("main", places)

    def test_the_core_file_has_all_threads(self):
        self.catch("second_thread")
        core = self.only("*.core")
        result = subprocess.run(
            ["gdb", "-nx", "-batch", "-ex", "thread apply all bt", program("second_thread"), core],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            timeout=DEADLINE, check=True)
        shown = result.stdout.decode(errors="replace")
        for function in ("read_through", "wait_for_ever", "work_for_ever", "main"):
            self.assertIn(f"{function} (", shown)
        self.assertEqual(len(re.findall(r"^Thread \d", shown, re.MULTILINE)), 4)


class LeftAlone(CrashTest):
    def test_a_handled_signal_is_no_crash(self):
        said, status = self.catch("handler")
        self.assertEqual(os.WEXITSTATUS(status), 3)
        self.assertNotIn("crash", said.replace("wait status", ""))
        self.assertEqual(os.listdir(self.dir), [])


class Options(CrashTest):
    def test_a_core_file_may_be_compressed(self):
        self.catch("null_pointer", ",core=zstd")
        packed = self.only("*.core.zst")
        core = os.path.join(self.dir, "unpacked")
        subprocess.run(["zstd", "-q", "-d", packed, "-o", core], check=True, timeout=DEADLINE)
        self.assertEqual(backtrace("-ex", "bt", program("null_pointer"), core),
                         ["set_value", "visit", "main"])

    def test_the_environment_is_shown_only_if_asked_for(self):
        os.environ["CRASH_TEST_SECRET"] = "visible"
        self.addCleanup(os.environ.pop, "CRASH_TEST_SECRET")
        self.catch("null_pointer", ",core=no")
        self.assertNotIn("CRASH_TEST_SECRET", self.text())
        os.unlink(self.only("*.txt"))
        self.catch("null_pointer", ",core=no,env=yes")
        self.assertIn("CRASH_TEST_SECRET=visible", self.text())


if __name__ == "__main__":
    unittest.main(verbosity=2)
