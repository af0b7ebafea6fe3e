#include "conformance/certify/runner.h"

#include <errno.h>
#include <fmt/core.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "conformance/certify/text.h"
#include "core/utrace.h"

namespace utrace::certify {
namespace {

using nlohmann::json;

constexpr int kExitPass = 0;
constexpr int kExitFail = 1;
constexpr int kExitBroken = 2;
constexpr int kExitLoadError = 3;
constexpr int kExitHung = 4;

// The value as text, whatever its type; empty if there is none.
std::string Field(const json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || found->is_null()) return "";
  if (found->is_string()) return found->get<std::string>();
  return found->dump(-1, ' ', false, json::error_handler_t::replace);
}

double Number(const json& object, const char* name, double otherwise) {
  const auto found = object.find(name);
  return found != object.end() && found->is_number() ? found->get<double>() : otherwise;
}

json ParseObject(std::string_view text) {
  json value = json::parse(text, nullptr, /*allow_exceptions=*/false);
  return value.is_object() ? value : json();
}

std::optional<Verdict> VerdictFromName(const std::string& name) {
  for (Verdict verdict :
       {Verdict::kPass, Verdict::kFail, Verdict::kBroken, Verdict::kUnsupported}) {
    if (name == VerdictName(verdict)) return verdict;
  }
  return std::nullopt;
}

bool Agrees(int exit_status, Verdict verdict) {
  switch (exit_status) {
    case kExitPass:
      return verdict == Verdict::kPass || verdict == Verdict::kUnsupported;
    case kExitFail:
      return verdict == Verdict::kFail;
    case kExitBroken:
      return verdict == Verdict::kBroken;
    default:
      return false;
  }
}

std::string LastWords(const std::string& log) {
  const std::string_view tail = LastLines(log, 5);
  return tail.empty() ? "" : fmt::format(" Its last output:\n{}", tail);
}

std::string Seconds(std::chrono::milliseconds time) {
  return fmt::format("{:g} s", static_cast<double>(time.count()) / 1000);
}

ProbeOutcome Unusable(const std::string& path, const std::string& what) {
  ProbeOutcome outcome;
  outcome.overall = Overall::kUnusable;
  outcome.error = path + ": " + what;
  return outcome;
}

ProbeOutcome BrokenRunner(const std::string& what) {
  ProbeOutcome outcome;
  outcome.overall = Overall::kBroken;
  outcome.error = what;
  return outcome;
}

// Declared limits come as a name per line, each followed by a blank and a description.
std::vector<std::pair<std::string, std::string>> ParseLimits(std::string_view text) {
  std::vector<std::pair<std::string, std::string>> limits;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = Trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty()) continue;
    const size_t blank = std::min(line.find(' '), line.size());
    limits.emplace_back(line.substr(0, blank), Trimmed(line.substr(blank)));
  }
  return limits;
}

// coreutils' program rather than a hash of our own. Empty if it fails.
std::string Sha256(const RunnerSetup& setup, const std::string& path) {
  std::string output;
  const SuperviseOutcome outcome =
      RunSupervised({.argv = {"/bin/sh", "-c", "exec sha256sum <\"$1\"", "sh", path},
                     .log_path = setup.scratch + "/sha256.log"},
                    &output);
  const size_t digits = output.find_first_not_of("0123456789abcdef");
  const bool good = outcome.error.empty() && outcome.wait_status == 0 && digits == 64;
  return good ? output.substr(0, digits) : "";
}

