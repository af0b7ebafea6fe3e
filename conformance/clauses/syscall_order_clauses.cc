// SYS-10, SYS-11: entries and exits alternate; none is lost, none doubled.
#include <memory>

#include "conformance/clauses/control_scenes.h"

namespace utrace::kit {
namespace {

constexpr unsigned long kCalls = UTRACE_EVENT_SYSCALL;

void AttachWith(TestEngine& engine, const PuppetThread& puppet, unsigned long events) {
  AssertOneOf(engine.AttachTid(puppet.tid()), {0});
  AssertOneOf(engine.SetEvents(events), {0});
}

// From an entry on, entry and exit of the same call alternate. What was in progress when the
// events were enabled may show its exit first.
void ExpectAlternating(const TestEngine& engine) {
  const Report* open = nullptr;
  bool first = true;
  const std::vector<Report> log = engine.Log();
  for (const Report& report : log) {
    if (report.what == What::kSyscallEntry) {
      EXPECT_EQ(nullptr, open) << "two entries:\n" << Describe(log);
      open = &report;
    } else if (report.what == What::kSyscallExit) {
      EXPECT_TRUE(open != nullptr || first) << "an exit without an entry:\n" << Describe(log);
      if (open != nullptr) {
        // rt_sigreturn brings back registers that are in no call.
        const bool returned = open->syscall == SYS_rt_sigreturn && report.syscall == -1;
        EXPECT_TRUE(returned || open->syscall == report.syscall) << Describe(log);
      }
      open = nullptr;
    } else {
      continue;
    }
    first = false;
  }
}

}  // namespace

// ---- SYS-10 ------------------------------------------------------------------------------------

CLAUSE_TEST(SYS_10, ForEveryKindOfCall) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine engine("A");
  AttachWith(engine, puppet, kCalls);
  puppet.Repeat(kMarker, 20);
  puppet.Call(SYS_close, -1);
  puppet.Call(9999);
  puppet.Raise(SIGUSR1);
  puppet.ForkBurst(3);
  puppet.ThreadBurst(3);
  puppet.FailingExec();
  puppet.BeginRead();
  puppet.AwaitBlocked();
  puppet.Feed();
  puppet.Finish();
  ExpectAlternating(engine);
  EXPECT_EQ(1, engine.CountSyscall(What::kSyscallEntry, 9999));
  EXPECT_EQ(1, engine.CountSyscall(What::kSyscallExit, 9999));
}

CLAUSE_TEST(SYS_10, WhenASignalInterruptsTheCall) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine engine("A");
  AttachWith(engine, puppet, kCalls);
  puppet.BeginRead();
  puppet.AwaitBlocked();
  puppet.Tgkill(SIGUSR1);
  EXPECT_EQ(-EINTR, puppet.Finish());
  ExpectAlternating(engine);
  EXPECT_EQ(1, engine.CountSyscall(What::kSyscallEntry, SYS_read));
  EXPECT_EQ(1, engine.CountSyscall(What::kSyscallExit, SYS_read));
  // The handler's own way back is a call as well.
  EXPECT_EQ(1, engine.CountSyscall(What::kSyscallEntry, SYS_rt_sigreturn));
}

CLAUSE_TEST(SYS_10, ANewbornStartsWithNeither) {
  Puppet& puppet = Spawn();
  TestEngine child_engine("child");
  TestEngine engine("A");
  engine.On(What::kClone, [&](Report& report) -> uint32_t {
    EXPECT_EQ(0, child_engine.Attach(report.child));
    EXPECT_EQ(0, child_engine.SetEvents(kCalls));
    return UTRACE_RESUME;
  });
  AttachWith(engine, puppet, UTRACE_EVENT(CLONE));
  Puppet& child = puppet.Fork();
  EXPECT_EQ(child.pid(), child.Call(SYS_getpid));
  const std::vector<Report> log = child_engine.Log();
  ASSERT_FALSE(log.empty());
  // Its first is an entry: fork's own exit in the child is no event of its own.
  EXPECT_EQ(What::kSyscallEntry, log[0].what) << Describe(log);
  ExpectAlternating(child_engine);
}

CLAUSE_TEST(SYS_10, ExecMayComeBetweenButTheNextIsAnEntry) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  AttachWith(engine, puppet, kCalls | UTRACE_EVENT(EXEC));
  puppet.Exec();
  ExpectOneOf(puppet.Call(SYS_getpid), {puppet.pid()});
  const std::vector<Report> log = engine.Log();
  // Since the exec: an exit of execve at most, then entries and exits in turn.
  auto report = std::find_if(log.begin(), log.end(),
                             [](const Report& each) { return each.what == What::kExec; });
  ASSERT_NE(log.end(), report);
  ++report;
  if (report != log.end() && report->what == What::kSyscallExit) ++report;
  bool open = false;
  for (; report != log.end(); ++report) {
    EXPECT_EQ(open ? What::kSyscallExit : What::kSyscallEntry, report->what) << Describe(log);
    open = report->what == What::kSyscallEntry;
  }
}

CLAUSE_TEST(SYS_10, ExitHasAnEntryAndNoExit) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  AttachWith(engine, puppet, kCalls | UTRACE_EVENT(REAP));
  puppet.BeginExitGroup(0);
  puppet.AwaitDeath();
  nanny().Wait(puppet.pid());
  engine.AwaitEnded(What::kReap);
  EXPECT_EQ(1, engine.CountSyscall(What::kSyscallEntry, SYS_exit_group));
  EXPECT_EQ(0, engine.CountSyscall(What::kSyscallExit, SYS_exit_group));
  ExpectAlternating(engine);
}

// ---- SYS-11 ------------------------------------------------------------------------------------

