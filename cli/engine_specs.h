// Which engines the options of `run` and `attach` ask for, and having the server make them.
#ifndef CLI_ENGINE_SPECS_H_
#define CLI_ENGINE_SPECS_H_

#include <string>
#include <vector>

#include "server/client.h"

namespace utrace::cli {

// What the options that `run` and `attach` share say of the engines.
struct EngineArguments {
  std::vector<std::string> engines;  // -e NAME[:KEY=VALUE,...]; empty: the default one
  std::string output;                // -o: for the engine that names no output of its own
  // Short for options of syscall_log, as users of strace know them.
  std::string trace;               // -E LIST
  std::vector<std::string> paths;  // -P PATH
  bool failed = false;             // -Z
  bool summary = false;            // -c
  bool descriptors = false;        // -y
};

// The engines to make: the default filled in if there are none, -o given to the one engine without an
// output of its own, and the short options to every syscall_log, where it does not say that itself. On an
// -o that fits none or several, and on short options without a syscall_log: empty, and *error.
std::vector<std::string> EngineSpecs(const EngineArguments& arguments, std::string* error);

// For `attach`, where the server follows: an engine that could follow by itself is told not to, unless
// the user said something about it.
std::vector<std::string> WithoutOwnFollowing(std::vector<std::string> specs);

// Opens the files that the specs name, as this process and where it stands, and has the server make the
// engines. False, and *error one line, if one cannot be made. With `calls`: that becomes the numbers of the
// system calls that the engines want to see, and one that wants all is an error.
bool MakeEngines(server::Client& client, const std::vector<std::string>& specs, std::string* error,
                 std::vector<long>* calls = nullptr);

}  // namespace utrace::cli

#endif  // CLI_ENGINE_SPECS_H_
