#include "conformance/kit/verdict.h"

#include <stdlib.h>
#include <string.h>

#include <atomic>
#include <mutex>

#include "conformance/kit/threads.h"
#include "core/utrace.h"

namespace utrace::kit {
namespace {

std::atomic<bool> traced{false};

struct Step {
  std::mutex mutex;
  std::string text;
};
Step& TheStep() {
  static Step* step = new Step;  // never destroyed: threads of an implementation may outlive main
  return *step;
}

}  // namespace

const char* VerdictName(Verdict verdict) {
  switch (verdict) {
    case Verdict::kPass:
      return "PASS";
    case Verdict::kFail:
      return "FAIL";
    case Verdict::kBroken:
      return "BROKEN";
    case Verdict::kUnsupported:
      return "UNSUPPORTED";
    case Verdict::kNotApplicable:
      return "NOT APPLICABLE";
  }
  return "?";
}

void Broken(const std::string& text) { throw Abandon{Verdict::kBroken, text}; }
void Unsupported(const std::string& text) { throw Abandon{Verdict::kUnsupported, text}; }
void NotApplicable(const std::string& capability) {
  throw Abandon{Verdict::kNotApplicable, capability};
}
void Failed(const std::string& text) { throw Abandon{Verdict::kFail, text}; }
void StepFailed(const std::string& text) {
  if (traced) Failed(text);
  Broken(text);
}
void MarkTraced() { traced = true; }
void ClearTraced() { traced = false; }

std::chrono::milliseconds Deadline() {
  static const std::chrono::milliseconds deadline = [] {
    const char* text = getenv("UTRACE_KIT_DEADLINE_MS");
    const long value = text == nullptr ? 0 : strtol(text, nullptr, 10);
    return std::chrono::milliseconds(value > 0 ? value : 30000);
  }();
  return deadline;
}

bool PollUntil(const std::function<bool()>& ready, std::chrono::milliseconds deadline) {
  Threads& threads = TheThreads();
  const auto end = threads.Now() + deadline;
  for (int round = 0;; ++round) {
    if (ready()) return true;
    if (threads.Now() >= end) return ready();
    threads.Pause(round);
  }
}

void SetStep(std::string_view step) {
  Step& now = TheStep();
  std::lock_guard lock(now.mutex);
  now.text = step;
}

std::string CurrentStep() {
  Step& now = TheStep();
  std::lock_guard lock(now.mutex);
  return now.text;
}

std::string ErrnoName(long value) {
  if (value >= 0 || value < -UTRACE_MAX_ERRNO) return std::to_string(value);
  switch (-value) {
    case UTRACE_ERESTARTSYS:
      return "-ERESTARTSYS";
    case UTRACE_ERESTARTNOINTR:
      return "-ERESTARTNOINTR";
    default:
      break;
  }
  const char* name = strerrorname_np(static_cast<int>(-value));
  return name == nullptr ? std::to_string(value) : "-" + std::string(name);
}

std::string ResumeActionName(uint32_t action) {
  static const char* const kNames[] = {"STOP",      "INTERRUPT", "REPORT", "SINGLESTEP",
                                       "BLOCKSTEP", "RESUME",    "DETACH", "7"};
  return kNames[action & UTRACE_RESUME_MASK];
}

std::string SignalActionName(uint32_t action) {
  static const char* const kNames[] = {"DELIVER", "IGN",  "TERM",   "CORE",
                                       "STOP",    "TSTP", "REPORT", "HANDLER"};
  const uint32_t index = (action & UTRACE_SIGNAL_MASK) >> 4;
  std::string name = index < 8 ? kNames[index] : std::to_string(action & UTRACE_SIGNAL_MASK);
  if ((action & UTRACE_SIGNAL_HOLD) != 0) name += "+HOLD";
  return name;
}

std::string EventNames(unsigned long events) {
  static const char* const kNames[] = {"QUIESCE",     "REAP",       "CLONE",         "EXEC",
                                       "EXIT",        "DEATH",      "SYSCALL_ENTRY", "SYSCALL_EXIT",
                                       "SIGNAL",      "SIGNAL_IGN", "SIGNAL_STOP",   "SIGNAL_TERM",
                                       "SIGNAL_CORE", "JCTL"};
  if (events == 0) return "0";
  std::string text;
  for (int bit = 0; bit < UTRACE_EVENT_BITS; ++bit) {
    if ((events >> bit & 1) == 0) continue;
    if (!text.empty()) text += "|";
    text += kNames[bit];
  }
  const unsigned long rest = events & ~UTRACE_EVENT_ALL;
  if (rest != 0) text += (text.empty() ? "" : "|") + std::to_string(rest);
  return text;
}

}  // namespace utrace::kit
