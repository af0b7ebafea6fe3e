// The program that holds the clause tests and judges one implementation by them:
//
//   runner --list                                     the tests, an id per line
//   runner --implementation FILE --probe [--result FILE]
//   runner --implementation FILE [--result FILE] [--history DIR] [--gtest_filter=ATT_05.Name]
//          [--schedules N | --schedule SPEC]
//
// Schedules are for hosted implementations that run the kit's threads (core/utrace_target.h, part B):
// N random ones, or the one that a result named. A test ends with the first run that does not pass.
//
// A result is a JSON object per test, a line each. Every test's history is judged (docs/history.md):
// a breach fails the test. --history DIR keeps the histories of tests that do not pass.
//
// Exit status: 0 all passed (or cannot be made),
// 1 some failed, 2 the kit or the command line is broken, 3 the implementation cannot be loaded,
// 4 a test hung.
#include <errno.h>
#include <execinfo.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "conformance/kit/history_recorder.h"
#include "conformance/kit/test.h"

namespace utrace::kit {
namespace {

constexpr int kExitPass = 0;
constexpr int kExitFail = 1;
constexpr int kExitBroken = 2;
constexpr int kExitLoadError = 3;
constexpr int kExitHung = 4;

using nlohmann::json;
using Clock = std::chrono::steady_clock;

// Text that came from anywhere is not always UTF-8, which JSON must be.
std::string Dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

// Where results go: a file, or nowhere.
class Results {
 public:
  bool Open(const std::string& path) {
    path_ = path;
    file_.open(path, std::ios::trunc);
    return Good();
  }
  void Write(const json& value) {
    if (!file_.is_open()) return;
    file_ << Dump(value) << std::endl;
  }
  // Says what is wrong.
  bool Good() const {
    if (path_.empty() || (file_.is_open() && file_.good())) return true;
    std::cerr << "the result file " << path_ << " cannot be written: " << strerror(errno) << "\n";
    return false;
  }

 private:
  std::string path_;
  std::ofstream file_;
};

std::string ClauseOf(std::string suite) {
  for (char& c : suite) {
    if (c == '_') c = '-';
  }
  return suite;
}

std::chrono::milliseconds TestLimit() {
  const char* text = getenv("UTRACE_KIT_WATCHDOG_MS");
  const long value = text == nullptr ? 0 : strtol(text, nullptr, 10);
  return std::chrono::milliseconds(value > 0 ? value : 60000);
}

constexpr int kDumpSignal = SIGUSR2;

// On the test's own thread, when the watchdog gives up: prints where it is and ends the process.
void DumpStackAndExit(int) {
  void* frames[64];
  backtrace_symbols_fd(frames, backtrace(frames, 64), STDERR_FILENO);
  _exit(kExitHung);
}

// Collects what gtest says about a test, writes its result, and ends the process if it hangs.
class Listener : public ::testing::EmptyTestEventListener {
 public:
  explicit Listener(Results* results) : results_(results), main_(pthread_self()) {
    std::thread([this] { Watch(); }).detach();
  }

  int exit_code() const { return broken_ ? kExitBroken : failed_ ? kExitFail : kExitPass; }

 private:
  struct Running {
    std::string suite;
    std::string name;
    Clock::time_point start;
    std::string first_failure;
    std::string failures;
  };

  void OnTestStart(const ::testing::TestInfo& info) override {
    std::lock_guard lock(mutex_);
    running_ = Running{info.test_suite_name(), info.name(), Clock::now(), "", ""};
    changed_.notify_all();
  }

  void OnTestPartResult(const ::testing::TestPartResult& part) override {
    if (!part.failed()) return;
    std::lock_guard lock(mutex_);
    if (!running_) return;
    std::string text = part.message() == nullptr ? "" : part.message();
    if (running_->first_failure.empty()) running_->first_failure = text;
    if (part.file_name() != nullptr) {
      text = std::string(part.file_name()) + ":" + std::to_string(part.line_number()) + ": " + text;
    }
    running_->failures += (running_->failures.empty() ? "" : "\n") + text;
  }

