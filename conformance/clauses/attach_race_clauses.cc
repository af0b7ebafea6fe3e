// Attaches, lookups, detaches and reaping at once [ATT-06, ATT-12, ATT-20, REF-05].
//
// Each test hammers one race for a bounded number of rounds and admits only what the contract does.

#include <atomic>
#include <functional>
#include <memory>
#include <vector>

#include "conformance/clauses/lifetime_scenes.h"

namespace utrace::kit {
namespace {

constexpr int kCreate = UTRACE_ATTACH_CREATE;
constexpr int kExclusive = UTRACE_ATTACH_EXCLUSIVE;
constexpr int kData = UTRACE_ATTACH_MATCH_DATA;

// Runs both at the same moment and waits for both; `one` on the test's own thread, where it may
// abandon the test.
void AtOnce(const std::function<void()>& one, const std::function<void()>& other) {
  std::atomic<int> ready{0};
  const auto start = [&ready](const std::function<void()>& what) {
    ++ready;
    PollUntil([&] { return ready == 2; });
    what();
  };
  Thread thread([&] { start(other); });
  start(one);
}

}  // namespace

// ---- ATT-20 ------------------------------------------------------------------------------------

CLAUSE_TEST(ATT_20, TwoAttachesOnABareTaskBothSucceed) {
  constexpr int kRounds = 100;
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  for (int round = 0; round < kRounds; ++round) {
    TestEngine a("a");
    TestEngine b("b");
    int first = -1;
    int second = -1;
    AtOnce([&] { first = a.Attach(task); }, [&] { second = b.Attach(task); });
    ASSERT_EQ(0, first) << "round " << round;
    ASSERT_EQ(0, second) << "round " << round;
    ASSERT_EQ(a.get(), AttachTask(task, kData, nullptr, a.data()).get()) << "round " << round;
    ASSERT_EQ(b.get(), AttachTask(task, kData, nullptr, b.data()).get()) << "round " << round;
    for (TestEngine* engine : {&a, &b}) engine->DetachAndWait();
    ASSERT_EQ(-ENOENT, LookUpAny(task).error()) << "round " << round;
  }
  EXPECT_EQ(puppet.pid(), puppet.Call(SYS_getpid));
}

// The same on tasks that nobody ever traced, threads of one process too; both engines get events.
CLAUSE_TEST(ATT_20, TwoAttachesOnAFreshTaskBothGetEvents) {
  constexpr int kThreads = 20;
  Puppet& puppet = Spawn();
  std::vector<PuppetThread*> threads;
  for (int i = 0; i < kThreads; ++i) threads.push_back(&puppet.SpawnThread());
  std::vector<std::unique_ptr<TestEngine>> engines;
  for (PuppetThread* thread : threads) {
    TaskRef task = Task(*thread);
    engines.push_back(std::make_unique<TestEngine>("a"));
    TestEngine& a = *engines.back();
    engines.push_back(std::make_unique<TestEngine>("b"));
    TestEngine& b = *engines.back();
    int first = -1;
    int second = -1;
    const unsigned long exit = UTRACE_EVENT(SYSCALL_EXIT);
    AtOnce(
        [&] {
          first = a.Attach(task);
          if (first == 0) first = a.SetEvents(exit);
        },
        [&] {
          second = b.Attach(task);
          if (second == 0) second = b.SetEvents(exit);
        });
    ASSERT_EQ(0, first);
    ASSERT_EQ(0, second);
    thread->Call(kMarker);
    ASSERT_EQ(1, a.CountSyscall(What::kSyscallExit, kMarker));
    ASSERT_EQ(1, b.CountSyscall(What::kSyscallExit, kMarker));
  }
}

// Two threads of one untraced process at once, one of them twice.
CLAUSE_TEST(ATT_20, TwoTasksOfOneProcessAtOnce) {
  constexpr int kRounds = 10;
  for (int round = 0; round < kRounds; ++round) {
    Puppet& puppet = Spawn();
    PuppetThread& thread = puppet.SpawnThread();
    TestEngine a("a");
    TestEngine b("b");
    TestEngine c("c");
    TaskRef task = Task(thread);
    int first = -1;
    int second = -1;
    int third = -1;
    AtOnce(
        [&] {
          first = a.AttachTid(puppet.tid());
          third = c.AttachTid(thread.tid());
        },
        [&] { second = b.Attach(task); });
    ASSERT_EQ(0, first);
    ASSERT_EQ(0, second);
    ASSERT_EQ(0, third);
    EXPECT_EQ(b.task(), c.task()) << "one thread has two tasks";
    EXPECT_NE(a.task(), b.task());
  }
}

// An attach against the detach of the last engine: the task may be on its way out of tracing.
CLAUSE_TEST(ATT_20, AttachAgainstTheLastDetach) {
  constexpr int kRounds = 100;
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  auto last = std::make_unique<TestEngine>("last");
  ASSERT_EQ(0, last->Attach(task));
  for (int round = 0; round < kRounds; ++round) {
    auto next = std::make_unique<TestEngine>("next");
    int attached = -1;
    int detached = -1;
    AtOnce(
        [&] {
          attached = next->Attach(task);
          if (attached == 0) attached = next->SetEvents(UTRACE_EVENT(SYSCALL_EXIT));
        },
        [&] { detached = last->Control(UTRACE_DETACH); });
    ASSERT_EQ(0, attached) << "round " << round;
    AssertOneOf(detached, {0, -EINPROGRESS});
    puppet.Call(kMarker);
    ASSERT_EQ(1, next->CountSyscall(What::kSyscallExit, kMarker)) << "round " << round;
    ASSERT_EQ(next->get(), LookUpAny(task).get());
    last = std::move(next);
  }
}

// ---- ATT-06 ------------------------------------------------------------------------------------

CLAUSE_TEST(ATT_06, OfTwoExclusivesAtOnceOneWins) {
  constexpr int kRounds = 100;
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  OpsTable ops;
  for (int round = 0; round < kRounds; ++round) {
    EngineRef a;
    EngineRef b;
    AtOnce([&] { a = AttachTask(task, kCreate | kExclusive, ops.get(), nullptr); },
           [&] { b = AttachTask(task, kCreate | kExclusive, ops.get(), nullptr); });
    ASSERT_NE(a.ok(), b.ok()) << "round " << round << ": " << ErrnoName(a.error()) << " and "
                              << ErrnoName(b.error());
    EngineRef& winner = a.ok() ? a : b;
    ASSERT_EQ(-EEXIST, a.ok() ? b.error() : a.error());
    ASSERT_EQ(winner.get(), LookUpAny(task).get());
    DetachRaw(task, winner);
  }
}

// ---- ATT-12 ------------------------------------------------------------------------------------

// Lookups against reaping: none that begins after report_reap has begun may find the engine.
CLAUSE_TEST(ATT_12, LookupAgainstReaping) {
  constexpr int kRounds = 20;
  for (int round = 0; round < kRounds; ++round) {
    Puppet& puppet = Spawn();
    TaskRef task = Task(puppet);
    TestEngine engine;
    ASSERT_EQ(0, engine.Attach(task));
    ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(REAP)));
    std::atomic<uint64_t> last_success{0};
    std::atomic<bool> looking{false};
    Controller looker("lookups", [&]() -> long {
      for (;;) {
        const uint64_t before = NextSequence();
        const EngineRef found = LookUpAny(task);
        looking = true;
        if (!found.ok()) return found.error();
        EXPECT_EQ(engine.get(), found.get());
        last_success = before;
      }
    });
    ASSERT_TRUE(PollUntil([&] { return looking.load(); }));
    ExitAndReap(puppet);
    engine.AwaitEnded(What::kReap);
    ExpectOneOf(looker.Result(), {-ENOENT, -ESRCH});
    const uint64_t reap = engine.Log(What::kReap).front().begin;
    EXPECT_LT(last_success, reap) << "found while its task was being reaped";
  }
}

