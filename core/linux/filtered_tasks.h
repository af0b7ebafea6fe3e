// Tasks that have a CallFilter, in the process that traces them.
#ifndef CORE_LINUX_FILTERED_TASKS_H_
#define CORE_LINUX_FILTERED_TASKS_H_

#include "core/handles.h"

namespace utrace::linux_host {

// `task` is about to get a CallFilter; nothing is attached to it yet. From now on it, and all that it
// creates, stays traced until it dies, whichever engines come and go: something is attached to each
// (under the calling thread's owner), so that TracedTasks shows them. Engines whose owner wants named
// calls only (owner.h) get the events of the calls that the filter names; as long as another engine
// wants events of calls, all are stopped for as without a filter. Zero, or a negative errno as
// utrace_attach_task has it. What a task creates with CLONE_UNTRACED is not kept.
int KeepFiltered(TaskView task);

}  // namespace utrace::linux_host

#endif  // CORE_LINUX_FILTERED_TASKS_H_
