// utrace merge: results of many machines as one.
#ifndef CLI_MERGE_COMMAND_H_
#define CLI_MERGE_COMMAND_H_

#include <string>
#include <vector>

namespace utrace::cli {

struct MergeArguments {
  std::vector<std::string> directories;  // of certificates
  std::string report;                    // the directory to be made
  std::string runner;                    // as in CertifyArguments
};

// Returns the exit status.
int RunMerge(const MergeArguments& arguments);

}  // namespace utrace::cli

#endif  // CLI_MERGE_COMMAND_H_
