// The debug registers that several share.
#include <sys/ptrace.h>

#include <cerrno>
#include <utility>

#include "core/linux/linux_task.h"

namespace utrace::linux_host {

// Whether the thread took them; if not it has those that it had, and errno says why.
bool LinuxTask::InstallDebugRegisters(const arch::DebugRegisters& wanted) {
  const auto write = [this](const arch::DebugWrite& debug) {
    return ptrace(PTRACE_POKEUSER, tid(), debug.user_offset, debug.value) == 0;
  };
  const arch::DebugRegisters::Physical& to = wanted.physical();
  for (const arch::DebugWrite& debug : arch::DebugWrites(debug_installed_, to)) {
    if (write(debug)) continue;
    const int error = errno;
    for (const arch::DebugWrite& back : arch::DebugWrites(to, debug_installed_)) write(back);
    errno = error;
    return false;
  }
  debug_installed_ = to;
  return true;
}

// On the lane, at a safe point. Those that there are, with a file of the owner's.
arch::DebugRegisters LinuxTask::DebugRegistersWith(uint64_t owner) {
  arch::DebugRegisters registers = debug_registers_;
  if (registers.Has(owner)) return registers;
  errno = 0;
  const long status = ptrace(PTRACE_PEEKUSER, tid(),
                             arch::DebugRegisterOffset(arch::DebugStatusRegister()), nullptr);
  // Else it was killed.
  if (errno == 0) registers.Begin(owner, static_cast<uint64_t>(status));
  return registers;
}

int LinuxTask::SetDebugRegister(uint64_t owner, unsigned index, uint64_t value) {
  Lane* const lane = lane_.load();
  if (lane == nullptr) return Exists() ? -EINVAL : -ESRCH;
  int status = 0;
  lane->Call([&] {
    status = core_->CheckAccess();
    if (status != 0) return;
    arch::DebugRegisters wanted = DebugRegistersWith(owner);
    status = wanted.Set(owner, index, value);
    if (status != 0) return;
    if (InstallDebugRegisters(wanted)) {
      debug_registers_ = std::move(wanted);
    } else {
      status = RequestError(-errno);
    }
  });
  return status;
}

int LinuxTask::GetDebugRegister(uint64_t owner, unsigned index, uint64_t* value) {
  Lane* const lane = lane_.load();
  if (lane == nullptr) return Exists() ? -EINVAL : -ESRCH;
  int status = 0;
  lane->Call([&] {
    status = core_->CheckAccess();
    if (status == 0) status = DebugRegistersWith(owner).Get(owner, index, value);
  });
  return status;
}

void LinuxTask::DropDebugRegisters(uint64_t owner) {
  Lane* const lane = lane_.load();
  if (lane == nullptr) return;
  lane->Call([&] {
    debug_registers_.Drop(owner);
    // A running thread keeps them until its next stop, which may be that of one of them.
    if (place_ != Place::kRunning) InstallDebugRegisters(debug_registers_);
  });
}

std::vector<uint64_t> LinuxTask::OwnersOfTrap() {
  Lane* const lane = lane_.load();
  std::vector<uint64_t> owners;
  if (lane != nullptr) lane->Call([&] { owners = debug_trap_owners_; });
  return owners;
}

// At a SIGTRAP of the kernel's. Whether somebody is to see it: that of a breakpoint whose owner has left is
// nobody's, and the program would die of it.
bool LinuxTask::NoteDebugTrap() {
  const bool stale = debug_installed_ != debug_registers_.physical();
  if (debug_registers_.empty() && !stale) return true;
  errno = 0;
  const long status = ptrace(PTRACE_PEEKUSER, tid(),
                             arch::DebugRegisterOffset(arch::DebugStatusRegister()), nullptr);
  if (errno != 0) return true;  // killed
  debug_trap_owners_ = debug_registers_.NoteTrap(static_cast<uint64_t>(status));
  return !stale || !debug_trap_owners_.empty();
}

// Before the thread is let go: what nobody uses any more must not stop it.
void LinuxTask::ReleaseDebugRegisters() {
  InstallDebugRegisters(arch::DebugRegisters());
  debug_registers_ = arch::DebugRegisters();
}

}  // namespace utrace::linux_host
