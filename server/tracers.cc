#include "server/tracers.h"

#include <fmt/core.h>

#include <cstring>
#include <system_error>
#include <thread>
#include <utility>

#include "core/linux/fault_stack.h"
#include "core/linux/proc.h"
#include "engines/ptrace_compat/wire.h"
#include "server/engine_owner.h"

namespace utrace::server {
namespace {

namespace wire = ptrace_compat::wire;

// Each has a thread.
constexpr size_t kMostTracers = 1024;

}  // namespace

Tracers::Tracers(Shared& shared)
    : shared_(shared), emulation_(host_, [this](pid_t tracer) { return MakeOwner(tracer); }) {}

bool Tracers::IsHello(std::string_view packet) {
  return packet.size() >= sizeof(wire::kMagic) &&
         std::memcmp(packet.data(), &wire::kMagic, sizeof(wire::kMagic)) == 0;
}

std::string Tracers::Serve(Fd* socket, pid_t peer, std::string_view hello) {
  wire::Hello said;
  if (hello.size() != sizeof(said)) return "the hello of a tracing thread has another size";
  std::memcpy(&said, hello.data(), sizeof(said));
  if (said.pid != peer) {
    return fmt::format("process {} says that it is process {}", peer, said.pid);
  }
  if (served_ >= kMostTracers) {
    return fmt::format("there are {} tracing threads, and no more are taken", kMostTracers);
  }
  ++served_;
  try {
    std::thread([this, fd = socket->get(), said, arrival = ++arrivals_] {
      linux_host::UseFaultStack();
      emulation_.Serve(fd, said, arrival);
      --served_;
      shared_.wake();
    }).detach();
  } catch (const std::system_error& failure) {
    --served_;
    return fmt::format("the server can start no thread: {}", failure.what());
  }
  socket->Release();
  return "";
}

bool Tracers::Idle() const { return served_ == 0 && emulation_.Idle(); }

std::shared_ptr<Owner> Tracers::MakeOwner(pid_t tracer) {
  return std::make_shared<EngineOwner>(
      EngineOwner::About{
          .kind = EngineOwner::Kind::kTracer,
          .id = shared_.next_engine++,
          .name = "ptrace_compat",
          .spec = "ptrace_compat",
          .client = {.pid = tracer, .command = "wrap " + linux_host::NameOf(tracer)}},
      shared_.wake);
}

}  // namespace utrace::server
