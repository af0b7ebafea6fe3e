// How a test ends, and the deadline that keeps every wait of the kit from hanging.
#ifndef CONFORMANCE_KIT_VERDICT_H_
#define CONFORMANCE_KIT_VERDICT_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>

namespace utrace::kit {

enum class Verdict {
  kPass,
  kFail,           // the implementation broke the clause
  kBroken,         // the kit could not set the scene: says nothing about the implementation
  kUnsupported,    // a limit that the implementation declared
  kNotApplicable,  // the tasks of a hosted implementation cannot do what the test needs
};
const char* VerdictName(Verdict verdict);

// Ends a test early. Thrown on the test's own thread only; callbacks must not throw.
struct Abandon {
  Verdict verdict;
  std::string text;
};

// Ends the test with that verdict.
[[noreturn]] void Broken(const std::string& text);
[[noreturn]] void Unsupported(const std::string& text);
// `capability`: as Needs (target.h) has it.
[[noreturn]] void NotApplicable(const std::string& capability);
[[noreturn]] void Failed(const std::string& text);
// For a puppet that did not do its step in time, or died: Failed if an engine was attached in this
// test (then the step would have worked untraced, and the tracing is to blame), else Broken.
[[noreturn]] void StepFailed(const std::string& text);

// Tells StepFailed that the implementation has its hands on a puppet. TestEngine calls it.
void MarkTraced();
void ClearTraced();

// The longest that the kit waits for anything: 30 s, or the environment's UTRACE_KIT_DEADLINE_MS.
std::chrono::milliseconds Deadline();

// Calls `ready` until it returns true or the deadline passes, letting others go on in between.
// For states of tasks that cannot be waited for (what /proc shows); anything else has a Gate.
bool PollUntil(const std::function<bool()>& ready, std::chrono::milliseconds deadline = Deadline());

// What the test is doing now, for the watchdog's message.
void SetStep(std::string_view step);
std::string CurrentStep();

// "-ESRCH" for -3, "-ERESTARTSYS", "0", "17".
std::string ErrnoName(long value);
// "EXCLUSIVE|..." style names of action words, for messages: "STOP", "RESUME".
std::string ResumeActionName(uint32_t action);
std::string SignalActionName(uint32_t action);
std::string EventNames(unsigned long events);

}  // namespace utrace::kit

#endif  // CONFORMANCE_KIT_VERDICT_H_
