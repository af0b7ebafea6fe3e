// Any bytes as a message, as a socket hands them over: a request or a reply that means what it says, or a
// reason.
#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "server/packet.h"
#include "server/protocol.h"

namespace utrace::server {
namespace {

void Wrong(const char* what) {
  fprintf(stderr, "%s\n", what);
  abort();
}

void TryRequest(const std::string& text) {
  std::string error;
  const std::optional<Request> request = ParseRequest(text, &error);
  if (!request) {
    if (error.empty() || error.find('\n') != std::string::npos) Wrong("a reason is no line");
    return;
  }
  if (DescriptorsOf(*request) > kMaxDescriptors) Wrong("a request wants too many descriptors");
  // What was understood, said in our own words, is understood the same way.
  const std::string ours = ToText(*request);
  const std::optional<Request> again = ParseRequest(ours, &error);
  // What is no UTF-8 takes more room when it is replaced.
  if (!again && ours.size() <= text.size()) Wrong("a request that was written cannot be read");
  if (again && ToText(*again) != ours) Wrong("a request that was written reads as another one");
}

void TryReply(const std::string& text) {
  std::string error;
  const std::optional<Reply> reply = ParseReply(text, &error);
  if (!reply) {
    if (error.empty()) Wrong("there is no reason");
    return;
  }
  const std::string ours = ToText(*reply);
  const std::optional<Reply> again = ParseReply(ours, &error);
  if (ours.size() <= kMaxMessage && (!again || ToText(*again) != ours)) {
    Wrong("a reply that was written reads as another one");
  }
}

// Through a socket: packets keep their bounds, and one that is too long is none.
void TryPacket(const std::string& text) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) Wrong("no socket");
  const Fd from(ends[0]);
  const Fd to(ends[1]);
  const int size = 1 << 20;
  setsockopt(from.get(), SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
  if (SendPacket(from.get(), text, {}, /*wait=*/false) != 0) return;
  Packet packet;
  const Received received = ReceivePacket(to.get(), /*wait=*/false, &packet);
  const Received expected = text.empty()                ? Received::kEnd
                            : text.size() > kMaxMessage ? Received::kMalformed
                                                        : Received::kPacket;
  if (received != expected) Wrong("a packet was taken for something else");
  if (received == Received::kPacket && packet.text != text) Wrong("a packet has changed");
}

}  // namespace
}  // namespace utrace::server

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  utrace::server::TryRequest(text);
  utrace::server::TryReply(text);
  utrace::server::TryPacket(text);
  return 0;
}
