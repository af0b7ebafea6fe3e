#include "conformance/certify/supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <utility>

#include "conformance/certify/keeper.h"

namespace utrace::certify {
namespace {

void Close(int* fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

// Takes the keeper's end, whatever signals come meanwhile.
void Collect(pid_t* keeper) {
  if (*keeper < 0) return;
  while (waitpid(*keeper, nullptr, 0) < 0 && errno == EINTR) {
  }
  *keeper = -1;
}

}  // namespace

std::unique_ptr<Supervised> Supervised::Start(const SuperviseRequest& request, std::string* error) {
  int log_fd = open(request.log_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (log_fd < 0) {
    *error = fmt::format("cannot write the log {}: {}", request.log_path, strerror(errno));
    return nullptr;
  }
  int status[2] = {-1, -1};
  if (pipe2(status, O_CLOEXEC) != 0) {
    *error = fmt::format("cannot run {}: no pipe: {}", request.argv[0], strerror(errno));
    Close(&log_fd);
    return nullptr;
  }

  std::vector<char*> argv;
  for (const std::string& argument : request.argv) {
    argv.push_back(const_cast<char*>(argument.c_str()));
  }
  argv.push_back(nullptr);
  const KeeperTask task = {.argv = argv.data(),
                           .log_fd = log_fd,
                           .status_fd = status[1],
                           .deadline_ms = request.deadline.count(),
                           .log_limit = request.log_limit,
                           .parent = getpid()};
  const pid_t keeper = fork();
  if (keeper == 0) RunKeeper(task);
  const int fork_errno = errno;
  Close(&log_fd);
  Close(&status[1]);
  if (keeper < 0) {
    *error = fmt::format("cannot run {}: no process: {}", request.argv[0], strerror(fork_errno));
    Close(&status[0]);
    return nullptr;
  }
  return std::unique_ptr<Supervised>(new Supervised(keeper, status[0]));
}

Supervised::~Supervised() {
  if (keeper_ >= 0) kill(keeper_, SIGTERM);
  Collect(&keeper_);
  Close(&status_fd_);
}

SuperviseOutcome Supervised::Finish() {
  KeeperStatus status{};
  ssize_t size = 0;
  do {
    size = read(status_fd_, &status, sizeof(status));
  } while (size < 0 && errno == EINTR);
  Collect(&keeper_);
  Close(&status_fd_);

  SuperviseOutcome outcome;
  if (size != sizeof(status)) {
    outcome.error = "the process that watches over it was killed or found no resources";
  } else if (status.exec_errno != 0) {
    outcome.error = fmt::format("it cannot be executed: {}", strerror(status.exec_errno));
  } else {
    outcome.timed_out = status.timed_out != 0;
    outcome.wait_status = status.wait_status;
    outcome.milliseconds = static_cast<double>(status.microseconds) / 1000;
  }
  return outcome;
}

SuperviseOutcome RunSupervised(const SuperviseRequest& request, std::string* output) {
  SuperviseOutcome outcome;
  const std::unique_ptr<Supervised> run = Supervised::Start(request, &outcome.error);
  if (run == nullptr) return outcome;
  outcome = run->Finish();
  std::ifstream log(request.log_path, std::ios::binary);
  std::ostringstream text;
  text << log.rdbuf();
  *output = std::move(text).str();
  return outcome;
}

std::string SignalText(int signal) {
  const char* name = sigabbrev_np(signal);
  return name != nullptr ? fmt::format("SIG{}", name) : fmt::format("signal {}", signal);
}

}  // namespace utrace::certify
