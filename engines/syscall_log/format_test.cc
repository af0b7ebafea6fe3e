#include "engines/syscall_log/format.h"

#include <sys/syscall.h>

#include <cerrno>
#include <csignal>
#include <string>

#include "gtest/gtest.h"

namespace utrace::syscall_log {
namespace {

template <class... Args>
std::string Shown(void (*append)(Text&, Args...), std::type_identity_t<Args>... args) {
  Text text;
  append(text, args...);
  return fmt::to_string(text);
}

TEST(Format, NamesCalls) {
  EXPECT_EQ(Shown(AppendSyscallName, SYS_read), "read");
  EXPECT_EQ(Shown(AppendSyscallName, SYS_exit_group), "exit_group");
  EXPECT_EQ(Shown(AppendSyscallName, 1000), "syscall_0x3e8");
  EXPECT_EQ(Shown(AppendSyscallName, 1L << 40), "syscall_0x10000000000");
  EXPECT_EQ(Shown(AppendSyscallName, -1), "syscall_0xffffffffffffffff");
}

TEST(Format, ShowsSixRawArguments) {
  EXPECT_EQ(Shown(AppendCall, SYS_write, {1, 0x7ffc1234, 12, 0, ~uint64_t{0}, 6}),
            "write(0x1, 0x7ffc1234, 0xc, 0x0, 0xffffffffffffffff, 0x6)");
}

TEST(Format, ShowsOutcomes) {
  EXPECT_EQ(Shown(AppendOutcome, {0, 42}), "42");
  EXPECT_EQ(Shown(AppendOutcome, {0, -7}), "-7");
  EXPECT_EQ(Shown(AppendOutcome, {-ENOENT, 0}), "-1 ENOENT (No such file or directory)");
  EXPECT_EQ(Shown(AppendOutcome, {-4000, 0}), "-1 errno 4000");
  EXPECT_EQ(Shown(AppendOutcome, {-512, 0}),
            "? ERESTARTSYS (restarts unless a handler without SA_RESTART runs)");
  EXPECT_EQ(Shown(AppendOutcome, {-513, 0}), "? ERESTARTNOINTR (restarts)");
  EXPECT_EQ(Shown(AppendOutcome, {-514, 0}), "? ERESTARTNOHAND (restarts unless a handler runs)");
  EXPECT_EQ(Shown(AppendOutcome, {-516, 0}),
            "? ERESTART_RESTARTBLOCK (restarts with the remaining time unless a handler runs)");
}

TEST(Format, NamesSignals) {
  EXPECT_EQ(Shown(AppendSignalName, SIGSEGV), "SIGSEGV");
  EXPECT_EQ(Shown(AppendSignalName, SIGRTMIN), "SIGRTMIN");
  EXPECT_EQ(Shown(AppendSignalName, SIGRTMIN + 3), "SIGRTMIN+3");
  EXPECT_EQ(Shown(AppendSignalName, 33), "signal 33");
  EXPECT_EQ(Shown(AppendSignalName, 0), "signal 0");
}

std::string ShownInfo(const siginfo_t& info) {
  Text text;
  AppendSiginfo(text, info);
  return fmt::to_string(text);
}

TEST(Format, ShowsWhereASignalComesFrom) {
  siginfo_t child{};
  child.si_signo = SIGCHLD;
  child.si_code = CLD_EXITED;
  child.si_pid = 17;
  child.si_uid = 1000;
  child.si_status = 3;
  EXPECT_EQ(ShownInfo(child), "SIGCHLD {si_code=CLD_EXITED, si_pid=17, si_uid=1000, si_status=3}");
  child.si_code = CLD_KILLED;
  child.si_status = SIGKILL;
  EXPECT_EQ(ShownInfo(child),
            "SIGCHLD {si_code=CLD_KILLED, si_pid=17, si_uid=1000, si_status=SIGKILL}");

  siginfo_t fault{};
  fault.si_signo = SIGSEGV;
  fault.si_code = SEGV_MAPERR;
  fault.si_addr = reinterpret_cast<void*>(0x10);
  EXPECT_EQ(ShownInfo(fault), "SIGSEGV {si_code=SEGV_MAPERR, si_addr=0x10}");

  siginfo_t queued{};
  queued.si_signo = SIGRTMIN + 1;
  queued.si_code = SI_QUEUE;
  queued.si_pid = 5;
  queued.si_uid = 6;
  queued.si_value.sival_ptr = reinterpret_cast<void*>(0x2a);
  EXPECT_EQ(ShownInfo(queued), "SIGRTMIN+1 {si_code=SI_QUEUE, si_pid=5, si_uid=6, si_value=0x2a}");

  siginfo_t strange{};
  strange.si_signo = SIGUSR1;
  strange.si_code = 77;
  EXPECT_EQ(ShownInfo(strange), "SIGUSR1 {si_code=77}");

  siginfo_t kernel{};
  kernel.si_signo = SIGSEGV;
  kernel.si_code = SI_KERNEL;
  EXPECT_EQ(ShownInfo(kernel), "SIGSEGV {si_code=SI_KERNEL}");
}

TEST(Format, ShowsTheEnd) {
  EXPECT_EQ(Shown(AppendWaitStatus, 3 << 8), "exited with 3");
  EXPECT_EQ(Shown(AppendWaitStatus, SIGKILL), "killed by SIGKILL");
  EXPECT_EQ(Shown(AppendWaitStatus, SIGSEGV | 0x80), "killed by SIGSEGV (core dumped)");
}

}  // namespace
}  // namespace utrace::syscall_log
