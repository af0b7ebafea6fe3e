#include "core/engine.h"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/testing/fake_utrace.h"
#include "gtest/gtest.h"

namespace utrace {
namespace {

// ---- Values ------------------------------------------------------------------------------------

TEST(Events, AreASet) {
  constexpr Events kSome = Events::kExec | Events::kExit;
  static_assert(kSome.Contains(Events::kExec) && !kSome.Contains(Events::kDeath));
  static_assert((kSome - Events::kExec) == Events::kExit);
  static_assert((Events::kAll & Events::kSyscall) == Events::kSyscall);
  static_assert(Events(UTRACE_EVENT(REAP)) == Events::kReap);
  static_assert(static_cast<unsigned long>(Events::kJctl) == UTRACE_EVENT(JCTL));
  EXPECT_EQ(kSome.ToString(), "EXEC|EXIT");
  EXPECT_EQ(Events::kSignalAll.ToString(), "SIGNAL|SIGNAL_IGN|SIGNAL_STOP|SIGNAL_TERM|SIGNAL_CORE");
  EXPECT_EQ(Events().ToString(), "none");
}

TEST(Events, DropBitsThatAreNoEvent) { EXPECT_EQ(Events(~0UL), Events::kAll); }

TEST(Results, AnActionAlonePassesTheFateOn) {
  EXPECT_EQ(SyscallResult(Action::kStop).Encode(UTRACE_SYSCALL_ABORT | UTRACE_SYSCALL_RESUMED),
            0U | UTRACE_SYSCALL_ABORT | UTRACE_STOP);
  EXPECT_EQ(SignalResult(Action::kResume).Encode(UTRACE_SIGNAL_TERM | UTRACE_SIGNAL_HOLD),
            UTRACE_SIGNAL_TERM | UTRACE_SIGNAL_HOLD | UTRACE_RESUME);
}

TEST(Results, ADecisionReplacesTheFate) {
  EXPECT_EQ(SyscallResult::Run().Encode(UTRACE_SYSCALL_ABORT),
            0U | UTRACE_SYSCALL_RUN | UTRACE_RESUME);
  EXPECT_EQ(SyscallResult::Abort().With(Action::kStop).Encode(0),
            0U | UTRACE_SYSCALL_ABORT | UTRACE_STOP);
  EXPECT_EQ(SignalResult(SignalAction::kIgnore).Hold().With(Action::kStop).Encode(0),
            UTRACE_SIGNAL_IGN | UTRACE_SIGNAL_HOLD | UTRACE_STOP);
  EXPECT_EQ(SignalResult(SignalAction::kDeliver).Encode(UTRACE_SIGNAL_IGN | UTRACE_SIGNAL_HOLD),
            0U | UTRACE_SIGNAL_DELIVER | UTRACE_RESUME);
}

TEST(Results, AnUndefinedResumeActionCountsAsResume) { EXPECT_EQ(ToAction(7), Action::kResume); }

TEST(Status, NamesTheError) {
  EXPECT_EQ(Status(-ESRCH).ToString(), "ESRCH (No such process)");
  EXPECT_EQ(Status(-UTRACE_ERESTARTSYS).ToString(), "ERESTARTSYS");
  EXPECT_EQ(Status(-4000).ToString(), "error 4000");
}

// ---- Callbacks ---------------------------------------------------------------------------------

class CountCalls : public Engine {
 public:
  SyscallResult OnSyscallEntry(SyscallEntry& call) override {
    ++call.State<int>();
    last_for_task = call.State<int>();
    ++total;
    return Action::kResume;
  }
  Action OnClone(CloneReport& clone) override {
    follow_status = clone.Follow();
    return Action::kResume;
  }
  std::atomic<int> total = 0;
  std::atomic<int> last_for_task = 0;
  Status follow_status;
};

TEST(Callbacks, KeepStateForEachTask) {
  const TaskRef a = fake::NewTask(10, 10);
  const TaskRef b = fake::NewTask(11, 10);
  auto engine = std::make_shared<CountCalls>();
  auto on_a = Attachment::Attach(a, engine, Events::kSyscallEntry);
  auto on_b = Attachment::Attach(b, engine, Events::kSyscallEntry);
  ASSERT_TRUE(on_a && on_b);
  fake::ReportSyscallEntry(a, 1);
  fake::ReportSyscallEntry(a, 1);
  fake::ReportSyscallEntry(b, 1);
  EXPECT_EQ(engine->total, 3);
  EXPECT_EQ(engine->last_for_task, 1);
}

TEST(Callbacks, ReachAnEngineByPid) {
  const TaskRef task = fake::NewTask(12, 12);
  const Result<PidRef> pid = PidRef::Find(12);
  ASSERT_TRUE(pid);
  auto engine = std::make_shared<CountCalls>();
  auto attachment = Attachment::Attach(*pid, engine, Events::kSyscallEntry);
  ASSERT_TRUE(attachment);
  fake::ReportSyscallEntry(task, 1);
  EXPECT_EQ(engine->total, 1);
  attachment->DetachAndWait();
  fake::ReportReap(task);
  EXPECT_EQ(Attachment::Attach(*pid, engine, Events::kExec).code(), -ESRCH);
  EXPECT_EQ(PidRef::Find(12).code(), -ESRCH);
  EXPECT_EQ(PidRef::Find(-1).code(), -EINVAL);
}

class DenyNumber : public Engine {
 public:
  explicit DenyNumber(long number) : number_(number) {}
  SyscallResult OnSyscallEntry(SyscallEntry& call) override {
    seen_so_far = call.call_so_far();
    if (call.number() == number_) return call.Refuse(EPERM);
    return Action::kResume;
  }
  SyscallAction seen_so_far = SyscallAction::kRun;

