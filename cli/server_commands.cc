#include "cli/server_commands.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include <cerrno>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/companions.h"
#include "cli/complain.h"
#include "cli/task_tree.h"
#include "cli/version.h"
#include "engines/plugin_loader.h"
#include "engines/registry.h"
#include "fmt/core.h"
#include "server/client.h"
#include "server/server.h"
#include "server/start.h"

namespace utrace::cli {
namespace {

using linux_host::Fd;
using server::Client;
using server::Reply;

// Writes a command's result; false, and a line on standard error, if it cannot be written.
bool Print(const std::string& command, const std::string& text) {
  errno = 0;
  if (fputs(text.c_str(), stdout) >= 0 && fflush(stdout) == 0) return true;
  Complain(command, fmt::format("standard output cannot be written: {}", strerror(errno)));
  return false;
}

// One request to the server, and what came of it.
class Errand {
 public:
  explicit Errand(std::string command) : command_(std::move(command)) {}

  // False if the server cannot be asked; with kFail and no server `none()` tells.
  bool Connect(Client::IfNone if_none) {
    std::string error;
    client_ = Client::Connect(command_, kVersion, if_none, &error);
    none_ = client_ == nullptr && error.empty();
    if (!error.empty()) Complain(error);
    return client_ != nullptr;
  }
  bool none() const { return none_; }

  // The number that ends the answer. Notes and refusals go to standard error.
  uint64_t Ask(const server::Request& request) {
    const Reply answer = client_->Ask(request, {}, [this](const Reply& reply) { OnReply(reply); });
    if (answer.kind == Reply::Kind::kError) Complain(answer.text);
    return answer.number;
  }

  void Complain(const std::string& text) {
    failed_ = true;
    cli::Complain(command_, text);
  }
  void Refuse(pid_t target, const std::string& why) {
    Complain(fmt::format("{}: {}", target, why));
  }
  const std::vector<std::string>& items() const { return items_; }
  int status() const { return failed_ ? 1 : 0; }

 private:
  void OnReply(const Reply& reply) {
    if (reply.kind == Reply::Kind::kRefused) {
      Refuse(reply.pid, reply.text);
    } else if (reply.kind == Reply::Kind::kCrash) {
      Complain(reply.text);
    } else if (reply.kind == Reply::Kind::kItem) {
      items_.push_back(reply.item);
    } else if (reply.kind == Reply::Kind::kNote) {
      const std::string about = reply.pid != 0 ? fmt::format("{} ", reply.pid) : "";
      cli::Complain(command_, about + reply.text);
    }
  }

  const std::string command_;
  std::unique_ptr<Client> client_;
  std::vector<std::string> items_;
  bool none_ = false;
  bool failed_ = false;
};

constexpr char kNothing[] = "no engine is attached to it";

}  // namespace

int RunPs(const PsArguments& arguments) {
  Errand errand("ps");
  if (errand.Connect(Client::IfNone::kFail)) {
    errand.Ask(server::ListRequest{.targets = arguments.targets});
  } else if (errand.none()) {
    for (const pid_t target : arguments.targets) errand.Refuse(target, kNothing);
  }
  const std::string text =
      arguments.json ? TaskTreeAsJson(errand.items()) : TaskTree(errand.items());
  return Print("ps", text) ? errand.status() : 1;
}

int RunDetach(const DetachArguments& arguments) {
  Errand errand("detach");
  if (errand.Connect(Client::IfNone::kFail)) {
    errand.Ask(server::DetachRequest{
        .targets = arguments.targets, .threads = arguments.threads, .engine = arguments.engine});
  } else if (errand.none()) {
    for (const pid_t target : arguments.targets) errand.Refuse(target, kNothing);
  }
  return errand.status();
}

int RunControl(const ControlArguments& arguments) {
  Errand errand(arguments.name);
  // Where there is no server nothing is stopped.
  const bool resume = arguments.kind == server::ControlRequest::Kind::kResume;
  if (errand.Connect(resume ? Client::IfNone::kFail : Client::IfNone::kStart)) {
    errand.Ask(server::ControlRequest{.kind = arguments.kind,
                                      .targets = arguments.targets,
                                      .threads = arguments.threads,
                                      .force = arguments.force});
  } else if (errand.none()) {
    for (const pid_t target : arguments.targets) errand.Refuse(target, kNothing);
  }
  return errand.status();
}

namespace {

std::string ListOf(const std::vector<EngineInfo>& engines, const std::string& indent) {
  constexpr size_t kUsageWidth = 22;
  std::string text;
  for (const EngineInfo& engine : engines) {
    text += fmt::format("{}{:<14}  {}\n", indent, engine.name, engine.summary);
    for (const OptionInfo& option : engine.options) {
      const std::string usage = fmt::format("{}={}", option.key, option.values);
      // Where the usage is long, the summary has a line of its own.
      const std::string gap =
          usage.size() <= kUsageWidth
              ? std::string(kUsageWidth + 2 - usage.size(), ' ')
              : fmt::format("\n{}{}", indent, std::string(kUsageWidth + 4, ' '));
      text += fmt::format("{}  {}{}{}\n", indent, usage, gap, option.summary);
    }
  }
  return text;
}

}  // namespace

std::string EngineList(const std::string& indent) { return ListOf(Engines(), indent); }

int RunEngines(const EnginesArguments& arguments) {
  std::vector<EngineInfo> engines;
  if (arguments.files.empty()) engines = Engines();
  int status = 0;
  for (const std::string& file : arguments.files) {
    // What it loads stays loaded: the texts are the object's own.
    std::string error;
    const auto plugin = Plugin::Load(file, &error);
    if (plugin != nullptr) {
      engines.push_back(plugin->info());
      continue;
    }
    Complain("engines", error);
    status = 1;
  }
  if (!arguments.json) return Print("engines", ListOf(engines, "")) ? status : 1;
  nlohmann::json all = nlohmann::json::array();
  for (const EngineInfo& engine : engines) {
    nlohmann::json options = nlohmann::json::array();
    for (const OptionInfo& option : engine.options) {
      options.push_back(
          {{"key", option.key}, {"values", option.values}, {"summary", option.summary}});
    }
    all.push_back({{"name", engine.name}, {"summary", engine.summary}, {"options", options}});
  }
  return Print("engines", nlohmann::json{{"engines", all}}.dump(2) + "\n") ? status : 1;
}

int RunServe(const ServeArguments& arguments) {
  Fd listener;
  if (arguments.listener) {
    listener.Reset(server::kListenerDescriptor);
    fcntl(listener.get(), F_SETFD, FD_CLOEXEC);
  }
  return server::Serve({.version = kVersion,
                        .program = ThisProgram(),
                        .listener = std::move(listener),
                        .log = !arguments.listener});
}

}  // namespace utrace::cli
