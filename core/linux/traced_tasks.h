// Which live threads have engines, for those who list them.
#ifndef CORE_LINUX_TRACED_TASKS_H_
#define CORE_LINUX_TRACED_TASKS_H_

#include <vector>

#include "core/look.h"

namespace utrace::linux_host {

// The tasks to which something is attached in this process, in no particular order. Each is looked at
// by itself: the list as a whole is no snapshot. Any thread, not in callbacks.
std::vector<TracedTask> TracedTasks();

// Waits until every task that no engine is attached to is let go entirely: where leaving it meant to
// interrupt it, the host still has to see to it that the program does not notice. For a process that is
// about to end. Not in callbacks.
void AwaitReleased();

}  // namespace utrace::linux_host

#endif  // CORE_LINUX_TRACED_TASKS_H_
