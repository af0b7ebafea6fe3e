#include "core/linux/traced_tasks.h"

#include "core/linux/linux_host.h"
#include "core/task.h"

namespace utrace::linux_host {

std::vector<TracedTask> TracedTasks() {
  std::vector<TaskRef> tasks;
  for (Task* task : LinuxHost::Get().Tasks()) tasks.push_back(TaskRef::Adopt(task));
  std::vector<TracedTask> traced;
  for (const TaskRef& task : tasks) {
    TracedTask seen = LookAt(task);
    if (!seen.engines.empty()) traced.push_back(std::move(seen));
  }
  return traced;
}

void AwaitReleased() {
  for (Task* task : LinuxHost::Get().Tasks()) {
    auto& host = static_cast<LinuxTask&>(task->host());
    if (task->HostInterest() == 0 && !host.filtered()) host.AwaitUntraced();
    task->Unref();
  }
}

}  // namespace utrace::linux_host
