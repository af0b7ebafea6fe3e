#include "engines/ptrace_compat/connection.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace utrace::ptrace_compat {
namespace {

constexpr size_t kLargestPacket = wire::kMaxPayload + 4096;
// Bytes kept for a client that does not read. One that waits for its replies, as all do, never has that many.
constexpr size_t kMostWaiting = size_t{4} << 20;

}  // namespace

Connection::~Connection() {
  // What waits holds a reference: nothing is watched any more.
  close(socket_);
}

// False if the socket has no room. Whatever else fails means that nobody reads.
bool Connection::TrySend(std::span<const std::byte> head, std::span<const std::byte> payload) {
  iovec parts[] = {{const_cast<std::byte*>(head.data()), head.size()},
                   {const_cast<std::byte*>(payload.data()), payload.size()}};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = payload.empty() ? 1 : 2;
  for (;;) {
    if (sendmsg(socket_, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return true;
    if (errno == EINTR) continue;
    return errno != EAGAIN && errno != EWOULDBLOCK && errno != ENOBUFS;
  }
}

void Connection::Send(wire::Reply reply, std::span<const std::byte> payload) {
  reply.size = static_cast<uint32_t>(payload.size());
  const auto head = std::as_bytes(std::span(&reply, 1));
  const std::lock_guard lock(mutex_);
  if (waiting_.empty() && TrySend(head, payload)) return;
  waiting_size_ += head.size() + payload.size();
  if (waiting_size_ > kMostWaiting) {
    ShutDown();
    return;
  }
  std::vector<std::byte> packet(head.begin(), head.end());
  packet.insert(packet.end(), payload.begin(), payload.end());
  waiting_.push_back(std::move(packet));
  if (watch_ != 0) return;
  watch_ = watcher_.Add(socket_, EPOLLOUT, [self = shared_from_this()] { self->SendWaiting(); });
}

void Connection::SendWaiting() {
  const std::lock_guard lock(mutex_);
  watch_ = 0;
  while (!waiting_.empty() && TrySend(waiting_.front(), {})) {
    waiting_size_ -= waiting_.front().size();
    waiting_.pop_front();
  }
  if (waiting_.empty()) return;
  watch_ = watcher_.Add(socket_, EPOLLOUT, [self = shared_from_this()] { self->SendWaiting(); });
}

std::span<const std::byte> Connection::Receive() {
  received_.resize(kLargestPacket);
  for (;;) {
    const ssize_t size = recv(socket_, received_.data(), received_.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return {};
    return {received_.data(), static_cast<size_t>(size)};
  }
}

void Connection::ShutDown() { shutdown(socket_, SHUT_RDWR); }

}  // namespace utrace::ptrace_compat
