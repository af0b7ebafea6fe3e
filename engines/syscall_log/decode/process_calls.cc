// Calls that make, end, await and control processes and threads.
#include <linux/futex.h>
#include <linux/prctl.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <sys/syscall.h>

#include "engines/syscall_log/decode/groups.h"
#include "engines/syscall_log/decode/signals.h"
#include "engines/syscall_log/decode/structs.h"
#include "engines/syscall_log/decode/tables.h"

namespace utrace::syscall_log {
namespace {

using Args = std::array<uint64_t, 6>;

// ---- clone. Its arguments are named, as their order differs between machines.

constexpr unsigned kParentTid = 2;
#ifdef __x86_64__
constexpr unsigned kChildTid = 3;
constexpr unsigned kTls = 4;
#else
constexpr unsigned kTls = 3;
constexpr unsigned kChildTid = 4;
#endif

void PutCloneFlags(Renderer& out, uint64_t flags) {
  const int signal = static_cast<int>(flags & CSIGNAL);
  out.BeginFlags();
  const uint64_t rest = PutFlagNames(out, kCloneFlags, flags & ~uint64_t{CSIGNAL});
  if (rest != 0) out.Hex(rest);
  if (signal != 0) PutSignal(out, signal);
  out.EndFlags();
}

void ShowCloneFlags(Call& call, uint64_t) { PutCloneFlags(call.out, call.args[0]); }
void ShowCloneStack(Call& call, uint64_t) { call.out.Address(call.args[1]); }
void ShowParentTid(Call& call, uint64_t) { ShowIntAt(call, call.args[kParentTid]); }
void ShowTls(Call& call, uint64_t) { call.out.Address(call.args[kTls]); }
void ShowChildTid(Call& call, uint64_t) { call.out.Address(call.args[kChildTid]); }
bool HasParentTid(const Args& args) { return (args[0] & (CLONE_PARENT_SETTID | CLONE_PIDFD)) != 0; }
bool HasTls(const Args& args) { return (args[0] & CLONE_SETTLS) != 0; }
bool HasChildTid(const Args& args) {
  return (args[0] & (CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID)) != 0;
}

void PutCloneArgs(Call& call, uint64_t address) {
  clone_args arguments{};
  const size_t size = std::min<uint64_t>(call.args[1], sizeof(arguments));
  if (address == 0 || size < CLONE_ARGS_SIZE_VER0 ||
      call.memory.Read(address, &arguments, size) != size) {
    return call.out.Address(address);
  }
  Renderer& out = call.out;
  const uint64_t flags = arguments.flags;
  out.BeginStruct();
  PutFlagsField(out, "flags", kClone3Flags, flags);
  if ((flags & CLONE_PIDFD) != 0) {
    out.Field("pidfd");
    if (call.exit && call.succeeded()) {
      ShowIntAt(call, arguments.pidfd);
    } else {
      out.Address(arguments.pidfd);
    }
  }
  if (HasChildTid({flags})) PutAddressField(out, "child_tid", arguments.child_tid);
  if ((flags & CLONE_PARENT_SETTID) != 0) {
    out.Field("parent_tid");
    if (call.exit && call.succeeded()) {
      ShowIntAt(call, arguments.parent_tid);
    } else {
      out.Address(arguments.parent_tid);
    }
  }
  out.Field("exit_signal");
  PutSignal(out, static_cast<int>(arguments.exit_signal));
  PutAddressField(out, "stack", arguments.stack);
  PutHexField(out, "stack_size", arguments.stack_size);
  if (HasTls({flags})) PutAddressField(out, "tls", arguments.tls);
  if (arguments.set_tid != 0 || arguments.set_tid_size != 0) {
    out.Field("set_tid");
    PutArray<int32_t>(call, arguments.set_tid, arguments.set_tid_size,
                      [](Call& c, const int32_t& tid) { c.out.Signed(tid); });
    PutUnsignedField(out, "set_tid_size", arguments.set_tid_size);
  }
  if ((flags & CLONE_INTO_CGROUP) != 0) PutUnsignedField(out, "cgroup", arguments.cgroup);
  out.EndStruct();
}

// ---- Waiting.

void ShowWaitStatus(Call& call, uint64_t address) {
  int status;
  // Nothing is stored for nobody.
  if (address == 0 || call.value <= 0 || !call.Read(address, &status)) {
    return call.out.Address(address);
  }
  call.out.TextOnly("[");
  call.out.WaitStatus(status);
  call.out.TextOnly("]");
}

void ShowWaitUsage(Call& call, uint64_t address) {
  if (call.value <= 0) return call.out.Address(address);
  AtAddress<rusage, PutUsage>(call, address);
}

void PutInfo(Call& call, const siginfo_t& info) { PutSiginfo(call.out, info); }

// ---- Futexes.

void ShowFutexOperation(Call& call, uint64_t value) {
  const auto operation = static_cast<uint32_t>(value);
  const char* name = kFutexOperation.Find(operation & FUTEX_CMD_MASK);
  if (name == nullptr) return PutName(call.out, kFutexOperation, operation);
  const bool is_private = (operation & FUTEX_PRIVATE_FLAG) != 0;
  call.out.BeginFlags();
  call.out.Name(fmt::format("{}{}", name, is_private ? "_PRIVATE" : ""));
  if ((operation & FUTEX_CLOCK_REALTIME) != 0) call.out.Name("FUTEX_CLOCK_REALTIME");
  call.out.EndFlags();
}

unsigned FutexCommand(const Args& args) {
  return static_cast<unsigned>(args[1]) & static_cast<unsigned>(FUTEX_CMD_MASK);
}

bool FutexHasValue(const Args& args) {
  const unsigned command = FutexCommand(args);
  return command != FUTEX_LOCK_PI && command != FUTEX_UNLOCK_PI && command != FUTEX_TRYLOCK_PI &&
         command != FUTEX_LOCK_PI2;
}
bool FutexHasTimeout(const Args& args) {
  const unsigned command = FutexCommand(args);
  return command != FUTEX_WAKE && command != FUTEX_UNLOCK_PI && command != FUTEX_TRYLOCK_PI &&
         command != FUTEX_FD && command != FUTEX_WAKE_BITSET;
}
bool FutexHasSecond(const Args& args) {
  const unsigned command = FutexCommand(args);
  return command == FUTEX_REQUEUE || command == FUTEX_CMP_REQUEUE || command == FUTEX_WAKE_OP ||
         command == FUTEX_WAIT_REQUEUE_PI || command == FUTEX_CMP_REQUEUE_PI;
}
bool FutexHasThird(const Args& args) {
  const unsigned command = FutexCommand(args);
  return command == FUTEX_CMP_REQUEUE || command == FUTEX_WAKE_OP ||
         command == FUTEX_CMP_REQUEUE_PI || command == FUTEX_WAIT_BITSET ||
         command == FUTEX_WAKE_BITSET;
}

void ShowFutexTimeout(Call& call, uint64_t value) {
  switch (FutexCommand(call.args)) {
    case FUTEX_REQUEUE:
    case FUTEX_CMP_REQUEUE:
    case FUTEX_WAKE_OP:
    case FUTEX_CMP_REQUEUE_PI:
      return ShowUnsignedInt(call, value);  // a second number in the timeout's place
    default:
      return AtAddress<timespec, PutTimespec>(call, value);
  }
}

void ShowFutexThird(Call& call, uint64_t value) {
  const auto number = static_cast<uint32_t>(value);
  switch (FutexCommand(call.args)) {
    case FUTEX_WAIT_BITSET:
    case FUTEX_WAKE_BITSET: {
      const char* any = kFutexBitset.Find(number);
      if (any != nullptr) return call.out.Name(any);
      return call.out.Hex(number);
    }
    case FUTEX_WAKE_OP: {
      const uint32_t operation = number >> 28 & 0x7;
      call.out.BeginArguments("FUTEX_OP");
      PutName(call.out, kFutexOp, operation);
      call.out.Hex(number >> 12 & 0xfff);
      PutName(call.out, kFutexComparison, number >> 24 & 0xf);
      call.out.Hex(number & 0xfff);
      return call.out.EndArguments();
    }
    default:
      return call.out.Unsigned(number);
  }
}

void ShowWaiters(Call& call, uint64_t address) {
  PutArray<futex_waitv>(call, address, call.args[1], [](Call& c, const futex_waitv& waiter) {
    c.out.BeginStruct();
    PutHexField(c.out, "val", waiter.val);
    PutAddressField(c.out, "uaddr", waiter.uaddr);
    PutFlagsField(c.out, "flags", kFutexWaitvFlags, waiter.flags);
    PutUnsignedField(c.out, "__reserved", waiter.__reserved);
    c.out.EndStruct();
  });
}

// ---- prctl and relatives.

enum class PrctlArgument : uint8_t { kNumber, kText, kNumberOut, kSignal, kSignalOut, kNone, kHex };

PrctlArgument KindOfPrctl(uint64_t option) {
  switch (option) {
    case PR_SET_NAME:
    case PR_GET_NAME:
      return PrctlArgument::kText;
    case PR_SET_PDEATHSIG:
      return PrctlArgument::kSignal;
    case PR_GET_PDEATHSIG:
      return PrctlArgument::kSignalOut;
    case PR_GET_CHILD_SUBREAPER:
    case PR_GET_TSC:
    case PR_GET_UNALIGN:
    case PR_GET_FPEMU:
    case PR_GET_FPEXC:
    case PR_GET_ENDIAN:
      return PrctlArgument::kNumberOut;
    case PR_GET_DUMPABLE:
    case PR_GET_KEEPCAPS:
    case PR_GET_SECCOMP:
    case PR_GET_SECUREBITS:
    case PR_GET_TIMERSLACK:
    case PR_GET_TIMING:
    case PR_MCE_KILL_GET:
    case PR_TASK_PERF_EVENTS_DISABLE:
    case PR_TASK_PERF_EVENTS_ENABLE:
      return PrctlArgument::kNone;
    case PR_SET_DUMPABLE:
    case PR_SET_KEEPCAPS:
    case PR_SET_CHILD_SUBREAPER:
    case PR_SET_NO_NEW_PRIVS:
    case PR_GET_NO_NEW_PRIVS:
    case PR_SET_TIMERSLACK:
    case PR_SET_THP_DISABLE:
    case PR_GET_THP_DISABLE:
      return PrctlArgument::kNumber;
    default:
      return PrctlArgument::kHex;
  }
}

bool PrctlHasSecond(const Args& args) { return KindOfPrctl(args[0]) != PrctlArgument::kNone; }
bool PrctlHasMore(const Args& args) {
  const PrctlArgument kind = KindOfPrctl(args[0]);
  return kind == PrctlArgument::kHex || args[0] == PR_SET_NO_NEW_PRIVS ||
         args[0] == PR_GET_NO_NEW_PRIVS || args[0] == PR_SET_THP_DISABLE;
}
bool PrctlIsRare(const Args& args) {
  return PrctlHasMore(args) && args[0] != PR_CAPBSET_READ && args[0] != PR_CAPBSET_DROP &&
         args[0] != PR_SET_SECCOMP;
}

void ShowPrctlSecond(Call& call, uint64_t value) {
  constexpr size_t kNameSize = 16;
  const bool answered = call.exit && call.succeeded();
  switch (KindOfPrctl(call.args[0])) {
    case PrctlArgument::kText:
      if (call.args[0] == PR_GET_NAME && !answered) return call.out.Address(value);
      return PutText(call, value, kNameSize - 1);
    case PrctlArgument::kSignal:
      return PutSignal(call.out, static_cast<int>(value));
    case PrctlArgument::kSignalOut: {
      int signal;
      if (!answered || !call.Read(value, &signal)) return call.out.Address(value);
      call.out.TextOnly("[");
      PutSignal(call.out, signal);
      return call.out.TextOnly("]");
    }
    case PrctlArgument::kNumberOut:
      if (!answered) return call.out.Address(value);
      return ShowIntAt(call, value);
    case PrctlArgument::kNumber:
      return ShowLong(call, value);
    default:
      break;
  }
  switch (call.args[0]) {
    case PR_CAPBSET_READ:
    case PR_CAPBSET_DROP:
      return PutName(call.out, kCapability, value);
    case PR_SET_SECCOMP:
      return PutName(call.out, kSeccompMode, value);
    case PR_SET_MM:
      return PutName(call.out, kPrctlMm, value);
    case PR_CAP_AMBIENT:
      return PutName(call.out, kPrctlCapAmbient, value);
    case PR_SET_VMA:
      return PutName(call.out, kPrctlVma, value);
    case PR_GET_SPECULATION_CTRL:
    case PR_SET_SPECULATION_CTRL:
      return PutName(call.out, kPrctlSpeculation, value);
    default:
      return call.out.Hex(value);
  }
}
constexpr Type PrctlSecond{.show = ShowPrctlSecond, .when = When::kBoth, .present = PrctlHasSecond};

bool ArchPrctlGets(const Args& args) {
  const auto name = kArchPrctl.Find(static_cast<uint32_t>(args[0]));
  return name != nullptr &&
         (std::string_view(name) == "ARCH_GET_FS" || std::string_view(name) == "ARCH_GET_GS");
}
void ShowArchPrctl(Call& call, uint64_t value) {
  if (!ArchPrctlGets(call.args) || !call.exit || !call.succeeded()) return call.out.Address(value);
  ShowAddressAt(call, value);
}

void ShowPtraceData(Call& call, uint64_t value) {
  const auto request = static_cast<uint32_t>(call.args[0]);
  if (request == PTRACE_SETOPTIONS || request == PTRACE_SEIZE) {
    return PutFlags(call.out, kPtraceOptions, value);
  }
  call.out.Address(value);
}

constexpr Type Tid{ShowInt};

constexpr CallInfo kCalls[] = {
    {"clone",
     Returns::kDecimal,
     {{{"child_stack", {.show = ShowCloneStack, .name_in_text = true}},
       {"flags", {.show = ShowCloneFlags, .name_in_text = true}},
       {"parent_tid",
        {.show = ShowParentTid,
         .when = When::kExit,
         .name_in_text = true,
         .present = HasParentTid}},
       {"tls", {.show = ShowTls, .name_in_text = true, .present = HasTls}},
       {"child_tidptr", {.show = ShowChildTid, .name_in_text = true, .present = HasChildTid}}}},
     nullptr,
     kClassProcess},
    {"clone3",
     Returns::kDecimal,
     {{{"args", {PutCloneArgs, When::kBoth}}, {"size", Size}}},
     nullptr,
     kClassProcess},
    {"fork", Returns::kDecimal, {}, nullptr, kClassProcess},
    {"vfork", Returns::kDecimal, {}, nullptr, kClassProcess},
    {"execve",
     Returns::kDecimal,
     {{{"path", Path}, {"argv", {ShowTexts}}, {"envp", {ShowTextCount}}}},
     nullptr,
     kClassProcess},
    {"execveat",
     Returns::kDecimal,
     {{{"dfd", Directory},
       {"path", Path},
       {"argv", {ShowTexts}},
       {"envp", {ShowTextCount}},
       {"flags", Flags<kAtFlags>}}},
     nullptr,
     kClassProcess},
    {"exit", Returns::kNothing, {{{"status", Int}}}, nullptr, kClassProcess},
    {"exit_group", Returns::kNothing, {{{"status", Int}}}, nullptr, kClassProcess},
    {"wait4",
     Returns::kDecimal,
     {{{"pid", Int},
       {"status", {ShowWaitStatus, When::kExit}},
       {"options", Flags<kWaitOptions>},
       {"rusage", {ShowWaitUsage, When::kExit}}}},
     nullptr,
     kClassProcess},
    {"waitid",
     Returns::kDecimal,
     {{{"idtype", Named<kIdType>},
       {"id", Int},
       {"info", Out<siginfo_t, PutInfo>},
       {"options", Flags<kWaitidOptions>},
       {"rusage", UsageOut}}},
     nullptr,
     kClassProcess},
    {"set_tid_address", Returns::kDecimal, {{{"tidptr", Pointer}}}},
    {"set_robust_list", Returns::kDecimal, {{{"head", Pointer}, {"len", Size}}}},
    {"get_robust_list",
     Returns::kDecimal,
     {{{"pid", Int}, {"head", AddressOut}, {"len", LongOut}}}},
    {"rseq",
     Returns::kDecimal,
     {{{"rseq", Pointer}, {"len", HexInt}, {"flags", Flags<kRseqFlags>}, {"sig", HexInt}}}},
    {"futex",
     Returns::kDecimal,
     {{{"uaddr", Pointer},
       {"op", {ShowFutexOperation}},
       {"val", {.show = ShowUnsignedInt, .present = FutexHasValue}},
       {"timeout", {.show = ShowFutexTimeout, .present = FutexHasTimeout}},
       {"uaddr2", {.show = ShowAddress, .present = FutexHasSecond}},
       {"val3", {.show = ShowFutexThird, .present = FutexHasThird}}}}},
    {"futex_waitv",
     Returns::kDecimal,
     {{{"waiters", {ShowWaiters}},
       {"count", UInt},
       {"flags", HexInt},
       {"timeout", TimespecIn},
       {"clockid", Named<kClock>}}}},
    {"prctl",
     Returns::kDecimal,
     {{{"option", Named<kPrctlOption>},
       {"arg2", PrctlSecond},
       {"arg3", {.show = ShowHex, .present = PrctlIsRare}},
       {"arg4", {.show = ShowHex, .present = PrctlIsRare}},
       {"arg5", {.show = ShowHex, .present = PrctlIsRare}}}}},
    {"arch_prctl",
     Returns::kDecimal,
     {{{"code", Named<kArchPrctl>}, {"addr", {ShowArchPrctl, When::kBoth}}}},
     nullptr,
     kClassProcess},
    {"ptrace",
     Returns::kDecimal,
     {{{"request", Named<kPtraceRequest>},
       {"pid", Int},
       {"addr", Pointer},
       {"data", {ShowPtraceData}}}}},
    {"unshare", Returns::kDecimal, {{{"flags", Flags<kUnshareFlags>}}}, nullptr, kClassProcess},
    {"setns",
     Returns::kDecimal,
     {{{"fd", Fd}, {"nstype", Flags<kUnshareFlags>}}},
     nullptr,
     kClassProcess},
    {"pidfd_open",
     Returns::kDescriptor,
     {{{"pid", Int}, {"flags", Flags<kPidfdFlags>}}},
     nullptr,
     kClassProcess},
    {"pidfd_getfd", Returns::kDescriptor, {{{"pidfd", Fd}, {"targetfd", Int}, {"flags", HexInt}}}},
    {"getpid", Returns::kDecimal, {}},
    {"getppid", Returns::kDecimal, {}},
    {"gettid", Returns::kDecimal, {}},
    {"getpgrp", Returns::kDecimal, {}},
    {"getpgid", Returns::kDecimal, {{{"pid", Tid}}}},
    {"setpgid", Returns::kDecimal, {{{"pid", Tid}, {"pgid", Tid}}}},
    {"getsid", Returns::kDecimal, {{{"pid", Tid}}}},
    {"setsid", Returns::kDecimal, {}},
    {"kcmp",
     Returns::kDecimal,
     {{{"pid1", Int},
       {"pid2", Int},
       {"type", Named<kKcmpType>},
       {"idx1", HexLong},
       {"idx2", HexLong}}},
     nullptr,
     kClassProcess},
    {"vhangup", Returns::kDecimal, {}},
};

}  // namespace

std::span<const CallInfo> ProcessCalls() { return kCalls; }

}  // namespace utrace::syscall_log
