// utrace run: starts a command with engines on it, and ends as it ended.
#ifndef CLI_RUN_COMMAND_H_
#define CLI_RUN_COMMAND_H_

#include <string>
#include <vector>

#include "cli/engine_specs.h"

namespace utrace::cli {

// As env(1) and timeout(1) have them: ours must not be taken for the command's own.
inline constexpr int kExitRunFailed = 125;
inline constexpr int kExitNotExecutable = 126;
inline constexpr int kExitNotFound = 127;

struct RunArguments {
  EngineArguments engines;
  bool fast = false;                 // stop for the system calls alone that the engines name
  std::vector<std::string> command;  // with its arguments; not empty
};

// Runs the command to its end, as a child of this process, with engines in the server. Returns its exit
// status, or one of the above; if a signal killed the command, does not return but dies of the same. Its
// input, output and environment are left alone, and nothing that goes wrong with the engines' output or
// with the server changes how it runs.
int RunTraced(const RunArguments& arguments);

}  // namespace utrace::cli

#endif  // CLI_RUN_COMMAND_H_
