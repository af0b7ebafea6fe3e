// A child that waits just before its execve until it is let go, so that engines can be attached to it
// first. Knows nothing of the host: who attaches may be another process.
#ifndef CORE_LINUX_GATED_CHILD_H_
#define CORE_LINUX_GATED_CHILD_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "core/linux/call_filter.h"
#include "core/linux/fd.h"

namespace utrace::linux_host {

class GatedChild {
 public:
  struct Options {
    // The process that is going to trace it, if that is no ancestor: where Yama restricts ptrace, the
    // child allows it. Zero: none.
    pid_t tracer = 0;
    // A descriptor that the child must not keep even while it waits; -1: none.
    int private_fd = -1;
    // Put in force just before the execve; the child must be traced by then. Borrowed until Start
    // returns. Null: none.
    const CallFilter* filter = nullptr;
  };

  // Forks a child that stays just before its execve, in user mode and making no system calls, until
  // Release; returns when it has arrived there. `argv` must not be empty; argv[0] is looked up in
  // PATH. The child gets this process's descriptors but those marked close-on-exec, its directory, its
  // environment and its signal dispositions. If this process dies, it ends within seconds.
  // Zero, or a negative errno (-ENOENT, -EACCES, ...) with `error` naming the command and the reason.
  static int Start(const std::vector<std::string>& argv, const Options& options,
                   std::unique_ptr<GatedChild>* out, std::string* error);
  // Leaves the child alone: whoever started it must release or kill it, and wait for it.
  ~GatedChild();
  GatedChild(const GatedChild&) = delete;
  GatedChild& operator=(const GatedChild&) = delete;

  pid_t pid() const { return pid_; }
  int pidfd() const { return pidfd_.get(); }
  bool released() const { return released_; }
  // After Release failed: it was the filter that could not be put in force.
  bool filter_failed() const;
  // Lets the child go on to its execve. Zero once that succeeded or the child was killed, or the
  // negative errno of execve; the child then exits. Blocks for as long as that takes.
  int Release();

 private:
  struct Gate;

  GatedChild() = default;

  pid_t pid_ = -1;
  Fd pidfd_;
  Gate* gate_ = nullptr;  // shared with the child
  Fd exec_result_;        // end of file when execve, or the child's death, closed the other end
  bool released_ = false;
};

}  // namespace utrace::linux_host

#endif  // CORE_LINUX_GATED_CHILD_H_
