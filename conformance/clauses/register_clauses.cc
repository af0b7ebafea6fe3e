// REG-*: the machine state of a task as register sets.
#include <elf.h>

#include <algorithm>
#include <climits>
#include <cstring>
#include <vector>

#include "conformance/clauses/birth_scenes.h"
#include "conformance/kit/machine.h"

namespace utrace::kit {
namespace {

// A puppet that spins in user mode and is held there.
struct HeldSpinner {
  explicit HeldSpinner(Puppet& target) : puppet(target) {
    AssertOneOf(engine.AttachTid(puppet.tid()), {0});
    StartSpinning(puppet);
    Hold();
  }
  void Hold() {
    engine.StopAndWait();
    AssertOneOf(engine.Prepare(&examiner), {0});
  }
  void LetGo() {
    EXPECT_EQ(0, engine.Finish(&examiner));
    EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  }

  Puppet& puppet;
  TestEngine engine{"A"};
  utrace_examiner examiner = {};
};

const utrace_regset_view& View(utrace_task* task) {
  const utrace_regset_view* view = api().utrace_task_regset_view(task);
  if (view == nullptr) Failed("the task has no view");
  return *view;
}

// The index of the set with that note type, or -1.
int FindSet(utrace_task* task, uint32_t note_type) {
  const utrace_regset_view& view = View(task);
  for (uint32_t i = 0; i < view.count; ++i) {
    if (view.sets[i].note_type == note_type) return static_cast<int>(i);
  }
  return -1;
}

// The eight bytes at a position of the general registers.
uint64_t ReadGeneral(utrace_task* task, size_t position) {
  uint64_t value = 0;
  EXPECT_EQ(0, api().utrace_regset_get(task, 0, position, sizeof(value), &value));
  return value;
}

size_t SetSize(const utrace_regset& set) { return size_t{set.slots} * set.slot_size; }

}  // namespace

// ---- REG-01 ------------------------------------------------------------------------------------

CLAUSE_TEST(REG_01, TheViewDescribesItsSets) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  const utrace_regset_view& view = View(task);
  EXPECT_NE(nullptr, view.name);
  EXPECT_EQ(ThisMachine().elf_machine, view.elf_machine);
  ASSERT_LE(2U, view.count);
  EXPECT_EQ(static_cast<uint32_t>(NT_PRSTATUS), view.sets[0].note_type);
  for (uint32_t i = 0; i < view.count; ++i) {
    SCOPED_TRACE(i);
    const utrace_regset& set = view.sets[i];
    ASSERT_NE(nullptr, set.name);
    EXPECT_NE(0U, set.note_type);
    EXPECT_NE(0U, set.slots);
    ASSERT_NE(0U, set.slot_size);
    EXPECT_NE(0U, set.align);
    EXPECT_EQ(0U, set.align & (set.align - 1));
    for (uint32_t j = 0; j < i; ++j) EXPECT_NE(set.note_type, view.sets[j].note_type);
  }
}

CLAUSE_TEST(REG_01, TheWholeIsTheSumOfItsParts) {
  HeldSpinner held(Spawn());
  utrace_task* task = held.engine.task();
  for (uint32_t index : {0U, static_cast<uint32_t>(FindSet(task, NT_PRFPREG))}) {
    const utrace_regset& set = View(task).sets[index];
    std::vector<unsigned char> whole(SetSize(set));
    ASSERT_EQ(0, api().utrace_regset_get(task, index, 0, whole.size(), whole.data()));
    for (size_t slot = 0; slot < set.slots; ++slot) {
      std::vector<unsigned char> part(set.slot_size, 0xee);
      const size_t position = slot * set.slot_size;
      ASSERT_EQ(0, api().utrace_regset_get(task, index, position, part.size(), part.data()));
      EXPECT_EQ(0, memcmp(part.data(), &whole[position], part.size())) << slot;
    }
    // Written back as it was, nothing changes.
    ASSERT_EQ(0, api().utrace_regset_set(task, index, 0, whole.size(), whole.data()));
    std::vector<unsigned char> again(whole.size());
    ASSERT_EQ(0, api().utrace_regset_get(task, index, 0, again.size(), again.data()));
    EXPECT_EQ(whole, again);
  }
  held.LetGo();
  ExpectRuns(held.puppet);
}

