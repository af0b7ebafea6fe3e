// Calls that tell about files and file systems.
#include <fcntl.h>
#include <linux/stat.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <utime.h>

#include "engines/syscall_log/decode/groups.h"
#include "engines/syscall_log/decode/structs.h"
#include "engines/syscall_log/decode/tables.h"

namespace utrace::syscall_log {
namespace {

void PutTime(Call& call, std::string_view name, std::string_view nanoseconds,
             const timespec& time) {
  call.out.Field(name);
  PutDate(call, time.tv_sec);
  PutSignedField(call.out, nanoseconds, time.tv_nsec);
}

void PutStat(Call& call, const struct stat& file) {
  Renderer& out = call.out;
  const bool device = S_ISCHR(file.st_mode) || S_ISBLK(file.st_mode);
  const auto size_or_device = [&] {
    if (device) {
      out.Field("st_rdev");
      PutDevice(out, file.st_rdev);
    } else {
      PutSignedField(out, "st_size", file.st_size);
    }
  };
  out.BeginStruct();
  if (!call.style.verbose) {
    out.Field("st_mode");
    PutMode(out, file.st_mode);
    size_or_device();
    out.More();
    return out.EndStruct();
  }
  out.Field("st_dev");
  PutDevice(out, file.st_dev);
  PutUnsignedField(out, "st_ino", file.st_ino);
  out.Field("st_mode");
  PutMode(out, file.st_mode);
  PutUnsignedField(out, "st_nlink", file.st_nlink);
  PutUnsignedField(out, "st_uid", file.st_uid);
  PutUnsignedField(out, "st_gid", file.st_gid);
  PutSignedField(out, "st_blksize", file.st_blksize);
  PutSignedField(out, "st_blocks", file.st_blocks);
  size_or_device();
  PutTime(call, "st_atime", "st_atime_nsec", file.st_atim);
  PutTime(call, "st_mtime", "st_mtime_nsec", file.st_mtim);
  PutTime(call, "st_ctime", "st_ctime_nsec", file.st_ctim);
  out.EndStruct();
}
constexpr Type StatOut = Out<struct stat, PutStat>;

void PutStatxTime(Call& call, std::string_view name, const statx_timestamp& time) {
  call.out.Field(name);
  PutDatedTime(call, time.tv_sec, time.tv_nsec);
}

void PutStatx(Call& call, const struct statx& file) {
  Renderer& out = call.out;
  const bool verbose = call.style.verbose;
  out.BeginStruct();
  PutFlagsField(out, "stx_mask", kStatxMask, file.stx_mask);
  if (verbose) PutUnsignedField(out, "stx_blksize", file.stx_blksize);
  PutFlagsField(out, "stx_attributes", kStatxAttributes, file.stx_attributes);
  if (verbose) {
    PutUnsignedField(out, "stx_nlink", file.stx_nlink);
    PutUnsignedField(out, "stx_uid", file.stx_uid);
    PutUnsignedField(out, "stx_gid", file.stx_gid);
  }
  out.Field("stx_mode");
  PutMode(out, file.stx_mode);
  if (verbose) PutUnsignedField(out, "stx_ino", file.stx_ino);
  PutUnsignedField(out, "stx_size", file.stx_size);
  if (verbose) {
    PutUnsignedField(out, "stx_blocks", file.stx_blocks);
    PutFlagsField(out, "stx_attributes_mask", kStatxAttributes, file.stx_attributes_mask);
    PutStatxTime(call, "stx_atime", file.stx_atime);
    PutStatxTime(call, "stx_btime", file.stx_btime);
    PutStatxTime(call, "stx_ctime", file.stx_ctime);
    PutStatxTime(call, "stx_mtime", file.stx_mtime);
    PutUnsignedField(out, "stx_rdev_major", file.stx_rdev_major);
    PutUnsignedField(out, "stx_rdev_minor", file.stx_rdev_minor);
    PutUnsignedField(out, "stx_dev_major", file.stx_dev_major);
    PutUnsignedField(out, "stx_dev_minor", file.stx_dev_minor);
  } else {
    out.More();
  }
  out.EndStruct();
}

void ShowStatxFlags(Call& call, uint64_t value) {
  PutNameAndFlags(call.out, kStatxSync, AT_STATX_SYNC_TYPE, kStatxFlags,
                  static_cast<uint32_t>(value));
}

// The kernel marks flags that it filled in.
constexpr uint64_t kStatfsFlagsAreValid = 0x20;

void PutStatfs(Call& call, const struct statfs& system) {
  Renderer& out = call.out;
  out.BeginStruct();
  PutNameField(out, "f_type", kFsMagic, static_cast<uint64_t>(system.f_type));
  PutSignedField(out, "f_bsize", system.f_bsize);
  PutUnsignedField(out, "f_blocks", system.f_blocks);
  PutUnsignedField(out, "f_bfree", system.f_bfree);
  PutUnsignedField(out, "f_bavail", system.f_bavail);
  PutUnsignedField(out, "f_files", system.f_files);
  PutUnsignedField(out, "f_ffree", system.f_ffree);
  out.Field("f_fsid");
  out.BeginStruct();
  out.Field("val");
  out.BeginArray();
  for (const int part : system.f_fsid.__val) out.Hex(static_cast<uint32_t>(part));
  out.EndArray();
  out.EndStruct();
  PutSignedField(out, "f_namelen", system.f_namelen);
  PutSignedField(out, "f_frsize", system.f_frsize);
  const auto flags = static_cast<uint64_t>(system.f_flags);
  out.Field("f_flags");
  out.BeginFlags();
  if ((flags & kStatfsFlagsAreValid) != 0) out.Name("ST_VALID");
  const uint64_t rest = PutFlagNames(out, kStatfsFlags, flags & ~kStatfsFlagsAreValid);
  if (rest != 0) out.Hex(rest);
  out.EndFlags();
  out.EndStruct();
}
constexpr Type StatfsOut = Out<struct statfs, PutStatfs>;

void PutUtimbuf(Call& call, const utimbuf& times) {
  call.out.BeginStruct();
  call.out.Field("actime");
  PutDate(call, times.actime);
  call.out.Field("modtime");
  PutDate(call, times.modtime);
  call.out.EndStruct();
}

void ShowTimevals(Call& call, uint64_t address) { PutArray<timeval>(call, address, 2, PutTimeval); }

void ShowTimespecs(Call& call, uint64_t address) {
  PutArray<timespec>(call, address, 2, [](Call& c, const timespec& time) {
    if (time.tv_nsec == UTIME_NOW) return c.out.Name("UTIME_NOW");
    if (time.tv_nsec == UTIME_OMIT) return c.out.Name("UTIME_OMIT");
    PutDatedTime(c, time.tv_sec, time.tv_nsec);
  });
}

constexpr CallInfo kCalls[] = {
    {"stat", Returns::kDecimal, {{{"path", Path}, {"statbuf", StatOut}}}, nullptr, kClassStat},
    {"lstat", Returns::kDecimal, {{{"path", Path}, {"statbuf", StatOut}}}, nullptr, kClassStat},
    {"fstat", Returns::kDecimal, {{{"fd", Fd}, {"statbuf", StatOut}}}, nullptr, kClassStat},
    {"newfstatat",
     Returns::kDecimal,
     {{{"dfd", Directory}, {"path", Path}, {"statbuf", StatOut}, {"flags", Flags<kAtFlags>}}},
     nullptr,
     kClassStat},
    {"statx",
     Returns::kDecimal,
     {{{"dfd", Directory},
       {"path", Path},
       {"flags", {ShowStatxFlags}},
       {"mask", Flags<kStatxMask>},
       {"statxbuf", Out<struct statx, PutStatx>}}},
     nullptr,
     kClassStat},
    {"statfs", Returns::kDecimal, {{{"path", Path}, {"buf", StatfsOut}}}},
    {"fstatfs", Returns::kDecimal, {{{"fd", Fd}, {"buf", StatfsOut}}}},
    {"ustat", Returns::kDecimal, {{{"dev", HexLong}, {"ubuf", Pointer}}}},
    {"utime", Returns::kDecimal, {{{"path", Path}, {"times", In<utimbuf, PutUtimbuf>}}}},
    {"utimes", Returns::kDecimal, {{{"path", Path}, {"times", {ShowTimevals}}}}},
    {"futimesat",
     Returns::kDecimal,
     {{{"dfd", Directory}, {"path", Path}, {"times", {ShowTimevals}}}}},
    {"utimensat",
     Returns::kDecimal,
     {{{"dfd", Directory},
       {"path", Path},
       {"times", {ShowTimespecs}},
       {"flags", Flags<kAtFlags>}}}},
};

}  // namespace

std::span<const CallInfo> StatCalls() { return kCalls; }

}  // namespace utrace::syscall_log