CLAUSE_TEST(SYS_11, EveryCallOnce) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  AttachWith(engine, puppet, kCalls);
  constexpr int kCount = 1000;
  puppet.Repeat(kMarker, kCount);
  EXPECT_EQ(kCount, engine.CountSyscall(What::kSyscallEntry, kMarker));
  EXPECT_EQ(kCount, engine.CountSyscall(What::kSyscallExit, kMarker));
  ExpectAlternating(engine);
}

// Broken by: an exit that is reported by its result.
CLAUSE_TEST(SYS_11, FailingCallsToo) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  AttachWith(engine, puppet, kCalls);
  constexpr int kCount = 50;
  EXPECT_EQ(-EBADF, puppet.Repeat(SYS_close, kCount, -1));
  EXPECT_EQ(kCount, engine.CountSyscall(What::kSyscallEntry, SYS_close));
  EXPECT_EQ(kCount, engine.CountSyscall(What::kSyscallExit, SYS_close));
  ExpectAlternating(engine);
}

CLAUSE_TEST(SYS_11, InSeveralTasksAtOnce) {
  std::vector<Puppet*> puppets;
  std::vector<std::unique_ptr<TestEngine>> engines;
  constexpr int kCount = 300;
  for (int i = 0; i < 4; ++i) {
    puppets.push_back(&Spawn());
    engines.push_back(std::make_unique<TestEngine>());
    AttachWith(*engines.back(), *puppets.back(), kCalls);
  }
  for (Puppet* puppet : puppets) puppet->BeginRepeat(kMarker, kCount);
  for (Puppet* puppet : puppets) puppet->Finish();
  for (const auto& engine : engines) {
    EXPECT_EQ(kCount, engine->CountSyscall(What::kSyscallEntry, kMarker));
    EXPECT_EQ(kCount, engine->CountSyscall(What::kSyscallExit, kMarker));
    ExpectAlternating(*engine);
  }
}

CLAUSE_TEST(SYS_11, InSeveralThreadsOfOneProcess) {
  Puppet& puppet = Spawn();
  PuppetThread& other = puppet.SpawnThread();
  TestEngine a("A");
  TestEngine b("B");
  AttachWith(a, puppet, kCalls);
  AttachWith(b, other, kCalls);
  constexpr int kCount = 300;
  puppet.BeginRepeat(kMarker, kCount);
  other.BeginRepeat(kMarker, kCount);
  puppet.Finish();
  other.Finish();
  for (TestEngine* engine : {&a, &b}) {
    EXPECT_EQ(kCount, engine->CountSyscall(What::kSyscallEntry, kMarker));
    EXPECT_EQ(kCount, engine->CountSyscall(What::kSyscallExit, kMarker));
    ExpectAlternating(*engine);
  }
}

// Stops and resumptions, signals and reports in between lose and double nothing.
CLAUSE_TEST(SYS_11, StressUnderStopsReportsAndSignals) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler, SA_RESTART);
  TestEngine engine("A");
  TestEngine other("B");
  AttachWith(engine, puppet, kCalls | UTRACE_EVENT(QUIESCE));
  AttachWith(other, puppet, UTRACE_EVENT(QUIESCE) | UTRACE_EVENT(SIGNAL));
  constexpr int kCount = 200;
  puppet.BeginRepeat(kMarker, kCount);
  for (int i = 0; i < 200 && !puppet.Finished(); ++i) {
    switch (i % 4) {
      case 0:
        ExpectOneOf(other.Control(UTRACE_STOP), {0, -EINPROGRESS});
        EXPECT_EQ(0, other.Control(UTRACE_RESUME));
        break;
      case 1:
        EXPECT_EQ(0, other.Control(UTRACE_REPORT));
        break;
      case 2:
        EXPECT_EQ(0, other.Control(UTRACE_INTERRUPT));
        break;
      default:
        puppet.Tgkill(SIGUSR1);
        break;
    }
    Yield();
  }
  EXPECT_EQ(nanny().pid(), puppet.Finish());
  int entries = 0;
  for (const Report& report : engine.Log(What::kSyscallEntry)) {
    const bool again = (report.action & UTRACE_SYSCALL_RESUMED) != 0;
    entries += report.syscall == kMarker && !again ? 1 : 0;
  }
  EXPECT_EQ(kCount, entries);
  EXPECT_EQ(kCount, engine.CountSyscall(What::kSyscallExit, kMarker));
}

// A call in progress when the events are enabled: its exit may be reported, the next call is whole.
CLAUSE_TEST(SYS_11, EnabledInTheMiddleOfACall) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  puppet.BeginRead();
  puppet.AwaitBlocked();
  AttachWith(engine, puppet, kCalls);
  puppet.Feed();
  EXPECT_EQ(1, puppet.Finish());
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  EXPECT_EQ(1, engine.CountSyscall(What::kSyscallEntry, kMarker));
  EXPECT_EQ(1, engine.CountSyscall(What::kSyscallExit, kMarker));
  EXPECT_LE(engine.CountSyscall(What::kSyscallExit, SYS_read), 1);
}

// Enabling it for a task that runs in user mode holds for its next call.
CLAUSE_TEST(SYS_11, EnabledWhileInUserMode) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  for (int round = 1; round <= 5; ++round) {
    StartSpinning(puppet);
    ASSERT_EQ(0, engine.SetEvents(kCalls));
    ExpectRuns(puppet);
    EXPECT_EQ(round, engine.CountSyscall(What::kSyscallEntry, kMarker));
    EXPECT_EQ(round, engine.CountSyscall(What::kSyscallExit, kMarker));
    puppet.AwaitIdle();
    ExpectOneOf(engine.SetEvents(0), {0, -EINPROGRESS});
  }
}

}  // namespace utrace::kit