ProbeOutcome InterpretProbe(const RunnerSetup& setup, const std::string& path,
                            const SuperviseOutcome& outcome, const std::string& output,
                            const json& facts) {
  if (!outcome.error.empty()) {
    return BrokenRunner(
        fmt::format("the runner {} cannot be run: {}. Build it: bazel build "
                    "//conformance/clauses:runner",
                    setup.runner, outcome.error));
  }
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
  if (status == kExitLoadError) {
    if (said.empty()) return Unusable(path, "it cannot be loaded (the runner said no more)");
    // The loader's messages name the file themselves.
    if (said.find(path) == std::string_view::npos) {
      return Unusable(path, "it cannot be loaded: " + std::string(said));
    }
    ProbeOutcome refused = Unusable(path, "");
    refused.error = "cannot be loaded: " + std::string(said);
    return refused;
  }
  if (status == kExitHung) {
    return Unusable(path, "it hung in its first call." + LastWords(output));
  }
  if (status != 0 || facts.is_null()) {
    return Unusable(path, fmt::format("its first call ended the process with status {} and without "
                                      "an answer; it must return.{}",
                                      status, LastWords(output)));
  }

  ProbeOutcome good;
  good.implementation.path = path;
  good.implementation.api_version = Field(facts, "api_version");
  const std::string expected = std::to_string(UTRACE_API_VERSION);
  if (good.implementation.api_version != expected) {
    return Unusable(path, fmt::format("it is built for version \"{}\" of the interface, this suite "
                                      "certifies version {}. Rebuild it against that core/utrace.h",
                                      good.implementation.api_version, expected));
  }
  good.implementation.declared_limits = ParseLimits(Field(facts, "declared_limits"));
  return good;
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

ProbeOutcome ProbeImplementation(const RunnerSetup& setup, const std::string& path) {
  // Absolute, because the loader would search for a bare name, and because the certificate names it.
  const std::unique_ptr<char, decltype(&free)> real(realpath(path.c_str(), nullptr), &free);
  if (real == nullptr) {
    return Unusable(path, fmt::format("the implementation cannot be read: {}. Name the shared "
                                      "object with --implementation FILE",
                                      strerror(errno)));
  }
  struct stat info {};
  if (stat(real.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
    return Unusable(real.get(), "not a shared object: this is no regular file");
  }
  if (access(real.get(), R_OK) != 0) {
    return Unusable(real.get(), fmt::format("it cannot be read: {}", strerror(errno)));
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
  json facts = ParseObject(ReadFile(result));
  if (facts.is_null()) facts = ParseObject(Trimmed(output));
  ProbeOutcome outcome = InterpretProbe(setup, real.get(), run, output, facts);
  if (outcome.overall != Overall::kIncomplete) return outcome;

  outcome.implementation.sha256 = Sha256(setup, real.get());
  if (outcome.implementation.sha256.empty()) {
    return BrokenRunner(
        "sha256sum (Debian package coreutils) cannot be run; a certificate names "
        "its implementation by that sum");
  }
  return outcome;
}

std::string LogPath(const RunnerSetup& setup, const TestId& test) {
  std::string name = test.id;
  for (char& c : name) {
    if (c == '/') c = '-';
  }
  return setup.scratch + "/" + name + ".log";
}

std::string ResultPath(const RunnerSetup& setup, const TestId& test) {
  std::string path = LogPath(setup, test);
  return path.replace(path.size() - 4, 4, ".json");
}

SuperviseRequest TestRequest(const RunnerSetup& setup, const std::string& implementation,
                             const TestId& test) {
  return {.argv = {setup.runner, "--implementation", implementation, "--result",
                   ResultPath(setup, test), "--gtest_filter=" + test.id},
          .log_path = LogPath(setup, test),
          .deadline = setup.test_deadline};
}

TestResult InterpretTest(const TestId& test, const SuperviseOutcome& outcome,
                         const std::string& result_text, const std::string& log) {
  TestResult result;
  result.test = test;
  result.milliseconds = outcome.milliseconds;
  const json told = ParseObject(result_text);
  const bool mine = told.is_object() && Field(told, "id") == test.id;
  if (mine) {
    result.expected = Field(told, "expected");
    result.seen = Field(told, "seen");
    result.message = Field(told, "message");
    result.milliseconds = Number(told, "milliseconds", outcome.milliseconds);
  }
  auto conclude = [&](Verdict verdict, std::string message) {
    result.verdict = verdict;
    // What the test itself said explains more than how its process ended.
    if (!result.message.empty()) message += "\n" + result.message;
    result.message = std::move(message);
    return result;
  };

  if (!outcome.error.empty()) {
    return conclude(Verdict::kBroken, "the runner could not be run: " + outcome.error);
  }
  if (outcome.timed_out) {
    result.hung = true;
    return conclude(Verdict::kFail, fmt::format("hung in {}: killed after {:.0f} s.{}", test.id,
                                                outcome.milliseconds / 1000, LastWords(log)));
  }
  if (WIFSIGNALED(outcome.wait_status)) {
    return conclude(Verdict::kFail, fmt::format("crashed by {} in {}{}.{}",
                                                SignalText(WTERMSIG(outcome.wait_status)), test.id,
                                                mine ? ", after its result" : "", LastWords(log)));
  }
  const int status = WEXITSTATUS(outcome.wait_status);
  if (status == kExitHung) {
    result.hung = true;
    return conclude(Verdict::kFail,
                    fmt::format("hung in {}.{}", test.id, mine ? "" : LastWords(log)));
  }
  if (status == kExitLoadError) {
    return conclude(Verdict::kBroken,
                    "the implementation, loaded before, could not be loaded." + LastWords(log));
  }
  const std::optional<Verdict> verdict =
      mine ? VerdictFromName(Field(told, "verdict")) : std::nullopt;
  if (!verdict || !Agrees(status, *verdict)) {
    return conclude(Verdict::kBroken,
                    fmt::format("the test's process ended with status {} and {}; either the test "
                                "or the implementation ended it where it must not.{}",
                                status, mine ? "a result that says otherwise" : "no usable result",
                                LastWords(log)));
  }
  result.verdict = *verdict;
  return result;
}

}  // namespace utrace::certify
