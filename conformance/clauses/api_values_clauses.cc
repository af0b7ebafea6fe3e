// The numbers of the interface, in the header and as the implementation understands them [API-01..05,
// API-10].
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "conformance/clauses/lifetime_scenes.h"

namespace utrace::kit {
namespace {

// The callback that an engine gets for each kind, by number of its bit.
constexpr What kWhatOf[UTRACE_EVENT_BITS] = {
    What::kQuiesce, What::kReap,         What::kClone,       What::kExec,   What::kExit,
    What::kDeath,   What::kSyscallEntry, What::kSyscallExit, What::kSignal, What::kSignal,
    What::kSignal,  What::kSignal,       What::kSignal,      What::kJctl,
};

// An engine for each kind of event, which enables that kind alone.
class OneOfEachKind {
 public:
  explicit OneOfEachKind(utrace_task* task) {
    for (int bit = 0; bit < UTRACE_EVENT_BITS; ++bit) {
      engines_.push_back(std::make_unique<TestEngine>(EventNames(1UL << bit)));
      int error = engines_.back()->Attach(task);
      if (error == 0) error = engines_.back()->SetEvents(1UL << bit);
      if (error != 0) Failed(engines_.back()->name() + " alone gives " + ErrnoName(error));
    }
  }
  TestEngine& operator[](int bit) { return *engines_[static_cast<size_t>(bit)]; }

  // Every engine has callbacks of its kind only.
  void ExpectNoStrayCallbacks() {
    for (int bit = 0; bit < UTRACE_EVENT_BITS; ++bit) {
      for (const Report& report : (*this)[bit].Log()) {
        EXPECT_EQ(kWhatOf[bit], report.what) << Describe(report);
      }
    }
  }

