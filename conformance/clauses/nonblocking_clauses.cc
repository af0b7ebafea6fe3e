// That utrace_control and utrace_set_events never block [API-11].
#include "conformance/clauses/lifetime_scenes.h"

namespace utrace::kit {
namespace {

constexpr unsigned long kEntry = UTRACE_EVENT(SYSCALL_ENTRY);

}  // namespace

class MayNotBlock : public ClauseTest {
 protected:
  // Every control action and changes of the mask, DETACH last. Their results are other clauses'
  // business.
  static long CallAll(TestEngine& engine) {
    const unsigned long all = UTRACE_EVENT_ALL;
    for (const unsigned long events : {all, 0UL, all & ~UTRACE_EVENT(QUIESCE), all}) {
      engine.SetEvents(events);
    }
    for (const auto action : {UTRACE_STOP, UTRACE_RESUME, UTRACE_REPORT, UTRACE_INTERRUPT,
                              UTRACE_SINGLESTEP, UTRACE_BLOCKSTEP, UTRACE_RESUME, UTRACE_STOP}) {
      engine.Control(action);
    }
    engine.SetEvents(0);
    engine.Control(UTRACE_DETACH);
    return 0;
  }

  // That all those calls come back while the test holds something back. The time limit is shorter
  // than that of what is held back, so that it is this one that fails.
  static void ExpectReturns(TestEngine& engine) {
    // The trap of a step, if the task gets to make it, is not to end the program.
    engine.On(What::kSignal, [](Report&) -> uint32_t {
      return static_cast<uint32_t>(UTRACE_SIGNAL_IGN) | UTRACE_RESUME;
    });
    Controller calls("set_events and control", [&] { return CallAll(engine); });
    ExpectFinishes(calls);
  }
  static void ExpectFinishes(Controller& calls) {
    long result = 0;
    EXPECT_TRUE(calls.TryResult(&result, Deadline() / 2)) << "a call waits";
  }
};

CLAUSE_TEST_OF(MayNotBlock, API_11, WhileACallbackOfTheEngineRuns) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  Gate gate;
  TestEngine engine;
  engine.On(What::kSyscallEntry, [&](Report& report) -> uint32_t {
    if (report.syscall == kMarker) gate.Wait();
    return PassThrough(report);
  });
  ASSERT_EQ(0, engine.Attach(task));
  ASSERT_EQ(0, engine.SetEvents(kEntry));
  puppet.Begin(kMarker);
  gate.AwaitArrival();
  ExpectReturns(engine);
  gate.Open();
  puppet.Finish();
}

CLAUSE_TEST_OF(MayNotBlock, API_11, WhileACallbackOfAnotherEngineRuns) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  Gate gate;
  TestEngine other("other");
  TestEngine engine;
  other.On(What::kSyscallEntry, [&](Report& report) -> uint32_t {
    if (report.syscall == kMarker) gate.Wait();
    return PassThrough(report);
  });
  ASSERT_EQ(0, other.Attach(task));
  ASSERT_EQ(0, engine.Attach(task));
  ASSERT_EQ(0, other.SetEvents(kEntry));
  puppet.Begin(kMarker);
  gate.AwaitArrival();
  ExpectReturns(engine);
  gate.Open();
  puppet.Finish();
}

// STOP and REPORT wait for the call's end, but not their callers.
CLAUSE_TEST_OF(MayNotBlock, API_11, WhileTheTaskIsBlockedInACall) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  ASSERT_EQ(0, engine.Attach(Task(puppet)));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(QUIESCE)));
  puppet.BeginRead();
  puppet.AwaitBlocked();
  Controller calls("set_events and control", [&]() -> long {
    engine.Control(UTRACE_STOP);
    engine.Control(UTRACE_RESUME);
    engine.Control(UTRACE_REPORT);
    engine.SetEvents(UTRACE_EVENT_ALL);
    engine.Control(UTRACE_STOP);
    engine.Control(UTRACE_DETACH);
    return 0;
  });
  ExpectFinishes(calls);
  puppet.Feed();
  EXPECT_EQ(1, puppet.Finish());
}

CLAUSE_TEST_OF(MayNotBlock, API_11, WhileTheTaskSpins) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  ASSERT_EQ(0, engine.Attach(Task(puppet)));
  puppet.BeginSpin();
  puppet.AwaitSpinning();
  ExpectReturns(engine);
  puppet.AwaitSpinning();
  puppet.StopSpin();
  puppet.Finish();
}

CLAUSE_TEST_OF(MayNotBlock, API_11, WhileTheTaskIsStopped) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  TestEngine holder("holder");
  TestEngine engine;
  ASSERT_EQ(0, holder.Attach(task));
  ASSERT_EQ(0, engine.Attach(task));
  holder.HoldNow();
  ExpectReturns(engine);
  ASSERT_EQ(0, holder.Control(UTRACE_RESUME));
  EXPECT_EQ(puppet.pid(), puppet.Call(SYS_getpid));
}

