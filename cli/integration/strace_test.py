#!/usr/bin/env python3
"""strace natively and under `utrace wrap`: the same output, of it and of the programs that it traces?

  strace_test.py --debuggee PROGRAM --utrace PROGRAM [--docs FILE] [--part N/M] [--only NAME]...
  strace_test.py --debuggee PROGRAM --native RUNS [--only NAME]...

Logs are compared thread by thread: what a thread did, without ids, addresses and times, whatever other threads
did meanwhile. --native shows that what is compared is stable. Differences that FILE's section "Cases that differ"
names as `strace: NAME` are expected, and must be there.
"""

import argparse
import collections
import difflib
import glob
import os
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile

DEADLINE = 60  # seconds for one run; a guard against hanging

# options: strace's; "attach": the command runs already. kind: how the log is read.
Case = collections.namedtuple("Case", "name options command kind attach")
Outcome = collections.namedtuple("Outcome", "log output errors status")

PROGRAMS = {
    "true": "true",
    "ls": "ls -l tree",
    "cat": "cat words",
    "sed": "sed s/a/b/ words",
    "sort": "sort words",
    "pipeline": "sh -c 'cat words | tr a-z A-Z | sort | head -n 2'",
    "subshells": "sh -c '(cd tree && ls); x=$(echo one); echo $x; false; echo $?'",
    "find": "sh -c 'find tree -type f | sort | xargs cat'",
    "tar": "sh -c 'tar cf a.tar tree && tar tf a.tar'",
    "gzip": "sh -c 'gzip -nc words >words.gz && gzip -dc words.gz'",
    "python": "/usr/bin/python3 -S -E -B -c 'print(sum(range(10)))'",
    "killed": "sh -c 'kill -TERM $$'",
    "plain": "./debuggee plain",
    "signals": "./debuggee signals",
    "threads": "./debuggee threads 4",
    "fork": "./debuggee fork",
    "vfork": "./debuggee vfork",
    "exec": "./debuggee exec",
    "exec by a thread": "./debuggee exec-thread",
    "crash": "./debuggee crash",
    "throw": "./debuggee throw",
    "calls": "./debuggee calls",
}

CASES = []


def case(name, options, command, kind="log", attach=False):
    CASES.append(Case(name, options.split(), shlex.split(PROGRAMS.get(command, command)), kind, attach))


for program in PROGRAMS:
    case(program, "-f -o log", program)
for program in ("fork", "pipeline", "threads"):
    case(f"-ff {program}", "-ff -o log", program)
for program in ("calls", "fork", "pipeline", "threads", "crash"):
    case(f"--seccomp-bpf {program}", "-f --seccomp-bpf -e trace=getppid,execve,clone,vfork,wait4,openat -o log",
         program)
for program in ("calls", "subshells", "tar"):
    case(f"-c {program}", "-f -c -o log", program, "summary")
