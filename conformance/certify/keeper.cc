#include "conformance/certify/keeper.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string>

namespace utrace::certify {
namespace {

int64_t NowMicroseconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * int64_t{1'000'000} + now.tv_nsec / 1000;
}

// A test that runs under another test's runner must not take that one's orders: gtest would write
// its XML over it, obey its filter, or leave its premature-exit mark behind after a crash.
constexpr const char* kTestRunnerVariables[] = {
    "XML_OUTPUT_FILE",
    "TESTBRIDGE_TEST_ONLY",
    "TEST_PREMATURE_EXIT_FILE",
    "TEST_SHARD_INDEX",
    "TEST_TOTAL_SHARDS",
    "TEST_SHARD_STATUS_FILE",
    "GTEST_OUTPUT",
    "GTEST_FILTER",
    "GTEST_SHARD_INDEX",
    "GTEST_TOTAL_SHARDS",
    "GTEST_SHARD_STATUS_FILE",
    "GTEST_REPEAT",
    "GTEST_ALSO_RUN_DISABLED_TESTS",
    "GTEST_CATCH_EXCEPTIONS",
    "GTEST_FAIL_FAST",
};

[[noreturn]] void BecomeProgram(char* const* argv, int output_fd, int error_fd) {
  setpgid(0, 0);
  for (int number = 1; number < NSIG; ++number) signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  for (const char* name : kTestRunnerVariables) unsetenv(name);

  // Out of the way of 0 to 3, which they may have if the caller's own were closed.
  output_fd = fcntl(output_fd, F_DUPFD_CLOEXEC, 10);
  error_fd = fcntl(error_fd, F_DUPFD_CLOEXEC, 10);
  const int null_fd = open("/dev/null", O_RDONLY);
  dup2(null_fd, STDIN_FILENO);
  dup2(output_fd, STDOUT_FILENO);
  dup2(output_fd, STDERR_FILENO);
  // The only one to stay, until execve closes it.
  const int report_fd = 3;
  dup3(error_fd, report_fd, O_CLOEXEC);
  close_range(report_fd + 1, ~0U, 0);

  execv(argv[0], argv);
  const int32_t error = errno;
  [[maybe_unused]] const ssize_t written = write(report_fd, &error, sizeof(error));
  _exit(127);
}

// The field behind the closing parenthesis of a process's name is its state, the next its parent.
pid_t ParentOf(const char* pid) {
  const std::string path = fmt::format("/proc/{}/stat", pid);
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  char text[512];
  const ssize_t size = read(fd, text, sizeof(text) - 1);
  close(fd);
  if (size <= 0) return -1;
  text[size] = '\0';
  const char* name_end = strrchr(text, ')');
  if (name_end == nullptr || strlen(name_end) < 5) return -1;
  return static_cast<pid_t>(strtol(name_end + 4, nullptr, 10));
}

void KillChildren() {
  DIR* proc = opendir("/proc");
  if (proc == nullptr) return;
  while (const dirent* entry = readdir(proc)) {
    if (entry->d_name[0] < '1' || entry->d_name[0] > '9') continue;
    if (ParentOf(entry->d_name) != getpid()) continue;
    kill(static_cast<pid_t>(strtol(entry->d_name, nullptr, 10)), SIGKILL);
  }
  closedir(proc);
}

class Keeper {
 public:
  explicit Keeper(const KeeperTask& task) : task_(task) {}

  [[noreturn]] void Run() {
    start_ = NowMicroseconds();
    Prepare();
    StartProgram();
    const int64_t deadline = start_ + task_.deadline_ms * 1000;
    while (!program_ended_ && !stop_) {
      const int64_t left = deadline - NowMicroseconds();
      if (left <= 0) {
        status_.timed_out = 1;
        break;
      }
      WaitForSomething((left + 999) / 1000);
    }
    CleanUp();
    if (!stop_) {
      [[maybe_unused]] const ssize_t written = write(task_.status_fd, &status_, sizeof(status_));
    }
    _exit(0);
  }

