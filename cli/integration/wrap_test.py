#!/usr/bin/env python3
"""Unmodified tracers under `utrace wrap`: alone, together, with engines, and when somebody dies."""

import os
import re
import select
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from tracing import DEADLINE, Ended, TracingTest, main, status_field, tracer_of


SCENES = os.path.abspath(sys.argv.pop(2))


class Wrap(TracingTest):
    def wrap(self, *command, **kwargs):
        return self.run_utrace("wrap", "--", *[str(word) for word in command], **kwargs)

    def start_strace(self, pid, log, *options):
        """A strace under `utrace wrap` that has attached to all threads of `pid`."""
        threads = len(os.listdir(f"/proc/{pid}/task"))
        strace = self.start_utrace("wrap", "--", "strace", "-f", "-o", self.path(log), *options,
                                   "-p", str(pid))
        line = strace.stderr.readline()
        if threads == 1:
            self.assertRegex(line, f"^strace: Process {pid} attached")
        else:
            self.assertRegex(line, f"^strace: Process {pid} attached with {threads} threads")
        return strace

    def end_strace(self, strace):
        """Ctrl-C: it detaches, and dies of the signal."""
        status, _ = self.end(strace, signal.SIGINT)
        self.assertIn(status, (-signal.SIGINT, 128 + signal.SIGINT))

    def calls(self, log):
        """The calls that a log of strace holds, without those that it saw a part of."""
        return re.findall(r"(?m)^(?:\d+ +)?(\w+)\(", self.read(log))

    def await_untraced(self, pid):
        rounds = DEADLINE * 20
        while tracer_of(pid) != 0 and rounds > 0:
            select.select([], [], [], 0.05)
            rounds -= 1
        self.assertEqual(tracer_of(pid), 0)


class WhatIsExecuted(Wrap):
    def test_statuses_are_the_commands(self):
        for command, status in ((("true",), 0), (("sh", "-c", "exit 7"), 7),
                                (("sh", "-c", "kill -TERM $$"), -signal.SIGTERM)):
            result = self.wrap(*command)
            self.assertEqual((result.returncode, result.stderr), (status, ""))

    def test_what_cannot_be_wrapped(self):
        with open(self.path("plain"), "w", encoding="utf-8") as file:
            file.write("text\n")
        with open(self.path("static"), "wb") as file, open("/bin/true", "rb") as true:
            image = bytearray(true.read())
            image[56:58] = b"\0\0"  # no program headers: no interpreter
            file.write(image)
        os.chmod(self.path("static"), 0o755)
        with open(self.path("script"), "w", encoding="utf-8") as file:
            file.write(f"#!{self.path('static')}\n")
        os.chmod(self.path("script"), 0o755)
        for command, status, reason in (
                ("no-such-command", 127, "command not found"),
                (self.path("plain"), 126, "cannot be executed: Permission denied"),
                (self.path("static"), 125,
                 "it is statically linked: it cannot be made to share what it traces"),
                (self.path("script"), 125, f"its interpreter {self.path('static')}: it is statically "
                                           "linked: it cannot be made to share what it traces")):
            result = self.wrap(command)
            self.assertEqual((result.returncode, result.stdout), (status, ""))
            self.assertEqual(result.stderr, f"utrace wrap: {command}: {reason}\n")

    def environment(self, *prefix):
        result = subprocess.run([*prefix, "env", "-0"], stdout=subprocess.PIPE, timeout=DEADLINE,
                                check=True)
        return sorted(entry for entry in result.stdout.decode().split("\0")
                      if not entry.startswith("_="))

    def test_what_the_command_executes_is_not_wrapped(self):
        natively = self.environment("sh", "-c", 'exec "$@"', "sh")
        self.assertEqual(self.environment(self.utrace, "wrap", "--", "sh", "-c", 'exec "$@"', "sh"),
                         natively)
        with_children = self.environment(self.utrace, "wrap", "--children", "--", "sh", "-c",
                                         'exec "$@"', "sh")
        added = [entry for entry in with_children if entry not in natively]
        self.assertEqual([entry.split("=")[0] for entry in added], ["LD_PRELOAD", "UTRACE_WRAP"])

    def test_descriptors_and_children_are_as_they_would_be(self):
        script = ("import os, subprocess; print(os.open('/', os.O_RDONLY)); "
                  "print(subprocess.run(['sh', '-c', 'exit 3']).returncode); "
                  "pid = os.fork() or os._exit(5); print(os.waitpid(pid, 0)[1])")
        result = self.wrap(sys.executable, "-c", script)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        natively = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True,
                                  check=True, timeout=DEADLINE)
        self.assertEqual(result.stdout, natively.stdout)


