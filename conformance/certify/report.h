// What a certification run found, and what follows from it. All of it is derived from the record.
#ifndef CONFORMANCE_CERTIFY_REPORT_H_
#define CONFORMANCE_CERTIFY_REPORT_H_

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "conformance/certify/clause_table.h"
#include "conformance/certify/interpret.h"
#include "conformance/certify/record.h"
#include "conformance/certify/selection.h"

namespace utrace::certify {

enum class Overall {
  kPass,
  kPassWithWaivers,  // but for what the implementer declared
  kFail,             // a MUST clause is broken
  kPartial,          // nothing failed, but a MUST clause was tested on no host
  kUnusable,         // an implementation cannot be loaded, or crashes or hangs too early
  kBroken,           // the suite could not do its work
  kIncomplete,       // still running, or ended by a signal
};
std::string_view OverallName(Overall overall);
// The exit status of a run that ended so.
int ExitStatus(Overall overall);
// Whether `one` decides over `other` where both are of one whole.
bool IsWorse(Overall one, Overall other);

// After so many tests in a row that hang the rest would only cost time.
inline constexpr int kHangsToGiveUp = 3;

// What is to be said about one clause: by its tests on one host, or on all of them.
enum class ClauseState {
  kPassed,
  kFailed,
  kWaived,  // failed, or was not tested, as its waiver declares
  kBroken,
  kNotRun,
  kUnsupported,    // all its tests: a declared limit
  kNotApplicable,  // all its tests: the host's tasks cannot do what they need
  kUntested,       // it has no test in this run
};
inline constexpr size_t kClauseStates = 8;
std::string_view ClauseStateName(ClauseState state);

struct UntestedClause {
  std::string clause;
  std::string reason;  // "needs exec", "no test", ...
};

struct HostReport {
  std::string name;  // "live", "hosted"; with a number if there are two of a kind
  std::string path;
  std::string sha256;
  std::string reproduce;
  Facts facts;
  std::vector<TestResult> results;  // in the order of the specification
  double seconds = 0;

  // How the run of this host ended, if not in good order: kUnusable, kBroken or kIncomplete, and why.
  std::optional<Overall> end;
  std::string end_reason;

  // Set by Judge.
  Overall overall = Overall::kIncomplete;
  std::string reason;
  std::vector<UntestedClause> untested_must;  // on this host

  // The shell command that runs one test again.
  std::string Reproduce(const TestResult& result) const;
};

struct Report {
  std::string tool_version;
  std::string spec_sha256;
  std::string date;  // UTC, ISO 8601
  Machine machine;
  std::vector<std::string> selection;  // as given; empty: the whole suite
  std::string schedules;               // see RunRecord
  std::vector<Waiver> waivers;
  std::vector<HostReport> hosts;

  // Set by Judge.
  Overall overall = Overall::kIncomplete;
  std::string reason;
  std::vector<UntestedClause> untested_must;  // on no host, though of a covered chapter
  std::vector<std::string> waived;            // clauses whose waiver was needed
  std::vector<std::string> unneeded_waivers;

  bool IsSelection() const { return !selection.empty(); }
  const Waiver* FindWaiver(std::string_view clause) const;
};

// All verdicts from the record. `tests`: all that were to be made, in the order of the specification;
// one without evidence is NOT RUN. False, and *error, if the record holds evidence of a test that is
// not among them, or holds one twice, or an impossible waiver.
bool MakeReport(const ClauseTable& table, std::span<const int> covered,
                const std::vector<TestId>& tests, const RunRecord& record, Report* report,
                std::string* error);

// Decides ->overall and ->reason of the hosts and of the report. A host passes if at least one test
// really ran on it, no MUST clause failed and nothing is broken or was not run. A report passes if
// all its hosts do and, unless it is a selection, each MUST clause of the `covered` chapters was
// tested on a host. Waivers excuse failures and missing tests of their clauses, nothing else.
void Judge(const ClauseTable& table, std::span<const int> covered, Report* report);

// How the clause stands on one host, or, with `host` null, on all together.
ClauseState StateOf(const Report& report, const HostReport* host, const Clause& clause);

// How many clauses of one level there are, were tested, and were kept.
struct LevelTotals {
  Level level = Level::kMust;
  size_t clauses = 0;
  size_t tested = 0;
  size_t kept = 0;
};
// Of one host, or, with `host` null, of all together: MUST, SHOULD and the limits, in that order, as far
// as any of them was tested.
std::vector<LevelTotals> TotalsByLevel(const ClauseTable& table, const Report& report,
                                       const HostReport* host);

struct ChapterTotals {
  const Chapter* chapter = nullptr;
  size_t clauses = 0;  // with tests in this run
  size_t tests = 0;
  std::array<size_t, kVerdicts> by_verdict = {};
  size_t of(Verdict verdict) const { return by_verdict[static_cast<size_t>(verdict)]; }
};
// One entry for each chapter that has tests in the run, in order.
std::vector<ChapterTotals> TotalsByChapter(const ClauseTable& table, const HostReport& host);
ChapterTotals Sum(const std::vector<ChapterTotals>& chapters);

// `word` as one word of a shell command.
std::string ShellQuoted(std::string_view word);
// "1 test", "2 tests".
std::string Counted(size_t count, std::string_view what);

}  // namespace utrace::certify

#endif  // CONFORMANCE_CERTIFY_REPORT_H_
