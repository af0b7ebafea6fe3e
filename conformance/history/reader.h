// Reads a recorded history (docs/history.md), one edge at a time.
#ifndef CONFORMANCE_HISTORY_READER_H_
#define CONFORMANCE_HISTORY_READER_H_

#include <cstddef>
#include <cstdint>
#include <istream>
#include <string>

#include "conformance/history/edge.h"

namespace utrace::history {

// Longer lines are refused.
inline constexpr size_t kMaxLine = 4096;

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
