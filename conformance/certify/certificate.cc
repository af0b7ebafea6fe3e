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
          {"not_run", totals.of(Verdict::kNotRun)}};
}

Json Chapters(const ClauseTable& table, const Report& report) {
  Json chapters = Json::array();
  for (const ChapterTotals& totals : TotalsByChapter(table, report)) {
    Json chapter = {{"chapter", totals.chapter->number}, {"title", totals.chapter->title}};
    chapter.update(Totals(totals));
    chapters.push_back(std::move(chapter));
  }
  return chapters;
}

Json Test(const Report& report, const TestResult& result) {
  Json test = {{"id", result.test.id},
               {"verdict", VerdictName(result.verdict)},
               {"milliseconds", result.milliseconds},
               {"reproduce", report.Reproduce(result.test)}};
  if (!result.expected.empty()) test["expected"] = result.expected;
  if (!result.seen.empty()) test["seen"] = result.seen;
  if (!result.message.empty()) test["message"] = result.message;
  if (!result.log.empty()) test["log"] = result.log;
  return test;
}

// Every clause that has tests in the run.
Json Clauses(const ClauseTable& table, const Report& report) {
  Json clauses = Json::array();
  for (const Clause& clause : table.clauses()) {
    Json tests = Json::array();
    for (const TestResult& result : report.results) {
      if (result.test.clause == clause.id) tests.push_back(Test(report, result));
    }
    if (tests.empty()) continue;
    Json entry = {{"id", clause.id},
                  {"level", LevelName(clause.level)},
                  {"chapter", clause.chapter},
                  {"requirement", clause.text},
                  {"tests", std::move(tests)}};
    if (!clause.kind.empty()) entry["kind"] = clause.kind;
    clauses.push_back(std::move(entry));
  }
  return clauses;
}

Json DeclaredLimits(const Implementation& implementation) {
  Json limits = Json::array();
  for (const auto& [name, description] : implementation.declared_limits) {
    limits.push_back({{"name", name}, {"description", description}});
  }
  return limits;
}

}  // namespace

std::string CertificateJson(const ClauseTable& table, const Report& report) {
  const Implementation& implementation = report.implementation;
  const Machine& machine = report.machine;
  // A selection says nothing about the whole contract, whatever its verdict.
  Json document = {{"format", kCertificateFormat},
                   {"kind", report.IsSelection() ? "selection" : "certificate"},
                   {"verdict", OverallName(report.overall)},
                   {"reason", report.reason},
                   {"selection", report.selection},
                   {"tool", {{"name", "utrace certify"}, {"version", report.tool_version}}},
                   {"date", report.date},
                   {"seconds", report.seconds},
                   {"implementation",
                    {{"path", implementation.path},
                     {"sha256", implementation.sha256},
                     {"api_version", implementation.api_version},
                     {"declared_limits", DeclaredLimits(implementation)}}},
                   {"machine",
                    {{"kernel", machine.kernel},
                     {"machine", machine.machine},
                     {"host", machine.host},
                     {"cpus", machine.cpus}}},
                   {"totals", Totals(Sum(TotalsByChapter(table, report)))},
                   {"chapters", Chapters(table, report)},
                   {"untested_must_clauses", report.untested_must},
                   {"clauses", Clauses(table, report)}};
  // What implementations print and return need not be UTF-8.
  return document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace utrace::certify
