#include <algorithm>
#include <string>
#include <vector>

#include "core/model/schedule_testing.h"
#include "core/model/scheduler.h"
#include "core/model/sync.h"
#include "gtest/gtest.h"

namespace utrace::model {
namespace {

// ---- Names ---------------------------------------------------------------------------------------

TEST(Names, WellFormedOnesMakeAStrategy) {
  for (const std::string name :
       {"random:17", "pct:17:3:40", "pct:1:2", "exhaustive:3", "replay:", "replay:12=2,45=1"}) {
    std::string error;
    EXPECT_NE(MakeStrategy(name, &error), nullptr) << error;
  }
}

TEST(Names, MalformedOnesSayWhatIsWrong) {
  for (const std::string name :
       {"", "random", "random:", "random:x", "random:-1", "random:1:2", "pct:1", "pct:1:0",
        "pct:1:2:0", "pct:1:2:3:4", "exhaustive:", "exhaustive:1 ", "replay", "round-robin:1",
        "random:99999999999999999999"}) {
    std::string error;
    EXPECT_EQ(MakeStrategy(name, &error), nullptr) << name;
    EXPECT_NE(error.find("'" + name + "' names no schedule"), std::string::npos) << error;
  }
  for (const std::string name : {"replay:1", "replay:1=", "replay:=1", "replay:1=1,", "replay:a=1",
                                 "replay:1=-1", "replay:1=1,,2=1", "replay:1=4294967295"}) {
    std::string error;
    EXPECT_EQ(MakeStrategy(name, &error), nullptr) << name;
    EXPECT_NE(error.find("is no choice"), std::string::npos) << error;
  }
  for (const std::string name : {"replay:2=1,1=1", "replay:1=1,1=2"}) {
    std::string error;
    EXPECT_EQ(MakeStrategy(name, &error), nullptr) << name;
    EXPECT_NE(error.find("must ascend"), std::string::npos) << error;
  }
}

// ---- Races that each strategy finds ----------------------------------------------------------------

// Two fibers add one each, by a load and a store.
void LostUpdate() {
  Atomic<int> sum{0};
  const auto add = [&] { sum.store(sum.load() + 1); };
  const FiberId a = Spawn("a", add);
  const FiberId b = Spawn("b", add);
  {
    const Explored explored;
    AwaitEnd({a, b});
  }
  if (sum.load() != 2) Fail("an addition was lost");
}

void LockInversion() {
  Mutex first;
  Mutex second;
  const auto lock = [](Mutex& outer, Mutex& inner) {
    const MutexLock a(outer);
    const MutexLock b(inner);
  };
  const FiberId a = Spawn("a", [&] { lock(first, second); });
  const FiberId b = Spawn("b", [&] { lock(second, first); });
  const Explored explored;
  AwaitEnd({a, b});
}

// The waiter looks, and only then says that it waits; who sets sees nobody wait.
void ForgottenWakeUp() {
  Atomic<int> value{0};
  Atomic<int> waiters{0};
  bool woken = false;
  const FiberId waiter = Spawn("waiter", [&] {
    if (value.load() == 0) {
      waiters.store(1);
      Await("the wake-up", [&] { return woken; });
    }
  });
  const FiberId setter = Spawn("setter", [&] {
    value.store(1);
    if (waiters.load() != 0) woken = true;
  });
  const Explored explored;
  AwaitEnd({waiter, setter});
}

struct Race {
  const char* name;
  void (*body)();
  End end;
  const char* text;
};

const Race kRaces[] = {
    {"LostUpdate", LostUpdate, End::kFailed, "an addition was lost"},
    {"LockInversion", LockInversion, End::kDeadlock,
     "body (fiber 0) waits for the others' end; a (fiber 1) waits for a lock that b (fiber 2) "
     "holds; b (fiber 2) waits for a lock that a (fiber 1) holds"},
    {"ForgottenWakeUp", ForgottenWakeUp, End::kDeadlock,
     "body (fiber 0) waits for the others' end; waiter (fiber 1) waits for the wake-up"},
};

class Races : public ::testing::TestWithParam<Race> {
 protected:
  void ExpectFound(const RunResult& result) const {
    const Race& race = GetParam();
    ASSERT_EQ(result.end, race.end) << result.text;
    EXPECT_EQ(result.text, race.text);
    // The schedule repeats it.
    const RunResult again = RunWith(result.schedule, race.body);
    EXPECT_EQ(again.end, race.end);
    EXPECT_EQ(again.text, race.text);
    EXPECT_EQ(again.schedule, result.schedule);
    EXPECT_EQ(again.runs, 1U);
  }

