// What the emulation needs of the host beyond the contract. The server implements it by the host that it
// is linked with.
#ifndef ENGINES_PTRACE_COMPAT_HOST_REQUESTS_H_
#define ENGINES_PTRACE_COMPAT_HOST_REQUESTS_H_

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "core/handles.h"

namespace utrace::ptrace_compat {

class HostRequests {
 public:
  virtual ~HostRequests() = default;

  // A ptrace request that reads or changes a stopped thread's state and lets it not run, made as it is
  // by whoever really traces the thread: registers, debug registers, signal mask, pending signals,
  // filters. `address` and `data` are the system call's (PEEK requests store their word at `data`,
  // other than in glibc); what they point to belongs to the caller.
  //
  // The task is at a safe point: the caller is in a callback for it, or an engine holds it; no
  // Examination is needed. Any thread; while another one makes a callback for the task, this waits for
  // that to end, so that a tracer may ask as soon as the callback has told it of the stop. Not with a
  // lock held that callbacks take.
  //
  // The request's result, or a negative errno: -EINVAL not at a safe point; -ESRCH dead, or killed
  // meanwhile; -EIO a request that does more than this, PTRACE_SETSIGINFO (the engine changes the
  // report's) and PTRACE_SETOPTIONS among them, or is unknown; -EOPNOTSUPP where no kernel is behind
  // the task.
  virtual long Ptrace(TaskView task, int request, uint64_t address, void* data) = 0;

  // The wait status with which the thread died: in report_death, and after that. Nullopt if an exec of
  // another thread took its place, and for a leader that dies before its threads (DeathReport::signal
  // is -2 then): its status is known when the last of them is dead, at the latest in report_reap.
  virtual std::optional<int> DeathStatus(TaskView task) = 0;

  // The signals that the thread blocks now (bit N-1 for signal N), whatever mask it will have after the present
  // call. Nullopt if it is gone. At a safe point; waits for nobody.
  virtual std::optional<uint64_t> BlockedSignals(TaskView task) = 0;

  // Whether the task, when nobody holds it any longer, runs although its group stays in a job control stop, which the
  // contract lets end only by SIGCONT: until that stop ends, or the group is stopped anew. Given up for one that runs
  // so, it is stopped again. Any thread; waits for nobody.
  virtual void RunInJobControlStop(TaskView task, bool runs) = 0;

  // The SECCOMP_RET_DATA of the program's own filter that stopped this call with SECCOMP_RET_TRACE; in
  // report_syscall_entry, and while the task is held by that. Nullopt if none did, and for an entry
  // that is reported before the filter runs, because some engine wants all calls: it is reported
  // again, as repeated(), when the filter has run. An engine is told of such calls by
  // WantCalls(.filtered = true) (core/calls_wanted.h), with SYSCALL_ENTRY enabled.
  virtual std::optional<uint32_t> FilterData(TaskView task) = 0;

  // Debug registers, of which each `owner`, a number that the caller chooses, has a file of its own; the
  // host merges them into those of the thread. A child has none, though its status register reads as the parent's;
  // an exec clears them.

  // The register that PTRACE_PEEKUSER and POKEUSER mean by an offset into struct user; nullopt if that is
  // no debug register, and on machines that have no such.
  virtual std::optional<unsigned> DebugRegisterAt(uint64_t user_offset) = 0;
  // The one that says what of the others is in force.
  virtual unsigned DebugControlRegister() = 0;
  // Any thread, at a safe point as for Ptrace. Zero; or the kernel's error for the same request of one tracer
  // alone (-EIO, -EINVAL); -ENOSPC if the thread has not so many, as the kernel says when others have them;
  // -EINVAL, -ESRCH as Ptrace. Nothing changed then.
  virtual int SetDebugRegister(TaskView task, uint64_t owner, unsigned index, uint64_t value) = 0;
  // The status register (6 on x86) tells of the last trap what concerns the owner, by the owner's numbers.
  virtual int GetDebugRegister(TaskView task, uint64_t owner, unsigned index, uint64_t* value) = 0;
  // The owner leaves the task. At any time: no trap of its registers is reported any more.
  virtual void DropDebugRegisters(TaskView task, uint64_t owner) = 0;
  // In report_signal of a SIGTRAP that the kernel sent, and while the task is held by that: whose
  // breakpoints were met.
  virtual std::vector<uint64_t> OwnersOfTrap(TaskView task) = 0;
};

}  // namespace utrace::ptrace_compat

#endif  // ENGINES_PTRACE_COMPAT_HOST_REQUESTS_H_
