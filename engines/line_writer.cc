#include "engines/line_writer.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "fmt/core.h"

namespace utrace {
namespace {

using Clock = std::chrono::steady_clock;

// Keeps a failing or unwelcome write from raising a signal in this process: SIGPIPE without a reader,
// SIGXFSZ at the file size limit, SIGTTOU on a terminal that another job holds.
class QuietWrites {
 public:
  QuietWrites() {
    sigemptyset(&signals_);
    sigaddset(&signals_, SIGPIPE);
    sigaddset(&signals_, SIGXFSZ);
    sigaddset(&signals_, SIGTTOU);
    pthread_sigmask(SIG_BLOCK, &signals_, &old_);
  }
  ~QuietWrites() { pthread_sigmask(SIG_SETMASK, &old_, nullptr); }
  QuietWrites(const QuietWrites&) = delete;
  QuietWrites& operator=(const QuietWrites&) = delete;

  // Takes back the signal that a write which failed with `error` has raised.
  void Swallow(int error) const {
    const int signal = error == EPIPE ? SIGPIPE : error == EFBIG ? SIGXFSZ : 0;
    // One that the thread had blocked itself may have been pending before; it is not ours to take.
    if (signal == 0 || sigismember(&old_, signal) != 0) return;
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, signal);
    const timespec at_once{};
    sigtimedwait(&one, nullptr, &at_once);
  }

 private:
  sigset_t signals_;
  sigset_t old_;
};

// Waits until `fd` can be written to. False if it cannot within `timeout`.
bool WaitWritable(int fd, std::chrono::milliseconds timeout) {
  pollfd writable{fd, POLLOUT, 0};
  const int waited = poll(&writable, 1, static_cast<int>(std::max<int64_t>(timeout.count(), 0)));
  return waited > 0 || (waited < 0 && errno == EINTR);
}

std::chrono::milliseconds Until(Clock::time_point deadline) {
  return std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
}

}  // namespace

std::string LineWriter::Trouble::ToString() const {
  return fmt::format("{}; {} {} lost",
                     error == EAGAIN ? "the reader stopped reading" : strerrordesc_np(error),
                     lost_lines, lost_lines == 1 ? "line" : "lines");
}

Result<int> LineWriter::OpenFile(const std::string& path) {
  // O_NONBLOCK: opening a named pipe does not wait for a reader. O_APPEND: two writers of one file
  // do not overwrite each other.
  const int fd =
      open(path.c_str(),
           O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0666);
  if (fd < 0) return Status(-errno);
  return fd;
}

Result<std::shared_ptr<LineWriter>> LineWriter::Create(const std::string& path) {
  const Result<int> fd = OpenFile(path);
  if (!fd) return fd.status();
  auto writer = std::make_shared<LineWriter>(*fd, Limits());
  close(*fd);
  return writer;
}

std::shared_ptr<LineWriter> LineWriter::Stderr() {
  // Never destroyed: callbacks may write while the process exits.
  static const auto* const shared = new std::shared_ptr<LineWriter>(
      std::make_shared<LineWriter>(STDERR_FILENO, Limits{.flush_at = 0}));
  return *shared;
}

