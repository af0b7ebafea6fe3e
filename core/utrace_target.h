// What a *hosted* implementation exports beside utrace.h and machine.h.
//
// A live implementation traces real threads; the conformance kit brings its own. The tasks of a hosted
// one (a simulation, a virtual machine, a kernel in a library) are its own: this driver is how the kit
// makes them do things. docs/certifying.md walks through it.
//
// The kit works in *worlds*. A world has up to UTRACE_TARGET_SLOTS threads, each in a slot that the
// kit chose. Slots UTRACE_TARGET_PARENT and UTRACE_TARGET_WAITER exist from the start: two threads
// of one process, the parent of whatever utrace_target_spawn makes. Every thread does nothing but
// take commands, one at a time and in order, execute them as a program would in user mode, and
// acknowledge each: it waits for a command in the system call recvfrom and acknowledges it by
// sendto, and makes no other calls of its own (timed calls are surrounded by clock_gettime).
//
// The calls that every host needs: recvfrom, sendto, getpid, gettid, getppid, getuid, sched_yield, getcwd,
// close, read (from the slot's pipe), pause, exit, exit_group. What else a test makes its tasks call
// belongs to a capability; a call that a host does not know gives -ENOSYS.
//
// Tasks read the clock CLOCK_MONOTONIC as utrace_target_now; without part B it is the operating system's.
//
// Numbers of system calls, signals, errors, clone flags and si_codes are those of Linux on the machine
// for which the implementation is built. Results of system calls are raw: a negative errno on failure.
//
// Part A is required. Part B, all of it or nothing, is for implementations that run the kit's own
// threads under a scheduler of theirs, so that a whole test can be repeated schedule by schedule;
// without it the kit's threads are threads of the operating system, and the functions of part A must
// stand being called from any of them. Who may call what: part A from test threads and from callbacks.
#ifndef CORE_UTRACE_TARGET_H_
#define CORE_UTRACE_TARGET_H_

#include "core/utrace.h"

