"""gdb's scripts: name, the debuggee's arguments, gdb's commands. @NAME@ is the line with MARK NAME.

A script whose commands are of Attach is for a process that is there already and waits; the runner attaches
gdb to it, and gives it its input when gdb has ended.

A line "await NUMBER REGEX" is none of gdb's: what follows it is given to gdb once the transcript has that many new
matches. It makes the order certain in which things are told that happen while gdb goes on reading its commands; but
for that of threads which stop together.
"""

import collections

Script = collections.namedtuple("Script", "name arguments commands attach")

SCRIPTS = []


def script(name, arguments, commands, attach=False):
    lines = [line.strip() for line in commands.strip().splitlines()]
    SCRIPTS.append(Script(name, arguments.split(), lines, attach))


script("breakpoint", "plain", """
    break add
    run
    backtrace
    info locals
    continue
    print a
    continue
""")
script("tbreak", "plain", """
    tbreak add
    run
    info breakpoints
    continue
""")
script("conditional", "plain", """
    break @count@ if i == 7
    run
    print i
    print counter
    continue
""")
script("ignore count", "plain", """
    break @count@
    ignore 1 5
    run
    print i
    info breakpoints
    delete
    continue
""")
script("commands", "plain", """
    break factorial
    commands
    silent
    print n
    continue
    end
    run
""")
script("run twice", "plain", """
    break twice
    run
    next
    run
    print n
    delete
    continue
""")
script("start and kill", "plain", """
    start
    next
    kill
    info inferiors
    run
""")
script("step", "plain", """
    break twice
    run
    step
    step
    step
    backtrace
    step
    step
    info locals
    continue
""")
script("next", "plain", """
    break main
    run
    next
    next
    next
    next
    print result
    continue
""")
script("stepi and nexti", "plain", """
    break add
    run
    stepi
    x/i $pc
    stepi 3
    x/i $pc
    nexti
    info symbol $pc
    continue 2
""")
script("finish", "plain", """
    break add
    run
    finish
    finish
    info breakpoints
    continue
""")
script("until and advance", "plain", """
    break count_to
    run
    until
    until
    until
    until
    print counter
    advance factorial
    print n
    continue
""")
script("hardware watch", "plain", """
    break main
    run
    watch counter
    continue
    continue
    info watchpoints
    delete
    continue
""")
script("read watch", "plain", """
    break main
    run
    rwatch point.x
    awatch point.y
    continue
    info watchpoints
    continue
    delete
    continue
""")
script("software watch", "plain", """
    break count_to
    run
    set can-use-hw-watchpoints 0
    watch counter
    continue
    continue
    delete
    continue
""")
script("hardware breakpoint", "plain", """
    break main
    run
    hbreak twice
    info breakpoints
    delete
    continue
""")
script("catch syscall", "calls", """
    break main
    run
    catch syscall getppid
    continue
    continue
    bt 1
    continue
    continue
    continue
""")
script("catch any syscall", "calls", """
    break main
    run
    catch syscall
    continue
    print $orig_rax
    continue
    delete
    continue
""")
script("catch fork", "fork", """
    catch fork
    run
    info breakpoints
    continue
""")
script("catch vfork", "vfork", """
    catch vfork
    run
    bt 1
    continue
""")
script("catch exec", "exec", """
    catch exec
    run
    info breakpoints
    continue
""")
script("catch signal", "signals", """
    catch signal SIGUSR1
    run
    bt 2
    print $_siginfo.si_signo
    continue
    continue
""")
script("catch throw", "throw", """
    catch throw
    catch catch
    run
    backtrace -2
    continue
    continue
""")
script("follow parent", "fork", """
    set follow-fork-mode parent
    break in_child
    break in_parent
    run
    info inferiors
    continue
""")
script("follow child", "fork", """
    set follow-fork-mode child
    break in_child
    break in_parent
    run
    print counter
    next
    info inferiors
    continue
""")
script("both after fork", "fork", """
    set detach-on-fork off
    break in_child
    break in_parent
    run
    info inferiors
    inferior 2
    continue
    continue
    inferior 1
    continue
""")
script("vfork followed into exec", "vfork", """
    set follow-fork-mode child
    catch exec
    run
    info inferiors
    continue
""")
script("vfork followed in the parent", "vfork", """
    set follow-fork-mode parent
    break in_parent
    run
    next
    continue
""")
script("exec of another program", "exec", """
    break count_to
    run
    continue
    print n
    backtrace
    continue
""")
script("eight threads", "settled-threads 8", """
    break all_up
    run
    info threads
    thread apply all backtrace 1
    break work
    continue
    print index
    continue
    print index
    delete
    continue
""")
script("stepping with threads", "settled-threads 8", """
    break work if index == 3
    run
    next
    next
    print own
    step
    finish
    continue
""")
script("scheduler locking", "settled-threads 4", """
    break work if index == 1
    run
    set scheduler-locking on
    next
    next
    info threads
    set scheduler-locking off
    continue
""")
script("breakpoint of one thread", "settled-threads 8", """
    break all_up
    run
    break work thread 5
    continue
    thread
    print own
    continue
""")
script("non-stop", "settled-threads 8", """
    set non-stop on
    break all_up
    run
    info threads
    next
    info threads
    continue
""")
script("thread-local variable", "settled-threads 4", """
    break all_up
    run
    print own
    thread 3
    print own
    thread apply all print own
    continue
""")
script("calls in threads", "settled-threads 4", """
    break all_up
    run
    set scheduler-locking on
    thread 3
    print add(40, 2)
    print own
    thread 1
    print factorial(5)
    set scheduler-locking off
    continue
""")
script("call a function", "plain", """
    break count_to
    run
    print add(20, 22)
    call factorial(5)
    print (int)strlen(text)
    break add
    print add(1, 2)
    backtrace
    finish
    backtrace
    delete
    continue
""")
script("return", "plain", """
    break add
    run
    return 77
    next
    print result
    delete
    continue
""")
script("signal handling", "signals", """
    handle SIGUSR1 nostop noprint pass
    handle SIGUSR2 stop print nopass
    run
    print handled
    continue
""")
script("signal nopass", "signals", """
    handle SIGUSR1 nostop noprint nopass
    run
    signal 0
""")
script("signal given", "signals", """
    break @raise@
    run
    signal SIGUSR2
    continue
    continue
    continue
""")
script("backtrace in a handler", "signals", """
    handle SIGUSR1 nostop noprint
    handle SIGUSR2 nostop noprint
    break @handler@
    run
    backtrace
    finish
    continue
    continue
""")
script("step into a handler", "signals", """
    handle SIGUSR1 stop print pass
    run
    stepi
    backtrace 1
    handle SIGUSR2 nostop noprint
    continue
""")
script("crash", "crash", """
    run
    backtrace
    print $_siginfo._sifields._sigfault.si_addr
    continue
    info inferiors
""")
script("registers changed", "plain", """
    break @sum@
    run
    set var a = 100
    next
    print sum
    print $rip == (long)$pc
    set var $rax = 5
    print $rax
    info registers rax
    set var $xmm0.uint128 = 99
    print $xmm0.uint128
    print $eflags
    jump @sum@
    continue
""")
script("memory changed", "plain", """
    break count_to
    run
    set var point.x = 1000
    set var text = "abc"
    print text
    print point
    x/s text
    find &text, +10, 'b'
    continue
""")
script("core file", "settled-threads 4", """
    break all_up
    run
    generate-core-file core.debuggee
    continue
    core-file core.debuggee
    backtrace
    info threads
    print counter
""")
script("checkpoint", "plain", """
    break count_to
    run
    checkpoint
    set var point.x = 50
    next
    next
    info checkpoints
    restart 1
    print point.x
    backtrace
    continue
    info checkpoints
""")
script("record", "plain", """
    break twice
    run
    record
    next
    next
    reverse-next
    backtrace 1
    record stop
    continue
""")
script("environment and arguments", "plain", """
    set environment PROBE=1
    show args
    start
    print argc
    print (char*)getenv("PROBE")
    continue
""")
script("catchpoint of exec twice", "exec", """
    catch exec
    tbreak main
    run
    continue
    run
    continue
    kill
""")
script("disassemble and symbols", "plain", """
    break add
    run
    x/3i $pc
    info symbol $pc
    info line
    info frame
    info sharedlibrary
    kill
""")
script("attach", "wait", """
    backtrace
    break twice
    print counter
    set var counter = 5
    info inferiors
    detach
""", attach=True)
script("attach and end", "wait", """
    backtrace 1
""", attach=True)
script("attach and kill", "wait", """
    bt
    kill
    info inferiors
""", attach=True)
script("attach and call", "wait", """
    print factorial(5)
    print add(1, 2)
    bt
    detach
""", attach=True)
script("attach twice", "wait", """
    detach
    attach @pid@
    bt 1
    detach
""", attach=True)
script("attach to threads", "settled-wait-threads", """
    info threads
    thread apply all backtrace 1
    thread 4
    print own
    detach
""", attach=True)
script("attach in non-stop", "settled-wait-threads", """
    detach
    set non-stop on
    attach @pid@
    await 8 Thread . "debuggee" stopped
    info threads
    thread apply all backtrace 1
    thread 3
    continue &
    info threads
    interrupt
    await 1 Thread 3 "debuggee" stopped
    info threads
    print own
    thread 6
    continue &
    thread 8
    continue &
    info threads
    thread 6
    interrupt
    await 1 Thread 6 "debuggee" stopped
    print own
    info threads
    thread 8
    interrupt
    await 1 Thread 8 "debuggee" stopped
    print own
    continue -a &
    info threads
    interrupt -a
    await 9 Thread . "debuggee" stopped
    info threads
    print counter
    detach
""", attach=True)
