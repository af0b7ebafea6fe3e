// What a system call costs under trace, next to the least that ptrace can do, in one run.
//
// Every benchmark runs this program itself as the target, which makes a fixed number of getppid calls
// and reports the time that they took; its start and end are not measured. Tracer and target are left
// where the scheduler puts them, or, with UTRACE_BENCH_CPU=N in the environment, on one processor.
#include <benchmark/benchmark.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/linux/command.h"
#include "core/utrace.h"

namespace {

constexpr int kCalls = 20000;
constexpr char kTargetFlag[] = "--target";

double Now() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// The measured part of a target; writes the seconds per call to descriptor 1.
int RunTarget() {
  for (int i = 0; i < 100; ++i) syscall(SYS_getppid);
  const double start = Now();
  for (int i = 0; i < kCalls; ++i) syscall(SYS_getppid);
  const double seconds = (Now() - start) / kCalls;
  return write(STDOUT_FILENO, &seconds, sizeof(seconds)) == sizeof(seconds) ? 0 : 1;
}

// Runs `start_and_wait` with standard output going to a pipe, and reads what the target reports.
double Measure(const std::function<bool()>& start_and_wait) {
  int ends[2];
  if (pipe(ends) != 0) return -1;
  const int saved = dup(STDOUT_FILENO);
  dup2(ends[1], STDOUT_FILENO);
  close(ends[1]);
  const bool good = start_and_wait();
  dup2(saved, STDOUT_FILENO);
  close(saved);
  double seconds = -1;
  if (read(ends[0], &seconds, sizeof(seconds)) != sizeof(seconds)) seconds = -1;
  close(ends[0]);
  return good ? seconds : -1;
}

void Report(benchmark::State& state, const std::function<bool()>& start_and_wait) {
  for (auto unused : state) {
    (void)unused;
    const double seconds = Measure(start_and_wait);
    if (seconds < 0) {
      state.SkipWithError("the target did not report");
      return;
    }
    state.SetIterationTime(seconds);
  }
}

bool Exited(int status) { return WIFEXITED(status) && WEXITSTATUS(status) == 0; }

// ---- Without utrace ------------------------------------------------------------------------------

void Untraced(benchmark::State& state) {
  Report(state, [] {
    const pid_t pid = fork();
    if (pid == 0) _exit(RunTarget());
    int status = 0;
    return waitpid(pid, &status, 0) == pid && Exited(status);
  });
}
BENCHMARK(Untraced)->UseManualTime()->Unit(benchmark::kNanosecond);

// Two stops per call and nothing else: what any tracer pays.
void BarePtrace(benchmark::State& state) {
  Report(state, [] {
    const pid_t pid = fork();
    if (pid == 0) {
      raise(SIGSTOP);
      _exit(RunTarget());
    }
    int status = 0;
    waitpid(pid, &status, WUNTRACED);
    if (ptrace(PTRACE_SEIZE, pid, nullptr, PTRACE_O_TRACESYSGOOD) != 0) return false;
    kill(pid, SIGCONT);
    for (;;) {
      if (waitpid(pid, &status, __WALL) != pid) return false;
      if (WIFEXITED(status) || WIFSIGNALED(status)) return Exited(status);
      ptrace(PTRACE_SYSCALL, pid, nullptr, nullptr);
    }
  });
}
BENCHMARK(BarePtrace)->UseManualTime()->Unit(benchmark::kNanosecond);

// ---- Under engines -------------------------------------------------------------------------------

uint32_t OnEntry(uint32_t /*action*/, utrace_engine* /*engine*/, utrace_task* /*task*/,
                 utrace_regs* /*regs*/) {
  return UTRACE_RESUME;
}
uint32_t OnExit(uint32_t /*action*/, utrace_engine* /*engine*/, utrace_task* /*task*/,
                utrace_regs* /*regs*/) {
  return UTRACE_RESUME;
}
void OnReap(utrace_engine* /*engine*/, utrace_task* /*task*/) {}

constexpr utrace_engine_ops kOps = [] {
  utrace_engine_ops ops{};
  ops.report_syscall_entry = OnEntry;
  ops.report_syscall_exit = OnExit;
  ops.report_reap = OnReap;
  return ops;
}();

// `range(0)` engines with the given events.
void Engines(benchmark::State& state, unsigned long events) {
  Report(state, [&] {
    std::unique_ptr<utrace::linux_host::Command> command;
    std::string error;
    if (utrace::linux_host::Command::Start({"/proc/self/exe", kTargetFlag}, &command, &error) !=
        0) {
      return false;
    }
    for (int64_t i = 0; i < state.range(0); ++i) {
      utrace_engine* engine =
          utrace_attach_task(command->task(), UTRACE_ATTACH_CREATE, &kOps, nullptr);
      if (UTRACE_IS_ERR(engine)) return false;
      utrace_set_events(command->task(), engine, events);
      utrace_engine_put(engine);
    }
    return command->Release() == 0 && Exited(command->Wait());
  });
}

void EnginesForNothing(benchmark::State& state) { Engines(state, UTRACE_EVENT(REAP)); }
BENCHMARK(EnginesForNothing)->Arg(1)->UseManualTime()->Unit(benchmark::kNanosecond);

void EnginesAtEntryAndExit(benchmark::State& state) { Engines(state, UTRACE_EVENT_SYSCALL); }
BENCHMARK(EnginesAtEntryAndExit)
    ->Arg(1)
    ->Arg(2)
    ->Arg(8)
    ->UseManualTime()
    ->Unit(benchmark::kNanosecond);

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], kTargetFlag) == 0) return RunTarget();
  if (const char* cpu = std::getenv("UTRACE_BENCH_CPU")) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(std::atoi(cpu), &one);
    if (sched_setaffinity(0, sizeof(one), &one) != 0) return 2;
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