 private:
  void Prepare() {
    // Out of the terminal's foreground group: its Ctrl-C goes to the caller, who ends us.
    setpgid(0, 0);
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGCHLD);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGINT);
    sigaddset(&mask, SIGHUP);
    sigprocmask(SIG_SETMASK, &mask, nullptr);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_DFL);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != task_.parent) _exit(1);
    signal_fd_ = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signal_fd_ < 0) _exit(1);
  }

  void StartProgram() {
    int output[2];
    int report[2];
    if (pipe2(output, O_CLOEXEC) != 0 || pipe2(report, O_CLOEXEC) != 0) _exit(1);
    program_ = fork();
    if (program_ < 0) _exit(1);
    if (program_ == 0) BecomeProgram(task_.argv, output[1], report[1]);
    setpgid(program_, program_);
    close(output[1]);
    close(report[1]);
    output_fd_ = output[0];
    fcntl(output_fd_, F_SETFL, O_NONBLOCK);
    int32_t error = 0;
    if (read(report[0], &error, sizeof(error)) == sizeof(error)) status_.exec_errno = error;
    close(report[0]);
  }

  void WaitForSomething(int64_t milliseconds) {
    pollfd fds[] = {{signal_fd_, POLLIN, 0}, {output_fd_, POLLIN, 0}};
    poll(fds, output_fd_ < 0 ? 1 : 2, static_cast<int>(std::min<int64_t>(milliseconds, 60'000)));
    signalfd_siginfo info;
    while (read(signal_fd_, &info, sizeof(info)) == sizeof(info)) {
      if (info.ssi_signo != SIGCHLD) stop_ = true;
    }
    CopyOutput();
    Reap();
  }

  // Takes the end of each child, the program's as well as orphans'. True while any child is left.
  bool Reap() {
    int wait_status = 0;
    pid_t pid = 0;
    while ((pid = waitpid(-1, &wait_status, WNOHANG | __WALL)) > 0) {
      if (pid != program_) continue;
      program_ended_ = true;
      status_.wait_status = wait_status;
      status_.microseconds = NowMicroseconds() - start_;
    }
    return pid == 0;
  }

  void CleanUp() {
    // Children of killed ones become ours, so killing ours again and again gets all. The limit is
    // for what SIGKILL cannot end, such as a process inside a file system that does not answer.
    const int64_t limit = NowMicroseconds() + 10'000'000;
    if (!program_ended_) kill(-program_, SIGKILL);
    while (Reap() && NowMicroseconds() < limit) {
      // Also afterwards: what the program left behind in its group it no longer watches.
      if (!program_ended_) kill(-program_, SIGKILL);
      KillChildren();
      WaitForSomething(20);
    }
    if (!program_ended_) status_.microseconds = NowMicroseconds() - start_;
    // Bounded, should a writer have outlived SIGKILL: a pipe holds less than this.
    for (int n = 0; n < 1000 && CopyOutput(); ++n) {
    }
  }

  // Takes one buffer full, so that a flood does not keep us from seeing signals and the deadline.
  // True if there may be more.
  bool CopyOutput() {
    if (output_fd_ < 0) return false;
    char buffer[16384];
    const ssize_t size = read(output_fd_, buffer, sizeof(buffer));
    if (size == 0) {
      close(output_fd_);
      output_fd_ = -1;
    }
    if (size <= 0) return false;
    const size_t room = task_.log_limit - std::min(task_.log_limit, logged_);
    WriteLog(buffer, std::min(room, static_cast<size_t>(size)));
    if (static_cast<size_t>(size) > room && !cut_) {
      cut_ = true;
      const std::string note =
          fmt::format("\n[cut: the program printed more than {} bytes]\n", task_.log_limit);
      WriteLog(note.data(), note.size());
    }
    logged_ += size;
    return true;
  }

  // A log that cannot be written is the smaller harm: the verdict does not depend on it.
  void WriteLog(const char* data, size_t size) {
    while (size > 0) {
      const ssize_t written = write(task_.log_fd, data, size);
      if (written <= 0) return;
      data += written;
      size -= written;
    }
  }

  const KeeperTask task_;
  KeeperStatus status_{};
  int64_t start_ = 0;
  pid_t program_ = -1;
  int signal_fd_ = -1;
  int output_fd_ = -1;
  size_t logged_ = 0;
  bool cut_ = false;
  bool program_ended_ = false;
  bool stop_ = false;
};

}  // namespace

void RunKeeper(const KeeperTask& task) { Keeper(task).Run(); }

}  // namespace utrace::certify
