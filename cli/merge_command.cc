#include "cli/merge_command.h"

#include <fmt/core.h>

#include <cstdio>
#include <string>

#include "cli/certify_command.h"
#include "conformance/certify/certify.h"
#include "conformance/certify/merge.h"
#include "conformance/certify/report.h"

namespace utrace::cli {
namespace {

void Complain(const std::string& what) {
  fputs(fmt::format("utrace merge: {}\n", what).c_str(), stderr);
}

}  // namespace

int RunMerge(const MergeArguments& arguments) {
  certify::Suite suite;
  std::string error;
  if (!LoadSuite(arguments.runner, &suite, &error)) {
    Complain(error);
    return certify::ExitStatus(certify::Overall::kBroken);
  }
  return certify::MergeCertificates(suite, arguments.directories, arguments.report, stdout, stderr);
}

}  // namespace utrace::cli