CLAUSE_TEST(REG_01, PositionsThatAreNone) {
  HeldSpinner held(Spawn());
  utrace_task* task = held.engine.task();
  const utrace_regset& set = View(task).sets[0];
  const size_t size = SetSize(set);
  const size_t slot = set.slot_size;
  ASSERT_LT(1U, slot);
  const struct {
    size_t position;
    size_t count;
  } kBad[] = {
      {0, size + slot}, {size, slot},     {size - slot, 2 * slot},     {1, slot},
      {0, slot - 1},    {slot, slot + 1}, {SIZE_MAX - slot + 1, slot}, {slot, SIZE_MAX - slot + 1}};
  std::vector<unsigned char> before(size);
  ASSERT_EQ(0, api().utrace_regset_get(task, 0, 0, size, before.data()));
  for (const auto& bad : kBad) {
    SCOPED_TRACE(std::to_string(bad.position) + " " + std::to_string(bad.count));
    std::vector<unsigned char> buffer(size + 2 * slot, 0xee);
    EXPECT_EQ(-EINVAL, api().utrace_regset_get(task, 0, bad.position, bad.count, buffer.data()));
    for (const unsigned char byte : buffer) ASSERT_EQ(0xee, byte);
    EXPECT_EQ(-EINVAL, api().utrace_regset_set(task, 0, bad.position, bad.count, buffer.data()));
  }
  uint64_t word = 0;
  ExpectOneOf(api().utrace_regset_get(task, View(task).count, 0, 8, &word), {-EINVAL});
  ExpectOneOf(api().utrace_regset_get(task, UINT_MAX, 0, 8, &word), {-EINVAL});
  ExpectOneOf(api().utrace_regset_set(task, View(task).count, 0, 8, &word), {-EINVAL});
  std::vector<unsigned char> after(size);
  ASSERT_EQ(0, api().utrace_regset_get(task, 0, 0, size, after.data()));
  EXPECT_EQ(before, after);
}

// ---- REG-02 ------------------------------------------------------------------------------------

CLAUSE_TEST(REG_02, TheSetsThatThereMustBe) {
  HeldSpinner held(Spawn());
  utrace_task* task = held.engine.task();
  std::vector<uint32_t> wanted = ThisMachine().further_sets;
  wanted.insert(wanted.begin(), {NT_PRSTATUS, NT_PRFPREG});
  for (const uint32_t note_type : wanted) {
    SCOPED_TRACE(note_type);
    const int index = FindSet(task, note_type);
    ASSERT_LE(0, index);
    const utrace_regset& set = View(task).sets[index];
    // The size of some varies with the machine; what every machine has is its beginning.
    std::vector<unsigned char> buffer(set.slot_size);
    ExpectOneOf(api().utrace_regset_get(task, static_cast<uint32_t>(index), 0, buffer.size(),
                                        buffer.data()),
                note_type == NT_PRSTATUS || note_type == NT_PRFPREG
                    ? std::initializer_list<long>{0}
                    : std::initializer_list<long>{0, -ENODEV});
  }
}

CLAUSE_TEST(REG_02, ProgramCounterAndStackPointer) {
  HeldSpinner held(Spawn());
  utrace_task* task = held.engine.task();
  uint64_t pc = 0;
  uint64_t sp = 0;
  EXPECT_EQ(0, api().utrace_get_pc(task, &pc));
  EXPECT_EQ(0, api().utrace_get_sp(task, &sp));
  EXPECT_EQ(ReadGeneral(task, ThisMachine().pc), pc);
  EXPECT_EQ(ReadGeneral(task, ThisMachine().sp), sp);
  utrace_current_syscall call = {};
  ASSERT_EQ(0, api().utrace_task_current_syscall(task, &call));
  EXPECT_EQ(pc, call.pc);
  EXPECT_EQ(sp, call.sp);
}

// ---- REG-03 ------------------------------------------------------------------------------------

namespace {

RegisterImage Distinct() {
  RegisterImage image = {};
  for (uint64_t i = 0; i < 15; ++i) image.general[i] = 0x1111111111111111ULL * (i + 1);
  for (int i = 0; i < 16; ++i) memset(image.vector[i], 0x40 + i, 16);
  return image;
}

void ExpectImage(const RegisterImage& expected, const RegisterImage& seen, bool call) {
  for (int i = 0; i < 15; ++i) {
    const std::vector<int>& lost = ThisMachine().lost_in_calls;
    if (call && std::find(lost.begin(), lost.end(), i) != lost.end()) continue;
    EXPECT_EQ(expected.general[i], seen.general[i]) << "general register " << i;
  }
  for (int i = 0; i < 16; ++i) {
    EXPECT_EQ(0, memcmp(expected.vector[i], seen.vector[i], 16)) << "vector register " << i;
  }
}

}  // namespace

