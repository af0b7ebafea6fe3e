#include <fmt/core.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "conformance/certify/html_parts.h"

namespace utrace::certify {
namespace {

bool IsBad(Verdict verdict) { return verdict == Verdict::kFail || verdict == Verdict::kBroken; }

// All that is known of a test beside its verdict; empty if that is nothing.
std::string Particulars(const TestResult& result) {
  return TextFact("needs", result.needs) + TextFact("expected", result.expected) +
         TextFact("seen", result.seen) + TextFact("message", result.message) +
         RecordFact("witness", result.witness) + CodeFact("schedule", result.schedule) +
         CodeFact("log", result.log) + CodeFact("history", result.history);
}

std::string Failure(const ClauseTable& table, const Report& report, const HostReport& host,
                    const TestResult& result) {
  const Clause* clause = table.Find(result.test.clause);
  const Waiver* waiver = report.FindWaiver(result.test.clause);
  const bool waived = waiver != nullptr && result.verdict == Verdict::kFail;
  std::string html = fmt::format(
      "<article class=\"failure {}\">\n<h3>{} <a href=\"#{}\">{}</a> <span class=\"name\">{}</span>"
      "</h3>\n<dl>\n",
      waived ? "waived" : ClassOf(result.verdict),
      Badge(waived ? "WAIVED" : VerdictName(result.verdict),
            waived ? "waived" : ClassOf(result.verdict)),
      HtmlText(result.test.clause), HtmlText(result.test.clause), HtmlText(result.test.name));
  if (clause != nullptr) {
    html += Fact("requirement", fmt::format("<b class=\"level\">{}</b> {}",
                                            LevelName(clause->level), SpecText(clause->text)));
  }
  if (waiver != nullptr) html += TextFact("waiver", waiver->reason);
  if (report.hosts.size() > 1) html += TextFact("host", host.name);
  html += Particulars(result);
  html += CodeFact("reproduce", host.Reproduce(result));
  return html + "</dl>\n</article>\n";
}

std::string TestRow(const Report& report, const HostReport& host, const TestResult& result) {
  std::string row = fmt::format("<li>{} <span class=\"name\">{}</span>",
                                Badge(VerdictName(result.verdict), ClassOf(result.verdict)),
                                HtmlText(result.test.name));
  if (report.hosts.size() > 1) row += fmt::format(" <i>{}</i>", HtmlText(host.name));
  if (result.verdict != Verdict::kNotRun)
    row += fmt::format(" <i>{:.0f} ms</i>", result.milliseconds);
  const std::string particulars = Particulars(result);
  if (!particulars.empty()) row += fmt::format("\n<dl>\n{}</dl>", particulars);
  return row + "</li>\n";
}

std::string ClauseEntry(const Report& report, const Clause& clause) {
  std::string tests;
  size_t count = 0;
  size_t passed = 0;
  for (const HostReport& host : report.hosts) {
    for (const TestResult& result : host.results) {
      if (result.test.clause != clause.id) continue;
      ++count;
      if (result.verdict == Verdict::kPass) ++passed;
      tests += TestRow(report, host, result);
    }
  }
  const ClauseState state = StateOf(report, nullptr, clause);
  std::string hosts;
  if (report.hosts.size() > 1) {
    for (const HostReport& host : report.hosts) {
      hosts += fmt::format(" <i>{}</i> {}", HtmlText(host.name),
                           Badge(ClauseStateName(StateOf(report, &host, clause)),
                                 ClassOf(StateOf(report, &host, clause))));
    }
  }
  std::string html = fmt::format(
      "<article class=\"clause\" id=\"{0}\">\n<h4>{1} {0} <small>{2}{3}{4}</small>{5}</h4>\n"
      "<p>{6}</p>\n",
      HtmlText(clause.id), Badge(ClauseStateName(state), ClassOf(state)), LevelName(clause.level),
      clause.kind.empty() ? "" : ", ", HtmlText(clause.kind), hosts, SpecText(clause.text));
  if (const Waiver* waiver = report.FindWaiver(clause.id)) {
    html += fmt::format("<p class=\"waiver\">Waiver: {}</p>\n", HtmlText(waiver->reason));
  }
  if (count > 0) {
    html +=
        fmt::format("<details>\n<summary>{} of {} passed</summary>\n<ul>\n{}</ul>\n</details>\n",
                    passed, Counted(count, "test"), tests);
  }
  return html + "</article>\n";
}

// Clauses that share a reason go into one row.
std::string UntestedRows(const std::vector<UntestedClause>& clauses) {
  std::vector<std::pair<std::string, std::string>> by_reason;
  for (const UntestedClause& clause : clauses) {
    auto found = std::find_if(by_reason.begin(), by_reason.end(),
                              [&](const auto& entry) { return entry.first == clause.reason; });
    if (found == by_reason.end()) found = by_reason.insert(found, {clause.reason, ""});
    found->second += fmt::format("<a href=\"#{0}\">{0}</a> ", HtmlText(clause.clause));
  }
  std::string rows;
  for (const auto& [reason, links] : by_reason) rows += Fact(reason, links);
  return rows;
}

}  // namespace

std::string FailuresSection(const ClauseTable& table, const Report& report) {
  std::string bad;
  std::string waived;
  for (const HostReport& host : report.hosts) {
    for (const TestResult& result : host.results) {
      if (!IsBad(result.verdict)) continue;
      const bool excused =
          result.verdict == Verdict::kFail && report.FindWaiver(result.test.clause) != nullptr;
      (excused ? waived : bad) += Failure(table, report, host, result);
    }
  }
  std::string html;
  if (!bad.empty()) html += "<section>\n<h2>What did not pass</h2>\n" + bad + "</section>\n";
  if (!waived.empty()) html += "<section>\n<h2>What is waived</h2>\n" + waived + "</section>\n";
  return html;
}

std::string UntestedSection(const Report& report) {
  std::string html;
  const auto add = [&](const std::string& title, const std::vector<UntestedClause>& clauses) {
    if (clauses.empty()) return;
    html += fmt::format("<h3>{}</h3>\n<dl class=\"wide\">\n{}</dl>\n", HtmlText(title),
                        UntestedRows(clauses));
  };
  if (report.hosts.size() > 1) add("On no host", report.untested_must);
  for (const HostReport& host : report.hosts) add("On host " + host.name, host.untested_must);
  if (html.empty()) return "";
  return "<section>\n<h2>MUST clauses that were not tested</h2>\n" + html + "</section>\n";
}

std::string ClausesSection(const ClauseTable& table, const Report& report) {
  std::string html = "<section>\n<h2>All clauses</h2>\n";
  for (const Chapter& chapter : table.chapters()) {
    std::string entries;
    size_t count = 0;
    for (const Clause& clause : table.clauses()) {
      if (clause.chapter != chapter.number) continue;
      ++count;
      entries += ClauseEntry(report, clause);
    }
    if (count == 0) continue;
    html += fmt::format(
        "<details class=\"chapter\" id=\"chapter-{0}\">\n<summary><b>{0}</b> {1} <small>{2}</small>"
        "</summary>\n{3}</details>\n",
        chapter.number, HtmlText(chapter.title), Counted(count, "clause"), entries);
  }
  return html + "</section>\n";
}

}  // namespace utrace::certify