LineWriter::LineWriter(int fd, const Limits& limits) : limits_(limits) {
  struct stat file {};
  if (fstat(fd, &file) == 0 && (S_ISFIFO(file.st_mode) || S_ISCHR(file.st_mode))) {
    // O_NONBLOCK on a duplicate would change the file for everybody who shares it.
    fd_ = open(fmt::format("/proc/self/fd/{}", fd).c_str(),
               O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    may_block_ = fd_ < 0;
  }
  socket_ = S_ISSOCK(file.st_mode);
  // Above the standard descriptors: a program started later must not find it there. Fails if `fd` is
  // closed; then each write does.
  if (fd_ < 0) fd_ = fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

LineWriter::~LineWriter() {
  Flush();
  if (fd_ >= 0) close(fd_);
}

void LineWriter::Write(std::string_view lines) {
  const std::lock_guard lock(mutex_);
  if (Unwritten().size() + lines.size() > limits_.backlog && !MakeRoom(lines.size())) {
    Lose(lines, EAGAIN);
    return;
  }
  buffer_ += lines;
  if (Unwritten().size() >= limits_.flush_at) Push();
}

void LineWriter::Flush() {
  const std::lock_guard lock(mutex_);
  Push();
}

LineWriter::Trouble LineWriter::Finish() {
  size_t left = SIZE_MAX;
  Clock::time_point deadline;
  for (;;) {
    {
      const std::lock_guard lock(mutex_);
      const bool done = Push() == Pushed::kAll;
      if (Unwritten().size() < left) {
        left = Unwritten().size();
        deadline = Clock::now() + limits_.final_patience;
      }
      if (!done && Clock::now() >= deadline) {
        LoseBuffer(EAGAIN);
      }
      if (buffer_.empty()) return std::exchange(trouble_, Trouble());
    }
    WaitWritable(fd_, Until(deadline));
  }
}

// Writes until all is out or the next write would block. What fails otherwise is lost at once: for a
// full disk or a reader that is gone there is nothing to wait for.
LineWriter::Pushed LineWriter::Push() {
  if (Unwritten().empty()) return Pushed::kAll;
  const QuietWrites quiet;
  while (!Unwritten().empty()) {
    const ssize_t count = WriteSome(torn_ ? "\n" : Unwritten());
    if (count > 0) {
      reader_stuck_ = false;
      // The newline that ends a torn line is no part of the buffer.
      if (!std::exchange(torn_, false)) written_ += static_cast<size_t>(count);
      continue;
    }
    const int error = count == 0 ? EIO : errno;
    if (error == EINTR) continue;
    if (error == EAGAIN) {
      // Moves each byte once on average.
      if (written_ > buffer_.size() / 2) {
        mid_line_ = IsMidLine();
        buffer_.erase(0, written_);
        written_ = 0;
      }
      return Pushed::kWouldBlock;
    }
    quiet.Swallow(error);
    LoseBuffer(error);
  }
  mid_line_ = false;
  buffer_.clear();
  written_ = 0;
  return Pushed::kAll;
}

ssize_t LineWriter::WriteSome(std::string_view bytes) const {
  if (socket_) return send(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (may_block_) {
    pollfd writable{fd_, POLLOUT, 0};
    if (poll(&writable, 1, 0) == 0) {
      errno = EAGAIN;
      return -1;
    }
    // A pipe that is writable takes this much without blocking.
    bytes = bytes.substr(0, PIPE_BUF);
  }
  return write(fd_, bytes.data(), bytes.size());
}

// Waits a bounded time, and only once for a reader that then still does not read: it may be the very
// task that waits for us.
bool LineWriter::MakeRoom(size_t size) {
  const auto has_room = [&] { return Unwritten().size() + size <= limits_.backlog; };
  const Clock::time_point deadline = Clock::now() + limits_.patience;
  for (;;) {
    Push();
    if (has_room()) return true;
    if (reader_stuck_) return false;
    if (Clock::now() >= deadline) {
      reader_stuck_ = true;
      return false;
    }
    WaitWritable(fd_, Until(deadline));
  }
}

// Whether what is out ends inside a line.
bool LineWriter::IsMidLine() const {
  return written_ > 0 ? buffer_[written_ - 1] != '\n' : mid_line_;
}

void LineWriter::LoseBuffer(int error) {
  Lose(Unwritten(), error);
  torn_ = torn_ || IsMidLine();
  mid_line_ = false;
  buffer_.clear();
  written_ = 0;
}

void LineWriter::Lose(std::string_view lines, int error) {
  trouble_.lost_lines += static_cast<uint64_t>(std::ranges::count(lines, '\n'));
  trouble_.error = error;
}

}  // namespace utrace
