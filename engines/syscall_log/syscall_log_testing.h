// A syscall_log of the fake tasks of a test.
#ifndef ENGINES_SYSCALL_LOG_SYSCALL_LOG_TESTING_H_
#define ENGINES_SYSCALL_LOG_SYSCALL_LOG_TESTING_H_

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "core/testing/fake_utrace.h"
#include "engines/registry.h"
#include "gtest/gtest.h"

namespace utrace {

// An instance with a log file of its own.
class Log {
 public:
  explicit Log(const std::string& options = "") {
    static std::atomic<int> count = 0;
    path_ =
        ::testing::TempDir() + "/log" + std::to_string(getpid()) + "." + std::to_string(++count);
    std::string error;
    instance_ = MakeEngine("syscall_log:output=" + path_ + options, &error);
    EXPECT_NE(instance_, nullptr) << error;
  }
  ~Log() {
    instance_.reset();
    unlink(path_.c_str());
  }
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  int Attach(TaskView task) { return instance_->Attach(task.get()); }
  // Finishes and returns all that was written.
  std::string Text() {
    EXPECT_EQ(instance_->Finish(), std::vector<std::string>());
    std::ifstream file(path_);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }
  EngineInstance& instance() { return *instance_; }

 private:
  std::string path_;
  std::unique_ptr<EngineInstance> instance_;
};

inline void Call(TaskView task, long number, long error, long value) {
  fake::ReportSyscallEntry(task, number);
  fake::ReportSyscallExit(task, error, value);
}

inline siginfo_t SignalInfo(int number) {
  siginfo_t info{};
  info.si_signo = number;
  info.si_pid = 1;
  return info;
}

}  // namespace utrace

#endif  // ENGINES_SYSCALL_LOG_SYSCALL_LOG_TESTING_H_
