#!/usr/bin/env python3
"""`utrace wrap --children`: what the command executes is wrapped too, but for tracees."""

import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from tracing import DEADLINE, TracingTest, main


EXEC_WAYS = os.path.abspath(sys.argv.pop(2))

# Says its argument, and whether the library is in it.
LEAF = """#!/bin/sh
if grep -q libutrace_ptrace.so /proc/$$/maps; then echo "$1 wrapped"; else echo "$1 plain"; fi
"""

MAKEFILE = """
all: first second third
first:
\t@./leaf recipe
\t@sh -c './leaf shell; true'
second:
\t@echo xargs | xargs ./leaf
\t@./leaf left | cat; (./leaf subshell)
\t@./leaf background & wait
third:
\t@$(MAKE) --no-print-directory -f makefile inner
inner:
\t@./leaf submake
\t@env -i ./leaf no-environment
"""
LEAVES = ["recipe", "shell", "xargs", "left", "subshell", "background", "submake"]

# Who traces this shell: the name of that process.
TRACER = "sed -n 's/^Name:\t//p' /proc/$(sed -n 's/^TracerPid:\t//p' /proc/$$/status)/status; :"


class Children(TracingTest):
    def wrap(self, *command, children=True, **kwargs):
        option = ["--children"] if children else []
        result = self.run_utrace("wrap", *option, "--", *command, **kwargs)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        return result.stdout

    def natively(self, *command, **kwargs):
        return subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=DEADLINE, check=True,
                              **kwargs).stdout

    def test_a_tracer_that_a_shell_starts(self):
        command = ("sh", "-c", f'strace -o "$0" sh -c "$1"; ./leaf shell', self.path("log"), TRACER)
        self.write_leaf()
        self.assertEqual(self.natively(*command, cwd=self.dir), "strace\nshell plain\n")
        self.assertEqual(self.wrap(*command, cwd=self.dir, children=False), "strace\nshell plain\n")
        # The server's thread has a name of its own.
        tracer, shell = self.wrap(*command, cwd=self.dir).splitlines()
        self.assertNotEqual(tracer, "strace")
        self.assertNotEqual(tracer, "")
        self.assertEqual(shell, "shell wrapped")
        self.assertIn("+++ exited with 0 +++", self.read("log"))

    def test_what_strace_starts_is_not_wrapped(self):
        self.write_leaf()
        command = ("sh", "-c", 'strace -f -o "$0" ./leaf tracee; exec strace -o "$0" ./leaf tracee',
                   self.path("log"))
        self.assertEqual(self.wrap(*command, cwd=self.dir), "tracee plain\ntracee plain\n")

    def test_what_gdb_starts_is_not_wrapped(self):
        result = self.wrap("sh", "-c", 'gdb -nx -q -batch -ex run --args "$0" say tracee 2>&1; :', EXEC_WAYS)
        self.assertIn("tracee: not mapped, no UTRACE_WRAP, no LD_PRELOAD\n", result)
        self.assertIn("exited normally", result)

    def test_the_server_is_there_for_what_takes_the_commands_place(self):
        # One after the other, and nobody else is there in between.
        script = 'exec sh -c \'exec env X=1 "$0" seized\' "$0"'
        for _ in range(10):
            result = self.wrap("sh", "-c", script, EXEC_WAYS)
            self.assertEqual(len(result.splitlines()), 12)
            self.assertEqual(result.count("not mapped, no UTRACE_WRAP, no LD_PRELOAD"), 12)

    def test_tracees_inherit_no_descriptor(self):
        command = ("strace", "-f", "-o", self.path("log"), "sh", "-c", "ls /proc/self/fd; :")
        self.assertEqual(self.wrap(*command), self.natively(*command))

    def test_what_outlives_the_command_has_its_server(self):
        later = 'read line; exec strace -o "$0" echo traced'
        program = self.start_utrace("wrap", "--children", "--", "sh", "-c",
                                    'exec 3<&0; sh -c "$1" "$0" <&3 & exit 4', self.path("log"), later)
        self.assertEqual(program.wait(timeout=DEADLINE), 4)
        program.stdin.write("go\n")
        program.stdin.close()
        self.assertEqual((program.stdout.read(), program.stderr.read()), ("traced\n", ""))

    def write_leaf(self):
        with open(self.path("leaf"), "w", encoding="utf-8") as file:
            file.write(LEAF)
        os.chmod(self.path("leaf"), 0o755)

    def test_a_tree_of_makes(self):
        self.write_leaf()
        with open(self.path("makefile"), "w", encoding="utf-8") as file:
            file.write(MAKEFILE)
        for prefix, wrapped in ((("make",), True), (("make", "-j4"), True), (("make",), False)):
            output = self.wrap(*prefix, "-f", "makefile", cwd=self.dir, children=wrapped)
            how = "wrapped" if wrapped else "plain"
            self.assertEqual(sorted(output.splitlines()),
                             sorted([f"{leaf} {how}" for leaf in LEAVES] + ["no-environment plain"]))

    def lines(self, how, preload=None, children=True):
        environment = dict(os.environ)
        if preload:
            environment["LD_PRELOAD"] = preload
        natively = self.natively(EXEC_WAYS, how, env=environment)
        wrapped = self.wrap(EXEC_WAYS, how, env=environment, children=children)
        self.assertEqual(len(natively.splitlines()), 12)
        return natively, wrapped

    def test_tracees_are_not_wrapped_in_whatever_way_they_execute(self):
        for how in ("traced", "seized"):
            for preload in (None, "libm.so.6", "libm.so.6:libdl.so.2"):
                natively, wrapped = self.lines(how, preload)
                self.assertEqual(wrapped, natively, (how, preload))

    def test_others_are_in_whatever_way_they_execute(self):
        natively, wrapped = self.lines("plain")
        self.assertEqual(wrapped, natively.replace("not mapped, no UTRACE_WRAP, no LD_PRELOAD",
                                                   "mapped, UTRACE_WRAP, LD_PRELOAD with it"))

    def test_nothing_is_without_the_option(self):
        for how in ("plain", "traced", "seized"):
            natively, wrapped = self.lines(how, children=False)
            self.assertEqual(wrapped, natively, how)


if __name__ == "__main__":
    main()