CLAUSE_TEST_OF(MayNotBlock, API_11, WhileTheTaskIsInAJobControlStop) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  TestEngine watcher("watcher");
  TestEngine engine;
  ASSERT_EQ(0, watcher.Attach(task));
  ASSERT_EQ(0, engine.Attach(task));
  ASSERT_EQ(0, watcher.SetEvents(UTRACE_EVENT(JCTL)));
  puppet.Kill(SIGSTOP);
  watcher.AwaitEnded(What::kJctl);
  ExpectReturns(engine);
  puppet.Kill(SIGCONT);
  EXPECT_EQ(puppet.pid(), puppet.Call(SYS_getpid));
}

CLAUSE_TEST_OF(MayNotBlock, API_11, WhileTheDeathIsReported) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  Gate gate;
  TestEngine engine;
  TestEngine other("other");
  engine.On(What::kDeath, [&](Report&) -> uint32_t {
    gate.Wait();
    return UTRACE_RESUME;
  });
  for (TestEngine* each : {&engine, &other}) ASSERT_EQ(0, each->Attach(task));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(DEATH)));
  puppet.BeginExitGroup();
  gate.AwaitArrival();
  ExpectReturns(engine);
  ExpectReturns(other);
}

CLAUSE_TEST_OF(MayNotBlock, API_11, WhileTheReapIsReported) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  Gate gate;
  TestEngine engine;
  TestEngine other("other");
  engine.On(What::kReap, [&](Report&) -> uint32_t {
    gate.Wait();
    return 0;
  });
  for (TestEngine* each : {&engine, &other}) ASSERT_EQ(0, each->Attach(task));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(REAP)));
  ExitAndReap(puppet);
  gate.AwaitArrival();
  ExpectReturns(engine);
  ExpectReturns(other);
}

CLAUSE_TEST_OF(MayNotBlock, API_11, FromTheEnginesOwnCallback) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  engine.On(What::kSyscallEntry, [&](Report& report) -> uint32_t {
    if (report.syscall == kMarker) CallAll(engine);
    return PassThrough(report);
  });
  ASSERT_EQ(0, engine.Attach(Task(puppet)));
  ASSERT_EQ(0, engine.SetEvents(kEntry));
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
}

// A barrier waits for the callback; who waits there must not keep others out.
CLAUSE_TEST_OF(MayNotBlock, API_11, WhileABarrierWaits) {
  Puppet& puppet = Spawn();
  Gate gate;
  TestEngine engine;
  engine.On(What::kSyscallEntry, [&](Report& report) -> uint32_t {
    if (report.syscall == kMarker) gate.Wait();
    return PassThrough(report);
  });
  ASSERT_EQ(0, engine.Attach(Task(puppet)));
  ASSERT_EQ(0, engine.SetEvents(kEntry));
  puppet.Begin(kMarker);
  gate.AwaitArrival();
  Controller barrier("barrier", [&] { return engine.Barrier(); });
  barrier.AwaitBlocked();
  ExpectReturns(engine);
  gate.Open();
  ExpectOneOf(barrier.Result(), {0, -ESRCH});
  puppet.Finish();
}

// Two tasks whose callbacks deal with each other's engine: if either call waited for the other
// task's callback, both would wait for ever.
CLAUSE_TEST(API_11, FromTwoTasksCallbacksCrosswise) {
  constexpr long kCalls = 200;
  Puppet& one = Spawn("one");
  Puppet& two = Spawn("two");
  TestEngine a("a");
  TestEngine b("b");
  for (TestEngine* engine : {&a, &b}) engine->KeepLog(false);
  const auto meddle = [](TestEngine& other) {
    return [&other](Report& report) -> uint32_t {
      if (report.syscall != kMarker) return PassThrough(report);
      ExpectOneOf(other.SetEvents(UTRACE_EVENT_SYSCALL), {0});
      ExpectOneOf(other.SetEvents(kEntry), {0, -EINPROGRESS});
      ExpectOneOf(other.Control(UTRACE_STOP), {0, -EINPROGRESS});
      ExpectOneOf(other.Control(UTRACE_RESUME), {0});
      return PassThrough(report);
    };
  };
  a.On(What::kSyscallEntry, meddle(b));
  b.On(What::kSyscallEntry, meddle(a));
  ASSERT_EQ(0, a.Attach(Task(one)));
  ASSERT_EQ(0, b.Attach(Task(two)));
  ASSERT_EQ(0, a.SetEvents(kEntry));
  ASSERT_EQ(0, b.SetEvents(kEntry));
  one.BeginRepeat(kMarker, kCalls);
  two.BeginRepeat(kMarker, kCalls);
  EXPECT_EQ(nanny().pid(), one.Finish());
  EXPECT_EQ(nanny().pid(), two.Finish());
  EXPECT_LE(kCalls, a.Count(What::kSyscallEntry));
  EXPECT_LE(kCalls, b.Count(What::kSyscallEntry));
}

}  // namespace utrace::kit
