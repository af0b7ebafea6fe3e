// Outbox: what is on its way to one client.
#ifndef SERVER_OUTBOX_H_
#define SERVER_OUTBOX_H_

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>

#include "core/linux/fd.h"
#include "server/protocol.h"

namespace utrace::server {

using linux_host::Fd;

// Owns the client's socket. Any thread may call its functions; the server's main thread flushes it
// whenever the socket can be written to again.
class Outbox {
 public:
  explicit Outbox(Fd socket) : socket_(std::move(socket)) {}

  int socket() const { return socket_.get(); }
  // Sends, or queues. Waits while much is queued, for a client that reads slowly; gives a client up
  // that reads nothing for long. False if the client is gone. For a client's own thread.
  bool Send(const Reply& reply);
  // The same without waiting: a client whose queue is full is given up.
  bool Post(const Reply& reply);
  // Sends what can be sent.
  void Flush();
  // Gives the connection to somebody else: nothing is sent here any more. Invalid if no descriptor is
  // left.
  Fd HandOver();
  // The client is gone, or given up: nothing is sent any more, and the socket says end of file.
  void Close();

 private:
  enum class IfFull : uint8_t { kWait, kGiveUp };
  bool Put(std::string text, IfFull if_full);
  void FlushLocked();
  void CloseLocked();

  const Fd socket_;
  std::mutex mutex_;
  std::condition_variable flushed_;
  // ---- Guarded by mutex_. ----
  std::deque<std::string> queue_;
  size_t queued_ = 0;  // bytes
  bool closed_ = false;
};

}  // namespace utrace::server

#endif  // SERVER_OUTBOX_H_