case("-C calls", "-f -C -o log", "calls", "summary")
case("without -f", "-o log", "pipeline")
case("to standard error", "-e trace=getppid,write", "calls", "errors")
case("-k", "-k -e trace=getppid,getpgid -o log", "calls")
case("-i", "-i -o log", "calls")
case("-n", "-n -o log", "calls")
case("-Z", "-Z -o log", "ls")
case("-z", "-z -o log", "ls")
case("-y", "-y -o log", "cat")
case("-yy", "-f -yy -e trace=%file,%desc -o log", "subshells")
case("-v -x", "-v -x -s 64 -e trace=%stat,read -o log", "cat")
case("-P", "-P words -o log", "cat")
case("-t", "-t -T -o log", "calls", "times")
case("-r", "-r -o log", "calls", "times")
case("-ttt", "-ttt -f -o log", "fork", "times")
case("trace=%process", "-f -e trace=%process -o log", "pipeline")
case("trace=%signal", "-f -e trace=%signal -o log", "signals")
case("signal=none", "-e signal=none -o log", "signals")
case("trace=none", "-f -e trace=none -o log", "signals")
case("status=failed", "-e status=failed -o log", "sed")
case("-b execve", "-f -b execve -o log", "exec")
case("-q", "-qqq -f -o log", "pipeline")
case("inject error", "-e inject=getppid:error=EPERM -o log", "calls")
case("inject retval", "-e inject=getppid:retval=7 -o log", "calls")
case("inject when", "-e inject=getppid:error=ENOSYS:when=2 -o log", "calls")
case("inject signal", "-e inject=getppid:signal=SIGUSR1 -o log", "calls")
case("inject delay", "-e inject=getppid:delay_enter=1000:delay_exit=1000 -o log", "calls")
case("inject poke", "-e inject=write:error=ENOSPC -o log", "calls")
case("inject syscall", "-e inject=getppid:syscall=getuid:when=1 -o log", "calls")
case("inject with -f", "-f -e inject=wait4:error=ECHILD:when=2 -o log", "true")
case("fault in threads", "-f -e fault=getppid -o log", "threads")
case("to a pipe", "-f -o |cat>log", "fork")
case("-D", "-D -f -o log", "plain")
case("-DDD", "-DDD -f -o log", "plain")
case("-E", "-E PROBE=1 -o log", "sh -c 'echo $PROBE'")
case("-e quiet", "-f --quiet=attach,exit -o log", "fork")
case("-Y", "-f -Y -o log", "fork")
case("-p", "-p @pid@ -o log", "./debuggee wait", attach=True)
case("-f -p", "-f -p @pid@ -o log", "./debuggee wait-threads", attach=True)
case("-c -p", "-c -p @pid@ -o log", "./debuggee wait", "summary", attach=True)
case("-p nobody", "-p 999999", "", "errors")
case("no such command", "-o log", "/nowhere/nothing", "errors")


def joined(lines):
    """Lines of (thread, text), with what was told in two parts put together."""
    began = {}
    result = []
    for thread, text in lines:
        if text.endswith(" <unfinished ...>"):
            began[thread] = text[:-len(" <unfinished ...>")]
            continue
        match = re.match(r"<\.\.\. \w+ resumed>\s?(.*)$", text)
        if match and thread in began:
            text = began.pop(thread) + match[1]
        result.append((thread, re.sub(r"\s+= ", " = ", text)))
    result += [(thread, text + " <unfinished ...>") for thread, text in began.items()]
    return result


def normal_line(text, pids):
    text = re.sub(r"0x[0-9a-f]+", "0xN", text)
    # Where ids are; elsewhere the same number is another matter.
    where = r"\b()(\d+)\b" if text.startswith("tgkill(") else r"(^|= |=|\[|\(|pid )(\d+)\b"
    text = re.sub(where, lambda match: match[1] + ("PID" if match[2] in pids else match[2]), text)
    text = re.sub(r'getrandom\(".*", \d+', 'getrandom("RANDOM"', text)
    text = re.sub(r"\[[0-9a-f]{16}\]", "[ADDRESS]", text)
    text = re.sub(r"(si_[us]time|tv_n?u?sec|st_[amc]time(_nsec)?)=\d+", r"\1=N", text)
    text = re.sub(r"=N /\* [0-9.]+ s \*/", "=N", text)
    text = re.sub(r"(getp[gp]id\(.*\) = )\d\d+", r"\1PID", text)
    text = text.replace("}=> {", "} => {")
    text = re.sub(r"f_(\w+)=\d+", r"f_\1=N", text)
    text = re.sub(r"sysinfo\(\{.*\}", "sysinfo({...}", text)
    text = re.sub(r"st_ino=\d+", "st_ino=N", text)
    text = re.sub(r"(pipe|socket|anon_inode):\[?\d+\]?", r"\1:[N]", text)
    return text


# What only the moment decides: whether a lock is slept on, where in a program a child's end is told, and
# how much of it at once.
IGNORED = re.compile(r"futex\(|brk\(|sched_yield|restart_syscall|poll\(|--- SIGCHLD|rt_sigreturn|wait4\(.*ECHILD|.*ERESTARTNOINTR")


ID = re.compile(r"(?:si_pid=|(?:set_tid_address|get[pt]id|getpp?id|clone3?|v?fork|wait4)\(.*= )"
                r"(\d{3,})\b")


