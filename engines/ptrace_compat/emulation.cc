#include "engines/ptrace_compat/emulation.h"

#include <cerrno>
#include <cstring>
#include <mutex>
#include <set>
#include <utility>

#include "engines/ptrace_compat/connection.h"
#include "engines/ptrace_compat/watcher.h"

namespace utrace::ptrace_compat {

class World {
 public:
  World(HostRequests& host, Emulation::MakeOwner make_owner)
      : host_(host), make_owner_(std::move(make_owner)) {}

  HostRequests& host_;
  const Emulation::MakeOwner make_owner_;
  Watcher watcher_;
  std::mutex mutex_;
  std::set<std::shared_ptr<Connection>> connections_;  // guarded by mutex_
};

Emulation::Emulation(HostRequests& host, MakeOwner make_owner)
    : world_(std::make_unique<World>(host, std::move(make_owner))) {}

Emulation::~Emulation() = default;

void Emulation::Serve(int socket, const wire::Hello& hello) {
  const auto connection = std::make_shared<Connection>(socket, world_->watcher_);
  const bool known = hello.magic == wire::kMagic && hello.version == wire::kWireVersion;
  connection->Send({.error = known ? 0 : EPROTO});
  if (!known) return;
  {
    const std::lock_guard lock(world_->mutex_);
    world_->connections_.insert(connection);
  }
  for (;;) {
    const auto packet = connection->Receive();
    wire::RequestHeader header{};
    if (packet.size() < sizeof(header)) break;
    std::memcpy(&header, packet.data(), sizeof(header));
    if (header.op == wire::Op::kBye) break;
    // No request is implemented yet.
    if ((header.flags & wire::kNoReply) == 0) {
      connection->Send({.serial = header.serial, .error = EIO});
    }
  }
  const std::lock_guard lock(world_->mutex_);
  world_->connections_.erase(connection);
}

bool Emulation::Idle() const {
  const std::lock_guard lock(world_->mutex_);
  return world_->connections_.empty();
}

void Emulation::EndAll() {
  const std::lock_guard lock(world_->mutex_);
  for (const auto& connection : world_->connections_) connection->ShutDown();
}

}  // namespace utrace::ptrace_compat
