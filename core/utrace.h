// The utrace contract in C: what tracing engines and implementations meet at.
//
// A *task* is one user thread. An *engine* is one attachment of tracing code to one task: an ops
// table, a data pointer and an event mask. Any number of engines can be attached to a task; each is
// called back when an event of its mask happens, and each has its own say in what the task does
// next. The full contract, clause by clause, is docs/spec.md; the ids in brackets name its clauses.
//
// Who may call: unless a function says otherwise it may be called from any thread of the process
// that hosts the implementation, inside callbacks too. From inside a callback the reported task is
// the caller's *current* task (utrace_current()).
//
// Errors: functions returning int give zero or a negative errno value; functions returning a
// pointer encode the negative errno in the pointer (UTRACE_IS_ERR, UTRACE_PTR_ERR) [API-07].
// No function throws, and no callback may throw.
#ifndef CORE_UTRACE_H_
#define CORE_UTRACE_H_

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define UTRACE_EXPORT __attribute__((visibility("default")))

// Names this interface; changes whenever engine code would need a change [API-10].
#define UTRACE_API_VERSION 20090421

// ---- Event kinds [API-01] --------------------------------------------------------------------

enum utrace_event_bit {
  UTRACE_EVENT_BIT_QUIESCE,        // some report is wanted: see report_quiesce
  UTRACE_EVENT_BIT_REAP,           // the task was reaped by its parent
  UTRACE_EVENT_BIT_CLONE,          // a fork, vfork or clone succeeded
  UTRACE_EVENT_BIT_EXEC,           // an execve succeeded
  UTRACE_EVENT_BIT_EXIT,           // the task begins to exit; its state is still live
  UTRACE_EVENT_BIT_DEATH,          // the task is dead
  UTRACE_EVENT_BIT_SYSCALL_ENTRY,  // a system call is about to run
  UTRACE_EVENT_BIT_SYSCALL_EXIT,   // a system call is about to return to user mode
  UTRACE_EVENT_BIT_SIGNAL,         // a signal will run a handler
  UTRACE_EVENT_BIT_SIGNAL_IGN,     // a signal will be ignored
  UTRACE_EVENT_BIT_SIGNAL_STOP,    // a signal will stop the process
  UTRACE_EVENT_BIT_SIGNAL_TERM,    // a signal will end the process
  UTRACE_EVENT_BIT_SIGNAL_CORE,    // a signal will end the process with a core dump
  UTRACE_EVENT_BIT_JCTL,           // a job control stop completed or ended
  UTRACE_EVENT_BITS
};

#define UTRACE_EVENT(kind) (1UL << UTRACE_EVENT_BIT_##kind)
#define UTRACE_EVENT_SYSCALL (UTRACE_EVENT(SYSCALL_ENTRY) | UTRACE_EVENT(SYSCALL_EXIT))
#define UTRACE_EVENT_SIGNAL_ALL                                                  \
  (UTRACE_EVENT(SIGNAL) | UTRACE_EVENT(SIGNAL_IGN) | UTRACE_EVENT(SIGNAL_STOP) | \
   UTRACE_EVENT(SIGNAL_TERM) | UTRACE_EVENT(SIGNAL_CORE))
#define UTRACE_EVENT_ALL ((1UL << UTRACE_EVENT_BITS) - 1)

// ---- Actions ---------------------------------------------------------------------------------

// What a task shall do next; the smallest value among all engines' results wins [API-02].
enum utrace_resume_action {
  UTRACE_STOP,        // stay stopped until this engine lets go
  UTRACE_INTERRUPT,   // make a report_signal callback soon, interrupting a system call
  UTRACE_REPORT,      // make a report_quiesce or report_signal callback soon
  UTRACE_SINGLESTEP,  // resume for one instruction
  UTRACE_BLOCKSTEP,   // resume until the next taken branch
  UTRACE_RESUME,      // run on
  UTRACE_DETACH       // this engine leaves
};
#define UTRACE_RESUME_MASK 0x07U

