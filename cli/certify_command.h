// utrace certify: finds what the driver needs, and runs it.
#ifndef CLI_CERTIFY_COMMAND_H_
#define CLI_CERTIFY_COMMAND_H_

#include <string>
#include <vector>

namespace utrace::cli {

struct CertifyArguments {
  std::string implementation;  // empty: our own
  std::vector<std::string> only;
  std::string report;  // empty: a new directory here
  int jobs = 2;
  std::string runner;  // empty: our own; others serve tests of the driver
};

// Returns the exit status. Dies of the signal if one ended the run.
int RunCertify(const CertifyArguments& arguments);

}  // namespace utrace::cli

#endif  // CLI_CERTIFY_COMMAND_H_
