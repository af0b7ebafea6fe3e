#include "core/linux/features.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace utrace::linux_host {
namespace {

constexpr unsigned kPidfdThread = O_EXCL;  // PIDFD_THREAD

}  // namespace

Features Features::Probe() {
  Features features;
  const auto own = static_cast<pid_t>(syscall(SYS_gettid));
  features.thread_pidfds =
      Fd(static_cast<int>(syscall(SYS_pidfd_open, own, kPidfdThread))).valid();
  return features;
}

Fd OpenPidfd(pid_t tid, bool thread_pidfds) {
  return Fd(static_cast<int>(syscall(SYS_pidfd_open, tid, thread_pidfds ? kPidfdThread : 0)));
}

}  // namespace utrace::linux_host
