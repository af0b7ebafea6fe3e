// Calls on processors, priorities and limits.
#include <linux/ioprio.h>
#include <linux/sched.h>

#include "engines/syscall_log/decode/groups.h"
#include "engines/syscall_log/decode/structs.h"
#include "engines/syscall_log/decode/tables.h"

namespace utrace::syscall_log {
namespace {

// A set of processors of `size` bytes.
void PutProcessors(Call& call, uint64_t address, uint64_t size) {
  std::array<uint8_t, 1024> bytes;
  size = std::min<uint64_t>(size, bytes.size());
  if (address == 0 || size == 0 || call.memory.Read(address, bytes.data(), size) != size) {
    return call.out.Address(address);
  }
  call.out.BeginSet(false);
  for (uint64_t processor = 0; processor < size * 8; ++processor) {
    if ((bytes[processor / 8] >> (processor % 8) & 1) != 0) call.out.Unsigned(processor);
  }
  call.out.EndSet();
}
void ShowProcessorsIn(Call& call, uint64_t address) { PutProcessors(call, address, call.args[1]); }
void ShowProcessorsOut(Call& call, uint64_t address) {
  PutProcessors(call, address, call.count());  // the size of the kernel's own set
}

constexpr uint32_t kResetOnFork = 0x40000000;
void ShowPolicy(Call& call, uint64_t value) {
  const auto policy = static_cast<uint32_t>(value);
  call.out.BeginFlags();
  PutName(call.out, kScheduler, policy & ~kResetOnFork);
  if ((policy & kResetOnFork) != 0) call.out.Name("SCHED_RESET_ON_FORK");
  call.out.EndFlags();
}

bool PolicyNote(Call& call) {
  call.out.BeginNote();
  call.out.FieldWithoutText("policy");
  ShowPolicy(call, static_cast<uint64_t>(call.value));
  call.out.EndNote();
  return true;
}

// Of linux/sched/types.h, which the C library's headers do not go with.
struct SchedAttr {
  uint32_t size;
  uint32_t sched_policy;
  uint64_t sched_flags;
  int32_t sched_nice;
  uint32_t sched_priority;
  uint64_t sched_runtime;
  uint64_t sched_deadline;
  uint64_t sched_period;
  uint32_t sched_util_min;
  uint32_t sched_util_max;
};

void PutAttributes(Call& call, const SchedAttr& attributes) {
  Renderer& out = call.out;
  out.BeginStruct();
  PutUnsignedField(out, "size", attributes.size);
  PutNameField(out, "sched_policy", kScheduler, attributes.sched_policy);
  PutFlagsField(out, "sched_flags", kSchedFlags, attributes.sched_flags);
  PutSignedField(out, "sched_nice", attributes.sched_nice);
  PutUnsignedField(out, "sched_priority", attributes.sched_priority);
  PutUnsignedField(out, "sched_runtime", attributes.sched_runtime);
  PutUnsignedField(out, "sched_deadline", attributes.sched_deadline);
  PutUnsignedField(out, "sched_period", attributes.sched_period);
  if (attributes.size >= sizeof(attributes)) {
    PutUnsignedField(out, "sched_util_min", attributes.sched_util_min);
    PutUnsignedField(out, "sched_util_max", attributes.sched_util_max);
  }
  out.EndStruct();
}

void ShowIoPriority(Call& call, uint64_t value) {
  const auto priority = static_cast<uint32_t>(value);
  call.out.BeginArguments("IOPRIO_PRIO_VALUE");
  PutName(call.out, kIoPriorityClass, priority >> IOPRIO_CLASS_SHIFT);
  call.out.Unsigned(priority & ((1U << IOPRIO_CLASS_SHIFT) - 1));
  call.out.EndArguments();
}

bool IoPriorityNote(Call& call) {
  call.out.BeginNote();
  call.out.FieldWithoutText("priority");
  ShowIoPriority(call, static_cast<uint64_t>(call.value));
  call.out.EndNote();
  return true;
}

bool PersonalityNote(Call& call) {
  const char* name = kPersonality.Find(static_cast<uint64_t>(call.value) & 0xff);
  if (name == nullptr) return false;
  call.out.BeginNote();
  call.out.FieldWithoutText("personality");
  call.out.Name(name);
  call.out.EndNote();
  return true;
}

void ShowPersonality(Call& call, uint64_t value) {
  const auto wanted = static_cast<uint32_t>(value);
  if (wanted == UINT32_MAX) return call.out.Hex(wanted);  // only asks
  PutName(call.out, kPersonality, wanted);
}

constexpr Type Limits = In<rlimit, PutLimits>;

constexpr CallInfo kCalls[] = {
    {"sched_yield", Returns::kDecimal, {}},
    {"sched_setaffinity",
     Returns::kDecimal,
     {{{"pid", Int}, {"cpusetsize", Size}, {"mask", {ShowProcessorsIn}}}}},
    {"sched_getaffinity",
     Returns::kDecimal,
     {{{"pid", Int}, {"cpusetsize", Size}, {"mask", {ShowProcessorsOut, When::kExit}}}}},
    {"sched_setscheduler",
     Returns::kDecimal,
     {{{"pid", Int}, {"policy", {ShowPolicy}}, {"param", IntIn}}}},
    {"sched_getscheduler", Returns::kDecimal, {{{"pid", Int}}}, PolicyNote},
    {"sched_setparam", Returns::kDecimal, {{{"pid", Int}, {"param", IntIn}}}},
    {"sched_getparam", Returns::kDecimal, {{{"pid", Int}, {"param", IntOut}}}},
    {"sched_setattr",
     Returns::kDecimal,
     {{{"pid", Int}, {"attr", In<SchedAttr, PutAttributes>}, {"flags", HexInt}}}},
    {"sched_getattr",
     Returns::kDecimal,
     {{{"pid", Int}, {"attr", Out<SchedAttr, PutAttributes>}, {"size", UInt}, {"flags", HexInt}}}},
    {"sched_get_priority_max", Returns::kDecimal, {{{"policy", {ShowPolicy}}}}},
    {"sched_get_priority_min", Returns::kDecimal, {{{"policy", {ShowPolicy}}}}},
    {"sched_rr_get_interval", Returns::kDecimal, {{{"pid", Int}, {"interval", TimespecOut}}}},
    {"getpriority", Returns::kDecimal, {{{"which", Named<kPriorityWhich>}, {"who", Int}}}},
    {"setpriority",
     Returns::kDecimal,
     {{{"which", Named<kPriorityWhich>}, {"who", Int}, {"prio", Int}}}},
    {"ioprio_get",
     Returns::kHex,
     {{{"which", Named<kIoPriorityWho>}, {"who", Int}}},
     IoPriorityNote},
    {"ioprio_set",
     Returns::kDecimal,
     {{{"which", Named<kIoPriorityWho>}, {"who", Int}, {"ioprio", {ShowIoPriority}}}}},
    {"getrlimit",
     Returns::kDecimal,
     {{{"resource", Named<kResource>}, {"rlim", Out<rlimit, PutLimits>}}}},
    {"setrlimit", Returns::kDecimal, {{{"resource", Named<kResource>}, {"rlim", Limits}}}},
    {"prlimit64",
     Returns::kDecimal,
     {{{"pid", Int},
       {"resource", Named<kResource>},
       {"new_rlim", Limits},
       {"old_rlim", Out<rlimit, PutLimits>}}}},
    {"getrusage", Returns::kDecimal, {{{"who", Named<kUsageWho>}, {"usage", UsageOut}}}},
    {"getcpu", Returns::kDecimal, {{{"cpu", UIntOut}, {"node", UIntOut}, {"tcache", Pointer}}}},
    {"personality", Returns::kHex, {{{"persona", {ShowPersonality}}}}, PersonalityNote},
};

}  // namespace

std::span<const CallInfo> SchedulerCalls() { return kCalls; }

}  // namespace utrace::syscall_log
