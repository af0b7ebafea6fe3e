// SYS-01 to SYS-04, SYS-09, SYS-12, SYS-13: reading, changing, aborting system calls, and who decides.
#include <sys/wait.h>

#include <cstring>

#include "conformance/clauses/control_scenes.h"

namespace utrace::kit {
namespace {

constexpr unsigned long kQuiesce = UTRACE_EVENT(QUIESCE);
constexpr long kUnchanged = UTRACE_SYSCALL_RUN;

void AttachWith(TestEngine& engine, const PuppetThread& puppet, unsigned long events) {
  AssertOneOf(engine.AttachTid(puppet.tid()), {0});
  AssertOneOf(engine.SetEvents(events), {0});
}

// Gives the entry of the marker call to `handler`.
void OnEntry(TestEngine& engine, TestEngine::Handler handler) {
  engine.On(What::kSyscallEntry, [handler = std::move(handler)](Report& report) -> uint32_t {
    return IsMarker(report) ? handler(report) : PassThrough(report);
  });
}

void AnswerEntry(TestEngine& engine, uint32_t action) {
  OnEntry(engine, [action](Report&) -> uint32_t { return Answer(action, UTRACE_RESUME); });
}

void OnExit(TestEngine& engine, TestEngine::Handler handler) {
  engine.On(What::kSyscallExit, [handler = std::move(handler)](Report& report) -> uint32_t {
    return IsMarker(report) ? handler(report) : PassThrough(report);
  });
}

Report EntryOf(const TestEngine& engine, long nr = kMarker) {
  for (const Report& report : engine.Log(What::kSyscallEntry)) {
    if (report.syscall == nr) return report;
  }
  Failed("no entry reported to '" + engine.name() + "':\n" + Describe(engine.Log()));
}

}  // namespace

// ---- SYS-01 ------------------------------------------------------------------------------------

CLAUSE_TEST(SYS_01, NumberAndArgumentsCanBeRead) {
  Puppet& puppet = Spawn();
  uint64_t arguments[6] = {};
  long number = 0;
  TestEngine engine("A");
  OnEntry(engine, [&](Report& report) -> uint32_t {
    EXPECT_EQ(0, api().utrace_syscall_number(report.task, &number));
    EXPECT_EQ(0, api().utrace_syscall_arguments(report.task, 0, 6, arguments));
    return UTRACE_RESUME;
  });
  AttachWith(engine, puppet, UTRACE_EVENT(SYSCALL_ENTRY));
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker, 11, 22, 33, 44, 55, 66));
  EXPECT_EQ(kMarker, number);
  for (uint64_t i = 0; i < 6; ++i) EXPECT_EQ(11 * (i + 1), arguments[i]);
}

CLAUSE_TEST(SYS_01, ItComesBeforeTheCallRuns) {
  Puppet& puppet = Spawn();
  memcpy(puppet.Scratch(), "x", 1);
  uint64_t seen = 0;
  Gate gate("the entry may end");
  TestEngine engine("A");
  engine.On(What::kSyscallEntry, [&](Report& report) -> uint32_t {
    if (report.syscall == SYS_getcwd) {
      gate.Wait();
      seen = *static_cast<const char*>(puppet.Scratch());
    }
    return PassThrough(report);
  });
  AttachWith(engine, puppet, UTRACE_EVENT(SYSCALL_ENTRY));
  puppet.Begin(SYS_getcwd, static_cast<long>(puppet.ScratchAddress()), puppet::kScratchSize);
  gate.AwaitArrival();
  EXPECT_EQ('x', *static_cast<const char*>(puppet.Scratch()));
  gate.Open();
  EXPECT_LT(0, puppet.Finish());
  EXPECT_EQ(uint64_t{'x'}, seen);
  EXPECT_EQ('/', *static_cast<const char*>(puppet.Scratch()));
}

CLAUSE_TEST(SYS_01, AChangedNumberIsWhatRuns) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  OnEntry(engine, [](Report& report) -> uint32_t {
    EXPECT_EQ(0, api().utrace_syscall_set_number(report.task, SYS_gettid));
    return UTRACE_RESUME;
  });
  AttachWith(engine, puppet, UTRACE_EVENT(SYSCALL_ENTRY));
  EXPECT_EQ(puppet.tid(), puppet.Call(kMarker));
  // Only that one was changed.
  EXPECT_EQ(puppet.pid(), puppet.Call(SYS_getpid));
}

