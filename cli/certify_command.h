// utrace certify and utrace check: find what the driver needs, and run it.
#ifndef CLI_CERTIFY_COMMAND_H_
#define CLI_CERTIFY_COMMAND_H_

#include <string>
#include <vector>

#include "conformance/certify/package.h"

namespace utrace::cli {

struct CertifyArguments {
  std::vector<std::string> implementations;  // empty: our own
  std::vector<std::string> only;
  std::string report;   // empty: a new directory here
  std::string waivers;  // a file; empty: none
  std::string schedule;
  int schedules = 1;
  int jobs = 2;
  std::string runner;  // empty: our own; others serve tests of the driver
};

// Returns the exit status. Dies of the signal if one ended the run.
int RunCertify(const CertifyArguments& arguments);

struct CheckArguments {
  std::string path;    // of a certificate or its directory, of merged ones, or of a history
  std::string runner;  // as above
};

// What certificates are checked against; `runner` as above. False and *error if its tests are not to be had.
bool LoadSuite(std::string runner, certify::Suite* suite, std::string* error);

// Returns the exit status.
int RunCheck(const CheckArguments& arguments);

}  // namespace utrace::cli

#endif  // CLI_CERTIFY_COMMAND_H_
