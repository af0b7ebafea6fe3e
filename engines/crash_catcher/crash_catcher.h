// crash_catcher: an engine that waits until a process is about to die of a signal, and then writes a
// report of it, and a core file, before it dies.
//
// It is the last resort. A signal that the program handles, or that another engine on the task drops, is
// none of its business. What becomes of the signal stays as others decided it, and so does the exit
// status of the process.
//
// How it works: if engines come after it, the signal is put back (HOLD) once, and seen again with a
// LastWord attached behind them all; only what that one still finds fatal is a crash. Then the thread is
// stopped with the signal put back; so are the other threads, where they are. The reporter, a thread of
// its own, looks at all of them, writes, and lets them go. The signal comes back, is passed on, and ends
// the process; it does so too if we die meanwhile. Engines on the same task therefore see that signal
// twice, or three times. docs/crash-catcher.md is for users.
#ifndef ENGINES_CRASH_CATCHER_CRASH_CATCHER_H_
#define ENGINES_CRASH_CATCHER_CRASH_CATCHER_H_

#include <memory>
#include <string>
#include <vector>

#include "core/engine.h"
#include "engines/crash_catcher/reporter.h"
#include "engines/crash_catcher/settings.h"
#include "engines/files.h"
#include "engines/instance.h"
#include "engines/options.h"

namespace utrace {

// Sees a fatal signal after all engines that were on the task when it came, and has it reported if it is
// fatal still. Attached for one signal. One object may be attached to any number of tasks.
class LastWord final : public Engine {
 public:
  LastWord(const crash::Settings& settings, std::shared_ptr<crash::Reporter> reporter)
      : settings_(settings), reporter_(std::move(reporter)) {}

  std::string Name() const override { return "crash_catcher's last word"; }
  SignalResult OnSignal(SignalReport& report) override;
  // The same for who knows that no engine comes after the caller.
  SignalResult Decide(SignalReport& report);

 private:
  const crash::Settings settings_;
  const std::shared_ptr<crash::Reporter> reporter_;
};

// The engine itself. One object may be attached to any number of tasks.
class CrashCatcher final : public Engine {
 public:
  CrashCatcher(const crash::Settings& settings, std::shared_ptr<crash::Reporter> reporter);

  // To be enabled on a task that is attached to.
  Events events() const;
  // As DetachEverywhere, last words included.
  void LeaveEverywhere();

  std::string Name() const override { return "crash_catcher"; }
  SignalResult OnSignal(SignalReport& report) override;
  Action OnClone(CloneReport& report) override;

 private:
  const crash::Settings settings_;
  const std::shared_ptr<crash::Reporter> reporter_;
  const std::shared_ptr<LastWord> last_word_;
};

// For the registry (registry.h).
std::vector<OptionInfo> CrashCatcherOptions();
std::unique_ptr<EngineInstance> MakeCrashCatcher(const Options& options, const EngineFiles& files,
                                                 std::string* error);

}  // namespace utrace

#endif  // ENGINES_CRASH_CATCHER_CRASH_CATCHER_H_