  void OnTestEnd(const ::testing::TestInfo& info) override {
    std::lock_guard lock(mutex_);
    Outcome outcome = CurrentOutcome();
    if (info.result()->Failed()) {
      outcome.verdict = Verdict::kFail;
      Explain(&outcome);
    }
    failed_ |= outcome.verdict == Verdict::kFail;
    broken_ |= outcome.verdict == Verdict::kBroken;
    if (outcome.verdict != Verdict::kPass) {
      std::cout << VerdictName(outcome.verdict) << " " << running_->suite << "." << running_->name
                << ": " << outcome.message << std::endl;
    }
    Write(outcome);
    running_.reset();
    changed_.notify_all();
  }

  // Fills in what was expected and seen from gtest's words, where no helper of the kit did.
  void Explain(Outcome* outcome) const {
    outcome->message = running_->failures;
    if (!outcome->expected.empty()) return;
    std::string text = running_->first_failure;
    if (text.compare(0, 7, "Failed\n") == 0) text.erase(0, 7);  // gtest's word for plain failures
    const size_t line = text.find('\n');
    if (line == std::string::npos) {
      outcome->seen = text;
      return;
    }
    outcome->expected = text.substr(0, line);
    outcome->seen = text.substr(line + 1);
  }

  void Write(const Outcome& outcome) {
    const std::string id = running_->suite + "." + running_->name;
    const std::string history = outcome.verdict == Verdict::kPass ? "" : KeepHistory(id);
    const std::chrono::duration<double, std::milli> time = Clock::now() - running_->start;
    results_->Write({{"id", id},
                     {"clause", ClauseOf(running_->suite)},
                     {"name", running_->name},
                     {"verdict", VerdictName(outcome.verdict)},
                     {"expected", outcome.expected},
                     {"seen", outcome.seen},
                     {"message", outcome.message},
                     {"needs", outcome.needs},
                     {"schedule", outcome.schedule},
                     {"milliseconds", time.count()},
                     {"witness", HistoryWitness()},
                     {"history", history}});
  }

  void Watch() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [&] { return running_.has_value(); });
      const Clock::time_point start = running_->start;
      const bool ended = changed_.wait_until(lock, start + TestLimit(),
                                             [&] { return !running_ || running_->start != start; });
      if (!ended) Hung();
    }
  }

  [[noreturn]] void Hung() {
    Outcome outcome = CurrentOutcome();
    outcome.verdict = Verdict::kFail;
    const std::string step = CurrentStep();
    outcome.message = "hung for " + std::to_string(TestLimit().count()) + " ms while " + step;
    if (!running_->failures.empty()) outcome.message += "\n" + running_->failures;
    if (outcome.seen.empty()) outcome.seen = "hung while " + step;
    FinishHistory();
    Write(outcome);
    std::cerr << "FAIL " << running_->suite << "." << running_->name << ": " << outcome.message
              << "\n"
              << Describe(GlobalLog()) << "the test's thread is at:" << std::endl;
    signal(kDumpSignal, DumpStackAndExit);
    pthread_kill(main_, kDumpSignal);
    std::this_thread::sleep_for(std::chrono::seconds(2));  // it may not take signals any more
    _exit(kExitHung);
  }

  Results* results_;
  pthread_t main_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Running> running_;
  bool failed_ = false;
  bool broken_ = false;
};

int List() {
  const ::testing::UnitTest& all = *::testing::UnitTest::GetInstance();
  for (int i = 0; i < all.total_test_suite_count(); ++i) {
    const ::testing::TestSuite& suite = *all.GetTestSuite(i);
    for (int j = 0; j < suite.total_test_count(); ++j) {
      std::cout << suite.name() << "." << suite.GetTestInfo(j)->name() << "\n";
    }
  }
  return kExitPass;
}

// The first calls that any use makes.
int Probe(const std::string& implementation, Results* results) {
  const char* limits = api().utrace_declared_limits();
  utrace_pid* self = api().utrace_pid_find(getpid());
  const bool found = self != nullptr && !UTRACE_IS_ERR(self);
  json facts = {{"implementation", implementation},
                {"api_version", api().utrace_api_version()},
                {"declared_limits", limits == nullptr ? "" : limits},
                {"pid_find", found ? "0" : ErrnoName(UTRACE_PTR_ERR(self))},
                {"single_step", api().utrace_has_single_step()},
                {"block_step", api().utrace_has_block_step()},
                {"host_kind", TheTarget() == nullptr ? "live" : "hosted"},
                {"capabilities", json::array()}};
  if (const Target* target = TheTarget()) {
    facts["capabilities"] = target->capabilities;
    facts["target_version"] = target->utrace_target_version();
  }
  if (found) api().utrace_pid_put(self);
  results->Write(facts);
  std::cout << Dump(facts) << std::endl;
  return kExitPass;
}

