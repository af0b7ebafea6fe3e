#include "engines/syscall_log/decode/table.h"

#include <unordered_map>
#include <vector>

#include "engines/syscall_log/decode/groups.h"
#include "engines/syscall_log/decode/syscall_names.h"

namespace utrace::syscall_log {
namespace {

struct Group {
  std::span<const CallInfo> (*calls)();
  uint32_t classes;
};

constexpr Group kGroups[] = {
    {DescriptorCalls, kClassNone}, {PathCalls, kClassNone},        {StatCalls, kClassNone},
    {MountCalls, kClassNone},      {MemoryCalls, kClassMemory},    {ProcessCalls, kClassNone},
    {SchedulerCalls, kClassNone},  {CredentialCalls, kClassCreds}, {SignalCalls, kClassSignal},
    {NetworkCalls, kClassNetwork}, {PollCalls, kClassDesc},        {TimeCalls, kClassClock},
    {IpcCalls, kClassIpc},         {SystemCalls, kClassNone},      {KernelCalls, kClassNone},
};

constexpr ClassName kClassNames[] = {
    {"file", kClassFile},       {"desc", kClassDesc},     {"network", kClassNetwork},
    {"process", kClassProcess}, {"signal", kClassSignal}, {"memory", kClassMemory},
    {"ipc", kClassIpc},         {"stat", kClassStat},     {"creds", kClassCreds},
    {"clock", kClassClock},
};

uint32_t FromParameters(const CallInfo& info) {
  uint32_t classes =
      info.returns == Returns::kDescriptor ? uint32_t{kClassDesc} : uint32_t{kClassNone};
  for (const Param& param : info.params) {
    if (param.type.role == Role::kPath) classes |= kClassFile;
    if (param.type.role == Role::kDescriptor) classes |= kClassDesc;
  }
  return classes;
}

struct Tables {
  std::vector<TableEntry> entries;
  std::unordered_map<std::string_view, const TableEntry*> by_name;
  std::vector<const TableEntry*> by_number;

  Tables() {
    for (const Group& group : kGroups) {
      for (const CallInfo& info : group.calls()) {
        entries.push_back({&info, group.classes | info.classes | FromParameters(info)});
      }
    }
    for (const TableEntry& entry : entries) by_name.emplace(entry.info->name, &entry);
    for (long number = 0; number < kSyscallLimit; ++number) {
      const auto found = by_name.find(SyscallName(number));
      by_number.push_back(found == by_name.end() ? nullptr : found->second);
    }
  }
};

const Tables& All() {
  static const Tables tables;
  return tables;
}

}  // namespace

std::span<const TableEntry> DecodedCalls() { return All().entries; }

const TableEntry* FindCall(std::string_view name) {
  const auto found = All().by_name.find(name);
  return found == All().by_name.end() ? nullptr : found->second;
}

const TableEntry* FindCall(long number) {
  return number >= 0 && number < kSyscallLimit ? All().by_number[static_cast<size_t>(number)]
                                               : nullptr;
}

std::span<const ClassName> ClassNames() { return kClassNames; }

}  // namespace utrace::syscall_log
