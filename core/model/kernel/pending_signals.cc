#include "core/model/kernel/pending_signals.h"

#include <algorithm>
#include <utility>

namespace utrace::model {
namespace {

constexpr int kFirstRealTime = 32;
constexpr SignalSet kFaults = SignalBit(SIGSEGV) | SignalBit(SIGBUS) | SignalBit(SIGILL) |
                              SignalBit(SIGTRAP) | SignalBit(SIGFPE) | SignalBit(SIGSYS);

// What is taken first comes first.
std::pair<int, int> Urgency(const siginfo_t& info) {
  return {(kFaults & SignalBit(info.si_signo)) != 0 ? 0 : 1, info.si_signo};
}

}  // namespace

siginfo_t UserSignal(int signal, pid_t sender) {
  siginfo_t info{};
  info.si_signo = signal;
  info.si_code = SI_USER;
  info.si_pid = sender;
  return info;
}

void PendingSignals::Add(const siginfo_t& info) {
  const auto same = [&](const siginfo_t& other) { return other.si_signo == info.si_signo; };
  if (info.si_signo < kFirstRealTime && std::any_of(queue_.begin(), queue_.end(), same)) return;
  queue_.push_back(info);
}

std::optional<siginfo_t> PendingSignals::Take(SignalSet blocked) {
  auto best = queue_.end();
  for (auto it = queue_.begin(); it != queue_.end(); ++it) {
    if ((blocked & SignalBit(it->si_signo)) != 0) continue;
    if (best == queue_.end() || Urgency(*it) < Urgency(*best)) best = it;
  }
  if (best == queue_.end()) return std::nullopt;
  const siginfo_t info = *best;
  queue_.erase(best);
  return info;
}

bool PendingSignals::HasOther(SignalSet blocked) const {
  return std::any_of(queue_.begin(), queue_.end(), [&](const siginfo_t& info) {
    return (blocked & SignalBit(info.si_signo)) == 0;
  });
}

void PendingSignals::Remove(SignalSet signals) {
  std::erase_if(queue_,
                [&](const siginfo_t& info) { return (signals & SignalBit(info.si_signo)) != 0; });
}

}  // namespace utrace::model
