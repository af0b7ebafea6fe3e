// Runs clause tests, each in a process of its own.
#ifndef CONFORMANCE_CERTIFY_DRIVER_H_
#define CONFORMANCE_CERTIFY_DRIVER_H_

#include <functional>
#include <string>
#include <vector>

#include "conformance/certify/progress.h"
#include "conformance/certify/report.h"
#include "conformance/certify/runner.h"

namespace utrace::certify {

struct DriverRequest {
  RunnerSetup setup;
  std::string implementation;          // absolute
  std::vector<std::string> arguments;  // further ones for the runner
  std::vector<TestId> tests;
  int jobs = 2;
  // Called for each test that ended, before its log (LogPath) and history (HistoryPath) are removed.
  std::function<void(const TestResult&, Evidence*)> on_result;
};

struct DriverOutcome {
  std::vector<Evidence> evidence;  // of the tests that ended, in that order
  int signal = 0;                  // SIGINT, SIGTERM or SIGHUP ended the run
};

// After kHangsToGiveUp tests in a row that hang the others are not run.
// The caller must be single-threaded (see Supervised). While it runs, the three signals above are
// blocked and end the run in an orderly way; nothing that was started outlives the call.
DriverOutcome RunTests(const DriverRequest& request, Progress* progress);

}  // namespace utrace::certify

#endif  // CONFORMANCE_CERTIFY_DRIVER_H_