 private:
  const long number_;
};

TEST(Callbacks, AnEngineWithoutOpinionLeavesAnAbortAlone) {
  const TaskRef task = fake::NewTask(20, 20);
  auto bystander = std::make_shared<DenyNumber>(-2);
  auto denier = std::make_shared<DenyNumber>(87);
  auto first = Attachment::Attach(task, bystander, Events::kSyscallEntry);
  auto second = Attachment::Attach(task, denier, Events::kSyscallEntry);
  const fake::Verdict verdict = fake::ReportSyscallEntry(task, 87);
  EXPECT_EQ(verdict.bits, UTRACE_SYSCALL_ABORT);
  EXPECT_EQ(bystander->seen_so_far, SyscallAction::kAbort);
  EXPECT_EQ(fake::Outcome(task).error, -EPERM);
}

TEST(Callbacks, DefaultsPassEverythingOn) {
  const TaskRef task = fake::NewTask(21, 21);
  const TaskRef child = fake::NewTask(22, 22);
  auto attachment = Attachment::Attach(task, std::make_shared<Engine>(), Events::kAll);
  ASSERT_TRUE(attachment);
  siginfo_t info{};
  info.si_signo = SIGTERM;
  EXPECT_EQ(fake::ReportQuiesce(task).action, Action::kResume);
  EXPECT_EQ(fake::ReportSignal(task, Events::kSignalTerm, info, UTRACE_SIGNAL_TERM).bits,
            UTRACE_SIGNAL_TERM);
  EXPECT_EQ(fake::ReportSyscallEntry(task, 1).action, Action::kResume);
  EXPECT_EQ(fake::ReportSyscallExit(task, 0, 0).action, Action::kResume);
  EXPECT_EQ(fake::ReportClone(task, child, 0).action, Action::kResume);
  EXPECT_EQ(fake::ReportExec(task, "/bin/true", 21).action, Action::kResume);
  EXPECT_EQ(fake::ReportJctl(task, CLD_STOPPED, 0).action, Action::kResume);
  EXPECT_EQ(fake::ReportExit(task, 0).action, Action::kResume);
  fake::ReportDeath(task, true, SIGCHLD);
  EXPECT_EQ(fake::Attached(task), 1);
  fake::ReportReap(task);
  EXPECT_EQ(fake::Attached(task), 0);
}

TEST(Callbacks, FollowAttachesTheSameObjectOnce) {
  const TaskRef task = fake::NewTask(23, 23);
  const TaskRef child = fake::NewTask(24, 24);
  auto engine = std::make_shared<CountCalls>();
  auto attachment = Attachment::Attach(task, engine, Events::kSyscallEntry | Events::kClone);
  fake::ReportClone(task, child, 0);
  EXPECT_EQ(fake::Attached(child), 1);
  EXPECT_EQ(child.view().interest(), Events::kSyscallEntry | Events::kClone | Events::kReap);
  fake::ReportClone(task, child, 0);
  EXPECT_TRUE(engine->follow_status.ok());
  EXPECT_EQ(fake::Attached(child), 1);
  fake::FailNextAttach(-ENOMEM);
  fake::ReportClone(task, child, 0);
  EXPECT_EQ(engine->follow_status.code(), -ENOMEM);
  EXPECT_EQ(Attachment::Attach(child, engine, Events(), Attachment::Mode::kUnlessAttached).code(),
            -EEXIST);
  engine->DetachEverywhere();
  EXPECT_EQ(fake::Attached(child), 0);
  EXPECT_EQ(fake::Attached(task), 0);
}

class TwoStates : public Engine {
 public:
  Action OnExec(ExecReport& report) override {
    report.State<int>() = 1;
    report.State<long>() = 2;
    return Action::kResume;
  }
};

class Thrower : public Engine {
 public:
  std::string Name() const override { return "thrower"; }
  SyscallResult OnSyscallEntry(SyscallEntry&) override { throw std::runtime_error("too bad"); }
  SignalResult OnSignal(SignalReport&) override { throw 7; }
};

TEST(Exceptions, LeaveTheTaskAndNameTheEngine) {
  const TaskRef task = fake::NewTask(30, 30);
  auto thrower = std::make_shared<Thrower>();
  auto attachment = Attachment::Attach(task, thrower, Events::kSyscallEntry);
  auto denier = std::make_shared<DenyNumber>(5);
  auto other = Attachment::Attach(task, denier, Events::kSyscallEntry);
  ::testing::internal::CaptureStderr();
  const fake::Verdict verdict = fake::ReportSyscallEntry(task, 5);
  EXPECT_EQ(::testing::internal::GetCapturedStderr(),
            "utrace: engine thrower threw in OnSyscallEntry for thread 30: too bad; it leaves the "
            "thread, which runs on\n");
  EXPECT_EQ(verdict.bits, UTRACE_SYSCALL_ABORT) << "the other engine's decision stands";
  EXPECT_EQ(verdict.action, Action::kResume);
  EXPECT_EQ(fake::Attached(task), 1);
}

TEST(Exceptions, OfAnyTypeAreCaught) {
  const TaskRef task = fake::NewTask(31, 31);
  auto attachment = Attachment::Attach(task, std::make_shared<Thrower>(), Events::kSignalAll);
  ::testing::internal::CaptureStderr();
  const fake::Verdict verdict =
      fake::ReportSignal(task, Events::kSignalTerm, siginfo_t{}, UTRACE_SIGNAL_TERM);
  EXPECT_NE(::testing::internal::GetCapturedStderr().find("OnSignal for thread 31"),
            std::string::npos);
  EXPECT_EQ(verdict.bits, UTRACE_SIGNAL_TERM);
  EXPECT_EQ(fake::Attached(task), 0);
}

TEST(Exceptions, TwoTypesOfStateAreOne) {
  const TaskRef task = fake::NewTask(32, 32);
  auto attachment = Attachment::Attach(task, std::make_shared<TwoStates>(), Events::kExec);
  ::testing::internal::CaptureStderr();
  fake::ReportExec(task, "/bin/true", 32);
  EXPECT_NE(::testing::internal::GetCapturedStderr().find("TwoStates"), std::string::npos);
  EXPECT_EQ(fake::Attached(task), 0);
}

// ---- Lifetime ----------------------------------------------------------------------------------

TEST(Lifetime, AttachmentHoldsTheEngineUntilReaped) {
  const TaskRef task = fake::NewTask(40, 40);
  std::weak_ptr<Engine> watched;
  {
    auto engine = std::make_shared<CountCalls>();
    watched = engine;
    auto attachment = Attachment::Attach(task, engine, Events::kSyscallEntry);
    attachment->Leave();
  }
  fake::ReportSyscallEntry(task, 1);
  EXPECT_FALSE(watched.expired());
  fake::ReportReap(task);
  EXPECT_TRUE(watched.expired());
}

TEST(Lifetime, DestroyedAttachmentDetaches) {
  const TaskRef task = fake::NewTask(41, 41);
  std::weak_ptr<Engine> watched;
  {
    auto engine = std::make_shared<CountCalls>();
    watched = engine;
    auto attachment = Attachment::Attach(task, engine, Events::kSyscallEntry);
    EXPECT_EQ(fake::Attached(task), 1);
  }
  EXPECT_EQ(fake::Attached(task), 0);
  EXPECT_TRUE(watched.expired());
}

TEST(Lifetime, FailedAttachLeavesNothing) {
  const TaskRef task = fake::NewTask(42, 42);
  auto engine = std::make_shared<CountCalls>();
  fake::FailNextAttach(-EPERM);
  EXPECT_EQ(Attachment::Attach(task, engine, Events::kExec).code(), -EPERM);
  EXPECT_EQ(engine.use_count(), 1);
  EXPECT_EQ(Attachment::Attach(TaskView(), engine, Events::kExec).code(), -EINVAL);
  EXPECT_EQ(Attachment::Attach(task, nullptr, Events::kExec).code(), -EINVAL);
  fake::ReportDeath(task, true, SIGCHLD);
  EXPECT_EQ(Attachment::Attach(task, engine, Events::kDeath).code(), -EALREADY);
  EXPECT_EQ(fake::Attached(task), 0);
  EXPECT_EQ(engine.use_count(), 1);
}

TEST(Lifetime, MovedAttachmentStaysAttached) {
  const TaskRef task = fake::NewTask(43, 43);
  Attachment kept;
  {
    auto attachment = Attachment::Attach(task, std::make_shared<CountCalls>(), Events::kExec);
    kept = *std::move(attachment);
  }
  EXPECT_TRUE(kept);
  EXPECT_EQ(fake::Attached(task), 1);
  kept = Attachment();
  EXPECT_EQ(fake::Attached(task), 0);
}

TEST(Lifetime, SetEventsIsSeenByFollow) {
  const TaskRef task = fake::NewTask(44, 44);
  const TaskRef child = fake::NewTask(45, 45);
  auto attachment = Attachment::Attach(task, std::make_shared<CountCalls>(), Events::kExec);
  ASSERT_TRUE(attachment->SetEvents(Events::kClone).ok());
  fake::ReportClone(task, child, 0);
  EXPECT_EQ(child.view().interest(), Events::kClone | Events::kReap);
  fake::ReportReap(child);
}

// ---- DetachAndWait -----------------------------------------------------------------------------

// Lets the test hold a callback open.
class Gate : public Engine {
 public:
  Action OnExec(ExecReport&) override {
    ++calls;
    entered.set_value();
    open.get_future().wait();
    finished = true;
    return Action::kResume;
  }
  Action OnDeath(DeathReport&) override {
    ++calls;
    entered.set_value();
    open.get_future().wait();
    finished = true;
    return Action::kResume;
  }
  void OnReap(ReapReport&) override { ++reaps; }

