// Masks and report_quiesce: bits set in it count for the event that it announces (EVT-13), and who
// has QUIESCE hears of a stopped task's resumption (EVT-14).
#include "conformance/clauses/callback_scenes.h"

namespace utrace::kit {
namespace {

constexpr unsigned long kQuiesce = UTRACE_EVENT(QUIESCE);

// `engine` has QUIESCE alone and asks for the event in the callback that announces it; another
// engine, with the event, is the reason for the report.
void SetInQuiesce(What what, Puppet& puppet) {
  Occasion occasion(what, puppet);
  const unsigned long event = occasion.events();
  int result = 1;
  TestEngine other("other");
  AssertOneOf(other.AttachTid(puppet.tid()), {0});
  AssertOneOf(other.SetEvents(event), {0});
  TestEngine engine("engine");
  engine.On(What::kQuiesce, [&](Report& report) -> uint32_t {
    if (report.event == event && result == 1) result = engine.SetEvents(kQuiesce | event);
    return UTRACE_RESUME;
  });
  AssertOneOf(engine.AttachTid(puppet.tid()), {0});
  AssertOneOf(engine.SetEvents(kQuiesce), {0});
  occasion.Begin();
  engine.AwaitEnded(What::kQuiesce);
  occasion.Finish();
  EXPECT_EQ(0, result);
  // The very first callback after that report_quiesce is the event's.
  std::vector<Report> log = engine.Log();
  size_t at = 0;
  while (at < log.size() && !(log[at].what == What::kQuiesce && log[at].event == event)) ++at;
  if (at + 1 >= log.size()) Failed("no callback after report_quiesce:\n" + Describe(log));
  EXPECT_EQ(what, log[at + 1].what) << Describe(log);
}

// Whether this callback is what a resumption brings to engines with QUIESCE.
bool TellsOfResumption(const Report& report) {
  if (report.what == What::kQuiesce) return report.event == 0;
  return report.what == What::kSignal && !report.has_orig_ka;
}

int Resumptions(const TestEngine& engine) {
  int count = 0;
  for (const Report& report : engine.Log()) count += TellsOfResumption(report) ? 1 : 0;
  return count;
}

// Lets the spinning puppet finish: it is in user mode again by then.
void EndSpin(Puppet& puppet) {
  puppet.StopSpin();
  puppet.Finish();
}

}  // namespace

// ---- EVT-13 ------------------------------------------------------------------------------------

CLAUSE_TEST(EVT_13, SyscallEntrySetInQuiesce) { SetInQuiesce(What::kSyscallEntry, Spawn()); }
CLAUSE_TEST(EVT_13, SyscallExitSetInQuiesce) { SetInQuiesce(What::kSyscallExit, Spawn()); }
CLAUSE_TEST(EVT_13, CloneSetInQuiesce) { SetInQuiesce(What::kClone, Spawn()); }
CLAUSE_TEST(EVT_13, ExecSetInQuiesce) { SetInQuiesce(What::kExec, Spawn()); }
CLAUSE_TEST(EVT_13, ExitSetInQuiesce) { SetInQuiesce(What::kExit, Spawn()); }

CLAUSE_TEST(EVT_13, JctlSetInQuiesce) {
  Puppet& puppet = Spawn();
  TestEngine other("other");
  ASSERT_EQ(0, other.AttachTid(puppet.tid()));
  ASSERT_EQ(0, other.SetEvents(UTRACE_EVENT(JCTL)));
  int result = 1;
  TestEngine engine("engine");
  engine.On(What::kQuiesce, [&](Report& report) -> uint32_t {
    if (report.event == UTRACE_EVENT(JCTL) && result == 1) {
      result = engine.SetEvents(kQuiesce | UTRACE_EVENT(JCTL));
    }
    return UTRACE_RESUME;
  });
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kQuiesce));
  puppet.Kill(SIGTSTP);
  engine.AwaitEnded(What::kJctl);
  EXPECT_EQ(0, result);
  EXPECT_EQ(CLD_STOPPED, engine.Log(What::kJctl)[0].jctl_type);
  puppet.Kill(SIGCONT);
  puppet.Call(SYS_getppid);
}

CLAUSE_TEST(EVT_13, SetByAnotherEnginesQuiesce) {
  Puppet& puppet = Spawn();
  int result = 1;
  TestEngine engine("engine");
  TestEngine sets("sets");
  sets.On(What::kQuiesce, [&](Report& report) -> uint32_t {
    if (report.event == UTRACE_EVENT(CLONE)) result = engine.SetEvents(UTRACE_EVENT(CLONE));
    return UTRACE_RESUME;
  });
  ASSERT_EQ(0, sets.AttachTid(puppet.tid()));
  ASSERT_EQ(0, sets.SetEvents(kQuiesce | UTRACE_EVENT(CLONE)));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  puppet.Fork();
  EXPECT_EQ(0, result);
  EXPECT_EQ(1, engine.Count(What::kClone));
}

// ---- EVT-14 ------------------------------------------------------------------------------------

CLAUSE_TEST(EVT_14, QuiesceSetByTheHolderWhileStopped) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  puppet.BeginSpin();
  puppet.AwaitSpinning();
  engine.StopAndWait();
  ASSERT_EQ(0, Resumptions(engine));
  ASSERT_EQ(0, engine.SetEvents(kQuiesce));
  EXPECT_EQ(0, Resumptions(engine));
  ASSERT_EQ(0, engine.Control(UTRACE_RESUME));
  EndSpin(puppet);
  EXPECT_EQ(1, Resumptions(engine)) << Describe(engine.Log());
}