def threads_of(lines, times):
    """What each thread did, whatever the order of threads: sorted texts."""
    pids = {thread for thread, _ in lines if thread}
    for _, text in lines:
        pids.update(ID.findall(text))
    pids = {pid for pid in pids if len(pid) > 3}  # smaller numbers mean other things too
    if times:
        lines = [(thread, re.sub(r"^\s*[0-9:.]+\s(\(\+\s*[0-9.]+\)\s)?", "", text)) for thread, text in lines]
        lines = [(thread, re.sub(r" <[0-9.]+>$", "", text)) for thread, text in lines]
    threads = collections.OrderedDict()
    for thread, text in joined(lines):
        text = normal_line(text, pids)
        if not IGNORED.match(text):
            threads.setdefault(thread, []).append(text)
    return "\n--\n".join(sorted("\n".join(thread) for thread in threads.values())) + "\n"


def parse(text, pid_expected):
    lines = []
    for line in text.splitlines():
        match = re.match(r"(?:\[pid\s+)?(\d+)(?:<[^>]*>)?\]? +(.*)$", line) if pid_expected else None
        lines.append((match[1], match[2]) if match else ("", line))
    return lines


# Calls of a summary that are made or not, or seen or not, as the moment decides.
UNSURE = ("futex", "brk", "total", "restart_syscall", "rt_sigreturn", "read", "wait4")


def summary_of(text):
    """Calls, errors and names: what of a summary is not a matter of time."""
    rows = []
    for line in text.splitlines():
        cells = line.split()
        if re.match(r"\s*\d+\.\d+ ", line) and cells[-1] not in UNSURE:
            errors = cells[4] if len(cells) == 6 else "0"
            rows.append(f"{cells[-1]} {cells[3]} calls {errors} errors")
    return "\n".join(sorted(rows)) + "\n"


def log_of(one, directory):
    paths = sorted(glob.glob(os.path.join(directory, "log*")))
    texts = {}
    for path in paths:
        with open(path, encoding="utf-8", errors="replace") as file:
            texts[os.path.basename(path)] = file.read().replace(directory, "DIR")
    if one.kind == "summary":
        return summary_of(texts.get("log", "none"))
    if "-ff" in one.options:
        lines = [(name.split(".")[-1], line) for name, text in texts.items() for line in text.splitlines()]
        return threads_of(lines, False)
    follows = any(option.startswith("-f") for option in one.options)
    return threads_of(parse(texts.get("log", ""), follows), one.kind == "times")


def read_file(directory, name):
    try:
        with open(os.path.join(directory, name), encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def prepare(directory, debuggee):
    for name in os.listdir(directory):
        if name != "server.d":
            path = os.path.join(directory, name)
            shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
    os.mkdir(os.path.join(directory, "tree"))
    for path, text in (("words", "alpha\nbeta\ngamma\n"), ("tree/one", "1\n"), ("tree/two", "2\n")):
        with open(os.path.join(directory, path), "w", encoding="utf-8") as file:
            file.write(text)
        os.utime(os.path.join(directory, path), (1000000000, 1000000000))
    shutil.copy(debuggee, os.path.join(directory, "debuggee"))


def leave_small_ids():
    """Ids go round, and one below 1000 cannot be told from other numbers in a log: a case begins beyond."""
    with open("/proc/sys/kernel/pid_max", encoding="utf-8") as file:
        last = int(file.read()) - 2000
    pid = 0
    while not 1000 <= pid < last:
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)


