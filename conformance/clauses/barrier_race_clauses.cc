// utrace_barrier and prepare_examine under load: what was an unlucky moment in directed tests comes
// by itself here.
#include <atomic>

#include "conformance/clauses/callback_scenes.h"

namespace utrace::kit {
namespace {

constexpr unsigned long kEntry = UTRACE_EVENT(SYSCALL_ENTRY);

// A puppet that makes system calls until the object goes away, whatever becomes of its engines.
class BusyPuppet {
 public:
  explicit BusyPuppet(Puppet& puppet)
      : puppet_(puppet), thread_([this] {
          long result = 0;
          do {
            puppet_.BeginRepeat(SYS_getppid, 50);
          } while (puppet_.TryFinish(&result) && !stop_.load());
        }) {}
  ~BusyPuppet() {
    stop_.store(true);
    thread_.Join();
  }

 private:
  Puppet& puppet_;
  std::atomic<bool> stop_ = false;
  Thread thread_;
};

}  // namespace

// A barrier returned success before the callback's DETACH had been applied: a fault of an earlier
// implementation.
CLAUSE_TEST(BAR_03, ADetachByResultIsAppliedUnderLoad) {
  Puppet& puppet = Spawn();
  const TaskRef task = Task(puppet);
  BusyPuppet busy(puppet);
  for (int round = 0; round < 200; ++round) {
    TestEngine engine;
    engine.On(What::kSyscallEntry, [](Report&) -> uint32_t { return UTRACE_DETACH; });
    ASSERT_EQ(0, engine.Attach(task));
    ASSERT_EQ(0, engine.SetEvents(kEntry));
    engine.Await(What::kSyscallEntry);
    ExpectOneOf(engine.Barrier(), {0, -ESRCH});
    ASSERT_FALSE(engine.Running()) << "round " << round;
    const EngineRef found = AttachTask(task, UTRACE_ATTACH_MATCH_DATA, nullptr, engine.data());
    ASSERT_EQ(-ENOENT, found.error()) << "round " << round;
    ASSERT_EQ(-ESRCH, engine.SetEvents(kEntry)) << "round " << round;
    ASSERT_EQ(1, engine.Count(What::kSyscallEntry)) << "round " << round;
  }
}

CLAUSE_TEST(BAR_03, NoCallbackIsMissedUnderLoad) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  BusyPuppet busy(puppet);
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT_SYSCALL));
  for (int round = 0; round < 300; ++round) {
    const std::vector<Report> log = engine.Log();
    // If it runs now, it has to be over when the barrier returns.
    const size_t last = log.size();
    const bool runs = last > 0 && log[last - 1].end == 0;
    ASSERT_EQ(0, engine.Barrier());
    if (runs) {
      ASSERT_NE(0U, engine.Log()[last - 1].end) << "round " << round;
    }
    if (round == 150) engine.SetEvents(kEntry);
  }
  engine.SetEvents(0);
}

CLAUSE_TEST(BAR_08, NothingAfterSetEventsAndBarrierUnderLoad) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  engine.KeepLog(false);
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  BusyPuppet busy(puppet);
  for (int round = 0; round < 300; ++round) {
    ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT_SYSCALL));
    Yield();
    ExpectOneOf(engine.SetEvents(0), {0, -EINPROGRESS});
    ASSERT_EQ(0, engine.Barrier());
    const int entries = engine.Count(What::kSyscallEntry);
    const int exits = engine.Count(What::kSyscallExit);
    ASSERT_FALSE(engine.Running()) << "round " << round;
    Yield();
    ASSERT_EQ(entries, engine.Count(What::kSyscallEntry)) << "round " << round;
    ASSERT_EQ(exits, engine.Count(What::kSyscallExit)) << "round " << round;
  }
}

