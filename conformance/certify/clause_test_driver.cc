// Runs clause tests as one Bazel test: what clause_tests() of defs.bzl starts.
//
// Each clause test is a case in the XML report; the certificate and the logs of failed tests are
// among the test's outputs (outputs.zip). `bazel test --test_filter=ATT-05` narrows it down.
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <string>

#include "conformance/certify/certify.h"
#include "conformance/certify/report.h"

namespace {

std::string Environment(const char* name, const std::string& otherwise) {
  const char* value = getenv(name);
  return value == nullptr ? otherwise : value;
}

int Main(int argc, char** argv) {
  utrace::certify::CertifyOptions options;
  std::string implementation;
  CLI::App app("Certifies an implementation by clause tests, as a Bazel test.");
  app.add_option("--implementation", implementation, "the shared object")->required();
  app.add_option("--waivers", options.waivers, "clauses that it need not keep");
  app.add_option("--runner", options.runner, "the program that holds the tests")->required();
  app.add_option("--puppet", options.puppet, "the program that is traced");
  app.add_option("--only", options.only, "clauses, families, chapters, tests")->delimiter(',');
  app.add_option("--jobs", options.jobs, "tests at a time")->check(CLI::PositiveNumber);
  app.add_option("--schedules", options.schedules, "random schedules per test (hosted ones)")
      ->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);

  const std::string filter = Environment("TESTBRIDGE_TEST_ONLY", "");
  if (!filter.empty()) options.only = {filter};
  options.report_dir =
      Environment("TEST_UNDECLARED_OUTPUTS_DIR", Environment("TEST_TMPDIR", ".")) + "/certificate";
  options.junit = Environment("XML_OUTPUT_FILE", "");
  options.tool_version = "bazel test";
  std::string path = implementation;
  if (char* real = realpath(path.c_str(), nullptr)) {
    path = real;
    free(real);
  }
  options.implementations = {
      {implementation, "./bazelw run //cli:utrace -- certify --implementation " +
                           utrace::certify::ShellQuoted(path)}};

  const utrace::certify::CertifyOutcome outcome = utrace::certify::Certify(options);
  if (outcome.signal != 0) {
    signal(outcome.signal, SIG_DFL);
    raise(outcome.signal);
  }
  return outcome.exit_status;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return Main(argc, argv);
  } catch (const std::exception& error) {  // out of memory, or a mistake of ours
    fputs(error.what(), stderr);
    return utrace::certify::ExitStatus(utrace::certify::Overall::kBroken);
  }
}
