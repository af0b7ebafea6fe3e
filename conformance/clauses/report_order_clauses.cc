// REP-01, REP-02, REP-03, REP-10: who is called in a report, in which order.
#include <algorithm>
#include <chrono>
#include <functional>

#include "conformance/clauses/control_scenes.h"

namespace utrace::kit {
namespace {

constexpr unsigned long kQuiesce = UTRACE_EVENT(QUIESCE);

// Three engines, attached in the order of their names.
struct Three {
  TestEngine a{"A"};
  TestEngine b{"B"};
  TestEngine c{"C"};

  std::vector<TestEngine*> all() { return {&a, &b, &c}; }
  void Attach(const PuppetThread& puppet, unsigned long events) {
    for (TestEngine* engine : all()) {
      if (engine->AttachTid(puppet.tid()) != 0) Failed("attach");
      if (engine->SetEvents(events) != 0) Failed("set_events");
    }
  }
};

}  // namespace

// ---- REP-01 ------------------------------------------------------------------------------------

CLAUSE_TEST(REP_01, SyscallExit) {
  Puppet& puppet = Spawn();
  Three three;
  three.Attach(puppet, UTRACE_EVENT(SYSCALL_EXIT));
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  EXPECT_EQ("ABC", Order(What::kSyscallExit, kMarker));
}

CLAUSE_TEST(REP_01, QuiesceOfAnEventPrecedesEachEnginesOwnCallback) {
  Puppet& puppet = Spawn();
  Three three;
  three.Attach(puppet, UTRACE_EVENT(CLONE) | kQuiesce);
  puppet.Fork();
  std::string order;
  for (const Report& report : GlobalLog()) {
    const bool quiesce = report.what == What::kQuiesce && report.event == UTRACE_EVENT(CLONE);
    if (quiesce || report.what == What::kClone) order += report.engine_name;
  }
  EXPECT_EQ("AABBCC", order);
}

CLAUSE_TEST(REP_01, QuiesceWithoutAnEvent) {
  Puppet& puppet = Spawn();
  Three three;
  three.Attach(puppet, kQuiesce);
  StartSpinning(puppet);
  EXPECT_EQ(0, three.c.Control(UTRACE_REPORT));
  AwaitUserReturns(three.c, 1);
  std::string order;
  for (const Report& report : GlobalLog()) order += report.engine_name;
  EXPECT_EQ("ABC", order) << Describe(GlobalLog());
  ExpectRuns(puppet);
}

CLAUSE_TEST(REP_01, SignalWithAndWithoutAnEvent) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  Three three;
  three.Attach(puppet, UTRACE_EVENT(SIGNAL));
  EXPECT_EQ(0, puppet.Raise(SIGUSR1));
  EXPECT_EQ("ABC", Order(What::kSignal));
  for (TestEngine* engine : three.all()) ASSERT_EQ(0, engine->SetEvents(kQuiesce));
  StartSpinning(puppet);
  EXPECT_EQ(0, three.b.Control(UTRACE_INTERRUPT));
  three.c.AwaitEnded(What::kSignal, 2);
  EXPECT_EQ("ABCABC", Order(What::kSignal));
  ExpectRuns(puppet);
}

CLAUSE_TEST(REP_01, CloneAndExec) {
  Puppet& puppet = Spawn();
  Three three;
  three.Attach(puppet, UTRACE_EVENT(CLONE) | UTRACE_EVENT(EXEC));
  puppet.Fork();
  EXPECT_EQ("ABC", Order(What::kClone));
  puppet.Exec();
  EXPECT_EQ("ABC", Order(What::kExec));
}

CLAUSE_TEST(REP_01, Jctl) {
  Puppet& puppet = Spawn();
  Three three;
  three.Attach(puppet, UTRACE_EVENT(JCTL));
  puppet.Kill(SIGSTOP);
  three.c.AwaitEnded(What::kJctl);
  EXPECT_EQ("ABC", Order(What::kJctl));
  puppet.Kill(SIGCONT);
  three.c.AwaitEnded(What::kJctl, 2);
  EXPECT_EQ("ABCABC", Order(What::kJctl));
}

CLAUSE_TEST(REP_01, ExitDeathAndReap) {
  Puppet& puppet = Spawn();
  Three three;
  three.Attach(puppet, UTRACE_EVENT(EXIT) | UTRACE_EVENT(DEATH) | UTRACE_EVENT(REAP));
  puppet.BeginExitGroup(0);
  puppet.AwaitDeath();
  EXPECT_EQ(puppet.pid(), nanny().Wait(puppet.pid()).result);
  three.c.AwaitEnded(What::kReap);
  EXPECT_EQ("ABC", Order(What::kExit));
  EXPECT_EQ("ABC", Order(What::kDeath));
  EXPECT_EQ("ABC", Order(What::kReap));
}

