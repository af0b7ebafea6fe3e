// set_events under load: the documented outcomes and no others, whatever the timing.
#include <atomic>
#include <deque>

#include "conformance/clauses/callback_scenes.h"

namespace utrace::kit {
namespace {

constexpr unsigned long kDeath = UTRACE_EVENT(DEATH);
constexpr unsigned long kQuiesce = UTRACE_EVENT(QUIESCE);
constexpr unsigned long kReap = UTRACE_EVENT(REAP);

// A span of the kit's sequence in which no callback may begin.
struct Span {
  uint64_t from = 0;
  uint64_t to = 0;
};

void ExpectNoneIn(const std::vector<Report>& log, const std::vector<Span>& spans) {
  size_t at = 0;
  for (const Report& report : log) {
    while (at < spans.size() && spans[at].to < report.begin) ++at;
    if (at == spans.size()) return;
    if (report.begin > spans[at].from) {
      Failed("a callback for a disabled event: " + Describe(report));
    }
  }
}

// A thread beside the test that keeps making one call until told to stop.
class Hammer {
 public:
  explicit Hammer(std::function<void()> blow)
      : thread_([this, blow = std::move(blow)] {
          while (!stop_.load()) blow();
        }) {}
  ~Hammer() {
    stop_.store(true);
    thread_.Join();
  }

 private:
  std::atomic<bool> stop_ = false;
  Thread thread_;
};

// Children of one puppet, each with an engine for which a race is run while the child dies.
class DyingChildren {
 public:
  static constexpr int kChildren = 100;

  struct Child {
    TestEngine watcher{
        "watcher"};  // has what the engine is to gain or lose, so that it is reported
    TestEngine engine{"engine"};
    Controller* caller = nullptr;
    std::atomic<bool> there = false;
    int result = 1;
    uint64_t returned_at = 0;
  };

  // The engine starts with `before`, the call under test sets `after`.
  DyingChildren(Puppet& puppet, unsigned long before, unsigned long after)
      : puppet_(puppet), parent_("parent") {
    for (int i = 0; i < kChildren; ++i) children_.emplace_back();
    parent_.On(What::kClone, [this, before](Report& report) -> uint32_t {
      if (next_ == kChildren) return UTRACE_RESUME;
      Child& child = children_[next_++];
      EXPECT_EQ(0, child.engine.Attach(report.child));
      EXPECT_EQ(0, child.engine.SetEvents(before));
      EXPECT_EQ(0, child.watcher.Attach(report.child));
      EXPECT_EQ(0, child.watcher.SetEvents(kDeath | kQuiesce | kReap));
      child.there.store(true);
      return UTRACE_RESUME;
    });
    AssertOneOf(parent_.AttachTid(puppet.tid()), {0});
    AssertOneOf(parent_.SetEvents(UTRACE_EVENT(CLONE)), {0});
    puppet_.BeginForkBurst(kChildren);
    for (int i = 0; i < kChildren; ++i) {
      Child& child = children_[i];
      if (!PollUntil([&] { return child.there.load(); })) Failed("a child was not reported");
      // A child lives for some hundred microseconds; the call comes early, late or in the middle.
      for (volatile int wait = (i % 50) * 2000; wait > 0;) wait = wait - 1;
      child.result = child.engine.SetEvents(after);
      child.returned_at = NextSequence();
    }
    if (puppet_.Finish() < 0) Failed("the puppet cannot make its children");
    for (Child& child : children_) child.watcher.AwaitEnded(What::kReap);
  }

  std::deque<Child>& children() { return children_; }

