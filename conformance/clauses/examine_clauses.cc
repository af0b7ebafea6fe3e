// prepare_examine: whom it serves, whom it refuses, and what it makes possible.
#include <stddef.h>

#include "conformance/clauses/callback_scenes.h"
#include "conformance/kit/machine.h"

namespace utrace::kit {
namespace {

// Both calls on the current task, by an engine that holds nothing.
void ExamineInCallback(What what, Puppet& puppet) {
  int prepared = -1;
  int finished = -1;
  InCallback(what, puppet, 0, [&](TestEngine& engine, Report&) {
    utrace_examiner examiner = {};
    prepared = engine.Prepare(&examiner);
    finished = engine.Finish(&examiner);
  });
  EXPECT_EQ(0, prepared) << WhatName(what);
  EXPECT_EQ(0, finished) << WhatName(what);
}

void Spin(Puppet& puppet) {
  puppet.BeginSpin();
  puppet.AwaitSpinning();
}

void EndSpin(Puppet& puppet) {
  puppet.StopSpin();
  puppet.Finish();
}

}  // namespace

// ---- EXM-01 ------------------------------------------------------------------------------------

CLAUSE_TEST(EXM_01, InReportQuiesce) { ExamineInCallback(What::kQuiesce, Spawn()); }
CLAUSE_TEST(EXM_01, InReportSignal) { ExamineInCallback(What::kSignal, Spawn()); }
CLAUSE_TEST(EXM_01, InReportClone) { ExamineInCallback(What::kClone, Spawn()); }
CLAUSE_TEST(EXM_01, InReportJctl) { ExamineInCallback(What::kJctl, Spawn()); }
CLAUSE_TEST(EXM_01, InReportExec) { ExamineInCallback(What::kExec, Spawn()); }
CLAUSE_TEST(EXM_01, InSyscallEntry) { ExamineInCallback(What::kSyscallEntry, Spawn()); }
CLAUSE_TEST(EXM_01, InSyscallExit) { ExamineInCallback(What::kSyscallExit, Spawn()); }
CLAUSE_TEST(EXM_01, InReportExit) { ExamineInCallback(What::kExit, Spawn()); }

CLAUSE_TEST(EXM_01, ByAnotherEngineOfTheTask) {
  Puppet& puppet = Spawn();
  TestEngine other("other");
  ASSERT_EQ(0, other.AttachTid(puppet.tid()));
  int prepared = -1;
  int finished = -1;
  InCallback(What::kSyscallEntry, puppet, 0, [&](TestEngine&, Report&) {
    utrace_examiner examiner = {};
    prepared = other.Prepare(&examiner);
    finished = other.Finish(&examiner);
  });
  EXPECT_EQ(0, prepared);
  EXPECT_EQ(0, finished);
}

// ---- EXM-02 ------------------------------------------------------------------------------------

CLAUSE_TEST(EXM_02, OfARunningTask) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(QUIESCE)));
  Spin(puppet);
  utrace_examiner examiner = {};
  EXPECT_EQ(-EINVAL, engine.Prepare(&examiner));
  EndSpin(puppet);
}

CLAUSE_TEST(EXM_02, AnotherEnginesStopDoesNotCount) {
  Puppet& puppet = Spawn();
  TestEngine holder("holder");
  TestEngine engine("engine");
  ASSERT_EQ(0, holder.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(QUIESCE)));
  Spin(puppet);
  holder.StopAndWait();
  utrace_examiner examiner = {};
  EXPECT_EQ(-EINVAL, engine.Prepare(&examiner));
  EXPECT_EQ(0, holder.Prepare(&examiner));
}

CLAUSE_TEST(EXM_02, AnotherEnginesStopByResultDoesNotCount) {
  Puppet& puppet = Spawn();
  TestEngine engine("engine");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(SYSCALL_ENTRY)));
  HeldCallback held(What::kSyscallEntry, puppet, 0, UTRACE_STOP);
  held.Begin();
  held.Open();
  ASSERT_EQ(0, held.engine().Barrier());
  utrace_examiner examiner = {};
  ASSERT_EQ(0, held.engine().Prepare(&examiner));
  EXPECT_EQ(-EINVAL, engine.Prepare(&examiner));
}

