// A child process under ptrace, for tests. Failures of its functions are failures of the test.
#ifndef ARCH_X86_64_TRACEE_FOR_TEST_H_
#define ARCH_X86_64_TRACEE_FOR_TEST_H_

#include <sys/mman.h>
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "arch/arch.h"

namespace utrace::arch {

class Tracee {
 public:
  // Starts a child that is seized and then runs `body`, and exits with status 0 when that returns.
  // With `stopped` it is left stopped before `body`.
  explicit Tracee(const std::function<void()>& body, bool stopped = false);
  ~Tracee();  // kills it
  Tracee(const Tracee&) = delete;
  Tracee& operator=(const Tracee&) = delete;

  pid_t pid() const { return pid_; }

  // Stops it where it is.
  void Interrupt();
  // Waits until it is blocked in system call `number`.
  void WaitUntilBlockedIn(long number);
  // Resumes it by a ptrace request, with a signal or none.
  void Resume(int request, int signal = 0);
  // The next wait status; -1 if there is none.
  int Wait();
  // Kill(2)s it and waits for the stop in which that signal is about to be delivered.
  void StopBySignal(int signal);

  GeneralRegisters Registers();
  void SetRegisters(const GeneralRegisters& regs);
  // Null if the kernel has no such register set.
  std::optional<std::vector<uint8_t>> RegisterSet(uint32_t note_type);
  // The image of the richest floating point set that there is, and the installation of one.
  std::vector<uint8_t> Xstate();
  void SetXstate(std::span<const uint8_t> image);
  uint64_t Blocked();
  void SetBlocked(uint64_t mask);
  siginfo_t SignalInfo();
  std::vector<uint8_t> Read(uint64_t address, size_t size);
  void Write(uint64_t address, std::span<const uint8_t> bytes);

 private:
  pid_t pid_ = -1;
};

// An object that the test and its children share.
template <typename T>
class Shared {
 public:
  Shared()
      : object_(new (mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                          -1, 0)) T()) {}
  ~Shared() { munmap(object_, sizeof(T)); }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;
  T* operator->() const { return object_; }
  T* get() const { return object_; }

 private:
  T* object_;
};

}  // namespace utrace::arch

#endif  // ARCH_X86_64_TRACEE_FOR_TEST_H_
