// Attaching when memory runs out: every allocation that the call makes fails once [ATT-09].
#include <gtest/gtest.h>

#include <cerrno>
#include <cstdlib>
#include <new>
#include <string>
#include <vector>

#include "core/model/kernel/world_testing.h"
#include "core/utrace.h"

namespace {

// Counts down to the allocation that fails; the program has one thread.
int allocations_left = 0;
bool failed = false;

void* Allocate(size_t size) {
  if (allocations_left > 0 && --allocations_left == 0) {
    failed = true;
    return nullptr;
  }
  return std::malloc(size == 0 ? 1 : size);
}

}  // namespace

void* operator new(size_t size) {
  void* const memory = Allocate(size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void* operator new(size_t size, const std::nothrow_t&) noexcept { return Allocate(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }

namespace utrace::model {
namespace {

struct Counts {
  int exits = 0;
  int released = 0;
};

const utrace_engine_ops kOps = {
    .report_quiesce = nullptr,
    .report_signal = nullptr,
    .report_clone = nullptr,
    .report_jctl = nullptr,
    .report_exec = nullptr,
    .report_syscall_entry = nullptr,
    .report_syscall_exit = [](uint32_t, utrace_engine* engine, utrace_task*,
                              utrace_regs*) -> uint32_t {
      ++static_cast<Counts*>(engine->data)->exits;
      return UTRACE_RESUME;
    },
    .report_exit = nullptr,
    .report_death = nullptr,
    .report_reap = nullptr,
    .release = [](void* data) { ++static_cast<Counts*>(data)->released; },
};

utrace_task* TaskOf(pid_t tid) {
  utrace_pid* const pid = utrace_pid_find(tid);
  utrace_task* const task = utrace_pid_task(pid);
  utrace_pid_put(pid);
  return task;
}

// Attaches with the allocation number `failing` failing, beside `others` engines. Whether one failed.
bool AttachWithout(int failing, int others) {
  bool was_reached = false;
  Counts other;  // until the world has ended, and with it the engines
  Counts counts;
  const int run = InWorld("replay:", [&] {
    Hand hand(5);
    hand.Spawn();
    utrace_task* const task = TaskOf(hand.tid());
    ASSERT_FALSE(UTRACE_IS_ERR(task));
    std::vector<utrace_engine*> engines;
    for (int i = 0; i < others; ++i) {
      engines.push_back(utrace_attach_task(task, UTRACE_ATTACH_CREATE, &kOps, &other));
      ASSERT_FALSE(UTRACE_IS_ERR(engines.back()));
      ASSERT_EQ(0, utrace_set_events(task, engines.back(), UTRACE_EVENT(SYSCALL_EXIT)));
    }
    const unsigned long interest = utrace_task_interest(task);

    failed = false;
    allocations_left = failing;
    utrace_engine* engine = utrace_attach_task(task, UTRACE_ATTACH_CREATE, &kOps, &counts);
    allocations_left = 0;
    was_reached = failed;
    if (failed) {
      ASSERT_TRUE(UTRACE_IS_ERR(engine)) << "allocation " << failing;
      EXPECT_EQ(-ENOMEM, UTRACE_PTR_ERR(engine)) << "allocation " << failing;
      EXPECT_EQ(0, counts.released) << "REF-07";
      utrace_engine* const found =
          utrace_attach_task(task, UTRACE_ATTACH_MATCH_DATA, nullptr, &counts);
      EXPECT_EQ(-ENOENT, UTRACE_PTR_ERR(found));
      EXPECT_EQ(interest, utrace_task_interest(task));
      engine = utrace_attach_task(task, UTRACE_ATTACH_CREATE, &kOps, &counts);
    }
    ASSERT_FALSE(UTRACE_IS_ERR(engine));
    ASSERT_EQ(0, utrace_set_events(task, engine, UTRACE_EVENT(SYSCALL_EXIT)));
    EXPECT_EQ(hand.tid(), hand.Call(SYS_getpid));
    EXPECT_GT(counts.exits, 0);
    EXPECT_EQ(counts.exits * others, other.exits);
    utrace_engine_put(engine);
    for (utrace_engine* one : engines) utrace_engine_put(one);
    utrace_task_put(task);
  });
  EXPECT_EQ(0, run);
  return was_reached;
}

TEST(ATT_09, EveryAllocationOfTheFirstAttach) {
  int failing = 1;
  while (AttachWithout(failing, 0)) ++failing;
  EXPECT_GT(failing, 1) << "no allocation was made to fail";
}

TEST(ATT_09, EveryAllocationOfALaterAttach) {
  for (const int others : {1, 2, 3, 4}) {
    int failing = 1;
    while (AttachWithout(failing, others)) ++failing;
    EXPECT_GT(failing, 1) << "no allocation was made to fail";
  }
}

}  // namespace
}  // namespace utrace::model