CLAUSE_TEST(SYS_01, ChangedArgumentsAreWhatRuns) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  OnEntry(engine, [&](Report& report) -> uint32_t {
    const uint64_t arguments[2] = {puppet.ScratchAddress(64), 200};
    EXPECT_EQ(0, api().utrace_syscall_set_number(report.task, SYS_getcwd));
    EXPECT_EQ(0, api().utrace_syscall_set_arguments(report.task, 0, 2, arguments));
    return UTRACE_RESUME;
  });
  AttachWith(engine, puppet, UTRACE_EVENT(SYSCALL_ENTRY));
  memset(puppet.Scratch(), 'x', 256);
  EXPECT_LT(0, puppet.Call(kMarker, static_cast<long>(puppet.ScratchAddress()), 1));
  EXPECT_EQ('x', *static_cast<const char*>(puppet.Scratch()));
  EXPECT_EQ('/', *static_cast<const char*>(puppet.Scratch(64)));
}

CLAUSE_TEST(SYS_01, EachArgumentAlone) {
  Puppet& puppet = Spawn();
  uint64_t seen[6] = {};
  unsigned which = 0;
  TestEngine before("before");
  TestEngine after("after");
  // SYSCALL_ENTRY is reported in reverse order: `after` comes first.
  OnEntry(after, [&](Report& report) -> uint32_t {
    const uint64_t value = 99;
    EXPECT_EQ(0, api().utrace_syscall_set_arguments(report.task, which, 1, &value));
    return UTRACE_RESUME;
  });
  OnExit(before, [&](Report& report) -> uint32_t {
    EXPECT_EQ(0, api().utrace_syscall_arguments(report.task, 0, 6, seen));
    return UTRACE_RESUME;
  });
  OnEntry(before, [&](Report& report) -> uint32_t {
    EXPECT_EQ(0, api().utrace_syscall_arguments(report.task, 0, 6, seen));
    return UTRACE_RESUME;
  });
  AttachWith(before, puppet, UTRACE_EVENT(SYSCALL_ENTRY));
  AttachWith(after, puppet, UTRACE_EVENT(SYSCALL_ENTRY));
  for (which = 0; which < 6; ++which) {
    EXPECT_EQ(nanny().pid(), puppet.Call(kMarker, 11, 22, 33, 44, 55, 66));
    for (unsigned i = 0; i < 6; ++i) {
      EXPECT_EQ(i == which ? 99U : 11U * (i + 1), seen[i]) << "argument " << i;
    }
  }
}

// ---- SYS-02 ------------------------------------------------------------------------------------

CLAUSE_TEST(SYS_02, ResultsAndErrorsCanBeRead) {
  Puppet& puppet = Spawn();
  std::vector<std::pair<long, long>> seen;
  TestEngine engine("A");
  engine.On(What::kSyscallExit, [&](Report& report) -> uint32_t {
    if (IsMarker(report) || report.syscall == SYS_close) {
      long error = 7;
      long value = 7;
      EXPECT_EQ(0, api().utrace_syscall_result(report.task, &error, &value));
      seen.emplace_back(error, value);
    }
    return UTRACE_RESUME;
  });
  AttachWith(engine, puppet, UTRACE_EVENT(SYSCALL_EXIT));
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  EXPECT_EQ(-EBADF, puppet.Call(SYS_close, -1));
  ASSERT_EQ(2U, seen.size());
  EXPECT_EQ(std::make_pair(0L, static_cast<long>(nanny().pid())), seen[0]);
  EXPECT_EQ(std::make_pair(-long{EBADF}, 0L), seen[1]);
}

CLAUSE_TEST(SYS_02, ResultsAndErrorsCanBeReplaced) {
  for (const auto& [error, value] : {std::make_pair(0L, 4711L), std::make_pair(-long{EPERM}, 0L)}) {
    Puppet& puppet = Spawn();
    TestEngine engine("A");
    OnExit(engine, [error = error, value = value](Report& report) -> uint32_t {
      EXPECT_EQ(0, api().utrace_syscall_set_result(report.task, error, value));
      return UTRACE_RESUME;
    });
    AttachWith(engine, puppet, UTRACE_EVENT(SYSCALL_EXIT));
    EXPECT_EQ(error != 0 ? error : value, puppet.Call(kMarker));
    EXPECT_EQ(puppet.pid(), puppet.Call(SYS_getpid));
  }
}

