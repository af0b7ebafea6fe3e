#!/usr/bin/env python3
"""utrace run --fast: the calls that engines name are seen, others run at full speed, and none fails."""

import errno
import os
import re
import signal
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# pylint: disable=wrong-import-position
from tracing import DEADLINE, Ended, TracingTest, main, tracer_of

# Waits for a line, then makes calls that a filter names; "ok" if they succeed.
WAITS = "echo $$; read line; cd / && (cd /tmp && /bin/true) && echo ok"

# Has a child that no tracer is told of; prints what its call that a filter names fails with.
CREATES_UNTRACED = """
import ctypes, os, signal
CLONE = {"x86_64": 56, "aarch64": 220}[os.uname().machine]
CLONE_UNTRACED = 0x00800000
pid = ctypes.CDLL(None).syscall(CLONE, CLONE_UNTRACED | signal.SIGCHLD, 0, 0, 0, 0)
if pid == 0:
    try:
        os.chdir("/")
    except OSError as error:
        os._exit(error.errno)
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


def calls(text):
    """The calls of a log, without thread ids and addresses."""
    return [re.sub(r"^\[\d+\] |0x[0-9a-f]+", "", line) for line in text.splitlines()
            if "] +++" not in line and "] ---" not in line]


class Fast(TracingTest):
    def start_waiting(self, log):
        process = self.start_utrace("run", "--fast", "-e", f"syscall_log:trace=chdir+execve,output={self.path(log)}",
                                    "--", "sh", "-c", WAITS)
        return process, int(process.stdout.readline())

    def go(self, process):
        process.stdin.write("go\n")
        process.stdin.flush()

    def test_the_same_log_as_without(self):
        script = "cd /; (cd /tmp; exit 3); cat /proc/self/comm; exit 7"
        logs = []
        for name, fast in (("slow", []), ("fast", ["--fast"])):
            result = self.run_utrace("run", *fast, "-e", f"syscall_log:trace=chdir+execve+openat,output={self.path(name)}",
                                     "--", "sh", "-c", script)
            self.assertEqual((result.returncode, result.stdout, result.stderr), (7, "cat\n", ""))
            logs.append(calls(self.read(name)))
        self.assertEqual(sorted(logs[0]), sorted(logs[1]))
        self.assertIn('chdir("/tmp") = 0', logs[1])

    def test_an_engine_that_wants_all_calls_is_refused(self):
        result = self.run_utrace("run", "--fast", "--", "touch", self.path("ran"))
        self.assertEqual(result.returncode, 125)
        self.assertIn("it wants to see all system calls", result.stderr)
        self.assertFalse(os.path.exists(self.path("ran")))

    def test_an_engine_that_wants_none_needs_no_filter(self):
        result = self.run_utrace("run", "--fast", "-e", "crash_catcher:dir=" + self.dir, "--",
                                 "grep", "^Seccomp:", "/proc/self/status")
        plain = self.run_utrace("run", "-e", "crash_catcher:dir=" + self.dir, "--",
                                "grep", "^Seccomp:", "/proc/self/status")
        self.assertRegex(result.stdout, r"^Seccomp:\t\d\n$")
        self.assertEqual(result.stdout, plain.stdout)
        named = self.run_utrace("run", "--fast", "-e", "syscall_log:trace=chdir,output=" + self.path("log"), "--",
                                "grep", "^Seccomp:", "/proc/self/status")
        self.assertEqual(named.stdout, "Seccomp:\t2\n")

    def test_the_command_outlives_its_client(self):
        process, _ = self.start_waiting("log")
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=DEADLINE)
        self.go(process)
        # End of file: all have ended.
        self.assertEqual(process.stdout.read(), "ok\n")

    def test_detaching_the_engine_harms_nobody(self):
        process, pid = self.start_waiting("log")
        self.assertEqual(self.run_utrace("detach", str(pid)).returncode, 0)
        self.go(process)
        self.assertEqual(process.stdout.read(), "ok\n")
        self.assertEqual(process.wait(timeout=DEADLINE), 0)

    def test_another_tool_sees_all_calls(self):
        process, pid = self.start_waiting("log")
        other = self.attach("-e", "syscall_log:output=" + self.path("all"), "--follow", pid)
        self.go(process)
        self.assertEqual(process.stdout.read(), "ok\n")
        self.assertEqual(process.wait(timeout=DEADLINE), 0)
        other.wait(timeout=DEADLINE)
        seen = calls(self.read("all"))
        self.assertEqual(len([call for call in seen if call.startswith("chdir(")]), 2)
        self.assertTrue([call for call in seen if call.startswith("write(1, ")])
        named = calls(self.read("log"))
        self.assertEqual(len([call for call in named if call.startswith("chdir(")]), 2)
        self.assertEqual({call.split("(")[0] for call in named}, {"chdir", "execve"})

    def test_what_the_manual_says_of_a_task_that_is_not_seen(self):
        result = self.run_utrace("run", "--fast", "-e", "syscall_log:trace=chdir,output=" + self.path("log"), "--",
                                 sys.executable, "-c", CREATES_UNTRACED)
        self.assertEqual((result.stdout, result.stderr), (f"{errno.ENOSYS}\n", ""))

    def test_no_new_privs_only_where_a_filter_needs_it(self):
        with open("/proc/self/status", encoding="utf-8") as file:
            own = dict(line.split(":\t", 1) for line in file.read().splitlines())
        needed = not int(own["CapEff"], 16) >> 21 & 1  # CAP_SYS_ADMIN
        result = self.run_utrace("run", "--fast", "-e", "syscall_log:trace=chdir,output=" + self.path("log"), "--",
                                 "grep", "^NoNewPrivs:", "/proc/self/status")
        self.assertEqual(result.stdout, "NoNewPrivs:\t%s\n" % (1 if needed else own["NoNewPrivs"]))

    def test_what_the_manual_says_of_a_killed_server(self):
        process, pid = self.start_waiting("log")
        server = tracer_of(pid)
        ended = Ended(server)
        os.kill(server, signal.SIGKILL)
        self.assertTrue(ended.wait())
        os.remove(self.path("server.d/server"))  # it leaves it behind
        self.go(process)
        self.assertEqual(process.stdout.read(), "")
        self.assertNotEqual(process.wait(timeout=DEADLINE), 0)
        said = process.stderr.read()
        self.assertIn("its system calls that --fast named fail", said)
        self.assertIn("can't cd to /", said)


if __name__ == "__main__":
    main()
