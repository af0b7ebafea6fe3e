// What somebody who shows a task to others as ptrace(2) does needs of it beyond the contract. Not
// for engines, who must run on any host.
#ifndef CORE_LINUX_PTRACE_REQUESTS_H_
#define CORE_LINUX_PTRACE_REQUESTS_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "core/handles.h"

namespace utrace::linux_host {

// Makes a request of ptrace(2) that reads or changes the state of a stopped thread and nothing else:
// registers, memory, signal mask, filters, what there is to know about its stop. `address` and `data`
// are the system call's (where PEEK requests store their word at `data`, other than in glibc); what
// they point to is the caller's. Gives the request's result, or a negative errno.
//
// Any thread. The task must be at a safe point: the caller is in a callback for it, or some engine
// holds it stopped. While another thread makes a callback for it, this waits for that to end; so who
// calls this must hold no lock that callbacks take.
//
// Errors: -EINVAL not at a safe point; -ESRCH dead, or killed meanwhile; -EIO a request that does more
// or is not known (the host resumes, and keeps the options and the siginfo of its stops by itself);
// and what the request itself fails with.
long PtraceStateRequest(TaskView task, long request, uint64_t address, void* data);

// The wait status with which the task died, in its death report and after that. Nullopt while that is
// not known: it lives, another thread's exec took its place, or it is a leader that died before its
// threads. Any thread.
std::optional<int> DeathStatus(TaskView task);

// The signals that the thread blocks now (bit N-1 for signal N), those included that a call such as
// sigsuspend blocks for its time: PTRACE_GETSIGMASK tells the mask that comes after the call. Nullopt if it
// is gone. Any thread, at a safe point; waits for nobody.
std::optional<uint64_t> BlockedSignals(TaskView task);

// Whether the task, when nobody holds it any longer, runs although its group stays in a job control stop: as
// PTRACE_CONT lets it, where the contract keeps it stopped [REP-14]. It holds until that stop ends, or the group is
// stopped anew. Given up for a task that runs so, it goes back to the stop at its next safe point, which it is
// interrupted for. Any thread, any state of the task; waits for nobody.
void RunInJobControlStop(TaskView task, bool runs);

// What a filter of the program's own answered beside SECCOMP_RET_TRACE, while the task is in the stop of
// that: in report_syscall_entry, and for as long as the task is held there. Nullopt elsewhere, and where no
// engine wants such calls (calls_wanted.h). Any thread; waits as PtraceStateRequest does.
std::optional<uint32_t> FilterData(TaskView task);

// ---- Debug registers, which several share: each *owner*, a key of the caller's, has a file of its own. -----
// For registers that the machine numbers and keeps in struct user; elsewhere there are none. Any thread; they
// wait as PtraceStateRequest does. A child that the task creates has none, though its status register reads as
// the parent's; an exec clears them.

// The debug register that PTRACE_PEEKUSER and POKEUSER mean by an offset; nullopt if it is none.
std::optional<unsigned> DebugRegisterAt(uint64_t user_offset);
// The one that says what of the others is in force.
unsigned DebugControlRegister();

// Writes a register of the owner's file; what is enabled in the files of all owners is in force together.
// Errors, and then nothing changed: as the kernel has them for the same write by one tracer alone (-EIO,
// -EINVAL), -ENOSPC if the thread has not so many registers, -EINVAL and -ESRCH as PtraceStateRequest.
int SetDebugRegister(TaskView task, uint64_t owner, unsigned index, uint64_t value);
// Reads one. The status register says of the task's last trap what concerns the owner, by the owner's numbers.
int GetDebugRegister(TaskView task, uint64_t owner, unsigned index, uint64_t* value);
// The owner has none from now on. At any time: a task that runs meanwhile is let go on when it meets one of
// those, and nobody hears of it.
void DropDebugRegisters(TaskView task, uint64_t owner);
// In report_signal of a SIGTRAP that the kernel sent, and while the task is held by that: whose breakpoints
// were met.
std::vector<uint64_t> OwnersOfTrap(TaskView task);

}  // namespace utrace::linux_host

#endif  // CORE_LINUX_PTRACE_REQUESTS_H_
