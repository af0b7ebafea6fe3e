// Small files and directories under /proc, read with bare system calls: in signal handlers too, and without
// memory of the C library's.
#ifndef ENGINES_PTRACE_COMPAT_CLIENT_PROC_TEXT_H_
#define ENGINES_PTRACE_COMPAT_CLIENT_PROC_TEXT_H_

#include <stddef.h>

namespace utrace::ptrace_compat::client {

// Reads the file `path` into `text`, with a zero behind it; cut to `size` - 1 characters. How many there are,
// or -1 if it cannot be opened.
long Slurp(const char* path, char* text, size_t size);

// The number at `*at`, behind blanks, which is moved behind it; -1 if there is none.
long ParseNumber(const char** at);

// The number behind the first line's beginning `name` in `text` ("VmHWM:"); -1 if there is none.
long FieldOf(const char* text, const char* name);

// The entries of a directory, but for those whose names begin with a dot.
class Listing {
 public:
  explicit Listing(const char* path);
  ~Listing();
  Listing(const Listing&) = delete;
  Listing& operator=(const Listing&) = delete;
  bool ok() const { return fd_ >= 0; }
  // The next name, valid until the next call; null at the end, and if it cannot be read.
  const char* Next();

 private:
  const long fd_;
  long at_ = 0;
  long size_ = 0;
  alignas(8) char buffer_[2048];
};

}  // namespace utrace::ptrace_compat::client

#endif  // ENGINES_PTRACE_COMPAT_CLIENT_PROC_TEXT_H_
