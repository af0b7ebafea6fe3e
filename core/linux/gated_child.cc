#include "core/linux/gated_child.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace utrace::linux_host {

// In memory shared with the child. A flag, so that the child waits without a system call that an
// engine would see.
struct GatedChild::Gate {
  std::atomic<uint32_t> parked{0};  // by the child: it waits
  std::atomic<uint32_t> open{0};    // by the starter: go
  std::atomic<int> exec_error{0};   // by the child, if execve failed, or what comes before it
  std::atomic<bool> filter_failed{false};
};

namespace {

// The file that execvp would run. Looked up here, so that engines see one execve.
int Resolve(const std::string& name, std::string* path) {
  if (name.find('/') != std::string::npos) {
    *path = name;
    return 0;
  }
  const char* variable = std::getenv("PATH");
  const std::string search = variable != nullptr ? variable : "/usr/local/bin:/usr/bin:/bin";
  int failure = -ENOENT;
  for (size_t at = 0; at <= search.size();) {
    const size_t colon = std::min(search.find(':', at), search.size());
    const std::string directory = search.substr(at, colon - at);
    const std::string candidate = (directory.empty() ? "." : directory) + "/" + name;
    struct stat info {};
    if (stat(candidate.c_str(), &info) == 0 && S_ISREG(info.st_mode)) {
      if (access(candidate.c_str(), X_OK) == 0) {
        *path = candidate;
        return 0;
      }
      failure = -EACCES;
    }
    at = colon + 1;
  }
  return failure;
}

// Of a child nobody traces. It stays to be waited for.
bool HasEnded(pid_t child) {
  siginfo_t info{};
  const int status =
      waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOHANG | WNOWAIT | __WALL);
  return status != 0 ? errno != EINTR : info.si_pid == child;
}

}  // namespace

int GatedChild::Start(const std::vector<std::string>& argv, const Options& options,
                      std::unique_ptr<GatedChild>* out, std::string* error) {
  if (argv.empty()) {
    *error = "no command given";
    return -EINVAL;
  }
  const auto failed = [&](int status, const std::string& what) {
    *error = argv[0] + ": " + what + ": " + std::strerror(-status);
    return status;
  };
  std::string path;
  if (const int status = Resolve(argv[0], &path); status < 0) {
    return failed(status, "cannot run the command");
  }
  std::vector<char*> arguments;
  for (const std::string& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);

  std::unique_ptr<GatedChild> child(new GatedChild);
  void* memory =
      mmap(nullptr, sizeof(Gate), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return failed(-errno, "cannot map memory");
  child->gate_ = new (memory) Gate;
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return failed(-errno, "cannot make a pipe");
  child->exec_result_.Reset(ends[0]);
  const Fd child_end(ends[1]);

  const pid_t starter = getpid();
  const pid_t pid = fork();
  if (pid < 0) return failed(-errno, "cannot fork");
  if (pid == 0) {
    Gate* const gate = child->gate_;
    close(ends[0]);
    if (options.private_fd >= 0) close(options.private_fd);
    // Fails where Yama is absent, and then nothing has to be allowed.
    if (options.tracer > 0) prctl(PR_SET_PTRACER, options.tracer, 0, 0, 0);
    gate->parked.store(1, std::memory_order_release);
    // Ends if the starter died. Asked only every ten seconds or so: engines may be attached already
    // and would see the call.
    constexpr uint64_t kSpell = uint64_t{1} << 34;
    for (uint64_t turns = 0; gate->open.load(std::memory_order_acquire) == 0; ++turns) {
      if (turns % kSpell == kSpell - 1 && getppid() != starter) _exit(127);
    }
    if (options.filter != nullptr) {
      if (const int status = options.filter->Install(); status != 0) {
        gate->filter_failed = true;
        gate->exec_error.store(-status, std::memory_order_release);
        _exit(127);
      }
    }
    execv(path.c_str(), arguments.data());
    gate->exec_error.store(errno, std::memory_order_release);
    _exit(127);
  }
  child->pid_ = pid;
  child->pidfd_.Reset(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!child->pidfd_.valid()) {
    const int status = -errno;
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, __WALL);
    return failed(status, "cannot open a pidfd");
  }
  // Not traced before it has made the last call of its own.
  while (child->gate_->parked.load(std::memory_order_acquire) == 0 && !HasEnded(pid)) sched_yield();
  *out = std::move(child);
  return 0;
}

GatedChild::~GatedChild() {
  if (gate_ != nullptr) munmap(gate_, sizeof(Gate));
}

bool GatedChild::filter_failed() const { return gate_->filter_failed; }

int GatedChild::Release() {
  released_ = true;
  gate_->open.store(1, std::memory_order_release);
  // End of file: execve closed the other end, or the child's death did.
  char nothing = 0;
  while (read(exec_result_.get(), &nothing, 1) < 0 && errno == EINTR) {
  }
  return -gate_->exec_error.load(std::memory_order_acquire);
}

}  // namespace utrace::linux_host
