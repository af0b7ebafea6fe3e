// EXE-*: a new program in a task.
#include <atomic>
#include <set>

#include "conformance/clauses/birth_scenes.h"
#include "conformance/kit/machine.h"

namespace utrace::kit {
namespace {

constexpr unsigned long kQuiesce = UTRACE_EVENT(QUIESCE);
constexpr unsigned long kEnd = UTRACE_EVENT(DEATH) | UTRACE_EVENT(REAP);

}  // namespace

// ---- EXE-01 ------------------------------------------------------------------------------------

CLAUSE_TEST(EXE_01, OnceAtTheNewProgramsEntry) {
  Puppet& puppet = Spawn();
  std::atomic<uint64_t> pc{0};
  TestEngine engine("A");
  engine.On(What::kExec, [&](Report& report) -> uint32_t {
    pc = ProgramCounter(report.task);
    return UTRACE_RESUME;
  });
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(EXEC)));
  puppet.Exec();
  const std::vector<Report> log = engine.Log(What::kExec);
  ASSERT_EQ(1U, log.size());
  EXPECT_EQ(puppet.addresses().entry, pc);
  EXPECT_EQ(puppet.addresses().entry, log[0].program_entry);
  EXPECT_EQ(puppet.tid(), log[0].tid);
  EXPECT_EQ(puppet.tid(), log[0].former_tid);
  EXPECT_NE(nullptr, log[0].regs);
  // A hosted one's name is its own.
  const std::string path = TheTarget() == nullptr ? PuppetPath() : log[0].program_path;
  EXPECT_NE("", path);
  const std::string base = path.substr(path.rfind('/') + 1);
  ASSERT_LE(base.size(), log[0].program_path.size());
  EXPECT_EQ(base, log[0].program_path.substr(log[0].program_path.size() - base.size()));
}

CLAUSE_TEST(EXE_01, AfterTheCallSucceededAndBeforeTheProgramsFirstCall) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(EXEC) | UTRACE_EVENT(SYSCALL_ENTRY)));
  puppet.Exec();
  const Report exec = engine.Log(What::kExec).at(0);
  bool entered = false;
  int later = 0;
  for (const Report& report : engine.Log(What::kSyscallEntry)) {
    if (report.syscall == SYS_execve || report.syscall == SYS_execveat) {
      entered = true;
      EXPECT_LT(report.end, exec.begin);
    } else if (entered) {
      ++later;
      EXPECT_LT(exec.end, report.begin);
    }
  }
  EXPECT_TRUE(entered);
  EXPECT_LT(0, later);
}

CLAUSE_TEST(EXE_01, StopHoldsItAtTheEntry) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.On(What::kExec, Answer(UTRACE_STOP));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(EXEC)));
  puppet.BeginExec();
  AwaitHeld(engine);
  EXPECT_EQ(puppet.addresses().entry, ProgramCounter(engine.task()));
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  puppet.FinishExec();
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
}

namespace {

// The general registers of a task, which can be changed by their positions.
struct GeneralRegisters {
  explicit GeneralRegisters(utrace_task* of) : task(of), bytes(ThisMachine().general_size) {
    EXPECT_EQ(0, api().utrace_regset_get(task, 0, 0, bytes.size(), bytes.data()));
  }
  uint64_t Get(size_t position) const {
    uint64_t value = 0;
    memcpy(&value, &bytes[position], sizeof(value));
    return value;
  }
  void Set(size_t position, uint64_t value) { memcpy(&bytes[position], &value, sizeof(value)); }
  void Store() { EXPECT_EQ(0, api().utrace_regset_set(task, 0, 0, bytes.size(), bytes.data())); }

  utrace_task* task;
  std::vector<unsigned char> bytes;
};

}  // namespace

