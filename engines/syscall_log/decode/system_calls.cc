// Calls on the system as a whole: its name, load, random numbers, modules, keys.
#include <linux/landlock.h>
#include <linux/reboot.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

#include "engines/syscall_log/decode/groups.h"
#include "engines/syscall_log/decode/tables.h"
#include "engines/syscall_log/decode/values.h"

namespace utrace::syscall_log {
namespace {

void PutUname(Call& call, const utsname& name) {
  Renderer& out = call.out;
  out.BeginStruct();
  PutField(out, "sysname", name.sysname, sizeof(name.sysname));
  PutField(out, "nodename", name.nodename, sizeof(name.nodename));
  if (call.style.verbose) {
    PutField(out, "release", name.release, sizeof(name.release));
    PutField(out, "version", name.version, sizeof(name.version));
    PutField(out, "machine", name.machine, sizeof(name.machine));
    PutField(out, "domainname", name.domainname, sizeof(name.domainname));
  } else {
    out.More();
  }
  out.EndStruct();
}

void PutSysinfo(Call& call, const struct sysinfo& info) {
  Renderer& out = call.out;
  out.BeginStruct();
  PutSignedField(out, "uptime", info.uptime);
  out.Field("loads");
  out.BeginArray();
  for (const unsigned long load : info.loads) out.Unsigned(load);
  out.EndArray();
  PutUnsignedField(out, "totalram", info.totalram);
  PutUnsignedField(out, "freeram", info.freeram);
  PutUnsignedField(out, "sharedram", info.sharedram);
  PutUnsignedField(out, "bufferram", info.bufferram);
  PutUnsignedField(out, "totalswap", info.totalswap);
  PutUnsignedField(out, "freeswap", info.freeswap);
  PutUnsignedField(out, "procs", info.procs);
  PutUnsignedField(out, "totalhigh", info.totalhigh);
  PutUnsignedField(out, "freehigh", info.freehigh);
  PutUnsignedField(out, "mem_unit", info.mem_unit);
  out.EndStruct();
}

bool RebootHasText(const std::array<uint64_t, 6>& args) {
  return static_cast<uint32_t>(args[2]) == LINUX_REBOOT_CMD_RESTART2;
}

void ShowKeyring(Call& call, uint64_t value) {
  const auto ring = static_cast<int32_t>(value);
  if (ring < 0) return PutIntName(call.out, kKeyring, value);
  call.out.Signed(ring);
}

void ShowLandlockRuleset(Call& call, uint64_t address) {
  landlock_ruleset_attr attributes{};
  const size_t size = std::min<uint64_t>(call.args[1], sizeof(attributes));
  if (address == 0 || size == 0 || call.memory.Read(address, &attributes, size) != size) {
    return call.out.Address(address);
  }
  call.out.BeginStruct();
  PutFlagsField(call.out, "handled_access_fs", kLandlockAccess, attributes.handled_access_fs);
  call.out.EndStruct();
}

void PutLandlockRule(Call& call, const landlock_path_beneath_attr& rule) {
  call.out.BeginStruct();
  PutFlagsField(call.out, "allowed_access", kLandlockAccess, rule.allowed_access);
  call.out.Field("parent_fd");
  PutDescriptor(call, rule.parent_fd);
  call.out.EndStruct();
}

// The text of syslog's buffer, for the actions that read it.
void ShowLog(Call& call, uint64_t address) {
  constexpr int kRead = 2;
  constexpr int kReadClear = 4;
  const int action = static_cast<int>(call.args[0]);
  if (action < kRead || action > kReadClear) return call.out.Address(address);
  PutBytes(call, address, call.count());
}

void ShowRandom(Call& call, uint64_t address) { PutData(call, address, call.count()); }

constexpr CallInfo kCalls[] = {
    {"uname", Returns::kDecimal, {{{"buf", Out<utsname, PutUname>}}}},
    {"sysinfo", Returns::kDecimal, {{{"info", Out<struct sysinfo, PutSysinfo>}}}},
    {"sethostname", Returns::kDecimal, {{{"name", BytesIn<1>}, {"len", Int}}}},
    {"setdomainname", Returns::kDecimal, {{{"name", BytesIn<1>}, {"len", Int}}}},
    {"syslog", Returns::kDecimal, {{{"type", Int}, {"buf", {ShowLog, When::kExit}}, {"len", Int}}}},
    {"getrandom",
     Returns::kDecimal,
     {{{"buf", {ShowRandom, When::kExit}}, {"count", Size}, {"flags", Flags<kRandomFlags>}}}},
    {"reboot",
     Returns::kDecimal,
     {{{"magic", Named<kRebootMagic1>},
       {"magic2", Named<kRebootMagic2>},
       {"op", Named<kRebootCommand>},
       {"arg", {.show = ShowText, .present = RebootHasText}}}}},
    {"init_module", Returns::kDecimal, {{{"image", Pointer}, {"len", Size}, {"params", String}}}},
    {"finit_module",
     Returns::kDecimal,
     {{{"fd", Fd}, {"params", String}, {"flags", Flags<kModuleFlags>}}}},
    {"delete_module",
     Returns::kDecimal,
     {{{"name", String}, {"flags", Flags<kModuleDeleteFlags>}}}},
    {"kexec_load",
     Returns::kDecimal,
     {{{"entry", Pointer},
       {"nr_segments", Size},
       {"segments", Pointer},
       {"flags", Flags64<kKexecFlags>}}}},
    {"kexec_file_load",
     Returns::kDecimal,
     {{{"kernel_fd", Fd},
       {"initrd_fd", Fd},
       {"cmdline_len", Size},
       {"cmdline", String},
       {"flags", Flags<kKexecFileFlags>}}}},
    {"add_key",
     Returns::kDecimal,
     {{{"type", String},
       {"description", String},
       {"payload", BytesIn<3>},
       {"plen", Size},
       {"keyring", {ShowKeyring}}}}},
    {"request_key",
     Returns::kDecimal,
     {{{"type", String},
       {"description", String},
       {"callout_info", String},
       {"dest_keyring", {ShowKeyring}}}}},
    {"keyctl",
     Returns::kDecimal,
     {{{"operation", Named<kKeyctlCommand>},
       {"arg2", HexLong},
       {"arg3", HexLong},
       {"arg4", HexLong},
       {"arg5", HexLong}}}},
    {"landlock_create_ruleset",
     Returns::kDescriptor,
     {{{"attr", {ShowLandlockRuleset}}, {"size", Size}, {"flags", Flags<kLandlockFlags>}}}},
    {"landlock_add_rule",
     Returns::kDecimal,
     {{{"ruleset_fd", Fd},
       {"rule_type", Named<kLandlockRule>},
       {"rule_attr", In<landlock_path_beneath_attr, PutLandlockRule>},
       {"flags", HexInt}}}},
    {"landlock_restrict_self", Returns::kDecimal, {{{"ruleset_fd", Fd}, {"flags", HexInt}}}},
    {"lookup_dcookie",
     Returns::kDecimal,
     {{{"cookie", HexLong}, {"buf", ResultBytes}, {"len", Size}}}},
    {"restart_syscall", Returns::kDecimal, {}},
};

}  // namespace

std::span<const CallInfo> SystemCalls() { return kCalls; }

}  // namespace utrace::syscall_log
