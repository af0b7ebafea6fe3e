// What a user sees while the tests run.
#ifndef CONFORMANCE_CERTIFY_PROGRESS_H_
#define CONFORMANCE_CERTIFY_PROGRESS_H_

#include <chrono>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "conformance/certify/clause_table.h"
#include "conformance/certify/report.h"

namespace utrace::certify {

// On a terminal one line that is kept up to date; elsewhere (a log) a line per finished chapter.
class Progress {
 public:
  // `label` goes before what is said.
  Progress(const ClauseTable& table, const std::vector<TestId>& tests, std::string label, FILE* out,
           bool terminal);
  // Takes the progress line away.
  ~Progress();

  void Started(const TestId& test);
  void Ended(const TestResult& result);
  // To be called now and then: a terminal's line shows the time.
  void Refresh();
  bool terminal() const { return terminal_; }

 private:
  struct ChapterState {
    const Chapter* chapter = nullptr;
    size_t left = 0;
    size_t tests = 0;
    size_t passed = 0;
    double milliseconds = 0;
  };

  const ClauseTable& table_;
  const std::string label_;
  FILE* const out_;
  const bool terminal_;
  const size_t total_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  size_t ended_ = 0;
  size_t not_passed_ = 0;
  std::string youngest_;
  std::map<int, ChapterState> chapters_;
};

}  // namespace utrace::certify

#endif  // CONFORMANCE_CERTIFY_PROGRESS_H_