  // The first failing run among those of seeds 1, 2, ...
  RunResult Search(const std::string& before, const std::string& after) const {
    for (int seed = 1; seed <= 1000; ++seed) {
      const RunResult result = RunWith(before + std::to_string(seed) + after, GetParam().body);
      if (result.end != End::kDone) return result;
    }
    return {};
  }
};

TEST_P(Races, AreFoundByRandom) { ExpectFound(Search("random:", "")); }
TEST_P(Races, AreFoundByPct) { ExpectFound(Search("pct:", ":2:12")); }
TEST_P(Races, AreFoundByExhaustive) {
  const RunResult result = RunWith("exhaustive:1", GetParam().body);
  ExpectFound(result);
  EXPECT_GE(result.runs, 1U);
}
TEST_P(Races, NeedAPreemption) {
  EXPECT_EQ(RunWith("exhaustive:0", GetParam().body).end, End::kDone);
}
INSTANTIATE_TEST_SUITE_P(Known, Races, ::testing::ValuesIn(kRaces),
                         [](const auto& race) { return race.param.name; });

// ---- Exhaustive search counts exactly -----------------------------------------------------------------

uint64_t Count(uint64_t bound, const std::function<void()>& body) {
  const RunResult result = RunWith("exhaustive:" + std::to_string(bound), body);
  EXPECT_EQ(result.end, End::kDone) << result.text;
  return result.runs;
}

// Fibers with `points` points each, hence points + 1 stretches, explored from before the first.
std::function<void()> Stretches(std::initializer_list<int> fibers) {
  const std::vector<int> counts = fibers;
  return [counts] {
    for (const int points : counts) {
      Spawn("fiber", [points] {
        for (int i = 0; i < points; ++i) Point();
      });
    }
    const Explored explored;
    Await("all", [n = counts.size()] {
      for (FiberId id = 1; id <= n; ++id) {
        if (!HasEnded(id)) return false;
      }
      return true;
    });
  };
}

// Two fibers of 3 stretches: C(6,3) = 20 orders. An order with k changes of fiber has k - 1
// preemptions, as the change at the end of who ends first is none. With k + 1 blocks, the one who
// begins has ceil((k + 1) / 2) of them and the other the rest, and n stretches fall into b blocks in
// C(n - 1, b - 1) ways: 1 * 1, 2 * 1, 2 * 2, 1 * 2, 1 * 1 for k = 1 to 5; twice that, for either may
// begin: 2, 4, 8, 4, 2.
TEST(Exhaustive, CountsTwoFibersOfThreeStretches) {
  EXPECT_EQ(Count(0, Stretches({2, 2})), 2U);
  EXPECT_EQ(Count(1, Stretches({2, 2})), 6U);
  EXPECT_EQ(Count(2, Stretches({2, 2})), 14U);
  EXPECT_EQ(Count(3, Stretches({2, 2})), 18U);
  EXPECT_EQ(Count(4, Stretches({2, 2})), 20U);
  EXPECT_EQ(Count(9, Stretches({2, 2})), 20U);
}

// Four stretches and two: C(6,2) = 15. As above, with C(3, b - 1) ways for the long one and
// C(1, b - 1) for the short. The long one begins: k = 1: 1; k = 2: 3; k = 3: 3 * 1; k = 4: 3 * 1. The
// short one begins: 1; 1; 3 * 1; k = 4 needs three blocks of the short one. In all 2, 4, 6, 3.
TEST(Exhaustive, CountsFibersOfFourAndTwoStretches) {
  EXPECT_EQ(Count(0, Stretches({3, 1})), 2U);
  EXPECT_EQ(Count(1, Stretches({3, 1})), 6U);
  EXPECT_EQ(Count(2, Stretches({3, 1})), 12U);
  EXPECT_EQ(Count(3, Stretches({3, 1})), 15U);
}

// Without points the order in which three begin is all there is: 3! = 6. With two stretches each there
// are 6!/(2!2!2!) = 90 orders; without preemption 6.
TEST(Exhaustive, CountsThreeFibers) {
  EXPECT_EQ(Count(0, Stretches({0, 0, 0})), 6U);
  EXPECT_EQ(Count(3, Stretches({0, 0, 0})), 6U);
  EXPECT_EQ(Count(0, Stretches({1, 1, 1})), 6U);
  EXPECT_EQ(Count(3, Stretches({1, 1, 1})), 90U);
}

// Outside Explored there is nothing to choose.
TEST(Exhaustive, BranchesOnlyWhereExplored) {
  const auto body = [] {
    const auto points = [] {
      Point();
      Point();
    };
    const FiberId a = Spawn("a", points);
    const FiberId b = Spawn("b", points);
    AwaitEnd({a, b});
    const Explored explored;
    Point();
  };
  EXPECT_EQ(Count(3, body), 1U);
}

// The fiber that yields once has two stretches, and the change there is free, and must be made while
// the other can go on. Before it: the other, or it, begins. The other (one point): ends first, or is
// preempted at its point by the one that has not begun; that one then yields to it: 0 preemptions:
// "o o y y", "y o o y"; with one: "o y o y", and "y o y o": two more.
TEST(Exhaustive, AYieldIsNoPreemption) {
  const auto body = [] {
    const FiberId yielding = Spawn("yielding", [] { Yield(); });
    const FiberId other = Spawn("other", [] { Point(); });
    const Explored explored;
    AwaitEnd({yielding, other});
  };
  EXPECT_EQ(Count(0, body), 2U);
  EXPECT_EQ(Count(1, body), 4U);
  EXPECT_EQ(Count(3, body), 4U);
}

// One lock, taken once by each, and nothing else: each has one point before and none within. The
// stretch that ends with the point at the lock, and the one that holds it: as for two fibers of two
// stretches, C(4,2) = 6 orders, of which 2 have no preemption and 2 have one, 2 have two.
TEST(Exhaustive, CountsALock) {
  const auto body = [] {
    Mutex mutex;
    const auto take = [&] { const MutexLock lock(mutex); };
    const FiberId a = Spawn("a", take);
    const FiberId b = Spawn("b", take);
    const Explored explored;
    AwaitEnd({a, b});
  };
  EXPECT_EQ(Count(0, body), 2U);
  EXPECT_EQ(Count(1, body), 4U);
  EXPECT_EQ(Count(2, body), 6U);
  EXPECT_EQ(Count(3, body), 6U);
}

// ---- Divergence --------------------------------------------------------------------------------------

TEST(Divergence, OfAReplayThatCannotBeFollowed) {
  const auto body = Stretches({2, 2});
  EXPECT_EQ(RunWith("replay:0=2,1=1", body).end, End::kDone);
  for (const std::string schedule : {"replay:0=7", "replay:0=2,1=0", "replay:100=1"}) {
    const RunResult result = RunWith(schedule, body);
    EXPECT_EQ(result.end, End::kDiverged) << schedule;
    EXPECT_NE(result.text.find("not possible here"), std::string::npos) << result.text;
  }
}

TEST(Divergence, OfABodyThatDependsOnMoreThanTheSchedule) {
  int runs = 0;
  const RunResult result = RunWith("exhaustive:3", [&] {
    ++runs;
    Stretches({runs == 3 ? 1 : 3, 2})();
  });
  EXPECT_EQ(result.end, End::kDiverged);
  EXPECT_EQ(result.runs, 3U);
}

TEST(Divergence, OfABodyThatEndsEarly) {
  int runs = 0;
  const RunResult result = RunWith("exhaustive:3", [&] {
    if (++runs < 3) Stretches({2, 2})();
  });
  EXPECT_EQ(result.end, End::kDiverged);
  EXPECT_NE(result.text.find("the run ended"), std::string::npos) << result.text;
}

// ---- Seeds -------------------------------------------------------------------------------------------

TEST(Seeds, RepeatThemselves) {
  const auto body = Stretches({5, 5, 5});
  for (const std::string name : {"random:5", "pct:5:3:20"}) {
    const RunResult first = RunWith(name, body);
    EXPECT_EQ(RunWith(name, body).schedule, first.schedule);
    EXPECT_EQ(RunWith(first.schedule, body).schedule, first.schedule);
  }
  EXPECT_NE(RunWith("random:5", body).schedule, RunWith("random:6", body).schedule);
}

}  // namespace
}  // namespace utrace::model
