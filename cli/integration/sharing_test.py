#!/usr/bin/env python3
"""Commands from several terminals on one process: they share it, and none harms it or another."""

import json
import os
import pty
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from tracing import DEADLINE, Ended, TracingTest, main, threads_of, tracer_of

FAULTY = os.path.abspath(sys.argv.pop(2))


def state_of(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        return file.read().rpartition(") ")[2][0]


def links_of(pid):
    """What the descriptors of a process are open on."""
    links = []
    for entry in os.listdir(f"/proc/{pid}/fd"):
        try:
            links.append(os.readlink(f"/proc/{pid}/fd/{entry}"))
        except FileNotFoundError:  # closed meanwhile
            pass
    return links


class TwoTerminals(TracingTest):
    def setUp(self):
        super().setUp()
        self.program, self.pid = self.start_traced_program(
            "-e", "syscall_log:output=" + self.path("first"))
        self.ask(self.program)
        self.other = self.attach("-o", self.path("second"), self.pid)
        self.ask(self.program)

    def logged(self, name):
        """How often each thread called getppid, as the log has it."""
        counts = {}
        for line in self.read(name).splitlines():
            if " getppid(" in line:
                tid = int(line[1:].split("]")[0])
                counts[tid] = counts.get(tid, 0) + 1
        return counts

    def end_program(self):
        self.program.stdin.close()
        return self.program.wait(timeout=DEADLINE)

    def test_both_work_on_the_same_threads(self):
        threads = self.ps(self.pid)
        self.assertEqual(sorted(threads), threads_of(self.pid))
        self.assertEqual(len(threads), 3)
        for thread in threads.values():
            self.assertEqual(sorted(engine["name"] for engine in thread["engines"]),
                             ["follow", "syscall_log", "syscall_log"])
            clients = {engine["client"]["command"] for engine in thread["engines"]}
            self.assertEqual(clients, {"run", "attach"})
        self.assertEqual(self.end(self.other), (0, ""))
        self.ask(self.program)
        self.assertEqual(self.end_program(), 0)
        self.assertEqual(sorted(self.logged("first").values()), [3, 3])
        self.assertEqual(sorted(self.logged("second").values()), [1, 1])

    def test_killing_the_first_leaves_the_second_and_the_program(self):
        # The program's end of its pipes is its own.
        self.program.kill()
        self.program.wait(timeout=DEADLINE)
        self.await_without(self.program, self.pid)
        self.ask(self.program)
        threads = self.ps(self.pid)
        self.assertEqual({engine["client"]["pid"] for thread in threads.values()
                          for engine in thread["engines"]}, {self.other.pid})
        ended = Ended(self.pid)
        self.program.stdin.close()
        self.assertTrue(ended.wait())
        self.assertEqual(self.other.wait(timeout=DEADLINE), 0)
        self.assertEqual(self.other.stderr.read(),
                         "utrace attach: detached: its targets have ended\n")
        self.assertEqual(sorted(self.logged("second").values()), [2, 2])
        self.assertIn("+++ exited with 0 +++", self.read("second"))

    def test_killing_the_second_leaves_the_first_and_the_program(self):
        self.other.kill()
        self.other.wait(timeout=DEADLINE)
        self.ask(self.program)
        self.assertEqual(self.end_program(), 0)
        self.assertEqual(sorted(self.logged("first").values()), [3, 3])

    def test_killing_the_server_leaves_the_program(self):
        server = tracer_of(self.pid)
        ended = Ended(server)
        os.kill(server, signal.SIGKILL)
        self.assertTrue(ended.wait())
        self.assertEqual(self.other.wait(timeout=DEADLINE), 1)
        self.assertEqual(self.other.stderr.read(),
                         f"utrace attach: the server (pid {server}) has died; the targets run on\n")
        self.assertEqual(tracer_of(self.pid), 0)
        self.ask(self.program)
        self.assertEqual(self.end_program(), 0)
        # The socket that it left behind is in nobody's way.
        self.assertEqual(self.run_utrace("run", "-o", "/dev/null", "--", "true").returncode, 0)

    def test_asking_the_server_to_end_leaves_the_program(self):
        server = tracer_of(self.pid)
        ended = Ended(server)
        os.kill(server, signal.SIGTERM)
        self.assertTrue(ended.wait())
        self.assertEqual(self.other.wait(timeout=DEADLINE), 1)
        self.assertEqual(self.other.stderr.read(),
                         "utrace attach: the server was told to end; the targets run on\n")
        self.ask(self.program)
        self.assertEqual(self.end_program(), 0)


# Its parent waits, where no tracer reaches it, until its child has opened what nobody reads.
SPAWNER = """
import os, sys
print(os.getpid(), flush=True)
opening = (os.POSIX_SPAWN_OPEN, 3, sys.argv[1], os.O_WRONLY, 0)
os.waitpid(os.posix_spawn("/bin/true", ["true"], {}, file_actions=[opening]), 0)
"""


class WaitingParent(TracingTest):
    def test_does_not_keep_the_server(self):
        pipe = self.path("pipe")
        os.mkfifo(pipe)
        program = self.start_utrace("run", "-o", "/dev/null", "--", sys.executable, "-c", SPAWNER, pipe)
        pid = int(program.stdout.readline())
        deadline = time.monotonic() + DEADLINE
        while state_of(pid) != "D" and time.monotonic() < deadline:
            time.sleep(0.01)
        self.assertEqual(state_of(pid), "D")
        server = tracer_of(pid)
        ended = Ended(server)
        program_ended = Ended(pid)
        os.kill(server, signal.SIGTERM)
        self.assertTrue(ended.wait())
        with open(pipe, encoding="utf-8"):
            self.assertTrue(program_ended.wait())
        self.assertEqual(program.wait(timeout=DEADLINE), 0)


class LogAndCatcher(TracingTest):
    """A log from one terminal, a crash catcher from another."""

    def setUp(self):
        super().setUp()
        os.mkdir(self.path("crashes"))
        self.program, self.pid = self.start_traced_program("-o", self.path("log"))
        self.ask(self.program)
        self.catcher = self.attach("-e", "crash_catcher:dir=" + self.path("crashes"), self.pid)
        self.ask(self.program)

    def crash(self):
        self.program.stdin.write("crash\n")
        self.program.stdin.close()

    def reports(self):
        return "".join(self.read("crashes/" + name) for name in os.listdir(self.path("crashes"))
                       if name.endswith(".txt"))

    def test_both_see_the_crash(self):
        threads = self.ps(self.pid)
        self.assertEqual(sorted(threads), threads_of(self.pid))
        for thread in threads.values():
            self.assertLessEqual({"syscall_log", "crash_catcher"},
                                 {engine["name"] for engine in thread["engines"]})
        self.crash()
        self.assertEqual(self.program.wait(timeout=DEADLINE), -signal.SIGABRT)
        self.assertEqual(self.catcher.wait(timeout=DEADLINE), 0, self.catcher.stderr.read())
        self.assertIn("+++ killed by SIGABRT", self.read("log"))
        self.assertIn("SIGABRT", self.reports())

    def test_the_catcher_outlives_the_log(self):
        self.program.kill()
        self.program.wait(timeout=DEADLINE)
        self.ask(self.program)
        self.crash()
        self.assertEqual(self.catcher.wait(timeout=DEADLINE), 0, self.catcher.stderr.read())
        self.assertIn("SIGABRT", self.reports())

    def test_the_log_outlives_the_catcher(self):
        self.catcher.kill()
        self.catcher.wait(timeout=DEADLINE)
        self.await_without(self.catcher, self.pid)
        self.ask(self.program)
        self.crash()
        self.assertEqual(self.program.wait(timeout=DEADLINE), -signal.SIGABRT)
        self.assertEqual(self.read("log").count(" getppid("), 6)
        self.assertIn("+++ killed by SIGABRT", self.read("log"))
        self.assertEqual(os.listdir(self.path("crashes")), [])


class Attach(TracingTest):
    def setUp(self):
        super().setUp()
        self.program, self.pid = self.start_program()

    def expect_untraced(self):
        self.expect_no_server()
        self.assertEqual([tracer_of(tid) for tid in threads_of(self.pid)], [0, 0, 0])
        self.ask(self.program)

    def test_signals_detach(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            attached = self.attach("-o", self.path("log"), self.pid)
            self.assertNotEqual(tracer_of(self.pid), 0)
            self.ask(self.program)
            self.assertEqual(self.end(attached, number), (0, ""))
            self.assertEqual(self.read("log").count(" getppid("), 2)
            self.expect_untraced()

    def test_detach_by_somebody_else(self):
        first = self.attach("-o", self.path("first"), self.pid)
        second = self.attach("-e", "syscall_log:signals=no,output=" + self.path("second"), self.pid)
        engine = [engine for engine in self.ps(self.pid)[self.pid]["engines"]
                  if engine["spec"].startswith("syscall_log:signals=no")][0]
        result = self.run_utrace("detach", "-e", f"#{engine['id']}", str(self.pid))
        self.assertEqual((result.returncode, result.stderr),
                         (0, f"utrace detach: syscall_log #{engine['id']} of utrace attach "
                             f"(pid {second.pid}): detached from 3 threads\n"))
        self.assertEqual(second.wait(timeout=DEADLINE), 0)
        self.assertRegex(second.stderr.read(),
                         r"^utrace attach: detached: utrace detach \(pid [0-9]+\) took it off\n$")
        self.assertEqual({engine["client"]["pid"] for engine in self.ps(self.pid)[self.pid]["engines"]},
                         {first.pid})
        result = self.run_utrace("detach", "-e", "other", str(self.pid))
        self.assertEqual((result.returncode, result.stderr),
                         (1, f"utrace detach: {self.pid}: no engine other is attached to it\n"))
        result = self.run_utrace("detach", str(self.pid))
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(first.wait(timeout=DEADLINE), 0)
        self.expect_untraced()
        result = self.run_utrace("detach", str(self.pid))
        self.assertEqual((result.returncode, result.stderr),
                         (1, f"utrace detach: {self.pid}: no engine is attached to it\n"))

    def test_a_thread_alone_and_its_process(self):
        thread = threads_of(self.pid)[1]
        attached = self.attach("-o", self.path("log"), thread)
        self.assertEqual(list(self.ps()), [thread])
        self.ask(self.program)
        self.ask(self.program, "thread")
        self.assertEqual(list(self.ps()), [thread])
        self.assertEqual(self.end(attached), (0, ""))
        attached = self.attach("-o", self.path("log"), "--threads", thread)
        self.assertEqual(sorted(self.ps()), threads_of(self.pid))
        self.assertEqual(self.end(attached), (0, ""))

    def test_new_threads_of_a_process_and_new_processes_on_request(self):
        attached = self.attach("-o", self.path("log"), self.pid)
        self.ask(self.program, "thread")
        self.ask(self.program, "fork")
        self.assertEqual(sorted(self.ps()), threads_of(self.pid))
        self.assertEqual(self.end(attached), (0, ""))
        # Two threads and then twice three; the child was not followed.
        self.assertEqual(self.read("log").count(" getppid("), 6)
        attached = self.attach("-o", self.path("log"), "--follow", self.pid)
        self.ask(self.program, "fork")
        self.assertEqual(self.end(attached), (0, ""))
        self.assertEqual(self.read("log").count(" getppid("), 4)

    def test_a_process_of_a_thousand_threads(self):
        program, pid = self.start_program(threads=1000)
        attached = self.attach("-o", self.path("log"), pid)
        self.assertEqual(sorted(self.ps(pid)), threads_of(pid))
        self.assertEqual(self.end(attached), (0, ""))
        self.ask(program)

    def test_interrupted_while_it_attaches(self):
        program, pid = self.start_program(threads=1000)
        attached = self.start_utrace("attach", "-o", self.path("log"), pid.__str__())
        while tracer_of(pid) == 0:
            self.assertIsNone(attached.poll())
        status, said = self.end(attached)
        self.assertEqual(status, 0, said)
        self.expect_no_server()
        self.assertEqual({tracer_of(tid) for tid in threads_of(pid)}, {0})
        self.ask(program)

    def test_progress_is_shown_on_a_terminal(self):
        program, pid = self.start_program(threads=200)
        server = self.start_utrace("serve")
        server.stderr.readline()
        master, terminal = pty.openpty()
        # What takes long is told: here a server that does nothing for a while.
        server.send_signal(signal.SIGSTOP)
        attached = self.start_utrace("attach", "-o", self.path("log"), str(pid), stderr=terminal)
        os.close(terminal)
        # It has begun when it has a connection. From then on more than half a second: that is long.
        while not any(name.startswith("socket:") for name in links_of(attached.pid)):
            self.assertIsNone(attached.poll())
        time.sleep(0.7)
        server.send_signal(signal.SIGCONT)
        shown = b""
        while b"attached to 201 threads" not in shown:
            shown += os.read(master, 4096)
        self.assertRegex(shown, rb"\rutrace attach: %d: [0-9]+ of 201 threads" % pid)
        attached.send_signal(signal.SIGINT)
        self.assertEqual(attached.wait(timeout=DEADLINE), 0)
        os.close(master)
        self.ask(program)
        # Not killed before it has removed its socket.
        self.assertEqual(server.wait(timeout=DEADLINE), 0)

    def test_output_that_cannot_be_written(self):
        attached = self.attach("-o", "/dev/full", self.pid)
        self.ask(self.program)
        status, said = self.end(attached)
        self.assertEqual(status, 1)
        self.assertRegex(said, "^utrace attach: syscall_log:output=/dev/full.*No space left on device.*\n$")
        self.expect_untraced()

    def test_several_targets_of_which_some_are_refused(self):
        attached = self.start_utrace("attach", "-q", "-o", self.path("log"), "999999999",
                                     str(self.pid))
        self.assertEqual(attached.stderr.readline(),
                         "utrace attach: 999999999: there is no such process or thread\n")
        self.ask(self.program)
        self.assertEqual(self.end(attached), (1, ""))
        self.expect_untraced()


class Control(TracingTest):
    def setUp(self):
        super().setUp()
        self.program, self.pid = self.start_program()
        self.addCleanup(self.run_utrace, "resume", str(self.pid))

    def states(self):
        return {tid: thread["state"] for tid, thread in self.ps(self.pid).items()}

    def test_a_stop_outlives_its_command(self):
        result = self.run_utrace("stop", str(self.pid))
        self.assertEqual(result.returncode, 0, result.stderr)
        # Its threads wait in system calls, which is told.
        self.assertRegex(result.stderr,
                         f"^utrace stop: {self.pid} has 3 threads in the system call [a-z]+, .*and stop "
                         f"when that ends; utrace interrupt {self.pid} stops them now\n$")
        self.assertEqual(set(self.states().values()), {"stopping"})
        result = self.run_utrace("interrupt", str(self.pid))
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        threads = self.ps(self.pid)
        self.assertEqual({thread["state"] for thread in threads.values()}, {"stopped"})
        for thread in threads.values():
            engine = thread["engines"][0]
            self.assertEqual((engine["name"], engine["client"]["command"]), ("stop", "stop"))
            self.assertEqual(thread["stopped_by"], [engine["id"]])
        shown = self.run_utrace("ps", str(self.pid)).stdout
        self.assertRegex(shown, f"stopped by stop #{engine['id']}  Utrace:\t[0-9a-f]+\n")
        self.program.stdin.write("x\n")
        self.program.stdin.flush()
        result = self.run_utrace("stop", str(self.pid))
        self.assertEqual(result.returncode, 0)
        self.assertRegex(result.stderr, f"^utrace stop: {self.pid} has 3 threads stopped already, by "
                                        r"utrace stop \(pid [0-9]+\)\n$")
        self.assertEqual(set(self.states().values()), {"stopped"})
        result = self.run_utrace("resume", str(self.pid))
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertEqual(self.program.stdout.readline(), "x\n")
        self.expect_no_server()
        result = self.run_utrace("resume", str(self.pid))
        self.assertEqual((result.returncode, result.stderr),
                         (1, f"utrace resume: {self.pid}: no engine is attached to it\n"))

    def test_a_killed_server_resumes(self):
        self.run_utrace("stop", str(self.pid))
        self.run_utrace("interrupt", str(self.pid))
        self.assertEqual(set(self.states().values()), {"stopped"})
        os.kill(tracer_of(self.pid), signal.SIGKILL)
        self.ask(self.program)
        os.unlink(self.path("server.d/server"))

    def test_killing_what_is_stopped_ends_the_server(self):
        self.run_utrace("stop", str(self.pid))
        self.program.kill()
        self.program.wait(timeout=DEADLINE)
        self.expect_no_server()

    def test_resume_names_others_that_hold(self):
        attached = self.attach("-e", FAULTY + ":how=stop", self.pid)
        self.program.stdin.write("x\n")
        self.program.stdin.flush()
        # One of the threads stops at its getppid; the main thread waits for it.
        while "stopped" not in self.states().values():
            pass
        stopped = [tid for tid, state in self.states().items() if state == "stopped"]
        result = self.run_utrace("resume", str(self.pid))
        self.assertEqual(result.returncode, 1)
        self.assertRegex(result.stderr,
                         f"utrace resume: {stopped[0]}: it is still stopped, by faulty #[0-9]+ of "
                         f"utrace attach .pid {attached.pid}.\n")
        self.assertEqual(self.end(attached), (0, ""))
        self.assertEqual(self.program.stdout.readline(), "x\n")

    def test_interrupt_is_not_noticed(self):
        result = self.run_utrace("interrupt", str(self.pid))
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.ask(self.program)


class Crash(TracingTest):
    """An engine that crashes ends the server, and nothing else."""

    def crash(self, how, signal_name):
        program, pid = self.start_traced_program("-e", f"{FAULTY}:how={how}")
        other, other_pid = self.start_program()
        attached = self.attach("-o", self.path("log"), other_pid)
        server = tracer_of(pid)
        ended = Ended(server)
        # A program that runs on answers.
        self.ask(program, "main")
        self.ask(other)
        self.assertTrue(ended.wait())
        said = (f"the server died of {signal_name} in the engine faulty #[0-9]+ of utrace run "
                f".pid {program.pid}.")
        self.assertRegex(program.stderr.readline(),
                         f"^utrace run: {said}; the command runs on untraced\n$")
        self.assertEqual(attached.wait(timeout=DEADLINE), 1)
        self.assertRegex(attached.stderr.read(), f"^utrace attach: {said}; the targets run on\n$")
        program.stdin.close()
        self.assertEqual(program.wait(timeout=DEADLINE), 0)
        os.unlink(self.path("server.d/server"))

    def test_null_pointer(self):
        self.crash("null", "SIGSEGV")

    def test_stack_overflow(self):
        self.crash("stack", "SIGSEGV")

    def test_abort(self):
        self.crash("abort", "SIGABRT")


class Life(TracingTest):
    """One server at a time, from the first command to the last."""

    def test_many_commands_at_once_and_one_after_the_other(self):
        failures = []

        def work():
            for _ in range(10):
                result = self.run_utrace("run", "-o", "/dev/null", "--", "sh", "-c", "exit 9")
                if (result.returncode, result.stderr) != (9, ""):
                    failures.append((result.returncode, result.stderr))

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])

    def test_serve_by_hand(self):
        server = self.start_utrace("serve")
        self.assertEqual(server.stderr.readline(),
                         f"utrace serve: listening at {self.path('server.d/server')} "
                         f"(pid {server.pid})\n")
        second = self.run_utrace("serve")
        self.assertEqual(second.returncode, 1)
        self.assertIn("there is a server already", second.stderr)
        program, pid = self.start_traced_program("-o", self.path("log"))
        self.assertEqual(tracer_of(pid), server.pid)
        program.stdin.close()
        self.assertEqual(program.wait(timeout=DEADLINE), 0)
        self.assertEqual(server.wait(timeout=DEADLINE), 0)
        self.assertIn(f"utrace serve: utrace run (pid {program.pid}) is here\n", server.stderr.read())

    def test_a_directory_that_is_removed(self):
        server = self.start_utrace("serve")
        server.stderr.readline()
        program, pid = self.start_traced_program("-o", self.path("log"))
        shutil.rmtree(self.path("server.d"))
        self.ask(program)
        self.assertEqual(tracer_of(pid), server.pid)
        program.stdin.close()
        self.assertEqual(program.wait(timeout=DEADLINE), 0)
        self.assertEqual(server.wait(timeout=DEADLINE), 0)

    def test_engines_are_listed_with_their_options(self):
        text = self.run_utrace("engines").stdout
        engines = json.loads(self.run_utrace("engines", "--json").stdout)["engines"]
        self.assertLessEqual({"syscall_log", "crash_catcher"}, {engine["name"] for engine in engines})
        for engine in engines:
            self.assertIn(f"{engine['name']:<14}  {engine['summary']}\n", text)
            for option in engine["options"]:
                self.assertIn(f"\n  {option['key']}={option['values']}", text)
                self.assertIn(option["summary"], text)
        result = self.run_utrace("engines", FAULTY, "/etc/passwd")
        self.assertEqual(result.returncode, 1)
        self.assertEqual(result.stdout, "faulty          for tests of what crashes do\n"
                                        "  how=null|stack|abort|stop\n"
                                        "                          what it does\n")
        self.assertRegex(result.stderr, "^utrace engines: /etc/passwd: is no shared object.*\n$")

    def test_nobody_is_traced(self):
        result = self.run_utrace("ps")
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "", ""))
        self.assertEqual(self.ps(), {})

    def test_a_server_of_another_version(self):
        os.mkdir(self.path("server.d"), 0o700)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.addCleanup(listener.close)
        listener.bind(self.path("server.d/server"))
        listener.listen()
        command = self.start_utrace("ps")
        client = listener.accept()[0]
        client.send(json.dumps({"reply": "greeting", "pid": 4711, "number": 99,
                                "text": "9.0"}).encode())
        self.assertEqual(command.wait(timeout=DEADLINE), 1)
        self.assertRegex(command.stderr.read(),
                         r"^utrace ps: the running server \(pid 4711, version 9.0\) speaks protocol 99, "
                         r"this utrace speaks 1: .*kill 4711\n$")
        client.close()
        os.unlink(self.path("server.d/server"))

    def test_a_server_that_does_not_answer(self):
        os.mkdir(self.path("server.d"), 0o700)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.addCleanup(listener.close)
        listener.bind(self.path("server.d/server"))
        listener.listen()
        command = self.start_utrace("ps")
        client = listener.accept()[0]
        self.assertRegex(command.stderr.readline(),
                         "^utrace ps: the server does not answer; waiting for it. Is a process "
                         "`utrace serve` stopped")
        os.unlink(self.path("server.d/server"))
        client.close()
        self.assertEqual((command.wait(timeout=DEADLINE), command.stderr.read()), (0, ""))

    def test_a_directory_that_others_may_enter(self):
        os.mkdir(self.path("server.d"), 0o755)
        result = self.run_utrace("ps")
        self.assertEqual(result.returncode, 1)
        self.assertIn("others may enter it (mode 755, must be 700)", result.stderr)
        result = subprocess.run([self.utrace, "ps"], stderr=subprocess.PIPE, text=True, check=False,
                                env={"UTRACE_SOCKET_DIR": "here"})
        self.assertIn("its name does not begin with /", result.stderr)
        os.rmdir(self.path("server.d"))
        os.symlink("/tmp", self.path("server.d"))
        self.assertIn("it is no directory", self.run_utrace("ps").stderr)


if __name__ == "__main__":
    main()
