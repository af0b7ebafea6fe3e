// BAD-*: arguments and results that make no sense.
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <unistd.h>

#include <climits>

#include "conformance/clauses/control_scenes.h"

namespace utrace::kit {
namespace {

constexpr unsigned long kQuiesce = UTRACE_EVENT(QUIESCE);

void ExpectRefused(long result, int line = __builtin_LINE()) {
  ExpectOneOf(result, {-EINVAL, -ESRCH}, __FILE__, line);
}

// While it lives, no signal reaches the calling thread.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

}  // namespace

// ---- BAD-01 ------------------------------------------------------------------------------------

CLAUSE_TEST(BAD_01, NullTask) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  const OpsTable ops;
  ExpectRefused(AttachTask(nullptr, UTRACE_ATTACH_CREATE, ops.get(), nullptr).error());
  ExpectRefused(AttachTask(nullptr, 0, nullptr, nullptr).error());
  ExpectRefused(AttachPid(nullptr, UTRACE_ATTACH_CREATE, ops.get(), nullptr).error());
  utrace_examiner examiner = {};
  ExpectRefused(api().utrace_control(nullptr, engine.get(), UTRACE_RESUME));
  ExpectRefused(api().utrace_control_pid(nullptr, engine.get(), UTRACE_RESUME));
  ExpectRefused(api().utrace_set_events(nullptr, engine.get(), 0));
  ExpectRefused(api().utrace_set_events_pid(nullptr, engine.get(), 0));
  ExpectRefused(api().utrace_barrier_pid(nullptr, engine.get()));
  ExpectRefused(api().utrace_prepare_examine(nullptr, engine.get(), &examiner));
  ExpectRefused(api().utrace_finish_examine(nullptr, engine.get(), &examiner));
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  EXPECT_TRUE(IsAttached(engine));
}

CLAUSE_TEST(BAD_01, NullTaskOfMachineState) {
  char buffer[64] = {};
  uint64_t word = 0;
  long number = 0;
  utrace_current_syscall call = {};
  EXPECT_EQ(nullptr, api().utrace_task_regset_view(nullptr));
  ExpectRefused(api().utrace_regset_get(nullptr, 0, 0, 8, buffer));
  ExpectRefused(api().utrace_regset_set(nullptr, 0, 0, 8, buffer));
  ExpectRefused(api().utrace_get_pc(nullptr, &word));
  ExpectRefused(api().utrace_set_pc(nullptr, word));
  ExpectRefused(api().utrace_get_sp(nullptr, &word));
  ExpectRefused(api().utrace_syscall_number(nullptr, &number));
  ExpectRefused(api().utrace_syscall_set_number(nullptr, 0));
  ExpectRefused(api().utrace_syscall_arguments(nullptr, 0, 1, &word));
  ExpectRefused(api().utrace_syscall_set_arguments(nullptr, 0, 1, &word));
  ExpectRefused(api().utrace_syscall_result(nullptr, &number, &number));
  ExpectRefused(api().utrace_syscall_set_result(nullptr, 0, 0));
  ExpectRefused(api().utrace_syscall_rollback(nullptr));
  ExpectRefused(api().utrace_task_current_syscall(nullptr, &call));
  ExpectRefused(api().utrace_read_memory(nullptr, 0, buffer, 1));
  ExpectRefused(api().utrace_write_memory(nullptr, 0, buffer, 1));
  ExpectRefused(api().utrace_task_status(nullptr, buffer, sizeof(buffer)));
}

CLAUSE_TEST(BAD_01, NullEngine) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  PidRef pid = Pid(puppet);
  utrace_examiner examiner = {};
  ExpectRefused(api().utrace_control(task, nullptr, UTRACE_STOP));
  ExpectRefused(api().utrace_control_pid(pid, nullptr, UTRACE_STOP));
  ExpectRefused(api().utrace_set_events(task, nullptr, UTRACE_EVENT_ALL));
  ExpectRefused(api().utrace_set_events_pid(pid, nullptr, UTRACE_EVENT_ALL));
  ExpectRefused(api().utrace_barrier(task, nullptr));
  ExpectRefused(api().utrace_barrier_pid(pid, nullptr));
  ExpectRefused(api().utrace_prepare_examine(task, nullptr, &examiner));
  ExpectRefused(api().utrace_finish_examine(task, nullptr, &examiner));
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
}

