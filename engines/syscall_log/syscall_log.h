// syscall_log: an engine that writes a line for each system call, signal and exit of its tasks.
//
//   [4711] openat(AT_FDCWD, "/etc/passwd", O_RDONLY|O_CLOEXEC) = 3
//   [4711] read(3, "root:x:0:0:root:/root:/bin/bash\n"..., 4096) = 1024
//   [4711] --- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=4712, si_uid=0, ...} ---
//   [4711] exit_group(0) = ?
//   [4711] +++ exited with 0 +++
//
// A call's line is written as one whole when the call is over, or when it is clear that it will not
// return; so several logs of one task hold the same lines in the same order. The number in brackets
// is the thread's id when the call was made. docs/syscall-log.md is for users.
#ifndef ENGINES_SYSCALL_LOG_SYSCALL_LOG_H_
#define ENGINES_SYSCALL_LOG_SYSCALL_LOG_H_

#include <memory>
#include <string>
#include <vector>

#include "core/engine.h"
#include "engines/files.h"
#include "engines/instance.h"
#include "engines/options.h"
#include "engines/syscall_log/log.h"

namespace utrace {

// The engine itself. One object may be attached to any number of tasks; all write to one log.
class SyscallLog final : public Engine {
 public:
  explicit SyscallLog(std::shared_ptr<syscall_log::Log> log);

  // To be enabled on a task that is attached to.
  Events events() const;

  std::string Name() const override { return "syscall_log"; }
  SyscallResult OnSyscallEntry(SyscallEntry& call) override;
  Action OnSyscallExit(SyscallExit& call) override;
  SignalResult OnSignal(SignalReport& report) override;
  Action OnClone(CloneReport& report) override;
  Action OnJctl(JctlReport& report) override;
  Action OnExec(ExecReport& report) override;
  Action OnExit(ExitReport& report) override;
  Action OnDeath(DeathReport& report) override;

 private:
  const std::shared_ptr<syscall_log::Log> log_;
};

// For the registry (registry.h): what options there are, and an instance with those given. Null, and
// *error set, if an option's value is no good or the output cannot be opened.
std::vector<OptionInfo> SyscallLogOptions();
std::unique_ptr<EngineInstance> MakeSyscallLog(const Options& options, const EngineFiles& files,
                                               std::string* error);

}  // namespace utrace

#endif  // ENGINES_SYSCALL_LOG_SYSCALL_LOG_H_
