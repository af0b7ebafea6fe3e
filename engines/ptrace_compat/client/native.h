// The C library's own functions behind those that this library puts itself in front of, and bare system
// calls.
#ifndef ENGINES_PTRACE_COMPAT_CLIENT_NATIVE_H_
#define ENGINES_PTRACE_COMPAT_CLIENT_NATIVE_H_

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

namespace utrace::ptrace_compat::client {

struct Native {
  long (*syscall)(long number, ...);
  int (*sigaction)(int number, const struct sigaction* action, struct sigaction* old);
  int (*sigtimedwait)(const sigset_t* set, siginfo_t* info, const struct timespec* timeout);
  int (*sigprocmask)(int how, const sigset_t* set, sigset_t* old);
  int (*pthread_sigmask)(int how, const sigset_t* set, sigset_t* old);
  int (*sigblock)(int mask);
  int (*sigsetmask)(int mask);
  int (*sighold)(int number);
  int (*open)(const char* path, int flags, ...);
  int (*open64)(const char* path, int flags, ...);
  int (*openat)(int directory, const char* path, int flags, ...);
  int (*openat64)(int directory, const char* path, int flags, ...);
  int (*close)(int fd);
  int (*close_range)(unsigned first, unsigned last, int flags);
  void (*closefrom)(int first);
  int (*dup)(int fd);
  int (*dup2)(int fd, int to);
  int (*dup3)(int fd, int to, int flags);
  ssize_t (*read)(int fd, void* buffer, size_t size);
  ssize_t (*write)(int fd, const void* buffer, size_t size);
  ssize_t (*pread)(int fd, void* buffer, size_t size, off64_t offset);
  ssize_t (*pwrite)(int fd, const void* buffer, size_t size, off64_t offset);
  int (*kill)(pid_t pid, int number);
  int (*tgkill)(pid_t process, pid_t thread, int number);
  int (*execve)(const char* path, char* const* arguments, char* const* environment);
  int (*execvpe)(const char* file, char* const* arguments, char* const* environment);
  int (*fexecve)(int fd, char* const* arguments, char* const* environment);
  int (*execveat)(int directory, const char* path, char* const* arguments, char* const* environment,
                  int flags);
  int (*posix_spawn)(pid_t* pid, const char* path, const void* actions, const void* attributes,
                     char* const* arguments, char* const* environment);
  int (*posix_spawnp)(pid_t* pid, const char* file, const void* actions, const void* attributes,
                      char* const* arguments, char* const* environment);
  FILE* (*popen)(const char* command, const char* mode);
};

// Looked up when first called; safe in signal handlers afterwards.
const Native& TheNative();

// A system call: its result, or a negative errno. Leaves errno alone. No cancellation point.
long Raw(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0);

// Makes a result of Raw one of the C library: -1 and errno.
long Returned(long result);

// A signal mask as the kernel has it: all of its signals, those included that the C library hides.
using Mask = uint64_t;
inline constexpr Mask kAllSignals = ~Mask{0};
inline constexpr Mask Only(int number) { return Mask{1} << (number - 1); }
// Sets the calling thread's; the one before.
Mask SetMask(Mask mask);

// Blocks all signals of the thread for as long as it lives.
class SignalsBlocked {
 public:
  SignalsBlocked() : before_(SetMask(kAllSignals)) {}
  ~SignalsBlocked() { SetMask(before_); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;
  Mask before() const { return before_; }

 private:
  const Mask before_;
};

// Copies from or to memory that the program names, which may not be there: zero, or -EFAULT.
int CopyIn(void* to, const void* from, size_t size);
int CopyOut(void* to, const void* from, size_t size);

// Text without the C library's formatted output, which signal handlers must not use.
class Text {
 public:
  Text& Add(const char* text);
  Text& AddNumber(long number);
  const char* get() const { return text_; }
  size_t size() const { return size_; }

 private:
  char text_[256] = {};
  size_t size_ = 0;
};

}  // namespace utrace::ptrace_compat::client

#endif  // ENGINES_PTRACE_COMPAT_CLIENT_NATIVE_H_
