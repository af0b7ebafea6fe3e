// Calls on sockets. Addresses are in sockaddr.cc, messages in messages.cc, options in
// socket_options.cc.
#include <sys/socket.h>

#include "engines/syscall_log/decode/groups.h"
#include "engines/syscall_log/decode/messages.h"
#include "engines/syscall_log/decode/sockaddr.h"
#include "engines/syscall_log/decode/socket_options.h"
#include "engines/syscall_log/decode/structs.h"
#include "engines/syscall_log/decode/tables.h"

namespace utrace::syscall_log {
namespace {

void ShowSocketType(Call& call, uint64_t value) {
  constexpr uint64_t kTypeBits = 0xf;
  PutNameAndFlags(call.out, kSocketType, kTypeBits, kSocketFlags, static_cast<uint32_t>(value));
}
constexpr Type SocketType{ShowSocketType};

// What a protocol's number means depends on the family.
void ShowProtocol(Call& call, uint64_t value) {
  switch (static_cast<int>(call.args[0])) {
    case AF_INET:
    case AF_INET6:
      return PutIntName(call.out, kIpProtocol, value);
    case AF_NETLINK:
      return PutIntName(call.out, kNetlinkFamily, value);
    default:
      return ShowInt(call, value);
  }
}
constexpr Type Protocol{ShowProtocol};

template <unsigned kSize>
void ShowAddressIn(Call& call, uint64_t address) {
  PutSocketAddressAt(call, address, static_cast<uint32_t>(call.args[kSize]));
}
template <unsigned kSize>
constexpr Type AddressIn{ShowAddressIn<kSize>};

// The argument after an address that is filled in points to its length: before the call the room
// there is, after it the length that there is.
void ShowAddressOut(Call& call, uint64_t address) {
  uint32_t length = 0;
  if (address == 0 || !call.Read(call.args[call.index + 1], &length)) {
    return call.out.Address(address);
  }
  const uint64_t room = call.kept[call.index + 1];
  PutSocketAddressAt(call, address, std::min<uint64_t>(length, room));
}
constexpr Type SocketAddressOut{ShowAddressOut, When::kExit};

void ShowSocketPair(Call& call, uint64_t address) {
  PutArray<int32_t>(call, address, 2, [](Call& c, const int32_t& fd) { PutDescriptor(c, fd); });
}

constexpr Type SocketFlags{ShowFlags<kSocketFlags>};
constexpr Type MessageFlags{ShowFlags<kMessageFlags>};

constexpr CallInfo kCalls[] = {
    {"socket",
     Returns::kDescriptor,
     {{{"family", Named<kProtocolFamily>}, {"type", SocketType}, {"protocol", Protocol}}},
     nullptr,
     kClassDesc},
    {"socketpair",
     Returns::kDecimal,
     {{{"family", Named<kProtocolFamily>},
       {"type", SocketType},
       {"protocol", Protocol},
       {"sv", {ShowSocketPair, When::kExit}}}},
     nullptr,
     kClassDesc},
    {"bind", Returns::kDecimal, {{{"fd", Fd}, {"addr", AddressIn<2>}, {"addrlen", Int}}}},
    {"connect", Returns::kDecimal, {{{"fd", Fd}, {"addr", AddressIn<2>}, {"addrlen", Int}}}},
    {"listen", Returns::kDecimal, {{{"fd", Fd}, {"backlog", Int}}}},
    {"accept",
     Returns::kDescriptor,
     {{{"fd", Fd}, {"addr", SocketAddressOut}, {"addrlen", IntInOut}}}},
    {"accept4",
     Returns::kDescriptor,
     {{{"fd", Fd}, {"addr", SocketAddressOut}, {"addrlen", IntInOut}, {"flags", SocketFlags}}}},
    {"getsockname",
     Returns::kDecimal,
     {{{"fd", Fd}, {"addr", SocketAddressOut}, {"addrlen", IntInOut}}}},
    {"getpeername",
     Returns::kDecimal,
     {{{"fd", Fd}, {"addr", SocketAddressOut}, {"addrlen", IntInOut}}}},
    {"sendto",
     Returns::kDecimal,
     {{{"fd", Fd},
       {"buf", BytesIn<2>},
       {"len", Size},
       {"flags", MessageFlags},
       {"addr", AddressIn<5>},
       {"addrlen", Int}}}},
    {"recvfrom",
     Returns::kDecimal,
     {{{"fd", Fd},
       {"buf", ResultBytes},
       {"len", Size},
       {"flags", MessageFlags},
       {"addr", SocketAddressOut},
       {"addrlen", IntInOut}}}},
    {"sendmsg", Returns::kDecimal, {{{"fd", Fd}, {"msg", MessageIn}, {"flags", MessageFlags}}}},
    {"recvmsg", Returns::kDecimal, {{{"fd", Fd}, {"msg", MessageOut}, {"flags", MessageFlags}}}},
    {"sendmmsg",
     Returns::kDecimal,
     {{{"fd", Fd}, {"msgvec", MessagesIn}, {"vlen", UInt}, {"flags", MessageFlags}}}},
    {"recvmmsg",
     Returns::kDecimal,
     {{{"fd", Fd},
       {"msgvec", MessagesOut},
       {"vlen", UInt},
       {"flags", MessageFlags},
       {"timeout", TimespecIn}}}},
    {"setsockopt",
     Returns::kDecimal,
     {{{"fd", Fd},
       {"level", SocketLevel},
       {"optname", SocketOptionName},
       {"optval", SocketOptionIn},
       {"optlen", Int}}}},
    {"getsockopt",
     Returns::kDecimal,
     {{{"fd", Fd},
       {"level", SocketLevel},
       {"optname", SocketOptionName},
       {"optval", SocketOptionOut},
       {"optlen", IntInOut}}}},
    {"shutdown", Returns::kDecimal, {{{"fd", Fd}, {"how", Named<kShutdownHow>}}}},
};

}  // namespace

std::span<const CallInfo> NetworkCalls() { return kCalls; }

}  // namespace utrace::syscall_log
