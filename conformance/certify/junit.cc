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

std::string Explained(const ClauseTable& table, const Report& report, const HostReport& host,
                      const TestResult& result) {
  std::string text;
  if (const Clause* clause = table.Find(result.test.clause)) {
    text += fmt::format("{} {}: {}\n", clause->id, LevelName(clause->level), clause->text);
  }
  const Waiver* waiver = report.FindWaiver(result.test.clause);
  if (waiver != nullptr) text += "waived: " + waiver->reason + "\n";
  if (!result.needs.empty()) text += "needs: " + result.needs + "\n";
  if (!result.expected.empty()) text += "expected: " + result.expected + "\n";
  if (!result.seen.empty()) text += "seen: " + result.seen + "\n";
  if (!result.message.empty()) text += result.message + "\n";
  if (!result.witness.empty()) text += "witness: " + result.witness + "\n";
  return text + "reproduce: " + host.Reproduce(result);
}

std::string_view Element(const ClauseTable& table, const Report& report, const TestResult& result) {
  const Clause* clause = table.Find(result.test.clause);
  const bool excused = (clause != nullptr && !IsCertified(clause->level)) ||
                       report.FindWaiver(result.test.clause) != nullptr;
  switch (result.verdict) {
    case Verdict::kPass:
      return "";
    case Verdict::kFail:
      return excused ? "skipped" : "failure";
    case Verdict::kUnsupported:
    case Verdict::kNotApplicable:
      return "skipped";
    case Verdict::kBroken:
    case Verdict::kNotRun:
      break;
  }
  return "error";
}

// One <testsuite>, or the sum over all.
struct Suite {
  std::string cases;
  size_t tests = 0;
  size_t failures = 0;
  size_t errors = 0;
  size_t skipped = 0;
  double seconds = 0;

  void AddError(std::string_view name, std::string_view message) {
    ++tests;
    ++errors;
    cases += fmt::format(
        "    <testcase classname=\"run\" name=\"{}\"><error message=\"{}\"/></testcase>\n",
        Escaped(name), Escaped(message));
  }
  void Add(const Suite& other) {
    tests += other.tests;
    failures += other.failures;
    errors += other.errors;
    skipped += other.skipped;
    seconds += other.seconds;
  }
  std::string Attributes(std::string_view name) const {
    return fmt::format(R"(name="{}" tests="{}" failures="{}" errors="{}" skipped="{}" )"
                       R"(time="{:.3f}")",
                       Escaped(name), tests, failures, errors, skipped, seconds);
  }
  std::string Xml(std::string_view name) const {
    return fmt::format("  <testsuite {}>\n{}  </testsuite>\n", Attributes(name), cases);
  }
};

Suite HostSuite(const ClauseTable& table, const Report& report, const HostReport& host) {
  Suite suite;
  suite.seconds = host.seconds;
  for (const TestResult& result : host.results) {
    ++suite.tests;
    suite.cases += fmt::format(R"(    <testcase classname="{}" name="{}" time="{:.3f}")",
                               Escaped(result.test.clause), Escaped(result.test.name),
                               result.milliseconds / 1000);
    const std::string_view element = Element(table, report, result);
    if (element.empty()) {
      suite.cases += "/>\n";
      continue;
    }
    if (element == "failure") ++suite.failures;
    if (element == "error") ++suite.errors;
    if (element == "skipped") ++suite.skipped;
    suite.cases +=
        fmt::format("><{} message=\"{}: {}\"/></testcase>\n", element, VerdictName(result.verdict),
                    Escaped(Explained(table, report, host, result)));
  }
  const bool passed = ExitStatus(host.overall) == 0 || host.overall == Overall::kPassWithWaivers;
  if (!passed && suite.failures + suite.errors == 0) {
    suite.AddError(OverallName(host.overall), host.reason);
  }
  return suite;
}

}  // namespace

std::string JUnitXml(const ClauseTable& table, const Report& report) {
  Suite sum;
  std::string suites;
  for (const HostReport& host : report.hosts) {
    const Suite suite = HostSuite(table, report, host);
    suites += suite.Xml(report.hosts.size() > 1 ? "utrace certify, " + host.name
                                                : std::string("utrace certify"));
    sum.Add(suite);
  }
  Suite whole;
  for (const UntestedClause& untested : report.untested_must) {
    if (report.FindWaiver(untested.clause) != nullptr) continue;
    whole.AddError(untested.clause, "no test of this MUST clause: " + untested.reason);
  }
  const bool passed =
      ExitStatus(report.overall) == 0 || report.overall == Overall::kPassWithWaivers;
  if (!passed && sum.failures + sum.errors + whole.errors == 0) {
    whole.AddError(OverallName(report.overall), report.reason);
  }
  if (whole.tests > 0) suites += whole.Xml("utrace certify, the whole");
  sum.Add(whole);
  return fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {}>\n{}</testsuites>\n",
      sum.Attributes("utrace certify"), suites);
}

}  // namespace utrace::certify
