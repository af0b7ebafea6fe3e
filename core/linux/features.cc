#include "core/linux/features.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "core/linux/brief_fd.h"
#include "core/linux/proc.h"

namespace utrace::linux_host {
namespace {

constexpr unsigned kPidfdThread = O_EXCL;  // PIDFD_THREAD
constexpr long kPidfsMagic = 0x50494446;   // PID_FS_MAGIC

int PidfdOf(pid_t tid, bool thread_pidfds) {
  return static_cast<int>(syscall(SYS_pidfd_open, tid, thread_pidfds ? kPidfdThread : 0));
}

}  // namespace

Features Features::Probe() {
  Features features;
  const auto own = static_cast<pid_t>(syscall(SYS_gettid));
  const Fd pidfd(PidfdOf(own, true));
  features.thread_pidfds = pidfd.valid();
  struct statfs file_system {};
  features.pidfd_inodes =
      pidfd.valid() && fstatfs(pidfd.get(), &file_system) == 0 && file_system.f_type == kPidfsMagic;
  return features;
}

Fd OpenPidfd(pid_t tid, bool thread_pidfds) {
  return BriefFd::Keep([&] { return PidfdOf(tid, thread_pidfds); });
}

uint64_t IdentityOf(pid_t tid, const Features& features) {
  if (!features.pidfd_inodes) {
    const auto stat = ReadStat(tid);
    return stat ? stat->start_time + 1 : 0;  // init's is zero
  }
  const BriefFd pidfd([tid] { return PidfdOf(tid, true); });
  struct stat info {};
  return pidfd.valid() && fstat(pidfd.get(), &info) == 0 ? info.st_ino : 0;
}

}  // namespace utrace::linux_host
