// The command `utrace`.
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "cli/certify_command.h"
#include "cli/merge_command.h"
#include "cli/tracing_options.h"
#include "cli/version.h"
#include "core/utrace.h"
#include "fmt/core.h"

namespace utrace::cli {
namespace {

constexpr char kDescription[] =
    "Any number of tracing engines on one live thread, and proof that they are kept apart.";

constexpr char kExamples[] = R"(
Examples:
  utrace run -- ls -l /tmp                      log the system calls of ls on stderr
  utrace run -o calls.log -- make               the same into a file, children included
  utrace run -e syscall_log -e syscall_log:output=second.log -- sort words
                                                two engines on one process
  utrace attach -e syscall_log 4711             join a process that runs, traced already or not
  utrace ps                                     what is traced, by which engines
  utrace wrap -- gdb -p 4711                    a debugger that leaves room for other tracers
  utrace certify                                certify the built-in implementation
  utrace certify --implementation ./libother.so certify another one
  utrace certify --only ATT,CTL-20              some clauses: all of a family, a single one
  utrace check history.jsonl                    judge a recorded history
  utrace check utrace-certificate-20260901T120000Z
                                                see whether a certificate is whole, and a pass
  utrace merge --report all/ pc/ board/         certificates of two machines as one)";

constexpr char kCertifyFooter[] = R"(
IDs of --only: a clause (ATT-05), a family of clauses (ATT), a chapter of the specification (3), a
test (ATT_05.LookupOfNothingIsEnoent). A run with a selection writes a report, not a certificate.

A line of --waivers FILE names a clause and says why it is not kept: "CTL-22 our kernel restarts the
call". A waiver that was not needed makes the run BROKEN. '#' begins a comment.

The certificate is a directory: certificate.html for people, certificate.json and junit.xml for
programs, the results that they are derived from, logs of what did not pass. `utrace check DIR` derives them again.

Exit status: 0 certified; 1 a MUST clause is broken, or was tested on no host; 2 wrong use; 3 an
implementation cannot be loaded, crashes at once, or hangs; 4 the suite could not do its work;
5 certified but for waived clauses.)";

constexpr char kCheckFooter[] = R"(
PATH is a history; or the directory of a certificate, or the certificate.json in it; or the same of
merged certificates, each of which is checked, and the merge. A certificate is
rejected if it was edited or is not whole, lacks a clause, was made with a selection, or is no pass.

Exit status: 0 no breach, or a whole certificate that is a pass; 1 a clause was broken, or the
certificate is rejected; 2 wrong use; 3 the file cannot be read or is malformed, or the verdict cannot
be written.)";

constexpr char kMergeFooter[] = R"(
Examples:
  utrace merge here/ kernel-5.10/ kernel-6.12/ --report all/
  utrace check all/

DIR are directories that `utrace certify` wrote, of the same suite and specification; OUT holds them
unchanged, and a page and a JSON file with a row for each clause and a column for each architecture,
kernel, machine and host, derived from them alone. `utrace check OUT` derives it again.

Exit status: that of `utrace certify` with the verdict of the worst part; 2 if the parts do not go
together or wrong use; 4 if OUT cannot be written.)";

// Where 0, 1 or 2 is closed, the next file opened would take its place, and messages would go into
// it. The place holders are closed on exec: a command finds what it would have found without us.
void KeepStandardDescriptorsFree() {
  int fd = 0;
  do {
    fd = open("/dev/null", O_RDWR | O_CLOEXEC);
  } while (fd >= 0 && fd <= STDERR_FILENO);
  if (fd >= 0) close(fd);
}

// `bazel run` starts programs elsewhere than where the user stands.
void GoWhereTheUserIs() {
  const char* directory = getenv("BUILD_WORKING_DIRECTORY");
  if (directory != nullptr && chdir(directory) != 0) {
    fputs(fmt::format("utrace: cannot go to {}: {}\n", directory, strerror(errno)).c_str(), stderr);
  }
}

// What stands before the first "--" is ours to parse, what follows belongs to the command, to the
// letter: CLI11 would see to options and quotes in it.
std::vector<std::string> SplitOffCommand(int argc, char** argv, std::vector<std::string>* command) {
  std::vector<std::string> ours;
  int n = 1;
  for (; n < argc && std::string_view(argv[n]) != "--"; ++n) ours.emplace_back(argv[n]);
  for (++n; n < argc; ++n) command->emplace_back(argv[n]);
  return ours;
}

