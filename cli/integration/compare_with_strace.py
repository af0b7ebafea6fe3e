#!/usr/bin/env python3
"""Real commands untraced, under strace, and under `utrace run -e syscall_log`: the same output, the same
exit status, and the same system calls?

  compare_with_strace.py --utrace PROGRAM [--suite] [--only NAME[,NAME...]] [--list]

Each command runs in a fresh directory, the same one each time: untraced, twice under `strace -f`, and
under utrace. Sequences of system calls by name are compared thread by thread; a thread is known by its
place in the tree of threads, since ids differ from run to run. What strace sees differently in its own
two runs is not deterministic: there, utrace's sequence is compared as far as strace's agree. If utrace
differs where strace agreed with itself, both run again, up to four times more: it is a difference unless
strace comes to show the same sequence. What only the moment decides is no difference, and is told in the
table: how far a thread came that another one ended with the process, in how many reads a pipe was
emptied, how often a wait was made again, whether a lock was slept on, and where a signal's handler returned.
The table says how many threads and calls were compared.

Exit status: 0 no difference; 1 a difference, or a command that failed untraced; 2 wrong use.
Commands that this machine lacks are named and left out. For all of them, on Debian 12:

  apt-get install strace g++ make git python3 nodejs default-jdk-headless tar gzip xz-utils bzip2 zstd \\
    curl perl mawk dpkg sqlite3 diffutils patch openssl bc zip unzip jq procps findutils binutils

--suite runs those that need no packages beyond what the tree is built and tested with.
"""

import argparse
import collections
import os
import re
import shutil
import subprocess
import sys
import tempfile

DEADLINE = 180  # seconds for one run; a guard against hanging
STRACE_RUNS = 2
MORE_RUNS = 4

Case = collections.namedtuple("Case", "name needs script suite")


def case(name, needs, script, suite=False):
    return Case(name, needs.split(), script, suite)


CASES = [
    case("g++ compiles and links", "g++", "g++ -O1 -o hello hello.cc && ./hello", True),
    case("make builds a program", "make gcc", "make -s -f program.mk && ./program", True),
    case("make -j2", "make gcc", "make -s -j2 -f program.mk && ./program"),
    case("ar and nm", "gcc ar nm", "gcc -c one.c two.c && ar rcs lib.a one.o two.o && nm lib.a | grep ' T '"),
    case("git clone", "git", "git clone -q repository clone && ls clone"),
    case("git status", "git", "cd repository && echo more >>file1 && git status --short"),
    case("git log", "git", "cd repository && git log --stat --format='%h %s'"),
    case("git gc and fsck", "git", "cd repository && git gc -q && git fsck --no-progress && git count-objects"),
    case("python3", "python3", "python3 -B words.py <words | md5sum", True),
    case("node", "node", "node words.js <words | md5sum"),
    case("java", "java javac", "java -cp classes Words <words | md5sum"),
    case("tar and gzip", "tar gzip", "tar czf tree.tgz tree && tar tzf tree.tgz | sort | md5sum", True),
    case("gzip there and back", "gzip cmp", "gzip -k data && gunzip -c data.gz | cmp - data && ls", True),
    case("xz with two threads", "xz", "xz -T2 -0 --block-size=256KiB -k data && xz -dc data.xz | cmp - data"),
    case("bzip2", "bzip2", "bzip2 -k data && bunzip2 -c data.bz2 | md5sum"),
    case("zstd with two threads", "zstd", "zstd -q -T2 data && zstd -dqc data.zst | md5sum"),
    case("zip and unzip", "zip unzip", "zip -qX tree.zip tree/1/* && unzip -p tree.zip | md5sum"),
    case("curl from a server on loopback", "curl python3",
         "mkfifo port; python3 -B serve.py port & read n <port; curl -s http://127.0.0.1:$n/data | md5sum; wait"),
    case("a threaded server under load", "python3", "python3 -B load.py"),
    case("pipeline of six", "ls sort tr sed wc", "ls -R tree | sort -r | tr a-z A-Z | sed s/1/one/ | cat | wc", True),
    case("find and xargs", "find xargs md5sum sort", "find tree -type f -print0 | xargs -0 md5sum | sort | md5sum",
         True),
    case("sort with two threads", "sort", "sort --parallel=2 -S 1M words | md5sum"),
    case("grep -r", "grep", "grep -rc 7 tree | sort | md5sum", True),
    case("perl", "perl", "perl words.pl <words | md5sum", True),
    case("awk", "awk", "awk '{ n[length($0)]++ } END { for (i = 1; i < 20; i++) print i, n[i] }' words", True),
    case("dpkg -l", "dpkg", "dpkg -l >list; md5sum <list", True),
    case("sqlite3", "sqlite3", "sqlite3 base.db <statements.sql"),
    case("diff and patch", "diff patch", "diff -u one.c two.c >p; patch -so three.c one.c p && cmp two.c three.c"),
    case("openssl", "openssl", "openssl dgst -sha256 data; openssl enc -aes-128-cbc -K 00 -iv 00 -in data | md5sum"),
    case("bc", "bc", "echo 'scale=300; 4*a(1)' | bc -l"),
    case("jq", "jq", "jq -c '[.[] | .a * 2]' numbers.json"),
    case("ps of itself", "ps", "ps -o comm= -p $$"),
    case("shell with traps and subshells", "sh",
         "trap 'echo usr1' USR1; for i in 1 2 3; do (exit $i); echo $?; kill -USR1 $$; done; exit 9", True),
    case("killed by a signal", "sh", "echo before; kill -TERM $$; echo after", True),
]

