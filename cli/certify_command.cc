#include "cli/certify_command.h"

#include <stdlib.h>

#include <cstdio>
#include <filesystem>
#include <system_error>

#include "cli/companions.h"
#include "cli/die.h"
#include "cli/version.h"
#include "conformance/certify/certify.h"
#include "conformance/certify/report.h"
#include "fmt/core.h"

namespace utrace::cli {
namespace {

// A command that a user can paste later: under `bazel run` the program's own path is Bazel's affair.
std::string ReproducePrefix(const CertifyArguments& arguments, const std::string& implementation) {
  std::string prefix = getenv("BUILD_WORKSPACE_DIRECTORY") != nullptr
                           ? "./bazelw run //cli:utrace --"
                           : certify::ShellQuoted(ThisProgram());
  prefix += " certify";
  if (!arguments.implementation.empty()) {
    std::error_code code;
    const std::filesystem::path absolute = std::filesystem::absolute(implementation, code);
    prefix += " --implementation " + certify::ShellQuoted(absolute.string());
  }
  return prefix;
}

}  // namespace

int RunCertify(const CertifyArguments& arguments) {
  const Companions companions = Companions::OfThisProgram();
  certify::CertifyOptions options;
  std::string error;
  options.implementation = arguments.implementation;
  options.runner = arguments.runner;
  if (options.implementation.empty()) {
    options.implementation = companions.Find("core/libutrace.so", &error);
  }
  if (options.runner.empty() && error.empty()) {
    options.runner = companions.Find("conformance/clauses/runner", &error);
    if (error.empty()) options.puppet = companions.Find("conformance/puppet/puppet", &error);
  }
  if (!error.empty()) {
    fputs(fmt::format("utrace certify: {}\n", error).c_str(), stderr);
    return certify::ExitStatus(certify::Overall::kBroken);
  }
  options.only = arguments.only;
  options.report_dir = arguments.report;
  options.jobs = arguments.jobs;
  options.reproduce_prefix = ReproducePrefix(arguments, options.implementation);
  options.tool_version = kVersion;

  const certify::CertifyOutcome outcome = certify::Certify(options);
  if (outcome.signal != 0) DieBySignal(outcome.signal);
  return outcome.exit_status;
}

}  // namespace utrace::cli
