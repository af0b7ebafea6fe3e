// LIM-*: what a host on a stock kernel may do otherwise, shown to be no wider than stated. A host that
// does not declare a limit has to do without it.
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "conformance/clauses/signal_scenes.h"

namespace utrace::kit {
namespace {

constexpr unsigned long kQuiesce = UTRACE_EVENT(QUIESCE);
constexpr unsigned long kExit = UTRACE_EVENT(EXIT);
constexpr unsigned long kEnd = UTRACE_EVENT(DEATH) | UTRACE_EVENT(REAP);

// A process of its own that traces a thread by ptrace, until the object goes away.
class ForeignTracer {
 public:
  explicit ForeignTracer(pid_t tid) {
    Needs("live");
    int ready[2];
    int end[2];
    if (pipe(ready) != 0 || pipe(end) != 0) Broken("no pipes for the foreign tracer");
    pid_ = fork();
    if (pid_ == 0) {
      // The other threads of this process are not there: nothing but system calls from here on.
      close(end[1]);
      const char seized = ptrace(PTRACE_SEIZE, tid, nullptr, nullptr) == 0 ? 1 : 0;
      char ignored = 0;
      const bool told = write(ready[1], &seized, 1) == 1 && read(end[0], &ignored, 1) == 0;
      _exit(told ? 0 : 1);
    }
    close(ready[1]);
    close(end[0]);
    end_ = end[1];
    char seized = 0;
    const bool told = pid_ > 0 && read(ready[0], &seized, 1) == 1;
    close(ready[0]);
    if (!told || seized != 1) {
      End();
      Broken("a process of its own cannot trace the puppet");
    }
  }
  ~ForeignTracer() { End(); }
  ForeignTracer(const ForeignTracer&) = delete;
  ForeignTracer& operator=(const ForeignTracer&) = delete;

  // The kernel lets the thread go.
  void End() {
    if (end_ < 0) return;
    close(end_);
    end_ = -1;
    if (pid_ > 0) waitpid(pid_, nullptr, 0);
  }
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
  int end_ = -1;
};

// The wait status of a puppet whose engine answers `signo` with `action`.
int StatusAfter(Nanny& nanny, int signo, uint32_t action) {
  Puppet& puppet = nanny.Spawn();
  TestEngine engine("A");
  AnswerSignal(engine, signo, action);
  AttachWith(engine, puppet, UTRACE_EVENT_SIGNAL_ALL);
  puppet.BeginRaise(signo);
  puppet.AwaitDeath();
  return nanny.Wait(puppet.pid()).status & 0x7f;
}

TestEngine::Handler ChangesCodeTo(long code) {
  return [code](Report& report) -> uint32_t {
    *report.code = code;
    return UTRACE_RESUME;
  };
}

}  // namespace

// ---- LIM-01 ------------------------------------------------------------------------------------

CLAUSE_TEST(LIM_01, AfterSigkillOnlyTheExitReportMayBeMissing) {
  for (int scene = 0; scene < 3; ++scene) {
    SCOPED_TRACE(scene);
    Puppet& puppet = Spawn();
    TestEngine engine("A");
    AttachWith(engine, puppet, kEnd | kExit);
    if (scene == 0) puppet.BeginRead();
    if (scene >= 1) StartSpinning(puppet);
    if (scene == 2) engine.StopAndWait();
    puppet.Kill(SIGKILL);
    EXPECT_EQ(SIGKILL, nanny().Wait(puppet.pid()).status);
    engine.AwaitEnded(What::kReap);
    EXPECT_LE(Declares("LIM-01") ? 0 : 1, engine.Count(What::kExit));
    EXPECT_GE(1, engine.Count(What::kExit));
    EXPECT_EQ(1, engine.Count(What::kDeath));
    EXPECT_EQ(1, engine.Count(What::kReap));
  }
}

CLAUSE_TEST(LIM_01, EveryOtherDeathHasItsExitReport) {
  for (int way = 0; way < 4; ++way) {
    SCOPED_TRACE(way);
    Puppet& puppet = Spawn();
    TestEngine engine("A");
    AttachWith(engine, puppet, kEnd | kExit);
    if (way == 0) puppet.BeginExit(7);
    if (way == 1) puppet.BeginExitGroup(7);
    if (way == 2) puppet.Kill(SIGTERM);
    if (way == 3) puppet.BeginFault(Fault::kSegv);
    nanny().Wait(puppet.pid());
    engine.AwaitEnded(What::kReap);
    ExpectLog(engine.Log(), {What::kExit, What::kDeath, What::kReap});
  }
}

// ---- LIM-02 ------------------------------------------------------------------------------------

// A call that was begun anew at each request would never end; one that was cut short would tell.
CLAUSE_TEST(LIM_02, CallsKeepTheirResultAndTheirTime) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  AttachWith(engine, puppet, kQuiesce);
  for (const Timed call :
       {Timed::kNanosleep, Timed::kPoll, Timed::kEpollWait, Timed::kFutexWait, Timed::kSelect}) {
    SCOPED_TRACE("call " + std::to_string(TimedNumber(call)));
    const auto timeout = BeginTimedAndSleep(puppet, call);
    EXPECT_TRUE(PollUntil([&] {
      EXPECT_EQ(0, engine.Control(UTRACE_REPORT));
      ExpectOneOf(engine.Control(UTRACE_STOP), {0, -EINPROGRESS});
      EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
      return puppet.Finished();
    })) << "the call never ends";
    const TimedResult result = puppet.FinishTimed();
    EXPECT_EQ(TimedOutResult(call), result.result);
    EXPECT_GE(result.elapsed_ns, std::chrono::nanoseconds(timeout).count());
  }
}

