// What decoding needs of a task that a callback is made for.
#ifndef ENGINES_SYSCALL_LOG_TASK_ACCESS_H_
#define ENGINES_SYSCALL_LOG_TASK_ACCESS_H_

#include <sys/types.h>

#include <string>

#include "core/machine_view.h"
#include "engines/syscall_log/decode/call.h"

namespace utrace::syscall_log {

// Good for the length of the callback.
class TaskMemory final : public Memory {
 public:
  explicit TaskMemory(Machine machine) : machine_(machine) {}
  size_t Read(uint64_t address, void* buffer, size_t size) override {
    const Result<size_t> count =
        machine_.ReadMemory(address, {static_cast<std::byte*>(buffer), size});
    return count ? *count : 0;
  }

 private:
  const Machine machine_;
};

// As /proc shows them.
class TaskDescriptors final : public Descriptors {
 public:
  explicit TaskDescriptors(pid_t tid) : tid_(tid) {}
  std::string PathOf(int fd) override;
  std::string WorkingDirectory() override;

 private:
  const pid_t tid_;
};

// The name that the kernel has for the thread; empty if it is gone.
std::string NameOfTask(pid_t tid);

}  // namespace utrace::syscall_log

#endif  // ENGINES_SYSCALL_LOG_TASK_ACCESS_H_
