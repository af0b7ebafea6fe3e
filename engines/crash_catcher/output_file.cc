#include "engines/crash_catcher/output_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace utrace::crash {
namespace {

std::string Partial(const std::string& name) { return name + ".partial"; }

}  // namespace

Result<OutputFile> OutputFile::Create(int directory_fd, const std::string& name) {
  const int fd = openat(directory_fd, Partial(name).c_str(),
                        O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return Status(-errno);
  return OutputFile(directory_fd, name, fd);
}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : directory_fd_(other.directory_fd_),
      name_(std::move(other.name_)),
      fd_(std::exchange(other.fd_, -1)),
      size_(other.size_) {}

OutputFile::~OutputFile() {
  if (fd_ < 0) return;
  close(fd_);
  unlinkat(directory_fd_, Partial(name_).c_str(), 0);
}

Status OutputFile::Write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(size_));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return Status(-errno);
    size_ += static_cast<uint64_t>(count);
    bytes = bytes.subspan(static_cast<size_t>(count));
  }
  return Status();
}

Status OutputFile::Commit() {
  if (ftruncate(fd_, static_cast<off_t>(size_)) != 0) return Status(-errno);
  const std::string partial = Partial(name_);
  if (renameat2(directory_fd_, partial.c_str(), directory_fd_, name_.c_str(), RENAME_NOREPLACE) !=
      0) {
    // Some file systems cannot: a second name refuses to replace a file as well.
    if (errno != EINVAL) return Status(-errno);
    if (linkat(directory_fd_, partial.c_str(), directory_fd_, name_.c_str(), 0) != 0) {
      return Status(-errno);
    }
    unlinkat(directory_fd_, partial.c_str(), 0);
  }
  // It has its name. Some file systems tell only now that it did not fit.
  const int result = close(std::exchange(fd_, -1));
  if (result == 0) return Status();
  const int error = errno;
  unlinkat(directory_fd_, name_.c_str(), 0);
  return Status(-error);
}

}  // namespace utrace::crash
