#include "conformance/puppet/thread.h"

#include <errno.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>

#include "arch/this_machine.h"
#include "conformance/puppet/machine.h"
#include "conformance/puppet/protocol.h"
#include "conformance/puppet/sys.h"

// asm_*.S.
extern "C" {
long PuppetSpawn(long nr, const long* arguments, void* stack_top, long slot);
long PuppetSpawnExit(long nr, const long* arguments);
void PuppetRestorer();
long PuppetSteps();
long PuppetBranches();
void PuppetRegistersSpin();
void PuppetRegistersSyscall();
void PuppetHandler(int signo, siginfo_t* info, void* context);

// Named in PuppetAddresses.
alignas(4096) char PuppetMemory[utrace::puppet::kMemorySize] = "private memory of the puppet";
alignas(4096) extern const char PuppetReadOnly[4096];
alignas(4096) const char PuppetReadOnly[4096] = "this page cannot be written by the puppet";
}

namespace utrace::puppet {
namespace {

// asm_*.S has these numbers.
static_assert(offsetof(Shared, registers_go) == 0);
static_assert(offsetof(Shared, registers_in) == 16);
static_assert(offsetof(Shared, registers_out) == 16 + 384);
static_assert(offsetof(RegisterImage, flags) == 120);
static_assert(offsetof(RegisterImage, vector) == 128);

constexpr unsigned long kThreadFlags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND |
                                       CLONE_THREAD | CLONE_SYSVSEM | CLONE_PARENT_SETTID;

// The kernel's own form of struct sigaction.
struct KernelSigaction {
  uint64_t handler;
  uint64_t flags;
  uint64_t restorer;
  uint64_t mask;
};
constexpr uint64_t kSaRestorer = 0x04000000;

int IndexOf(const Slot* slot) { return static_cast<int>(slot - shared()->slots); }

int64_t Now() {
  timespec now;
  Sys(SYS_clock_gettime, CLOCK_MONOTONIC, Word(&now));
  return now.tv_sec * 1000000000L + now.tv_nsec;
}

long ForkBurst(long count) {
  const long arguments[5] = {SIGCHLD, 0, 0, 0, 0};
  for (long i = 0; i < count; ++i) {
    const long child = PuppetSpawnExit(SYS_clone, arguments);
    if (child < 0) return child;
    long waited;
    do {
      waited = Sys(SYS_wait4, child, 0, __WALL, 0);
    } while (waited == -EINTR);
    if (waited != child) return waited;
  }
  return count;
}

long ThreadBurst(Slot* slot, long count) {
  // The kernel clears this word and wakes its futex when the thread is gone. It lies in the scratch
  // memory, which the thread, having no stack, does not need.
  auto* alive = reinterpret_cast<uint32_t*>(slot->common.scratch);
  long arguments[5] = {static_cast<long>(kThreadFlags | CLONE_CHILD_CLEARTID), 0,
                       Word(&slot->common.scratch[64]), 0, 0};
  arguments[arch::kCloneChildTidArgument] = Word(alive);
  for (long i = 0; i < count; ++i) {
    __atomic_store_n(alive, 1, __ATOMIC_SEQ_CST);
    const long tid = PuppetSpawnExit(SYS_clone, arguments);
    if (tid < 0) return tid;
    while (__atomic_load_n(alive, __ATOMIC_SEQ_CST) != 0) {
      Sys(SYS_futex, Word(alive), FUTEX_WAIT, 1, 0);
    }
  }
  return count;
}

long Spawn(const Command& command) {
  const int index = static_cast<int>(command.arguments[5]);
  Slot* slot = &shared()->slots[index];
  if (command.nr == 0) return SpawnThread(index);
  long arguments[5];
  for (int i = 0; i < 5; ++i) arguments[i] = command.arguments[i];
  return PuppetSpawn(command.nr, arguments, StackTop(slot), index);
}

char* Decimal(long value, char* end) {
  *--end = '\0';
  do {
    *--end = static_cast<char>('0' + value % 10);
    value /= 10;
  } while (value != 0);
  return end;
}

long Exec(const Slot* slot) {
  char index[24];
  char fd[24];
  char program[] = "puppet";
  char resume[] = "resume";
  char* arguments[] = {program, resume, Decimal(IndexOf(slot), index + sizeof(index)),
                       Decimal(shared()->shared_fd, fd + sizeof(fd)), nullptr};
  char* environment[] = {nullptr};
  return Sys(SYS_execve, Word(shared()->puppet_path), Word(arguments), Word(environment));
}

long SetAction(const Command& command) {
  KernelSigaction action = {};
  action.handler = command.arguments[1] == 2 ? reinterpret_cast<uint64_t>(&PuppetHandler)
                                             : static_cast<uint64_t>(command.arguments[1]);
  action.flags = static_cast<uint64_t>(command.arguments[2]) | SA_SIGINFO | kSaRestorer;
  action.restorer = reinterpret_cast<uint64_t>(&PuppetRestorer);
  action.mask = static_cast<uint64_t>(command.arguments[3]);
  return Sys(SYS_rt_sigaction, command.arguments[0], Word(&action), 0, 8);
}

long AlternateStack(Slot* slot) {
  stack_t stack = {};
  stack.ss_sp = slot->alternate_stack;
  stack.ss_size = kStackSize;
  return Sys(SYS_sigaltstack, Word(&stack), 0);
}

// The kinds are those of enum class Fault of conformance/kit/puppet.h.
long Fault(int64_t kind, uint64_t address) {
  switch (kind) {
    case 0:
      WriteByte(address);
      return 0;
    case 1:
      IllegalInstruction();
      return 0;
    case 2:
      if (DivideByZero()) return 0;
      return Sys(SYS_tgkill, Sys(SYS_getpid), Sys(SYS_gettid), SIGFPE);
    case 3: {
      const long fd = Sys(SYS_memfd_create, Word("empty"), 0);
      const long page = Sys(SYS_mmap, 0, 4096, PROT_READ, MAP_SHARED, fd, 0);
      if (page < 0 && page > -4096) return page;
      *reinterpret_cast<volatile char*>(page);
      return 0;
    }
    case 4:
      BreakpointTrap();
      return 0;
    case 5:
      return Sys(SYS_tgkill, Sys(SYS_getpid), Sys(SYS_gettid), SIGABRT);
    default:
      return -EINVAL;
  }
}

long Spin(Slot* slot) {
  long rounds = 0;
  while (__atomic_load_n(&slot->common.go, __ATOMIC_RELAXED) == 0) {
    ++rounds;
    __atomic_store_n(&slot->common.spins, slot->common.spins + 1, __ATOMIC_RELAXED);
  }
  __atomic_store_n(&slot->common.go, 0, __ATOMIC_RELAXED);
  return rounds;
}

long Copy(const Command& command) {
  auto* to = reinterpret_cast<volatile char*>(command.arguments[0]);
  const auto* from = reinterpret_cast<const volatile char*>(command.arguments[1]);
  for (long i = 0; i < command.arguments[2]; ++i) to[i] = from[i];
  return command.arguments[2];
}

long Execute(Slot* slot, const Command& command, Reply* reply) {
  const int64_t* a = command.arguments;
  switch (command.op) {
    case UTRACE_TARGET_SYSCALL:
      return Sys(command.nr, a[0], a[1], a[2], a[3], a[4], a[5]);
    case UTRACE_TARGET_REPEAT: {
      long result = 0;
      for (int64_t i = 0; i < a[3]; ++i) result = Sys(command.nr, a[0], a[1], a[2]);
      return result;
    }
    case UTRACE_TARGET_SPIN:
      return Spin(slot);
    case UTRACE_TARGET_TIMED: {
      reply->started_ns = Now();
      const long result = Sys(command.nr, a[0], a[1], a[2], a[3], a[4], a[5]);
      reply->finished_ns = Now();
      return result;
    }
    case UTRACE_TARGET_SPAWN:
      return Spawn(command);
    case UTRACE_TARGET_FORK_BURST:
      return ForkBurst(a[0]);
    case UTRACE_TARGET_THREAD_BURST:
      return ThreadBurst(slot, a[0]);
    case UTRACE_TARGET_EXEC:
      return Exec(slot);
    case UTRACE_TARGET_SIGACTION:
      return SetAction(command);
    case UTRACE_TARGET_ALT_STACK:
      return AlternateStack(slot);
    case UTRACE_TARGET_FAULT:
      return Fault(a[0], static_cast<uint64_t>(a[1]));
    case UTRACE_TARGET_COPY:
      return Copy(command);
    case UTRACE_TARGET_STEPS:
      return PuppetSteps();
    case UTRACE_TARGET_BRANCHES:
      return PuppetBranches();
    case UTRACE_TARGET_REGISTERS_SPIN:
      PuppetRegistersSpin();
      return 0;
    case UTRACE_TARGET_REGISTERS_SYSCALL:
      PuppetRegistersSyscall();
      return 0;
  }
  return -EINVAL;
}

// The channel is at its end. A puppet ends with it; the nanny's own threads leave that to its first
// one, which ends the puppets that do not see it.
[[noreturn]] void KitIsGone(const Slot* slot) {
  const int index = IndexOf(slot);
  while (index == kParentSlot || index == kWaiterSlot) Sys(SYS_ppoll);
  for (;;) Sys(SYS_exit_group, 1);
}

void Send(const Slot* slot, const Reply& reply) {
  long sent;
  do {
    sent = Sys(SYS_sendto, slot->channel, Word(&reply), sizeof(reply), 0x4000 /* MSG_NOSIGNAL */);
  } while (sent == -EINTR);
  if (sent < 0) KitIsGone(slot);
}

}  // namespace

void MapShared(int fd) {
  const long where = Sys(SYS_mmap, static_cast<long>(kSharedAddress), sizeof(Shared),
                         PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0);
  if (where != static_cast<long>(kSharedAddress)) Sys(SYS_exit_group, 3);
}

void* StackTop(Slot* slot) { return slot->stack + kStackSize; }

long SpawnThread(int index) {
  Slot* slot = &shared()->slots[index];
  const long arguments[5] = {static_cast<long>(kThreadFlags), Word(StackTop(slot)),
                             Word(&slot->common.tid), 0, 0};
  return PuppetSpawn(SYS_clone, arguments, StackTop(slot), index);
}

}  // namespace utrace::puppet