CLAUSE_TEST(REG_03, WhatIsReadIsWhatTheTaskHas) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  const RegisterImage image = Distinct();
  puppet.BeginRegistersSpin(image);
  ASSERT_TRUE(PollUntil([&] {
    engine.StopAndWait();
    const uint64_t pc = ProgramCounter(engine.task());
    if (pc >= puppet.addresses().registers_spin && pc < puppet.addresses().registers_spin_end) {
      return true;
    }
    EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
    return false;
  }));
  for (int i = 0; i < 15; ++i) {
    EXPECT_EQ(image.general[i], ReadGeneral(engine.task(), ThisMachine().general[i])) << i;
  }
  std::vector<unsigned char> fp(ThisMachine().vectors_size);
  const int index = FindSet(engine.task(), NT_PRFPREG);
  ASSERT_EQ(0, api().utrace_regset_get(engine.task(), static_cast<uint32_t>(index), 0, fp.size(),
                                       fp.data()));
  EXPECT_EQ(0, memcmp(image.vector, &fp[ThisMachine().vectors], sizeof(image.vector)));
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  puppet.ReleaseRegisters();
  ExpectImage(image, puppet.FinishRegisters(), false);
}

CLAUSE_TEST(REG_03, WhatIsWrittenIsWhatItRunsWithAndNothingElseChanges) {
  for (const bool whole : {false, true}) {
    SCOPED_TRACE(whole);
    Puppet& puppet = Spawn();
    TestEngine engine("A");
    ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
    RegisterImage image = Distinct();
    puppet.BeginRegistersSpin(image);
    ASSERT_TRUE(PollUntil([&] {
      engine.StopAndWait();
      const uint64_t pc = ProgramCounter(engine.task());
      if (pc >= puppet.addresses().registers_spin && pc < puppet.addresses().registers_spin_end) {
        return true;
      }
      EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
      return false;
    }));
    utrace_task* task = engine.task();
    const uint64_t value = 0xfeedfacecafebeef;
    const int changed[] = {1, 12};
    for (const int i : changed) image.general[i] = value;
    memset(image.vector[3], 0x99, 16);
    const auto fp_index = static_cast<uint32_t>(FindSet(task, NT_PRFPREG));
    const size_t vectors = ThisMachine().vectors;
    if (whole) {
      std::vector<unsigned char> regs(ThisMachine().general_size);
      ASSERT_EQ(0, api().utrace_regset_get(task, 0, 0, regs.size(), regs.data()));
      for (const int i : changed) memcpy(&regs[ThisMachine().general[i]], &value, sizeof(value));
      ASSERT_EQ(0, api().utrace_regset_set(task, 0, 0, regs.size(), regs.data()));
      std::vector<unsigned char> fp(ThisMachine().vectors_size);
      ASSERT_EQ(0, api().utrace_regset_get(task, fp_index, 0, fp.size(), fp.data()));
      memcpy(&fp[vectors], image.vector, sizeof(image.vector));
      ASSERT_EQ(0, api().utrace_regset_set(task, fp_index, 0, fp.size(), fp.data()));
    } else {
      for (const int i : changed) {
        ASSERT_EQ(
            0, api().utrace_regset_set(task, 0, ThisMachine().general[i], sizeof(value), &value));
      }
      ASSERT_EQ(0, api().utrace_regset_set(task, fp_index, vectors + size_t{3} * 16, 16,
                                           image.vector[3]));
    }
    EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
    puppet.ReleaseRegisters();
    ExpectImage(image, puppet.FinishRegisters(), false);
  }
}

CLAUSE_TEST(REG_03, AtASystemCall) {
  for (const What what : {What::kSyscallEntry, What::kSyscallExit}) {
    SCOPED_TRACE(WhatName(what));
    Puppet& puppet = Spawn();
    const uint64_t value = 0xfeedfacecafebeef;
    TestEngine engine("A");
    engine.On(what, [&](Report& report) -> uint32_t {
      if (IsMarker(report)) {
        const size_t position = ThisMachine().general[ThisMachine().kept];
        EXPECT_EQ(0, api().utrace_regset_set(report.task, 0, position, sizeof(value), &value));
      }
      return PassThrough(report);
    });
    ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
    ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT_SYSCALL));
    RegisterImage image = Distinct();
    image.general[ThisMachine().call_number] = kMarker;
    puppet.BeginRegistersSyscall(image);
    const RegisterImage seen = puppet.FinishRegisters();
    image.general[ThisMachine().call_result] = static_cast<uint64_t>(nanny().pid());
    image.general[ThisMachine().kept] = value;
    ExpectImage(image, seen, true);
  }
}

