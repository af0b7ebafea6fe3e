// What a certification run found, and what follows from it.
#ifndef CONFORMANCE_CERTIFY_REPORT_H_
#define CONFORMANCE_CERTIFY_REPORT_H_

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "conformance/certify/clause_table.h"
#include "conformance/certify/selection.h"

namespace utrace::certify {

enum class Verdict {
  kPass,
  kFail,         // the implementation breaks the clause
  kBroken,       // the kit could not set the scene: says nothing about the implementation
  kUnsupported,  // a limit that the implementation declared
  kNotRun,       // the run ended before
};
inline constexpr size_t kVerdicts = 5;
std::string_view VerdictName(Verdict verdict);  // "PASS", "NOT RUN"

struct TestResult {
  TestId test;
  Verdict verdict = Verdict::kNotRun;
  std::string expected;
  std::string seen;
  std::string message;
  double milliseconds = 0;
  bool hung = false;
  std::string log;  // file name of the kept output within the report directory; empty if none
};

enum class Overall {
  kPass,
  kFail,        // a MUST clause is broken
  kUnusable,    // the implementation cannot be loaded, or crashes or hangs too early for a verdict
  kBroken,      // the suite could not do its work
  kIncomplete,  // still running, or ended by a signal
};
std::string_view OverallName(Overall overall);
// The exit status of a run that ended so.
int ExitStatus(Overall overall);

// Facts about the implementation under test.
struct Implementation {
  std::string path;  // absolute
  std::string sha256;
  std::string api_version;
  // Name and description, as it declares them.
  std::vector<std::pair<std::string, std::string>> declared_limits;
};

struct Machine {
  std::string kernel;   // "Linux 6.1.0-18-amd64 #1 SMP ..."
  std::string machine;  // "x86_64"
  std::string host;
  long cpus = 0;
};
// Of this machine.
Machine ThisMachine();

struct Report {
  std::string tool_version;
  std::string date;  // UTC, ISO 8601
  Implementation implementation;
  Machine machine;
  std::vector<std::string> selection;  // as given; empty: the whole suite
  std::string reproduce_prefix;        // a shell command that takes "--only ID" behind it
  std::vector<TestResult> results;     // in the order of the specification
  double seconds = 0;

  // Set by Judge, or by whoever found a reason to end the run.
  Overall overall = Overall::kIncomplete;
  std::string reason;
  std::vector<std::string> untested_must;  // MUST clauses of covered chapters without a test

  bool IsSelection() const { return !selection.empty(); }
  // The shell command that runs one test again.
  std::string Reproduce(const TestId& test) const;
};

// Decides report->overall and ->reason, unless the run was already found unusable. A run passes if
// at least one test really ran, no MUST clause failed, nothing is broken or was not run, and (unless
// it is a selection) each MUST clause of the `covered` chapters has a test.
void Judge(const ClauseTable& table, std::span<const int> covered, Report* report);

struct ChapterTotals {
  const Chapter* chapter = nullptr;
  size_t clauses = 0;  // with tests in this run
  size_t tests = 0;
  std::array<size_t, kVerdicts> by_verdict = {};
  size_t of(Verdict verdict) const { return by_verdict[static_cast<size_t>(verdict)]; }
};
// One entry for each chapter that has tests in the run, in order.
std::vector<ChapterTotals> TotalsByChapter(const ClauseTable& table, const Report& report);
ChapterTotals Sum(const std::vector<ChapterTotals>& chapters);

// `word` as one word of a shell command.
std::string ShellQuoted(std::string_view word);

}  // namespace utrace::certify

#endif  // CONFORMANCE_CERTIFY_REPORT_H_
