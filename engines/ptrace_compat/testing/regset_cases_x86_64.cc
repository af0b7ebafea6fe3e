// Register sets, by their notes.
#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <unistd.h>

#include "engines/ptrace_compat/testing/machine_x86_64.h"
#include "engines/ptrace_compat/testing/probe.h"

using namespace probe;

CASE(state_regset_of_general_registers) {
  const pid_t pid = Traced(Forever);
  user_regs_struct registers{};
  const user_regs_struct plain = Registers(pid);
  iovec vector{&registers, sizeof registers};
  DO(PTRACE_GETREGSET, pid, NT_PRSTATUS, &vector);
  Say("%zu bytes, the same: %d", vector.iov_len, memcmp(&registers, &plain, sizeof plain) == 0);
  vector.iov_len = 16;
  DO(PTRACE_GETREGSET, pid, NT_PRSTATUS, &vector);
  Say("%zu bytes", vector.iov_len);
  vector.iov_len = 1000;
  char large[1000];
  vector.iov_base = large;
  DO(PTRACE_GETREGSET, pid, NT_PRSTATUS, &vector);
  Say("%zu bytes", vector.iov_len);
  vector = {&registers, 13};
  DO(PTRACE_GETREGSET, pid, NT_PRSTATUS, &vector);
  vector = {&registers, 16};
  registers.r15 = 5;
  DO(PTRACE_SETREGSET, pid, NT_PRSTATUS, &vector);
  Say("%zu bytes, r15 %llu", vector.iov_len, Registers(pid).r15);
  vector = {&registers, 0};
  DO(PTRACE_GETREGSET, pid, NT_PRSTATUS, &vector);
  Say("%zu bytes", vector.iov_len);
  vector = {nullptr, sizeof registers};
  DO(PTRACE_GETREGSET, pid, NT_PRSTATUS, &vector);
  DO(PTRACE_GETREGSET, pid, NT_PRSTATUS, nullptr);
  KillAndReap(pid);
  DO(PTRACE_GETREGSET, pid, NT_PRSTATUS, nullptr);
}

CASE(state_regset_lengths) {
  const pid_t pid = Traced(Forever);
  static char area[128 << 10];
  const struct {
    const char* name;
    unsigned note;
  } notes[] = {
      {"NT_PRSTATUS", NT_PRSTATUS}, {"NT_PRFPREG", NT_PRFPREG}, {"NT_X86_XSTATE", NT_X86_XSTATE}};
  for (const auto& [name, note] : notes) {
    for (const size_t length : {size_t{0}, size_t{8}, size_t{12}, size_t{511}, size_t{512},
                                size_t{61440}, size_t{61448}, size_t{100000}, size_t{100001}}) {
      iovec vector{area, length};
      const long got = Ptrace(PTRACE_GETREGSET, pid, note, ToArgument(&vector));
      const int error = got < 0 ? errno : 0;
      Say("get %s, %zu: %s, %zu", name, length, ErrorName(error).c_str(), vector.iov_len);
      vector.iov_len = length;
      const long set = Ptrace(PTRACE_SETREGSET, pid, note, ToArgument(&vector));
      const int set_error = set < 0 ? errno : 0;
      Say("set %s, %zu: %s, %zu", name, length, ErrorName(set_error).c_str(), vector.iov_len);
    }
  }
  iovec vector{nullptr, sizeof(user_regs_struct)};
  DO(PTRACE_SETREGSET, pid, NT_PRSTATUS, &vector);
  Say("%zu bytes", vector.iov_len);
  DO(PTRACE_SETREGSET, pid, NT_PRSTATUS, nullptr);
  DO(PTRACE_SETREGS, pid, 0, nullptr);
  DO(PTRACE_GETREGS, pid, 0, nullptr);
  KillAndReap(pid);
  // Whose tracee it is comes first.
  DO(PTRACE_SETREGSET, pid, NT_PRSTATUS, nullptr);
  DO(PTRACE_SETREGSET, pid, NT_PRSTATUS, &vector);
  DO(PTRACE_SETREGS, pid, 0, nullptr);
  DO(PTRACE_SETSIGINFO, pid, 0, nullptr);
  DO(PTRACE_GETREGS, pid, 0, nullptr);
}

CASE(state_regset_of_floating_point) {
  const pid_t pid = Traced(Forever);
  user_fpregs_struct registers{};
  user_fpregs_struct plain{};
  DO(PTRACE_GETFPREGS, pid, 0, &plain);
  iovec vector{&registers, sizeof registers};
  DO(PTRACE_GETREGSET, pid, NT_PRFPREG, &vector);
  Say("%zu bytes, the same: %d", vector.iov_len, memcmp(&registers, &plain, sizeof plain) == 0);
  registers.xmm_space[0] = 77;
  DO(PTRACE_SETREGSET, pid, NT_PRFPREG, &vector);
  DO(PTRACE_GETFPREGS, pid, 0, &plain);
  Say("xmm0 %u", plain.xmm_space[0]);
  vector.iov_len = 64;
  DO(PTRACE_SETREGSET, pid, NT_PRFPREG, &vector);
  registers.mxcsr = ~0U;
  vector.iov_len = sizeof registers;
  DO(PTRACE_SETREGSET, pid, NT_PRFPREG, &vector);
  KillAndReap(pid);
}

CASE(state_regset_of_extended_state) {
  const pid_t pid = Traced(Forever);
  static char area[16384];
  iovec vector{area, sizeof area};
  DO(PTRACE_GETREGSET, pid, NT_X86_XSTATE, &vector);
  Say("%zu bytes", vector.iov_len);
  const size_t size = vector.iov_len;
  DO(PTRACE_SETREGSET, pid, NT_X86_XSTATE, &vector);
  vector.iov_len = size - 8;
  DO(PTRACE_SETREGSET, pid, NT_X86_XSTATE, &vector);
  vector.iov_len = 512;
  DO(PTRACE_GETREGSET, pid, NT_X86_XSTATE, &vector);
  Say("%zu bytes", vector.iov_len);
  memset(area + 512, 0xff, 8);  // features that no processor has
  vector.iov_len = size;
  DO(PTRACE_SETREGSET, pid, NT_X86_XSTATE, &vector);
  KillAndReap(pid);
}

CASE(state_regset_of_all_notes) {
  const pid_t pid = Traced(Forever);
  static char area[16384];
  const struct {
    const char* name;
    unsigned note;
  } notes[] = {{"NT_PRPSINFO", NT_PRPSINFO},
               {"NT_386_TLS", NT_386_TLS},
               {"NT_386_IOPERM", NT_386_IOPERM},
               {"NT_PRXFPREG", NT_PRXFPREG},
               {"NT_X86_SHSTK", 0x204},
               {"NT_ARM_VFP", NT_ARM_VFP},
               {"unknown", 0x7777},
               {"zero", 0}};
  for (const auto& [name, note] : notes) {
    iovec vector{area, sizeof area};
    const long result = Ptrace(PTRACE_GETREGSET, pid, note, ToArgument(&vector));
    Say("get %s: %s, %zu bytes", name, ErrorName(result < 0 ? errno : 0).c_str(), vector.iov_len);
    const long set = Ptrace(PTRACE_SETREGSET, pid, note, ToArgument(&vector));
    Say("set %s: %s", name, ErrorName(set < 0 ? errno : 0).c_str());
  }
  KillAndReap(pid);
}
