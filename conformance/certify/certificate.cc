#include "conformance/certify/certificate.h"

#include <nlohmann/json.hpp>

namespace utrace::certify {
namespace {

using Json = nlohmann::ordered_json;

Json Totals(const ChapterTotals& totals) {
  return {{"clauses", totals.clauses},
          {"tests", totals.tests},
          {"passed", totals.of(Verdict::kPass)},
          {"failed", totals.of(Verdict::kFail)},
          {"broken", totals.of(Verdict::kBroken)},
          {"unsupported", totals.of(Verdict::kUnsupported)},
          {"not_applicable", totals.of(Verdict::kNotApplicable)},
          {"not_run", totals.of(Verdict::kNotRun)}};
}

Json Chapters(const std::vector<ChapterTotals>& all) {
  Json chapters = Json::array();
  for (const ChapterTotals& totals : all) {
    Json chapter = {{"chapter", totals.chapter->number}, {"title", totals.chapter->title}};
    chapter.update(Totals(totals));
    chapters.push_back(std::move(chapter));
  }
  return chapters;
}

Json Untested(const std::vector<UntestedClause>& clauses) {
  Json list = Json::array();
  for (const UntestedClause& clause : clauses) {
    list.push_back({{"id", clause.clause}, {"reason", clause.reason}});
  }
  return list;
}

Json Host(const ClauseTable& table, const HostReport& host) {
  Json limits = Json::array();
  for (const auto& [name, description] : host.facts.declared_limits) {
    limits.push_back({{"name", name}, {"description", description}});
  }
  const std::vector<ChapterTotals> chapters = TotalsByChapter(table, host);
  return {{"name", host.name},
          {"kind", host.facts.kind},
          {"verdict", OverallName(host.overall)},
          {"reason", host.reason},
          {"implementation",
           {{"path", host.path},
            {"sha256", host.sha256},
            {"api_version", host.facts.api_version},
            {"target_version", host.facts.target_version},
            {"capabilities", host.facts.capabilities},
            {"declared_limits", std::move(limits)}}},
          {"reproduce", host.reproduce},
          {"seconds", host.seconds},
          {"totals", Totals(Sum(chapters))},
          {"chapters", Chapters(chapters)},
          {"untested_must_clauses", Untested(host.untested_must)}};
}

Json Test(const HostReport& host, const TestResult& result) {
  Json test = {{"id", result.test.id},
               {"host", host.name},
               {"verdict", VerdictName(result.verdict)},
               {"milliseconds", result.milliseconds},
               {"reproduce", host.Reproduce(result)}};
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) test[name] = value;
  };
  add("needs", result.needs);
  add("expected", result.expected);
  add("seen", result.seen);
  add("message", result.message);
  add("witness", result.witness);
  add("schedule", result.schedule);
  add("log", result.log);
  add("history", result.history);
  return test;
}

// Every clause of the specification; of a selection those that have tests in the run.
Json Clauses(const ClauseTable& table, const Report& report) {
  Json clauses = Json::array();
  for (const Clause& clause : table.clauses()) {
    Json tests = Json::array();
    for (const HostReport& host : report.hosts) {
      for (const TestResult& result : host.results) {
        if (result.test.clause == clause.id) tests.push_back(Test(host, result));
      }
    }
    if (tests.empty() && report.IsSelection()) continue;
    Json entry = {{"id", clause.id},
                  {"level", LevelName(clause.level)},
                  {"chapter", clause.chapter},
                  {"requirement", clause.text},
                  {"state", ClauseStateName(StateOf(report, nullptr, clause))},
                  {"tests", std::move(tests)}};
    if (!clause.kind.empty()) entry["kind"] = clause.kind;
    clauses.push_back(std::move(entry));
  }
  return clauses;
}

Json Waivers(const Report& report) {
  Json waivers = Json::array();
  for (const Waiver& waiver : report.waivers) {
    const bool needed =
        std::find(report.waived.begin(), report.waived.end(), waiver.clause) != report.waived.end();
    waivers.push_back({{"clause", waiver.clause}, {"reason", waiver.reason}, {"needed", needed}});
  }
  return waivers;
}

}  // namespace

std::string CertificateJson(const ClauseTable& table, const Report& report) {
  const Machine& machine = report.machine;
  Json hosts = Json::array();
  for (const HostReport& host : report.hosts) hosts.push_back(Host(table, host));
  // A selection says nothing about the whole contract, whatever its verdict.
  Json document = {{"format", kCertificateFormat},
                   {"kind", report.IsSelection() ? "selection" : "certificate"},
                   {"verdict", OverallName(report.overall)},
                   {"reason", report.reason},
                   {"selection", report.selection},
                   {"schedules", report.schedules},
                   {"tool", {{"name", "utrace certify"}, {"version", report.tool_version}}},
                   {"specification", {{"sha256", report.spec_sha256}}},
                   {"date", report.date},
                   {"machine",
                    {{"kernel", machine.kernel},
                     {"machine", machine.machine},
                     {"host", machine.host},
                     {"cpus", machine.cpus}}},
                   {"waivers", Waivers(report)},
                   {"hosts", std::move(hosts)},
                   {"untested_must_clauses", Untested(report.untested_must)},
                   {"clauses", Clauses(table, report)}};
  // What implementations print and return need not be UTF-8.
  return document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace utrace::certify
