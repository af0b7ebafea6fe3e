// Debuggers that are killed while threads run into their breakpoints: no thread dies of that, or misses the
// instruction that was there.
#include <filesystem>

#include "engines/ptrace_compat/emulation_testing.h"

namespace utrace::ptrace_compat {
namespace {

extern "C" {
// -1; but 0 if the instruction at utrace_test_set_carry, of one byte, did not run.
int utrace_test_carry();
extern const char utrace_test_set_carry[];
}
asm(R"(
  .text
  .globl utrace_test_carry
utrace_test_carry:
  clc
  .globl utrace_test_set_carry
utrace_test_set_carry:
  stc
  sbb %eax, %eax
  ret
)");

constexpr int kThreads = 3;
alignas(16) char g_stacks[kThreads][64 << 10];

int CallForEver(void* /*unused*/) {
  for (;;) {
    if (utrace_test_carry() != -1) ++g_shared->handled;
  }
}

// 's': starts the threads.
void Work(char command) {
  if (command != 's') return;
  for (auto& stack : g_stacks) {
    clone(CallForEver, stack + sizeof(stack),
          CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM,
          nullptr);
  }
}

std::vector<pid_t> ThreadsOf(pid_t pid) {
  std::vector<pid_t> threads;
  for (const auto& task :
       std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task")) {
    threads.push_back(static_cast<pid_t>(std::stol(task.path().filename())));
  }
  return threads;
}

class KilledDebuggerTest : public EmulationTest {
 protected:
  static uint64_t Place() { return reinterpret_cast<uint64_t>(&utrace_test_set_carry[0]); }

  // Attaches to all threads of the puppet, and sets the breakpoint; then they run.
  static void Debug(TestTracer& tracer, const Puppet& puppet) {
    for (const pid_t thread : ThreadsOf(puppet.pid())) {
      ASSERT_EQ(tracer.Ptrace(PTRACE_SEIZE, thread), 0);
    }
    ASSERT_EQ(tracer.Ptrace(PTRACE_INTERRUPT, puppet.pid()), 0);
    ASSERT_EQ(tracer.WaitStatus(puppet.pid()), kEventStopStatus(SIGTRAP));
    const auto word =
        static_cast<uint64_t>(tracer.Ask(PTRACE_PEEKTEXT, puppet.pid(), Place()).reply.result);
    ASSERT_EQ(tracer.Ptrace(PTRACE_POKETEXT, puppet.pid(), Place(), (word & ~0xffULL) | 0xcc), 0);
  }
  static void ExpectUnharmed(const Puppet& puppet) {
    const int fd = open(("/proc/" + std::to_string(puppet.pid()) + "/mem").c_str(), O_RDONLY);
    uint8_t byte = 0;
    ASSERT_EQ(pread(fd, &byte, 1, static_cast<off_t>(Place())), 1);
    close(fd);
    EXPECT_EQ(byte, 0xf9);
    puppet.Do('-');
    EXPECT_EQ(ThreadsOf(puppet.pid()).size(), kThreads + 1U);
    EXPECT_EQ(g_shared->handled, 0) << "calls in which the instruction was missed";
  }
  void AwaitNoTracer() const {
    while (!emulation_.Idle()) sched_yield();
  }
};

TEST_F(KilledDebuggerTest, NoThreadDiesOfItsBreakpoint) {
  const Puppet puppet(Work);
  puppet.Do('s');
  for (int round = 0; round < 30; ++round) {
    TestTracer tracer(emulation_);
    ASSERT_NO_FATAL_FAILURE(Debug(tracer, puppet));
    tracer.Kill();
    AwaitNoTracer();
    ASSERT_NO_FATAL_FAILURE(ExpectUnharmed(puppet));
  }
}

TEST_F(KilledDebuggerTest, NorWhereAnotherOneStays) {
  const Puppet puppet(Work);
  puppet.Do('s');
  TestTracer other(emulation_);
  for (const pid_t thread : ThreadsOf(puppet.pid())) {
    ASSERT_EQ(other.Ptrace(PTRACE_SEIZE, thread), 0);
  }
  for (int round = 0; round < 30; ++round) {
    TestTracer tracer(emulation_);
    ASSERT_NO_FATAL_FAILURE(Debug(tracer, puppet));
    tracer.Kill();
    while (emulation_.TracersOf(puppet.pid()).size() != 1) sched_yield();
    ASSERT_NO_FATAL_FAILURE(ExpectUnharmed(puppet));
    EXPECT_EQ(other.Look(0).outcome, wire::WaitOutcome::kNothing);
  }
}

}  // namespace
}  // namespace utrace::ptrace_compat
