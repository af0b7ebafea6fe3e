#include "conformance/certify/interpret.h"

#include <fmt/core.h>
#include <sys/wait.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "conformance/certify/text.h"

namespace utrace::certify {
namespace {

using nlohmann::json;

// Numbers and truth values as text; empty for anything that has parts of its own, which could be
// nested without end.
std::string Text(const json& value) {
  if (value.is_string()) return value.get<std::string>();
  return value.is_structured() || value.is_null() ? "" : value.dump();
}

std::string Field(const json& object, const char* name) {
  const auto found = object.find(name);
  return found == object.end() ? "" : Text(*found);
}

double Number(const json& object, const char* name, double otherwise) {
  const auto found = object.find(name);
  return found != object.end() && found->is_number() ? found->get<double>() : otherwise;
}

// Moves values only: copies are made by recursion, and this may be nested without end.
json ParseObject(std::string_view text) {
  json value = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!value.is_object()) value = json::object();
  return value;
}

// A run that was cut short writes no result, so kNotRun is none that a test can claim.
std::optional<Verdict> VerdictFromName(const std::string& name) {
  for (Verdict verdict : {Verdict::kPass, Verdict::kFail, Verdict::kBroken, Verdict::kUnsupported,
                          Verdict::kNotApplicable}) {
    if (name == VerdictName(verdict)) return verdict;
  }
  return std::nullopt;
}

bool Agrees(int exit_status, Verdict verdict) {
  switch (exit_status) {
    case kRunnerPass:
      return verdict == Verdict::kPass || verdict == Verdict::kUnsupported ||
             verdict == Verdict::kNotApplicable;
    case kRunnerFail:
      return verdict == Verdict::kFail;
    case kRunnerBroken:
      return verdict == Verdict::kBroken;
    default:
      return false;
  }
}

// Words that blanks, commas or line ends separate.
std::vector<std::string> Words(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const size_t end = std::min(text.find_first_of(" ,\n\t"), text.size());
    if (end > 0) words.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return words;
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

}  // namespace

std::string_view VerdictName(Verdict verdict) {
  static constexpr std::string_view kNames[kVerdicts] = {
      "PASS", "FAIL", "BROKEN", "UNSUPPORTED", "NOT APPLICABLE", "NOT RUN"};
  return kNames[static_cast<size_t>(verdict)];
}

std::string LastWords(std::string_view output) {
  const std::string_view tail = LastLines(output, kOutputLines);
  return tail.empty() ? "" : fmt::format(" Its last output:\n{}", tail);
}

Facts ReadFacts(std::string_view text) {
  const json object = ParseObject(text);
  Facts facts;
  facts.api_version = Field(object, "api_version");
  if (!object.empty()) facts.kind = Field(object, "host_kind") == "hosted" ? "hosted" : "live";
  facts.target_version = Field(object, "target_version");
  facts.declared_limits = ParseLimits(Field(object, "declared_limits"));
  const auto capabilities = object.find("capabilities");
  if (capabilities != object.end() && capabilities->is_array()) {
    for (const json& name : *capabilities) facts.capabilities.push_back(Text(name));
  }
  return facts;
}

TestResult InterpretTest(const TestId& test, const Evidence& evidence) {
  const SuperviseOutcome& end = evidence.end;
  TestResult result;
  result.test = test;
  result.milliseconds = end.milliseconds;
  result.log = evidence.log;
  result.history = evidence.history;
  const json told = ParseObject(evidence.result);
  const bool mine = Field(told, "id") == test.id;
  if (mine) {
    result.expected = Field(told, "expected");
    result.seen = Field(told, "seen");
    result.message = Field(told, "message");
    result.needs = Field(told, "needs");
    result.schedule = Field(told, "schedule");
    result.witness = Field(told, "witness");
    result.milliseconds = Number(told, "milliseconds", end.milliseconds);
  }
  auto conclude = [&](Verdict verdict, std::string message) {
    result.verdict = verdict;
    // What the test itself said explains more than how its process ended.
    if (!result.message.empty()) message += "\n" + result.message;
    result.message = std::move(message);
    return result;
  };

  if (!end.error.empty()) {
    return conclude(Verdict::kBroken, "the runner could not be run: " + end.error);
  }
  if (end.timed_out) {
    result.hung = true;
    return conclude(Verdict::kFail,
                    fmt::format("hung in {}: killed after {:.0f} s.{}", test.id,
                                end.milliseconds / 1000, LastWords(evidence.output)));
  }
  if (WIFSIGNALED(end.wait_status)) {
    return conclude(
        Verdict::kFail,
        fmt::format("crashed by {} in {}{}.{}", SignalText(WTERMSIG(end.wait_status)), test.id,
                    mine ? ", after its result" : "", LastWords(evidence.output)));
  }
  const int status = WEXITSTATUS(end.wait_status);
  if (status == kRunnerHung) {
    result.hung = true;
    return conclude(Verdict::kFail,
                    fmt::format("hung in {}.{}", test.id, mine ? "" : LastWords(evidence.output)));
  }
  if (status == kRunnerLoadError) {
    return conclude(Verdict::kBroken, "the implementation, loaded before, could not be loaded." +
                                          LastWords(evidence.output));
  }
  const std::optional<Verdict> verdict =
      mine ? VerdictFromName(Field(told, "verdict")) : std::nullopt;
  if (!verdict || !Agrees(status, *verdict)) {
    return conclude(Verdict::kBroken,
                    fmt::format("the test's process ended with status {} and {}; either the test "
                                "or the implementation ended it where it must not.{}",
                                status, mine ? "a result that says otherwise" : "no usable result",
                                LastWords(evidence.output)));
  }
  if (*verdict == Verdict::kNotApplicable && Words(result.needs).empty()) {
    return conclude(Verdict::kBroken, "a test that does not apply must say what it needs");
  }
  result.verdict = *verdict;
  return result;
}

}  // namespace utrace::certify
