// An implementation without tasks, for tests of the loader and the runner. Every pid is unknown.
#include <errno.h>

#include "core/machine.h"
#include "core/utrace.h"

#ifndef FAKE_VERSION
#define FAKE_VERSION UTRACE_API_VERSION
#endif

extern "C" {

unsigned long utrace_api_version(void) { return FAKE_VERSION; }
const char* utrace_declared_limits(void) { return "LIM-01 no exit report\nNO-SINGLESTEP\n"; }
utrace_pid* utrace_pid_find(pid_t) { return static_cast<utrace_pid*>(UTRACE_ERR_PTR(-ESRCH)); }
const char* utrace_last_error_text(void) { return "there are no tasks"; }
utrace_task* utrace_current(void) { return nullptr; }
utrace_pid* utrace_pid_get(utrace_pid* pid) { return pid; }
utrace_task* utrace_pid_task(utrace_pid*) {
  return static_cast<utrace_task*>(UTRACE_ERR_PTR(-ESRCH));
}
utrace_task* utrace_task_get(utrace_task* task) { return task; }
pid_t utrace_task_tid(utrace_task*) { return 0; }
pid_t utrace_task_tgid(utrace_task*) { return 0; }
void utrace_pid_put(utrace_pid*) {}
void utrace_task_put(utrace_task*) {}
utrace_engine* utrace_attach_task(utrace_task*, int, const utrace_engine_ops*, void*) {
  return static_cast<utrace_engine*>(UTRACE_ERR_PTR(-EINVAL));
}
utrace_engine* utrace_attach_pid(utrace_pid*, int, const utrace_engine_ops*, void*) {
  return static_cast<utrace_engine*>(UTRACE_ERR_PTR(-EINVAL));
}
utrace_engine* utrace_engine_get(utrace_engine* engine) { return engine; }
void utrace_engine_put(utrace_engine*) {}
int utrace_set_events(utrace_task*, utrace_engine*, unsigned long) { return -EINVAL; }
int utrace_set_events_pid(utrace_pid*, utrace_engine*, unsigned long) { return -EINVAL; }
int utrace_control(utrace_task*, utrace_engine*, enum utrace_resume_action) { return -EINVAL; }
int utrace_control_pid(utrace_pid*, utrace_engine*, enum utrace_resume_action) { return -EINVAL; }
int utrace_prepare_examine(utrace_task*, utrace_engine*, utrace_examiner*) { return -EINVAL; }
int utrace_finish_examine(utrace_task*, utrace_engine*, utrace_examiner*) { return -EINVAL; }
unsigned long utrace_task_interest(utrace_task*) { return 0; }
int utrace_task_status(utrace_task*, char*, size_t) { return -EINVAL; }
const utrace_regset_view* utrace_task_regset_view(utrace_task*) { return nullptr; }
int utrace_regset_get(utrace_task*, uint32_t, size_t, size_t, void*) { return -EINVAL; }
int utrace_regset_set(utrace_task*, uint32_t, size_t, size_t, const void*) { return -EINVAL; }
int utrace_get_pc(utrace_task*, uint64_t*) { return -EINVAL; }
int utrace_set_pc(utrace_task*, uint64_t) { return -EINVAL; }
int utrace_get_sp(utrace_task*, uint64_t*) { return -EINVAL; }
int utrace_syscall_number(utrace_task*, long*) { return -EINVAL; }
int utrace_syscall_set_number(utrace_task*, long) { return -EINVAL; }
int utrace_syscall_arguments(utrace_task*, unsigned, unsigned, uint64_t*) { return -EINVAL; }
int utrace_syscall_set_arguments(utrace_task*, unsigned, unsigned, const uint64_t*) {
  return -EINVAL;
}
int utrace_syscall_result(utrace_task*, long*, long*) { return -EINVAL; }
int utrace_syscall_set_result(utrace_task*, long, long) { return -EINVAL; }
int utrace_syscall_rollback(utrace_task*) { return -EINVAL; }
int utrace_task_current_syscall(utrace_task*, utrace_current_syscall*) { return -EINVAL; }
ssize_t utrace_read_memory(utrace_task*, uint64_t, void*, size_t) { return -EINVAL; }
ssize_t utrace_write_memory(utrace_task*, uint64_t, const void*, size_t) { return -EINVAL; }
bool utrace_has_single_step(void) { return false; }
bool utrace_has_block_step(void) { return false; }

#ifndef FAKE_INCOMPLETE
int utrace_barrier(utrace_task*, utrace_engine*) { return -EINVAL; }
int utrace_barrier_pid(utrace_pid*, utrace_engine*) { return -EINVAL; }
#endif

}  // extern "C"
