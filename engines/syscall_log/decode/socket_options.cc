#include "engines/syscall_log/decode/socket_options.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "engines/syscall_log/decode/sockaddr.h"
#include "engines/syscall_log/decode/structs.h"
#include "engines/syscall_log/decode/tables.h"

namespace utrace::syscall_log {
namespace {

// The options of a level; null if only their numbers are known. Levels of protocols have the
// protocol's number.
const Names* OptionsOf(int level) {
  switch (level) {
    case SOL_SOCKET:
      return &kSocketOption;
    case IPPROTO_IP:
      return &kIpOption;
    case IPPROTO_IPV6:
      return &kIpv6Option;
    case IPPROTO_TCP:
      return &kTcpOption;
    case IPPROTO_UDP:
      return &kUdpOption;
    default:
      return nullptr;
  }
}

void PutLinger(Call& call, const linger& value) {
  call.out.BeginStruct();
  PutSignedField(call.out, "l_onoff", value.l_onoff);
  PutSignedField(call.out, "l_linger", value.l_linger);
  call.out.EndStruct();
}

void PutCredentials(Call& call, const ucred& value) {
  call.out.BeginStruct();
  PutSignedField(call.out, "pid", value.pid);
  PutUnsignedField(call.out, "uid", value.uid);
  PutUnsignedField(call.out, "gid", value.gid);
  call.out.EndStruct();
}

void PutMembership(Call& call, const ip_mreq& value) {
  call.out.BeginStruct();
  for (const auto& [name, address] : {std::pair{"imr_multiaddr", &value.imr_multiaddr},
                                      {"imr_interface", &value.imr_interface}}) {
    call.out.Field(name);
    call.out.TextOnly("inet_addr(");
    PutInternetAddress(call.out, address, sizeof(*address));
    call.out.TextOnly(")");
  }
  call.out.EndStruct();
}

void PutValue(Call& call, uint64_t address, uint64_t size) {
  const int level = static_cast<int>(call.args[1]);
  const int option = static_cast<int>(call.args[2]);
  if (address == 0) return call.out.Address(0);
  if (level == SOL_SOCKET) {
    switch (option) {
      case SO_LINGER:
        if (size >= sizeof(linger)) return AtAddress<linger, PutLinger>(call, address);
        break;
      case SO_PEERCRED:
        if (size >= sizeof(ucred)) return AtAddress<ucred, PutCredentials>(call, address);
        break;
      case SO_RCVTIMEO:
      case SO_SNDTIMEO:
        if (size >= sizeof(timeval)) return AtAddress<timeval, PutTimeval>(call, address);
        break;
      case SO_BINDTODEVICE:
      case SO_PEERSEC:
        return PutBytes(call, address, size);
      default:
        break;
    }
  }
  if (level == IPPROTO_IP && size == sizeof(ip_mreq) &&
      (option == IP_ADD_MEMBERSHIP || option == IP_DROP_MEMBERSHIP)) {
    return AtAddress<ip_mreq, PutMembership>(call, address);
  }
  if (level == IPPROTO_TCP && (option == TCP_CONGESTION || option == TCP_ULP)) {
    return PutBytes(call, address, size);
  }
  if (size == sizeof(int)) return ShowIntAt(call, address);
  if (size == 0) return call.out.Address(address);
  PutBytes(call, address, size);
}

}  // namespace

void ShowSocketLevel(Call& call, uint64_t level) {
  // SOL_IP and so on, rather than the other names of these numbers.
  PutIntName(call.out, kSocketLevel, level);
}

void ShowSocketOptionName(Call& call, uint64_t name) {
  const Names* names = OptionsOf(static_cast<int>(call.args[1]));
  if (names == nullptr) return ShowHexInt(call, name);
  PutIntName(call.out, *names, name);
}

void ShowSocketOptionIn(Call& call, uint64_t address) {
  const auto size = static_cast<int>(call.args[4]);
  PutValue(call, address, size < 0 ? 0 : static_cast<uint64_t>(size));
}

void ShowSocketOptionOut(Call& call, uint64_t address) {
  uint32_t size = 0;
  if (!call.Read(call.args[4], &size)) return call.out.Address(address);
  PutValue(call, address, size);
}

}  // namespace utrace::syscall_log