 private:
  Puppet& puppet_;
  std::deque<Child> children_;
  TestEngine parent_;
  int next_ = 0;
};

}  // namespace

CLAUSE_TEST(EVT_11, NothingAfterZeroUnderLoad) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  puppet.BeginRepeat(SYS_getppid, 20000);
  std::vector<Span> spans;
  for (int i = 0; i < 200; ++i) {
    const unsigned long events = i % 2 == 0 ? UTRACE_EVENT_SYSCALL : UTRACE_EVENT(SYSCALL_ENTRY);
    ASSERT_EQ(0, engine.SetEvents(events)) << "only adds";
    Yield();
    int result = engine.SetEvents(0);
    while (result == -EINPROGRESS) {
      Yield();
      result = engine.SetEvents(0);
    }
    ASSERT_EQ(0, result);
    Span span;
    span.from = NextSequence();
    Yield();
    span.to = NextSequence();
    spans.push_back(span);
  }
  puppet.Finish();
  ExpectNoneIn(engine.Log(), spans);
}

// The other engine keeps the reports going over the one whose mask comes and goes.
CLAUSE_TEST(EVT_11, NothingAfterZeroBesideAnotherEngine) {
  Puppet& puppet = Spawn();
  TestEngine other("other");
  other.KeepLog(false);
  TestEngine engine("engine");
  ASSERT_EQ(0, other.AttachTid(puppet.tid()));
  ASSERT_EQ(0, other.SetEvents(UTRACE_EVENT_SYSCALL));
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  puppet.BeginRepeat(SYS_getppid, 2000);
  std::vector<Span> spans;
  for (int i = 0; i < 200; ++i) {
    ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT_SYSCALL | kQuiesce));
    Yield();
    int result = engine.SetEvents(0);
    while (result == -EINPROGRESS) {
      Yield();
      result = engine.SetEvents(0);
    }
    ASSERT_EQ(0, result);
    Span span;
    span.from = NextSequence();
    Yield();
    span.to = NextSequence();
    spans.push_back(span);
  }
  puppet.Finish();
  ExpectNoneIn(engine.Log(), spans);
}

CLAUSE_TEST(EVT_12, ZeroNeverComesBeforeTheCallbackEnded) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  engine.KeepLog(false);
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  puppet.BeginRepeat(SYS_getppid, 5000);
  for (int i = 0; i < 200; ++i) {
    ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT_SYSCALL));
    Yield();
    int result = engine.SetEvents(0);
    while (result == -EINPROGRESS) result = engine.SetEvents(0);
    ASSERT_EQ(0, result);
    ASSERT_FALSE(engine.Running()) << "round " << i;
  }
  puppet.Finish();
}

CLAUSE_TEST(EVT_08, NeverInProgressUnderLoad) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  engine.KeepLog(false);
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(SYSCALL_ENTRY)));
  puppet.BeginRepeat(SYS_getppid, 1000);
  for (int i = 0; i < 200; ++i) {
    ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT_SYSCALL));
    ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT_SYSCALL | UTRACE_EVENT(JCTL)));
    // Back to the start; this one may be in progress.
    ExpectOneOf(engine.SetEvents(UTRACE_EVENT(SYSCALL_ENTRY)), {0, -EINPROGRESS});
  }
  puppet.Finish();
}

CLAUSE_TEST(EVT_10, NeverInProgressRightAfterTheStop) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  engine.KeepLog(false);
  engine.On(What::kSyscallEntry,
            [](Report& report) -> uint32_t { return report.syscall_action() | UTRACE_STOP; });
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT_SYSCALL));
  constexpr int kRounds = 200;
  puppet.BeginRepeat(SYS_getppid, kRounds);
  for (int i = 1; i <= kRounds; ++i) {
    engine.AwaitEnded(What::kSyscallEntry, i);
    utrace_examiner examiner = {};
    ASSERT_EQ(0, engine.Barrier());
    ASSERT_EQ(0, engine.Prepare(&examiner));
    ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(SYSCALL_ENTRY)));
    ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT_SYSCALL));
    ASSERT_EQ(0, engine.Control(UTRACE_RESUME));
  }
  // The acknowledgement stops as well.
  engine.On(What::kSyscallEntry, {});
  engine.Control(UTRACE_RESUME);
  engine.SetEvents(0);
  engine.Barrier();
  engine.Control(UTRACE_RESUME);
  puppet.Finish();
}

