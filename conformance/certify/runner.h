// What the driver knows of the runner: the program that holds the clause tests and runs one of them.
//
//   runner --list                                         a test id per line
//   runner --implementation FILE --probe                  loads it, makes the first calls, tells JSON
//   runner --implementation FILE --result FILE --gtest_filter=ID   runs one test
//
// It exits with 0 (pass or unsupported), 1 (fail), 2 (broken), 3 (cannot be loaded) or 4 (hung).
#ifndef CONFORMANCE_CERTIFY_RUNNER_H_
#define CONFORMANCE_CERTIFY_RUNNER_H_

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "conformance/certify/clause_table.h"
#include "conformance/certify/report.h"
#include "conformance/certify/supervise.h"

namespace utrace::certify {

struct RunnerSetup {
  std::string runner;   // the program
  std::string scratch;  // an existing directory for logs and results
  // A test ends itself after 60 s; these end what did not.
  std::chrono::milliseconds test_deadline{70'000};
  std::chrono::milliseconds probe_deadline{15'000};
};

// All tests of the runner, or nullopt and *error.
std::optional<std::vector<TestId>> ListTests(const RunnerSetup& setup, const ClauseTable& table,
                                             std::string* error);

// What became of a first contact with an implementation.
struct ProbeOutcome {
  // kIncomplete: it can be tested. kUnusable: it cannot. kBroken: the runner cannot be used.
  Overall overall = Overall::kIncomplete;
  std::string error;  // what is wrong, with which file, and what to do
  Implementation implementation;
};
ProbeOutcome ProbeImplementation(const RunnerSetup& setup, const std::string& path);

// The supervised run of one test: its log and result lie in the scratch directory.
SuperviseRequest TestRequest(const RunnerSetup& setup, const std::string& implementation,
                             const TestId& test);
std::string LogPath(const RunnerSetup& setup, const TestId& test);
std::string ResultPath(const RunnerSetup& setup, const TestId& test);

// The verdict on a test whose run ended like this. `result_text` is what the runner left in the
// result file (empty: nothing), `log` what it printed. Exit status and result must agree: a test
// that claims success with neither is no pass.
TestResult InterpretTest(const TestId& test, const SuperviseOutcome& outcome,
                         const std::string& result_text, const std::string& log);

}  // namespace utrace::certify

#endif  // CONFORMANCE_CERTIFY_RUNNER_H_
