// Scenes and looks that the tests of utrace_control and of reporting passes share.
#ifndef CONFORMANCE_CLAUSES_CONTROL_SCENES_H_
#define CONFORMANCE_CLAUSES_CONTROL_SCENES_H_

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "conformance/kit/test.h"

namespace utrace::kit {

// The call by which puppets mark a place in the course of events: they never make it on their own.
inline constexpr long kMarker = SYS_getppid;

// ---- Results of callbacks ----------------------------------------------------------------------

// The signal or system call action as it came, with this resume action.
inline uint32_t WithResume(const Report& report, uint32_t resume) {
  return (PassThrough(report) & ~UTRACE_RESUME_MASK) | resume;
}

inline bool IsMarker(const Report& report) {
  return (report.what == What::kSyscallEntry || report.what == What::kSyscallExit) &&
         report.syscall == kMarker;
}

// Answers always with `resume`.
inline TestEngine::Handler Answer(uint32_t resume) {
  return [resume](Report& report) -> uint32_t { return WithResume(report, resume); };
}

// Answers the marker call with `resume`, any other call by default.
inline TestEngine::Handler AtMarker(uint32_t resume) {
  return [resume](Report& report) -> uint32_t {
    return IsMarker(report) ? WithResume(report, resume) : PassThrough(report);
  };
}

// Answers with `resume`, and before that waits at the gate; of system calls only the marker's.
inline TestEngine::Handler WaitAt(Gate& gate, uint32_t resume) {
  return [&gate, resume](Report& report) -> uint32_t {
    const bool call = report.what == What::kSyscallEntry || report.what == What::kSyscallExit;
    if (call && !IsMarker(report)) return PassThrough(report);
    gate.Wait();
    return WithResume(report, resume);
  };
}

// ---- What was reported -------------------------------------------------------------------------

// The callback for which no event happened: report_quiesce with event zero, or the report_signal
// that may stand for it [QUI-03].
inline bool IsUserReturn(const Report& report) {
  if (report.what == What::kQuiesce) return report.event == 0;
  return report.what == What::kSignal && (report.signal_action() == UTRACE_SIGNAL_REPORT ||
                                          report.signal_action() == UTRACE_SIGNAL_HANDLER);
}

inline int CountUserReturns(const std::vector<Report>& log) {
  return static_cast<int>(std::count_if(log.begin(), log.end(), IsUserReturn));
}

// Gives every event-zero callback of the engine to `handler`, others pass.
inline void OnUserReturn(TestEngine& engine, const TestEngine::Handler& handler) {
  const TestEngine::Handler filtered = [handler](Report& report) -> uint32_t {
    return IsUserReturn(report) ? handler(report) : PassThrough(report);
  };
  engine.On(What::kQuiesce, filtered);
  engine.On(What::kSignal, filtered);
}

inline void AwaitUserReturns(TestEngine& engine, int count) {
  engine.AwaitLog(std::to_string(count) + " callbacks without an event",
                  [count](const std::vector<Report>& log) {
                    return CountUserReturns(log) >= count &&
                           std::all_of(log.begin(), log.end(), [](const Report& report) {
                             return !IsUserReturn(report) || report.end != 0;
                           });
                  });
  // A callback has ended for certain once its result is applied.
  const int result = engine.Barrier();
  if (result != 0) Failed("barrier gives " + ErrnoName(result));
}

inline int CountOf(const std::vector<Report>& log, What what) {
  return static_cast<int>(std::count_if(
      log.begin(), log.end(), [what](const Report& report) { return report.what == what; }));
}

// The engines of these callbacks in order, "ABC", for engines with names of one letter.
inline std::string Order(What what, long syscall = -1) {
  std::string order;
  for (const Report& report : GlobalLog()) {
    if (report.what != what || (syscall >= 0 && report.syscall != syscall)) continue;
    order += report.engine_name;
  }
  return order;
}

// ---- Stopped and running -----------------------------------------------------------------------

// Waits until `holder` holds its task stopped. prepare says -EINVAL until the callback's result is
// applied, -EAGAIN until the STOP has taken effect.
inline void AwaitHeld(TestEngine& holder) {
  int result = 0;
  const bool held = PollUntil([&] {
    utrace_examiner examiner = {};
    result = holder.Prepare(&examiner);
    if (result == 0) result = holder.Finish(&examiner);
    return result == 0 || result == -ESRCH;
  });
  if (!held || result != 0) {
    Failed("engine '" + holder.name() + "' does not hold its task: prepare gives " +
           ErrnoName(result));
  }
}

// Does `deed` and checks that the task, held by `holder`, does not wake of it.
template <typename Deed>
void ExpectStaysHeld(TestEngine& holder, const PuppetThread& puppet, Deed deed) {
  utrace_examiner examiner = {};
  ASSERT_EQ(0, holder.Prepare(&examiner));
  const uint64_t spins = puppet.SpinCount();
  deed();
  // A wake-up that the deed caused gets its chance: every look is a request to the implementation,
  // which has to serve the wake-up first.
  for (int i = 0; i < 20; ++i) {
    uint64_t pc = 0;
    EXPECT_EQ(0, api().utrace_get_pc(holder.task(), &pc));
    Yield();
  }
  EXPECT_EQ(spins, puppet.SpinCount());
  EXPECT_EQ(0, holder.Finish(&examiner)) << "the task woke";
}

// A puppet that spins in user mode.
inline void StartSpinning(PuppetThread& puppet) {
  puppet.BeginSpin();
  puppet.AwaitSpinning();
}

// The spinning puppet runs, and works.
inline void ExpectRuns(PuppetThread& puppet) {
  puppet.AwaitSpinning();
  puppet.StopSpin();
  puppet.Finish();
  EXPECT_EQ(puppet.nanny().pid(), puppet.Call(kMarker));
}

// Begins a timed call and waits until the puppet sleeps in it; returns its timeout. On a busy
// machine a short one is over before that can be seen: then a longer one is begun.
inline std::chrono::milliseconds BeginTimedAndSleep(PuppetThread& puppet, Timed call) {
  for (auto timeout = std::chrono::milliseconds(30); timeout < std::chrono::seconds(4);
       timeout *= 3) {
    puppet.BeginTimed(call, timeout);
    bool asleep = false;
    PollUntil([&] {
      asleep = puppet.TryAwaitBlocked(-1, std::chrono::milliseconds(0));
      return asleep || puppet.Finished();
    });
    if (asleep) return timeout;
    puppet.FinishTimed();
  }
  Broken("the puppet is never seen asleep in a timed call");
}

// Whether `engine` is still found on its task.
inline bool IsAttached(const TestEngine& engine) {
  const EngineRef found =
      AttachTask(engine.task(), UTRACE_ATTACH_MATCH_DATA, nullptr, engine.data());
  return found.ok();
}

}  // namespace utrace::kit

#endif  // CONFORMANCE_CLAUSES_CONTROL_SCENES_H_
