// utrace wrap: becomes a program whose tracees are traced by the server.
#ifndef CLI_WRAP_COMMAND_H_
#define CLI_WRAP_COMMAND_H_

#include <string>
#include <vector>

namespace utrace::cli {

struct WrapArguments {
  bool children = false;             // what it executes is wrapped too
  std::vector<std::string> command;  // with its arguments; not empty
};

// Executes the command in place of this process, with the preloaded library (engines/ptrace_compat/client)
// and a connection that keeps the server. Returns only if that fails: one of the exit statuses of
// run_command.h, after a line on standard error.
int RunWrapped(const WrapArguments& arguments);

}  // namespace utrace::cli

#endif  // CLI_WRAP_COMMAND_H_
