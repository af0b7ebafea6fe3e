#include "engines/ptrace_compat/client/usage.h"

#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engines/ptrace_compat/client/native.h"

namespace utrace::ptrace_compat::client {
namespace {

// Fields of /proc/PID/stat behind the name, counted from the state.
enum Field {
  kMinorFaults = 7,
  kChildMinor,
  kMajorFaults,
  kChildMajor,
  kUser,
  kSystem,
  kChildUser,
  kChildSystem,
  kFields
};

timeval Time(unsigned long ticks, unsigned long per_second) {
  return {.tv_sec = static_cast<time_t>(ticks / per_second),
          .tv_usec = static_cast<suseconds_t>(ticks % per_second * 1000000 / per_second)};
}

}  // namespace

void UsageOf(pid_t pid, rusage* usage) {
  Text name;
  name.Add("/proc/").AddNumber(pid).Add("/stat");
  const long fd =
      Raw(SYS_openat, AT_FDCWD, reinterpret_cast<long>(name.get()), O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) return;
  char text[1024];
  const long size = Raw(SYS_read, fd, reinterpret_cast<long>(text), sizeof(text) - 1);
  Raw(SYS_close, fd);
  if (size <= 0) return;
  text[size] = '\0';
  const char* at = strrchr(text, ')');
  if (at == nullptr) return;
  unsigned long fields[kFields] = {};
  for (int n = 0; n < kFields; ++n) {
    at = strchr(at, ' ');
    if (at == nullptr) return;
    ++at;
    unsigned long value = 0;
    for (const char* digit = at; *digit >= '0' && *digit <= '9'; ++digit) {
      value = value * 10 + static_cast<unsigned long>(*digit - '0');
    }
    fields[n] = value;
  }
  const auto per_second = static_cast<unsigned long>(sysconf(_SC_CLK_TCK));
  usage->ru_utime = Time(fields[kUser] + fields[kChildUser], per_second);
  usage->ru_stime = Time(fields[kSystem] + fields[kChildSystem], per_second);
  usage->ru_minflt = static_cast<long>(fields[kMinorFaults] + fields[kChildMinor]);
  usage->ru_majflt = static_cast<long>(fields[kMajorFaults] + fields[kChildMajor]);
}

}  // namespace utrace::ptrace_compat::client
