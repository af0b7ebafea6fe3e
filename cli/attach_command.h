// utrace attach: engines on processes and threads that run already.
#ifndef CLI_ATTACH_COMMAND_H_
#define CLI_ATTACH_COMMAND_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "cli/engine_specs.h"

namespace utrace::cli {

struct AttachArguments {
  std::vector<pid_t> targets;
  EngineArguments engines;
  bool threads = false;
  bool follow = false;
  bool force = false;
  bool quiet = false;
};

// Attaches, and stays until the targets are gone, somebody has detached the engines, or SIGINT, SIGTERM
// or SIGHUP: then it detaches. Returns the exit status: 0; 1 a target was refused, or the engines had
// problems, which standard error names.
int RunAttach(const AttachArguments& arguments);

}  // namespace utrace::cli

#endif  // CLI_ATTACH_COMMAND_H_
