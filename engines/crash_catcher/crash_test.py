#!/usr/bin/env python3
"""crash_catcher over programs that crash in twelve ways, and what it must leave alone."""

import contextlib
import glob
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

from crash_kinds import DEADLINE, KINDS, backtrace

CATCH = os.path.abspath(sys.argv.pop(1))
PROGRAMS = os.path.abspath(os.path.dirname(sys.argv.pop(1)))
SOURCES = os.path.abspath(os.path.dirname(sys.argv.pop(1)))

# The address sanitizer's runtime, if the engines are built with it, forbids core dumps to its children.
os.environ["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":disable_coredump=0"
# Its programs take more room than they are given there, and leave no core.
ROOMY = unittest.skipIf("TSAN_OPTIONS" in os.environ, "built with the thread sanitizer")

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


def proc_file(path):
    """What it holds; nothing if its thread is gone."""
    try:
        with open(path, encoding="ascii") as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError):
        return ""


class CrashTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.dir = directory.name

    def catch(self, name, options="", before=(), after=(), arguments=(), limits=None, within=()):
        """Runs the program, all by the command `within`; what was said, and its raw wait status."""
        engines = [*before, f"crash_catcher:dir={self.dir}{options}", *after]
        command = [CATCH]
        for engine in engines:
            command += ["-e", engine]
        result = subprocess.run([*within, *command, "--", program(name), *arguments],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, timeout=DEADLINE, check=False,
                                preexec_fn=limits)
        said = result.stdout.decode(errors="replace")
        found = re.search(r"^wait status (\d+)$", said, re.MULTILINE)
        self.assertIsNotNone(found, said)
        return said, int(found[1])

    @contextlib.contextmanager
    def running(self, name, options, arguments=()):
        """The program under crash_catcher, killed at the end if it still runs."""
        command = [CATCH, "-e", f"crash_catcher:dir={self.dir}{options}", "--", program(name),
                   *arguments]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, start_new_session=True)
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            process.stdout.close()

    def wait_for(self, look):
        """What `look` returns, once that is something."""
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end:
            found = look()
            if found:
                return found
        self.fail(f"waited in vain: {os.listdir(self.dir)}")

    @staticmethod
    def children(pid):
        found = []
        for path in glob.glob(f"/proc/{pid}/task/*/children"):
            found += [int(child) for child in proc_file(path).split()]
        return found

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

    def test_a_thread_that_does_not_stop_holds_up_nobody_for_long(self):
        _, status = self.catch("stuck_thread", ",format=json")
        self.assertEqual(status, signal.SIGABRT)
        problems = [thread.get("problem") for thread in self.report()["threads"]]
        self.assertEqual(len(problems), 2)
        self.assertIsNone(problems[0])
        self.assertRegex(problems[1], r"^it does not stop: [A-Z] \(.*\)")
        self.only("*.core")

    def test_the_first_thread_may_have_ended(self):
        said, status = self.catch("leaderless", ",format=json")
        self.assertEqual(status, signal.SIGSEGV)
        self.assertRegex(said, r"\(leaderless\) crashed by SIGSEGV in follow at ")
        report = self.report()
        self.assertEqual(len(report["threads"]), 1)
        self.assertEqual(report["executable"], os.path.realpath(program("leaderless")))
        self.assertEqual(report["problems"], [])
        self.assertEqual(backtrace("-ex", "bt", program("leaderless"), self.only("*.core"))[:2],
                         ["follow", "outlive"])

    def test_the_core_file_has_all_threads(self):
        self.catch("second_thread")
        core = self.only("*.core")
        # Of three stacks of 8 MiB little was touched.
        status = os.stat(core)
        self.assertGreater(status.st_size, 24 << 20)
        self.assertLess(status.st_blocks * 512, status.st_size / 2)
        result = subprocess.run(
            ["gdb", "-nx", "-batch", "-ex", "thread apply all bt", program("second_thread"), core],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            timeout=DEADLINE, check=True)
        shown = result.stdout.decode(errors="replace")
        for function in ("read_through", "wait_for_ever", "work_for_ever", "main"):
            self.assertIn(f"{function} (", shown)
        self.assertEqual(len(re.findall(r"^Thread \d", shown, re.MULTILINE)), 4)


