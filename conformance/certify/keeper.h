// The keeper process of supervise.h: what runs between its fork and its _exit.
#ifndef CONFORMANCE_CERTIFY_KEEPER_H_
#define CONFORMANCE_CERTIFY_KEEPER_H_

#include <sys/types.h>

#include <cstddef>
#include <cstdint>

namespace utrace::certify {

// What the keeper writes into its status pipe.
struct KeeperStatus {
  int32_t exec_errno;  // nonzero: the program could not be executed
  int32_t timed_out;
  int32_t wait_status;
  int64_t microseconds;
};

struct KeeperTask {
  char* const* argv;
  int log_fd;
  int status_fd;
  int64_t deadline_ms;
  size_t log_limit;
  pid_t parent;  // ends when this process is gone
};

// To be called in a freshly forked child of a single-threaded process.
[[noreturn]] void RunKeeper(const KeeperTask& task);

}  // namespace utrace::certify

#endif  // CONFORMANCE_CERTIFY_KEEPER_H_
