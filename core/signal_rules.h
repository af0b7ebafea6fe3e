// What signals do by default, and what an engine's answer to one comes to [SIG-01..06].
#ifndef CORE_SIGNAL_RULES_H_
#define CORE_SIGNAL_RULES_H_

#include "core/task.h"

namespace utrace {

constexpr int kLargestSignal = 64;

// What a signal with the default disposition does.
enum class DefaultAction : uint8_t { kIgnore, kTerminate, kCore, kStop, kContinue };
DefaultAction DefaultActionOf(int signal);

// The signal action that the first engine of a report is passed [SIG-02].
uint32_t InitialSignalAction(int signal, unsigned long event);

// Makes an effect of the last engine's answer. `dequeued` and `original` are null if no signal was
// dequeued; then a `disposition` left UTRACE_SIG_UNKNOWN_HANDLER is the program's own for info's
// number.
SignalEffect ResolveSignal(uint32_t answer, const siginfo_t* dequeued, const siginfo_t& info,
                           const utrace_sigaction* original, const utrace_sigaction& disposition);

}  // namespace utrace

#endif  // CORE_SIGNAL_RULES_H_