CLAUSE_TEST(EVT_15, NoEngineIsForgottenUnderLoad) {
  // Where a scheduler decides, many schedules do what many calls do elsewhere.
  const int calls = TheTarget() == nullptr ? 100 : 10;
  Puppet& puppet = Spawn();
  const TaskRef task = Task(puppet);
  TestEngine stays("stays");
  stays.KeepLog(false);
  TestEngine changes("changes");
  changes.KeepLog(false);
  ASSERT_EQ(0, stays.Attach(task));
  ASSERT_EQ(0, stays.SetEvents(UTRACE_EVENT(SYSCALL_ENTRY) | UTRACE_EVENT(EXEC)));
  ASSERT_EQ(0, changes.Attach(task));
  const unsigned long kept = UTRACE_EVENT(SYSCALL_ENTRY) | UTRACE_EVENT(EXEC) | kReap;
  {
    Hammer hammer([&] {
      changes.SetEvents(UTRACE_EVENT_SYSCALL | kQuiesce);
      changes.SetEvents(UTRACE_EVENT(EXEC));
    });
    puppet.BeginRepeat(SYS_getppid, calls);
    for (int i = 0; i < calls; ++i) {
      ASSERT_EQ(kept, api().utrace_task_interest(task) & kept);
      Yield();
    }
    puppet.Finish();
  }
  EXPECT_LE(calls, stays.Count(What::kSyscallEntry));
}

// Newly setting DEATH while the task dies: either it is too late, or report_death comes.
CLAUSE_TEST(EVT_17, SettingDeathRacesWithDying) {
  DyingChildren race(Spawn(), 0, kDeath);
  for (DyingChildren::Child& child : race.children()) {
    AssertOneOf(child.result, {0, -EALREADY, -ESRCH});
    ASSERT_EQ(child.result == 0 ? 1 : 0, child.engine.Count(What::kDeath))
        << "set_events gave " << ErrnoName(child.result) << "\n"
        << Describe(child.engine.Log());
  }
}

CLAUSE_TEST(EVT_17, SettingQuiesceRacesWithDying) {
  DyingChildren race(Spawn(), 0, kQuiesce);
  for (DyingChildren::Child& child : race.children()) {
    AssertOneOf(child.result, {0, -EALREADY, -ESRCH});
    int deaths = 0;
    for (const Report& report : child.engine.Log(What::kQuiesce)) {
      deaths += report.event == kDeath ? 1 : 0;
    }
    ASSERT_EQ(child.result == 0 ? 1 : 0, deaths)
        << "set_events gave " << ErrnoName(child.result) << "\n"
        << Describe(child.engine.Log());
  }
}

// Clearing it: zero means that no report_death comes from then on, -EALREADY that it comes or came.
CLAUSE_TEST(EVT_17, ClearingDeathRacesWithDying) {
  DyingChildren race(Spawn(), kDeath, 0);
  for (DyingChildren::Child& child : race.children()) {
    AssertOneOf(child.result, {0, -EALREADY, -ESRCH});
    const std::vector<Report> log = child.engine.Log(What::kDeath);
    if (child.result == 0) {
      for (const Report& report : log) {
        ASSERT_LT(report.end, child.returned_at) << Describe(report);
        ASSERT_NE(0U, report.end) << Describe(report);
      }
    } else {
      ASSERT_EQ(1U, log.size()) << "set_events gave " << ErrnoName(child.result);
    }
  }
}

CLAUSE_TEST(EVT_05, ClearingReapRacesWithTheReap) {
  const bool declared = Declares("EVT-05");
  DyingChildren race(Spawn(), kReap, 0);
  for (DyingChildren::Child& child : race.children()) {
    AssertOneOf(child.result, {0, -EALREADY, -ESRCH});
    if (child.result == 0) {
      ASSERT_EQ(0, child.engine.Count(What::kReap));
    } else if (child.result == -EALREADY || declared) {
      ASSERT_EQ(1, child.engine.Count(What::kReap));
    }
  }
}

}  // namespace utrace::kit