CLAUSE_TEST(EXE_01, ItsRegistersCanBeChanged) {
  Needs("registers");
  Puppet& puppet = Spawn();
  const Machine& machine = ThisMachine();
  std::optional<GeneralRegisters> seen;
  TestEngine engine("A");
  engine.On(What::kExec, [&](Report& report) -> uint32_t {
    // A loop that looks into memory which the new program does not have: it faults there.
    GeneralRegisters regs(report.task);
    regs.Set(machine.pc, puppet.addresses().registers_spin);
    regs.Set(machine.general[1], 0x1234567890abcdef);
    regs.Set(machine.general[14], 4711);
    regs.Set(machine.general[machine.first_argument], 42);
    regs.Store();
    return UTRACE_RESUME;
  });
  engine.On(What::kSignal, [&](Report& report) -> uint32_t {
    seen.emplace(report.task);
    return PassThrough(report);
  });
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(EXEC) | UTRACE_EVENT(SIGNAL_CORE)));
  puppet.BeginExec();
  EXPECT_EQ(SIGSEGV, nanny().Wait(puppet.pid()).status & 0x7f);
  ASSERT_TRUE(seen);
  EXPECT_LE(puppet.addresses().registers_spin, seen->Get(machine.pc));
  EXPECT_GT(puppet.addresses().registers_spin_end, seen->Get(machine.pc));
  EXPECT_EQ(0x1234567890abcdefU, seen->Get(machine.general[1]));
  EXPECT_EQ(4711U, seen->Get(machine.general[14]));
  EXPECT_EQ(42U, seen->Get(machine.general[machine.first_argument]));
}

CLAUSE_TEST(EXE_01, ItsWholeRegisterSetCanBeChanged) {
  Needs("registers");
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.On(What::kExec, [&](Report& report) -> uint32_t {
    // The new program begins with exit_group(42).
    const Machine& machine = ThisMachine();
    GeneralRegisters regs(report.task);
    regs.Set(machine.pc, puppet.addresses().registers_syscall);
    regs.Set(machine.general[machine.call_number], SYS_exit_group);
    regs.Set(machine.general[machine.first_argument], 42);
    regs.Store();
    return UTRACE_RESUME;
  });
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(EXEC)));
  puppet.BeginExec();
  const WaitResult wait = nanny().Wait(puppet.pid());
  EXPECT_EQ(puppet.pid(), wait.result);
  EXPECT_EQ(42 << 8, wait.status);
}

// ---- EXE-02 ------------------------------------------------------------------------------------

CLAUSE_TEST(EXE_02, AFailedExecveIsNotReported) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(EXEC) | kQuiesce));
  EXPECT_EQ(-ENOENT, puppet.FailingExec());
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  for (const Report& report : engine.Log()) {
    EXPECT_NE(What::kExec, report.what);
    EXPECT_NE(UTRACE_EVENT(EXEC), report.event);
  }
  puppet.Exec();
  EXPECT_EQ(1, engine.Count(What::kExec));
}

// Broken by: an implementation that takes the call for the exec.
CLAUSE_TEST(EXE_02, NorWhereTheCallIsReported) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(EXEC) | UTRACE_EVENT_SYSCALL));
  EXPECT_EQ(-ENOENT, puppet.FailingExec());
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  EXPECT_EQ(0, engine.Count(What::kExec)) << Describe(engine.Log());
  EXPECT_EQ(1, engine.CountSyscall(What::kSyscallExit, SYS_execve) +
                   engine.CountSyscall(What::kSyscallExit, SYS_execveat))
      << Describe(engine.Log());
  puppet.Exec();
  EXPECT_EQ(1, engine.Count(What::kExec)) << Describe(engine.Log());
}

// ---- EXE-03 ------------------------------------------------------------------------------------

CLAUSE_TEST(EXE_03, EnginesStayInOrderWithTheirMasks) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  for (TestEngine* engine : {&a, &b}) {
    ASSERT_EQ(0, engine->AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine->SetEvents(UTRACE_EVENT(SYSCALL_EXIT) | kEnd));
  }
  // Nobody asks for the exec itself.
  puppet.Exec();
  for (TestEngine* engine : {&a, &b}) {
    const EngineRef found =
        AttachTask(engine->task(), UTRACE_ATTACH_MATCH_DATA, nullptr, engine->data());
    EXPECT_EQ(engine->get(), found.get());
    EXPECT_EQ(0, engine->Count(What::kDeath) + engine->Count(What::kReap));
  }
  TaskRef again = Task(puppet);
  EXPECT_EQ(a.task(), again.get());
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  EXPECT_EQ("AB", Order(What::kSyscallExit, kMarker));
  EXPECT_EQ(0, a.releases() + b.releases());
}