// Lookups against attach and detach: what is found has a reference, and what has left is not found.
CLAUSE_TEST(ATT_12, LookupAgainstAttachAndDetach) {
  constexpr int kRounds = 3000;
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  TestEngine other("other");  // keeps the task traced: the race is one of lists, not of tracing
  ASSERT_EQ(0, other.Attach(task));
  OpsTable ops;
  int data = 0;
  std::atomic<bool> over{false};
  std::atomic<bool> looking{false};
  Controller looker("lookups", [&]() -> long {
    long found_any = 0;
    while (!over) {
      const EngineRef found = AttachTask(task, kData, nullptr, &data);
      looking = true;
      if (found.ok()) {
        ++found_any;
        // Its reference keeps it usable, whatever the other thread does meanwhile.
        if (found.get()->data != &data) ADD_FAILURE() << "a lookup found another engine";
        ExpectOneOf(api().utrace_set_events(task, found, 0), {0, -ESRCH});
      } else if (found.error() != -ENOENT) {
        ADD_FAILURE() << "a lookup gives " << ErrnoName(found.error());
        return -1;
      }
    }
    return found_any;
  });
  ASSERT_TRUE(PollUntil([&] { return looking.load(); }));
  for (int round = 0; round < kRounds; ++round) {
    const EngineRef engine = AttachTask(task, kCreate, ops.get(), &data);
    ASSERT_TRUE(engine.ok()) << ErrnoName(engine.error());
    ASSERT_EQ(0, api().utrace_control(task, engine, UTRACE_DETACH));
    // No engine of that data is attached now.
    ASSERT_EQ(-ENOENT, AttachTask(task, kData, nullptr, &data).error()) << "round " << round;
  }
  over = true;
  EXPECT_LE(0, looker.Result());
  EXPECT_TRUE(PollUntil([&] { return ReleaseCount(&data) >= kRounds; }));
  EXPECT_EQ(kRounds, ReleaseCount(&data));
}

