// KIL-*: SIGKILL comes before anything that engines want.
#include <atomic>

#include "conformance/clauses/birth_scenes.h"
#include "conformance/kit/machine.h"

namespace utrace::kit {
namespace {

constexpr unsigned long kQuiesce = UTRACE_EVENT(QUIESCE);
constexpr unsigned long kEnd = UTRACE_EVENT(DEATH) | UTRACE_EVENT(REAP);

// Whether the log has no callback that a task could only make on its way to user mode, or there.
void ExpectOnlyDying(const std::vector<Report>& log, uint64_t since) {
  for (const Report& report : log) {
    if (report.begin < since) continue;
    const bool dying =
        report.what == What::kExit || report.what == What::kDeath || report.what == What::kReap ||
        (report.what == What::kQuiesce &&
         (report.event == UTRACE_EVENT(EXIT) || report.event == UTRACE_EVENT(DEATH)));
    EXPECT_TRUE(dying) << Describe(report);
  }
}

}  // namespace

// ---- KIL-01 ------------------------------------------------------------------------------------

CLAUSE_TEST(KIL_01, WakesFromAStopInUserMode) {
  for (const unsigned long events : {kEnd, UTRACE_EVENT_ALL}) {
    Puppet& puppet = Spawn();
    TestEngine engine("A");
    ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine.SetEvents(events));
    StartSpinning(puppet);
    engine.StopAndWait();
    const uint64_t spins = puppet.SpinCount();
    const uint64_t since = NextSequence();
    puppet.Kill(SIGKILL);
    EXPECT_EQ(SIGKILL, nanny().Wait(puppet.pid()).status);
    EXPECT_EQ(spins, puppet.SpinCount());
    engine.AwaitEnded(What::kReap);
    ExpectOnlyDying(engine.Log(), since);
  }
}

CLAUSE_TEST(KIL_01, WakesFromAStopReturnedFromEachCallback) {
  struct Scene {
    What what;
    unsigned long event;
  };
  for (const Scene scene :
       {Scene{What::kSyscallEntry, UTRACE_EVENT(SYSCALL_ENTRY)},
        Scene{What::kSyscallExit, UTRACE_EVENT(SYSCALL_EXIT)},
        Scene{What::kClone, UTRACE_EVENT(CLONE)}, Scene{What::kExec, UTRACE_EVENT(EXEC)},
        Scene{What::kSignal, UTRACE_EVENT(SIGNAL)}}) {
    SCOPED_TRACE(WhatName(scene.what));
    Puppet& puppet = Spawn();
    puppet.Sigaction(SIGUSR1, Disposition::kHandler);
    TestEngine engine("A");
    const bool call = scene.what == What::kSyscallEntry || scene.what == What::kSyscallExit;
    engine.On(scene.what, call ? AtMarker(UTRACE_STOP) : Answer(UTRACE_STOP));
    ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine.SetEvents(scene.event | kEnd));
    if (call) puppet.Begin(kMarker);
    if (scene.what == What::kClone) puppet.BeginFork();
    if (scene.what == What::kExec) puppet.BeginExec();
    if (scene.what == What::kSignal) puppet.BeginRaise(SIGUSR1);
    AwaitHeld(engine);
    puppet.Kill(SIGKILL);
    EXPECT_EQ(SIGKILL, nanny().Wait(puppet.pid()).status);
    engine.AwaitEnded(What::kReap);
    EXPECT_EQ(0U, puppet.HandlerRuns());
  }
}

CLAUSE_TEST(KIL_01, ImpliedByGroupExitOfAnotherThread) {
  Puppet& puppet = Spawn();
  PuppetThread& thread = puppet.SpawnThread();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kEnd));
  StartSpinning(puppet);
  engine.StopAndWait();
  const uint64_t spins = puppet.SpinCount();
  thread.BeginExitGroup(4);
  EXPECT_EQ(4 << 8, nanny().Wait(puppet.pid()).status);
  EXPECT_EQ(spins, puppet.SpinCount());
  engine.AwaitEnded(What::kReap);
}

CLAUSE_TEST(KIL_01, ImpliedByExecOfAnotherThread) {
  Puppet& puppet = Spawn();
  PuppetThread& thread = puppet.SpawnThread();
  PuppetThread& third = puppet.SpawnThread();
  TestEngine engine("A");
  TestEngine other("B");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, other.AttachTid(third.tid()));
  ASSERT_EQ(0, engine.SetEvents(kEnd));
  ASSERT_EQ(0, other.SetEvents(kEnd));
  StartSpinning(puppet);
  engine.StopAndWait();
  StartSpinning(third);
  other.StopAndWait();
  const uint64_t spins = puppet.SpinCount();
  const uint64_t third_spins = third.SpinCount();
  thread.Exec();
  engine.AwaitEnded(What::kReap);
  other.AwaitEnded(What::kReap);
  EXPECT_EQ(spins, puppet.SpinCount());
  EXPECT_EQ(third_spins, third.SpinCount());
  EXPECT_EQ(nanny().pid(), thread.Call(kMarker));
}