class Names(CrashTest):
    """Where the names are not where one looks first."""

    def test_without_symbols_the_place_can_be_looked_up(self):
        # Not beside its debug information.
        bare = os.path.join(self.dir, "bare")
        shutil.copy(program("stripped"), bare)
        self.catch(bare, ",format=json,core=no")
        frames = self.report()["threads"][0]["frames"]
        self.assertNotIn("name", frames[0]["functions"][0])
        self.assertIn("build_id", frames[0])
        result = subprocess.run(
            ["addr2line", "-f", "-e", program("null_pointer"), frames[0]["module_offset"]],
            stdout=subprocess.PIPE, check=True, timeout=DEADLINE)
        function, place = result.stdout.decode().split()[:2]
        self.assertEqual(function, "set_value")
        self.assertEqual(int(place.split(":")[1]), lines_marked("null_pointer.c", "CRASH")[0])

    def test_of_a_call_to_nowhere_the_caller_is_named(self):
        said, _ = self.catch("null_call", ",format=json,core=no")
        self.assertRegex(said, "in no code, at 0x0, called from apply at ")
        functions = [frame["functions"][0] for frame in self.report()["threads"][0]["frames"]]
        self.assertEqual([place.get("name") for place in functions[:3]], [None, "apply", "main"])
        self.assertEqual(functions[1]["line"], lines_marked("null_call.c", "CALL")[0])

    def test_of_a_program_whose_file_was_deleted(self):
        copy = os.path.join(self.dir, "copy")
        shutil.copy(program("deleted"), copy)
        said, _ = self.catch(copy, ",format=json,core=no")
        self.assertIn("touch at ", said)
        self.assertTrue(self.report()["executable"].endswith(" (deleted)"))


