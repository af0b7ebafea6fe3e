#include "core/linux/proc.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <sstream>

#include "core/linux/brief_fd.h"

namespace utrace::linux_host {
namespace {

std::string PathOf(pid_t tid, const char* file) {
  return "/proc/" + std::to_string(tid) + "/" + file;
}

// The number after `key` at the start of a line, in the given base; zero if there is none.
uint64_t Field(const std::string& text, const char* key, int base) {
  const std::string start = std::string("\n") + key;
  const size_t at = text.find(start);
  if (at == std::string::npos) return 0;
  return std::strtoull(text.c_str() + at + start.size(), nullptr, base);
}

}  // namespace

std::optional<std::string> ReadSmallFile(const std::string& path) {
  const BriefFd fd([&] { return open(path.c_str(), O_RDONLY | O_CLOEXEC); });
  if (!fd.valid()) return std::nullopt;
  std::string text;
  char buffer[4096];
  for (;;) {
    const ssize_t got = read(fd.get(), buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return std::nullopt;
    if (got == 0) return text;
    text.append(buffer, static_cast<size_t>(got));
  }
}

std::optional<ProcStat> ReadStat(pid_t tid) {
  const auto text = ReadSmallFile(PathOf(tid, "stat"));
  if (!text) return std::nullopt;
  // The name stands in parentheses and may contain any character.
  const size_t close = text->rfind(')');
  if (close == std::string::npos) return std::nullopt;
  // Fields 3 and on of proc(5).
  std::istringstream fields(text->substr(close + 1));
  ProcStat stat;
  std::string field;
  constexpr int kState = 3;
  constexpr int kParent = 4;
  constexpr int kFlags = 9;
  constexpr int kStartTime = 22;
  constexpr int kExitSignal = 38;
  constexpr int kProcessor = 39;
  for (int number = kState; number <= kProcessor; ++number) {
    if (!(fields >> field)) return std::nullopt;
    switch (number) {
      case kState:
        stat.state = field[0];
        break;
      case kParent:
        stat.parent = std::atoi(field.c_str());
        break;
      case kFlags:
        stat.flags = std::strtoull(field.c_str(), nullptr, 10);
        break;
      case kStartTime:
        stat.start_time = std::strtoull(field.c_str(), nullptr, 10);
        break;
      case kExitSignal:
        stat.exit_signal = std::atoi(field.c_str());
        break;
      case kProcessor:
        stat.processor = std::atoi(field.c_str());
        break;
      default:
        break;
    }
  }
  return stat;
}

std::optional<ProcStatus> ReadStatus(pid_t tid) {
  const auto text = ReadSmallFile(PathOf(tid, "status"));
  if (!text) return std::nullopt;
  ProcStatus status;
  status.tgid = static_cast<pid_t>(Field(*text, "Tgid:", 10));
  status.tracer = static_cast<pid_t>(Field(*text, "TracerPid:", 10));
  unsigned real = 0;
  unsigned effective = 0;
  const size_t users = text->find("\nUid:");
  if (users == std::string::npos ||
      std::sscanf(text->c_str() + users, "\nUid: %u %u", &real, &effective) != 2) {
    return std::nullopt;
  }
  status.user = effective;
  status.pending = Field(*text, "SigPnd:", 16);
  status.shared_pending = Field(*text, "ShdPnd:", 16);
  status.blocked = Field(*text, "SigBlk:", 16);
  status.ignored = Field(*text, "SigIgn:", 16);
  status.caught = Field(*text, "SigCgt:", 16);
  return status;
}

std::string NameOf(pid_t tid) {
  std::string name = ReadSmallFile(PathOf(tid, "comm")).value_or("");
  if (name.ends_with('\n')) name.pop_back();
  return name;
}

std::string DescribeProcess(pid_t pid) {
  const std::string name = NameOf(pid);
  if (name.empty()) return "pid " + std::to_string(pid);
  return name + " (pid " + std::to_string(pid) + ")";
}

std::vector<pid_t> ThreadsOf(pid_t tgid) {
  std::vector<pid_t> threads;
  const std::string path = PathOf(tgid, "task");
  BriefFd fd([&] { return open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
  DIR* const directory = fd.valid() ? fdopendir(fd.get()) : nullptr;
  if (directory == nullptr) return threads;
  fd.Release();
  while (const dirent* entry = readdir(directory)) {
    const int tid = std::atoi(entry->d_name);
    if (tid > 0) threads.push_back(tid);
  }
  closedir(directory);
  return threads;
}

std::optional<int64_t> NanosecondsAsleep(pid_t tid) {
  // se.exec_start is the scheduler's clock when the thread last ran; the reader's own is now.
  const auto exec_start = [](const std::string& path) -> std::optional<double> {
    const auto text = ReadSmallFile(path);
    if (!text) return std::nullopt;
    const size_t at = text->find("se.exec_start");
    if (at == std::string::npos) return std::nullopt;
    const size_t colon = text->find(':', at);
    if (colon == std::string::npos) return std::nullopt;
    return std::strtod(text->c_str() + colon + 1, nullptr);
  };
  const auto stat = ReadStat(tid);
  cpu_set_t old;
  if (!stat || sched_getaffinity(0, sizeof(old), &old) != 0) return std::nullopt;
  cpu_set_t there;
  CPU_ZERO(&there);
  CPU_SET(stat->processor, &there);
  if (sched_setaffinity(0, sizeof(there), &there) != 0) return std::nullopt;
  const auto then = exec_start(PathOf(tid, "sched"));
  sched_yield();  // brings the reader's own account up to date
  const auto now = exec_start("/proc/thread-self/sched");
  sched_setaffinity(0, sizeof(old), &old);
  if (!then || !now) return std::nullopt;
  return static_cast<int64_t>((*now - *then) * 1e6);
}

}  // namespace utrace::linux_host
