"""Faults from outside a storm: each function makes runs of a Night and returns their outcomes."""

import os
import random
import shutil
import signal
import subprocess
import tempfile
import time

from storms import Outcome, descendants_of, reap_orphans, state_of

PACE = ["--pace", "500"]


def _victims(night, seconds):
    return [night.tools.victims, str(seconds)]


def _while_running(program, storm, act):
    """Calls `act` again and again until the program has ended."""
    while program.poll() is None:
        act()
        reap_orphans({program.pid, storm.pid})
        time.sleep(0.002)


def _await_exec(program):
    """Until the gate has become the program."""
    while program.poll() is None and os.path.basename(os.readlink(f"/proc/{program.pid}/exe")) == "gate":
        time.sleep(0.001)


def kills_in_callbacks(night, seed, seconds):
    """By the engines themselves: in each sort of callback, and while the task is held."""
    return [night.run("kills by engines", _victims(night, seconds), seed, [*PACE, "--kills", "500", "--controllers", "3"])]


def kills_at_random(night, seed, seconds):
    chooser = random.Random(seed)

    def during(program, storm, outcome):
        def act():
            found = descendants_of(program.pid)
            if not found:
                return
            pid = chooser.choice(found)
            state = {"t": "in a stop", "T": "in a stop", "S": "asleep", "D": "in the kernel", "R": "running",
                     "Z": "dead"}.get(state_of(pid), "elsewhere")
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                return  # it was quicker
            kind = f"SIGKILL of a task {state}"
            outcome.faults[kind] = outcome.faults.get(kind, 0) + 1
        _while_running(program, storm, act)

    return [night.run("kills from outside", _victims(night, seconds), seed, PACE, during=during)]


def tracer_killed(night, seed, seconds, flags=("--controllers", "3")):
    """The whole tracing process: every program runs on as if nothing had been. (But for steps and for a signal that is
    being reported, docs/stress.md.)"""
    chooser = random.Random(seed)
    outcomes = []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        def during(program, storm, outcome):
            _await_exec(program)
            time.sleep(chooser.uniform(0, 0.6))  # the fault comes at a random time
            storm.kill()
            outcome.faults["SIGKILL of the tracer"] = 1
        outcomes.append(night.run("tracer killed", [*_victims(night, 1), "without-signals"],
                                  chooser.randrange(1 << 30), [*flags, "--no-steps"], during=during, storm_may_die=True))
        if outcomes[-1].storm_status != -signal.SIGKILL:
            outcomes[-1].problems.append(f"the storm ended with {outcomes[-1].storm_status} before it was killed")
    return outcomes


def interrupted(night, seed, seconds):
    """Signals to all threads of the tracer."""
    def during(program, storm, outcome):
        def act():
            try:
                threads = os.listdir(f"/proc/{storm.pid}/task")
            except FileNotFoundError:
                return
            for thread in threads:
                try:
                    _tgkill(storm.pid, int(thread), signal.SIGUSR1)
                except ProcessLookupError:
                    continue
                outcome.faults["EINTR of a thread of the tracer"] = (
                    outcome.faults.get("EINTR of a thread of the tracer", 0) + 1)
        # Until its handler is there, a signal would end it.
        while program.poll() is None and not _handles(storm.pid, signal.SIGUSR1):
            time.sleep(0.001)
        _while_running(program, storm, act)

    return [night.run("tracer interrupted", _victims(night, seconds), seed, [*PACE, "--interrupted"], during=during)]


def _tgkill(process, thread, number):
    libc = _libc()
    if libc.tgkill(process, thread, number) != 0:
        raise ProcessLookupError


def _libc():
    import ctypes
    return ctypes.CDLL(None, use_errno=True)


def _handles(pid, number):
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8") as file:
            for line in file:
                if line.startswith("SigCgt:"):
                    return int(line.split()[1], 16) >> (number - 1) & 1 == 1
    except OSError:
        pass  # it is gone
    return False


