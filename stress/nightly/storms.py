"""One run of a program under a storm, and what is checked of every such run."""

import ctypes
import dataclasses
import json
import os
import signal
import subprocess
import tempfile
import time

PR_SET_CHILD_SUBREAPER = 36
# Only against hanging.
GUARD_SECONDS = 120
# So long after the program's end what it left may live.
LEFT_SECONDS = 30


@dataclasses.dataclass
class Tools:
    """Paths of the programs."""
    storm: str
    gate: str
    victims: str
    implementation: str
    utrace: str = ""


@dataclasses.dataclass
class Outcome:
    name: str
    seed: int
    flags: list
    command: list
    only: str = ""  # what the option --only repeats it by
    status: int = None  # of the program, as subprocess has it
    storm_status: int = None
    result: dict = dataclasses.field(default_factory=dict)  # what the storm counted
    faults: dict = dataclasses.field(default_factory=dict)  # injected, by kind
    problems: list = dataclasses.field(default_factory=list)
    output: str = ""  # of the program
    history: str = ""


def become_reaper():
    """What the programs leave behind becomes this process's child, and is noticed."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "PR_SET_CHILD_SUBREAPER")


def state_of(pid):
    """The letter that /proc/PID/stat has; empty if there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def children_of(pid):
    found = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", encoding="utf-8") as file:
                found += [int(word) for word in file.read().split()]
    except OSError:
        pass  # it is gone: so has it none
    return found


def descendants_of(pid):
    found = children_of(pid)
    for child in found:  # it grows meanwhile
        found += children_of(child)
    return found


def reap_orphans(own):
    """Waits for what has ended and was left to this process; false if no child is left. `own` are waited for by others."""
    while True:
        try:
            info = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return False
        if info is None:
            return True
        if info.si_pid in own:
            # It hides those that ended after it.
            for pid in children_of(os.getpid()):
                if pid not in own and state_of(pid) == "Z":
                    os.waitpid(pid, 0)
            return True
        os.waitpid(info.si_pid, 0)


def left_behind():
    """Waits until no child is left; those that do not end, with their states."""
    deadline = time.monotonic() + LEFT_SECONDS
    while reap_orphans(()):
        if time.monotonic() > deadline:
            left = descendants_of(os.getpid())
            states = [f"{pid} ({state_of(pid)})" for pid in left]
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass  # it ended after all
            return states
        time.sleep(0.01)
    return []


class Night:
    """What all runs of a night share."""

    def __init__(self, tools, directory):
        self.tools = tools
        self.directory = directory  # for histories of failures
        os.makedirs(directory, exist_ok=True)

    def untraced(self, command):
        """The program's status and output without a storm."""
        with tempfile.TemporaryDirectory() as place:
            os.chmod(place, 0o777)  # for programs that are not root's
            with open(os.path.join(place, "output"), "w+b") as output:
                done = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, cwd=place,
                                      timeout=GUARD_SECONDS, check=False)
                output.seek(0)
                text = output.read().decode(errors="replace")
        left_behind()
        return done.returncode, text

    def run(self, name, command, seed, flags=(), expected=0, during=None, prefix=(), storm_prefix=(),
            storm_may_die=False, output=None):
        """`command` under a storm. `during(pid, storm)` runs beside them; `prefix` and `storm_prefix` are commands
        that execute the program and the storm; `output` is where the storm's result goes instead of here. Never raises
        for what the storm or the program do."""
        outcome = Outcome(name, seed, list(flags), list(command))
        tools = self.tools
        with tempfile.TemporaryDirectory() as place:
            os.chmod(place, 0o777)
            result_path = output or os.path.join(place, "result.json")
            go_read, go_write = os.pipe()
            with open(os.path.join(place, "output"), "w+b") as printed:
                program = subprocess.Popen([*prefix, tools.gate, str(go_read), *command], stdout=printed,
                                           stderr=subprocess.STDOUT, pass_fds=(go_read,), cwd=place,
                                           start_new_session=True)
                os.close(go_read)
                storm = subprocess.Popen(
                    [*storm_prefix, tools.storm, "--implementation", tools.implementation, "--seed", str(seed),
                     "--go", str(go_write), "--output", result_path, "--history", self.directory, *flags,
                     str(program.pid)], stderr=subprocess.PIPE, pass_fds=(go_write,))
                os.close(go_write)
                if during is not None:
                    during(program, storm, outcome)
                self._await(program, storm, outcome)
                printed.seek(0)
                outcome.output = printed.read().decode(errors="replace")[-20000:]
            if not storm_may_die:
                self.judge_storm(result_path, outcome)
        if expected is not None and outcome.status != expected:
            outcome.problems.append(f"the program ended with {outcome.status}, untraced with {expected}: " +
                                    outcome.output[-400:])
        return outcome

    def _await(self, program, storm, outcome):
        deadline = time.monotonic() + GUARD_SECONDS
        while program.poll() is None or storm.poll() is None:
            reap_orphans({process.pid for process in (program, storm) if process.returncode is None})
            if time.monotonic() > deadline:
                states = {pid: state_of(pid) for pid in descendants_of(os.getpid())}
                what = "program" if program.returncode is None else "storm"
                outcome.problems.append(f"the {what} does not end: {states}")
                program.kill()
                storm.kill()
                deadline += GUARD_SECONDS
            time.sleep(0.005)
        outcome.status = program.returncode
        outcome.storm_status = storm.returncode
        said = storm.stderr.read().decode(errors="replace")
        storm.stderr.close()
        if said:
            outcome.result["said"] = said[-2000:]
        left = left_behind()
        if left:
            outcome.problems.append("left behind: " + ", ".join(left))

    @staticmethod
    def judge_storm(path, outcome):
        """What the storm wrote to `path`."""
        said = outcome.result.get("said", "")
        try:
            with open(path, encoding="utf-8") as file:
                result = json.load(file)
        except (OSError, ValueError) as error:
            outcome.problems.append(f"the storm ended with {outcome.storm_status} and without a result "
                                    f"({error}): {said}")
            return
        outcome.result.update(result)
        outcome.history = result.get("history", "")
        for kind, count in result["faults"].items():
            outcome.faults[kind] = outcome.faults.get(kind, 0) + count
        outcome.problems += result["breaches"]
        if outcome.storm_status not in (0, 1):
            outcome.problems.append(f"the storm ended with {outcome.storm_status}: {said}")
        if result["threads"] > result["threads_before"]:
            outcome.problems.append(f"{result['threads']} threads are left of {result['threads_before']}")
        # Those of tasks that run on may be given back a moment later; the recorder's own file is nobody's leak.
        held = [one for one in result["descriptors"] if not one.endswith("(deleted)")]
        left = sorted(set(held) - set(result["descriptors_before"]))
        if len(held) > len(result["descriptors_before"]) and "--seconds" not in outcome.flags:
            outcome.problems.append("descriptors are left: " + ", ".join(left))
        if result["attached"] != result["released"]:
            outcome.problems.append(f"{result['attached']} engines attached, {result['released']} released")
