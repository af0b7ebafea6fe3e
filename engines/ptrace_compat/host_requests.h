// What the emulation needs of the host beyond the contract. The server implements it by the host that it
// is linked with.
#ifndef ENGINES_PTRACE_COMPAT_HOST_REQUESTS_H_
#define ENGINES_PTRACE_COMPAT_HOST_REQUESTS_H_

#include <sys/types.h>

#include <cstdint>
#include <optional>

#include "core/handles.h"

namespace utrace::ptrace_compat {

class HostRequests {
 public:
  virtual ~HostRequests() = default;

  // A ptrace request that reads or changes a stopped thread's state and lets it not run, made as it is
  // by whoever really traces the thread: registers, debug registers, signal mask, pending signals,
  // filters. `address` and `data` are ptrace's; what `data` points to belongs to the caller. The task is
  // at a safe point: in a callback for it, or inside an Examination; any thread. The request's result, or
  // a negative errno; -EOPNOTSUPP where no kernel is behind the task.
  virtual long Ptrace(TaskView task, int request, uint64_t address, void* data) = 0;

  // In report_death: the wait status with which the thread died. Nullopt if an exec of another thread
  // took its place, or if it is not known.
  virtual std::optional<int> DeathStatus(TaskView task) = 0;

  // In report_syscall_entry: the SECCOMP_RET_DATA of the program's own filter that stopped this call
  // with SECCOMP_RET_TRACE; nullopt if none did.
  virtual std::optional<uint32_t> FilterData(TaskView task) = 0;
  // Whether system calls of `task` that its own filters want traced shall be reported as entries, although
  // no engine asks for all. Any thread; borrowed by no engine: the caller counts.
  virtual int WantFiltered(TaskView task, bool wanted) = 0;
};

}  // namespace utrace::ptrace_compat

#endif  // ENGINES_PTRACE_COMPAT_HOST_REQUESTS_H_
