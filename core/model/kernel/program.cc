#include "core/model/kernel/program.h"

#include <linux/futex.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cerrno>

#include "core/model/kernel/thread.h"
#include "core/model/kernel/world.h"

namespace utrace::model {
namespace {

constexpr unsigned long kThreadFlags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND |
                                       CLONE_THREAD | CLONE_SYSVSEM | CLONE_PARENT_SETTID;
constexpr uint64_t kSaRestorer = 0x04000000;
constexpr uint64_t kSignalSetSize = 8;

uint64_t SlotAddress(int slot) {
  return kSharedMemory + static_cast<uint64_t>(slot) * sizeof(utrace_target_slot);
}
// Memory that nobody else needs.
uint64_t Buffer(const Thread& thread) {
  return kStackMemory + static_cast<uint64_t>(thread.slot) * kStackSize;
}
uint64_t ScratchAddress(int slot) {
  return SlotAddress(slot) + offsetof(utrace_target_slot, scratch);
}
uint64_t Unsigned(int64_t value) { return static_cast<uint64_t>(value); }

int64_t ForkBurst(Thread& thread, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const int64_t child = thread.Call(SYS_clone, SIGCHLD);
    if (child < 0) return child;
    int64_t waited = 0;
    do {
      waited = thread.Call(SYS_wait4, Unsigned(child), 0, __WALL, 0);
    } while (waited == -EINTR);
    if (waited != child) return waited;
  }
  return count;
}

int64_t ThreadBurst(Thread& thread, int64_t count) {
  const uint64_t alive = ScratchAddress(thread.slot);
  for (int64_t i = 0; i < count; ++i) {
    thread.process->memory->Store(alive, uint32_t{1});
    uint64_t arguments[5] = {kThreadFlags | CLONE_CHILD_CLEARTID, 0, alive + 64};
    arguments[arch::kCloneChildTidArgument] = alive;
    const int64_t tid = thread.Call(SYS_clone, arguments[0], arguments[1], arguments[2],
                                    arguments[3], arguments[4]);
    if (tid < 0) return tid;
    for (uint32_t word = 1; thread.process->memory->Load(alive, &word) && word != 0;) {
      thread.Call(SYS_futex, alive, FUTEX_WAIT, 1, 0);
    }
  }
  return count;
}

int64_t SpawnChild(Thread& thread, const utrace_target_command& command) {
  const auto child_slot = static_cast<int>(command.arguments[5]);
  thread.spawn_slot = child_slot;
  const int64_t* a = command.arguments;
  const int64_t result =
      command.nr == 0 ? thread.Call(SYS_clone, kThreadFlags, kStackTop,
                                    SlotAddress(child_slot) + offsetof(utrace_target_slot, tid))
                      : thread.Call(command.nr, Unsigned(a[0]), Unsigned(a[1]), Unsigned(a[2]),
                                    Unsigned(a[3]), Unsigned(a[4]));
  thread.spawn_slot = -1;
  return result;
}

int64_t SetAction(Thread& thread, const utrace_target_command& command) {
  const int64_t* a = command.arguments;
  // The kernel's own form of struct sigaction.
  const uint64_t action[4] = {a[1] == 2 ? kHandlerCode : Unsigned(a[1]),
                              Unsigned(a[2]) | SA_SIGINFO | kSaRestorer, kRestorerSite,
                              Unsigned(a[3])};
  thread.process->memory->Store(Buffer(thread), action);
  return thread.Call(SYS_rt_sigaction, Unsigned(a[0]), Buffer(thread), 0, kSignalSetSize);
}

int64_t Spin(Thread& thread) {
  utrace_target_slot& slot = thread.world().slot(thread.slot);
  int64_t rounds = 0;
  while (slot.go == 0) {
    ++rounds;
    ++slot.spins;
    thread.Instruction();
  }
  slot.go = 0;
  return rounds;
}

int64_t Fault(Thread& thread, int64_t kind, uint64_t address) {
  uint8_t byte = 0;
  switch (kind) {
    case 0: {
      const bool mapped = thread.process->memory->Load(address, &byte);
      if (mapped && thread.process->memory->Store(address, uint8_t{1})) return 0;
      thread.Fault(SIGSEGV, mapped ? SEGV_ACCERR : SEGV_MAPERR, address);
      return 0;
    }
    case 1:
      thread.Fault(SIGILL, ILL_ILLOPN, kUserCode);
      return 0;
    case 2:
      thread.Fault(SIGFPE, FPE_INTDIV, kUserCode);
      return 0;
    case 3:
      thread.Fault(SIGBUS, BUS_ADRERR, kUnmapped);
      return 0;
    case 4:
      thread.Fault(SIGTRAP, SI_KERNEL, 0);
      return 0;
    case 5:
      return thread.Call(SYS_tgkill, Unsigned(thread.Call(SYS_getpid)),
                         Unsigned(thread.Call(SYS_gettid)), SIGABRT);
    default:
      return -EINVAL;
  }
}

// By its own loads and stores, byte by byte.
int64_t Copy(Thread& thread, const utrace_target_command& command) {
  const uint64_t to = Unsigned(command.arguments[0]);
  const uint64_t from = Unsigned(command.arguments[1]);
  for (uint64_t i = 0; i < Unsigned(command.arguments[2]); ++i) {
    uint8_t byte = 0;
    while (!thread.process->memory->Load(from + i, &byte)) {
      thread.Fault(SIGSEGV, SEGV_MAPERR, from + i);
    }
    while (!thread.process->memory->Store(to + i, byte)) {
      thread.Fault(SIGSEGV, SEGV_ACCERR, to + i);
    }
  }
  return command.arguments[2];
}

int64_t Steps(Thread& thread) {
  thread.CallAt(kStepCode, SYS_getppid, {});
  int64_t counted = 0;
  for (int i = 0; i < UTRACE_TARGET_STEP_COUNT; ++i) {
    if (i == UTRACE_TARGET_STEP_CALL) {
      thread.CallAt(StepAt(i), SYS_getuid, {});
      continue;
    }
    thread.InstructionAt(StepAt(i), StepAt(i + 1), false);
    if (i != UTRACE_TARGET_STEP_CALL - 1) ++counted;
  }
  return counted;
}

int64_t Branches(Thread& thread) {
  thread.CallAt(kBranchCode, SYS_getppid, {});
  int64_t counted = 0;
  uint64_t at = kBranchStart;
  for (int i = 0; i < UTRACE_TARGET_BRANCH_COUNT; ++i) {
    for (int n = 0; n < 2; ++n, ++counted, at += kInstructionSize) {
      thread.InstructionAt(at, at + kInstructionSize, false);
    }
    thread.InstructionAt(at, BranchTarget(i), true);
    at = BranchTarget(i);
  }
  thread.InstructionAt(at, at + kInstructionSize, false);
  return counted + 1;
}

int64_t Execute(Thread& thread, const utrace_target_command& command, utrace_target_reply& reply) {
  const int64_t* a = command.arguments;
  const auto call = [&] {
    return thread.Call(command.nr, Unsigned(a[0]), Unsigned(a[1]), Unsigned(a[2]), Unsigned(a[3]),
                       Unsigned(a[4]), Unsigned(a[5]));
  };
  switch (command.op) {
    case UTRACE_TARGET_SYSCALL:
      return call();
    case UTRACE_TARGET_REPEAT: {
      int64_t result = 0;
      for (int64_t i = 0; i < a[3]; ++i) {
        result = thread.Call(command.nr, Unsigned(a[0]), Unsigned(a[1]), Unsigned(a[2]));
      }
      return result;
    }
    case UTRACE_TARGET_SPIN:
      return Spin(thread);
    case UTRACE_TARGET_TIMED: {
      thread.Call(SYS_clock_gettime, CLOCK_MONOTONIC, Buffer(thread));
      reply.started_ns = thread.clock;
      const int64_t result = call();
      thread.Call(SYS_clock_gettime, CLOCK_MONOTONIC, Buffer(thread));
      reply.finished_ns = thread.clock;
      return result;
    }
    case UTRACE_TARGET_SPAWN:
      return SpawnChild(thread, command);
    case UTRACE_TARGET_FORK_BURST:
      return ForkBurst(thread, a[0]);
    case UTRACE_TARGET_THREAD_BURST:
      return ThreadBurst(thread, a[0]);
    case UTRACE_TARGET_EXEC:
      return thread.Call(SYS_execve, kProgramPathAt, 0, 0);
    case UTRACE_TARGET_SIGACTION:
      return SetAction(thread, command);
    case UTRACE_TARGET_ALT_STACK: {
      // Addresses that no program has anything else at; only their order matters.
      stack_t stack{};
      stack.ss_sp = reinterpret_cast<void*>(kStackTop + Unsigned(thread.slot) * 65536 + 4096);
      stack.ss_size = 32768;
      thread.process->memory->Store(Buffer(thread), stack);
      return thread.Call(SYS_sigaltstack, Buffer(thread), 0);
    }
    case UTRACE_TARGET_FAULT:
      return Fault(thread, a[0], Unsigned(a[1]));
    case UTRACE_TARGET_COPY:
      return Copy(thread, command);
    case UTRACE_TARGET_STEPS:
      return Steps(thread);
    case UTRACE_TARGET_BRANCHES:
      return Branches(thread);
    default:
      return -ENOSYS;
  }
}

}  // namespace

