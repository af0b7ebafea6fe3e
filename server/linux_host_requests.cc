#include "server/linux_host_requests.h"

#include "core/linux/ptrace_requests.h"

namespace utrace::server {

long LinuxHostRequests::Ptrace(TaskView task, int request, uint64_t address, void* data) {
  return linux_host::PtraceStateRequest(task, request, address, data);
}

std::optional<int> LinuxHostRequests::DeathStatus(TaskView task) {
  return linux_host::DeathStatus(task);
}

std::optional<uint32_t> LinuxHostRequests::FilterData(TaskView task) {
  return linux_host::FilterData(task);
}

}  // namespace utrace::server