CLAUSE_TEST(EXM_02, AfterItLetGoAndAnotherHolds) {
  Puppet& puppet = Spawn();
  TestEngine holder("holder");
  TestEngine engine("engine");
  ASSERT_EQ(0, holder.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(QUIESCE)));
  Spin(puppet);
  holder.StopAndWait();
  for (const auto action : {UTRACE_RESUME, UTRACE_REPORT, UTRACE_INTERRUPT}) {
    ASSERT_EQ(0, engine.Control(UTRACE_STOP));
    utrace_examiner examiner = {};
    ASSERT_EQ(0, engine.Prepare(&examiner));
    ASSERT_EQ(0, engine.Control(action));
    EXPECT_EQ(-EINVAL, engine.Prepare(&examiner)) << ResumeActionName(action);
  }
}

CLAUSE_TEST(EXM_02, AJobControlStopIsNotTheEngines) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  puppet.Kill(SIGTSTP);
  ASSERT_EQ(0, nanny().WaitId(puppet.pid(), WSTOPPED).result);
  utrace_examiner examiner = {};
  EXPECT_EQ(-EINVAL, engine.Prepare(&examiner));
  puppet.Kill(SIGCONT);
  puppet.Call(SYS_getppid);
}

// ---- EXM-03 ------------------------------------------------------------------------------------

CLAUSE_TEST(EXM_03, OfADeadTaskThatTheEngineHeld) {
  Puppet& puppet = Spawn();
  TestEngine engine("engine");
  TestEngine probe("probe");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, probe.AttachTid(puppet.tid()));
  ASSERT_EQ(0, probe.SetEvents(UTRACE_EVENT(DEATH)));
  Spin(puppet);
  engine.StopAndWait();
  puppet.Kill(SIGKILL);
  probe.AwaitEnded(What::kDeath);
  utrace_examiner examiner = {};
  EXPECT_EQ(-ESRCH, engine.Prepare(&examiner));
  nanny().Wait(puppet.pid());
  EXPECT_EQ(-ESRCH, engine.Prepare(&examiner));
}

CLAUSE_TEST(EXM_03, OfADeadTaskThatNobodyHeld) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(DEATH)));
  puppet.BeginExitGroup();
  engine.AwaitEnded(What::kDeath);
  utrace_examiner examiner = {};
  // Not held either (EXM-02).
  ExpectOneOf(engine.Prepare(&examiner), {-ESRCH, -EINVAL});
}

// ---- EXM-04 ------------------------------------------------------------------------------------

CLAUSE_TEST(EXM_04, SigkillWokeTheTask) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  Spin(puppet);
  engine.StopAndWait();
  // From here on the task is on its way to death: awake or dead, and no more stopped.
  puppet.Kill(SIGKILL);
  utrace_examiner examiner = {};
  ExpectOneOf(engine.Prepare(&examiner), {-EAGAIN, -ESRCH});
}

// In its report_exit the killed task certainly lives. (An implementation may leave that report out.)
CLAUSE_TEST(EXM_04, WhileTheKilledTaskReportsItsExit) {
  Puppet& puppet = Spawn();
  Gate gate("report_exit of the killed task");
  TestEngine engine("engine");
  TestEngine probe("probe");
  probe.On(What::kExit, [&](Report& report) -> uint32_t {
    gate.Wait();
    return PassThrough(report);
  });
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, probe.AttachTid(puppet.tid()));
  ASSERT_EQ(0, probe.SetEvents(UTRACE_EVENT(EXIT) | UTRACE_EVENT(DEATH)));
  Spin(puppet);
  engine.StopAndWait();
  puppet.Kill(SIGKILL);
  ASSERT_TRUE(AwaitGlobal([](const auto& log) { return !log.empty(); }));
  if (probe.Count(What::kExit) == 1) {
    utrace_examiner examiner = {};
    EXPECT_EQ(-EAGAIN, engine.Prepare(&examiner));
  }
  gate.Open();
  probe.AwaitEnded(What::kDeath);
}

// ---- EXM-05 ------------------------------------------------------------------------------------

CLAUSE_TEST(EXM_05, RegistersCanBeRead) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  RegisterImage image = {};
  for (int i = 0; i < 15; ++i) image.general[i] = 0x1111111100000000U + i;
  puppet.BeginRegistersSpin(image);
  puppet.AwaitStarted();
  engine.StopAndWait();
  utrace_examiner examiner = {};
  ASSERT_EQ(0, engine.Prepare(&examiner));
  uint64_t pc = 0;
  uint64_t sp = 0;
  EXPECT_EQ(0, api().utrace_get_pc(engine.task(), &pc));
  EXPECT_EQ(0, api().utrace_get_sp(engine.task(), &sp));
  EXPECT_NE(0U, pc);
  EXPECT_NE(0U, sp);
  EXPECT_EQ(0, engine.Finish(&examiner));
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  puppet.ReleaseRegisters();
  puppet.FinishRegisters();
}

