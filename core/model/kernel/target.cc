// core/utrace_target.h over the model.
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

#include "core/model/kernel/program.h"
#include "core/model/kernel/world.h"
#include "core/model/scheduler.h"
#include "core/signal_rules.h"
#include "core/utrace_target.h"

using utrace::model::TheWorld;
using utrace::model::World;

namespace {

// Of a slot that a world has; null elsewhere.
World* WorldWith(unsigned slot) {
  World* const world = utrace::model::InFiber() ? TheWorld() : nullptr;
  return slot < UTRACE_TARGET_SLOTS ? world : nullptr;
}

std::string& LastSchedule() {
  static std::string text;
  return text;
}

int Describe(const utrace::model::RunResult& result) {
  using End = utrace::model::RunResult::End;
  if (result.end == End::kDone) return 0;
  std::fprintf(stderr, "utrace model: %s: %s\n", EndName(result.end), result.text.c_str());
  switch (result.end) {
    case End::kDeadlock:
      return -EDEADLK;
    case End::kDiverged:
      return -EILSEQ;
    case End::kRunaway:
      return -ELOOP;
    default:
      return -EFAULT;
  }
}

}  // namespace

unsigned utrace_target_version() { return UTRACE_TARGET_VERSION; }

const char* utrace_target_capabilities() {
  return "thread\nfork\nvfork\nclone\nexec\nsignal\njob-control\nwait\ntimed\nspin\nmemory\n"
         "step\nfault\naltstack\nkernel-task\n";
}

// ---- Tasks -----------------------------------------------------------------------------------------

int utrace_target_begin() {
  return utrace::model::InFiber() ? utrace::model::BeginWorld() : -EINVAL;
}

void utrace_target_end() {
  if (utrace::model::InFiber()) utrace::model::EndWorld();
}

int utrace_target_spawn(unsigned slot) {
  World* const world = WorldWith(slot);
  if (world == nullptr) return -EINVAL;
  if (world->slot(static_cast<int>(slot)).tid != 0) return -EBUSY;
  world->Spawn(static_cast<int>(slot));
  return 0;
}

int utrace_target_send(unsigned slot, const utrace_target_command* command) {
  World* const world = WorldWith(slot);
  if (world == nullptr || command == nullptr) return -EINVAL;
  world->channel(static_cast<int>(slot)).commands.push_back(*command);
  return 0;
}

int utrace_target_receive(unsigned slot, utrace_target_reply* reply) {
  World* const world = WorldWith(slot);
  if (world == nullptr || reply == nullptr) return -EINVAL;
  auto& replies = world->channel(static_cast<int>(slot)).replies;
  if (replies.empty()) return 0;
  *reply = replies.front();
  replies.pop_front();
  return 1;
}

utrace_target_slot* utrace_target_slot_memory(unsigned slot) {
  World* const world = WorldWith(slot);
  return world == nullptr ? nullptr : &world->slot(static_cast<int>(slot));
}

uint64_t utrace_target_slot_address(unsigned slot) {
  return utrace::model::kSharedMemory + slot * sizeof(utrace_target_slot);
}

const utrace_target_addresses* utrace_target_program() {
  static const utrace_target_addresses addresses = [] {
    utrace_target_addresses all = {
        .handler = utrace::model::kHandlerCode,
        .restorer = utrace::model::kRestorerSite,
        .memory = utrace::model::kPrivateMemory,
        .read_only = utrace::model::kReadOnlyMemory,
        .unmapped = utrace::model::kUnmapped,
        .entry = utrace::model::kEntryPoint,
        .step = {},
        .branch_start = utrace::model::kBranchStart,
        .branch = {},
    };
    for (int i = 0; i <= UTRACE_TARGET_STEP_COUNT; ++i) all.step[i] = utrace::model::StepAt(i);
    for (int i = 0; i < UTRACE_TARGET_BRANCH_COUNT; ++i) {
      all.branch[i] = utrace::model::BranchTarget(i);
    }
    return all;
  }();
  return &addresses;
}

int utrace_target_feed(unsigned slot, const void* bytes, size_t size) {
  World* const world = WorldWith(slot);
  if (world == nullptr || (bytes == nullptr && size > 0)) return -EINVAL;
  world->channel(static_cast<int>(slot)).pipe.append(static_cast<const char*>(bytes), size);
  return 0;
}