// What shall become of a signal [API-03].
enum utrace_signal_action {
  UTRACE_SIGNAL_DELIVER = 0x00,  // act by the siginfo and the disposition to apply
  UTRACE_SIGNAL_IGN = 0x10,      // drop it
  UTRACE_SIGNAL_TERM = 0x20,     // end the process by it
  UTRACE_SIGNAL_CORE = 0x30,     // end the process by it, with a core dump
  UTRACE_SIGNAL_STOP = 0x40,     // stop the process absolutely
  UTRACE_SIGNAL_TSTP = 0x50,     // stop the process by job control rules
  UTRACE_SIGNAL_REPORT = 0x60,   // no signal was dequeued: REPORT or INTERRUPT was asked for
  UTRACE_SIGNAL_HANDLER = 0x70   // a handler was just set up
};
#define UTRACE_SIGNAL_MASK 0xf0U
#define UTRACE_SIGNAL_HOLD 0x100U  // flag: put the signal back, it is seen again

// What shall become of a system call [API-04].
enum utrace_syscall_action {
  UTRACE_SYSCALL_RUN = 0x00,   // attempt it
  UTRACE_SYSCALL_ABORT = 0x10  // do not
};
#define UTRACE_SYSCALL_MASK 0xf0U
#define UTRACE_SYSCALL_RESUMED 0x100U  // flag: this entry was reported before [SYS-06]

static inline enum utrace_resume_action utrace_resume_action(uint32_t value) {
  return (enum utrace_resume_action)(value & UTRACE_RESUME_MASK);
}
static inline enum utrace_signal_action utrace_signal_action(uint32_t value) {
  return (enum utrace_signal_action)(value & UTRACE_SIGNAL_MASK);
}
static inline enum utrace_syscall_action utrace_syscall_action(uint32_t value) {
  return (enum utrace_syscall_action)(value & UTRACE_SYSCALL_MASK);
}

// ---- Objects ---------------------------------------------------------------------------------

// One user thread. Valid inside callbacks that name it, and for as long as the caller holds a
// reference (utrace_task_get). After the task was reaped every call with it returns -ESRCH.
struct utrace_task;

// A name for a thread that may be gone: holding one never delays the thread's reaping, and it never
// comes to name another thread that got the same number later [API-08].
struct utrace_pid;

// The registers of a reported task, valid until the callback returns; see machine.h.
struct utrace_regs;

struct utrace_engine_ops;

// One attachment. The three fields may be read by the engine's owner while it is attached, and are
// written by the implementation alone [API-09].
struct utrace_engine {
  const struct utrace_engine_ops* ops;
  void* data;
  unsigned long flags;  // the event mask
};

// How a signal is disposed of.
struct utrace_sigaction {
  // UTRACE_SIG_DFL, UTRACE_SIG_IGN, UTRACE_SIG_UNKNOWN_HANDLER, or the handler's address.
  uint64_t handler;
  uint64_t flags;     // SA_*; meaningful with a known handler address
  uint64_t restorer;  // likewise; zero: the implementation finds one
  uint64_t mask;      // signals blocked while the handler runs, bit N-1 for signal N; likewise
};
#define UTRACE_SIG_DFL 0UL
#define UTRACE_SIG_IGN 1UL
// The program has a handler, whose address the host does not know. Left as it is, it is the one
// that runs.
#define UTRACE_SIG_UNKNOWN_HANDLER 2UL

// What report_exec tells about the new program. Strings live until the callback returns.
struct utrace_program {
  const char* path;  // the file that was executed, as /proc/PID/exe names it
  uint64_t entry;    // address of the first user instruction
  pid_t former_tid;  // the thread id before; differs from the new one if a non-leader executed
};

