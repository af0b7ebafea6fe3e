// Raw system calls, for a program without a C library: nothing happens in a puppet that the kit did
// not ask for, no thread-local storage is needed, and the C library's signals are free.
#ifndef CONFORMANCE_PUPPET_SYS_H_
#define CONFORMANCE_PUPPET_SYS_H_

#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

namespace utrace::puppet {

// The raw result: a negative errno on failure.
extern "C" long PuppetSys(long nr, long a0, long a1, long a2, long a3, long a4, long a5);
inline long Sys(long nr, long a0 = 0, long a1 = 0, long a2 = 0, long a3 = 0, long a4 = 0,
                long a5 = 0) {
  return PuppetSys(nr, a0, a1, a2, a3, a4, a5);
}

template <typename T>
long Word(T* pointer) {
  return reinterpret_cast<long>(pointer);
}

}  // namespace utrace::puppet

#endif  // CONFORMANCE_PUPPET_SYS_H_
