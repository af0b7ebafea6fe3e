#include "engines/syscall_log/task_access.h"

#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include <array>

#include "fmt/format.h"

namespace utrace::syscall_log {
namespace {

std::string LinkTarget(const std::string& link) {
  std::array<char, PATH_MAX> target;
  const ssize_t length = readlink(link.c_str(), target.data(), target.size());
  return length < 0 ? std::string() : std::string(target.data(), static_cast<size_t>(length));
}

}  // namespace

std::string TaskDescriptors::PathOf(int fd) {
  return LinkTarget(fmt::format("/proc/{}/fd/{}", tid_, fd));
}

std::string TaskDescriptors::WorkingDirectory() {
  return LinkTarget(fmt::format("/proc/{}/cwd", tid_));
}

std::string NameOfTask(pid_t tid) {
  const int fd = open(fmt::format("/proc/{}/comm", tid).c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  std::array<char, 64> name;
  const ssize_t length = read(fd, name.data(), name.size());
  close(fd);
  // It ends in a newline.
  return length <= 1 ? std::string() : std::string(name.data(), static_cast<size_t>(length) - 1);
}

}  // namespace utrace::syscall_log
