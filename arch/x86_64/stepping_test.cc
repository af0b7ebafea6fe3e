#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "arch/arch.h"
#include "arch/x86_64/tracee_for_test.h"
#include "gtest/gtest.h"

__asm__(R"(
.pushsection .text.walk, "ax", @progbits
.globl walk_to_branch
.hidden walk_to_branch
.globl walk_target
.hidden walk_target
walk_to_branch:
  nop
  nop
  jmp walk_target
  ud2
walk_target:
  jmp walk_target
.popsection
)");
extern "C" const char walk_to_branch[];
extern "C" const char walk_target[];

namespace utrace::arch {
namespace {

// Runs `body` in a child of its own, as it changes the process for good; its result.
int InChild(const std::function<int()>& body) {
  const pid_t pid = fork();
  if (pid == 0) _exit(body());
  int status = 0;
  EXPECT_EQ(waitpid(pid, &status, 0), pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// From now on ptrace(request, ...) fails with EIO in this process.
bool ForbidPtrace(uint32_t request) {
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ptrace, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[0])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, request, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EIO),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program = {.len = std::size(filter), .filter = filter};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

bool HasChildren() {
  siginfo_t info;
  return waitid(P_ALL, 0, &info, WEXITED | WSTOPPED | WNOHANG | WNOWAIT | __WALL) == 0 ||
         errno != ECHILD;
}

int Encode(const StepAbilities& abilities) {
  return (abilities.single_step ? 1 : 0) | (abilities.block_step ? 2 : 0);
}

TEST(ProbeSteppingTest, FindsSingleStepAndLeavesNoChild) {
  const StepAbilities abilities = ProbeStepping();
  EXPECT_TRUE(abilities.single_step);
  EXPECT_FALSE(HasChildren());
  RecordProperty("block_step", abilities.block_step);
}

// Where a child of the test's own stops after `request`.
uint64_t EndOfStep(int request) {
  Tracee tracee([] { pause(); });
  tracee.Interrupt();
  GeneralRegisters regs = tracee.Registers();
  SetPc(regs, reinterpret_cast<uintptr_t>(walk_to_branch));
  SetSyscallNumber(regs, -1);
  tracee.SetRegisters(regs);
  tracee.Resume(request);
  const int status = tracee.Wait();
  EXPECT_TRUE(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP) << status;
  return Pc(tracee.Registers());
}

// [STP-01, STP-03]
TEST(ProbeSteppingTest, AgreesWithWhatStepsDo) {
  const StepAbilities abilities = ProbeStepping();
  const uint64_t start = reinterpret_cast<uintptr_t>(walk_to_branch);
  EXPECT_EQ(abilities.single_step, EndOfStep(PTRACE_SINGLESTEP) == start + 1);
  EXPECT_EQ(abilities.block_step,
            EndOfStep(PTRACE_SINGLEBLOCK) == reinterpret_cast<uintptr_t>(walk_target));
}

TEST(ProbeSteppingTest, AnswersTheSameEveryTime) {
  const int first = Encode(ProbeStepping());
  for (int i = 0; i < 20; ++i) EXPECT_EQ(Encode(ProbeStepping()), first);
}

TEST(ProbeSteppingTest, KeepsTheSignalMask) {
  sigset_t mask, after;
  sigemptyset(&mask);
  sigaddset(&mask, SIGUSR2);
  pthread_sigmask(SIG_SETMASK, &mask, nullptr);
  ProbeStepping();
  pthread_sigmask(SIG_SETMASK, nullptr, &after);
  for (int signal = 1; signal < 32; ++signal) {
    EXPECT_EQ(sigismember(&after, signal), signal == SIGUSR2) << signal;
  }
  sigemptyset(&mask);
  pthread_sigmask(SIG_SETMASK, &mask, nullptr);
}

TEST(ProbeSteppingTest, WorksWhateverTheProgramDoesWithItsSignals) {
  const int expected = Encode(ProbeStepping());
  for (const int signal : {SIGCHLD, SIGTRAP}) {
    EXPECT_EQ(InChild([signal] {
                signal == SIGCHLD ? ::signal(SIGCHLD, SIG_IGN) : ::signal(SIGTRAP, SIG_IGN);
                const int result = Encode(ProbeStepping());
                return HasChildren() ? 99 : result;
              }),
              expected);
  }
}

// Other threads allocate, probe and steal wait statuses meanwhile.
TEST(ProbeSteppingTest, WorksAmongThreads) {
  const int expected = Encode(ProbeStepping());
  std::atomic<bool> stop = false;
  std::vector<std::thread> noise;
  for (int i = 0; i < 2; ++i) {
    noise.emplace_back([&stop, i] {
      while (!stop) {
        const auto memory = std::make_unique<std::string>(100 + i, 'x');
        EXPECT_EQ(memory->back(), 'x');
      }
    });
  }
  noise.emplace_back([&stop] {
    while (!stop) {
      waitpid(-1, nullptr, WNOHANG | WUNTRACED);
      std::this_thread::yield();
    }
  });
  std::vector<std::thread> probers;
  for (int i = 0; i < 2; ++i) {
    probers.emplace_back([expected] {
      for (int j = 0; j < 5; ++j) EXPECT_EQ(Encode(ProbeStepping()), expected);
    });
  }
  for (std::thread& thread : probers) thread.join();
  stop = true;
  for (std::thread& thread : noise) thread.join();
  EXPECT_FALSE(HasChildren());
}

struct Refusal {
  const char* name;
  uint32_t request;
  int at_most;  // of the abilities
};

class ProbeSteppingRefusedTest : public testing::TestWithParam<Refusal> {};

TEST_P(ProbeSteppingRefusedTest, ReportsNoAbilityAndLeavesNoChild) {
  const int expected = Encode(ProbeStepping()) & GetParam().at_most;
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(InChild([] {
              if (!ForbidPtrace(GetParam().request)) return 98;
              const int result = Encode(ProbeStepping());
              return HasChildren() ? 99 : result;
            }),
            expected);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
}

INSTANTIATE_TEST_SUITE_P(Requests, ProbeSteppingRefusedTest,
                         testing::Values(Refusal{"TraceMe", PTRACE_TRACEME, 0},
                                         Refusal{"GetRegSet", PTRACE_GETREGSET, 0},
                                         Refusal{"SetRegSet", PTRACE_SETREGSET, 0},
                                         Refusal{"GetSigInfo", PTRACE_GETSIGINFO, 0},
                                         Refusal{"SingleStep", PTRACE_SINGLESTEP, 0},
                                         Refusal{"SingleBlock", PTRACE_SINGLEBLOCK, 1}),
                         [](const auto& param) { return param.param.name; });

}  // namespace
}  // namespace utrace::arch
