#include "engines/ptrace_compat/client/native.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>

#include "engines/ptrace_compat/client/process.h"
#include "engines/ptrace_compat/client/program_data.h"

namespace utrace::ptrace_compat::client {
namespace {

Native g_native;
std::atomic<bool> g_known{false};

template <class Function>
void Find(const char* name, Function* function) {
  // POSIX has dlsym return functions so.
  *function = reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

}  // namespace

const Native& TheNative() {
  // Two threads at once find the same.
  if (!g_known.load(std::memory_order_acquire)) {
    Native& native = g_native;
    Find("syscall", &native.syscall);
    Find("sigaction", &native.sigaction);
    Find("sigtimedwait", &native.sigtimedwait);
    Find("sigprocmask", &native.sigprocmask);
    Find("pthread_sigmask", &native.pthread_sigmask);
    Find("sigblock", &native.sigblock);
    Find("sigsetmask", &native.sigsetmask);
    Find("sighold", &native.sighold);
    Find("open", &native.open);
    Find("open64", &native.open64);
    Find("openat", &native.openat);
    Find("openat64", &native.openat64);
    Find("close", &native.close);
    Find("close_range", &native.close_range);
    Find("closefrom", &native.closefrom);
    Find("dup", &native.dup);
    Find("dup2", &native.dup2);
    Find("dup3", &native.dup3);
    Find("read", &native.read);
    Find("write", &native.write);
    Find("pread64", &native.pread);
    Find("pwrite64", &native.pwrite);
    Find("kill", &native.kill);
    Find("tgkill", &native.tgkill);
    Find("execve", &native.execve);
    Find("execvpe", &native.execvpe);
    Find("fexecve", &native.fexecve);
    Find("execveat", &native.execveat);
    Find("posix_spawn", &native.posix_spawn);
    Find("posix_spawnp", &native.posix_spawnp);
    Find("popen", &native.popen);
    g_known.store(true, std::memory_order_release);
  }
  return g_native;
}

long Raw(long number, long a, long b, long c, long d, long e, long f) {
  const int saved = errno;
  long result = TheNative().syscall(number, a, b, c, d, e, f);
  if (result == -1) result = -errno;
  errno = saved;
  return result;
}

long Returned(long result) {
  if (result >= 0) return result;
  errno = static_cast<int>(-result);
  return -1;
}

Mask SetMask(Mask mask) {
  Mask before = 0;
  Raw(SYS_rt_sigprocmask, SIG_SETMASK, reinterpret_cast<long>(&mask),
      reinterpret_cast<long>(&before), sizeof(mask));
  return before;
}

namespace {

// By the kernel, which looks whether the memory is there. Where a filter forbids that, as if it were.
int Copy(long call, void* here, const void* there, size_t size) {
  iovec local{.iov_base = here, .iov_len = size};
  iovec remote{.iov_base = const_cast<void*>(there), .iov_len = size};
  // In a vfork child its parent's number will do: the memory is the same.
  pid_t process = OwnerOfMemory();
  if (process == 0) process = getpid();
  const long copied =
      Raw(call, process, reinterpret_cast<long>(&local), 1, reinterpret_cast<long>(&remote), 1, 0);
  if (copied == static_cast<long>(size)) return 0;
  if (copied >= 0 || copied == -EFAULT) return -EFAULT;
  return 1;
}

}  // namespace

int CopyIn(void* to, const void* from, size_t size) {
  const int status = Copy(SYS_process_vm_readv, to, from, size);
  if (status == 1) memcpy(to, from, size);
  return status < 0 ? status : 0;
}

int CopyOut(void* to, const void* from, size_t size) {
  if (IsProgramData(to, size)) {
    memcpy(to, from, size);
    return 0;
  }
  const int status = Copy(SYS_process_vm_writev, const_cast<void*>(from), to, size);
  if (status == 1) memcpy(to, from, size);
  return status < 0 ? status : 0;
}

Text& Text::Add(const char* text) {
  while (*text != '\0' && size_ + 1 < sizeof(text_)) text_[size_++] = *text++;
  text_[size_] = '\0';
  return *this;
}

Text& Text::AddNumber(long number) {
  char digits[24];
  size_t first = sizeof(digits) - 1;
  digits[first] = '\0';
  unsigned long rest = number < 0 ? -static_cast<unsigned long>(number) : number;
  do {
    digits[--first] = static_cast<char>('0' + rest % 10);
    rest /= 10;
  } while (rest != 0);
  if (number < 0) digits[--first] = '-';
  return Add(digits + first);
}

}  // namespace utrace::ptrace_compat::client
