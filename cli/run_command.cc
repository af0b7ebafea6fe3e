#include "cli/run_command.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <memory>
#include <optional>

#include "cli/complain.h"
#include "cli/die.h"
#include "cli/engine_specs.h"
#include "cli/version.h"
#include "core/linux/call_filter.h"
#include "core/linux/gated_child.h"
#include "fmt/core.h"
#include "server/client.h"

namespace utrace::cli {
namespace {

using server::Reply;

void Complain(const std::string& text) { cli::Complain("run", text); }

// The process that signals are handed on to, as a pidfd: a number could come to name another.
std::atomic<int> g_forward_to{-1};

void Forward(int number) {
  const int saved_errno = errno;
  syscall(SYS_pidfd_send_signal, g_forward_to.load(), number, nullptr, 0);
  errno = saved_errno;
}

// How this process takes signals while the command runs. Made after the command's process, which
// must not inherit it.
class SignalsWhileRunning {
 public:
  // `pidfd` is borrowed.
  explicit SignalsWhileRunning(int pidfd) {
    g_forward_to = pidfd;
    // The terminal sends these to the command as well, whose business they are.
    Set(SIGINT, SIG_IGN);
    Set(SIGQUIT, SIG_IGN);
    // A log that cannot be written must end neither us nor, with us, the command's log.
    Set(SIGPIPE, SIG_IGN);
    Set(SIGXFSZ, SIG_IGN);
    // Sent to us they mean the command.
    for (int number : {SIGTERM, SIGHUP}) {
      struct sigaction old {};
      sigaction(number, nullptr, &old);
      // nohup's choice holds for the command too, which inherited it.
      if (old.sa_handler != SIG_IGN) Set(number, Forward);
    }
  }
  SignalsWhileRunning(const SignalsWhileRunning&) = delete;
  SignalsWhileRunning& operator=(const SignalsWhileRunning&) = delete;
  // The dispositions stay: this process is about to end as the command did, and until then a signal
  // must not get the better of that. What is handed on finds nobody.
  ~SignalsWhileRunning() { g_forward_to = -1; }

 private:
  static void Set(int number, void (*handler)(int)) {
    struct sigaction action {};
    action.sa_handler = handler;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, nullptr);
  }
};

// As shells have it. `where` says more than the error number, or is empty.
int ExitStatusForExecError(const std::string& command, int error, const std::string& where) {
  if (error == ENOENT && access(command.c_str(), F_OK) == 0) {
    Complain(
        fmt::format("{}: cannot be executed: the interpreter that it names is not there", command));
  } else if (error == ENOENT) {
    Complain(fmt::format("{}: command not found", command));
  } else {
    Complain(where.empty() ? fmt::format("{}: cannot be executed: {}", command, strerror(error))
                           : where);
  }
  return error == ENOENT ? kExitNotFound : kExitNotExecutable;
}

// What the server tells while the command runs and at its end.
class ServerTalk {
 public:
  // `filtered`: the command has a filter, and needs the server.
  ServerTalk(server::Client& client, bool filtered) : client_(client), filtered_(filtered) {}

  // Takes what there is now. False if the server is gone, which was told to the user then.
  bool Listen() {
    while (const std::optional<Reply> reply = client_.Receive(/*wait=*/false)) OnReply(*reply);
    if (!client_.gone()) return true;
    if (why_gone_.empty()) {
      why_gone_ = fmt::format("the server (pid {}) has died", client_.server());
    }
    Complain(why_gone_ + "; the command runs on untraced" +
             (filtered_ ? ", and its system calls that --fast named fail" : ""));
    return false;
  }
  // The engines' work is over.
  void End() {
    ending_ = true;
    client_.Ask(server::EndRequest{}, {}, [this](const Reply& reply) { OnReply(reply); });
    for (const std::string& line : problems_) Complain(line);
  }

 private:
  void OnReply(const Reply& reply) {
    const bool note = reply.kind == Reply::Kind::kNote;
    if (reply.kind == Reply::Kind::kCrash || (note && !ending_)) {
      why_gone_ = reply.text;
    } else if (note) {
      problems_.push_back(reply.text);
    } else if (reply.kind == Reply::Kind::kEnded) {
      problems_.insert(problems_.end(), reply.lines.begin(), reply.lines.end());
    }
  }

