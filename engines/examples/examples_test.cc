// The examples of docs/writing-engines.md, on real commands.

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <string>

#include "core/engine.h"
#include "core/linux/command.h"
#include "engines/examples/deny_unlink.h"
#include "gtest/gtest.h"

namespace utrace {
namespace {

using linux_host::Command;

constexpr const char* kCountCalls = "engines/examples/count_calls";

// Runs a shell command line; its output, and its exit status in *status.
std::string Output(const std::string& line, int* status) {
  std::string text;
  FILE* output = popen(line.c_str(), "re");
  if (output == nullptr) return text;
  for (int c = 0; (c = getc(output)) != EOF;) text += static_cast<char>(c);
  *status = pclose(output);
  return text;
}

// The lines "NUMBER COUNT" that count_calls prints.
std::map<long, long> Counts(const std::string& text) {
  std::map<long, long> counts;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    long number = 0;
    long count = 0;
    if (std::sscanf(line.c_str(), "%ld %ld", &number, &count) == 2) counts[number] = count;
  }
  return counts;
}

TEST(CountCalls, CountsACommandAndWhatItCreates) {
  int status = -1;
  const std::string text =
      Output(std::string(kCountCalls) + " sh -c '/bin/true; /bin/true; exit 0'", &status);
  EXPECT_EQ(status, 0);
  const std::map<long, long> counts = Counts(text);
  EXPECT_EQ(counts.at(SYS_execve), 3) << text;
  EXPECT_EQ(text.find("missed"), std::string::npos) << text;
}

TEST(CountCalls, ReportsACommandThatCannotBeRun) {
  int status = -1;
  const std::string text = Output(std::string(kCountCalls) + " /nowhere/at/all 2>&1", &status);
  EXPECT_EQ(WEXITSTATUS(status), 1);
  EXPECT_NE(text, "");
}

TEST(CountCalls, CountsARunningThread) {
  // cat waits for the test; count_calls waits for its own standard input to end.
  int status = -1;
  const std::string text = Output(
      R"(set -e
dir=$(mktemp -d)
trap 'rm -r "$dir"' EXIT
mkfifo "$dir/in" "$dir/stop" "$dir/out"
cat <"$dir/in" >/dev/null &
cat=$!
exec 3>"$dir/in"
engines/examples/count_calls --pid $cat <"$dir/stop" >"$dir/out" 3>&- &
counter=$!
exec 4>"$dir/stop" 5<"$dir/out"
read line <&5
[ "$line" = attached ]
echo some text >&3
exec 3>&-
wait $cat
exec 4>&-
cat <&5
wait $counter)",
      &status);
  EXPECT_EQ(status, 0) << text;
  const std::map<long, long> counts = Counts(text);
  EXPECT_GE(counts.at(SYS_read), 1) << text;
  EXPECT_EQ(counts.at(SYS_exit_group), 1) << text;
}

TEST(DenyUnlink, KeepsTheFilesItIsToldTo) {
  const std::string keep = ::testing::TempDir() + "/a.keep";
  const std::string other = ::testing::TempDir() + "/b.other";
  std::ofstream(keep) << "kept";
  std::ofstream(other) << "removed";
  std::unique_ptr<Command> command;
  std::string error;
  ASSERT_EQ(Command::Start({"rm", "-f", keep, other}, &command, &error), 0) << error;
  auto attachment = Attachment::Attach(command->task(), std::make_shared<DenyUnlink>(".keep"),
                                       Events::kSyscallEntry);
  ASSERT_TRUE(attachment) << attachment.status().ToString();
  ASSERT_EQ(command->Release(), 0);
  const int status = command->Wait();
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 1);
  EXPECT_EQ(access(keep.c_str(), F_OK), 0);
  EXPECT_NE(access(other.c_str(), F_OK), 0);
}

}  // namespace
}  // namespace utrace
