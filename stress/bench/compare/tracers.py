"""What works run under."""

import os
import shutil

FIVE_CALLS = "openat,unlink,rename,mkdir,socket"


class Tracer:
    def __init__(self, name, kinds, prefix, loop="stops"):
        self.name = name
        self.kinds = kinds  # of works that it can trace; see all_tracers
        self.prefix = prefix
        self.loop = loop  # how long a loop of system calls is long enough: see works.LOOPS


CATCH = """catch syscall
commands
silent
continue
end
run
"""
STEP = r"""starti
python
import time
begin = time.monotonic()
gdb.execute("stepi 2000", to_string=True)
print("\n%.1f" % ((time.monotonic() - begin) * 1e9 / 2000))
end
kill
"""


def gdb_script(directory, name, text):
    path = os.path.join(directory, name + ".gdb")
    with open(path, "w", encoding="ascii") as file:
        file.write("set pagination off\nset confirm off\nset debuginfod enabled off\n" + text)
    return path


def all_tracers(tools, directory):
    """Kinds: "calls" follow all system calls, "some" trace few of them, "gdb" are for few calls only, "idle" are
    measured with idle threads, "step" step."""
    log = os.path.join(directory, "log")
    utrace, bare, engines = tools["utrace"], tools["bare_loop"], tools["counting_engines"]
    strace, gdb = shutil.which("strace"), shutil.which("gdb")
    if strace is None or gdb is None:
        raise RuntimeError("there is no strace or no gdb to compare with")
    debugger = [gdb, "-nx", "-batch", "-x"]
    logs = [["-e", "syscall_log:output=%s.%d" % (log, n)] for n in range(8)]

    def logging(count):
        return [utrace, "run"] + [word for one in logs[:count] for word in one] + ["--"]

    return [
        Tracer("untraced", {"calls", "some", "idle"}, [], loop="runs"),
        Tracer("bare loop", {"calls", "idle"}, [bare]),
        Tracer("bare loop, info", {"calls", "idle"}, [bare, "--info"]),
        Tracer("1 engine", {"calls", "idle"}, [engines, "1"]),
        Tracer("2 engines", {"calls"}, [engines, "2"]),
        Tracer("8 engines", {"calls"}, [engines, "8"]),
        Tracer("strace -f", {"calls", "idle"}, [strace, "-f", "-o", log]),
        Tracer("strace -c", {"calls"}, [strace, "-f", "-c", "-o", log]),
        Tracer("syscall_log", {"calls", "idle"}, logging(1)),
        Tracer("2 syscall_log", {"calls"}, logging(2)),
        Tracer("8 syscall_log", {"calls"}, logging(8)),
        Tracer("syscall_log, summary", {"calls"}, [utrace, "run", "-e", "syscall_log:summary=only,output=" + log, "--"]),
        Tracer("strace --seccomp-bpf", {"some"}, [strace, "-f", "--seccomp-bpf", "-e", "trace=" + FIVE_CALLS, "-o", log],
               loop="runs"),
        Tracer("utrace --fast", {"some"}, [utrace, "run", "--fast", "-e",
                                           "syscall_log:trace=%s,output=%s" % (FIVE_CALLS.replace(",", "+"), log), "--"],
               loop="runs"),
        Tracer("crash_catcher", {"some"}, [utrace, "run", "-e", "crash_catcher:dir=" + directory, "--"], loop="runs"),
        Tracer("gdb catch syscall", {"gdb"}, debugger + [gdb_script(directory, "catch", CATCH), "--args"], loop="creeps"),
        Tracer("bare steps", {"step"}, [bare, "--step"]),
        Tracer("utrace steps", {"step"}, [engines, "1", "--step"]),
        Tracer("gdb steps", {"step"}, debugger + [gdb_script(directory, "step", STEP), "--args"]),
    ]
