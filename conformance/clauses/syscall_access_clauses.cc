// SCI-*, CUR-01, STA-01: the system call a task is in, and what a user may see of tracing.
#include <climits>
#include <cstdlib>
#include <cstring>
#include <functional>

#include "conformance/clauses/birth_scenes.h"

namespace utrace::kit {
namespace {

// Attaches to `puppet`, does `deed` in the marker's callback of `what`, and gives what the puppet
// sees of the call.
long AtMarkerCall(Puppet& puppet, What what, const std::function<void(utrace_task*)>& deed,
                  uint32_t answer = UTRACE_RESUME) {
  TestEngine engine("A");
  bool done = false;
  engine.On(what, [&](Report& report) -> uint32_t {
    if (!IsMarker(report) || done) return PassThrough(report);
    done = true;
    deed(report.task);
    return answer;
  });
  AssertOneOf(engine.AttachTid(puppet.tid()), {0});
  AssertOneOf(engine.SetEvents(UTRACE_EVENT_SYSCALL), {0});
  const long result = puppet.Call(kMarker, 11, 12, 13, 14, 15, 16);
  EXPECT_TRUE(done);
  engine.DetachAndWait();
  return result;
}

}  // namespace

// ---- SCI-01 ------------------------------------------------------------------------------------

CLAUSE_TEST(SCI_01, NumberAndArgumentsAtEntry) {
  Puppet& puppet = Spawn();
  AtMarkerCall(puppet, What::kSyscallEntry, [&](utrace_task* task) {
    long number = -2;
    EXPECT_EQ(0, api().utrace_syscall_number(task, &number));
    EXPECT_EQ(kMarker, number);
    for (unsigned first = 0; first < 6; ++first) {
      for (unsigned count = 0; first + count <= 6; ++count) {
        uint64_t arguments[7] = {};
        EXPECT_EQ(0, api().utrace_syscall_arguments(task, first, count, arguments));
        for (unsigned i = 0; i < 7; ++i) {
          EXPECT_EQ(i < count ? 11 + first + i : 0, arguments[i]);
        }
      }
    }
  });
}

CLAUSE_TEST(SCI_01, ArgumentsSetAtEntryAreThoseOfTheCall) {
  Needs("live");
  Puppet& puppet = Spawn();
  const long result = AtMarkerCall(puppet, What::kSyscallEntry, [&](utrace_task* task) {
    // mmap(0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), set in two pieces.
    const uint64_t low[2] = {0, 4096};
    const uint64_t high[4] = {1, 0x22, ~0ULL, 0};
    EXPECT_EQ(0, api().utrace_syscall_set_number(task, SYS_mmap));
    EXPECT_EQ(0, api().utrace_syscall_set_arguments(task, 2, 4, high));
    EXPECT_EQ(0, api().utrace_syscall_set_arguments(task, 0, 2, low));
    uint64_t all[6] = {};
    EXPECT_EQ(0, api().utrace_syscall_arguments(task, 0, 6, all));
    EXPECT_EQ(4096U, all[1]);
    EXPECT_EQ(0x22U, all[3]);
    long number = 0;
    EXPECT_EQ(0, api().utrace_syscall_number(task, &number));
    EXPECT_EQ(SYS_mmap, number);
  });
  ASSERT_LT(4095, result);
  EXPECT_EQ(std::string(8, '\0'), puppet.PeekMemory(static_cast<uint64_t>(result), 8));
}

CLAUSE_TEST(SCI_01, OneArgumentSetLeavesTheOthers) {
  Puppet& puppet = Spawn();
  for (unsigned position = 0; position < 6; ++position) {
    AtMarkerCall(puppet, What::kSyscallEntry, [&](utrace_task* task) {
      const uint64_t value = 99;
      EXPECT_EQ(0, api().utrace_syscall_set_arguments(task, position, 1, &value));
      uint64_t all[6] = {};
      EXPECT_EQ(0, api().utrace_syscall_arguments(task, 0, 6, all));
      for (unsigned i = 0; i < 6; ++i) EXPECT_EQ(i == position ? 99U : 11 + i, all[i]);
    });
  }
}

CLAUSE_TEST(SCI_01, NumberMinusOneMakesItNone) {
  Puppet& puppet = Spawn();
  const long result = AtMarkerCall(puppet, What::kSyscallEntry, [&](utrace_task* task) {
    EXPECT_EQ(0, api().utrace_syscall_set_number(task, -1));
  });
  EXPECT_EQ(-ENOSYS, result);
}

CLAUSE_TEST(SCI_01, AResultSetAtEntryCountsIfAborted) {
  Puppet& puppet = Spawn();
  const long result = AtMarkerCall(
      puppet, What::kSyscallEntry,
      [&](utrace_task* task) { EXPECT_EQ(0, api().utrace_syscall_set_result(task, 0, 4711)); },
      Answer(UTRACE_SYSCALL_ABORT, UTRACE_RESUME));
  EXPECT_EQ(4711, result);
}

CLAUSE_TEST(SCI_01, TheResultAtExit) {
  Puppet& puppet = Spawn();
  AtMarkerCall(puppet, What::kSyscallExit, [&](utrace_task* task) {
    long error = 1;
    long value = 1;
    EXPECT_EQ(0, api().utrace_syscall_result(task, &error, &value));
    EXPECT_EQ(0, error);
    EXPECT_EQ(nanny().pid(), value);
    EXPECT_EQ(0, api().utrace_syscall_result(task, nullptr, &value));
    EXPECT_EQ(0, api().utrace_syscall_result(task, &error, nullptr));
  });
}

CLAUSE_TEST(SCI_01, TheErrorAtExit) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  engine.On(What::kSyscallExit, [](Report& report) -> uint32_t {
    if (report.syscall == SYS_close) {
      long error = 1;
      long value = 1;
      EXPECT_EQ(0, api().utrace_syscall_result(report.task, &error, &value));
      EXPECT_EQ(-EBADF, error);
      EXPECT_EQ(0, value);
    }
    return UTRACE_RESUME;
  });
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(SYSCALL_EXIT)));
  EXPECT_EQ(-EBADF, puppet.Call(SYS_close, -1));
  EXPECT_EQ(1, engine.CountSyscall(What::kSyscallExit, SYS_close));
}