CLAUSE_TEST(BAR_08, NothingAfterDetachAndBarrierUnderLoad) {
  Puppet& puppet = Spawn();
  const TaskRef task = Task(puppet);
  TestEngine stays("stays");
  stays.KeepLog(false);
  ASSERT_EQ(0, stays.Attach(task));
  ASSERT_EQ(0, stays.SetEvents(kEntry));
  BusyPuppet busy(puppet);
  std::vector<std::unique_ptr<TestEngine>> gone;
  std::vector<int> counts;
  for (int round = 0; round < 200; ++round) {
    auto engine = std::make_unique<TestEngine>();
    engine->KeepLog(false);
    ASSERT_EQ(0, engine->Attach(task));
    ASSERT_EQ(0, engine->SetEvents(UTRACE_EVENT_SYSCALL | UTRACE_EVENT(QUIESCE)));
    Yield();
    ExpectOneOf(engine->Control(UTRACE_DETACH), {0, -EINPROGRESS});
    ExpectOneOf(engine->Barrier(), {0, -ESRCH});
    ASSERT_FALSE(engine->Running()) << "round " << round;
    counts.push_back(engine->Count(What::kSyscallEntry) + engine->Count(What::kSyscallExit) +
                     engine->Count(What::kQuiesce));
    gone.push_back(std::move(engine));
  }
  const int seen = stays.Count(What::kSyscallEntry);
  stays.Await(What::kSyscallEntry, seen + 20);
  for (size_t i = 0; i < gone.size(); ++i) {
    ASSERT_EQ(counts[i], gone[i]->Count(What::kSyscallEntry) + gone[i]->Count(What::kSyscallExit) +
                             gone[i]->Count(What::kQuiesce));
  }
}

CLAUSE_TEST(EXM_08, AfterEveryStopUnderLoad) {
  Puppet& puppet = Spawn();
  TestEngine engine;
  engine.KeepLog(false);
  std::atomic<bool> stopping = true;
  const auto stop = [&](Report& report) -> uint32_t {
    return (PassThrough(report) & ~UTRACE_RESUME_MASK) |
           static_cast<uint32_t>(stopping.load() ? UTRACE_STOP : UTRACE_RESUME);
  };
  engine.On(What::kSyscallEntry, stop);
  engine.On(What::kSyscallExit, stop);
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT_SYSCALL));
  puppet.BeginRepeat(SYS_getppid, 1000);
  for (int round = 1; round <= 300; ++round) {
    ASSERT_TRUE(PollUntil([&] {
      return engine.Count(What::kSyscallEntry) + engine.Count(What::kSyscallExit) >= round;
    }));
    ASSERT_EQ(0, engine.Barrier());
    utrace_examiner examiner = {};
    ASSERT_EQ(0, engine.Prepare(&examiner)) << "round " << round;
    uint64_t pc = 0;
    ASSERT_EQ(0, api().utrace_get_pc(engine.task(), &pc)) << "round " << round;
    ASSERT_NE(0U, pc);
    ASSERT_EQ(0, engine.Finish(&examiner)) << "round " << round;
    ASSERT_EQ(0, engine.Control(UTRACE_RESUME));
  }
  // Let go of whatever stop comes or came last.
  stopping.store(false);
  ASSERT_TRUE(PollUntil([&] {
    engine.Control(UTRACE_RESUME);
    return puppet.Finished();
  }));
  puppet.Finish();
}

// The kill comes at any moment of the two calls: success means that it was stopped, garbage is not
// an answer.
CLAUSE_TEST(EXM_07, AKillRacesWithTheExamination) {
  for (int round = 0; round < 20; ++round) {
    Puppet& puppet = Spawn();
    const uint64_t address = puppet.addresses().read_only;
    TestEngine engine;
    ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
    puppet.BeginSpin();
    puppet.AwaitSpinning();
    engine.StopAndWait();
    std::atomic<bool> killed = false;
    std::atomic<int> looks = 0;
    Controller killer("kill", [&]() -> long {
      PollUntil([&] { return looks.load() >= round % 5; });
      puppet.Kill(SIGKILL);
      killed.store(true);
      return 0;
    });
    for (bool last = false; !last;) {
      last = killed.load();
      utrace_examiner examiner = {};
      const int prepared = engine.Prepare(&examiner);
      AssertOneOf(prepared, {0, -EAGAIN, -ESRCH});
      ASSERT_FALSE(last && prepared == 0) << "it is examined after the kill";
      if (prepared != 0) break;
      char text[5] = {};
      const ssize_t read = api().utrace_read_memory(engine.task(), address, text, 4);
      const bool killed_before = killed.load();
      const int finished = engine.Finish(&examiner);
      AssertOneOf(finished, {0, -EAGAIN});
      ASSERT_FALSE(killed_before && finished == 0) << "the kill has not been noticed";
      if (finished == 0) {
        ASSERT_EQ(4, read);
        ASSERT_STREQ("this", text);
      }
      ++looks;
    }
    looks.store(1000);
    EXPECT_EQ(0, killer.Result());
  }
}

}  // namespace utrace::kit
