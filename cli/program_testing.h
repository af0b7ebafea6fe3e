// Running the built `utrace` from tests.
#ifndef CLI_PROGRAM_TESTING_H_
#define CLI_PROGRAM_TESTING_H_

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "conformance/certify/supervise.h"

namespace utrace::cli {

// Each test gets an empty directory, and shell scripts run in it, with $utrace for the program. A server
// that the program starts is the test's own, and ends with the script at the latest.
class ProgramTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_NE(mkdtemp(dir_.data()), nullptr);
    setenv("utrace", std::filesystem::absolute("cli/utrace").c_str(), 1);
    setenv("UTRACE_SOCKET_DIR", (dir_ + ".server").c_str(), 1);
    setenv("runfiles", std::filesystem::current_path().c_str(), 1);
    // The tests themselves may be run by `bazel run`.
    unsetenv("BUILD_WORKING_DIRECTORY");
    unsetenv("BUILD_WORKSPACE_DIRECTORY");
  }
  void TearDown() override {
    std::filesystem::remove_all(dir_);
    std::filesystem::remove_all(dir_ + ".server");
  }

  // Runs the script; its stdout and stderr become output_, its end status_ and signal_.
  void Run(const std::string& script) {
    output_.clear();
    const certify::SuperviseOutcome outcome = certify::RunSupervised(
        {.argv = {"/bin/bash", "-c", "cd \"$0\" || exit 99\n" + script, dir_},
         .log_path = dir_ + ".log",
         .deadline = std::chrono::seconds(60)},
        &output_);
    ASSERT_EQ(outcome.error, "");
    ASSERT_FALSE(outcome.timed_out) << script << "\n" << output_;
    status_ = WIFEXITED(outcome.wait_status) ? WEXITSTATUS(outcome.wait_status) : -1;
    signal_ = WIFSIGNALED(outcome.wait_status) ? WTERMSIG(outcome.wait_status) : 0;
    core_ = WIFSIGNALED(outcome.wait_status) && WCOREDUMP(outcome.wait_status);
  }
  int Status(const std::string& script) {
    Run(script);
    return status_;
  }
  bool Says(const std::string& text) const { return output_.find(text) != std::string::npos; }

  std::string dir_ = testing::TempDir() + "program_test.XXXXXX";
  std::string output_;
  int status_ = -1;
  int signal_ = 0;
  bool core_ = false;
};

}  // namespace utrace::cli

#endif  // CLI_PROGRAM_TESTING_H_
