// Runs a command under engines, in their order, and ends as it ended.
//
//   catch_command [-e ENGINE]... -- COMMAND [ARGUMENT...]
//
// ENGINE is a name with options as `utrace run` takes it, or one of
//
//   drop:SIGNAL    an engine as a debugger might be: drops the signal, and resumes behind the instruction
//                  that caused it, whose length is 2
//   count:FILE     counts the signals that it sees, and writes their number to FILE in the end
//   kill           kills the process when it is about to be stopped for a report
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/engine.h"
#include "core/linux/command.h"
#include "engines/crash_catcher/fault.h"
#include "engines/registry.h"

namespace {

using utrace::Events;

class Drop final : public utrace::Engine {
 public:
  explicit Drop(int number) : number_(number) {}
  utrace::SignalResult OnSignal(utrace::SignalReport& report) override {
    if (!report.is_signal() || report.info().si_signo != number_) return utrace::Action::kResume;
    constexpr uint64_t kLength = 2;
    const auto pc = report.machine().Pc();
    if (!pc || !report.machine().SetPc(*pc + kLength).ok()) std::abort();
    return utrace::SignalAction::kIgnore;
  }

 private:
  const int number_;
};

class Count final : public utrace::Engine {
 public:
  utrace::SignalResult OnSignal(utrace::SignalReport& report) override {
    if (report.is_signal()) ++signals_;
    return utrace::Action::kResume;
  }
  int signals() const { return signals_; }

 private:
  std::atomic<int> signals_ = 0;
};

class Kill final : public utrace::Engine {
 public:
  utrace::SignalResult OnSignal(utrace::SignalReport& report) override {
    if (!report.is_signal()) kill(report.task().tgid(), SIGKILL);
    return utrace::Action::kResume;
  }
};

struct Attached {
  std::function<int(utrace_task*)> attach;
  std::function<void()> finish;
};

int AttachAlone(utrace_task* task, const std::shared_ptr<utrace::Engine>& engine,
                Events events = Events::kSignalAll) {
  auto attachment = utrace::Attachment::Attach(task, engine, events);
  if (!attachment) return attachment.code();
  attachment->Leave();
  return 0;
}

bool Make(const std::string& spec, std::vector<Attached>* engines) {
  const size_t colon = spec.find(':');
  const std::string name = spec.substr(0, colon);
  const std::string rest = colon == std::string::npos ? "" : spec.substr(colon + 1);
  if (name == "drop") {
    const auto engine = std::make_shared<Drop>(utrace::crash::SignalNumber(rest));
    engines->push_back({[engine](utrace_task* task) { return AttachAlone(task, engine); },
                        [engine] { engine->DetachEverywhere(); }});
    return true;
  }
  if (name == "count") {
    const auto engine = std::make_shared<Count>();
    engines->push_back({[engine](utrace_task* task) { return AttachAlone(task, engine); },
                        [engine, rest] {
                          engine->DetachEverywhere();
                          std::FILE* file = std::fopen(rest.c_str(), "w");
                          if (file == nullptr) std::abort();
                          std::fprintf(file, "%d\n", engine->signals());
                          std::fclose(file);
                        }});
    return true;
  }
  if (name == "kill") {
    const auto engine = std::make_shared<Kill>();
    engines->push_back(
        {[engine](utrace_task* task) { return AttachAlone(task, engine, Events::kQuiesce); },
         [engine] { engine->DetachEverywhere(); }});
    return true;
  }
  std::string error;
  std::shared_ptr<utrace::EngineInstance> instance = utrace::MakeEngine(spec, &error);
  if (instance == nullptr) {
    std::fprintf(stderr, "catch_command: %s\n", error.c_str());
    return false;
  }
  engines->push_back({[instance](utrace_task* task) { return instance->Attach(task); },
                      [instance] {
                        for (const std::string& line : instance->Finish()) {
                          std::fprintf(stderr, "catch_command: %s\n", line.c_str());
                        }
                      }});
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  constexpr int kFailed = 125;
  std::vector<Attached> engines;
  int next = 1;
  for (; next + 1 < argc && std::strcmp(argv[next], "-e") == 0; next += 2) {
    if (!Make(argv[next + 1], &engines)) return kFailed;
  }
  if (next + 1 >= argc || std::strcmp(argv[next], "--") != 0) return kFailed;

  std::unique_ptr<utrace::linux_host::Command> command;
  std::string error;
  const std::vector<std::string> arguments(argv + next + 1, argv + argc);
  if (utrace::linux_host::Command::Start(arguments, &command, &error) != 0) {
    std::fprintf(stderr, "catch_command: %s\n", error.c_str());
    return kFailed;
  }
  for (const Attached& engine : engines) {
    if (const int status = engine.attach(command->task()); status != 0) {
      std::fprintf(stderr, "catch_command: %s\n", utrace_last_error_text());
      return kFailed;
    }
  }
  if (command->Release() != 0) return kFailed;
  const int status = command->Wait();
  for (const Attached& engine : engines) engine.finish();
  // What a test reads: the raw status tells of a core dump, too.
  std::fprintf(stderr, "wait status %d\n", status);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
