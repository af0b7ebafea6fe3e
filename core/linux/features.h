// What the running kernel offers, found out by trying.
#ifndef CORE_LINUX_FEATURES_H_
#define CORE_LINUX_FEATURES_H_

#include <sys/types.h>

#include <cstdint>

#include "core/linux/fd.h"

namespace utrace::linux_host {

struct Features {
  bool thread_pidfds = false;  // pidfd_open with PIDFD_THREAD, Linux 6.9
  bool pidfd_inodes = false;   // a pidfd's inode number belongs to one thread for ever, Linux 6.9

  static Features Probe();
};

// A pidfd for a thread, or for a leader where the kernel has pidfds of processes only; invalid if
// the thread is gone.
Fd OpenPidfd(pid_t tid, bool thread_pidfds);

// A number that tells the thread that has this id now from every other that had it or will have it;
// zero if there is none. Without inodes of pidfds it is the start time, which two threads share if
// one number was used twice within a clock tick.
uint64_t IdentityOf(pid_t tid, const Features& features);

}  // namespace utrace::linux_host

#endif  // CORE_LINUX_FEATURES_H_
