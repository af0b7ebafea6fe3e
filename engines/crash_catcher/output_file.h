// A file that is there whole or not at all.
#ifndef ENGINES_CRASH_CATCHER_OUTPUT_FILE_H_
#define ENGINES_CRASH_CATCHER_OUTPUT_FILE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "core/result.h"

namespace utrace::crash {

// While it is written its name ends in ".partial". Readable by its owner alone: memory holds secrets.
class OutputFile {
 public:
  // Creates `name` in the directory `directory_fd`, which must stay open for this object's life. Error:
  // what openat says; -EEXIST there is such a file.
  static Result<OutputFile> Create(int directory_fd, const std::string& name);
  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&&) = delete;
  // Removes it, unless Commit was called and succeeded.
  ~OutputFile();

  // Writes all of `bytes` at the end. Error: what write says.
  Status Write(std::span<const std::byte> bytes);
  // Leaves a hole of so many bytes at the end.
  void Skip(uint64_t bytes) { size_ += bytes; }
  // Makes what is written the file's whole content, and gives it its name.
  Status Commit();

 private:
  OutputFile(int directory_fd, std::string name, int fd)
      : directory_fd_(directory_fd), name_(std::move(name)), fd_(fd) {}

  int directory_fd_;
  std::string name_;
  int fd_;
  uint64_t size_ = 0;
};

}  // namespace utrace::crash

#endif  // ENGINES_CRASH_CATCHER_OUTPUT_FILE_H_
