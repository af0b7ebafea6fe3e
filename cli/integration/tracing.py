"""What the tests of commands that share a server have in common."""

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
import unittest

DEADLINE = 60  # seconds; a guard against hanging

# Answers each line of its standard input by a line, when each of its threads has made a system call for
# it: getppid(). "thread" makes another thread first, "fork" a child that makes the call; with "main" the
# main thread makes it too.
PROGRAM = """
import os, sys, threading
def work(go, done):
    while True:
        go.acquire()
        os.getppid()
        done.release()
pairs = []
def add():
    pair = (threading.Semaphore(0), threading.Semaphore(0))
    threading.Thread(target=work, args=pair, daemon=True).start()
    pairs.append(pair)
for _ in range(int(sys.argv[1])):
    add()
print(os.getpid(), flush=True)
for line in sys.stdin:
    if line == "thread\\n":
        add()
    if line == "main\\n":
        os.getppid()
    if line == "crash\\n":
        os.abort()
    if line == "fork\\n":
        pid = os.fork()
        if pid == 0:
            os.getppid()
            os._exit(0)
        os.waitpid(pid, 0)
    for go, done in pairs:
        go.release()
        done.acquire()
    print(line, end="", flush=True)
"""


def status_field(pid, name):
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith(name + ":"):
                    return int(line.split()[1])
    except FileNotFoundError:
        pass
    return 0


def tracer_of(pid):
    """The process that traces `pid`, zero if none does; the kernel names the tracing thread."""
    thread = status_field(pid, "TracerPid")
    return status_field(thread, "Tgid") if thread else 0


def threads_of(pid):
    return sorted(int(tid) for tid in os.listdir(f"/proc/{pid}/task"))


class Ended:
    """Becomes readable when a process has ended."""

    def __init__(self, pid):
        self.fd = os.pidfd_open(pid)

    def wait(self):
        ended = select.select([self.fd], [], [], DEADLINE)[0]
        os.close(self.fd)
        return bool(ended)


class TracingTest(unittest.TestCase):
    utrace = ""  # set by main()

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.dir = directory.name
        os.environ["UTRACE_SOCKET_DIR"] = self.path("server.d")
        self.addCleanup(self.expect_no_server)

    def expect_no_server(self):
        """The server ends with its last client: its socket is gone."""
        deadline = DEADLINE * 20
        while os.path.exists(self.path("server.d/server")) and deadline > 0:
            select.select([], [], [], 0.05)
            deadline -= 1
        self.assertGreater(deadline, 0, "the server has not ended")

    def path(self, name):
        return os.path.join(self.dir, name)

    def read(self, name):
        with open(self.path(name), encoding="utf-8", errors="replace") as file:
            return file.read()

    def start(self, *command, **kwargs):
        """A process with pipes, that is killed at the end of the test if it still runs."""
        kwargs.setdefault("stderr", subprocess.PIPE)
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                   **kwargs)

        def end():
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe:
                    pipe.close()

        self.addCleanup(end)
        return process

    def run_utrace(self, *arguments, **kwargs):
        return subprocess.run([self.utrace, *arguments], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=DEADLINE, check=False,
                              **kwargs)

    def start_utrace(self, *arguments, **kwargs):
        return self.start(self.utrace, *arguments, **kwargs)

    def start_program(self, threads=2):
        """PROGRAM, and its process id."""
        process = self.start(sys.executable, "-c", PROGRAM, str(threads))
        return process, int(process.stdout.readline())

    def start_traced_program(self, *options, threads=2):
        process = self.start_utrace("run", *options, "--", sys.executable, "-c", PROGRAM,
                                    str(threads))
        return process, int(process.stdout.readline())

    def attach(self, *arguments):
        """A `utrace attach` that has attached."""
        process = self.start_utrace("attach", *[str(argument) for argument in arguments])
        line = process.stderr.readline()
        self.assertRegex(line, "^utrace attach: attached to [0-9]+ threads?; Ctrl-C detaches\n")
        return process

    def ask(self, program, line="x"):
        """Has the program do its work once."""
        program.stdin.write(line + "\n")
        program.stdin.flush()
        self.assertEqual(program.stdout.readline(), line + "\n")

    def ps(self, *targets):
        """Of each traced thread, by its number, what `utrace ps --json` tells."""
        result = self.run_utrace("ps", "--json", *[str(target) for target in targets])
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        return {thread["tid"]: thread for process in json.loads(result.stdout)["processes"]
                for thread in process["threads"]}

    def await_without(self, client, target):
        """Until no engine of a client that has died is on the target: its server hears of the death in its
        own time."""
        deadline = time.monotonic() + DEADLINE
        while any(engine["client"]["pid"] == client.pid for thread in self.ps(target).values()
                  for engine in thread["engines"]):
            self.assertLess(time.monotonic(), deadline, "the engines outlive their client")

    def end(self, process, how=signal.SIGINT):
        """Its exit status and standard error after a signal."""
        process.send_signal(how)
        return process.wait(timeout=DEADLINE), process.stderr.read()


def main():
    TracingTest.utrace = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)
