// QUI-01 to QUI-07: when report_quiesce is called, with what, and what its result does.
#include "conformance/clauses/callback_scenes.h"
#include "conformance/clauses/signal_scenes.h"

namespace utrace::kit {
namespace {

constexpr unsigned long kSpecificEvents = UTRACE_EVENT(CLONE) | UTRACE_EVENT(EXEC) |
                                          UTRACE_EVENT(EXIT) | UTRACE_EVENT(DEATH) |
                                          UTRACE_EVENT_SYSCALL | UTRACE_EVENT(JCTL);

// Waits until an engine's callback for the occasion has ended.
void AwaitOccasion(TestEngine& engine, const Occasion& occasion) {
  engine.AwaitLog("the event", [&](const std::vector<Report>& log) {
    return std::any_of(log.begin(), log.end(),
                       [&](const Report& each) { return occasion.Is(each) && each.end != 0; });
  });
}

// One event: the engine whose event it is gets report_quiesce right before its callback, an engine
// with QUIESCE alone gets it too, one without QUIESCE does not.
void ExpectPreceded(Puppet& puppet, What what) {
  Occasion occasion(what, puppet);
  const unsigned long event = OccasionEvents(what);
  TestEngine only("only");
  TestEngine both("both");
  TestEngine none("none");
  AttachWith(only, puppet, kQuiesceEvent);
  AttachWith(both, puppet, kQuiesceEvent | event);
  AttachWith(none, puppet, event);
  occasion.Begin();
  // SYSCALL_ENTRY goes in reverse order of attachment.
  for (TestEngine* engine : {&both, &none}) AwaitOccasion(*engine, occasion);
  occasion.Finish();
  const std::vector<Report> log = both.Log();
  for (size_t i = 0; i < log.size(); ++i) {
    if (log[i].what != what) continue;
    ASSERT_LT(0U, i) << Describe(log);
    EXPECT_EQ(What::kQuiesce, log[i - 1].what) << Describe(log);
    EXPECT_EQ(event, log[i - 1].event) << Describe(log);
  }
  // The puppet may be on its way through its next call: what counts is complete up to the event.
  const auto quiesces = [event](const std::vector<Report>& reports) {
    int count = 0;
    for (const Report& report : reports) count += report.event == event ? 1 : 0;
    return count;
  };
  std::vector<Report> complete = log;
  while (!complete.empty() && complete.back().what != what) complete.pop_back();
  EXPECT_EQ(CountOf(complete, what), quiesces(complete)) << Describe(log);
  EXPECT_LE(1, quiesces(only.Log())) << Describe(only.Log());
  if (what != What::kSyscallEntry && what != What::kSyscallExit) {
    EXPECT_EQ(CountOf(complete, what), quiesces(only.Log())) << Describe(only.Log());
  }
  EXPECT_EQ(0, none.Count(What::kQuiesce)) << Describe(none.Log());
  EXPECT_EQ(0, only.Count(what)) << Describe(only.Log());
}

// report_quiesce detaches: the event's own callback is not made, another engine's is.
void ExpectDetachPreempts(Puppet& puppet, What what) {
  Occasion occasion(what, puppet);
  const unsigned long event = OccasionEvents(what);
  TestEngine leaves("leaves");
  TestEngine stays("stays");
  leaves.On(What::kQuiesce, [event](Report& report) -> uint32_t {
    return report.event == event ? UTRACE_DETACH : UTRACE_RESUME;
  });
  AttachWith(leaves, puppet, kQuiesceEvent | event);
  AttachWith(stays, puppet, event);
  occasion.Begin();
  AwaitOccasion(stays, occasion);
  occasion.Finish();
  EXPECT_EQ(1, leaves.Count(What::kQuiesce)) << Describe(leaves.Log());
  EXPECT_EQ(0, leaves.Count(what)) << Describe(leaves.Log());
  EXPECT_EQ(-ESRCH, leaves.SetEvents(0));
}

}  // namespace

// ---- QUI-01, QUI-04 ----------------------------------------------------------------------------

CLAUSE_TEST(QUI_01, BeforeClone) { ExpectPreceded(Spawn(), What::kClone); }
CLAUSE_TEST(QUI_01, BeforeExec) { ExpectPreceded(Spawn(), What::kExec); }
CLAUSE_TEST(QUI_01, BeforeSyscallEntry) { ExpectPreceded(Spawn(), What::kSyscallEntry); }
CLAUSE_TEST(QUI_01, BeforeSyscallExit) { ExpectPreceded(Spawn(), What::kSyscallExit); }
CLAUSE_TEST(QUI_01, BeforeExit) { ExpectPreceded(Spawn(), What::kExit); }
CLAUSE_TEST(QUI_01, BeforeJctl) {
  Puppet& puppet = Spawn();
  TestEngine only("only");
  TestEngine both("both");
  AttachWith(only, puppet, kQuiesceEvent);
  AttachWith(both, puppet, kQuiesceEvent | UTRACE_EVENT(JCTL));
  puppet.Kill(SIGSTOP);
  both.AwaitEnded(What::kJctl);
  puppet.Kill(SIGCONT);
  both.AwaitEnded(What::kJctl, 2);
  ExpectWorks(puppet);
  const std::vector<Report> log = both.Log();
  for (size_t i = 0; i < log.size(); ++i) {
    if (log[i].what != What::kJctl) continue;
    ASSERT_LT(0U, i) << Describe(log);
    EXPECT_EQ(UTRACE_EVENT(JCTL), log[i - 1].event) << Describe(log);
  }
  int quiesces = 0;
  for (const Report& report : only.Log(What::kQuiesce)) {
    quiesces += report.event == UTRACE_EVENT(JCTL) ? 1 : 0;
  }
  EXPECT_EQ(both.Count(What::kJctl), quiesces) << Describe(only.Log());
}

CLAUSE_TEST(QUI_04, BeforeDeath) { ExpectPreceded(Spawn(), What::kDeath); }

CLAUSE_TEST(QUI_04, BeforeTheDeathOfAKilledTask) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  AttachWith(engine, puppet, kQuiesceEvent | UTRACE_EVENT(DEATH));
  puppet.Kill(SIGKILL);
  engine.AwaitEnded(What::kDeath);
  const std::vector<Report> log = engine.Log();
  ASSERT_LE(2U, log.size());
  EXPECT_EQ(UTRACE_EVENT(DEATH), log[log.size() - 2].event) << Describe(log);
  EXPECT_EQ(What::kDeath, log.back().what) << Describe(log);
}

