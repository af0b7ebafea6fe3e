#include "core/model/kernel/machine_state.h"

#include <elf.h>

#include <cstring>

namespace utrace::model {

MachineState::MachineState() {
  const utrace_regset_view& view = arch::View();
  others_.resize(view.count);
  for (uint32_t i = 1; i < view.count; ++i) {
    others_[i].resize(static_cast<size_t>(view.sets[i].slots) * view.sets[i].slot_size);
  }
}

uint8_t* MachineState::Bytes(uint32_t index) {
  if (index == 0) return reinterpret_cast<uint8_t*>(static_cast<user_regs_struct*>(&general));
  const utrace_regset_view& view = arch::View();
  // The extended state begins with the image of the floating point registers.
  if (view.sets[index].note_type == NT_PRFPREG) {
    for (uint32_t i = 1; i < view.count; ++i) {
      if (view.sets[i].note_type == NT_X86_XSTATE) return others_[i].data();
    }
  }
  return others_[index].data();
}

void MachineState::Get(uint32_t index, size_t position, size_t count, void* buffer) const {
  std::memcpy(buffer, const_cast<MachineState*>(this)->Bytes(index) + position, count);
}

void MachineState::Set(uint32_t index, size_t position, size_t count, const void* buffer) {
  std::memcpy(Bytes(index) + position, buffer, count);
}

void MachineState::LoadCall(uint64_t site, long number, const uint64_t (&arguments)[6]) {
  for (unsigned i = 0; i < 6; ++i) arch::SetSyscallArgument(general, i, arguments[i]);
  arch::SetRemoteCall(general, site, number);
}

void MachineState::EnterCall() { arch::BeginSyscall(general); }

void MachineState::Reset(uint64_t entry, uint64_t stack) {
  *this = MachineState();
  arch::SetPc(general, entry);
  SetSp(stack);
  LeaveCall();
}

void MachineState::SetSp(uint64_t sp) { arch::SetSp(general, sp); }

}  // namespace utrace::model