CLAUSE_TEST(KIL_01, WakesANewbornThatIsHeld) {
  Puppet& puppet = Spawn();
  TestEngine held("C");
  TestEngine engine("A");
  engine.On(What::kClone, [&](Report& report) -> uint32_t {
    EXPECT_EQ(0, held.Attach(report.child));
    EXPECT_EQ(0, held.SetEvents(kEnd));
    ExpectOneOf(held.Control(UTRACE_STOP), {0, -EINPROGRESS});
    return UTRACE_RESUME;
  });
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(CLONE)));
  puppet.BeginFork();
  const long child = puppet.Finish();
  AwaitHeld(held);
  EXPECT_EQ(0, puppet.Call(SYS_kill, child, SIGKILL));
  held.AwaitEnded(What::kDeath);
  EXPECT_EQ(child, puppet.Call(SYS_wait4, child, 0, 0, 0));
  held.AwaitEnded(What::kReap);
}

// ---- KIL-02 ------------------------------------------------------------------------------------

CLAUSE_TEST(KIL_02, ManyEnginesThatAllSayStop) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  std::vector<std::unique_ptr<TestEngine>> engines;
  for (int i = 0; i < 100; ++i) {
    engines.push_back(std::make_unique<TestEngine>("E"));
    TestEngine& engine = *engines.back();
    for (const What what : {What::kQuiesce, What::kSyscallEntry, What::kSyscallExit, What::kSignal,
                            What::kExit, What::kDeath, What::kJctl}) {
      engine.On(what, Answer(UTRACE_STOP));
    }
    ASSERT_EQ(0, engine.Attach(task));
    ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT_ALL));
  }
  ExpectOneOf(engines[0]->Control(UTRACE_STOP), {0, -EINPROGRESS});
  puppet.Begin(kMarker);
  AwaitHeld(*engines[0]);
  puppet.Kill(SIGKILL);
  EXPECT_EQ(SIGKILL, nanny().Wait(puppet.pid()).status);
  for (const auto& engine : engines) engine->AwaitEnded(What::kReap);
}

CLAUSE_TEST(KIL_02, ARunningCallbackIsNotAborted) {
  Puppet& puppet = Spawn();
  Gate gate;
  std::atomic<bool> through{false};
  TestEngine engine("A");
  engine.On(What::kSyscallEntry, [&](Report& report) -> uint32_t {
    if (!IsMarker(report)) return PassThrough(report);
    gate.Wait();
    through = true;
    return WithResume(report, UTRACE_STOP);
  });
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT_SYSCALL | kEnd));
  puppet.Begin(kMarker);
  gate.AwaitArrival();
  puppet.Kill(SIGKILL);
  EXPECT_EQ(0, engine.Count(What::kDeath));
  gate.Open();
  engine.AwaitEnded(What::kDeath);
  EXPECT_TRUE(through);
  EXPECT_EQ(0, engine.overlaps());
  EXPECT_EQ(SIGKILL, nanny().Wait(puppet.pid()).status);
}

CLAUSE_TEST(KIL_02, StopReturnedAfterTheKillHoldsNothing) {
  for (const What what : {What::kSyscallExit, What::kSyscallEntry}) {
    Puppet& puppet = Spawn();
    Gate gate;
    TestEngine a("A");
    TestEngine b("B");
    a.On(what, WaitAt(gate, UTRACE_STOP));
    b.On(what, AtMarker(UTRACE_STOP));
    for (TestEngine* engine : {&a, &b}) {
      ASSERT_EQ(0, engine->AttachTid(puppet.tid()));
      ASSERT_EQ(0, engine->SetEvents(UTRACE_EVENT_SYSCALL | kQuiesce | kEnd));
    }
    puppet.Begin(kMarker);
    gate.AwaitArrival();
    puppet.Kill(SIGKILL);
    gate.Open();
    EXPECT_EQ(SIGKILL, nanny().Wait(puppet.pid()).status);
    a.AwaitEnded(What::kReap);
    b.AwaitEnded(What::kReap);
  }
}

// ---- KIL-03 ------------------------------------------------------------------------------------

