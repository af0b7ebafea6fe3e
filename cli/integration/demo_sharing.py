#!/usr/bin/env python3
"""strace, gdb, and engines of `utrace attach` on one threaded program at the same time.

  demo_sharing.py UTRACE COUNTING

First `utrace wrap -- strace -f -p PID` and `utrace wrap -- gdb -p PID` work on it, and gdb leaves first; then
gdb comes again, and `utrace attach -e syscall_log -e crash_catcher`, and strace leaves first. Each of them has
to see what it would see alone: gdb breaks, steps, and prints where it is; the logs hold every call of every
thread, with those made while gdb steps. The program counts, and says at the end whether it noticed anything.

Prints what happens. Exit status: 0 all was as it should be.
"""

import os
import re
import select
import signal
import subprocess
import sys
import tempfile

DEADLINE = 60  # seconds; a guard against hanging


def check(good, what):
    if not good:
        raise SystemExit(f"demo_sharing: {what}")


class Gdb:
    """A wrapped gdb that gets its commands one by one."""

    def __init__(self, utrace, pid, name="(gdb)"):
        self.name = name
        self.process = subprocess.Popen(
            [utrace, "wrap", "--", "gdb", "-q", "-nx", "-p", str(pid)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0)
        for setting in ("pagination off", "confirm off", "width 0", "print thread-events off"):
            self.do(f"set {setting}", quietly=True)

    def do(self, command, quietly=False):
        """What gdb says to a command."""
        self.begin(command)
        return self.answer(command, quietly)

    def begin(self, command):
        """Gives a command that may take long; answer() is to follow."""
        self.process.stdin.write(f"{command}\necho \\n#done#\\n\n".encode())

    def answer(self, command, quietly=False):
        said = b""
        while b"\n#done#\n" not in said:
            ready = select.select([self.process.stdout], [], [], DEADLINE)[0]
            check(ready, f"gdb does not answer {command!r}; so far: {said}")
            piece = os.read(self.process.stdout.fileno(), 65536)
            check(piece, f"gdb ended at {command!r}: {said}")
            said += piece
        text = said.decode(errors="replace").split("\n#done#\n")[0].replace("(gdb) ", "")
        if not quietly:
            print(f"   {self.name} {command}")
            print("".join(f"         {line}\n" for line in text.splitlines() if line.strip()), end="")
        return text

    def value(self, expression):
        match = re.search(r"\$\d+ = (\d+)", self.do(f"print {expression}"))
        check(match, f"gdb has no value for {expression}")
        return int(match[1])

    def end(self):
        self.process.stdin.close()
        self.process.stdout.read()
        check(self.process.wait(timeout=DEADLINE) == 0, "gdb failed")
        self.process.stdout.close()


def work_with(gdb):
    """Breaks, steps and continues; the thread and round in which gdb stepped."""
    gdb.do("tbreak milestone")
    gdb.do("continue")
    check("milestone" in gdb.do("backtrace"), "gdb printed no backtrace")
    first = gdb.value("round")
    gdb.do("next")
    gdb.do("step")
    check(gdb.value("hundreds") == first // 100, "gdb saw a wrong value")
    gdb.do("finish")
    check("Work" in gdb.do("backtrace 1"), "finish did not come back")
    # The rest of this round and the next one, with its calls.
    for _ in range(6):
        gdb.do("next")
    thread = int(re.search(r"LWP (\d+)", gdb.do("thread"))[1])
    round_now = gdb.value("round")
    check(round_now > first, "gdb did not come to the next round")
    gdb.do("tbreak milestone")
    gdb.do("continue")
    return thread, range(first, round_now + 1)


def rounds_in(log):
    """Of each thread, the arguments of its lseek, in order."""
    rounds = {}
    with open(log, encoding="utf-8", errors="replace") as file:
        for line in file:
            match = re.match(r"\[?(?:pid\s+)?(\d+)\]?.*? lseek\(-1, (\d+), SEEK_SET", line)
            if match:
                rounds.setdefault(int(match[1]), []).append(int(match[2]))
    return rounds


def check_log(log, name, stepped, last=None):
    """Nothing is missing between the first and the last round that the log has."""
    rounds = rounds_in(log)
    check(len(rounds) == 4, f"{name} has {len(rounds)} threads")
    for thread, seen in rounds.items():
        check(seen == list(range(seen[0], seen[-1] + 1)), f"{name} lacks calls of thread {thread}")
        if last:
            check(seen[-1] == last[thread], f"{name} ends at {seen[-1]}, the thread at {last[thread]}")
    for thread, window in stepped:
        check(set(window) <= set(rounds[thread]), f"{name} lacks calls that were made while gdb stepped")
    print(f"-- {name}: {sum(map(len, rounds.values()))} calls of {len(rounds)} threads, none is missing,"
          f" and those made while gdb stepped are there")


def start_strace(utrace, pid, log):
    strace = subprocess.Popen([utrace, "wrap", "--", "strace", "-f", "-o", log, "-p", str(pid)],
                              stderr=subprocess.PIPE, text=True)
    line = strace.stderr.readline()
    check("attached" in line, f"strace did not attach: {line}")
    print(f"-- $ utrace wrap -- strace -f -o log -p PID\n   {line.strip()}")
    return strace


def stop_strace(strace):
    strace.send_signal(signal.SIGINT)
    strace.stderr.read()
    strace.wait(timeout=DEADLINE)


def demonstrate(utrace, counting, directory):
    os.environ["UTRACE_SOCKET_DIR"] = os.path.join(directory, "server.d")
    os.mkdir(os.path.join(directory, "crashes"))
    program = subprocess.Popen([counting], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    pid = int(program.stdout.readline())
    path = lambda name: os.path.join(directory, name)

    print("== strace and gdb; gdb leaves first")
    strace = start_strace(utrace, pid, path("first"))
    gdb = Gdb(utrace, pid)
    stepped = [work_with(gdb)]
    gdb.do("detach")
    gdb.end()
    strace_counts = rounds_in(path("first"))

    print("== gdb again, and two engines; strace leaves first")
    attach = subprocess.Popen([utrace, "attach", "-e", "syscall_log:output=" + path("second"), "-e",
                               "crash_catcher:dir=" + path("crashes"), str(pid)],
                              stderr=subprocess.PIPE, text=True)
    line = attach.stderr.readline()
    check("attached to 5 threads" in line, f"utrace attach: {line}")
    print(f"-- $ utrace attach -e syscall_log -e crash_catcher PID\n   {line.strip()}")
    gdb = Gdb(utrace, pid)
    again = work_with(gdb)
    stepped.append(again)
    stop_strace(strace)
    print("-- strace has detached")
    check(strace_counts, "strace saw nothing")
    check_log(path("first"), "strace's log", stepped)
    third = work_with(gdb)
    gdb.do("detach")
    gdb.end()

    print("== the program ends")
    output, _ = program.communicate("", timeout=DEADLINE)
    print("".join(f"   {line}\n" for line in output.splitlines()), end="")
    check(attach.wait(timeout=DEADLINE) == 0, f"utrace attach: {attach.stderr.read()}")
    last = {int(thread): int(rounds)
            for thread, rounds in re.findall(r"thread (\d+): (\d+) rounds", output)}
    check_log(path("second"), "syscall_log's log", [again, third], last)
    check(not os.listdir(path("crashes")), "crash_catcher saw a crash")
    check(program.returncode == 0 and "nothing was noticed" in output, "the program noticed something")
    print("== nobody was in another's way")


def main():
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as directory:
        demonstrate(os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2]), directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
