#include "conformance/certify/html.h"

#include <fmt/core.h>

#include <array>
#include <filesystem>
#include <string_view>
#include <vector>

#include "conformance/certify/html_parts.h"

namespace utrace::certify {
namespace {

// "2026-09-01T12:00:00Z" -> "2026-09-01 12:00:00 UTC"; anything else as it is.
std::string Date(std::string date) {
  if (date.size() == 20 && date[10] == 'T' && date[19] == 'Z') {
    date[10] = ' ';
    date.replace(19, 1, " UTC");
  }
  return date;
}

std::string Duration(double seconds) {
  // What a record claims need not fit into an integer.
  if (!(seconds < 1e9)) return "very long";
  const auto whole = static_cast<long>(seconds);
  if (whole < 60) return fmt::format("{:.1f} s", seconds);
  return fmt::format("{} min {} s", whole / 60, whole % 60);
}

// One sentence under the verdict.
std::string Sentence(const ClauseTable& table, const Report& report) {
  std::string text;
  if (report.IsSelection()) text = "This is no certificate: only a selection was tested. ";
  if (report.overall != Overall::kPass) return text + report.reason + ".";
  for (const LevelTotals& totals : TotalsByLevel(table, report, nullptr)) {
    if (totals.level != Level::kMust) continue;
    text += fmt::format("{} {} tested and kept.", Counted(totals.kept, "MUST clause"),
                        totals.kept == 1 ? "was" : "were");
  }
  return text;
}

std::string Header(const ClauseTable& table, const Report& report) {
  const std::string_view kind = report.IsSelection()
                                    ? "Report on a selection of the utrace contract"
                                    : "Certificate of conformance with the utrace contract";
  std::string hosts;
  for (const HostReport& host : report.hosts) {
    hosts += (hosts.empty() ? "" : ", ") + std::filesystem::path(host.path).filename().string() +
             " (" + host.name + ")";
  }
  return fmt::format(
      "<header class=\"{}\">\n<p class=\"kind\">{}</p>\n<h1 id=\"verdict\">{}</h1>\n"
      "<p class=\"sentence\">{}</p>\n<p class=\"kind\">{}</p>\n</header>\n",
      ClassOf(report.overall), kind, OverallName(report.overall), HtmlText(Sentence(table, report)),
      HtmlText(hosts + ", " + Date(report.date)));
}

std::string RunFacts(const Report& report) {
  const Machine& machine = report.machine;
  std::string selection;
  for (const std::string& word : report.selection) {
    selection += (selection.empty() ? "" : ",") + word;
  }
  return "<section>\n<h2>The run</h2>\n<dl>\n" + TextFact("date", Date(report.date)) +
         TextFact("kernel", machine.kernel) +
         TextFact("machine", fmt::format("{}, {} processors, {}", machine.machine, machine.cpus,
                                         machine.host)) +
         TextFact("tool", "utrace certify " + report.tool_version) +
         CodeFact("specification", "sha256 " + report.spec_sha256) +
         CodeFact("selection", selection.empty() ? "" : "--only " + selection) +
         CodeFact("schedules", report.schedules) +
         Fact("check it",
              "<code>utrace check DIRECTORY</code> draws every verdict again from "
              "<code>results.jsonl</code>, which lies beside this page") +
         "</dl>\n</section>\n";
}

std::string Limits(const HostReport& host) {
  std::string html;
  for (const auto& [name, description] : host.facts.declared_limits) {
    html += fmt::format("<li><b>{}</b> {}</li>\n", HtmlText(name), HtmlText(description));
  }
  if (html.empty()) return host.facts.kind.empty() ? "" : "none";
  return "<ul>\n" + html + "</ul>";
}

std::string HostFacts(const ClauseTable& table, const Report& report, const HostReport& host) {
  std::string kept;
  for (const LevelTotals& totals : TotalsByLevel(table, report, &host)) {
    kept += fmt::format("{}{} {} of {}", kept.empty() ? "" : ", ", LevelName(totals.level),
                        totals.kept, totals.tested);
  }
  const ChapterTotals sum = Sum(TotalsByChapter(table, host));
  std::string capabilities;
  for (const std::string& name : host.facts.capabilities) capabilities += name + " ";
  const std::filesystem::path path(host.path);
  std::string html =
      fmt::format("<article class=\"host\">\n<h3>{} {} <span class=\"name\">{}</span></h3>\n",
                  Badge(OverallName(host.overall), ClassOf(host.overall)), HtmlText(host.name),
                  HtmlText(path.filename().string()));
  html += "<dl>\n" + TextFact("reason", host.reason) + CodeFact("implementation", host.path) +
          CodeFact("sha256", host.sha256) + TextFact("interface", host.facts.api_version) +
          TextFact("clauses kept", kept) +
          TextFact("tests passed", fmt::format("{} of {} in {}", sum.of(Verdict::kPass), sum.tests,
                                               Duration(host.seconds))) +
          TextFact("capabilities", capabilities) + Fact("declared limits", Limits(host)) +
          CodeFact("reproduce", host.reproduce);
  return html + "</dl>\n</article>\n";
}

std::string Waivers(const Report& report) {
  if (report.waivers.empty()) return "";
  std::string html = "<section>\n<h2>Waivers</h2>\n<dl class=\"wide\">\n";
  for (const Waiver& waiver : report.waivers) {
    html += Fact(waiver.clause, HtmlText(waiver.reason));
  }
  return html + "</dl>\n</section>\n";
}

std::string Cell(const Report& report, const Clause& clause) {
  const ClauseState state = StateOf(report, nullptr, clause);
  std::string title = fmt::format("{}: {}", clause.id, ClauseStateName(state));
  std::string stripes;
  if (report.hosts.size() > 1) {
    for (const HostReport& host : report.hosts) {
      const ClauseState on_host = StateOf(report, &host, clause);
      title += fmt::format(", {} {}", host.name, ClauseStateName(on_host));
      stripes += fmt::format("<i class=\"{}\"></i>", ClassOf(on_host));
    }
    stripes = "<span class=\"stripes\">" + stripes + "</span>";
  }
  return fmt::format("<a class=\"cell {}\" href=\"#{}\" title=\"{}\">{}<sup>{}</sup>{}</a>",
                     ClassOf(state), HtmlText(clause.id), HtmlText(title),
                     clause.id.substr(clause.family().size() + 1), SignOf(state), stripes);
}

// "97/97", or one such for each host.
std::string Scores(const ClauseTable& table, const Report& report, int chapter) {
  std::string html;
  for (const HostReport& host : report.hosts) {
    for (const ChapterTotals& totals : TotalsByChapter(table, host)) {
      if (totals.chapter->number != chapter) continue;
      html += fmt::format("<span class=\"score\">{}{}/{}</span>",
                          report.hosts.size() > 1 ? HtmlText(host.name) + " " : "",
                          totals.of(Verdict::kPass), totals.tests);
    }
  }
  return html;
}

std::string Matrix(const ClauseTable& table, const Report& report) {
  std::array<size_t, kClauseStates> counts = {};
  std::string rows;
  for (const Chapter& chapter : table.chapters()) {
    std::string cells;
    std::string_view family;
    for (const Clause& clause : table.clauses()) {
      if (clause.chapter != chapter.number) continue;
      ++counts[static_cast<size_t>(StateOf(report, nullptr, clause))];
      if (clause.family() != family) {
        family = clause.family();
        cells += fmt::format("<span class=\"family\">{}</span>", HtmlText(family));
      }
      cells += Cell(report, clause) + "\n";
    }
    if (cells.empty()) continue;
    rows += fmt::format(
        "<div class=\"row\">\n<h3><a href=\"#chapter-{0}\"><b>{0}</b> {1}</a> {2}</h3>\n"
        "<div class=\"cells\">{3}</div>\n</div>\n",
        chapter.number, HtmlText(chapter.title), Scores(table, report, chapter.number), cells);
  }
  std::string legend;
  for (size_t n = 0; n < kClauseStates; ++n) {
    if (counts[n] == 0) continue;
    const auto state = static_cast<ClauseState>(n);
    legend += fmt::format("<span><span class=\"cell {}\">{}<sup>{}</sup></span> {}</span>\n",
                          ClassOf(state), counts[n], SignOf(state), ClauseStateName(state));
  }
  std::string hosts;
  if (report.hosts.size() > 1) {
    hosts = "<p>The stripes at the foot of a cell are the hosts, in this order: ";
    for (const HostReport& host : report.hosts) {
      hosts += (&host == report.hosts.data() ? "" : ", ") + HtmlText(host.name);
    }
    hosts += ".</p>\n";
  }
  return "<section class=\"matrix\">\n<h2>Clauses by chapter</h2>\n<p class=\"legend\">" + legend +
         "</p>\n" + hosts + rows + "</section>\n";
}

}  // namespace

std::string HtmlPage(const ClauseTable& table, const Report& report) {
  std::string html =
      PageHead(fmt::format("{}: utrace {}, {}", OverallName(report.overall),
                           report.IsSelection() ? "report" : "certificate", Date(report.date)),
               kPageStyle);
  html += Header(table, report);
  html += FailuresSection(table, report);
  html += Matrix(table, report);
  html += UntestedSection(report);
  html += Waivers(report);
  html += "<section>\n<h2>Implementations</h2>\n";
  for (const HostReport& host : report.hosts) html += HostFacts(table, report, host);
  html += "</section>\n";
  html += RunFacts(report);
  html += ClausesSection(table, report);
  return html + "</body>\n</html>\n";
}

}  // namespace utrace::certify
