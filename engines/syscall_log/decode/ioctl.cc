#include "engines/syscall_log/decode/ioctl.h"

#include <asm/ioctls.h>
#include <asm/termbits.h>
#include <linux/fs.h>
#include <linux/if.h>
#include <linux/sockios.h>
#include <linux/termios.h>

#include <cstring>

#include "engines/syscall_log/decode/sockaddr.h"
#include "engines/syscall_log/decode/tables.h"
#include "engines/syscall_log/decode/values.h"

namespace utrace::syscall_log {
namespace {

// The kernel's own structure ends before the speeds.
struct KernelTermios {
  tcflag_t c_iflag;
  tcflag_t c_oflag;
  tcflag_t c_cflag;
  tcflag_t c_lflag;
  cc_t c_line;
  cc_t c_cc[19];
};

void PutTermios(Call& call, const KernelTermios& terminal) {
  Renderer& out = call.out;
  out.BeginStruct();
  PutFlagsField(out, "c_iflag", kTerminalInput, terminal.c_iflag);
  PutFlagsField(out, "c_oflag", kTerminalOutput, terminal.c_oflag);
  out.Field("c_cflag");
  out.BeginFlags();
  PutName(out, kTerminalSpeed, terminal.c_cflag & CBAUD);
  PutName(out, kTerminalSize, terminal.c_cflag & CSIZE);
  const uint64_t rest =
      PutFlagNames(out, kTerminalControl, terminal.c_cflag & ~uint64_t{CBAUD | CSIZE});
  if (rest != 0) out.Hex(rest);
  out.EndFlags();
  PutFlagsField(out, "c_lflag", kTerminalLocal, terminal.c_lflag);
  if (call.style.verbose) {
    PutUnsignedField(out, "c_line", terminal.c_line);
    out.Field("c_cc");
    out.String({reinterpret_cast<const char*>(terminal.c_cc), sizeof(terminal.c_cc)}, false);
  } else {
    out.More();
  }
  out.EndStruct();
}

void PutWindowSize(Call& call, const winsize& size) {
  call.out.BeginStruct();
  PutUnsignedField(call.out, "ws_row", size.ws_row);
  PutUnsignedField(call.out, "ws_col", size.ws_col);
  PutUnsignedField(call.out, "ws_xpixel", size.ws_xpixel);
  PutUnsignedField(call.out, "ws_ypixel", size.ws_ypixel);
  call.out.EndStruct();
}

void PutInterface(Call& call, const ifreq& request) {
  Renderer& out = call.out;
  out.BeginStruct();
  // Some ask for the name by its index.
  const auto command = static_cast<uint32_t>(call.args[1]);
  if (command != SIOCGIFNAME || call.exit) {
    PutField(out, "ifr_name", request.ifr_name, sizeof(request.ifr_name));
  }
  const bool answered = call.exit && call.succeeded();
  switch (command) {
    case SIOCGIFINDEX:
      if (answered) PutSignedField(out, "ifr_ifindex", request.ifr_ifindex);
      break;
    case SIOCGIFNAME:
      PutSignedField(out, "ifr_ifindex", request.ifr_ifindex);
      break;
    case SIOCGIFFLAGS:
      if (answered) PutHexField(out, "ifr_flags", static_cast<uint16_t>(request.ifr_flags));
      break;
    case SIOCGIFMTU:
      if (answered) PutSignedField(out, "ifr_mtu", request.ifr_mtu);
      break;
    case SIOCGIFADDR:
    case SIOCGIFDSTADDR:
    case SIOCGIFBRDADDR:
    case SIOCGIFNETMASK:
      if (answered) {
        out.Field("ifr_addr");
        PutSocketAddress(call, reinterpret_cast<const char*>(&request.ifr_addr),
                         sizeof(request.ifr_addr));
      }
      break;
    default:
      break;
  }
  out.EndStruct();
}

// What the argument of a request is, for those that are common enough to be worth it.
struct Argument {
  uint32_t request;
  enum Direction : uint8_t { kIn, kOut, kInOut, kValue, kAbsent } direction;
  Show show;
};

constexpr Argument kArguments[] = {
    {TCGETS, Argument::kOut, AtAddress<KernelTermios, PutTermios>},
    {TCSETS, Argument::kIn, AtAddress<KernelTermios, PutTermios>},
    {TCSETSW, Argument::kIn, AtAddress<KernelTermios, PutTermios>},
    {TCSETSF, Argument::kIn, AtAddress<KernelTermios, PutTermios>},
    {TCSBRK, Argument::kValue, ShowInt},
    {TCXONC, Argument::kValue, ShowName<kFlowAction>},
    {TCFLSH, Argument::kValue, ShowName<kFlushQueue>},
    {TIOCGWINSZ, Argument::kOut, AtAddress<winsize, PutWindowSize>},
    {TIOCSWINSZ, Argument::kIn, AtAddress<winsize, PutWindowSize>},
    {TIOCGPGRP, Argument::kOut, ShowIntAt},
    {TIOCSPGRP, Argument::kIn, ShowIntAt},
    {TIOCGSID, Argument::kOut, ShowIntAt},
    {TIOCGPTN, Argument::kOut, ShowUnsignedIntAt},
    {TIOCSPTLCK, Argument::kIn, ShowIntAt},
    {TIOCOUTQ, Argument::kOut, ShowIntAt},
    {TIOCSCTTY, Argument::kValue, ShowInt},
    {TIOCGPTPEER, Argument::kValue, ShowHexInt},
    {TIOCNOTTY, Argument::kAbsent, nullptr},
    {TIOCEXCL, Argument::kAbsent, nullptr},
    {TIOCNXCL, Argument::kAbsent, nullptr},
    {FIONREAD, Argument::kOut, ShowIntAt},
    {FIONBIO, Argument::kIn, ShowIntAt},
    {FIOASYNC, Argument::kIn, ShowIntAt},
    {FIOCLEX, Argument::kAbsent, nullptr},
    {FIONCLEX, Argument::kAbsent, nullptr},
    {FICLONE, Argument::kValue, ShowDescriptor},
    {FIGETBSZ, Argument::kOut, ShowIntAt},
    {FS_IOC_GETFLAGS, Argument::kOut, ShowUnsignedIntAt},
    {FS_IOC_SETFLAGS, Argument::kIn, ShowUnsignedIntAt},
    {BLKGETSIZE64, Argument::kOut, ShowLongAt},
    {BLKSSZGET, Argument::kOut, ShowIntAt},
    {SIOCGIFINDEX, Argument::kInOut, AtAddress<ifreq, PutInterface>},
    {SIOCGIFNAME, Argument::kInOut, AtAddress<ifreq, PutInterface>},
    {SIOCGIFFLAGS, Argument::kInOut, AtAddress<ifreq, PutInterface>},
    {SIOCGIFMTU, Argument::kInOut, AtAddress<ifreq, PutInterface>},
    {SIOCGIFADDR, Argument::kInOut, AtAddress<ifreq, PutInterface>},
    {SIOCGIFDSTADDR, Argument::kInOut, AtAddress<ifreq, PutInterface>},
    {SIOCGIFBRDADDR, Argument::kInOut, AtAddress<ifreq, PutInterface>},
    {SIOCGIFNETMASK, Argument::kInOut, AtAddress<ifreq, PutInterface>},
};

const Argument* Find(uint64_t request) {
  const auto found =
      std::ranges::find(kArguments, static_cast<uint32_t>(request), &Argument::request);
  return found == std::end(kArguments) ? nullptr : found;
}

}  // namespace

void ShowIoctlRequest(Call& call, uint64_t request) {
  const auto number = static_cast<uint32_t>(request);
  if (const char* name = kIoctls.Find(number); name != nullptr) return call.out.Name(name);
  constexpr const char* kDirections[] = {"_IOC_NONE", "_IOC_WRITE", "_IOC_READ",
                                         "_IOC_READ|_IOC_WRITE"};
  call.out.TextOnly(fmt::format("_IOC({}, {:#x}, {:#x}, {:#x}) /* ", kDirections[_IOC_DIR(number)],
                                _IOC_TYPE(number), _IOC_NR(number), _IOC_SIZE(number)));
  call.out.Hex(number);
  call.out.TextOnly(" */");
}

bool IoctlHasArgument(const std::array<uint64_t, 6>& args) {
  const Argument* argument = Find(args[1]);
  return argument == nullptr || argument->direction != Argument::kAbsent;
}

void ShowIoctlArgument(Call& call, uint64_t value) {
  const Argument* argument = Find(call.args[1]);
  if (argument == nullptr) return call.out.Address(value);
  const bool out_now = call.exit && call.succeeded();
  if (argument->direction == Argument::kOut && !out_now) return call.out.Address(value);
  argument->show(call, value);
}

}  // namespace utrace::syscall_log