FILES = {
    "hello.cc": '#include <iostream>\nint main() { std::cout << "hello" << std::endl; }\n',
    "one.c": 'const char* one(void) { return "one"; }\n',
    "two.c": 'const char* two(void) { return "two"; }\n',
    "program.c": "#include <stdio.h>\nconst char* one(void);\nconst char* two(void);\n"
                 "int main(void) { return printf(\"%s %s\\n\", one(), two()) < 0; }\n",
    "program.mk": "program: program.o one.o two.o\n\tgcc -o $@ $^\n%.o: %.c\n\tgcc -c -o $@ $<\n",
    "words.py": "import collections, hashlib, json, sys\n"
                "counts = collections.Counter(line[:3] for line in sys.stdin)\n"
                "print(json.dumps(sorted(counts.items())))\n",
    "words.js": "const counts = new Map();\n"
                "for (const line of require('fs').readFileSync(0, 'utf8').split('\\n')) {\n"
                "  const key = line.slice(0, 3);\n  counts.set(key, (counts.get(key) || 0) + 1);\n}\n"
                "console.log(JSON.stringify([...counts].sort()));\n",
    "Words.java": "import java.io.*;\nimport java.util.*;\npublic class Words {\n"
                  "  public static void main(String[] a) throws Exception {\n"
                  "    TreeMap<String, Integer> counts = new TreeMap<>();\n"
                  "    BufferedReader in = new BufferedReader(new InputStreamReader(System.in));\n"
                  "    for (String s = in.readLine(); s != null; s = in.readLine())\n"
                  "      counts.merge(s.substring(0, Math.min(3, s.length())), 1, Integer::sum);\n"
                  "    System.out.println(counts);\n  }\n}\n",
    "words.pl": "my %n; while (<>) { $n{substr($_, 0, 3)}++ } print \"$_ $n{$_}\\n\" for sort keys %n;\n",
    "statements.sql": "create table t (a integer primary key, b text);\n"
                      + "".join("insert into t values (%d, '%s');\n" % (i, "x" * (i % 7)) for i in range(20))
                      + "create index i on t (b);\nselect b, count(*) from t group by b;\n",
    "numbers.json": "[" + ",".join('{"a": %d}' % i for i in range(100)) + "]\n",
    # One request, on a port that the kernel chooses and the FIFO tells.
    "serve.py": "import functools, http.server, sys\n"
                "class Quiet(http.server.SimpleHTTPRequestHandler):\n"
                "    def log_message(self, *_): pass\n"
                "server = http.server.HTTPServer(('127.0.0.1', 0), Quiet)\n"
                "with open(sys.argv[1], 'w') as port: print(server.server_port, file=port)\n"
                "server.handle_request()\n",
    "load.py": "import socket, socketserver, threading\n"
               "class Echo(socketserver.StreamRequestHandler):\n"
               "    def handle(self):\n"
               "        for line in self.rfile: self.wfile.write(line.upper())\n"
               "class Server(socketserver.ThreadingTCPServer):\n"
               "    request_queue_size = 64\n"
               "server = Server(('127.0.0.1', 0), Echo)\n"
               "threading.Thread(target=server.serve_forever).start()\n"
               "done = []\n"
               "def client(number):\n"
               "    with socket.create_connection(server.server_address) as s, s.makefile('rw') as f:\n"
               "        for n in range(100):\n"
               "            f.write('line %d of %d\\n' % (n, number)); f.flush()\n"
               "            assert f.readline() == 'LINE %d OF %d\\n' % (n, number)\n"
               "    done.append(number)\n"
               "clients = [threading.Thread(target=client, args=(n,)) for n in range(16)]\n"
               "for c in clients: c.start()\n"
               "for c in clients: c.join()\n"
               "server.shutdown(); server.server_close()\n"
               "print(sorted(done))\n",
}