// Broken by: an exec that is an end to whoever hears of it.
CLAUSE_TEST(EXE_03, WhereTheExecIsReportedToo) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  constexpr unsigned long kEvents = UTRACE_EVENT(EXEC) | UTRACE_EVENT(SYSCALL_EXIT) | kEnd;
  for (TestEngine* engine : {&a, &b}) {
    ASSERT_EQ(0, engine->AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine->SetEvents(kEvents));
  }
  for (int round = 1; round <= 2; ++round) {
    puppet.Exec();
    for (TestEngine* engine : {&a, &b}) {
      EXPECT_EQ(round, engine->Count(What::kExec));
      EXPECT_EQ(kEvents, engine->get()->flags & UTRACE_EVENT_ALL);
      EXPECT_TRUE(IsAttached(*engine));
    }
  }
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  EXPECT_EQ("AB", Order(What::kSyscallExit, kMarker));
  EXPECT_EQ(0, a.Count(What::kDeath) + b.Count(What::kDeath));
  EXPECT_EQ(0, a.releases() + b.releases());
}

// ---- EXE-04 ------------------------------------------------------------------------------------

CLAUSE_TEST(EXE_04, TheThreadTakesTheLeadersPlace) {
  Puppet& puppet = Spawn();
  PuppetThread& thread = puppet.SpawnThread();
  PuppetThread& other = puppet.SpawnThread();
  const pid_t leader_tid = puppet.tid();
  const pid_t thread_tid = thread.tid();
  TestEngine t("T");
  TestEngine l("L");
  TestEngine o("O");
  ASSERT_EQ(0, t.AttachTid(thread.tid()));
  ASSERT_EQ(0, l.AttachTid(puppet.tid()));
  ASSERT_EQ(0, o.AttachTid(other.tid()));
  for (TestEngine* engine : {&t, &l, &o}) {
    ASSERT_EQ(0, engine->SetEvents(UTRACE_EVENT(EXEC) | UTRACE_EVENT(SYSCALL_EXIT) | kEnd));
  }
  thread.Exec();
  l.AwaitEnded(What::kReap);
  o.AwaitEnded(What::kReap);
  // The thread's engine: the same task under another number.
  const std::vector<Report> exec = t.Log(What::kExec);
  ASSERT_EQ(1U, exec.size());
  EXPECT_EQ(t.task(), exec[0].task);
  EXPECT_EQ(leader_tid, exec[0].tid);
  EXPECT_EQ(thread_tid, exec[0].former_tid);
  EXPECT_EQ(leader_tid, api().utrace_task_tid(t.task()));
  EXPECT_EQ(leader_tid, thread.tid());
  TaskRef found = FindTask(leader_tid);
  EXPECT_EQ(t.task(), found.get());
  EXPECT_EQ(0, t.Count(What::kDeath) + t.Count(What::kReap));
  EXPECT_TRUE(IsAttached(t));
  EXPECT_EQ(nanny().pid(), thread.Call(kMarker));
  EXPECT_EQ(1, t.CountSyscall(What::kSyscallExit, kMarker));
  // The others': death, then reap, once each, and no exec.
  for (TestEngine* engine : {&l, &o}) {
    EXPECT_EQ(0, engine->Count(What::kExec));
    EXPECT_EQ(1, engine->Count(What::kDeath));
    EXPECT_EQ(1, engine->Count(What::kReap));
    EXPECT_FALSE(engine->Log(What::kDeath).at(0).group_dead);
    EXPECT_EQ(-ESRCH, engine->Control(UTRACE_RESUME));
    EXPECT_EQ(-ESRCH, engine->SetEvents(0));
    EXPECT_NE(t.task(), engine->task());
  }
}

CLAUSE_TEST(EXE_04, WithOnlyTheThreadTraced) {
  Puppet& puppet = Spawn();
  PuppetThread& thread = puppet.SpawnThread();
  TestEngine t("T");
  ASSERT_EQ(0, t.AttachTid(thread.tid()));
  ASSERT_EQ(0, t.SetEvents(UTRACE_EVENT(SYSCALL_EXIT) | kEnd));
  thread.Exec();
  EXPECT_EQ(puppet.pid(), api().utrace_task_tid(t.task()));
  EXPECT_EQ(nanny().pid(), thread.Call(kMarker));
  EXPECT_EQ(1, t.CountSyscall(What::kSyscallExit, kMarker)) << Describe(t.Log());
  EXPECT_EQ(0, t.Count(What::kDeath) + t.Count(What::kReap));
  thread.Kill(SIGKILL);
  nanny().Wait(puppet.pid());
  t.AwaitEnded(What::kReap);
  EXPECT_EQ(1, t.Count(What::kDeath));
}