  server::Client& client_;
  const bool filtered_;
  std::string why_gone_;  // as the server has said
  bool ending_ = false;   // notes are problems of the engines
  std::vector<std::string> problems_;
};

// Attaches the engines to the child that waits for it. Empty, or why not.
std::string AttachTo(pid_t child, bool fast, server::Client& client) {
  std::string refusal;
  const Reply answer =
      client.Ask(server::AttachRequest{.targets = {child}, .command = true, .fast = fast}, {},
                 [&](const Reply& reply) {
                   if (reply.kind == Reply::Kind::kRefused) refusal = reply.text;
                 });
  return answer.kind == Reply::Kind::kError ? answer.text : refusal;
}

// The raw status with which the command ended; what the server says meanwhile goes to `talk`.
int WaitFor(const linux_host::GatedChild& child, const server::Client& client, ServerTalk& talk) {
  std::array<pollfd, 2> waits = {{{.fd = child.pidfd(), .events = POLLIN, .revents = 0},
                                  {.fd = client.socket(), .events = POLLIN, .revents = 0}}};
  while (waits[0].revents == 0) {
    if (poll(waits.data(), waits.size(), -1) <= 0) continue;  // a signal was handed on
    if (waits[1].revents != 0 && !talk.Listen()) waits[1].fd = -1;
  }
  // Its tracer, the server, sees the death first, and hands it over.
  int status = 0;
  while (waitpid(child.pid(), &status, __WALL) < 0 && errno == EINTR) {
  }
  return status;
}

}  // namespace

int RunTraced(const RunArguments& arguments) {
  std::string error;
  const std::vector<std::string> specs = EngineSpecs(arguments.engines, &error);
  std::unique_ptr<server::Client> client;
  if (error.empty()) {
    client = server::Client::Connect("run", kVersion, server::Client::IfNone::kStart, &error);
  }
  std::vector<long> calls;
  if (client != nullptr) MakeEngines(*client, specs, &error, arguments.fast ? &calls : nullptr);
  std::unique_ptr<linux_host::CallFilter> filter;
  // Engines that want no calls need no filter.
  if (error.empty() && !calls.empty()) filter = linux_host::CallFilter::Make(calls, &error);
  if (!error.empty()) {
    Complain(error);
    return kExitRunFailed;
  }

  const std::string& name = arguments.command.front();
  std::unique_ptr<linux_host::GatedChild> child;
  const int started = linux_host::GatedChild::Start(
      arguments.command,
      {.tracer = client->server(), .private_fd = client->socket(), .filter = filter.get()}, &child,
      &error);
  if (started == -ENOENT || started == -EACCES) {
    return ExitStatusForExecError(name, -started, error);
  }
  if (started != 0) {
    Complain(
        fmt::format("{}: cannot be started: {}", name, error.empty() ? strerror(-started) : error));
    return kExitRunFailed;
  }
  ServerTalk talk(*client, filter != nullptr);
  int wait_status = 0;
  {
    const SignalsWhileRunning signals(child->pidfd());
    error = AttachTo(child->pid(), filter != nullptr, *client);
    if (!error.empty()) {
      kill(child->pid(), SIGKILL);
      waitpid(child->pid(), nullptr, __WALL);
      Complain(fmt::format("{}: the engines cannot be attached: {}", name, error));
      return kExitRunFailed;
    }
    const int released = child->Release();
    wait_status = WaitFor(*child, *client, talk);
    if (released != 0) {
      if (!client->gone()) talk.End();
      if (child->filter_failed()) {
        Complain(fmt::format("{}: --fast: no filter for system calls can be put in force: {}", name,
                             strerror(-released)));
        return kExitRunFailed;
      }
      return ExitStatusForExecError(name, -released, "");
    }
  }
  if (!client->gone()) talk.End();
  if (WIFSIGNALED(wait_status)) DieBySignal(WTERMSIG(wait_status));
  return WEXITSTATUS(wait_status);
}

}  // namespace utrace::cli
