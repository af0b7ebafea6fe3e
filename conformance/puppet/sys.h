// Raw system calls, for a program without a C library: nothing happens in a puppet that the kit did
// not ask for, no thread-local storage is needed, and the C library's signals are free.
#ifndef CONFORMANCE_PUPPET_SYS_H_
#define CONFORMANCE_PUPPET_SYS_H_

#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

namespace utrace::puppet {

// The raw result: a negative errno on failure.
#if defined(__x86_64__)
inline long Sys(long nr, long a0 = 0, long a1 = 0, long a2 = 0, long a3 = 0, long a4 = 0,
                long a5 = 0) {
  long result;
  register long r10 asm("r10") = a3;
  register long r8 asm("r8") = a4;
  register long r9 asm("r9") = a5;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(nr), "D"(a0), "S"(a1), "d"(a2), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
}
#else
#error "the puppet knows no system calls for this machine"
#endif

template <typename T>
long Word(T* pointer) {
  return reinterpret_cast<long>(pointer);
}

}  // namespace utrace::puppet

#endif  // CONFORMANCE_PUPPET_SYS_H_