CLAUSE_TEST(REP_01, AttachedAgainIsLast) {
  Puppet& puppet = Spawn();
  Three three;
  three.Attach(puppet, UTRACE_EVENT(SYSCALL_EXIT));
  three.a.DetachAndWait();
  TestEngine d("D");
  ASSERT_EQ(0, d.AttachTid(puppet.tid()));
  ASSERT_EQ(0, d.SetEvents(UTRACE_EVENT(SYSCALL_EXIT)));
  // The order is that of attachment, not of enabling.
  ASSERT_EQ(0, three.b.SetEvents(0));
  ASSERT_EQ(0, three.b.SetEvents(UTRACE_EVENT(SYSCALL_EXIT)));
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  EXPECT_EQ("BCD", Order(What::kSyscallExit, kMarker));
}

// ---- REP-02 ------------------------------------------------------------------------------------

CLAUSE_TEST(REP_02, SyscallEntryIsReversed) {
  Puppet& puppet = Spawn();
  Three three;
  three.Attach(puppet, UTRACE_EVENT_SYSCALL);
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  EXPECT_EQ("CBA", Order(What::kSyscallEntry, kMarker));
  EXPECT_EQ("ABC", Order(What::kSyscallExit, kMarker));
}

CLAUSE_TEST(REP_02, ItsQuiesceCallbacksAreToo) {
  Puppet& puppet = Spawn();
  Three three;
  // B has QUIESCE alone: it is called for the others' event.
  three.Attach(puppet, kQuiesce);
  for (TestEngine* engine : {&three.a, &three.c}) {
    ASSERT_EQ(0, engine->SetEvents(UTRACE_EVENT(SYSCALL_ENTRY) | kQuiesce));
  }
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  // Of the marker's report alone: that of the call in which the puppet waited before, made again
  // because the host interrupted it, may have found only some engines there.
  const std::vector<Report> log = GlobalLog();
  const auto marker = std::find_if(log.begin(), log.end(), [](const Report& report) {
    return report.what == What::kSyscallEntry && IsMarker(report);
  });
  ASSERT_TRUE(marker != log.begin() && log.end() - marker >= 4) << Describe(log);
  ASSERT_TRUE(ExpectLog(
      {marker - 1, marker + 4},
      {What::kQuiesce, What::kSyscallEntry, What::kQuiesce, What::kQuiesce, What::kSyscallEntry}));
  std::string order;
  for (auto report = marker - 1; report != marker + 4; ++report) order += report->engine_name;
  EXPECT_EQ("CCBAA", order);
}

CLAUSE_TEST(REP_02, ARepeatedEntryReportIsReversedToo) {
  Puppet& puppet = Spawn();
  Three three;
  three.b.On(What::kSyscallEntry, [](Report& report) -> uint32_t {
    const bool again = IsMarker(report) && (report.action & UTRACE_SYSCALL_RESUMED) == 0;
    return WithResume(report, again ? UTRACE_REPORT : UTRACE_RESUME);
  });
  three.Attach(puppet, UTRACE_EVENT(SYSCALL_ENTRY));
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  EXPECT_EQ("CBACBA", Order(What::kSyscallEntry, kMarker));
}

// ---- REP-03 ------------------------------------------------------------------------------------

CLAUSE_TEST(REP_03, TheNextEngineWaitsForTheCallbackBefore) {
  Puppet& puppet = Spawn();
  Gate gate;
  TestEngine a("A");
  TestEngine b("B");
  a.On(What::kSyscallExit, WaitAt(gate, UTRACE_RESUME));
  for (TestEngine* engine : {&a, &b}) {
    ASSERT_EQ(0, engine->AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine->SetEvents(UTRACE_EVENT(SYSCALL_EXIT) | kQuiesce));
  }
  puppet.Begin(kMarker);
  gate.AwaitArrival();
  // Whatever is asked for meanwhile is made later.
  EXPECT_EQ(0, b.Control(UTRACE_REPORT));
  EXPECT_EQ(0, b.Control(UTRACE_INTERRUPT));
  const size_t before = b.Log().size();
  puppet.Tgkill(SIGCONT);
  EXPECT_EQ(before, b.Log().size());
  gate.Open();
  EXPECT_EQ(nanny().pid(), puppet.Finish());
  EXPECT_EQ(0, a.overlaps() + b.overlaps()) << Describe(GlobalLog());
}

CLAUSE_TEST(REP_03, ReapWaitsForDeath) {
  Puppet& puppet = Spawn();
  Gate gate;
  TestEngine a("A");
  TestEngine b("B");
  a.On(What::kDeath, WaitAt(gate, UTRACE_RESUME));
  for (TestEngine* engine : {&a, &b}) {
    ASSERT_EQ(0, engine->AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine->SetEvents(UTRACE_EVENT(DEATH) | UTRACE_EVENT(REAP)));
  }
  nanny().BeginWait(puppet.pid());
  puppet.Kill(SIGKILL);
  gate.AwaitArrival();
  // Long enough that one that comes too early shows itself; correct ones never depend on it.
  constexpr std::chrono::milliseconds kGrace(200);
  EXPECT_FALSE(b.TryAwait(What::kReap, 1, kGrace)) << Describe(GlobalLog());
  EXPECT_EQ(0, a.Count(What::kReap));
  gate.Open();
  EXPECT_EQ(puppet.pid(), nanny().FinishWait().result);
  b.AwaitEnded(What::kReap);
  EXPECT_EQ("AB", Order(What::kDeath));
  EXPECT_EQ("AB", Order(What::kReap));
  EXPECT_EQ(0, a.overlaps() + b.overlaps()) << Describe(GlobalLog());
}

