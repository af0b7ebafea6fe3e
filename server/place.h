// Where a user's server is found: a directory that nobody else can enter, with a socket in it.
//
//   $UTRACE_SOCKET_DIR          if set (for tests, and for a server of one's own)
//   $XDG_RUNTIME_DIR/utrace     if that is the user's
//   /tmp/utrace-UID             otherwise
//
// The directory also holds the file `lock`, held while a server is being started or ends.
#ifndef SERVER_PLACE_H_
#define SERVER_PLACE_H_

#include <optional>
#include <string>

#include "core/linux/fd.h"

namespace utrace::server {

using linux_host::Fd;

class Place {
 public:
  // Makes the directory if it is not there. Nullopt, and *error one line, if it cannot be made, or
  // belongs to another user, or others may enter it, or is no directory.
  static std::optional<Place> Open(std::string* error);

  // For messages.
  std::string socket_name() const { return directory_ + "/server"; }

  // A socket connected to the server. Zero and *connection, or a negative errno: -ENOENT or
  // -ECONNREFUSED nobody listens there, -EPERM it is another user's, -EAGAIN it is too busy.
  int Connect(Fd* connection) const;
  // A listening socket, in place of one that nobody listens on. With the lock held. Zero, or a
  // negative errno.
  int Listen(Fd* listener) const;
  // Removes the socket's name. With the lock held.
  void Remove() const;

  // Takes the lock, held until the descriptor is closed by all who have it. Zero, or a negative errno:
  // -EWOULDBLOCK if somebody has it and `wait` is false; -ENOENT if the place was removed.
  int Lock(bool wait, Fd* lock) const;

 private:
  Place(std::string directory, Fd fd) : directory_(std::move(directory)), fd_(std::move(fd)) {}
  // Short whatever the directory's name is: a socket's address has room for 107 bytes.
  std::string Address() const;

  std::string directory_;
  Fd fd_;
};

}  // namespace utrace::server

#endif  // SERVER_PLACE_H_
