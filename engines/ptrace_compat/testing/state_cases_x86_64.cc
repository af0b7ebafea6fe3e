// Registers, memory, register sets and debug registers.
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <thread>

#include "engines/ptrace_compat/testing/machine_x86_64.h"
#include "engines/ptrace_compat/testing/probe.h"

using namespace probe;

namespace {

template <class T>
uint64_t Address(T* place) {
  return reinterpret_cast<uint64_t>(place);
}
uint64_t Address(volatile long* place) { return reinterpret_cast<uint64_t>(place); }

constexpr size_t DebugOffset(size_t n) { return offsetof(user, u_debugreg) + 8 * n; }

constexpr unsigned long kOnExecute = 0;
constexpr unsigned long kOnWrite = 1;
constexpr unsigned long kOnAccess = 3;

// DR7 for register `n`.
constexpr unsigned long Control(int n, unsigned long kind, unsigned long length) {
  return (1UL << (2 * n)) | (kind << (16 + 4 * n)) | ((length - 1) << (18 + 4 * n));
}

// Continues to a trap of a debug register. Some virtual processors have none that work: there, natively
// too, the tracee runs to its end.
bool ToDebugTrap(pid_t pid) {
  DO(PTRACE_CONT, pid, 0, 0);
  const int status = Wait(pid);
  if (!WIFSTOPPED(status)) Say("the debug registers of this machine do not work");
  return WIFSTOPPED(status);
}

void SayDebugStatus(pid_t pid) {
  const long status = Ptrace(PTRACE_PEEKUSER, pid, DebugOffset(6), 0);
  Say("DR6 %#lx", static_cast<unsigned long>(status) & 0xf00f);
}

volatile long variable = 0x1122334455667788;

}  // namespace

