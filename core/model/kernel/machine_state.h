// The registers of a model thread, as arch/arch.h lays them out.
#ifndef CORE_MODEL_KERNEL_MACHINE_STATE_H_
#define CORE_MODEL_KERNEL_MACHINE_STATE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "arch/arch.h"

namespace utrace::model {

class MachineState {
 public:
  MachineState();

  arch::GeneralRegisters general{};

  // Of set `index` of arch::View(); the range lies within the set.
  void Get(uint32_t index, size_t position, size_t count, void* buffer) const;
  void Set(uint32_t index, size_t position, size_t count, const void* buffer);

  // The program is about to execute the system call instruction at `site`.
  void LoadCall(uint64_t site, long number, const uint64_t (&arguments)[6]);
  // It executes it: from here to the end of the call the registers show a system call.
  void EnterCall();
  // No system call any more: nothing is to be restarted.
  void LeaveCall() { arch::SetSyscallNumber(general, -1); }
  // A fresh program at `entry`.
  void Reset(uint64_t entry, uint64_t stack);
  void SetSp(uint64_t sp);

 private:
  // Where the bytes of a set are.
  uint8_t* Bytes(uint32_t index);
  std::vector<std::vector<uint8_t>> others_;  // by index of the view; the general set is above
};

}  // namespace utrace::model

#endif  // CORE_MODEL_KERNEL_MACHINE_STATE_H_
