#include "cli/certify_command.h"

#include <stdlib.h>

#include <cstdio>
#include <filesystem>
#include <iterator>
#include <system_error>

#include "cli/companions.h"
#include "cli/die.h"
#include "cli/version.h"
#include "conformance/certify/certify.h"
#include "conformance/certify/check.h"
#include "conformance/certify/covered_chapters.h"
#include "conformance/certify/merge.h"
#include "conformance/certify/package.h"
#include "conformance/certify/report.h"
#include "conformance/history/check_file.h"
#include "fmt/core.h"

namespace utrace::cli {
namespace {

// A command that a user can paste later: under `bazel run` the program's own path is Bazel's affair.
std::string ReproducePrefix(const std::string& implementation) {
  std::string prefix = getenv("BUILD_WORKSPACE_DIRECTORY") != nullptr
                           ? "./bazelw run //cli:utrace --"
                           : certify::ShellQuoted(ThisProgram());
  std::error_code code;
  const std::filesystem::path absolute = std::filesystem::absolute(implementation, code);
  return prefix + " certify --implementation " + certify::ShellQuoted(absolute.string());
}

// The hosts that are certified where none is named.
constexpr char kRunner[] = "conformance/clauses/runner";
constexpr const char* kOurHosts[] = {"core/libutrace.so", "core/model/libutrace_model.so"};

}  // namespace

int RunCertify(const CertifyArguments& arguments) {
  const Companions companions = Companions::OfThisProgram();
  certify::CertifyOptions options;
  std::string error;
  options.runner = arguments.runner;
  for (const std::string& path : arguments.implementations) {
    options.implementations.push_back({path, ReproducePrefix(path)});
  }
  if (options.implementations.empty()) {
    for (const char* host : kOurHosts) {
      const std::string path = error.empty() ? companions.Find(host, &error) : "";
      options.implementations.push_back({path, ReproducePrefix(path)});
    }
  }
  if (options.runner.empty() && error.empty()) {
    options.runner = companions.Find(kRunner, &error);
    if (error.empty()) options.puppet = companions.Find("conformance/puppet/puppet", &error);
  }
  if (!error.empty()) {
    fputs(fmt::format("utrace certify: {}\n", error).c_str(), stderr);
    return certify::ExitStatus(certify::Overall::kBroken);
  }
  options.waivers = arguments.waivers;
  options.schedule = arguments.schedule;
  options.schedules = arguments.schedules;
  options.only = arguments.only;
  options.report_dir = arguments.report;
  options.jobs = arguments.jobs;
  options.tool_version = kVersion;

  const certify::CertifyOutcome outcome = certify::Certify(options);
  if (outcome.signal != 0) DieBySignal(outcome.signal);
  return outcome.exit_status;
}

bool LoadSuite(std::string runner, certify::Suite* suite, std::string* error) {
  if (runner.empty()) runner = Companions::OfThisProgram().Find(kRunner, error);
  if (runner.empty()) return false;
  suite->table = &certify::ClauseTable::BuiltIn();
  suite->covered.assign(std::begin(certify::kCoveredChapters), std::end(certify::kCoveredChapters));
  // Which tests there must be, the program says that holds them.
  if (certify::ListAllTests(runner, *suite->table, &suite->tests, error)) return true;
  *error += ". A certificate is checked against the tests of the suite";
  return false;
}

int RunCheck(const CheckArguments& arguments) {
  const bool merged = certify::IsMerged(arguments.path);
  if (!merged && !certify::IsCertificate(arguments.path)) {
    return history::CheckFile(arguments.path, stdout, stderr);
  }
  certify::Suite suite;
  std::string error;
  if (!LoadSuite(arguments.runner, &suite, &error)) {
    fputs(fmt::format("utrace check: {}\n", error).c_str(), stderr);
    return certify::kCheckUnreadable;
  }
  return merged ? certify::CheckMerged(suite, arguments.path, stdout, stderr)
                : certify::CheckCertificate(suite, arguments.path, stdout, stderr);
}

}  // namespace utrace::cli
