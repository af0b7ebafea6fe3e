"""Boots a kernel under QEMU with an initial file system that pack.py made, and runs jobs in it.

The guest's first process is init.cc. Whatever happens to a guest, it ends: as it should, by the deadline, or
because its kernel panics. All but the first is a GuestFailure, which holds the end of the console's text.
"""

import collections
import os
import re
import signal
import subprocess
import tempfile

Job = collections.namedtuple("Job", "name arguments environment directory")
Job.__new__.__defaults__ = ({}, "/")

# What a job left: its exit status as subprocess has it, negative for a signal.
Results = collections.namedtuple("Results", "statuses files")

# What is wrong with a guest whose console has such a line, though its jobs may have gone on.
FATAL = [
    (re.compile(r"Kernel panic - not syncing.*"), "the kernel panicked"),
    (re.compile(r".*(Oops|BUG:|general protection fault|Internal error).*"), "the kernel failed"),
    (re.compile(r"Out of memory: Killed process.*"), "out of memory"),
    (re.compile(r"guest: .*: .*"), "its first process gave up"),
]
JOB_ENDED = re.compile(r"guest: job .* ended with status .*")


class GuestFailure(Exception):
    pass


class Machine:
    """One way to run QEMU."""

    def __init__(self, program, options, console, port):
        self.program = program
        self.options = options
        self.console = console  # the guest's name of the first serial line
        self.port = port        # and of the one that results come by


MACHINES = {
    "x86_64": Machine("qemu-system-x86_64", ["-M", "pc", "-cpu", "max"], "ttyS0", "ttyS1"),
    "aarch64": Machine("qemu-system-aarch64", ["-M", "virt", "-cpu", "max"], "ttyAMA0", "ttyS0"),
}


def _padded(data):
    return data + b"\0" * (-len(data) % 4)


def _job_archive(machine, jobs):
    """A cpio archive that holds /job; the kernel unpacks it after the other."""
    lines = [f"port /dev/{machine.port}"]
    for job in jobs:
        lines += [f"job {job.name}", f"dir {job.directory}"]
        lines += [f"env {name}={value}" for name, value in job.environment.items()]
        lines += [f"arg {argument}" for argument in job.arguments]
    archive = b""
    for name, mode, content in ((b"job\0", 0o100644, "\n".join(lines).encode() + b"\n"), (b"TRAILER!!!\0", 0, b"")):
        fields = [1, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name), 0]
        archive += _padded(b"070701" + b"".join(b"%08x" % field for field in fields) + name) + _padded(content)
    return archive


def _unpack(stream):
    """Jobs' statuses and files, from what init.cc sent; None if it is not whole."""
    plain = subprocess.run(["zstd", "-dcq"], input=stream, capture_output=True).stdout
    statuses, files, at = {}, {}, 0
    while at < len(plain):
        end = plain.find(b"\n", at)
        if end < 0:
            return None
        word, *rest = plain[at:end].decode(errors="replace").split(" ", 2)
        at = end + 1
        if word == "end":
            return Results(statuses, files)
        number, name = int(rest[0]), rest[1]
        if word == "job":
            statuses[name] = os.waitstatus_to_exitcode(number)
        else:
            files[name] = plain[at:at + number]
            at += number
    return None


def boot(architecture, kernel, image, jobs, deadline, console_log, memory=1536, processors=2):
    """Runs `jobs` in a guest; returns Results. `console_log` is where its console's text is kept.

    `deadline` is in seconds, `memory` in MiB. Raises GuestFailure.
    """
    machine = MACHINES[architecture]
    with tempfile.TemporaryDirectory() as scratch:
        initrd = os.path.join(scratch, "initrd")
        port = os.path.join(scratch, "port")
        with open(initrd, "wb") as to, open(image, "rb") as base:
            while chunk := base.read(1 << 20):
                to.write(chunk)
            to.write(_job_archive(machine, jobs))
        command = [machine.program, *machine.options, "-accel", "tcg,thread=multi", "-smp", str(processors),
                   "-m", str(memory), "-display", "none", "-nodefaults", "-no-reboot", "-no-user-config",
                   "-kernel", kernel, "-initrd", initrd,
                   "-append", f"console={machine.console} panic=-1 oops=panic loglevel=5 random.trust_cpu=on "
                              "mitigations=off",
                   "-serial", f"file:{console_log}",
                   "-chardev", f"file,id=port,path={port}"]
        command += ["-device", "isa-serial,chardev=port,index=1" if architecture == "x86_64" else
                    "pci-serial,chardev=port"]
        qemu = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, errors="replace")
        late = False
        try:
            said, _ = qemu.communicate(timeout=deadline)
        except subprocess.TimeoutExpired:
            late = True
            qemu.send_signal(signal.SIGKILL)
            said, _ = qemu.communicate()
        results = None
        if os.path.exists(port):
            with open(port, "rb") as stream:
                results = _unpack(stream.read())
    _judge(late and deadline, qemu.returncode, said, console_log, results)
    return results


def _judge(deadline, qemu_status, said, console_log, results):
    text = ""
    if os.path.exists(console_log):
        with open(console_log, encoding="utf-8", errors="replace") as file:
            text = file.read()
    reasons = []
    for line in text.splitlines():
        for pattern, reason in FATAL:
            found = pattern.search(line)
            if found and not JOB_ENDED.search(line):
                reasons.append(f"{reason}: {found.group(0).strip()}")
                break
    if deadline:
        reasons.append(f"it was still running after {deadline} s")
    elif results is None and not reasons:
        reasons.append(f"it ended without results; QEMU's status is {qemu_status}")
    if not reasons:
        return
    tail = "\n".join("  | " + line for line in text.splitlines()[-60:])
    raise GuestFailure("the guest failed: " + "; ".join(reasons[:3]) +
                       (f"\nQEMU says: {said.strip()}" if said.strip() else "") +
                       f"\nThe end of its console ({console_log}):\n{tail}")