#ifdef __cplusplus
extern "C" {
#endif

// Changes whenever an implementation of this header would have to.
#define UTRACE_TARGET_VERSION 2
UTRACE_EXPORT unsigned utrace_target_version(void);

// What tasks of this implementation can do, one name a line. A test that needs what is not named is
// not made, and the certificate says so ("not for this host: needs exec").
//   thread     commands SPAWN with CLONE_THREAD, and THREAD_BURST
//   fork vfork clone exec
//   signal     kill, tgkill, rt_sigqueueinfo, masks, dispositions; handlers run and are recorded
//   job-control
//   wait       wait4 and waitid by the parent; reaping
//   timed      command TIMED
//   spin       command SPIN: user code that makes no system call
//   memory     utrace_read_memory and utrace_write_memory; command COPY
//   step       commands STEPS and BRANCHES
//   fault      command FAULT
//   altstack   command ALT_STACK
//   kernel-task     utrace_target_configure("kernel-task", ...)
UTRACE_EXPORT const char* utrace_target_capabilities(void);

// ---- Part A: tasks -----------------------------------------------------------------------------------

#define UTRACE_TARGET_SLOTS 48
#define UTRACE_TARGET_PARENT 0
#define UTRACE_TARGET_WAITER 1
#define UTRACE_TARGET_SIGNALS 65
#define UTRACE_TARGET_RECORDS 32
#define UTRACE_TARGET_SCRATCH 4096

enum utrace_target_op {
  UTRACE_TARGET_SYSCALL,       // nr, arguments
  UTRACE_TARGET_REPEAT,        // nr with arguments[0..2], arguments[3] times; the last result
  UTRACE_TARGET_SPIN,          // runs in user mode until slot.go is set; the number of rounds
  UTRACE_TARGET_TIMED,         // as SYSCALL, between two readings of CLOCK_MONOTONIC
  UTRACE_TARGET_SPAWN,         // nr is clone, fork or vfork; the child's slot in arguments[5]
  UTRACE_TARGET_FORK_BURST,    // arguments[0] children that exit at once, each waited for
  UTRACE_TARGET_THREAD_BURST,  // arguments[0] threads that exit at once
  UTRACE_TARGET_EXEC,          // executes the program anew; the thread keeps its slot
  UTRACE_TARGET_SIGACTION,     // signal, disposition (0 default, 1 ignore, 2 handler), flags, mask
  UTRACE_TARGET_ALT_STACK,     // installs the slot's alternate signal stack
  UTRACE_TARGET_FAULT,         // kind (0 SEGV at arguments[1], 1 ILL, 2 FPE, 3 BUS, 4 TRAP, 5 ABRT)
  UTRACE_TARGET_COPY,          // to, from, bytes: by the task's own loads and stores
  UTRACE_TARGET_STEPS,         // getppid and behind it the code of utrace_target_addresses.step
  UTRACE_TARGET_BRANCHES,      // getppid and behind it the code of utrace_target_addresses.branch
  UTRACE_TARGET_REGISTERS_SPIN,    // these two are for live puppets: the driver has no way to pass
  UTRACE_TARGET_REGISTERS_SYSCALL  // the contents of registers
};

// Of STEPS: straight-line instructions, all but two of which count; the last of the two is the call
// getuid, the other, before it, prepares it. The result is how many counted.
#define UTRACE_TARGET_STEP_COUNT 12
#define UTRACE_TARGET_STEP_CALL 6
// Of BRANCHES: two instructions that count and a taken branch, three times, and one more instruction
// that counts. The result is how many counted.
#define UTRACE_TARGET_BRANCH_COUNT 3

struct utrace_target_command {
  uint32_t op;   // utrace_target_op
  uint32_t seq;  // counts a slot's commands, from 1
  int64_t nr;
  int64_t arguments[6];
};

struct utrace_target_reply {
  // Of the command. 0: a new thread, or the program of EXEC, is ready; the threads in slots PARENT and
  // WAITER, which exist from the start, say so too.
  uint32_t seq;
  int32_t pid;  // of the thread's process
  int64_t result;
  int64_t started_ns;   // TIMED: before the call
  int64_t finished_ns;  // and after it
};

// What a signal handler saw.
struct utrace_target_signal {
  uint64_t order;  // one counter for the whole world
  int32_t signo;
  int32_t code;      // si_code
  int32_t sender;    // si_pid
  int32_t value;     // si_int
  uint64_t address;  // si_addr
  uint64_t pc;       // interrupted program counter
  uint64_t sp;       // interrupted stack pointer
  uint64_t handler_sp;
  uint64_t marker;  // interrupted r15 (x86_64) or x28 (aarch64)
  uint64_t mask;    // blocked signals that will be restored
  uint32_t on_alternate_stack;
  uint32_t pad;
};

// Memory that the kit and a slot's thread share, for what has to pass without a system call.
// Integers are read and written atomically. The thread knows it at the address that
// utrace_target_slot_address gives.
struct utrace_target_slot {
  int32_t tid;       // 0 before a thread is there
  uint32_t started;  // seq of the command being executed
  uint32_t done;     // seq of the last one executed
  uint32_t go;       // ends SPIN
  uint32_t futex;    // for TIMED futex calls; always 0
  int32_t pipe;      // descriptor of a pipe's read end, which only utrace_target_feed writes
  int32_t epoll;     // descriptor of an epoll instance in which nothing ever happens
  uint32_t pad;
  uint64_t spins;
  uint64_t handler_runs;
  uint64_t handler_runs_of[UTRACE_TARGET_SIGNALS];
  struct utrace_target_signal records[UTRACE_TARGET_RECORDS];  // handler_runs modulo its size
  unsigned char scratch[UTRACE_TARGET_SCRATCH];
};

// Addresses in every task's program; zero what the implementation has not.
struct utrace_target_addresses {
  uint64_t handler;  // of SIGACTION's disposition 2
  uint64_t restorer;
  uint64_t memory;     // private writable memory, 8192 bytes
  uint64_t read_only;  // private read-only memory
  uint64_t unmapped;   // nothing there
  uint64_t entry;      // the program's entry point
  // step[0] is behind the getppid of STEPS, executing step[i] leads to step[i + 1];
  // step[UTRACE_TARGET_STEP_CALL] is the system call instruction.
  uint64_t step[UTRACE_TARGET_STEP_COUNT + 1];
  // Behind the getppid of BRANCHES, and where its branches lead, each to a higher address.
  uint64_t branch_start;
  uint64_t branch[UTRACE_TARGET_BRANCH_COUNT];
};

// Begins a world, or ends it: every task is killed, reaped and forgotten; engines may outlive it, and
// are detached then. Zero or a negative errno; -EBUSY for a second world.
UTRACE_EXPORT int utrace_target_begin(void);
UTRACE_EXPORT void utrace_target_end(void);

// A new process with one thread, a child of PARENT, in a process group of its own. It acknowledges with
// seq 0 when it is ready. Zero or a negative errno.
UTRACE_EXPORT int utrace_target_spawn(unsigned slot);
// Queues a command for the slot's thread; zero or a negative errno. Never waits. It may execute the
// command before it returns.
UTRACE_EXPORT int utrace_target_send(unsigned slot, const struct utrace_target_command* command);
// 1 with the oldest acknowledgement, 0 if there is none yet; never waits.
UTRACE_EXPORT int utrace_target_receive(unsigned slot, struct utrace_target_reply* reply);
UTRACE_EXPORT struct utrace_target_slot* utrace_target_slot_memory(unsigned slot);
UTRACE_EXPORT uint64_t utrace_target_slot_address(unsigned slot);
UTRACE_EXPORT const struct utrace_target_addresses* utrace_target_program(void);
// Writes bytes into the slot's pipe.
UTRACE_EXPORT int utrace_target_feed(unsigned slot, const void* bytes, size_t size);

// A signal from outside: to the process `pid`, or with `to_thread` to the thread. Zero or a negative errno.
UTRACE_EXPORT int utrace_target_kill(pid_t pid, int to_thread, const siginfo_t* info);
// As /proc shows it: R S T t Z X; -ESRCH once the thread is gone.
UTRACE_EXPORT int utrace_target_state(pid_t tid);
// The process id of the parent (slot PARENT).
UTRACE_EXPORT pid_t utrace_target_parent(void);

// Changes the machine, from now to the end of the world. -EOPNOTSUPP for a key that it does not know.
//   single-step  0: the machine has no single step, nor block step; block-step likewise
//   kernel-task  makes a kernel thread and returns its id; the value is ignored
UTRACE_EXPORT int utrace_target_configure(const char* key, long value);

// ---- Part B: the kit's own threads --------------------------------------------------------------------

// Runs body(argument) as the first thread of a schedule ("random:17", "pct:17:3", "replay:..."; ""
// for the implementation's choice). Zero, or a negative errno: -EINVAL for a text that is no schedule,
// -EDEADLK if threads were left that wait for ever, -EILSEQ if a replay could not be followed.
UTRACE_EXPORT int utrace_target_run(const char* schedule, void (*body)(void*), void* argument);
// What repeats the last run exactly; lives until the next run.
UTRACE_EXPORT const char* utrace_target_schedule(void);
// The rest only inside utrace_target_run.
// A further thread; its id, above zero, or a negative errno.
UTRACE_EXPORT int utrace_target_thread(const char* name, void (*body)(void*), void* argument);
// The calling thread's id, and the state of one: R can go on, S waits in a call, X has ended.
UTRACE_EXPORT int utrace_target_thread_self(void);
UTRACE_EXPORT int utrace_target_thread_state(int thread);
// As if a signal handler ran in that thread: it ends waits that say so [BAR-07, ATT-17].
UTRACE_EXPORT void utrace_target_thread_interrupt(int thread);
// Waits until ready(argument) is nonzero (1), or for `timeout` ns of virtual time (0). `ready` must call
// nothing of the implementation.
UTRACE_EXPORT int utrace_target_await(int (*ready)(void*), void* argument, int64_t timeout);
// Lets everything else go on until nothing can without time passing, then `advance` ns pass. While
// something goes on for ever it returns after a while all the same, and no time passes.
UTRACE_EXPORT void utrace_target_settle(int64_t advance);
// Virtual nanoseconds.
UTRACE_EXPORT int64_t utrace_target_now(void);

#ifdef __cplusplus
}
#endif

#endif  // CORE_UTRACE_TARGET_H_
