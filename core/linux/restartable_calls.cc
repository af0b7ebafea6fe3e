#include "core/linux/restartable_calls.h"

#include <sys/syscall.h>

#include <ctime>

#include "arch/absent_calls.h"

namespace utrace::linux_host {

bool MayBeMadeAgain(long number) {
  switch (number) {
    case SYS_epoll_wait:
    case SYS_epoll_pwait:
    case SYS_futex:
    case SYS_read:  // inotify
    case SYS_semop:
    case SYS_semtimedop:
    case SYS_rt_sigtimedwait:
    case SYS_io_getevents:
    case SYS_msgrcv:
    case SYS_msgsnd:
    case SYS_accept:  // sockets with a time limit
    case SYS_accept4:
    case SYS_recvfrom:
    case SYS_recvmsg:
      return true;
    default:
      return false;
  }
}

std::optional<unsigned> TimeoutArgument(long number) {
  switch (number) {
    case SYS_epoll_wait:
    case SYS_epoll_pwait:
      return 3;
    default:
      return std::nullopt;
  }
}

int64_t MonotonicNow() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

}  // namespace utrace::linux_host