int Main(int argc, char** argv) {
  CLI::App app(kDescription, "utrace");
  app.set_version_flag("--version",
                       fmt::format("utrace {} (interface {})", kVersion, UTRACE_API_VERSION));
  app.footer(kExamples);
  app.require_subcommand(1);

  CertifyArguments certify;
  CLI::App* certify_app =
      app.add_subcommand("certify", "prove that an implementation keeps the contract");
  certify_app
      ->add_option("--implementation", certify.implementations,
                   "the shared object to test (again: several in one certificate); without it, our "
                   "own")
      ->allow_extra_args(false)
      ->type_name("FILE");
  certify_app
      ->add_option("--waivers", certify.waivers,
                   "clauses that the implementation need not keep (see below)")
      ->type_name("FILE");
  certify_app->add_option("--only", certify.only, "test only these (see below)")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("ID[,ID]");
  certify_app
      ->add_option("--report", certify.report,
                   "directory for the certificate; without it, "
                   "./utrace-certificate-<time>")
      ->type_name("DIR");
  certify_app->add_option("--jobs", certify.jobs, "tests to run at a time")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str()
      ->type_name("N");
  CLI::Option* schedule =
      certify_app
          ->add_option("--schedule", certify.schedule,
                       "run tests of hosted implementations by this schedule, as a result names it")
          ->type_name("SPEC");
  certify_app
      ->add_option("--schedules", certify.schedules,
                   "run each test of hosted implementations by N random schedules")
      ->check(CLI::Range(1, 1000000))
      ->excludes(schedule)
      ->type_name("N");
  // For tests of the driver.
  certify_app->add_option("--runner", certify.runner)->group("");
  certify_app->footer(kCertifyFooter);

  CheckArguments check;
  CLI::App* check_app =
      app.add_subcommand("check", "judge a recorded history (docs/history.md), or a certificate");
  check_app->add_option("PATH", check.path, "the history or certificate")
      ->required()
      ->type_name("");
  check_app->add_option("--runner", check.runner)->group("");
  check_app->footer(kCheckFooter);

  MergeArguments merge;
  CLI::App* merge_app = app.add_subcommand("merge", "certificates of many machines as one");
  merge_app->add_option("DIR", merge.directories, "what is to be merged")
      ->required()
      ->type_name("");
  merge_app->add_option("--report", merge.report, "the directory to be made")
      ->required()
      ->type_name("OUT");
  merge_app->add_option("--runner", merge.runner)->group("");
  merge_app->footer(kMergeFooter);

  TracingCommands tracing(app);

  std::vector<std::string> behind_dashes;
  std::vector<std::string> ours = SplitOffCommand(argc, argv, &behind_dashes);
  const bool has_dashes = ours.size() + 1 < static_cast<size_t>(argc);
  try {
    // CLI11 takes arguments from the back.
    app.parse(std::vector<std::string>(ours.rbegin(), ours.rend()));
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    fputs(fmt::format("utrace: {}\nSee: utrace --help\n", error.what()).c_str(), stderr);
    return kExitUsage;
  }

  CLI::App* const tracer = tracing.given();
  if (has_dashes && (tracer == nullptr || !tracing.TakesCommand())) {
    const std::string name = tracer != nullptr       ? tracer->get_name()
                             : certify_app->parsed() ? "certify"
                             : merge_app->parsed()   ? "merge"
                                                     : "check";
    fputs(fmt::format("utrace {0}: it takes no \"--\"\nSee: utrace {0} --help\n", name).c_str(),
          stderr);
    return kExitUsage;
  }
  if (tracer != nullptr) return tracing.Run(has_dashes, behind_dashes);
  if (merge_app->parsed()) return RunMerge(merge);
  return certify_app->parsed() ? RunCertify(certify) : RunCheck(check);
}

}  // namespace
}  // namespace utrace::cli

int main(int argc, char** argv) {
  try {
    utrace::cli::KeepStandardDescriptorsFree();
    utrace::cli::GoWhereTheUserIs();
    return utrace::cli::Main(argc, argv);
  } catch (const std::exception& error) {  // out of memory, or a mistake of ours
    fputs("utrace: internal error: ", stderr);
    fputs(error.what(), stderr);
    fputs("\n", stderr);
    return utrace::cli::kExitRunFailed;
  }
}
