#include "engines/ptrace_compat/client/proc_text.h"

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>

#include "engines/ptrace_compat/client/native.h"

namespace utrace::ptrace_compat::client {
namespace {

struct KernelEntry {
  uint64_t inode;
  int64_t offset;
  unsigned short size;
  unsigned char type;
  char name[1];
};

long Open(const char* path, int flags) {
  return Raw(SYS_openat, AT_FDCWD, reinterpret_cast<long>(path), flags | O_CLOEXEC, 0);
}

}  // namespace

long Slurp(const char* path, char* text, size_t size) {
  const long fd = Open(path, O_RDONLY);
  if (fd < 0) return -1;
  size_t length = 0;
  while (length + 1 < size) {
    const long got = Raw(SYS_read, fd, reinterpret_cast<long>(text + length),
                         static_cast<long>(size - 1 - length));
    if (got <= 0) break;
    length += static_cast<size_t>(got);
  }
  Raw(SYS_close, fd);
  text[length] = '\0';
  return static_cast<long>(length);
}

long ParseNumber(const char** at) {
  while (**at == ' ' || **at == '\t' || **at == '\n') ++*at;
  if (**at < '0' || **at > '9') return -1;
  long number = 0;
  for (; **at >= '0' && **at <= '9'; ++*at) number = number * 10 + (**at - '0');
  return number;
}

long FieldOf(const char* text, const char* name) {
  const size_t length = strlen(name);
  for (const char* line = text; line != nullptr;) {
    if (strncmp(line, name, length) == 0) {
      line += length;
      return ParseNumber(&line);
    }
    line = strchr(line, '\n');
    if (line != nullptr) ++line;
  }
  return -1;
}

Listing::Listing(const char* path) : fd_(Open(path, O_RDONLY | O_DIRECTORY)) {}

Listing::~Listing() {
  if (fd_ >= 0) Raw(SYS_close, fd_);
}

const char* Listing::Next() {
  if (fd_ < 0) return nullptr;
  for (;;) {
    if (at_ >= size_) {
      size_ = Raw(SYS_getdents64, fd_, reinterpret_cast<long>(buffer_), sizeof(buffer_));
      if (size_ <= 0) return nullptr;
      at_ = 0;
    }
    const auto* const entry = reinterpret_cast<const KernelEntry*>(buffer_ + at_);
    at_ += entry->size;
    if (entry->name[0] != '.') return entry->name;
  }
}

}  // namespace utrace::ptrace_compat::client
