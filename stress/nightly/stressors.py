"""The stressors of stress-ng that make what an engine can see, and how they are run."""

import random

# What each is asked for besides a number of workers.
OPTIONS = {
    "fork": ["--fork-max", "8"],
    "vfork": ["--vfork-max", "8"],
    "clone": ["--clone-max", "64"],
    "pthread": ["--pthread-max", "64"],
    "zombie": ["--zombie-max", "64"],
    "sock": ["--sock-port", "23000"],
    "udp": ["--udp-port", "23100"],
    "timer": ["--timer-freq", "1000"],
    "timerfd": ["--timerfd-freq", "1000"],
    "itimer": ["--itimer-freq", "1000"],
}

ALONE = [
    "fork", "vfork", "vforkmany", "clone", "daemon", "exit-group", "exec", "spawn", "session", "forkheavy", "pthread",
    "wait", "zombie", "sigchld", "kill", "signal", "sigq", "sigrt", "sigfd", "sigio", "sigpending", "sigpipe",
    "signest", "sigsegv", "sigfpe", "sigabrt", "sigsuspend", "sigtrap", "bad-altstack", "longjmp", "alarm", "itimer",
    "timer", "timerfd", "nanosleep", "sleep", "clock", "hrtimers", "futex", "mutex", "sem", "sem-sysv", "msg", "mq",
    "shm-sysv", "pipe", "pipeherd", "fifo", "eventfd", "poll", "epoll", "switch", "yield", "sock", "sockpair", "udp",
    "syscall", "enosys", "sysbadaddr", "getdent", "dentry", "open", "dup", "fcntl", "flock", "lockf", "aio", "io-uring",
    "mremap", "madvise", "membarrier", "rseq", "seccomp", "prctl", "personality", "pidfd",
    "kcmp", "procfs", "schedpolicy", "rlimit", "env", "set", "get", "unshare", "tee",
    "splice", "sendfile", "pty", "inotify", "context", "usersyscall",
]

# Refuse to run as root.
NOT_AS_ROOT = {"exec"}

# Cannot share a process with another tracer: these are run under `utrace wrap`.
TRACERS = {"ptrace"}


def command(names, seconds, workers=1):
    words = ["stress-ng", "--verify", "--timeout", f"{seconds}s", "--no-rand-seed", "--oomable"]
    for name in names:
        words += [f"--{name}", str(workers), *OPTIONS.get(name, [])]
    if any(name in NOT_AS_ROOT for name in names):
        words = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", *words]
    return words


def mix(seed, usable):
    """Two to four stressors at random."""
    chooser = random.Random(seed)
    return chooser.sample(usable, chooser.randint(2, min(4, len(usable))))
