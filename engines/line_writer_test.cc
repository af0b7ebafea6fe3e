#include "engines/line_writer.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace utrace {
namespace {

using std::chrono::milliseconds;

constexpr LineWriter::Limits kEachLine{.flush_at = 0};
// For readers that never read.
constexpr LineWriter::Limits kImpatient{.flush_at = 0,
                                        .backlog = 4000,
                                        .patience = milliseconds(20),
                                        .final_patience = milliseconds(20)};

std::string FileIn(const char* name) { return ::testing::TempDir() + "/" + name; }

std::string Contents(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

class Pipe {
 public:
  Pipe() { EXPECT_EQ(pipe2(ends_.data(), O_CLOEXEC), 0); }
  ~Pipe() {
    CloseReader();
    close(ends_[1]);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  int reader() const { return ends_[0]; }
  int writer() const { return ends_[1]; }
  void CloseReader() {
    if (ends_[0] >= 0) close(ends_[0]);
    ends_[0] = -1;
  }
  // Whatever is in it now.
  std::string Drain() const {
    fcntl(ends_[0], F_SETFL, O_NONBLOCK);
    std::string all;
    std::array<char, 4096> piece;
    for (ssize_t n = 0; (n = read(ends_[0], piece.data(), piece.size())) > 0;) {
      all.append(piece.data(), static_cast<size_t>(n));
    }
    return all;
  }

 private:
  std::array<int, 2> ends_{};
};

std::string NumberedLine(int number) { return "line " + std::to_string(number) + "\n"; }

TEST(LineWriter, BuffersUntilTold) {
  const std::string path = FileIn("buffered");
  auto writer = LineWriter::Create(path);
  ASSERT_TRUE(writer);
  (*writer)->Write("one\n");
  EXPECT_EQ(Contents(path), "");
  (*writer)->Flush();
  EXPECT_EQ(Contents(path), "one\n");
  (*writer)->Write("two\n");
  EXPECT_EQ((*writer)->Finish().lost_lines, 0U);
  EXPECT_EQ(Contents(path), "one\ntwo\n");
  (*writer)->Write("three\n");
  writer->reset();
  EXPECT_EQ(Contents(path), "one\ntwo\nthree\n");
}

TEST(LineWriter, FlushesBySize) {
  const std::string path = FileIn("big");
  auto writer = LineWriter::Create(path);
  const std::string line(1023, 'x');
  for (int i = 0; i < 64; ++i) (*writer)->Write(line + "\n");
  EXPECT_EQ(Contents(path).size(), 64U * 1024);
}

TEST(LineWriter, TwoWritersOfOneFileKeepTheirLines) {
  const std::string path = FileIn("shared");
  auto a = LineWriter::Create(path);
  auto b = LineWriter::Create(path);
  for (int i = 0; i < 3; ++i) {
    (*a)->Write("a\n");
    (*b)->Write("b\n");
    (*a)->Flush();
    (*b)->Flush();
  }
  EXPECT_EQ(Contents(path), "a\nb\na\nb\na\nb\n");
}

TEST(LineWriter, HasItsOwnDescriptorClosedOnExec) {
  const Pipe pipe;
  const int flags = fcntl(pipe.writer(), F_GETFL);
  LineWriter writer(pipe.writer(), kEachLine);
  EXPECT_EQ(fcntl(pipe.writer(), F_GETFL), flags) << "others share this open file";
  // The lowest free number is the one after the writer's.
  const int next = dup(0);
  EXPECT_NE(fcntl(next - 1, F_GETFD) & FD_CLOEXEC, 0);
  close(next);
}

TEST(LineWriter, CountsLinesLostToAFullDevice) {
  const int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
  LineWriter writer(fd, LineWriter::Limits());
  close(fd);
  for (int i = 0; i < 12; ++i) writer.Write(NumberedLine(i));
  const LineWriter::Trouble trouble = writer.Finish();
  EXPECT_EQ(trouble.lost_lines, 12U);
  EXPECT_EQ(trouble.error, ENOSPC);
  EXPECT_EQ(trouble.ToString(), "No space left on device; 12 lines lost");
  EXPECT_EQ(writer.Finish().lost_lines, 0U) << "told once";
}

TEST(LineWriter, SurvivesAReaderThatIsGone) {
  Pipe pipe;
  LineWriter writer(pipe.writer(), kEachLine);
  writer.Write("one\n");
  pipe.CloseReader();
  writer.Write("two\n");  // SIGPIPE would end the test
  writer.Write("three\n");
  const LineWriter::Trouble trouble = writer.Finish();
  EXPECT_EQ(trouble.ToString(), "Broken pipe; 2 lines lost");
}

TEST(LineWriter, LeavesTheCallersOwnSigpipePending) {
  sigset_t pipe_signal;
  sigemptyset(&pipe_signal);
  sigaddset(&pipe_signal, SIGPIPE);
  sigset_t old;
  pthread_sigmask(SIG_BLOCK, &pipe_signal, &old);
  raise(SIGPIPE);
  Pipe pipe;
  LineWriter writer(pipe.writer(), kEachLine);
  pipe.CloseReader();
  writer.Write("one\n");
  const timespec at_once{};
  EXPECT_EQ(sigtimedwait(&pipe_signal, nullptr, &at_once), SIGPIPE);
  pthread_sigmask(SIG_SETMASK, &old, nullptr);
}

TEST(LineWriter, SurvivesAPeerThatIsGone) {
  std::array<int, 2> ends{};
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
  LineWriter writer(ends[0], kEachLine);
  close(ends[1]);
  writer.Write("one\n");
  EXPECT_EQ(writer.Finish().lost_lines, 1U);
  close(ends[0]);
}

TEST(LineWriter, SurvivesTheFileSizeLimitAndMendsTheTornLine) {
  const std::string path = FileIn("limited");
  rlimit old{};
  getrlimit(RLIMIT_FSIZE, &old);
  auto writer = LineWriter::Create(path);
  rlimit small = old;
  small.rlim_cur = 10;
  setrlimit(RLIMIT_FSIZE, &small);
  (*writer)->Write("12345\n");
  (*writer)->Write("abcdef\n");
  (*writer)->Write("gone\n");
  (*writer)->Flush();  // SIGXFSZ would end the test
  setrlimit(RLIMIT_FSIZE, &old);
  (*writer)->Write("whole\n");
  const LineWriter::Trouble trouble = (*writer)->Finish();
  EXPECT_EQ(trouble.ToString(), "File too large; 2 lines lost");
  EXPECT_EQ(Contents(path), "12345\nabcd\nwhole\n");
}

TEST(LineWriter, AStuckReaderCostsLinesNotTime) {
  const Pipe pipe;
  ASSERT_GT(fcntl(pipe.writer(), F_SETPIPE_SZ, 4096), 0);
  LineWriter writer(pipe.writer(), kImpatient);
  const auto start = std::chrono::steady_clock::now();
  constexpr int kLines = 5000;
  for (int i = 0; i < kLines; ++i) writer.Write(NumberedLine(i));
  const LineWriter::Trouble trouble = writer.Finish();
  // One wait when the backlog was full, one in Finish.
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
  EXPECT_EQ(trouble.error, EAGAIN);
  EXPECT_NE(trouble.ToString().find("the reader stopped reading"), std::string::npos);

  const std::string got = pipe.Drain();
  const auto received = static_cast<uint64_t>(std::count(got.begin(), got.end(), '\n'));
  EXPECT_EQ(received + trouble.lost_lines, static_cast<uint64_t>(kLines));

  // It reads again: lines arrive again, each at the start of a line.
  writer.Write("back\n");
  EXPECT_EQ(writer.Finish().lost_lines, 0U);
  const std::string after = pipe.Drain();
  EXPECT_EQ(after, (got.ends_with('\n') ? "" : "\n") + std::string("back\n"));
}

TEST(LineWriter, ASlowReaderCostsNothing) {
  const Pipe pipe;
  ASSERT_GT(fcntl(pipe.writer(), F_SETPIPE_SZ, 4096), 0);
  LineWriter writer(pipe.writer(),
                    {.flush_at = 0, .backlog = 4000, .patience = milliseconds(20000)});
  constexpr int kLines = 2000;
  std::string got;
  std::jthread reader([&] {
    std::array<char, 100> piece;
    while (std::count(got.begin(), got.end(), '\n') < kLines) {
      const ssize_t n = read(pipe.reader(), piece.data(), piece.size());
      if (n <= 0) break;
      got.append(piece.data(), static_cast<size_t>(n));
    }
  });
  std::string expected;
  for (int i = 0; i < kLines; ++i) {
    expected += NumberedLine(i);
    writer.Write(NumberedLine(i));
  }
  EXPECT_EQ(writer.Finish().lost_lines, 0U);
  reader.join();
  EXPECT_EQ(got, expected);
}

TEST(LineWriter, LinesOfManyThreadsStayWhole) {
  const std::string path = FileIn("threads");
  auto writer = LineWriter::Create(path);
  constexpr int kThreads = 4;
  constexpr int kLines = 5000;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        const std::string line = std::string(50, static_cast<char>('a' + t)) + "\n";
        for (int i = 0; i < kLines; ++i) (*writer)->Write(line);
      });
    }
  }
  EXPECT_EQ((*writer)->Finish().lost_lines, 0U);
  std::ifstream file(path);
  std::map<std::string, int> counts;
  for (std::string line; std::getline(file, line);) ++counts[line];
  EXPECT_EQ(counts.size(), static_cast<size_t>(kThreads));
  for (const auto& [line, count] : counts) EXPECT_EQ(count, kLines) << line;
}

TEST(LineWriter, OpensNoPipeThatNobodyReads) {
  const std::string path = FileIn("fifo");
  unlink(path.c_str());
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  EXPECT_EQ(LineWriter::Create(path).code(), -ENXIO);
}

}  // namespace
}  // namespace utrace
