// What the running kernel offers, found out by trying.
#ifndef CORE_LINUX_FEATURES_H_
#define CORE_LINUX_FEATURES_H_

#include <sys/types.h>

#include "core/linux/fd.h"

namespace utrace::linux_host {

struct Features {
  bool thread_pidfds = false;  // pidfd_open with PIDFD_THREAD, Linux 6.9

  static Features Probe();
};

// A pidfd for a thread, or for a leader where the kernel has pidfds of processes only; invalid if
// the thread is gone.
Fd OpenPidfd(pid_t tid, bool thread_pidfds);

}  // namespace utrace::linux_host

#endif  // CORE_LINUX_FEATURES_H_