CLAUSE_TEST(SCI_01, AResultSetAtExitIsWhatTheProgramSees) {
  Puppet& puppet = Spawn();
  const long error = AtMarkerCall(puppet, What::kSyscallExit, [&](utrace_task* task) {
    EXPECT_EQ(0, api().utrace_syscall_set_result(task, -EPERM, 7));
    long now = 0;
    EXPECT_EQ(0, api().utrace_syscall_result(task, &now, nullptr));
    EXPECT_EQ(-EPERM, now);
  });
  EXPECT_EQ(-EPERM, error);
  const long value = AtMarkerCall(puppet, What::kSyscallExit, [&](utrace_task* task) {
    EXPECT_EQ(0, api().utrace_syscall_set_result(task, 0, 123456789012));
  });
  EXPECT_EQ(123456789012, value);
}

CLAUSE_TEST(SCI_01, RolledBackItIsMadeAgain) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  bool done = false;
  engine.On(What::kSyscallExit, [&](Report& report) -> uint32_t {
    if (IsMarker(report) && !done) {
      done = true;
      EXPECT_EQ(0, api().utrace_syscall_rollback(report.task));
    }
    return UTRACE_RESUME;
  });
  std::vector<std::vector<uint64_t>> seen;
  engine.On(What::kSyscallEntry, [&](Report& report) -> uint32_t {
    if (IsMarker(report)) {
      std::vector<uint64_t> arguments(6);
      EXPECT_EQ(0, api().utrace_syscall_arguments(report.task, 0, 6, arguments.data()));
      seen.push_back(arguments);
    }
    return PassThrough(report);
  });
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT_SYSCALL));
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker, 1, 2, 3, 4, 5, 6));
  const std::vector<uint64_t> expected = {1, 2, 3, 4, 5, 6};
  ASSERT_EQ(2U, seen.size());
  EXPECT_EQ(expected, seen[0]);
  EXPECT_EQ(expected, seen[1]);
  EXPECT_EQ(2, engine.CountSyscall(What::kSyscallExit, kMarker));
}

