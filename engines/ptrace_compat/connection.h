// Connection: one client's socket, which any thread sends on without waiting.
#ifndef ENGINES_PTRACE_COMPAT_CONNECTION_H_
#define ENGINES_PTRACE_COMPAT_CONNECTION_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "engines/ptrace_compat/watcher.h"
#include "engines/ptrace_compat/wire.h"

namespace utrace::ptrace_compat {

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  // Takes over `socket`; borrows `watcher`, which sends what the socket had no room for. `arrival` is its
  // place among the server's connections.
  Connection(int socket, Watcher& watcher, uint64_t arrival)
      : socket_(socket), watcher_(watcher), arrival_(arrival) {}
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  uint64_t arrival() const { return arrival_; }

  // Sends `reply`, whose size it sets, and `payload` behind it; never waits, loses nothing while the
  // connection lives, keeps the order. A client that lets much pile up is given up: ShutDown. Any thread.
  void Send(wire::Reply reply, std::span<const std::byte> payload = {});
  // Waits for a packet. It is valid until the next call; empty when the connection is over. One thread.
  std::span<const std::byte> Receive();
  // Ends the connection: Receive returns false. Any thread.
  void ShutDown();

 private:
  bool TrySend(std::span<const std::byte> head, std::span<const std::byte> payload);
  void SendWaiting();

  const int socket_;
  Watcher& watcher_;
  const uint64_t arrival_;
  std::vector<std::byte> received_;  // of the thread that receives
  std::mutex mutex_;
  // ---- Guarded by mutex_. ----
  std::deque<std::vector<std::byte>> waiting_;
  size_t waiting_size_ = 0;  // bytes
  uint64_t watch_ = 0;
};

}  // namespace utrace::ptrace_compat

#endif  // ENGINES_PTRACE_COMPAT_CONNECTION_H_
