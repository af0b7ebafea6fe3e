#include "engines/ptrace_compat/emulation.h"

#include <utility>

#include "engines/ptrace_compat/world.h"

namespace utrace::ptrace_compat {

Emulation::Emulation(HostRequests& host, MakeOwner make_owner)
    : world_(std::make_unique<World>(host, std::move(make_owner))) {}

Emulation::~Emulation() = default;

void Emulation::Serve(int socket, const wire::Hello& hello, uint64_t arrival) {
  world_->Serve(socket, hello, arrival);
}

bool Emulation::Idle() const { return world_->Idle(); }

std::vector<pid_t> Emulation::TracersOf(pid_t tid) const { return world_->TracersOf(tid); }

void Emulation::EndAll() { world_->EndAll(); }

}  // namespace utrace::ptrace_compat