CLAUSE_TEST(EXE_04, WithOnlyTheLeaderTraced) {
  Puppet& puppet = Spawn();
  PuppetThread& thread = puppet.SpawnThread();
  TestEngine l("L");
  ASSERT_EQ(0, l.AttachTid(puppet.tid()));
  ASSERT_EQ(0, l.SetEvents(UTRACE_EVENT(EXEC) | UTRACE_EVENT_SYSCALL | kEnd));
  thread.Exec();
  l.AwaitEnded(What::kReap);
  EXPECT_EQ(1, l.Count(What::kDeath));
  EXPECT_EQ(0, l.Count(What::kExec));
  EXPECT_EQ(nanny().pid(), thread.Call(kMarker));
  EXPECT_EQ(0, l.CountSyscall(What::kSyscallEntry, kMarker));
  // Nobody traces the task that has the number now.
  TaskRef task = FindTask(puppet.pid());
  EXPECT_NE(l.task(), task.get());
  EXPECT_EQ(-ENOENT, AttachTask(task, 0, nullptr, nullptr).error());
}

CLAUSE_TEST(EXE_04, AHandleOfTheLeaderDoesNotComeToNameTheThread) {
  Puppet& puppet = Spawn();
  PuppetThread& thread = puppet.SpawnThread();
  PidRef thread_pid = Pid(thread);
  TestEngine t("T");
  TestEngine l("L");
  ASSERT_EQ(0, t.AttachTid(thread.tid()));
  ASSERT_EQ(0, l.AttachTid(puppet.tid()));
  ASSERT_EQ(0, t.SetEvents(kEnd));
  ASSERT_EQ(0, l.SetEvents(kEnd));
  thread.Exec();
  l.AwaitEnded(What::kReap);
  EXPECT_EQ(-ESRCH, AttachTask(l.task(), UTRACE_ATTACH_CREATE, OpsTable().get(), nullptr).error());
  EXPECT_TRUE(IsAttached(t));
  EXPECT_EQ(0, t.Control(UTRACE_RESUME));
}

CLAUSE_TEST(EXE_04, TheThreadCanBeHeldAtItsNewEntry) {
  Puppet& puppet = Spawn();
  PuppetThread& thread = puppet.SpawnThread();
  TestEngine t("T");
  TestEngine l("L");
  t.On(What::kExec, Answer(UTRACE_STOP));
  ASSERT_EQ(0, t.AttachTid(thread.tid()));
  ASSERT_EQ(0, l.AttachTid(puppet.tid()));
  ASSERT_EQ(0, t.SetEvents(UTRACE_EVENT(EXEC)));
  ASSERT_EQ(0, l.SetEvents(kEnd));
  thread.BeginExec();
  AwaitHeld(t);
  EXPECT_EQ(thread.addresses().entry, ProgramCounter(t.task()));
  EXPECT_EQ(0, t.Control(UTRACE_RESUME));
  thread.FinishExec();
  l.AwaitEnded(What::kReap);
  EXPECT_EQ(nanny().pid(), thread.Call(kMarker));
}

CLAUSE_TEST(EXE_04, ManyTimesInARow) {
  Puppet& puppet = Spawn();
  PuppetThread* current = &puppet;
  std::vector<std::unique_ptr<TestEngine>> engines;
  engines.push_back(std::make_unique<TestEngine>("0"));
  ASSERT_EQ(0, engines[0]->AttachTid(puppet.tid()));
  ASSERT_EQ(0, engines[0]->SetEvents(UTRACE_EVENT(EXEC) | UTRACE_EVENT(SYSCALL_EXIT) | kEnd));
  for (int round = 1; round <= 20; ++round) {
    PuppetThread& thread = current->SpawnThread();
    engines.push_back(std::make_unique<TestEngine>(std::to_string(round)));
    TestEngine& engine = *engines.back();
    ASSERT_EQ(0, engine.AttachTid(thread.tid()));
    ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(EXEC) | UTRACE_EVENT(SYSCALL_EXIT) | kEnd));
    thread.Exec();
    engines[engines.size() - 2]->AwaitEnded(What::kReap);
    EXPECT_EQ(1, engine.Count(What::kExec));
    EXPECT_EQ(nanny().pid(), thread.Call(kMarker));
    EXPECT_EQ(1, engine.CountSyscall(What::kSyscallExit, kMarker));
    current = &thread;
  }
  for (size_t i = 0; i + 1 < engines.size(); ++i) {
    EXPECT_EQ(1, engines[i]->Count(What::kDeath));
    EXPECT_EQ(1, engines[i]->Count(What::kReap));
  }
}

}  // namespace utrace::kit