// Broken by: report_quiesce for REAP, or for signals to engines that have report_signal.
CLAUSE_TEST(QUI_01, ReapAndSignalsExcepted) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine engine("A");
  TestEngine only("only");
  AttachWith(engine, puppet, UTRACE_EVENT_ALL);
  AttachWith(only, puppet, kQuiesceEvent);
  EXPECT_EQ(0, puppet.Raise(SIGUSR1));
  EXPECT_EQ(0, puppet.Raise(SIGWINCH));
  puppet.BeginRaise(SIGTERM);
  ExpectEndsBy(puppet, SIGTERM);
  engine.AwaitEnded(What::kReap);
  for (TestEngine* each : {&engine, &only}) {
    for (const Report& report : each->Log(What::kQuiesce)) {
      EXPECT_EQ(0UL, report.event & (UTRACE_EVENT(REAP) | kSignalEvents)) << Describe(report);
    }
  }
}

// Broken by: all report_quiesce callbacks first, and the event's after them.
CLAUSE_TEST(QUI_01, EachEnginesRightBeforeItsOwn) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  AttachWith(a, puppet, kQuiesceEvent | UTRACE_EVENT(CLONE));
  AttachWith(b, puppet, kQuiesceEvent | UTRACE_EVENT(CLONE));
  puppet.Fork();
  std::string order;
  for (const Report& report : GlobalLog()) {
    if (report.what == What::kClone) order += report.engine_name;
    if (report.event == UTRACE_EVENT(CLONE)) order += report.engine_name == "A" ? "a" : "b";
  }
  EXPECT_EQ("aAbB", order);
}

// One occurrence, one report_quiesce.
CLAUSE_TEST(QUI_01, OncePerOccurrence) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  TestEngine wants("wants");
  AttachWith(engine, puppet, kQuiesceEvent);
  AttachWith(wants, puppet, UTRACE_EVENT_SYSCALL);
  puppet.Repeat(kMarker, 50);
  puppet.AwaitIdle();
  int entries = 0;
  int exits = 0;
  for (const Report& report : engine.Log(What::kQuiesce)) {
    entries += report.event == UTRACE_EVENT(SYSCALL_ENTRY) ? 1 : 0;
    exits += report.event == UTRACE_EVENT(SYSCALL_EXIT) ? 1 : 0;
  }
  ExpectOneOf(entries - wants.Count(What::kSyscallEntry), {0});
  ExpectOneOf(exits - wants.Count(What::kSyscallExit), {0});
}

// ---- QUI-02, QUI-03 ----------------------------------------------------------------------------

CLAUSE_TEST(QUI_02, EventZeroForAReport) {
  Puppet& puppet = Spawn();
  TestEngine engine("A", OpsTable().Without(What::kSignal));
  AttachWith(engine, puppet, kQuiesceEvent);
  StartSpinning(puppet);
  EXPECT_EQ(0, engine.Control(UTRACE_REPORT));
  engine.AwaitEnded(What::kQuiesce);
  EXPECT_EQ(0UL, engine.Log(What::kQuiesce)[0].event);
  ExpectRuns(puppet);
}