CLAUSE_TEST(KIL_03, DeathAndReapAreReported) {
  for (int scene = 0; scene < 4; ++scene) {
    SCOPED_TRACE(scene);
    Puppet& puppet = Spawn();
    TestEngine engine("A");
    ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine.SetEvents(kEnd | UTRACE_EVENT(EXIT)));
    if (scene == 1) puppet.BeginRead();
    if (scene >= 2) StartSpinning(puppet);
    if (scene == 3) engine.StopAndWait();
    puppet.Kill(SIGKILL);
    engine.AwaitEnded(What::kDeath);
    EXPECT_EQ(0, engine.Count(What::kReap));
    EXPECT_EQ(SIGKILL, nanny().Wait(puppet.pid()).status);
    engine.AwaitEnded(What::kReap);
    EXPECT_EQ(1, engine.Count(What::kDeath));
    EXPECT_EQ(1, engine.Count(What::kReap));
    const std::vector<Report> exits = engine.Log(What::kExit);
    EXPECT_GE(1U, exits.size());
    EXPECT_LE(Declares("LIM-01") ? 0U : 1U, exits.size());
    for (const Report& report : exits) EXPECT_EQ(SIGKILL, report.orig_code);
  }
}

CLAUSE_TEST(KIL_03, OfEveryThread) {
  Puppet& puppet = Spawn();
  std::vector<PuppetThread*> threads = {&puppet, &puppet.SpawnThread(), &puppet.SpawnThread()};
  std::vector<std::unique_ptr<TestEngine>> engines;
  for (PuppetThread* thread : threads) {
    engines.push_back(std::make_unique<TestEngine>("T"));
    ASSERT_EQ(0, engines.back()->AttachTid(thread->tid()));
    ASSERT_EQ(0, engines.back()->SetEvents(kEnd));
    StartSpinning(*thread);
    engines.back()->StopAndWait();
  }
  puppet.Kill(SIGKILL);
  EXPECT_EQ(SIGKILL, nanny().Wait(puppet.pid()).status);
  for (const auto& engine : engines) {
    engine->AwaitEnded(What::kReap);
    ExpectLog(engine->Log(), {What::kDeath, What::kReap});
  }
}

// ---- KIL-04 ------------------------------------------------------------------------------------

CLAUSE_TEST(KIL_04, NoOtherPendingSignalComesFirst) {
  for (const int signo : {SIGUSR1, SIGTERM, SIGSTOP, SIGCONT, SIGHUP}) {
    SCOPED_TRACE(signo);
    Puppet& puppet = Spawn();
    puppet.Sigaction(SIGUSR1, Disposition::kHandler);
    TestEngine engine("A");
    ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT_ALL & ~kQuiesce));
    StartSpinning(puppet);
    engine.StopAndWait();
    const uint64_t since = NextSequence();
    puppet.Tgkill(signo);
    puppet.Kill(SIGKILL);
    EXPECT_EQ(SIGKILL, nanny().Wait(puppet.pid()).status);
    engine.AwaitEnded(What::kReap);
    ExpectOnlyDying(engine.Log(), since);
    EXPECT_EQ(0U, puppet.HandlerRuns());
  }
}

CLAUSE_TEST(KIL_04, AfterAStopInASystemCallNoExitIsReported) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.On(What::kSyscallEntry, AtMarker(UTRACE_STOP));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT_SYSCALL | UTRACE_EVENT_SIGNAL_ALL | kEnd));
  puppet.Begin(kMarker);
  AwaitHeld(engine);
  const uint64_t since = NextSequence();
  puppet.Tgkill(SIGTERM);
  puppet.Kill(SIGKILL);
  EXPECT_EQ(SIGKILL, nanny().Wait(puppet.pid()).status);
  engine.AwaitEnded(What::kReap);
  ExpectOnlyDying(engine.Log(), since);
}

// ---- KIL-05 ------------------------------------------------------------------------------------

CLAUSE_TEST(KIL_05, EditsAfterTheKillReachNothingOrFail) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kEnd));
  StartSpinning(puppet);
  engine.StopAndWait();
  utrace_examiner examiner = {};
  ASSERT_EQ(0, engine.Prepare(&examiner));
  std::vector<unsigned char> regs(ThisMachine().general_size);
  ASSERT_EQ(0, api().utrace_regset_get(engine.task(), 0, 0, regs.size(), regs.data()));
  const uint64_t spins = puppet.SpinCount();
  puppet.Kill(SIGKILL);
  engine.AwaitEnded(What::kDeath);
  ExpectOneOf(api().utrace_regset_set(engine.task(), 0, 0, regs.size(), regs.data()),
              {-ESRCH, -EINVAL});
  uint64_t pc = 0x1234;
  ExpectOneOf(api().utrace_get_pc(engine.task(), &pc), {-ESRCH, -EINVAL});
  EXPECT_EQ(0x1234U, pc);
  ExpectOneOf(engine.Finish(&examiner), {-ESRCH, -EAGAIN, -EINVAL});
  EXPECT_EQ(spins, puppet.SpinCount());
}

