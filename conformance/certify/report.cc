#include "conformance/certify/report.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <set>

#include "core/utrace.h"

namespace utrace::certify {
namespace {

bool IsTested(const HostReport& host, std::string_view clause) {
  return std::any_of(host.results.begin(), host.results.end(), [&](const TestResult& result) {
    const bool ran = result.verdict == Verdict::kPass || result.verdict == Verdict::kFail;
    return ran && result.test.clause == clause;
  });
}

bool FailsRun(const ClauseTable& table, const TestResult& result) {
  const Clause* clause = table.Find(result.test.clause);
  return result.verdict == Verdict::kFail && (clause == nullptr || IsCertified(clause->level));
}

std::string WhyUntested(const HostReport& host, std::string_view clause) {
  if (host.end && host.results.empty()) return "the implementation could not be tested";
  std::string reason = "no test";
  for (const TestResult& result : host.results) {
    if (result.test.clause != clause) continue;
    switch (result.verdict) {
      case Verdict::kNotApplicable:
        return "needs " + result.needs;
      case Verdict::kUnsupported:
        return "not supported: " + (result.message.empty() ? "a declared limit" : result.message);
      case Verdict::kBroken:
        return "its test could not be carried out";
      default:
        reason = "not run";
    }
  }
  return reason;
}

struct Counts {
  size_t ran = 0;
  size_t failed = 0;
  size_t waived = 0;
  size_t broken = 0;
  size_t not_run = 0;
};

Counts Count(const ClauseTable& table, const Report& report, const HostReport& host) {
  Counts counts;
  for (const TestResult& result : host.results) {
    if (result.verdict == Verdict::kPass || result.verdict == Verdict::kFail) ++counts.ran;
    if (result.verdict == Verdict::kBroken) ++counts.broken;
    if (result.verdict == Verdict::kNotRun) ++counts.not_run;
    if (!FailsRun(table, result)) continue;
    ++(report.FindWaiver(result.test.clause) != nullptr ? counts.waived : counts.failed);
  }
  return counts;
}

void JudgeHost(const ClauseTable& table, const Report& report, HostReport* host) {
  host->reason.clear();
  if (host->end) {
    host->overall = *host->end;
    host->reason = host->end_reason;
    return;
  }
  const Counts counts = Count(table, report, *host);
  if (counts.failed > 0) {
    host->overall = Overall::kFail;
    host->reason = Counted(counts.failed, "test") + " of MUST clauses failed";
    return;
  }
  host->overall = Overall::kBroken;
  if (host->results.empty()) {
    host->reason = "the suite has no test";
  } else if (counts.broken > 0) {
    host->reason = Counted(counts.broken, "test") + " could not be carried out";
  } else if (counts.not_run > 0) {
    host->reason =
        Counted(counts.not_run, "test") + (counts.not_run == 1 ? " was not run" : " were not run");
  } else if (counts.ran == 0) {
    host->reason = "no test ran: the implementation supports nothing of what was tested";
  } else if (counts.waived > 0) {
    host->overall = Overall::kPassWithWaivers;
    host->reason = Counted(counts.waived, "test") + " of waived clauses failed";
  } else {
    host->overall = Overall::kPass;
  }
}

// What decides first.
int Rank(Overall overall) {
  static constexpr Overall kOrder[] = {
      Overall::kIncomplete, Overall::kUnusable,        Overall::kFail, Overall::kBroken,
      Overall::kPartial,    Overall::kPassWithWaivers, Overall::kPass};
  return static_cast<int>(std::find(std::begin(kOrder), std::end(kOrder), overall) -
                          std::begin(kOrder));
}

void FindUntested(const ClauseTable& table, std::span<const int> covered, Report* report) {
  report->untested_must.clear();
  for (HostReport& host : report->hosts) host.untested_must.clear();
  if (report->IsSelection()) return;
  for (const Clause& clause : table.clauses()) {
    const bool wanted = std::find(covered.begin(), covered.end(), clause.chapter) != covered.end();
    if (!wanted || clause.level != Level::kMust) continue;
    bool tested = false;
    std::string reasons;
    for (HostReport& host : report->hosts) {
      if (IsTested(host, clause.id)) {
        tested = true;
        continue;
      }
      const std::string& reason =
          host.untested_must.emplace_back(UntestedClause{clause.id, WhyUntested(host, clause.id)})
              .reason;
      if (!reasons.empty()) reasons += "; ";
      reasons += report->hosts.size() > 1 ? host.name + ": " + reason : reason;
    }
    if (!tested) report->untested_must.push_back({clause.id, reasons});
  }
}

void SortWaivers(Report* report) {
  report->waived.clear();
  report->unneeded_waivers.clear();
  for (const Waiver& waiver : report->waivers) {
    bool needed = std::any_of(
        report->untested_must.begin(), report->untested_must.end(),
        [&](const UntestedClause& untested) { return untested.clause == waiver.clause; });
    bool asked = !report->IsSelection();
    for (const HostReport& host : report->hosts) {
      for (const TestResult& result : host.results) {
        if (result.test.clause != waiver.clause) continue;
        asked = true;
        needed |= result.verdict == Verdict::kFail;
      }
    }
    if (needed) {
      report->waived.push_back(waiver.clause);
    } else if (asked) {
      report->unneeded_waivers.push_back(waiver.clause);
    }
  }
}

std::string Joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

void JudgeAll(Report* report) {
  report->overall = Overall::kPass;
  report->reason.clear();
  for (const HostReport& host : report->hosts) {
    if (Rank(host.overall) >= Rank(report->overall)) continue;
    report->overall = host.overall;
    report->reason = report->hosts.size() > 1 ? host.name + ": " + host.reason : host.reason;
  }
  if (report->hosts.empty()) {
    report->overall = Overall::kIncomplete;
    report->reason = "the run has not ended";
  }
  // Of equals the later one speaks of the whole.
  const auto decide = [&](Overall overall, const std::string& reason) {
    if (Rank(overall) > Rank(report->overall)) return;
    report->overall = overall;
    report->reason = reason;
  };
  if (!report->waived.empty()) {
    decide(Overall::kPassWithWaivers,
           fmt::format("{} not kept, as declared", Joined(report->waived)));
  }
  size_t missing = 0;
  for (const UntestedClause& untested : report->untested_must) {
    if (report->FindWaiver(untested.clause) == nullptr) ++missing;
  }
  if (missing > 0) {
    decide(Overall::kPartial,
           fmt::format("{} {} tested on no host", Counted(missing, "MUST clause"),
                       missing == 1 ? "was" : "were"));
  }
  if (report->overall != Overall::kBroken && !report->unneeded_waivers.empty()) {
    decide(Overall::kBroken,
           fmt::format("nothing was wrong with {}: take {} out of the file of waivers",
                       Joined(report->unneeded_waivers),
                       report->unneeded_waivers.size() == 1 ? "it" : "them"));
  }
}

// A host's name is its kind, with a number where the kind is not its alone.
void NameHosts(Report* report) {
  std::map<std::string, size_t> of_kind;
  for (HostReport& host : report->hosts) {
    host.name = host.facts.kind.empty() ? "host" : host.facts.kind;
    ++of_kind[host.name];
  }
  std::map<std::string, size_t> so_far;
  for (HostReport& host : report->hosts) {
    const size_t number = ++so_far[host.name];
    if (of_kind[host.name] > 1) host.name += fmt::format(" {}", number);
  }
}

bool GaveUp(const std::vector<TestId>& tests, const HostRecord& record) {
  int hangs = 0;
  for (const Evidence& evidence : record.evidence) {
    const auto test = std::find_if(tests.begin(), tests.end(), [&](const TestId& candidate) {
      return candidate.id == evidence.test;
    });
    hangs = test != tests.end() && InterpretTest(*test, evidence).hung ? hangs + 1 : 0;
    if (hangs >= kHangsToGiveUp) return true;
  }
  return false;
}

bool FillResults(const std::vector<TestId>& tests, const HostRecord& record, HostReport* host,
                 std::string* error) {
  std::map<std::string_view, const Evidence*> evidence_of;
  for (const Evidence& evidence : record.evidence) {
    if (!evidence_of.emplace(evidence.test, &evidence).second) {
      *error = evidence.test + " has two results";
      return false;
    }
  }
  for (const TestId& test : tests) {
    const auto found = evidence_of.find(test.id);
    if (found == evidence_of.end()) {
      host->results.emplace_back().test = test;
    } else {
      host->results.push_back(InterpretTest(test, *found->second));
      evidence_of.erase(found);
    }
  }
  if (evidence_of.empty()) return true;
  *error = fmt::format("there is a result of {}, which is no test of this run",
                       evidence_of.begin()->first);
  return false;
}

bool MakeHost(const std::vector<TestId>& tests, const HostRecord& record, HostReport* host,
              std::string* error) {
  host->path = record.path;
  host->sha256 = record.sha256;
  host->reproduce = record.reproduce;
  host->facts = ReadFacts(record.facts);
  host->seconds = record.seconds;
  if (!record.error.empty()) {
    if (!record.evidence.empty()) {
      *error = "there are results of an implementation that could not be tested";
      return false;
    }
    host->end = record.blameless ? Overall::kBroken : Overall::kUnusable;
    host->end_reason = record.error;
    return true;
  }
  if (!FillResults(tests, record, host, error)) return false;
  const bool begun = record.ended || !record.evidence.empty() || !record.facts.empty();
  if (begun && host->facts.api_version != std::to_string(UTRACE_API_VERSION)) {
    *error = "there are results of an implementation whose probe did not tell the right version";
    return false;
  }
  if (begun && record.sha256.size() != 64) {
    *error = "there are results of an implementation without the SHA-256 of its file";
    return false;
  }
  if (!record.ended) {
    host->end = Overall::kIncomplete;
    host->end_reason = "the run has not ended";
  } else if (record.signal != 0) {
    host->end = Overall::kIncomplete;
    host->end_reason = "ended by " + SignalText(record.signal);
  } else if (GaveUp(tests, record)) {
    host->end = Overall::kUnusable;
    host->end_reason = fmt::format(
        "the implementation hangs: {} tests in a row did not end, so the run was given up",
        kHangsToGiveUp);
  }
  return true;
}

ClauseState StateFrom(const std::vector<const TestResult*>& results) {
  const auto any = [&](Verdict verdict) {
    return std::any_of(results.begin(), results.end(),
                       [&](const TestResult* result) { return result->verdict == verdict; });
  };
  if (any(Verdict::kFail)) return ClauseState::kFailed;
  if (any(Verdict::kBroken)) return ClauseState::kBroken;
  if (any(Verdict::kNotRun)) return ClauseState::kNotRun;
  if (any(Verdict::kPass)) return ClauseState::kPassed;
  if (any(Verdict::kUnsupported)) return ClauseState::kUnsupported;
  if (any(Verdict::kNotApplicable)) return ClauseState::kNotApplicable;
  return ClauseState::kUntested;
}

}  // namespace

std::string_view OverallName(Overall overall) {
  switch (overall) {
    case Overall::kPass:
      return "PASS";
    case Overall::kPassWithWaivers:
      return "PASS WITH WAIVERS";
    case Overall::kFail:
      return "FAIL";
    case Overall::kPartial:
      return "PARTIAL";
    case Overall::kUnusable:
      return "UNUSABLE";
    case Overall::kBroken:
      return "BROKEN";
    case Overall::kIncomplete:
      break;
  }
  return "INCOMPLETE";
}

int ExitStatus(Overall overall) {
  switch (overall) {
    case Overall::kPass:
      return 0;
    case Overall::kFail:
    case Overall::kPartial:
      return 1;
    case Overall::kUnusable:
      return 3;
    case Overall::kPassWithWaivers:
      return 5;
    case Overall::kBroken:
    case Overall::kIncomplete:
      break;
  }
  return 4;
}

bool IsWorse(Overall one, Overall other) { return Rank(one) < Rank(other); }

std::string_view ClauseStateName(ClauseState state) {
  static constexpr std::string_view kNames[kClauseStates] = {
      "PASS", "FAIL", "WAIVED", "BROKEN", "NOT RUN", "UNSUPPORTED", "NOT APPLICABLE", "UNTESTED"};
  return kNames[static_cast<size_t>(state)];
}

std::string HostReport::Reproduce(const TestResult& result) const {
  std::string command = reproduce + " --only " + ShellQuoted(result.test.id);
  if (!result.schedule.empty()) command += " --schedule " + ShellQuoted(result.schedule);
  return command;
}

const Waiver* Report::FindWaiver(std::string_view clause) const {
  const auto found = std::find_if(waivers.begin(), waivers.end(),
                                  [&](const Waiver& waiver) { return waiver.clause == clause; });
  return found == waivers.end() ? nullptr : &*found;
}

bool MakeReport(const ClauseTable& table, std::span<const int> covered,
                const std::vector<TestId>& tests, const RunRecord& record, Report* report,
                std::string* error) {
  *report = Report();
  report->tool_version = record.tool_version;
  report->spec_sha256 = record.spec_sha256;
  report->date = record.date;
  report->machine = record.machine;
  report->selection = record.selection;
  report->schedules = record.schedules;
  report->waivers = record.waivers;
  std::set<std::string_view> waived;
  for (const Waiver& waiver : record.waivers) {
    if (table.Find(waiver.clause) == nullptr || !waived.insert(waiver.clause).second) {
      *error =
          fmt::format("the waiver of \"{}\" is for no clause, or the second for it", waiver.clause);
      return false;
    }
  }
  for (const HostRecord& host : record.hosts) {
    if (!MakeHost(tests, host, &report->hosts.emplace_back(), error)) return false;
  }
  NameHosts(report);
  Judge(table, covered, report);
  return true;
}

void Judge(const ClauseTable& table, std::span<const int> covered, Report* report) {
  for (HostReport& host : report->hosts) JudgeHost(table, *report, &host);
  FindUntested(table, covered, report);
  SortWaivers(report);
  JudgeAll(report);
}

ClauseState StateOf(const Report& report, const HostReport* host, const Clause& clause) {
  std::vector<const TestResult*> results;
  for (const HostReport& candidate : report.hosts) {
    if (host != nullptr && host != &candidate) continue;
    for (const TestResult& result : candidate.results) {
      if (result.test.clause == clause.id) results.push_back(&result);
    }
  }
  const ClauseState state = StateFrom(results);
  if (report.FindWaiver(clause.id) == nullptr) return state;
  if (state == ClauseState::kFailed) return ClauseState::kWaived;
  const bool untested =
      std::any_of(report.untested_must.begin(), report.untested_must.end(),
                  [&](const UntestedClause& candidate) { return candidate.clause == clause.id; });
  return host == nullptr && untested ? ClauseState::kWaived : state;
}

std::vector<LevelTotals> TotalsByLevel(const ClauseTable& table, const Report& report,
                                       const HostReport* host) {
  std::vector<LevelTotals> all;
  for (const Level level : {Level::kMust, Level::kShould, Level::kLimit}) {
    LevelTotals totals;
    totals.level = level;
    for (const Clause& clause : table.clauses()) {
      if (clause.level != level) continue;
      ++totals.clauses;
      const ClauseState state = StateOf(report, host, clause);
      if (state == ClauseState::kPassed) ++totals.kept;
      if (state == ClauseState::kPassed || state == ClauseState::kFailed ||
          state == ClauseState::kWaived) {
        ++totals.tested;
      }
    }
    if (totals.tested > 0) all.push_back(totals);
  }
  return all;
}

std::vector<ChapterTotals> TotalsByChapter(const ClauseTable& table, const HostReport& host) {
  std::vector<ChapterTotals> totals;
  for (const Chapter& chapter : table.chapters()) {
    ChapterTotals total;
    total.chapter = &chapter;
    std::set<std::string_view> clauses;
    for (const TestResult& result : host.results) {
      const Clause* clause = table.Find(result.test.clause);
      if (clause == nullptr || clause->chapter != chapter.number) continue;
      ++total.tests;
      ++total.by_verdict[static_cast<size_t>(result.verdict)];
      clauses.insert(clause->id);
    }
    total.clauses = clauses.size();
    if (total.tests > 0) totals.push_back(total);
  }
  return totals;
}

ChapterTotals Sum(const std::vector<ChapterTotals>& chapters) {
  ChapterTotals sum;
  for (const ChapterTotals& chapter : chapters) {
    sum.clauses += chapter.clauses;
    sum.tests += chapter.tests;
    for (size_t n = 0; n < kVerdicts; ++n) sum.by_verdict[n] += chapter.by_verdict[n];
  }
  return sum;
}

std::string ShellQuoted(std::string_view word) {
  const bool plain = !word.empty() && std::all_of(word.begin(), word.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("-_./=:,+@").find(c) != std::string_view::npos;
  });
  if (plain) return std::string(word);
  std::string quoted = "'";
  for (char c : word) {
    if (c == '\'') {
      quoted += "'\\''";
    } else {
      quoted += c;
    }
  }
  return quoted + "'";
}

std::string Counted(size_t count, std::string_view what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

}  // namespace utrace::certify
