// The ops table: every callback with its parameters, and tables with gaps [API-06].
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <string>

#include "conformance/clauses/lifetime_scenes.h"

namespace utrace::kit {
namespace {

// What all callbacks but release have in common.
void ExpectCommon(const Report& report, const TestEngine& engine) {
  SCOPED_TRACE(Describe(report));
  EXPECT_EQ(engine.get(), report.engine);
  EXPECT_EQ(engine.task(), report.task);
  // report_reap need not be the task's own [REA-05].
  if (report.what != What::kReap) {
    EXPECT_EQ(report.task, report.current);
  }
}

Report OnlyOne(const TestEngine& engine, What what) {
  const std::vector<Report> log = engine.Log(what);
  if (log.size() != 1) {
    Failed("expected one callback " + std::string(WhatName(what)) + ", seen:\n" +
           Describe(engine.Log()));
  }
  ExpectCommon(log.front(), engine);
  return log.front();
}

Report OfMarker(const TestEngine& engine, What what) {
  for (const Report& report : engine.Log(what)) {
    if (report.syscall == kMarker) {
      ExpectCommon(report, engine);
      return report;
    }
  }
  Failed("no callback " + std::string(WhatName(what)) + " for the marker call");
}

void Start(TestEngine& engine, const PuppetThread& puppet, unsigned long events) {
  int error = engine.AttachTid(puppet.tid());
  if (error == 0) error = engine.SetEvents(events);
  if (error != 0) Failed("attaching '" + engine.name() + "' gives " + ErrnoName(error));
}

}  // namespace

// ---- Table 2.1 ---------------------------------------------------------------------------------

CLAUSE_TEST(API_06, ParametersOfQuiesce) {
  Puppet& puppet = Spawn();
  TestEngine engine("engine", OpsTable().Without(What::kSignal));
  Start(engine, puppet, UTRACE_EVENT(QUIESCE) | UTRACE_EVENT(CLONE));
  puppet.Fork();
  const Report before = OnlyOne(engine, What::kQuiesce);
  EXPECT_EQ(UTRACE_EVENT(CLONE), before.event);
  EXPECT_EQ(static_cast<uint32_t>(UTRACE_RESUME), before.resume());
  ASSERT_EQ(0, engine.Control(UTRACE_REPORT));
  puppet.Call(kMarker);
  engine.Await(What::kQuiesce, 2);
  const Report zero = engine.Log(What::kQuiesce)[1];
  ExpectCommon(zero, engine);
  EXPECT_EQ(0UL, zero.event);
}

CLAUSE_TEST(API_06, ParametersOfSignal) {
  Puppet& puppet = Spawn();
  ASSERT_EQ(0, puppet.Sigaction(SIGUSR1, Disposition::kHandler));
  TestEngine engine;
  Start(engine, puppet, UTRACE_EVENT(SIGNAL));
  puppet.QueueFromKit(SIGUSR1, 4711);
  puppet.AwaitHandlerRuns(1);
  const Report report = OnlyOne(engine, What::kSignal);
  EXPECT_EQ(static_cast<uint32_t>(UTRACE_SIGNAL_DELIVER), report.signal_action());
  EXPECT_EQ(static_cast<uint32_t>(UTRACE_RESUME), report.resume());
  EXPECT_NE(nullptr, report.regs);
  ASSERT_NE(nullptr, report.info);
  EXPECT_EQ(SIGUSR1, report.info_copy.si_signo);
  EXPECT_EQ(SI_QUEUE, report.info_copy.si_code);
  EXPECT_EQ(4711, report.info_copy.si_value.sival_int);
  EXPECT_EQ(getpid(), report.info_copy.si_pid);
  ASSERT_TRUE(report.has_orig_ka);
  const uint64_t handler = report.orig_ka_copy.handler;
  EXPECT_TRUE(handler == UTRACE_SIG_UNKNOWN_HANDLER || handler == puppet.addresses().handler)
      << std::hex << handler;
  EXPECT_NE(nullptr, report.return_ka);
  EXPECT_NE(report.orig_ka, report.return_ka);
}

CLAUSE_TEST(API_06, ParametersOfClone) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  Start(engine, puppet, UTRACE_EVENT(CLONE));
  const Puppet& child = puppet.Fork();
  const Report report = OnlyOne(engine, What::kClone);
  EXPECT_EQ(child.tid(), report.child_tid);
  EXPECT_NE(report.task, report.child);
  EXPECT_EQ(static_cast<unsigned long>(SIGCHLD), report.clone_flags & 0xffUL);
  EXPECT_EQ(static_cast<uint32_t>(UTRACE_RESUME), report.resume());
}

