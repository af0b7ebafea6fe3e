// EXI-*: the report of a thread that begins to exit.
#include <atomic>

#include "conformance/clauses/birth_scenes.h"

namespace utrace::kit {
namespace {

constexpr unsigned long kExit = UTRACE_EVENT(EXIT);

}  // namespace

// ---- EXI-01 ------------------------------------------------------------------------------------

CLAUSE_TEST(EXI_01, TheWaitStatusToBe) {
  for (const bool group : {false, true}) {
    Puppet& puppet = Spawn();
    TestEngine engine("A");
    ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine.SetEvents(kExit));
    group ? puppet.BeginExitGroup(7) : puppet.BeginExit(7);
    const WaitResult wait = nanny().Wait(puppet.pid());
    const std::vector<Report> log = engine.Log(What::kExit);
    ASSERT_EQ(1U, log.size());
    EXPECT_EQ(7 << 8, log[0].orig_code);
    EXPECT_EQ(7 << 8, wait.status);
  }
}

CLAUSE_TEST(EXI_01, OfATaskThatDiesOfASignal) {
  for (const int signo : {SIGTERM, SIGUSR1, SIGSEGV, SIGABRT}) {
    SCOPED_TRACE(signo);
    Puppet& puppet = Spawn();
    TestEngine engine("A");
    ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine.SetEvents(kExit));
    puppet.Kill(signo);
    const WaitResult wait = nanny().Wait(puppet.pid());
    const std::vector<Report> log = engine.Log(What::kExit);
    ASSERT_EQ(1U, log.size());
    EXPECT_EQ(signo, log[0].orig_code & 0x7f);
    EXPECT_EQ(wait.status, log[0].orig_code);
  }
}

CLAUSE_TEST(EXI_01, OfEveryThreadOfAGroupThatEnds) {
  Puppet& puppet = Spawn();
  PuppetThread& one = puppet.SpawnThread();
  PuppetThread& two = puppet.SpawnThread();
  TestEngine a("A");
  TestEngine b("B");
  TestEngine c("C");
  ASSERT_EQ(0, a.AttachTid(puppet.tid()));
  ASSERT_EQ(0, b.AttachTid(one.tid()));
  ASSERT_EQ(0, c.AttachTid(two.tid()));
  for (TestEngine* engine : {&a, &b, &c}) ASSERT_EQ(0, engine->SetEvents(kExit));
  one.BeginExit(3);
  b.AwaitEnded(What::kExit);
  EXPECT_EQ(3 << 8, b.Log(What::kExit).at(0).orig_code);
  EXPECT_EQ(0, a.Count(What::kExit) + c.Count(What::kExit));
  two.BeginExitGroup(5);
  EXPECT_EQ(5 << 8, nanny().Wait(puppet.pid()).status);
  c.AwaitEnded(What::kExit);
  EXPECT_EQ(5 << 8, c.Log(What::kExit).at(0).orig_code);
  // The others of a group that ends are killed: LIM-01 lets their report be missing.
  EXPECT_LE(Declares("LIM-01") ? 0 : 1, a.Count(What::kExit));
  EXPECT_GE(1, a.Count(What::kExit));
}

CLAUSE_TEST(EXI_01, TheStateIsStillLive) {
  Puppet& puppet = Spawn();
  puppet.PokeMemory(puppet.addresses().memory, "still here");
  char seen[11] = {};
  char state = '?';
  uint64_t sp = 0;
  TestEngine engine("A");
  engine.On(What::kExit, [&](Report& report) -> uint32_t {
    EXPECT_EQ(10, api().utrace_read_memory(report.task, puppet.addresses().memory, seen, 10));
    EXPECT_EQ(0, api().utrace_get_sp(report.task, &sp));
    state = puppet.State();
    return UTRACE_RESUME;
  });
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kExit));
  puppet.BeginExitGroup(0);
  nanny().Wait(puppet.pid());
  EXPECT_STREQ("still here", seen);
  EXPECT_NE(0U, sp);
  EXPECT_NE('Z', state);
  EXPECT_NE('X', state);
}

