// Calls on signals.
#include <csignal>

#include "engines/syscall_log/decode/groups.h"
#include "engines/syscall_log/decode/signals.h"
#include "engines/syscall_log/decode/structs.h"
#include "engines/syscall_log/decode/tables.h"

namespace utrace::syscall_log {
namespace {

// The kernel's structure; the C library's differs.
struct KernelSigaction {
  uint64_t handler;
  uint64_t flags;
#ifdef __x86_64__
  uint64_t restorer;
#endif
};

void ShowAction(Call& call, uint64_t address) {
  KernelSigaction action;
  std::array<uint8_t, 128> mask;
  const uint64_t mask_size = std::min<uint64_t>(call.args[3], mask.size());
  if (address == 0 || !call.Read(address, &action) ||
      call.memory.Read(address + sizeof(action), mask.data(), mask_size) != mask_size) {
    return call.out.Address(address);
  }
  Renderer& out = call.out;
  out.BeginStruct();
  out.Field("sa_handler");
  if (action.handler == reinterpret_cast<uint64_t>(SIG_DFL)) {
    out.Name("SIG_DFL");
  } else if (action.handler == reinterpret_cast<uint64_t>(SIG_IGN)) {
    out.Name("SIG_IGN");
  } else {
    out.Address(action.handler);
  }
  out.Field("sa_mask");
  PutSignalSet(out, mask.data(), mask_size);
  PutFlagsField(out, "sa_flags", kSigactionFlags, action.flags);
#ifdef __x86_64__
  constexpr uint64_t kHasRestorer = 0x04000000;  // SA_RESTORER
  if ((action.flags & kHasRestorer) != 0) PutAddressField(out, "sa_restorer", action.restorer);
#endif
  out.EndStruct();
}

void PutInfo(Call& call, const siginfo_t& info) { PutSiginfo(call.out, info); }
constexpr Type InfoIn = In<siginfo_t, PutInfo>;

void PutStack(Call& call, const stack_t& stack) {
  call.out.BeginStruct();
  PutAddressField(call.out, "ss_sp", reinterpret_cast<uint64_t>(stack.ss_sp));
  PutFlagsField(call.out, "ss_flags", kSigaltstackFlags, static_cast<uint32_t>(stack.ss_flags));
  PutUnsignedField(call.out, "ss_size", stack.ss_size);
  call.out.EndStruct();
}

// Which signal a wait took.
bool SignalNote(Call& call) {
  if (call.value <= 0) return false;
  call.out.BeginNote();
  call.out.FieldWithoutText("signal");
  PutSignal(call.out, static_cast<int>(call.value));
  call.out.EndNote();
  return true;
}

constexpr CallInfo kCalls[] = {
    {"kill", Returns::kDecimal, {{{"pid", Int}, {"sig", Signal}}}},
    {"tkill", Returns::kDecimal, {{{"tid", Int}, {"sig", Signal}}}},
    {"tgkill", Returns::kDecimal, {{{"tgid", Int}, {"tid", Int}, {"sig", Signal}}}},
    {"pidfd_send_signal",
     Returns::kDecimal,
     {{{"pidfd", Fd}, {"sig", Signal}, {"info", InfoIn}, {"flags", HexInt}}}},
    {"rt_sigqueueinfo", Returns::kDecimal, {{{"pid", Int}, {"sig", Signal}, {"info", InfoIn}}}},
    {"rt_tgsigqueueinfo",
     Returns::kDecimal,
     {{{"tgid", Int}, {"tid", Int}, {"sig", Signal}, {"info", InfoIn}}}},
    {"rt_sigaction",
     Returns::kDecimal,
     {{{"sig", Signal},
       {"act", {ShowAction}},
       {"oldact", {ShowAction, When::kExit}},
       {"sigsetsize", Size}}}},
    {"rt_sigprocmask",
     Returns::kDecimal,
     {{{"how", Named<kSigprocmaskHow>},
       {"set", SignalSetIn<3>},
       {"oldset", SignalSetOut<3>},
       {"sigsetsize", Size}}}},
    {"rt_sigpending", Returns::kDecimal, {{{"set", SignalSetOut<1>}, {"sigsetsize", Size}}}},
    {"rt_sigsuspend", Returns::kDecimal, {{{"mask", SignalSetIn<1>}, {"sigsetsize", Size}}}},
    {"rt_sigtimedwait",
     Returns::kDecimal,
     {{{"set", SignalSetIn<3>},
       {"info", Out<siginfo_t, PutInfo>},
       {"timeout", TimespecIn},
       {"sigsetsize", Size}}},
     SignalNote},
    {"rt_sigreturn", Returns::kNothing, {}},
    {"sigaltstack",
     Returns::kDecimal,
     {{{"ss", In<stack_t, PutStack>}, {"old_ss", Out<stack_t, PutStack>}}}},
    {"signalfd",
     Returns::kDescriptor,
     {{{"fd", Fd}, {"mask", SignalSetIn<2>}, {"sizemask", Size}}}},
    {"signalfd4",
     Returns::kDescriptor,
     {{{"fd", Fd},
       {"mask", SignalSetIn<2>},
       {"sizemask", Size},
       {"flags", Flags<kSignalfdFlags>}}}},
    {"pause", Returns::kDecimal, {}},
    {"alarm", Returns::kDecimal, {{{"seconds", UInt}}}},
};

}  // namespace

std::span<const CallInfo> SignalCalls() { return kCalls; }

}  // namespace utrace::syscall_log
