// Scenes and looks that the tests of signal reports share.
#ifndef CONFORMANCE_CLAUSES_SIGNAL_SCENES_H_
#define CONFORMANCE_CLAUSES_SIGNAL_SCENES_H_

#include <string>
#include <utility>
#include <vector>

#include "conformance/clauses/control_scenes.h"

namespace utrace::kit {

inline constexpr unsigned long kQuiesceEvent = UTRACE_EVENT(QUIESCE);
inline constexpr unsigned long kSignalEvents = UTRACE_EVENT_SIGNAL_ALL;

// Whether this is the report of a dequeued signal, not of a request or of a handler set up.
inline bool IsSignal(const Report& report, int signo) {
  return report.what == What::kSignal && report.signal_action() != UTRACE_SIGNAL_REPORT &&
         report.signal_action() != UTRACE_SIGNAL_HANDLER && report.signo() == signo;
}

inline bool IsHandlerReport(const Report& report) {
  return report.what == What::kSignal && report.signal_action() == UTRACE_SIGNAL_HANDLER;
}

inline bool IsSignalReport(const Report& report) {
  return report.what == What::kSignal && report.signal_action() == UTRACE_SIGNAL_REPORT;
}

inline int CountOfSignal(const std::vector<Report>& log, int signo) {
  return static_cast<int>(std::count_if(
      log.begin(), log.end(), [signo](const Report& report) { return IsSignal(report, signo); }));
}

inline int CountHandlerReports(const std::vector<Report>& log) {
  return static_cast<int>(std::count_if(log.begin(), log.end(), IsHandlerReport));
}

// Gives reports of this signal to `handler`; all others pass.
inline void OnSignal(TestEngine& engine, int signo, TestEngine::Handler handler) {
  engine.On(What::kSignal, [signo, handler = std::move(handler)](Report& report) -> uint32_t {
    return IsSignal(report, signo) ? handler(report) : PassThrough(report);
  });
}

// Answers reports of this signal with the signal action (HOLD included) and the resume action.
inline void AnswerSignal(TestEngine& engine, int signo, uint32_t action,
                         enum utrace_resume_action resume = UTRACE_RESUME) {
  OnSignal(engine, signo, [=](Report&) -> uint32_t { return Answer(action, resume); });
}

inline void AttachWith(TestEngine& engine, const PuppetThread& puppet, unsigned long events) {
  AssertOneOf(engine.AttachTid(puppet.tid()), {0});
  AssertOneOf(engine.SetEvents(events), {0});
}

// The first report of this signal to the engine; Failed if there is none.
inline Report SignalReportOf(const TestEngine& engine, int signo) {
  for (const Report& report : engine.Log(What::kSignal)) {
    if (IsSignal(report, signo)) return report;
  }
  Failed("signal " + std::to_string(signo) + " was not reported to engine '" + engine.name() +
         "':\n" + Describe(engine.Log()));
}

// Waits until that many reports of this signal have ended.
inline void AwaitSignal(TestEngine& engine, int signo, int count = 1) {
  engine.AwaitLog("report of signal " + std::to_string(signo), [=](const std::vector<Report>& log) {
    int seen = 0;
    for (const Report& report : log) {
      seen += IsSignal(report, signo) && report.end != 0 ? 1 : 0;
    }
    return seen >= count;
  });
}

// Sends the puppet, which spins from here on, a signal while a callback of another thread of its
// process is in progress, and calls `meanwhile`. An implementation that makes the callbacks of a
// process one after another has by then stopped the task for the signal and still has to report it:
// returns whether it was so. Another implementation may have reported it at once.
template <typename Meanwhile>
bool WhileASignalWaits(PuppetThread& puppet, TestEngine& engine, int signo, Meanwhile meanwhile) {
  PuppetThread& other = puppet.SpawnThread();
  Gate gate("the other thread's callback may end");
  TestEngine busy("busy");
  busy.On(What::kSyscallExit, WaitAt(gate, UTRACE_RESUME));
  AttachWith(busy, other, UTRACE_EVENT(SYSCALL_EXIT));
  StartSpinning(puppet);
  other.Begin(kMarker);
  gate.AwaitArrival();
  puppet.Tgkill(signo);
  if (!PollUntil([&] { return puppet.State() == 't' || engine.CountSignal(signo) != 0; })) {
    Failed("the signal neither stopped the task nor was reported");
  }
  const bool waits = engine.CountSignal(signo) == 0;
  meanwhile();
  gate.Open();
  other.Finish();
  return waits;
}

// The puppet works.
inline void ExpectWorks(PuppetThread& puppet) {
  EXPECT_EQ(puppet.nanny().pid(), puppet.Call(kMarker));
}

// The puppet's process ends by this signal, as its parent sees it.
inline void ExpectEndsBy(Puppet& puppet, int signo) {
  puppet.AwaitDeath();
  const WaitResult end = puppet.nanny().Wait(puppet.pid());
  EXPECT_EQ(puppet.pid(), end.result);
  EXPECT_TRUE(WIFSIGNALED(end.status)) << std::hex << end.status;
  EXPECT_EQ(signo, WTERMSIG(end.status));
}

// An engine answers `signo` with that action; the process has to end by the signal although it has
// a handler.
inline void ExpectEnds(Puppet& puppet, int signo, uint32_t action,
                       enum utrace_resume_action resume = UTRACE_RESUME) {
  TestEngine engine("A");
  AnswerSignal(engine, signo, action, resume);
  AttachWith(engine, puppet, kSignalEvents);
  puppet.BeginRaise(signo);
  ExpectEndsBy(puppet, signo);
  EXPECT_EQ(0U, puppet.HandlerRuns());
}

// The puppet's parent sees it stopped by job control; SIGCONT ends that.
inline void ExpectJobControlStop(Puppet& puppet) {
  const WaitIdResult stopped = puppet.nanny().WaitId(puppet.pid(), WSTOPPED);
  ASSERT_EQ(0, stopped.result);
  EXPECT_EQ(CLD_STOPPED, stopped.info.si_code);
  EXPECT_EQ(puppet.pid(), stopped.info.si_pid);
}

// The disposition of Disposition::kHandler, for engines that make it apply.
inline void UsePuppetHandler(const PuppetThread& puppet, utrace_sigaction* disposition) {
  constexpr uint64_t kRestorerFlag = 0x04000000;
  *disposition = {};
  disposition->handler = puppet.addresses().handler;
  disposition->flags = SA_SIGINFO | kRestorerFlag;
  disposition->restorer = puppet.addresses().restorer;
}

// The handler that the program has for a signal, by its own system call.
inline uint64_t ProgramsHandler(PuppetThread& puppet, int signo) {
  if (puppet.Call(SYS_rt_sigaction, signo, 0, static_cast<long>(puppet.ScratchAddress()), 8) != 0) {
    StepFailed("rt_sigaction");
  }
  return *static_cast<const uint64_t*>(puppet.Scratch());
}

inline void FillSiginfo(siginfo_t* info, int signo, int value) {
  *info = {};
  info->si_signo = signo;
  info->si_code = SI_QUEUE;
  info->si_pid = 4711;
  info->si_value.sival_int = value;
}

// Lets the engine, which has QUIESCE, answer the next INTERRUPT with `handler` in report_signal, and
// all other callbacks by default.
inline void OnSignalReport(TestEngine& engine, TestEngine::Handler handler) {
  engine.On(What::kSignal,
            [handler = std::move(handler), done = false](Report& report) mutable -> uint32_t {
              if (done || !IsSignalReport(report)) return PassThrough(report);
              done = true;
              return handler(report);
            });
}

}  // namespace utrace::kit

#endif  // CONFORMANCE_CLAUSES_SIGNAL_SCENES_H_