CLAUSE_TEST(BAD_01, NullOpsAndExaminer) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  PidRef pid = Pid(puppet);
  EXPECT_EQ(-EINVAL, AttachTask(task, UTRACE_ATTACH_CREATE, nullptr, nullptr).error());
  EXPECT_EQ(-EINVAL, AttachPid(pid, UTRACE_ATTACH_CREATE, nullptr, nullptr).error());
  EXPECT_EQ(-ENOENT, AttachTask(task, 0, nullptr, nullptr).error());
  TestEngine engine("A");
  engine.On(What::kSyscallExit, AtMarker(UTRACE_STOP));
  ASSERT_EQ(0, engine.Attach(task));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(SYSCALL_EXIT)));
  ExpectRefused(engine.Prepare(nullptr));
  ExpectRefused(engine.Finish(nullptr));
  // Where nothing else is wrong with the call, too.
  puppet.Begin(kMarker);
  AwaitHeld(engine);
  ExpectRefused(engine.Prepare(nullptr));
  ExpectRefused(engine.Finish(nullptr));
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  EXPECT_EQ(nanny().pid(), puppet.Finish());
}

// ---- BAD-02 ------------------------------------------------------------------------------------

CLAUSE_TEST(BAD_02, AnEventWhoseCallbackIsNull) {
  struct Kind {
    What what;
    unsigned long event;
  };
  const Kind kinds[] = {{What::kQuiesce, kQuiesce},
                        {What::kReap, UTRACE_EVENT(REAP)},
                        {What::kClone, UTRACE_EVENT(CLONE)},
                        {What::kExec, UTRACE_EVENT(EXEC)},
                        {What::kExit, UTRACE_EVENT(EXIT)},
                        {What::kDeath, UTRACE_EVENT(DEATH)},
                        {What::kSyscallEntry, UTRACE_EVENT(SYSCALL_ENTRY)},
                        {What::kSyscallExit, UTRACE_EVENT(SYSCALL_EXIT)},
                        {What::kSignal, UTRACE_EVENT(SIGNAL)},
                        {What::kSignal, UTRACE_EVENT(SIGNAL_IGN)},
                        {What::kSignal, UTRACE_EVENT(SIGNAL_STOP)},
                        {What::kSignal, UTRACE_EVENT(SIGNAL_TERM)},
                        {What::kSignal, UTRACE_EVENT(SIGNAL_CORE)},
                        {What::kJctl, UTRACE_EVENT(JCTL)}};
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  PidRef pid = Pid(puppet);
  for (const Kind& kind : kinds) {
    SCOPED_TRACE(EventNames(kind.event));
    TestEngine engine("A", OpsTable().Without(kind.what));
    ASSERT_EQ(0, engine.Attach(task));
    // A mask that was there before stays.
    const unsigned long before =
        kind.event == UTRACE_EVENT(REAP) ? UTRACE_EVENT(DEATH) : UTRACE_EVENT(REAP);
    ASSERT_EQ(0, engine.SetEvents(before));
    EXPECT_EQ(-EINVAL, engine.SetEvents(kind.event));
    EXPECT_EQ(before, engine.get()->flags & UTRACE_EVENT_ALL);
    const unsigned long allowed =
        kind.what == What::kClone ? UTRACE_EVENT(EXIT) : UTRACE_EVENT(CLONE);
    EXPECT_EQ(-EINVAL, engine.SetEvents(before | allowed | kind.event));
    EXPECT_EQ(before, engine.get()->flags & UTRACE_EVENT_ALL);
    EXPECT_EQ(-EINVAL, api().utrace_set_events_pid(pid, engine.get(), kind.event));
    EXPECT_EQ(0, engine.SetEvents(before | allowed));
    engine.DetachAndWait();
  }
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
}

CLAUSE_TEST(BAD_02, ASignalEventNeedsOneOfTwo) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  TestEngine with_quiesce("A", OpsTable().Without(What::kSignal));
  ASSERT_EQ(0, with_quiesce.Attach(task));
  EXPECT_EQ(-EINVAL, with_quiesce.SetEvents(UTRACE_EVENT(SIGNAL)));
  EXPECT_EQ(0, with_quiesce.SetEvents(UTRACE_EVENT(SIGNAL) | kQuiesce));
  TestEngine with_neither("B", OpsTable().Without(What::kSignal).Without(What::kQuiesce));
  ASSERT_EQ(0, with_neither.Attach(task));
  EXPECT_EQ(-EINVAL, with_neither.SetEvents(UTRACE_EVENT(SIGNAL)));
  EXPECT_EQ(-EINVAL, with_neither.SetEvents(UTRACE_EVENT(SIGNAL) | kQuiesce));
  EXPECT_EQ(-EINVAL, with_neither.SetEvents(kQuiesce));
}

