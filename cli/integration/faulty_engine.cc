// An engine that does harm at the first getppid() of a task: `how` says which.
#include <sys/syscall.h>

#include <cstdlib>
#include <string>

#include "engines/plugin_engine.h"

namespace {

// Uses up the stack long before `levels` is at its end.
int Deeper(volatile char* above, long levels) {
  volatile char room[4096];
  room[0] = above[0];
  return levels == 0 ? 0 : Deeper(room, levels - 1) + room[0];
}

class FaultyEngine : public utrace::Engine {
 public:
  static constexpr utrace::Events kEvents = utrace::Events::kSyscallEntry;

  explicit FaultyEngine(const utrace::PluginSettings& settings)
      : how_(settings.Find("how").value_or("null")) {}

  utrace::SyscallResult OnSyscallEntry(utrace::SyscallEntry& call) override {
    if (call.number() != SYS_getppid) return utrace::Action::kResume;
    if (how_ == "stop") return utrace::Action::kStop;
    if (how_ == "abort") std::abort();
    volatile char start = 1;
    if (how_ == "stack")
      return Deeper(&start, 1L << 40) != 0 ? utrace::Action::kResume : utrace::Action::kStop;
    volatile int* volatile nowhere = nullptr;
    *nowhere = 1;
    return utrace::Action::kResume;
  }

 private:
  const std::string how_;
};

}  // namespace

UTRACE_PLUGIN(FaultyEngine, "faulty", "1.0", "for tests of what crashes do",
              {"how", "null|stack|abort|stop", "what it does"})
