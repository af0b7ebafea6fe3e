// Whether a program can be wrapped: it must take a preloaded library.
#ifndef CLI_WRAPPABLE_H_
#define CLI_WRAPPABLE_H_

#include <string>

namespace utrace::cli {

// Where execvp finds the command. Empty if nowhere, and *error the errno: ENOENT, or EACCES for files that
// may not be executed.
std::string FindCommand(const std::string& command, int* error);

// Empty, or why the program at `path` cannot be wrapped; of a script, its interpreter. What cannot be
// executed at all is not judged here.
std::string WhyNotWrappable(const std::string& path);

}  // namespace utrace::cli

#endif  // CLI_WRAPPABLE_H_
