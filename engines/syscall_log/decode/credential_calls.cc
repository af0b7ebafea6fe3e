// Calls on users, groups and capabilities.
#include <linux/capability.h>

#include "engines/syscall_log/decode/groups.h"
#include "engines/syscall_log/decode/tables.h"
#include "engines/syscall_log/decode/values.h"

namespace utrace::syscall_log {
namespace {

void PutGroups(Call& call, uint64_t address, uint64_t count) {
  PutArray<uint32_t>(call, address, count, [](Call& c, const uint32_t& id) { PutId(c.out, id); });
}
void ShowGroupsIn(Call& call, uint64_t address) {
  PutGroups(call, address, static_cast<uint32_t>(call.args[0]));
}
void ShowGroupsOut(Call& call, uint64_t address) {
  // Without room the call only counts.
  PutGroups(call, address, static_cast<int>(call.args[0]) == 0 ? 0 : call.count());
}

void ShowIdAt(Call& call, uint64_t address) {
  uint32_t id;
  if (address == 0 || !call.Read(address, &id)) return call.out.Address(address);
  call.out.TextOnly("[");
  PutId(call.out, id);
  call.out.TextOnly("]");
}
constexpr Type IdOut{ShowIdAt, When::kExit};

void ShowCapabilityHeader(Call& call, uint64_t address) {
  __user_cap_header_struct header;
  if (address == 0 || !call.Read(address, &header)) return call.out.Address(address);
  call.out.BeginStruct();
  PutNameField(call.out, "version", kCapabilityVersion, header.version);
  PutSignedField(call.out, "pid", header.pid);
  call.out.EndStruct();
}

void ShowCapabilityData(Call& call, uint64_t address) {
  __user_cap_header_struct header;
  std::array<__user_cap_data_struct, 2> data{};
  if (address == 0 || !call.Read(call.args[0], &header)) return call.out.Address(address);
  const size_t words = header.version == _LINUX_CAPABILITY_VERSION_1 ? 1 : 2;
  const size_t size = words * sizeof(data[0]);
  if (call.memory.Read(address, data.data(), size) != size) return call.out.Address(address);
  const auto put = [&](const char* name, uint32_t low, uint32_t high) {
    call.out.Field(name);
    const uint64_t set = uint64_t{high} << 32 | low;
    call.out.BeginFlags();
    uint64_t rest = set;
    for (const NameEntry& entry : kCapability.entries) {
      const uint64_t bit = uint64_t{1} << (entry.value & 63);
      if ((set & bit) == 0) continue;
      call.out.Name(fmt::format("1<<{}", entry.name));
      rest &= ~bit;
    }
    if (rest != 0) call.out.Hex(rest);
    call.out.EndFlags();
  };
  call.out.BeginStruct();
  put("effective", data[0].effective, data[1].effective);
  put("permitted", data[0].permitted, data[1].permitted);
  put("inheritable", data[0].inheritable, data[1].inheritable);
  call.out.EndStruct();
}

constexpr CallInfo kCalls[] = {
    {"getuid", Returns::kDecimal, {}},
    {"geteuid", Returns::kDecimal, {}},
    {"getgid", Returns::kDecimal, {}},
    {"getegid", Returns::kDecimal, {}},
    {"setuid", Returns::kDecimal, {{{"uid", Id}}}},
    {"setgid", Returns::kDecimal, {{{"gid", Id}}}},
    {"setreuid", Returns::kDecimal, {{{"ruid", Id}, {"euid", Id}}}},
    {"setregid", Returns::kDecimal, {{{"rgid", Id}, {"egid", Id}}}},
    {"setresuid", Returns::kDecimal, {{{"ruid", Id}, {"euid", Id}, {"suid", Id}}}},
    {"setresgid", Returns::kDecimal, {{{"rgid", Id}, {"egid", Id}, {"sgid", Id}}}},
    {"getresuid", Returns::kDecimal, {{{"ruid", IdOut}, {"euid", IdOut}, {"suid", IdOut}}}},
    {"getresgid", Returns::kDecimal, {{{"rgid", IdOut}, {"egid", IdOut}, {"sgid", IdOut}}}},
    {"setfsuid", Returns::kDecimal, {{{"uid", Id}}}},
    {"setfsgid", Returns::kDecimal, {{{"gid", Id}}}},
    {"getgroups", Returns::kDecimal, {{{"size", Int}, {"list", {ShowGroupsOut, When::kExit}}}}},
    {"setgroups", Returns::kDecimal, {{{"size", Int}, {"list", {ShowGroupsIn}}}}},
    {"capget",
     Returns::kDecimal,
     {{{"header", {ShowCapabilityHeader}}, {"data", {ShowCapabilityData, When::kExit}}}}},
    {"capset",
     Returns::kDecimal,
     {{{"header", {ShowCapabilityHeader}}, {"data", {ShowCapabilityData}}}}},
};

}  // namespace

std::span<const CallInfo> CredentialCalls() { return kCalls; }

}  // namespace utrace::syscall_log
