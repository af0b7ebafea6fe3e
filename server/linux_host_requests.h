// What the emulation of ptrace asks of a host, answered by the host over live threads.
#ifndef SERVER_LINUX_HOST_REQUESTS_H_
#define SERVER_LINUX_HOST_REQUESTS_H_

#include "engines/ptrace_compat/host_requests.h"

namespace utrace::server {

// Has no state of its own. The functions' contracts are those of the interface.
class LinuxHostRequests final : public ptrace_compat::HostRequests {
 public:
  long Ptrace(TaskView task, int request, uint64_t address, void* data) override;
  std::optional<int> DeathStatus(TaskView task) override;
  std::optional<uint64_t> BlockedSignals(TaskView task) override;
  void RunInJobControlStop(TaskView task, bool runs) override;
  std::optional<uint32_t> FilterData(TaskView task) override;
  std::optional<unsigned> DebugRegisterAt(uint64_t user_offset) override;
  unsigned DebugControlRegister() override;
  int SetDebugRegister(TaskView task, uint64_t owner, unsigned index, uint64_t value) override;
  int GetDebugRegister(TaskView task, uint64_t owner, unsigned index, uint64_t* value) override;
  void DropDebugRegisters(TaskView task, uint64_t owner) override;
  std::vector<uint64_t> OwnersOfTrap(TaskView task) override;
};

}  // namespace utrace::server

#endif  // SERVER_LINUX_HOST_REQUESTS_H_
