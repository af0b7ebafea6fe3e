#include "engines/syscall_log/decode/sockaddr.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>

#include "engines/syscall_log/decode/tables.h"
#include "engines/syscall_log/decode/values.h"

namespace utrace::syscall_log {
namespace {

void PutPort(Renderer& out, std::string_view name, uint16_t port) {
  out.Field(name);
  out.TextOnly("htons(");
  out.Unsigned(ntohs(port));
  out.TextOnly(")");
}

void PutUnix(Renderer& out, const char* bytes, size_t size) {
  const size_t start = offsetof(sockaddr_un, sun_path);
  if (size <= start) return;
  const char* path = bytes + start;
  const size_t length = size - start;
  out.Field("sun_path");
  if (path[0] == '\0') {
    // The abstract name space: the name is all that follows.
    out.TextOnly("@");
    out.String({path + 1, length - 1}, false);
  } else {
    out.String({path, strnlen(path, length)}, false);
  }
}

template <class T>
T Copy(const char* bytes, size_t size) {
  T object{};
  memcpy(&object, bytes, std::min(size, sizeof(T)));
  return object;
}

void PutInet(Renderer& out, const sockaddr_in& address) {
  PutPort(out, "sin_port", address.sin_port);
  out.Field("sin_addr");
  out.TextOnly("inet_addr(");
  PutInternetAddress(out, &address.sin_addr, sizeof(address.sin_addr));
  out.TextOnly(")");
}

void PutInet6(Renderer& out, const sockaddr_in6& address, size_t size) {
  PutPort(out, "sin6_port", address.sin6_port);
  out.Field("sin6_flowinfo");
  out.TextOnly("htonl(");
  out.Unsigned(ntohl(address.sin6_flowinfo));
  out.TextOnly(")");
  out.FieldWithoutText("sin6_addr");
  out.TextOnly("inet_pton(AF_INET6, ");
  PutInternetAddress(out, &address.sin6_addr, sizeof(address.sin6_addr));
  out.TextOnly(", &sin6_addr)");
  if (size >= sizeof(address)) PutUnsignedField(out, "sin6_scope_id", address.sin6_scope_id);
}

}  // namespace

void PutInternetAddress(Renderer& out, const void* address, size_t size) {
  std::array<char, INET6_ADDRSTRLEN> text;
  inet_ntop(size == sizeof(in_addr) ? AF_INET : AF_INET6, address, text.data(), text.size());
  out.String(text.data(), false);
}

void PutSocketAddress(Call& call, const char* bytes, size_t size) {
  Renderer& out = call.out;
  sa_family_t family;
  if (size < sizeof(family)) return out.String({bytes, size}, false);
  memcpy(&family, bytes, sizeof(family));
  out.BeginStruct();
  PutNameField(out, "sa_family", kAddressFamily, family);
  const size_t data = size - sizeof(family);
  if (family == AF_UNIX) {
    PutUnix(out, bytes, size);
  } else if (family == AF_INET && size >= offsetof(sockaddr_in, sin_zero)) {
    PutInet(out, Copy<sockaddr_in>(bytes, size));
  } else if (family == AF_INET6 && size >= offsetof(sockaddr_in6, sin6_scope_id)) {
    PutInet6(out, Copy<sockaddr_in6>(bytes, size), size);
  } else if (family == AF_NETLINK && size >= sizeof(sockaddr_nl)) {
    const auto address = Copy<sockaddr_nl>(bytes, size);
    PutSignedField(out, "nl_pid", static_cast<int32_t>(address.nl_pid));
    out.Field("nl_groups");
    out.TextOnly(fmt::format("{:08x}", address.nl_groups));
    out.JsonOnly(address.nl_groups);
  } else if (family == AF_PACKET && size >= offsetof(sockaddr_ll, sll_addr)) {
    const auto address = Copy<sockaddr_ll>(bytes, size);
    out.Field("sll_protocol");
    out.TextOnly("htons(");
    out.Hex(ntohs(address.sll_protocol));
    out.TextOnly(")");
    PutSignedField(out, "sll_ifindex", address.sll_ifindex);
    PutUnsignedField(out, "sll_hatype", address.sll_hatype);
    PutUnsignedField(out, "sll_pkttype", address.sll_pkttype);
    PutUnsignedField(out, "sll_halen", address.sll_halen);
  } else if (family == AF_VSOCK && size >= offsetof(sockaddr_vm, svm_zero)) {
    const auto address = Copy<sockaddr_vm>(bytes, size);
    PutHexField(out, "svm_cid", address.svm_cid);
    PutHexField(out, "svm_port", address.svm_port);
  } else if (data != 0) {
    out.Field("sa_data");
    out.String({bytes + sizeof(family), data}, false);
  }
  out.EndStruct();
}

void PutSocketAddressAt(Call& call, uint64_t address, uint64_t size) {
  std::array<char, sizeof(sockaddr_storage)> bytes;
  const size_t wanted = std::min<uint64_t>(size, bytes.size());
  if (address == 0 || wanted == 0 || call.memory.Read(address, bytes.data(), wanted) != wanted) {
    return call.out.Address(address);
  }
  PutSocketAddress(call, bytes.data(), wanted);
}

}  // namespace utrace::syscall_log
