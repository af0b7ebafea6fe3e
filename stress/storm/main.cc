// storm: the program of a storm on one process and its descendants. See docs/stress.md.
#include <dirent.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <climits>
#include <csignal>
#include <cstring>
#include <deque>
#include <fstream>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "conformance/kit/api.h"
#include "conformance/kit/history_recorder.h"
#include "stress/storm/storm.h"

namespace utrace::storm {
namespace {

struct Settings {
  std::string implementation;
  std::string history;
  std::string output = "-";
  int seconds = 0;
  int go = -1;
  int pace = 200;
  int guard = 60;
  pid_t pid = 0;
  bool unrecorded = false;
  bool idle = false;
  Options storm;
};

std::vector<std::string> EntriesOf(const std::string& path) {
  std::vector<std::string> entries;
  DIR* const directory = opendir(path.c_str());
  if (directory == nullptr) return entries;
  while (const dirent* entry = readdir(directory)) {
    if (entry->d_name[0] == '.') continue;
    char target[PATH_MAX];
    const ssize_t length = readlink((path + "/" + entry->d_name).c_str(), target, sizeof(target));
    entries.emplace_back(entry->d_name);
    if (length > 0) entries.back() += " " + std::string(target, static_cast<size_t>(length));
  }
  closedir(directory);
  return entries;
}

// The number in a line of /proc/PID/status; -1 if there is none.
long StatusOf(pid_t pid, const std::string& name) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  std::string word;
  long value = -1;
  while (status >> word) {
    if (word == name) status >> value;
  }
  return value;
}

// A process that sleeps until the other end of `life` is closed, and is not this one's child, which an implementation
// waits for in its own way; zero on failure.
pid_t MakeSleeper(const int life[2]) {
  int tell[2];
  if (pipe2(tell, O_CLOEXEC) != 0) return 0;
  const pid_t child = fork();
  if (child == 0) {
    const pid_t sleeper = fork();
    if (sleeper != 0) {
      const ssize_t told = write(tell[1], &sleeper, sizeof(sleeper));
      _exit(told == sizeof(sleeper) ? 0 : 1);
    }
    dup2(life[0], 0);
    close_range(3, ~0U, 0);
    char byte;
    while (read(0, &byte, 1) < 0 && errno == EINTR) {
    }
    _exit(0);
  }
  close(tell[1]);
  pid_t sleeper = 0;
  if (read(tell[0], &sleeper, sizeof(sleeper)) != sizeof(sleeper) || sleeper < 0) sleeper = 0;
  close(tell[0]);
  while (child > 0 && waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
  return sleeper;
}

// A sleeper with an engine on it.
class WarmedUp {
 public:
  // Whether it could be attached to.
  bool Begin() {
    if (pipe2(life_, O_CLOEXEC) != 0) return false;
    sleeper_ = MakeSleeper(life_);
    if (sleeper_ == 0) return false;
    static const utrace_engine_ops kNone = {};
    pid_ = kit::api().utrace_pid_find(sleeper_);
    engine_ = kit::api().utrace_attach_pid(pid_, UTRACE_ATTACH_CREATE, &kNone, nullptr);
    return !UTRACE_IS_ERR(engine_);
  }
  ~WarmedUp() {
    Detach();
    for (const int end : life_) {
      if (end >= 0) close(end);
    }
  }

 private:
  void Detach() {
    if (sleeper_ == 0) return;
    if (!UTRACE_IS_ERR(engine_)) {
      kit::api().utrace_control_pid(pid_, engine_, UTRACE_DETACH);
      kit::api().utrace_engine_put(engine_);
      // Let go of entirely.
      const auto deadline = Clock::now() + std::chrono::seconds(30);
      while (StatusOf(sleeper_, "TracerPid:") > 0 && Clock::now() < deadline) {
        std::this_thread::yield();
      }
    }
    kit::api().utrace_pid_put(pid_);
  }

  int life_[2] = {-1, -1};
  pid_t sleeper_ = 0;
  utrace_pid* pid_ = nullptr;
  utrace_engine* engine_ = nullptr;
};

// Has the implementation make all that it keeps for good: what is there afterwards is no leak. It may have several
// threads, for several processes at a time.
void WarmUp() {
  constexpr size_t kProcesses = 16;  // or as many as there are descriptors for
  std::deque<WarmedUp> sleepers;
  while (sleepers.size() < kProcesses && sleepers.emplace_back().Begin()) {
  }
}

int Main(Settings settings) {
  const kit::LoadResult loaded = kit::LoadApi(settings.implementation);
  if (!loaded.api) {
    std::cerr << "storm: " << loaded.text << "\n";
    return 2;
  }
  kit::SetApi(kit::RecordingApi(*loaded.api));
  if (!settings.history.empty()) kit::SetHistoryDirectory(settings.history);
  WarmUp();
  if (settings.storm.interrupted) {
    struct sigaction action = {};
    action.sa_handler = [](int) {};
    sigaction(SIGUSR1, &action, nullptr);
  }
  if (!settings.unrecorded) kit::StartHistory();
  settings.storm.pace = std::chrono::microseconds(settings.pace);
  settings.storm.guard = std::chrono::seconds(settings.guard);
  settings.storm.controllers = settings.idle ? 0 : settings.storm.controllers;
  const std::vector<std::string> descriptors_before = EntriesOf("/proc/self/fd");
  const size_t threads_before = EntriesOf("/proc/self/task").size();

  Storm storm(settings.storm);
  const std::string wrong = storm.Watch(settings.pid);
  if (!wrong.empty()) {
    std::cerr << "storm: " << wrong << "\n";
    return 2;
  }
  if (settings.go >= 0) {
    if (write(settings.go, "g", 1) != 1) {
      std::cerr << "storm: the program cannot be told to go: " << strerror(errno) << "\n";
      return 2;
    }
    close(settings.go);
  }
  const auto start = Clock::now();
  const auto deadline = settings.seconds > 0 ? start + std::chrono::seconds(settings.seconds)
                                             : Clock::time_point::max();
  const bool ended = storm.Run(deadline);
  const std::chrono::duration<double> took = Clock::now() - start;
  const std::string witness = settings.unrecorded ? "" : kit::FinishHistory();
  if (!witness.empty()) storm.counts().Breach(witness);

  nlohmann::json result = storm.counts().Json();
  result["seed"] = settings.storm.seed;
  result["seconds"] = took.count();
  result["ended"] = ended;
  result["resident_kib"] = StatusOf(getpid(), "VmRSS:");
  result["threads"] = EntriesOf("/proc/self/task").size();
  result["threads_before"] = threads_before;
  result["descriptors"] = EntriesOf("/proc/self/fd");
  result["descriptors_before"] = descriptors_before;
  if (!witness.empty() && !settings.history.empty()) {
    result["history"] = kit::KeepHistory("storm-" + std::to_string(settings.storm.seed));
  }
  if (settings.output == "-") {
    std::cout << result.dump(2) << "\n";
  } else {
    std::ofstream file(settings.output);
    file << result.dump(2) << "\n";
    if (!file.flush()) {
      std::cerr << "storm: " << settings.output << " cannot be written: " << strerror(errno)
                << "\n";
      return 2;
    }
  }
  return storm.counts().breach_count() == 0 && ended ? 0 : 1;
}

}  // namespace
}  // namespace utrace::storm

