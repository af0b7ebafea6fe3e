#include "engines/syscall_log/decode/messages.h"

#include <sys/socket.h>

#include <cstring>
#include <vector>

#include "engines/syscall_log/decode/sockaddr.h"
#include "engines/syscall_log/decode/structs.h"
#include "engines/syscall_log/decode/tables.h"

namespace utrace::syscall_log {
namespace {

constexpr size_t kMostControl = 4096;

void PutControlData(Call& call, const cmsghdr& head, const char* data, size_t size) {
  Renderer& out = call.out;
  if (head.cmsg_level == SOL_SOCKET && head.cmsg_type == SCM_RIGHTS) {
    out.BeginArray();
    for (size_t at = 0; at + sizeof(int) <= size; at += sizeof(int)) {
      int fd;
      memcpy(&fd, data + at, sizeof(fd));
      PutDescriptor(call, fd);
    }
    return out.EndArray();
  }
  if (head.cmsg_level == SOL_SOCKET && head.cmsg_type == SCM_CREDENTIALS && size >= sizeof(ucred)) {
    ucred credentials;
    memcpy(&credentials, data, sizeof(credentials));
    out.BeginStruct();
    PutSignedField(out, "pid", credentials.pid);
    PutUnsignedField(out, "uid", credentials.uid);
    PutUnsignedField(out, "gid", credentials.gid);
    return out.EndStruct();
  }
  const size_t shown = std::min(size, call.style.strings);
  out.String({data, shown}, shown < size);
}

void PutControl(Call& call, uint64_t address, uint64_t size) {
  std::vector<char> bytes(std::min<uint64_t>(size, kMostControl));
  if (address == 0 || bytes.empty() ||
      call.memory.Read(address, bytes.data(), bytes.size()) != bytes.size()) {
    return call.out.Address(address);
  }
  Renderer& out = call.out;
  out.BeginArray();
  for (size_t at = 0; at + sizeof(cmsghdr) <= bytes.size();) {
    cmsghdr head;
    memcpy(&head, bytes.data() + at, sizeof(head));
    out.BeginStruct();
    PutUnsignedField(out, "cmsg_len", head.cmsg_len);
    PutNameField(out, "cmsg_level", kSocketLevel, static_cast<uint32_t>(head.cmsg_level));
    out.Field("cmsg_type");
    if (head.cmsg_level == SOL_SOCKET) {
      PutName(out, kControlType, static_cast<uint32_t>(head.cmsg_type));
    } else {
      out.Hex(static_cast<uint32_t>(head.cmsg_type));
    }
    const bool whole = head.cmsg_len >= CMSG_LEN(0) && head.cmsg_len <= bytes.size() - at;
    if (whole && head.cmsg_len > CMSG_LEN(0)) {
      out.Field("cmsg_data");
      PutControlData(call, head, bytes.data() + at + CMSG_LEN(0), head.cmsg_len - CMSG_LEN(0));
    }
    out.EndStruct();
    if (!whole) break;  // the rest cannot be found
    at += CMSG_ALIGN(head.cmsg_len);
  }
  if (size > bytes.size()) out.More();
  out.EndArray();
}

// `bytes` of the contents belong to the message; none are shown if the call failed or is to come.
void PutMessage(Call& call, const msghdr& message, uint64_t bytes, bool contents) {
  Renderer& out = call.out;
  out.BeginStruct();
  out.Field("msg_name");
  const auto name = reinterpret_cast<uint64_t>(message.msg_name);
  if (contents) {
    PutSocketAddressAt(call, name, message.msg_namelen);
  } else {
    out.Address(name);
  }
  PutUnsignedField(out, "msg_namelen", message.msg_namelen);
  out.Field("msg_iov");
  PutVector(call, reinterpret_cast<uint64_t>(message.msg_iov), message.msg_iovlen, bytes, contents);
  PutUnsignedField(out, "msg_iovlen", message.msg_iovlen);
  if (message.msg_controllen != 0 && contents) {
    out.Field("msg_control");
    PutControl(call, reinterpret_cast<uint64_t>(message.msg_control), message.msg_controllen);
  }
  PutUnsignedField(out, "msg_controllen", message.msg_controllen);
  PutFlagsField(out, "msg_flags", kMessageFlags, static_cast<uint32_t>(message.msg_flags));
  out.EndStruct();
}

void PutMessageIn(Call& call, const msghdr& message) {
  PutMessage(call, message, UINT64_MAX, true);
}
void PutMessageOut(Call& call, const msghdr& message) {
  PutMessage(call, message, call.count(), call.succeeded());
}

void PutMessages(Call& call, uint64_t address, uint64_t count, bool received) {
  PutArray<mmsghdr>(call, address, count, [&](Call& c, const mmsghdr& message) {
    c.out.BeginStruct();
    c.out.Field("msg_hdr");
    PutMessage(c, message.msg_hdr, received ? message.msg_len : UINT64_MAX, true);
    if (received) PutUnsignedField(c.out, "msg_len", message.msg_len);
    c.out.EndStruct();
  });
}

}  // namespace

void ShowMessageIn(Call& call, uint64_t address) { AtAddress<msghdr, PutMessageIn>(call, address); }
void ShowMessageOut(Call& call, uint64_t address) {
  AtAddress<msghdr, PutMessageOut>(call, address);
}
void ShowMessagesIn(Call& call, uint64_t address) {
  PutMessages(call, address, static_cast<uint32_t>(call.args[2]), false);
}
void ShowMessagesOut(Call& call, uint64_t address) {
  PutMessages(call, address, call.count(), true);
}

}  // namespace utrace::syscall_log