CLAUSE_TEST(EVT_14, QuiesceSetByAnEngineThatHoldsNothing) {
  Puppet& puppet = Spawn();
  TestEngine holder("holder");
  TestEngine engine("engine");
  ASSERT_EQ(0, holder.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  puppet.BeginSpin();
  puppet.AwaitSpinning();
  holder.StopAndWait();
  ASSERT_EQ(0, engine.SetEvents(kQuiesce));
  ASSERT_EQ(0, holder.Control(UTRACE_RESUME));
  EndSpin(puppet);
  EXPECT_LE(1, Resumptions(engine)) << Describe(engine.Log());
  EXPECT_EQ(0, Resumptions(holder)) << Describe(holder.Log());
}

CLAUSE_TEST(EVT_14, WhenTheHolderLeaves) {
  Puppet& puppet = Spawn();
  TestEngine holder("holder");
  TestEngine engine("engine");
  ASSERT_EQ(0, holder.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  puppet.BeginSpin();
  puppet.AwaitSpinning();
  holder.StopAndWait();
  ASSERT_EQ(0, engine.SetEvents(kQuiesce));
  ASSERT_EQ(0, holder.Control(UTRACE_DETACH));
  EndSpin(puppet);
  EXPECT_LE(1, Resumptions(engine)) << Describe(engine.Log());
}

CLAUSE_TEST(EVT_14, OnAnEngineThatCameWhileStopped) {
  Puppet& puppet = Spawn();
  TestEngine holder("holder");
  ASSERT_EQ(0, holder.AttachTid(puppet.tid()));
  puppet.BeginSpin();
  puppet.AwaitSpinning();
  holder.StopAndWait();
  TestEngine engine("engine");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kQuiesce));
  ASSERT_EQ(0, holder.Control(UTRACE_RESUME));
  EndSpin(puppet);
  EXPECT_LE(1, Resumptions(engine)) << Describe(engine.Log());
}

CLAUSE_TEST(EVT_14, WhenQuiesceWasThereBefore) {
  Puppet& puppet = Spawn();
  TestEngine holder("holder");
  TestEngine engine("engine");
  ASSERT_EQ(0, holder.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kQuiesce));
  puppet.BeginSpin();
  puppet.AwaitSpinning();
  holder.StopAndWait();
  const int before = Resumptions(engine);
  ASSERT_EQ(0, holder.Control(UTRACE_RESUME));
  EndSpin(puppet);
  EXPECT_LE(before + 1, Resumptions(engine)) << Describe(engine.Log());
}

CLAUSE_TEST(EVT_14, AtEveryResumption) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  puppet.BeginSpin();
  for (int i = 0; i < 5; ++i) {
    puppet.AwaitSpinning();
    ASSERT_EQ(0, engine.SetEvents(0));
    engine.StopAndWait();
    const int before = Resumptions(engine);
    ASSERT_EQ(0, engine.SetEvents(kQuiesce));
    ASSERT_EQ(0, engine.Control(UTRACE_RESUME));
    puppet.AwaitSpinning();
    ASSERT_LE(before + 1, Resumptions(engine)) << "stop " << i << "\n" << Describe(engine.Log());
  }
  EndSpin(puppet);
}

// The callback can decide on the resumption, so it has to come before user mode.
CLAUSE_TEST(EVT_14, ItComesBeforeAnyUserInstruction) {
  Puppet& puppet = Spawn();
  Gate gate("the callback at the resumption");
  TestEngine engine;
  const auto wait = [&](Report& report) -> uint32_t {
    if (TellsOfResumption(report)) gate.Wait();
    return PassThrough(report);
  };
  engine.On(What::kQuiesce, wait);
  engine.On(What::kSignal, wait);
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  puppet.BeginSpin();
  puppet.AwaitSpinning();
  engine.StopAndWait();
  ASSERT_EQ(0, engine.SetEvents(kQuiesce));
  const uint64_t spins = puppet.SpinCount();
  ASSERT_EQ(0, engine.Control(UTRACE_RESUME));
  gate.AwaitArrival();
  EXPECT_EQ(spins, puppet.SpinCount());
  gate.Open();
  EndSpin(puppet);
}

CLAUSE_TEST(EVT_14, AfterAStopAtSyscallEntry) {
  Puppet& puppet = Spawn();
  HeldCallback held(What::kSyscallEntry, puppet, 0, UTRACE_STOP);
  held.Begin();
  held.Open();
  ASSERT_EQ(0, held.engine().Barrier());
  utrace_examiner examiner = {};
  ASSERT_EQ(0, held.engine().Prepare(&examiner));
  ASSERT_EQ(0, held.engine().SetEvents(kQuiesce));
  ASSERT_EQ(0, held.engine().Control(UTRACE_RESUME));
  puppet.Finish();
  EXPECT_LE(1, Resumptions(held.engine())) << Describe(held.engine().Log());
}

CLAUSE_TEST(EVT_14, WhenBlockedInACallThatIsRestarted) {
  Puppet& puppet = Spawn();
  TestEngine holder("holder");
  TestEngine engine("engine");
  ASSERT_EQ(0, holder.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  puppet.BeginRead();
  puppet.AwaitBlocked();
  holder.HoldNow();
  ASSERT_EQ(0, engine.SetEvents(kQuiesce));
  ASSERT_EQ(0, holder.Control(UTRACE_RESUME));
  EXPECT_TRUE(engine.TryAwaitLog([](const auto& log) {
    for (const Report& report : log) {
      if (TellsOfResumption(report)) return true;
    }
    return false;
  }));
  puppet.Feed();
  EXPECT_EQ(1, puppet.Finish());
}

}  // namespace utrace::kit