CLAUSE_TEST(BAD_02, AnEmptyTable) {
  static const utrace_engine_ops kNothing = {};
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  EngineRef engine = AttachTask(task, UTRACE_ATTACH_CREATE, &kNothing, nullptr);
  ASSERT_TRUE(engine.ok());
  EXPECT_EQ(-EINVAL, api().utrace_set_events(task, engine, UTRACE_EVENT_ALL));
  EXPECT_EQ(0, api().utrace_set_events(task, engine, 0));
  puppet.Fork();
  puppet.Exec();
  puppet.BeginExitGroup(0);
  EXPECT_EQ(puppet.pid(), nanny().Wait(puppet.pid()).result);
}

// ---- BAD-03 ------------------------------------------------------------------------------------

CLAUSE_TEST(BAD_03, AResumeActionOfSevenIsResume) {
  Puppet& puppet = Spawn();
  TestEngine a("A");
  TestEngine b("B");
  a.On(What::kSyscallExit, AtMarker(7));
  for (TestEngine* engine : {&a, &b}) {
    ASSERT_EQ(0, engine->AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine->SetEvents(UTRACE_EVENT(SYSCALL_EXIT)));
  }
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  for (const Report& report : b.Log(What::kSyscallExit)) {
    ExpectResumeOneOf(report.action, {UTRACE_RESUME});
  }
  EXPECT_TRUE(IsAttached(a));
}

CLAUSE_TEST(BAD_03, UndefinedBitsAreDropped) {
  Puppet& puppet = Spawn();
  puppet.Sigaction(SIGUSR1, Disposition::kHandler);
  TestEngine a("A");
  TestEngine b("B");
  a.On(What::kSignal, [](Report&) -> uint32_t {
    return Answer(0xfffff000U | UTRACE_SIGNAL_DELIVER, UTRACE_RESUME);
  });
  a.On(What::kSyscallExit, [](Report&) -> uint32_t { return 0xfffffff8U | UTRACE_RESUME; });
  a.On(What::kClone, [](Report&) -> uint32_t { return 0xfffffff8U | UTRACE_RESUME; });
  for (TestEngine* engine : {&a, &b}) {
    ASSERT_EQ(0, engine->AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine->SetEvents(UTRACE_EVENT(SYSCALL_EXIT) | UTRACE_EVENT(SIGNAL) |
                                   UTRACE_EVENT(CLONE)));
  }
  puppet.Raise(SIGUSR1);
  EXPECT_EQ(1U, puppet.HandlerRuns());
  puppet.Fork();
  for (const Report& report : b.Log()) {
    const bool signal = report.what == What::kSignal;
    const uint32_t defined =
        UTRACE_RESUME_MASK | (signal ? UTRACE_SIGNAL_MASK | UTRACE_SIGNAL_HOLD : 0U);
    EXPECT_EQ(0U, report.action & ~defined) << Describe(report);
  }
}

CLAUSE_TEST(BAD_03, AnUndefinedSyscallActionDoesNotHang) {
  for (const uint32_t action : {0x20U, 0xf0U, 0xfffff000U}) {
    Puppet& puppet = Spawn();
    TestEngine engine("A");
    engine.On(What::kSyscallEntry, [&](Report& report) -> uint32_t {
      return IsMarker(report) ? Answer(action, UTRACE_RESUME) : PassThrough(report);
    });
    ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(SYSCALL_ENTRY)));
    ExpectOneOf(puppet.Call(kMarker), {nanny().pid(), -ENOSYS});
    EXPECT_EQ(1, engine.CountSyscall(What::kSyscallEntry, kMarker));
  }
}

// ---- BAD-04 ------------------------------------------------------------------------------------

CLAUSE_TEST(BAD_04, PidsThatAreNone) {
  for (const pid_t tid : {0, -1, -2, INT_MIN, INT_MAX, 1 << 22}) {
    SCOPED_TRACE(tid);
    const PidRef pid(api().utrace_pid_find(tid));
    ExpectRefused(pid.error());
    EXPECT_FALSE(pid.ok());
  }
}

// ---- BAD-05 ------------------------------------------------------------------------------------

