// What kit and puppet say to each other: commands and replies as datagrams, one channel per thread,
// and a piece of memory that both map, for what has to pass without a system call. Commands, replies
// and the shared part of a slot are those of core/utrace_target.h, so that the tasks of a hosted
// implementation are puppets too.
//
// Included by the puppet too, which has no C++ runtime: plain types only.
#ifndef CONFORMANCE_PUPPET_PROTOCOL_H_
#define CONFORMANCE_PUPPET_PROTOCOL_H_

#include <stddef.h>
#include <stdint.h>

#include "core/utrace_target.h"

namespace utrace::puppet {

// Threads that a nanny and its puppets can have in one test, dead ones included. Slots 0 and 1 are
// the nanny's own: the parent of puppets, and the one that waits for them.
inline constexpr int kSlots = UTRACE_TARGET_SLOTS;
inline constexpr int kParentSlot = UTRACE_TARGET_PARENT;
inline constexpr int kWaiterSlot = UTRACE_TARGET_WAITER;
inline constexpr int32_t kNannyChild = -1;
inline constexpr int kSignals = UTRACE_TARGET_SIGNALS;  // index by signal number
inline constexpr int kRecords = UTRACE_TARGET_RECORDS;
inline constexpr size_t kScratchSize = UTRACE_TARGET_SCRATCH;
inline constexpr size_t kStackSize = 32768;

// Below 2 GiB, so that x86_64 code can reach it when no register is free for a pointer; the same in
// every puppet, so that the kit knows addresses without asking.
inline constexpr uint64_t kSharedAddress = 0x10000000;

using Op = utrace_target_op;
using Command = utrace_target_command;
// Puppets leave `pid` empty: the kernel adds the sender's process id (SCM_CREDENTIALS), so that no call
// is made for it.
using Reply = utrace_target_reply;
using SignalRecord = utrace_target_signal;

// All that a program can load and look at again: general registers, flags (read only), vectors. Which registers
// these are, conformance/kit/machine.h tells.
struct RegisterImage {
  uint64_t general[15];
  uint64_t flags;
  unsigned char vector[16][16];
};

inline constexpr int kSteps = UTRACE_TARGET_STEP_COUNT;
// step[kStepSyscall] is a system call instruction (getuid).
inline constexpr int kStepSyscall = UTRACE_TARGET_STEP_CALL;
inline constexpr int kBranchTargets = UTRACE_TARGET_BRANCH_COUNT;
inline constexpr long kStepResult = 10;
inline constexpr long kBranchResult = 7;

// Addresses in the puppet program, the same in every puppet.
struct Addresses {
  // The instructions after `getppid` in BeginSteps: step[0] is the one right behind the system call
  // instruction, executing step[i] leads to step[i + 1]; step[kSteps] is the first one behind.
  uint64_t step[kSteps + 1];
  // BeginBranches: the instruction behind `getppid`, and where its three taken branches lead, in
  // order.
  uint64_t branch_start;
  uint64_t branch[kBranchTargets];
  uint64_t registers_spin;      // first instruction of the spinning loop of BeginRegistersSpin
  uint64_t registers_spin_end;  // first instruction behind it
  uint64_t registers_syscall;   // the system call instruction of BeginRegistersSyscall
  uint64_t registers_syscall_end;
  uint64_t handler;  // the handler of Disposition::kHandler
  uint64_t restorer;
  uint64_t memory;     // private writable memory, kMemorySize bytes, page aligned
  uint64_t read_only;  // private read-only memory holding kReadOnlyText
  uint64_t unmapped;   // nothing there
  uint64_t entry;      // the program's entry point
};
inline constexpr size_t kMemorySize = 8192;
inline constexpr char kReadOnlyText[] = "this page cannot be written by the puppet";

// One thread's part of the shared memory.
struct Slot {
  // `tid` is set by the kernel before the thread runs; kNannyChild by the kit.
  alignas(16) utrace_target_slot common;
  int32_t channel;  // file descriptor in nanny and puppets
  alignas(16) unsigned char alternate_stack[kStackSize];
  alignas(16) unsigned char stack[kStackSize];
};

// At kSharedAddress.
struct Shared {
  // Offsets 0 and up are used by assembly code.
  uint64_t registers_go;  // ends kRegistersSpin
  uint64_t pad;
  RegisterImage registers_in;
  RegisterImage registers_out;
  uint64_t order;  // of the next SignalRecord
  int32_t nanny_pid;
  int32_t shared_fd;  // of this memory, in nanny and puppets
  char puppet_path[512];
  Addresses addresses;
  Slot slots[kSlots];
};

}  // namespace utrace::puppet

#endif  // CONFORMANCE_PUPPET_PROTOCOL_H_