int main(int argc, char** argv) {
  utrace::storm::Settings settings;
  CLI::App app(
      "Attaches engines at random to a process and to all that it creates, and judges what they "
      "see.");
  app.add_option("PID", settings.pid, "The process; its parent must not be this program")
      ->required();
  app.add_option("--implementation", settings.implementation, "Shared object of the implementation")
      ->required();
  app.add_option("--seed", settings.storm.seed, "Repeats the controllers' choices");
  app.add_option("--seconds", settings.seconds,
                 "Leave all tasks after so long; 0: stay until they end");
  app.add_option("--controllers", settings.storm.controllers, "Threads that attach engines");
  app.add_option("--pace", settings.pace,
                 "Mean pause between two operations of a controller, in microseconds");
  app.add_option("--guard", settings.guard, "Seconds to wait at the end for what does not come");
  app.add_option("--events", settings.storm.watched, "Mask of the events watched on every task");
  app.add_option("--kills", settings.storm.kills,
                 "Of a thousand visits, so many kill their process");
  app.add_option("--go", settings.go, "Descriptor to write a byte to when all is attached");
  app.add_option("--history", settings.history, "Directory for the history of a failure");
  app.add_option("--output", settings.output, "Where the result goes, as JSON");
  app.add_flag("--steps,!--no-steps", settings.storm.steps,
               "Engines ask for single and block steps");
  app.add_flag("--scarce", settings.storm.scarce,
               "Descriptors or memory are scarce: calls may say so");
  app.add_flag("--interrupted", settings.storm.interrupted,
               "SIGUSR1 is going to interrupt any thread: calls may say so");
  app.add_flag("--unrecorded", settings.unrecorded, "Record and judge nothing");
  app.add_flag("--idle", settings.idle, "No controllers: only watch");
  CLI11_PARSE(app, argc, argv);
  return utrace::storm::Main(settings);
}