CLAUSE_TEST(EXI_01, TheCodeCanBeChanged) {
  for (const bool group : {false, true}) {
    Puppet& puppet = Spawn();
    TestEngine engine("A");
    engine.On(What::kExit, [](Report& report) -> uint32_t {
      *report.code = 9 << 8;
      return UTRACE_RESUME;
    });
    ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
    // LIM-05 lets the host require the call's entry.
    ASSERT_EQ(0, engine.SetEvents(kExit | UTRACE_EVENT(SYSCALL_ENTRY)));
    group ? puppet.BeginExitGroup(7) : puppet.BeginExit(7);
    EXPECT_EQ(9 << 8, nanny().Wait(puppet.pid()).status);
  }
}

CLAUSE_TEST(EXI_01, TheCodeCanBeChangedWhateverItDiesOf) {
  SkipIfDeclared("LIM-05");
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.On(What::kExit, [](Report& report) -> uint32_t {
    *report.code = 9 << 8;
    return UTRACE_RESUME;
  });
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kExit));
  puppet.Kill(SIGTERM);
  EXPECT_EQ(9 << 8, nanny().Wait(puppet.pid()).status);
}

CLAUSE_TEST(EXI_01, TheOriginalIsTheSameForAll) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  long seen = -1;
  a.On(What::kExit, [](Report& report) -> uint32_t {
    *report.code = 9 << 8;
    return UTRACE_RESUME;
  });
  b.On(What::kExit, [&](Report& report) -> uint32_t {
    seen = *report.code;
    *report.code = 11 << 8;
    return UTRACE_RESUME;
  });
  for (TestEngine* engine : {&a, &b}) {
    ASSERT_EQ(0, engine->AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine->SetEvents(kExit | UTRACE_EVENT(SYSCALL_ENTRY)));
  }
  puppet.BeginExitGroup(7);
  EXPECT_EQ(11 << 8, nanny().Wait(puppet.pid()).status);
  EXPECT_EQ(7 << 8, a.Log(What::kExit).at(0).orig_code);
  EXPECT_EQ(7 << 8, b.Log(What::kExit).at(0).orig_code);
  EXPECT_EQ(9 << 8, seen);
}

// ---- EXI-02 ------------------------------------------------------------------------------------

CLAUSE_TEST(EXI_02, StopHoldsItSoThatItCanBeExamined) {
  for (const bool detach : {false, true}) {
    Puppet& puppet = Spawn();
    puppet.PokeMemory(puppet.addresses().memory, "still here");
    TestEngine engine("A");
    engine.On(What::kExit, Answer(UTRACE_STOP));
    ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine.SetEvents(kExit));
    puppet.BeginExitGroup(7);
    AwaitHeld(engine);
    EXPECT_FALSE(nanny().HasZombie(puppet.pid()));
    utrace_examiner examiner = {};
    ASSERT_EQ(0, engine.Prepare(&examiner));
    char seen[11] = {};
    EXPECT_EQ(10, api().utrace_read_memory(engine.task(), puppet.addresses().memory, seen, 10));
    EXPECT_STREQ("still here", seen);
    ProgramCounter(engine.task());
    EXPECT_EQ(0, engine.Finish(&examiner));
    EXPECT_EQ(0, engine.Control(detach ? UTRACE_DETACH : UTRACE_RESUME));
    EXPECT_EQ(7 << 8, nanny().Wait(puppet.pid()).status);
  }
}

CLAUSE_TEST(EXI_02, AThreadIsHeldWhileTheOthersGoOn) {
  Puppet& puppet = Spawn();
  PuppetThread& thread = puppet.SpawnThread();
  TestEngine engine("A");
  engine.On(What::kExit, Answer(UTRACE_STOP));
  ASSERT_EQ(0, engine.AttachTid(thread.tid()));
  ASSERT_EQ(0, engine.SetEvents(kExit | UTRACE_EVENT(REAP)));
  thread.BeginExit(0);
  AwaitHeld(engine);
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  EXPECT_FALSE(thread.Dead());
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  engine.AwaitEnded(What::kReap);
}

CLAUSE_TEST(EXI_02, OfATaskThatDiesOfASignal) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.On(What::kExit, Answer(UTRACE_STOP));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kExit));
  puppet.Kill(SIGTERM);
  AwaitHeld(engine);
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  EXPECT_EQ(SIGTERM, nanny().Wait(puppet.pid()).status);
}

