#include "conformance/certify/progress.h"

#include <fmt/core.h>

#include <utility>

namespace utrace::certify {
namespace {

// Written by hand: fmt::print throws if the stream is closed, and progress is worth no failure.
void Print(FILE* out, const std::string& text) {
  fputs(text.c_str(), out);
  fflush(out);
}

}  // namespace

Progress::Progress(const ClauseTable& table, const std::vector<TestId>& tests, std::string label,
                   FILE* out, bool terminal)
    : table_(table),
      label_(std::move(label)),
      out_(out),
      terminal_(terminal),
      total_(tests.size()) {
  for (const TestId& test : tests) {
    const int number = table.Find(test.clause)->chapter;
    ChapterState& state = chapters_[number];
    state.chapter = table.FindChapter(number);
    ++state.left;
    ++state.tests;
  }
}

Progress::~Progress() {
  if (terminal_) Print(out_, "\r\033[K");
}

void Progress::Started(const TestId& test) {
  youngest_ = fmt::format("{} {}", test.clause, test.name);
  Refresh();
}

void Progress::Ended(const TestResult& result) {
  ++ended_;
  if (result.verdict != Verdict::kPass) ++not_passed_;
  ChapterState& state = chapters_[table_.Find(result.test.clause)->chapter];
  state.milliseconds += result.milliseconds;
  if (result.verdict == Verdict::kPass) ++state.passed;
  if (--state.left == 0 && !terminal_) {
    Print(out_, fmt::format("{}chapter {} {}: {} of {} tests passed, {:.1f} s\n", label_,
                            state.chapter->number, state.chapter->title, state.passed, state.tests,
                            state.milliseconds / 1000));
  }
  Refresh();
}

void Progress::Refresh() {
  if (!terminal_) return;
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start_;
  std::string line = fmt::format("{}test {}/{}  {:.0f} s", label_, ended_, total_, elapsed.count());
  if (not_passed_ > 0) line += fmt::format("  {} not passed", not_passed_);
  line += "  " + youngest_;
  // One line stays one line also on a narrow terminal.
  if (line.size() > 79) line.resize(79);
  Print(out_, "\r\033[K" + line);
}

}  // namespace utrace::certify
