// The calls of core/machine.h: system calls can be read, and that is all there is.
#include "core/machine.h"

#include <errno.h>

#include "examples/minimal_implementation/tasks.h"

using minimal::Lock;

namespace {

// Zero if the calling thread may look at the task's state now.
int MayLook(const utrace_task* task) {
  if (task == nullptr) return -EINVAL;
  if (task->reaped) return -ESRCH;
  return minimal::current == task || task->state == 't' ? 0 : -EINVAL;
}

int LeftOut(const utrace_task* task) { return task == nullptr ? -EINVAL : -EOPNOTSUPP; }

}  // namespace

int utrace_syscall_number(utrace_task* task, long* number) {
  const Lock lock(minimal::mutex);
  const int error = MayLook(task);
  if (error == 0) *number = task->call;
  return error;
}

int utrace_syscall_arguments(utrace_task* task, unsigned first, unsigned count,
                             uint64_t* arguments) {
  const Lock lock(minimal::mutex);
  if (first > 6 || count > 6 - first) return -EINVAL;
  const int error = MayLook(task);
  for (unsigned i = 0; error == 0 && i < count; ++i) arguments[i] = task->arguments[first + i];
  return error;
}

int utrace_syscall_result(utrace_task* task, long* error, long* value) {
  const Lock lock(minimal::mutex);
  if (const int refused = MayLook(task)) return refused;
  if (error != nullptr) *error = task->result < 0 ? task->result : 0;
  if (value != nullptr) *value = task->result < 0 ? 0 : task->result;
  return 0;
}

// Tasks have no instructions and no stack: they are always at the same place.
int utrace_get_pc(utrace_task* task, uint64_t* pc) {
  const Lock lock(minimal::mutex);
  *pc = 0;
  return MayLook(task);
}
int utrace_get_sp(utrace_task* task, uint64_t* sp) { return utrace_get_pc(task, sp); }

// What is left out.

int utrace_syscall_set_number(utrace_task* task, long) { return LeftOut(task); }
int utrace_syscall_set_arguments(utrace_task* task, unsigned, unsigned, const uint64_t*) {
  return LeftOut(task);
}
int utrace_syscall_set_result(utrace_task* task, long, long) { return LeftOut(task); }
int utrace_syscall_rollback(utrace_task* task) { return LeftOut(task); }
int utrace_task_current_syscall(utrace_task* task, utrace_current_syscall*) {
  return LeftOut(task);
}
const utrace_regset_view* utrace_task_regset_view(utrace_task*) { return nullptr; }
int utrace_regset_get(utrace_task* task, uint32_t, size_t, size_t, void*) { return LeftOut(task); }
int utrace_regset_set(utrace_task* task, uint32_t, size_t, size_t, const void*) {
  return LeftOut(task);
}
int utrace_set_pc(utrace_task* task, uint64_t) { return LeftOut(task); }
ssize_t utrace_read_memory(utrace_task* task, uint64_t, void*, size_t) { return LeftOut(task); }
ssize_t utrace_write_memory(utrace_task* task, uint64_t, const void*, size_t) {
  return LeftOut(task);
}
bool utrace_has_single_step(void) { return false; }
bool utrace_has_block_step(void) { return false; }
