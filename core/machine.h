// Machine state of a task: register sets, system call access, memory, stepping abilities.
//
// Callable from any thread that may touch the task now: in a callback for it, or between
// utrace_prepare_examine and utrace_finish_examine. Elsewhere the functions refuse with -EINVAL (not
// at a safe point) or -ESRCH (gone), and transfer nothing [REG-04].
//
// Everything written is what the task runs with, and nothing else changes [REG-03]. A task killed
// in between runs no user code: a write reaches a task that is still stopped, or fails [KIL-05].
#ifndef CORE_MACHINE_H_
#define CORE_MACHINE_H_

#include "core/utrace.h"

#ifdef __cplusplus
extern "C" {
#endif

// ---- Register sets [REG-01, REG-02] --------------------------------------------------------------

struct utrace_regset {
  const char* name;
  uint32_t note_type;  // NT_PRSTATUS, NT_PRFPREG, NT_X86_XSTATE, ...
  uint32_t slots;      // number of slots; the most that there can be if the size varies
  uint32_t slot_size;  // bytes
  uint32_t align;      // bytes
};

struct utrace_regset_view {
  const char* name;      // "x86_64", "aarch64"
  uint16_t elf_machine;  // EM_X86_64, EM_AARCH64
  uint32_t count;
  const struct utrace_regset* sets;  // general registers first
};

// The view that describes `task`; lives as long as the process. Null for a null task.
UTRACE_EXPORT const struct utrace_regset_view* utrace_task_regset_view(struct utrace_task* task);

// Copies `count` bytes from byte `position` of set `index` of the view to or from `buffer`. Both
// must be multiples of the slot size and lie within the set. Errors: -EINVAL, -ESRCH, -ENODEV (this
// machine lacks the set).
UTRACE_EXPORT int utrace_regset_get(struct utrace_task* task, uint32_t index, size_t position,
                                    size_t count, void* buffer);
UTRACE_EXPORT int utrace_regset_set(struct utrace_task* task, uint32_t index, size_t position,
                                    size_t count, const void* buffer);

// Program counter and stack pointer.
UTRACE_EXPORT int utrace_get_pc(struct utrace_task* task, uint64_t* pc);
UTRACE_EXPORT int utrace_set_pc(struct utrace_task* task, uint64_t pc);
UTRACE_EXPORT int utrace_get_sp(struct utrace_task* task, uint64_t* sp);

// ---- System calls [SCI-01, SCI-02] ---------------------------------------------------------------

// The number of the call that the task is in, -1 if in none. -EINVAL, -ESRCH as above.
UTRACE_EXPORT int utrace_syscall_number(struct utrace_task* task, long* number);
// At entry: makes it another call. -1 makes it none.
UTRACE_EXPORT int utrace_syscall_set_number(struct utrace_task* task, long number);
// Arguments `first` to `first + count - 1` (0 to 5). -EINVAL outside that range.
UTRACE_EXPORT int utrace_syscall_arguments(struct utrace_task* task, unsigned first, unsigned count,
                                           uint64_t* arguments);
UTRACE_EXPORT int utrace_syscall_set_arguments(struct utrace_task* task, unsigned first,
                                               unsigned count, const uint64_t* arguments);
// At exit: *error is a negative errno and *value zero, or *error zero and *value the result. Either
// pointer may be null.
UTRACE_EXPORT int utrace_syscall_result(struct utrace_task* task, long* error, long* value);
// Sets what the program will see: a negative errno if `error` is nonzero, else `value`. At entry it
// takes effect if the call is aborted.
UTRACE_EXPORT int utrace_syscall_set_result(struct utrace_task* task, long error, long value);
// At exit: puts the registers back to the state before the call, so that the program makes it again.
UTRACE_EXPORT int utrace_syscall_rollback(struct utrace_task* task);

// At any time, on any valid task, attached or not, without stopping it [CUR-01]. Blocked in a call:
// number and arguments; blocked elsewhere: number -1; both with stack pointer and program counter.
// -EAGAIN for a running task.
struct utrace_current_syscall {
  long number;
  uint64_t arguments[6];
  uint64_t sp;
  uint64_t pc;
};
UTRACE_EXPORT int utrace_task_current_syscall(struct utrace_task* task,
                                              struct utrace_current_syscall* call);

// ---- Memory [EXM-05] -----------------------------------------------------------------------------

// Copies up to `size` bytes at `address` of the task's memory; returns the number of bytes copied,
// which is short if an unmapped page comes first, or -EFAULT, -EINVAL, -ESRCH. Writing works on
// read-only pages too, as a debugger needs.
UTRACE_EXPORT ssize_t utrace_read_memory(struct utrace_task* task, uint64_t address, void* buffer,
                                         size_t size);
UTRACE_EXPORT ssize_t utrace_write_memory(struct utrace_task* task, uint64_t address,
                                          const void* buffer, size_t size);

// ---- Stepping ------------------------------------------------------------------------------------

// Whether this machine can stop after one instruction, and after the next taken branch [STP-02,
// STP-03].
UTRACE_EXPORT bool utrace_has_single_step(void);
UTRACE_EXPORT bool utrace_has_block_step(void);

#ifdef __cplusplus
}
#endif

#endif  // CORE_MACHINE_H_
