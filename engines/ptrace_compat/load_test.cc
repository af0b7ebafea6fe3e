// Tracers and tracees that come and go under load: nobody is lost, and no program is harmed.
#include <atomic>
#include <random>

#include "engines/ptrace_compat/emulation_testing.h"

namespace utrace::ptrace_compat {
namespace {

constexpr int kRounds = 40;
constexpr int kThreads = 3;
constexpr int kSignals = 20;  // of each thread
alignas(16) char g_stacks[kThreads][64 << 10];
std::atomic<int>* g_running = nullptr;

int Thread(void* /*unused*/) {
  for (int i = 0; i < kSignals; ++i) {
    syscall(SYS_getppid);
    syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGUSR1);
  }
  g_running->fetch_sub(1);
  syscall(SYS_exit, 0);
  return 0;
}

// Children that get a signal and end, and threads that do.
void Work(char /*command*/) {
  signal(SIGUSR1, CountSignal);
  for (int round = 0; round < kRounds; ++round) {
    const pid_t child = fork();
    if (child == 0) {
      raise(SIGUSR1);
      syscall(SYS_exit_group, round & 0x7f);
    }
    g_running->store(kThreads);
    for (auto& stack : g_stacks) {
      clone(Thread, stack + sizeof(stack),
            CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM,
            nullptr);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (status != (round & 0x7f) << 8) _exit(99);
    while (g_running->load() != 0) syscall(SYS_sched_yield);
  }
  _exit(42);
}

class LoadTest : public EmulationTest {
 protected:
  LoadTest() {
    void* memory = mmap(nullptr, sizeof(*g_running), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    g_running = new (memory) std::atomic<int>(0);
  }

  // Traces as strace does, until nothing is left, or for `events` of them.
  static int Trace(TestTracer& tracer, int request, int events) {
    int seen = 0;
    int last_end = -1;
    for (; seen < events; ++seen) {
      const wire::WaitReply reply = tracer.Wait(0);
      if (reply.outcome != wire::WaitOutcome::kEvent) break;
      if (!WIFSTOPPED(reply.status)) {
        last_end = reply.status;
        continue;
      }
      const int signal = WSTOPSIG(reply.status);
      const bool group = reply.status >> 16 == 128 && signal != SIGTRAP;
      const bool pass = reply.status >> 16 == 0 && (signal & 0x80) == 0 && signal != SIGTRAP;
      // Fails where the tracee was killed meanwhile.
      tracer.Ptrace(group ? PTRACE_LISTEN : request, reply.pid, 0,
                    pass ? static_cast<uint64_t>(signal) : 0);
    }
    return last_end;
  }
};

constexpr uint64_t kOptions = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACECLONE |
                              PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXIT | PTRACE_O_TRACEEXEC;
constexpr int kEndless = 1 << 30;

TEST_F(LoadTest, TwoTracersOfABusyProcess) {
  const Puppet puppet(Work);
  TestTracer calls(emulation_);
  TestTracer events(emulation_);
  ASSERT_EQ(calls.Ptrace(PTRACE_SEIZE, puppet.pid(), 0, kOptions), 0);
  ASSERT_EQ(events.Ptrace(PTRACE_SEIZE, puppet.pid(), 0, kOptions), 0);
  puppet.Tell('w');
  ASSERT_EQ(calls.Ptrace(PTRACE_INTERRUPT, puppet.pid()), 0);
  int ends[2] = {-1, -1};
  std::thread other([&] { ends[1] = Trace(events, PTRACE_CONT, kEndless); });
  ends[0] = Trace(calls, PTRACE_SYSCALL, kEndless);
  other.join();
  EXPECT_EQ(puppet.AwaitEnd(), 42 << 8);
  EXPECT_EQ(ends[0], 42 << 8);
  EXPECT_EQ(ends[1], 42 << 8);
  EXPECT_EQ(g_shared->handled, kRounds * (1 + kThreads * kSignals));
  EXPECT_EQ(calls.Look(0).outcome, wire::WaitOutcome::kNoTracee);
}

TEST_F(LoadTest, TracersThatAreKilledHarmNobody) {
  const Puppet puppet(Work);
  puppet.Tell('w');
  std::atomic<bool> over = false;
  const auto come_and_go = [&](unsigned seed, int request) {
    std::mt19937 own(seed);
    while (!over) {
      TestTracer tracer(emulation_);
      if (tracer.Ptrace(PTRACE_SEIZE, puppet.pid(), 0, kOptions) != 0) break;
      tracer.Ptrace(PTRACE_INTERRUPT, puppet.pid());
      Trace(tracer, request, static_cast<int>(own() % 60));
      tracer.Kill();
    }
  };
  std::thread first([&] { come_and_go(1, PTRACE_SYSCALL); });
  std::thread second([&] { come_and_go(2, PTRACE_CONT); });
  std::thread third([&] { come_and_go(3, PTRACE_SINGLESTEP); });
  EXPECT_EQ(puppet.AwaitEnd(), 42 << 8);
  over = true;
  EXPECT_EQ(g_shared->handled, kRounds * (1 + kThreads * kSignals));
  for (std::thread* thread : {&first, &second, &third}) thread->join();
}

}  // namespace
}  // namespace utrace::ptrace_compat