CLAUSE_TEST(API_06, ParametersOfJctl) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  Start(engine, puppet, UTRACE_EVENT(JCTL));
  puppet.Kill(SIGSTOP);
  engine.AwaitEnded(What::kJctl);
  const Report report = OnlyOne(engine, What::kJctl);
  EXPECT_EQ(CLD_STOPPED, report.jctl_type);
  EXPECT_EQ(CLD_STOPPED, report.jctl_notify) << "the only thread tells the parent";
  EXPECT_EQ(static_cast<uint32_t>(UTRACE_RESUME), report.resume());
  puppet.Kill(SIGCONT);
  EXPECT_EQ(puppet.pid(), puppet.Call(SYS_getpid));
}

CLAUSE_TEST(API_06, ParametersOfExec) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  Start(engine, puppet, UTRACE_EVENT(EXEC));
  puppet.Exec();
  const Report report = OnlyOne(engine, What::kExec);
  // A hosted one's name is its own.
  EXPECT_EQ(TheTarget() == nullptr ? PuppetPath() : report.program_path, report.program_path);
  EXPECT_NE("", report.program_path);
  EXPECT_EQ(puppet.addresses().entry, report.program_entry);
  EXPECT_EQ(puppet.tid(), report.former_tid);
  EXPECT_NE(nullptr, report.regs);
  EXPECT_EQ(static_cast<uint32_t>(UTRACE_RESUME), report.resume());
}

CLAUSE_TEST(API_06, ParametersOfSyscalls) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  Start(engine, puppet, UTRACE_EVENT_SYSCALL);
  puppet.Call(kMarker);
  const Report entry = OfMarker(engine, What::kSyscallEntry);
  EXPECT_EQ(static_cast<uint32_t>(UTRACE_SYSCALL_RUN), entry.syscall_action());
  EXPECT_EQ(0U, entry.action & UTRACE_SYSCALL_RESUMED);
  EXPECT_EQ(static_cast<uint32_t>(UTRACE_RESUME), entry.resume());
  EXPECT_NE(nullptr, entry.regs);
  const Report exit = OfMarker(engine, What::kSyscallExit);
  EXPECT_EQ(static_cast<uint32_t>(UTRACE_RESUME), exit.resume());
  EXPECT_NE(nullptr, exit.regs);
}

CLAUSE_TEST(API_06, ParametersOfExitDeathReapAndRelease) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  long code = -1;
  engine.On(What::kExit, [&](Report& report) -> uint32_t {
    if (report.code != nullptr) code = *report.code;
    return PassThrough(report);
  });
  Start(engine, puppet, UTRACE_EVENT(EXIT) | UTRACE_EVENT(DEATH) | UTRACE_EVENT(REAP));
  puppet.BeginExitGroup(23);
  AwaitReaped(puppet);
  engine.AwaitEnded(What::kReap);
  const Report exit = OnlyOne(engine, What::kExit);
  EXPECT_EQ(W_EXITCODE(23, 0), exit.orig_code);
  EXPECT_NE(nullptr, exit.code);
  EXPECT_EQ(W_EXITCODE(23, 0), code);
  EXPECT_EQ(static_cast<uint32_t>(UTRACE_RESUME), exit.resume());
  const Report death = OnlyOne(engine, What::kDeath);
  EXPECT_TRUE(death.group_dead);
  EXPECT_EQ(SIGCHLD, death.death_signal);
  OnlyOne(engine, What::kReap);
  engine.Put();
  engine.Await(What::kRelease);  // counted by the data that it gets
}

// ---- Tables with gaps --------------------------------------------------------------------------

class HasGaps : public ClauseTest {
 protected:
  // The life that makes every kind of callback.
  void LiveThrough(Puppet& puppet) {
    puppet.Sigaction(SIGUSR1, Disposition::kHandler);
    puppet.Raise(SIGUSR1);
    puppet.Raise(SIGWINCH);
    puppet.Call(kMarker);
    puppet.Fork();
    puppet.Exec();
    ExitAndReap(puppet);
  }

