#include "conformance/certify/driver.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "conformance/certify/supervise.h"
#include "conformance/certify/text.h"

namespace utrace::certify {
namespace {

// Turns the signals that ask us to end into something that poll() sees.
class EndSignals {
 public:
  EndSignals() {
    sigset_t mask;
    sigemptyset(&mask);
    for (int number : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&mask, number);
    sigprocmask(SIG_BLOCK, &mask, &old_mask_);
    fd_ = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
  }
  EndSignals(const EndSignals&) = delete;
  EndSignals& operator=(const EndSignals&) = delete;
  ~EndSignals() {
    if (fd_ >= 0) close(fd_);
    sigprocmask(SIG_SETMASK, &old_mask_, nullptr);
  }

  int fd() const { return fd_; }
  // The signal that came, or zero.
  int Take() const {
    signalfd_siginfo info{};
    return read(fd_, &info, sizeof(info)) == sizeof(info) ? static_cast<int>(info.ssi_signo) : 0;
  }

 private:
  sigset_t old_mask_{};
  int fd_ = -1;
};

class Driver {
 public:
  Driver(const DriverRequest& request, Progress* progress)
      : request_(request), progress_(*progress) {}

  DriverOutcome Run() {
    while (outcome_.signal == 0 && !GivesUp()) {
      while (running_.size() < static_cast<size_t>(request_.jobs) &&
             next_ < request_.tests.size() && !GivesUp()) {
        StartNext();
      }
      if (running_.empty()) break;
      Wait();
    }
    // Drops, and thereby kills, what still runs.
    running_.clear();
    return std::move(outcome_);
  }

 private:
  struct Running {
    size_t index;
    std::unique_ptr<Supervised> process;
  };

  void StartNext() {
    const size_t index = next_++;
    const TestId& test = request_.tests[index];
    unlink(ResultPath(request_.setup, test).c_str());
    progress_.Started(test);
    std::string error;
    auto process = Supervised::Start(
        TestRequest(request_.setup, request_.implementation, request_.arguments, test), &error);
    if (process != nullptr) {
      running_.push_back({index, std::move(process)});
      return;
    }
    SuperviseOutcome failed;
    failed.error = error;
    End(index, failed);
  }

  void Wait() {
    std::vector<pollfd> fds = {{signals_.fd(), POLLIN, 0}};
    for (const Running& run : running_) fds.push_back({run.process->fd(), POLLIN, 0});
    poll(fds.data(), fds.size(), progress_.terminal() ? 1000 : -1);
    progress_.Refresh();
    outcome_.signal = signals_.Take();
    if (outcome_.signal != 0) return;
    std::vector<Running> still;
    for (size_t n = 0; n < running_.size(); ++n) {
      if (fds[n + 1].revents == 0) {
        still.push_back(std::move(running_[n]));
      } else {
        End(running_[n].index, running_[n].process->Finish());
      }
    }
    running_ = std::move(still);
  }

  bool GivesUp() const { return hangs_ >= kHangsToGiveUp; }

  void End(size_t index, const SuperviseOutcome& outcome) {
    const TestId& test = request_.tests[index];
    const std::string log = LogPath(request_.setup, test);
    const std::string told = ResultPath(request_.setup, test);
    Evidence& evidence = outcome_.evidence.emplace_back();
    evidence.test = test.id;
    evidence.end = outcome;
    evidence.result = Utf8(ReadFile(told));
    evidence.output = Utf8(std::string(LastLines(ReadFile(log), kOutputLines)));
    const TestResult result = InterpretTest(test, evidence);
    if (request_.on_result) request_.on_result(result, &evidence);
    unlink(log.c_str());
    unlink(told.c_str());
    unlink(HistoryPath(request_.setup, test).c_str());
    progress_.Ended(result);
    hangs_ = result.hung ? hangs_ + 1 : 0;
  }

  const DriverRequest& request_;
  Progress& progress_;
  EndSignals signals_;
  DriverOutcome outcome_;
  std::vector<Running> running_;
  size_t next_ = 0;
  int hangs_ = 0;
};

}  // namespace

DriverOutcome RunTests(const DriverRequest& request, Progress* progress) {
  return Driver(request, progress).Run();
}

}  // namespace utrace::certify
