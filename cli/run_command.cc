#include "cli/run_command.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>

#include "cli/die.h"
#include "core/linux/command.h"
#include "core/utrace.h"
#include "engines/options.h"
#include "engines/registry.h"
#include "fmt/core.h"

namespace utrace::cli {
namespace {

constexpr char kDefaultEngine[] = "syscall_log";

// By hand: fmt::print throws if stderr is closed, which must not matter.
void Complain(const std::string& text) { fputs(("utrace run: " + text + "\n").c_str(), stderr); }

// With a backslash before what would end an option's value.
std::string Escaped(std::string_view value) {
  std::string escaped;
  for (char c : value) {
    if (c == ',' || c == '\\') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

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
  explicit SignalsWhileRunning(pid_t command) {
    pidfd_ = static_cast<int>(syscall(SYS_pidfd_open, command, 0));
    g_forward_to = pidfd_;
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
  ~SignalsWhileRunning() {
    g_forward_to = -1;
    if (pidfd_ >= 0) close(pidfd_);
  }

 private:
  static void Set(int number, void (*handler)(int)) {
    struct sigaction action {};
    action.sa_handler = handler;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, nullptr);
  }

  int pidfd_ = -1;
};

// All engines, or none and *error.
std::vector<std::unique_ptr<EngineInstance>> MakeEngines(const std::vector<std::string>& specs,
                                                         std::string* error) {
  std::vector<std::unique_ptr<EngineInstance>> engines;
  for (const std::string& spec : specs) {
    std::unique_ptr<EngineInstance> engine = MakeEngine(spec, error);
    if (engine == nullptr) {
      *error = fmt::format("-e {}: {}", spec, *error);
      return {};
    }
    engines.push_back(std::move(engine));
  }
  return engines;
}

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

}  // namespace

std::vector<std::string> EngineSpecs(const RunArguments& arguments, std::string* error) {
  std::vector<std::string> specs = arguments.engines;
  if (specs.empty()) specs.emplace_back(kDefaultEngine);
  if (arguments.output.empty()) return specs;

  std::string* wanting = nullptr;
  for (std::string& spec : specs) {
    std::string ignored;  // a malformed one is complained about when it is made
    const std::optional<EngineSpec> parsed = ParseEngineSpec(spec, &ignored);
    if (parsed && parsed->options.Find("output") != nullptr) continue;
    if (wanting != nullptr) {
      *error = fmt::format(
          "-o {}: more than one engine has no output of its own ({} and {}); give each one with -e "
          "ENGINE:output=FILE",
          arguments.output, *wanting, spec);
      return {};
    }
    wanting = &spec;
  }
  if (wanting == nullptr) {
    *error =
        fmt::format("-o {}: every engine has an output of its own; leave -o out", arguments.output);
    return {};
  }
  const bool has_options = wanting->find(':') != std::string::npos;
  *wanting += fmt::format("{}output={}", has_options ? "," : ":", Escaped(arguments.output));
  return specs;
}

int RunTraced(const RunArguments& arguments) {
  std::string error;
  const std::vector<std::string> specs = EngineSpecs(arguments, &error);
  std::vector<std::unique_ptr<EngineInstance>> engines;
  if (error.empty()) engines = MakeEngines(specs, &error);
  if (!error.empty()) {
    Complain(error);
    return kExitRunFailed;
  }

  const std::string& name = arguments.command.front();
  std::unique_ptr<linux_host::Command> command;
  const int started = linux_host::Command::Start(arguments.command, &command, &error);
  if (started == -ENOENT || started == -EACCES) {
    return ExitStatusForExecError(name, -started, error);
  }
  if (started != 0) {
    Complain(
        fmt::format("{}: cannot be started: {}", name, error.empty() ? strerror(-started) : error));
    return kExitRunFailed;
  }
  int wait_status = 0;
  {
    const SignalsWhileRunning signals(utrace_task_tgid(command->task()));
    for (size_t n = 0; n < engines.size(); ++n) {
      const int attached = engines[n]->Attach(command->task());
      if (attached == 0) continue;
      const std::string why = utrace_last_error_text();
      Complain(fmt::format("{}: the engine {} cannot be attached: {}", name, specs[n],
                           why.empty() ? strerror(-attached) : why));
      return kExitRunFailed;
    }
    const int released = command->Release();
    if (released != 0) {
      command->Wait();
      for (const auto& engine : engines) engine->Finish();
      return ExitStatusForExecError(name, -released, "");
    }
    wait_status = command->Wait();
  }
  for (size_t n = 0; n < engines.size(); ++n) {
    for (const std::string& line : engines[n]->Finish()) {
      Complain(fmt::format("{}: {}", specs[n], line));
    }
  }
  if (WIFSIGNALED(wait_status)) DieBySignal(WTERMSIG(wait_status));
  return WEXITSTATUS(wait_status);
}

}  // namespace utrace::cli