 private:
  std::vector<std::unique_ptr<TestEngine>> engines_;
};

// Signals that an engine was told of, in order, without repeats of the same number.
std::vector<int> SignalsOf(const TestEngine& engine) {
  std::vector<int> signals;
  for (const Report& report : engine.Log(What::kSignal)) {
    if (signals.empty() || signals.back() != report.signo()) signals.push_back(report.signo());
  }
  return signals;
}

}  // namespace

// ---- API-01 ------------------------------------------------------------------------------------

CLAUSE_TEST(API_01, EventKindsAreInOrder) {
  const unsigned long kinds[] = {
      UTRACE_EVENT(QUIESCE),       UTRACE_EVENT(REAP),         UTRACE_EVENT(CLONE),
      UTRACE_EVENT(EXEC),          UTRACE_EVENT(EXIT),         UTRACE_EVENT(DEATH),
      UTRACE_EVENT(SYSCALL_ENTRY), UTRACE_EVENT(SYSCALL_EXIT), UTRACE_EVENT(SIGNAL),
      UTRACE_EVENT(SIGNAL_IGN),    UTRACE_EVENT(SIGNAL_STOP),  UTRACE_EVENT(SIGNAL_TERM),
      UTRACE_EVENT(SIGNAL_CORE),   UTRACE_EVENT(JCTL),
  };
  unsigned long bit = 1;
  for (const unsigned long kind : kinds) {
    EXPECT_EQ(bit, kind);
    bit <<= 1;
  }
  EXPECT_EQ(0x1f00UL, UTRACE_EVENT_SIGNAL_ALL);
  EXPECT_EQ(0xc0UL, UTRACE_EVENT_SYSCALL);
}

CLAUSE_TEST(API_01, EachBitEnablesItsOwnKind) {
  Puppet& puppet = Spawn();
  OneOfEachKind engines(Task(puppet));
  puppet.Call(kMarker);
  Puppet& child = puppet.Fork();
  puppet.Exec();
  ExitAndReap(puppet);
  engines[UTRACE_EVENT_BIT_REAP].AwaitEnded(What::kReap);
  engines.ExpectNoStrayCallbacks();
  EXPECT_LT(0, engines[UTRACE_EVENT_BIT_QUIESCE].Count(What::kQuiesce));
  EXPECT_EQ(1, engines[UTRACE_EVENT_BIT_REAP].Count(What::kReap));
  EXPECT_EQ(1, engines[UTRACE_EVENT_BIT_CLONE].Count(What::kClone));
  EXPECT_EQ(1, engines[UTRACE_EVENT_BIT_EXEC].Count(What::kExec));
  EXPECT_EQ(1, engines[UTRACE_EVENT_BIT_EXIT].Count(What::kExit));
  EXPECT_EQ(1, engines[UTRACE_EVENT_BIT_DEATH].Count(What::kDeath));
  EXPECT_EQ(1, engines[UTRACE_EVENT_BIT_SYSCALL_ENTRY].CountSyscall(What::kSyscallEntry, kMarker));
  EXPECT_EQ(1, engines[UTRACE_EVENT_BIT_SYSCALL_EXIT].CountSyscall(What::kSyscallExit, kMarker));
  EXPECT_EQ(child.pid(), child.Call(SYS_getpid));
}

// QUIESCE sees every signal, so it stays off here.
CLAUSE_TEST(API_01, EachSignalBitEnablesItsOwnKind) {
  Puppet& puppet = Spawn();
  ASSERT_EQ(0, puppet.Sigaction(SIGUSR1, Disposition::kHandler));
  OneOfEachKind engines(Task(puppet));
  AssertOneOf(engines[UTRACE_EVENT_BIT_QUIESCE].SetEvents(0), {0, -EINPROGRESS});
  puppet.Raise(SIGUSR1);
  puppet.Raise(SIGWINCH);
  puppet.Kill(SIGTSTP);
  TestEngine& jctl = engines[UTRACE_EVENT_BIT_JCTL];
  jctl.AwaitEnded(What::kJctl, 1);
  puppet.Kill(SIGCONT);
  jctl.AwaitEnded(What::kJctl, 2);
  puppet.Call(kMarker);
  puppet.Kill(SIGTERM);
  AwaitReaped(puppet);
  engines[UTRACE_EVENT_BIT_REAP].AwaitEnded(What::kReap);
  engines.ExpectNoStrayCallbacks();
  EXPECT_EQ(std::vector<int>{SIGUSR1}, SignalsOf(engines[UTRACE_EVENT_BIT_SIGNAL]));
  EXPECT_EQ(std::vector<int>{SIGTSTP}, SignalsOf(engines[UTRACE_EVENT_BIT_SIGNAL_STOP]));
  EXPECT_EQ(std::vector<int>{SIGTERM}, SignalsOf(engines[UTRACE_EVENT_BIT_SIGNAL_TERM]));
  EXPECT_EQ(std::vector<int>{}, SignalsOf(engines[UTRACE_EVENT_BIT_SIGNAL_CORE]));
  const std::vector<int> ignored = SignalsOf(engines[UTRACE_EVENT_BIT_SIGNAL_IGN]);
  EXPECT_EQ((std::vector<int>{SIGWINCH, SIGCONT}), ignored);
}

CLAUSE_TEST(API_01, TheCoreBitEnablesItsOwnKind) {
  Puppet& puppet = Spawn();
  OneOfEachKind engines(Task(puppet));
  AssertOneOf(engines[UTRACE_EVENT_BIT_QUIESCE].SetEvents(0), {0, -EINPROGRESS});
  puppet.Kill(SIGQUIT);
  AwaitReaped(puppet);
  engines[UTRACE_EVENT_BIT_REAP].AwaitEnded(What::kReap);
  engines.ExpectNoStrayCallbacks();
  EXPECT_EQ(std::vector<int>{SIGQUIT}, SignalsOf(engines[UTRACE_EVENT_BIT_SIGNAL_CORE]));
  EXPECT_EQ(std::vector<int>{}, SignalsOf(engines[UTRACE_EVENT_BIT_SIGNAL_TERM]));
}

// ---- API-02 ------------------------------------------------------------------------------------

CLAUSE_TEST(API_02, ResumeActionsAreInOrder) {
  EXPECT_EQ(0, UTRACE_STOP);
  EXPECT_EQ(1, UTRACE_INTERRUPT);
  EXPECT_EQ(2, UTRACE_REPORT);
  EXPECT_EQ(3, UTRACE_SINGLESTEP);
  EXPECT_EQ(4, UTRACE_BLOCKSTEP);
  EXPECT_EQ(5, UTRACE_RESUME);
  EXPECT_EQ(6, UTRACE_DETACH);
  EXPECT_EQ(0x07U, UTRACE_RESUME_MASK);
}

CLAUSE_TEST(API_02, ResumeActionIsTheLowThreeBits) {
  for (uint32_t action = 0; action < 8; ++action) {
    for (const uint32_t rest : {0U, 0x10U, 0x70U, 0x100U, 0x1f8U, 0xfffffff8U}) {
      EXPECT_EQ(action, static_cast<uint32_t>(utrace_resume_action(action | rest)));
    }
  }
}

// The implementation goes by the same numbers.
CLAUSE_TEST(API_02, TheImplementationKnowsTheNumbers) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  TestEngine engine("engine", OpsTable().Without(What::kSignal));
  ASSERT_EQ(0, engine.Attach(task));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(QUIESCE)));
  const auto control = [&](int number) {
    return engine.Control(static_cast<enum utrace_resume_action>(number));
  };
  EXPECT_EQ(0, control(5)) << "RESUME of a running task";
  EXPECT_EQ(0, control(2)) << "REPORT";
  puppet.Call(kMarker);  // a call in progress is not interrupted
  engine.Await(What::kQuiesce);
  // In the call in which REPORT would leave it.
  puppet.AwaitIdle();
  EXPECT_EQ(0, control(1)) << "INTERRUPT";
  engine.HoldNow();
  EXPECT_EQ(0, control(0)) << "STOP of a stopped task";
  utrace_examiner examiner = {};
  EXPECT_EQ(0, engine.Prepare(&examiner));
  EXPECT_EQ(0, engine.Finish(&examiner));
  EXPECT_EQ(0, control(6)) << "DETACH of a stopped task";
  EXPECT_EQ(-ESRCH, control(5));
  EXPECT_EQ(puppet.pid(), puppet.Call(SYS_getpid));
  EXPECT_EQ(-ENOENT, LookUpAny(task).error());
}

