// SYS-05 to SYS-08, SYS-12: STOP at entry, and the rounds of an entry report that is repeated.
#include <sys/wait.h>

#include <cstring>

#include "conformance/clauses/control_scenes.h"

namespace utrace::kit {
namespace {

constexpr unsigned long kQuiesce = UTRACE_EVENT(QUIESCE);
constexpr unsigned long kEntry = UTRACE_EVENT(SYSCALL_ENTRY);

void AttachWith(TestEngine& engine, const PuppetThread& puppet, unsigned long events) {
  AssertOneOf(engine.AttachTid(puppet.tid()), {0});
  AssertOneOf(engine.SetEvents(events), {0});
}

// The entries of one call that were reported to an engine.
std::vector<Report> Entries(const TestEngine& engine, long nr = kMarker) {
  std::vector<Report> entries;
  for (const Report& report : engine.Log(What::kSyscallEntry)) {
    if (report.syscall == nr) entries.push_back(report);
  }
  return entries;
}

// Answers round 0, 1, ... of the marker's entry with these results, and RUN, RESUME afterwards.
void AnswerRounds(TestEngine& engine, std::vector<uint32_t> results) {
  engine.On(What::kSyscallEntry,
            [results = std::move(results), round = size_t{0}](Report& report) mutable -> uint32_t {
              if (!IsMarker(report)) return PassThrough(report);
              return round < results.size() ? results[round++] : uint32_t{UTRACE_RESUME};
            });
}

// RESUMED is set in every round but the first; each starts afresh.
void ExpectRounds(const TestEngine& engine, size_t count) {
  const std::vector<Report> entries = Entries(engine);
  ASSERT_EQ(count, entries.size()) << Describe(engine.Log());
  for (size_t i = 0; i < count; ++i) {
    EXPECT_EQ(i == 0 ? 0U : UTRACE_SYSCALL_RESUMED, entries[i].action & UTRACE_SYSCALL_RESUMED)
        << "round " << i;
    EXPECT_EQ(uint32_t{UTRACE_SYSCALL_RUN}, entries[i].syscall_action()) << "round " << i;
    EXPECT_EQ(uint32_t{UTRACE_RESUME}, entries[i].resume()) << "round " << i;
  }
}

constexpr uint32_t kStop = UTRACE_STOP;
constexpr uint32_t kReport = UTRACE_REPORT;
constexpr uint32_t kInterrupt = UTRACE_INTERRUPT;

}  // namespace

// ---- SYS-05 ------------------------------------------------------------------------------------

CLAUSE_TEST(SYS_05, StoppedBeforeTheCallIsAttempted) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.On(What::kSyscallEntry, [](Report& report) -> uint32_t {
    return report.syscall == SYS_getcwd ? UTRACE_STOP : UTRACE_RESUME;
  });
  AttachWith(engine, puppet, UTRACE_EVENT_SYSCALL);
  memset(puppet.Scratch(), 'x', 1);
  puppet.Begin(SYS_getcwd, static_cast<long>(puppet.ScratchAddress()), puppet::kScratchSize);
  AwaitHeld(engine);
  ExpectStaysHeld(engine, puppet, [] {});
  EXPECT_EQ('x', *static_cast<const char*>(puppet.Scratch()));
  EXPECT_EQ(0, engine.CountSyscall(What::kSyscallExit, SYS_getcwd));
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  EXPECT_LT(0, puppet.Finish());
  EXPECT_EQ('/', *static_cast<const char*>(puppet.Scratch()));
  EXPECT_EQ(1, engine.CountSyscall(What::kSyscallExit, SYS_getcwd));
}

