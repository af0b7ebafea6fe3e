// Eight engines of four kinds on one thread at the same time, two of which come and go all the while:
// the others miss nothing, and see nothing twice.
//
// Usage: eight_engines_test ROUNDS. Each of the two comes and goes that often.
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "core/linux/command.h"
#include "core/look.h"
#include "engines/registry.h"
#include "gtest/gtest.h"
#include "stress/engines/history_engine.h"

namespace utrace::stress {
namespace {

int g_rounds = 100;

std::string Contents(const std::string& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file) << path;
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

size_t Count(const std::string& text, const std::string& word) {
  size_t count = 0;
  for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++count;
  return count;
}

// The calls that the target numbered, as an engine sees them.
class Numbers {
 public:
  void Enter(long number, uint64_t first, uint64_t second) {
    if (number != SYS_lseek) return;
    if (static_cast<int>(first) == -2) {
      told_ = second;
      return;
    }
    if (second != seen_) ++wrong_;
    ++seen_;
    seen_.notify_all();
  }
  // Until the target has made another one.
  void WaitForOne() const { seen_.wait(seen_); }

  uint64_t seen() const { return seen_; }
  // Those that came out of order, or twice. When nobody enters any more.
  uint64_t wrong() const { return wrong_; }
  // How many the target says it made.
  uint64_t told() const { return told_; }

 private:
  std::atomic<uint64_t> seen_ = 0;
  uint64_t wrong_ = 0;
  uint64_t told_ = 0;
};

class EightEngines : public testing::Test {
 protected:
  void SetUp() override { ASSERT_NE(mkdtemp(dir_.data()), nullptr); }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  std::unique_ptr<EngineInstance> Make(const std::string& spec) {
    std::string error;
    auto instance = MakeEngine(spec, &error);
    EXPECT_NE(instance, nullptr) << error;
    return instance;
  }

  const std::string loaded_ = "examples/engine_template/my_engine.so";
  std::string dir_ = testing::TempDir() + "eight_engines.XXXXXX";
};

TEST_F(EightEngines, LoseNothingWhileTwoComeAndGo) {
  std::unique_ptr<linux_host::Command> command;
  std::string error;
  ASSERT_EQ(linux_host::Command::Start({"stress/engines/numbered_calls"}, &command, &error), 0)
      << error;
  utrace_task* const task = command->task();

  const std::vector<std::string> logs = {dir_ + "/log0", dir_ + "/log1", dir_ + "/log2"};
  std::vector<std::unique_ptr<EngineInstance>> staying;
  for (const std::string& log : logs) staying.push_back(Make("syscall_log:output=" + log));
  staying.push_back(Make("crash_catcher:dir=" + dir_));
  const std::string counts = dir_ + "/counts";
  staying.push_back(Make(loaded_ + ":output=" + counts));
  for (const auto& engine : staying) ASSERT_EQ(engine->Attach(task), 0);
  JudgedHistory history;
  Numbers numbers;
  const auto watcher = std::make_shared<HistoryEngine>(
      history,
      [&](long number, uint64_t first, uint64_t second) { numbers.Enter(number, first, second); });
  ASSERT_TRUE(HistoryEngine::Attach(task, watcher));
  ASSERT_EQ(command->Release(), 0);

  // The two that come and go, each with its own pace.
  std::thread visits([&] {
    for (int n = 0; n < g_rounds; ++n) {
      const auto visitor = std::make_shared<HistoryEngine>(history);
      EXPECT_TRUE(HistoryEngine::Attach(task, visitor));
      numbers.WaitForOne();
      visitor->Detach();
    }
  });
  size_t most = 0;
  for (int n = 0; n < g_rounds; ++n) {
    const auto visitor = Make(loaded_ + ":output=/dev/null");
    EXPECT_EQ(visitor->Attach(task), 0);
    numbers.WaitForOne();
    most = std::max(most, LookAt(task).engines.size());
    EXPECT_EQ(visitor->Finish(), std::vector<std::string>());
  }
  visits.join();
  EXPECT_EQ(most, 8U);
  ASSERT_EQ(kill(command->pid(), SIGTERM), 0);
  EXPECT_EQ(command->Wait(), 0);
  for (const auto& engine : staying) EXPECT_EQ(engine->Finish(), std::vector<std::string>());
  watcher->Detach();

  // Each of the numbered calls once and in order, as the target itself counted them.
  EXPECT_EQ(numbers.wrong(), 0U);
  EXPECT_EQ(numbers.seen(), numbers.told());
  EXPECT_GT(numbers.told(), static_cast<uint64_t>(g_rounds));
  EXPECT_EQ(history.Verdict(), "");
  EXPECT_EQ(history.engines(), static_cast<size_t>(g_rounds) + 1);

  const std::string log = Contents(logs[0]);
  EXPECT_EQ(Contents(logs[1]), log);
  EXPECT_EQ(Contents(logs[2]), log);
  EXPECT_EQ(Count(log, " lseek("), numbers.told() + 1);
  EXPECT_EQ(Count(log, "--- SIGUSR1 "), (numbers.told() + 7) / 8);
  const size_t calls = Count(log, "\n[") + 1 - Count(log, " --- ") - Count(log, " +++ ");
  const std::string made = " made " + std::to_string(calls) + " system calls\n";
  EXPECT_NE(Contents(counts).find(made), std::string::npos) << made << Contents(counts);

  std::printf("%llu numbered calls, %llu callbacks judged, %d rounds\n",
              static_cast<unsigned long long>(numbers.told()),
              static_cast<unsigned long long>(history.callbacks()), g_rounds);
}

}  // namespace
}  // namespace utrace::stress

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (argc == 2) utrace::stress::g_rounds = std::atoi(argv[1]);
  return RUN_ALL_TESTS();
}