CASE(state_peek_and_poke) {
  const pid_t pid = Traced([] { Say("it reads %#lx", variable); });
  Say("peek: %#lx", Ptrace(PTRACE_PEEKDATA, pid, Address(&variable), 0));
  Say("peek: %#lx", Ptrace(PTRACE_PEEKTEXT, pid, Address(&variable) + 4, 0) & 0xffffffff);
  DO(PTRACE_POKEDATA, pid, &variable, 0x1234);
  Say("peek: %#lx, own %#lx", Ptrace(PTRACE_PEEKDATA, pid, Address(&variable), 0), variable);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(state_peek_minus_one) {
  variable = -1;
  const pid_t pid = Traced(Forever);
  const long word = DO(PTRACE_PEEKDATA, pid, &variable, 0);
  Say("%ld, errno %d", word, errno);
  KillAndReap(pid);
}

CASE(state_peek_unmapped) {
  SharedWords();  // which would take the place otherwise
  auto* page = static_cast<char*>(
      mmap(nullptr, 12288, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  munmap(page + 4096, 4096);
  const pid_t pid = Traced(Forever);
  DO(PTRACE_PEEKDATA, pid, page + 4088, 0);
  DO(PTRACE_PEEKDATA, pid, page + 4092, 0);
  DO(PTRACE_PEEKDATA, pid, page + 4096, 0);
  DO(PTRACE_POKEDATA, pid, page + 4092, 0);
  DO(PTRACE_POKEDATA, pid, page + 4096, 0);
  DO(PTRACE_PEEKDATA, pid, 0, 0);
  DO(PTRACE_PEEKDATA, pid, -8L, 0);
  DO(PTRACE_POKETEXT, pid, 8, 0);
  KillAndReap(pid);
}

CASE(state_poke_protected) {
  auto* page =
      static_cast<long*>(mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  auto* hidden =
      static_cast<long*>(mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  const pid_t pid = Traced([page] { Say("it reads %ld", page[0]); });
  DO(PTRACE_POKEDATA, pid, page, 5);
  DO(PTRACE_POKEDATA, pid, hidden, 6);
  Say("peek: %ld", Ptrace(PTRACE_PEEKDATA, pid, ToArgument(hidden), 0));
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(state_memory_file) {
  const pid_t pid = Traced([] { Say("it reads %#lx", variable); });
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/mem", pid);
  const int file = open(path, O_RDWR);
  long word = 0;
  Say("read: %zd", pread(file, &word, sizeof word, static_cast<off_t>(Address(&variable))));
  Say("%#lx", word);
  word = 0x4321;
  Say("written: %zd", pwrite(file, &word, sizeof word, static_cast<off_t>(Address(&variable))));
  Say("read at zero: %zd", pread(file, &word, sizeof word, 0));
  close(file);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(state_memory_file_of_text) {
  // As debuggers write breakpoints.
  const pid_t pid = Traced(probe_nops);
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/mem", pid);
  const int file = open(path, O_RDWR);
  const auto place = static_cast<off_t>(reinterpret_cast<uint64_t>(probe_nops));
  const char trap = '\xcc';
  Say("written: %zd", pwrite(file, &trap, 1, place));
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
  Say("at %s", Place(pid, probe_nops).c_str());
  close(file);
  KillAndReap(pid);
}

CASE(state_memory_by_vm_calls) {
  const pid_t pid = Traced([] { Say("it reads %#lx", variable); });
  long word = 0;
  iovec here{&word, sizeof word};
  iovec there{const_cast<long*>(&variable), sizeof word};
  Say("read: %zd", process_vm_readv(pid, &here, 1, &there, 1, 0));
  Say("%#lx", word);
  word = 0x9876;
  Say("written: %zd", process_vm_writev(pid, &here, 1, &there, 1, 0));
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(state_user_area) {
  const pid_t pid = Traced(Forever);
  const user_regs_struct registers = Registers(pid);
  Say("rip %d",
      static_cast<unsigned long>(Ptrace(PTRACE_PEEKUSER, pid, 8 * 16, 0)) == registers.rip);
  Say("rsp %d",
      static_cast<unsigned long>(Ptrace(PTRACE_PEEKUSER, pid, 8 * 19, 0)) == registers.rsp);
  Say("cs %#lx", Ptrace(PTRACE_PEEKUSER, pid, 8 * 17, 0));
  Say("fs_base %d",
      static_cast<unsigned long>(Ptrace(PTRACE_PEEKUSER, pid, 8 * 21, 0)) == registers.fs_base);
  DO(PTRACE_PEEKUSER, pid, 3, 0);
  DO(PTRACE_PEEKUSER, pid, -8L, 0);
  DO(PTRACE_PEEKUSER, pid, sizeof(user) - 8, 0);
  DO(PTRACE_PEEKUSER, pid, sizeof(user), 0);
  DO(PTRACE_PEEKUSER, pid, 8 * 28, 0);
  DO(PTRACE_POKEUSER, pid, 3, 0);
  DO(PTRACE_POKEUSER, pid, sizeof(user), 0);
  DO(PTRACE_POKEUSER, pid, 8 * 28, 0);
  DO(PTRACE_POKEUSER, pid, 8 * 17, 0);
  DO(PTRACE_POKEUSER, pid, 8 * 17, 8);
  DO(PTRACE_POKEUSER, pid, 8 * 21, -1L);
  KillAndReap(pid);
}

CASE(state_registers_set) {
  const pid_t pid = Traced([] { Say("got %ld", probe_getppid()); });
  RunTo(pid, reinterpret_cast<void (*)()>(&probe_getppid));
  user_regs_struct registers = Registers(pid);
  registers.rip += 8;  // its ret
  registers.rax = 31;
  registers.rbx ^= 1;
  DO(PTRACE_SETREGS, pid, 0, &registers);
  const user_regs_struct after = Registers(pid);
  Say("the same: %d", memcmp(&registers, &after, sizeof after) == 0);
  registers.rbx ^= 1;
  DO(PTRACE_SETREGS, pid, 0, &registers);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(state_registers_of_bad_value) {
  const pid_t pid = Traced(Forever);
  user_regs_struct registers = Registers(pid);
  const user_regs_struct before = registers;
  registers.cs = 8;
  DO(PTRACE_SETREGS, pid, 0, &registers);
  registers = before;
  registers.fs_base = ~0UL;
  DO(PTRACE_SETREGS, pid, 0, &registers);
  registers = before;
  registers.eflags |= 0x3000 | 0x20000;
  DO(PTRACE_SETREGS, pid, 0, &registers);
  Say("flags %#llx", Registers(pid).eflags & 0x23000);
  DO(PTRACE_GETREGS, pid, 0, 8);
  DO(PTRACE_SETREGS, pid, 0, 8);
  KillAndReap(pid);
}

CASE(state_floating_point_seen_and_set) {
  long in[2] = {0x1111, 0x2222};
  long out[2] = {0, 0};
  const pid_t pid = Traced([&] {
    probe_sse(in, out);
    Say("it has %#lx %#lx", out[0], out[1]);
  });
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
  user_fpregs_struct registers{};
  DO(PTRACE_GETFPREGS, pid, 0, &registers);
  Say("xmm7 %#x %#x", registers.xmm_space[28], registers.xmm_space[30]);
  registers.xmm_space[28] = 0x3333;
  DO(PTRACE_SETFPREGS, pid, 0, &registers);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(state_requests_of_x86) {
  const pid_t pid = Traced(Forever);
  unsigned long base = 0;
  // PTRACE_ARCH_PRCTL has address and data the other way round.
  DO(30 /* PTRACE_ARCH_PRCTL */, pid, &base, 0x1003 /* ARCH_GET_FS */);
  Say("fs: %d", base == Registers(pid).fs_base);
  DO(30, pid, 0, 0x9999);
  unsigned area[4] = {};
  DO(25 /* PTRACE_GET_THREAD_AREA */, pid, 12, area);
  DO(25, pid, 99, area);
  DO(26 /* PTRACE_SET_THREAD_AREA */, pid, 99, area);
  DO(18 /* PTRACE_GETFPXREGS */, pid, 0, area);
  KillAndReap(pid);
}

CASE(state_rseq_configuration) {
  const pid_t pid = Traced(Forever);
  __ptrace_rseq_configuration configuration{};
  DO(PTRACE_GET_RSEQ_CONFIGURATION, pid, sizeof configuration, &configuration);
  Say("size %u flags %u, pointer %s", configuration.rseq_abi_size, configuration.flags,
      configuration.rseq_abi_pointer != 0 ? "set" : "none");
  DO(PTRACE_GET_RSEQ_CONFIGURATION, pid, 8, &configuration);
  DO(PTRACE_GET_RSEQ_CONFIGURATION, pid, sizeof configuration, 8);
  KillAndReap(pid);
}

CASE(state_syscall_user_dispatch) {
  // Newer than the headers.
  constexpr int PTRACE_SET_SYSCALL_USER_DISPATCH_CONFIG = 0x4210;
  constexpr int PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG = 0x4211;
  struct Config {
    uint64_t mode;
    uint64_t selector;
    uint64_t offset;
    uint64_t length;
  };
  static char selector = 0;
  const pid_t pid = Traced([] { Say("goes on %ld", syscall(SYS_getppid) > 0 ? 1L : 0L); });
  Config config{};
  const auto get = [&] {
    config = Config{7, 7, 7, 7};
    DO(PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG, pid, sizeof(config), &config);
    Say("mode %lu selector %d offset %#lx length %#lx", config.mode,
        config.selector == Address(&selector), config.offset, config.length);
  };
  get();
  DO(PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG, pid, sizeof(config) - 8, &config);
  DO(PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG, pid, sizeof(config), 8);
  config = Config{1, Address(&selector), 0x1000, 0x2000};
  DO(PTRACE_SET_SYSCALL_USER_DISPATCH_CONFIG, pid, sizeof(config), &config);
  get();
  config = Config{99, 0, 0, 0};
  DO(PTRACE_SET_SYSCALL_USER_DISPATCH_CONFIG, pid, sizeof(config), &config);
  DO(PTRACE_SET_SYSCALL_USER_DISPATCH_CONFIG, pid, sizeof(config) + 8, &config);
  config = Config{};
  DO(PTRACE_SET_SYSCALL_USER_DISPATCH_CONFIG, pid, sizeof(config), &config);
  get();
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(state_watch_writes) {
  const pid_t pid = Traced([] {
    probe_watched[0] = 1;
    probe_watched[1] = 2;
    probe_watched[0] = 3;
  });
  DO(PTRACE_POKEUSER, pid, DebugOffset(0), Address(&probe_watched[0]));
  DO(PTRACE_POKEUSER, pid, DebugOffset(7), Control(0, kOnWrite, 4));
  for (int n = 0; n < 2; ++n) {
    if (!ToDebugTrap(pid)) return;
    SayInfo(pid);
    SayDebugStatus(pid);
    Say("written: %ld", Ptrace(PTRACE_PEEKDATA, pid, Address(&probe_watched[0]), 0));
    DO(PTRACE_POKEUSER, pid, DebugOffset(6), 0);
  }
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(state_watch_accesses) {
  const pid_t pid = Traced([] { probe_watched[1] = probe_watched[0] + 1; });
  DO(PTRACE_POKEUSER, pid, DebugOffset(2), Address(&probe_watched[0]));
  DO(PTRACE_POKEUSER, pid, DebugOffset(7), Control(2, kOnAccess, 4));
  if (!ToDebugTrap(pid)) return;
  SayDebugStatus(pid);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(state_watch_two) {
  const pid_t pid = Traced([] {
    probe_watched[1] = 2;
    probe_watched[0] = 1;
  });
  DO(PTRACE_POKEUSER, pid, DebugOffset(0), Address(&probe_watched[0]));
  DO(PTRACE_POKEUSER, pid, DebugOffset(3), Address(&probe_watched[1]));
  DO(PTRACE_POKEUSER, pid, DebugOffset(7), Control(0, kOnWrite, 4) | Control(3, kOnWrite, 4));
  for (int n = 0; n < 2; ++n) {
    if (!ToDebugTrap(pid)) return;
    SayDebugStatus(pid);
    DO(PTRACE_POKEUSER, pid, DebugOffset(6), 0);
  }
  DO(PTRACE_POKEUSER, pid, DebugOffset(7), 0);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(state_hardware_breakpoint) {
  const pid_t pid = Traced([] {
    probe_nops();
    probe_nops();
  });
  DO(PTRACE_POKEUSER, pid, DebugOffset(1), reinterpret_cast<uint64_t>(probe_nops));
  DO(PTRACE_POKEUSER, pid, DebugOffset(7), Control(1, kOnExecute, 1));
  for (int n = 0; n < 2; ++n) {
    if (!ToDebugTrap(pid)) return;
    SayInfo(pid);
    SayDebugStatus(pid);
    Say("at %s", Place(pid, probe_nops).c_str());
  }
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(state_hardware_breakpoint_and_step) {
  const pid_t pid = Traced(probe_nops);
  DO(PTRACE_POKEUSER, pid, DebugOffset(0), reinterpret_cast<uint64_t>(probe_nops) + 2);
  DO(PTRACE_POKEUSER, pid, DebugOffset(7), Control(0, kOnExecute, 1));
  RunTo(pid, probe_nops);
  for (int n = 0; n < 3; ++n) {
    DO(PTRACE_SINGLESTEP, pid, 0, 0);
    Wait(pid);
    Say("at %s", Place(pid, probe_nops).c_str());
    SayDebugStatus(pid);
  }
  DO(PTRACE_POKEUSER, pid, DebugOffset(7), 0);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(state_debug_registers_of_bad_values) {
  const pid_t pid = Traced(Forever);
  DO(PTRACE_POKEUSER, pid, DebugOffset(4), 0);
  DO(PTRACE_POKEUSER, pid, DebugOffset(5), 0);
  DO(PTRACE_PEEKUSER, pid, DebugOffset(4), 0);
  DO(PTRACE_POKEUSER, pid, DebugOffset(0), -8L);
  DO(PTRACE_POKEUSER, pid, DebugOffset(7), Control(0, 2, 4));
  DO(PTRACE_POKEUSER, pid, DebugOffset(0), Address(&probe_watched[0]) + 1);
  DO(PTRACE_POKEUSER, pid, DebugOffset(7), Control(0, kOnWrite, 4));
  DO(PTRACE_POKEUSER, pid, DebugOffset(7), 0);
  Say("DR7 %#lx", Ptrace(PTRACE_PEEKUSER, pid, DebugOffset(7), 0));
  KillAndReap(pid);
}

CASE(state_debug_registers_kept) {
  const pid_t pid = Traced([] { raise(SIGUSR1); });
  DO(PTRACE_POKEUSER, pid, DebugOffset(0), Address(&probe_watched[0]));
  DO(PTRACE_POKEUSER, pid, DebugOffset(7), Control(0, kOnWrite, 4));
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
  Say("DR0 %d", static_cast<uint64_t>(Ptrace(PTRACE_PEEKUSER, pid, DebugOffset(0), 0)) ==
                    Address(&probe_watched[0]));
  Say("DR7 %#lx", Ptrace(PTRACE_PEEKUSER, pid, DebugOffset(7), 0));
  KillAndReap(pid);
}

CASE(state_debug_registers_at_exec) {
  const pid_t pid = Traced([] { execl("/bin/true", "true", nullptr); });
  DO(PTRACE_POKEUSER, pid, DebugOffset(0), Address(&probe_watched[0]));
  DO(PTRACE_POKEUSER, pid, DebugOffset(7), Control(0, kOnWrite, 4));
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
  Say("DR0 %#lx", Ptrace(PTRACE_PEEKUSER, pid, DebugOffset(0), 0));
  Say("DR7 %#lx", Ptrace(PTRACE_PEEKUSER, pid, DebugOffset(7), 0));
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(state_debug_status_after_step) {
  const pid_t pid = Traced([] {});
  DO(PTRACE_SINGLESTEP, pid, 0, 0);
  Wait(pid);
  Say("DR6 %#lx", Ptrace(PTRACE_PEEKUSER, pid, DebugOffset(6), 0));
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(state_debug_registers_of_new_thread) {
  const pid_t pid = Traced([] { std::thread([] { probe_watched[0] = 1; }).join(); });
  DO(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACECLONE);
  DO(PTRACE_SINGLESTEP, pid, 0, 0);
  Wait(pid);
  DO(PTRACE_POKEUSER, pid, DebugOffset(0), Address(&probe_watched[0]));
  DO(PTRACE_POKEUSER, pid, DebugOffset(7), Control(0, kOnWrite, 4));
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
  const pid_t thread = EventPid(pid, "thread");
  Wait(thread);
  const auto say = [&](const char* when) {
    Say("%s: DR0 %d DR6 %#lx DR7 %#lx", when,
        Ptrace(PTRACE_PEEKUSER, thread, DebugOffset(0), 0) != 0,
        Ptrace(PTRACE_PEEKUSER, thread, DebugOffset(6), 0),
        Ptrace(PTRACE_PEEKUSER, thread, DebugOffset(7), 0));
  };
  say("new");
  DO(PTRACE_POKEUSER, thread, DebugOffset(0), Address(&probe_watched[1]));
  say("with an address");
  DO(PTRACE_SINGLESTEP, thread, 0, 0);
  Wait(thread);
  say("stepped");
  DO(PTRACE_POKEUSER, thread, DebugOffset(7), 0);
  say("without control");
  DO(PTRACE_CONT, pid, 0, 0);
  DO(PTRACE_CONT, thread, 0, 0);
  Wait(thread);
  Wait(pid);
}