CLAUSE_TEST(LIM_02, CallsWithoutATimeAreEndedByTheirOwnEventAlone) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine engine("A");
  AttachWith(engine, puppet, kQuiesce);
  for (const Timed call : {Timed::kRead, Timed::kPause}) {
    SCOPED_TRACE("call " + std::to_string(TimedNumber(call)));
    puppet.BeginTimed(call, std::chrono::milliseconds(0));
    puppet.AwaitBlocked();
    for (int i = 0; i < 30; ++i) {
      EXPECT_EQ(0, engine.Control(UTRACE_REPORT));
      // In the call again, so that the next request interrupts it anew.
      puppet.AwaitBlocked();
    }
    EXPECT_FALSE(puppet.Finished());
    call == Timed::kRead ? puppet.Feed() : puppet.Tgkill(SIGUSR1);
    EXPECT_EQ(call == Timed::kRead ? 1 : -EINTR, puppet.FinishTimed().result);
  }
  EXPECT_EQ(1U, puppet.HandlerRuns(SIGUSR1));
}

// ---- LIM-03 ------------------------------------------------------------------------------------

CLAUSE_TEST(LIM_03, OnlySignalsWithoutAFatalDefaultEndByAnother) {
  const bool declared = Declares("LIM-03");
  for (const int signo : {SIGWINCH, SIGURG, SIGCHLD, SIGTSTP}) {
    SCOPED_TRACE(signo);
    ExpectOneOf(StatusAfter(nanny(), signo, UTRACE_SIGNAL_TERM),
                {signo, declared ? SIGTERM : signo});
    ExpectOneOf(StatusAfter(nanny(), signo, UTRACE_SIGNAL_CORE),
                {signo, declared ? SIGQUIT : signo});
  }
}

CLAUSE_TEST(LIM_03, SignalsWithAFatalDefaultEndByThemselves) {
  for (const int signo : {SIGHUP, SIGUSR1, SIGALRM, SIGRTMIN + 2}) {
    EXPECT_EQ(signo, StatusAfter(nanny(), signo, UTRACE_SIGNAL_TERM));
  }
  for (const int signo : {SIGQUIT, SIGABRT, SIGXCPU}) {
    EXPECT_EQ(signo, StatusAfter(nanny(), signo, UTRACE_SIGNAL_CORE));
  }
}