CLAUSE_TEST(EXM_05, RegistersCanBeReadAndWritten) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  RegisterImage image = {};
  image.general[ThisMachine().kept] = 0x1212121212121212U;
  puppet.BeginRegistersSpin(image);
  puppet.AwaitStarted();
  uint64_t pc = 0;
  utrace_examiner examiner = {};
  // It has to have come as far as the loop.
  const bool spins = PollUntil([&] {
    engine.StopAndWait();
    if (engine.Prepare(&examiner) != 0) return true;
    api().utrace_get_pc(engine.task(), &pc);
    if (pc >= puppet.addresses().registers_spin && pc < puppet.addresses().registers_spin_end) {
      return true;
    }
    engine.Control(UTRACE_RESUME);
    return false;
  });
  ASSERT_TRUE(spins);
  const size_t position = ThisMachine().general[ThisMachine().kept];
  uint64_t value = 0;
  ASSERT_EQ(0, api().utrace_regset_get(engine.task(), 0, position, sizeof(value), &value));
  EXPECT_EQ(0x1212121212121212U, value);
  value = 0x0123456789abcdefU;
  ASSERT_EQ(0, api().utrace_regset_set(engine.task(), 0, position, sizeof(value), &value));
  EXPECT_EQ(0, engine.Finish(&examiner));
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  puppet.ReleaseRegisters();
  EXPECT_EQ(0x0123456789abcdefU, puppet.FinishRegisters().general[ThisMachine().kept]);
}

CLAUSE_TEST(EXM_05, MemoryCanBeReadAndWritten) {
  Puppet& puppet = Spawn();
  const uint64_t address = puppet.addresses().memory + 40;
  puppet.PokeMemory(address, "before");
  TestEngine engine;
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  Spin(puppet);
  engine.StopAndWait();
  utrace_examiner examiner = {};
  ASSERT_EQ(0, engine.Prepare(&examiner));
  char bytes[7] = {};
  EXPECT_EQ(6, api().utrace_read_memory(engine.task(), address, bytes, 6));
  EXPECT_STREQ("before", bytes);
  EXPECT_EQ(6, api().utrace_write_memory(engine.task(), address, "after!", 6));
  EXPECT_EQ(0, engine.Finish(&examiner));
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  EndSpin(puppet);
  EXPECT_EQ("after!", puppet.PeekMemory(address, 6));
}

CLAUSE_TEST(EXM_05, ForEveryEngineThatHolds) {
  Puppet& puppet = Spawn();
  TestEngine first("first");
  TestEngine second("second");
  ASSERT_EQ(0, first.AttachTid(puppet.tid()));
  ASSERT_EQ(0, second.AttachTid(puppet.tid()));
  Spin(puppet);
  first.StopAndWait();
  ASSERT_EQ(0, second.Control(UTRACE_STOP));
  utrace_examiner examiners[2] = {};
  ASSERT_EQ(0, first.Prepare(&examiners[0]));
  ASSERT_EQ(0, second.Prepare(&examiners[1]));
  uint64_t pc = 0;
  EXPECT_EQ(0, api().utrace_get_pc(first.task(), &pc));
  EXPECT_EQ(0, first.Finish(&examiners[0]));
  EXPECT_EQ(0, api().utrace_get_pc(second.task(), &pc));
  EXPECT_EQ(0, second.Finish(&examiners[1]));
}

CLAUSE_TEST(EXM_05, AtSyscallEntryTheCallIsThere) {
  Puppet& puppet = Spawn();
  HeldCallback held(What::kSyscallEntry, puppet, 0, UTRACE_STOP);
  held.Begin();
  held.Open();
  ASSERT_EQ(0, held.engine().Barrier());
  utrace_examiner examiner = {};
  ASSERT_EQ(0, held.engine().Prepare(&examiner));
  long number = -1;
  EXPECT_EQ(0, api().utrace_syscall_number(held.engine().task(), &number));
  EXPECT_EQ(SYS_getppid, number);
  // The call that the registers then describe is the one attempted.
  EXPECT_EQ(0, api().utrace_syscall_set_number(held.engine().task(), SYS_gettid));
  EXPECT_EQ(0, held.engine().Finish(&examiner));
  EXPECT_EQ(0, held.engine().Control(UTRACE_RESUME));
  EXPECT_EQ(puppet.tid(), puppet.Finish());
}

}  // namespace utrace::kit
