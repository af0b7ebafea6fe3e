// Requests: what the clients ask for, one object for each connection.
#ifndef ENGINES_PTRACE_COMPAT_REQUESTS_H_
#define ENGINES_PTRACE_COMPAT_REQUESTS_H_

#include <cstddef>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engines/ptrace_compat/arguments.h"
#include "engines/ptrace_compat/connection.h"
#include "engines/ptrace_compat/tracer.h"
#include "engines/ptrace_compat/wire.h"
#include "engines/ptrace_compat/world.h"

namespace utrace::ptrace_compat {

// The body of a packet as one of its structures; false if the packet is too short for it.
template <class T>
bool Parse(std::span<const std::byte> packet, T* request) {
  if (packet.size() < sizeof(T)) return false;
  std::memcpy(request, packet.data(), sizeof(T));
  return true;
}

class Requests {
 public:
  // Borrows `world`.
  Requests(World& world, std::shared_ptr<Tracer> tracer, std::shared_ptr<Connection> connection)
      : world_(world), tracer_(std::move(tracer)), connection_(std::move(connection)) {}

  // Does what the packet asks for, and answers. False if it is the last, or no request at all. Without
  // World::mutex.
  bool Handle(std::span<const std::byte> packet);

 private:
  using Bytes = std::vector<std::byte>;

  // Each gives the request's result or a negative errno, and leaves in *out what the request fills.
  long Ptrace(const wire::PtraceRequest& request, std::span<const std::byte> in, Bytes* out);
  long TraceMe(pid_t pid);
  long StopThread(pid_t tid);
  long AttachTo(Lock& lock, const std::shared_ptr<Tracer>& tracer, pid_t tid, bool seize,
                uint32_t options, bool stops);
  long OfStopped(Lock& lock, const std::shared_ptr<Link>& link, const wire::PtraceRequest& request,
                 std::span<const std::byte> in, Bytes* out);
  static long Resume(Lock& lock, Link& link, Run run, uint64_t signal);
  static long Detach(Lock& lock, Link& link, uint64_t signal);
  static long Listen(Lock& lock, Link& link);
  static long SetOptions(Lock& lock, Link& link, uint64_t options);
  long OfMachine(Lock& lock, Link& link, const wire::PtraceRequest& request,
                 std::span<const std::byte> in, Bytes* out);
  std::optional<unsigned> DebugRegister(const wire::PtraceRequest& request) const;
  long OfDebugRegister(TaskView task, uint64_t owner, unsigned index,
                       const wire::PtraceRequest& request, Bytes* out);
  long Pass(TaskView task, const wire::PtraceRequest& request, std::span<const std::byte> in,
            Bytes* out);
  long ArchPrctl(TaskView task, const wire::PtraceRequest& request, Bytes* out);
  long PassVector(TaskView task, const wire::PtraceRequest& request, std::span<const std::byte> in,
                  Bytes* out);
  long PeekSiginfo(TaskView task, const wire::PtraceRequest& request, std::span<const std::byte> in,
                   Bytes* out);
  long GetFilter(TaskView task, const wire::PtraceRequest& request, Bytes* out);
  static long CorrectSyscallInfo(const Stop& stop, long size, Bytes* out);
  long Memory(const wire::MemoryRequest& request, bool write, std::span<const std::byte> in,
              Bytes* out);
  std::shared_ptr<AddressSpace> SpaceOf(pid_t pid);

  World& world_;
  const std::shared_ptr<Tracer> tracer_;
  const std::shared_ptr<Connection> connection_;
};

}  // namespace utrace::ptrace_compat

#endif  // ENGINES_PTRACE_COMPAT_REQUESTS_H_
