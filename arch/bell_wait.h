// A wait for children that a signal handler can take back without losing what it waited for.
#ifndef ARCH_BELL_WAIT_H_
#define ARCH_BELL_WAIT_H_

#include <signal.h>
#include <sys/types.h>

namespace utrace::arch {

// waitid(2) by a few instructions: the raw result, or -EINTR if *rung (32 bits) was or became nonzero before
// the call completed. That it became so, a handler tells by TakeBackBellWait.
long BellWaitId(int id_type, id_t id, siginfo_t* info, int options, const void* rung);

// In a handler of the waiting thread, with the handler's third argument: if the thread is in BellWaitId and
// the call has not completed, the wait ends with -EINTR. Uses nothing that a sanitizer looks after.
void TakeBackBellWait(void* context);

// The address that a handler returns by; zero where the kernel needs none.
void (*BellRestorer())();

}  // namespace utrace::arch

#endif  // ARCH_BELL_WAIT_H_