  std::promise<void> entered;
  std::promise<void> open;
  std::atomic<bool> finished = false;
  std::atomic<int> calls = 0;
  std::atomic<int> reaps = 0;
};

TEST(DetachAndWait, WaitsForARunningCallback) {
  const TaskRef task = fake::NewTask(50, 50);
  auto gate = std::make_shared<Gate>();
  auto attachment = Attachment::Attach(task, gate, Events::kExec);
  std::jthread reporter([&] { fake::ReportExec(task, "/bin/true", 50); });
  gate->entered.get_future().wait();
  std::atomic<bool> detached = false;
  std::jthread detacher([&] {
    attachment->DetachAndWait();
    EXPECT_TRUE(gate->finished);
    detached = true;
  });
  EXPECT_FALSE(detached);
  gate->open.set_value();
  detacher.join();
  reporter.join();
  fake::ReportExec(task, "/bin/true", 50);
  EXPECT_EQ(gate->calls, 1);
  EXPECT_EQ(fake::Attached(task), 0);
}

class DetachInside : public Engine {
 public:
  Action OnExec(ExecReport&) override {
    ++calls;
    attachment.DetachAndWait();
    EXPECT_FALSE(attachment);
    return Action::kStop;
  }
  Attachment attachment;
  int calls = 0;
};

TEST(DetachAndWait, ReturnsAtOnceInsideItsOwnCallback) {
  const TaskRef task = fake::NewTask(51, 51);
  auto engine = std::make_shared<DetachInside>();
  engine->attachment = *Attachment::Attach(task, engine, Events::kExec);
  fake::ReportExec(task, "/bin/true", 51);
  EXPECT_EQ(fake::Attached(task), 0);
  fake::ReportExec(task, "/bin/true", 51);
  EXPECT_EQ(engine->calls, 1);
}

TEST(DetachAndWait, SilencesDuringTheDeathReport) {
  const TaskRef task = fake::NewTask(52, 52);
  auto gate = std::make_shared<Gate>();
  auto first = Attachment::Attach(task, gate, Events::kDeath);
  auto late = std::make_shared<Gate>();
  auto second = Attachment::Attach(task, late, Events::kDeath | Events::kReap);
  std::jthread reporter([&] { fake::ReportDeath(task, true, SIGCHLD); });
  gate->entered.get_future().wait();
  second->DetachAndWait();  // -EALREADY, and there is no callback of it to wait for
  gate->open.set_value();
  reporter.join();
  fake::ReportReap(task);
  EXPECT_EQ(late->calls, 0);
  EXPECT_EQ(late->reaps, 0);
  EXPECT_EQ(late.use_count(), 1);
}

TEST(DetachAndWait, WaitsForItsOwnDeathCallback) {
  const TaskRef task = fake::NewTask(53, 53);
  auto gate = std::make_shared<Gate>();
  auto attachment = Attachment::Attach(task, gate, Events::kDeath | Events::kReap);
  std::jthread reporter([&] { fake::ReportDeath(task, true, SIGCHLD); });
  gate->entered.get_future().wait();
  std::jthread detacher([&] {
    attachment->DetachAndWait();
    EXPECT_TRUE(gate->finished);
  });
  gate->open.set_value();
  detacher.join();
  reporter.join();
  fake::ReportReap(task);
  EXPECT_EQ(gate->reaps, 0);
}

TEST(DetachAndWait, IsHarmlessAfterReaping) {
  const TaskRef task = fake::NewTask(54, 54);
  auto attachment = Attachment::Attach(task, std::make_shared<CountCalls>(), Events::kExec);
  fake::ReportReap(task);
  EXPECT_EQ(attachment->SetEvents(Events::kExec).code(), -ESRCH);
  EXPECT_EQ(attachment->Control(Action::kResume).code(), -ESRCH);
  attachment->DetachAndWait();
  EXPECT_FALSE(*attachment);
}

TEST(DetachEverywhere, RefusesLaterAttaches) {
  const TaskRef task = fake::NewTask(55, 55);
  auto engine = std::make_shared<CountCalls>();
  engine->DetachEverywhere();
  EXPECT_EQ(Attachment::Attach(task, engine, Events::kExec).code(), -ESHUTDOWN);
  EXPECT_EQ(fake::Attached(task), 0);
}

TEST(DetachEverywhere, WaitsForRunningCallbacks) {
  const TaskRef task = fake::NewTask(56, 56);
  auto gate = std::make_shared<Gate>();
  auto attachment = Attachment::Attach(task, gate, Events::kExec);
  attachment->Leave();
  std::jthread reporter([&] { fake::ReportExec(task, "/bin/true", 56); });
  gate->entered.get_future().wait();
  std::jthread opener([&] { gate->open.set_value(); });
  gate->DetachEverywhere();
  EXPECT_TRUE(gate->finished);
  reporter.join();
  EXPECT_EQ(fake::Attached(task), 0);
}

// Reports, attaches, detaches and deaths at once; sanitizers are the judges.
TEST(Races, AttachAndDetachAgainstReports) {
  auto engine = std::make_shared<CountCalls>();
  for (int round = 0; round < 50; ++round) {
    const TaskRef task = fake::NewTask(1000 + round, 1000);
    std::atomic<bool> done = false;
    std::vector<std::jthread> controllers;
    for (int i = 0; i < 2; ++i) {
      controllers.emplace_back([&] {
        while (!done) {
          auto attachment = Attachment::Attach(task, engine, Events::kSyscall | Events::kDeath);
          if (attachment) (void)attachment->SetEvents(Events::kSyscallEntry);
        }
      });
    }
    for (int i = 0; i < 100; ++i) {
      fake::ReportSyscallEntry(task, i);
      fake::ReportSyscallExit(task, 0, 0);
    }
    fake::ReportDeath(task, true, SIGCHLD);
    fake::ReportReap(task);
    done = true;
    controllers.clear();
    EXPECT_EQ(fake::Attached(task), 0);
  }
  EXPECT_EQ(engine.use_count(), 1);
}

// ---- Machine -----------------------------------------------------------------------------------

TEST(Machine, ReadsStrings) {
  const TaskRef task = fake::NewTask(60, 60);
  fake::SetMemory(task, 0x1000, std::string("/etc/passwd\0rest", 16));
  fake::SetMemory(task, 0x2000, "never ends");
  const Machine machine(task);
  EXPECT_EQ(*machine.ReadString(0x1000), "/etc/passwd");
  EXPECT_EQ(*machine.ReadString(0x1000, 4), "/etc");
  EXPECT_EQ(machine.ReadString(0x2000).code(), -EFAULT);
  EXPECT_EQ(machine.ReadString(0x10).code(), -EFAULT);
}

TEST(Machine, ReadsWholeObjectsOnly) {
  const TaskRef task = fake::NewTask(61, 61);
  fake::SetMemory(task, 0x1000, std::string("\x01\0\0\0\x02\0", 6));
  const Machine machine(task);
  EXPECT_EQ(*machine.Read<uint32_t>(0x1000), 1U);
  EXPECT_EQ(machine.Read<uint32_t>(0x1004).code(), -EFAULT);
  EXPECT_EQ(machine.SyscallArgument(6).code(), -EINVAL);
}

}  // namespace
}  // namespace utrace
