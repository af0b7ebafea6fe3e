// From what processes left behind to verdicts. Nothing but its arguments counts here, so that whoever
// reads a record later comes to the same verdicts.
#ifndef CONFORMANCE_CERTIFY_INTERPRET_H_
#define CONFORMANCE_CERTIFY_INTERPRET_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "conformance/certify/record.h"
#include "conformance/certify/selection.h"

namespace utrace::certify {

enum class Verdict {
  kPass,
  kFail,           // the implementation breaks the clause
  kBroken,         // the kit could not set the scene: says nothing about the implementation
  kUnsupported,    // a limit that the implementation declared
  kNotApplicable,  // this host's tasks cannot do what the test needs
  kNotRun,         // the run ended before
};
inline constexpr size_t kVerdicts = 6;
std::string_view VerdictName(Verdict verdict);  // "PASS", "NOT RUN"

struct TestResult {
  TestId test;
  Verdict verdict = Verdict::kNotRun;
  std::string expected;
  std::string seen;
  std::string message;
  std::string needs;     // with kNotApplicable: the capability that is missing
  std::string schedule;  // repeats the test's schedule on a hosted implementation; else empty
  std::string witness;   // what the judge of histories found
  double milliseconds = 0;
  bool hung = false;
  std::string log;  // files in the package; empty if there is none
  std::string history;
};

// Exit statuses of the runner.
inline constexpr int kRunnerPass = 0;
inline constexpr int kRunnerFail = 1;
inline constexpr int kRunnerBroken = 2;
inline constexpr int kRunnerLoadError = 3;
inline constexpr int kRunnerHung = 4;

// The verdict on a test. Exit status and result must agree: a test that claims success with neither
// is no pass.
TestResult InterpretTest(const TestId& test, const Evidence& evidence);

// What an implementation's probe told.
struct Facts {
  std::string api_version;
  std::string kind;                       // "live", or "hosted": its tasks are its own
  std::vector<std::string> capabilities;  // of a hosted one's tasks
  std::string target_version;             // of core/utrace_target.h; empty for a live one
  // Name and description, as it declares them.
  std::vector<std::pair<std::string, std::string>> declared_limits;
};
// Of the probe's JSON, of whatever origin; what is missing there stays empty.
Facts ReadFacts(std::string_view json);

// So many lines of a test's output are kept as evidence.
inline constexpr int kOutputLines = 5;
// " Its last output:\n..." or nothing.
std::string LastWords(std::string_view output);

}  // namespace utrace::certify

#endif  // CONFORMANCE_CERTIFY_INTERPRET_H_
