// The commands that ask the server something and end: ps, detach, stop, resume, interrupt; and engines and
// serve.
#ifndef CLI_SERVER_COMMANDS_H_
#define CLI_SERVER_COMMANDS_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "server/protocol.h"

namespace utrace::cli {

// Each returns the exit status: 0 done; 1 a target was refused, which standard error names.

struct PsArguments {
  std::vector<pid_t> targets;  // empty: all that is traced
  bool json = false;
};
int RunPs(const PsArguments& arguments);

struct DetachArguments {
  std::vector<pid_t> targets;
  bool threads = false;
  std::string engine;  // a name or "#ID"; empty: all
};
int RunDetach(const DetachArguments& arguments);

struct ControlArguments {
  server::ControlRequest::Kind kind = server::ControlRequest::Kind::kStop;
  std::string name;  // of the command
  std::vector<pid_t> targets;
  bool threads = false;
  bool force = false;
};
int RunControl(const ControlArguments& arguments);

// The engines that are built in, and their options, as text; each line begins with `indent`.
std::string EngineList(const std::string& indent);

struct EnginesArguments {
  std::vector<std::string> files;  // shared objects with an engine; empty: those that are built in
  bool json = false;
};
int RunEngines(const EnginesArguments& arguments);

struct ServeArguments {
  bool listener = false;  // started by a command, which passed the socket
};
int RunServe(const ServeArguments& arguments);

}  // namespace utrace::cli

#endif  // CLI_SERVER_COMMANDS_H_
