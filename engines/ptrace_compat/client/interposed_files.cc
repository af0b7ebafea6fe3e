// The functions on files, for the sake of /proc/PID/mem.
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engines/ptrace_compat/client/connection.h"
#include "engines/ptrace_compat/client/export.h"
#include "engines/ptrace_compat/client/memory_files.h"
#include "engines/ptrace_compat/client/native.h"
#include "engines/ptrace_compat/client/process.h"

namespace utrace::ptrace_compat::client {
namespace {

// At the descriptor's own offset, which moves.
bool ReadOn(int fd, pid_t pid, void* to, size_t size, long* result) {
  const long at = Raw(SYS_lseek, fd, 0, SEEK_CUR);
  if (!ReadFile(fd, pid, to, size, at, result)) return false;
  if (*result > 0) Raw(SYS_lseek, fd, at + *result, SEEK_SET);
  return true;
}

bool WriteOn(int fd, pid_t pid, const void* from, size_t size, long* result) {
  const long at = Raw(SYS_lseek, fd, 0, SEEK_CUR);
  if (!WriteFile(fd, pid, from, size, at, result)) return false;
  if (*result > 0) Raw(SYS_lseek, fd, at + *result, SEEK_SET);
  return true;
}

mode_t ModeOf(int flags, va_list arguments) {
  return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(arguments, mode_t) : 0;
}

}  // namespace

#define UTRACE_MODE(flags)                      \
  va_list arguments;                            \
  va_start(arguments, flags);                   \
  const mode_t mode = ModeOf(flags, arguments); \
  va_end(arguments)

UTRACE_INTERPOSED int open(const char* path, int flags, ...) {
  UTRACE_MODE(flags);
  return NoteOpened(TheNative().open(path, flags, mode), path);
}

UTRACE_INTERPOSED int open64(const char* path, int flags, ...) {
  UTRACE_MODE(flags);
  return NoteOpened(TheNative().open64(path, flags, mode), path);
}

UTRACE_INTERPOSED int openat(int directory, const char* path, int flags, ...) {
  UTRACE_MODE(flags);
  return NoteOpened(TheNative().openat(directory, path, flags, mode), path);
}

UTRACE_INTERPOSED int openat64(int directory, const char* path, int flags, ...) {
  UTRACE_MODE(flags);
  return NoteOpened(TheNative().openat64(directory, path, flags, mode), path);
}

// What programs that were compiled with _FORTIFY_SOURCE call.
UTRACE_INTERPOSED int __open_2(const char* path, int flags) { return open(path, flags); }
UTRACE_INTERPOSED int __open64_2(const char* path, int flags) { return open64(path, flags); }
UTRACE_INTERPOSED int __openat_2(int directory, const char* path, int flags) {
  return openat(directory, path, flags);
}
UTRACE_INTERPOSED int __openat64_2(int directory, const char* path, int flags) {
  return openat64(directory, path, flags);
}

namespace {

// Closes what is not the library's. The C library's result.
int CloseRange(unsigned first, unsigned last, int flags) {
  if (IsUnknownFork()) WhoseMemory();
  long kept = -1;
  while (first <= last && (kept = FirstOfLibrary(first, last)) >= 0) {
    if (static_cast<unsigned>(kept) > first &&
        TheNative().close_range(first, static_cast<unsigned>(kept) - 1, flags) != 0) {
      return -1;
    }
    if (static_cast<unsigned>(kept) == last) return 0;
    first = static_cast<unsigned>(kept) + 1;
  }
  return TheNative().close_range(first, last, flags);
}

// `to` is about to become something else. In a vfork child the descriptors are its own, but the notes its parent's.
void Vacate(int to) {
  if (IsUnknownFork()) WhoseMemory();
  if (IsLibrarys(to) && WhoseMemory() == Memory::kOurs) MakeWay(to);
}

}  // namespace

UTRACE_INTERPOSED int close(int fd) {
  if (IsUnknownFork()) WhoseMemory();
  // It was not the program that opened it; who goes through /proc/self/fd is content.
  if (IsLibrarys(fd)) return 0;
  NoteClosed(fd);
  const int status = TheNative().close(fd);
  NoteGone(fd, fd);
  return status;
}

UTRACE_INTERPOSED int close_range(unsigned first, unsigned last, int flags) noexcept {
  // Those of the library are closed by an exec in any case.
  if ((flags & static_cast<int>(CLOSE_RANGE_CLOEXEC)) != 0) {
    return TheNative().close_range(first, last, flags);
  }
  return CloseRange(first, last, flags);
}

UTRACE_INTERPOSED void closefrom(int first) noexcept {
  if (CloseRange(first < 0 ? 0 : static_cast<unsigned>(first), ~0U, 0) == 0) return;
  // A kernel that lacks the call.
  TheNative().closefrom(first);
  NoteGone(first, ~0U);
}

UTRACE_INTERPOSED int dup(int fd) noexcept { return NoteDuplicate(TheNative().dup(fd), fd); }
UTRACE_INTERPOSED int dup2(int fd, int to) noexcept {
  if (fd != to) Vacate(to);
  const int duplicate = TheNative().dup2(fd, to);
  NoteGone(to, to);
  return NoteDuplicate(duplicate, fd);
}
UTRACE_INTERPOSED int dup3(int fd, int to, int flags) noexcept {
  if (fd != to) Vacate(to);
  const int duplicate = TheNative().dup3(fd, to, flags);
  NoteGone(to, to);
  return NoteDuplicate(duplicate, fd);
}

UTRACE_INTERPOSED ssize_t read(int fd, void* buffer, size_t size) {
  long result = 0;
  const pid_t pid = MemoryFileOf(fd);
  if (pid != 0 && ReadOn(fd, pid, buffer, size, &result)) return Returned(result);
  return TheNative().read(fd, buffer, size);
}

UTRACE_INTERPOSED ssize_t write(int fd, const void* buffer, size_t size) {
  long result = 0;
  const pid_t pid = MemoryFileOf(fd);
  if (pid != 0 && WriteOn(fd, pid, buffer, size, &result)) return Returned(result);
  return TheNative().write(fd, buffer, size);
}

UTRACE_INTERPOSED ssize_t pread64(int fd, void* buffer, size_t size, off64_t offset) {
  long result = 0;
  const pid_t pid = MemoryFileOf(fd);
  if (pid != 0 && ReadFile(fd, pid, buffer, size, offset, &result)) return Returned(result);
  return TheNative().pread(fd, buffer, size, offset);
}

UTRACE_INTERPOSED ssize_t pwrite64(int fd, const void* buffer, size_t size, off64_t offset) {
  long result = 0;
  const pid_t pid = MemoryFileOf(fd);
  if (pid != 0 && WriteFile(fd, pid, buffer, size, offset, &result)) return Returned(result);
  return TheNative().pwrite(fd, buffer, size, offset);
}

UTRACE_INTERPOSED ssize_t pread(int fd, void* buffer, size_t size, off_t offset) {
  return pread64(fd, buffer, size, offset);
}

UTRACE_INTERPOSED ssize_t pwrite(int fd, const void* buffer, size_t size, off_t offset) {
  return pwrite64(fd, buffer, size, offset);
}

namespace {

// As the C library ends a program that would read more than it has room for.
void CheckRoom(size_t size, size_t room) {
  if (size > room) abort();
}

}  // namespace

UTRACE_INTERPOSED ssize_t __read_chk(int fd, void* buffer, size_t size, size_t room) {
  CheckRoom(size, room);
  return read(fd, buffer, size);
}

UTRACE_INTERPOSED ssize_t __pread_chk(int fd, void* buffer, size_t size, off_t offset,
                                      size_t room) {
  CheckRoom(size, room);
  return pread64(fd, buffer, size, offset);
}

UTRACE_INTERPOSED ssize_t __pread64_chk(int fd, void* buffer, size_t size, off64_t offset,
                                        size_t room) {
  CheckRoom(size, room);
  return pread64(fd, buffer, size, offset);
}

}  // namespace utrace::ptrace_compat::client
