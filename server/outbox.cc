#include "server/outbox.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <utility>

#include "server/packet.h"

namespace utrace::server {
namespace {

// Bytes kept for a client that does not read.
constexpr size_t kMost = size_t{1} << 20;
// How long a client may take to read something of a full queue.
constexpr std::chrono::seconds kPatience{30};

}  // namespace

bool Outbox::Send(const Reply& reply) { return Put(ToText(reply), IfFull::kWait); }

bool Outbox::Post(const Reply& reply) { return Put(ToText(reply), IfFull::kGiveUp); }

bool Outbox::Put(std::string text, IfFull if_full) {
  std::unique_lock lock(mutex_);
  FlushLocked();
  while (!closed_ && queued_ + text.size() > kMost) {
    const size_t before = queued_;
    const auto moved = [&] { return closed_ || queued_ < before; };
    if (if_full == IfFull::kGiveUp || !flushed_.wait_for(lock, kPatience, moved)) CloseLocked();
  }
  if (closed_) return false;
  queued_ += text.size();
  queue_.push_back(std::move(text));
  FlushLocked();
  return !closed_;
}

void Outbox::Flush() {
  const std::lock_guard lock(mutex_);
  FlushLocked();
}

void Outbox::FlushLocked() {
  while (!closed_ && !queue_.empty()) {
    const int status = SendPacket(socket_.get(), queue_.front(), {}, /*wait=*/false);
    if (status == -EAGAIN) return;
    if (status != 0) {
      CloseLocked();
      return;
    }
    queued_ -= queue_.front().size();
    queue_.pop_front();
    flushed_.notify_all();
  }
}

Fd Outbox::HandOver() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  queue_.clear();
  queued_ = 0;
  return Fd(fcntl(socket_.get(), F_DUPFD_CLOEXEC, 0));
}

void Outbox::Close() {
  const std::lock_guard lock(mutex_);
  CloseLocked();
}

void Outbox::CloseLocked() {
  if (std::exchange(closed_, true)) return;
  queue_.clear();
  queued_ = 0;
  shutdown(socket_.get(), SHUT_RDWR);
  flushed_.notify_all();
}

}  // namespace utrace::server