CLAUSE_TEST(SYS_02, AReplacedResultReachesTheNextEngine) {
  Puppet& puppet = Spawn();
  long seen = 0;
  TestEngine a("A");
  TestEngine b("B");
  OnExit(a, [](Report& report) -> uint32_t {
    EXPECT_EQ(0, api().utrace_syscall_set_result(report.task, 0, 4711));
    return UTRACE_RESUME;
  });
  OnExit(b, [&](Report& report) -> uint32_t {
    EXPECT_EQ(0, api().utrace_syscall_result(report.task, nullptr, &seen));
    return UTRACE_RESUME;
  });
  AttachWith(a, puppet, UTRACE_EVENT(SYSCALL_EXIT));
  AttachWith(b, puppet, UTRACE_EVENT(SYSCALL_EXIT));
  EXPECT_EQ(4711, puppet.Call(kMarker));
  EXPECT_EQ(4711, seen);
}

CLAUSE_TEST(SYS_02, RolledBackTheCallIsMadeAgain) {
  Puppet& puppet = Spawn();
  int exits = 0;
  TestEngine engine("A");
  OnExit(engine, [&](Report& report) -> uint32_t {
    if (++exits < 3) {
      EXPECT_EQ(0, api().utrace_syscall_rollback(report.task));
    }
    return UTRACE_RESUME;
  });
  AttachWith(engine, puppet, UTRACE_EVENT_SYSCALL);
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker, 1, 2, 3));
  EXPECT_EQ(3, exits);
  EXPECT_EQ(3, engine.CountSyscall(What::kSyscallEntry, kMarker)) << Describe(engine.Log());
}

CLAUSE_TEST(SYS_02, ItComesBeforeTheReturnToUserMode) {
  Puppet& puppet = Spawn();
  Gate gate("the exit may end");
  TestEngine engine("A");
  engine.On(What::kSyscallExit, WaitAt(gate, UTRACE_RESUME));
  AttachWith(engine, puppet, UTRACE_EVENT(SYSCALL_EXIT));
  puppet.Begin(kMarker);
  gate.AwaitArrival();
  EXPECT_FALSE(puppet.Finished());
  gate.Open();
  EXPECT_EQ(nanny().pid(), puppet.Finish());
}

// ---- SYS-03, SYS-09 ----------------------------------------------------------------------------

CLAUSE_TEST(SYS_03, AbortedItDoesNotRun) {
  Puppet& puppet = Spawn();
  memset(puppet.Scratch(), 'x', 1);
  TestEngine engine("A");
  engine.On(What::kSyscallEntry, [](Report& report) -> uint32_t {
    return report.syscall == SYS_getcwd ? Answer(UTRACE_SYSCALL_ABORT, UTRACE_RESUME)
                                        : PassThrough(report);
  });
  AttachWith(engine, puppet, UTRACE_EVENT(SYSCALL_ENTRY));
  EXPECT_EQ(-ENOSYS, puppet.Call(SYS_getcwd, static_cast<long>(puppet.ScratchAddress()),
                                 puppet::kScratchSize));
  EXPECT_EQ('x', *static_cast<const char*>(puppet.Scratch()));
  // The next call is another one.
  EXPECT_EQ(puppet.pid(), puppet.Call(SYS_getpid));
}

CLAUSE_TEST(SYS_03, AResultSetAtEntryIsSeen) {
  for (const auto& [error, value] : {std::make_pair(0L, 4711L), std::make_pair(-long{EPERM}, 0L)}) {
    Puppet& puppet = Spawn();
    TestEngine engine("A");
    OnEntry(engine, [error = error, value = value](Report& report) -> uint32_t {
      EXPECT_EQ(0, api().utrace_syscall_set_result(report.task, error, value));
      return Answer(UTRACE_SYSCALL_ABORT, UTRACE_RESUME);
    });
    AttachWith(engine, puppet, UTRACE_EVENT(SYSCALL_ENTRY));
    EXPECT_EQ(error != 0 ? error : value, puppet.Call(kMarker));
  }
}

CLAUSE_TEST(SYS_03, AResultSetAtExitIsSeen) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  AnswerEntry(engine, UTRACE_SYSCALL_ABORT);
  long error = 0;
  OnExit(engine, [&](Report& report) -> uint32_t {
    EXPECT_EQ(0, api().utrace_syscall_result(report.task, &error, nullptr));
    EXPECT_EQ(0, api().utrace_syscall_set_result(report.task, 0, 4711));
    return UTRACE_RESUME;
  });
  AttachWith(engine, puppet, UTRACE_EVENT_SYSCALL);
  EXPECT_EQ(4711, puppet.Call(kMarker));
  EXPECT_EQ(-ENOSYS, error);
}