void RunSlot(Thread& thread) {
  Channel& channel = thread.world().channel(thread.slot);
  utrace_target_slot& slot = thread.world().slot(thread.slot);
  const auto descriptor = static_cast<uint64_t>(thread.slot);
  const auto send = [&](const utrace_target_reply& reply) {
    int64_t sent = 0;
    do {
      channel.to_send = reply;
      sent = thread.Call(SYS_sendto, descriptor, Buffer(thread), sizeof(reply), MSG_NOSIGNAL);
    } while (sent == -EINTR);
    while (sent < 0) thread.Call(SYS_exit_group, 1);
  };
  utrace_target_reply ready{};
  ready.pid = thread.process->pid;
  send(ready);
  for (;;) {
    const int64_t size =
        thread.Call(SYS_recvfrom, descriptor, Buffer(thread), sizeof(utrace_target_command));
    if (size == -EINTR) continue;
    while (size != sizeof(utrace_target_command)) thread.Call(SYS_exit_group, 1);
    const utrace_target_command command = channel.received;
    slot.started = command.seq;
    utrace_target_reply reply{};
    reply.seq = command.seq;
    reply.result = Execute(thread, command, reply);
    reply.pid = thread.process->pid;
    slot.done = command.seq;
    send(reply);
  }
}

void RecordSignal(Thread& thread, const siginfo_t& info, const MachineState& interrupted,
                  const MachineState& handler, SignalSet blocked_before) {
  if (thread.slot < 0) return;
  utrace_target_slot& slot = thread.world().slot(thread.slot);
  utrace_target_signal& record = slot.records[slot.handler_runs % UTRACE_TARGET_RECORDS];
  record = utrace_target_signal{};
  record.order = thread.world().NextOrder();
  record.signo = info.si_signo;
  record.code = info.si_code;
  record.sender = info.si_pid;
  record.value = info.si_value.sival_int;
  record.address = reinterpret_cast<uint64_t>(info.si_addr);
  record.pc = arch::Pc(interrupted.general);
  record.sp = arch::Sp(interrupted.general);
  record.handler_sp = arch::Sp(handler.general);
  record.marker = arch::Marker(interrupted.general);
  record.mask = blocked_before;
  record.on_alternate_stack = record.handler_sp > kStackTop ? 1 : 0;
  if (info.si_signo > 0 && info.si_signo < UTRACE_TARGET_SIGNALS) {
    ++slot.handler_runs_of[info.si_signo];
  }
  ++slot.handler_runs;
}

}  // namespace utrace::model