CLAUSE_TEST(SYS_05, TheRegistersThenDescribeTheCall) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.On(What::kSyscallEntry, AtMarker(UTRACE_STOP));
  AttachWith(engine, puppet, kEntry);
  puppet.Begin(kMarker, static_cast<long>(puppet.ScratchAddress()), puppet::kScratchSize);
  AwaitHeld(engine);
  utrace_examiner examiner = {};
  ASSERT_EQ(0, engine.Prepare(&examiner));
  long number = 0;
  EXPECT_EQ(0, api().utrace_syscall_number(engine.task(), &number));
  EXPECT_EQ(kMarker, number);
  EXPECT_EQ(0, api().utrace_syscall_set_number(engine.task(), SYS_gettid));
  EXPECT_EQ(0, engine.Finish(&examiner));
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  EXPECT_EQ(puppet.tid(), puppet.Finish());
}

CLAUSE_TEST(SYS_05, ArgumentsChangedWhileStopped) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.On(What::kSyscallEntry, [](Report& report) -> uint32_t {
    return report.syscall == SYS_getpgid ? UTRACE_STOP : UTRACE_RESUME;
  });
  AttachWith(engine, puppet, kEntry);
  puppet.Begin(SYS_getpgid, 0);
  AwaitHeld(engine);
  utrace_examiner examiner = {};
  ASSERT_EQ(0, engine.Prepare(&examiner));
  const uint64_t nobody = INT32_MAX;
  EXPECT_EQ(0, api().utrace_syscall_set_arguments(engine.task(), 0, 1, &nobody));
  EXPECT_EQ(0, engine.Finish(&examiner));
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  EXPECT_EQ(-ESRCH, puppet.Finish());
  engine.On(What::kSyscallEntry, nullptr);
  EXPECT_EQ(puppet.pid(), puppet.Call(SYS_getpgid, 0));
}

// ABORT together with STOP holds for the one round that asked for no repeat.
CLAUSE_TEST(SYS_05, StopWithAbort) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  AnswerRounds(engine, {Answer(UTRACE_SYSCALL_ABORT, UTRACE_STOP)});
  AttachWith(engine, puppet, kEntry);
  puppet.Begin(kMarker);
  AwaitHeld(engine);
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  EXPECT_EQ(-ENOSYS, puppet.Finish());
  ExpectRounds(engine, 1);
}

CLAUSE_TEST(SYS_05, AnyEngineCanHoldItThere) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  b.On(What::kSyscallEntry, AtMarker(UTRACE_STOP));
  AttachWith(a, puppet, UTRACE_EVENT_SYSCALL);
  AttachWith(b, puppet, kEntry);
  puppet.Begin(kMarker);
  AwaitHeld(b);
  EXPECT_EQ(1, a.CountSyscall(What::kSyscallEntry, kMarker));
  EXPECT_EQ(0, a.CountSyscall(What::kSyscallExit, kMarker));
  EXPECT_EQ(0, b.Control(UTRACE_DETACH));
  EXPECT_EQ(nanny().pid(), puppet.Finish());
}

// ---- SYS-06, SYS-12 ----------------------------------------------------------------------------

CLAUSE_TEST(SYS_06, ReportReturnedByACallback) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  AnswerRounds(engine, {kReport, kReport, kReport});
  AttachWith(engine, puppet, UTRACE_EVENT_SYSCALL);
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  ExpectRounds(engine, 4);
  EXPECT_EQ(1, engine.CountSyscall(What::kSyscallExit, kMarker));
}

CLAUSE_TEST(SYS_06, InterruptReturnedByACallback) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  AnswerRounds(engine, {kInterrupt, kInterrupt});
  AttachWith(engine, puppet, UTRACE_EVENT_SYSCALL);
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  ExpectRounds(engine, 3);
  EXPECT_EQ(1, engine.CountSyscall(What::kSyscallExit, kMarker));
}

CLAUSE_TEST(SYS_06, OneEngineAsksAllAreCalled) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  AnswerRounds(a, {kReport});
  AttachWith(a, puppet, kEntry);
  AttachWith(b, puppet, kEntry);
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  EXPECT_EQ(2U, Entries(a).size()) << Describe(GlobalLog());
  ExpectRounds(b, 2);
  // Each round in reverse order.
  EXPECT_EQ("BABA", Order(What::kSyscallEntry, kMarker));
}

