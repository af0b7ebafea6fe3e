// Signals that wait for a thread or a process of the model.
#ifndef CORE_MODEL_KERNEL_PENDING_SIGNALS_H_
#define CORE_MODEL_KERNEL_PENDING_SIGNALS_H_

#include <csignal>
#include <cstdint>
#include <optional>
#include <vector>

namespace utrace::model {

constexpr int kSignals = 65;  // index by signal number

// Bit N-1 is signal N.
using SignalSet = uint64_t;
constexpr SignalSet SignalBit(int signal) { return SignalSet{1} << (signal - 1); }
constexpr SignalSet kStopSignals =
    SignalBit(SIGSTOP) | SignalBit(SIGTSTP) | SignalBit(SIGTTIN) | SignalBit(SIGTTOU);

// What kill(2) sends.
siginfo_t UserSignal(int signal, pid_t sender);

class PendingSignals {
 public:
  // A standard signal that waits already is not queued twice; real-time signals are.
  void Add(const siginfo_t& info);
  // The next one that is not in `blocked`: faults first, then by number, each in order of arrival.
  std::optional<siginfo_t> Take(SignalSet blocked);
  bool HasOther(SignalSet blocked) const;  // whether Take would give one
  void Remove(SignalSet signals);

 private:
  std::vector<siginfo_t> queue_;
};

}  // namespace utrace::model

#endif  // CORE_MODEL_KERNEL_PENDING_SIGNALS_H_
