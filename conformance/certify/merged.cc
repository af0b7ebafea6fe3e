#include "conformance/certify/merged.h"

#include <fmt/core.h>
#include <stdio.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>
#include <utility>

namespace utrace::certify {
namespace {

using Json = nlohmann::ordered_json;

struct Release {
  int major = 0;
  int minor = 0;
  auto operator<=>(const Release&) const = default;
};

std::optional<Release> LinuxRelease(std::string_view kernel) {
  Release release;
  const std::string text(kernel.substr(0, 64));
  if (sscanf(text.c_str(), "Linux %4d.%4d", &release.major, &release.minor) != 2) {
    return std::nullopt;
  }
  return release;
}

// What a file name may hold, of a text of whatever origin.
std::string Plain(std::string_view text) {
  std::string plain;
  for (const char c : text.substr(0, 64)) {
    const bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '.' || c == '_' || c == '+';
    plain += good ? c : '-';
  }
  // Neither hidden nor a parent.
  while (plain.starts_with('.')) plain.erase(0, 1);
  return plain;
}

// "6.1.0-18-amd64" of "Linux 6.1.0-18-amd64 #1 SMP ...".
std::string_view ReleaseName(std::string_view kernel) {
  if (const size_t space = kernel.find(' '); space != std::string_view::npos) {
    kernel.remove_prefix(space + 1);
  }
  return kernel.substr(0, kernel.find(' '));
}

auto Order(const Part& part) {
  const Machine& machine = part.report.machine;
  return std::tuple(machine.machine, LinuxRelease(machine.kernel).value_or(Release()),
                    machine.kernel, machine.host, part.record_sha256);
}

std::optional<std::string> Missing(const Part& part) {
  for (const HostReport& host : part.report.hosts) {
    size_t missing = 0;
    for (const TestResult& result : host.results) missing += result.verdict == Verdict::kNotRun;
    if (missing > 0 || host.results.empty()) {
      return fmt::format("{} is incomplete: {}", PartName(part),
                         host.results.empty() ? host.name + " has no results: " + host.end_reason
                                              : fmt::format("{} has no result of {}", host.name,
                                                            Counted(missing, "test")));
    }
  }
  if (part.report.hosts.empty() || part.report.overall == Overall::kIncomplete) {
    return PartName(part) + " is incomplete: " + part.report.reason;
  }
  return std::nullopt;
}

// Of the first part that does not go with those before it.
std::optional<std::string> Misfit(const std::vector<Part>& parts) {
  std::set<std::string_view> records;
  std::set<std::tuple<std::string, std::string, std::string, std::string, std::string>> columns;
  for (const Part& part : parts) {
    const Report& first = parts.front().report;
    if (!records.insert(part.record_sha256).second) return PartName(part) + " is there twice";
    if (part.report.spec_sha256 != first.spec_sha256) {
      return fmt::format("{} and {} were made by different editions of the specification",
                         PartName(parts.front()), PartName(part));
    }
    if (part.report.tool_version != first.tool_version) {
      return fmt::format("{} and {} were made by different versions of the suite, {} and {}",
                         PartName(parts.front()), PartName(part), first.tool_version,
                         part.report.tool_version);
    }
    if (part.report.IsSelection()) return PartName(part) + " was made with a selection";
    if (auto missing = Missing(part)) return missing;
    const Machine& machine = part.report.machine;
    for (const HostReport& host : part.report.hosts) {
      if (!columns.emplace(machine.machine, machine.kernel, machine.host, host.name, host.sha256)
               .second) {
        return fmt::format("{} repeats what another part has: {} on {}, {}, {}", PartName(part),
                           host.name, machine.machine, ReleaseName(machine.kernel), machine.host);
      }
    }
  }
  return std::nullopt;
}

Json Limits(const HostReport& host) {
  Json limits = Json::array();
  for (const auto& [name, description] : host.facts.declared_limits) {
    limits.push_back({{"name", name}, {"description", description}});
  }
  return limits;
}

Json PartJson(const Part& part) {
  const Report& report = part.report;
  Json waivers = Json::array();
  for (const Waiver& waiver : report.waivers) {
    waivers.push_back({{"clause", waiver.clause}, {"reason", waiver.reason}});
  }
  return {{"name", PartName(part)},
          {"results_sha256", part.record_sha256},
          {"date", report.date},
          {"verdict", OverallName(report.overall)},
          {"reason", report.reason},
          {"machine",
           {{"kernel", report.machine.kernel},
            {"machine", report.machine.machine},
            {"host", report.machine.host},
            {"cpus", report.machine.cpus}}},
          {"kernel_lacks", LackingFeatures(report.machine.kernel)},
          {"schedules", report.schedules},
          {"waivers", std::move(waivers)}};
}

Json ColumnJson(const ClauseTable& table, const Column& column) {
  const HostReport& host = *column.host;
  const ChapterTotals sum = Sum(TotalsByChapter(table, host));
  return {{"part", PartName(*column.part)},
          {"architecture", column.part->report.machine.machine},
          {"kernel", ReleaseName(column.part->report.machine.kernel)},
          {"machine", column.part->report.machine.host},
          {"host", host.name},
          {"verdict", OverallName(host.overall)},
          {"reason", host.reason},
          {"implementation", {{"path", host.path}, {"sha256", host.sha256}}},
          {"declared_limits", Limits(host)},
          {"tests", sum.tests},
          {"passed", sum.of(Verdict::kPass)},
          {"failed", sum.of(Verdict::kFail)},
          {"broken", sum.of(Verdict::kBroken)},
          {"unsupported", sum.of(Verdict::kUnsupported)},
          {"not_applicable", sum.of(Verdict::kNotApplicable)}};
}

Json ClauseJson(const Merged& merged, const std::vector<Column>& columns, const Clause& clause) {
  Json states = Json::array();
  for (const Column& column : columns) {
    Json failed = Json::array();
    size_t tests = 0;
    size_t passed = 0;
    for (const TestResult& result : column.host->results) {
      if (result.test.clause != clause.id) continue;
      ++tests;
      if (result.verdict == Verdict::kPass) ++passed;
      if (result.verdict == Verdict::kFail || result.verdict == Verdict::kBroken) {
        failed.push_back(result.test.id);
      }
    }
    states.push_back({{"state", ClauseStateName(StateOf(column.part->report, column.host, clause))},
                      {"tests", tests},
                      {"passed", passed},
                      {"not_passed", std::move(failed)}});
  }
  return {{"id", clause.id},
          {"level", LevelName(clause.level)},
          {"chapter", clause.chapter},
          {"state", ClauseStateName(StateOf(merged, clause))},
          {"columns", std::move(states)}};
}

}  // namespace

std::string PartName(const Part& part) {
  const Machine& machine = part.report.machine;
  return fmt::format("{}_{}_{}_{}", Plain(machine.machine), Plain(ReleaseName(machine.kernel)),
                     Plain(machine.host), part.record_sha256.substr(0, 12));
}

std::vector<std::string> LackingFeatures(std::string_view kernel) {
  const std::optional<Release> release = LinuxRelease(kernel);
  std::vector<std::string> lacking;
  if (!release) return lacking;
  if (*release < Release{6, 9}) lacking.emplace_back("thread pidfds (Linux 6.9)");
  if (*release < Release{6, 16}) lacking.emplace_back("PTRACE_SET_SYSCALL_INFO (Linux 6.16)");
  return lacking;
}

std::vector<Column> Merged::Columns() const {
  std::vector<Column> columns;
  for (const Part& part : parts) {
    for (const HostReport& host : part.report.hosts) columns.push_back({&part, &host});
  }
  return columns;
}

ClauseState StateOf(const Merged& merged, const Clause& clause) {
  static constexpr ClauseState kOrder[] = {ClauseState::kFailed,       ClauseState::kBroken,
                                           ClauseState::kNotRun,       ClauseState::kWaived,
                                           ClauseState::kPassed,       ClauseState::kUnsupported,
                                           ClauseState::kNotApplicable};
  std::set<ClauseState> states;
  for (const Part& part : merged.parts) states.insert(StateOf(part.report, nullptr, clause));
  for (const ClauseState state : kOrder) {
    if (states.contains(state)) return state;
  }
  return ClauseState::kUntested;
}

std::optional<Merged> Merge(std::vector<Part> parts, std::string* error) {
  if (parts.empty()) {
    *error = "there is no part";
    return std::nullopt;
  }
  std::sort(parts.begin(), parts.end(),
            [](const Part& one, const Part& other) { return Order(one) < Order(other); });
  if (const auto misfit = Misfit(parts)) {
    *error = *misfit;
    return std::nullopt;
  }
  Merged merged;
  merged.parts = std::move(parts);
  merged.overall = Overall::kPass;
  for (const Part& part : merged.parts) {
    if (!IsWorse(part.report.overall, merged.overall)) continue;
    merged.overall = part.report.overall;
    merged.reason = PartName(part) + ": " + part.report.reason;
  }
  return merged;
}

std::string MergedJson(const ClauseTable& table, const Merged& merged) {
  const std::vector<Column> columns = merged.Columns();
  Json parts = Json::array();
  for (const Part& part : merged.parts) parts.push_back(PartJson(part));
  Json heads = Json::array();
  for (const Column& column : columns) heads.push_back(ColumnJson(table, column));
  Json clauses = Json::array();
  for (const Clause& clause : table.clauses()) {
    clauses.push_back(ClauseJson(merged, columns, clause));
  }
  const Report& first = merged.parts.front().report;
  const Json document = {{"format", kMergedFormat},
                         {"verdict", OverallName(merged.overall)},
                         {"reason", merged.reason},
                         {"tool", {{"name", "utrace certify"}, {"version", first.tool_version}}},
                         {"specification", {{"sha256", first.spec_sha256}}},
                         {"parts", std::move(parts)},
                         {"columns", std::move(heads)},
                         {"clauses", std::move(clauses)}};
  return document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace utrace::certify