CLAUSE_TEST(SYS_06, AskedByControlWhileStoppedThere) {
  for (enum utrace_resume_action request : {UTRACE_REPORT, UTRACE_INTERRUPT}) {
    Puppet& puppet = Spawn();
    TestEngine engine("A");
    AnswerRounds(engine, {kStop, kStop});
    AttachWith(engine, puppet, kQuiesce | kEntry);
    puppet.Begin(kMarker);
    for (size_t round = 1; round <= 2; ++round) {
      engine.AwaitLog("an entry", [round](const auto& log) {
        size_t entries = 0;
        for (const Report& each : log) {
          entries += IsMarker(each) && each.end != 0 ? 1 : 0;
        }
        return entries >= round;
      });
      AwaitHeld(engine);
      EXPECT_EQ(0, engine.Control(request));
    }
    EXPECT_EQ(nanny().pid(), puppet.Finish());
    ExpectRounds(engine, 3);
  }
}

CLAUSE_TEST(SYS_06, AskedByAnotherEnginesControl) {
  Puppet& puppet = Spawn();
  TestEngine holder("holder");
  TestEngine asks("asks");
  AnswerRounds(holder, {kStop});
  AttachWith(holder, puppet, kEntry);
  AttachWith(asks, puppet, kQuiesce);
  puppet.Begin(kMarker);
  AwaitHeld(holder);
  EXPECT_EQ(0, asks.Control(UTRACE_REPORT));
  EXPECT_EQ(0, holder.Control(UTRACE_RESUME));
  EXPECT_EQ(nanny().pid(), puppet.Finish());
  ExpectRounds(holder, 2);
}

// Broken by: a repeat that happens behind the call.
CLAUSE_TEST(SYS_06, TheRepeatComesBeforeTheCall) {
  Puppet& puppet = Spawn();
  char seen = 0;
  int round = 0;
  TestEngine engine("A");
  engine.On(What::kSyscallEntry, [&](Report& report) -> uint32_t {
    if (report.syscall != SYS_getcwd) return PassThrough(report);
    seen = *static_cast<const char*>(puppet.Scratch());
    return ++round < 3 ? UTRACE_REPORT : UTRACE_RESUME;
  });
  AttachWith(engine, puppet, kEntry);
  memset(puppet.Scratch(), 'x', 1);
  EXPECT_LT(
      0, puppet.Call(SYS_getcwd, static_cast<long>(puppet.ScratchAddress()), puppet::kScratchSize));
  EXPECT_EQ(3, round);
  EXPECT_EQ('x', seen);
}

// The signal that an INTERRUPT may introduce does not lose the call's own entry report.
CLAUSE_TEST(SYS_06, TheRepeatSeesChangedRegisters) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.On(What::kSyscallEntry, [](Report& report) -> uint32_t {
    if (!IsMarker(report)) return PassThrough(report);
    EXPECT_EQ(0, api().utrace_syscall_set_number(report.task, SYS_gettid));
    return UTRACE_REPORT;
  });
  AttachWith(engine, puppet, kEntry);
  EXPECT_EQ(puppet.tid(), puppet.Call(kMarker));
  const std::vector<Report> repeated = Entries(engine, SYS_gettid);
  ASSERT_EQ(1U, repeated.size()) << Describe(engine.Log());
  EXPECT_NE(0U, repeated[0].action & UTRACE_SYSCALL_RESUMED);
}

CLAUSE_TEST(SYS_12, NoAbortIsLeftOver) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  AnswerRounds(engine, {Answer(UTRACE_SYSCALL_ABORT, UTRACE_REPORT)});
  AttachWith(engine, puppet, kEntry);
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  ExpectRounds(engine, 2);
}

CLAUSE_TEST(SYS_12, NoStopIsLeftOver) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  AnswerRounds(engine, {Answer(UTRACE_SYSCALL_ABORT, UTRACE_STOP)});
  AttachWith(engine, puppet, kQuiesce | kEntry);
  puppet.Begin(kMarker);
  AwaitHeld(engine);
  EXPECT_EQ(0, engine.Control(UTRACE_REPORT));
  EXPECT_EQ(nanny().pid(), puppet.Finish());
  ExpectRounds(engine, 2);
}

