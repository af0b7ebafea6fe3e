// The server itself: one thread that accepts clients, takes their messages and sends them replies;
// everything else is done by sessions.
#ifndef SERVER_SERVER_H_
#define SERVER_SERVER_H_

#include <string>

#include "core/linux/fd.h"

namespace utrace::server {

using linux_host::Fd;

struct ServeOptions {
  std::string version;  // of the tools, for the greeting
  std::string program;  // the path of this program, for the greeting
  Fd listener;          // from the command that started this process; invalid: makes its own
  bool log = false;     // a line on standard error for what clients do
};

// Serves this user until the last client and the last engine are gone, or until SIGTERM, SIGINT or
// SIGHUP. One that was not started by a command waits for its first client. Returns the exit status: 0
// done; 1 it cannot work, which standard error says, or there is a server already.
int Serve(ServeOptions options);

}  // namespace utrace::server

#endif  // SERVER_SERVER_H_
