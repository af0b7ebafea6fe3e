// WrongServers: a program that is preloaded with the library, and servers that hang up, keep silent or talk
// nonsense. It is told so in one line, its calls fail as documented, and it goes on.
#ifndef ENGINES_PTRACE_COMPAT_CLIENT_WRONG_SERVERS_H_
#define ENGINES_PTRACE_COMPAT_CLIENT_WRONG_SERVERS_H_

#include <fcntl.h>
#include <fmt/core.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "engines/ptrace_compat/client/fake_server.h"
#include "engines/ptrace_compat/wrap_variable.h"

namespace utrace::ptrace_compat::client {

inline constexpr char kTracer[] = "engines/ptrace_compat/client/misled_tracer";
inline constexpr char kLibrary[] = "engines/ptrace_compat/client/libutrace_ptrace.so";
inline constexpr int kDeadline = 60000;  // milliseconds; a guard against hanging
// For servers that never answer. Those that do must do so within it, on a busy machine too.
inline constexpr int kImpatient = 1000;

struct Outcome {
  std::string output;
  std::string errors;
  int status = -1;  // as wait tells it; -1: killed at the deadline
};

inline std::string ReadAll(int fd) {
  std::string text;
  lseek(fd, 0, SEEK_SET);
  char part[4096];
  for (ssize_t size = 0; (size = read(fd, part, sizeof(part))) > 0;) {
    text.append(part, static_cast<size_t>(size));
  }
  close(fd);
  return text;
}

class WrongServers : public testing::Test {
 protected:
  void SetUp() override { ASSERT_NE(mkdtemp(directory_.data()), nullptr); }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  // The tracer, with these calls to make.
  Outcome Run(const std::vector<std::string>& calls, int patience = kServerPatience) const {
    const std::string preload = "LD_PRELOAD=" + std::filesystem::absolute(kLibrary).string();
    const std::string wrap = fmt::format("{}=0 - 4711 {} {}", kWrapVariable, patience, directory_);
    char* const environment[] = {const_cast<char*>(preload.c_str()),
                                 const_cast<char*>(wrap.c_str()), nullptr};
    std::vector<char*> arguments{const_cast<char*>(kTracer)};
    for (const std::string& call : calls) arguments.push_back(const_cast<char*>(call.c_str()));
    arguments.push_back(nullptr);
    const int output = open(testing::TempDir().c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    const int errors = open(testing::TempDir().c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    EXPECT_GE(output, 0);
    EXPECT_GE(errors, 0);
    const pid_t pid = fork();
    if (pid == 0) {
      dup2(output, STDOUT_FILENO);
      dup2(errors, STDERR_FILENO);
      execve(kTracer, arguments.data(), environment);
      _exit(127);
    }
    const int pidfd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
    pollfd ended{.fd = pidfd, .events = POLLIN, .revents = 0};
    const bool in_time = poll(&ended, 1, kDeadline) == 1;
    if (!in_time) kill(pid, SIGKILL);
    close(pidfd);
    Outcome outcome;
    waitpid(pid, &outcome.status, 0);
    if (!in_time) outcome.status = -1;
    outcome.output = ReadAll(output);
    outcome.errors = ReadAll(errors);
    return outcome;
  }

  const std::string& directory() const { return directory_; }

 private:
  std::string directory_ = "/tmp/wrong_servers.XXXXXX";
};

inline void ExpectOutcome(const Outcome& outcome, const std::string& output,
                          const std::string& errors) {
  EXPECT_EQ(outcome.output, output);
  EXPECT_EQ(outcome.errors, errors);
  EXPECT_EQ(outcome.status, 0);
}

}  // namespace utrace::ptrace_compat::client

#endif  // ENGINES_PTRACE_COMPAT_CLIENT_WRONG_SERVERS_H_
