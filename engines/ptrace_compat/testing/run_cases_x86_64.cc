// How a tracee is resumed: steps, blocks, system calls, and what they may change.
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engines/ptrace_compat/testing/machine_x86_64.h"
#include "engines/ptrace_compat/testing/probe.h"

using namespace probe;

namespace {

auto Address(void (*place)()) { return reinterpret_cast<uint64_t>(place); }

const auto kGetppid = reinterpret_cast<void (*)()>(&probe_getppid);
const auto kJumps = reinterpret_cast<void (*)()>(&probe_jumps);
const auto kFlags = reinterpret_cast<void (*)()>(&probe_flags);

void SayResult() {
  const long result = probe_getppid();
  Say("getppid: %s", result == getppid() ? "the parent"
                     : result < 0        ? ErrorName(static_cast<int>(-result)).c_str()
                                         : std::to_string(result).c_str());
}

}  // namespace

CASE(run_cont_to_breakpoint) {
  const pid_t pid = Traced(probe_nops);
  const long word = Ptrace(PTRACE_PEEKTEXT, pid, Address(probe_nops), 0);
  DO(PTRACE_POKETEXT, pid, Address(probe_nops), (word & ~0xffL) | 0xcc);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
  SayInfo(pid);
  Say("at %s", Place(pid, probe_nops).c_str());
  DO(PTRACE_POKETEXT, pid, Address(probe_nops), word);
  user_regs_struct registers = Registers(pid);
  registers.rip -= 1;
  DO(PTRACE_SETREGS, pid, 0, &registers);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(run_own_trap) {
  const pid_t pid = Seized(0, [] {
    HandleLoudly(SIGTRAP);
    probe_trap();
    Say("goes on");
  });
  Wait(pid);
  SayInfo(pid);
  Say("at %s", Place(pid, probe_trap).c_str());
  DO(PTRACE_CONT, pid, 0, SIGTRAP);
  Wait(pid);
}

CASE(run_steps) {
  const pid_t pid = Traced(probe_nops);
  RunTo(pid, probe_nops);
  for (int n = 0; n < 4; ++n) {
    DO(PTRACE_SINGLESTEP, pid, 0, 0);
    Wait(pid);
    Say("at %s", Place(pid, probe_nops).c_str());
  }
  SayInfo(pid);
  SayMessage(pid);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(run_step_over_call) {
  const pid_t pid = Traced(SayResult);
  RunTo(pid, kGetppid);
  for (int n = 0; n < 3; ++n) {
    DO(PTRACE_SINGLESTEP, pid, 0, 0);
    Wait(pid);
    SayInfo(pid);
    Say("at %s", Place(pid, kGetppid).c_str());
  }
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(run_step_out_of_call) {
  // A step from an entry stop ends at the end of the call.
  const pid_t pid = Traced(SayResult);
  DO(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD);
  RunTo(pid, kGetppid);
  DO(PTRACE_SYSCALL, pid, 0, 0);
  Wait(pid);
  DO(PTRACE_SINGLESTEP, pid, 0, 0);
  Wait(pid);
  SayInfo(pid);
  Say("at %s", Place(pid, kGetppid).c_str());
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(run_step_into_handler) {
  const pid_t pid = Seized(0, [] {
    signal(SIGUSR1, [](int) { Say("in the handler"); });
    raise(SIGUSR1);
  });
  Wait(pid);
  const uint64_t before = Registers(pid).rip;
  DO(PTRACE_SINGLESTEP, pid, 0, SIGUSR1);
  Wait(pid);
  SayInfo(pid);
  const user_regs_struct registers = Registers(pid);
  Say("elsewhere: %d, with signal %llu", registers.rip != before, registers.rdi);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(run_step_of_repeated_instruction) {
  const pid_t pid = Traced([] {
    char to[3];
    probe_copy(to, "ab", 3);
    Say("copied %s", to);
  });
  RunTo(pid, reinterpret_cast<void (*)()>(&probe_copy));
  for (int n = 0; n < 5; ++n) {
    DO(PTRACE_SINGLESTEP, pid, 0, 0);
    Wait(pid);
    Say("%llu bytes left", Registers(pid).rcx);
  }
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(run_step_hides_the_trap_flag) {
  const pid_t pid = Traced([] { Say("flags %#lx", probe_flags() & 0x100); });
  RunTo(pid, kFlags);
  for (int n = 0; n < 2; ++n) {
    DO(PTRACE_SINGLESTEP, pid, 0, 0);
    Wait(pid);
    const user_regs_struct registers = Registers(pid);
    Say("flags %#llx, rax %#llx", registers.eflags & 0x100, n == 0 ? 0 : registers.rax & 0x100);
  }
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(run_step_to_exit) {
  const pid_t pid = Traced([] { _exit(3); });
  int status = 0;
  int steps = 0;
  do {
    if (Ptrace(PTRACE_SINGLESTEP, pid, 0, 0) != 0) Scene("SINGLESTEP failed");
    if (waitpid(pid, &status, __WALL) != pid) Scene("no wait");
    ++steps;
  } while (status == StopStatus(SIGTRAP) && steps < 5000);
  Say("%s after %s steps", StatusText(status).c_str(), steps > 5 ? "many" : "few");
}

CASE(run_step_with_syscall_stops_in_turn) {
  const pid_t pid = Traced(SayResult);
  DO(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD);
  RunTo(pid, kGetppid);
  DO(PTRACE_SINGLESTEP, pid, 0, 0);
  Wait(pid);
  DO(PTRACE_SYSCALL, pid, 0, 0);
  Wait(pid);
  Say("at %s", Place(pid, kGetppid).c_str());
  DO(PTRACE_SYSCALL, pid, 0, 0);
  Wait(pid);
  DO(PTRACE_SINGLESTEP, pid, 0, 0);
  Wait(pid);
  Say("at %s", Place(pid, kGetppid).c_str());
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(run_blocks) {
  const pid_t pid = Traced([] { probe_jumps(); });
  RunTo(pid, kJumps);
  for (int n = 0; n < 3; ++n) {
    DO(PTRACE_SINGLEBLOCK, pid, 0, 0);
    Wait(pid);
    SayInfo(pid);
    Say("at %s", Place(pid, kJumps).c_str());
  }
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(run_syscall_without_sysgood) {
  const pid_t pid = Traced(SayResult);
  RunTo(pid, kGetppid);
  for (int n = 0; n < 2; ++n) {
    DO(PTRACE_SYSCALL, pid, 0, 0);
    Wait(pid);
    SayInfo(pid);
    const user_regs_struct registers = Registers(pid);
    Say("call %llu, rax %lld", registers.orig_rax,
        n == 0 ? static_cast<long long>(registers.rax) : registers.rax > 0);
  }
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(run_syscall_with_sysgood) {
  const pid_t pid = Traced(SayResult);
  DO(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD);
  RunTo(pid, kGetppid);
  for (int n = 0; n < 2; ++n) {
    DO(PTRACE_SYSCALL, pid, 0, 0);
    Wait(pid);
    SayInfo(pid);
    Say("at %s", Place(pid, kGetppid).c_str());
  }
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(run_syscall_number_changed) {
  const pid_t pid =
      Traced([] { Say("got %s", probe_getppid() == getuid() ? "the user" : "else"); });
  RunTo(pid, kGetppid);
  DO(PTRACE_SYSCALL, pid, 0, 0);
  Wait(pid);
  DO(PTRACE_POKEUSER, pid, 8 * 15, SYS_getuid);
  DO(PTRACE_SYSCALL, pid, 0, 0);
  Wait(pid);
  Say("call %llu", Registers(pid).orig_rax);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(run_syscall_skipped) {
  const pid_t pid = Traced(SayResult);
  RunTo(pid, kGetppid);
  DO(PTRACE_SYSCALL, pid, 0, 0);
  Wait(pid);
  DO(PTRACE_POKEUSER, pid, 8 * 15, -1L);
  DO(PTRACE_SYSCALL, pid, 0, 0);
  Wait(pid);
  user_regs_struct registers = Registers(pid);
  Say("call %lld, rax %lld", registers.orig_rax, registers.rax);
  registers.rax = static_cast<unsigned long>(-EXDEV);
  DO(PTRACE_SETREGS, pid, 0, &registers);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(run_syscall_skipped_with_result) {
  // The result that is set at the entry holds for a call that is skipped.
  const pid_t pid = Traced(SayResult);
  RunTo(pid, kGetppid);
  DO(PTRACE_SYSCALL, pid, 0, 0);
  Wait(pid);
  user_regs_struct registers = Registers(pid);
  registers.orig_rax = static_cast<unsigned long>(-1);
  registers.rax = 12345;
  DO(PTRACE_SETREGS, pid, 0, &registers);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(run_syscall_arguments_changed) {
  const pid_t pid = Traced([] {
    raise(SIGUSR1);
    const ssize_t result = write(STDERR_FILENO, "one\ntwo\n", 8);
    _exit(static_cast<int>(result));
  });
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
  user_regs_struct registers{};
  for (int n = 0; n < 20; ++n) {
    Ptrace(PTRACE_SYSCALL, pid, 0, 0);
    Expect(pid, StopStatus(SIGTRAP));
    registers = Registers(pid);
    if (registers.orig_rax == SYS_write) break;
  }
  registers.rsi += 4;
  registers.rdx = 4;
  DO(PTRACE_SETREGS, pid, 0, &registers);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(run_syscall_result_changed) {
  const pid_t pid = Traced(SayResult);
  RunTo(pid, kGetppid);
  DO(PTRACE_SYSCALL, pid, 0, 0);
  Wait(pid);
  DO(PTRACE_SYSCALL, pid, 0, 0);
  Wait(pid);
  DO(PTRACE_POKEUSER, pid, 8 * 10, 777);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(run_sysemu) {
  const pid_t pid = Traced(SayResult);
  RunTo(pid, kGetppid);
  DO(PTRACE_SYSEMU, pid, 0, 0);
  Wait(pid);
  SayInfo(pid);
  Say("at %s", Place(pid, kGetppid).c_str());
  DO(PTRACE_POKEUSER, pid, 8 * 10, 888);
  // The next stop is the entry of getppid again, called by the C library.
  DO(PTRACE_SYSEMU, pid, 0, 0);
  Wait(pid);
  Say("call %llu", Registers(pid).orig_rax);
  DO(PTRACE_POKEUSER, pid, 8 * 10, 999);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(run_sysemu_with_sysgood) {
  const pid_t pid = Traced(SayResult);
  DO(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD);
  RunTo(pid, kGetppid);
  DO(PTRACE_SYSEMU, pid, 0, 0);
  Wait(pid);
  SayMessage(pid);
  DO(PTRACE_POKEUSER, pid, 8 * 10, 888);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(run_sysemu_singlestep) {
  const pid_t pid = Traced(SayResult);
  RunTo(pid, kGetppid);
  for (int n = 0; n < 4; ++n) {
    DO(PTRACE_SYSEMU_SINGLESTEP, pid, 0, 0);
    Wait(pid);
    SayInfo(pid);
    Say("at %s", Place(pid, kGetppid).c_str());
  }
  DO(PTRACE_POKEUSER, pid, 8 * 10, 888);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(run_blocked_call_interrupted) {
  // A tracer sees how the kernel says that a call shall be made again.
  Gate gate;
  const pid_t pid = Seized(PTRACE_O_TRACESYSGOOD, [&] {
    HandleLoudly(SIGUSR1);
    raise(SIGUSR2);
    char byte = 0;
    const ssize_t result = read(gate.fd(), &byte, 1);
    Say("read: %zd", result);
  });
  Wait(pid);
  while (Ptrace(PTRACE_PEEKUSER, pid, 8 * 15, 0) != SYS_read) {
    Ptrace(PTRACE_SYSCALL, pid, 0, 0);
    Expect(pid, StopStatus(SIGTRAP | 0x80));
  }
  DO(PTRACE_SYSCALL, pid, 0, 0);
  UntilState(pid, 'S');
  kill(pid, SIGUSR1);
  Wait(pid);
  Say("rax %lld", Registers(pid).rax);
  DO(PTRACE_SYSCALL, pid, 0, 0);
  Wait(pid);
  Say("rax %lld", Registers(pid).rax);
  DO(PTRACE_SYSCALL, pid, 0, 0);  // without the signal: the call begins again
  Wait(pid);
  Say("call %llu rax %lld", Registers(pid).orig_rax, Registers(pid).rax);
  DO(PTRACE_SYSCALL, pid, 0, 0);
  gate.Open();
  Wait(pid);
  Say("rax %lld", Registers(pid).rax);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(run_nanosleep_interrupted) {
  const pid_t pid = Seized(PTRACE_O_TRACESYSGOOD, [] {
    raise(SIGUSR2);
    const timespec time{1000, 0};
    syscall(SYS_nanosleep, &time, nullptr);
  });
  Wait(pid);
  while (Ptrace(PTRACE_PEEKUSER, pid, 8 * 15, 0) != SYS_nanosleep) {
    Ptrace(PTRACE_SYSCALL, pid, 0, 0);
    Expect(pid, StopStatus(SIGTRAP | 0x80));
  }
  DO(PTRACE_SYSCALL, pid, 0, 0);
  UntilState(pid, 'S');
  DO(PTRACE_INTERRUPT, pid, 0, 0);
  Wait(pid);
  Say("rax %lld", Registers(pid).rax);
  DO(PTRACE_SYSCALL, pid, 0, 0);
  Wait(pid);
  Say("rax %lld", Registers(pid).rax);
  Say("call %llu", Registers(pid).orig_rax);
  DO(PTRACE_CONT, pid, 0, 0);
  kill(pid, SIGKILL);
  Wait(pid);
}

CASE(run_restart_prevented) {
  Gate gate;
  const pid_t pid = Seized(0, [&] {
    char byte = 0;
    const ssize_t result = read(gate.fd(), &byte, 1);
    Say("read: %zd %s", result, ErrorName(errno).c_str());
  });
  UntilState(pid, 'S');
  kill(pid, SIGUSR1);
  Wait(pid);
  user_regs_struct registers = Registers(pid);
  Say("call %lld rax %lld", registers.orig_rax, registers.rax);
  registers.orig_rax = static_cast<unsigned long>(-1);
  registers.rax = static_cast<unsigned long>(-EXDEV);
  DO(PTRACE_SETREGS, pid, 0, &registers);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(run_call_a_function) {
  // As a debugger calls one: registers and stack are set, and a trap waits where it returns to.
  const pid_t pid = Traced([] {
    probe_nops();
    Say("goes on");
  });
  RunTo(pid, probe_nops);
  const user_regs_struct before = Registers(pid);
  user_regs_struct registers = before;
  registers.rsp -= 256;
  registers.rsp &= ~15ULL;
  registers.rsp -= 8;
  DO(PTRACE_POKEDATA, pid, registers.rsp, Address(probe_trap));
  registers.rip = Address(kGetppid);
  registers.orig_rax = static_cast<unsigned long>(-1);
  DO(PTRACE_SETREGS, pid, 0, &registers);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
  Say("at %s, result %s", Place(pid, probe_trap).c_str(),
      NameOf(static_cast<pid_t>(Registers(pid).rax)).c_str());
  DO(PTRACE_SETREGS, pid, 0, &before);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(run_make_a_call) {
  // As gdb and strace's injection make a system call in a tracee.
  const pid_t pid = Traced([] { probe_getppid(); });
  RunTo(pid, kGetppid);
  const user_regs_struct before = Registers(pid);
  user_regs_struct registers = before;
  registers.rip = Address(kGetppid) + 5;
  registers.rax = SYS_mmap;
  registers.rdi = 0;
  registers.rsi = 4096;
  registers.rdx = PROT_READ | PROT_WRITE;
  registers.r10 = MAP_PRIVATE | MAP_ANONYMOUS;
  registers.r8 = static_cast<unsigned long>(-1);
  registers.r9 = 0;
  DO(PTRACE_SETREGS, pid, 0, &registers);
  DO(PTRACE_SINGLESTEP, pid, 0, 0);
  Wait(pid);
  const uint64_t page = Registers(pid).rax;
  Say("at %s", Place(pid, kGetppid).c_str());
  DO(PTRACE_POKEDATA, pid, page, 4711);
  Say("peek: %ld", Ptrace(PTRACE_PEEKDATA, pid, page, 0));
  DO(PTRACE_SETREGS, pid, 0, &before);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(run_detach_after_step) {
  const pid_t pid = Traced([] {
    probe_nops();
    Say("goes on");
  });
  RunTo(pid, probe_nops);
  DO(PTRACE_SINGLESTEP, pid, 0, 0);
  Wait(pid);
  DO(PTRACE_DETACH, pid, 0, 0);
  Wait(pid);
}

CASE(run_two_tracees_step) {
  const pid_t first = Traced(probe_nops, "first");
  const pid_t second = Traced(probe_nops, "second");
  RunTo(first, probe_nops);
  RunTo(second, probe_nops);
  for (int n = 0; n < 2; ++n) {
    DO(PTRACE_SINGLESTEP, first, 0, 0);
    DO(PTRACE_SINGLESTEP, second, 0, 0);
    Wait(second);
    Wait(first);
    Say("at %s %s", Place(first, probe_nops).c_str(), Place(second, probe_nops).c_str());
  }
  KillAndReap(first);
  KillAndReap(second);
}
