#include "core/model/scheduler.h"

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/model/schedule_testing.h"
#include "core/model/sync.h"
#include "gtest/gtest.h"

namespace utrace::model {
namespace {

TEST(Fibers, RunUntilTheyWait) {
  std::string trace;
  const RunResult result = RunWith([&] {
    EXPECT_TRUE(InFiber());
    EXPECT_EQ(CurrentFiber(), 0U);
    const FiberId first = Spawn("first", [&] {
      trace += 'a';
      Point();
      trace += 'b';
    });
    const FiberId second = Spawn("second", [&] { trace += 'c'; });
    EXPECT_EQ(first, 1U);
    EXPECT_EQ(second, 2U);
    trace += '0';
    AwaitEnd({first, second});
    trace += '1';
  });
  EXPECT_EQ(result.end, End::kDone) << result.text;
  EXPECT_EQ(trace, "0abc1");
  EXPECT_EQ(result.schedule, "replay:");
  EXPECT_EQ(result.runs, 1U);
  EXPECT_FALSE(InFiber());
}

TEST(Fibers, OutliveTheBodyUnlessDaemons) {
  std::string trace;
  const RunResult result = RunWith([&] {
    Spawn("worker", [&] {
      Point();
      trace += 'w';
    });
  });
  EXPECT_EQ(result.end, End::kDone);
  EXPECT_EQ(trace, "w");
}

TEST(Fibers, StacksHoldWhatTestsNeed) {
  const RunResult result = RunWith([] {
    volatile char room[128 * 1024];
    room[0] = 1;
    room[sizeof(room) - 1] = 1;
    Point();
    EXPECT_EQ(room[0] + room[sizeof(room) - 1], 2);
  });
  EXPECT_EQ(result.end, End::kDone);
}

TEST(Fibers, MayHandleExceptionsAcrossSwitches) {
  std::string trace;
  const auto rethrow = [&](const std::string& name) {
    try {
      throw std::runtime_error(name);
    } catch (const std::runtime_error&) {
      Yield();
      try {
        throw;
      } catch (const std::runtime_error& again) {
        trace += again.what();
      }
    }
  };
  const RunResult result = RunWith([&] {
    Spawn("a", [&] { rethrow("a"); });
    Spawn("b", [&] { rethrow("b"); });
  });
  EXPECT_EQ(result.end, End::kDone) << result.text;
  EXPECT_EQ(trace, "ab");
}

TEST(Daemons, AreUnwoundAtTheEnd) {
  std::string trace;
  struct Leaves {
    std::string& trace;
    char name;
    ~Leaves() {
      Point();  // locks are taken in destructors
      trace += name;
    }
  };
  const RunResult result = RunWith([&] {
    Spawn(
        "waits",
        [&] {
          const Leaves leaves{trace, 'w'};
          Await("nothing", [] { return false; });
        },
        true);
    Spawn(
        "yields",
        [&] {
          const Leaves leaves{trace, 'y'};
          for (;;) Yield();
        },
        true);
    Settle();
    Spawn(
        "not begun", [&] { trace += '!'; }, true);
    trace += 'b';
  });
  EXPECT_EQ(result.end, End::kDone) << result.text;
  EXPECT_EQ(trace, "bwy");
}

TEST(Daemons, GoOnWithWhatNeedsNoWaitWhileUnwound) {
  int locked = 0;
  ModelMutex mutex;
  const RunResult result = RunWith([&] {
    Spawn(
        "daemon",
        [&] {
          Point();
          const std::unique_lock lock(mutex);
          ++locked;
        },
        true);
    Point();
  });
  EXPECT_EQ(result.end, End::kDone);
  EXPECT_EQ(locked, 0) << "it had not begun";
  const RunResult begun = RunWith("replay:0=1", [&] {
    Spawn(
        "daemon",
        [&] {
          Yield();
          ++locked;
        },
        true);
    Point();
  });
  EXPECT_EQ(begun.end, End::kDone) << begun.text;
  EXPECT_EQ(locked, 0) << "its Yield must not return";
}

TEST(Ends, FailEndsTheRunAtOnce) {
  bool went_on = false;
  const RunResult result = RunWith([&] {
    const FiberId other = Spawn("other", [] { Fail("too bad"); });
    AwaitEnd({other});
    went_on = true;
  });
  EXPECT_EQ(result.end, End::kFailed);
  EXPECT_EQ(result.text, "too bad");
  EXPECT_FALSE(went_on);
}

TEST(Ends, AnExceptionFailsTheRun) {
  const RunResult result = RunWith([] { throw std::runtime_error("of no use"); });
  EXPECT_EQ(result.end, End::kFailed);
  EXPECT_EQ(result.text, "body threw: of no use");
}

TEST(Ends, ALoopWithoutEndIsARunaway) {
  const RunResult result = RunWith([] {
    for (;;) Point();
  });
  EXPECT_EQ(result.end, End::kRunaway);
  EXPECT_NE(result.text.find("body (fiber 0) could go on"), std::string::npos) << result.text;
}

TEST(Ends, ADeadlockTellsWhoWaitsForWhat) {
  const RunResult result = RunWith([] {
    Spawn("reader", [] { Await("a message", [] { return false; }); });
    Spawn(
        "helper", [] { Await("work", [] { return false; }); }, true);
  });
  EXPECT_EQ(result.end, End::kDeadlock);
  EXPECT_EQ(result.text, "reader (fiber 1) waits for a message; helper (fiber 2) waits for work");
}

TEST(Ends, NamesAreThere) {
  EXPECT_STREQ(EndName(End::kDone), "done");
  EXPECT_STREQ(EndName(End::kFailed), "failed");
  EXPECT_STREQ(EndName(End::kDeadlock), "deadlock");
  EXPECT_STREQ(EndName(End::kDiverged), "diverged");
  EXPECT_STREQ(EndName(End::kRunaway), "runaway");
}

TEST(Time, StandsStillWhileAnybodyCanGoOn) {
  const RunResult result = RunWith([] {
    bool set = false;
    Spawn("setter", [&] {
      for (int i = 0; i < 100; ++i) Point();
      EXPECT_EQ(Now(), 0);
      set = true;
    });
    EXPECT_TRUE(Await(
        "the setter", [&] { return set; }, 1));
    EXPECT_EQ(Now(), 0);
  });
  EXPECT_EQ(result.end, End::kDone);
}

TEST(Time, JumpsToTheEarliestDeadline) {
  const RunResult result = RunWith([] {
    const auto never = [] { return false; };
    std::vector<int> order;
    const FiberId late = Spawn("late", [&] {
      EXPECT_FALSE(Await("nothing", never, 30'000'000'000));
      EXPECT_EQ(Now(), 30'000'000'000);
      order.push_back(2);
    });
    const FiberId early = Spawn("early", [&] {
      EXPECT_FALSE(Await("nothing", never, 5));
      EXPECT_EQ(Now(), 5);
      order.push_back(1);
    });
    AwaitEnd({late, early});
    EXPECT_EQ(order, (std::vector<int>{1, 2}));
    EXPECT_FALSE(Await("nothing", never, 0));
    EXPECT_TRUE(Await(
        "something", [] { return true; }, 0));
  });
  EXPECT_EQ(result.end, End::kDone) << result.text;
}

TEST(Time, PassesForWhoPolls) {
  const RunResult result = RunWith([] {
    bool over = false;
    Spawn("timer", [&] {
      Await(
          "nothing", [] { return false; }, 1000);
      over = true;
    });
    while (!over) Yield();
    EXPECT_EQ(Now(), 1000);
  });
  EXPECT_EQ(result.end, End::kDone) << result.text;
}

TEST(Yielding, LetsAllOthersGoFirst) {
  std::string trace;
  const RunResult result = RunWith([&] {
    for (const char name : {'a', 'b'}) {
      Spawn(std::string(1, name), [&trace, name] {
        trace += name;
        Point();
        trace += name;
      });
    }
    trace += '0';
    Yield();
    trace += '1';
  });
  EXPECT_EQ(result.end, End::kDone);
  EXPECT_EQ(trace, "0aabb1");
}

TEST(Yielding, TakesTurns) {
  std::string trace;
  const RunResult result = RunWith([&] {
    for (const char name : {'a', 'b', 'c'}) {
      Spawn(std::string(1, name), [&trace, name] {
        for (int i = 0; i < 3; ++i) {
          trace += name;
          Yield();
        }
      });
    }
  });
  EXPECT_EQ(result.end, End::kDone);
  EXPECT_EQ(trace, "abcabcabc");
}

TEST(Settling, WaitsForAllThatCanGoOn) {
  const RunResult result = RunWith([] {
    int done = 0;
    for (int i = 0; i < 3; ++i) {
      Spawn("worker", [&] {
        for (int j = 0; j < 5; ++j) Point();
        ++done;
      });
    }
    Settle();
    EXPECT_EQ(done, 3);
    EXPECT_EQ(Now(), 0);
  });
  EXPECT_EQ(result.end, End::kDone);
}

TEST(Settling, GivesPollersTheirTurn) {
  const RunResult result = RunWith([] {
    bool go = false;
    bool gone = false;
    bool seen = false;
    Spawn("poller", [&] {
      while (!go) {
        Point();
        Yield();
      }
      gone = true;
    });
    Spawn(
        "second",
        [&] {
          for (;;) {
            if (gone) seen = true;
            Yield();
          }
        },
        true);
    Settle();
    EXPECT_FALSE(gone);
    go = true;
    Settle();
    EXPECT_TRUE(gone);
    EXPECT_TRUE(seen);
  });
  EXPECT_EQ(result.end, End::kDone) << result.text;
}

TEST(Settling, IsNotKeptUpByThoseWhoGoOnForEver) {
  const RunResult result = RunWith([] {
    bool over = false;
    Spawn("loop", [&] {
      while (!over) Point();
    });
    EXPECT_FALSE(Settle(60, 500));
    EXPECT_EQ(Now(), 0) << "somebody could go on";
    over = true;
    EXPECT_TRUE(Settle(60, 500));
    EXPECT_EQ(Now(), 60);
  });
  EXPECT_EQ(result.end, End::kDone);
}

TEST(Settling, LetsTimePassUpToTheNextDeadline) {
  const RunResult result = RunWith([] {
    bool over = false;
    Spawn("timer", [&] {
      Await(
          "nothing", [] { return false; }, 100);
      over = true;
    });
    Settle(60);
    EXPECT_EQ(Now(), 60);
    EXPECT_FALSE(over);
    Settle(60);
    EXPECT_EQ(Now(), 100);
    EXPECT_FALSE(over) << "nobody ran yet";
    Settle();
    EXPECT_TRUE(over);
    Settle(60);
    EXPECT_EQ(Now(), 160);
  });
  EXPECT_EQ(result.end, End::kDone);
}

TEST(Interrupting, EndsAWaitThatSaysSo) {
  const RunResult result = RunWith([] {
    const auto never = [] { return false; };
    const FiberId waiter = Spawn("waiter", [&] {
      EXPECT_EQ(AwaitInterruptibly("nothing", never), Awaited::kInterrupted);
      EXPECT_EQ(AwaitInterruptibly("nothing", never, 10), Awaited::kTimeout) << "noticed once";
      EXPECT_FALSE(Await("nothing", never, 10)) << "not interruptible";
      EXPECT_EQ(AwaitInterruptibly("nothing", never), Awaited::kInterrupted) << "came before";
      EXPECT_EQ(AwaitInterruptibly("it", [] { return true; }), Awaited::kReady);
    });
    Settle();
    EXPECT_TRUE(IsWaiting(waiter));
    EXPECT_FALSE(HasEnded(waiter));
    Interrupt(waiter);
    Await(
        "the second wait", [] { return Now() == 10; }, 10);
    Interrupt(waiter);
    AwaitEnd({waiter});
    EXPECT_FALSE(IsWaiting(waiter));
  });
  EXPECT_EQ(result.end, End::kDone) << result.text;
}

TEST(Locals, BelongToAFiberAndEndWithIt) {
  static int alive = 0;
  const auto make = []() -> void* {
    ++alive;
    return new int(0);
  };
  const auto destroy = [](void* value) {
    --alive;
    delete static_cast<int*>(value);
  };
  static const char key = 0;
  const RunResult result = RunWith([&] {
    *static_cast<int*>(FiberLocal(&key, make, destroy)) = 7;
    const FiberId other = Spawn("other", [&] {
      EXPECT_EQ(*static_cast<int*>(FiberLocal(&key, make, destroy)), 0);
      EXPECT_EQ(alive, 2);
    });
    AwaitEnd({other});
    EXPECT_EQ(alive, 1);
    EXPECT_EQ(*static_cast<int*>(FiberLocal(&key, make, destroy)), 7);
  });
  EXPECT_EQ(result.end, End::kDone);
  EXPECT_EQ(alive, 0);
}

// ---- sync.h ------------------------------------------------------------------------------------

TEST(Sync, AMutexExcludes) {
  for (int seed = 0; seed < 200; ++seed) {
    const RunResult result = RunWith("random:" + std::to_string(seed), [] {
      Mutex mutex;
      int inside = 0;
      int total = 0;
      std::vector<FiberId> fibers;
      for (int i = 0; i < 3; ++i) {
        Spawn("user", [&] {
          const MutexLock lock(mutex);
          if (++inside != 1) Fail("two inside");
          Point();
          --inside;
          ++total;
        });
      }
      Settle();
      if (total != 3) Fail("somebody never came in");
      if (!mutex.try_lock()) Fail("not free at the end");
      if (mutex.try_lock()) Fail("taken twice");
      mutex.unlock();
    });
    EXPECT_EQ(result.end, End::kDone) << result.text << " schedule: " << result.schedule;
  }
}

TEST(Sync, OutsideFibersItIsPlain) {
  Mutex mutex;
  {
    const MutexLock lock(mutex);
    EXPECT_FALSE(mutex.try_lock());
  }
  EXPECT_TRUE(mutex.try_lock());
  Atomic<uint32_t> number{3};
  EXPECT_EQ(number.fetch_add(2), 3U);
  EXPECT_EQ(number.fetch_sub(1), 5U);
  EXPECT_EQ(number.exchange(9), 4U);
  uint32_t expected = 8;
  EXPECT_FALSE(number.compare_exchange_strong(expected, 1));
  EXPECT_EQ(expected, 9U);
  EXPECT_TRUE(number.compare_exchange_weak(expected, 1));
  number.store(number.load() + 1);
  EXPECT_EQ(number, 2U);
  EXPECT_EQ(number.Peek(), 2U);
  using Slot = ThreadLocal<class SlotTag, int>;
  Slot::Get() = 5;
  EXPECT_EQ(Slot::Get(), 5);
  RunWith([] {
    EXPECT_EQ(Slot::Get(), 0);
    Slot::Get() = 6;
  });
  EXPECT_EQ(Slot::Get(), 5);
}

// ---- Cost ----------------------------------------------------------------------------------------

// The model's worth is the number of schedules it can look at. The bounds are loose: sanitizers and
// busy machines must pass.
TEST(Cost, OfPointsAndRuns) {
  using Clock = std::chrono::steady_clock;
  const auto microseconds = [](Clock::duration time) {
    return std::chrono::duration<double, std::micro>(time).count();
  };
  constexpr int kPoints = 500'000;
  Clock::duration points{};
  RunWith([&] {
    Spawn(
        "daemon", [] { Await("nothing", [] { return false; }); }, true);
    Settle();
    const Clock::time_point begin = Clock::now();
    for (int i = 0; i < kPoints; ++i) Point();
    points = Clock::now() - begin;
  });
  constexpr int kRuns = 10'000;
  const Clock::time_point begin = Clock::now();
  for (int i = 0; i < kRuns; ++i) {
    RunWith([] {
      for (int f = 0; f < 3; ++f) {
        Spawn("fiber", [] {
          for (int p = 0; p < 10; ++p) Yield();
        });
      }
      for (int p = 0; p < 10; ++p) Yield();
    });
  }
  const double per_point = microseconds(points) / kPoints;
  const double per_run = microseconds(Clock::now() - begin) / kRuns;
  RecordProperty("nanoseconds_per_point", static_cast<int>(per_point * 1000));
  RecordProperty("nanoseconds_per_run", static_cast<int>(per_run * 1000));
  std::printf("%.3f us per point, %.2f us per run of 40 switches and 4 fibers\n", per_point,
              per_run);
  EXPECT_LT(per_point, 20);
  EXPECT_LT(per_run, 2000);
}

}  // namespace
}  // namespace utrace::model
