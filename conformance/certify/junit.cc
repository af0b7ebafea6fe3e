#include "conformance/certify/junit.h"

#include <fmt/core.h>

#include <string_view>

namespace utrace::certify {
namespace {

// As an XML attribute. What XML 1.0 cannot hold, and bytes that may be no UTF-8, become '?'.
std::string Escaped(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\n':
        escaped += "&#10;";
        break;
      case '\t':
        escaped += "&#9;";
        break;
      default:
        escaped += byte < 0x20 || byte >= 0x7f ? '?' : c;
    }
  }
  return escaped;
}

std::string Explained(const ClauseTable& table, const Report& report, const TestResult& result) {
  std::string text;
  if (const Clause* clause = table.Find(result.test.clause)) {
    text += fmt::format("{} {}: {}\n", clause->id, LevelName(clause->level), clause->text);
  }
  if (!result.expected.empty()) text += "expected: " + result.expected + "\n";
  if (!result.seen.empty()) text += "seen: " + result.seen + "\n";
  if (!result.message.empty()) text += result.message + "\n";
  return text + "reproduce: " + report.Reproduce(result.test);
}

std::string_view Element(const ClauseTable& table, const TestResult& result) {
  const Clause* clause = table.Find(result.test.clause);
  switch (result.verdict) {
    case Verdict::kPass:
      return "";
    case Verdict::kFail:
      return clause != nullptr && !IsCertified(clause->level) ? "skipped" : "failure";
    case Verdict::kUnsupported:
      return "skipped";
    case Verdict::kBroken:
    case Verdict::kNotRun:
      break;
  }
  return "error";
}

}  // namespace

std::string JUnitXml(const ClauseTable& table, const Report& report) {
  std::string cases;
  size_t tests = 0;
  size_t failures = 0;
  size_t errors = 0;
  size_t skipped = 0;
  for (const TestResult& result : report.results) {
    ++tests;
    cases += fmt::format(R"(    <testcase classname="{}" name="{}" time="{:.3f}")",
                         Escaped(result.test.clause), Escaped(result.test.name),
                         result.milliseconds / 1000);
    const std::string_view element = Element(table, result);
    if (element.empty()) {
      cases += "/>\n";
      continue;
    }
    if (element == "failure") ++failures;
    if (element == "error") ++errors;
    if (element == "skipped") ++skipped;
    cases += fmt::format("><{} message=\"{}: {}\"/></testcase>\n", element,
                         VerdictName(result.verdict), Escaped(Explained(table, report, result)));
  }
  auto add_error = [&](std::string_view name, std::string_view message) {
    ++tests;
    ++errors;
    cases += fmt::format(
        "    <testcase classname=\"run\" name=\"{}\"><error message=\"{}\"/></testcase>\n",
        Escaped(name), Escaped(message));
  };
  for (const std::string& clause : report.untested_must) {
    add_error(clause, "no test for this MUST clause");
  }
  if (report.overall != Overall::kPass && failures + errors == 0) {
    add_error(OverallName(report.overall), report.reason);
  }
  const std::string counts =
      fmt::format(R"(name="utrace certify" tests="{}" failures="{}" errors="{}" skipped="{}" )"
                  R"(time="{:.3f}")",
                  tests, failures, errors, skipped, report.seconds);
  return fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {}>\n  <testsuite {}>\n{}"
      "  </testsuite>\n</testsuites>\n",
      counts, counts, cases);
}

}  // namespace utrace::certify
