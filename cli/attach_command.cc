#include "cli/attach_command.h"

#include <poll.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <memory>
#include <optional>

#include "cli/complain.h"
#include "cli/engine_specs.h"
#include "cli/version.h"
#include "core/linux/fd.h"
#include "fmt/core.h"
#include "server/client.h"

namespace utrace::cli {
namespace {

using linux_host::Fd;
using server::Client;
using server::Reply;

void Complain(const std::string& text) { cli::Complain("attach", text); }

// A line on a terminal that is written over, for what takes long.
class Progress {
 public:
  void Show(pid_t target, uint64_t done, uint64_t total) {
    constexpr std::chrono::milliseconds kLong{500};
    if (!terminal_ || std::chrono::steady_clock::now() - begin_ < kLong) return;
    fputs(fmt::format("\rutrace attach: {}: {} of {} threads", target, done, total).c_str(),
          stderr);
    shown_ = true;
  }
  void Clear() {
    if (shown_) fputs("\r\033[K", stderr);
    shown_ = false;
  }

 private:
  const bool terminal_ = isatty(STDERR_FILENO) == 1;
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  bool shown_ = false;
};

class Attaching {
 public:
  // `progress` is that of the whole command.
  Attaching(Client& client, const AttachArguments& arguments, size_t engines, Progress& progress)
      : client_(client), arguments_(arguments), engines_left_(engines), progress_(progress) {}

  // Until all is over; the exit status.
  int Run(int signals) {
    client_.Send(server::AttachRequest{.targets = arguments_.targets,
                                       .threads = arguments_.threads,
                                       .follow = arguments_.follow,
                                       .force = arguments_.force,
                                       .command = false});
    std::array<pollfd, 2> waits = {{{.fd = client_.socket(), .events = POLLIN, .revents = 0},
                                    {.fd = signals, .events = POLLIN, .revents = 0}}};
    while (!over_) {
      if (poll(waits.data(), waits.size(), -1) < 0 && errno != EINTR) return 1;
      if (waits[1].revents != 0 && !OnSignal(signals)) return 1;
      if (waits[0].revents != 0) Listen();
    }
    progress_.Clear();
    return failed_ ? 1 : 0;
  }

 private:
  // False if the user has lost patience.
  bool OnSignal(int signals) {
    signalfd_siginfo info{};
    if (read(signals, &info, sizeof(info)) != sizeof(info)) return true;
    if (ending_) return false;
    End();
    return true;
  }

  void End() {
    ending_ = true;
    client_.Send(server::EndRequest{});
  }

  void Listen() {
    while (!over_) {
      const std::optional<Reply> reply = client_.Receive(/*wait=*/false);
      if (!reply) break;
      OnReply(*reply);
    }
    if (over_ || !client_.gone()) return;
    Fail(why_gone_.empty()
             ? fmt::format("the server (pid {}) has died; the targets run on", client_.server())
             : why_gone_ + "; the targets run on");
    over_ = true;
  }

  void OnReply(const Reply& reply) {
    switch (reply.kind) {
      case Reply::Kind::kProgress:
        progress_.Show(reply.pid, reply.number, reply.total);
        break;
      case Reply::Kind::kRefused:
        Fail(fmt::format("{}: {}", reply.pid, reply.text));
        break;
      case Reply::Kind::kDone:
        OnDone(reply.number);
        break;
      case Reply::Kind::kError:
        Fail(reply.text);
        over_ = true;
        break;
      case Reply::Kind::kEnded:
        if (!reply.lines.empty()) failed_ = true;
        for (const std::string& line : reply.lines) Complain(line);
        if (!arguments_.quiet) Complain("detached: " + reply.text);
        // An answer to a signal that came meanwhile is not waited for.
        over_ = --engines_left_ == 0;
        break;
      case Reply::Kind::kNote:
        if (ending_) {
          Fail(reply.text);
        } else {
          why_gone_ = reply.text;
        }
        break;
      case Reply::Kind::kCrash:
        why_gone_ = reply.text;
        break;
      case Reply::Kind::kGreeting:
      case Reply::Kind::kItem:
        break;
    }
  }

  void OnDone(uint64_t number) {
    if (attached_) {
      over_ = true;  // the answer to End
      return;
    }
    attached_ = true;
    progress_.Clear();
    if (ending_) return;
    if (number == 0) {
      over_ = true;
    } else if (!arguments_.quiet) {
      Complain(fmt::format("attached to {} {}; Ctrl-C detaches", number,
                           number == 1 ? "thread" : "threads"));
    }
  }

  void Fail(const std::string& text) {
    progress_.Clear();
    Complain(text);
    failed_ = true;
  }

  Client& client_;
  const AttachArguments& arguments_;
  size_t engines_left_;
  Progress& progress_;
  std::string why_gone_;
  bool attached_ = false;
  bool ending_ = false;
  bool failed_ = false;
  bool over_ = false;
};

}  // namespace

int RunAttach(const AttachArguments& arguments) {
  Progress progress;
  std::string error;
  const std::vector<std::string> specs =
      WithoutOwnFollowing(EngineSpecs(arguments.engines, &error));
  // From here on: whenever one comes, what is attached is detached in order.
  sigset_t ends;
  sigemptyset(&ends);
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&ends, number);
  sigprocmask(SIG_BLOCK, &ends, nullptr);
  signal(SIGPIPE, SIG_IGN);
  const Fd signals(signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK));
  std::unique_ptr<Client> client;
  if (error.empty()) {
    client = Client::Connect("attach", kVersion, Client::IfNone::kStart, &error);
  }
  if (client != nullptr) MakeEngines(*client, specs, &error);
  if (!error.empty()) {
    Complain(error);
    return 1;
  }
  return Attaching(*client, arguments, specs.size(), progress).Run(signals.get());
}

}  // namespace utrace::cli
