// Machine: a task's registers, system call and memory, for engine code in C++.
#ifndef CORE_MACHINE_VIEW_H_
#define CORE_MACHINE_VIEW_H_

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "core/handles.h"
#include "core/machine.h"
#include "core/result.h"

namespace utrace {

// What a system call came to: a negative errno in `error` and zero in `value`, or zero and the value.
struct SyscallOutcome {
  long error;
  long value;
};

// A view, to be used and forgotten where the task's state may be touched: in a callback for the
// task, or inside an Examination. Elsewhere every function fails with -EINVAL or -ESRCH and
// transfers nothing [REG-04]; -ESRCH also once the task was killed.
class Machine {
 public:
  explicit Machine(TaskView task) : task_(task) {}

  // ---- The system call that the task is in [SCI-01, SCI-02].

  // -1 if the task is in no call.
  Result<long> SyscallNumber() const {
    long number = -1;
    return Give(utrace_syscall_number(task_.get(), &number), number);
  }
  // At entry: makes it another call; -1 makes it none.
  Status SetSyscallNumber(long number) const {
    return Status(utrace_syscall_set_number(task_.get(), number));
  }
  Result<std::array<uint64_t, 6>> SyscallArguments() const {
    std::array<uint64_t, 6> arguments{};
    return Give(utrace_syscall_arguments(task_.get(), 0, 6, arguments.data()), arguments);
  }
  // `index` counts from 0 to 5; -EINVAL beyond.
  Result<uint64_t> SyscallArgument(unsigned index) const {
    uint64_t argument = 0;
    return Give(utrace_syscall_arguments(task_.get(), index, 1, &argument), argument);
  }
  Status SetSyscallArgument(unsigned index, uint64_t value) const {
    return Status(utrace_syscall_set_arguments(task_.get(), index, 1, &value));
  }
  // At exit.
  Result<SyscallOutcome> Outcome() const {
    SyscallOutcome outcome{};
    return Give(utrace_syscall_result(task_.get(), &outcome.error, &outcome.value), outcome);
  }
  // What the program will see: at exit, or at entry if the call is then aborted. `error` is a
  // positive errno value.
  Status SetSyscallValue(long value) const {
    return Status(utrace_syscall_set_result(task_.get(), 0, value));
  }
  Status SetSyscallError(int error) const {
    return Status(utrace_syscall_set_result(task_.get(), -error, 0));
  }
  // At exit: the program will make the call again.
  Status RollBackSyscall() const { return Status(utrace_syscall_rollback(task_.get())); }

  // ---- Registers [REG-01..03].

  Result<uint64_t> Pc() const {
    uint64_t pc = 0;
    return Give(utrace_get_pc(task_.get(), &pc), pc);
  }
  Status SetPc(uint64_t pc) const { return Status(utrace_set_pc(task_.get(), pc)); }
  Result<uint64_t> Sp() const {
    uint64_t sp = 0;
    return Give(utrace_get_sp(task_.get(), &sp), sp);
  }
  // Describes the register sets; lives as long as the process. Null for a null task.
  const utrace_regset_view* View() const { return utrace_task_regset_view(task_.get()); }
  // `bytes` of set `index` of the view, from byte `position` on; whole slots only.
  Status ReadRegisters(uint32_t index, size_t position, std::span<std::byte> bytes) const {
    return Status(utrace_regset_get(task_.get(), index, position, bytes.size(), bytes.data()));
  }
  Status WriteRegisters(uint32_t index, size_t position, std::span<const std::byte> bytes) const {
    return Status(utrace_regset_set(task_.get(), index, position, bytes.size(), bytes.data()));
  }

  // ---- Memory.

  // Copies up to `bytes.size()` bytes from or to `address` and returns how many: fewer if an
  // unmapped page comes first. -EFAULT if there is not even one.
  Result<size_t> ReadMemory(uint64_t address, std::span<std::byte> bytes) const {
    return Count(utrace_read_memory(task_.get(), address, bytes.data(), bytes.size()));
  }
  Result<size_t> WriteMemory(uint64_t address, std::span<const std::byte> bytes) const {
    return Count(utrace_write_memory(task_.get(), address, bytes.data(), bytes.size()));
  }
  // One object, whole or -EFAULT.
  template <class T>
  requires std::is_trivially_copyable_v<T> Result<T> Read(uint64_t address)
  const {
    T object{};
    const Result<size_t> count = ReadMemory(address, std::as_writable_bytes(std::span(&object, 1)));
    if (!count) return count.status();
    if (*count != sizeof(T)) return Status(-EFAULT);
    return object;
  }
  template <class T>
  requires std::is_trivially_copyable_v<T> Status Write(uint64_t address, const T& object)
  const {
    const Result<size_t> count = WriteMemory(address, std::as_bytes(std::span(&object, 1)));
    if (!count) return count.status();
    return Status(*count == sizeof(T) ? 0 : -EFAULT);
  }
  // The text at `address` up to its terminating zero, or its first `limit` bytes if that comes
  // later. -EFAULT if it runs into unmapped memory.
  Result<std::string> ReadString(uint64_t address, size_t limit = 4096) const {
    std::string text;
    std::array<char, 256> piece;
    while (text.size() < limit) {
      const size_t want = std::min(piece.size(), limit - text.size());
      const Result<size_t> count =
          ReadMemory(address + text.size(), std::as_writable_bytes(std::span(piece).first(want)));
      if (!count) return count.status();
      if (*count == 0) return Status(-EFAULT);
      const size_t length = strnlen(piece.data(), *count);
      text.append(piece.data(), length);
      if (length < *count) break;
    }
    return text;
  }

 private:
  template <class T>
  static Result<T> Give(int code, const T& value) {
    if (code != 0) return Status(code);
    return value;
  }
  static Result<size_t> Count(ssize_t count) {
    if (count < 0) return Status(static_cast<int>(count));
    return static_cast<size_t>(count);
  }

  TaskView task_;
};

}  // namespace utrace

#endif  // CORE_MACHINE_VIEW_H_
