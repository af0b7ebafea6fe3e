"""What is measured: programs that run under each of the tracers."""

import os
import subprocess
import time

# Calls of a loop whose calls do not stop, of one under a usual tracer, of one under a tracer that takes its time.
LOOPS = {"runs": 1000000, "stops": 30000, "creeps": 500}


class Work:
    """A command, and how the nanoseconds that it took are learned."""

    def __init__(self, name, unit, command, kinds, load=None):
        self.name = name
        self.unit = unit  # what the nanoseconds are of
        self.command = command  # a function of (directory, name of LOOPS) that gives the arguments
        self.kinds = kinds  # the tracers' kinds that it runs under
        self.load = load  # a function of the directory: what runs beside it and prints the nanoseconds instead


def compile_tree(directory, files):
    """A tree of C files and a makefile for them."""
    os.makedirs(directory, exist_ok=True)
    names = ["part%d" % n for n in range(files)]
    for name in names:
        with open(os.path.join(directory, name + ".c"), "w", encoding="ascii") as file:
            file.write("#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include <unistd.h>\n")
            for n in range(20):
                file.write("int %s_%d(const char* text) { return text[0] == 0 ? puts(text) : (int)strlen(text + %d); }\n"
                           % (name, n, n % 2))
    with open(os.path.join(directory, "Makefile"), "w", encoding="ascii") as file:
        objects = " ".join(name + ".o" for name in names)
        file.write("all: clean\n\t$(MAKE) objects\nobjects: %s\nclean:\n\trm -f %s\n.PHONY: all objects clean\n"
                   % (objects, objects))


def all_works(tools, quick):
    connections = 4
    tree = "/usr/include/linux"
    timed = tools["timed"]

    def count(loop):
        return str(LOOPS[loop] // (50 if quick else 1))

    def files(directory, _loop):
        place = os.path.join(directory, "files")
        os.makedirs(place, exist_ok=True)
        return [timed, tools["file_work"], place, "20" if quick else "1000"]

    def make(directory, _loop):
        place = os.path.join(directory, "tree")
        compile_tree(place, 2 if quick else 8)
        return [timed, "make", "-s", "-j4", "-C", place]

    def serve(directory, _loop):
        socket = os.path.join(directory, "socket")
        if os.path.exists(socket):
            os.unlink(socket)
        return [tools["echo"], "serve", socket, str(connections)]

    def load(directory):
        socket = os.path.join(directory, "socket")
        return socket, [tools["echo"], "load", socket, str(connections), "20" if quick else "1500"]

    def tar(directory, _loop):
        return [timed, "tar", "-cf", os.path.join(directory, "archive"), "-C", tree, "."]

    many_threads = "50" if quick else "1000"
    return [
        Work("getppid", "call", lambda _, loop: [tools["getppid_loop"], count(loop)], {"calls", "gdb", "some"}),
        Work("files", "run", files, {"calls", "some"}),
        Work("tar", "run", tar, {"calls", "some"}),
        Work("compile", "run", make, {"calls", "some"}),
        Work("server", "request", serve, {"calls", "some"}, load),
        Work("alone", "call", lambda _, loop: [tools["idle_threads"], "0", count(loop)], {"idle"}),
        Work("among 1000", "call", lambda _, loop: [tools["idle_threads"], many_threads, count(loop)], {"idle"}),
        Work("steps", "step", lambda _directory, _loop: ["/bin/true"], {"step"}),
    ]


def run(work, tracer, directory, environment, pinned):
    """The nanoseconds that one run took."""
    command = pinned + tracer.prefix + work.command(directory, tracer.loop)
    with open(os.path.join(directory, "stderr"), "w+", encoding="utf-8", errors="replace") as errors:
        with subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=errors) as process:
            printed = b""
            if work.load is not None:
                socket, load = work.load(directory)
                while not os.path.exists(socket) and process.poll() is None:
                    time.sleep(0.001)  # not yet listening
                printed = subprocess.run(pinned + load, stdout=subprocess.PIPE, check=True, timeout=600).stdout
            output = process.communicate(timeout=600)[0]
        errors.seek(0)
        said = errors.read()[-2000:]
    text = (printed or output).decode(errors="replace")
    if process.returncode == 0:
        for line in reversed(text.splitlines()):
            try:
                return float(line)
            except ValueError:
                continue
    raise RuntimeError("%s: exit status %d, and no figure in\n%s\n%s"
                       % (" ".join(command), process.returncode, text[-2000:], said))
