#!/usr/bin/env python3
"""gdb's transcripts natively and under `utrace wrap`: the same, but for addresses and ids?

  gdb_test.py --debuggee PROGRAM --source FILE --utrace PROGRAM [--docs FILE] [--part N/M] [--only NAME]...
  gdb_test.py --debuggee PROGRAM --source FILE --native RUNS [--only NAME]...

--native shows that what is compared is stable: that many native runs must be equal. Differences that FILE's
section "Cases that differ" names as `gdb: NAME` are expected, and must be there.
"""

import argparse
import collections
import difflib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gdb_scripts import SCRIPTS

DEADLINE = 60  # seconds for one run; a guard against hanging

SETTINGS = [
    "set pagination off",
    "set confirm off",
    "set width 0",
    "set debuginfod enabled off",
    "set print thread-events off",
    "set style enabled off",
]

Outcome = collections.namedtuple("Outcome", "transcript errors output status")


def marks(source):
    with open(source, encoding="utf-8") as file:
        return {match[1]: str(number) for number, line in enumerate(file, 1)
                if (match := re.search(r"// MARK (\w+)", line))}


class Ids:
    """Gives process and thread ids names by the order in which they turn up."""

    def __init__(self):
        self.names = {}

    def name(self, match):
        return match[1] + self.names.setdefault(match[2], f"ID{len(self.names) + 1}")


def sorted_stops(match):
    # The source line is named with all but the first, as a file that is not there.
    told = re.sub(r"(?m)^\d+\tin .*\n", "", match[0])
    return "".join(sorted(re.findall(r"\nThread .*\n.*\n", told)))


def normal(text, directory, attached=False):
    ids = Ids()
    text = text.replace(directory, "DIR")
    text = re.sub(r"0x[0-9a-f]+", "0xN", text)
    text = re.sub(r"\b((?:LWP|[Pp]rocess|pid|child|Id) )(\d+)", ids.name, text)
    text = re.sub(r"/proc/\d+/", "/proc/ID/", text)
    if attached:
        # A thread in a call is at its instruction or behind it: docs/ptrace-compat.md, What differs.
        text = re.sub(r"0xN in (__GI___libc_read|__futex_abstimed_wait_common64) ", r"\1 ", text)
    text = re.sub(r"(Target Id|process ID\d+) +", r"\1 ", text)  # a column as wide as its ids
    # Whichever is told of first of threads that stop together.
    text = re.sub(r'(?:\nThread \d+ "debuggee" stopped\.\n.*\n(?:\d+\tin .*\n)?)+', sorted_stops, text)
    # Of the vDSO and others there is a name or not by where gdb's symbol reader looked first.
    text = re.sub(r"(target:)?/usr/lib/debug\S*", "DEBUGFILE", text)
    return text


def converse(gdb, commands):
    """Gives gdb its commands; its output and errors, and whether it ended in time (else it is killed)."""
    # They come by standard input, so that a failed one does not end the script.
    transcript = []
    fresh = threading.Condition()

    def read():
        for part in iter(lambda: os.read(gdb.stdout.fileno(), 65536), b""):
            with fresh:
                transcript.append(part)
                fresh.notify()
        with fresh:
            transcript.append(None)
            fresh.notify()

    def said():
        return b"".join(part for part in transcript if part).decode(errors="replace")

    errors = []
    readers = [threading.Thread(target=read),
               threading.Thread(target=lambda: errors.append(gdb.stderr.read()))]
    for reader in readers:
        reader.start()
    end = time.monotonic() + DEADLINE
    in_time = True
    seen = 0
    try:
        for command in commands:
            if not command.startswith("await "):
                gdb.stdin.write(command + "\n")
                continue
            gdb.stdin.flush()
            _, number, regex = command.split(" ", 2)
            pattern = re.compile(regex)
            with fresh:
                in_time = in_time and fresh.wait_for(
                    lambda: transcript[-1:] == [None] or
                    len(pattern.findall(said(), seen)) >= int(number), end - time.monotonic())
                seen = len(said())
        gdb.stdin.close()
    except BrokenPipeError:
        pass  # it has ended
    try:
        gdb.wait(timeout=max(0, end - time.monotonic()))
    except subprocess.TimeoutExpired:
        in_time = False
    if not in_time:
        os.killpg(gdb.pid, signal.SIGKILL)
        gdb.wait()
    for reader in readers:
        reader.join(timeout=DEADLINE)
    return said(), "".join(errors), in_time