CLAUSE_TEST(SYS_03, AForkAbortedMakesNoChild) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.On(What::kSyscallEntry, [](Report& report) -> uint32_t {
    return report.syscall == ForkNumber() ? Answer(UTRACE_SYSCALL_ABORT, UTRACE_RESUME)
                                          : PassThrough(report);
  });
  AttachWith(engine, puppet, UTRACE_EVENT(SYSCALL_ENTRY) | UTRACE_EVENT(CLONE));
  EXPECT_EQ(-ENOSYS, puppet.Call(ForkNumber(), SIGCHLD));
  EXPECT_EQ(0, engine.Count(What::kClone));
  EXPECT_EQ(-ECHILD, puppet.Call(SYS_wait4, -1, 0, WNOHANG, 0));
}

CLAUSE_TEST(SYS_03, AnExitAbortedDoesNotExit) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.On(What::kSyscallEntry, [](Report& report) -> uint32_t {
    return report.syscall == SYS_exit_group ? Answer(UTRACE_SYSCALL_ABORT, UTRACE_RESUME)
                                            : PassThrough(report);
  });
  AttachWith(engine, puppet, UTRACE_EVENT(SYSCALL_ENTRY) | UTRACE_EVENT(EXIT));
  EXPECT_EQ(-ENOSYS, puppet.Call(SYS_exit_group, 3));
  EXPECT_EQ(0, engine.Count(What::kExit));
  ExpectOneOf(puppet.Call(SYS_getpid), {puppet.pid()});
}

CLAUSE_TEST(SYS_09, AnAbortedCallGetsItsExitReport) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  AnswerEntry(engine, UTRACE_SYSCALL_ABORT);
  AttachWith(engine, puppet, UTRACE_EVENT_SYSCALL);
  for (int round = 1; round <= 5; ++round) {
    EXPECT_EQ(-ENOSYS, puppet.Call(kMarker));
    EXPECT_EQ(round, engine.CountSyscall(What::kSyscallEntry, kMarker));
    EXPECT_EQ(round, engine.CountSyscall(What::kSyscallExit, kMarker)) << Describe(engine.Log());
  }
}

CLAUSE_TEST(SYS_09, AlsoForAnEngineThatHasOnlyTheExit) {
  Puppet& puppet = Spawn();
  TestEngine aborts("aborts");
  TestEngine engine("A");
  AnswerEntry(aborts, UTRACE_SYSCALL_ABORT);
  AttachWith(aborts, puppet, UTRACE_EVENT(SYSCALL_ENTRY));
  AttachWith(engine, puppet, UTRACE_EVENT(SYSCALL_EXIT));
  EXPECT_EQ(-ENOSYS, puppet.Call(kMarker));
  EXPECT_EQ(1, engine.CountSyscall(What::kSyscallExit, kMarker)) << Describe(engine.Log());
}

// ---- SYS-04, SYS-13 ----------------------------------------------------------------------------

CLAUSE_TEST(SYS_04, EachSeesWhatTheOneBeforeLeft) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  TestEngine c("C");
  AnswerEntry(c, UTRACE_SYSCALL_ABORT);
  AnswerEntry(b, UTRACE_SYSCALL_RUN);
  for (TestEngine* engine : {&a, &b, &c}) AttachWith(*engine, puppet, UTRACE_EVENT(SYSCALL_ENTRY));
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  EXPECT_EQ(uint32_t{UTRACE_SYSCALL_RUN}, EntryOf(c).syscall_action());
  EXPECT_EQ(uint32_t{UTRACE_SYSCALL_ABORT}, EntryOf(b).syscall_action());
  EXPECT_EQ(uint32_t{UTRACE_SYSCALL_RUN}, EntryOf(a).syscall_action());
  for (TestEngine* engine : {&a, &b, &c}) {
    EXPECT_EQ(0U, EntryOf(*engine).action & UTRACE_SYSCALL_RESUMED);
  }
}

CLAUSE_TEST(SYS_04, TheLastOnesAbortDecides) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  AnswerEntry(a, UTRACE_SYSCALL_ABORT);
  AnswerEntry(b, UTRACE_SYSCALL_RUN);
  AttachWith(a, puppet, UTRACE_EVENT(SYSCALL_ENTRY));
  AttachWith(b, puppet, UTRACE_EVENT(SYSCALL_ENTRY));
  EXPECT_EQ(-ENOSYS, puppet.Call(kMarker));
}

