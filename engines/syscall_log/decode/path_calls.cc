// Calls that name files: making, removing, renaming, permissions, extended attributes, watching.
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include <cstddef>
#include <cstring>

#include "engines/syscall_log/decode/groups.h"
#include "engines/syscall_log/decode/structs.h"
#include "engines/syscall_log/decode/tables.h"

namespace utrace::syscall_log {
namespace {

using Args = std::array<uint64_t, 6>;

void ShowDevice(Call& call, uint64_t value) { PutDevice(call.out, static_cast<uint32_t>(value)); }

// Only devices have a number.
template <unsigned kMode>
bool IsDevice(const Args& args) {
  const uint64_t type = args[kMode] & S_IFMT;
  return type == S_IFCHR || type == S_IFBLK;
}
template <unsigned kMode>
constexpr Type DeviceOf{.show = ShowDevice, .present = IsDevice<kMode>};

// The result counts the terminating zero.
void ShowWorkingDirectory(Call& call, uint64_t address) {
  if (call.count() == 0) return call.out.Address(address);
  PutText(call, address, call.count());
}
constexpr Type WorkingDirectory{.show = ShowWorkingDirectory, .when = When::kExit};

// Directory entries as a number of them: their names would be long.
struct DirectoryEntry {
  uint64_t d_ino;
  int64_t d_off;
  uint16_t d_reclen;
  uint8_t d_type;
};
constexpr size_t kEntryHead = offsetof(DirectoryEntry, d_type) + sizeof(uint8_t);

void ShowEntries(Call& call, uint64_t address) {
  constexpr uint64_t kMost = 1 << 16;
  const uint64_t size = std::min(call.count(), kMost);
  if (size == 0 && address != 0) {
    call.out.Address(address);
    call.out.TextOnly(" /* 0 entries */");
    return;
  }
  std::string bytes(size, '\0');
  if (address == 0 || call.memory.Read(address, bytes.data(), size) != size) {
    return call.out.Address(address);
  }
  if (!call.style.verbose) call.out.Address(address);
  if (call.style.verbose) call.out.BeginArray();
  size_t count = 0;
  for (size_t at = 0; at + kEntryHead <= size; ++count) {
    DirectoryEntry entry{};
    memcpy(&entry, bytes.data() + at, kEntryHead);
    if (entry.d_reclen < kEntryHead || at + entry.d_reclen > size) break;
    if (call.style.verbose && count == call.style.elements) call.out.More();
    if (call.style.verbose && count < call.style.elements) {
      call.out.BeginStruct();
      PutUnsignedField(call.out, "d_ino", entry.d_ino);
      PutSignedField(call.out, "d_off", entry.d_off);
      PutUnsignedField(call.out, "d_reclen", entry.d_reclen);
      PutNameField(call.out, "d_type", kDirectoryType, entry.d_type);
      PutField(call.out, "d_name", bytes.data() + at + kEntryHead, entry.d_reclen - kEntryHead);
      call.out.EndStruct();
    }
    at += entry.d_reclen;
  }
  if (call.style.verbose) return call.out.EndArray();
  call.out.TextOnly(fmt::format(" /* {} {} */", count, count == 1 ? "entry" : "entries"));
}
constexpr Type Entries{ShowEntries, When::kExit};

void ShowHandle(Call& call, uint64_t address) {
  struct Head {
    uint32_t handle_bytes;
    int32_t handle_type;
  } head;
  if (address == 0 || !call.Read(address, &head)) return call.out.Address(address);
  call.out.BeginStruct();
  PutUnsignedField(call.out, "handle_bytes", head.handle_bytes);
  // A handle is asked for by room for it, and there when asking succeeded.
  if (call.succeeded() && head.handle_bytes <= MAX_HANDLE_SZ) {
    PutHexField(call.out, "handle_type", static_cast<uint32_t>(head.handle_type));
    call.out.Field("f_handle");
    PutBytes(call, address + sizeof(head), head.handle_bytes);
  }
  call.out.EndStruct();
}
constexpr Type HandleOut{.show = ShowHandle, .when = When::kExit, .on_failure = true};
constexpr Type HandleIn{ShowHandle};

constexpr Type XattrName{ShowText};
// Lists and values are there only if room was given.
template <unsigned kSize>
void ShowXattr(Call& call, uint64_t address) {
  if (call.args[kSize] == 0) return call.out.Address(address);
  PutBytes(call, address, call.count());
}
template <unsigned kSize>
constexpr Type XattrOut{ShowXattr<kSize>, When::kExit};

constexpr CallInfo kCalls[] = {
    {"access", Returns::kDecimal, {{{"path", Path}, {"mode", Flags<kAccessMode>}}}},
    {"faccessat",
     Returns::kDecimal,
     {{{"dfd", Directory}, {"path", Path}, {"mode", Flags<kAccessMode>}}}},
    {"faccessat2",
     Returns::kDecimal,
     {{{"dfd", Directory},
       {"path", Path},
       {"mode", Flags<kAccessMode>},
       {"flags", Flags<kAccessAtFlags>}}}},
    {"chdir", Returns::kDecimal, {{{"path", Path}}}},
    {"fchdir", Returns::kDecimal, {{{"fd", Fd}}}},
    {"chroot", Returns::kDecimal, {{{"path", Path}}}},
    {"getcwd",
     Returns::kDecimal,
     {{{"buf", WorkingDirectory}, {"size", Size}}},
     nullptr,
     kClassFile},
    {"mkdir", Returns::kDecimal, {{{"path", Path}, {"mode", Mode}}}},
    {"mkdirat", Returns::kDecimal, {{{"dfd", Directory}, {"path", Path}, {"mode", Mode}}}},
    {"rmdir", Returns::kDecimal, {{{"path", Path}}}},
    {"unlink", Returns::kDecimal, {{{"path", Path}}}},
    {"unlinkat",
     Returns::kDecimal,
     {{{"dfd", Directory}, {"path", Path}, {"flags", Flags<kAtFlags>}}}},
    {"rename", Returns::kDecimal, {{{"oldpath", Path}, {"newpath", Path}}}},
    {"renameat",
     Returns::kDecimal,
     {{{"olddfd", Directory}, {"oldpath", Path}, {"newdfd", Directory}, {"newpath", Path}}}},
    {"renameat2",
     Returns::kDecimal,
     {{{"olddfd", Directory},
       {"oldpath", Path},
       {"newdfd", Directory},
       {"newpath", Path},
       {"flags", Flags<kRenameFlags>}}}},
    {"link", Returns::kDecimal, {{{"oldpath", Path}, {"newpath", Path}}}},
    {"linkat",
     Returns::kDecimal,
     {{{"olddfd", Directory},
       {"oldpath", Path},
       {"newdfd", Directory},
       {"newpath", Path},
       {"flags", Flags<kAtFlags>}}}},
    {"symlink", Returns::kDecimal, {{{"target", Path}, {"linkpath", Path}}}},
    {"symlinkat",
     Returns::kDecimal,
     {{{"target", Path}, {"newdfd", Directory}, {"linkpath", Path}}}},
    {"readlink", Returns::kDecimal, {{{"path", Path}, {"buf", ResultBytes}, {"size", Size}}}},
    {"readlinkat",
     Returns::kDecimal,
     {{{"dfd", Directory}, {"path", Path}, {"buf", ResultBytes}, {"size", Size}}}},
    {"chmod", Returns::kDecimal, {{{"path", Path}, {"mode", Mode}}}},
    {"fchmod", Returns::kDecimal, {{{"fd", Fd}, {"mode", Mode}}}},
    {"fchmodat", Returns::kDecimal, {{{"dfd", Directory}, {"path", Path}, {"mode", Mode}}}},
    {"fchmodat2",
     Returns::kDecimal,
     {{{"dfd", Directory}, {"path", Path}, {"mode", Mode}, {"flags", Flags<kAtFlags>}}}},
    {"chown", Returns::kDecimal, {{{"path", Path}, {"owner", Id}, {"group", Id}}}},
    {"lchown", Returns::kDecimal, {{{"path", Path}, {"owner", Id}, {"group", Id}}}},
    {"fchown", Returns::kDecimal, {{{"fd", Fd}, {"owner", Id}, {"group", Id}}}},
    {"fchownat",
     Returns::kDecimal,
     {{{"dfd", Directory},
       {"path", Path},
       {"owner", Id},
       {"group", Id},
       {"flags", Flags<kAtFlags>}}}},
    {"mknod", Returns::kDecimal, {{{"path", Path}, {"mode", FileMode}, {"dev", DeviceOf<1>}}}},
    {"mknodat",
     Returns::kDecimal,
     {{{"dfd", Directory}, {"path", Path}, {"mode", FileMode}, {"dev", DeviceOf<2>}}}},
    {"umask", Returns::kOctal, {{{"mask", Mode}}}},
    {"getdents64", Returns::kDecimal, {{{"fd", Fd}, {"dirp", Entries}, {"count", Size}}}},
    {"getdents", Returns::kDecimal, {{{"fd", Fd}, {"dirp", Pointer}, {"count", Size}}}},
    {"getxattr",
     Returns::kDecimal,
     {{{"path", Path}, {"name", XattrName}, {"value", XattrOut<3>}, {"size", Size}}}},
    {"lgetxattr",
     Returns::kDecimal,
     {{{"path", Path}, {"name", XattrName}, {"value", XattrOut<3>}, {"size", Size}}}},
    {"fgetxattr",
     Returns::kDecimal,
     {{{"fd", Fd}, {"name", XattrName}, {"value", XattrOut<3>}, {"size", Size}}}},
    {"setxattr",
     Returns::kDecimal,
     {{{"path", Path},
       {"name", XattrName},
       {"value", BytesIn<3>},
       {"size", Size},
       {"flags", Flags<kXattrFlags>}}}},
    {"lsetxattr",
     Returns::kDecimal,
     {{{"path", Path},
       {"name", XattrName},
       {"value", BytesIn<3>},
       {"size", Size},
       {"flags", Flags<kXattrFlags>}}}},
    {"fsetxattr",
     Returns::kDecimal,
     {{{"fd", Fd},
       {"name", XattrName},
       {"value", BytesIn<3>},
       {"size", Size},
       {"flags", Flags<kXattrFlags>}}}},
    {"listxattr", Returns::kDecimal, {{{"path", Path}, {"list", XattrOut<2>}, {"size", Size}}}},
    {"llistxattr", Returns::kDecimal, {{{"path", Path}, {"list", XattrOut<2>}, {"size", Size}}}},
    {"flistxattr", Returns::kDecimal, {{{"fd", Fd}, {"list", XattrOut<2>}, {"size", Size}}}},
    {"removexattr", Returns::kDecimal, {{{"path", Path}, {"name", XattrName}}}},
    {"lremovexattr", Returns::kDecimal, {{{"path", Path}, {"name", XattrName}}}},
    {"fremovexattr", Returns::kDecimal, {{{"fd", Fd}, {"name", XattrName}}}},
    {"inotify_init", Returns::kDescriptor, {}, nullptr, kClassDesc},
    {"inotify_init1", Returns::kDescriptor, {{{"flags", Flags<kInotifyInitFlags>}}}},
    {"inotify_add_watch",
     Returns::kDecimal,
     {{{"fd", Fd}, {"path", Path}, {"mask", Flags<kInotifyMask>}}}},
    {"inotify_rm_watch", Returns::kDecimal, {{{"fd", Fd}, {"wd", Int}}}},
    {"fanotify_init",
     Returns::kDescriptor,
     {{{"flags", Flags<kFanotifyInitFlags>}, {"event_f_flags", Flags<kOpenFlags>}}}},
    {"fanotify_mark",
     Returns::kDecimal,
     {{{"fd", Fd},
       {"flags", Flags<kFanotifyMarkFlags>},
       {"mask", Flags64<kFanotifyMask>},
       {"dfd", Directory},
       {"path", Path}}}},
    {"name_to_handle_at",
     Returns::kDecimal,
     {{{"dfd", Directory},
       {"path", Path},
       {"handle", HandleOut},
       {"mount_id", IntOut},
       {"flags", Flags<kHandleFlags>}}}},
    {"open_by_handle_at",
     Returns::kDescriptor,
     {{{"mount_fd", Fd}, {"handle", HandleIn}, {"flags", Flags<kOpenFlags>}}}},
};

}  // namespace

std::span<const CallInfo> PathCalls() { return kCalls; }

}  // namespace utrace::syscall_log
