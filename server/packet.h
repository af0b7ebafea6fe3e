// Packets of a SOCK_SEQPACKET socket, with descriptors.
#ifndef SERVER_PACKET_H_
#define SERVER_PACKET_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/linux/fd.h"

namespace utrace::server {

using linux_host::Fd;

struct Packet {
  std::string text;
  std::vector<Fd> descriptors;  // closed on exec
};

enum class Received : uint8_t {
  kPacket,
  kNothing,    // it would have to wait
  kEnd,        // the other side is gone
  kMalformed,  // longer than kMaxMessage, more than kMaxDescriptors, or another kind of attachment
};

// Takes one packet off `socket`. Descriptors that came with a malformed one are closed.
Received ReceivePacket(int socket, bool wait, Packet* packet);

// Sends one packet; the descriptors stay the caller's. Zero, or a negative errno: -EAGAIN it would have
// to wait, -EPIPE or -ECONNRESET the other side is gone. Never raises SIGPIPE.
int SendPacket(int socket, std::string_view text, std::span<const int> descriptors, bool wait);

}  // namespace utrace::server

#endif  // SERVER_PACKET_H_
