// Requests that read or change the state of the machine and the memory.
#include <linux/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "core/machine.h"
#include "engines/ptrace_compat/address_space.h"
#include "engines/ptrace_compat/requests.h"
#include "engines/ptrace_compat/tracee.h"

namespace utrace::ptrace_compat {
namespace {

// Newer than the headers.
constexpr int kSetSyscallInfo = 0x4212;

bool ChangesRegisters(int request) {
#ifdef PTRACE_SETREGS
  if (request == PTRACE_SETREGS) return true;
#endif
  return request == PTRACE_POKEUSR || request == PTRACE_SETREGSET;
}

}  // namespace

long Requests::OfMachine(Lock& lock, Link& link, const wire::PtraceRequest& request,
                         std::span<const std::byte> in, Bytes* out) {
  if (ArgumentOf(request.request).passing == Passing::kUnknown) return -EIO;
  const bool syscall_stop = link.stop.kind == Stop::Kind::kSyscall;
  if (request.request == kSetSyscallInfo && !syscall_stop) return -EINVAL;
  const std::shared_ptr<Tracee> tracee = link.tracee;
  const Stop stop = link.stop;
  const auto debug = DebugRegister(request);
  if (debug && request.request == PTRACE_POKEUSR) link.sets_debug_registers = true;
  long result = tracee->Access(lock, link, [&] {
    if (debug) return OfDebugRegister(tracee->task(), link.id, *debug, request, out);
    return Pass(tracee->task(), request, in, out);
  });
  if (result < 0) return result;
  if (debug == world_.host.DebugControlRegister()) {
    if (request.request == PTRACE_POKEUSR)
      link.inherited_debug_control = 0;
    else if (link.inherited_debug_control != 0) {
      const auto bytes = std::as_bytes(std::span(&link.inherited_debug_control, 1));
      out->assign(bytes.begin(), bytes.end());
    }
  }
  if (request.request == PTRACE_GET_SYSCALL_INFO) result = CorrectSyscallInfo(stop, result, out);
  if (request.request == PTRACE_SETSIGMASK) link.stop.mask_changed = true;
  if (ChangesRegisters(request.request)) link.stop.registers_changed = true;
  return result;
}

// Which debug register the request is about.
std::optional<unsigned> Requests::DebugRegister(const wire::PtraceRequest& request) const {
  if (request.request != PTRACE_PEEKUSR && request.request != PTRACE_POKEUSR) return std::nullopt;
  return world_.host.DebugRegisterAt(request.address);
}

// Each link has its own.
long Requests::OfDebugRegister(TaskView task, uint64_t owner, unsigned index,
                               const wire::PtraceRequest& request, Bytes* out) {
  if (request.request == PTRACE_POKEUSR) {
    return world_.host.SetDebugRegister(task, owner, index, request.data);
  }
  uint64_t value = 0;
  const long result = world_.host.GetDebugRegister(task, owner, index, &value);
  const auto bytes = std::as_bytes(std::span(&value, 1));
  out->assign(bytes.begin(), bytes.end());
  return result;
}

// The task may be at the stop of a system call while this link is in another stop.
long Requests::CorrectSyscallInfo(const Stop& stop, long size, Bytes* out) {
  if (stop.code == kGoodSyscallCode) return size;
  ptrace_syscall_info info{};
  std::memcpy(&info, out->data(), std::min(out->size(), sizeof(info)));
  size_t now = offsetof(ptrace_syscall_info, entry);
  const bool called =
      info.op == PTRACE_SYSCALL_INFO_ENTRY || info.op == PTRACE_SYSCALL_INFO_SECCOMP;
  if (stop.code == EventCode(PTRACE_EVENT_SECCOMP) && called) {
    info.op = PTRACE_SYSCALL_INFO_SECCOMP;
    info.seccomp.ret_data = static_cast<uint32_t>(stop.message);
    now = offsetof(ptrace_syscall_info, seccomp.ret_data) + sizeof(info.seccomp.ret_data);
  } else {
    info.op = PTRACE_SYSCALL_INFO_NONE;
  }
  const auto bytes = std::as_bytes(std::span(&info, 1)).first(std::min(now, out->size()));
  out->assign(bytes.begin(), bytes.end());
  return static_cast<long>(now);
}

long Requests::Pass(TaskView task, const wire::PtraceRequest& request,
                    std::span<const std::byte> in, Bytes* out) {
  const Argument argument = ArgumentOf(request.request);
  const auto ask = [&](void* data) {
    return world_.host.Ptrace(task, request.request, request.address, data);
  };
  switch (argument.passing) {
    case Passing::kValues:
      // NOLINTNEXTLINE(performance-no-int-to-ptr): it is a number to the request, too.
      return ask(reinterpret_cast<void*>(request.data));
    case Passing::kOutWord:
    case Passing::kOut:
      out->resize(argument.size);
      return ask(out->data());
    case Passing::kIn:
    case Passing::kInSized: {
      const size_t size = argument.passing == Passing::kIn ? argument.size : request.address;
      if (in.size() < size) return -EFAULT;
      Bytes copy(in.begin(), in.end());
      return ask(copy.data());
    }
    case Passing::kOutVector:
    case Passing::kInVector:
      return PassVector(task, request, in, out);
    case Passing::kOutSized: {
      if (request.address > wire::kMaxPayload) return -EINVAL;
      out->resize(request.address);
      const long result = ask(out->data());
      if (result > 0 && static_cast<size_t>(result) < out->size()) {
        out->resize(static_cast<size_t>(result));
      }
      return result;
    }
    case Passing::kInOutSized: {
      if (request.address > wire::kMaxPayload) return -EINVAL;
      if (in.size() < request.address) return -EFAULT;
      out->assign(in.begin(), in.end());
      const long result = ask(out->data());
      if (result >= 0) out->resize(std::min(out->size(), static_cast<size_t>(result)));
      return result;
    }
    case Passing::kPeekSiginfo:
      return PeekSiginfo(task, request, in, out);
    case Passing::kArchPrctl:
      return ArchPrctl(task, request, out);
    case Passing::kOutFilter:
      return GetFilter(task, request, out);
    default:
      return -EIO;
  }
}

long Requests::ArchPrctl(TaskView task, const wire::PtraceRequest& request, Bytes* out) {
  // NOLINTNEXTLINE(performance-no-int-to-ptr): it is a number.
  void* const code = reinterpret_cast<void*>(request.data);
  if (!FillsAddress(request.data)) {
    return world_.host.Ptrace(task, request.request, request.address, code);
  }
  uint64_t word = 0;
  const long result =
      world_.host.Ptrace(task, request.request, reinterpret_cast<uint64_t>(&word), code);
  const auto bytes = std::as_bytes(std::span(&word, 1));
  out->assign(bytes.begin(), bytes.end());
  return result;
}

long Requests::PassVector(TaskView task, const wire::PtraceRequest& request,
                          std::span<const std::byte> in, Bytes* out) {
  const bool passes_in = ArgumentOf(request.request).passing == Passing::kInVector;
  Bytes buffer(in.begin(), in.end());
  if (!passes_in) buffer.resize(std::min(request.out_size, wire::kMaxPayload));
  iovec vector{buffer.data(), buffer.size()};
  const long result = world_.host.Ptrace(task, request.request, request.address, &vector);
  if (result < 0) return result;
  if (passes_in) {
    const uint64_t taken = vector.iov_len;
    const auto bytes = std::as_bytes(std::span(&taken, 1));
    out->assign(bytes.begin(), bytes.end());
  } else {
    buffer.resize(std::min(buffer.size(), vector.iov_len));
    *out = std::move(buffer);
  }
  return result;
}

long Requests::PeekSiginfo(TaskView task, const wire::PtraceRequest& request,
                           std::span<const std::byte> in, Bytes* out) {
  ptrace_peeksiginfo_args arguments{};
  if (!Parse(in, &arguments)) return -EFAULT;
  constexpr int32_t kMost = wire::kMaxPayload / sizeof(siginfo_t);
  if (arguments.nr < 0) return -EINVAL;
  arguments.nr = std::min(arguments.nr, kMost);
  out->resize(static_cast<size_t>(arguments.nr) * sizeof(siginfo_t));
  // NOLINTNEXTLINE(performance-no-int-to-ptr): ptrace's address is a pointer here.
  const long count = world_.host.Ptrace(task, request.request,
                                        reinterpret_cast<uint64_t>(&arguments), out->data());
  if (count >= 0) out->resize(static_cast<size_t>(count) * sizeof(siginfo_t));
  return count;
}

long Requests::GetFilter(TaskView task, const wire::PtraceRequest& request, Bytes* out) {
  const long count = world_.host.Ptrace(task, request.request, request.address, nullptr);
  if (count < 0 || request.data == 0) return count;
  constexpr size_t kInstruction = 8;  // struct sock_filter
  const size_t size = static_cast<size_t>(count) * kInstruction;
  if (size > wire::kMaxPayload) return -EMSGSIZE;
  out->resize(size);
  return world_.host.Ptrace(task, request.request, request.address, out->data());
}

// ---- Memory -----------------------------------------------------------------------------------------

// Of the process of one of this program's tracees; null if it has none there.
std::shared_ptr<AddressSpace> Requests::SpaceOf(pid_t pid) {
  const Lock lock(world_.mutex);
  for (const auto& thread : tracer_->process->threads) {
    for (const auto& [tid, link] : thread->links) {
      if (link->is_alive() && (tid == pid || link->tgid == pid)) return link->tracee->space();
    }
  }
  return nullptr;
}

long Requests::Memory(const wire::MemoryRequest& request, bool write, std::span<const std::byte> in,
                      Bytes* out) {
  const std::shared_ptr<AddressSpace> space = SpaceOf(request.pid);
  if (space == nullptr) return -ESRCH;
  const pid_t tracer = tracer_->process->pid;
  if (write)
    return space->Write(tracer, request.address,
                        in.first(std::min<size_t>(in.size(), request.size)));
  out->resize(std::min(request.size, wire::kMaxPayload));
  const ssize_t count = space->Read(tracer, request.address, *out);
  if (count >= 0) out->resize(static_cast<size_t>(count));
  return count;
}

}  // namespace utrace::ptrace_compat
