// merged.html: clause by clause, a column for each architecture, kernel, machine and host.
#include <fmt/core.h>

#include <filesystem>
#include <functional>

#include "conformance/certify/html_parts.h"
#include "conformance/certify/merged.h"

namespace utrace::certify {
namespace {

std::string_view Release(const Part& part) {
  std::string_view kernel = part.report.machine.kernel;
  kernel.remove_prefix(std::min(kernel.find(' ') + 1, kernel.size()));
  return kernel.substr(0, kernel.find(' '));
}

std::string Header(const ClauseTable& table, const Merged& merged) {
  std::string sentence = merged.reason;
  if (merged.overall == Overall::kPass) {
    size_t kept = 0;
    for (const Clause& clause : table.clauses()) {
      kept += clause.level == Level::kMust && StateOf(merged, clause) == ClauseState::kPassed;
    }
    sentence = Counted(kept, "MUST clause") + " tested and kept, and none broken in any column.";
  }
  return fmt::format(
      "<header class=\"{}\">\n<p class=\"kind\">Certificates of conformance with the utrace "
      "contract, merged</p>\n<h1 id=\"verdict\">{}</h1>\n<p class=\"sentence\">{}</p>\n"
      "<p class=\"kind\">{} in {}</p>\n</header>\n",
      ClassOf(merged.overall), OverallName(merged.overall), HtmlText(sentence),
      Counted(merged.parts.size(), "certificate"), Counted(merged.Columns().size(), "column"));
}

// One row of the table's head: neighbours that say the same share a cell, unless a row above parts them.
std::string HeadRow(std::string_view label, const std::vector<Column>& columns,
                    const std::function<std::string(const Column&)>& key,
                    const std::function<std::string(const Column&)>& text) {
  std::string row = fmt::format("<tr><th class=\"clause-id\">{}</th>", HtmlText(label));
  for (size_t n = 0; n < columns.size();) {
    size_t end = n + 1;
    while (end < columns.size() && key(columns[end]) == key(columns[n])) ++end;
    row += fmt::format("<th colspan=\"{}\">{}</th>", end - n, text(columns[n]));
    n = end;
  }
  return row + "</tr>\n";
}

std::string Head(const std::vector<Column>& columns) {
  const auto architecture = [](const Column& column) {
    return column.part->report.machine.machine;
  };
  const auto kernel = [&](const Column& column) {
    return architecture(column) + "\n" + std::string(Release(*column.part));
  };
  const auto part = [](const Column& column) { return PartName(*column.part); };
  const auto alone = [&](const Column& column) { return part(column) + "\n" + column.host->name; };
  const auto as_html = [](const auto& what) {
    return [what](const Column& column) { return HtmlText(what(column)); };
  };
  std::string html =
      "<thead>\n" + HeadRow("architecture", columns, architecture, as_html(architecture));
  html += HeadRow("kernel", columns, kernel,
                  [](const Column& column) { return HtmlText(Release(*column.part)); });
  html += HeadRow("machine", columns, part,
                  [](const Column& column) { return HtmlText(column.part->report.machine.host); });
  html += HeadRow("host", columns, alone, [](const Column& column) {
    return HtmlText(column.host->name) + "<br>" +
           Badge(OverallName(column.host->overall), ClassOf(column.host->overall));
  });
  return html + "</thead>\n";
}

std::string Cell(const Column& column, const Clause& clause) {
  const ClauseState state = StateOf(column.part->report, column.host, clause);
  size_t tests = 0;
  size_t passed = 0;
  std::string why;
  for (const TestResult& result : column.host->results) {
    if (result.test.clause != clause.id) continue;
    ++tests;
    if (result.verdict == Verdict::kPass) ++passed;
    if (result.verdict == Verdict::kUnsupported) why = ", a declared limit: " + result.message;
    if (result.verdict == Verdict::kNotApplicable) why = ", needs " + result.needs;
  }
  const std::string title =
      fmt::format("{}, {} {} {}: {}{}", clause.id, column.part->report.machine.machine,
                  Release(*column.part), column.host->name, ClauseStateName(state), why);
  const std::string text = state == ClauseState::kPassed || state == ClauseState::kFailed ||
                                   state == ClauseState::kWaived
                               ? fmt::format("{}{}/{}", SignOf(state), passed, tests)
                           : state == ClauseState::kUnsupported ? "limit"
                                                                : std::string(SignOf(state));
  return fmt::format("<td class=\"state {}\" title=\"{}\">{}</td>", ClassOf(state), HtmlText(title),
                     text);
}

std::string Matrix(const ClauseTable& table, const Merged& merged) {
  const std::vector<Column> columns = merged.Columns();
  std::string html =
      "<section>\n<h2>Clauses by architecture, kernel, machine and host</h2>\n"
      "<p>Tests that passed, of those that the clause has. <b>limit</b>: the implementation "
      "declares "
      "that it cannot, on this kernel or machine; &#183;: the host's tasks cannot do what the "
      "tests "
      "need; ?: no test.</p>\n<div class=\"wide-table\">\n<table id=\"clauses\">\n" +
      Head(columns) + "<tbody>\n";
  for (const Chapter& chapter : table.chapters()) {
    bool named = false;
    for (const Clause& clause : table.clauses()) {
      if (clause.chapter != chapter.number) continue;
      if (!named) {
        html += fmt::format("<tr class=\"chapter-row\"><th colspan=\"{}\">{} {}</th></tr>\n",
                            columns.size() + 1, chapter.number, HtmlText(chapter.title));
        named = true;
      }
      const ClauseState state = StateOf(merged, clause);
      html += fmt::format(
          "<tr id=\"{0}\"><th class=\"clause-id\" title=\"{1}\">{0} <small>{2}</small> {3}</th>",
          HtmlText(clause.id), HtmlText(clause.text), LevelName(clause.level),
          Badge(ClauseStateName(state), ClassOf(state)));
      for (const Column& column : columns) html += Cell(column, clause);
      html += "</tr>\n";
    }
  }
  return html + "</tbody>\n</table>\n</div>\n</section>\n";
}

std::string ListOf(const std::vector<std::string>& items) {
  if (items.empty()) return "none";
  std::string html = "<ul>\n";
  for (const std::string& item : items) html += "<li>" + item + "</li>\n";
  return html + "</ul>";
}

std::string HostLimits(const HostReport& host) {
  std::vector<std::string> limits;
  for (const auto& [name, description] : host.facts.declared_limits) {
    limits.push_back(fmt::format("<b>{}</b> {}", HtmlText(name), HtmlText(description)));
  }
  return ListOf(limits);
}

std::string PartFacts(const ClauseTable& table, const Part& part) {
  const Report& report = part.report;
  const std::string name = PartName(part);
  std::vector<std::string> lacking;
  for (const std::string& feature : LackingFeatures(report.machine.kernel)) {
    lacking.push_back(HtmlText(feature));
  }
  std::string html = fmt::format("<article class=\"host\">\n<h3>{} {} {} on {}</h3>\n<dl>\n",
                                 Badge(OverallName(report.overall), ClassOf(report.overall)),
                                 HtmlText(report.machine.machine), HtmlText(Release(part)),
                                 HtmlText(report.machine.host));
  html +=
      TextFact("reason", report.reason) + TextFact("kernel", report.machine.kernel) +
      Fact("the kernel lacks, by its release", ListOf(lacking)) +
      TextFact("processors", std::to_string(report.machine.cpus)) + TextFact("date", report.date) +
      Fact("its certificate",
           fmt::format("<a href=\"{0}/{1}/{2}\">{0}/{1}</a>", kParts, HtmlText(name), kPageFile)) +
      CodeFact("results", "sha256 " + part.record_sha256);
  for (const Waiver& waiver : report.waivers) {
    html += TextFact("waiver " + waiver.clause, waiver.reason);
  }
  for (const HostReport& host : report.hosts) {
    const ChapterTotals sum = Sum(TotalsByChapter(table, host));
    html +=
        TextFact(host.name + ": tests passed",
                 fmt::format("{} of {}", sum.of(Verdict::kPass), sum.tests)) +
        CodeFact(host.name + ": implementation",
                 std::filesystem::path(host.path).filename().string() + " sha256 " + host.sha256) +
        Fact(host.name + ": declared limits", HostLimits(host));
  }
  return html + "</dl>\n</article>\n";
}

}  // namespace

std::string MergedHtml(const ClauseTable& table, const Merged& merged) {
  std::string html = PageHead(fmt::format("{}: utrace, {} merged", OverallName(merged.overall),
                                          Counted(merged.parts.size(), "certificate")),
                              std::string(kPageStyle) + std::string(kMergedStyle));
  html += Header(table, merged);
  for (const Part& part : merged.parts) {
    const std::string failures = FailuresSection(table, part.report);
    if (failures.empty()) continue;
    html += fmt::format("<h2>{}, {} on {}</h2>\n", HtmlText(part.report.machine.machine),
                        HtmlText(Release(part)), HtmlText(part.report.machine.host));
    html += failures;
  }
  html += Matrix(table, merged);
  html += "<section>\n<h2>Parts</h2>\n";
  for (const Part& part : merged.parts) html += PartFacts(table, part);
  html +=
      "</section>\n<section>\n<h2>Check it</h2>\n<p><code>utrace check DIRECTORY</code> draws "
      "every "
      "verdict again from the results of the parts, which lie below this page.</p>\n</section>\n";
  return html + "</body>\n</html>\n";
}

}  // namespace utrace::certify