// The callbacks of an engine [API-06, table 2.1]. A pointer may be null as long as no event that
// needs it is enabled.
//
// Every callback is made at a safe point: no lock is held, the task does not run, its registers and
// memory are accessible, every function of this header may be called. It should not block for long:
// the task waits, and so may other tasks of the same host lane.
//
// `action` carries the most constrained resume action of the engines called before in this report
// (it starts as UTRACE_RESUME) [REP-04], beside the signal or system call action that the previous
// engine left [SIG-03, SYS-04]. The result's resume action is this engine's own wish; it never
// loosens another engine's [REP-05]. Only UTRACE_STOP is sticky [REP-06]. UTRACE_DETACH takes the
// engine off when the callback returns [REP-09].
struct utrace_engine_ops {
  // For engines with QUIESCE: precedes each specific callback of any engine's event (`event` is its
  // bit; REAP and signals excepted), or says that the task is about to return to user mode and a
  // report was asked for (`event` is zero) [QUI-01..07]. Only the result's resume action counts
  // [SYS-13].
  uint32_t (*report_quiesce)(uint32_t action, struct utrace_engine* engine,
                             struct utrace_task* task, unsigned long event);
  // A signal was dequeued, or with UTRACE_SIGNAL_REPORT / _HANDLER in `action` none was (then
  // `orig_ka` is null) [SIG-01..21]. `info` may be changed, its number included; `return_ka` is the
  // disposition to apply and may be changed; both count with UTRACE_SIGNAL_DELIVER.
  uint32_t (*report_signal)(uint32_t action, struct utrace_engine* engine, struct utrace_task* task,
                            struct utrace_regs* regs, siginfo_t* info,
                            const struct utrace_sigaction* orig_ka,
                            struct utrace_sigaction* return_ka);
  // `child` exists and has not run a user instruction; it may be attached to [CLN-01..07].
  uint32_t (*report_clone)(uint32_t action, struct utrace_engine* engine,
                           struct utrace_task* parent, unsigned long clone_flags,
                           struct utrace_task* child);
  // `type` is CLD_STOPPED or CLD_CONTINUED; `notify` is what the parent is told because of this
  // very task, or zero [JCT-01..02].
  uint32_t (*report_jctl)(uint32_t action, struct utrace_engine* engine, struct utrace_task* task,
                          int type, int notify);
  // An execve succeeded; `regs` are those of the new program [EXE-01].
  uint32_t (*report_exec)(uint32_t action, struct utrace_engine* engine, struct utrace_task* task,
                          const struct utrace_program* program, struct utrace_regs* regs);
  // Called in reverse order of attachment [REP-02]. The call and its arguments may be changed
  // through machine.h; STOP holds the task before the call is attempted [SYS-01..13].
  uint32_t (*report_syscall_entry)(uint32_t action, struct utrace_engine* engine,
                                   struct utrace_task* task, struct utrace_regs* regs);
  uint32_t (*report_syscall_exit)(uint32_t action, struct utrace_engine* engine,
                                  struct utrace_task* task, struct utrace_regs* regs);
  // `orig_code` is the wait status to be; *code is what the parent will see [EXI-01..03].
  uint32_t (*report_exit)(uint32_t action, struct utrace_engine* engine, struct utrace_task* task,
                          long orig_code, long* code);
  // The task is dead. `signal` is what the parent is sent, -1 for a task that reaps itself, -2 for
  // a leader that dies before its threads. Only UTRACE_DETACH means anything [DTH-01..04].
  uint32_t (*report_death)(struct utrace_engine* engine, struct utrace_task* task, bool group_dead,
                           int signal);
  // The last callback of the engine; may come from any thread of the host [REA-01..05].
  void (*report_reap)(struct utrace_engine* engine, struct utrace_task* task);
  // No reference to the engine is left; called once with the engine's data [REF-03..05].
  void (*release)(void* data);
};

// ---- Errors in pointers ------------------------------------------------------------------------

// Beyond errno.h: a wait was interrupted by a signal to the caller, who may call again.
#define UTRACE_ERESTARTSYS 512
#define UTRACE_ERESTARTNOINTR 513

#define UTRACE_MAX_ERRNO 4095
#define UTRACE_IS_ERR(pointer) ((uintptr_t)(pointer) >= (uintptr_t)-UTRACE_MAX_ERRNO)
#define UTRACE_PTR_ERR(pointer) ((int)(intptr_t)(pointer))
#define UTRACE_ERR_PTR(error) ((void*)(intptr_t)(error))

// ---- Naming tasks ------------------------------------------------------------------------------

// The interface version that the implementation was built for (UTRACE_API_VERSION) [API-10].
UTRACE_EXPORT unsigned long utrace_api_version(void);

