#include "conformance/certify/summary.h"

#include <fmt/core.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "conformance/certify/text.h"

namespace utrace::certify {
namespace {

constexpr size_t kWidth = 100;
constexpr size_t kIndent = 17;

// `text` with breaks at blanks, for a label of the width kIndent before it.
std::string Wrapped(std::string_view text) {
  std::string wrapped;
  size_t column = kIndent;
  const std::string margin = "\n" + std::string(kIndent, ' ');
  while (!text.empty()) {
    const size_t end = std::min(text.find_first_of(" \n"), text.size());
    const std::string_view word = text.substr(0, end);
    const bool new_line = end < text.size() && text[end] == '\n';
    if (column > kIndent && column + 1 + word.size() > kWidth) {
      wrapped += margin;
      column = kIndent;
    } else if (column > kIndent) {
      wrapped += ' ';
      ++column;
    }
    wrapped += word;
    column += word.size();
    if (new_line) {
      wrapped += margin;
      column = kIndent;
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return wrapped;
}

std::string Labelled(std::string_view label, std::string_view text) {
  text = Trimmed(text);
  return text.empty() ? "" : fmt::format("  {:<15}{}\n", label, Wrapped(text));
}

std::string Explained(const ClauseTable& table, const Report& report, const HostReport& host,
                      const TestResult& result, const std::string& directory) {
  const Clause* clause = table.Find(result.test.clause);
  const Waiver* waiver = report.FindWaiver(result.test.clause);
  std::string text =
      fmt::format("{}{} {} {} ({}){}\n", waiver != nullptr ? "WAIVED " : "",
                  VerdictName(result.verdict), result.test.clause, result.test.name,
                  LevelName(clause->level), report.hosts.size() > 1 ? " on " + host.name : "");
  text += Labelled("requirement", clause->text);
  if (waiver != nullptr) text += Labelled("waiver", waiver->reason);
  text += Labelled("expected", result.expected);
  text += Labelled("seen", result.seen);
  text += Labelled("message", result.message);
  text += Labelled("witness", result.witness);
  if (!result.log.empty()) text += fmt::format("  {:<15}{}/{}\n", "log", directory, result.log);
  if (!result.history.empty()) {
    text += fmt::format("  {:<15}{}/{}\n", "history", directory, result.history);
  }
  // Not wrapped: it is there to be copied.
  return text + fmt::format("  {:<15}{}\n\n", "reproduce", host.Reproduce(result));
}

std::string Row(std::string_view name, const ChapterTotals& totals, const ChapterTotals& sum) {
  std::string row = fmt::format("{:<40}{:>8}{:>7}{:>8}{:>8}{:>8}{:>13}", name, totals.clauses,
                                totals.tests, totals.of(Verdict::kPass), totals.of(Verdict::kFail),
                                totals.of(Verdict::kBroken), totals.of(Verdict::kUnsupported));
  // Columns that are mostly empty are there only where they say something.
  if (sum.of(Verdict::kNotApplicable) > 0) {
    row += fmt::format("{:>9}", totals.of(Verdict::kNotApplicable));
  }
  if (sum.of(Verdict::kNotRun) > 0) row += fmt::format("{:>9}", totals.of(Verdict::kNotRun));
  return row + "\n";
}

std::string Table(std::string_view title, const std::vector<ChapterTotals>& chapters) {
  const ChapterTotals sum = Sum(chapters);
  std::string text = fmt::format("{:<40}{:>8}{:>7}{:>8}{:>8}{:>8}{:>13}{}{}\n", title, "clauses",
                                 "tests", "passed", "failed", "broken", "unsupported",
                                 sum.of(Verdict::kNotApplicable) > 0 ? "  not for" : "",
                                 sum.of(Verdict::kNotRun) > 0 ? "  not run" : "");
  for (const ChapterTotals& totals : chapters) {
    text +=
        Row(fmt::format("{:>2} {}", totals.chapter->number, totals.chapter->title), totals, sum);
  }
  return text + Row("   all", sum, sum);
}

// Clauses that share a reason on one line: "ATT-08 ATT-09: needs kernel-task".
std::string Untested(std::string_view label, const std::vector<UntestedClause>& clauses) {
  std::vector<std::pair<std::string, std::string>> by_reason;
  for (const UntestedClause& clause : clauses) {
    auto found = std::find_if(by_reason.begin(), by_reason.end(),
                              [&](const auto& entry) { return entry.first == clause.reason; });
    if (found == by_reason.end()) found = by_reason.insert(found, {clause.reason, ""});
    found->second += (found->second.empty() ? "" : " ") + clause.clause;
  }
  std::string text;
  for (const auto& [reason, ids] : by_reason) {
    text += Labelled(text.empty() ? label : "", ids + ": " + reason);
  }
  return text;
}

// "MUST 218 of 220, SHOULD 3 of 3": clauses of each level that this host was tested by, and how many
// of them it keeps.
std::string Kept(const ClauseTable& table, const Report& report, const HostReport& host) {
  std::string text;
  for (const LevelTotals& totals : TotalsByLevel(table, report, &host)) {
    text += fmt::format("{}{} {} of {}", text.empty() ? "" : ", ", LevelName(totals.level),
                        totals.kept, totals.tested);
  }
  return text;
}

std::string HostText(const ClauseTable& table, const Report& report, const HostReport& host) {
  const std::vector<ChapterTotals> chapters = TotalsByChapter(table, host);
  std::string text;
  if (!chapters.empty()) text += Table("chapter, on host " + host.name, chapters) + "\n";
  text += Labelled("implementation", host.path);
  text += Labelled("sha256", host.sha256);
  std::string limits;
  for (const auto& [name, description] : host.facts.declared_limits) limits += name + " ";
  text += Labelled("limits", limits);
  text += Labelled("clauses kept", Kept(table, report, host));
  text += Untested("not tested", host.untested_must);
  const size_t not_run = Sum(chapters).of(Verdict::kNotRun);
  if (not_run > 0) text += Labelled("not run", Counted(not_run, "test"));
  if (!chapters.empty()) text += Labelled("time", fmt::format("{:.1f} s", host.seconds));
  if (report.hosts.size() > 1) {
    std::string verdict(OverallName(host.overall));
    if (!host.reason.empty()) verdict += ": " + host.reason;
    text += Labelled("verdict", verdict);
  }
  return text + "\n";
}

}  // namespace

std::string Summary(const ClauseTable& table, const Report& report, const std::string& directory,
                    const std::string& certificate) {
  std::string text;
  for (const HostReport& host : report.hosts) {
    for (const TestResult& result : host.results) {
      const bool bad = result.verdict == Verdict::kFail || result.verdict == Verdict::kBroken;
      if (bad) text += Explained(table, report, host, result, directory);
    }
  }
  for (const HostReport& host : report.hosts) text += HostText(table, report, host);
  text += Labelled("machine", fmt::format("{}, {} processors, {}", report.machine.machine,
                                          report.machine.cpus, report.machine.kernel));
  for (const Waiver& waiver : report.waivers) {
    text += Labelled("waiver", waiver.clause + ": " + waiver.reason);
  }
  if (report.hosts.size() > 1) text += Untested("on no host", report.untested_must);

  std::string verdict(OverallName(report.overall));
  if (!report.reason.empty()) verdict += ": " + report.reason;
  if (report.IsSelection()) verdict += " (of a selection: this is no certificate)";
  text += fmt::format("\nverdict: {}\n", verdict);
  text += fmt::format("{}: {}\n", report.IsSelection() ? "report" : "certificate", certificate);
  return text;
}

}  // namespace utrace::certify
