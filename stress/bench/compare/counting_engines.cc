// Runs commands under engines that count system calls and do nothing else, in this process.
// Usage: counting_engines ENGINES [--step] COMMAND [ARGUMENT...] [+ COMMAND [ARGUMENT...]]...
//
// The commands run at the same time, each under ENGINES engines. --step: one engine that steps each instruction; prints
// how many nanoseconds a step took.
#include <sys/wait.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "core/engine.h"
#include "core/linux/command.h"

namespace {

using utrace::Action;
using utrace::Events;

class Counter final : public utrace::Engine {
 public:
  static constexpr Events kEvents = Events::kSyscallEntry | Events::kClone;

  utrace::SyscallResult OnSyscallEntry(utrace::SyscallEntry& /*call*/) override {
    calls_.fetch_add(1, std::memory_order_relaxed);
    return Action::kResume;
  }
  Action OnClone(utrace::CloneReport& clone) override {
    if (!clone.Follow().ok()) missed_.store(true);
    return Action::kResume;
  }
  bool whole() const { return !missed_.load() && calls_.load() != 0; }

 private:
  std::atomic<long> calls_ = 0;
  std::atomic<bool> missed_ = false;
};

// Steps from the command's execve on.
class Stepper final : public utrace::Engine {
 public:
  static constexpr Events kEvents = Events::kExec | Events::kSignalAll;

  Action OnExec(utrace::ExecReport& /*exec*/) override { return Action::kSingleStep; }
  utrace::SignalResult OnSignal(utrace::SignalReport& report) override {
    if (!report.is_signal() || report.info().si_signo != SIGTRAP) return Action::kSingleStep;
    steps_.fetch_add(1, std::memory_order_relaxed);
    return utrace::SignalResult(utrace::SignalAction::kIgnore).With(Action::kSingleStep);
  }
  long steps() const { return steps_.load(); }

 private:
  std::atomic<long> steps_ = 0;
};

using Command = utrace::linux_host::Command;

std::unique_ptr<Command> Start(const std::vector<std::string>& argv) {
  std::unique_ptr<Command> command;
  std::string error;
  if (Command::Start(argv, &command, &error) == 0) return command;
  std::fprintf(stderr, "%s\n", error.c_str());
  return nullptr;
}

bool Attach(const Command& command, const std::shared_ptr<utrace::Engine>& engine, Events events) {
  auto attachment = utrace::Attachment::Attach(command.task(), engine, events);
  if (attachment) attachment->Leave();
  return static_cast<bool>(attachment);
}

int ExitStatus(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : 1; }

int StepCommand(const std::vector<std::string>& argv) {
  const std::unique_ptr<Command> command = Start(argv);
  const auto engine = std::make_shared<Stepper>();
  if (command == nullptr || !Attach(*command, engine, Stepper::kEvents)) return 2;
  const auto begin = std::chrono::steady_clock::now();
  if (command->Release() != 0) return 2;
  const int status = command->Wait();
  const std::chrono::duration<double, std::nano> spent = std::chrono::steady_clock::now() - begin;
  if (engine->steps() == 0) return 2;
  std::printf("%.1f\n", spent.count() / static_cast<double>(engine->steps()));
  return ExitStatus(status);
}

int CountCommands(const std::vector<std::vector<std::string>>& commands, long engines) {
  std::vector<std::shared_ptr<Counter>> counters;
  std::vector<std::unique_ptr<Command>> started;
  for (const auto& argv : commands) {
    started.push_back(Start(argv));
    if (started.back() == nullptr) return 2;
    for (long n = 0; n < engines; ++n) {
      counters.push_back(std::make_shared<Counter>());
      if (!Attach(*started.back(), counters.back(), Counter::kEvents)) return 2;
    }
  }
  int result = 0;
  for (const auto& command : started) {
    if (command->Release() != 0) return 2;
  }
  for (const auto& command : started) {
    const int status = ExitStatus(command->Wait());
    if (status != 0) result = status;
  }
  for (const auto& counter : counters) {
    if (counter->whole()) continue;
    std::fprintf(stderr, "an engine has missed a task\n");
    return 2;
  }
  return result;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.size() < 2) return 2;
  const bool step = arguments[1] == "--step";
  std::vector<std::vector<std::string>> commands(1);
  for (size_t n = step ? 2 : 1; n < arguments.size(); ++n) {
    if (arguments[n] == "+") {
      commands.emplace_back();
    } else {
      commands.back().push_back(arguments[n]);
    }
  }
  if (step) return StepCommand(commands.front());
  return CountCommands(commands, std::atol(arguments[0].c_str()));
}