CLAUSE_TEST(REP_03, UnderLoadFromAllSides) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  Three three;
  for (TestEngine* engine : three.all()) engine->KeepLog(false);
  three.Attach(puppet, kQuiesce | UTRACE_EVENT_SYSCALL | UTRACE_EVENT(SIGNAL));
  puppet.BeginRepeat(kMarker, 3000);
  for (int round = 0; !puppet.Finished() && round < 5000; ++round) {
    three.all()[static_cast<size_t>(round % 3)]->Control(round % 2 == 0 ? UTRACE_REPORT
                                                                        : UTRACE_INTERRUPT);
    if (round % 8 == 0) puppet.Tgkill(SIGUSR1);
  }
  EXPECT_EQ(nanny().pid(), puppet.Finish());
  for (TestEngine* engine : three.all()) {
    EXPECT_EQ(0, engine->overlaps());
    EXPECT_LE(3000, engine->Count(What::kSyscallExit));
  }
}

// ---- REP-10 ------------------------------------------------------------------------------------

CLAUSE_TEST(REP_10, WhoAttachesInACallbackIsNotCalledInThisReport) {
  const struct {
    What what;
    unsigned long event;
  } kReports[] = {{What::kSyscallEntry, UTRACE_EVENT(SYSCALL_ENTRY)},
                  {What::kSyscallExit, UTRACE_EVENT(SYSCALL_EXIT)}};
  for (const auto& each : kReports) {
    Puppet& puppet = Spawn();
    TestEngine late("L");
    TestEngine a("A");
    a.On(each.what, [&](Report& report) -> uint32_t {
      if (IsMarker(report) && late.get() == nullptr) {
        EXPECT_EQ(0, late.Attach(report.task));
        EXPECT_EQ(0, late.SetEvents(each.event | kQuiesce));
      }
      return PassThrough(report);
    });
    ASSERT_EQ(0, a.AttachTid(puppet.tid()));
    ASSERT_EQ(0, a.SetEvents(each.event));
    EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
    EXPECT_EQ(0, late.CountSyscall(each.what, kMarker)) << Describe(GlobalLog());
    EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
    EXPECT_EQ(1, late.CountSyscall(each.what, kMarker)) << Describe(GlobalLog());
    a.DetachAndWait();
  }
}

CLAUSE_TEST(REP_10, WhoAttachesFromElsewhereIsNotEither) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  Gate gate;
  TestEngine a("A");
  TestEngine b("B");
  TestEngine late("L");
  a.On(What::kSyscallExit, WaitAt(gate, UTRACE_RESUME));
  for (TestEngine* engine : {&a, &b}) {
    ASSERT_EQ(0, engine->Attach(task));
    ASSERT_EQ(0, engine->SetEvents(UTRACE_EVENT(SYSCALL_EXIT)));
  }
  puppet.Begin(kMarker);
  gate.AwaitArrival();
  ASSERT_EQ(0, late.Attach(task));
  ASSERT_EQ(0, late.SetEvents(UTRACE_EVENT(SYSCALL_EXIT) | kQuiesce));
  gate.Open();
  EXPECT_EQ(nanny().pid(), puppet.Finish());
  EXPECT_EQ("AB", Order(What::kSyscallExit, kMarker));
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  EXPECT_EQ("ABABL", Order(What::kSyscallExit, kMarker));
}

CLAUSE_TEST(REP_10, WhoIsDetachedMeanwhileIsNotCalled) {
  Puppet& puppet = Spawn();
  Three three;
  three.a.On(What::kSyscallExit, [&](Report& report) -> uint32_t {
    if (IsMarker(report) && IsAttached(three.b)) {
      EXPECT_EQ(0, three.b.Control(UTRACE_DETACH));
    }
    return UTRACE_RESUME;
  });
  three.Attach(puppet, UTRACE_EVENT(SYSCALL_EXIT) | kQuiesce);
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  EXPECT_EQ("AC", Order(What::kSyscallExit, kMarker));
}

CLAUSE_TEST(REP_10, ADetachDoesNotMakeTheReportSkipOthers) {
  // The list shrinks while it is walked: nobody is left out, nobody called twice.
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  std::vector<std::unique_ptr<TestEngine>> engines;
  for (int i = 0; i < 9; ++i) {
    engines.push_back(std::make_unique<TestEngine>(std::string(1, static_cast<char>('1' + i))));
    TestEngine& engine = *engines.back();
    if (i % 3 == 1) engine.On(What::kSyscallExit, AtMarker(UTRACE_DETACH));
    ASSERT_EQ(0, engine.Attach(task));
    ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(SYSCALL_EXIT)));
  }
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  EXPECT_EQ("123456789134679", Order(What::kSyscallExit, kMarker));
}

}  // namespace utrace::kit