// A handle for the thread with id `tid` in the caller's pid namespace; neither stops nor traces it.
// The caller owns the handle (utrace_pid_put). -ESRCH: no such thread; -EINVAL: tid <= 0 [BAD-04].
UTRACE_EXPORT struct utrace_pid* utrace_pid_find(pid_t tid);
// Takes another reference; returns its argument.
UTRACE_EXPORT struct utrace_pid* utrace_pid_get(struct utrace_pid* pid);
// Drops a reference. Null and encoded errors are ignored.
UTRACE_EXPORT void utrace_pid_put(struct utrace_pid* pid);
// The task that the handle names, with a reference that belongs to the caller (utrace_task_put).
// -ESRCH once it was reaped.
UTRACE_EXPORT struct utrace_task* utrace_pid_task(struct utrace_pid* pid);

// A reference keeps the pointer valid; it delays nothing in the task's life.
UTRACE_EXPORT struct utrace_task* utrace_task_get(struct utrace_task* task);
UTRACE_EXPORT void utrace_task_put(struct utrace_task* task);
// The thread id. It changes when a thread other than the leader executes a program [EXE-04]. For
// callers and messages; stays readable after the task was reaped.
UTRACE_EXPORT pid_t utrace_task_tid(struct utrace_task* task);
// The id of the task's thread group (its process).
UTRACE_EXPORT pid_t utrace_task_tgid(struct utrace_task* task);

// In a callback: the task it is made for. Elsewhere null. No reference is taken.
UTRACE_EXPORT struct utrace_task* utrace_current(void);

// ---- Attaching [ATT-*] ---------------------------------------------------------------------------

#define UTRACE_ATTACH_MATCH_OPS 0x01   // match engines with this ops table
#define UTRACE_ATTACH_MATCH_DATA 0x02  // match engines with this data pointer
#define UTRACE_ATTACH_MATCH_MASK 0x0f
#define UTRACE_ATTACH_CREATE 0x10     // attach a new engine
#define UTRACE_ATTACH_EXCLUSIVE 0x20  // with CREATE: only if no attached engine matches

// Attaches a new engine to `task` (CREATE), or finds the first attached one that matches [ATT-01,
// ATT-03]. Returns it with a reference that belongs to the caller (utrace_engine_put). A new engine
// is last in order, has an empty mask, and gets no callback of a report already in progress
// [ATT-02, ATT-13, ATT-14]. `ops` is borrowed and must outlive the engine; `data` is the engine's
// own. Blocks while the kernel is asked for the task, and for a newborn until its parent's
// report_clone callbacks have returned [ATT-16].
//
// Errors: -ESRCH reaped [ATT-10]; -EPERM kernel thread, foreign tracer, or no permission [ATT-08,
// LIM-04] (utrace_last_error_text says which); -ENOENT lookup without a match [ATT-05]; -EEXIST
// EXCLUSIVE and a match [ATT-06]; -EINVAL null ops, null task or unknown flags [ATT-07, ATT-21];
// -ENOMEM [ATT-09]; -UTRACE_ERESTARTNOINTR interrupted while waiting for a newborn [ATT-17].
UTRACE_EXPORT struct utrace_engine* utrace_attach_task(struct utrace_task* task, int flags,
                                                       const struct utrace_engine_ops* ops,
                                                       void* data);
// The same by pid handle; -ESRCH once the task has been reaped [API-08].
UTRACE_EXPORT struct utrace_engine* utrace_attach_pid(struct utrace_pid* pid, int flags,
                                                      const struct utrace_engine_ops* ops,
                                                      void* data);

// References keep an engine pointer valid beyond detach and reaping [REF-01]. When the last one is
// gone and the engine is no longer attached, its release callback is called once [REF-03].
UTRACE_EXPORT struct utrace_engine* utrace_engine_get(struct utrace_engine* engine);
UTRACE_EXPORT void utrace_engine_put(struct utrace_engine* engine);

// ---- Choosing events [EVT-*] -----------------------------------------------------------------------

// Makes the engine's mask exactly `events` (bits that are no event kind are ignored) [EVT-01]. Never
// waits for the task [API-11].
//
// Errors: -ESRCH detached or reaped [EVT-02]; -EALREADY newly setting DEATH or QUIESCE on a dead
// task, clearing them during the death report, clearing REAP once the reap report may have begun
// [EVT-03..05]; -EINPROGRESS a bit was cleared while a callback to this engine is running, and the
// mask is in force [EVT-07]; -EINVAL null pointers, or an event whose callback is null [BAD-02].
UTRACE_EXPORT int utrace_set_events(struct utrace_task* task, struct utrace_engine* engine,
                                    unsigned long events);
