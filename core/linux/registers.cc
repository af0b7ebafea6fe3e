// Machine state of a stopped task.
#include <elf.h>
#include <fcntl.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <sstream>

#include "core/linux/brief_fd.h"
#include "core/linux/linux_task.h"
#include "core/linux/proc.h"

namespace utrace::linux_host {
namespace {

// Runs `work` on the task's lane, where its registers can be reached, and gives its result.
template <typename Work>
int OnLane(Lane* lane, Work work) {
  if (lane == nullptr) return -ESRCH;
  int status = 0;
  lane->Call([&] { status = work(); });
  return status;
}

}  // namespace

bool GetGeneralRegisters(pid_t tid, arch::GeneralRegisters* registers) {
  iovec vector{static_cast<user_regs_struct*>(registers), sizeof(user_regs_struct)};
  if (ptrace(PTRACE_GETREGSET, tid, NT_PRSTATUS, &vector) != 0) return false;
  if constexpr (arch::kCallsApart) {
    vector = {&registers->call, sizeof(registers->call)};
    if (ptrace(PTRACE_GETREGSET, tid, arch::kCallNumberNote, &vector) != 0) return false;
    utrace_current_syscall call{};
    registers->entering = false;
    if (registers->call != -1 && ReadCurrentSyscall(tid, &call) == 0) {
      registers->first_argument = call.arguments[0];
    }
  }
  return true;
}

bool SetGeneralRegisters(pid_t tid, const arch::GeneralRegisters& registers) {
  arch::GeneralRegisters image = registers;
  if constexpr (arch::kCallsApart) {
    // The kernel leaves the place of the result alone when there is no call any more.
    if (image.entering && image.call == -1) arch::EndSyscallEntry(image);
  }
  iovec vector{static_cast<user_regs_struct*>(&image), sizeof(user_regs_struct)};
  if (ptrace(PTRACE_SETREGSET, tid, NT_PRSTATUS, &vector) != 0) return false;
  if constexpr (arch::kCallsApart) {
    vector = {&image.call, sizeof(image.call)};
    return ptrace(PTRACE_SETREGSET, tid, arch::kCallNumberNote, &vector) == 0;
  }
  return true;
}

// What a failed request says. A task that is out of its stop was killed, and who examines it is to
// learn that from now on [EXM-07].
int LinuxTask::RequestError(int otherwise) {
  if (errno != ESRCH) return otherwise;
  if (traced_here_ && place_ != Place::kRunning) core_->OnKilledInStop();
  return -ESRCH;
}

int LinuxTask::FetchRegisters() {
  if (registers_valid_) return 0;
  if (!GetGeneralRegisters(tid(), &registers_)) return RequestError(-ESRCH);
  if constexpr (arch::kCallsApart) FetchCall();
  registers_valid_ = true;
  return 0;
}

// Of a call that stops at its entry all is known from then on. Of another one, the kernel tells the first
// argument that its result has overwritten.
void LinuxTask::FetchCall() {
  if constexpr (arch::kCallsApart) {
    registers_.entering = entering_;
    if (entering_) {
      if (!first_argument_) first_argument_ = arch::SyscallArgument(registers_, 0);
      registers_.entry_result = entry_result_;
    }
    if (first_argument_) registers_.first_argument = *first_argument_;
  }
}

// Written through: a task that was killed meanwhile refuses, and the caller learns it [KIL-05].
int LinuxTask::StoreRegisters() {
  syscall_info_size_ = 0;
  if constexpr (arch::kCallsApart) {
    if (registers_.entering) {
      first_argument_ = arch::SyscallArgument(registers_, 0);
      entry_result_ = registers_.entry_result;
    }
  }
  if (SetGeneralRegisters(tid(), registers_)) return 0;
  registers_valid_ = false;
  return RequestError(-EINVAL);
}

int LinuxTask::RegsetGet(uint32_t index, size_t position, size_t count, void* buffer) {
  const utrace_regset& set = View().sets[index];
  return OnLane(lane_, [&] {
    std::vector<uint8_t> image(static_cast<size_t>(set.slots) * set.slot_size);
    iovec vector{image.data(), image.size()};
    if (ptrace(PTRACE_GETREGSET, tid(), static_cast<long>(set.note_type), &vector) != 0) {
      return RequestError(-ENODEV);
    }
    if (position + count > vector.iov_len) return -EINVAL;
    std::memcpy(buffer, image.data() + position, count);
    return 0;
  });
}

int LinuxTask::RegsetSet(uint32_t index, size_t position, size_t count, const void* buffer) {
  const utrace_regset& set = View().sets[index];
  return OnLane(lane_, [&] {
    std::vector<uint8_t> image(static_cast<size_t>(set.slots) * set.slot_size);
    iovec vector{image.data(), image.size()};
    const auto note = static_cast<long>(set.note_type);
    if (ptrace(PTRACE_GETREGSET, tid(), note, &vector) != 0) {
      return RequestError(-ENODEV);
    }
    if (position + count > vector.iov_len) return -EINVAL;
    std::memcpy(image.data() + position, buffer, count);
    registers_valid_ = false;
    syscall_info_size_ = 0;
    if (ptrace(PTRACE_SETREGSET, tid(), note, &vector) == 0) return 0;
    return RequestError(-EINVAL);
  });
}

int LinuxTask::GetPc(uint64_t* pc) {
  return OnLane(lane_, [&] {
    const int status = FetchRegisters();
    if (status == 0) *pc = arch::Pc(registers_);
    return status;
  });
}

int LinuxTask::SetPc(uint64_t pc) {
  return OnLane(lane_, [&] {
    if (const int status = FetchRegisters(); status != 0) return status;
    arch::SetPc(registers_, pc);
    return StoreRegisters();
  });
}

int LinuxTask::GetSp(uint64_t* sp) {
  return OnLane(lane_, [&] {
    const int status = FetchRegisters();
    if (status == 0) *sp = arch::Sp(registers_);
    return status;
  });
}

// ---- System calls ----------------------------------------------------------------------------------

int LinuxTask::SyscallNumber(long* number) {
  return OnLane(lane_, [&] {
    const int status = FetchRegisters();
    if (status == 0) *number = arch::SyscallNumber(registers_);
    return status;
  });
}

int LinuxTask::SetSyscallNumber(long number) {
  return OnLane(lane_, [&] {
    if (const int status = FetchRegisters(); status != 0) return status;
    arch::SetSyscallNumber(registers_, number);
    return StoreRegisters();
  });
}

int LinuxTask::SyscallArguments(unsigned first, unsigned count, uint64_t* arguments) {
  return OnLane(lane_, [&] {
    if (const int status = FetchRegisters(); status != 0) return status;
    for (unsigned i = 0; i < count; ++i) {
      arguments[i] = arch::SyscallArgument(registers_, first + i);
    }
    return 0;
  });
}

int LinuxTask::SetSyscallArguments(unsigned first, unsigned count, const uint64_t* arguments) {
  return OnLane(lane_, [&] {
    if (const int status = FetchRegisters(); status != 0) return status;
    for (unsigned i = 0; i < count; ++i) {
      arch::SetSyscallArgument(registers_, first + i, arguments[i]);
    }
    return StoreRegisters();
  });
}

int LinuxTask::SyscallResult(int64_t* result) {
  return OnLane(lane_, [&] {
    const int status = FetchRegisters();
    if (status == 0) *result = arch::SyscallResult(registers_);
    return status;
  });
}

int LinuxTask::SetSyscallResult(int64_t result) {
  return OnLane(lane_, [&] {
    if (const int status = FetchRegisters(); status != 0) return status;
    arch::SetSyscallResult(registers_, result);
    return StoreRegisters();
  });
}

int LinuxTask::RollBackSyscall() {
  return OnLane(lane_, [&] {
    if (const int status = FetchRegisters(); status != 0) return status;
    arch::RollBackSyscall(registers_, arch::SyscallNumber(registers_));
    return StoreRegisters();
  });
}

int LinuxTask::CurrentSyscall(utrace_current_syscall* call) {
  const int status = ReadCurrentSyscall(tid(), call);
  return status == -ENOENT ? (Exists() ? -EPERM : -ESRCH) : status;
}

int ReadCurrentSyscall(pid_t tid, utrace_current_syscall* call) {
  const auto text = ReadSmallFile("/proc/" + std::to_string(tid) + "/syscall");
  if (!text) return -ENOENT;
  if (text->rfind("running", 0) == 0) return -EAGAIN;
  *call = utrace_current_syscall{};
  uint64_t fields[8] = {};
  const int count = std::sscanf(text->c_str(),
                                "%ld %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64
                                " %" SCNx64 " %" SCNx64 " %" SCNx64,
                                &call->number, &fields[0], &fields[1], &fields[2], &fields[3],
                                &fields[4], &fields[5], &fields[6], &fields[7]);
  if (count == 9) {
    std::memcpy(call->arguments, fields, sizeof(call->arguments));
    call->sp = fields[6];
    call->pc = fields[7];
    return 0;
  }
  if (count == 3) {
    call->sp = fields[0];
    call->pc = fields[1];
    return 0;
  }
  return -ESRCH;  // a zombie has neither
}

// ---- Memory ----------------------------------------------------------------------------------------

void LinuxTask::CloseMemory() {
  const std::lock_guard lock(mutex_);
  memory_.Reset();
}

int LinuxTask::TransferMemory(uint64_t address, void* buffer, size_t size, bool write,
                              ssize_t* done) {
  const std::lock_guard lock(mutex_);
  if (!memory_.valid()) {
    const std::string path = "/proc/" + std::to_string(tid()) + "/mem";
    memory_ = BriefFd::Keep([&] { return open(path.c_str(), O_RDWR | O_CLOEXEC); });
    if (!memory_.valid()) return errno == ENOENT ? -ESRCH : -errno;
  }
  *done = 0;
  while (static_cast<size_t>(*done) < size) {
    auto* at = static_cast<uint8_t*>(buffer) + *done;
    const size_t left = size - static_cast<size_t>(*done);
    const auto where = static_cast<off_t>(address + static_cast<uint64_t>(*done));
    const ssize_t moved =
        write ? pwrite(memory_.get(), at, left, where) : pread(memory_.get(), at, left, where);
    if (moved < 0 && errno == EINTR) continue;
    if (moved == 0 && *done == 0) return -ESRCH;  // its memory is gone
    if (moved <= 0) break;
    *done += moved;
  }
  return *done > 0 || size == 0 ? 0 : -EFAULT;
}

ssize_t LinuxTask::ReadMemory(uint64_t address, void* buffer, size_t size) {
  ssize_t done = 0;
  const int status = TransferMemory(address, buffer, size, false, &done);
  return status < 0 ? status : done;
}

ssize_t LinuxTask::WriteMemory(uint64_t address, const void* buffer, size_t size) {
  ssize_t done = 0;
  const int status = TransferMemory(address, const_cast<void*>(buffer), size, true, &done);
  return status < 0 ? status : done;
}

std::optional<uint64_t> LinuxTask::ReadU64(uint64_t address) {
  uint64_t value = 0;
  ssize_t done = 0;
  if (TransferMemory(address, &value, sizeof(value), false, &done) != 0) return std::nullopt;
  return done == sizeof(value) ? std::optional(value) : std::nullopt;
}

// Looks for code in the task's executable mappings, first in those whose name contains `preferred`.
std::optional<uint64_t> LinuxTask::FindCode(std::optional<size_t> (*find)(std::span<const uint8_t>),
                                            const char* preferred) {
  const auto maps = ReadSmallFile("/proc/" + std::to_string(tid()) + "/maps");
  if (!maps) return std::nullopt;
  for (const bool others : {false, true}) {
    std::istringstream lines(*maps);
    for (std::string line; std::getline(lines, line);) {
      uint64_t begin = 0;
      uint64_t end = 0;
      char rights[5] = {};
      if (std::sscanf(line.c_str(), "%" SCNx64 "-%" SCNx64 " %4s", &begin, &end, rights) != 3) {
        continue;
      }
      if (rights[2] != 'x' || (line.find(preferred) == std::string::npos) != others) continue;
      std::vector<uint8_t> code(end - begin);
      ssize_t done = 0;
      if (TransferMemory(begin, code.data(), code.size(), false, &done) != 0) continue;
      if (const auto offset = find({code.data(), static_cast<size_t>(done)}))
        return begin + *offset;
    }
  }
  return std::nullopt;
}

}  // namespace utrace::linux_host
