#include "engines/crash_catcher/proc_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string_view>

#include "fmt/format.h"

namespace utrace::crash {
namespace {

std::string Proc(pid_t pid, std::string_view rest) { return fmt::format("/proc/{}/{}", pid, rest); }

// The names in a directory that are numbers, in order.
std::vector<int> NumbersIn(const std::string& path) {
  std::vector<int> numbers;
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(opendir(path.c_str()), closedir);
  if (directory == nullptr) return numbers;
  while (const dirent* entry = readdir(directory.get())) {
    const std::string_view name = entry->d_name;
    int number = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (error == std::errc() && end == name.data() + name.size()) numbers.push_back(number);
  }
  std::ranges::sort(numbers);
  return numbers;
}

// Calls `use` for each part of `text` between separators, the last one if it is not empty.
template <class Use>
void ForEachPart(std::string_view text, char separator, Use use) {
  while (!text.empty()) {
    const size_t end = text.find(separator);
    use(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
}

std::vector<std::string> Parts(std::string_view text, char separator) {
  std::vector<std::string> parts;
  ForEachPart(text, separator, [&](std::string_view part) { parts.emplace_back(part); });
  return parts;
}

std::string WithoutNewline(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

// "559ec4c0f000-559ec4c11000 r--p 00000000 fe:00 136 /usr/bin/cat"
bool ParseMapping(const std::string& line, Mapping* mapping) {
  std::array<char, 5> rights{};
  std::array<char, 16> device{};
  int path = 0;
  if (std::sscanf(line.c_str(), "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %15s %" SCNu64 " %n",
                  &mapping->start, &mapping->end, rights.data(), &mapping->offset, device.data(),
                  &mapping->inode, &path) != 6) {
    return false;
  }
  mapping->read = rights[0] == 'r';
  mapping->write = rights[1] == 'w';
  mapping->execute = rights[2] == 'x';
  mapping->shared = rights[3] == 's';
  mapping->device = device.data();
  mapping->path = line.substr(std::min(static_cast<size_t>(path), line.size()));
  return true;
}

// A line "Name:  12 kB" or "VmFlags: rd ex" of smaps.
void ParseDetail(std::string_view line, Mapping* mapping) {
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return;
  const std::string_view name = line.substr(0, colon);
  std::string_view value = line.substr(colon + 1);
  if (name == "VmFlags") {
    ForEachPart(value, ' ', [&](std::string_view flag) {
      if (!flag.empty()) mapping->flags.emplace_back(flag);
    });
    return;
  }
  value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
  uint64_t kilobytes = 0;
  std::from_chars(value.data(), value.data() + value.size(), kilobytes);
  if (name == "Rss" || name == "Swap") mapping->resident_kb += kilobytes;
  if (name == "Anonymous" || name == "Swap") mapping->anonymous_kb += kilobytes;
}

}  // namespace

std::optional<std::string> ReadProcFile(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::nullopt;
  std::string text;
  std::array<char, 16384> piece;
  ssize_t got = 0;
  while ((got = read(fd, piece.data(), piece.size())) > 0 || (got < 0 && errno == EINTR)) {
    if (got > 0) text.append(piece.data(), static_cast<size_t>(got));
  }
  const int error = errno;
  close(fd);
  errno = error;
  if (got < 0) return std::nullopt;
  return text;
}

std::string ReadProcLink(const std::string& path) {
  std::array<char, 4096> target;
  const ssize_t length = readlink(path.c_str(), target.data(), target.size());
  return length < 0 ? "" : std::string(target.data(), static_cast<size_t>(length));
}

std::vector<pid_t> ThreadIds(pid_t pid) { return NumbersIn(Proc(pid, "task")); }

std::string ThreadName(pid_t pid, pid_t tid) {
  return WithoutNewline(ReadProcFile(Proc(pid, fmt::format("task/{}/comm", tid))).value_or(""));
}

std::string ThreadActivity(pid_t pid, pid_t tid) {
  const std::string task = fmt::format("task/{}/", tid);
  std::string activity = "its state is unknown";
  const std::string status = ReadProcFile(Proc(pid, task + "status")).value_or("");
  ForEachPart(status, '\n', [&](std::string_view line) {
    constexpr std::string_view kState = "State:\t";
    if (line.starts_with(kState)) activity = line.substr(kState.size());
  });
  const std::string place = ReadProcFile(Proc(pid, task + "wchan")).value_or("");
  if (!place.empty() && place != "0") activity += ", in " + place;
  return activity;
}

std::vector<Mapping> ReadMappings(pid_t tid, std::vector<std::string>* problems) {
  std::optional<std::string> text = ReadProcFile(Proc(tid, "smaps"));
  if (!text || text->empty()) text = ReadProcFile(Proc(tid, "maps"));
  std::vector<Mapping> mappings;
  if (!text) {
    problems->push_back(fmt::format("the memory map cannot be read: {}", strerror(errno)));
    return mappings;
  }
  for (const std::string& line : Parts(*text, '\n')) {
    Mapping mapping;
    if (ParseMapping(line, &mapping)) {
      mappings.push_back(std::move(mapping));
    } else if (!mappings.empty()) {
      ParseDetail(line, &mappings.back());
    }
  }
  return mappings;
}

void DescribeProcess(bool environment, Snapshot* snapshot) {
  const pid_t tid = snapshot->tid;
  const auto text = [&](const char* file) {
    std::optional<std::string> read = ReadProcFile(Proc(tid, file));
    if (read) return *read;
    snapshot->problems.push_back(fmt::format("{} cannot be read: {}", file, strerror(errno)));
    return std::string();
  };
  snapshot->name = ThreadName(snapshot->pid, snapshot->pid);
  ForEachPart(text("status"), '\n', [snapshot](std::string_view line) {
    const std::string field(line);
    std::sscanf(field.c_str(), "PPid:\t%d", &snapshot->parent);
    std::sscanf(field.c_str(), "Uid:\t%u", &snapshot->user);
    std::sscanf(field.c_str(), "Gid:\t%u", &snapshot->group);
  });
  snapshot->executable = ReadProcLink(Proc(tid, "exe"));
  snapshot->directory = ReadProcLink(Proc(tid, "cwd"));
  snapshot->command_line = Parts(text("cmdline"), '\0');
  if (environment) snapshot->environment = Parts(text("environ"), '\0');
  snapshot->mappings = ReadMappings(tid, &snapshot->problems);
  for (const int fd : NumbersIn(Proc(tid, "fd"))) {
    snapshot->files.push_back(
        {.fd = fd, .target = ReadProcLink(Proc(tid, fmt::format("fd/{}", fd)))});
  }
  clock_gettime(CLOCK_REALTIME, &snapshot->time);
  utsname kernel{};
  if (uname(&kernel) == 0) {
    snapshot->kernel = fmt::format("{} {}", kernel.sysname, kernel.release);
    snapshot->machine = kernel.machine;
  }
}

}  // namespace utrace::crash