CLAUSE_TEST(SYS_12, NoRepeatIsLeftOverForTheNextCall) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  AnswerRounds(engine, {kReport});
  AttachWith(engine, puppet, kEntry);
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  const std::vector<Report> entries = Entries(engine);
  ASSERT_EQ(3U, entries.size()) << Describe(engine.Log());
  EXPECT_EQ(0U, entries[2].action & UTRACE_SYSCALL_RESUMED);
}

CLAUSE_TEST(SYS_12, TheLastRoundsAbortCounts) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  AnswerRounds(engine, {kReport, Answer(UTRACE_SYSCALL_ABORT, UTRACE_RESUME)});
  AttachWith(engine, puppet, kEntry);
  EXPECT_EQ(-ENOSYS, puppet.Call(kMarker));
  ExpectRounds(engine, 2);
}

// ---- SYS-07, SYS-08 ----------------------------------------------------------------------------

CLAUSE_TEST(SYS_07, NoRepeatAfterAPlainResume) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  TestEngine other("other");
  AnswerRounds(engine, {kStop});
  AttachWith(engine, puppet, kQuiesce | kEntry);
  AttachWith(other, puppet, kEntry);
  puppet.Begin(kMarker);
  AwaitHeld(engine);
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  EXPECT_EQ(nanny().pid(), puppet.Finish());
  ExpectRounds(engine, 1);
  ExpectRounds(other, 1);
}

CLAUSE_TEST(SYS_07, NorAfterADetach) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  TestEngine other("other");
  AnswerRounds(engine, {kStop});
  AttachWith(engine, puppet, kEntry);
  AttachWith(other, puppet, kEntry);
  puppet.Begin(kMarker);
  AwaitHeld(engine);
  EXPECT_EQ(0, engine.Control(UTRACE_DETACH));
  EXPECT_EQ(nanny().pid(), puppet.Finish());
  ExpectRounds(other, 1);
}

CLAUSE_TEST(SYS_08, KilledThereItDoesNotRunTheCall) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.On(What::kSyscallEntry, [](Report& report) -> uint32_t {
    return report.syscall == SYS_getcwd ? UTRACE_STOP : UTRACE_RESUME;
  });
  AttachWith(engine, puppet, kEntry);
  memset(puppet.Scratch(), 'x', 1);
  puppet.Begin(SYS_getcwd, static_cast<long>(puppet.ScratchAddress()), puppet::kScratchSize);
  AwaitHeld(engine);
  puppet.Kill(SIGKILL);
  puppet.AwaitDeath();
  EXPECT_EQ('x', *static_cast<const char*>(puppet.Scratch()));
  const WaitResult end = nanny().Wait(puppet.pid());
  EXPECT_TRUE(WIFSIGNALED(end.status) && WTERMSIG(end.status) == SIGKILL) << end.status;
}

CLAUSE_TEST(SYS_08, KilledInTheCallbackItDoesNotRunTheCall) {
  Puppet& puppet = Spawn();
  Gate gate("the entry may end");
  TestEngine engine("A");
  engine.On(What::kSyscallEntry, [&](Report& report) -> uint32_t {
    if (report.syscall == SYS_getcwd) gate.Wait();
    return UTRACE_RESUME;
  });
  AttachWith(engine, puppet, kEntry);
  memset(puppet.Scratch(), 'x', 1);
  puppet.Begin(SYS_getcwd, static_cast<long>(puppet.ScratchAddress()), puppet::kScratchSize);
  gate.AwaitArrival();
  puppet.Kill(SIGKILL);
  gate.Open();
  puppet.AwaitDeath();
  EXPECT_EQ('x', *static_cast<const char*>(puppet.Scratch()));
}

}  // namespace utrace::kit