def run_script(script, options, directory, lines):
    """One gdb on one debuggee. All that it starts is in one session, of which nothing is left."""
    for name in os.listdir(directory):
        path = os.path.join(directory, name)
        if not os.path.isdir(path):
            os.unlink(path)
    program = os.path.join(directory, "debuggee")
    shutil.copy(options.debuggee, program)
    target = None
    pid = ""
    if script.attach:
        target = subprocess.Popen([program, *script.arguments], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True, start_new_session=True)
        if target.stdout.readline() != "ready\n":
            raise RuntimeError("the debuggee is not ready")
        pid = str(target.pid)
    commands = list(SETTINGS)
    if script.attach:
        commands.append(f"attach {pid}")
    else:
        commands.append("set args " + " ".join(script.arguments) + " > output")
    text = list(commands)
    for command in script.commands:
        for mark, line in lines.items():
            command = command.replace(f"@{mark}@", f"debuggee.cc:{line}")
        text.append(command.replace("@pid@", pid))
    command = ["gdb", "-nx", "-q", program]
    if options.wrapped:
        command = [os.path.abspath(options.utrace), "wrap", "--", *command]
    environment = dict(os.environ, UTRACE_SOCKET_DIR=os.path.join(directory, "server.d"), LC_ALL="C",
                       TERM="dumb")
    gdb = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           text=True, errors="replace", cwd=directory, env=environment,
                           start_new_session=True)
    transcript, errors, in_time = converse(gdb, text)
    status = str(gdb.returncode) if in_time else f"none within {DEADLINE} seconds"
    output = ""
    if target:
        try:
            output, _ = target.communicate("x", timeout=DEADLINE)
            output += f"status {target.returncode}\n"
        except subprocess.TimeoutExpired:
            os.killpg(target.pid, signal.SIGKILL)
            target.communicate()
            output = f"the debuggee did not end within {DEADLINE} seconds\n"
    elif os.path.exists(os.path.join(directory, "output")):
        with open(os.path.join(directory, "output"), encoding="utf-8") as file:
            output = file.read()
    try:
        os.killpg(gdb.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    errors = normal(errors, directory)
    if any(command.startswith("await ") for command in script.commands):
        # A source that is not there is complained of again where another one was shown meanwhile.
        errors = "".join(sorted(set(errors.splitlines(keepends=True))))
    return Outcome(normal(transcript, directory, script.attach), errors, output, status)


def documented(path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    section = re.search(r"^## Cases that differ\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return set(re.findall(r"`gdb: ([^`]+)`", section.group(1) if section else ""))


def show(one, other):
    for field in Outcome._fields:
        for line in difflib.unified_diff(getattr(one, field).splitlines(),
                                         getattr(other, field).splitlines(), f"native, {field}",
                                         f"wrapped, {field}", lineterm="", n=4):
            print("    " + line)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--debuggee", required=True)
    parser.add_argument("--source", required=True)
    parser.add_argument("--utrace")
    parser.add_argument("--docs")
    parser.add_argument("--native", type=int, default=0)
    parser.add_argument("--part", default="1/1")
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--show", action="store_true", help="print native transcripts")
    options = parser.parse_args()
    if bool(options.utrace) == bool(options.native):
        parser.error("either --utrace or --native")
    part, parts = (int(number) for number in options.part.split("/"))
    scripts = [script for script in SCRIPTS if not options.only or script.name in options.only]
    scripts = scripts[part - 1 :: parts]
    if not scripts:
        parser.error("no such script")
    expected = documented(options.docs) if options.docs else set()
    lines = marks(options.source)
    failures = []
    equal = differ = 0
    with tempfile.TemporaryDirectory() as directory:
        # Where the debuggee's symbols say that it is: from gdb's directory on.
        os.makedirs(os.path.join(directory, "cli/integration"))
        shutil.copy(options.source, os.path.join(directory, "cli/integration/debuggee.cc"))
        os.mkdir(os.path.join(directory, "server.d"), 0o700)
        for script in scripts:
            options.wrapped = False
            native = run_script(script, options, directory, lines)
            if options.show:
                print(f"=== {script.name}\n{native.transcript}--- errors\n{native.errors}--- output\n{native.output}")
            others = [run_script(script, options, directory, lines) for _ in range(1, options.native)]
            if options.utrace:
                options.wrapped = True
                others = [run_script(script, options, directory, lines)]
            different = next((other for other in others if other != native), None)
            if different:
                differ += 1
            else:
                equal += 1
            if bool(different) == (script.name in expected):
                print(f"{script.name}: {'differs, as documented' if different else 'equal'}", flush=True)
                continue
            failures.append(script.name)
            if different:
                print(f"{script.name}: DIFFERS")
                show(native, different)
            else:
                print(f"{script.name}: EQUAL, although {options.docs} says that it differs")
            sys.stdout.flush()
    print(f"{len(scripts)} scripts: {equal} equal, {differ} different; {len(failures)} not as expected"
          + "".join("\n  " + name for name in failures))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
