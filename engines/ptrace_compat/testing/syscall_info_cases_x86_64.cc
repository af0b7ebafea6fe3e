// PTRACE_GET_SYSCALL_INFO and PTRACE_SET_SYSCALL_INFO.
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engines/ptrace_compat/testing/machine_x86_64.h"
#include "engines/ptrace_compat/testing/probe.h"

using namespace probe;

namespace {

constexpr long kSetSyscallInfo = 0x4212;  // PTRACE_SET_SYSCALL_INFO, newer than the C library

const auto kGetppid = reinterpret_cast<void (*)()>(&probe_getppid);

using Info = __ptrace_syscall_info;

Info SayCall(pid_t pid) {
  Info info;
  memset(&info, 0x55, sizeof info);
  DO(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info);
  Say("op %u, x86_64 %d, at the place %d, on the stack %d", info.op, info.arch == AUDIT_ARCH_X86_64,
      info.instruction_pointer == Registers(pid).rip, info.stack_pointer == Registers(pid).rsp);
  if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
    Say("number %llu", static_cast<long long unsigned>(info.entry.nr));
  if (info.op == PTRACE_SYSCALL_INFO_EXIT) {
    Say("error %u, %s", info.exit.is_error, info.exit.rval > 0 ? "positive" : "not positive");
  }
  if (info.op == PTRACE_SYSCALL_INFO_SECCOMP) {
    Say("number %llu, data %u", static_cast<long long unsigned>(info.seccomp.nr),
        info.seccomp.ret_data);
  }
  return info;
}

void SayResult() {
  const long result = probe_getppid();
  Say("getppid: %s", result == getppid() ? "the parent"
                     : result < 0        ? ErrorName(static_cast<int>(-result)).c_str()
                                         : std::to_string(result).c_str());
}

// Stopped at the entry of getppid.
pid_t AtEntry() {
  const pid_t pid = Traced(SayResult);
  Ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD);
  RunTo(pid, kGetppid);
  DO(PTRACE_SYSCALL, pid, 0, 0);
  Wait(pid);
  return pid;
}

}  // namespace

CASE(info_of_entry_and_exit) {
  const pid_t pid = AtEntry();
  SayCall(pid);
  DO(PTRACE_SYSCALL, pid, 0, 0);
  Wait(pid);
  SayCall(pid);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(info_of_other_stops) {
  const pid_t pid = Seized(PTRACE_O_TRACEEXIT, [] { raise(SIGUSR1); });
  Wait(pid);
  SayCall(pid);
  DO(PTRACE_INTERRUPT, pid, 0, 0);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
  SayCall(pid);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
  SayCall(pid);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(info_without_sysgood) {
  // Without TRACESYSGOOD the kernel cannot tell the stop of a call from others.
  const pid_t pid = Traced(SayResult);
  RunTo(pid, kGetppid);
  DO(PTRACE_SYSCALL, pid, 0, 0);
  Wait(pid);
  SayCall(pid);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(info_into_little_room) {
  const pid_t pid = AtEntry();
  char room[128];
  for (const unsigned size : {0U, 1U, 24U, 33U, 128U}) {
    memset(room, 0x55, sizeof room);
    DO(PTRACE_GET_SYSCALL_INFO, pid, size, room);
    Say("%u: behind it %s", size,
        size == sizeof room || room[size] == 0x55 ? "untouched" : "written");
  }
  DO(PTRACE_GET_SYSCALL_INFO, pid, 8, 8);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(info_of_failed_call) {
  const pid_t pid = Traced([] { probe_getppid(); });
  Ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD);
  RunTo(pid, kGetppid);
  DO(PTRACE_SYSCALL, pid, 0, 0);
  Wait(pid);
  DO(PTRACE_POKEUSER, pid, 8 * 15, 9999);
  DO(PTRACE_SYSCALL, pid, 0, 0);
  Wait(pid);
  const Info info = SayCall(pid);
  Say("%s", ErrorName(static_cast<int>(-info.exit.rval)).c_str());
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(info_of_seccomp) {
  const pid_t pid = Seized(PTRACE_O_TRACESECCOMP, [] {
    sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE | 99),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const sock_fprog program{4, code};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) Scene("no filter");
    probe_getppid();
  });
  Wait(pid);
  SayCall(pid);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(info_set_at_entry) {
  const pid_t pid = AtEntry();
  Info info = SayCall(pid);
  info.entry.nr = SYS_getuid;
  DO(kSetSyscallInfo, pid, sizeof info, &info);
  DO(PTRACE_SYSCALL, pid, 0, 0);
  Wait(pid);
  Say("rax %llu", Registers(pid).rax);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(info_set_to_skip) {
  const pid_t pid = AtEntry();
  Info info = SayCall(pid);
  info.entry.nr = ~0UL;
  DO(kSetSyscallInfo, pid, sizeof info, &info);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(info_set_at_exit) {
  const pid_t pid = AtEntry();
  DO(PTRACE_SYSCALL, pid, 0, 0);
  Wait(pid);
  Info info = SayCall(pid);
  info.exit.rval = -EXDEV;
  info.exit.is_error = 1;
  DO(kSetSyscallInfo, pid, sizeof info, &info);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}

CASE(info_set_wrongly) {
  const pid_t pid = AtEntry();
  const Info info = SayCall(pid);
  Info wrong = info;
  wrong.op = PTRACE_SYSCALL_INFO_EXIT;
  DO(kSetSyscallInfo, pid, sizeof wrong, &wrong);
  wrong = info;
  wrong.op = 77;
  DO(kSetSyscallInfo, pid, sizeof wrong, &wrong);
  wrong = info;
  wrong.entry.nr = 1UL << 40;
  DO(kSetSyscallInfo, pid, sizeof wrong, &wrong);
  DO(kSetSyscallInfo, pid, 8, &info);
  DO(kSetSyscallInfo, pid, sizeof info, 8);
  DO(PTRACE_KILL, pid, 0, 0);
  Wait(pid);
}

CASE(info_set_outside_of_calls) {
  const pid_t pid = Seized(0, [] { raise(SIGUSR1); });
  Wait(pid);
  Info info = SayCall(pid);
  DO(kSetSyscallInfo, pid, sizeof info, &info);
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}
