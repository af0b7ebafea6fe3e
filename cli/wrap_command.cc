#include "cli/wrap_command.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <optional>

#include "cli/companions.h"
#include "cli/complain.h"
#include "cli/run_command.h"
#include "cli/version.h"
#include "cli/wrappable.h"
#include "engines/ptrace_compat/wrap_variable.h"
#include "fmt/core.h"
#include "server/client.h"
#include "server/place.h"

namespace utrace::cli {
namespace {

constexpr char kLibrary[] = "engines/ptrace_compat/client/libutrace_ptrace.so";

int Fail(int status, const std::string& text) {
  Complain("wrap", text);
  return status;
}

// The directory of the server's socket; empty, and *error, if there can be none.
std::string ServerDirectory(std::string* error) {
  const std::optional<server::Place> place = server::Place::Open(error);
  if (!place) return "";
  const std::string name = place->socket_name();
  return name.substr(0, name.rfind('/'));
}

int FailToExecute(const std::string& command, int error) {
  if (error == ENOENT) return Fail(kExitNotFound, fmt::format("{}: command not found", command));
  return Fail(kExitNotExecutable,
              fmt::format("{}: cannot be executed: {}", command, strerror(error)));
}

}  // namespace

int RunWrapped(const WrapArguments& arguments) {
  const std::string& command = arguments.command.front();
  int missing = 0;
  const std::string path = FindCommand(command, &missing);
  if (path.empty()) return FailToExecute(command, missing);
  if (const std::string reason = WhyNotWrappable(path); !reason.empty()) {
    return Fail(kExitRunFailed, fmt::format("{}: {}", command, reason));
  }
  std::string error;
  const std::string library = Companions::OfThisProgram().Find(kLibrary, &error);
  if (library.empty()) return Fail(kExitRunFailed, error);
  if (library.find_first_of(": ") != std::string::npos) {
    return Fail(kExitRunFailed,
                fmt::format("{}: a library whose path has a blank or a colon cannot be preloaded",
                            library));
  }
  const std::string directory = ServerDirectory(&error);
  if (directory.empty()) return Fail(kExitRunFailed, error);
  const std::unique_ptr<server::Client> client =
      server::Client::Connect("wrap", kVersion, server::Client::IfNone::kStart, &error);
  if (client == nullptr) return Fail(kExitRunFailed, error);

  fcntl(client->socket(), F_SETFD, 0);
  struct stat socket {};
  fstat(client->socket(), &socket);
  setenv(ptrace_compat::kWrapVariable,
         fmt::format("{} {:010}:{} {} {} {}", arguments.children ? 1 : 0, client->socket(),
                     socket.st_ino, client->server(), ptrace_compat::kServerPatience, directory)
             .c_str(),
         1);
  std::string preload = library;
  if (const char* const others = getenv("LD_PRELOAD"); others != nullptr && *others != '\0') {
    preload += fmt::format(":{}", others);
  }
  setenv("LD_PRELOAD", preload.c_str(), 1);
  std::vector<char*> list;
  for (const std::string& argument : arguments.command) {
    list.push_back(const_cast<char*>(argument.c_str()));
  }
  list.push_back(nullptr);
  execv(path.c_str(), list.data());
  return FailToExecute(command, errno);
}

}  // namespace utrace::cli
