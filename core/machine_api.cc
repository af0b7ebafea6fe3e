// machine.h over a task's host.
#include <algorithm>
#include <cerrno>

#include "core/machine.h"
#include "core/task.h"

namespace {

using utrace::Changed;
using utrace::HostTask;
using utrace::Task;

constexpr int kSmallestErrno = -4095;

bool Unusable(const void* pointer) { return pointer == nullptr || UTRACE_IS_ERR(pointer); }

// Calls `use` with the task's host if the caller may touch its state now [REG-04].
template <typename Use>
auto AtSafePoint(utrace_task* task, bool arguments_good, Use use)
    -> decltype(use(std::declval<HostTask&>())) {
  if (Unusable(task) || !arguments_good) return -EINVAL;
  Task* object = utrace::FromPublic(task);
  const int status = object->CheckAccess();
  if (status < 0) return status;
  return use(object->host());
}

// The same for what changes something; what it changed is counted for the engine that is called.
template <typename Use>
auto ChangeAtSafePoint(utrace_task* task, bool arguments_good, utrace::Changes changes, Use use)
    -> decltype(use(std::declval<HostTask&>())) {
  const auto result = AtSafePoint(task, arguments_good, use);
  if (result >= 0) utrace::FromPublic(task)->NoteChanges(changes);
  return result;
}

bool InSet(utrace_task* task, uint32_t index, size_t position, size_t count) {
  if (Unusable(task)) return false;
  const utrace_regset_view& view = utrace::FromPublic(task)->host().View();
  if (index >= view.count) return false;
  const utrace_regset& set = view.sets[index];
  const size_t size = static_cast<size_t>(set.slots) * set.slot_size;
  return position % set.slot_size == 0 && count % set.slot_size == 0 && position <= size &&
         count <= size - position;
}

bool ArgumentsInRange(unsigned first, unsigned count) { return first <= 6 && count <= 6 - first; }

}  // namespace

const utrace_regset_view* utrace_task_regset_view(utrace_task* task) {
  return Unusable(task) ? nullptr : &utrace::FromPublic(task)->host().View();
}

int utrace_regset_get(utrace_task* task, uint32_t index, size_t position, size_t count,
                      void* buffer) {
  const bool good = buffer != nullptr && InSet(task, index, position, count);
  return AtSafePoint(
      task, good, [&](HostTask& host) { return host.RegsetGet(index, position, count, buffer); });
}

int utrace_regset_set(utrace_task* task, uint32_t index, size_t position, size_t count,
                      const void* buffer) {
  const bool good = buffer != nullptr && InSet(task, index, position, count);
  return ChangeAtSafePoint(task, good, Bit(Changed::kRegisters), [&](HostTask& host) {
    return host.RegsetSet(index, position, count, buffer);
  });
}

int utrace_get_pc(utrace_task* task, uint64_t* pc) {
  return AtSafePoint(task, pc != nullptr, [&](HostTask& host) { return host.GetPc(pc); });
}

int utrace_set_pc(utrace_task* task, uint64_t pc) {
  return ChangeAtSafePoint(task, true, Bit(Changed::kRegisters),
                           [&](HostTask& host) { return host.SetPc(pc); });
}

int utrace_get_sp(utrace_task* task, uint64_t* sp) {
  return AtSafePoint(task, sp != nullptr, [&](HostTask& host) { return host.GetSp(sp); });
}

int utrace_syscall_number(utrace_task* task, long* number) {
  return AtSafePoint(task, number != nullptr,
                     [&](HostTask& host) { return host.SyscallNumber(number); });
}

int utrace_syscall_set_number(utrace_task* task, long number) {
  return ChangeAtSafePoint(task, true, Bit(Changed::kCallNumber),
                           [&](HostTask& host) { return host.SetSyscallNumber(number); });
}

int utrace_syscall_arguments(utrace_task* task, unsigned first, unsigned count,
                             uint64_t* arguments) {
  const bool good = arguments != nullptr && ArgumentsInRange(first, count);
  return AtSafePoint(
      task, good, [&](HostTask& host) { return host.SyscallArguments(first, count, arguments); });
}

int utrace_syscall_set_arguments(utrace_task* task, unsigned first, unsigned count,
                                 const uint64_t* arguments) {
  const bool good = arguments != nullptr && ArgumentsInRange(first, count);
  utrace::Changes changes = 0;
  for (unsigned n = 0; good && n < count; ++n) changes |= Bit(Changed::kCallArgument, first + n);
  return ChangeAtSafePoint(task, good, changes, [&](HostTask& host) {
    return host.SetSyscallArguments(first, count, arguments);
  });
}

int utrace_syscall_result(utrace_task* task, long* error, long* value) {
  return AtSafePoint(task, true, [&](HostTask& host) {
    int64_t result = 0;
    const int status = host.SyscallResult(&result);
    if (status < 0) return status;
    const bool failed = result >= kSmallestErrno && result < 0;
    if (error != nullptr) *error = failed ? result : 0;
    if (value != nullptr) *value = failed ? 0 : result;
    return 0;
  });
}

int utrace_syscall_set_result(utrace_task* task, long error, long value) {
  const bool good = error == 0 || (error >= kSmallestErrno && error < 0);
  return ChangeAtSafePoint(task, good, Bit(Changed::kCallResult), [&](HostTask& host) {
    return host.SetSyscallResult(error != 0 ? error : value);
  });
}

int utrace_syscall_rollback(utrace_task* task) {
  return ChangeAtSafePoint(task, true, Bit(Changed::kCallResult),
                           [](HostTask& host) { return host.RollBackSyscall(); });
}

int utrace_task_current_syscall(utrace_task* task, utrace_current_syscall* call) {
  if (Unusable(task) || call == nullptr) return -EINVAL;
  Task* object = utrace::FromPublic(task);
  if (object->IsReaped()) return -ESRCH;
  return object->host().CurrentSyscall(call);
}

ssize_t utrace_read_memory(utrace_task* task, uint64_t address, void* buffer, size_t size) {
  return AtSafePoint(task, buffer != nullptr || size == 0,
                     [&](HostTask& host) { return host.ReadMemory(address, buffer, size); });
}

ssize_t utrace_write_memory(utrace_task* task, uint64_t address, const void* buffer, size_t size) {
  return ChangeAtSafePoint(task, buffer != nullptr || size == 0, Bit(Changed::kMemory),
                           [&](HostTask& host) { return host.WriteMemory(address, buffer, size); });
}

bool utrace_has_single_step() { return utrace::TheHost().HasSingleStep(); }

bool utrace_has_block_step() { return utrace::TheHost().HasBlockStep(); }