UTRACE_EXPORT int utrace_set_events_pid(struct utrace_pid* pid, struct utrace_engine* engine,
                                        unsigned long events);

// ---- Controlling [CTL-*] -----------------------------------------------------------------------

// Says what the task shall do as far as this engine is concerned. Never waits [API-11].
//
// DETACH: 0, or -EINPROGRESS while a callback to the engine runs (it detaches when that ends),
// -EALREADY while the death report is in progress. STOP: 0 exactly if the task is stopped already,
// else -EINPROGRESS and it stops at its next safe point. RESUME: ends this engine's STOP. REPORT,
// INTERRUPT: 0, and a callback is made soon. SINGLESTEP, BLOCKSTEP: resumes for one step.
//
// Errors: -EINVAL unknown action, null pointers, or REPORT, SINGLESTEP, BLOCKSTEP without QUIESCE in
// the mask [CTL-01, CTL-02]; -ESRCH detached, reaped, or dead and the action is not DETACH [CTL-03,
// CTL-04]; -EOPNOTSUPP the machine cannot single-step [STP-02].
UTRACE_EXPORT int utrace_control(struct utrace_task* task, struct utrace_engine* engine,
                                 enum utrace_resume_action action);
UTRACE_EXPORT int utrace_control_pid(struct utrace_pid* pid, struct utrace_engine* engine,
                                     enum utrace_resume_action action);

// ---- Synchronising [BAR-*] -----------------------------------------------------------------------

// Waits until no callback to `engine` is running that began before the call, its result applied.
// Returns 0 at once on the caller's current task. Accepts a detached engine, and any task pointer
// with a completely detached one.
//
// Errors: -ESRCH completely detached [BAR-06]; -UTRACE_ERESTARTSYS interrupted by a signal to the
// caller [BAR-07]; -EINVAL null engine.
UTRACE_EXPORT int utrace_barrier(struct utrace_task* task, struct utrace_engine* engine);
UTRACE_EXPORT int utrace_barrier_pid(struct utrace_pid* pid, struct utrace_engine* engine);

// ---- Examining [EXM-*] -------------------------------------------------------------------------

// Filled in by utrace_prepare_examine for the paired utrace_finish_examine; opaque.
struct utrace_examiner {
  uint64_t generation;
};

// Waits until a task that `engine` holds stopped is really off the processor, so that machine.h can
// read and write its state. Errors: -EINVAL the engine does not hold it stopped; -ESRCH dead;
// -EAGAIN it runs despite the STOP [EXM-02..04, EXM-09].
UTRACE_EXPORT int utrace_prepare_examine(struct utrace_task* task, struct utrace_engine* engine,
                                         struct utrace_examiner* examiner);
// 0 if the task stayed stopped since the paired prepare; -EAGAIN if it woke in between, -EINVAL if
// the engine no longer holds it [EXM-06, EXM-07].
UTRACE_EXPORT int utrace_finish_examine(struct utrace_task* task, struct utrace_engine* engine,
                                        struct utrace_examiner* examiner);

// ---- What a user may see ---------------------------------------------------------------------------

// The union of the masks of the task's engines, plus REAP while any is attached [EVT-15].
UTRACE_EXPORT unsigned long utrace_task_interest(struct utrace_task* task);
// Writes "Utrace:<TAB><hex>" and a newline with that mask into `buffer` (at most `size` bytes, always
// terminated) and returns the length as snprintf does [STA-01]. -EINVAL for null pointers.
UTRACE_EXPORT int utrace_task_status(struct utrace_task* task, char* buffer, size_t size);
// One line about the last error that a call of this thread returned, naming the target and what to
// do; empty if none. Owned by the library; valid until the thread's next call.
UTRACE_EXPORT const char* utrace_last_error_text(void);

// ---- What the implementation declares ----------------------------------------------------------------

// Capabilities and limits of chapter 22, as one text: a name per line ("LIM-01", "NO-SINGLESTEP"),
// each followed by a blank and a description. Lives as long as the process.
UTRACE_EXPORT const char* utrace_declared_limits(void);

#ifdef __cplusplus
}
#endif

#endif  // CORE_UTRACE_H_