CLAUSE_TEST(QUI_02, NobodyAskedNobodyIsCalled) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  AttachWith(engine, puppet, kQuiesceEvent);
  puppet.Repeat(kMarker, 10);
  puppet.Call(SYS_sched_yield);
  StartSpinning(puppet);
  ExpectRuns(puppet);
  ExpectLog(engine.Log(), {});
}

// Broken by: a report without an event behind every event.
CLAUSE_TEST(QUI_02, NorBehindEventsThatAreReported) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine engine("A");
  AttachWith(engine, puppet, UTRACE_EVENT_ALL);
  puppet.Repeat(kMarker, 10);
  EXPECT_EQ(0, puppet.Raise(SIGUSR1));
  EXPECT_EQ(10, puppet.ForkBurst(10));
  ExpectWorks(puppet);
  EXPECT_EQ(11, engine.CountSyscall(What::kSyscallExit, kMarker));
  EXPECT_EQ(1, engine.CountSignal(SIGUSR1));
  EXPECT_EQ(0, CountUserReturns(engine.Log())) << Describe(engine.Log());
}

CLAUSE_TEST(QUI_02, BehindTheEventWhoseCallbackAsked) {
  Puppet& puppet = Spawn();
  TestEngine engine("A", OpsTable().Without(What::kSignal));
  engine.On(What::kSyscallExit, AtMarker(UTRACE_REPORT));
  AttachWith(engine, puppet, kQuiesceEvent | UTRACE_EVENT(SYSCALL_EXIT));
  ExpectWorks(puppet);
  const std::vector<Report> log = engine.Log();
  const auto exit = std::find_if(log.begin(), log.end(), IsMarker);
  ASSERT_NE(log.end(), exit);
  ASSERT_NE(log.end(), std::next(exit)) << Describe(log);
  EXPECT_EQ(What::kQuiesce, std::next(exit)->what) << Describe(log);
  EXPECT_EQ(0UL, std::next(exit)->event) << Describe(log);
}

CLAUSE_TEST(QUI_03, ASignalCallbackMayReplaceIt) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  AttachWith(engine, puppet, kQuiesceEvent);
  StartSpinning(puppet);
  EXPECT_EQ(0, engine.Control(UTRACE_REPORT));
  AwaitUserReturns(engine, 1);
  ExpectRuns(puppet);
  const std::vector<Report> log = engine.Log();
  ASSERT_LE(1U, log.size());
  if (log[0].what == What::kSignal) {
    EXPECT_EQ(uint32_t{UTRACE_SIGNAL_REPORT}, log[0].signal_action());
    EXPECT_FALSE(log[0].has_orig_ka);
  } else {
    EXPECT_EQ(0UL, log[0].event);
  }
  // The one or the other.
  EXPECT_EQ(1, CountUserReturns(log)) << Describe(log);
}

// Broken by: a call through the null pointer, or no callback at all.
CLAUSE_TEST(QUI_03, NotWithoutReportSignal) {
  Puppet& puppet = Spawn();
  TestEngine engine("A", OpsTable().Without(What::kSignal));
  AttachWith(engine, puppet, kQuiesceEvent);
  StartSpinning(puppet);
  for (enum utrace_resume_action request : {UTRACE_REPORT, UTRACE_INTERRUPT}) {
    const int before = engine.Count(What::kQuiesce);
    EXPECT_EQ(0, engine.Control(request));
    engine.AwaitEnded(What::kQuiesce, before + 1);
    EXPECT_EQ(0UL, engine.Log(What::kQuiesce)[before].event);
  }
  ExpectRuns(puppet);
}

// ---- QUI-05 ------------------------------------------------------------------------------------

CLAUSE_TEST(QUI_05, DetachBeforeClone) { ExpectDetachPreempts(Spawn(), What::kClone); }
CLAUSE_TEST(QUI_05, DetachBeforeExec) { ExpectDetachPreempts(Spawn(), What::kExec); }
CLAUSE_TEST(QUI_05, DetachBeforeSyscallEntry) {
  ExpectDetachPreempts(Spawn(), What::kSyscallEntry);
}
CLAUSE_TEST(QUI_05, DetachBeforeSyscallExit) { ExpectDetachPreempts(Spawn(), What::kSyscallExit); }
CLAUSE_TEST(QUI_05, DetachBeforeJctl) { ExpectDetachPreempts(Spawn(), What::kJctl); }
CLAUSE_TEST(QUI_05, DetachBeforeExit) { ExpectDetachPreempts(Spawn(), What::kExit); }
CLAUSE_TEST(QUI_05, DetachBeforeDeath) { ExpectDetachPreempts(Spawn(), What::kDeath); }

