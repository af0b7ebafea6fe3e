// A signal as a program queues it.
#ifndef ARCH_X86_64_QUEUED_SIGNAL_FOR_TEST_H_
#define ARCH_X86_64_QUEUED_SIGNAL_FOR_TEST_H_

#include <signal.h>

#include <cstdint>

namespace utrace::arch {

constexpr uint64_t Bit(int signal) { return uint64_t{1} << (signal - 1); }

inline siginfo_t Queued(int signal) {
  siginfo_t info = {};
  info.si_signo = signal;
  info.si_code = SI_QUEUE;
  info.si_pid = 77;
  info.si_uid = 88;
  info.si_value.sival_int = 4711;
  return info;
}

}  // namespace utrace::arch

#endif  // ARCH_X86_64_QUEUED_SIGNAL_FOR_TEST_H_