CLAUSE_TEST(BAD_05, ASignalNumberOutOfRangeIsIgnored) {
  for (const int signo : {0, -1, INT_MIN, SIGRTMAX + 1, 65, 128, 1000, INT_MAX}) {
    SCOPED_TRACE(signo);
    Puppet& puppet = Spawn();
    puppet.Sigaction(SIGUSR1, Disposition::kHandler);
    TestEngine engine("A");
    engine.On(What::kSignal, [&](Report& report) -> uint32_t {
      if (report.signo() != SIGUSR1) return PassThrough(report);
      report.info->si_signo = signo;
      return Answer(UTRACE_SIGNAL_DELIVER, UTRACE_RESUME);
    });
    ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(SIGNAL)));
    puppet.Raise(SIGUSR1);
    EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
    EXPECT_EQ(0U, puppet.HandlerRuns());
    EXPECT_EQ(1, engine.Count(What::kSignal));
  }
}

CLAUSE_TEST(BAD_05, WhateverTheAction) {
  for (const uint32_t action : {UTRACE_SIGNAL_TERM, UTRACE_SIGNAL_CORE}) {
    for (const int signo : {0, 65}) {
      Puppet& puppet = Spawn();
      puppet.Sigaction(SIGUSR1, Disposition::kHandler);
      TestEngine engine("A");
      engine.On(What::kSignal, [&](Report& report) -> uint32_t {
        if (report.signo() != SIGUSR1) return PassThrough(report);
        report.info->si_signo = signo;
        return Answer(action, UTRACE_RESUME);
      });
      ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
      ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(SIGNAL)));
      puppet.Raise(SIGUSR1);
      EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
    }
  }
}

CLAUSE_TEST(BAD_05, AnInjectedOneToo) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.On(What::kSignal, [](Report& report) -> uint32_t {
    if (report.signal_action() != UTRACE_SIGNAL_REPORT) return PassThrough(report);
    report.info->si_signo = 1000;
    return Answer(UTRACE_SIGNAL_DELIVER, UTRACE_RESUME);
  });
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(kQuiesce));
  StartSpinning(puppet);
  EXPECT_EQ(0, engine.Control(UTRACE_INTERRUPT));
  engine.AwaitEnded(What::kSignal);
  ExpectRuns(puppet);
}

// ---- BAD-06 ------------------------------------------------------------------------------------

CLAUSE_TEST(BAD_06, ATracerCannotTraceItself) {
  Needs("live");
  const OpsTable ops;
  TaskRef self = FindTask(gettid());
  EXPECT_EQ(-EPERM, AttachTask(self, UTRACE_ATTACH_CREATE, ops.get(), nullptr).error());
  TaskRef leader = FindTask(getpid());
  EXPECT_EQ(-EPERM, AttachTask(leader, UTRACE_ATTACH_CREATE, ops.get(), nullptr).error());
  pid_t other = 0;
  int error = 0;
  Thread([&] {
    other = gettid();
    TaskRef task = FindTask(other);
    error = AttachTask(task, UTRACE_ATTACH_CREATE, ops.get(), nullptr).error();
  }).Join();
  EXPECT_EQ(-EPERM, error);
}

// Broken by: a look at the own process only.
CLAUSE_TEST(BAD_06, NorOneThatTracesIt) {
  Needs("live");
  Puppet& tracer = Spawn();
  const SignalsBlocked no_stop_that_nobody_ends;
  // Yama lets only those trace a process whom it names; without Yama this fails and is not needed.
  prctl(PR_SET_PTRACER, tracer.pid());
  if (tracer.Call(SYS_ptrace, PTRACE_SEIZE, gettid(), 0, 0) != 0) {
    Broken("the puppet cannot trace this thread");
  }
  const OpsTable ops;
  TaskRef task = Task(tracer);
  EXPECT_EQ(-EPERM, AttachTask(task, UTRACE_ATTACH_CREATE, ops.get(), nullptr).error());
  EXPECT_EQ(-ENOENT, AttachTask(task, 0, nullptr, nullptr).error());
  // Who traces nobody can be attached to again; the end of a tracer ends its tracing.
  tracer.Destroy();
  Puppet& other = Spawn();
  TestEngine engine("A");
  EXPECT_EQ(0, engine.AttachTid(other.tid()));
}

CLAUSE_TEST(BAD_06, NotFromACallbackEither) {
  Needs("live");
  Puppet& puppet = Spawn();
  const OpsTable ops;
  int error = 0;
  TestEngine engine("A");
  engine.On(What::kSyscallExit, [&](Report& report) -> uint32_t {
    if (IsMarker(report)) {
      // The thread that makes the callback is the tracer itself.
      const PidRef pid(api().utrace_pid_find(report.host_tid));
      error = AttachPid(pid, UTRACE_ATTACH_CREATE, ops.get(), nullptr).error();
    }
    return UTRACE_RESUME;
  });
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(SYSCALL_EXIT)));
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
  EXPECT_EQ(-EPERM, error);
}

}  // namespace utrace::kit
