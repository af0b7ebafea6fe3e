// What the driver knows of the runner: the program that holds the clause tests and runs one of them.
//
//   runner --list                                         a test id per line
//   runner --implementation FILE --probe                  loads it, makes the first calls, tells JSON
//   runner --implementation FILE --result FILE --history DIR --gtest_filter=ID   runs one test;
//          for hosted implementations --schedule SPEC or --schedules N may be added
//
// It exits with 0 (pass or unsupported), 1 (fail), 2 (broken), 3 (cannot be loaded) or 4 (hung).
#ifndef CONFORMANCE_CERTIFY_RUNNER_H_
#define CONFORMANCE_CERTIFY_RUNNER_H_

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "conformance/certify/clause_table.h"
#include "conformance/certify/record.h"
#include "conformance/certify/report.h"
#include "conformance/certify/selection.h"
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

// The first contact with the implementation host->path. Fills in the facts about it, and makes its
// path absolute; or says in host->error what is wrong, with which file, and what to do, and returns
// false.
bool ProbeImplementation(const RunnerSetup& setup, HostRecord* host);

// The supervised run of one test: its log, result and history lie in the scratch directory.
// `arguments` are added to the runner's.
SuperviseRequest TestRequest(const RunnerSetup& setup, const std::string& implementation,
                             const std::vector<std::string>& arguments, const TestId& test);
std::string LogPath(const RunnerSetup& setup, const TestId& test);
std::string ResultPath(const RunnerSetup& setup, const TestId& test);
std::string HistoryPath(const RunnerSetup& setup, const TestId& test);  // of one that did not pass

}  // namespace utrace::certify

#endif  // CONFORMANCE_CERTIFY_RUNNER_H_
