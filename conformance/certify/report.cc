#include "conformance/certify/report.h"

#include <fmt/core.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>

namespace utrace::certify {
namespace {

bool HasTest(const Report& report, std::string_view clause) {
  return std::any_of(report.results.begin(), report.results.end(),
                     [&](const TestResult& result) { return result.test.clause == clause; });
}

bool FailsRun(const ClauseTable& table, const TestResult& result) {
  const Clause* clause = table.Find(result.test.clause);
  return result.verdict == Verdict::kFail && (clause == nullptr || IsCertified(clause->level));
}

std::string Counted(size_t count, std::string_view what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

}  // namespace

std::string_view VerdictName(Verdict verdict) {
  static constexpr std::string_view kNames[kVerdicts] = {"PASS", "FAIL", "BROKEN", "UNSUPPORTED",
                                                         "NOT RUN"};
  return kNames[static_cast<size_t>(verdict)];
}

std::string_view OverallName(Overall overall) {
  switch (overall) {
    case Overall::kPass:
      return "PASS";
    case Overall::kFail:
      return "FAIL";
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
      return 1;
    case Overall::kUnusable:
      return 3;
    case Overall::kBroken:
    case Overall::kIncomplete:
      break;
  }
  return 4;
}

Machine ThisMachine() {
  Machine machine;
  utsname name{};
  if (uname(&name) == 0) {
    machine.kernel = fmt::format("{} {} {}", name.sysname, name.release, name.version);
    machine.machine = name.machine;
    machine.host = name.nodename;
  }
  machine.cpus = sysconf(_SC_NPROCESSORS_ONLN);
  return machine;
}

std::string Report::Reproduce(const TestId& test) const {
  return reproduce_prefix + " --only " + ShellQuoted(test.id);
}

void Judge(const ClauseTable& table, std::span<const int> covered, Report* report) {
  if (report->overall == Overall::kUnusable) return;

  report->untested_must.clear();
  for (const Clause& clause : table.clauses()) {
    const bool wanted = std::find(covered.begin(), covered.end(), clause.chapter) != covered.end();
    if (!report->IsSelection() && wanted && clause.level == Level::kMust &&
        !HasTest(*report, clause.id)) {
      report->untested_must.push_back(clause.id);
    }
  }
  size_t ran = 0;
  size_t failed = 0;
  size_t broken = 0;
  size_t not_run = 0;
  for (const TestResult& result : report->results) {
    if (result.verdict == Verdict::kPass || result.verdict == Verdict::kFail) ++ran;
    if (result.verdict == Verdict::kBroken) ++broken;
    if (result.verdict == Verdict::kNotRun) ++not_run;
    if (FailsRun(table, result)) ++failed;
  }

  if (failed > 0) {
    report->overall = Overall::kFail;
    report->reason = Counted(failed, "test") + " of MUST clauses failed";
    return;
  }
  report->overall = Overall::kBroken;
  if (report->results.empty()) {
    report->reason = "the suite has no test";
  } else if (broken > 0) {
    report->reason = Counted(broken, "test") + " could not be carried out";
  } else if (not_run > 0) {
    report->reason = Counted(not_run, "test") + (not_run == 1 ? " was not run" : " were not run");
  } else if (!report->untested_must.empty()) {
    report->reason = Counted(report->untested_must.size(), "MUST clause") + " without a test";
  } else if (ran == 0) {
    report->reason = "no test ran: the implementation supports nothing of what was tested";
  } else {
    report->overall = Overall::kPass;
    report->reason.clear();
  }
}

std::vector<ChapterTotals> TotalsByChapter(const ClauseTable& table, const Report& report) {
  std::vector<ChapterTotals> totals;
  for (const Chapter& chapter : table.chapters()) {
    ChapterTotals total;
    total.chapter = &chapter;
    std::vector<std::string_view> clauses;
    for (const TestResult& result : report.results) {
      const Clause* clause = table.Find(result.test.clause);
      if (clause == nullptr || clause->chapter != chapter.number) continue;
      ++total.tests;
      ++total.by_verdict[static_cast<size_t>(result.verdict)];
      if (std::find(clauses.begin(), clauses.end(), clause->id) == clauses.end()) {
        clauses.push_back(clause->id);
      }
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

}  // namespace utrace::certify