def scarce_descriptors(night, seed, seconds):
    """EMFILE at every turn."""
    outcomes = []
    for limit in (24, 32, 48):
        outcome = night.run(f"at most {limit} descriptors", _victims(night, max(1, seconds // 3)), seed + limit,
                            [*PACE, "--scarce"], storm_prefix=["prlimit", f"--nofile={limit}"])
        refused = sum(count for results in outcome.result.get("calls", {}).values()
                      for result, count in results.items() if result in ("-EMFILE", "-ENFILE"))
        outcome.faults["few descriptors"] = 1
        if refused:
            outcome.faults["EMFILE that a call told of"] = refused
        outcomes.append(outcome)
    return outcomes


def scarce_memory(night, seed, seconds):
    """The tracer runs out of memory, and may die of it; no program is harmed."""
    outcomes = []
    for mebibytes in (300, 400, 500):
        outcome = night.run(f"a tracer with {mebibytes} MiB of address space", _victims(night, max(1, seconds // 3)), seed,
                            [*PACE, "--scarce"], storm_prefix=["prlimit", f"--as={mebibytes << 20}"], storm_may_die=True,
                            expected=None)
        if "nobody opened it" not in outcome.output:  # else it died before it was attached to anything
            if outcome.status != 0:
                outcome.problems.append(f"the program ended with {outcome.status}: {outcome.output[-400:]}")
            outcome.faults["memory limit of the tracer"] = 1
        outcomes.append(outcome)
    return outcomes


def full_disk(night, seed, seconds):
    del seconds
    outcome = night.run("result to a full disk", _victims(night, 1), seed, PACE, output="/dev/full",
                        storm_may_die=True)
    outcome.faults["ENOSPC"] = 1
    if outcome.storm_status != 2 or "/dev/full" not in outcome.result.get("said", ""):
        outcome.problems.append(f"the storm ended with {outcome.storm_status} and said: {outcome.result.get('said')}")
    return [outcome]


def set_user_id(night, seed, seconds):
    """A traced program gains rights as it would untraced."""
    outcomes = []
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        program = os.path.join(place, "id")
        shutil.copy("/usr/bin/id", program)
        os.chmod(program, 0o4755)
        as_nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
        command = [*as_nobody, "sh", "-c", f"for i in 1 2 3 4 5 6 7 8 9 10; do {program} -u; done"]
        status, output = night.untraced(command)
        deadline = time.monotonic() + max(1, seconds // 4)
        while not outcomes or time.monotonic() < deadline:
            outcome = night.run("set-user-id", command, seed + len(outcomes), PACE, expected=status)
            outcome.faults["exec of a set-user-id program"] = 10
            if outcome.output != output:
                outcome.problems.append(f"untraced it prints {output!r}, traced {outcome.output!r}")
            outcomes.append(outcome)
    return outcomes


def containers(night, seed, seconds):
    """A tracee in namespaces of its own, which it makes while it is traced."""
    inside = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc"]
    outcome = night.run("in a container", [*inside, *_victims(night, seconds)], seed, PACE)
    outcome.faults["a tracee in namespaces of its own"] = 1
    return [outcome]


def reused_ids(night, seed, seconds):
    """Tracer and tracees where few process ids are left: each is soon used again."""
    inside = ["unshare", "--pid", "--fork", "--mount-proc", "sh", "-c", 'echo 400 >/proc/sys/kernel/pid_max; "$@"', "sh"]
    tools = night.tools
    with tempfile.TemporaryDirectory() as place:
        result = os.path.join(place, "result.json")
        # Both in one namespace, so the storm is started by a shell in it.
        script = (f'mkfifo {place}/go; exec 7<>{place}/go; {tools.gate} 7 {tools.victims} {seconds} & program=$!; '
                  f'{tools.storm} --implementation {tools.implementation} --seed {seed} --pace 500 --go 7 '
                  f'--history {night.directory} --output {result} $program; storm=$?; wait $program; '
                  'echo "program $? storm $storm"')
        os.chmod(place, 0o777)
        outcome = Outcome("few process ids", seed, PACE, _victims(night, seconds))
        done = subprocess.run([*inside, "sh", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=300, check=False)
        outcome.output = done.stdout.decode(errors="replace")
        outcome.status = done.returncode
        if "program 0 storm 0" in outcome.output:
            outcome.storm_status = 0
        else:
            outcome.problems.append("it should end with program 0 storm 0: " + outcome.output[-600:])
        if "could not" in outcome.output or "Permission denied" in outcome.output:
            outcome.problems.append("pid_max cannot be set here: " + outcome.output[-300:])
        night.judge_storm(result, outcome)
        ids = outcome.result.get("tasks", 0)
        outcome.faults["a process id used again"] = max(0, ids - 400)
    return [outcome]


def frozen(night, seed, seconds):
    """The program's control group is frozen and thawed."""
    chooser = random.Random(seed)
    try:
        group = _Freezer(f"utrace-storm-{os.getpid()}")
    except OSError as error:
        outcome = Outcome("frozen", seed, [], [])
        outcome.result["not here"] = f"no control group can be made: {error}"
        return [outcome]
    with group:
        def during(program, storm, outcome):
            group.take(program.pid)

            def act():
                group.set(True)
                time.sleep(chooser.uniform(0.001, 0.02))  # for a random while
                group.set(False)
                outcome.faults["control group frozen"] = outcome.faults.get("control group frozen", 0) + 1
                time.sleep(chooser.uniform(0.001, 0.02))
            _while_running(program, storm, act)
        return [night.run("frozen", _victims(night, seconds), seed, PACE, during=during)]


class _Freezer:
    """A control group of either version that can be frozen."""

    def __init__(self, name):
        self.v1 = os.path.isdir("/sys/fs/cgroup/freezer")
        root = "/sys/fs/cgroup/freezer" if self.v1 else "/sys/fs/cgroup"
        self.path = os.path.join(root, name)
        os.mkdir(self.path)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.set(False)
        for _ in range(3000):
            try:
                os.rmdir(self.path)
                return
            except OSError:
                time.sleep(0.01)  # the kernel takes out the last process when it likes
        raise OSError(f"{self.path} is still in use")

    def take(self, pid):
        for one in (pid, *descendants_of(pid)):
            with open(os.path.join(self.path, "cgroup.procs"), "w", encoding="utf-8") as file:
                file.write(str(one))

    def set(self, freeze):
        name, words = ("freezer.state", ("THAWED", "FROZEN")) if self.v1 else ("cgroup.freeze", ("0", "1"))
        with open(os.path.join(self.path, name), "w", encoding="utf-8") as file:
            file.write(words[freeze])


def wrapped_tracers(night, seed, seconds):
    """Programs that use ptrace themselves share their tracees by `utrace wrap`."""
    outcomes = []
    if not night.tools.utrace:
        return outcomes
    command = ["stress-ng", "--verify", "--ptrace", "1", "--timeout", f"{seconds}s"]
    status, _ = night.untraced(command)
    outcome = Outcome("ptrace itself, wrapped", seed, [], command)
    with tempfile.TemporaryDirectory() as place:
        environment = {**os.environ, "XDG_RUNTIME_DIR": place}
        done = subprocess.run([night.tools.utrace, "wrap", "--children", "--", *command], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, env=environment, timeout=300, check=False)
    outcome.status = done.returncode
    outcome.output = done.stdout.decode(errors="replace")
    if done.returncode != status:
        outcome.problems.append(f"it ended with {done.returncode}, native with {status}: {outcome.output[-400:]}")
    outcomes.append(outcome)
    return outcomes


# In the order of a night; the number is the share of the time for faults that each gets.
ALL = [
    (kills_in_callbacks, 5), (kills_at_random, 5), (tracer_killed, 3), (interrupted, 1), (scarce_descriptors, 1),
    (scarce_memory, 1), (frozen, 1), (containers, 1), (reused_ids, 1), (set_user_id, 1), (full_disk, 1),
    (wrapped_tracers, 1),
]
