// Client: a connection to this user's server, for the commands.
#ifndef SERVER_CLIENT_H_
#define SERVER_CLIENT_H_

#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "core/linux/fd.h"
#include "server/protocol.h"

namespace utrace::server {

using linux_host::Fd;

// For one thread.
class Client {
 public:
  enum class IfNone : uint8_t {
    kStart,
    kFail,  // null, and an empty *error
  };

  // Connects as `command` ("run"), whose version is `version`, and passes this process's standard error.
  // Where the server keeps silent for ten seconds, standard error says what is waited for.
  // Null, and *error one line, if there is no server and none can be started, or the one there is
  // speaks another protocol.
  static std::unique_ptr<Client> Connect(const std::string& command, const std::string& version,
                                         IfNone if_none, std::string* error);

  int socket() const { return socket_.get(); }
  pid_t server() const { return greeting_.pid; }
  // What the server said of itself.
  const Reply& greeting() const { return greeting_; }

  // Sends a request with its descriptors, which stay the caller's. False if the server is gone.
  bool Send(const Request& request, std::span<const int> descriptors = {});
  // The next message. Nullopt if the server is gone, or with `wait` false if there is none now: gone()
  // tells.
  std::optional<Reply> Receive(bool wait);
  bool gone() const { return gone_; }

  // Sends, and hands all replies up to the last to `on_reply`; the last one is returned. If the server
  // is gone that is an error that says so.
  Reply Ask(const Request& request, std::span<const int> descriptors,
            const std::function<void(const Reply&)>& on_reply);

 private:
  explicit Client(Fd socket) : socket_(std::move(socket)) {}
  // False if that time passed without one.
  bool AwaitMessage(int milliseconds) const;
  static int ConnectOrStart(IfNone if_none, bool* started, Fd* socket, std::string* error);

  Fd socket_;
  Reply greeting_;
  bool gone_ = false;
};

// Whether the reply ends an answer.
bool IsLast(const Reply& reply);

}  // namespace utrace::server

#endif  // SERVER_CLIENT_H_