int utrace_target_kill(pid_t pid, int to_thread, const siginfo_t* info) {
  World* const world = WorldWith(0);
  if (world == nullptr || info == nullptr) return -EINVAL;
  if (info->si_signo < 1 || info->si_signo > utrace::kLargestSignal) return -EINVAL;
  if (to_thread == 0) {
    utrace::model::Process* const process = world->FindProcess(pid);
    if (process == nullptr) return -ESRCH;
    process->Send(*info, nullptr);
    return 0;
  }
  utrace::model::Thread* const thread = world->FindThread(pid);
  if (thread == nullptr) return -ESRCH;
  thread->process->Send(*info, thread);
  return 0;
}

int utrace_target_state(pid_t tid) {
  const World* const world = WorldWith(0);
  if (world == nullptr) return -ESRCH;
  const utrace::model::Thread* const thread = world->FindThread(tid);
  return thread == nullptr ? -ESRCH : thread->State();
}

pid_t utrace_target_parent() {
  const World* const world = WorldWith(0);
  return world == nullptr ? -EINVAL : world->parent().pid;
}

int utrace_target_configure(const char* key, long value) {
  World* const world = WorldWith(0);
  if (world == nullptr || key == nullptr) return -EINVAL;
  if (std::strcmp(key, "single-step") == 0) {
    world->single_step = value != 0;
    return 0;
  }
  if (std::strcmp(key, "block-step") == 0) {
    world->block_step = value != 0;
    return 0;
  }
  if (std::strcmp(key, "kernel-task") == 0) return world->AddKernelThread();
  return -EOPNOTSUPP;
}

// ---- The kit's own threads ---------------------------------------------------------------------------

int utrace_target_run(const char* schedule, void (*body)(void*), void* argument) {
  if (body == nullptr) return -EINVAL;
  if (utrace::model::InFiber()) return -EBUSY;
  const bool chosen = schedule != nullptr && *schedule != '\0';
  std::string error;
  const auto strategy = utrace::model::MakeStrategy(chosen ? schedule : "random:1", &error);
  if (strategy == nullptr) {
    std::fprintf(stderr, "utrace model: %s\n", error.c_str());
    return -EINVAL;
  }
  const auto result = utrace::model::Explore(*strategy, [&] { body(argument); });
  // A run that came to no good end leaves its world behind.
  utrace::model::AbandonWorld();
  LastSchedule() = result.schedule;
  return Describe(result);
}

const char* utrace_target_schedule() { return LastSchedule().c_str(); }

int utrace_target_thread(const char* name, void (*body)(void*), void* argument) {
  if (!utrace::model::InFiber() || body == nullptr) return -EINVAL;
  const auto fiber = utrace::model::Spawn(name != nullptr ? name : "thread of the kit",
                                          [body, argument] { body(argument); });
  return static_cast<int>(fiber);
}

int utrace_target_thread_self() {
  return utrace::model::InFiber() ? static_cast<int>(utrace::model::CurrentFiber()) : -EINVAL;
}

int utrace_target_thread_state(int thread) {
  if (!utrace::model::InFiber() || thread < 0) return -EINVAL;
  const auto fiber = static_cast<utrace::model::FiberId>(thread);
  if (utrace::model::HasEnded(fiber)) return 'X';
  return utrace::model::IsWaiting(fiber) ? 'S' : 'R';
}

void utrace_target_thread_interrupt(int thread) {
  if (!utrace::model::InFiber() || thread < 0) return;
  utrace::model::Interrupt(static_cast<utrace::model::FiberId>(thread));
}

int utrace_target_await(int (*ready)(void*), void* argument, int64_t timeout) {
  if (!utrace::model::InFiber() || ready == nullptr) return -EINVAL;
  const bool held = utrace::model::Await(
      "a condition of the test", [&] { return ready(argument) != 0; },
      timeout < 0 ? utrace::model::kForever : timeout);
  return held ? 1 : 0;
}

void utrace_target_settle(int64_t advance) {
  // Threads of the kit that loop until something happens would never settle.
  constexpr uint64_t kPatience = 2'000;
  if (utrace::model::InFiber()) utrace::model::Settle(advance, kPatience);
}

int64_t utrace_target_now() { return utrace::model::InFiber() ? utrace::model::Now() : -EINVAL; }