extern "C" {

using utrace::puppet::Command;
using utrace::puppet::Reply;
using utrace::puppet::shared;
using utrace::puppet::SignalRecord;
using utrace::puppet::Slot;
using utrace::puppet::Sys;
using utrace::puppet::Word;

[[noreturn]] void PuppetRunSlot(long index) {
  Slot* slot = &shared()->slots[index];
  const Reply ready = {};
  utrace::puppet::Send(slot, ready);
  for (;;) {
    Command command;
    const long size = Sys(SYS_recvfrom, slot->channel, Word(&command), sizeof(command));
    if (size == -EINTR) continue;
    if (size != sizeof(command)) utrace::puppet::KitIsGone(slot);
    __atomic_store_n(&slot->common.started, command.seq, __ATOMIC_SEQ_CST);
    Reply reply = {};
    reply.seq = command.seq;
    reply.result = utrace::puppet::Execute(slot, command, &reply);
    __atomic_store_n(&slot->common.done, command.seq, __ATOMIC_SEQ_CST);
    utrace::puppet::Send(slot, reply);
  }
}

[[noreturn]] void PuppetRunNewSlot(long index) {
  // A puppet that the nanny made goes when the nanny goes, and leads a process group, whose members
  // the nanny can kill together. The nanny is in another group of the same session, so that job
  // control stops work (an orphaned group ignores them).
  if (shared()->slots[index].common.tid == utrace::puppet::kNannyChild) {
    Sys(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL);
    Sys(SYS_setpgid, 0, 0);
  }
  PuppetRunSlot(index);
}

// Makes no system call. Runs on the slot's stack or alternate stack, by which it finds the slot.
void PuppetHandler(int signo, siginfo_t* info, void* context) {
  const auto* user = static_cast<const ucontext_t*>(context);
  const uint64_t here = reinterpret_cast<uint64_t>(__builtin_frame_address(0));
  const uint64_t index = (here - reinterpret_cast<uint64_t>(shared()->slots)) / sizeof(Slot);
  Slot* slot = &shared()->slots[index];
  SignalRecord* record =
      &slot->common.records[slot->common.handler_runs % utrace::puppet::kRecords];
  record->order = __atomic_add_fetch(&shared()->order, 1, __ATOMIC_SEQ_CST);
  record->signo = signo;
  record->code = info->si_code;
  record->sender = info->si_pid;
  record->value = info->si_value.sival_int;
  record->address = reinterpret_cast<uint64_t>(info->si_addr);
  utrace::puppet::NoteInterrupted(context, record);
  record->handler_sp = here;
  record->mask = user->uc_sigmask.__val[0];
  const uint64_t alternate = reinterpret_cast<uint64_t>(slot->alternate_stack);
  record->on_alternate_stack =
      here >= alternate && here < alternate + utrace::puppet::kStackSize ? 1 : 0;
  if (signo > 0 && signo < utrace::puppet::kSignals) {
    __atomic_add_fetch(&slot->common.handler_runs_of[signo], 1, __ATOMIC_SEQ_CST);
  }
  utrace::puppet::PassBreakpoint(signo, info->si_code, context);
  __atomic_add_fetch(&slot->common.handler_runs, 1, __ATOMIC_SEQ_CST);
}

}  // extern "C"