CLAUSE_TEST(KIL_05, WhileEditsGoOn) {
  for (int round = 0; round < 40; ++round) {
    Puppet& puppet = Spawn();
    TestEngine engine("A");
    ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine.SetEvents(kEnd));
    StartSpinning(puppet);
    engine.StopAndWait();
    utrace_examiner examiner = {};
    ASSERT_EQ(0, engine.Prepare(&examiner));
    std::vector<unsigned char> regs(ThisMachine().general_size);
    ASSERT_EQ(0, api().utrace_regset_get(engine.task(), 0, 0, regs.size(), regs.data()));
    const uint64_t spins = puppet.SpinCount();
    Thread killer([&] {
      for (int i = 0; i < round % 8; ++i) Yield();
      puppet.Kill(SIGKILL);
    });
    int result = 0;
    for (int edit = 0; edit < 100000 && result == 0; ++edit) {
      result = api().utrace_regset_set(engine.task(), 0, 0, regs.size(), regs.data());
    }
    killer.Join();
    ExpectOneOf(result, {-ESRCH, -EINVAL});
    engine.AwaitEnded(What::kDeath);
    EXPECT_EQ(spins, puppet.SpinCount());
    nanny().Wait(puppet.pid());
  }
}

// An edit that failed has shown that the task woke: finish knows that too.
CLAUSE_TEST(EXM_07, NotZeroAfterAnEditFoundTheTaskKilled) {
  for (int round = 0; round < 40; ++round) {
    Puppet& puppet = Spawn();
    TestEngine engine("A");
    ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine.SetEvents(kEnd));
    StartSpinning(puppet);
    engine.StopAndWait();
    utrace_examiner examiner = {};
    ASSERT_EQ(0, engine.Prepare(&examiner));
    std::vector<unsigned char> regs(ThisMachine().general_size);
    ASSERT_EQ(0, api().utrace_regset_get(engine.task(), 0, 0, regs.size(), regs.data()));
    Thread killer([&] {
      for (int i = 0; i < round % 8; ++i) Yield();
      puppet.Kill(SIGKILL);
    });
    int result = 0;
    for (int edit = 0; edit < 100000 && result == 0; ++edit) {
      result = api().utrace_regset_set(engine.task(), 0, 0, regs.size(), regs.data());
    }
    const int finished = engine.Finish(&examiner);
    killer.Join();
    EXPECT_NE(0, result);
    ExpectOneOf(finished, {-ESRCH, -EAGAIN, -EINVAL});
    nanny().Wait(puppet.pid());
  }
}

// ---- KIL-06 ------------------------------------------------------------------------------------

CLAUSE_TEST(KIL_06, StopFromExitDoesNotHoldTheKilled) {
  for (const unsigned long events : {UTRACE_EVENT(EXIT) | kEnd, UTRACE_EVENT_ALL}) {
    Puppet& puppet = Spawn();
    TestEngine a("A");
    TestEngine b("B");
    for (TestEngine* engine : {&a, &b}) {
      engine->On(What::kExit, Answer(UTRACE_STOP));
      ASSERT_EQ(0, engine->AttachTid(puppet.tid()));
      ASSERT_EQ(0, engine->SetEvents(events));
    }
    puppet.Kill(SIGKILL);
    EXPECT_EQ(SIGKILL, nanny().Wait(puppet.pid()).status);
    a.AwaitEnded(What::kReap);
    b.AwaitEnded(What::kReap);
  }
}

CLAUSE_TEST(KIL_06, NorControlStopWhileItExits) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.On(What::kExit, [&](Report&) -> uint32_t {
    ExpectOneOf(engine.Control(UTRACE_STOP), {0, -EINPROGRESS, -ESRCH});
    return UTRACE_STOP;
  });
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(EXIT) | kEnd));
  puppet.Kill(SIGKILL);
  EXPECT_EQ(SIGKILL, nanny().Wait(puppet.pid()).status);
  engine.AwaitEnded(What::kReap);
}

CLAUSE_TEST(KIL_06, OneThatIsHeldAtItsExitIsWoken) {
  // A thread: of a process that exits as a whole the kernel drops SIGKILL, as it is dying anyway.
  Puppet& puppet = Spawn();
  PuppetThread& thread = puppet.SpawnThread();
  TestEngine engine("A");
  engine.On(What::kExit, Answer(UTRACE_STOP));
  ASSERT_EQ(0, engine.AttachTid(thread.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(EXIT) | kEnd));
  thread.BeginExit(7);
  AwaitHeld(engine);
  puppet.Kill(SIGKILL);
  engine.AwaitEnded(What::kReap);
  EXPECT_EQ(1, engine.Count(What::kDeath));
  EXPECT_EQ(SIGKILL, nanny().Wait(puppet.pid()).status);
}

}  // namespace utrace::kit
