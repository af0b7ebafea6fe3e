// The kit's threads, gates and watched calls under a scheduler that is not the operating system's: the
// model's, behind the functions of core/utrace_target.h, part B.
#include "conformance/kit/hosted_threads.h"

#include <errno.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "conformance/kit/latch.h"
#include "conformance/kit/verdict.h"
#include "core/model/scheduler.h"

namespace utrace::kit {
namespace {

using std::chrono::milliseconds;

std::string last_schedule;

int RunByModel(const char* text, void (*body)(void*), void* argument) {
  std::string error;
  const auto strategy = model::MakeStrategy(*text == '\0' ? "random:1" : text, &error);
  if (strategy == nullptr) return -EINVAL;
  const model::RunResult result = model::Explore(*strategy, [&] { body(argument); });
  last_schedule = result.schedule;
  switch (result.end) {
    case model::RunResult::End::kDone:
      return 0;
    case model::RunResult::End::kDeadlock:
      return -EDEADLK;
    case model::RunResult::End::kDiverged:
      return -EILSEQ;
    default:
      return -EIO;
  }
}

// Thread ids are above zero, fibers' are not.
model::FiberId Fiber(int thread) { return static_cast<model::FiberId>(thread - 1); }

Target ModelTarget() {
  Target target;
  target.schedules = true;
  target.utrace_target_run = RunByModel;
  target.utrace_target_schedule = [] { return last_schedule.c_str(); };
  target.utrace_target_thread = [](const char* name, void (*body)(void*), void* argument) {
    return static_cast<int>(model::Spawn(name, [=] { body(argument); })) + 1;
  };
  target.utrace_target_thread_self = [] { return static_cast<int>(model::CurrentFiber()) + 1; };
  target.utrace_target_thread_state = [](int thread) -> int {
    if (model::HasEnded(Fiber(thread))) return 'X';
    return model::IsWaiting(Fiber(thread)) ? 'S' : 'R';
  };
  target.utrace_target_thread_interrupt = [](int thread) { model::Interrupt(Fiber(thread)); };
  target.utrace_target_await = [](int (*ready)(void*), void* argument, int64_t timeout) {
    return model::Await(
               "the kit", [=] { return ready(argument) != 0; }, timeout)
               ? 1
               : 0;
  };
  target.utrace_target_settle = [](int64_t advance) { model::Settle(advance); };
  target.utrace_target_now = [] { return model::Now(); };
  return target;
}

class HostedThreadsTest : public ::testing::Test {
 protected:
  HostedThreadsTest() : before_(&TheThreads()) { UseThreads(&threads_); }
  ~HostedThreadsTest() override { UseThreads(before_); }

  // Runs `body` by a hundred schedules.
  void ByManySchedules(const std::function<void()>& body) {
    for (int seed = 1; seed <= 100 && !HasFailure(); ++seed) {
      const Threads::Ran ran = threads_.Run("random:" + std::to_string(seed), body);
      EXPECT_EQ("", ran.error) << ran.schedule;
    }
  }

  const Target target_ = ModelTarget();
  HostedThreads threads_{target_};

 private:
  Threads* before_;
};

TEST_F(HostedThreadsTest, AGateHoldsUntilOpened) {
  ByManySchedules([] {
    Gate gate("door");
    Controller waiter("waiter", [&] { return gate.Wait() ? 1L : 0L; });
    gate.AwaitArrival();
    waiter.AwaitBlocked();
    EXPECT_FALSE(waiter.Finished());
    const uint64_t before = NextSequence();
    gate.Open();
    EXPECT_EQ(1, waiter.Result());
    EXPECT_LT(before, waiter.finished_at());
  });
}

TEST_F(HostedThreadsTest, ACallThatReturnsIsNotBlocked) {
  ByManySchedules([] {
    Controller call("call", [] { return -ESRCH; });
    call.AwaitBlockedOrFinished();
    EXPECT_TRUE(call.Finished());
    EXPECT_EQ(-ESRCH, call.Result());
  });
}

TEST_F(HostedThreadsTest, AnInterruptEndsAWaitOfTheImplementation) {
  ByManySchedules([] {
    Controller call("call", [] {
      const auto awaited = model::AwaitInterruptibly("nothing", [] { return false; });
      return awaited == model::Awaited::kInterrupted ? -EINTR : 0L;
    });
    call.AwaitBlocked();
    call.Interrupt();
    EXPECT_EQ(-EINTR, call.Result());
  });
}

TEST_F(HostedThreadsTest, DeadlinesAreVirtual) {
  const auto start = std::chrono::steady_clock::now();
  const Threads::Ran ran = threads_.Run("", [this] {
    Gate gate("never reached");
    const auto before = threads_.Now();
    EXPECT_FALSE(gate.TryAwaitArrival(1, milliseconds(30000)));
    EXPECT_EQ(milliseconds(30000), threads_.Now() - before);
    EXPECT_FALSE(PollUntil([] { return false; }, milliseconds(30000)));
    EXPECT_LE(milliseconds(60000), threads_.Now() - before);
  });
  EXPECT_EQ("", ran.error);
  EXPECT_LT(std::chrono::steady_clock::now() - start, milliseconds(20000));
}

TEST_F(HostedThreadsTest, ThreadsAreJoinedAndTakeTurns) {
  ByManySchedules([] {
    bool there = false;
    bool seen = false;
    {
      Thread looker([&] { seen = PollUntil([&] { return there; }); });
      Thread setter([&] {
        Yield();
        there = true;
      });
    }
    EXPECT_TRUE(seen);
  });
}

// A race that one schedule in some loses: it is found, and its schedule repeats it.
TEST_F(HostedThreadsTest, AScheduleIsRepeated) {
  std::string order;
  const auto body = [&order] {
    order.clear();
    std::vector<std::unique_ptr<Thread>> threads;
    for (const char name : {'a', 'b', 'c'}) {
      threads.push_back(std::make_unique<Thread>([&order, name] {
        Yield();
        order += name;
      }));
    }
  };
  const std::string first = (threads_.Run("random:1", body), order);
  std::string other;
  std::string schedule;
  for (int seed = 2; seed <= 100 && other.empty(); ++seed) {
    const Threads::Ran ran = threads_.Run("random:" + std::to_string(seed), body);
    if (order == first) continue;
    other = order;
    schedule = ran.schedule;
  }
  ASSERT_NE("", other) << "a hundred schedules, one order";
  EXPECT_EQ("", threads_.Run(schedule, body).error);
  EXPECT_EQ(other, order);
}

TEST_F(HostedThreadsTest, SaysWhatIsWrongWithARun) {
  EXPECT_NE(std::string::npos, threads_.Run("nonsense", [] {}).error.find("nonsense"));
  const Threads::Ran ran = threads_.Run("", [] {
    TheThreads().Start("left", [] { model::Await("nothing", [] { return false; }); });
  });
  EXPECT_NE(std::string::npos, ran.error.find("wait for ever")) << ran.error;
}

TEST(OsThreads, FollowNoSchedule) {
  EXPECT_NE("", TheThreads().Run("random:1", [] {}).error);
  bool ran = false;
  EXPECT_EQ("", TheThreads().Run("", [&] { ran = true; }).error);
  EXPECT_TRUE(ran);
}

}  // namespace
}  // namespace utrace::kit
