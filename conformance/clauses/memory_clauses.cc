// Attaching without memory [ATT-09, REF-07].
#include <new>
#include <string>
#include <vector>

#include "conformance/clauses/lifetime_scenes.h"
#include "conformance/clauses/scarce_memory.h"

namespace utrace::kit {
namespace {

// What an attach met with while allocations failed.
struct Attempt {
  utrace_engine* engine = nullptr;  // with the caller's reference
  int error = 0;
  int refused = 0;
};

Attempt AttachWithout(utrace_task* task, const utrace_engine_ops* ops, void* data, int spared) {
  Attempt attempt;
  bool threw = false;
  {
    const ScarceMemory scarce(spared);
    try {
      utrace_engine* engine = api().utrace_attach_task(task, UTRACE_ATTACH_CREATE, ops, data);
      if (UTRACE_IS_ERR(engine)) {
        attempt.error = UTRACE_PTR_ERR(engine);
      } else {
        attempt.engine = engine;
      }
    } catch (const std::bad_alloc&) {
      threw = true;
    }
    attempt.refused = scarce.refused();
  }
  if (threw) Failed("std::bad_alloc came out of utrace_attach_task; -ENOMEM was expected");
  return attempt;
}

// An attach takes a few allocations; each in turn is the one that fails.
constexpr int kMostAllocations = 100;
// An implementation that keeps room in store runs out of it after that many engines.
constexpr int kMostStored = 20000;

void RequireScarcity() {
  if (!ScarceMemory::Possible()) Unsupported("memory cannot be made scarce under a sanitizer");
}

}  // namespace

class AttachesWithoutMemory : public ClauseTest {
 protected:
  // Attaches to `task` with allocation after allocation failing until one attempt succeeds with
  // none refused. Every attempt is answered by success or -ENOMEM.
  void FailEachAllocation(utrace_task* task, const OpsTable& ops, void* data) {
    RequireScarcity();
    int failures = 0;
    for (int spared = 0; spared < kMostAllocations; ++spared) {
      SetStep("attaching with " + std::to_string(spared) + " allocations left");
      // Those that succeed in spite of a refusal are released, rightly.
      const int released = ReleaseCount(data);
      const Attempt attempt = AttachWithout(task, ops.get(), data, spared);
      if (attempt.engine != nullptr) {
        const EngineRef engine(attempt.engine);
        MarkTraced();
        DetachRaw(task, engine);
        if (attempt.refused == 0) break;
      } else {
        AssertOneOf(attempt.error, {-ENOMEM});
        ++failures;
        EXPECT_EQ(released, ReleaseCount(data)) << "a failed attach called release";
        EXPECT_EQ(-ENOENT, AttachTask(task, UTRACE_ATTACH_MATCH_DATA, nullptr, data).error());
      }
    }
    if (failures == 0) Broken("attaching allocates nothing that the kit could refuse");
  }
};

// Beside others: the task is traced already, and all stays as it is.
CLAUSE_TEST_OF(AttachesWithoutMemory, ATT_09, FurtherEngineIsEnomemAndTheOthersStay) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  TestEngine first("first");
  TestEngine second("second");
  for (TestEngine* engine : {&first, &second}) {
    ASSERT_EQ(0, engine->Attach(task));
    ASSERT_EQ(0, engine->SetEvents(UTRACE_EVENT(SYSCALL_EXIT)));
  }
  OpsTable ops;
  int data = 0;
  FailEachAllocation(task, ops, &data);
  EXPECT_EQ(first.get(), LookUpAny(task).get());
  EXPECT_EQ(UTRACE_EVENT(SYSCALL_EXIT) | UTRACE_EVENT(REAP), api().utrace_task_interest(task));
  puppet.Call(kMarker);
  EXPECT_EQ(1, first.CountSyscall(What::kSyscallExit, kMarker));
  EXPECT_EQ(1, second.CountSyscall(What::kSyscallExit, kMarker));
  EXPECT_EQ(0, first.releases() + second.releases());
}

// Nobody traces the task yet: a failure leaves it untraced, or at least at work.
CLAUSE_TEST_OF(AttachesWithoutMemory, ATT_09, FirstEngineIsEnomemAndTheTaskRunsOn) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  OpsTable ops;
  int data = 0;
  FailEachAllocation(task, ops, &data);
  EXPECT_EQ(0UL, api().utrace_task_interest(task));
  EXPECT_EQ(puppet.pid(), puppet.Call(SYS_getpid));
  // What failed for want of memory works once there is some.
  TestEngine engine;
  ASSERT_EQ(0, engine.Attach(task, UTRACE_ATTACH_EXCLUSIVE));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(SYSCALL_ENTRY)));
  puppet.Call(kMarker);
  EXPECT_EQ(1, engine.CountSyscall(What::kSyscallEntry, kMarker));
}

// No allocation at all, for as many attaches as it takes: room in store comes to an end.
CLAUSE_TEST_OF(AttachesWithoutMemory, ATT_09, WithoutAnyMemoryItIsEnomem) {
  RequireScarcity();
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  TestEngine first("first");
  ASSERT_EQ(0, first.Attach(task));
  ASSERT_EQ(0, first.SetEvents(UTRACE_EVENT(SYSCALL_EXIT)));
  OpsTable ops;
  int data = 0;
  std::vector<EngineRef> stored;
  int error = 0;
  while (error == 0 && stored.size() < kMostStored) {
    const Attempt attempt = AttachWithout(task, ops.get(), &data, 0);
    error = attempt.error;
    if (error == 0) stored.emplace_back(attempt.engine);
  }
  if (error == 0) Broken("attaching allocates nothing that the kit could refuse");
  EXPECT_EQ(-ENOMEM, error);
  puppet.Call(kMarker);
  EXPECT_EQ(1, first.CountSyscall(What::kSyscallExit, kMarker));
}

CLAUSE_TEST_OF(AttachesWithoutMemory, REF_07, AttachWithoutMemoryCallsNoRelease) {
  RequireScarcity();
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  OpsTable ops;
  int data = 0;
  int marker_data = 0;
  FailEachAllocation(task, ops, &data);  // counts releases after each failure
  const Attempt attempt = AttachWithout(task, ops.get(), &marker_data, 0);
  if (attempt.engine != nullptr) Broken("attaching allocates nothing that the kit could refuse");
  EngineRef engine = AttachTask(task, UTRACE_ATTACH_CREATE, ops.get(), &puppet);
  ASSERT_TRUE(engine.ok());
  DetachRaw(task, engine);
  engine.Reset();
  ASSERT_TRUE(PollUntil([&] { return ReleaseCount(&puppet) == 1; }));
  EXPECT_EQ(0, ReleaseCount(&marker_data));
}

}  // namespace utrace::kit
