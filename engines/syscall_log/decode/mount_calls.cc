// Calls on mounts, swap and quotas.
#include <linux/mount.h>

#include "engines/syscall_log/decode/groups.h"
#include "engines/syscall_log/decode/tables.h"
#include "engines/syscall_log/decode/values.h"

namespace utrace::syscall_log {
namespace {

void PutMountAttr(Call& call, const mount_attr& attributes) {
  call.out.BeginStruct();
  PutFlagsField(call.out, "attr_set", kMountAttributes, attributes.attr_set);
  PutFlagsField(call.out, "attr_clr", kMountAttributes, attributes.attr_clr);
  PutFlagsField(call.out, "propagation", kMountFlags, attributes.propagation);
  PutUnsignedField(call.out, "userns_fd", attributes.userns_fd);
  call.out.EndStruct();
}

void ShowQuotaCommand(Call& call, uint64_t value) {
  const auto command = static_cast<uint32_t>(value);
  call.out.BeginArguments("QCMD");
  PutName(call.out, kQuotaCommand, command >> 8);
  PutName(call.out, kQuotaType, command & 0xff);
  call.out.EndArguments();
}

constexpr CallInfo kCalls[] = {
    {"mount",
     Returns::kDecimal,
     {{{"source", Path},
       {"target", Path},
       {"fstype", String},
       {"flags", Flags64<kMountFlags>},
       {"data", String}}}},
    {"umount2", Returns::kDecimal, {{{"target", Path}, {"flags", Flags<kUmountFlags>}}}},
    {"pivot_root", Returns::kDecimal, {{{"new_root", Path}, {"put_old", Path}}}},
    {"swapon", Returns::kDecimal, {{{"path", Path}, {"flags", Flags<kSwapFlags>}}}},
    {"swapoff", Returns::kDecimal, {{{"path", Path}}}},
    {"acct", Returns::kDecimal, {{{"path", Path}}}},
    {"fsopen", Returns::kDescriptor, {{{"fsname", String}, {"flags", Flags<kFsopenFlags>}}}},
    {"fspick",
     Returns::kDescriptor,
     {{{"dfd", Directory}, {"path", Path}, {"flags", Flags<kFspickFlags>}}}},
    {"fsconfig",
     Returns::kDecimal,
     {{{"fd", Fd},
       {"cmd", Named<kFsconfigCommand>},
       {"key", String},
       {"value", Pointer},
       {"aux", Int}}}},
    {"fsmount",
     Returns::kDescriptor,
     {{{"fd", Fd}, {"flags", Flags<kFsmountFlags>}, {"attr_flags", Flags<kMountAttributes>}}}},
    {"move_mount",
     Returns::kDecimal,
     {{{"from_dfd", Directory},
       {"from_path", Path},
       {"to_dfd", Directory},
       {"to_path", Path},
       {"flags", Flags<kMoveMountFlags>}}}},
    {"open_tree",
     Returns::kDescriptor,
     {{{"dfd", Directory}, {"path", Path}, {"flags", Flags<kOpenTreeFlags>}}}},
    {"mount_setattr",
     Returns::kDecimal,
     {{{"dfd", Directory},
       {"path", Path},
       {"flags", Flags<kOpenTreeFlags>},
       {"attr", In<mount_attr, PutMountAttr>},
       {"size", Size}}}},
    {"quotactl",
     Returns::kDecimal,
     {{{"cmd", {ShowQuotaCommand}}, {"special", Path}, {"id", UInt}, {"addr", Pointer}}}},
};

}  // namespace

std::span<const CallInfo> MountCalls() { return kCalls; }

}  // namespace utrace::syscall_log