// ---- EXI-03 ------------------------------------------------------------------------------------

CLAUSE_TEST(EXI_03, NoResultKeepsItAlive) {
  for (const uint32_t result :
       {UTRACE_INTERRUPT, UTRACE_REPORT, UTRACE_SINGLESTEP, UTRACE_RESUME, UTRACE_DETACH}) {
    SCOPED_TRACE(result);
    Puppet& puppet = Spawn();
    TestEngine engine("A");
    engine.On(What::kExit, Answer(result));
    ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine.SetEvents(kExit | UTRACE_EVENT(QUIESCE)));
    puppet.BeginExitGroup(7);
    EXPECT_EQ(7 << 8, nanny().Wait(puppet.pid()).status);
    EXPECT_EQ(0, CountUserReturns(engine.Log())) << Describe(engine.Log());
  }
}

CLAUSE_TEST(EXI_03, NoControlWhileItIsHeldKeepsItAlive) {
  for (const auto action : {UTRACE_REPORT, UTRACE_INTERRUPT, UTRACE_RESUME}) {
    SCOPED_TRACE(static_cast<int>(action));
    Puppet& puppet = Spawn();
    TestEngine engine("A");
    engine.On(What::kExit, Answer(UTRACE_STOP));
    // Whatever the text of a report that is then made may be, it does not stop it again for good.
    ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine.SetEvents(kExit | UTRACE_EVENT(QUIESCE)));
    puppet.BeginExitGroup(7);
    AwaitHeld(engine);
    EXPECT_EQ(0, engine.Control(action));
    EXPECT_EQ(7 << 8, nanny().Wait(puppet.pid()).status);
    EXPECT_EQ(1, engine.Count(What::kExit));
  }
}

CLAUSE_TEST(EXI_03, ChangedRegistersDoNotKeepItAlive) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine engine("A");
  engine.On(What::kExit, [&](Report& report) -> uint32_t {
    api().utrace_set_pc(report.task, puppet.addresses().registers_spin);
    return UTRACE_RESUME;
  });
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kExit));
  puppet.BeginExitGroup(7);
  EXPECT_EQ(7 << 8, nanny().Wait(puppet.pid()).status);
}

// Broken by: a host that makes the report at the entry of the exit call, and then makes whatever call
// the registers describe.
CLAUSE_TEST(EXI_03, AChangedCallNumberDoesNotKeepItAlive) {
  for (const bool held : {false, true}) {
    for (const bool group : {false, true}) {
      Puppet& puppet = Spawn();
      TestEngine engine("A");
      // Whether a call that is past its entry can still be changed is the implementation's affair.
      const auto change = [](utrace_task* task) { api().utrace_syscall_set_number(task, kMarker); };
      engine.On(What::kExit, [&](Report& report) -> uint32_t {
        if (held) return UTRACE_STOP;
        change(report.task);
        return UTRACE_RESUME;
      });
      ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
      ASSERT_EQ(0, engine.SetEvents(kExit | UTRACE_EVENT(SYSCALL_ENTRY)));
      group ? puppet.BeginExitGroup(7) : puppet.BeginExit(7);
      if (held) {
        AwaitHeld(engine);
        change(engine.task());
        EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
      }
      EXPECT_EQ(7 << 8, nanny().Wait(puppet.pid()).status);
      EXPECT_EQ(0, engine.CountSyscall(What::kSyscallEntry, kMarker));
    }
  }
}

CLAUSE_TEST(EXI_03, NoSystemCallIsReportedAfterIt) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT_ALL));
  puppet.BeginExitGroup(7);
  nanny().Wait(puppet.pid());
  engine.AwaitEnded(What::kReap);
  bool exited = false;
  for (const Report& report : engine.Log()) {
    if (report.what == What::kExit) {
      EXPECT_FALSE(exited);
      exited = true;
    } else if (exited) {
      const bool end = report.what == What::kDeath || report.what == What::kReap ||
                       (report.what == What::kQuiesce && report.event == UTRACE_EVENT(DEATH));
      EXPECT_TRUE(end) << Describe(report);
    }
  }
  EXPECT_TRUE(exited);
}

}  // namespace utrace::kit
