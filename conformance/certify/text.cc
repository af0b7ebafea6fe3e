#include "conformance/certify/text.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

namespace utrace::certify {

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return std::move(text).str();
}

bool ReadWholeFile(const std::string& path, std::string* text, std::string* error) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  text->clear();
  ssize_t size = fd < 0 ? -1 : 1;
  while (size > 0) {
    char buffer[16384];
    size = read(fd, buffer, sizeof(buffer));
    if (size > 0) text->append(buffer, size);
    if (size < 0 && errno == EINTR) size = 1;
  }
  if (size < 0) *error = strerror(errno);
  if (fd >= 0) close(fd);
  return size == 0;
}

bool WriteFile(const std::string& path, std::string_view content, std::string* error) {
  const std::string temporary = path + ".part";
  const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  bool written = fd >= 0;
  while (written && !content.empty()) {
    const ssize_t size = write(fd, content.data(), content.size());
    if (size < 0 && errno == EINTR) continue;
    written = size > 0;
    if (written) content.remove_prefix(size);
  }
  // Some file systems tell about a full disk only now.
  if (fd >= 0 && close(fd) != 0) written = false;
  if (written && rename(temporary.c_str(), path.c_str()) == 0) return true;
  *error = fmt::format("cannot write {}: {}", path, strerror(errno));
  if (fd >= 0) unlink(temporary.c_str());
  return false;
}

std::string_view Trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

std::string_view LastLines(std::string_view text, int count) {
  text = Trimmed(text);
  size_t begin = text.size();
  for (; count > 0 && begin != std::string_view::npos && begin > 0; --count) {
    begin = text.rfind('\n', begin - 1);
  }
  return begin == std::string_view::npos || begin == 0 ? text : text.substr(begin + 1);
}

}  // namespace utrace::certify
