// Reads a recorded history (docs/history.md), one edge at a time.
#ifndef CONFORMANCE_HISTORY_READER_H_
#define CONFORMANCE_HISTORY_READER_H_

#include <cstddef>
#include <cstdint>
#include <istream>
#include <string>

namespace utrace::history {

// Longer lines are refused.
inline constexpr size_t kMaxLine = 4096;

enum class What {
  kAttach,
  kSetEvents,
  kControl,
  kBarrier,
  kQuiesce,
  kSignal,
  kClone,
  kJctl,
  kExec,
  kSyscallEntry,
  kSyscallExit,
  kExit,
  kDeath,
  kReap,
  kRelease,
};
bool IsCallback(What what);  // report_* and release
const char* WhatName(What what);

// The beginning or the return of one call or callback.
struct Edge {
  bool begins = false;
  uint64_t id = 0;  // names the operation from its beginning to its return
  // Of a beginning:
  What what = What::kAttach;
  uint32_t task = 0;
  uint32_t engine = 0;
  uint32_t context = 0;  // the task in whose context the caller is; zero: a controller
  uint64_t events = 0;   // set_events: the mask; report_quiesce: the event bit or zero
  uint32_t action = 0;   // control: the action; callbacks: the action so far
  int signal = 0;        // report_signal: the number
  // Of a return; that of an attach has the new engine's number in `engine`.
  int64_t result = 0;

  uint64_t line = 0;
  std::string text;  // the line itself
};

// Strict and bounded: holds one line at a time.
class Reader {
 public:
  enum class Next { kEdge, kEnd, kError };

  // `input` outlives the reader. The header is read by the first call of Read.
  explicit Reader(std::istream* input) : input_(input) {}

  // The next edge; kEnd after the end line if nothing follows it. After kError nothing more is read.
  Next Read(Edge* edge);
  // What is wrong, with the line's number.
  const std::string& error() const { return error_; }

 private:
  enum class Line { kText, kNone, kTooLong };
  Line ReadLine(std::string* text);
  Next Fail(const std::string& why);
  bool ReadHeader();

  std::istream* input_;
  uint64_t line_ = 0;
  uint64_t edges_ = 0;
  bool header_ = false;
  std::string error_;
};

}  // namespace utrace::history

#endif  // CONFORMANCE_HISTORY_READER_H_