CLAUSE_TEST(REG_03, TracingAloneChangesNothing) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT_ALL));
  RegisterImage image = Distinct();
  image.general[ThisMachine().call_number] = kMarker;
  puppet.BeginRegistersSyscall(image);
  const RegisterImage seen = puppet.FinishRegisters();
  image.general[ThisMachine().call_result] = static_cast<uint64_t>(nanny().pid());
  ExpectImage(image, seen, true);
}

CLAUSE_TEST(REG_03, AWrittenProgramCounterIsWhereItGoesOn) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  uint64_t pc = 0;
  engine.On(What::kSignal, [&](Report& report) -> uint32_t {
    pc = ProgramCounter(report.task);
    return PassThrough(report);
  });
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(SIGNAL_CORE)));
  StartSpinning(puppet);
  engine.StopAndWait();
  EXPECT_EQ(0, api().utrace_set_pc(engine.task(), puppet.addresses().unmapped));
  EXPECT_EQ(puppet.addresses().unmapped, ProgramCounter(engine.task()));
  EXPECT_EQ(0, engine.Control(UTRACE_RESUME));
  EXPECT_EQ(SIGSEGV, nanny().Wait(puppet.pid()).status & 0x7f);
  EXPECT_EQ(puppet.addresses().unmapped, pc);
}

// ---- REG-04 ------------------------------------------------------------------------------------

namespace {

void ExpectNoAccess(utrace_task* task, const Puppet& puppet) {
  unsigned char buffer[64];
  memset(buffer, 0xee, sizeof(buffer));
  uint64_t word = 0xeeee;
  const auto refused = {-EINVAL + 0L, -ESRCH + 0L};
  ExpectOneOf(api().utrace_regset_get(task, 0, 0, 16, buffer), refused);
  ExpectOneOf(api().utrace_get_pc(task, &word), refused);
  ExpectOneOf(api().utrace_get_sp(task, &word), refused);
  ExpectOneOf(api().utrace_set_pc(task, puppet.addresses().unmapped), refused);
  long number = 0xeeee;
  ExpectOneOf(api().utrace_syscall_number(task, &number), refused);
  ExpectOneOf(api().utrace_syscall_arguments(task, 0, 1, &word), refused);
  ExpectOneOf(api().utrace_syscall_set_arguments(task, 0, 1, &word), refused);
  ExpectOneOf(api().utrace_syscall_set_number(task, SYS_exit), refused);
  ExpectOneOf(api().utrace_syscall_set_result(task, 0, 1), refused);
  ExpectOneOf(api().utrace_syscall_rollback(task), refused);
  ExpectOneOf(api().utrace_read_memory(task, puppet.addresses().memory, buffer, 16), refused);
  ExpectOneOf(api().utrace_write_memory(task, puppet.addresses().memory, "x", 1), refused);
  ExpectOneOf(api().utrace_regset_set(task, 0, 0, 16, buffer), refused);
  for (const unsigned char byte : buffer) EXPECT_EQ(0xee, byte);
  EXPECT_EQ(0xeeeeU, word);
  EXPECT_EQ(0xeeee, number);
}

}  // namespace

CLAUSE_TEST(REG_04, OfARunningTask) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  StartSpinning(puppet);
  ExpectNoAccess(engine.task(), puppet);
  ExpectRuns(puppet);
}

CLAUSE_TEST(REG_04, OfOneThatSleepsInACall) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  puppet.BeginRead();
  puppet.AwaitBlocked();
  ExpectNoAccess(engine.task(), puppet);
  puppet.Feed();
  EXPECT_EQ(1, puppet.Finish());
}

CLAUSE_TEST(REG_04, OfOneThatNobodyTraces) {
  Puppet& puppet = Spawn();
  TaskRef task = Task(puppet);
  ExpectNoAccess(task, puppet);
  EXPECT_EQ(nanny().pid(), puppet.Call(kMarker));
}

CLAUSE_TEST(REG_04, OfTheDeadAndTheReaped) {
  Puppet& puppet = Spawn();
  TestEngine engine("A");
  ASSERT_EQ(0, engine.AttachTid(puppet.tid()));
  ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(DEATH) | UTRACE_EVENT(REAP)));
  puppet.BeginExitGroup(0);
  engine.AwaitEnded(What::kDeath);
  ExpectNoAccess(engine.task(), puppet);
  nanny().Wait(puppet.pid());
  engine.AwaitEnded(What::kReap);
  ExpectNoAccess(engine.task(), puppet);
}

CLAUSE_TEST(REG_04, AfterItWasLetGo) {
  HeldSpinner held(Spawn());
  held.LetGo();
  held.puppet.AwaitSpinning();
  ExpectNoAccess(held.engine.task(), held.puppet);
  ExpectRuns(held.puppet);
}

}  // namespace utrace::kit
