#!/usr/bin/env python3
"""Targets and outputs that are no good: one line that names the target and the reason, an exit status, and
nothing left stopped."""

import os
import pwd
import re
import shutil
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from tracing import DEADLINE, TracingTest, main, status_field

SLEEP = shutil.which("sleep")
NOBODY = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"]


def state_of(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        return file.read().rsplit(")", 1)[1].split()[0]


class BadTargets(TracingTest):
    def expect(self, command, line, status=1, **kwargs):
        """One line, whole, and the status; no server and nothing stopped is left."""
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                timeout=DEADLINE, check=False, **kwargs)
        self.assertRegex(result.stderr, f"^{line}\n$")
        self.assertEqual(result.returncode, status)
        self.assertEqual(result.stdout, "")
        self.expect_no_server()

    def expect_refused(self, target, reason, command="attach", options=()):
        self.expect([self.utrace, command, *options, str(target)],
                    f"utrace {command}: {target}: {reason}")

    def expect_runs_on(self, process):
        self.assertEqual(status_field(process.pid, "TracerPid"), 0)
        self.assertIn(state_of(process.pid), "SR")

    def start_sleep(self, *prefix):
        process = self.start(*prefix, SLEEP, "1000")
        # Its exec is over when it is a sleep.
        while os.readlink(f"/proc/{process.pid}/exe") != os.path.realpath(SLEEP):
            os.sched_yield()
        return process

    # ---- Targets ----

    def test_vanished(self):
        gone = subprocess.Popen(["true"])
        gone.wait()
        for command in ("attach", "stop", "interrupt"):
            self.expect_refused(gone.pid, "there is no such process or thread", command)
        for command in ("detach", "resume", "ps"):
            self.expect_refused(gone.pid, "no engine is attached to it", command)

    def test_first_process(self):
        for command in ("attach", "stop", "interrupt"):
            self.expect_refused(1, r".* \(pid 1\) is the first process, on which the whole system "
                                   r"depends; --force traces it all the same", command)
        self.assertEqual(status_field(1, "TracerPid"), 0)

    def test_kernel_thread(self):
        with open("/proc/2/comm", encoding="utf-8") as name:
            self.assertEqual(name.read(), "kthreadd\n", "the scene cannot be set in a pid namespace")
        for command in ("attach", "stop", "interrupt"):
            self.expect_refused(2, r"kthreadd \(pid 2\) is a kernel thread: it runs no user code that "
                                   "could be traced", command)

    def test_zombie(self):
        zombie = subprocess.Popen(["true"])
        # Waits without taking it away.
        os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
        for command in ("attach", "stop", "interrupt"):
            self.expect_refused(zombie.pid,
                                rf"true \(pid {zombie.pid}\) is a zombie: it has ended, and its parent "
                                rf"\S+ \(pid {os.getpid()}\) has not waited for it yet", command)
        zombie.wait()

    def test_itself(self):
        self.expect(["sh", "-c", f"exec {self.utrace} attach $$"],
                    "utrace attach: [0-9]+: this is the utrace command itself")

    def test_its_own_server(self):
        server = self.start_utrace("serve")
        server.stderr.readline()
        self.expect_refused(server.pid, "this is the utrace server, which does the tracing and cannot "
                                        "trace itself")
        self.assertEqual(server.wait(timeout=DEADLINE), 0)

    @unittest.skipUnless(os.geteuid() == 0, "only root can become somebody else")
    def test_other_users_process(self):
        # Another user reaches neither the directory of this test nor perhaps the program's.
        os.chmod(self.dir, 0o755)
        program = shutil.copy(self.utrace, self.path("utrace"))
        os.chmod(program, 0o755)
        os.mkdir(self.path("nobody"), 0o700)
        os.chown(self.path("nobody"), pwd.getpwnam("nobody").pw_uid, -1)
        os.environ["UTRACE_SOCKET_DIR"] = self.path("nobody")
        victim = self.start_sleep()
        for command in ("attach", "stop", "interrupt"):
            self.expect([*NOBODY, program, command, str(victim.pid)],
                        f"utrace {command}: {victim.pid}: it belongs to user root, and this is user "
                        "nobody: only root may trace other users' processes")
            self.expect_runs_on(victim)

    @unittest.skipUnless(os.geteuid() == 0, "only root can become somebody else")
    def test_another_user_at_the_socket(self):
        server = self.start_utrace("serve")
        server.stderr.readline()
        # Even where the modes let somebody else in, the server does not.
        os.chmod(self.dir, 0o755)
        os.chmod(self.path("server.d"), 0o755)
        os.chmod(self.path("server.d/server"), 0o666)
        program = ("import socket, sys; s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); "
                   "s.connect(sys.argv[1]); print(s.recv(9999))")
        result = subprocess.run([*NOBODY, sys.executable, "-c", program, self.path("server.d/server")],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                timeout=DEADLINE, check=False)
        self.assertEqual((result.returncode, result.stdout), (0, "b''\n"), result.stderr)
        self.assertEqual(server.stderr.readline(),
                         f"utrace serve: user {pwd.getpwnam('nobody').pw_uid} was turned away\n")
        os.chmod(self.path("server.d"), 0o700)
        self.assertEqual(self.run_utrace("run", "-o", "/dev/null", "--", "true").returncode, 0)
        self.assertEqual(server.wait(timeout=DEADLINE), 0)

    def test_traced_by_another_program(self):
        victim = self.start_sleep()
        strace = self.start("strace", "-qq", "-o", self.path("strace"), "-p", str(victim.pid))
        while status_field(victim.pid, "TracerPid") == 0:
            os.sched_yield()
        for command in ("attach", "stop", "interrupt"):
            self.expect_refused(victim.pid, rf"thread {victim.pid} of sleep \(pid {victim.pid}\) is already "
                                            rf"traced by strace \(pid {strace.pid}\); a thread has one "
                                            "ptracer: end that one first, or attach through it", command)
        self.assertEqual(status_field(victim.pid, "TracerPid"), strace.pid)

    def test_no_number(self):
        for target in ("x", "0", "-5", "4711x", "99999999999"):
            result = self.run_utrace("attach", "--", target) if target == "-5" else \
                self.run_utrace("attach", target)
            self.assertEqual(result.returncode, 2, target)
            self.assertEqual(result.stderr.count("\n"), 2, result.stderr)

    # ---- Outputs ----

    def test_full_disk(self):
        self.expect([self.utrace, "run", "-o", "/dev/full", "--", "true"],
                    "utrace run: syscall_log:output=/dev/full: .*No space left on device; [0-9]+ lines "
                    "lost", status=0)

    def test_closed_pipe(self):
        reader, writer = os.pipe()
        os.close(reader)
        try:
            self.expect([self.utrace, "run", "-o", f"/dev/fd/{writer}", "--", "true"],
                        f"utrace run: syscall_log:output=/dev/fd/{writer}: .*Broken pipe; [0-9]+ lines "
                        "lost", status=0, pass_fds=[writer])
            # The reader goes away while it runs.
            victim = self.start_sleep()
            log_reader, log_writer = os.pipe()
            attached = self.start_utrace("attach", "-o", f"/dev/fd/{log_writer}", str(victim.pid),
                                         pass_fds=[log_writer])
            attached.stderr.readline()
            os.close(log_reader)
            os.close(log_writer)
            self.run_utrace("interrupt", str(victim.pid))
            status, said = self.end(attached)
            self.assertEqual(status, 1)
            self.assertRegex(said, "^utrace attach: syscall_log:output=/dev/fd/[0-9]+,follow=no: .*"
                                   "Broken pipe; [0-9]+ lines? lost\n$")
            self.expect_runs_on(victim)
        finally:
            os.close(writer)

    def test_unwritable_directory(self):
        victim = self.start_sleep()
        path = self.path("none/log")
        self.expect([self.utrace, "attach", "-o", path, str(victim.pid)],
                    f"utrace attach: -e syscall_log:output={path},follow=no: syscall_log: cannot write "
                    f"\"{path}\": ENOENT .No such file or directory.")
        self.expect_runs_on(victim)
        self.expect([self.utrace, "run", "-o", "/proc/log", "--", "true"],
                    "utrace run: -e syscall_log:output=/proc/log: syscall_log: cannot write "
                    "\"/proc/log\": E[A-Z]+ .*", status=125)

    def test_the_servers_directory(self):
        os.environ["UTRACE_SOCKET_DIR"] = self.path("none/there")
        self.expect([self.utrace, "run", "--", "true"],
                    f"utrace run: the server's directory {self.path('none/there')} cannot be used: No "
                    "such file or directory; UTRACE_SOCKET_DIR may name another", status=125)


if __name__ == "__main__":
    main()
