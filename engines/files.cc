#include "engines/files.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "core/result.h"
#include "fmt/core.h"

namespace utrace {
namespace {

// For writing files in it: what cannot be written to is an error now rather than later.
Result<int> OpenDirectory(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return Status(-errno);
  if (faccessat(fd, ".", W_OK | X_OK, AT_EACCESS) == 0) return fd;
  const int error = errno;
  close(fd);
  return Status(-error);
}

}  // namespace

EngineFiles::~EngineFiles() {
  for (const auto& [key, fd] : descriptors_) close(fd);
}

EngineFiles::EngineFiles(EngineFiles&& other) noexcept
    : descriptors_(std::exchange(other.descriptors_, {})), stderr_(std::move(other.stderr_)) {}

EngineFiles& EngineFiles::operator=(EngineFiles&& other) noexcept {
  std::swap(descriptors_, other.descriptors_);
  std::swap(stderr_, other.stderr_);
  return *this;
}

std::optional<EngineFiles> EngineFiles::Open(const std::vector<OptionInfo>& infos,
                                             const Options& options, std::string* error) {
  EngineFiles files;
  for (const OptionInfo& info : infos) {
    const std::string* path = options.Find(info.key);
    if (path == nullptr || info.kind == OptionInfo::Kind::kText) continue;
    const bool directory = info.kind == OptionInfo::Kind::kDirectory;
    const Result<int> fd = directory ? OpenDirectory(*path) : LineWriter::OpenFile(*path);
    if (!fd) {
      *error = fmt::format("cannot {} \"{}\": {}", directory ? "use the directory" : "write", *path,
                           fd.status().ToString());
      return std::nullopt;
    }
    files.Add(info.key, *fd);
  }
  return files;
}

void EngineFiles::Add(std::string_view key, int fd) {
  const auto [place, added] = descriptors_.emplace(key, fd);
  if (added) return;
  close(place->second);
  place->second = fd;
}

int EngineFiles::Find(std::string_view key) const {
  const auto found = descriptors_.find(key);
  return found == descriptors_.end() ? -1 : found->second;
}

std::shared_ptr<LineWriter> EngineFiles::Writer(std::string_view key) const {
  if (const int fd = Find(key); fd >= 0) {
    return std::make_shared<LineWriter>(fd, LineWriter::Limits{});
  }
  return stderr_ != nullptr ? stderr_ : LineWriter::Stderr();
}

}  // namespace utrace