// ---- SCI-02 ------------------------------------------------------------------------------------

CLAUSE_TEST(SCI_02, PositionsOutOfRange) {
  Puppet& puppet = Spawn();
  AtMarkerCall(puppet, What::kSyscallEntry, [&](utrace_task* task) {
    const struct {
      unsigned first;
      unsigned count;
    } kBad[] = {{0, 7}, {6, 1}, {5, 2}, {7, 0}, {UINT_MAX, 1}, {1, UINT_MAX}, {UINT_MAX, 2}};
    for (const auto& bad : kBad) {
      SCOPED_TRACE(std::to_string(bad.first) + " " + std::to_string(bad.count));
      uint64_t arguments[8] = {77, 77, 77, 77, 77, 77, 77, 77};
      EXPECT_EQ(-EINVAL, api().utrace_syscall_arguments(task, bad.first, bad.count, arguments));
      for (const uint64_t value : arguments) EXPECT_EQ(77U, value);
      EXPECT_EQ(-EINVAL, api().utrace_syscall_set_arguments(task, bad.first, bad.count, arguments));
    }
    uint64_t all[6] = {};
    EXPECT_EQ(0, api().utrace_syscall_arguments(task, 0, 6, all));
    for (unsigned i = 0; i < 6; ++i) EXPECT_EQ(11 + i, all[i]);
  });
}

// ---- CUR-01 ------------------------------------------------------------------------------------

CLAUSE_TEST(CUR_01, BlockedInACallAttachedOrNot) {
  for (const bool attached : {false, true}) {
    Puppet& puppet = Spawn();
    TaskRef task = Task(puppet);
    TestEngine engine("A");
    if (attached) {
      ASSERT_EQ(0, engine.Attach(task));
    }
    // A sleep with arguments that can be told.
    timespec* duration = static_cast<timespec*>(puppet.Scratch());
    *duration = {1000, 0};
    const long address = static_cast<long>(puppet.ScratchAddress());
    puppet.Begin(SYS_nanosleep, address, 0, 3, 4, 5, 6);
    puppet.AwaitBlocked();
    utrace_current_syscall call = {};
    ASSERT_EQ(0, api().utrace_task_current_syscall(task, &call));
    EXPECT_EQ(SYS_nanosleep, call.number);
    EXPECT_EQ(static_cast<uint64_t>(address), call.arguments[0]);
    EXPECT_EQ(0U, call.arguments[1]);
    for (unsigned i = 2; i < 6; ++i) EXPECT_EQ(i + 1, call.arguments[i]);
    EXPECT_NE(0U, call.sp);
    EXPECT_NE(0U, call.pc);
    puppet.AwaitBlocked();  // it was not disturbed
  }
}

CLAUSE_TEST(CUR_01, StackPointerAndProgramCounterAreTheTasks) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  puppet.BeginRead();
  puppet.AwaitBlocked();
  utrace_current_syscall call = {};
  ASSERT_EQ(0, api().utrace_task_current_syscall(engine.task(), &call));
  EXPECT_EQ(SYS_read, call.number);
  uint64_t pc = 0;
  uint64_t sp = 0;
  engine.On(What::kSyscallExit, [&](Report& report) -> uint32_t {
    if (report.syscall == SYS_read) {
      EXPECT_EQ(0, api().utrace_get_pc(report.task, &pc));
      EXPECT_EQ(0, api().utrace_get_sp(report.task, &sp));
    }
    return UTRACE_RESUME;
  });
  // The second read, so that its entry was traced too.
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT_SYSCALL));
  puppet.Feed();
  EXPECT_EQ(1, puppet.Finish());
  puppet.BeginRead();
  puppet.Feed();
  EXPECT_EQ(1, puppet.Finish());
  EXPECT_EQ(pc, call.pc);
  EXPECT_EQ(sp, call.sp);
}

