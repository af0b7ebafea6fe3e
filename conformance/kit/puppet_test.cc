// Puppets without a tracer: each command does what it says.
#include "conformance/kit/puppet.h"

#include <errno.h>
#include <gtest/gtest.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include "arch/absent_calls.h"
#include "conformance/kit/machine.h"

namespace utrace::kit {
namespace {

using std::chrono::milliseconds;

class PuppetTest : public ::testing::Test {
 protected:
  Nanny nanny_;
  Puppet& puppet_ = nanny_.Spawn();
};

uint64_t Bit(int signo) { return 1UL << (signo - 1); }

TEST_F(PuppetTest, KnowsItsIdsAndParent) {
  EXPECT_EQ(puppet_.pid(), puppet_.Call(SYS_getpid));
  EXPECT_EQ(puppet_.tid(), puppet_.Call(SYS_gettid));
  EXPECT_EQ(nanny_.pid(), puppet_.Call(SYS_getppid));
  EXPECT_EQ(puppet_.pid(), puppet_.Call(SYS_getpgid, 0));
  EXPECT_NE(getpid(), puppet_.Call(SYS_getppid));
}

TEST_F(PuppetTest, ReturnsRawErrors) {
  EXPECT_EQ(-EBADF, puppet_.Call(SYS_close, 9999));
  EXPECT_EQ(-ENOSYS, puppet_.Call(9999));
  EXPECT_EQ(-ENOENT, puppet_.FailingExec());
}

TEST_F(PuppetTest, QueuesCommands) {
  puppet_.Begin(SYS_getpid);
  puppet_.Begin(SYS_getppid);
  EXPECT_EQ(puppet_.pid(), puppet_.Finish());
  EXPECT_EQ(nanny_.pid(), puppet_.Finish());
  EXPECT_FALSE(puppet_.Finished());
}

TEST_F(PuppetTest, BlocksInReadUntilFed) {
  puppet_.BeginRead();
  puppet_.AwaitBlocked();
  EXPECT_FALSE(puppet_.Finished());
  puppet_.Feed("abc");
  EXPECT_EQ(3, puppet_.Finish());
  EXPECT_EQ(0, memcmp("abc", puppet_.Scratch(), 3));
  puppet_.AwaitIdle();
}

TEST_F(PuppetTest, SpinsWithoutSystemCalls) {
  puppet_.BeginSpin();
  puppet_.AwaitSpinning();
  EXPECT_FALSE(puppet_.TryAwaitBlocked(-1, milliseconds(20)));
  const long voluntary = puppet_.Switches().voluntary;
  puppet_.AwaitSpinning();
  EXPECT_EQ(voluntary, puppet_.Switches().voluntary);
  puppet_.StopSpin();
  EXPECT_EQ(puppet_.SpinCount(), static_cast<uint64_t>(puppet_.Finish()));
}

TEST_F(PuppetTest, RepeatsACall) { EXPECT_EQ(puppet_.pid(), puppet_.Repeat(SYS_getpid, 10000)); }

TEST_F(PuppetTest, TimedCallsKeepTheirTime) {
  for (const Timed call :
       {Timed::kNanosleep, Timed::kClockNanosleep, Timed::kClockNanosleepAbsolute, Timed::kPoll,
        Timed::kPpoll, Timed::kSelect, Timed::kPselect, Timed::kEpollWait, Timed::kFutexWait,
        Timed::kFutexWaitBitset}) {
    SCOPED_TRACE(static_cast<int>(call));
    puppet_.BeginTimed(call, milliseconds(30));
    const TimedResult result = puppet_.FinishTimed();
    EXPECT_EQ(TimedOutResult(call), result.result);
    EXPECT_GE(result.elapsed_ns, 29000000);
    EXPECT_LE(result.remaining_ns, 0);
  }
}

TEST_F(PuppetTest, InterruptedCallsTellTheRemainingTime) {
  ASSERT_EQ(0, puppet_.Sigaction(SIGUSR1, Disposition::kHandler));
  for (const Timed call : {Timed::kNanosleep, Timed::kClockNanosleep, Timed::kPpoll, Timed::kSelect,
                           Timed::kPselect}) {
    SCOPED_TRACE(static_cast<int>(call));
    puppet_.BeginTimed(call, std::chrono::seconds(100));
    puppet_.AwaitBlocked();
    puppet_.Tgkill(SIGUSR1);
    const TimedResult result = puppet_.FinishTimed();
    EXPECT_EQ(-EINTR, result.result);
    EXPECT_GT(result.remaining_ns, 60000000000);
    EXPECT_LE(result.remaining_ns, 100001000000);  // timers may add a little slack
  }
  puppet_.BeginTimed(Timed::kPause, milliseconds(0));
  puppet_.AwaitBlocked();
  puppet_.Kill(SIGUSR1);
  EXPECT_EQ(-EINTR, puppet_.FinishTimed().result);
  puppet_.BeginTimed(Timed::kRead, milliseconds(0));
  puppet_.AwaitBlocked();
  puppet_.Feed("x");
  EXPECT_EQ(1, puppet_.FinishTimed().result);
}

TEST_F(PuppetTest, ThreadsHaveTheirOwnChannel) {
  PuppetThread& thread = puppet_.SpawnThread();
  EXPECT_EQ(puppet_.pid(), thread.pid());
  EXPECT_NE(puppet_.tid(), thread.tid());
  EXPECT_EQ(thread.tid(), thread.Call(SYS_gettid));
  puppet_.BeginRead();
  puppet_.AwaitBlocked();
  EXPECT_EQ(puppet_.pid(), thread.Call(SYS_getpid));
  thread.BeginExit();
  ASSERT_TRUE(thread.TryAwaitGone());
  puppet_.Feed();
  EXPECT_EQ(1, puppet_.Finish());
}

TEST_F(PuppetTest, ForkCloneAndBursts) {
  Puppet& child = puppet_.Fork();
  EXPECT_EQ(puppet_.pid(), child.Call(SYS_getppid));
  Puppet& other = child.Clone(SIGUSR2 | CLONE_FILES);
  EXPECT_EQ(other.pid(), other.Call(SYS_getpid));
  EXPECT_EQ(child.pid(), other.Call(SYS_getppid));
  child.BeginExit(3);
  child.AwaitDeath();
  EXPECT_EQ(child.pid(), puppet_.Call(SYS_wait4, child.pid(),
                                      static_cast<long>(puppet_.ScratchAddress()), 0, 0));
  int status;
  memcpy(&status, puppet_.Scratch(), sizeof(status));
  EXPECT_EQ(3, WEXITSTATUS(status));
  EXPECT_EQ(50, puppet_.ForkBurst(50));
  EXPECT_EQ(50, puppet_.ThreadBurst(50));
}

TEST_F(PuppetTest, VforkHoldsTheParent) {
  Puppet& child = puppet_.Vfork();
  puppet_.AwaitBlocked(SYS_vfork > 0 ? SYS_vfork : SYS_clone);
  EXPECT_EQ(child.pid(), child.Call(SYS_getpid));
  EXPECT_EQ('D', puppet_.State());
  child.BeginExit(0);
  EXPECT_EQ(child.pid(), puppet_.Finish());
  Puppet& second = puppet_.Vfork();
  second.Exec();
  EXPECT_EQ(second.pid(), puppet_.Finish());
  EXPECT_EQ(second.pid(), second.Call(SYS_getpid));
}

TEST_F(PuppetTest, ExecFromTheLeader) {
  PuppetThread& thread = puppet_.SpawnThread();
  ASSERT_EQ(0, puppet_.Sigaction(SIGUSR1, Disposition::kHandler));
  puppet_.Exec();
  EXPECT_EQ(puppet_.pid(), puppet_.Call(SYS_gettid));
  EXPECT_TRUE(thread.Dead());
  // Handlers do not survive an exec.
  puppet_.Kill(SIGUSR1);
  puppet_.AwaitDeath();
  EXPECT_EQ(SIGUSR1, WTERMSIG(nanny_.Wait(puppet_.pid()).status));
}

TEST_F(PuppetTest, ExecFromAnotherThreadTakesTheLeadersId) {
  PuppetThread& thread = puppet_.SpawnThread();
  thread.Exec();
  EXPECT_EQ(puppet_.pid(), thread.tid());
  EXPECT_EQ(puppet_.pid(), thread.Call(SYS_gettid));
  EXPECT_EQ(nanny_.pid(), thread.Call(SYS_getppid));
}

TEST_F(PuppetTest, HandlersRecord) {
  ASSERT_EQ(0, puppet_.Sigaction(SIGUSR1, Disposition::kHandler, SA_RESTART, Bit(SIGUSR2)));
  EXPECT_EQ(0, puppet_.Raise(SIGUSR1));
  EXPECT_EQ(1U, puppet_.HandlerRuns());
  EXPECT_EQ(SI_TKILL, puppet_.Signals().at(0).code);
  EXPECT_EQ(puppet_.pid(), puppet_.Signals().at(0).sender);
  EXPECT_EQ(0, puppet_.Queue(SIGUSR1, 77));
  EXPECT_EQ(77, puppet_.Signals().at(1).value);
  EXPECT_EQ(SI_QUEUE, puppet_.Signals().at(1).code);
  puppet_.QueueFromKit(SIGUSR1, 78);
  puppet_.AwaitHandlerRuns(3);
  EXPECT_EQ(78, puppet_.Signals().at(2).value);
  EXPECT_EQ(getpid(), puppet_.Signals().at(2).sender);
  EXPECT_EQ(3U, puppet_.HandlerRuns(SIGUSR1));
  EXPECT_EQ(0U, puppet_.Signals().at(2).on_alternate_stack);
  // SA_RESTART: a blocked read goes on.
  puppet_.BeginRead();
  puppet_.AwaitBlocked();
  puppet_.Tgkill(SIGUSR1);
  puppet_.AwaitHandlerRuns(4);
  puppet_.Feed();
  EXPECT_EQ(1, puppet_.Finish());
}

TEST_F(PuppetTest, HandlersOfThreadsAreTheirOwn) {
  PuppetThread& thread = puppet_.SpawnThread();
  ASSERT_EQ(0, puppet_.Sigaction(SIGRTMIN, Disposition::kHandler));
  thread.Tgkill(SIGRTMIN);
  thread.AwaitHandlerRuns(1);
  EXPECT_EQ(0U, puppet_.HandlerRuns());
  ASSERT_EQ(0, thread.Sigaltstack());
  ASSERT_EQ(0, puppet_.Sigaction(SIGUSR1, Disposition::kHandler, SA_ONSTACK | SA_RESETHAND));
  EXPECT_EQ(0, thread.Raise(SIGUSR1));
  EXPECT_EQ(1U, thread.Signals().at(1).on_alternate_stack);
  // Its handler is gone (SA_RESETHAND): the default kills.
  thread.BeginRaise(SIGUSR1);
  puppet_.AwaitDeath();
  EXPECT_EQ(SIGUSR1, WTERMSIG(nanny_.Wait(puppet_.pid()).status));
}

TEST_F(PuppetTest, MasksAndIgnoresSignals) {
  ASSERT_EQ(0, puppet_.Sigaction(SIGUSR1, Disposition::kHandler));
  ASSERT_EQ(0, puppet_.Sigprocmask(SIG_BLOCK, Bit(SIGUSR1)));
  EXPECT_EQ(0, puppet_.Raise(SIGUSR1));
  EXPECT_EQ(0U, puppet_.HandlerRuns());
  ASSERT_EQ(0, puppet_.Sigprocmask(SIG_UNBLOCK, Bit(SIGUSR1)));
  EXPECT_EQ(1U, puppet_.HandlerRuns());
  ASSERT_EQ(0, puppet_.Sigaction(SIGTERM, Disposition::kIgnore));
  EXPECT_EQ(0, puppet_.KillSelf(SIGTERM));
  EXPECT_EQ(puppet_.pid(), puppet_.Call(SYS_getpid));
}

TEST_F(PuppetTest, FaultsKillWithTheirSignal) {
  const struct {
    Fault fault;
    int signo;
  } kFaults[] = {{Fault::kSegv, SIGSEGV}, {Fault::kIll, SIGILL},   {Fault::kFpe, SIGFPE},
                 {Fault::kBus, SIGBUS},   {Fault::kTrap, SIGTRAP}, {Fault::kAbort, SIGABRT}};
  for (const auto& [fault, signo] : kFaults) {
    SCOPED_TRACE(signo);
    Puppet& victim = nanny_.Spawn();
    victim.BeginFault(fault, victim.addresses().unmapped);
    EXPECT_EQ(signo, WTERMSIG(nanny_.Wait(victim.pid()).status));
  }
  ASSERT_EQ(0, puppet_.Sigaction(SIGSEGV, Disposition::kHandler, SA_RESETHAND));
  puppet_.BeginFault(Fault::kSegv, puppet_.addresses().read_only);
  puppet_.AwaitDeath();
  EXPECT_EQ(puppet_.addresses().read_only, puppet_.Signals().at(0).address);
}

TEST_F(PuppetTest, StopsByJobControl) {
  for (const int signo : {SIGSTOP, SIGTSTP, SIGTTIN}) {
    SCOPED_TRACE(signo);
    nanny_.BeginWait(puppet_.pid(), WUNTRACED);
    nanny_.AwaitWaitBlocked();
    puppet_.Kill(signo);
    const WaitResult stopped = nanny_.FinishWait();
    EXPECT_EQ(puppet_.pid(), stopped.result);
    EXPECT_TRUE(WIFSTOPPED(stopped.status));
    EXPECT_EQ(signo, WSTOPSIG(stopped.status));
    puppet_.AwaitState('T');
    puppet_.Kill(SIGCONT);
    EXPECT_TRUE(WIFCONTINUED(nanny_.Wait(puppet_.pid(), WCONTINUED).status));
    EXPECT_EQ(puppet_.pid(), puppet_.Call(SYS_getpid));
  }
}

TEST_F(PuppetTest, RegistersGoInAndComeOut) {
  RegisterImage image = {};
  for (int i = 0; i < 15; ++i) image.general[i] = 0x1111111111111111UL * static_cast<uint64_t>(i);
  for (int i = 0; i < 16; ++i) memset(image.vector[i], 0x40 + i, 16);
  puppet_.BeginRegistersSpin(image);
  EXPECT_FALSE(puppet_.Finished());
  puppet_.ReleaseRegisters();
  RegisterImage seen = puppet_.FinishRegisters();
  EXPECT_EQ(0, memcmp(image.general, seen.general, sizeof(image.general)));
  EXPECT_EQ(0, memcmp(image.vector, seen.vector, sizeof(image.vector)));

  image.general[ThisMachine().call_number] = SYS_getpid;
  puppet_.BeginRegistersSyscall(image);
  seen = puppet_.FinishRegisters();
  EXPECT_EQ(static_cast<uint64_t>(puppet_.pid()), seen.general[ThisMachine().call_result]);
  EXPECT_EQ(image.general[ThisMachine().kept], seen.general[ThisMachine().kept]);
}

TEST_F(PuppetTest, StepSequencesRun) {
  puppet_.BeginSteps();
  EXPECT_EQ(puppet::kStepResult, puppet_.Finish());
  puppet_.BeginBranches();
  EXPECT_EQ(puppet::kBranchResult, puppet_.Finish());
  const Addresses& at = puppet_.addresses();
  for (int i = 0; i < puppet::kSteps; ++i) EXPECT_LT(at.step[i], at.step[i + 1]);
  EXPECT_EQ(at.step[puppet::kStepSyscall] + 2, at.step[puppet::kStepSyscall + 1]);
  EXPECT_LT(at.branch_start, at.branch[0]);
}

TEST_F(PuppetTest, MemoryIsItsOwn) {
  Puppet& other = nanny_.Spawn();
  const uint64_t memory = puppet_.addresses().memory;
  EXPECT_EQ("private memory", puppet_.PeekMemory(memory, 14));
  puppet_.PokeMemory(memory, "PRIVATE");
  EXPECT_EQ("PRIVATE memory", puppet_.PeekMemory(memory, 14));
  EXPECT_EQ("private memory", other.PeekMemory(memory, 14));
  EXPECT_EQ(puppet::kReadOnlyText,
            puppet_.PeekMemory(puppet_.addresses().read_only, sizeof(puppet::kReadOnlyText) - 1));
}

TEST_F(PuppetTest, ADeadPuppetIsReportedAtOnce) {
  puppet_.BeginRead();
  puppet_.AwaitBlocked();
  puppet_.Destroy();
  puppet_.Kill(0);
  puppet_.BeginSpin();
  long result;
  EXPECT_FALSE(puppet_.TryFinish(&result));
  try {
    puppet_.Finish();
    ADD_FAILURE() << "a dead puppet finished";
  } catch (const Abandon& abandon) {
    EXPECT_EQ(Verdict::kBroken, abandon.verdict);
    EXPECT_NE(std::string::npos, abandon.text.find("dead")) << abandon.text;
  }
  EXPECT_TRUE(nanny_.HasZombie(puppet_.pid()));
}

}  // namespace
}  // namespace utrace::kit
