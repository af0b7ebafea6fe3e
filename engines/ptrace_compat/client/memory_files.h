// Descriptors of /proc/PID/mem: what this thread traces is read and written by way of the server, as every
// tracer shall see it.
#ifndef ENGINES_PTRACE_COMPAT_CLIENT_MEMORY_FILES_H_
#define ENGINES_PTRACE_COMPAT_CLIENT_MEMORY_FILES_H_

#include <stddef.h>
#include <sys/types.h>

namespace utrace::ptrace_compat::client {

// `fd` was opened under this name, of whatever file. Returns fd.
int NoteOpened(int fd, const char* path);
void NoteClosed(int fd);
// `fd` is a duplicate of `of`. Returns fd.
int NoteDuplicate(int fd, int of);

// The thread whose memory it is; zero for every other descriptor, at the price of one load.
pid_t MemoryFileOf(int fd);

// As pread and pwrite on such a descriptor: bytes, or a negative errno. False: the tracee is none of this
// thread's; the file itself is to be used.
bool ReadFile(int fd, pid_t pid, void* to, size_t size, off64_t offset, long* result);
bool WriteFile(int fd, pid_t pid, const void* from, size_t size, off64_t offset, long* result);

}  // namespace utrace::ptrace_compat::client

#endif  // ENGINES_PTRACE_COMPAT_CLIENT_MEMORY_FILES_H_