// ---- REF-05 ------------------------------------------------------------------------------------

// Engines that come and go while the task reports: no callback begins after release, and none runs
// while release does.
CLAUSE_TEST(REF_05, DetachAndPutAgainstCallbacks) {
  constexpr int kRounds = 150;
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  TestEngine other("other");  // keeps the task traced
  other.KeepLog(false);
  ASSERT_EQ(0, other.Attach(task));
  ASSERT_EQ(0, other.SetEvents(UTRACE_EVENT_SYSCALL));
  std::atomic<bool> over{false};
  Controller driver("driver", [&]() -> long {
    long calls = 0;
    for (; !over; ++calls) puppet.Repeat(kMarker, 20);
    return calls;
  });
  std::vector<std::unique_ptr<TestEngine>> engines;
  for (int round = 0; round < kRounds; ++round) {
    engines.push_back(std::make_unique<TestEngine>("passing"));
    TestEngine& engine = *engines.back();
    engine.KeepLog(false);
    ASSERT_EQ(0, engine.Attach(task));
    ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT_SYSCALL | UTRACE_EVENT(QUIESCE)));
    if (round % 2 == 0) engine.TryAwait(What::kSyscallEntry);
    AssertOneOf(engine.Control(UTRACE_DETACH), {0, -EINPROGRESS});
    engine.Put();
  }
  over = true;
  EXPECT_LT(0, driver.Result());
  for (const auto& engine : engines) {
    engine->Await(What::kRelease);
    EXPECT_EQ(1, engine->releases());
    EXPECT_EQ(0, engine->after_release()) << "a callback began after release";
    EXPECT_FALSE(engine->release_in_callback()) << "released while a callback was running";
    EXPECT_EQ(0, engine->overlaps());
  }
}

// An engine that leaves while its task dies and is reaped: it is released once, after all else.
CLAUSE_TEST(REF_05, DetachAndPutAgainstDyingAndReaping) {
  constexpr int kRounds = 30;
  for (int round = 0; round < kRounds; ++round) {
    Puppet& puppet = Spawn();
    TaskRef task = Task(puppet);
    TestEngine leaving("leaving");
    TestEngine staying("staying");
    for (TestEngine* engine : {&leaving, &staying}) {
      ASSERT_EQ(0, engine->Attach(task));
      ASSERT_EQ(0,
                engine->SetEvents(UTRACE_EVENT(EXIT) | UTRACE_EVENT(DEATH) | UTRACE_EVENT(REAP)));
    }
    staying.Put();
    puppet.BeginExitGroup();
    // Detaches now at one moment of the dying, now at another.
    if (round % 3 == 1) leaving.Await(What::kExit);
    if (round % 3 == 2) leaving.Await(What::kDeath);
    AtOnce([&] { AwaitReaped(puppet); },
           [&] {
             ExpectOneOf(leaving.Control(UTRACE_DETACH), {0, -EINPROGRESS, -EALREADY, -ESRCH});
             leaving.Put();
           });
    for (TestEngine* engine : {&leaving, &staying}) {
      engine->Await(What::kRelease);
      EXPECT_EQ(1, engine->releases());
      EXPECT_EQ(0, engine->after_release()) << Describe(engine->Log());
      EXPECT_FALSE(engine->release_in_callback());
      EXPECT_EQ(What::kRelease, engine->Log().back().what) << Describe(engine->Log());
    }
    EXPECT_EQ(1, staying.Count(What::kReap));
  }
}

}  // namespace utrace::kit