// ---- API-03 ------------------------------------------------------------------------------------

CLAUSE_TEST(API_03, SignalActions) {
  EXPECT_EQ(0x00, UTRACE_SIGNAL_DELIVER);
  EXPECT_EQ(0x10, UTRACE_SIGNAL_IGN);
  EXPECT_EQ(0x20, UTRACE_SIGNAL_TERM);
  EXPECT_EQ(0x30, UTRACE_SIGNAL_CORE);
  EXPECT_EQ(0x40, UTRACE_SIGNAL_STOP);
  EXPECT_EQ(0x50, UTRACE_SIGNAL_TSTP);
  EXPECT_EQ(0x60, UTRACE_SIGNAL_REPORT);
  EXPECT_EQ(0x70, UTRACE_SIGNAL_HANDLER);
  EXPECT_EQ(0xf0U, UTRACE_SIGNAL_MASK);
  EXPECT_EQ(0x100U, UTRACE_SIGNAL_HOLD);
  for (uint32_t action = 0; action <= 0xf0; action += 0x10) {
    for (const uint32_t rest : {0U, 0x05U, 0x107U, 0xffffff0fU}) {
      EXPECT_EQ(action, static_cast<uint32_t>(utrace_signal_action(action | rest)));
    }
  }
}

CLAUSE_TEST(API_03, TheImplementationKnowsTheNumbers) {
  Puppet& puppet = Spawn();
  ASSERT_EQ(0, puppet.Sigaction(SIGUSR1, Disposition::kHandler));
  TestEngine engine;
  std::atomic<int> count{0};
  engine.On(What::kSignal, [&](Report& report) -> uint32_t {
    EXPECT_EQ(0x00U, report.action & 0xf0U);  // DELIVER
    return ++count == 1 ? 0x15U : 0x05U;      // IGN, then DELIVER, with RESUME
  });
  ASSERT_EQ(0, engine.Attach(Task(puppet)));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(SIGNAL)));
  puppet.Raise(SIGUSR1);
  EXPECT_EQ(0U, puppet.HandlerRuns(SIGUSR1)) << "0x10 is IGN";
  puppet.Raise(SIGUSR1);
  puppet.AwaitHandlerRuns(1);
  EXPECT_EQ(2, count);
}