class LeftAlone(CrashTest):
    """The last resort: whatever others do about a signal goes first, and the end stays what it was."""

    def no_report(self, said):
        self.assertNotIn("crashed by", said)
        self.assertEqual(os.listdir(self.dir), [])

    def test_a_handled_signal_is_no_crash(self):
        said, status = self.catch("handler")
        self.assertEqual(os.WEXITSTATUS(status), 3)
        self.no_report(said)

    def test_without_a_debugger_it_is_one(self):
        said, status = self.catch("rescued")
        self.assertEqual(status, signal.SIGILL)
        self.assertIn("crashed by SIGILL", said)

    def test_it_yields_to_a_debugger_before_it(self):
        said, status = self.catch("rescued", before=["drop:SIGILL"])
        self.assertEqual(os.WEXITSTATUS(status), 4)
        self.no_report(said)

    def test_it_yields_to_a_debugger_after_it(self):
        said, status = self.catch("rescued", after=["drop:SIGILL"])
        self.assertEqual(os.WEXITSTATUS(status), 4)
        self.no_report(said)

    def seen_by_others(self, place):
        counted = self.dir + ".count"
        self.addCleanup(os.unlink, counted)
        said, status = self.catch("null_pointer", **{place: [f"count:{counted}"]})
        self.assertEqual(status, signal.SIGSEGV)
        self.assertIn("crashed by SIGSEGV in set_value", said)
        with open(counted, encoding="utf-8") as file:
            return int(file.read())

    def test_engines_before_it_see_the_signal_twice(self):
        self.assertEqual(self.seen_by_others("before"), 2)

    def test_engines_after_it_have_the_last_word(self):
        self.assertEqual(self.seen_by_others("after"), 3)

    def test_other_fatal_signals_are_reported_if_asked_for(self):
        for options, reported in (("", False), (",signals=TERM+SEGV", True)):
            with self.running("/bin/sleep", ",core=no" + options, ["1000"]) as process:
                def sleeps():
                    return [child for child in self.children(process.pid)
                            if proc_file(f"/proc/{child}/comm") == "sleep\n"]
                os.kill(self.wait_for(sleeps)[0], signal.SIGTERM)
                said = process.communicate(timeout=DEADLINE)[0].decode()
            self.assertIn("wait status 15\n", said)
            sender = f"crashed by SIGTERM, sent by process {os.getpid()} of user "
            self.assertEqual(sender in said, reported, said)

    def test_two_of_its_kind_both_report(self):
        with tempfile.TemporaryDirectory() as other:
            _, status = self.catch("null_pointer", after=[f"crash_catcher:dir={other}"])
            self.assertEqual(status, signal.SIGSEGV)
            for directory in (self.dir, other):
                self.assertEqual(sorted(name.rsplit(".", 1)[1] for name in os.listdir(directory)),
                                 ["core", "txt"])

    def test_threads_that_crash_at_once_make_one_report(self):
        for _ in range(5):
            said, status = self.catch("both_crash", ",core=no")
            self.assertEqual(status, signal.SIGSEGV)
            self.assertEqual(said.count("crashed by"), 1, said)
            os.unlink(self.only("*.txt"))

    def test_nothing_stops_a_program_that_does_not_crash(self):
        said, status = self.catch("quiet")
        self.assertEqual(status, 0)
        stops = int(re.search(r"^switches (\d+)$", said, re.MULTILINE)[1])
        # 100,000 system calls; a page of the program may have had to be read.
        self.assertLess(stops, 10)

    @ROOMY
    def test_a_core_dump_of_the_kernel_is_made_as_well(self):
        # The status tells, whatever becomes of the file.
        unlimited = lambda: (os.chdir(self.dir),
                             resource.setrlimit(resource.RLIMIT_CORE,
                                                (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2))
        bare = subprocess.run([program("null_pointer")], preexec_fn=unlimited, check=False,
                              timeout=DEADLINE)
        self.assertEqual(bare.returncode, -signal.SIGSEGV)
        bare_dumps = self.dumps_core([program("null_pointer")], unlimited)
        _, status = self.catch("null_pointer", limits=unlimited)
        self.assertEqual(os.WCOREDUMP(status), bare_dumps)

    @staticmethod
    def dumps_core(command, limits):
        pid = os.fork()
        if pid == 0:
            try:
                limits()
                os.execv(command[0], command)
            finally:
                os._exit(99)
        return os.WCOREDUMP(os.waitpid(pid, 0)[1])


class Trouble(CrashTest):
    """Killed meanwhile; no room."""

    def test_killed_when_the_report_begins(self):
        said, status = self.catch("null_pointer", after=["kill"])
        self.assertEqual(status, signal.SIGKILL)
        self.assertIn("was killed", said)
        self.assertEqual(os.listdir(self.dir), [])

    def test_killed_while_the_core_file_is_written(self):
        with self.running("big", "") as process:
            partial = self.wait_for(lambda: glob.glob(os.path.join(self.dir, "*.core.partial")))
            pid = int(re.search(r"-big-(\d+)-", partial[0])[1])
            os.kill(pid, signal.SIGKILL)
            said = process.communicate(timeout=DEADLINE)[0].decode()
        self.assertIn("wait status 9\n", said)
        self.assertIn("core: none, since the process was killed while it was written", said)
        self.assertEqual(glob.glob(os.path.join(self.dir, "*.core*")), [])
        self.only("*.txt")

    @ROOMY
    def test_no_room_for_the_core_file(self):
        small = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
        said, status = self.catch("null_pointer", limits=small)
        self.assertEqual(status, signal.SIGSEGV)
        self.assertRegex(said, r"core: none, since [^ ]*\.core cannot be written: File too large")
        self.assertEqual([os.path.splitext(name)[1] for name in os.listdir(self.dir)], [".txt"])

    def test_a_full_file_system(self):
        private = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
        if subprocess.run([*private, f"mount -t tmpfs none {self.dir}"], check=False).returncode != 0:
            self.skipTest("no mount namespace may be made here")
        small = f"mount -t tmpfs -o size=64k none {self.dir} && {{ \"$@\"; ls {self.dir}; }}"
        said, status = self.catch("null_pointer", within=[*private, small, "sh"])
        self.assertEqual(status, signal.SIGSEGV)
        self.assertRegex(said, r"core: none, since [^ ]*\.core cannot be written: No space left on device")
        files = said[said.index("wait status"):].splitlines()[1:]
        self.assertEqual([os.path.splitext(name)[1] for name in files], [".txt"], said)

    @ROOMY
    def test_no_room_at_all(self):
        none = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        said, status = self.catch("null_pointer", limits=none)
        self.assertEqual(status, signal.SIGSEGV)
        self.assertIn("crashed by SIGSEGV in set_value", said)
        self.assertRegex(said, r"report: none, since [^ ]*\.txt cannot be written: File too large")
        self.assertEqual(os.listdir(self.dir), [])


class Hangs(CrashTest):
    """Reports without a death."""

    def check_report(self):
        path = self.wait_for(lambda: glob.glob(os.path.join(self.dir, "hang-*.json")))[0]
        with open(path, encoding="utf-8") as file:
            report = json.load(file)
        self.assertEqual(report["kind"], "hang")
        self.assertNotIn("signal", report)
        return report

    def hanging(self, process):
        """The pid, when both threads wait for a lock."""
        def look():
            for child in self.children(process.pid):
                tasks = glob.glob(f"/proc/{child}/task/*/syscall")
                calls = [proc_file(task).split(" ")[0] for task in tasks]
                if calls == ["202", "202"]:  # futex, on x86_64
                    return child
            return None
        return self.wait_for(look)

    def check_unharmed(self, process, pid):
        os.kill(pid, signal.SIGTERM)
        said = process.communicate(timeout=DEADLINE)[0].decode()
        # Its handler's status: neither the locks nor the report ended it.
        self.assertIn(f"wait status {5 << 8}\n", said)
        return said

    def test_upon_a_signal_that_the_program_does_not_see(self):
        with self.running("hang", ",on=SIGUSR2,format=json,core=no") as process:
            pid = self.hanging(process)
            os.kill(pid, signal.SIGUSR2)
            report = self.check_report()
            self.assertIn("SIGUSR2, sent by process", report["trigger"])
            places = [(place.get("name"), place.get("line")) for thread in report["threads"]
                      for frame in thread["frames"] for place in frame["functions"]]
            line = lines_marked("hang.c", "HANG")[0]
            self.assertEqual(places.count(("lock_in_order", line)), 2)
            self.check_unharmed(process, pid)

    def test_upon_a_timeout(self):
        with self.running("hang", ",on=timeout=300ms,format=json") as process:
            report = self.check_report()
            self.assertIn("it was watched for 300ms", report["trigger"])
            self.wait_for(lambda: glob.glob(os.path.join(self.dir, "hang-*.core")))
            said = self.check_unharmed(process, self.hanging(process))
        self.assertEqual(said.count("was reported upon"), 1)

    def test_a_program_that_ends_in_time_is_not_reported(self):
        said, status = self.catch("quiet", ",on=timeout=1m")
        self.assertEqual(status, 0)
        self.assertNotIn("reported", said)


class Options(CrashTest):
    def test_files_are_readable_by_their_owner_alone(self):
        self.catch("null_pointer", ",format=both")
        modes = {os.path.splitext(name)[1]: oct(os.stat(os.path.join(self.dir, name)).st_mode & 0o777)
                 for name in os.listdir(self.dir)}
        self.assertEqual(modes, {".txt": "0o600", ".json": "0o600", ".core": "0o600"})

    def test_what_a_process_creates_is_watched_unless_forbidden(self):
        script = ["-c", program("null_pointer") + "; exit 3"]
        for options, reported in (("", 1), (",follow=no", 0)):
            said, status = self.catch("/bin/sh", ",core=no" + options, arguments=script)
            self.assertEqual(os.WEXITSTATUS(status), 3)
            self.assertEqual(said.count("(null_pointer) crashed by SIGSEGV"), reported, said)

    def test_a_core_file_may_be_compressed(self):
        self.catch("null_pointer", ",core=zstd")
        packed = self.only("*.core.zst")
        core = os.path.join(self.dir, "unpacked")
        subprocess.run(["zstd", "-q", "-d", packed, "-o", core], check=True, timeout=DEADLINE)
        self.assertEqual(backtrace("-ex", "bt", program("null_pointer"), core),
                         ["set_value", "visit", "main"])

    def test_the_program_chooses_what_goes_into_its_core_file(self):
        def choose(bits):
            with open("/proc/self/coredump_filter", "w", encoding="ascii") as file:
                file.write(bits)
        sizes = []
        for bits in ("0", "0x33", "0x3f"):
            self.catch("null_pointer", limits=lambda bits=bits: choose(bits))
            core = self.only("*.core")
            sizes.append(os.stat(core).st_size)
            shutil.rmtree(self.dir)
            os.mkdir(self.dir)
        self.assertEqual(sizes, sorted(set(sizes)), "nothing, the default, and files as well")

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
