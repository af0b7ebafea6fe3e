#include "engines/crash_catcher/collect.h"

#include <elf.h>

#include <algorithm>
#include <string>
#include <utility>

#include "engines/crash_catcher/fault.h"
#include "engines/crash_catcher/machine_state.h"
#include "engines/crash_catcher/proc_files.h"
#include "engines/crash_catcher/symbols.h"
#include "fmt/format.h"

namespace utrace::crash {
namespace {

// All register sets, or false: the task was killed.
bool ReadRegisters(const Machine& machine, Registers* registers) {
  const utrace_regset_view* const view = machine.View();
  for (uint32_t i = 0; i < view->count; ++i) {
    const utrace_regset& set = view->sets[i];
    std::vector<std::byte> image(static_cast<size_t>(set.slots) * set.slot_size);
    const Status status = machine.ReadRegisters(i, 0, image);
    if (i == 0 && !status.ok()) return false;
    if (!status.ok()) continue;  // this machine lacks the set
    if (i == 0) {
      registers->general = std::move(image);
    } else if (set.note_type == NT_PRFPREG) {
      registers->floating = std::move(image);
    } else {
      registers->extended = std::move(image);
      registers->extended_note = set.note_type;
    }
  }
  return true;
}

}  // namespace

Result<std::unique_ptr<HeldProcess>> HeldProcess::Take(Stopper& stopper, TaskView first,
                                                       std::chrono::milliseconds patience) {
  using Clock = std::chrono::steady_clock;
  // It is at a safe point, or on its way to one. Only what serves it may be busy.
  constexpr std::chrono::seconds kFirstStopsWithin{30};
  std::unique_ptr<HeldProcess> held(new HeldProcess);
  Snapshot& snapshot = held->snapshot_;
  auto examination = stopper.Examine(first, Clock::now() + kFirstStopsWithin);
  if (!examination) return examination.status();
  held->memory_ = std::make_unique<TaskMemory>(examination->machine());
  held->examinations_.push_back(std::move(*examination));
  snapshot.pid = first.tgid();
  snapshot.tid = first.tid();
  snapshot.elf_machine = utrace_task_regset_view(first.get())->elf_machine;

  const auto deadline = Clock::now() + patience;
  stopper.Await(deadline);
  std::vector<TaskRef> tasks = stopper.threads();
  std::ranges::sort(tasks, [first](const TaskRef& a, const TaskRef& b) {
    if ((a.view() == first) != (b.view() == first)) return a.view() == first;
    return a.tid() < b.tid();
  });
  for (const TaskRef& task : tasks) {
    ThreadState thread;
    thread.tid = task.tid();
    thread.name = ThreadName(snapshot.pid, thread.tid);
    if (task.view() == first) {
      if (!ReadRegisters(Machine(first), &thread.registers)) return Status(-ESRCH);
    } else if (auto other = stopper.Examine(task, deadline)) {
      if (!ReadRegisters(other->machine(), &thread.registers)) continue;  // it died
      held->examinations_.push_back(std::move(*other));
    } else if (other.code() == -ESRCH) {
      continue;
    } else {
      thread.problem =
          fmt::format("it does not stop: {}", ThreadActivity(snapshot.pid, thread.tid));
    }
    snapshot.threads.push_back(std::move(thread));
  }
  if (snapshot.threads.empty() || snapshot.threads[0].tid != snapshot.tid) return Status(-ESRCH);
  snapshot.problems = stopper.problems();
  return held;
}

void HeldProcess::Describe(bool environment) {
  DescribeProcess(environment, &snapshot_);
  std::string error;
  const auto symbols = Symbols::Open(snapshot_.tid, *memory_, &error);
  if (symbols == nullptr) snapshot_.problems.push_back(error);
  for (ThreadState& thread : snapshot_.threads) {
    if (thread.registers.general.empty()) continue;
    if (symbols != nullptr) symbols->Unwind(thread.registers.general, &thread);
    if (thread.frames.empty()) {
      thread.frames.push_back(
          {.pc = ProgramCounter(thread.registers.general), .interrupted = true});
    }
  }
  if (!snapshot_.signal) return;
  snapshot_.fault = ExplainFault(snapshot_, *memory_);
  DescribeCode(symbols.get());
}

// The instructions around the first thread's pc. Those before it can be told only from the begin of a
// function, or from a place from which decoding happens to come out at pc.
void HeldProcess::DescribeCode(Symbols* symbols) {
  constexpr uint64_t kBefore = 64;
  constexpr uint64_t kFar = 4096;  // a function's begin is not looked for further away
  constexpr size_t kInstructionsBefore = 8;
  constexpr size_t kInstructionsFrom = 9;
  const uint64_t pc = ProgramCounter(snapshot_.threads[0].registers.general);
  uint64_t begin = symbols == nullptr ? 0 : symbols->FunctionBegin(pc);
  const bool known = begin != 0 && pc - begin <= kFar;
  if (!known) begin = pc > kBefore ? pc - kBefore : 0;

  const size_t after = kInstructionsFrom * LongestInstruction();
  std::vector<Instruction> found;
  for (uint64_t from = begin; from <= pc; ++from) {
    std::vector<std::byte> code(pc - from + after);
    code.resize(memory_->Read(from, code));
    found = Disassemble(code, from);
    const bool meets = std::ranges::find(found, pc, &Instruction::address) != found.end();
    if (meets) break;
    if (known) from = std::max(from, pc > kBefore ? pc - kBefore : 0);
  }
  const auto at = std::ranges::find(found, pc, &Instruction::address);
  if (at == found.end()) return;
  const size_t place = static_cast<size_t>(at - found.begin());
  const size_t first = place > kInstructionsBefore ? place - kInstructionsBefore : 0;
  const size_t last = std::min(found.size(), place + kInstructionsFrom);
  for (size_t i = first; i < last; ++i) {
    if (symbols != nullptr) found[i].function = symbols->Describe(found[i].address);
    snapshot_.code.push_back(found[i]);
  }
}

bool HeldProcess::StillHeld() {
  // A task that was killed refuses, whatever the address. Until it does so, its threads have not run.
  std::byte byte{};
  memory_->ReadObject(StackPointer(snapshot_.threads[0].registers.general), &byte);
  return !memory_->gone();
}

}  // namespace utrace::crash
