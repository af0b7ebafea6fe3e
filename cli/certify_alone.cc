// `utrace certify` without the rest of utrace, for machines that the engines are not built for.
#include <CLI/CLI.hpp>

#include "cli/certify_command.h"

int main(int argc, char** argv) {
  utrace::cli::CertifyArguments arguments;
  CLI::App app("Certifies implementations, as `utrace certify` does.");
  app.require_subcommand(1);
  CLI::App* certify =
      app.add_subcommand("certify", "prove that an implementation keeps the contract");
  certify->add_option("--implementation", arguments.implementations, "without it, our own")
      ->allow_extra_args(false);
  certify->add_option("--only", arguments.only, "clauses, families, chapters, tests")
      ->delimiter(',')
      ->allow_extra_args(false);
  certify->add_option("--report", arguments.report, "directory for the certificate")->required();
  CLI11_PARSE(app, argc, argv);
  return utrace::cli::RunCertify(arguments);
}
