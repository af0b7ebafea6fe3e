// What a signal means: names of codes, and what was wrong with the address.
#ifndef ENGINES_CRASH_CATCHER_FAULT_H_
#define ENGINES_CRASH_CATCHER_FAULT_H_

#include <csignal>
#include <string>
#include <vector>

#include "engines/crash_catcher/machine_state.h"
#include "engines/crash_catcher/memory.h"
#include "engines/crash_catcher/snapshot.h"

namespace utrace::crash {

// "SIGSEGV"; "SIGRTMIN+3"; "signal 99".
std::string SignalName(int number);
// The number of "SIGSEGV", "SEGV" or "11"; zero if there is no such signal.
int SignalNumber(std::string_view name);
// "SEGV_MAPERR", or the number.
std::string CodeName(const siginfo_t& info);
// Whether the signal tells of a fault, rather than that somebody sent it.
bool IsFault(const siginfo_t& info);
// Whether it is a fault whose address the processor told: si_addr. Of others that is zero.
bool HasAddress(const siginfo_t& info);
// "sent by process 4711 of user 1000"; empty for faults.
std::string Sender(const siginfo_t& info);

// The sentences about the signal of `snapshot`, whose mappings and first thread's registers are there.
std::vector<std::string> ExplainFault(const Snapshot& snapshot, Memory& memory);

}  // namespace utrace::crash

#endif  // ENGINES_CRASH_CATCHER_FAULT_H_
