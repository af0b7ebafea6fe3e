// Which engines the options of `run` and `attach` ask for, and having the server make them.
#ifndef CLI_ENGINE_SPECS_H_
#define CLI_ENGINE_SPECS_H_

#include <string>
#include <vector>

#include "server/client.h"

namespace utrace::cli {

// The engines to make: the default filled in if there are none, and -o `output`, if it is not empty,
// given to the one engine without an output of its own. On an `output` that fits none or several: empty,
// and *error.
std::vector<std::string> EngineSpecs(const std::vector<std::string>& engines,
                                     const std::string& output, std::string* error);

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
