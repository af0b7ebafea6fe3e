// LineWriter: output of whole lines that never harms whoever waits for the caller.
//
// An engine writes from callbacks: while it waits, a task of somebody else's program waits. So output
// goes to a buffer, a write that would block leaves it there, and a reader that has stopped reading
// costs lines rather than the program. What is lost is counted.
#ifndef ENGINES_LINE_WRITER_H_
#define ENGINES_LINE_WRITER_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "core/result.h"

namespace utrace {

// Any thread may call its functions. Lines of concurrent callers do not mix.
class LineWriter {
 public:
  struct Limits {
    // Bytes after which the buffer is written out; zero: after each line.
    size_t flush_at = size_t{64} << 10;
    // Bytes kept for a slow reader.
    size_t backlog = size_t{16} << 20;
    // How long Write waits, once, for a reader that lets the backlog fill up.
    std::chrono::milliseconds patience{1000};
    // How long Finish waits for a reader that takes nothing.
    std::chrono::milliseconds final_patience{10000};
  };

  struct Trouble {
    uint64_t lost_lines = 0;
    int error = 0;  // positive errno of the last loss; EAGAIN: the reader did not read
    // "No space left on device; 12 lines lost".
    std::string ToString() const;
  };

  // Creates or empties `path`, for a writer to write to: a descriptor, the caller's. Error: what open
  // says; -ENXIO also for a named pipe that nobody reads.
  static Result<int> OpenFile(const std::string& path);
  // A writer for `path`, opened so.
  static Result<std::shared_ptr<LineWriter>> Create(const std::string& path);
  // The one writer of this process for standard error, which writes each line at once: all who share
  // it keep their lines apart.
  static std::shared_ptr<LineWriter> Stderr();

  // Writes to the open file behind `fd`, which is borrowed: the writer has a descriptor of its own,
  // closed on exec, and changes no flag of the caller's. Pipes and terminals are reopened without
  // blocking where that is allowed.
  LineWriter(int fd, const Limits& limits);
  // Writes what can be written without waiting.
  ~LineWriter();
  LineWriter(const LineWriter&) = delete;
  LineWriter& operator=(const LineWriter&) = delete;

  // Appends `lines`, one or more, each ending in a newline.
  void Write(std::string_view lines);
  // Writes out what can be written without waiting.
  void Flush();
  // Writes out everything, waiting for the reader. What it cannot write is lost. Returns the losses
  // since the last Finish; lost_lines is zero if there are none.
  Trouble Finish();

 private:
  enum class Pushed : uint8_t { kAll, kWouldBlock };

  // With mutex_ held.
  Pushed Push();
  ssize_t WriteSome(std::string_view bytes) const;
  bool MakeRoom(size_t size);
  void Lose(std::string_view lines, int error);
  void LoseBuffer(int error);
  bool IsMidLine() const;
  std::string_view Unwritten() const { return std::string_view(buffer_).substr(written_); }

  const Limits limits_;
  int fd_ = -1;
  bool socket_ = false;
  bool may_block_ = false;  // writing needs a look at poll first

  std::mutex mutex_;
  // Guarded by mutex_.
  std::string buffer_;
  size_t written_ = 0;     // bytes of buffer_ that are out
  bool mid_line_ = false;  // what went out before buffer_ ends inside a line
  bool torn_ = false;      // what is out ends inside a line whose rest was lost
  bool reader_stuck_ = false;
  Trouble trouble_;
};

}  // namespace utrace

#endif  // ENGINES_LINE_WRITER_H_