CLAUSE_TEST(CUR_01, RunningIsEagain) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  StartSpinning(puppet);
  utrace_current_syscall call = {};
  call.number = 4711;
  EXPECT_EQ(-EAGAIN, api().utrace_task_current_syscall(task, &call));
  puppet.StopSpin();
  puppet.Finish();
}

CLAUSE_TEST(CUR_01, BlockedOutsideACall) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  StartSpinning(puppet);
  puppet.Kill(SIGSTOP);
  ASSERT_EQ(0, nanny().WaitId(puppet.pid(), WSTOPPED).result);
  utrace_current_syscall call = {};
  ASSERT_EQ(0, api().utrace_task_current_syscall(task, &call));
  EXPECT_EQ(-1, call.number);
  EXPECT_NE(0U, call.pc);
  EXPECT_NE(0U, call.sp);
  puppet.Kill(SIGCONT);
  ExpectRuns(puppet);
}

CLAUSE_TEST(CUR_01, HeldByAnEngineOutsideACall) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  StartSpinning(puppet);
  engine.StopAndWait();
  utrace_current_syscall call = {};
  ASSERT_EQ(0, api().utrace_task_current_syscall(engine.task(), &call));
  EXPECT_EQ(-1, call.number);
  EXPECT_EQ(ProgramCounter(engine.task()), call.pc);
}

CLAUSE_TEST(CUR_01, ReapedIsEsrch) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  puppet.BeginExitGroup(0);
  nanny().Wait(puppet.pid());
  utrace_current_syscall call = {};
  EXPECT_EQ(-ESRCH, api().utrace_task_current_syscall(task, &call));
}

// ---- STA-01 ------------------------------------------------------------------------------------

CLAUSE_TEST(STA_01, TheLineShowsTheMaskOfInterest) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  const auto shown = [&](unsigned long* mask) {
    char line[64] = {};
    const int length = api().utrace_task_status(task, line, sizeof(line));
    EXPECT_EQ(static_cast<int>(strlen(line)), length);
    const std::string text = line;
    ASSERT_EQ("Utrace:\t", text.substr(0, 8));
    ASSERT_EQ('\n', text.back());
    char* end = nullptr;
    *mask = strtoul(line + 8, &end, 16);
    EXPECT_EQ(std::string("\n"), end);
  };
  unsigned long mask = 1;
  shown(&mask);
  EXPECT_EQ(0U, mask);
  TestEngine a("A");
  TestEngine b("B");
  ASSERT_EQ(0, a.Attach(task));
  ASSERT_EQ(0, b.Attach(task));
  shown(&mask);
  EXPECT_EQ(UTRACE_EVENT(REAP), mask);
  ASSERT_EQ(0, a.SetEvents(UTRACE_EVENT(JCTL)));
  ASSERT_EQ(0, b.SetEvents(UTRACE_EVENT(CLONE) | UTRACE_EVENT(EXEC)));
  shown(&mask);
  EXPECT_EQ(UTRACE_EVENT(REAP) | UTRACE_EVENT(JCTL) | UTRACE_EVENT(CLONE) | UTRACE_EVENT(EXEC),
            mask);
  a.DetachAndWait();
  b.DetachAndWait();
  ASSERT_TRUE(PollUntil([&] {
    shown(&mask);
    return mask == 0;
  })) << mask;
}

CLAUSE_TEST(STA_01, AShortBufferIsTerminated) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  char whole[64] = {};
  const int length = api().utrace_task_status(task, whole, sizeof(whole));
  ASSERT_LT(8, length);
  for (int size = 1; size <= length; ++size) {
    char line[64];
    memset(line, 'x', sizeof(line));
    EXPECT_EQ(length, api().utrace_task_status(task, line, static_cast<size_t>(size)));
    EXPECT_EQ(std::string(whole).substr(0, static_cast<size_t>(size) - 1), line);
    EXPECT_EQ('x', line[size]);
  }
}

}  // namespace utrace::kit