class Strace(Wrap):
    def test_a_command_of_its_own(self):
        for name, prefix in (("native", ()), ("wrapped", (self.utrace, "wrap", "--"))):
            result = subprocess.run(
                [*prefix, "strace", "-f", "-o", self.path(name), "sh", "-c", "ls /bin; exit 3"],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=DEADLINE, check=False)
            self.assertEqual((result.returncode, result.stderr), (3, b""), name)
        for log in ("native", "wrapped"):
            self.assertIn("+++ exited with 3 +++", self.read(log))
        # Which process goes first is chance; what each calls is not.
        self.assertEqual(sorted(self.calls("wrapped")), sorted(self.calls("native")))

    def test_a_process_that_runs(self):
        program, pid = self.start_program()
        strace = self.start_strace(pid, "log")
        self.ask(program, "main")
        self.ask(program, "main")
        self.end_strace(strace)
        self.assertEqual(self.calls("log").count("getppid"), 6)
        self.ask(program, "main")
        self.assertEqual(tracer_of(pid), 0)

    def test_two_at_once_and_an_engine(self):
        program, pid = self.start_program()
        first = self.start_strace(pid, "first")
        engine = self.attach("-e", "syscall_log", "-o", self.path("engine"), pid)
        second = self.start_strace(pid, "second")
        self.ask(program, "main")
        self.end_strace(first)
        self.ask(program, "main")
        self.end_strace(second)
        self.ask(program, "main")
        self.assertEqual(self.end(engine)[0], 0)
        self.assertEqual(self.calls("first").count("getppid"), 3)
        self.assertEqual(self.calls("second").count("getppid"), 6)
        self.assertEqual(self.read("engine").count(" getppid("), 9)

    def test_ps_names_the_tracer(self):
        program, pid = self.start_program(threads=1)
        strace = self.start_strace(pid, "log")
        engine = self.ps(pid)[pid]["engines"][0]
        self.assertEqual((engine["name"], engine["client"]),
                         ("ptrace_compat", {"pid": strace.pid, "command": "wrap strace"}))
        self.assertIn(f"of utrace wrap strace (pid {strace.pid})  ", self.run_utrace("ps").stdout)
        second = self.start_strace(pid, "second")
        self.assertIn(f"of utrace wrap strace (pid {strace.pid}), utrace wrap strace "
                      f"(pid {second.pid})  ", self.run_utrace("ps").stdout)
        self.end_strace(strace)
        self.assertIn(f"of utrace wrap strace (pid {second.pid})  ", self.run_utrace("ps").stdout)
        self.end_strace(second)
        self.ask(program)


class Gdb(Wrap):
    def test_a_backtrace_of_a_process_that_runs(self):
        program, pid = self.start_program()
        result = self.wrap("gdb", "-nx", "-q", "-batch", "-p", pid, "-ex", "thread apply all bt 1")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(len(re.findall(r"(?m)^#0 ", result.stdout)), 3, result.stdout)
        self.ask(program, "main")
        self.assertEqual(tracer_of(pid), 0)

    def test_a_program_of_its_own(self):
        result = self.wrap("gdb", "-nx", "-q", "-batch", "-ex", "set startup-with-shell off",
                           "-ex", "catch syscall exit_group", "-ex", "run", "-ex", "continue",
                           "/bin/true")
        # gdb peeks at a segment register to know the machine.
        self.assertNotIn("rchitecture", result.stderr)
        self.assertRegex(result.stdout, r"Catchpoint 1 \(call to syscall exit_group\)")
        self.assertRegex(result.stdout, r"\[Inferior 1 \(process \d+\) exited normally\]")

    def test_beside_strace(self):
        program, pid = self.start_program()
        strace = self.start_strace(pid, "log")
        result = self.wrap("gdb", "-nx", "-q", "-batch", "-p", pid, "-ex", "bt 1")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertRegex(result.stdout, r"(?m)^#0 ")
        self.ask(program, "main")
        self.end_strace(strace)
        self.assertEqual(self.calls("log").count("getppid"), 3)


class OurOwnTracer(Wrap):
    """Signals that interrupt waits, forks, cancelled threads: as without utrace."""

    def scene(self, name, errors=""):
        natively = subprocess.run([SCENES, name], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  text=True, timeout=DEADLINE, check=True)
        wrapped = self.wrap(SCENES, name)
        self.assertEqual((wrapped.returncode, wrapped.stderr), (0, errors))
        self.assertEqual(wrapped.stdout, natively.stdout)
        self.assertGreater(len(wrapped.stdout.splitlines()), 3)

    def test_interrupted_waits(self):
        self.scene("interrupted")

    def test_a_handler_that_jumps_out_of_a_wait(self):
        self.scene("jump")

    def test_vfork(self):
        self.scene("vfork")

    def test_fork(self):
        self.scene("fork")

    def test_children_of_both_kinds(self):
        self.scene("both")

    def test_sigchld(self):
        self.scene("sigchld")

    def test_a_cancelled_thread(self):
        self.scene("cancelled")

    def test_errors(self):
        self.scene("errors")

    def test_descriptors_that_are_closed(self):
        self.scene("closing")

    def test_a_closed_connection(self):
        self.scene("closed", "utrace wrap: the program has closed the connection to the server; "
                             "another one is made\n")


class Deaths(Wrap):
    def test_the_tracer_is_killed(self):
        program, pid = self.start_program()
        strace = self.start_strace(pid, "log")
        strace.kill()
        strace.wait(timeout=DEADLINE)
        self.await_untraced(pid)
        self.ask(program, "main")

    def test_the_server_is_killed(self):
        program, pid = self.start_program()
        strace = self.start_strace(pid, "log")
        server = tracer_of(pid)
        ended = Ended(server)
        os.kill(server, signal.SIGKILL)
        self.assertTrue(ended.wait())
        self.ask(program, "main")
        self.assertEqual(tracer_of(pid), 0)
        strace.wait(timeout=DEADLINE)
        self.assertIn(f"utrace wrap: the server (pid {server}) is gone; the tracees run on untraced\n",
                      strace.stderr.read())
        os.unlink(self.path("server.d/server"))

    def test_a_tracee_is_killed(self):
        program, pid = self.start_program()
        strace = self.start_strace(pid, "log")
        os.kill(pid, signal.SIGKILL)
        self.assertEqual(program.wait(timeout=DEADLINE), -signal.SIGKILL)
        self.assertEqual(strace.wait(timeout=DEADLINE), 0)
        self.assertIn("+++ killed by SIGKILL +++", self.read("log"))


if __name__ == "__main__":
    main()