int Usage(const std::string& what) {
  std::cerr << what
            << "\nusage: runner --implementation FILE [--result FILE] [--history DIR] [--probe]"
               " [--gtest_filter=CLAUSE.Name]\n              [--schedules N | --schedule SPEC]\n"
               "       runner --list\n";
  return kExitBroken;
}

// What is wrong with the flags, or an empty text.
std::string ChooseSchedules(const std::string& schedule, const std::string& count) {
  if (schedule.empty() && count.empty()) return "";
  if (!schedule.empty() && !count.empty()) return "--schedule and --schedules exclude each other";
  if (TheTarget() == nullptr || !TheTarget()->schedules) {
    return "this implementation runs the kit's threads by no schedule: --schedule and --schedules "
           "are for hosted ones with part B of core/utrace_target.h";
  }
  if (!schedule.empty()) {
    UseSchedules({schedule});
    return "";
  }
  char* end = nullptr;
  const unsigned long long seeds = strtoull(count.c_str(), &end, 10);
  if (*end != '\0' || seeds == 0 || seeds > 1000000) return "--schedules needs 1 to 1000000";
  std::vector<std::string> all;
  for (unsigned long long seed = 1; seed <= seeds; ++seed) {
    all.push_back("random:" + std::to_string(seed));
  }
  UseSchedules(std::move(all));
  return "";
}

int Run(int argc, char** argv) {
  // A reader that went away is an error to report, not a death.
  signal(SIGPIPE, SIG_IGN);
  ::testing::InitGoogleTest(&argc, argv);
  std::string implementation;
  std::string result;
  std::string histories;
  std::string schedule;
  std::string schedules;
  bool list = false;
  bool probe = false;
  for (int i = 1; i < argc; ++i) {
    std::string argument = argv[i];
    const auto value = [&](const std::string& name, std::string* to) {
      if (argument == name && i + 1 < argc) {
        *to = argv[++i];
      } else if (argument.compare(0, name.size() + 1, name + "=") == 0) {
        *to = argument.substr(name.size() + 1);
      } else {
        return false;
      }
      return true;
    };
    if (value("--implementation", &implementation) || value("--result", &result) ||
        value("--history", &histories) || value("--schedule", &schedule) ||
        value("--schedules", &schedules)) {
      continue;
    }
    if (argument == "--list") {
      list = true;
    } else if (argument == "--probe") {
      probe = true;
    } else {
      return Usage("unknown or incomplete argument " + argument);
    }
  }
  if (list) return List();
  if (implementation.empty()) return Usage("no implementation is named");

  Results results;
  if (!result.empty() && !results.Open(result)) return kExitBroken;
  const LoadResult loaded = LoadApi(implementation);
  if (!loaded.api) {
    std::cerr << loaded.text << "\n";
    return kExitLoadError;
  }
  SetApi(RecordingApi(*loaded.api));
  SetHistoryDirectory(histories);
  if (const std::string wrong = LoadTarget(implementation); !wrong.empty()) {
    std::cerr << wrong << "\n";
    return kExitLoadError;
  }
  if (const std::string wrong = ChooseSchedules(schedule, schedules); !wrong.empty()) {
    return Usage(wrong);
  }
  int code;
  if (probe) {
    code = Probe(implementation, &results);
  } else {
    auto* listener = new Listener(&results);
    ::testing::UnitTest& all = *::testing::UnitTest::GetInstance();
    all.listeners().Append(listener);  // takes it over
    const int failures = RUN_ALL_TESTS();
    code = listener->exit_code();
    if (code == kExitPass && failures != 0) code = kExitFail;
    if (all.test_to_run_count() == 0) {
      std::cerr << "no test has that name\n";
      code = kExitBroken;
    }
  }
  if (!results.Good()) code = kExitBroken;
  return code;
}

}  // namespace
}  // namespace utrace::kit

int main(int argc, char** argv) {
  int code = utrace::kit::Run(argc, argv);
  std::cout.flush();
  if (!std::cout || fflush(stdout) != 0 || ferror(stdout)) {
    std::cerr << "standard output cannot be written" << std::endl;
    code = 2;
  }
  // Without destructors: threads of the implementation may still use what they would destroy.
  _exit(code);
}
