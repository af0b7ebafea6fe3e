// Runs a program that may crash, hang, fork, flood or be traced, and leaves nothing of it behind.
//
// Between the caller and the program stands a keeper: a forked process that is the subreaper of all
// that the program starts. When the program has ended, or its deadline has passed, or the caller has
// gone, the keeper kills the program's process group and every descendant, whatever session or group
// it moved to, and collects them.
#ifndef CONFORMANCE_CERTIFY_SUPERVISE_H_
#define CONFORMANCE_CERTIFY_SUPERVISE_H_

#include <sys/types.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace utrace::certify {

struct SuperviseRequest {
  std::vector<std::string> argv;  // argv[0] is the file to run, not searched for in PATH
  std::string log_path;           // gets stdout and stderr; created or emptied
  std::chrono::milliseconds deadline{70'000};
  size_t log_limit = 1 << 20;  // bytes; what comes beyond is dropped and the log says so
};

struct SuperviseOutcome {
  // The program could not be started, or its keeper was lost: why. Then nothing else is meaningful.
  std::string error;
  bool timed_out = false;  // killed at the deadline
  int wait_status = 0;     // as waitpid() gives it
  double milliseconds = 0;
};

class Supervised {
 public:
  // Starts the program: stdin is /dev/null, no other descriptor of the caller is passed on, signals
  // are as a shell has them, and the variables by which a test runner talks to its test (XML output,
  // filter, shards) are taken from the environment. The caller must be single-threaded: it is
  // forked. Null and *error if the keeper or the log could not be made.
  static std::unique_ptr<Supervised> Start(const SuperviseRequest& request, std::string* error);

  Supervised(const Supervised&) = delete;
  Supervised& operator=(const Supervised&) = delete;
  // Kills the program and all of its descendants if they still run.
  ~Supervised();

  // Becomes readable when all is over.
  int fd() const { return status_fd_; }

  // Waits for that, and tells how it ended. To be called once.
  SuperviseOutcome Finish();

 private:
  Supervised(pid_t keeper, int status_fd) : keeper_(keeper), status_fd_(status_fd) {}

  pid_t keeper_;
  int status_fd_;
};

// Starts, waits, and reads what the program printed (up to the log limit) into *output.
SuperviseOutcome RunSupervised(const SuperviseRequest& request, std::string* output);

// "SIGSEGV" for 11; "signal 35" where a number has no name.
std::string SignalText(int signal);

}  // namespace utrace::certify

#endif  // CONFORMANCE_CERTIFY_SUPERVISE_H_