  // An engine that has this callback alone gets it.
  void ExpectAloneSuffices(What what, unsigned long events) {
    OpsTable ops;
    for (int other = 0; other < kWhats; ++other) {
      if (other != static_cast<int>(what)) ops.Without(static_cast<What>(other));
    }
    Puppet& puppet = Spawn();
    TestEngine engine("sparse", ops);
    TestEngine whole("whole");
    Start(engine, puppet, events);
    Start(whole, puppet, UTRACE_EVENT_ALL);
    LiveThrough(puppet);
    whole.AwaitEnded(What::kReap);
    EXPECT_LT(0, engine.Count(what));
    for (const Report& report : engine.Log()) EXPECT_EQ(what, report.what) << Describe(report);
  }
};

CLAUSE_TEST_OF(HasGaps, API_06, NothingButNulls) {
  OpsTable ops;
  for (int what = 0; what < kWhats; ++what) ops.Without(static_cast<What>(what));
  Puppet& puppet = Spawn();
  TestEngine empty("empty", ops);
  TestEngine gone("gone", ops);
  TestEngine whole("whole");
  Start(empty, puppet, 0);
  Start(gone, puppet, 0);
  Start(whole, puppet, UTRACE_EVENT_ALL);
  gone.DetachAndWait();
  gone.Put();
  // Passes that an engine asks for go by the empty one too.
  whole.HoldNow();
  ExpectOneOf(empty.Control(UTRACE_STOP), {0});
  EXPECT_EQ(0, whole.Control(UTRACE_RESUME));
  EXPECT_EQ(0, empty.Control(UTRACE_INTERRUPT));
  LiveThrough(puppet);
  whole.AwaitEnded(What::kReap);
  ExpectLog(empty.Log(), {});
  empty.Put();
}

CLAUSE_TEST_OF(HasGaps, API_06, QuiesceAlone) {
  ExpectAloneSuffices(What::kQuiesce, UTRACE_EVENT(QUIESCE));
}
CLAUSE_TEST_OF(HasGaps, API_06, SignalAlone) {
  ExpectAloneSuffices(What::kSignal, UTRACE_EVENT_SIGNAL_ALL);
}
CLAUSE_TEST_OF(HasGaps, API_06, CloneAlone) {
  ExpectAloneSuffices(What::kClone, UTRACE_EVENT(CLONE));
}
CLAUSE_TEST_OF(HasGaps, API_06, ExecAlone) { ExpectAloneSuffices(What::kExec, UTRACE_EVENT(EXEC)); }
CLAUSE_TEST_OF(HasGaps, API_06, SyscallEntryAlone) {
  ExpectAloneSuffices(What::kSyscallEntry, UTRACE_EVENT(SYSCALL_ENTRY));
}
CLAUSE_TEST_OF(HasGaps, API_06, SyscallExitAlone) {
  ExpectAloneSuffices(What::kSyscallExit, UTRACE_EVENT(SYSCALL_EXIT));
}
CLAUSE_TEST_OF(HasGaps, API_06, ExitAlone) { ExpectAloneSuffices(What::kExit, UTRACE_EVENT(EXIT)); }
CLAUSE_TEST_OF(HasGaps, API_06, DeathAlone) {
  ExpectAloneSuffices(What::kDeath, UTRACE_EVENT(DEATH));
}
CLAUSE_TEST_OF(HasGaps, API_06, ReapAlone) { ExpectAloneSuffices(What::kReap, UTRACE_EVENT(REAP)); }
CLAUSE_TEST_OF(HasGaps, API_06, ReleaseAlone) {
  OpsTable ops;
  for (int what = 0; what < kWhats; ++what) {
    if (what != static_cast<int>(What::kRelease)) ops.Without(static_cast<What>(what));
  }
  Puppet& puppet = Spawn();
  TestEngine engine("sparse", ops);
  TestEngine whole("whole");
  Start(engine, puppet, 0);
  Start(whole, puppet, UTRACE_EVENT_ALL);
  engine.Put();
  LiveThrough(puppet);
  engine.Await(What::kRelease);
  ExpectLog(engine.Log(), {What::kRelease});
}
CLAUSE_TEST(API_06, JctlAlone) {
  OpsTable ops;
  for (int what = 0; what < kWhats; ++what) {
    if (what != static_cast<int>(What::kJctl)) ops.Without(static_cast<What>(what));
  }
  Puppet& puppet = Spawn();
  TestEngine engine("sparse", ops);
  Start(engine, puppet, UTRACE_EVENT(JCTL));
  puppet.Kill(SIGSTOP);
  engine.AwaitEnded(What::kJctl, 1);
  puppet.Kill(SIGCONT);
  engine.AwaitEnded(What::kJctl, 2);
  EXPECT_EQ(puppet.pid(), puppet.Call(SYS_getpid));
}

}  // namespace utrace::kit
