#include "server/packet.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "server/protocol.h"

namespace utrace::server {
namespace {

// Room for more descriptors than are allowed: the kernel closes what finds no room, and says so.
constexpr size_t kControlSize = CMSG_SPACE(sizeof(int) * kMaxDescriptors) + CMSG_SPACE(64);

// False if there is anything but descriptors, or more of them than allowed.
bool TakeDescriptors(msghdr& header, std::vector<Fd>* descriptors) {
  bool good = (header.msg_flags & MSG_CTRUNC) == 0;
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) {
      good = false;
      continue;
    }
    const size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t n = 0; n < count; ++n) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + n * sizeof(int), sizeof(int));
      descriptors->emplace_back(fd);
    }
  }
  return good && descriptors->size() <= kMaxDescriptors;
}

}  // namespace

Received ReceivePacket(int socket, bool wait, Packet* packet) {
  packet->descriptors.clear();
  packet->text.resize(kMaxMessage);
  iovec text{.iov_base = packet->text.data(), .iov_len = packet->text.size()};
  alignas(cmsghdr) char control[kControlSize];
  msghdr header{};
  header.msg_iov = &text;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof(control);
  ssize_t size = 0;
  do {
    size = recvmsg(socket, &header, MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT));
  } while (size < 0 && errno == EINTR);
  if (size < 0) {
    packet->text.clear();
    return errno == EAGAIN ? Received::kNothing : Received::kEnd;
  }
  packet->text.resize(static_cast<size_t>(size));
  std::vector<Fd> descriptors;
  const bool good = TakeDescriptors(header, &descriptors);
  if (!good || (header.msg_flags & MSG_TRUNC) != 0) return Received::kMalformed;
  // A packet of no bytes looks the same, and is as useless.
  if (size == 0) return Received::kEnd;
  packet->descriptors = std::move(descriptors);
  return Received::kPacket;
}

int SendPacket(int socket, std::string_view text, std::span<const int> descriptors, bool wait) {
  iovec body{.iov_base = const_cast<char*>(text.data()), .iov_len = text.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxDescriptors)] = {};
  msghdr header{};
  header.msg_iov = &body;
  header.msg_iovlen = 1;
  if (!descriptors.empty()) {
    if (descriptors.size() > kMaxDescriptors) return -EINVAL;
    header.msg_control = control;
    header.msg_controllen = CMSG_SPACE(sizeof(int) * descriptors.size());
    cmsghdr* const part = CMSG_FIRSTHDR(&header);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof(int) * descriptors.size());
    std::memcpy(CMSG_DATA(part), descriptors.data(), sizeof(int) * descriptors.size());
  }
  for (;;) {
    if (sendmsg(socket, &header, MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT)) >= 0) return 0;
    if (errno != EINTR) return -errno;
  }
}

}  // namespace utrace::server
