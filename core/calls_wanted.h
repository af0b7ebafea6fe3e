// Which system calls an engine gets the events of. In C++, and for whoever links the core: it is no part
// of the contract, which knows all or none.
#ifndef CORE_CALLS_WANTED_H_
#define CORE_CALLS_WANTED_H_

#include "core/handles.h"
#include "core/result.h"

namespace utrace {

struct CallsWanted {
  // The task stops for every call, as the contract has it. Otherwise this engine makes it stop for none;
  // it still gets the events of those that it stops for because of others.
  bool all = true;
  // Calls that the program's own seccomp filters want traced (SECCOMP_RET_TRACE), as PTRACE_O_TRACESECCOMP
  // has them: the entry is reported, a second time and as repeated() if it was before the filter ran, and
  // the call runs. Where no engine of the task wants these, the kernel fails such a call with ENOSYS. A host
  // that has no such filters ignores it.
  bool filtered = false;
};

// What `engine` wants from now on for as long as it is attached, and has SYSCALL_ENTRY or SYSCALL_EXIT (for
// filtered: SYSCALL_ENTRY) enabled. Never waits; any thread, in callbacks too. Events that it adds happen
// from the return of this call on, as with Attachment::SetEvents. Error: -ESRCH detached, or reaped.
Status WantCalls(const EngineRef& engine, CallsWanted wanted);

}  // namespace utrace

#endif  // CORE_CALLS_WANTED_H_
