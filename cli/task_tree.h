// What `utrace ps` prints.
#ifndef CLI_TASK_TREE_H_
#define CLI_TASK_TREE_H_

#include <string>
#include <vector>

namespace utrace::cli {

// `items` are the server's, one JSON object for each traced thread, those of a process together
// (docs/server.md). Threads that look alike but for their number are shown once, with their count.
std::string TaskTree(const std::vector<std::string>& items);

// The same for programs: {"processes": [{"pid", "command", "threads": [...]}]}, and a newline.
std::string TaskTreeAsJson(const std::vector<std::string>& items);

}  // namespace utrace::cli

#endif  // CLI_TASK_TREE_H_
