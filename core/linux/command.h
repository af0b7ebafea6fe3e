// A command that is started so that engines see it from its execve on.
#ifndef CORE_LINUX_COMMAND_H_
#define CORE_LINUX_COMMAND_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "core/linux/gated_child.h"
#include "core/utrace.h"

namespace utrace::linux_host {

// The command is a child of the calling process. The host waits for it while engines are attached:
// the process must not wait for it, nor for any child, by other means than Wait below. If this
// process dies, a command that was released runs on untraced.
class Command {
 public:
  // Forks a child that stays just before its execve, in user mode and making no system calls, until
  // Release. `argv` must not be empty; argv[0] is looked up in PATH. The child gets this process's
  // descriptors 0 to 2 and environment, default dispositions and no descriptor marked close-on-exec.
  // Zero, or a negative errno (-ENOENT, -EACCES, ...) with `error` naming the command and the reason.
  // With a `filter`, which is borrowed, KeepFiltered (filtered_tasks.h) must be called before Release.
  static int Start(const std::vector<std::string>& argv, std::unique_ptr<Command>* out,
                   std::string* error, const CallFilter* filter = nullptr);
  // Kills a child that was never released.
  ~Command();
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;

  pid_t pid() const { return child_->pid(); }
  // To attach engines to, before Release. Belongs to the command.
  utrace_task* task() const { return task_; }
  // Lets the child go on to its execve. Zero once that succeeded, or its negative errno.
  int Release() { return child_->Release(); }
  // Waits until the child has ended; its raw wait status. Once; -1 if the process waited for the
  // child by other means.
  int Wait();

 private:
  Command() = default;

  std::unique_ptr<GatedChild> child_;
  utrace_task* task_ = nullptr;
};

}  // namespace utrace::linux_host

#endif  // CORE_LINUX_COMMAND_H_
