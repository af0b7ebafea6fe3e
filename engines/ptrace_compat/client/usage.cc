#include "engines/ptrace_compat/client/usage.h"

#include <string.h>
#include <unistd.h>

#include "engines/ptrace_compat/client/native.h"
#include "engines/ptrace_compat/client/proc_text.h"

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

// "/proc/PID/NAME"
Text PathOf(pid_t pid, const char* name) {
  Text path;
  path.Add("/proc/").AddNumber(pid).Add(name);
  return path;
}

// False if the process is gone.
bool AddTimesAndFaults(pid_t pid, rusage* usage) {
  char text[1024];
  if (Slurp(PathOf(pid, "/stat").get(), text, sizeof(text)) <= 0) return false;
  const char* at = strrchr(text, ')');
  if (at == nullptr) return false;
  unsigned long fields[kFields] = {};
  for (unsigned long& field : fields) {
    at = strchr(at, ' ');
    if (at == nullptr) return false;
    ++at;
    // Those that are no numbers do not count here.
    for (const char* digit = at; *digit >= '0' && *digit <= '9'; ++digit) {
      field = field * 10 + static_cast<unsigned long>(*digit - '0');
    }
  }
  const auto per_second = static_cast<unsigned long>(sysconf(_SC_CLK_TCK));
  usage->ru_utime = Time(fields[kUser] + fields[kChildUser], per_second);
  usage->ru_stime = Time(fields[kSystem] + fields[kChildSystem], per_second);
  usage->ru_minflt = static_cast<long>(fields[kMinorFaults] + fields[kChildMinor]);
  usage->ru_majflt = static_cast<long>(fields[kMajorFaults] + fields[kChildMajor]);
  return true;
}

// Of one thread, by its directory's name.
void AddThread(pid_t pid, const char* thread, rusage* usage) {
  Text path = PathOf(pid, "/task/");
  path.Add(thread).Add("/status");
  char text[4096];
  if (Slurp(path.get(), text, sizeof(text)) <= 0) return;
  const long memory = FieldOf(text, "VmHWM:");
  const long voluntary = FieldOf(text, "voluntary_ctxt_switches:");
  const long involuntary = FieldOf(text, "nonvoluntary_ctxt_switches:");
  if (memory > usage->ru_maxrss) usage->ru_maxrss = memory;
  if (voluntary > 0) usage->ru_nvcsw += voluntary;
  if (involuntary > 0) usage->ru_nivcsw += involuntary;
}

void AddBlocks(pid_t pid, rusage* usage) {
  constexpr int kBlock = 512;
  char text[1024];
  if (Slurp(PathOf(pid, "/io").get(), text, sizeof(text)) <= 0) return;
  const long read = FieldOf(text, "read_bytes:");
  const long written = FieldOf(text, "write_bytes:");
  if (read > 0) usage->ru_inblock = read / kBlock;
  if (written > 0) usage->ru_oublock = written / kBlock;
}

}  // namespace

void UsageOf(pid_t pid, rusage* usage) {
  if (!AddTimesAndFaults(pid, usage)) return;
  Listing threads(PathOf(pid, "/task").get());
  for (const char* name = threads.Next(); name != nullptr; name = threads.Next()) {
    AddThread(pid, name, usage);
  }
  AddBlocks(pid, usage);
}

}  // namespace utrace::ptrace_compat::client
