// Tracers: programs that trace by ptrace(2) as the server emulates it (engines/ptrace_compat). Each of
// their tracing threads has a connection, and each connection a thread here.
#ifndef SERVER_TRACERS_H_
#define SERVER_TRACERS_H_

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/linux/fd.h"
#include "engines/ptrace_compat/emulation.h"
#include "server/linux_host_requests.h"
#include "server/session.h"

namespace utrace::server {

using linux_host::Fd;

// For the server's main thread. Never destroyed.
class Tracers {
 public:
  // Borrows `shared`, whose `wake` is called whenever Idle() may have become true.
  explicit Tracers(Shared& shared);

  // Whether a connection that begins with this packet is one of these.
  static bool IsHello(std::string_view packet);
  // Has the connection served, whose first packet was `hello` and whose other end is process `peer`. The
  // socket is taken over. Empty, or why it is refused; then `socket` is left alone.
  std::string Serve(Fd* socket, pid_t peer, std::string_view hello);

  // No connection is served, and nothing is traced for one.
  bool Idle() const;
  // The processes that trace thread `tid`, in order of attachment. Any thread.
  std::vector<pid_t> TracersOf(pid_t tid) const { return emulation_.TracersOf(tid); }
  // Detaches everything, and ends all connections.
  void EndAll() { emulation_.EndAll(); }

 private:
  std::shared_ptr<Owner> MakeOwner(pid_t tracer);

  Shared& shared_;
  LinuxHostRequests host_;
  ptrace_compat::Emulation emulation_;
  std::atomic<size_t> served_{0};
  uint64_t arrivals_ = 0;  // the main thread's
};

}  // namespace utrace::server

#endif  // SERVER_TRACERS_H_
