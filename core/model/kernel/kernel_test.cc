// The simulated kernel by itself, nobody tracing: programs see what Linux would show them.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>

#include "arch/absent_calls.h"
#include "core/model/kernel/world_testing.h"

namespace utrace::model {
namespace {

constexpr int64_t kMillisecond = 1'000'000;

// Every test is made under a few schedules.
class Kernel : public testing::TestWithParam<const char*> {
 protected:
  void Run(const std::function<void()>& body) {
    const int result = InWorld(GetParam(), body);
    EXPECT_EQ(0, result) << "repeat with " << utrace_target_schedule();
  }
};

INSTANTIATE_TEST_SUITE_P(Schedules, Kernel,
                         testing::Values("random:1", "random:2", "random:3", "pct:4:3", "pct:5:3",
                                         "replay:"));

TEST_P(Kernel, AWorldWithNothingToDoEnds) {
  Run([] {});
}

TEST_P(Kernel, CallsReturnWhatTheyShould) {
  Run([] {
    Hand hand(5);
    hand.Spawn();
    EXPECT_EQ(hand.tid(), hand.Call(SYS_getpid));
    EXPECT_EQ(hand.tid(), hand.Call(SYS_gettid));
    EXPECT_EQ(utrace_target_parent(), hand.Call(SYS_getppid));
    EXPECT_EQ(-EBADF, hand.Call(SYS_close, -1));
    EXPECT_EQ(-ENOSYS, hand.Call(9999));
    hand.AwaitState('S');
  });
}

TEST_P(Kernel, ThePipeIsReadWhenItIsFed) {
  Run([] {
    Hand hand(5);
    hand.Spawn();
    hand.BeginCall(SYS_read, hand.slot().pipe, hand.Scratch(), 64);
    hand.AwaitBlocked();
    ASSERT_EQ(0, utrace_target_feed(5, "abc", 3));
    EXPECT_EQ(3, hand.Finish());
    EXPECT_EQ(0, std::memcmp(hand.slot().scratch, "abc", 3));
  });
}

TEST_P(Kernel, AHandlerRunsAndTheCallIsMadeAgain) {
  Run([] {
    Hand hand(5);
    hand.Spawn();
    ASSERT_EQ(0, hand.Do(UTRACE_TARGET_SIGACTION, 0, SIGUSR1, 2, SA_RESTART, 0));
    hand.BeginCall(SYS_read, hand.slot().pipe, hand.Scratch(), 64);
    hand.AwaitBlocked();
    ASSERT_EQ(0, Kill(hand.tid(), SIGUSR1));
    WaitUntil([&] { return hand.slot().handler_runs == 1; });
    EXPECT_EQ(SIGUSR1, hand.slot().records[0].signo);
    ASSERT_EQ(0, utrace_target_feed(5, "x", 1));
    EXPECT_EQ(1, hand.Finish());
  });
}

TEST_P(Kernel, AHandlerWithoutRestartFailsTheCall) {
  Run([] {
    Hand hand(5);
    hand.Spawn();
    ASSERT_EQ(0, hand.Do(UTRACE_TARGET_SIGACTION, 0, SIGUSR1, 2, 0, 0));
    hand.BeginCall(SYS_pause);
    hand.AwaitBlocked();
    ASSERT_EQ(0, Kill(hand.tid(), SIGUSR1));
    EXPECT_EQ(-EINTR, hand.Finish());
    EXPECT_EQ(1U, hand.slot().handler_runs_of[SIGUSR1]);
  });
}

TEST_P(Kernel, EveryQueuedRealTimeSignalIsHandledInOrder) {
  Run([] {
    Hand hand(5);
    hand.Spawn();
    const int number = SIGRTMIN + 2;
    ASSERT_EQ(0, hand.Do(UTRACE_TARGET_SIGACTION, 0, number, 2, 0, 0));
    for (int i = 0; i < 5; ++i) {
      siginfo_t info{};
      info.si_signo = number;
      info.si_code = SI_QUEUE;
      info.si_value.sival_int = i;
      ASSERT_EQ(0, utrace_target_kill(hand.tid(), 0, &info));
    }
    WaitUntil([&] { return hand.slot().handler_runs == 5; });
    for (int i = 0; i < 5; ++i) EXPECT_EQ(i, hand.slot().records[i].value);
  });
}

TEST_P(Kernel, ASignalEndsTheProcessAndTheParentIsTold) {
  Run([] {
    Hand hand(5);
    hand.Spawn();
    const pid_t pid = hand.tid();
    ASSERT_EQ(0, Kill(pid, SIGTERM));
    Hand parent = Parent();
    parent.AwaitReady();
    EXPECT_EQ(pid, parent.Call(SYS_wait4, pid, parent.Scratch(), 0));
    EXPECT_EQ(SIGTERM, parent.Peek<int>());
    EXPECT_EQ('-', hand.State());
    EXPECT_EQ(-ECHILD, parent.Call(SYS_wait4, pid, 0, 0));
  });
}

TEST_P(Kernel, ForkAndWait) {
  Run([] {
    Hand hand(5);
    hand.Spawn();
    Hand child(6);
    const int64_t pid = hand.Do(UTRACE_TARGET_SPAWN, SYS_clone, SIGCHLD, 0, 0, 0, 0, 6);
    child.AwaitReady();
    EXPECT_EQ(pid, child.Call(SYS_getpid));
    EXPECT_EQ(hand.tid(), child.Call(SYS_getppid));
    hand.BeginCall(SYS_wait4, pid, hand.Scratch(), 0);
    child.BeginCall(SYS_exit_group, 7);
    EXPECT_EQ(pid, hand.Finish());
    EXPECT_EQ(7 << 8, hand.Peek<int>());
    EXPECT_EQ(4, hand.Do(UTRACE_TARGET_FORK_BURST, 0, 4));
    EXPECT_EQ(3, hand.Do(UTRACE_TARGET_THREAD_BURST, 0, 3));
  });
}

TEST_P(Kernel, VforkWaitsForItsChild) {
  Run([] {
    Hand hand(5);
    hand.Spawn();
    Hand child(6);
    hand.Begin(UTRACE_TARGET_SPAWN, SYS_vfork, 0, 0, 0, 0, 0, 6);
    child.AwaitReady();
    child.Call(SYS_getpid);
    EXPECT_EQ('S', hand.State());
    child.BeginCall(SYS_exit_group, 0);
    EXPECT_GT(hand.Finish(), 0);
  });
}

TEST_P(Kernel, AThreadThatExecutesTakesTheLeadersId) {
  Run([] {
    Hand leader(5);
    leader.Spawn();
    const pid_t pid = leader.tid();
    Hand thread(6);
    const int64_t tid = leader.Do(UTRACE_TARGET_SPAWN, 0, 0, 0, 0, 0, 0, 6);
    thread.AwaitReady();
    EXPECT_EQ(tid, thread.Call(SYS_gettid));
    EXPECT_EQ(pid, thread.Call(SYS_getpid));
    thread.Begin(UTRACE_TARGET_EXEC);
    thread.AwaitReady();
    EXPECT_EQ(pid, thread.tid());
    Hand fresh(6);
    fresh.BeginCall(SYS_gettid);
    WaitUntil([&] { return fresh.State() == 'S'; });
  });
}

TEST_P(Kernel, JobControlStopsAndContinues) {
  Run([] {
    Hand hand(5);
    hand.Spawn();
    Hand thread(6);
    hand.Do(UTRACE_TARGET_SPAWN, 0, 0, 0, 0, 0, 0, 6);
    thread.AwaitReady();
    const pid_t pid = hand.tid();
    ASSERT_EQ(0, Kill(pid, SIGSTOP));
    Hand parent = Parent();
    parent.AwaitReady();
    EXPECT_EQ(pid, parent.Call(SYS_wait4, pid, parent.Scratch(), WUNTRACED));
    EXPECT_EQ((SIGSTOP << 8) | 0x7f, parent.Peek<int>());
    EXPECT_EQ('T', hand.State());
    EXPECT_EQ('T', thread.State());
    ASSERT_EQ(0, Kill(pid, SIGCONT));
    EXPECT_EQ(pid, parent.Call(SYS_wait4, pid, parent.Scratch(), WCONTINUED));
    EXPECT_EQ(0xffff, parent.Peek<int>());
    EXPECT_EQ(pid, thread.Call(SYS_getpid));
  });
}

TEST_P(Kernel, SleepTakesItsVirtualTimeAlsoAcrossAStop) {
  Run([] {
    Hand hand(5);
    hand.Spawn();
    const int64_t span[2] = {0, 50 * kMillisecond};
    std::memcpy(hand.slot().scratch, span, sizeof(span));
    const int64_t before = utrace_target_now();
    hand.BeginCall(SYS_nanosleep, hand.Scratch(), 0);
    hand.AwaitBlocked();
    ASSERT_EQ(0, Kill(hand.tid(), SIGSTOP));
    hand.AwaitState('T');
    ASSERT_EQ(0, Kill(hand.tid(), SIGCONT));
    EXPECT_EQ(0, hand.Finish());
    EXPECT_EQ(before + 50 * kMillisecond, utrace_target_now());
  });
}

TEST_P(Kernel, SigkillEndsAllThreads) {
  Run([] {
    Hand hand(5);
    hand.Spawn();
    Hand spinner(6);
    hand.Do(UTRACE_TARGET_SPAWN, 0, 0, 0, 0, 0, 0, 6);
    spinner.AwaitReady();
    spinner.Begin(UTRACE_TARGET_SPIN);
    WaitUntil([&] { return spinner.slot().spins > 3; });
    ASSERT_EQ(0, Kill(hand.tid(), SIGKILL));
    Hand parent = Parent();
    parent.AwaitReady();
    EXPECT_EQ(hand.tid(), parent.Call(SYS_wait4, hand.tid(), parent.Scratch(), 0));
    EXPECT_EQ(SIGKILL, parent.Peek<int>());
    EXPECT_EQ('-', spinner.State());
  });
}

TEST(Target, RefusesWhatItIsNotMadeFor) {
  EXPECT_EQ(UTRACE_TARGET_VERSION, utrace_target_version());
  EXPECT_EQ(-EINVAL, utrace_target_begin());
  EXPECT_EQ(-EINVAL, utrace_target_run(
                         "nonsense", [](void*) {}, nullptr));
  EXPECT_EQ(0, InWorld("", [] {
              EXPECT_EQ(-EBUSY, utrace_target_begin());
              EXPECT_EQ(-EINVAL, utrace_target_spawn(UTRACE_TARGET_SLOTS));
              EXPECT_EQ(-ESRCH, utrace_target_state(4));
              EXPECT_EQ(-EOPNOTSUPP, utrace_target_configure("colour", 1));
            }));
}

TEST(Target, TellsOfThreadsThatWaitForEver) {
  EXPECT_EQ(-EDEADLK, InWorld("random:1", [] { WaitUntil([] { return false; }); }));
}

}  // namespace
}  // namespace utrace::model
