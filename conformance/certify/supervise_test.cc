#include "conformance/certify/supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>

namespace utrace::certify {
namespace {

using std::chrono::milliseconds;

class SuperviseTest : public testing::Test {
 protected:
  SuperviseRequest Shell(const std::string& script) const {
    return {.argv = {"/bin/sh", "-c", script}, .log_path = log_};
  }

  const std::string log_ = testing::TempDir() + "supervise_test.log";
};

// Whether a process is there and no zombie.
bool Runs(pid_t pid) {
  const std::string path = "/proc/" + std::to_string(pid) + "/stat";
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  char text[256] = {};
  const ssize_t size = read(fd, text, sizeof(text) - 1);
  close(fd);
  return size > 0 && std::string(text).find(") Z ") == std::string::npos;
}

TEST_F(SuperviseTest, TellsExitStatusAndOutput) {
  std::string output;
  const SuperviseOutcome outcome =
      RunSupervised(Shell("echo out; echo err >&2; read line; exit 7"), &output);
  EXPECT_EQ(outcome.error, "");
  EXPECT_FALSE(outcome.timed_out);
  ASSERT_TRUE(WIFEXITED(outcome.wait_status));
  EXPECT_EQ(WEXITSTATUS(outcome.wait_status), 7);
  EXPECT_EQ(output, "out\nerr\n");
}

TEST_F(SuperviseTest, TellsTheSignal) {
  std::string output;
  const SuperviseOutcome outcome = RunSupervised(Shell("kill -SEGV $$"), &output);
  ASSERT_TRUE(WIFSIGNALED(outcome.wait_status));
  EXPECT_EQ(SignalText(WTERMSIG(outcome.wait_status)), "SIGSEGV");
}

TEST_F(SuperviseTest, TellsThatItCannotExecute) {
  std::string output;
  const SuperviseOutcome outcome =
      RunSupervised({.argv = {"/nonexistent/runner"}, .log_path = log_}, &output);
  EXPECT_EQ(outcome.error, "it cannot be executed: No such file or directory");
}

TEST_F(SuperviseTest, TellsThatTheLogCannotBeWritten) {
  std::string error;
  EXPECT_EQ(Supervised::Start({.argv = {"/bin/true"}, .log_path = "/nonexistent/log"}, &error),
            nullptr);
  EXPECT_EQ(error, "cannot write the log /nonexistent/log: No such file or directory");
}

TEST_F(SuperviseTest, EndsAHangingProgramAtTheDeadline) {
  SuperviseRequest request =
      Shell("trap '' TERM INT HUP; echo started; while :; do sleep 100; done");
  request.deadline = milliseconds(300);
  std::string output;
  const auto start = std::chrono::steady_clock::now();
  const SuperviseOutcome outcome = RunSupervised(request, &output);
  EXPECT_TRUE(outcome.timed_out);
  EXPECT_EQ(output, "started\n");
  EXPECT_LT(std::chrono::steady_clock::now() - start, milliseconds(8000));
}

TEST_F(SuperviseTest, KillsWhatLeftItsSession) {
  // A stopped process in a session of its own whose parent is gone.
  std::string output;
  const SuperviseOutcome outcome =
      RunSupervised(Shell("setsid sh -c 'echo $$; kill -STOP $$; sleep 100' & "
                          "while [ \"$(cut -d' ' -f3 /proc/$!/stat)\" != T ]; do sleep 0.01; done"),
                    &output);
  EXPECT_EQ(outcome.error, "");
  EXPECT_EQ(outcome.wait_status, 0);
  const pid_t left = atoi(output.c_str());
  ASSERT_GT(left, 1);
  EXPECT_FALSE(Runs(left));
}

TEST_F(SuperviseTest, KillsAllWhenDropped) {
  const std::string told = log_ + ".fifo";
  unlink(told.c_str());
  ASSERT_EQ(mkfifo(told.c_str(), 0600), 0);
  std::string error;
  auto run = Supervised::Start(Shell("echo $$ >" + told + "; exec sleep 100"), &error);
  ASSERT_NE(run, nullptr) << error;
  pid_t pid = 0;
  std::ifstream(told) >> pid;  // waits until it is written
  ASSERT_GT(pid, 1);
  EXPECT_TRUE(Runs(pid));
  run.reset();
  EXPECT_FALSE(Runs(pid));
}

TEST_F(SuperviseTest, CutsAFlood) {
  SuperviseRequest request = Shell("yes | head -c 3000000");
  request.log_limit = 1000;
  std::string output;
  const SuperviseOutcome outcome = RunSupervised(request, &output);
  EXPECT_EQ(outcome.wait_status, 0);
  EXPECT_LT(output.size(), 1100u);
  EXPECT_NE(output.find("[cut: the program printed more than 1000 bytes]"), std::string::npos);
}

TEST_F(SuperviseTest, PassesNoDescriptorSignalMaskOrRunnerVariable) {
  const int leak = open("/dev/null", O_RDONLY);  // NOLINT: without O_CLOEXEC on purpose
  sigset_t mask;
  sigset_t old;
  sigemptyset(&mask);
  sigaddset(&mask, SIGUSR1);
  sigprocmask(SIG_BLOCK, &mask, &old);
  setenv("GTEST_FILTER", "nothing", 1);
  setenv("UTRACE_KEPT", "yes", 1);
  std::string output;
  RunSupervised(Shell("ls /proc/self/fd; grep SigBlk /proc/self/status; "
                      "echo \"$GTEST_FILTER,$XML_OUTPUT_FILE,$UTRACE_KEPT\""),
                &output);
  unsetenv("GTEST_FILTER");
  sigprocmask(SIG_SETMASK, &old, nullptr);
  close(leak);
  // 3 is the directory that ls itself reads.
  EXPECT_EQ(output, "0\n1\n2\n3\nSigBlk:\t0000000000000000\n,,yes\n");
}

TEST_F(SuperviseTest, RunsSeveralAtOnce) {
  std::string error;
  SuperviseRequest one = Shell("exit 1");
  SuperviseRequest two = Shell("exit 2");
  two.log_path += ".2";
  const auto first = Supervised::Start(one, &error);
  const auto second = Supervised::Start(two, &error);
  EXPECT_EQ(WEXITSTATUS(second->Finish().wait_status), 2);
  EXPECT_EQ(WEXITSTATUS(first->Finish().wait_status), 1);
}

}  // namespace
}  // namespace utrace::certify
