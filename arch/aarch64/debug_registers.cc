// The kernel gives breakpoints and watchpoints as register sets here, not as words of struct user; whoever
// uses these has them as a whole. So there is nothing to share.
#include "arch/debug_registers.h"

#include <cerrno>

namespace utrace::arch {

std::optional<unsigned> DebugRegisterAt(uint64_t) { return std::nullopt; }
uint64_t DebugRegisterOffset(unsigned) { return 0; }
unsigned DebugStatusRegister() { return 0; }
unsigned DebugControlRegister() { return 0; }

DebugRegisters::File DebugRegisters::Fresh() { return {}; }
void DebugRegisters::Begin(Owner, uint64_t) {}
int DebugRegisters::Set(Owner, unsigned, uint64_t) { return -EIO; }
int DebugRegisters::Get(Owner, unsigned, uint64_t*) const { return -EIO; }
void DebugRegisters::Drop(Owner owner) { files_.erase(owner); }
int DebugRegisters::Place() { return 0; }
std::vector<DebugRegisters::Owner> DebugRegisters::NoteTrap(uint64_t) { return {}; }

std::vector<DebugWrite> DebugWrites(const DebugRegisters::Physical&,
                                    const DebugRegisters::Physical&) {
  return {};
}

}  // namespace utrace::arch
