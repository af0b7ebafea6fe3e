#include "server/linux_host_requests.h"

#include "core/linux/ptrace_requests.h"

namespace utrace::server {

long LinuxHostRequests::Ptrace(TaskView task, int request, uint64_t address, void* data) {
  return linux_host::PtraceStateRequest(task, request, address, data);
}

std::optional<int> LinuxHostRequests::DeathStatus(TaskView task) {
  return linux_host::DeathStatus(task);
}

std::optional<uint64_t> LinuxHostRequests::BlockedSignals(TaskView task) {
  return linux_host::BlockedSignals(task);
}

void LinuxHostRequests::RunInJobControlStop(TaskView task, bool runs) {
  linux_host::RunInJobControlStop(task, runs);
}

std::optional<uint32_t> LinuxHostRequests::FilterData(TaskView task) {
  return linux_host::FilterData(task);
}

std::optional<unsigned> LinuxHostRequests::DebugRegisterAt(uint64_t user_offset) {
  return linux_host::DebugRegisterAt(user_offset);
}

unsigned LinuxHostRequests::DebugControlRegister() { return linux_host::DebugControlRegister(); }

int LinuxHostRequests::SetDebugRegister(TaskView task, uint64_t owner, unsigned index,
                                        uint64_t value) {
  return linux_host::SetDebugRegister(task, owner, index, value);
}

int LinuxHostRequests::GetDebugRegister(TaskView task, uint64_t owner, unsigned index,
                                        uint64_t* value) {
  return linux_host::GetDebugRegister(task, owner, index, value);
}

void LinuxHostRequests::DropDebugRegisters(TaskView task, uint64_t owner) {
  linux_host::DropDebugRegisters(task, owner);
}

std::vector<uint64_t> LinuxHostRequests::OwnersOfTrap(TaskView task) {
  return linux_host::OwnersOfTrap(task);
}

}  // namespace utrace::server