// ---- QUI-06, QUI-07 ----------------------------------------------------------------------------

CLAUSE_TEST(QUI_06, NoQuiesceNoCallback) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  TestEngine asks("asks");
  AttachWith(engine, puppet, kSpecificEvents | kSignalEvents | UTRACE_EVENT(REAP));
  AttachWith(asks, puppet, kQuiesceEvent);
  puppet.Fork();
  StartSpinning(puppet);
  for (enum utrace_resume_action request : {UTRACE_REPORT, UTRACE_INTERRUPT}) {
    const int before = CountUserReturns(asks.Log());
    EXPECT_EQ(0, asks.Control(request));
    AwaitUserReturns(asks, before + 1);
  }
  asks.StopAndWait();
  EXPECT_EQ(0, asks.Control(UTRACE_RESUME));
  ExpectRuns(puppet);
  puppet.Exec();
  puppet.BeginExitGroup(0);
  puppet.AwaitDeath();
  nanny().Wait(puppet.pid());
  engine.AwaitEnded(What::kReap);
  EXPECT_EQ(0, engine.Count(What::kQuiesce)) << Describe(engine.Log(What::kQuiesce));
  EXPECT_EQ(0, engine.Count(What::kSignal)) << Describe(engine.Log(What::kSignal));
}

CLAUSE_TEST(QUI_06, NoneAfterItWasDropped) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  TestEngine asks("asks");
  AttachWith(engine, puppet, kQuiesceEvent | UTRACE_EVENT(CLONE));
  AttachWith(asks, puppet, kQuiesceEvent);
  puppet.AwaitIdle();
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(CLONE)));
  StartSpinning(puppet);
  EXPECT_EQ(0, asks.Control(UTRACE_REPORT));
  AwaitUserReturns(asks, 1);
  ExpectRuns(puppet);
  puppet.Fork();
  EXPECT_EQ(0, engine.Count(What::kQuiesce)) << Describe(engine.Log());
  EXPECT_EQ(1, engine.Count(What::kClone));
}

CLAUSE_TEST(QUI_07, QuiesceStandsForAMissingReportSignal) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine engine("A", OpsTable().Without(What::kSignal));
  TestEngine wants("wants");
  AnswerSignal(wants, SIGTERM, UTRACE_SIGNAL_IGN);
  AttachWith(engine, puppet, kQuiesceEvent);
  AttachWith(wants, puppet, kSignalEvents);
  EXPECT_EQ(0, puppet.Raise(SIGUSR1));
  EXPECT_EQ(0, puppet.Raise(SIGWINCH));
  EXPECT_EQ(0, puppet.Raise(SIGTERM));
  std::vector<unsigned long> events;
  for (const Report& report : engine.Log(What::kQuiesce)) events.push_back(report.event);
  EXPECT_EQ((std::vector<unsigned long>{UTRACE_EVENT(SIGNAL), UTRACE_EVENT(SIGNAL_IGN),
                                        UTRACE_EVENT(SIGNAL_TERM)}),
            events)
      << Describe(engine.Log());
  EXPECT_EQ(1U, puppet.HandlerRuns());
}

// Such an engine may ask for the signal itself [BAD-02].
CLAUSE_TEST(QUI_07, WithTheEventInItsOwnMask) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine engine("A", OpsTable().Without(What::kSignal));
  AttachWith(engine, puppet, kQuiesceEvent | UTRACE_EVENT(SIGNAL));
  EXPECT_EQ(0, puppet.Raise(SIGUSR1));
  ASSERT_EQ(1, engine.Count(What::kQuiesce)) << Describe(engine.Log());
  EXPECT_EQ(UTRACE_EVENT(SIGNAL), engine.Log(What::kQuiesce)[0].event);
  EXPECT_EQ(1U, puppet.HandlerRuns());
}

// Its result has no signal action, and its STOP counts.
CLAUSE_TEST(QUI_07, ItsStopHoldsTheTask) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kIgnore);
  TestEngine engine("A", OpsTable().Without(What::kSignal));
  engine.On(What::kQuiesce, [](Report& report) -> uint32_t {
    return report.event == UTRACE_EVENT(SIGNAL_IGN) ? UTRACE_STOP : UTRACE_RESUME;
  });
  AttachWith(engine, puppet, kQuiesceEvent | UTRACE_EVENT(SIGNAL_IGN));
  StartSpinning(puppet);
  puppet.Tgkill(SIGUSR1);
  engine.AwaitEnded(What::kQuiesce);
  AwaitHeld(engine);
  ExpectStaysHeld(engine, puppet, [] {});
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  ExpectRuns(puppet);
}

}  // namespace utrace::kit
