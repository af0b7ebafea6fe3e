// System calls that not every machine has, where this one lacks them: as numbers that no call has.
#ifndef ARCH_ABSENT_CALLS_H_
#define ARCH_ABSENT_CALLS_H_

#include <sys/syscall.h>

#ifndef SYS_epoll_wait
#define SYS_epoll_wait (-1001)
#endif
#ifndef SYS_fork
#define SYS_fork (-1002)
#endif
#ifndef SYS_pause
#define SYS_pause (-1003)
#endif
#ifndef SYS_poll
#define SYS_poll (-1004)
#endif
#ifndef SYS_select
#define SYS_select (-1005)
#endif
#ifndef SYS_vfork
#define SYS_vfork (-1006)
#endif

#endif  // ARCH_ABSENT_CALLS_H_
