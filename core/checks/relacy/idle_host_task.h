// A task of no host: nothing ever happens to it but what a check makes happen.
#ifndef CORE_CHECKS_RELACY_IDLE_HOST_TASK_H_
#define CORE_CHECKS_RELACY_IDLE_HOST_TASK_H_

#include <cerrno>

#include "core/host.h"
#include "core/task.h"

namespace utrace::checks {

class IdleHostTask : public HostTask {
 public:
  pid_t tid() const override { return 1; }
  pid_t tgid() const override { return 1; }
  bool IsKernelThread() const override { return false; }
  int Adopt(std::string* /*error*/) override { return 0; }
  void RequestSafePoint(Urgency /*urgency*/) override {}
  void RequestWake() override {}
  void InterestChanged(unsigned long /*interest*/) override {}
  bool IsStillStopped() override { return true; }
  bool Exists() override { return true; }

  const utrace_regset_view& View() const override { return view_; }
  int RegsetGet(uint32_t, size_t, size_t, void*) override { return -ENODEV; }
  int RegsetSet(uint32_t, size_t, size_t, const void*) override { return -ENODEV; }
  int GetPc(uint64_t*) override { return -ENODEV; }
  int SetPc(uint64_t) override { return -ENODEV; }
  int GetSp(uint64_t*) override { return -ENODEV; }
  int SyscallNumber(long*) override { return -ENODEV; }
  int SetSyscallNumber(long) override { return -ENODEV; }
  int SyscallArguments(unsigned, unsigned, uint64_t*) override { return -ENODEV; }
  int SetSyscallArguments(unsigned, unsigned, const uint64_t*) override { return -ENODEV; }
  int SyscallResult(int64_t*) override { return -ENODEV; }
  int SetSyscallResult(int64_t) override { return -ENODEV; }
  int RollBackSyscall() override { return -ENODEV; }
  ssize_t ReadMemory(uint64_t, void*, size_t) override { return -ENODEV; }
  ssize_t WriteMemory(uint64_t, const void*, size_t) override { return -ENODEV; }
  int CurrentSyscall(utrace_current_syscall*) override { return -ENODEV; }

 private:
  utrace_regset_view view_{};
};

}  // namespace utrace::checks

#endif  // CORE_CHECKS_RELACY_IDLE_HOST_TASK_H_
