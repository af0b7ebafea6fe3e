// Gates, latches and watched calls.
#include "conformance/kit/latch.h"

#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <thread>

namespace utrace::kit {
namespace {

TEST(Gate, HoldsUntilOpened) {
  Gate gate("door");
  Controller waiter("waiter", [&] { return gate.Wait() ? 1L : 0L; });
  gate.AwaitArrival();
  waiter.AwaitBlocked();
  EXPECT_FALSE(waiter.Finished());
  const uint64_t before = NextSequence();
  gate.Open();
  EXPECT_EQ(1, waiter.Result());
  EXPECT_LT(before, waiter.finished_at());
  EXPECT_LT(waiter.started_at(), before);
  EXPECT_TRUE(gate.Wait());
  EXPECT_EQ(2, gate.arrivals());
}

TEST(Gate, OpensWhenItGoesAway) {
  auto gate = std::make_unique<Gate>("short-lived");
  Gate* const raw = gate.get();
  Controller waiter("waiter", [raw] { return raw->Wait() ? 1L : 0L; });
  gate->AwaitArrival();
  waiter.AwaitBlocked();
  gate.reset();
  EXPECT_EQ(1, waiter.Result());
}

TEST(Gate, OpenAll) {
  Gate one;
  Gate two;
  Gate::OpenAll();
  EXPECT_TRUE(one.IsOpen());
  EXPECT_TRUE(two.IsOpen());
  two.Close();
  EXPECT_FALSE(two.IsOpen());
  EXPECT_FALSE(one.TryAwaitArrival(1, std::chrono::milliseconds(1)));
}

TEST(Latch, CountsDown) {
  Latch latch(2);
  std::thread first([&] { latch.CountDown(); });
  std::thread second([&] { latch.CountDown(); });
  EXPECT_TRUE(latch.Wait());
  EXPECT_TRUE(latch.TryWait());
  first.join();
  second.join();
}

TEST(Controller, GivesTheResultOfACallThatReturns) {
  Controller call("call", [] { return -ESRCH; });
  call.AwaitBlockedOrFinished();
  EXPECT_EQ(-ESRCH, call.Result());
  EXPECT_TRUE(call.Finished());
  try {
    call.AwaitBlocked();
    ADD_FAILURE() << "a finished call counted as blocked";
  } catch (const Abandon& abandon) {
    EXPECT_EQ(Verdict::kFail, abandon.verdict);
    EXPECT_NE(std::string::npos, abandon.text.find("-ESRCH")) << abandon.text;
  }
}

TEST(Controller, ACallInUserModeDoesNotCountAsBlocked) {
  std::atomic<bool> stop{false};
  Controller busy("busy", [&] {
    while (!stop) {
    }
    return 0L;
  });
  long result;
  EXPECT_FALSE(busy.TryResult(&result, std::chrono::milliseconds(10)));
  stop = true;
  busy.AwaitBlockedOrFinished();
  EXPECT_TRUE(busy.Finished());
}

TEST(Controller, InterruptsACall) {
  int ends[2];
  ASSERT_EQ(0, pipe2(ends, O_CLOEXEC));
  Controller blocked("read", [&] {
    char byte;
    return read(ends[0], &byte, 1) < 0 ? static_cast<long>(-errno) : 0L;
  });
  blocked.AwaitBlocked();
  blocked.Interrupt();
  EXPECT_EQ(-EINTR, blocked.Result());
  close(ends[0]);
  close(ends[1]);
}

TEST(Sequence, Grows) {
  const uint64_t first = NextSequence();
  EXPECT_LT(first, NextSequence());
}

}  // namespace
}  // namespace utrace::kit
