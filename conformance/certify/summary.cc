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

std::string Explained(const ClauseTable& table, const Report& report, const TestResult& result,
                      const std::string& directory) {
  const Clause* clause = table.Find(result.test.clause);
  std::string text = fmt::format("{} {} {} ({})\n", VerdictName(result.verdict), result.test.clause,
                                 result.test.name, LevelName(clause->level));
  text += Labelled("requirement", clause->text);
  text += Labelled("expected", result.expected);
  text += Labelled("seen", result.seen);
  text += Labelled("message", result.message);
  if (!result.log.empty()) text += fmt::format("  {:<15}{}/{}\n", "log", directory, result.log);
  // Not wrapped: it is there to be copied.
  return text + fmt::format("  {:<15}{}\n\n", "reproduce", report.Reproduce(result.test));
}

std::string Row(std::string_view name, const ChapterTotals& totals, bool not_run) {
  std::string row = fmt::format("{:<40}{:>8}{:>7}{:>8}{:>8}{:>8}{:>13}", name, totals.clauses,
                                totals.tests, totals.of(Verdict::kPass), totals.of(Verdict::kFail),
                                totals.of(Verdict::kBroken), totals.of(Verdict::kUnsupported));
  if (not_run) row += fmt::format("{:>9}", totals.of(Verdict::kNotRun));
  return row + "\n";
}

std::string Table(const std::vector<ChapterTotals>& chapters) {
  const ChapterTotals sum = Sum(chapters);
  const bool not_run = sum.of(Verdict::kNotRun) > 0;
  std::string text =
      fmt::format("{:<40}{:>8}{:>7}{:>8}{:>8}{:>8}{:>13}{}\n", "chapter", "clauses", "tests",
                  "passed", "failed", "broken", "unsupported", not_run ? "  not run" : "");
  for (const ChapterTotals& totals : chapters) {
    text += Row(fmt::format("{:>2} {}", totals.chapter->number, totals.chapter->title), totals,
                not_run);
  }
  return text + Row("   all", sum, not_run);
}

std::string Joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

}  // namespace

std::string Summary(const ClauseTable& table, const Report& report, const std::string& directory,
                    const std::string& certificate) {
  std::string text;
  size_t not_run = 0;
  for (const TestResult& result : report.results) {
    const bool bad = result.verdict == Verdict::kFail || result.verdict == Verdict::kBroken;
    if (bad) text += Explained(table, report, result, directory);
    if (result.verdict == Verdict::kNotRun) ++not_run;
  }
  const std::vector<ChapterTotals> chapters = TotalsByChapter(table, report);
  if (!chapters.empty()) text += Table(chapters) + "\n";

  if (!report.untested_must.empty()) {
    text += Labelled("untested", Joined(report.untested_must));
  }
  if (not_run > 0) text += Labelled("not run", fmt::format("{} tests", not_run));
  std::vector<std::string> limits;
  for (const auto& [name, description] : report.implementation.declared_limits) {
    limits.push_back(name);
  }
  text += Labelled("implementation", report.implementation.path);
  text += Labelled("sha256", report.implementation.sha256);
  if (!limits.empty()) text += Labelled("limits", Joined(limits));
  text += Labelled("machine", fmt::format("{}, {} processors, {}", report.machine.machine,
                                          report.machine.cpus, report.machine.kernel));
  if (!chapters.empty()) text += Labelled("time", fmt::format("{:.1f} s", report.seconds));

  std::string verdict(OverallName(report.overall));
  if (!report.reason.empty()) verdict += ": " + report.reason;
  if (report.IsSelection()) verdict += " (of a selection: this is no certificate)";
  text += fmt::format("\nverdict: {}\n", verdict);
  text += fmt::format("{}: {}\n", report.IsSelection() ? "report" : "certificate", certificate);
  return text;
}

}  // namespace utrace::certify
