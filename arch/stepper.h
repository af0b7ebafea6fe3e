// A child that is stepped, for those who probe what a machine's steps are good for.
#ifndef ARCH_STEPPER_H_
#define ARCH_STEPPER_H_

#include <sys/ptrace.h>
#include <sys/types.h>

#include <cstdint>

#include "arch/arch.h"

namespace utrace::arch {

// A traced child, stopped; it never outlives the object.
class Stepper {
 public:
  Stepper();
  ~Stepper();
  Stepper(const Stepper&) = delete;
  Stepper& operator=(const Stepper&) = delete;

  // Whether there is a child to step.
  bool ready() const { return ready_; }
  // Puts the child at `code`.
  bool Go(const char* code);
  // Resumes by `request` and says whether the child then stopped at `address` because of it.
  bool StepEndsAt(int request, uint64_t address);

 private:
  // Whether the child stopped with `signal` in time.
  bool WaitForStop(int signal);
  bool GetRegisters(GeneralRegisters& regs) { return Transfer(PTRACE_GETREGSET, regs); }
  bool SetRegisters(GeneralRegisters& regs) { return Transfer(PTRACE_SETREGSET, regs); }
  bool Transfer(int request, GeneralRegisters& regs);

  pid_t pid_ = -1;
  bool ready_ = false;
};

// As the registers have it.
inline uint64_t Address(const char* code) { return reinterpret_cast<uintptr_t>(code); }

}  // namespace utrace::arch

#endif  // ARCH_STEPPER_H_
