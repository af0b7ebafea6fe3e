#!/usr/bin/env python3
"""Real commands under `utrace run`: output, exit status and logs against the untraced command."""

import os
import signal
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# pylint: disable=wrong-import-position
from tracing import Ended, tracer_of

UTRACE = os.path.abspath(sys.argv.pop(1))
PROGRAMS = os.path.abspath(os.path.dirname(sys.argv.pop(1)))
DEADLINE = 120  # seconds; a guard against hanging


def program(name):
    return os.path.join(PROGRAMS, name)


def calls(path):
    """The logged system calls as (tid, call with result), signals and ends left out."""
    with open(path, encoding="utf-8") as file:
        lines = [line.rstrip("\n").split(" ", 1) for line in file]
    return [(tid, text) for tid, text in lines if not text.startswith(("---", "+++"))]


class RunTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.dir = directory.name
        # A server of the test's own.
        os.environ["UTRACE_SOCKET_DIR"] = self.path("server")

    def start(self, command, **kwargs):
        """A process that is killed at the end of the test if it still runs."""
        process = subprocess.Popen(command, stdout=subprocess.PIPE, **kwargs)

        def end():
            process.kill()
            process.wait()
            process.stdout.close()

        self.addCleanup(end)
        return process

    def path(self, name):
        return os.path.join(self.dir, name)

    def run_plain(self, command, **kwargs):
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=DEADLINE, check=False, **kwargs)

    def run_traced(self, command, **kwargs):
        """The command under two syscall_log engines that write to first.log and second.log."""
        return self.run_plain(
            [UTRACE, "run", "-e", "syscall_log:output=" + self.path("first.log"),
             "-e", "syscall_log:output=" + self.path("second.log"), "--"] + command, **kwargs)

    def compare(self, command, **kwargs):
        plain = self.run_plain(command, **kwargs)
        traced = self.run_traced(command, **kwargs)
        self.assertEqual(traced.stderr, plain.stderr)
        self.assertEqual(traced.stdout, plain.stdout)
        self.assertEqual(traced.returncode, plain.returncode)
        first = calls(self.path("first.log"))
        self.assertEqual(first, calls(self.path("second.log")), "the two logs differ")
        self.assertGreater(len(first), 10)
        return first

    def test_listing(self):
        logged = self.compare(["ls", "-lR", "/usr/share/doc"])
        self.assertTrue(logged[0][1].startswith("execve("), logged[0])
        self.assertTrue(logged[-1][1].startswith("exit_group("), logged[-1])

    def test_threads(self):
        with open(self.path("data"), "wb") as file:
            block = os.urandom(1 << 16)
            for _ in range(320):  # 20 MiB
                file.write(block)
        # Small blocks, so that two threads have work.
        logged = self.compare(["xz", "-T2", "-0", "--block-size=2MiB", "-kc", self.path("data")])
        self.assertGreater(len({tid for tid, _ in logged}), 1, "no second thread was logged")

    def test_pipeline_of_four(self):
        logged = self.compare(["sh", "-c", "ls /usr/share/doc | sort -r | tr a-z A-Z | wc -c"])
        self.assertEqual(len({tid for tid, _ in logged}), 5)

    def test_exec_from_a_thread(self):
        logged = self.compare([program("thread_exec")])
        self.assertEqual(len([1 for _, text in logged if text.startswith("execve(")]), 2)

    def test_killed_by_a_fault(self):
        self.compare([program("fault")])

    def test_status_and_output_of_failure(self):
        self.compare(["sh", "-c", "echo out; echo err >&2; exit 42"])

    def test_killed_by_a_signal(self):
        self.compare(["sh", "-c", "kill -TERM $$"])

    def test_job_control(self):
        """A parent that sees its child stop, continues it, and sees it continue and end."""
        parent = """
import os, signal
go, tell = os.pipe()
pid = os.fork()
if pid == 0:
    os.kill(os.getpid(), signal.SIGSTOP)
    os.read(go, 1)
    os._exit(7)
_, status = os.waitpid(pid, os.WUNTRACED)
print(os.WIFSTOPPED(status), os.WSTOPSIG(status))
os.kill(pid, signal.SIGCONT)
_, status = os.waitpid(pid, os.WCONTINUED)
print(os.WIFCONTINUED(status))
os.write(tell, b"x")
_, status = os.waitpid(pid, 0)
raise SystemExit(os.WEXITSTATUS(status))
"""
        command = [sys.executable, "-c", parent]
        plain = self.run_plain(command)
        traced = self.run_traced(command)
        self.assertEqual((traced.returncode, traced.stdout), (plain.returncode, plain.stdout))
        self.assertEqual((plain.returncode, plain.stdout), (7, b"True 19\nTrue\n"))
        with open(self.path("first.log"), encoding="utf-8") as file:
            self.assertIn("--- SIGSTOP ", file.read())

    def test_utrace_killed_in_the_middle(self):
        go = self.path("go")
        os.mkfifo(go)
        script = f"echo $$; read line < {go}; for i in 1 2 3; do /bin/echo $i; done; exit 0"
        process = self.start([UTRACE, "run", "-o", self.path("log"), "--", "sh", "-c", script])
        pid = int(process.stdout.readline())
        server = tracer_of(pid)
        self.assertNotIn(server, (0, process.pid))
        ended = Ended(server)
        process.kill()
        process.wait(timeout=DEADLINE)
        # The client takes its engines with it, and the server ends without them.
        self.assertTrue(ended.wait(), "the server stays")
        self.assertEqual(tracer_of(pid), 0)
        with open(go, "w", encoding="utf-8") as file:
            file.write("go\n")
        # End of file: the script has ended too.
        self.assertEqual(process.stdout.read(), b"1\n2\n3\n")

    def test_server_killed_in_the_middle(self):
        go = self.path("go")
        os.mkfifo(go)
        script = f"echo $$; read line < {go}; for i in 1 2 3; do /bin/echo $i; done; exit 4"
        process = self.start([UTRACE, "run", "-o", self.path("log"), "--", "sh", "-c", script],
                             stderr=subprocess.PIPE)
        pid = int(process.stdout.readline())
        server = tracer_of(pid)
        ended = Ended(server)
        os.kill(server, signal.SIGKILL)
        # Its connection may be closed while it still is the tracer.
        self.assertTrue(ended.wait())
        self.assertEqual(process.stderr.readline().decode(),
                         f"utrace run: the server (pid {server}) has died; "
                         "the command runs on untraced\n")
        self.assertEqual(tracer_of(pid), 0)
        with open(go, "w", encoding="utf-8") as file:
            file.write("go\n")
        self.assertEqual(process.stdout.read(), b"1\n2\n3\n")
        self.assertEqual(process.wait(timeout=DEADLINE), 4)
        process.stderr.close()

    def test_target_killed_in_the_middle(self):
        go = self.path("go")
        os.mkfifo(go)
        process = self.start(
            [UTRACE, "run", "-o", self.path("log"), "--", "sh", "-c", f"echo $$; read x < {go}"])
        pid = int(process.stdout.readline())
        os.kill(pid, signal.SIGKILL)
        self.assertEqual(process.wait(timeout=DEADLINE), -signal.SIGKILL)
        with open(self.path("log"), encoding="utf-8") as file:
            self.assertIn("+++ killed by SIGKILL +++", file.read())

    def test_others_are_left_alone(self):
        """A process started beside the traced one, and one that the engine does not follow."""
        go = self.path("go")
        os.mkfifo(go)
        bystander = self.start(["sleep", "1000"])
        process = self.start(
            [UTRACE, "run", "-e", "syscall_log:follow=no,output=" + self.path("log"), "--",
             "sh", "-c", f"sh -c 'echo $$; read x < {go}'; exit 3"])
        child = int(process.stdout.readline())
        self.assertEqual(tracer_of(child), 0)
        self.assertEqual(tracer_of(bystander.pid), 0)
        with open(go, "w", encoding="utf-8") as file:
            file.write("go\n")
        self.assertEqual(process.wait(timeout=DEADLINE), 3)

    def test_no_descriptor_leaks(self):
        self.compare(["sh", "-c", "ls /proc/self/fd | wc -l"])

    def test_unknown_command(self):
        result = self.run_plain([UTRACE, "run", "--", "no-such-command"])
        self.assertEqual(result.returncode, 127)
        self.assertIn(b"no-such-command", result.stderr)

    def test_not_executable(self):
        path = self.path("file")
        with open(path, "w", encoding="utf-8"):
            pass
        result = self.run_plain([UTRACE, "run", "--", path])
        self.assertEqual(result.returncode, 126)
        self.assertIn(path.encode(), result.stderr)

    def test_unknown_engine(self):
        result = self.run_plain([UTRACE, "run", "-e", "no_such_engine", "--", "true"])
        self.assertNotEqual(result.returncode, 0)
        self.assertIn(b"syscall_log", result.stderr)

    def test_full_disk(self):
        plain = self.run_plain(["ls", "/usr"])
        result = self.run_plain(
            [UTRACE, "run", "-e", "syscall_log:output=/dev/full", "--", "ls", "/usr"])
        self.assertEqual(result.stdout, plain.stdout)
        self.assertIn(b"No space left on device", result.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
