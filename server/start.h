// Starting a server as a daemon.
#ifndef SERVER_START_H_
#define SERVER_START_H_

#include <string>

namespace utrace::server {

// The descriptor on which `utrace serve --listener` finds its listening socket.
inline constexpr int kListenerDescriptor = 3;

// Runs this program as `serve --listener` in a session of its own, with `listener` as that descriptor,
// standard input and output on /dev/null, and nothing else of this process's open. Returns when it has
// been forked off. Zero, or a negative errno.
int StartDaemon(int listener);

}  // namespace utrace::server

#endif  // SERVER_START_H_