def run_case(one, options, directory):
    leave_small_ids()
    prepare(directory, options.debuggee)
    target = None
    arguments = list(one.options)
    command = one.command
    if one.attach:
        target = subprocess.Popen(one.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                  start_new_session=True, cwd=directory)
        if target.stdout.readline() != "ready\n":
            raise RuntimeError("the debuggee is not ready")
        arguments = [argument.replace("@pid@", str(target.pid)) for argument in arguments]
        command = []
    line = ["strace", *arguments, *command]
    if options.wrapped:
        line = [os.path.abspath(options.utrace), "wrap", "--", *line]
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "HOME": "/tmp",
                   "UTRACE_SOCKET_DIR": os.path.join(directory, "server.d")}
    strace = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, errors="replace", cwd=directory,
                              env=environment, start_new_session=True)
    early = ""
    if target:
        # Each thread that it attaches to is a line.
        tasks = len(os.listdir(f"/proc/{target.pid}/task")) if "-f" in one.options else 1
        early = strace.stderr.readline()
        if tasks > 1 and "with" not in early:
            early += "".join(strace.stderr.readline() for _ in range(tasks - 1))
        # Then the calls that they wait in begin again, each a line; -c does not tell when. Earlier a thread may
        # be attached to after another one's call has ended, whose end strace 6.1 then takes for its own.
        deadline = DEADLINE * 50
        while one.kind != "summary" and len(read_file(directory, "log").splitlines()) < tasks and deadline > 0:
            select.select([], [], [], 0.02)
            deadline -= 1
        target.stdin.write("x")
        target.stdin.close()
    try:
        output, errors = strace.communicate(timeout=DEADLINE)
        status = str(strace.returncode)
    except subprocess.TimeoutExpired:
        os.killpg(strace.pid, signal.SIGKILL)
        output, errors = strace.communicate()
        status = f"none within {DEADLINE} seconds"
    if target:
        target.stdin = None
        try:
            output += target.communicate(timeout=DEADLINE)[0]
            output += f"status {target.returncode}\n"
        except subprocess.TimeoutExpired:
            os.killpg(target.pid, signal.SIGKILL)
            target.communicate()
            output += f"the target did not end within {DEADLINE} seconds\n"
    try:
        os.killpg(strace.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    errors = (early + errors).replace(directory, "DIR")
    errors = re.sub(r"\b([Pp]rocess |pid )\d+", r"\1PID", re.sub(r"0x[0-9a-f]+", "0xN", errors))
    errors = re.sub(r"(getppid\(\) *= )\d+", r"\1PID", errors)
    return Outcome(log_of(one, directory), output.replace(directory, "DIR"), errors, status)


def documented(path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    section = re.search(r"^## Cases that differ\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return set(re.findall(r"`strace: ([^`]+)`", section.group(1) if section else ""))


def show(one, other):
    for field in Outcome._fields:
        for line in difflib.unified_diff(getattr(one, field).splitlines(),
                                         getattr(other, field).splitlines(), f"native, {field}",
                                         f"wrapped, {field}", lineterm="", n=3):
            print("    " + line[:300])


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--debuggee", required=True)
    parser.add_argument("--utrace")
    parser.add_argument("--docs")
    parser.add_argument("--native", type=int, default=0)
    parser.add_argument("--part", default="1/1")
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--show", action="store_true", help="print native logs")
    options = parser.parse_args()
    if bool(options.utrace) == bool(options.native):
        parser.error("either --utrace or --native")
    part, parts = (int(number) for number in options.part.split("/"))
    cases = [one for one in CASES if not options.only or one.name in options.only][part - 1 :: parts]
    if not cases:
        parser.error("no such case")
    expected = documented(options.docs) if options.docs else set()
    failures = []
    equal = differ = 0
    with tempfile.TemporaryDirectory() as directory:
        os.mkdir(os.path.join(directory, "server.d"), 0o700)
        for one in cases:
            options.wrapped = False
            native = run_case(one, options, directory)
            if options.show:
                print(f"=== {one.name}\n{native.log}--- output\n{native.output}--- errors\n{native.errors}"
                      f"--- {native.status}")
            others = [run_case(one, options, directory) for _ in range(1, options.native)]
            if options.utrace:
                options.wrapped = True
                others = [run_case(one, options, directory)]
            different = next((other for other in others if other != native), None)
            if different:
                differ += 1
            else:
                equal += 1
            if bool(different) == (one.name in expected):
                print(f"{one.name}: {'differs, as documented' if different else 'equal'}", flush=True)
                continue
            failures.append(one.name)
            if different:
                print(f"{one.name}: DIFFERS")
                show(native, different)
            else:
                print(f"{one.name}: EQUAL, although {options.docs} says that it differs")
            sys.stdout.flush()
    print(f"{len(cases)} cases: {equal} equal, {differ} different; {len(failures)} not as expected"
          + "".join("\n  " + name for name in failures))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
