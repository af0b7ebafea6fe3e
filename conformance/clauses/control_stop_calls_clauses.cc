// CTL-22: STOP does not interrupt a system call in progress.
#include <functional>

#include "conformance/clauses/control_scenes.h"

namespace utrace::kit {
namespace {

constexpr unsigned long kQuiesce = UTRACE_EVENT(QUIESCE);

// The program must not be able to tell that it was asked to stop, again and again, for as long as
// the call lasts: a call that began anew each time would never end.
void StopDuringTimedCall(Puppet& puppet, TestEngine& engine, Timed call) {
  SCOPED_TRACE("call " + std::to_string(TimedNumber(call)));
  const auto timeout = BeginTimedAndSleep(puppet, call);
  bool finished = false;
  const bool ended = PollUntil([&] {
    EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
    ExpectOneOf(engine.Control(UTRACE_STOP), {0, -EINPROGRESS});
    EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
    finished = puppet.Finished();
    return finished;
  });
  EXPECT_TRUE(ended) << "the call never ends";
  const TimedResult result = puppet.FinishTimed();
  EXPECT_EQ(TimedOutResult(call), result.result);
  EXPECT_GE(result.elapsed_ns, std::chrono::nanoseconds(timeout).count());
}

}  // namespace

CLAUSE_TEST(CTL_22, TheCallbackWaitsForTheCallToFinish) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kQuiesce | UTRACE_EVENT_SYSCALL));
  puppet.BeginRead();
  puppet.AwaitBlocked();
  const size_t before = engine.Log().size();
  EXPECT_EQ(-EINPROGRESS, engine.Control(UTRACE_STOP));
  puppet.Feed("abc");
  EXPECT_EQ(3, puppet.Finish());
  const auto log = engine.Log();
  // The exit of read is reported first, then the callback that was asked for.
  std::vector<Report> after(log.begin() + static_cast<ptrdiff_t>(before), log.end());
  size_t exit = 0;
  while (exit < after.size() && after[exit].what != What::kSyscallExit) ++exit;
  ASSERT_LT(exit, after.size()) << Describe(log);
  EXPECT_EQ(SYS_read, after[exit].syscall);
  EXPECT_EQ(0, CountUserReturns({after.begin(), after.begin() + static_cast<ptrdiff_t>(exit)}))
      << Describe(log);
  EXPECT_EQ(
      1, CountUserReturns({after.begin() + static_cast<ptrdiff_t>(exit),
                           std::find_if(after.begin() + static_cast<ptrdiff_t>(exit), after.end(),
                                        [](const Report& report) {
                                          return report.what == What::kSyscallEntry;
                                        })}))
      << Describe(log);
}

CLAUSE_TEST(CTL_22, WithoutEventsTheTaskStopsWhenTheCallIsOver) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  puppet.BeginRead();
  puppet.AwaitBlocked();
  EXPECT_EQ(-EINPROGRESS, engine.Control(UTRACE_STOP));
  puppet.Feed("abc");
  AwaitHeld(engine);
  long result = 0;
  EXPECT_EQ(0, api().utrace_syscall_result(engine.task(), nullptr, &result));
  EXPECT_EQ(3, result);
  EXPECT_FALSE(puppet.Finished());
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  EXPECT_EQ(3, puppet.Finish());
}

CLAUSE_TEST(CTL_22, TheCallbackWaitsForASignalToInterruptTheCall) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kQuiesce | UTRACE_EVENT(SIGNAL)));
  puppet.BeginRead();
  puppet.AwaitBlocked();
  EXPECT_EQ(-EINPROGRESS, engine.Control(UTRACE_STOP));
  puppet.Tgkill(SIGUSR1);
  EXPECT_EQ(-EINTR, puppet.Finish());
  EXPECT_EQ(1U, puppet.HandlerRuns(SIGUSR1));
  EXPECT_LE(1, CountUserReturns(engine.Log())) << Describe(engine.Log());
}

CLAUSE_TEST(CTL_22, SleepsKeepTheirResultAndTheirTime) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  for (const Timed call :
       {Timed::kNanosleep, Timed::kClockNanosleep, Timed::kClockNanosleepAbsolute}) {
    StopDuringTimedCall(puppet, engine, call);
  }
}

CLAUSE_TEST(CTL_22, PollsKeepTheirResultAndTheirTime) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  for (const Timed call :
       {Timed::kPoll, Timed::kPpoll, Timed::kSelect, Timed::kPselect, Timed::kEpollWait}) {
    StopDuringTimedCall(puppet, engine, call);
  }
}

CLAUSE_TEST(CTL_22, FutexWaitsKeepTheirResultAndTheirTime) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  for (const Timed call : {Timed::kFutexWait, Timed::kFutexWaitBitset}) {
    StopDuringTimedCall(puppet, engine, call);
  }
}

CLAUSE_TEST(CTL_22, PauseIsEndedByTheSignalAlone) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  puppet.BeginTimed(Timed::kPause, std::chrono::milliseconds(0));
  puppet.AwaitBlocked();
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(-EINPROGRESS, engine.Control(UTRACE_STOP));
    EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  }
  // Had it been interrupted, it would have returned by now or soon; the command behind it tells.
  puppet.AwaitBlocked();
  EXPECT_FALSE(puppet.Finished());
  puppet.Tgkill(SIGUSR1);
  EXPECT_EQ(-EINTR, puppet.FinishTimed().result);
  EXPECT_EQ(1U, puppet.HandlerRuns(SIGUSR1));
}

}  // namespace utrace::kit