def numbers(count):
    """Numbers that look random and are the same each time."""
    value = 1
    for _ in range(count):
        value = value * 1103515245 + 12345 & 0x7FFFFFFF
        yield value >> 8


def prepare(directory, environment):
    """What the commands work on. Programs that are not there leave their part out."""
    def write(name, text):
        path = os.path.join(directory, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    for name, text in FILES.items():
        write(name, text)
    write("words", "".join("%x\n" % n for n in numbers(30000)))
    write("data", "".join("%d %s\n" % (n, "ab" * (n % 9)) for n in numbers(60000)))
    for n in range(1, 6):
        for m in range(8):
            write("tree/%d/file%d" % (n, m), "".join("%d\n" % (k % 1000) for k in numbers(50 * n + m)))

    def run(*command):
        subprocess.run(command, cwd=directory, env=environment, check=True, timeout=DEADLINE)

    if shutil.which("git"):
        run("git", "init", "-q", "repository")
        for n in range(1, 6):
            write("repository/file%d" % n, "file %d\n" % n * 20 * n)
            run("git", "-C", "repository", "add", ".")
            run("git", "-C", "repository", "commit", "-qm", "commit %d" % n)
    if shutil.which("javac"):
        run("javac", "-d", "classes", "Words.java")


Run = collections.namedtuple("Run", "status output")


class Bench:
    """Where commands run: a directory that is made anew for each run."""

    def __init__(self, utrace, top):
        self.utrace = utrace
        self.work = os.path.join(top, "work")
        self.master = os.path.join(top, "master")
        self.log = os.path.join(top, "log")
        runtime = os.path.join(top, "runtime")  # for the server: not the user's own
        os.makedirs(self.master)
        os.mkdir(runtime, 0o700)
        self.environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": top, "LC_ALL": "C", "TZ": "UTC",
            "XDG_RUNTIME_DIR": runtime,
            "GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@localhost", "GIT_AUTHOR_DATE": "1700000000 +0000",
            "GIT_COMMITTER_NAME": "C", "GIT_COMMITTER_EMAIL": "c@localhost", "GIT_COMMITTER_DATE": "1700000000 +0000",
            "GIT_CONFIG_NOSYSTEM": "1", "PYTHONHASHSEED": "0",
        }
        prepare(self.master, self.environment)

    def run(self, prefix, script):
        shutil.rmtree(self.work, ignore_errors=True)
        shutil.copytree(self.master, self.work)
        result = subprocess.run(prefix + ["sh", "-c", script], cwd=self.work, env=self.environment,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                timeout=DEADLINE, check=False)
        return Run(result.returncode, result.stdout)

    def untraced(self, script):
        return self.run([], script)

    def under_strace(self, script):
        result = self.run(["strace", "-f", "-qq", "-o", self.log, "--"], script)
        return result, threads(self.log)

    def under_utrace(self, script):
        engine = "syscall_log:output=" + self.log
        result = self.run([self.utrace, "run", "-e", engine, "--"], script)
        return result, threads(self.log)


