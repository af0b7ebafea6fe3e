#include "core/linux/command.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "core/linux/linux_host.h"
#include "core/linux/proc.h"

namespace utrace::linux_host {

// In memory shared with the child. A flag, so that the child waits without a system call that an
// engine would see.
struct Command::Gate {
  std::atomic<uint32_t> parked{0};  // by the child: it waits
  std::atomic<uint32_t> open{0};    // by the starter: go
  std::atomic<int> exec_error{0};   // by the child, if execve failed
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

bool HasEnded(pid_t child) {
  const auto stat = ReadStat(child);
  return !stat || stat->IsDead();
}

}  // namespace

int Command::Start(const std::vector<std::string>& argv, std::unique_ptr<Command>* out,
                   std::string* error) {
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

  std::unique_ptr<Command> command(new Command);
  void* memory =
      mmap(nullptr, sizeof(Gate), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return failed(-errno, "cannot map memory");
  command->gate_ = new (memory) Gate;
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return failed(-errno, "cannot make a pipe");
  command->exec_result_.Reset(ends[0]);
  Fd child_end(ends[1]);

  const pid_t starter = getpid();
  const pid_t pid = fork();
  if (pid < 0) return failed(-errno, "cannot fork");
  if (pid == 0) {
    Gate* const gate = command->gate_;
    close(ends[0]);
    gate->parked.store(1, std::memory_order_release);
    // Ends if the starter died. Asked only every ten seconds or so: engines may be attached already
    // and would see the call.
    constexpr uint64_t kSpell = uint64_t{1} << 34;
    for (uint64_t turns = 0; gate->open.load(std::memory_order_acquire) == 0; ++turns) {
      if (turns % kSpell == kSpell - 1 && getppid() != starter) _exit(127);
    }
    execv(path.c_str(), arguments.data());
    gate->exec_error.store(errno, std::memory_order_release);
    _exit(127);
  }
  command->pid_ = pid;
  LinuxHost::Get().exits().Expect(pid);
  command->pidfd_.Reset(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!command->pidfd_.valid()) return failed(-errno, "cannot open a pidfd");
  // Not traced before it has made the last call of its own.
  while (command->gate_->parked.load(std::memory_order_acquire) == 0 && !HasEnded(pid))
    sched_yield();
  int status = 0;
  command->task_ = LinuxHost::Get().FindTask(pid, &status, error);
  if (command->task_ == nullptr) return status;
  *out = std::move(command);
  return 0;
}

Command::~Command() {
  if (pid_ > 0 && !released_) {
    kill(pid_, SIGKILL);
    Wait();
  }
  if (task_ != nullptr) FromPublic(task_)->Unref();
  if (gate_ != nullptr) munmap(gate_, sizeof(Gate));
}

int Command::Release() {
  released_ = true;
  gate_->open.store(1, std::memory_order_release);
  // End of file: execve closed the other end, or the child's death did.
  char nothing = 0;
  while (read(exec_result_.get(), &nothing, 1) < 0 && errno == EINTR) {
  }
  return -gate_->exec_error.load(std::memory_order_acquire);
}

int Command::Wait() {
  LinuxHost& host = LinuxHost::Get();
  for (;;) {
    pollfd ended{.fd = pidfd_.get(), .events = POLLIN, .revents = 0};
    while (poll(&ended, 1, -1) < 0 && errno == EINTR) {
    }
    // A lane that traces it waits for it as well, and is to see its death first. Who goes by the id
    // may change meanwhile, by exec of a thread.
    while (Task* task = host.FindMade(pid_)) {
      const bool was_traced = static_cast<LinuxTask&>(task->host()).AwaitUntraced();
      task->Unref();
      if (!was_traced) break;
    }
    if (const auto status = host.exits().Take(pid_)) return *status;
    int status = 0;
    const pid_t got = waitpid(pid_, &status, __WALL | WNOHANG);
    if (got == pid_) {
      host.exits().Forget(pid_);
      return status;
    }
    if (got < 0 && errno != EINTR) return -1;  // somebody else of this process waited for it
  }
}

}  // namespace utrace::linux_host
