#include "conformance/certify/runner.h"

#include <errno.h>
#include <fmt/core.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <utility>

#include "conformance/certify/digest.h"
#include "conformance/certify/interpret.h"
#include "conformance/certify/text.h"
#include "core/utrace.h"

namespace utrace::certify {
namespace {

std::string Seconds(std::chrono::milliseconds time) {
  return fmt::format("{:g} s", static_cast<double>(time.count()) / 1000);
}

std::string Unusable(const std::string& path, const std::string& what) {
  return path + ": " + what;
}

// What is wrong with the implementation, or empty.
std::string InterpretProbe(const RunnerSetup& setup, const std::string& path,
                           const SuperviseOutcome& outcome, const std::string& output,
                           const Facts& facts) {
  if (outcome.timed_out) {
    return Unusable(path, fmt::format("it hung: loading it and its first call did not end within "
                                      "{}, so it was killed. Look where it waits: its "
                                      "constructors, or the first of its functions that is called "
                                      "(utrace_api_version).{}",
                                      Seconds(setup.probe_deadline), LastWords(output)));
  }
  if (WIFSIGNALED(outcome.wait_status)) {
    return Unusable(
        path, fmt::format("it crashed by {} while it was loaded or in its first call. "
                          "Debug it with: {} --implementation {} --probe{}",
                          SignalText(WTERMSIG(outcome.wait_status)), ShellQuoted(setup.runner),
                          ShellQuoted(path), output.empty() ? "" : "." + LastWords(output)));
  }
  const int status = WEXITSTATUS(outcome.wait_status);
  const std::string_view said = Trimmed(output);
  if (status == kRunnerLoadError) {
    if (said.empty()) return Unusable(path, "it cannot be loaded (the runner said no more)");
    // The loader's messages name the file themselves.
    if (said.find(path) == std::string_view::npos) {
      return Unusable(path, "it cannot be loaded: " + std::string(said));
    }
    return "cannot be loaded: " + std::string(said);
  }
  if (status == kRunnerHung) {
    return Unusable(path, "it hung in its first call." + LastWords(output));
  }
  if (status != 0 || facts.kind.empty()) {
    return Unusable(path, fmt::format("its first call ended the process with status {} and without "
                                      "an answer; it must return.{}",
                                      status, LastWords(output)));
  }
  const std::string expected = std::to_string(UTRACE_API_VERSION);
  if (facts.api_version != expected) {
    return Unusable(path, fmt::format("it is built for version \"{}\" of the interface, this suite "
                                      "certifies version {}. Rebuild it against that core/utrace.h",
                                      facts.api_version, expected));
  }
  return "";
}

}  // namespace

std::optional<std::vector<TestId>> ListTests(const RunnerSetup& setup, const ClauseTable& table,
                                             std::string* error) {
  std::string output;
  const SuperviseOutcome outcome = RunSupervised({.argv = {setup.runner, "--list"},
                                                  .log_path = setup.scratch + "/list.log",
                                                  .deadline = setup.probe_deadline},
                                                 &output);
  std::string reason;
  if (!outcome.error.empty()) {
    reason = outcome.error;
  } else if (outcome.timed_out) {
    reason = "it hung";
  } else if (outcome.wait_status != 0) {
    reason = "it failed." + LastWords(output);
  } else if (auto tests = ParseTestList(output, table, &reason)) {
    if (!tests->empty()) return tests;
    reason = "it holds no test";
  }
  *error = fmt::format("the runner {} --list: {}", setup.runner, reason);
  return std::nullopt;
}

bool ProbeImplementation(const RunnerSetup& setup, HostRecord* host) {
  // Absolute, because the loader would search for a bare name, and because the certificate names it.
  const std::unique_ptr<char, decltype(&free)> real(realpath(host->path.c_str(), nullptr), &free);
  if (real == nullptr) {
    host->error = Unusable(host->path, fmt::format("the implementation cannot be read: {}. Name a "
                                                   "shared object with --implementation FILE",
                                                   strerror(errno)));
    return false;
  }
  host->path = real.get();
  struct stat status {};
  if (stat(real.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
    host->error = Unusable(host->path, "not a shared object: this is no regular file");
    return false;
  }
  if (access(real.get(), R_OK) != 0) {
    host->error = Unusable(host->path, fmt::format("it cannot be read: {}", strerror(errno)));
    return false;
  }

  // The facts come by a file, for anything may be printed while the object is loaded.
  const std::string result = setup.scratch + "/probe.json";
  unlink(result.c_str());
  std::string output;
  const SuperviseOutcome run = RunSupervised(
      {.argv = {setup.runner, "--implementation", real.get(), "--probe", "--result", result},
       .log_path = setup.scratch + "/probe.log",
       .deadline = setup.probe_deadline},
      &output);
  if (!run.error.empty()) {
    host->blameless = true;
    host->error = fmt::format(
        "the runner {} cannot be run: {}. Build it: bazel build //conformance/clauses:runner",
        setup.runner, run.error);
    return false;
  }
  std::string facts = Utf8(ReadFile(result));
  if (ReadFacts(facts).kind.empty()) facts = Utf8(std::string(Trimmed(output)));
  host->error = InterpretProbe(setup, host->path, run, output, ReadFacts(facts));
  if (!host->error.empty()) return false;

  std::string reason;
  host->sha256 = Sha256OfFile(real.get(), &reason);
  if (host->sha256.empty()) {
    host->error = Unusable(host->path, "it cannot be read any more: " + reason);
    return false;
  }
  host->facts = std::move(facts);
  return true;
}

namespace {

std::string ScratchPath(const RunnerSetup& setup, const TestId& test, std::string_view suffix) {
  std::string name = test.id;
  for (char& c : name) {
    if (c == '/') c = '-';
  }
  return fmt::format("{}/{}{}", setup.scratch, name, suffix);
}

}  // namespace

std::string LogPath(const RunnerSetup& setup, const TestId& test) {
  return ScratchPath(setup, test, ".log");
}

std::string ResultPath(const RunnerSetup& setup, const TestId& test) {
  return ScratchPath(setup, test, ".json");
}

std::string HistoryPath(const RunnerSetup& setup, const TestId& test) {
  return ScratchPath(setup, test, ".history");
}

SuperviseRequest TestRequest(const RunnerSetup& setup, const std::string& implementation,
                             const std::vector<std::string>& arguments, const TestId& test) {
  SuperviseRequest request = {
      .argv = {setup.runner, "--implementation", implementation, "--result",
               ResultPath(setup, test), "--history", setup.scratch, "--gtest_filter=" + test.id},
      .log_path = LogPath(setup, test),
      .deadline = setup.test_deadline};
  request.argv.insert(request.argv.end(), arguments.begin(), arguments.end());
  return request;
}

}  // namespace utrace::certify
