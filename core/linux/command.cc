#include "core/linux/command.h"

#include <poll.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>

#include "core/linux/linux_host.h"

namespace utrace::linux_host {

int Command::Start(const std::vector<std::string>& argv, std::unique_ptr<Command>* out,
                   std::string* error, const CallFilter* filter) {
  std::unique_ptr<Command> command(new Command);
  int status = GatedChild::Start(argv, {.filter = filter}, &command->child_, error);
  if (status != 0) return status;
  LinuxHost::Get().exits().Expect(command->pid());
  command->task_ = LinuxHost::Get().FindTask(command->pid(), &status, error);
  if (command->task_ == nullptr) return status;
  *out = std::move(command);
  return 0;
}

Command::~Command() {
  if (child_ != nullptr && !child_->released()) {
    kill(pid(), SIGKILL);
    Wait();
  }
  if (task_ != nullptr) FromPublic(task_)->Unref();
}

int Command::Wait() {
  LinuxHost& host = LinuxHost::Get();
  for (;;) {
    pollfd ended{.fd = child_->pidfd(), .events = POLLIN, .revents = 0};
    while (poll(&ended, 1, -1) < 0 && errno == EINTR) {
    }
    // A lane that traces it waits for it as well, and is to see its death first. Who goes by the id
    // may change meanwhile, by exec of a thread.
    while (Task* task = host.FindMade(pid())) {
      const bool was_traced = static_cast<LinuxTask&>(task->host()).AwaitUntraced();
      task->Unref();
      if (!was_traced) break;
    }
    if (const auto status = host.exits().Take(pid())) return *status;
    int status = 0;
    const pid_t got = waitpid(pid(), &status, __WALL | WNOHANG);
    if (got == pid()) {
      host.exits().Forget(pid());
      return status;
    }
    if (got < 0 && errno != EINTR) return -1;  // somebody else of this process waited for it
  }
}

}  // namespace utrace::linux_host