CLAUSE_TEST(SYS_04, PassedOnItStays) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  AnswerEntry(b, UTRACE_SYSCALL_ABORT);
  AttachWith(a, puppet, UTRACE_EVENT(SYSCALL_ENTRY));
  AttachWith(b, puppet, UTRACE_EVENT(SYSCALL_ENTRY));
  EXPECT_EQ(-ENOSYS, puppet.Call(kMarker));
  EXPECT_EQ(uint32_t{UTRACE_SYSCALL_ABORT}, EntryOf(a).syscall_action());
}

// What an engine answers besides in report_quiesce is no system call action.
CLAUSE_TEST(SYS_13, QuiesceSetsNoAbort) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.On(What::kQuiesce, [](Report&) -> uint32_t {
    return Answer(UTRACE_SYSCALL_ABORT | UTRACE_SIGNAL_HOLD, UTRACE_RESUME);
  });
  AttachWith(engine, puppet, kQuiesce | UTRACE_EVENT(SYSCALL_ENTRY));
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  EXPECT_EQ(uint32_t{kUnchanged}, EntryOf(engine).action & ~UTRACE_RESUME_MASK);
}

CLAUSE_TEST(SYS_13, QuiesceAloneSetsNoAbort) {
  Puppet& puppet = Spawn();
  TestEngine wants("wants");
  TestEngine quiesce("quiesce");
  quiesce.On(What::kQuiesce,
             [](Report&) -> uint32_t { return Answer(UTRACE_SYSCALL_ABORT, UTRACE_RESUME); });
  AttachWith(quiesce, puppet, kQuiesce);
  AttachWith(wants, puppet, UTRACE_EVENT(SYSCALL_ENTRY));
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
}

CLAUSE_TEST(SYS_13, QuiesceErasesNoAbort) {
  Puppet& puppet = Spawn();
  TestEngine last("last");
  TestEngine quiesce("quiesce");
  TestEngine aborts("aborts");
  AnswerEntry(aborts, UTRACE_SYSCALL_ABORT);
  AttachWith(last, puppet, kQuiesce | UTRACE_EVENT(SYSCALL_ENTRY));
  AttachWith(quiesce, puppet, kQuiesce);
  AttachWith(aborts, puppet, UTRACE_EVENT(SYSCALL_ENTRY));
  EXPECT_EQ(-ENOSYS, puppet.Call(kMarker));
  EXPECT_EQ(uint32_t{UTRACE_SYSCALL_ABORT}, EntryOf(last).syscall_action());
}

CLAUSE_TEST(SYS_13, QuiesceNeitherSetsNorErasesASignalAction) {
  for (uint32_t noise : {UTRACE_SIGNAL_DELIVER, UTRACE_SIGNAL_TERM}) {
    Puppet& puppet = Spawn();
    TestEngine ignores("ignores");
    TestEngine quiesce("quiesce", OpsTable().Without(What::kSignal));
    ignores.On(What::kSignal,
               [](Report&) -> uint32_t { return Answer(UTRACE_SIGNAL_IGN, UTRACE_RESUME); });
    quiesce.On(What::kQuiesce, [=](Report&) -> uint32_t { return Answer(noise, UTRACE_RESUME); });
    AttachWith(ignores, puppet, UTRACE_EVENT(SIGNAL_TERM));
    AttachWith(quiesce, puppet, kQuiesce);
    EXPECT_EQ(0, puppet.Raise(SIGTERM));
    ExpectOneOf(puppet.Call(kMarker), {nanny().pid()});
    EXPECT_LE(1, quiesce.Count(What::kQuiesce));
  }
}

CLAUSE_TEST(SYS_13, ItsResumeActionCounts) {
  Puppet& puppet = Spawn();
  TestEngine wants("wants");
  TestEngine quiesce("quiesce");
  bool first = true;
  quiesce.On(What::kQuiesce, [&](Report& report) -> uint32_t {
    if (report.event != UTRACE_EVENT(SYSCALL_ENTRY) || !first) return UTRACE_RESUME;
    first = false;
    return UTRACE_STOP;
  });
  AttachWith(wants, puppet, UTRACE_EVENT(SYSCALL_ENTRY));
  puppet.AwaitIdle();
  AttachWith(quiesce, puppet, kQuiesce);
  puppet.Begin(kMarker);
  AwaitHeld(quiesce);
  ExpectStaysHeld(quiesce, puppet, [] {});
  EXPECT_EQ(0, quiesce.Control(UTRACE_RESUME));
  EXPECT_EQ(nanny().pid(), puppet.Finish());
}

}  // namespace utrace::kit
