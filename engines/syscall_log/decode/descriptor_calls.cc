// Calls on descriptors: opening, reading and writing, copying, fcntl. ioctl has a file of its own.
#include <fcntl.h>
#include <linux/openat2.h>

#include "engines/syscall_log/decode/groups.h"
#include "engines/syscall_log/decode/ioctl.h"
#include "engines/syscall_log/decode/structs.h"
#include "engines/syscall_log/decode/tables.h"

namespace utrace::syscall_log {
namespace {

using Args = std::array<uint64_t, 6>;

void PutOpenFlags(Renderer& out, uint64_t flags) {
  PutNameAndFlags(out, kOpenAccess, O_ACCMODE, kOpenFlags, flags);
}
void ShowOpenFlags(Call& call, uint64_t flags) {
  PutOpenFlags(call.out, static_cast<uint32_t>(flags));
}
constexpr Type OpenFlags{ShowOpenFlags};

// The mode is passed only where a file may be made.
template <unsigned kFlags>
bool HasMode(const Args& args) {
  return (args[kFlags] & O_CREAT) != 0 || (args[kFlags] & O_TMPFILE) == O_TMPFILE;
}
template <unsigned kFlags>
constexpr Type OpenMode{.show = ShowOctal, .present = HasMode<kFlags>};

void PutOpenHow(Call& call, const open_how& how) {
  call.out.BeginStruct();
  call.out.Field("flags");
  PutOpenFlags(call.out, how.flags);
  if (HasMode<0>({how.flags}) || how.mode != 0) {
    call.out.Field("mode");
    call.out.Octal(how.mode);
  }
  PutFlagsField(call.out, "resolve", kResolveFlags, how.resolve);
  call.out.EndStruct();
}

void ShowPipe(Call& call, uint64_t address) {
  PutArray<int32_t>(call, address, 2, [](Call& c, const int32_t& fd) { PutDescriptor(c, fd); });
}
constexpr Type PipeOut{ShowPipe, When::kExit};

void PutLock(Call& call, const struct flock& lock) {
  call.out.BeginStruct();
  PutNameField(call.out, "l_type", kLockType, static_cast<uint64_t>(lock.l_type));
  PutNameField(call.out, "l_whence", kWhence, static_cast<uint64_t>(lock.l_whence));
  PutSignedField(call.out, "l_start", lock.l_start);
  PutSignedField(call.out, "l_len", lock.l_len);
  // Who holds it, for those who ask.
  const int command = static_cast<int>(call.args[1]);
  if (call.exit && (command == F_GETLK || command == F_OFD_GETLK)) {
    PutSignedField(call.out, "l_pid", lock.l_pid);
  }
  call.out.EndStruct();
}

// struct f_owner_ex, whose type is an enumeration: of a program's it may be any number.
struct FileOwner {
  int32_t type;
  int32_t pid;
};

void PutOwner(Call& call, const FileOwner& owner) {
  call.out.BeginStruct();
  PutNameField(call.out, "type", kOwnerType, static_cast<uint64_t>(owner.type));
  PutSignedField(call.out, "pid", owner.pid);
  call.out.EndStruct();
}

bool FcntlHasArgument(const Args& args) {
  switch (static_cast<int>(args[1])) {
    case F_GETFD:
    case F_GETFL:
    case F_GETOWN:
    case F_GETSIG:
    case F_GETLEASE:
    case F_GETPIPE_SZ:
    case F_GET_SEALS:
      return false;
    default:
      return true;
  }
}

void ShowFcntlArgument(Call& call, uint64_t value) {
  const int command = static_cast<int>(call.args[1]);
  // What these ask for is there at exit; it is an input of all others.
  const bool output = command == F_GETLK || command == F_OFD_GETLK || command == F_GETOWN_EX;
  if (output && call.exit && !call.succeeded()) return call.out.Address(value);
  switch (command) {
    case F_SETFD:
      return PutFlags(call.out, kFdFlags, static_cast<uint32_t>(value));
    case F_SETFL:
      return PutOpenFlags(call.out, static_cast<uint32_t>(value));
    case F_GETLK:
    case F_SETLK:
    case F_SETLKW:
    case F_OFD_GETLK:
    case F_OFD_SETLK:
    case F_OFD_SETLKW:
      return AtAddress<struct flock, PutLock>(call, value);
    case F_GETOWN_EX:
    case F_SETOWN_EX:
      return AtAddress<FileOwner, PutOwner>(call, value);
    case F_SETSIG:
      return ShowSignalNumber(call, value);
    case F_SETLEASE:
      return PutName(call.out, kLeaseType, value);
    case F_NOTIFY:
      return PutFlags(call.out, kNotifyFlags, static_cast<uint32_t>(value));
    case F_ADD_SEALS:
      return PutFlags(call.out, kSealFlags, static_cast<uint32_t>(value));
    case F_DUPFD:
    case F_DUPFD_CLOEXEC:
    case F_SETOWN:
    case F_SETPIPE_SZ:
      return ShowInt(call, value);
    default:
      return call.out.Hex(value);
  }
}

// Locks are shown with the number of who holds them once the call is over.
constexpr Type FcntlArgument{
    .show = ShowFcntlArgument, .when = When::kBoth, .present = FcntlHasArgument};

bool FcntlNote(Call& call) {
  switch (static_cast<int>(call.args[1])) {
    case F_GETFD:
    case F_GETFL:
    case F_GET_SEALS:
      break;
    default:
      return false;
  }
  const auto value = static_cast<uint64_t>(call.value);
  if (static_cast<int>(call.args[1]) != F_GETFL && value == 0) return false;
  call.out.BeginNote();
  call.out.FieldWithoutText("flags");
  call.out.TextOnly("flags ");
  if (static_cast<int>(call.args[1]) == F_GETFD) {
    PutFlags(call.out, kFdFlags, value);
  } else if (static_cast<int>(call.args[1]) == F_GETFL) {
    PutOpenFlags(call.out, value);
  } else {
    PutFlags(call.out, kSealFlags, value);
  }
  call.out.EndNote();
  return true;
}

void ShowFlockOperation(Call& call, uint64_t value) {
  PutNameAndFlags(call.out, kFlockOperation, ~uint64_t{4}, kFlockOperation,
                  static_cast<uint32_t>(value));
}

constexpr CallInfo kCalls[] = {
    {"open", Returns::kDescriptor, {{{"path", Path}, {"flags", OpenFlags}, {"mode", OpenMode<1>}}}},
    {"openat",
     Returns::kDescriptor,
     {{{"dfd", Directory}, {"path", Path}, {"flags", OpenFlags}, {"mode", OpenMode<2>}}}},
    {"openat2",
     Returns::kDescriptor,
     {{{"dfd", Directory}, {"path", Path}, {"how", In<open_how, PutOpenHow>}, {"size", Size}}}},
    {"creat", Returns::kDescriptor, {{{"path", Path}, {"mode", Mode}}}},
    {"close", Returns::kDecimal, {{{"fd", Fd}}}},
    {"close_range",
     Returns::kDecimal,
     {{{"first", UInt}, {"last", UInt}, {"flags", Flags<kCloseRangeFlags>}}},
     nullptr,
     kClassDesc},
    {"read", Returns::kDecimal, {{{"fd", Fd}, {"buf", ResultBytes}, {"count", Size}}}},
    {"write", Returns::kDecimal, {{{"fd", Fd}, {"buf", BytesIn<2>}, {"count", Size}}}},
    {"pread64",
     Returns::kDecimal,
     {{{"fd", Fd}, {"buf", ResultBytes}, {"count", Size}, {"offset", Long}}}},
    {"pwrite64",
     Returns::kDecimal,
     {{{"fd", Fd}, {"buf", BytesIn<2>}, {"count", Size}, {"offset", Long}}}},
    {"readv", Returns::kDecimal, {{{"fd", Fd}, {"iov", VectorOut<2>}, {"iovcnt", Size}}}},
    {"writev", Returns::kDecimal, {{{"fd", Fd}, {"iov", VectorIn<2>}, {"iovcnt", Size}}}},
    {"preadv",
     Returns::kDecimal,
     {{{"fd", Fd}, {"iov", VectorOut<2>}, {"iovcnt", Size}, {"offset", Long}}}},
    {"pwritev",
     Returns::kDecimal,
     {{{"fd", Fd}, {"iov", VectorIn<2>}, {"iovcnt", Size}, {"offset", Long}}}},
    {"preadv2",
     Returns::kDecimal,
     {{{"fd", Fd},
       {"iov", VectorOut<2>},
       {"iovcnt", Size},
       {"offset", Long},
       {},
       {"flags", Flags<kRwfFlags>}}}},
    {"pwritev2",
     Returns::kDecimal,
     {{{"fd", Fd},
       {"iov", VectorIn<2>},
       {"iovcnt", Size},
       {"offset", Long},
       {},
       {"flags", Flags<kRwfFlags>}}}},
    {"vmsplice",
     Returns::kDecimal,
     {{{"fd", Fd}, {"iov", VectorIn<2>}, {"iovcnt", Size}, {"flags", Flags<kSpliceFlags>}}}},
    {"splice",
     Returns::kDecimal,
     {{{"fd_in", Fd},
       {"off_in", LongInOut},
       {"fd_out", Fd},
       {"off_out", LongInOut},
       {"len", Size},
       {"flags", Flags<kSpliceFlags>}}}},
    {"tee",
     Returns::kDecimal,
     {{{"fd_in", Fd}, {"fd_out", Fd}, {"len", Size}, {"flags", Flags<kSpliceFlags>}}}},
    {"sendfile",
     Returns::kDecimal,
     {{{"out_fd", Fd}, {"in_fd", Fd}, {"offset", LongInOut}, {"count", Size}}},
     nullptr,
     kClassNetwork},
    {"copy_file_range",
     Returns::kDecimal,
     {{{"fd_in", Fd},
       {"off_in", LongInOut},
       {"fd_out", Fd},
       {"off_out", LongInOut},
       {"len", Size},
       {"flags", HexInt}}}},
    {"lseek", Returns::kDecimal, {{{"fd", Fd}, {"offset", Long}, {"whence", Named<kWhence>}}}},
    {"dup", Returns::kDescriptor, {{{"oldfd", Fd}}}},
    {"dup2", Returns::kDescriptor, {{{"oldfd", Fd}, {"newfd", Fd}}}},
    {"dup3",
     Returns::kDescriptor,
     {{{"oldfd", Fd}, {"newfd", Fd}, {"flags", Flags<kCloexecNonblock>}}}},
    {"pipe", Returns::kDecimal, {{{"fds", PipeOut}}}, nullptr, kClassDesc},
    {"pipe2",
     Returns::kDecimal,
     {{{"fds", PipeOut}, {"flags", Flags<kPipeFlags>}}},
     nullptr,
     kClassDesc},
    {"fcntl",
     Returns::kDecimal,
     {{{"fd", Fd}, {"cmd", Named<kFcntlCommand>}, {"arg", FcntlArgument}}},
     FcntlNote},
    {"flock", Returns::kDecimal, {{{"fd", Fd}, {"operation", {ShowFlockOperation}}}}},
    {"fsync", Returns::kDecimal, {{{"fd", Fd}}}},
    {"fdatasync", Returns::kDecimal, {{{"fd", Fd}}}},
    {"syncfs", Returns::kDecimal, {{{"fd", Fd}}}},
    {"sync", Returns::kDecimal, {}},
    {"sync_file_range",
     Returns::kDecimal,
     {{{"fd", Fd}, {"offset", Long}, {"nbytes", Long}, {"flags", Flags<kSyncRangeFlags>}}}},
    {"ftruncate", Returns::kDecimal, {{{"fd", Fd}, {"length", Long}}}},
    {"truncate", Returns::kDecimal, {{{"path", Path}, {"length", Long}}}},
    {"fallocate",
     Returns::kDecimal,
     {{{"fd", Fd}, {"mode", Flags<kFallocateMode>}, {"offset", Long}, {"len", Long}}}},
    {"fadvise64",
     Returns::kDecimal,
     {{{"fd", Fd}, {"offset", Long}, {"len", Long}, {"advice", Named<kFadvise>}}}},
    {"readahead", Returns::kDecimal, {{{"fd", Fd}, {"offset", Long}, {"count", Size}}}},
    {"ioctl", Returns::kDecimal, {{{"fd", Fd}, {"request", IoctlRequest}, {"arg", IoctlArgument}}}},
};

}  // namespace

std::span<const CallInfo> DescriptorCalls() { return kCalls; }

}  // namespace utrace::syscall_log
