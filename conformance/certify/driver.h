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

// After so many tests in a row that hang the rest would only cost time.
inline constexpr int kHangsToGiveUp = 3;

struct DriverRequest {
  RunnerSetup setup;
  std::string implementation;  // absolute
  std::vector<TestId> tests;
  int jobs = 2;
  // Called with the result of each test that ended, before its log is removed.
  std::function<void(TestResult&)> on_result;
};

struct DriverOutcome {
  std::vector<TestResult> results;  // one for each test, in the same order
  bool gave_up = false;             // kHangsToGiveUp tests in a row hung; the others are NOT RUN
  int signal = 0;                   // SIGINT, SIGTERM or SIGHUP ended the run; likewise
};

// The caller must be single-threaded (see Supervised). While it runs, the three signals above are
// blocked and end the run in an orderly way; nothing that was started outlives the call.
DriverOutcome RunTests(const DriverRequest& request, Progress* progress);

}  // namespace utrace::certify

#endif  // CONFORMANCE_CERTIFY_DRIVER_H_