CLAUSE_TEST(API_03, ReportIsTheNumberOfNoSignal) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  ASSERT_EQ(0, engine.Attach(Task(puppet)));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(QUIESCE)));
  ASSERT_EQ(0, engine.Control(UTRACE_INTERRUPT));
  engine.Await(What::kSignal);
  EXPECT_EQ(0x60U, engine.Log(What::kSignal).front().action & 0xf0U);
}

// ---- API-04 ------------------------------------------------------------------------------------

CLAUSE_TEST(API_04, SyscallActions) {
  EXPECT_EQ(0x00, UTRACE_SYSCALL_RUN);
  EXPECT_EQ(0x10, UTRACE_SYSCALL_ABORT);
  EXPECT_EQ(0xf0U, UTRACE_SYSCALL_MASK);
  EXPECT_EQ(0x100U, UTRACE_SYSCALL_RESUMED);
  for (uint32_t action = 0; action <= 0xf0; action += 0x10) {
    for (const uint32_t rest : {0U, 0x05U, 0x107U, 0xffffff0fU}) {
      EXPECT_EQ(action, static_cast<uint32_t>(utrace_syscall_action(action | rest)));
    }
  }
}

CLAUSE_TEST(API_04, TheImplementationKnowsTheNumbers) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  std::atomic<int> count{0};
  engine.On(What::kSyscallEntry, [&](Report& report) -> uint32_t {
    if (report.syscall != kMarker) return PassThrough(report);
    switch (++count) {
      case 1:
        EXPECT_EQ(0x005U, report.action);  // RUN with RESUME
        return 0x015U;                     // ABORT with RESUME
      case 2:
        EXPECT_EQ(0x005U, report.action);
        return 0x002U;  // RUN with REPORT: the entry is repeated
      default:
        EXPECT_EQ(0x105U, report.action);  // with RESUMED
        return 0x005U;
    }
  });
  ASSERT_EQ(0, engine.Attach(Task(puppet)));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(SYSCALL_ENTRY)));
  EXPECT_EQ(-ENOSYS, puppet.Call(kMarker));
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  EXPECT_EQ(3, count);
}

// ---- API-05 ------------------------------------------------------------------------------------

CLAUSE_TEST(API_05, AttachFlags) {
  EXPECT_EQ(0x10, UTRACE_ATTACH_CREATE);
  EXPECT_EQ(0x20, UTRACE_ATTACH_EXCLUSIVE);
  EXPECT_EQ(0x01, UTRACE_ATTACH_MATCH_OPS);
  EXPECT_EQ(0x02, UTRACE_ATTACH_MATCH_DATA);
  EXPECT_EQ(0x0f, UTRACE_ATTACH_MATCH_MASK);
}

CLAUSE_TEST(API_05, TheImplementationKnowsTheNumbers) {
  TaskRef task = Task(Spawn());
  OpsTable x;
  OpsTable y;
  int p = 0;
  int q = 0;
  EXPECT_EQ(-ENOENT, AttachTask(task, 0x00, x.get(), &p).error());
  const EngineRef xp = AttachTask(task, 0x10, x.get(), &p);
  ASSERT_TRUE(xp.ok());
  const EngineRef yq = AttachTask(task, 0x10, y.get(), &q);
  ASSERT_TRUE(yq.ok());
  EXPECT_EQ(yq.get(), AttachTask(task, 0x01, y.get(), &p).get());
  EXPECT_EQ(xp.get(), AttachTask(task, 0x02, y.get(), &p).get());
  EXPECT_EQ(-ENOENT, AttachTask(task, 0x03, y.get(), &p).error());
  EXPECT_EQ(-EEXIST, AttachTask(task, 0x30, x.get(), &p).error());
  EXPECT_TRUE(AttachTask(task, 0x33, y.get(), &p).ok());
}

// ---- API-10 ------------------------------------------------------------------------------------

CLAUSE_TEST(API_10, TheVersionNamesThisInterface) {
  EXPECT_EQ(20090421, UTRACE_API_VERSION);
  // Nor does it change while somebody may rely on it.
  for (int i = 0; i < 5; ++i) EXPECT_EQ(20090421UL, api().utrace_api_version());
}

}  // namespace utrace::kit