LINE = re.compile(r"\[?(?:pid +)?(\d+)\]? +(.*)")
CALL = re.compile(r"(?:<\.\.\. )?(\w+)(\(| resumed>)")
RESULT = re.compile(r"= (\d+)\b[^=]*$")
BIRTHS = {"clone", "clone3", "fork", "vfork"}


def threads(log):
    """The names of the system calls of each thread, by the thread's place in the tree: "" is the first,
    ".1" the first that it creates, ".1.2" the second of that one."""
    calls = collections.defaultdict(list)
    children = collections.defaultdict(list)
    order = []
    with open(log, encoding="utf-8", errors="replace") as file:
        for text in file:
            line = LINE.match(text)
            if not line:
                raise ValueError("not understood in %s: %r" % (log, text))
            tid, rest = line.groups()
            if rest.startswith(("---", "+++")):
                continue
            call = CALL.match(rest)
            if not call:
                raise ValueError("not understood in %s: %r" % (log, text))
            name, how = call.groups()
            if tid not in calls:
                order.append(tid)
            sequence = calls[tid]  # there from now on, also if it has no call that begins
            if how == "(":
                sequence.append(name)
            born = RESULT.search(rest) if name in BIRTHS else None
            if born and born.group(1) != "0":
                children[tid].append(born.group(1))
    if not order:
        return {}
    places = {}
    # The first line of a log need not be the first thread's: a thread is first that nobody created.
    created = {child for list_ in children.values() for child in list_}
    waiting = [(tid, "") for tid in order if tid not in created][:1]
    while waiting:
        tid, place = waiting.pop()
        places[place] = calls.get(tid, [])
        waiting += [(child, "%s.%d" % (place, n)) for n, child in enumerate(children[tid], 1)]
    return places


def agreed(sequences):
    """How far the sequences agree, and whether they are one and the same."""
    if all(s == sequences[0] for s in sequences):
        return len(sequences[0]), True
    shortest = min(len(s) for s in sequences)
    for n in range(shortest):
        if any(s[n] != sequences[0][n] for s in sequences):
            return n, False
    return shortest, False


def is_cut_off(sequence):
    """Whether the thread did not end by itself."""
    return not sequence or sequence[-1] not in ("exit", "exit_group")


def without_timing(sequence):
    """Leaves out what the moment decides: in how many reads a pipe is emptied, how often a wait is made
    again, whether a lock is slept on, and where a signal's handler came in between and returned."""
    left = []
    for name in sequence:
        if name in ("rt_sigreturn", "futex") or (left and left[-1] == name and name in ("read", "wait4")):
            continue
        left.append(name)
    return left


def is_prefix(one, other):
    length = min(len(one), len(other))
    return one[:length] == other[:length]


class Comparison:
    """utrace's sequences against those that strace has shown."""

    def __init__(self, shown, seen):
        self.same = 0        # threads that are the same throughout
        self.partly = 0      # the same as far as strace agrees with itself
        self.repeats = 0     # the same without_timing
        self.calls = 0       # compared
        self.all_calls = sum(len(s) for s in seen.values())
        self.threads = len(seen)
        self.difference = ""
        for place in sorted(set(seen).union(*shown)):
            sequences = [run[place] for run in shown if place in run]
            if len(sequences) < len(shown):
                continue  # not there in every run
            length, one = agreed(sequences)
            mine = seen.get(place)
            if mine is None:
                self.difference = "thread %s is missing" % (place or "0")
            elif mine in sequences:
                self.same += 1
                self.calls += len(mine)
            elif not one and mine[:length] == sequences[0][:length]:
                self.partly += 1
                self.calls += length
            elif is_cut_off(mine) and any(is_cut_off(s) and is_prefix(mine, s) for s in sequences):
                # Another thread ended the process: when, is a matter of time.
                self.partly += 1
                self.calls += min([len(mine)] + [len(s) for s in sequences])
            elif self.is_same_but_for_timing(mine, sequences):
                self.repeats += 1
            else:
                n = next((i for i, (a, b) in enumerate(zip(mine, sequences[0])) if a != b),
                         min(len(mine), len(sequences[0])))
                self.difference = "thread %s, call %d: strace %s, utrace %s" % (
                    place or "0", n + 1, " ".join(sequences[0][n:n + 3]) or "ends",
                    " ".join(mine[n:n + 3]) or "ends")
            if self.difference:
                return


    def is_same_but_for_timing(self, mine, sequences):
        """As far as strace agrees with itself, but for timing."""
        mine = without_timing(mine)
        timeless = [without_timing(s) for s in sequences]
        length, one = agreed(timeless)
        if mine in timeless:
            self.calls += len(mine)
            return True
        if one or mine[:length] != timeless[0][:length]:
            return False
        self.calls += length
        return True