// ---- LIM-04 ------------------------------------------------------------------------------------

CLAUSE_TEST(LIM_04, AForeignPtracerIsNamedAndNoLongerInTheWayOnceGone) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  const OpsTable ops;
  int data = 0;
  ForeignTracer foreign(puppet.tid());
  {
    const EngineRef refused = AttachTask(task, UTRACE_ATTACH_CREATE, ops.get(), &data);
    if (Declares("LIM-04")) {
      EXPECT_EQ(-EPERM, refused.error());
      const char* text = api().utrace_last_error_text();
      ASSERT_NE(nullptr, text);
      EXPECT_NE(std::string::npos, std::string(text).find(std::to_string(foreign.pid()))) << text;
    } else {
      EXPECT_TRUE(refused.ok()) << ErrnoName(refused.error());
    }
  }
  foreign.End();
  TestEngine engine("A");
  EXPECT_EQ(0, engine.Attach(task));
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
}

// ---- LIM-05 ------------------------------------------------------------------------------------

CLAUSE_TEST(LIM_05, TheCodeOfItsOwnExitCanBeChangedIfSomeEngineSeesEntries) {
  for (const bool group : {false, true}) {
    Puppet& puppet = Spawn();
    TestEngine changes("A");
    TestEngine sees_entries("B");
    changes.On(What::kExit, ChangesCodeTo(9 << 8));
    AttachWith(changes, puppet, kExit);
    AttachWith(sees_entries, puppet, UTRACE_EVENT(SYSCALL_ENTRY));
    group ? puppet.BeginExitGroup(7) : puppet.BeginExit(7);
    EXPECT_EQ(9 << 8, nanny().Wait(puppet.pid()).status);
    EXPECT_EQ(7 << 8, changes.Log(What::kExit).at(0).orig_code);
  }
}

CLAUSE_TEST(LIM_05, ElsewhereTheOriginalIsPassedAndStandsIfItCannotBeChanged) {
  const bool declared = Declares("LIM-05");
  for (const bool by_signal : {false, true}) {
    const int original = by_signal ? SIGTERM : 7 << 8;
    Puppet& puppet = Spawn();
    TestEngine engine("A");
    engine.On(What::kExit, ChangesCodeTo(9 << 8));
    AttachWith(engine, puppet, kExit);
    by_signal ? puppet.Kill(SIGTERM) : puppet.BeginExitGroup(7);
    ExpectOneOf(nanny().Wait(puppet.pid()).status, {9 << 8, declared ? original : 9 << 8});
    const std::vector<Report> log = engine.Log(What::kExit);
    ASSERT_EQ(1U, log.size());
    EXPECT_EQ(original, log[0].orig_code);
  }
}

// ---- LIM-06 ------------------------------------------------------------------------------------

// The middle one of several: a machine under load delays one or the other, not the host's own doing.
CLAUSE_TEST(LIM_06, TheReapIsSeenWithinAHundredMilliseconds) {
  std::vector<std::chrono::nanoseconds> delays;
  for (int round = 0; round < 9; ++round) {
    Puppet& puppet = Spawn();
    TestEngine engine("A");
    AttachWith(engine, puppet, kEnd);
    puppet.BeginExitGroup(0);
    engine.AwaitEnded(What::kDeath);
    EXPECT_EQ(puppet.pid(), nanny().Wait(puppet.pid()).result);
    const auto reaped = TheThreads().Now();
    engine.AwaitEnded(What::kReap);
    delays.push_back(TheThreads().Now() - reaped);
  }
  std::sort(delays.begin(), delays.end());
  EXPECT_LE(delays[delays.size() / 2], std::chrono::milliseconds(100));
}

}  // namespace utrace::kit
