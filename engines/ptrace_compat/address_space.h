// AddressSpace: the memory that a process's threads share, as each tracer shall see it.
//
// A tracer that puts the machine's breakpoint instruction over something else owns a breakpoint there. Who
// else reads the place sees what was there before. The instruction stays until its last owner has taken
// it away.
#ifndef ENGINES_PTRACE_COMPAT_ADDRESS_SPACE_H_
#define ENGINES_PTRACE_COMPAT_ADDRESS_SPACE_H_

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <span>

namespace utrace::ptrace_compat {

class AddressSpace {
 public:
  // Of the process that thread `tid` belongs to, on a machine whose breakpoint instruction is the one byte
  // `breakpoint`; negative if that is not known, and then breakpoints are bytes like others.
  AddressSpace(pid_t tid, int breakpoint) : tid_(tid), breakpoint_(breakpoint) {}
  ~AddressSpace();
  AddressSpace(const AddressSpace&) = delete;
  AddressSpace& operator=(const AddressSpace&) = delete;

  // `tracer` is a tracing process's id. Both transfer as many bytes as they can and say how many; a
  // negative errno if there is not one. Any thread; the process may run.
  ssize_t Read(pid_t tracer, uint64_t address, std::span<std::byte> bytes);
  ssize_t Write(pid_t tracer, uint64_t address, std::span<const std::byte> bytes);

  // The processes that own the breakpoint at `address`; if it was taken away and may still be reported,
  // the one that did. Empty if there is none.
  std::set<pid_t> OwnersAt(uint64_t address);
  // Whether the instruction of a breakpoint is in the memory there.
  bool HasBreakpoint(uint64_t address);
  // Whether `tracer` has or had breakpoints: the trap of one may be under way.
  bool HasTrapsOf(pid_t tracer);
  // `tracer` has left: what it left in the memory is taken out.
  void Forget(pid_t tracer);
  // What a process that begins as a copy of this one's has in its memory.
  void CopyTo(AddressSpace& copy);

 private:
  struct Breakpoint {
    std::byte original{};
    std::set<pid_t> owners;  // none: no longer in memory
    pid_t last_owner = 0;
  };

  int Memory();
  ssize_t Transfer(uint64_t address, std::span<std::byte> bytes);
  bool Put(uint64_t address, std::byte value);
  std::byte ViewOf(pid_t tracer, uint64_t address, std::byte actual) const;
  bool WriteOne(pid_t tracer, uint64_t address, std::byte value, std::byte actual,
                bool as_breakpoint);

  const pid_t tid_;
  const int breakpoint_;
  std::mutex mutex_;
  // ---- Guarded by mutex_. ----
  int memory_ = -1;
  std::map<uint64_t, Breakpoint> breakpoints_;
};

}  // namespace utrace::ptrace_compat

#endif  // ENGINES_PTRACE_COMPAT_ADDRESS_SPACE_H_