def judge(bench, script):
    """A row of the table: words for output, threads, calls and sequence, and whether all is well."""
    plain = bench.untraced(script)
    if b"not found" in plain.output:
        return "it cannot run: %s" % plain.output.decode(errors="replace").strip(), "", "", "", False
    shown = []
    for _ in range(STRACE_RUNS):
        straced, sequences = bench.under_strace(script)
        if straced != plain:
            again = bench.untraced(script)
            if again == plain:
                return "differs under strace", "", "", "", False
            return "not deterministic untraced", "", "", "", False
        shown.append(sequences)
    for attempt in range(1 + MORE_RUNS):
        traced, seen = bench.under_utrace(script)
        if traced != plain:
            return ("DIFFERS: status %d and %d, output %r and %r" % (
                plain.status, traced.status, plain.output[-200:], traced.output[-200:]), "", "", "", False)
        compared = Comparison(shown, seen)
        if not compared.difference or attempt == MORE_RUNS:
            break
        shown.append(bench.under_strace(script)[1])
    status = "status %d" % plain.status if plain.status >= 0 else "signal %d" % -plain.status
    threads_text = "%d" % compared.threads
    calls_text = "%d of %d" % (compared.calls, compared.all_calls)
    if compared.difference:
        return "same, " + status, threads_text, calls_text, "DIFFERS: " + compared.difference, False
    if compared.same == compared.threads:
        return "same, " + status, threads_text, calls_text, "same", True
    text = "same in %d threads" % compared.same
    if compared.partly:
        text += "; in %d as far as it is deterministic" % compared.partly
    if compared.repeats:
        text += "; in %d but for reads, waits and locks" % compared.repeats
    rest = compared.threads - compared.same - compared.partly - compared.repeats
    if rest:
        text += "; %d not in every run" % rest
    return "same, " + status, threads_text, calls_text, text, True


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--utrace", help="the program")
    parser.add_argument("--suite", action="store_true", help="only what needs no further packages")
    parser.add_argument("--only", help="names of commands, with commas between them")
    parser.add_argument("--list", action="store_true", help="list the commands")
    arguments = parser.parse_args()
    chosen = [c for c in CASES if c.suite or not arguments.suite]
    if arguments.only:
        names = arguments.only.split(",")
        unknown = set(names) - {c.name for c in CASES}
        if unknown:
            parser.error("no such command: " + ", ".join(sorted(unknown)))
        chosen = [c for c in chosen if c.name in names]
    if arguments.list:
        for c in chosen:
            print("%-32s %s" % (c.name, c.script))
        return 0
    if not arguments.utrace:
        parser.error("--utrace is missing")
    if not shutil.which("strace"):
        parser.error("there is no strace here")

    bad = 0
    ran = 0
    missing = []
    row = "%-32s %-18s %7s %17s  %s"
    with tempfile.TemporaryDirectory() as top:
        bench = Bench(os.path.abspath(arguments.utrace), top)
        print(row % ("command", "output", "threads", "calls compared", "sequence of calls"), flush=True)
        for c in chosen:
            path = bench.environment["PATH"]
            lacking = [p for p in c.needs if not shutil.which(p, path=path)]
            if lacking:
                missing.append("%s (%s)" % (c.name, ", ".join(lacking)))
                continue
            output, count, calls, sequence, good = judge(bench, c.script)
            print(row % (c.name, output, count, calls, sequence), flush=True)
            ran += 1
            bad += not good
    for text in missing:
        print("not here: " + text)
    print("%d commands, %d with a difference, %d not here" % (ran, bad, len(missing)))
    if arguments.suite and missing:
        return 1  # the suite's commands are there, or it tests nothing
    return 1 if bad or not ran else 0


if __name__ == "__main__":
    sys.exit(main())
